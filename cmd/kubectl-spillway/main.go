// Command kubectl-spillway is a plugin of kubectl: it says why a pod is where it is, and how full policies and virtual nodes are. It only reads.
package main

import (
	"fmt"
	"os"

	"github.com/spillway-k8s/spillway/cmd/kubectl-spillway/command"
)

func main() {
	if err := command.New().Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}
