// Package simulator is an HTTP server that speaks the subset of the ECI OpenAPI (version 2018-08-08, RPC style) that Spillway uses: it checks the
// signature of every request, answers with the documented field names and error bodies, and can be told at run time to have less quota, no stock, to
// be slow, to fail or to be gone. docs/eci-simulator.md describes it for users.
package simulator

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
)

const apiVersion = "2018-08-08"

// stockCategories are the values of StatusCategory in DescribeAvailableResource.
var stockCategories = []string{"WithStock", "ClosedWithStock", "WithoutStock", "ClosedWithoutStock"}

// Server is the simulator. It is an http.Handler and safe for concurrent use.
type Server struct {
	mux *http.ServeMux
	now func() time.Time

	mu    sync.Mutex
	state State
	// calls counts the answered calls by action and outcome: "ListUsage OK", "ListUsage Throttling.User".
	calls map[string]int
	// nonces are the signature nonces of the last minutes, which must not come twice.
	nonces map[string]time.Time
}

var _ http.Handler = &Server{}

// New returns a simulator in the given state.
func New(state State) *Server {
	s := &Server{mux: http.NewServeMux(), now: time.Now, state: state, calls: map[string]int{}, nonces: map[string]time.Time{}}
	s.mux.HandleFunc("POST /{$}", s.serveAPI)
	s.mux.HandleFunc("GET /admin/state", s.serveState)
	s.mux.HandleFunc("PATCH /admin/state", s.patchState)
	s.mux.HandleFunc("GET /admin/calls", s.serveCalls)
	s.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) })
	return s
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// serveAPI answers a call of the ECI OpenAPI.
func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request) {
	state, err := s.snapshot()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	time.Sleep(state.latency())
	if state.Outage {
		panic(http.ErrAbortHandler) // net/http's way to close the connection without an answer
	}
	action := r.Header.Get("x-acs-action")
	answer, apiErr := s.answer(&state, action, r)
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
func (s *Server) answer(state *State, action string, r *http.Request) (map[string]any, *apiError) {
	if state.FailWith != "" {
		return nil, scripted(state.FailWith)
	}
	if err := s.authenticate(state, r); err != nil {
		return nil, err
	}
	if version := r.Header.Get("x-acs-version"); version != apiVersion {
		return nil, &apiError{http.StatusBadRequest, "InvalidVersion", "Specified parameter Version is not valid."}
	}
	if rand.Float64() < state.ErrorRate {
		return nil, scripted("InternalError")
	}
	region, ok := state.Regions[r.URL.Query().Get("RegionId")]
	if !ok {
		return nil, &apiError{http.StatusNotFound, "InvalidRegionId.NotFound", "The specified RegionId does not exist."}
	}
	switch action {
	case "ListUsage":
		return listUsage(region), nil
	case "DescribeAvailableResource":
		return describeAvailableResource(region, r.URL.Query())
	default:
		return nil, &apiError{http.StatusNotFound, "InvalidAction.NotFound", "Specified api is not found, please check your url and method."}
	}
}

// snapshot returns the state of this moment.
func (s *Server) snapshot() (State, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.clone()
}

func (s *Server) count(action, outcome string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains([]string{"ListUsage", "DescribeAvailableResource"}, action) {
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
