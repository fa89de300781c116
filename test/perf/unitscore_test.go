package perf

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/cache"
	fwk "k8s.io/kube-scheduler/framework"
	frameworkruntime "k8s.io/kubernetes/pkg/scheduler/framework/runtime"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/plugins"
	"github.com/spillway-k8s/spillway/plugins/crd"
)

// unitScoreName is the name of the peer: a plugin that ranks the nodes by their unit with an overwhelming weight, as other schedulers with such policies do.
const unitScoreName = "UnitScore"

// unitScore is that plugin. It keeps no caps.
type unitScore struct{ informer cache.SharedIndexInformer }

var (
	_ fwk.PreScorePlugin = &unitScore{}
	_ fwk.ScorePlugin    = &unitScore{}
)

func newUnitScore(ctx context.Context, _ runtime.Object, handle fwk.Handle) (fwk.Plugin, error) {
	informer, err := crd.NewInformer(ctx, handle, &crd.Resource{
		GroupVersion: v1alpha1.GroupVersion, Plural: "resourcepolicies", AddToScheme: v1alpha1.AddToScheme,
		Object: &v1alpha1.ResourcePolicy{}, NewList: func() runtime.Object { return &v1alpha1.ResourcePolicyList{} }, Missing: "no CRD",
	})
	if err != nil {
		return nil, fmt.Errorf("watching ResourcePolicies: %w", err)
	}
	return &unitScore{informer: informer}, nil
}

// Name returns the name of the plugin.
func (*unitScore) Name() string { return unitScoreName }

// ScoreExtensions returns nil.
func (*unitScore) ScoreExtensions() fwk.ScoreExtensions { return nil }

// governing is the policy of the pod of a cycle.
type governing struct{ *v1alpha1.ResourcePolicy }

// Clone returns the same: it never changes.
func (g governing) Clone() fwk.StateData { return g }

// PreScore finds the policy of the pod, once for all nodes.
func (pl *unitScore) PreScore(_ context.Context, state fwk.CycleState, pod *corev1.Pod, _ []fwk.NodeInfo) *fwk.Status {
	objects, err := pl.informer.GetIndexer().ByIndex(cache.NamespaceIndex, pod.Namespace)
	if err != nil {
		return fwk.AsStatus(err)
	}
	for _, obj := range objects {
		if rp := obj.(*v1alpha1.ResourcePolicy); selects(rp, pod) {
			state.Write(unitScoreName, governing{rp})
			return nil
		}
	}
	return fwk.NewStatus(fwk.Skip)
}

// Score ranks a node by the first unit that it is in.
func (pl *unitScore) Score(_ context.Context, state fwk.CycleState, _ *corev1.Pod, node fwk.NodeInfo) (int64, *fwk.Status) {
	data, err := state.Read(unitScoreName)
	if err != nil {
		return 0, fwk.AsStatus(err)
	}
	units := data.(governing).Spec.Units
	for i := range units {
		if inUnit(&units[i], node.Node()) {
			return fwk.MaxScore - int64(i), nil
		}
	}
	return 0, nil
}

func selects(rp *v1alpha1.ResourcePolicy, pod *corev1.Pod) bool {
	for key, value := range rp.Spec.Selector {
		if pod.Labels[key] != string(value) {
			return false
		}
	}
	return true
}

func inUnit(unit *v1alpha1.Unit, node *corev1.Node) bool {
	if eciv1alpha1.IsVirtualNode(node.Labels) != (unit.Resource == v1alpha1.ResourceECI) {
		return false
	}
	for key, value := range unit.NodeSelector {
		if node.Labels[key] != string(value) {
			return false
		}
	}
	return true
}

// toRegistry returns plugins in the form of the framework.
func toRegistry(all map[string]plugins.Factory) frameworkruntime.Registry {
	registry := frameworkruntime.Registry{}
	for name, factory := range all {
		registry[name] = factory
	}
	return registry
}
