package virtualnode

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/spillway-k8s/spillway/controllers/account"
	"github.com/spillway-k8s/spillway/pkg/eci"
	"github.com/spillway-k8s/spillway/pkg/offer"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// cloud is an account at ECI, the pods of a cluster on its virtual node, and what the controller has published.
type cloud struct {
	t      *testing.T
	random *rand.Rand
	max    int64
	others int64
	// groups are the container groups that exist; pods those of Kubernetes.
	groups map[string]*corev1.Pod
	pods   map[types.UID]*corev1.Pod
	names  int
	quota  int64
	placed int
	// quiet is true when nothing happens while the account is read.
	quiet bool
}

// TestNeverPromisedTwice lets a scheduler place by what the controller publishes, while pods come and go, readings take time, and annotations come late: ECI
// must never be asked for more than it has. And what is free is used.
func TestNeverPromisedTwice(t *testing.T) {
	for seed := range uint64(300) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 3))
			c := &cloud{t: t, random: random, max: 40_000, others: random.Int64N(20_000), groups: map[string]*corev1.Pod{}, pods: map[types.UID]*corev1.Pod{}}
			for range 1000 {
				if random.IntN(12) == 0 {
					c.read()
				} else {
					c.step()
				}
			}
			c.settle()
			for c.place() {
			}
			if free := c.max - c.used(); free-c.waiting() >= 2000 {
				t.Errorf("%d thousandths of a vCPU are free and not used", free-c.waiting())
			}
			if c.placed == 0 {
				t.Error("nothing was tested")
			}
		})
	}
}

// settle lets everything that has begun end, and reads the account.
func (c *cloud) settle() {
	for _, uid := range slices.Collect(maps.Keys(c.pods)) {
		pod := c.pods[uid]
		c.create(pod)
		if c.groups["eci-"+pod.Name] == nil {
			delete(c.pods, uid)
			continue
		}
		c.tell(pod)
	}
	c.quiet = true
	c.read()
}

// tell lets the virtual-kubelet write on a pod what it has created.
func (c *cloud) tell(pod *corev1.Pod) {
	c.pods[pod.UID] = running(pod.Name, nodeJ, "eci-"+pod.Name)
	c.pods[pod.UID].UID = pod.UID
}

// step lets something happen.
func (c *cloud) step() {
	switch c.random.IntN(5) {
	case 0: // More pods wait than there is room for.
		for c.place() {
		}
	case 1, 2:
		if pod := c.any(); pod != nil {
			if c.create(pod); c.random.IntN(2) == 0 && c.groups["eci-"+pod.Name] != nil {
				c.tell(pod)
			}
		}
	case 3:
		if pod := c.any(); pod != nil && c.groups["eci-"+pod.Name] != nil {
			c.tell(pod)
		}
	default: // A pod ends: its container group goes, then or later the pod.
		if pod := c.any(); pod != nil && pod.Status.Phase == corev1.PodRunning {
			gone := c.groups["eci-"+pod.Name] == nil
			delete(c.groups, "eci-"+pod.Name)
			if gone || c.random.IntN(2) == 0 {
				delete(c.pods, pod.UID)
			}
		}
	}
}

// any returns a pod, or nil.
func (c *cloud) any() *corev1.Pod {
	if len(c.pods) == 0 {
		return nil
	}
	uids := slices.Sorted(maps.Keys(c.pods))
	return c.pods[uids[c.random.IntN(len(uids))]]
}

// place places a pod if the scheduler would.
func (c *cloud) place() bool {
	var held int64
	for _, pod := range c.pods {
		holding := offer.HoldingOf(pod, "cn-beijing")
		held += holding.Amount().MilliCPU
	}
	if held+2000 > c.quota {
		return false
	}
	c.names++
	pod := wrappers.MakePod(fmt.Sprintf("p-%d", c.names)).Request("cpu", "2").Request("memory", "4Gi").Node(nodeJ).Obj()
	c.pods[pod.UID] = pod
	c.placed++
	return true
}

// create asks ECI for the container group of a pod.
func (c *cloud) create(pod *corev1.Pod) {
	id := "eci-" + pod.Name
	if c.groups[id] != nil || pod.Status.Phase == corev1.PodRunning {
		return
	}
	if c.used()+2000 > c.max {
		c.t.Fatalf("ECI refuses pod %s: %d of %d are used", pod.Name, c.used(), c.max)
	}
	c.groups[id] = pod
}

// used is what ECI counts as used, and waiting what the pods hold that have no container group yet.
func (c *cloud) used() int64 { return c.others + 2000*int64(len(c.groups)) }

func (c *cloud) waiting() int64 {
	var sum int64
	for _, pod := range c.pods {
		if c.groups["eci-"+pod.Name] == nil {
			sum += 2000
		}
	}
	return sum
}

// list returns the container groups.
func (c *cloud) list() account.Groups {
	var all []eci.GroupStatus
	for id, pod := range c.groups {
		all = append(all, eci.GroupStatus{ID: id, Namespace: pod.Namespace, Name: pod.Name, Status: "Running"})
	}
	return account.NewGroups(all...)
}

// read reads the account, which takes time, and publishes.
func (c *cloud) read() {
	pause := func() {
		for i := c.random.IntN(16); i > 0 && !c.quiet; i-- {
			c.step()
		}
	}
	before := c.list()
	pause()
	reading := account.Reading{Usage: eci.Usage{MaxMilliCPU: c.max, UsedMilliCPU: c.used()}}
	pause()
	after := c.list()
	pause()
	maps.DeleteFunc(after, func(id string, _ eci.GroupStatus) bool { _, ok := before[id]; return !ok })
	ownMilliCPU, _ := own(slices.Collect(maps.Values(c.pods)), "cn-beijing", after, map[string]bool{})
	found := capacityOf(wrappers.MakeZone(zoneJ).Obj(), &reading, &use{ownMilliCPU: ownMilliCPU})
	c.quota = found.quotaCPU.MilliValue()
}
