package command

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/explain"
)

// reader reads from a cluster.
type reader struct {
	client client.Client
	// namespace is that of pods and policies; empty is all.
	namespace string
}

func (o *options) reader() (*reader, error) {
	kubeconfig := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(o.kubeconfig, o.overrides)
	config, err := kubeconfig.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	// What the API server warns of is not this reader's doing.
	config.WarningHandler = rest.NoWarnings{}
	namespace, _, err := kubeconfig.Namespace()
	if err != nil {
		return nil, fmt.Errorf("reading the namespace of the kubeconfig: %w", err)
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, v1alpha1.AddToScheme, eciv1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("preparing the client: %w", err)
		}
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("preparing the client: %w", err)
	}
	return &reader{client: c, namespace: namespace}, nil
}

func (r *reader) pod(ctx context.Context, name string) (*corev1.Pod, error) {
	pod := &corev1.Pod{}
	err := r.client.Get(ctx, client.ObjectKey{Namespace: r.namespace, Name: name}, pod)
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("there is no pod %s in namespace %s", name, r.namespace)
	}
	if err != nil {
		return nil, fmt.Errorf("reading pod %s/%s: %w", r.namespace, name, plain(err))
	}
	return pod, nil
}

func (r *reader) policies(ctx context.Context) ([]v1alpha1.ResourcePolicy, error) {
	list := &v1alpha1.ResourcePolicyList{}
	if err := r.client.List(ctx, list, client.InNamespace(r.namespace)); err != nil {
		return nil, fmt.Errorf("reading ResourcePolicies: %w", plain(err))
	}
	return list.Items, nil
}

// readVirtualNodes reads what a user of one namespace may not be allowed to see.
func (r *reader) readVirtualNodes(ctx context.Context, cluster *explain.Cluster) {
	list := &eciv1alpha1.VirtualNodeList{}
	if err := r.client.List(ctx, list); err != nil {
		cluster.Unread = append(cluster.Unread, fmt.Sprintf("VirtualNodes are not shown: %v.", plain(err)))
		return
	}
	cluster.VirtualNodes = append([]eciv1alpha1.VirtualNode{}, list.Items...)
}

func (r *reader) readNode(ctx context.Context, name string, cluster *explain.Cluster) {
	node := &corev1.Node{}
	err := r.client.Get(ctx, client.ObjectKey{Name: name}, node)
	switch {
	case apierrors.IsNotFound(err):
		cluster.Unread = append(cluster.Unread, fmt.Sprintf("Node %s does not exist any more.", name))
	case err != nil:
		cluster.Unread = append(cluster.Unread, fmt.Sprintf("Node %s was not read: %v.", name, plain(err)))
	default:
		cluster.Node = node
	}
}

// readECIPods reads the pods of each virtual node.
func (r *reader) readECIPods(ctx context.Context, cluster *explain.Cluster) {
	pods := []corev1.Pod{}
	for i := range cluster.VirtualNodes {
		list := &corev1.PodList{}
		onNode := client.MatchingFieldsSelector{Selector: fields.OneTermEqualSelector("spec.nodeName", cluster.VirtualNodes[i].NodeName())}
		if err := r.client.List(ctx, list, onNode); err != nil {
			cluster.Unread = append(cluster.Unread, fmt.Sprintf("What the pods on ECI cost is not shown: %v.", plain(err)))
			return
		}
		for j := range list.Items {
			if phase := list.Items[j].Status.Phase; phase != corev1.PodSucceeded && phase != corev1.PodFailed {
				pods = append(pods, list.Items[j])
			}
		}
	}
	cluster.ECIPods = pods
}

// plain returns an error that says what a user can do about it.
func plain(err error) error {
	switch {
	case meta.IsNoMatchError(err):
		return errors.New("this cluster does not have Spillway's CRDs; its Helm chart installs them")
	default:
		return err
	}
}
