package account

import (
	"context"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/eci"
)

const (
	// overlap is by how much each question for what changed reaches back behind the last one, so that nothing falls between two of them.
	overlap = 10 * time.Second
	// relistAfter is how often all groups are listed, because a group that was deleted is in no list of changes. It costs a call for every 200 groups.
	relistAfter = time.Hour
	// longestGap is the longest time for which changes are asked for; after a longer one all groups are listed.
	longestGap = 10 * time.Minute
)

// Groups are container groups that cost money, by their ID and by the namespace and name of their pod. Immutable.
type Groups struct {
	ids  map[string]bool
	pods map[string]bool
}

// NewGroups returns the groups among these that cost money.
func NewGroups(all ...eci.GroupStatus) Groups {
	g := Groups{ids: map[string]bool{}, pods: map[string]bool{}}
	for _, group := range all {
		if group.Billed() {
			g.ids[group.ID] = true
			g.pods[group.Namespace+"/"+group.Name] = true
		}
	}
	return g
}

// Has tells whether the instance of a pod is among the groups: by the instance ID that the virtual-kubelet has written on the pod, otherwise by name.
func (g Groups) Has(pod *corev1.Pod) bool {
	if id := pod.Annotations[v1alpha1.AnnotationInstanceID]; id != "" {
		return g.ids[id]
	}
	return g.pods[pod.Namespace+"/"+pod.Name]
}

// tracker follows the container groups of an account by what changed, so that the number of calls does not grow with the number of groups.
type tracker struct {
	groups         map[string]eci.GroupStatus
	asked, relists time.Time
}

// update asks for what changed. It returns the groups that cost money.
func (t *tracker) update(ctx context.Context, client eci.Client, region string, now time.Time) (map[string]eci.GroupStatus, error) {
	since := now.Sub(t.asked) + overlap
	all := t.asked.IsZero() || since > longestGap || !now.Before(t.relists)
	if all {
		since = 0
	}
	changed, err := client.DescribeContainerGroupStatus(ctx, region, since)
	if err != nil {
		return nil, fmt.Errorf("listing container groups: %w", err)
	}
	if all {
		t.groups, t.relists = map[string]eci.GroupStatus{}, now.Add(relistAfter)
	}
	for _, group := range changed {
		if group.Billed() {
			t.groups[group.ID] = group
		} else {
			delete(t.groups, group.ID)
		}
	}
	t.asked = now
	return maps.Clone(t.groups), nil
}

// inBoth returns the groups that are in both lists.
func inBoth(before, after map[string]eci.GroupStatus) Groups {
	var both []eci.GroupStatus
	for id, group := range after {
		if _, ok := before[id]; ok {
			both = append(both, group)
		}
	}
	return NewGroups(both...)
}
