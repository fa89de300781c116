package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
)

// Prices in USD an hour. Those of ECS are examples of the usual proportions; those of ECI are its published ones (0.0000077 a vCPU-second and
// 0.00000096 a GiB-second, for an instance of 2 vCPU and 4 GiB).
const (
	// priceSubscription is due for each of the two nodes paid by the month, whether a pod uses it or not.
	priceSubscription = 0.035
	// pricePayAsYouGo is due for each node paid by the hour that a pod uses; an empty one is given back.
	pricePayAsYouGo = 0.055
	priceECI        = (2*0.0000077 + 4*0.00000096) * 3600
	machinesByMonth = 2
)

// placed is where the pods of a run were after a step.
type placed struct {
	replicas int32
	// pods and nodes are the number of pods, and the names of the nodes they are on, by unit.
	pods  []int
	nodes [][]string
	// wrong says how the placement differs from the documented one; "" when it does not, or when it is not checked.
	wrong string
}

// place sorts the pods of a run into the units.
func (d *demo) place(ctx context.Context, options runOptions, replicas int32, pods []corev1.Pod) (placed, error) {
	p := placed{replicas: replicas, pods: make([]int, len(units)), nodes: make([][]string, len(units))}
	for i := range pods {
		node := &corev1.Node{}
		if err := d.api.Get(ctx, client.ObjectKey{Name: pods[i].Spec.NodeName}, node); err != nil {
			return p, fmt.Errorf("getting the node of pod %s: %w", pods[i].Name, err)
		}
		unit := slices.Index(units, node.Labels[paidType])
		if eciv1alpha1.IsVirtualNode(node.Labels) {
			unit = slices.Index(units, unitECI)
		}
		p.pods[unit]++
		if !slices.Contains(p.nodes[unit], node.Name) {
			p.nodes[unit] = append(p.nodes[unit], node.Name)
		}
	}
	if want := expected[replicas]; options.checked && !slices.Equal(p.pods, want) {
		p.wrong = fmt.Sprintf("documented is %v", want)
	}
	return p, nil
}

// cost is what the placement costs an hour.
func (p *placed) cost() float64 {
	return machinesByMonth*priceSubscription + float64(len(p.nodes[1]))*pricePayAsYouGo + float64(p.pods[2])*priceECI
}

// unitCost is the part of a unit in the cost.
func (p *placed) unitCost(unit int) float64 {
	return []float64{machinesByMonth * priceSubscription, float64(len(p.nodes[1])) * pricePayAsYouGo, float64(p.pods[2]) * priceECI}[unit]
}

// misplaced is how many pods are in a later unit although an earlier one has a free machine.
func (p *placed) misplaced() int {
	want := expected[p.replicas]
	return max(0, p.pods[1]-want[1]) + max(0, p.pods[2]-want[2])
}

func (p *placed) print(step int) {
	verdict := ""
	switch {
	case p.wrong != "":
		verdict = "   WRONG: " + p.wrong
	case p.misplaced() > 0:
		verdict = fmt.Sprintf("   %d pod(s) on dearer capacity while cheaper machines are idle", p.misplaced())
	default:
		verdict = "   ok"
	}
	fmt.Printf("\nStep %d: %d replicas%s\n", step, p.replicas, verdict)
	fmt.Printf("  %-14s %5s  %8s  %s\n", "UNIT", "PODS", "USD/HOUR", "NODES")
	for i, unit := range units {
		nodes := strings.Join(slices.Sorted(slices.Values(p.nodes[i])), " ")
		if nodes == "" {
			nodes = "-"
		}
		fmt.Printf("  %-14s %5d  %8.3f  %s\n", unit, p.pods[i], p.unitCost(i), nodes)
	}
	fmt.Printf("  %-14s %5d  %8.3f\n", "total", p.replicas, p.cost())
}

// printComparison prints both runs side by side.
func printComparison(spillway, stock []placed) {
	fmt.Printf("\n=== Side by side: pods by month / by hour / on ECI, and USD an hour ===\n\n")
	fmt.Printf("  %-9s  %-24s  %s\n", "REPLICAS", "SPILLWAY", "DEFAULT-SCHEDULER")
	total := [2]float64{}
	misplaced := 0
	for i := range spillway {
		a, b := &spillway[i], &stock[i]
		fmt.Printf("  %-9d  %-24s  %s\n", a.replicas, a.short(), b.short())
		total[0] += a.cost()
		total[1] += b.cost()
		misplaced += b.misplaced()
	}
	fmt.Printf("  %-9s  %-24s  %.3f USD for an hour in each step\n", "sum", fmt.Sprintf("%.3f USD", total[0]), total[1])
	fmt.Printf("\nThe default scheduler cost %+.0f%%: it had %d pod(s) on dearer capacity while cheaper machines were idle, in all steps together.\n",
		(total[1]/total[0]-1)*100, misplaced)
	fmt.Println("(ECS prices are examples, ECI's are its list prices; the two machines paid by the month are in both sums.)")
}

func (p *placed) short() string {
	return fmt.Sprintf("%d / %d / %d   %.3f", p.pods[0], p.pods[1], p.pods[2], p.cost())
}
