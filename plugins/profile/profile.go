// Package profile checks that a profile of the scheduler enables the plugins of Spillway where they are needed. A plugin that is missing at one extension
// point does not fail there: caps would not hold, and nobody would see it.
package profile

import (
	"errors"
	"fmt"
	"slices"

	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/apis/config"
)

// Point is an extension point, as a KubeSchedulerConfiguration spells it.
type Point string

// The extension points that Spillway's plugins use.
const (
	PreFilter  Point = "preFilter"
	Filter     Point = "filter"
	PostFilter Point = "postFilter"
	Reserve    Point = "reserve"
	Bind       Point = "bind"
)

// Needs is what a plugin needs of its profile.
type Needs struct {
	// Plugin must be enabled at each of the points.
	Plugin string
	Points []Point
	// Before names, by point, a plugin that must come after it where it is enabled, too.
	Before map[Point]string
	// After names, by point, a plugin that must come before it where it is enabled, too.
	After map[Point]string
	// Without names, by point, a plugin that must be disabled.
	Without map[Point]string
}

// Check returns an error that names what the profile of a handle lacks and what to write in its configuration. A profile is complete when the scheduler asks
// its plugins for their events, and no earlier: plugins are made before the extension points are filled. A handle that cannot list its plugins, as in tests,
// passes.
func Check(handle fwk.Handle, needs *Needs) error {
	lister, ok := handle.(interface{ ListPlugins() *config.Plugins })
	if !ok {
		return nil
	}
	var errs []error
	plugins := lister.ListPlugins()
	for _, point := range needs.Points {
		enabled := names(plugins, point)
		if !slices.Contains(enabled, needs.Plugin) {
			errs = append(errs, fmt.Errorf("plugin %s is not enabled at %s: enable it there, or at multiPoint", needs.Plugin, point))
			continue
		}
		later, earlier, inOrder := needs.Before[point], needs.After[point], slices.Index(enabled, needs.Plugin)
		if at := slices.Index(enabled, later); at >= 0 && at < inOrder {
			errs = append(errs, fmt.Errorf("plugin %s comes after %s at %s: list it under %s.enabled, so that it comes first", needs.Plugin, later, point, point))
		}
		if slices.Index(enabled, earlier) > inOrder {
			errs = append(errs, fmt.Errorf("plugin %s comes before %s at %s: list %s before it under %s.enabled", needs.Plugin, earlier, point, earlier, point))
		}
	}
	for point, other := range needs.Without {
		if slices.Contains(names(plugins, point), other) {
			errs = append(errs, fmt.Errorf("plugin %s is enabled at %s: list it under %s.disabled, because %s takes its place", other, point, point, needs.Plugin))
		}
	}
	if len(errs) > 0 {
		return fmt.Errorf("profile %s: %w", handle.ProfileName(), errors.Join(errs...))
	}
	return nil
}

// names returns the plugins that are enabled at a point, in order.
func names(plugins *config.Plugins, point Point) []string {
	sets := map[Point]config.PluginSet{
		PreFilter: plugins.PreFilter, Filter: plugins.Filter,
		PostFilter: plugins.PostFilter, Reserve: plugins.Reserve, Bind: plugins.Bind,
	}
	var all []string
	for _, plugin := range sets[point].Enabled {
		all = append(all, plugin.Name)
	}
	return all
}
