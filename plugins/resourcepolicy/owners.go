package resourcepolicy

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	appslisters "k8s.io/client-go/listers/apps/v1"
	corelisters "k8s.io/client-go/listers/core/v1"

	"github.com/spillway-k8s/spillway/pkg/owner"
	"github.com/spillway-k8s/spillway/pkg/placement"
)

// owners know the selectors of the controllers that make pods. The scheduler's own plugins watch the same kinds.
type owners struct {
	replicaSets  appslisters.ReplicaSetLister
	statefulSets appslisters.StatefulSetLister
	controllers  corelisters.ReplicationControllerLister
}

func newOwners(factory informers.SharedInformerFactory) *owners {
	return &owners{
		replicaSets: factory.Apps().V1().ReplicaSets().Lister(), statefulSets: factory.Apps().V1().StatefulSets().Lister(),
		controllers: factory.Core().V1().ReplicationControllers().Lister(),
	}
}

// leaves returns the kind and name of the pod's owner if its selector matches the pod now and would not match it any more once the labels are written.
// It returns "" otherwise, and for owners of other kinds.
func (o *owners) leaves(pod *corev1.Pod, written map[string]string) string {
	ref := metav1.GetControllerOf(pod)
	if ref == nil {
		return ""
	}
	selector := o.selector(pod.Namespace, ref)
	if selector == nil || !placement.Loses(selector, pod.Labels, written) {
		return ""
	}
	return ref.Kind + " " + ref.Name
}

// selector returns the selector of an owner, or nil when the owner is of another kind or gone. Another object that has
// its name now is not the owner.
func (o *owners) selector(namespace string, ref *metav1.OwnerReference) labels.Selector {
	var spec *metav1.LabelSelector
	switch owner.KindOf(ref) {
	case owner.ReplicaSet:
		if rs, err := o.replicaSets.ReplicaSets(namespace).Get(ref.Name); err == nil && rs.UID == ref.UID {
			spec = rs.Spec.Selector
		}
	case owner.StatefulSet:
		if set, err := o.statefulSets.StatefulSets(namespace).Get(ref.Name); err == nil && set.UID == ref.UID {
			spec = set.Spec.Selector
		}
	case owner.ReplicationController:
		if rc, err := o.controllers.ReplicationControllers(namespace).Get(ref.Name); err == nil && rc.UID == ref.UID {
			return labels.SelectorFromSet(rc.Spec.Selector)
		}
	}
	if spec == nil {
		return nil
	}
	// A selector that cannot be read selects nothing; the API server admits none.
	selector, err := metav1.LabelSelectorAsSelector(spec)
	if err != nil {
		return nil
	}
	return selector
}
