package main

import (
	"bytes"
	"fmt"
	"os"
)

var kindNames = map[eventKind]string{created: "created", bound: "bound", deleted: "deleted"}

// writeEvents writes what was seen as a CSV file, for questions that the table does not answer.
func writeEvents(path string, p *plan, events []event) error {
	var b bytes.Buffer
	b.WriteString("milliseconds,event,pod,node\n")
	for _, e := range events {
		node := ""
		switch {
		case e.kind != bound:
		case e.machine == onECI:
			node = virtualNode
		default:
			node = p.Machines[e.machine].Name
		}
		fmt.Fprintf(&b, "%.3f,%s,%s,%s\n", float64(e.at.Microseconds())/1000, kindNames[e.kind], p.Pods[e.pod].Name, node)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		return fmt.Errorf("writing the events: %w", err)
	}
	return nil
}
