package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// requests are the requests of the controller.
type requests struct {
	// ByKind is how many there were, by verb and resource, such as "patch resourcepolicies/status".
	ByKind map[string]int `json:"byKind"`
	// Refused is how many of them the API server refused, by verb, resource and status code.
	Refused map[string]int `json:"refused,omitempty"`
	// Watches is how many watches of a resource were open at the same time at most.
	Watches map[string]int `json:"watches"`
}

// auditEvent is what is read of a line of the audit log.
type auditEvent struct {
	AuditID string `json:"auditID"`
	Stage   string `json:"stage"`
	Verb    string `json:"verb"`
	Object  struct {
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
	} `json:"objectRef"`
	Response struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
}

// auditReader reads the audit log, which grows.
type auditReader struct {
	file *os.File
	// open are the watches that have begun and not ended: their resource by the ID of the request.
	open map[string]string
	// rest is the beginning of a line that was not written to its end.
	rest string
}

func openAuditLog(path string) (*auditReader, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the audit log: %w", err)
	}
	return &auditReader{file: file, open: map[string]string{}}, nil
}

func (a *auditReader) close() { _ = a.file.Close() }

// next returns the requests since it was called last.
func (a *auditReader) next() (requests, error) {
	r := requests{ByKind: map[string]int{}, Refused: map[string]int{}, Watches: map[string]int{}}
	a.note(&r)
	lines := bufio.NewReader(a.file)
	for {
		line, err := lines.ReadString('\n')
		a.rest += line
		if errors.Is(err, io.EOF) {
			return r, nil
		} else if err != nil {
			return r, fmt.Errorf("reading the audit log: %w", err)
		}
		var event auditEvent
		if err := json.Unmarshal([]byte(a.rest), &event); err != nil {
			return r, fmt.Errorf("decoding the audit log: %w", err)
		}
		a.rest = ""
		a.take(&r, &event)
	}
}

// take counts an event: a request once, a watch when it begins.
func (a *auditReader) take(r *requests, event *auditEvent) {
	resource := cmp.Or(event.Object.Resource, "discovery")
	if event.Object.Subresource != "" {
		resource += "/" + event.Object.Subresource
	}
	kind := event.Verb + " " + resource
	switch {
	case event.Verb == "watch" && event.Stage == "ResponseStarted":
		r.ByKind[kind]++
		a.open[event.AuditID] = resource
		a.note(r)
	case event.Verb == "watch" && a.open[event.AuditID] != "":
		delete(a.open, event.AuditID)
	case event.Stage == "ResponseComplete" || event.Stage == "Panic":
		r.ByKind[kind]++
	}
	if event.Response.Code >= 400 && event.Stage != "ResponseStarted" {
		r.Refused[fmt.Sprintf("%s %d", kind, event.Response.Code)]++
	}
}

// note counts the watches that are open.
func (a *auditReader) note(r *requests) {
	now := map[string]int{}
	for _, resource := range a.open {
		now[resource]++
	}
	for resource, n := range now {
		r.Watches[resource] = max(r.Watches[resource], n)
	}
}

// total returns how many requests pass.
func (r *requests) total(pass func(verb, resource string) bool) int {
	sum := 0
	for kind, n := range r.ByKind {
		if verb, resource, _ := strings.Cut(kind, " "); pass(verb, resource) {
			sum += n
		}
	}
	return sum
}

// isRead tells a request that changes nothing.
func isRead(verb, _ string) bool { return verb == "get" || verb == "list" || verb == "watch" }

// isHeartbeat tells a write that comes again and again by itself: leases, what is read from ECI, and that this one is the leader.
func isHeartbeat(verb, resource string) bool {
	group, _, _ := strings.Cut(resource, "/")
	return !isRead(verb, resource) && (group == "leases" || group == "virtualnodes" || group == "nodes" || group == "events")
}

// isWork tells a write of a status of a policy, or to a pod.
func isWork(verb, resource string) bool {
	return !isRead(verb, resource) && !isHeartbeat(verb, resource)
}
