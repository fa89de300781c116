package controllers

import (
	"maps"
	"slices"
	"strconv"
	"sync"
)

const (
	// mostPooled is how many maps a pool knows. When there are more it begins anew, and shares less.
	mostPooled = 10_000
	// longestPooled is how long the text of a map in a pool may be, in bytes: what is longer is hardly that of two pods, and would stay after its pod.
	longestPooled = 1024
)

// pool keeps one of the maps that are equal: the pods of a ReplicaSet have the same labels and mostly the same annotations, and ask for the same. Maps are
// most of what a pod costs in the cache. What comes from a pool must not be changed, like all that is in the cache. It is safe for concurrent use.
type pool[K ~string, V any] struct {
	// text returns the same text only for values that are equal.
	text func(V) string

	mu    sync.Mutex
	known map[string]map[K]V
}

func newPool[K ~string, V any](text func(V) string) *pool[K, V] {
	return &pool[K, V]{text: text, known: map[string]map[K]V{}}
}

// one returns the map that stands for all that are equal to this one.
func (p *pool[K, V]) one(of map[K]V) map[K]V {
	if len(of) == 0 {
		return of
	}
	key := p.key(of)
	if len(key) > longestPooled {
		return of
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if known, ok := p.known[key]; ok {
		return known
	}
	if len(p.known) >= mostPooled {
		clear(p.known)
	}
	p.known[key] = of
	return of
}

// key writes a map as a text: each key and value behind its length, so that none can look like two.
func (p *pool[K, V]) key(of map[K]V) string {
	var text []byte
	for _, name := range slices.Sorted(maps.Keys(of)) {
		for _, word := range []string{string(name), p.text(of[name])} {
			text = strconv.AppendInt(text, int64(len(word)), 10)
			text = append(append(text, ':'), word...)
		}
	}
	return string(text)
}
