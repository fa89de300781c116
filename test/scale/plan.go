package main

import (
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

const (
	// stride is after how many pods of a policy the pattern of units and ReplicaSets begins again.
	stride = 20
	// revisions is how many ReplicaSets the pods of a policy have.
	revisions = 2

	labelApp  = "app"
	labelHash = "pod-template-hash"
	labelPaid = "paidtype"
	paidMonth = "subscription"
	paidHour  = "pay-as-you-go"
	// labelSpill is written on the pods in the last unit of some policies.
	labelSpill = "spill"
	spillValue = "eci"
)

// The units of every policy, in order.
const (
	monthly = iota
	hourly
	spill
	units
)

// The kinds of policies, in turn: with caps on pods, with caps on resources, with caps for each ReplicaSet that are all reached, and with labels for the
// pods on ECI.
const (
	kindMax = iota
	kindResources
	kindFull
	kindLabels
	kinds
)

// zones are those of a region of the simulator.
var zones = []string{"cn-beijing-i", "cn-beijing-j", "cn-beijing-k"}

// plan is what the cluster is filled with. Everything follows from the numbers.
type plan struct {
	machines, zones, policies, namespaces, bound, unbound int
}

// place is where a pod belongs.
type place struct {
	policy, unit, revision int
	// node is empty for a pod without one.
	node string
	// unrecorded is true for a pod that was there before its policy, and unlabelled for one that lacks the labels of its unit.
	unrecorded, unlabelled bool
}

// ownerKey names a ReplicaSet.
type ownerKey struct{ policy, revision int }

// policy returns the i-th policy.
func (p *plan) policy(i int) *v1alpha1.ResourcePolicy {
	month, hour, eci := wrappers.ECS().On(labelPaid, paidMonth), wrappers.ECS().On(labelPaid, paidHour), wrappers.ECI()
	made := wrappers.MakePolicy(appName(i)).Namespace(p.namespace(i)).Selector(labelApp, appName(i))
	each := int32(p.bound / p.policies / revisions / (stride / 2))
	switch i % kinds {
	case kindMax:
		month.Max(200)
		hour.Max(50)
	case kindResources:
		month.MaxResource(corev1.ResourceCPU, "100").MaxResource(corev1.ResourceMemory, "500Gi")
		hour.Max(60)
	case kindFull:
		made.GroupBy(labelHash)
		month.Max(6 * each)
		hour.Max(3 * each)
		eci.Max(each)
	case kindLabels:
		eci.PodLabel(labelSpill, spillValue)
	}
	rp := made.Unit(month).Unit(hour).Unit(eci).Obj()
	rp.UID = ""
	return rp
}

// virtualNode returns the VirtualNode of the i-th zone.
func (p *plan) virtualNode(i int) *eciv1alpha1.VirtualNode {
	vn := wrappers.MakeZone(zones[i]).Obj()
	vn.UID, vn.Spec.VSwitches = "", []string{"vsw-" + zones[i]}
	return vn
}

// place returns where the n-th pod belongs: of ten pods of a policy six are in the first unit, three in the second and one in the last.
func (p *plan) place(n int) place {
	k := n / p.policies
	at := place{policy: n % p.policies, revision: k / (stride / 2) % revisions}
	switch k % (stride / 2) {
	case 0, 1, 2, 3, 4, 5:
		at.unit = monthly
	case 6, 7, 8:
		at.unit = hourly
	default:
		at.unit = spill
	}
	at.node = p.node(at.unit, n)
	at.unrecorded = n < p.bound && k%50 == 7
	at.unlabelled = n < p.bound && at.policy%kinds == kindLabels && at.unit == spill && at.revision == 1
	return at
}

// node returns a node of a unit; neighbours in the order of pods are far from each other.
func (p *plan) node(unit, n int) string {
	const far = 7919
	months := p.months()
	switch unit {
	case monthly:
		return machineName(n * far % months)
	case hourly:
		return machineName(months + n*far%(p.machines-months))
	default:
		return wrappers.MakeZone(zones[n%p.zones]).Obj().NodeName()
	}
}

// months is how many machines are paid by the month: six of ten.
func (p *plan) months() int { return p.machines * 6 / 10 }

func (p *plan) namespace(policy int) string { return fmt.Sprintf("team-%02d", policy%p.namespaces) }

func machineName(i int) string { return fmt.Sprintf("cn-beijing.10.%d.%d.%d", i>>16, i>>8&255, i&255) }

func appName(policy int) string { return fmt.Sprintf("checkout-%03d", policy) }

// hashOf returns the pod-template-hash of a ReplicaSet.
func hashOf(policy, revision int) string {
	return strconv.FormatInt(int64(policy*revisions+revision+1_000_000), 36)
}

func setName(policy, revision int) string { return appName(policy) + "-" + hashOf(policy, revision) }

// public returns the plan for the result.
func (p *plan) public() map[string]int {
	return map[string]int{
		"nodes": p.machines, "virtualNodes": p.zones, "policies": p.policies, "namespaces": p.namespaces, "pods": p.bound, "unbound": p.unbound,
	}
}
