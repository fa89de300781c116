package resourcepolicy

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	appslisters "k8s.io/client-go/listers/apps/v1"
	corelisters "k8s.io/client-go/listers/core/v1"

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
	owner := metav1.GetControllerOf(pod)
	if owner == nil {
		return ""
	}
	selector := o.selector(pod.Namespace, owner)
	if selector == nil || !placement.Loses(selector, pod.Labels, written) {
		return ""
	}
	return owner.Kind + " " + owner.Name
}

// selector returns the selector of an owner, or nil.
func (o *owners) selector(namespace string, owner *metav1.OwnerReference) labels.Selector {
	var spec *metav1.LabelSelector
	switch owner.Kind {
	case "ReplicaSet":
		if rs, err := o.replicaSets.ReplicaSets(namespace).Get(owner.Name); err == nil {
			spec = rs.Spec.Selector
		}
	case "StatefulSet":
		if set, err := o.statefulSets.StatefulSets(namespace).Get(owner.Name); err == nil {
			spec = set.Spec.Selector
		}
	case "ReplicationController":
		if rc, err := o.controllers.ReplicationControllers(namespace).Get(owner.Name); err == nil {
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
