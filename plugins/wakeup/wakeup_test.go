package wakeup_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/spillway-k8s/spillway/plugins/wakeup"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

const topic = "eci"

// scheduler tries the pods that the waker lets out, one after the other.
type scheduler struct {
	t     *testing.T
	clock *clocktesting.FakeClock
	waker *wakeup.Waker
	queue []*corev1.Pod
	// room is how many pods of each shape can be placed.
	room map[string]int
	// fits are pods that can be placed whatever their shape.
	fits map[string]bool
	// attempts are all that were made, and placed the pods that were placed, by name.
	attempts []string
	placed   map[string]bool
}

func newScheduler(t *testing.T) *scheduler {
	s := &scheduler{t: t, clock: clocktesting.NewFakeClock(time.Unix(0, 0)), room: map[string]int{}, placed: map[string]bool{}}
	s.waker = wakeup.New(s.clock, func(pods map[string]*corev1.Pod) {
		batch := slices.Collect(maps.Values(pods))
		slices.SortFunc(batch, func(a, b *corev1.Pod) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
		s.queue = append(s.queue, batch...)
	})
	return s
}

// pod returns a pod whose shape is its app.
func pod(n int, namespace, shape string) *corev1.Pod {
	p := wrappers.MakePod(fmt.Sprintf("%s-%s-%05d", namespace, shape, n)).Namespace(namespace).Label("app", shape).Obj()
	p.CreationTimestamp.Time = time.Unix(int64(n), 0)
	return p
}

func (s *scheduler) park(pods ...*corev1.Pod) {
	for _, p := range pods {
		s.waker.Park(wakeup.Parking{Pod: p, Shape: p.Labels["app"], Topics: []string{topic}, Since: s.waker.Now()})
	}
}

// run makes attempts until none is due, at most so many.
func (s *scheduler) run(most int) {
	for ; most > 0 && len(s.queue) > 0; most-- {
		p := s.queue[0]
		s.queue = s.queue[1:]
		since := s.waker.Now()
		s.attempts = append(s.attempts, p.Name)
		if shape := p.Labels["app"]; s.room[shape] > 0 || s.fits[p.Name] {
			s.room[shape]--
			s.placed[p.Name] = true
			s.waker.Ended(p.UID, true)
			continue
		}
		s.waker.Park(wakeup.Parking{Pod: p, Shape: p.Labels["app"], Topics: []string{topic}, Since: since})
	}
}

// pass lets time pass, second by second.
func (s *scheduler) pass(seconds int) {
	for range seconds {
		s.clock.Step(time.Second)
		s.waker.Kick()
		s.run(1000)
	}
}

func (s *scheduler) expect(what string, names ...string) {
	s.t.Helper()
	if diff := cmp.Diff(names, s.attempts); diff != "" {
		s.t.Errorf("%s: attempts (-want +got):\n%s", what, diff)
	}
	s.attempts = nil
}

func TestWaker_WakesAsManyAsSucceed(t *testing.T) {
	s := newScheduler(t)
	for n := range 10_000 {
		s.park(pod(n, "a", "web"))
	}
	s.expect("parked pods are not tried")
	s.room["web"] = 300
	s.waker.Wake(topic)
	s.run(100_000)
	if got := len(s.placed); got != 300 {
		t.Errorf("%d pods are placed, want 300", got)
	}
	if wasted := len(s.attempts) - 300; wasted > 32 {
		t.Errorf("%d attempts failed", wasted)
	}
	if !slices.IsSorted(s.attempts[:300]) {
		t.Error("the pods are not tried by age")
	}
}

func TestWaker_FlickeringTopicCostsBackoff(t *testing.T) {
	s := newScheduler(t)
	for n := range 10_000 {
		s.park(pod(n, "a", "web"))
	}
	for range 100 {
		s.waker.Wake(topic)
		s.run(1000)
		s.pass(1)
	}
	if got := len(s.attempts); got > 15 {
		t.Errorf("%d attempts in 100 seconds, want one at first, and then after 1, 2, 4, 8, 10, 10 ... seconds", got)
	}
}

func TestWaker_NobodyIsForgotten(t *testing.T) {
	s := newScheduler(t)
	s.park(pod(1, "a", "web"), pod(2, "a", "web"), pod(3, "a", "db"))
	s.waker.Wake(topic)
	s.run(10)
	s.expect("the first of each shape is tried", "a-web-00001", "a-db-00003")
	s.room["web"], s.room["db"] = 9, 9
	s.pass(60)
	s.expect("the next of the shape is tried after a delay", "a-web-00002")
	s.waker.Wake(topic)
	s.run(10)
	s.expect("those that failed are tried again when the topic is woken", "a-web-00001", "a-db-00003")
}

func TestWaker_WokenDuringTheAttempt(t *testing.T) {
	s := newScheduler(t)
	p := pod(1, "a", "web")
	since := s.waker.Now()
	s.waker.Wake(topic)
	s.waker.Park(wakeup.Parking{Pod: p, Shape: "web", Topics: []string{topic}, Since: since})
	s.room["web"] = 1
	s.run(10)
	s.expect("a pod whose topic was woken during its attempt is tried again", "a-web-00001")
}

func TestWaker_NamespacesTakeTurns(t *testing.T) {
	s := newScheduler(t)
	for n := range 5000 {
		s.park(pod(n, "a", fmt.Sprint(n)))
	}
	newcomer := pod(9999, "b", "web")
	s.park(newcomer)
	s.room["web"] = 1
	s.waker.Wake(topic)
	for range 3 {
		s.run(32)
	}
	if !s.placed[newcomer.Name] {
		t.Errorf("the pod of another namespace is not tried among %d attempts", len(s.attempts))
	}
	if _, trials := s.waker.Size(); trials > 32 {
		t.Errorf("%d pods are on their way at once", trials)
	}
}

func TestWaker_FailedPodsDoNotKeepOthersBack(t *testing.T) {
	s := newScheduler(t)
	for n := range 20 {
		s.park(pod(n, "a", "web"))
	}
	s.fits = map[string]bool{"a-web-00019": true} // Its shape does not tell.
	for range 20 {
		s.waker.Wake(topic)
		s.run(10)
		s.pass(30)
	}
	if !s.placed["a-web-00019"] {
		t.Errorf("the last pod is never tried in %d attempts", len(s.attempts))
	}
}

func TestWaker_ShapesThatAllDifferAreBounded(t *testing.T) {
	s := newScheduler(t)
	for n := range 2000 {
		s.park(pod(n, "a", fmt.Sprint(n)))
	}
	for range 6 {
		s.waker.Wake(topic)
		s.run(10_000)
		s.pass(10)
	}
	if got := len(s.attempts); got > 64+10*61 {
		t.Errorf("%d attempts in a minute", got)
	}
	s.pass(600)
	if got := len(s.attempts); got < 2000 {
		t.Errorf("only %d attempts in the end: some are forgotten", got)
	}
}

func TestShapeOf(t *testing.T) {
	base := func() *wrappers.Pod { return wrappers.MakePod("a").Request("cpu", "1") }
	with := func(edit func(*corev1.Pod)) *corev1.Pod {
		p := base().Obj()
		edit(p)
		return p
	}
	same := map[string]*corev1.Pod{
		"another name": wrappers.MakePod("b").Request("cpu", "1").Obj(),
		"a token":      with(func(p *corev1.Pod) { p.Spec.Volumes = []corev1.Volume{{Name: "kube-api-access-x7fk2"}} }),
		"other seconds": with(func(p *corev1.Pod) {
			p.Spec.Containers[0].Resources = *base().Obj().Spec.Containers[0].Resources.DeepCopy()
		}),
	}
	for name, p := range same {
		if wakeup.ShapeOf(p) != wakeup.ShapeOf(base().Obj()) {
			t.Errorf("%s: another shape", name)
		}
	}
	for name, p := range map[string]*corev1.Pod{
		"requests":      base().Request("cpu", "2").Obj(),
		"limits":        with(func(p *corev1.Pod) { p.Spec.Containers[0].Resources.Limits = nil }),
		"node selector": with(func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"a": "b"} }),
		"toleration":    base().Tolerate("a").Obj(),
		"claim": with(func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "c"}}}}
		}),
		"host port":      base().HostPort(80).Obj(),
		"what ECI reads": base().Annotation("k8s.aliyun.com/eci-vswitch", "v").Obj(),
	} {
		if wakeup.ShapeOf(p) == wakeup.ShapeOf(base().Obj()) {
			t.Errorf("%s: the same shape", name)
		}
	}
}

