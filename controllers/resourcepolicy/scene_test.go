package resourcepolicy

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/placement"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// stage is what a test sets up.
type stage struct {
	policy *wrappers.Policy
	others []*wrappers.Policy
	pods   []*wrappers.Pod
	nodes  []*wrappers.Node
}

func (s *stage) scene() *scene {
	out := &scene{policy: placement.Compile(s.policy.Obj())}
	compiled := []*placement.Policy{placement.Compile(s.policy.Obj())}
	for _, other := range s.others {
		compiled = append(compiled, placement.Compile(other.Obj()))
	}
	out.policies = placement.NewPolicies().WithNamespace(s.policy.ResourcePolicy.Namespace, compiled)
	for _, pod := range s.pods {
		out.pods = append(out.pods, *pod.Obj())
	}
	var nodes []corev1.Node
	for _, node := range s.nodes {
		nodes = append(nodes, *node.Obj())
	}
	out.fleet = newFleet(nodes)
	return out
}

// status returns the status that the policy gets.
func (s *stage) status(lost ...placement.Finding) v1alpha1.ResourcePolicyStatus {
	seen := s.scene()
	return seen.status(s.policy.Obj(), seen.count(wrappers.SchedulerName), lost)
}

// ecsNodes returns nodes e-0, e-1 and so on with the label paid=month.
func ecsNodes(names ...string) []*wrappers.Node {
	var out []*wrappers.Node
	for _, name := range names {
		out = append(out, wrappers.MakeNode(name).Label("paid", "month").Capacity(corev1.ResourceCPU, "8").Capacity(corev1.ResourceMemory, "32Gi"))
	}
	return out
}

// on returns a pod on a node.
func on(node, name string) *wrappers.Pod {
	return wrappers.MakePod(name).Node(node).Label("app", "web")
}

// policy returns a policy of two units with caps on pods: nodes paid by the month, and ECI.
func policy() *wrappers.Policy {
	return wrappers.MakePolicy("p").Selector("app", "web").
		Unit(wrappers.ECS().On("paid", "month").Max(2)).
		Unit(wrappers.ECI())
}

// replicaSet returns a ReplicaSet that selects pods with a label. Its UID is its name.
func replicaSet(name, key, value string) *appsv1.ReplicaSet {
	return &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: name, UID: types.UID(name)},
		Spec:       appsv1.ReplicaSetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{key: value}}},
	}
}

func findCondition(rp *v1alpha1.ResourcePolicy, name string) metav1.Condition {
	if c := meta.FindStatusCondition(rp.Status.Conditions, name); c != nil {
		return *c
	}
	return metav1.Condition{}
}
