package equivalence

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/spillway-k8s/spillway/test/wrappers"
)

// theme is a kind of constraint that pods of a scene may have.
type theme string

const (
	preemption theme = "preemption"
	volumes    theme = "volumes"
	devices    theme = "devices"
	spread     theme = "spread"
	affinity   theme = "affinity"
	ports      theme = "ports"
	gates      theme = "gates"
	taints     theme = "taints"
	resizes    theme = "resizes"
)

// themes are those of which each scene has two or three. Two scenes of three have preemption, too.
var themes = []theme{volumes, devices, spread, affinity, ports, gates, taints, resizes}

const (
	minNodes, maxNodes = 3, 5
	minSteps, maxSteps = 14, 20
	firstPods          = 4
	zoneLabel          = corev1.LabelTopologyZone
	diskLabel          = "disk"
	appLabel           = "app"
	gate               = "example.com/hold"
	dedicated          = "dedicated"
)

// accessModes are those of volumes. The second one admits one pod only.
var accessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce, corev1.ReadWriteOncePod}

// priorityClasses are those of the pods. Pods of different classes preempt each other.
var priorityClasses = []struct {
	name   string
	value  int32
	policy corev1.PreemptionPolicy
}{
	{"low", 0, corev1.PreemptLowerPriority},
	{"middle", 100, corev1.PreemptLowerPriority},
	{"high", 1000, corev1.PreemptLowerPriority},
	{"polite", 500, corev1.PreemptNever},
}

// scene is a cluster and what happens in it. It is the same on every side.
type scene struct {
	seed   uint64
	themes []theme
	// setup is done before anything is scheduled; each of the steps is followed by what the scheduler makes of it.
	setup, steps []step
}

// step is one thing that happens.
type step struct {
	what string
	do   func(ctx context.Context, s *stage) error
}

func (sc *scene) String() string { return fmt.Sprintf("seed %d %v", sc.seed, sc.themes) }

func (sc *scene) has(t theme) bool { return slices.Contains(sc.themes, t) }

// generator makes a scene from a seed.
type generator struct {
	*rand.Rand
	scene        *scene
	nodes, pods  int
	volumes      int
	volumeClaims []string
	claims       []string
	// users are the pods of each claim of devices.
	users   map[string][]string
	budgets int
	// sizes are the amounts of CPU that pods request.
	sizes []string
}

// bigPods fill the nodes of a scene; smallPods leave the decision to other constraints.
var (
	bigPods   = []string{"500m", "1", "1", "1500m", "2"}
	smallPods = []string{"250m", "250m", "500m"}
)

// makeScene returns the scene of a seed.
func makeScene(seed uint64) *scene {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 14)), scene: &scene{seed: seed}, users: map[string][]string{}}
	chosen := slices.Clone(themes)
	g.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
	if g.scene.themes = chosen[:2+g.IntN(2)]; !g.one(3) {
		g.scene.themes = append(g.scene.themes, preemption)
	}
	slices.Sort(g.scene.themes)
	if g.sizes = bigPods; g.one(3) {
		g.sizes = smallPods
	}
	g.build()
	wanted := minSteps + g.IntN(maxSteps-minSteps+1)
	for len(g.scene.steps) < wanted {
		if g.pods < firstPods || g.one(2) {
			g.pod()
		} else {
			g.event()
		}
	}
	// At the end everything ends that was ending.
	g.step("end terminating pods", (*stage).endTerminating)
	g.step("release claims", func(s *stage, ctx context.Context) error { return s.releaseClaims(ctx, true) })
	return g.scene
}

// build makes what there is at the beginning.
func (g *generator) build() {
	if g.has(volumes) {
		g.create(storageClass())
	}
	if g.has(devices) {
		g.create(&resourcev1.DeviceClass{ObjectMeta: metav1.ObjectMeta{Name: deviceClass}})
	}
	for range minNodes + g.IntN(maxNodes-minNodes+1) {
		g.node()
	}
	if g.has(volumes) {
		for range 2 + g.IntN(3) {
			g.volume()
		}
	}
	g.scene.setup, g.scene.steps = g.scene.steps, nil
}

func (g *generator) has(t theme) bool { return g.scene.has(t) }

// one reports true once in n times.
func (g *generator) one(n int) bool { return g.IntN(n) == 0 }

func pick[T any](g *generator, choices ...T) T { return choices[g.IntN(len(choices))] }

func (g *generator) step(what string, do func(*stage, context.Context) error) {
	g.scene.steps = append(g.scene.steps, step{what, func(ctx context.Context, s *stage) error { return do(s, ctx) }})
}

// node adds a node, and perhaps devices on it.
func (g *generator) node() {
	name := fmt.Sprintf("n%d", g.nodes)
	node := wrappers.MakeNode(name).Label(corev1.LabelHostname, name).Label(rankLabel, fmt.Sprint(g.nodes)).
		Label(zoneLabel, pick(g, "a", "b")).Label(diskLabel, pick(g, "ssd", "hdd")).
		Capacity(corev1.ResourceCPU, pick(g, "1500m", "2", "2500m", "3")).Capacity(corev1.ResourceMemory, "8Gi")
	if g.has(taints) && g.one(3) {
		node.Taint(dedicated, "yes")
	}
	g.nodes++
	g.create(node.Obj())
	if g.has(devices) && !g.one(3) {
		g.create(slice(name, 1+g.IntN(2)))
	}
}

// volume adds a volume of one node or one zone.
func (g *generator) volume() {
	volume := persistentVolume(g.volumes, pick(g, accessModes...))
	g.volumes++
	if g.one(2) {
		tie(volume, zoneLabel, pick(g, "a", "b"))
	} else {
		tie(volume, corev1.LabelHostname, g.anyNode())
	}
	available := volume.DeepCopy()
	g.step("create PersistentVolume "+describe(volume), func(s *stage, ctx context.Context) error {
		if err := s.create(ctx, volume); err != nil {
			return err
		}
		available := available.DeepCopy()
		return s.edit(ctx, available, statusOnly, func() { available.Status.Phase = corev1.VolumeAvailable })
	})
}

func (g *generator) anyNode() string { return fmt.Sprintf("n%d", g.IntN(g.nodes)) }

func (g *generator) anyPod() string { return fmt.Sprintf("p%d", g.IntN(g.pods)) }

// create adds a step that creates an object.
func (g *generator) create(object object) {
	g.scene.steps = append(g.scene.steps, creation(object))
}

func creation(object object) step {
	return step{
		fmt.Sprintf("create %s %s", strings.TrimPrefix(fmt.Sprintf("%T", object), "*v1."), describe(object)),
		func(ctx context.Context, s *stage) error { return s.create(ctx, object) },
	}
}