func TestWaker_Retry(t *testing.T) {
	s := newScheduler(t)
	s.park(pod(1, "a", "web"), pod(2, "a", "web"))
	if s.waker.Retry("somebody") || !s.waker.Retry(pod(2, "a", "web").UID) {
		t.Error("Retry does not tell which pods are parked")
	}
	s.run(10)
	s.expect("the pod is tried alone", "a-web-00002")
}

func TestWaker_Forget(t *testing.T) {
	s := newScheduler(t)
	s.park(pod(1, "a", "web"), pod(2, "a", "web"))
	s.waker.Wake(topic)
	first := s.queue[0]
	s.queue = nil // It is deleted before it is tried.
	s.waker.Forget(first.UID)
	s.run(10)
	s.expect("the next is tried", "a-web-00002")
	s.waker.Forget(pod(2, "a", "web").UID)
	if parked, trials := s.waker.Size(); parked+trials > 0 {
		t.Errorf("%d pods are parked, %d are on their way", parked, trials)
	}
}

func TestWaker_AttemptThatNeverEnds(t *testing.T) {
	s := newScheduler(t)
	s.park(pod(1, "a", "web"), pod(2, "a", "web"))
	s.waker.Wake(topic)
	s.queue = nil // It is held, for example.
	s.pass(40)
	s.expect("the next is tried after a while", "a-web-00002")
}

// TestWaker_Simulation lets room come and go for pods of a few shapes and namespaces. At the end every pod is placed that can be.
func TestWaker_Simulation(t *testing.T) {
	for seed := range uint64(200) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 3))
			s := newScheduler(t)
			waiting := map[string]int{}
			all := map[string]*corev1.Pod{}
			for step := range 200 {
				shape := fmt.Sprint(random.IntN(3))
				switch random.IntN(6) {
				case 0, 1:
					p := pod(step, fmt.Sprint(random.IntN(2)), shape)
					all[p.Name] = p
					s.park(p)
				case 2:
					s.room[shape] += random.IntN(3)
					s.waker.Wake(topic)
				case 3:
					s.waker.Wake(topic)
				case 4:
					s.pass(random.IntN(3))
				default:
					s.run(random.IntN(4))
				}
			}
			s.waker.Wake(topic)
			s.run(10_000)
			s.pass(2000)
			for name, p := range all {
				if !s.placed[name] {
					waiting[p.Labels["app"]]++
				}
			}
			for shape, n := range waiting {
				if s.room[shape] > 0 {
					t.Errorf("%d pods of shape %s wait although there is room for %d", n, shape, s.room[shape])
				}
			}
			if parked, trials := s.waker.Size(); parked != len(all)-len(s.placed) || trials != 0 {
				t.Errorf("%d are parked and %d on their way, want %d and 0", parked, trials, len(all)-len(s.placed))
			}
		})
	}
}
