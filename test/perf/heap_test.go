package perf

import (
	"runtime/metrics"
	"sync"
	"testing"
	"time"
)

// watchHeap notes once a second how much the last garbage collection found in use, until the benchmark ends. It returns what returns that, in megabytes.
func watchHeap(b *testing.B) func() []float64 {
	var mu sync.Mutex
	var seen []float64
	go func() {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-b.Context().Done():
				return
			case <-ticker.C:
			}
			sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
			metrics.Read(sample)
			mu.Lock()
			seen = append(seen, float64(sample[0].Value.Uint64())/(1<<20))
			mu.Unlock()
		}
	}()
	return func() []float64 {
		mu.Lock()
		defer mu.Unlock()
		return append([]float64(nil), seen...)
	}
}
