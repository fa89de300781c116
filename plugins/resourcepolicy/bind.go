package resourcepolicy

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/ecispec"
	"github.com/spillway-k8s/spillway/pkg/metrics"
	"github.com/spillway-k8s/spillway/pkg/placement"
)

const (
	// settleInterval is how often the API server is asked what has become of a Binding whose answer was lost.
	settleInterval = 500 * time.Millisecond
	// maxVersions is how many versions of a pod are tried to be bound to a virtual node, before the pod is placed anew.
	maxVersions = 5
)

// Reserve remembers the unit of the pod until its binding comes back: from now on the snapshot shows the pod on its node, without the annotation.
func (pl *ResourcePolicy) Reserve(_ context.Context, state fwk.CycleState, pod *corev1.Pod, nodeName string) *fwk.Status {
	if s := stateOf(state); s != nil {
		assumed := *pod
		assumed.Spec.NodeName = nodeName
		pl.fresh.drop(pod.UID)
		pl.inflight.place(placed{unit: s.unit.ID, node: nodeName, pod: &assumed, annotations: s.unit.Annotations()})
		pl.waker.Ended(pod.UID, true)
		pl.admission.placed(s.policy, s.view.group, pod, s.unit.Index)
		pl.admission.filled(s.policy, s.view.group, s.unit.Index, s.usage.Add(s.view.requests))
		decided(metrics.OutcomePlaced, s.unit)
		if s.unit.Index > 0 {
			metrics.Spilled(s.unit.Index, s.unit.Nodes.Virtual, string(s.passed))
		}
	}
	return nil
}

// Unreserve gives the slot of a pod back whose binding failed. The framework calls it before the pod leaves the snapshot. Which unit the pod was in stays
// known: when only the answer of the API server was lost, the bound pod comes back, with its record.
func (pl *ResourcePolicy) Unreserve(_ context.Context, state fwk.CycleState, pod *corev1.Pod, nodeName string) {
	s := stateOf(state)
	if s == nil {
		return
	}
	decided(metrics.OutcomeUndone, s.unit)
	pl.inflight.undo(pod.UID)
	pl.admission.leave(pod.UID)
	pl.fresh.undo(pl.podLister, pod, nodeName)
	pl.admission.freed(groupKey{s.policy.UID, s.view.group})
}

// Bind binds a governed pod. What the placement writes on the pod travels in the Binding: the API server merges a Binding's annotations into the pod
// in the write that binds it, and its labels where PodTopologyLabelsAdmission is on (R9; pkg/registry/core/pod/storage, setPodNodeAndMetadata). Where it
// is off, the deletion cost controller writes the labels. Pods without a policy are left to the next plugin, but for those on virtual nodes, which get the
// record of their bill.
func (pl *ResourcePolicy) Bind(ctx context.Context, state fwk.CycleState, pod *corev1.Pod, nodeName string) *fwk.Status {
	s, record := stateOf(state), pl.offers.Record(pod.UID)
	if s == nil && record == "" {
		return fwk.NewStatus(fwk.Skip)
	}
	klog.FromContext(ctx).V(3).Info("Binding pod to node", "pod", klog.KObj(pod), "node", klog.KRef("", nodeName))
	binding := newBinding(s, pod, nodeName)
	var err error
	if record == "" {
		err = pl.send(ctx, binding)
	} else {
		err = pl.bindToECI(ctx, pod, binding, record)
	}
	if err != nil {
		return fwk.AsStatus(err)
	}
	return nil
}

