// Package ecisim is an HTTP server that speaks the subset of the ECI OpenAPI (version 2018-08-08, RPC style), of the
// VPC OpenAPI (2016-04-28) and of that of STS (2015-04-01) that Spillway uses: it checks the signature of every
// request, keeps a ledger of container groups, answers with the documented field names and error bodies, and can be
// told at run time to have less quota, no stock, to be slow, to fail or to be gone. docs/eci-simulator.md describes it
// for users.
package ecisim

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Server is the simulator. It is an http.Handler and safe for concurrent use.
type Server struct {
	mux *http.ServeMux
	now func() time.Time

	mu sync.Mutex
	// state is replaced, never changed, but for Left in its zones.
	state   *State
	ledger  *ledger
	buckets map[string]*bucket
	// calls counts the answered calls by action and outcome: "ListUsage OK", "ListUsage Throttling.User".
	calls  map[string]int
	nonces nonces
}

var _ http.Handler = &Server{}

// New returns a simulator in the given state, with an empty ledger. A state that cannot be answered from is a mistake of the program that gives it.
func New(state State) *Server {
	own, err := state.clone()
	if err == nil {
		own.complete()
		err = own.validate()
	}
	if err != nil {
		panic("the state of the ECI simulator: " + err.Error())
	}
	s := &Server{mux: http.NewServeMux(), now: time.Now, state: &own, ledger: newLedger(), buckets: map[string]*bucket{}, calls: map[string]int{}}
	s.mux.HandleFunc("POST /{$}", s.serveAPI)
	s.mux.HandleFunc("GET /admin/state", s.serveState)
	s.mux.HandleFunc("PATCH /admin/state", s.patchState)
	s.mux.HandleFunc("GET /admin/calls", s.serveCalls)
	s.mux.HandleFunc("GET /admin/ledger", s.serveLedger)
	s.mux.HandleFunc("GET /admin/groups", s.serveGroups)
	s.mux.HandleFunc("DELETE /admin/groups", s.deleteGroups)
	s.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) })
	return s
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// serveAPI answers a call of the OpenAPI.
func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request) {
	action := r.Header.Get("x-acs-action")
	time.Sleep(s.current().delay(action))
	// What is told while a call is delayed counts for it: an outage cuts off those that are under way.
	state := s.current()
	if state.Outage {
		panic(http.ErrAbortHandler) // net/http's way to close the connection without an answer
	}
	answer, apiErr := s.answer(state, action, r)
	if apiErr != nil {
		s.count(action, apiErr.Code)
		s.writeError(w, r, apiErr)
		return
	}
	s.count(action, "OK")
	answer["RequestId"] = uuid.NewString()
	writeJSON(w, http.StatusOK, answer)
}

// answer checks the request in the order that the API gateway does and dispatches it.
func (s *Server) answer(state *State, name string, r *http.Request) (map[string]any, *apiError) {
	if code := state.Actions[name].FailWith; code != "" {
		return nil, scripted(code)
	}
	if state.FailWith != "" {
		return nil, scripted(state.FailWith)
	}
	accessKeyID, err := s.authenticate(state, r)
	if err != nil {
		return nil, err
	}
	version := r.Header.Get("x-acs-version")
	if version != eciVersion && version != vpcVersion && version != stsVersion {
		return nil, &apiError{http.StatusBadRequest, "InvalidVersion", "Specified parameter Version is not valid."}
	}
	action, known := actions[name]
	if !known || action.version != version {
		return nil, &apiError{http.StatusNotFound, "InvalidAction.NotFound", "Specified api is not found, please check your url and method."}
	}
	if rand.Float64() < state.ErrorRate {
		return nil, scripted("InternalError")
	}
	return s.perform(name, action, &call{query: r.URL.Query(), accessKeyID: accessKeyID})
}

// perform takes the call from the rate limit of its action and answers it, one call after the other.
func (s *Server) perform(name string, action action, c *call) (map[string]any, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.state, c.ledger, c.region, c.now = s.state, s.ledger, c.query.Get("RegionId"), s.now()
	if !s.take(name, c.now) {
		return nil, scripted("Throttling.User")
	}
	var known bool
	if c.regionState, known = s.state.Regions[c.region]; !known && (!action.global || c.region != "") {
		return nil, &apiError{http.StatusNotFound, "InvalidRegionId.NotFound", "The specified RegionId does not exist."}
	}
	return action.answer(c)
}

// current returns the state of this moment.
func (s *Server) current() *State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

func (s *Server) count(action, outcome string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := actions[action]; !known {
		action = "Unknown" // A caller's text must not make the counters grow.
	}
	s.calls[action+" "+outcome]++
}

// writeError writes the error body of an RPC-style API.
func (s *Server) writeError(w http.ResponseWriter, r *http.Request, err *apiError) {
	writeJSON(w, err.Status, map[string]any{
		"RequestId": uuid.NewString(),
		"HostId":    r.Host,
		"Code":      err.Code,
		"Message":   err.Message,
	})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // The client is gone when this fails.
}
