package resourcepolicy

import (
	"context"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/placement"
)

// Reserve remembers the unit of the pod until its binding comes back: from now on the snapshot shows the pod on its node, without the annotation.
func (pl *ResourcePolicy) Reserve(_ context.Context, state fwk.CycleState, pod *corev1.Pod, _ string) *fwk.Status {
	if s := stateOf(state); s != nil {
		pl.inflight.place(pod.UID, s.unit.ID)
	}
	return nil
}

// Unreserve does nothing: the framework calls it before the pod leaves the snapshot, where it must still count for its unit. The next placement of the
// pod replaces what is remembered, and its deletion ends it.
func (*ResourcePolicy) Unreserve(context.Context, fwk.CycleState, *corev1.Pod, string) {}

// Bind binds a governed pod. What the placement writes on the pod travels in the Binding: the API server merges a Binding's annotations into the pod
// in the write that binds it (R9; pkg/registry/core/pod/storage, setPodNodeAndMetadata). Pods without a policy are left to the next plugin.
func (pl *ResourcePolicy) Bind(ctx context.Context, state fwk.CycleState, pod *corev1.Pod, nodeName string) *fwk.Status {
	s := stateOf(state)
	if s == nil {
		return fwk.NewStatus(fwk.Skip)
	}
	logger := klog.FromContext(ctx)
	logger.V(3).Info("Binding pod to node", "pod", klog.KObj(pod), "node", klog.KRef("", nodeName), "unit", s.unit.ID)
	if err := pl.bind(ctx, newBinding(s, pod, nodeName)); err != nil {
		return fwk.AsStatus(err)
	}
	return nil
}

// bind sends the Binding the way that the DefaultBinder plugin does.
func (pl *ResourcePolicy) bind(ctx context.Context, binding *corev1.Binding) error {
	if cacher := pl.handle.APICacher(); cacher != nil {
		onFinish, err := cacher.BindPod(binding)
		if err != nil {
			return err
		}
		return cacher.WaitOnFinish(ctx, onFinish)
	}
	return pl.handle.ClientSet().CoreV1().Pods(binding.Namespace).Bind(ctx, binding, metav1.CreateOptions{})
}

// newBinding returns the Binding of a pod to a node of its unit.
func newBinding(s *cycleState, pod *corev1.Pod, nodeName string) *corev1.Binding {
	userCost, hasUserCost := pod.Annotations[corev1.PodDeletionCost]
	annotations := map[string]string{
		v1alpha1.AnnotationPolicy: s.policy.Name,
		v1alpha1.AnnotationUnit:   s.unit.ID,
		corev1.PodDeletionCost:    strconv.Itoa(int(placement.DeletionCost(s.unit.Index, userCost))),
	}
	if hasUserCost {
		annotations[v1alpha1.AnnotationUserDeletionCost] = userCost
	}
	return &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID, Annotations: annotations},
		Target:     corev1.ObjectReference{Kind: "Node", Name: nodeName},
	}
}
