// Command growth turns the output of BenchmarkGrowth into a page with a chart for each thing that grows. It is run by make bench-growth.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spillway-k8s/spillway/test/chart"
)

// curve is one thing that grows, as BenchmarkGrowth names it.
type curve struct {
	name string
	// what names it in words, and expected says how the cost should grow with it, and why.
	what, expected string
}

var curves = []curve{
	{"nodes", "nodes of the cluster", "linear with a small factor: each cycle compares the generation of every node"},
	{"policies", "policies in the namespace of the pod", "constant: the policy of a pod is found by the pod's labels"},
	{"bound", "bound pods that count, on 1,000 nodes", "linear with a small factor: the pods on the three nodes that changed are compared one by one, and only what came or went is counted"},
	{"boundOnTenNodes", "bound pods that count, on ten nodes, as on virtual ones", "linear with a small factor, for the same reason: a tenth of the pods is on each node"},
	{"held", "held pods of the group", "logarithmic: they stand in a heap"},
	{"edits", "edits of another policy while a thousand pods come, with 20,000 pods bound", "linear with a small factor: an edit looks at each policy of its namespace, and counts its own ten pods anew"},
	{"edited", "pods of a policy that is edited before every tenth pod", "linear: they are counted anew, and no others"},
}

const page = `# Growth

Written by ` + "`make bench-growth`" + `. What a pod costs Spillway's plugin, from PreEnqueue to Reserve with Filter on every node that it hands over, while another
pod of its policy ends and a node reports its status: by the size of each thing that grows, the others being small. The API server and the other plugins are not in it.

`

func main() {
	docs := flag.String("docs", "", "directory for growth.md and images/growth-*.svg")
	flag.Parse()
	if err := run(os.Stdin, *docs); err != nil {
		fmt.Fprintln(os.Stderr, "growth:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, docs string) error {
	if docs == "" {
		return fmt.Errorf("--docs=%q: must be a directory", docs)
	}
	data, err := io.ReadAll(in)
	if err != nil {
		return fmt.Errorf("reading the benchmark: %w", err)
	}
	costs := read(string(data))
	var b strings.Builder
	b.WriteString(page)
	for _, c := range curves {
		measured := costs[c.name]
		if len(measured) == 0 {
			return fmt.Errorf("the benchmark says nothing of %s", c.name)
		}
		c.write(&b, measured)
		path := filepath.Join(docs, "images", "growth-"+c.name+".svg")
		if err := os.WriteFile(path, c.draw(measured), 0o644); err != nil {
			return fmt.Errorf("writing a chart: %w", err)
		}
	}
	if err := os.WriteFile(filepath.Join(docs, "growth.md"), []byte(b.String()), 0o644); err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	return nil
}

// write writes the section of a curve.
func (c *curve) write(b *strings.Builder, measured []cost) {
	first, last := measured[0], measured[len(measured)-1]
	more := (last.nanoseconds - first.nanoseconds) / float64(last.size-first.size)
	fmt.Fprintf(b, "## By %s\n\nExpected: %s.\n\n", c.what, c.expected)
	fmt.Fprintf(b, "Measured: from %d to %d, %.0f times as many, the cost is %.1f times as high; each one more costs %.1f ns.\n\n",
		first.size, last.size, float64(last.size)/float64(first.size), last.nanoseconds/first.nanoseconds, more)
	b.WriteString("| size | µs a pod | bytes | allocations |\n|---:|---:|---:|---:|\n")
	for _, m := range measured {
		fmt.Fprintf(b, "| %d | %.1f | %.0f | %.0f |\n", m.size, m.nanoseconds/1000, m.bytes, m.allocations)
	}
	fmt.Fprintf(b, "\n![cost by %s](images/growth-%s.svg)\n\n", c.what, c.name)
}

// draw draws a curve.
func (c *curve) draw(measured []cost) []byte {
	var points []chart.Point
	for _, m := range measured {
		points = append(points, chart.Point{X: float64(m.size), Y: m.nanoseconds / 1000})
	}
	return chart.Lines{
		Title: "What a pod costs, by " + c.what, X: c.what, Y: "µs a pod", LogX: measured[len(measured)-1].size >= 100*measured[0].size,
		Series: []chart.Series{{Name: "measured", Points: points}},
	}.SVG()
}
