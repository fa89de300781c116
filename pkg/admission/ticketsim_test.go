package admission

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/spillway-k8s/spillway/pkg/placement"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// TestTicketsSimulation lives through random lives of a group and checks after every step that nobody who could be placed is left behind, that no more
// pods are tried than slots exist, and that the claims are those of the pods.
func TestTicketsSimulation(t *testing.T) {
	for seed := range uint64(wrappers.Seeds()) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			s := newTicketSim(seed)
			for step := range 300 {
				s.step()
				if err := s.check(); err != "" {
					t.Fatalf("seed %d, step %d: %s", seed, step, err)
				}
			}
		})
	}
}

// ticketSim is a group with the truth about its pods, and a scheduler that tries those that are let through.
type ticketSim struct {
	random  *rand.Rand
	policy  *placement.Policy
	tickets *Tickets
	created int
	// queue are the pods that are being tried, waiting those that wait for a node, gated those that are held; placed are the units of placed pods.
	queue, waiting, gated map[types.UID]Applicant
	placed                map[types.UID]int
	requests              map[types.UID][]int64
}

func newTicketSim(seed uint64) *ticketSim {
	random := rand.New(rand.NewPCG(seed, 2))
	policy := wrappers.MakePolicy("p")
	for range 1 + random.IntN(3) {
		unit := wrappers.ECS().On("n", fmt.Sprint(random.Int())).Max(random.Int32N(4))
		if random.IntN(2) == 0 {
			unit.MaxResource("cpu", fmt.Sprint(1+random.IntN(6)))
		}
		policy.Unit(unit)
	}
	compiled := placement.Compile(policy.Obj())
	return &ticketSim{
		random: random, policy: compiled, tickets: NewTickets(compiled),
		queue: map[types.UID]Applicant{}, waiting: map[types.UID]Applicant{}, gated: map[types.UID]Applicant{},
		placed: map[types.UID]int{}, requests: map[types.UID][]int64{},
	}
}

func (s *ticketSim) step() {
	switch s.random.IntN(6) {
	case 0, 1:
		s.arrive()
	case 2, 3:
		s.try()
	case 4:
		if uid, ok := pick(s.random, s.placed); ok {
			delete(s.placed, uid)
			s.apply(s.tickets.Doubt())
		}
	default:
		// An event wakes a waiting pod, or one is deleted.
		uid, ok := pick(s.random, s.waiting)
		if !ok {
			return
		}
		a := s.waiting[uid]
		delete(s.waiting, uid)
		if s.random.IntN(2) == 0 {
			s.apply(s.tickets.Fail(uid))
		} else {
			s.ask(a)
		}
	}
}

func (s *ticketSim) arrive() {
	s.created++
	a := Applicant{UID: types.UID(fmt.Sprintf("%04d", s.created)), Created: time.Unix(int64(s.created), 0), Shape: fmt.Sprint(s.random.IntN(2))}
	a.Requests = make([]int64, s.policy.VectorLen())
	for i := range a.Requests {
		a.Requests[i] = int64(1+s.random.IntN(3)) * 1000
	}
	a.Shape += fmt.Sprint(a.Requests)
	s.requests[a.UID] = a.Requests
	s.ask(a)
}

func (s *ticketSim) ask(a Applicant) {
	if s.tickets.Ask(a) {
		s.queue[a.UID] = a
	} else {
		s.gated[a.UID] = a
	}
}

// try is a scheduling cycle of a pod: it counts, and then it places the pod, or finds no room, or another plugin refuses it.
func (s *ticketSim) try() {
	uid, ok := pick(s.random, s.queue)
	if !ok {
		return
	}
	a := s.queue[uid]
	version := s.tickets.Version()
	counts := s.counts()
	if s.random.IntN(8) == 0 {
		// Something happens while the pods are counted.
		s.apply(s.tickets.Doubt())
	}
	s.apply(s.tickets.Sync(version, counts))
	delete(s.queue, uid)
	open := s.policy.FirstOpen(a.Requests, func(unit int) placement.Usage { return counts[unit] })
	switch what := s.random.IntN(4); {
	case open < 0:
		s.gated[uid] = a
		s.apply(s.tickets.Hold(a))
	case what == 0:
		s.waiting[uid] = a
		s.apply(s.tickets.Wait(a))
	case what == 1:
		s.waiting[uid] = a
		s.apply(s.tickets.Fail(uid))
	default:
		s.placed[uid] = open
		s.apply(s.tickets.Place(a, open))
	}
}

func (s *ticketSim) apply(moves Moves) {
	for _, uid := range moves.Held {
		if a, ok := s.waiting[uid]; ok {
			delete(s.waiting, uid)
			s.gated[uid] = a
		}
	}
	for _, uid := range moves.Free {
		if a, ok := s.gated[uid]; ok {
			delete(s.gated, uid)
			s.ask(a)
		} else if a, ok := s.waiting[uid]; ok {
			delete(s.waiting, uid)
			s.ask(a)
		}
	}
}

// counts adds up the placed pods from scratch.
func (s *ticketSim) counts() []placement.Usage {
	counts := make([]placement.Usage, len(s.policy.Units))
	for uid, unit := range s.placed {
		counts[unit] = counts[unit].Add(s.requests[uid])
	}
	return counts
}

func (s *ticketSim) check() string {
	counts := s.counts()
	for unit := range counts {
		if s.policy.Over(unit, counts[unit]) {
			return fmt.Sprintf("unit %d is over its cap: %+v", unit, counts[unit])
		}
	}
	if len(s.gated) > 0 && len(s.queue) == 0 {
		// Nobody is being tried: then nobody who is held, and is of a shape of which none waits, may find an open unit.
		shapes := map[string]bool{}
		for _, a := range s.waiting {
			shapes[a.Shape] = true
		}
		for uid, a := range s.gated {
			if !shapes[a.Shape] && s.policy.FirstOpen(a.Requests, func(unit int) placement.Usage { return counts[unit] }) >= 0 {
				return fmt.Sprintf("pod %s is held although unit has a slot for it and nobody is being tried: %+v", uid, counts)
			}
		}
	}
	return s.checkClaims()
}

// checkClaims adds up the claims from scratch.
func (s *ticketSim) checkClaims() string {
	tried, trying := make([]placement.Usage, len(s.policy.Units)), 0
	for _, pod := range s.tickets.pods {
		if pod.state != stateTried {
			continue
		}
		if trying++; pod.unit != noUnit {
			tried[pod.unit] = tried[pod.unit].Add(pod.Requests)
		}
	}
	if trying != s.tickets.trying || trying != len(s.queue) {
		return fmt.Sprintf("%d pods are being tried, %d are counted, %d are in the queue", trying, s.tickets.trying, len(s.queue))
	}
	for unit := range tried {
		if tried[unit].Pods != s.tickets.tried[unit].Pods {
			return fmt.Sprintf("unit %d: %d claims, counted %d", unit, tried[unit].Pods, s.tickets.tried[unit].Pods)
		}
	}
	return ""
}

// pick returns one key of a map, the same for the same seed.
func pick[V any](random *rand.Rand, of map[types.UID]V) (types.UID, bool) {
	if len(of) == 0 {
		return "", false
	}
	n := random.IntN(len(of))
	for _, uid := range sortedKeys(of) {
		if n == 0 {
			return uid, true
		}
		n--
	}
	return "", false
}

func sortedKeys[V any](of map[types.UID]V) []types.UID { return slices.Sorted(maps.Keys(of)) }
