package virtualnode

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/backend/cache"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	clocktesting "k8s.io/utils/clock/testing"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/plugins/wakeup"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// flicker is a scheduler with pods of one tenant that wait for ECI, in a loop that tries one pod after the other.
type flicker struct {
	b     testing.TB
	pl    *VirtualNode
	clock *clocktesting.FakeClock
	node  fwk.NodeInfo
	queue []*corev1.Pod
	// attempts are how many were made.
	attempts int
}

func newFlicker(b testing.TB, waiting int) *flicker {
	f := &flicker{b: b, clock: clocktesting.NewFakeClock(time.Now())}
	offers := NewOffers()
	offers.Waker = wakeup.New(f.clock, func(pods map[string]*corev1.Pod) {
		for _, pod := range pods {
			f.queue = append(f.queue, pod)
		}
	})
	node := wrappers.MakeVirtualNode(nodeJ).Obj()
	lister := cache.NewSnapshot(nil, []*corev1.Node{node})
	offers.Connect(klog.Background(), &handle{lister: lister}, offers.pods)
	f.pl = &VirtualNode{offers: offers}
	f.say("0")
	var err error
	if f.node, err = lister.NodeInfos().Get(nodeJ); err != nil {
		b.Fatal(err)
	}
	for n := range waiting {
		f.queue = append(f.queue, f.pod("tenant", n))
	}
	f.run(waiting)
	return f
}

func (f *flicker) pod(namespace string, n int) *corev1.Pod {
	return billed(fmt.Sprintf("%s-%d", namespace, n)).Namespace(namespace).Tolerate(eciv1alpha1.TaintProvider).Obj()
}

// say makes ECI offer so many vCPUs.
func (f *flicker) say(cpu string) {
	f.pl.offers.Say([]*eciv1alpha1.VirtualNode{zone(zoneJ, cpu).Obj()})
}

// run tries the first pods of the queue.
func (f *flicker) run(most int) {
	for ; most > 0 && len(f.queue) > 0; most-- {
		pod := f.queue[0]
		f.queue = f.queue[1:]
		f.attempts++
		state := framework.NewCycleState()
		f.pl.PreFilter(f.b.Context(), state, pod, nil)
		if f.pl.Filter(f.b.Context(), state, pod, f.node).IsSuccess() {
			f.b.Fatal("a pod is placed")
		}
		f.pl.PostFilter(f.b.Context(), state, pod, nil)
	}
}

// newcomer lets a pod of another tenant come, and returns how many attempts there are until its own has ended.
func (f *flicker) newcomer(n int) int {
	before := f.attempts
	pod := f.pod("newcomer", n)
	f.queue = append(f.queue, pod)
	f.run(len(f.queue))
	f.pl.offers.Waker.Forget(pod.UID)
	return f.attempts - before
}

// BenchmarkFlicker is how long a new tenant's pod waits for its attempt while 10,000 pods of another tenant wait for ECI: at rest, and while ECI offers a little
// more every second, which none of them can use. A pod comes every 100 ms.
func BenchmarkFlicker(b *testing.B) {
	for _, flickers := range []bool{false, true} {
		b.Run(fmt.Sprintf("flickers=%v", flickers), func(b *testing.B) {
			f := newFlicker(b, 10_000)
			n, total := 0, 0
			for b.Loop() {
				n++
				f.clock.Step(100 * time.Millisecond)
				if flickers && n%10 == 0 {
					f.say([]string{"0", "1"}[n/10%2])
				}
				total += f.newcomer(n)
			}
			b.ReportMetric(float64(total)/float64(n), "attempts/pod")
		})
	}
}

// TestFlicker checks what BenchmarkFlicker measures: in a minute in which ECI offers a little more every second, few of the waiting pods are tried.
func TestFlicker(t *testing.T) {
	f := newFlicker(t, 1000)
	total := 0
	for n := range 600 {
		f.clock.Step(100 * time.Millisecond)
		if n%10 == 0 {
			f.say([]string{"0", "1"}[n/10%2])
		}
		total += f.newcomer(n)
	}
	if total >= 2*600 {
		t.Errorf("%d attempts for 600 new pods, want fewer than twice as many", total)
	}
}
