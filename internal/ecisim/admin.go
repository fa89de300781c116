package ecisim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
)

// serveState answers GET /admin/state: the whole state.
func (s *Server) serveState(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	writeJSON(w, http.StatusOK, s.state)
}

// patchState answers PATCH /admin/state: it merges the body into the state, or changes nothing and says what is wrong.
func (s *Server) patchState(w http.ResponseWriter, r *http.Request) {
	patch, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	next, err := merge(s.state, patch)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.state = next
	writeJSON(w, http.StatusOK, next)
}

// serveCalls answers GET /admin/calls: how often each action was called, by outcome.
func (s *Server) serveCalls(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	writeJSON(w, http.StatusOK, s.calls)
}

// Ledger is the answer of GET /admin/ledger.
type Ledger struct {
	// Regions are the sums by region: every region of the state, and those that have container groups.
	Regions map[string]LedgerRegion `json:"regions"`
}

// LedgerRegion sums up the container groups of a region, since the ledger was last emptied.
type LedgerRegion struct {
	// Groups is the number of container groups that exist.
	Groups int `json:"groups"`
	// MilliCPU is their sum, in thousandths of a vCPU.
	MilliCPU int64 `json:"milliCPU"`
	// Memory is their sum, in bytes.
	Memory int64 `json:"memory"`
	// MostGroups and MostMilliCPU are the highest values that were ever reached.
	MostGroups   int   `json:"mostGroups"`
	MostMilliCPU int64 `json:"mostMilliCPU"`
	// Refused is how many creations were refused for want of something, by error code.
	Refused map[string]int64 `json:"refused"`
}

// serveLedger answers GET /admin/ledger: what the container groups of each region add up to.
func (s *Server) serveLedger(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	shown := Ledger{Regions: map[string]LedgerRegion{}}
	for id := range s.state.Regions {
		s.ledger.region(id)
	}
	for id, a := range s.ledger.regions {
		shown.Regions[id] = LedgerRegion{
			Groups: len(a.groups), MilliCPU: a.milliCPU, Memory: a.memory, MostGroups: a.mostGroups, MostMilliCPU: a.mostMilliCPU, Refused: a.refused,
		}
	}
	writeJSON(w, http.StatusOK, shown)
}

// Group is a container group in the answer of GET /admin/groups.
type Group struct {
	// ID is the ContainerGroupId.
	ID string `json:"id"`
	// Name is the ContainerGroupName.
	Name string `json:"name"`
	// Region, Zone and VSwitch are where it is.
	Region  string `json:"region"`
	Zone    string `json:"zone"`
	VSwitch string `json:"vSwitch"`
	// Spec is the specification that is billed, such as 2-4Gi or ecs.c6.large.
	Spec string `json:"spec"`
	// MilliCPU is in thousandths of a vCPU, Memory in bytes.
	MilliCPU int64 `json:"milliCPU"`
	Memory   int64 `json:"memory"`
	// Status is Scheduling or Running.
	Status string `json:"status"`
	// Tags are the tags by key.
	Tags map[string]string `json:"tags"`
}

// serveGroups answers GET /admin/groups: every container group, region by region in the order of creation.
func (s *Server) serveGroups(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, shown := s.now(), []Group{}
	for _, region := range slices.Sorted(maps.Keys(s.ledger.regions)) {
		for _, g := range s.ledger.regions[region].groups {
			tags := map[string]string{}
			for _, t := range g.request.Tags {
				tags[t.Key] = t.Value
			}
			shown = append(shown, Group{
				ID: g.id(), Name: g.request.Name, Region: region, Zone: g.request.Zone, VSwitch: g.request.VSwitch,
				Spec: g.request.Spec.String(), MilliCPU: g.request.Spec.MilliCPU, Memory: g.request.Spec.Memory, Status: g.status(now), Tags: tags,
			})
		}
	}
	writeJSON(w, http.StatusOK, shown)
}

// deleteGroups answers DELETE /admin/groups: it empties the ledger, with all that it has counted.
func (s *Server) deleteGroups(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for region, a := range s.ledger.regions {
		for _, g := range a.groups {
			s.state.giveBack(region, g)
		}
	}
	// Numbers go on: an ID never means two groups.
	s.ledger.regions = map[string]*account{}
	writeJSON(w, http.StatusOK, Ledger{Regions: map[string]LedgerRegion{}})
}

// merge returns the state with a JSON merge patch applied. Unknown fields are refused, so that a typo is not taken for success.
func merge(state *State, patch []byte) (*State, error) {
	before, err := json.Marshal(state)
	if err != nil {
		return nil, fmt.Errorf("encoding the state: %w", err)
	}
	after, err := jsonpatch.MergePatch(before, patch)
	if err != nil {
		return nil, fmt.Errorf("the body must be a JSON object, such as {\"latency\":\"250ms\"}: %w", err)
	}
	next := &State{}
	decoder := json.NewDecoder(bytes.NewReader(after))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(next); err != nil {
		return nil, fmt.Errorf("reading the new state: %w", err)
	}
	next.complete()
	return next, next.validate()
}
