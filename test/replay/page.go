package main

import (
	"fmt"
	"strings"
	"text/template"
)

const pageSource = `# A trace, replayed

Written by ~make replay TRACE={{.Trace}} NODES={{.Nodes}} DOC=1~ from ~{{.Trace}}~ and ~{{.Nodes}}~: a trace of pods, its time compressed, under the stock scheduler and under Spillway.
There are fewer paid machines than the pods need at the peak; what does not fit goes to ECI.

{{.Table}}
Each number is the median of {{.Rounds}} rounds; in brackets are the least and the most. Money is for {{.Days}} days of the trace, and for ECI alone:
the paid machines cost the same whoever schedules. The chart shows the first round.

![Pods on ECI and paid vCPUs in use](images/replay.svg)

## How to read it

- **stock, toleration**: every pod tolerates the taint of virtual nodes, and no more. A virtual node always looks emptier than a machine, and the
  stock scheduler likes empty nodes.
- **stock, toleration and preference**: every pod also prefers, with the largest weight there is (100), nodes that are not virtual. It is the most
  that a user of the stock scheduler can say on a pod.
- **Spillway**: the pods have neither; one ResourcePolicy says ~ecs~, then ~eci~.
- **pods on ECI** are bound to the virtual node, of all that were placed. **ECI seconds** are their seconds there, in time of the trace: measured in
  the replay, times the compression.
- **order violations** are pods that were bound to ECI while a paid machine had room for them, by vCPUs, memory, GPUs and number of pods ({{.Slots}}),
  *all the time* from their creation to their binding, in the order in which the API server tells of creations, bindings and deletions. Room that was
  made while the pod waited does not count, because the scheduler may have decided before. Nor does room that a pod which waited at the same time is
  seen to take within {{.InFlight}} ms, of its creation or its binding: bindings overtake each other.
- **queueing time** is from creation to binding as a watch of the pods sees it, in milliseconds of the machine. Pods that run at the start do not
  count.

How much goes to ECI also depends on how the pods lie on the machines, which is chance: among paid machines both schedulers choose alike, by the stock
scores, and one large pod that finds no gap counts more than a hundred small ones. Differences within the brackets say nothing. A machine is full when
its vCPUs, its memory or its GPUs are gone: where the GPUs go first, paid vCPUs stay unused.

## How it was measured

- **Window**: the busiest {{.Coming}} pods in a row of the trace, that is {{.Days}} days from second {{.Start}} on, replayed in {{.Wall}} seconds: a
  second is {{.Factor}} seconds of the trace. The {{.Running}} pods that run at the start are placed before the clock starts, one after the other.
- **Lives**: a pod is created at its time. It is deleted, without grace, when it has been bound for as long as it ran in the trace; where the trace
  never saw it scheduled, as long as it waited there.
- **Paid machines**: {{.Machines}} of the trace's nodes, evenly spread over the list, so that its mix of models stays: as many as come nearest to
  {{.Part}} of the peak of vCPUs. They have {{.Paid}}; the pods ask at the peak for {{.Peak}}.
- **ECI** is one virtual node with room for everything: quota, stock and addresses are not what this replay is about.
- **Cluster**: etcd, kube-apiserver and one scheduler, on one machine and loopback addresses; no kubelets and no controllers. Spillway has the
  configuration that is installed, and the stock scheduler the same limits for its client. The schedulers take turns.
- **Money**: what ECI bills for the pod by Spillway's own arithmetic (~pkg/ecispec~), at list prices, CNY {{.CPUHour}} for a vCPU and {{.GiBHour}} for
  a GiB for an hour. A pod with GPUs asks, in ~k8s.aliyun.com/eci-use-specs~, for the smallest ECS instance type that holds it. Those have no price by
  the GPU; it is **assumed** that a GPU costs CNY {{.GPUHour}} an hour beside its vCPUs and memory. Only the line without GPUs is at list prices.

## What is left out

- Shared GPUs: a pod that uses a part of a GPU (~gpu_milli~) takes a whole ~nvidia.com/gpu~, on machines and on ECI. So GPUs are scarcer here than
  they were.
- Models of GPUs, priorities (~qos~) and how pods ended.
- Owners: the trace does not say which pods are one Deployment or Service. The stock scheduler spreads those by default, which counts beside the
  preference.
- Starting: a pod runs as soon as it is bound, also on ECI.
- Images, traffic and disks on ECI.
`

// pageText has ~ where the page has a backquote, which a Go string of several lines cannot have.
var pageText = template.Must(template.New("page").Parse(strings.ReplaceAll(pageSource, "~", "`")))

// page is docs/replay.md.
func (r *report) page() string {
	var b strings.Builder
	days := r.plan.seconds(r.plan.Duration) / secondsPerDay
	running := r.plan.running()
	data := map[string]any{
		"Trace": r.trace, "Nodes": r.nodes, "Table": r.table(), "GPUHour": r.gpuHour, "CPUHour": 0.1764, "GiBHour": 0.022068,
		"Coming": len(r.plan.Pods) - running, "Running": running, "Days": fmt.Sprintf("%.1f", days), "Start": r.plan.Start,
		"Wall": r.plan.Duration.Seconds(), "Factor": fmt.Sprintf("%.0f", r.plan.Factor), "Rounds": r.rounds(),
		"Peak": r.plan.Peak, "Paid": total(r.plan.Machines), "Machines": len(r.plan.Machines), "Part": r.paid,
		"InFlight": inFlight.Milliseconds(), "Slots": mostPods,
	}
	if err := pageText.Execute(&b, data); err != nil {
		return err.Error() // The text and what it names are in this file.
	}
	return b.String()
}

// rounds is how often the trace was replayed.
func (r *report) rounds() int {
	most := 0
	for i := range r.outcomes {
		most = max(most, r.outcomes[i].Round)
	}
	return most
}
