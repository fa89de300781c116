package equivalence

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/spillway-k8s/spillway/test/wrappers"
)

// plainPod returns the next pod, which is not created yet.
func (g *generator) plainPod() *wrappers.Pod {
	name := fmt.Sprintf("p%d", g.pods)
	g.pods++
	pod := wrappers.MakePod(name).Label(appLabel, pick(g, "a", "b")).
		Request(corev1.ResourceCPU, pick(g, g.sizes...)).Request(corev1.ResourceMemory, "64Mi")
	if !g.one(3) {
		pod.NoGrace()
	}
	return pod
}

// pod adds a pod, and before or after it what it needs.
func (g *generator) pod() {
	pod := g.plainPod()
	features := map[theme]func(*wrappers.Pod) []step{
		preemption: g.addPriority, volumes: g.addVolume, devices: g.addDevice, spread: g.addSpread, affinity: g.addAffinity,
		ports: g.addPort, gates: g.addGate, taints: g.addToleration,
	}
	var late []step
	for _, t := range g.scene.themes {
		if add := features[t]; add != nil && (t == preemption || !g.one(3)) {
			late = append(late, add(pod)...)
		}
	}
	g.create(pod.Obj())
	g.scene.steps = append(g.scene.steps, late...)
}

func (g *generator) addPriority(pod *wrappers.Pod) []step {
	class := priorityClasses[g.IntN(len(priorityClasses))].name
	if g.pods > firstPods && g.one(2) {
		class = "high"
	}
	pod.Class(class)
	return nil
}

// addVolume gives the pod a new claim, whose volume the scheduler chooses, or one that others have, too.
func (g *generator) addVolume(pod *wrappers.Pod) []step {
	name := fmt.Sprintf("c%d", len(g.volumeClaims))
	if len(g.volumeClaims) > 0 && g.one(2) {
		name = g.volumeClaims[g.IntN(len(g.volumeClaims))]
		mount(pod, name)
		return nil
	}
	g.volumeClaims = append(g.volumeClaims, name)
	mount(pod, name)
	claim := volumeClaim(name, pick(g, accessModes...))
	return g.before(creation(claim))
}

// addDevice gives the pod a new claim of devices, or one that others have, too.
func (g *generator) addDevice(pod *wrappers.Pod) []step {
	name := fmt.Sprintf("d%d", len(g.claims))
	if len(g.claims) > 0 && g.one(2) {
		g.use(pod, g.claims[g.IntN(len(g.claims))])
		return nil
	}
	g.claims = append(g.claims, name)
	g.use(pod, name)
	return g.before(creation(deviceClaim(name, 1+int64(g.IntN(2)))))
}

func (g *generator) use(pod *wrappers.Pod, claim string) {
	g.users[claim] = append(g.users[claim], pod.Name)
	use(pod, claim)
}

// before adds a step now, or returns it for later.
func (g *generator) before(s step) []step {
	if g.one(4) {
		return []step{s}
	}
	g.scene.steps = append(g.scene.steps, s)
	return nil
}

func (g *generator) addSpread(pod *wrappers.Pod) []step {
	constraint := corev1.TopologySpreadConstraint{
		MaxSkew: pick(g, int32(1), 1, 2), TopologyKey: pick(g, zoneLabel, corev1.LabelHostname),
		WhenUnsatisfiable: pick(g, corev1.DoNotSchedule, corev1.DoNotSchedule, corev1.ScheduleAnyway), LabelSelector: g.apps(),
	}
	if !g.one(4) {
		constraint.LabelSelector.MatchLabels[appLabel] = pod.Labels[appLabel]
	}
	if constraint.WhenUnsatisfiable == corev1.DoNotSchedule && g.one(4) {
		constraint.MinDomains = new(int32(2))
	}
	pod.Spec.TopologySpreadConstraints = append(pod.Spec.TopologySpreadConstraints, constraint)
	return nil
}

// apps returns a selector of one of the apps.
func (g *generator) apps() *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{appLabel: pick(g, "a", "b")}}
}

func (g *generator) addPort(pod *wrappers.Pod) []step {
	pod.HostPort(pick(g, int32(80), 81))
	return nil
}

func (g *generator) addGate(pod *wrappers.Pod) []step {
	pod.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: gate}}
	return nil
}

func (g *generator) addToleration(pod *wrappers.Pod) []step {
	pod.Tolerate(dedicated)
	return nil
}

func (g *generator) addAffinity(pod *wrappers.Pod) []step {
	all := &corev1.Affinity{}
	pod.Spec.Affinity = all
	terms := []corev1.PodAffinityTerm{{LabelSelector: g.apps(), TopologyKey: pick(g, zoneLabel, corev1.LabelHostname)}}
	preferred := []corev1.WeightedPodAffinityTerm{{Weight: 1 + int32(g.IntN(100)), PodAffinityTerm: terms[0]}}
	nodes := corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{
		Key: pick(g, zoneLabel, diskLabel), Operator: pick(g, corev1.NodeSelectorOpIn, corev1.NodeSelectorOpNotIn),
		Values: []string{pick(g, "a", "b", "ssd", "hdd")},
	}}}
	switch g.IntN(6) {
	case 0:
		all.PodAntiAffinity = &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: terms}
	case 1:
		all.PodAffinity = &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: terms}
	case 2:
		all.PodAntiAffinity = &corev1.PodAntiAffinity{PreferredDuringSchedulingIgnoredDuringExecution: preferred}
	case 3:
		all.PodAffinity = &corev1.PodAffinity{PreferredDuringSchedulingIgnoredDuringExecution: preferred}
	case 4:
		all.NodeAffinity = &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{nodes},
		}}
	default:
		all.NodeAffinity = &corev1.NodeAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{
			{Weight: 1 + int32(g.IntN(100)), Preference: nodes},
		}}
	}
	return nil
}
