// Package config embeds those manifests that the binaries need themselves.
package config

import _ "embed"

// ControllerRole is the role that controller-gen writes from the markers of the controllers.
//
//go:embed rbac/role.yaml
var ControllerRole []byte

// SchedulerRole is what the scheduler may do beyond every kube-scheduler.
//
//go:embed rbac/scheduler.yaml
var SchedulerRole []byte
