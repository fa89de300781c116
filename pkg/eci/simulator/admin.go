package simulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
)

// serveState answers GET /admin/state: the whole state.
func (s *Server) serveState(w http.ResponseWriter, _ *http.Request) {
	state, err := s.snapshot()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	writeJSON(w, http.StatusOK, state)
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
	next, err := merge(&s.state, patch)
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

// merge returns the state with a JSON merge patch applied. Unknown fields are refused, so that a typo is not taken for success.
func merge(state *State, patch []byte) (State, error) {
	before, err := json.Marshal(state)
	if err != nil {
		return State{}, fmt.Errorf("encoding the state: %w", err)
	}
	after, err := jsonpatch.MergePatch(before, patch)
	if err != nil {
		return State{}, fmt.Errorf("the body must be a JSON object, such as {\"latency\":\"250ms\"}: %w", err)
	}
	var next State
	decoder := json.NewDecoder(bytes.NewReader(after))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&next); err != nil {
		return State{}, fmt.Errorf("reading the new state: %w", err)
	}
	return next, next.validate()
}