// bindToECI binds a pod to a virtual node. What the pod counts for there is decided now, and not by what its user writes on it later (R13): the Binding records
// it, and holds for the version of the pod that was looked at. Until a pod is bound, which a volume may delay, its user may edit it freely.
func (pl *ResourcePolicy) bindToECI(ctx context.Context, pod *corev1.Pod, binding *corev1.Binding, record string) error {
	binding.Annotations[v1alpha1.AnnotationECISpecs] = record
	shown, err := pl.podLister.Pods(pod.Namespace).Get(pod.Name)
	for range maxVersions {
		switch {
		case err != nil:
			return fmt.Errorf("looking at the pod before its binding: %w", err)
		case shown.UID != pod.UID || shown.Spec.NodeName != "" || shown.DeletionTimestamp != nil:
			return errors.New("the pod is bound already, or is being deleted")
		case !pl.offers.StillAsks(shown):
			return errors.New("the pod asks ECI for something else by now than when it was placed: it is placed anew")
		}
		if _, brought := shown.Annotations[ecispec.AnnotationInstanceSpec]; brought {
			binding.Annotations[ecispec.AnnotationInstanceSpec] = "" // Nobody can know it yet.
		}
		binding.ResourceVersion = shown.ResourceVersion
		if err = pl.send(ctx, binding); !apierrors.IsConflict(err) {
			return err
		}
		// The pod was edited, or its status written, since the informer has shown it.
		shown, err = pl.handle.ClientSet().CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
	}
	return errors.New("the pod is edited all the time while it is being bound: it is placed anew")
}

// send sends a Binding, and finds out what has become of it if the answer is lost.
func (pl *ResourcePolicy) send(ctx context.Context, binding *corev1.Binding) error {
	err := pl.bind(ctx, binding)
	if err != nil && !isAnswer(err) {
		err = pl.settle(ctx, binding, err)
	}
	return err
}

// settle finds out what has become of a Binding whose answer was lost: if the pod was bound it must go on counting, and if it was not it must be tried
// again (R4). The pod counts while the API server does not answer; nothing else can be bound then either.
func (pl *ResourcePolicy) settle(ctx context.Context, binding *corev1.Binding, lost error) error {
	result := lost
	err := wait.PollUntilContextCancel(ctx, settleInterval, true, func(ctx context.Context) (bool, error) {
		pod, err := pl.handle.ClientSet().CoreV1().Pods(binding.Namespace).Get(ctx, binding.Name, metav1.GetOptions{})
		switch {
		case err != nil && !isAnswer(err):
			return false, nil
		case err == nil && pod.UID == binding.UID && pod.Spec.NodeName == binding.Target.Name:
			result = nil
		}
		return true, nil
	})
	if err != nil {
		return lost // The scheduler is being stopped.
	}
	return result
}

// isAnswer tells whether an error is the API server's answer that it has not done what it was asked, and not the loss of its answer.
func isAnswer(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return false
	}
	code := status.Status().Code
	return code >= 400 && code < 500 && !apierrors.IsTimeout(err)
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

// newBinding returns the Binding of a pod to a node of its unit; s is nil for a pod without a policy.
func newBinding(s *cycleState, pod *corev1.Pod, nodeName string) *corev1.Binding {
	binding := &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID, Annotations: map[string]string{}},
		Target:     corev1.ObjectReference{Kind: "Node", Name: nodeName},
	}
	if s == nil {
		return binding
	}
	userCost, hasUserCost := placement.UserCost(pod.Annotations)
	annotations := s.unit.Annotations()
	annotations[v1alpha1.AnnotationPolicy] = s.policy.Name
	annotations[v1alpha1.AnnotationUnit] = s.unit.ID
	cost := strconv.Itoa(int(placement.DeletionCost(s.unit.Index, userCost)))
	annotations[corev1.PodDeletionCost], annotations[v1alpha1.AnnotationDeletionCost] = cost, cost
	if hasUserCost {
		annotations[v1alpha1.AnnotationUserDeletionCost] = userCost
	}
	labels := s.unit.LabelsFor(pod.Labels)
	// The pod of a template that was copied from another pod may bring that one's note.
	note := placement.ReplacedLabels(pod.Labels, labels)
	if _, brought := pod.Annotations[v1alpha1.AnnotationPodLabels]; brought || note != "" {
		annotations[v1alpha1.AnnotationPodLabels] = note
	}
	binding.Annotations, binding.Labels = annotations, labels
	return binding
}
