package load

import (
	"context"
	"math/rand/v2"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/test/conformance/harness"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// burst is the most pods that come at once.
const burst = 12

// churn lets pods of the tenants come and go.
type churn struct {
	w       *harness.World
	j       *journal
	r       *rand.Rand
	tenants []*tenant
	// target is how many pods there are at a time, more or less.
	target int
	// shares are how many pods may come, until the next share; closed when no more come. done is closed when all have come.
	shares chan int
	done   chan struct{}
	// came and went are how many pods did; to be read when done.
	came, went int
}

// startChurn returns a churn that works in a goroutine of its own, so that nothing waits for the scheduler.
func startChurn(w *harness.World, j *journal, tenants []*tenant, target int) *churn {
	c := &churn{w: w, j: j, r: chance(4), tenants: tenants, target: target, shares: make(chan int, 1), done: make(chan struct{})}
	go func() {
		defer GinkgoRecover()
		defer close(c.done)
		for share := range c.shares {
			for came := c.came; c.came < came+share; {
				c.step()
			}
		}
	}()
	return c
}

// step does one random thing.
func (c *churn) step() {
	alive := c.j.which(isAlive)
	switch n := c.r.IntN(100); {
	case n < 8, len(alive) < c.target && n < 20:
		c.arrive()
	case n < 85:
		c.leave(pick(c.r, alive, isBound))
	case n < 90:
		c.leave(pick(c.r, alive, isWaiting))
	default:
		c.remove(pick(c.r, c.j.which(isOver), isBound))
	}
}

// arrive creates pods of one group at once, as a controller that scales out does.
func (c *churn) arrive() {
	t := c.tenants[c.r.IntN(len(c.tenants))]
	group := t.groups[c.r.IntN(len(t.groups))]
	pods := make([]*wrappers.Pod, 1+c.r.IntN(burst))
	for i := range pods {
		pods[i] = t.pod(c.w, group, t.sizes[c.r.IntN(len(t.sizes))])
	}
	c.w.CreateAll(pods)
	c.came += len(pods)
}

// leave ends a pod in one of the ways in which pods end.
func (c *churn) leave(pod *corev1.Pod) {
	if pod == nil {
		return
	}
	switch n := c.r.IntN(4); {
	case n == 0 && isBound(pod):
		c.went++
		finished := pod.DeepCopy()
		finished.Status.Phase = corev1.PodSucceeded
		Expect(client.IgnoreNotFound(harness.API.Status().Patch(context.Background(), finished, client.MergeFrom(pod)))).To(Succeed())
	case n == 1 && isBound(pod):
		c.went++
		Expect(client.IgnoreNotFound(harness.API.Delete(context.Background(), pod, client.GracePeriodSeconds(300)))).To(Succeed())
	default:
		c.went++
		c.remove(pod)
	}
}

// remove deletes a pod at once.
func (*churn) remove(pod *corev1.Pod) {
	if pod != nil {
		Expect(client.IgnoreNotFound(harness.API.Delete(context.Background(), pod, client.GracePeriodSeconds(0)))).To(Succeed())
	}
}

// clear removes the pods that terminate or have ended.
func (c *churn) clear() {
	GinkgoHelper()
	over := c.j.which(isOver)
	c.w.RemoveAll(over)
	c.j.comes(func(g Gomega) { g.Expect(c.j.exist(over)).To(BeZero()) })
}

// isOver is the opposite of isAlive.
func isOver(pod *corev1.Pod) bool { return !isAlive(pod) }

// pick returns one of the pods that are meant, or nil.
func pick(r *rand.Rand, pods []*corev1.Pod, meant func(*corev1.Pod) bool) *corev1.Pod {
	var chosen []*corev1.Pod
	for _, pod := range pods {
		if meant(pod) {
			chosen = append(chosen, pod)
		}
	}
	if len(chosen) == 0 {
		return nil
	}
	return chosen[r.IntN(len(chosen))]
}
