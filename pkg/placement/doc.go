// Package placement decides where a governed pod belongs. It is pure: values in, values out; no client, informer, clock, logger or goroutine.
//
//   - compile.go: a ResourcePolicy becomes an immutable Policy; what cannot be acted on becomes its Refusal.
//   - validate.go, keys.go: what a policy cannot say, and which keys its units may write on pods.
//   - match.go: which policy governs a pod (R1), its group, and the unit that a bound pod counts for (R3).
//   - nodeset.go: which nodes are in a unit (R2).
//   - decide.go: the unit of a pod (R4, R5) and the sentence that explains it (R12).
//   - resources.go: sums of requests that cannot overflow (R4).
//   - scalein.go: the pod-deletion-cost of a unit (R10).
package placement
