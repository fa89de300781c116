// Command scheduler is kube-scheduler with the plugins of Spillway. It takes the flags and the configuration file of kube-scheduler.
package main

import (
	"os"
	"sync"

	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	"k8s.io/kubernetes/cmd/kube-scheduler/app"

	"github.com/spillway-k8s/spillway/plugins"
)

func main() {
	var options []app.Option
	var once sync.Once
	for name, factory := range plugins.All() {
		options = append(options, app.WithPlugin(name, checked(factory, &once)))
	}
	os.Exit(cli.Run(app.NewSchedulerCommand(options...)))
}
