// Package owners tells whether labels that are written on a pod would take it from the controller that made it, which would then make another pod.
package owners

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/pkg/owner"
	"github.com/spillway-k8s/spillway/pkg/placement"
)

const (
	// remembered is how many selectors are kept.
	remembered = 4096
	// fresh is how long a selector is kept. Those of ReplicaSets and StatefulSets never change; that of a ReplicationController can.
	fresh = 10 * time.Minute
)

// Selectors reads what the owners of pods select, each once in a while. It is safe for concurrent use.
type Selectors struct {
	// reader asks the API server directly: few pods have labels to be written, and a cache would hold every ReplicaSet.
	reader client.Reader
	known  *cache.LRUExpireCache
}

// named is all that an owner reference says. Whoever creates a pod writes its owner references: a wrong one must not
// decide for the pods of others, so that the UID alone would not do as a key.
type named struct {
	kind owner.Kind
	name types.NamespacedName
	uid  types.UID
}

// NewSelectors returns selectors that are read from the API server.
func NewSelectors(reader client.Reader) *Selectors {
	return &Selectors{reader: reader, known: cache.NewLRUExpireCache(remembered)}
}

// +kubebuilder:rbac:groups=apps,resources=replicasets;statefulsets,verbs=get
// +kubebuilder:rbac:groups="",resources=replicationcontrollers,verbs=get

// Loses returns the owner, such as "ReplicaSet web-5d4f", that selects the pod now and would not once these labels are written on it; empty when there
// is none.
func (s *Selectors) Loses(ctx context.Context, pod *corev1.Pod, written map[string]string) (string, error) {
	ref := metav1.GetControllerOf(pod)
	if ref == nil || len(written) == 0 {
		return "", nil
	}
	selector, err := s.selector(ctx, pod.Namespace, ref)
	if err != nil || selector == nil {
		return "", err
	}
	if !placement.Loses(selector, pod.Labels, written) {
		return "", nil
	}
	return ref.Kind + " " + ref.Name, nil
}

// selector returns what the owner selects, or nil when the owner is of another kind or gone.
func (s *Selectors) selector(
	ctx context.Context, namespace string, ref *metav1.OwnerReference,
) (labels.Selector, error) {
	key := named{owner.KindOf(ref), types.NamespacedName{Namespace: namespace, Name: ref.Name}, ref.UID}
	if known, ok := s.known.Get(key); ok {
		selector, _ := known.(labels.Selector)
		return selector, nil
	}
	selector, err := s.read(ctx, &key)
	if err != nil {
		return nil, fmt.Errorf("reading the selector of %s %s: %w", ref.Kind, ref.Name, err)
	}
	s.known.Add(key, selector, fresh)
	return selector, nil
}

func (s *Selectors) read(ctx context.Context, key *named) (labels.Selector, error) {
	var object client.Object
	var selector func() (labels.Selector, error)
	switch key.kind {
	case owner.ReplicaSet:
		set := &appsv1.ReplicaSet{}
		object, selector = set, func() (labels.Selector, error) { return metav1.LabelSelectorAsSelector(set.Spec.Selector) }
	case owner.StatefulSet:
		set := &appsv1.StatefulSet{}
		object, selector = set, func() (labels.Selector, error) { return metav1.LabelSelectorAsSelector(set.Spec.Selector) }
	case owner.ReplicationController:
		controller := &corev1.ReplicationController{}
		object, selector = controller, func() (labels.Selector, error) { return labels.SelectorFromSet(controller.Spec.Selector), nil }
	default:
		return nil, nil
	}
	if err := s.reader.Get(ctx, key.name, object); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	if object.GetUID() != key.uid {
		return nil, nil // Another one has the name now.
	}
	return selector()
}
