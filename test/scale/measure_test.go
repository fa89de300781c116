package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// line is a line of the audit log.
func line(id, stage, verb, resource string) string {
	return fmt.Sprintf(`{"auditID":%q,"stage":%q,"verb":%q,"objectRef":{"resource":%q},"responseStatus":{"code":200}}`+"\n", id, stage, verb, resource)
}

func TestAuditReaderCountsRequestsAndOpenWatches(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	log, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	write := func(texts ...string) {
		t.Helper()
		for _, text := range texts {
			if _, err := log.WriteString(text); err != nil {
				t.Fatal(err)
			}
		}
	}
	a, err := openAuditLog(path)
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	read := func() requests {
		t.Helper()
		r, err := a.next()
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	half := line("4", "ResponseComplete", "patch", "pods")
	write(line("1", "ResponseStarted", "watch", "pods"), line("2", "ResponseComplete", "get", "leases"),
		`{"auditID":"3","stage":"ResponseComplete","verb":"patch","objectRef":{"resource":"resourcepolicies","subresource":"status"},"responseStatus":{"code":409}}`+"\n",
		`{"auditID":"8","stage":"ResponseComplete","verb":"get"}`+"\n", half[:20])
	want := requests{
		ByKind:  map[string]int{"watch pods": 1, "get leases": 1, "patch resourcepolicies/status": 1, "get discovery": 1},
		Watches: map[string]int{"pods": 1},
		Refused: map[string]int{"patch resourcepolicies/status 409": 1},
	}
	if diff := cmp.Diff(want, read()); diff != "" {
		t.Errorf("first (-want +got):\n%s", diff)
	}
	// A watch that ends before the next begins is not two at once; it is no second request when it ends.
	write(half[20:], line("1", "ResponseComplete", "watch", "pods"), line("5", "ResponseStarted", "watch", "pods"), line("6", "ResponseStarted", "watch", "nodes"),
		line("7", "ResponseStarted", "watch", "nodes"))
	got := read()
	want = requests{
		ByKind: map[string]int{"patch pods": 1, "watch pods": 1, "watch nodes": 2}, Watches: map[string]int{"pods": 1, "nodes": 2}, Refused: map[string]int{},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("second (-want +got):\n%s", diff)
	}
	if writes, reads := got.total(isWork), got.total(isRead); writes != 1 || reads != 3 {
		t.Errorf("%d writes and %d reads", writes, reads)
	}
	if third := read(); third.Watches["pods"] != 1 || len(third.ByKind) > 0 {
		t.Errorf("third: %+v", third)
	}
}

func TestRequestsAreReadsOrHeartbeatsOrWork(t *testing.T) {
	cases := map[string]string{
		"get pods": "read", "watch nodes": "read", "update leases": "heartbeat", "patch virtualnodes/status": "heartbeat", "patch nodes/status": "heartbeat",
		"patch pods": "work", "patch resourcepolicies/status": "work", "create events": "heartbeat",
	}
	for kind, want := range cases {
		r := requests{ByKind: map[string]int{kind: 1}}
		got := map[string]int{"read": r.total(isRead), "heartbeat": r.total(isHeartbeat), "work": r.total(isWork)}
		wanted := map[string]int{"read": 0, "heartbeat": 0, "work": 0}
		wanted[want] = 1
		if diff := cmp.Diff(wanted, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", kind, diff)
		}
	}
}

func TestParseUse(t *testing.T) {
	stat := "42 (a name) with) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 9 0 1000\n"
	got, err := parseUse(stat, "Name:\tx\nVmHWM:\t    300 kB\nVmRSS:\t    200 kB\n")
	if want := (used{cpuSeconds: 2, resident: 200 << 10, peak: 300 << 10}); err != nil || got != want {
		t.Errorf("got %+v (%v), want %+v", got, err, want)
	}
	if _, err := parseUse("42 (x) Z", ""); err == nil {
		t.Error("a line that ends early was taken")
	}
}

func TestMetricsTellWhenTheControllersAreIdle(t *testing.T) {
	text := `# HELP workqueue_depth x
leader_election_master_status{name="spillway-controller"} 1
workqueue_depth{controller="deletioncost",name="deletioncost",priority="0"} 0
workqueue_depth{controller="deletioncost",name="deletioncost",priority="-100"} 0
workqueue_adds_total{controller="resourcepolicy",name="resourcepolicy"} 5
controller_runtime_active_workers{controller="resourcepolicy"} 0
controller_runtime_active_workers{controller="virtualnode"} 1
go_memstats_heap_inuse_bytes 1.5e+06
`
	if m := parseMetrics(text); !m.idle(5) || m.sum(metricHeap, "") != 1_500_000 {
		t.Errorf("not idle, or a heap of %v", m.sum(metricHeap, ""))
	}
	for name, text := range map[string]string{
		"nothing was said": "",
		"pods are queued":  text + "workqueue_depth{controller=\"deletioncost\",name=\"deletioncost\",priority=\"0\"} 1\n",
		"a worker works":   text + "controller_runtime_active_workers{controller=\"deletioncost\"} 1\n",
	} {
		if parseMetrics(text).idle(5) {
			t.Errorf("idle although %s", name)
		}
	}
	if parseMetrics(text).idle(6) {
		t.Error("idle although a policy has not been looked at")
	}
}

func TestForwarderCountsBytesAndConnections(t *testing.T) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	go func() {
		for {
			conn, err := server.Accept()
			if err != nil {
				return
			}
			_, _ = io.ReadFull(conn, make([]byte, 5))
			_, _ = conn.Write([]byte("answer!"))
			_ = conn.Close()
		}
	}()
	f, err := forward(server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer f.stop()
	for range 2 {
		conn, err := net.Dial("tcp", f.address())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		if answer, err := io.ReadAll(conn); err != nil || string(answer) != "answer!" {
			t.Fatalf("answered %q (%v)", answer, err)
		}
	}
	if f.connections.Load() != 2 || f.sent.Load() != 10 || f.received.Load() != 14 {
		t.Errorf("%d connections, sent %d, received %d", f.connections.Load(), f.sent.Load(), f.received.Load())
	}
}
