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
	// relistAgain is how soon it is tried again when that failed.
	relistAgain = time.Minute
	// longestGap is the longest time for which changes are asked for; after a longer one all groups are listed.
	longestGap = 10 * time.Minute
	// listingTakes is how long it may take to list all groups, and firstListing for how long the first list is waited for.
	listingTakes = 5 * time.Minute
	firstListing = 3 * time.Second
)

// Groups are container groups that cost money, by their ID. Immutable.
type Groups map[string]eci.GroupStatus

// NewGroups returns the groups among these that cost money.
func NewGroups(all ...eci.GroupStatus) Groups {
	g := Groups{}
	for _, group := range all {
		if group.Billed() {
			g[group.ID] = group
		}
	}
	return g
}

// Of returns the ID of a pod's instance if it is among the groups: the virtual-kubelet has written it on the pod, and ECI names the pod, by its name alone or
// behind its namespace. Either alone would not do: whoever creates a pod can write annotations, and other clusters of the account have pods of that name.
func (g Groups) Of(pod *corev1.Pod) (id string, exists bool) {
	id = pod.Annotations[v1alpha1.AnnotationInstanceID]
	group, exists := g[id]
	return id, exists && group.Namespace == pod.Namespace && (group.Name == pod.Name || group.Name == pod.Namespace+"-"+pod.Name)
}

// tracker follows the container groups of an account by what changed, so that the number of calls does not grow with the number of groups. All of them are
// listed beside that: it may take longer than a refresh.
type tracker struct {
	groups map[string]eci.GroupStatus
	// asked is up to when changes are known.
	asked time.Time
	// relists is when all groups are to be listed again, and listing what lists them now; nil when nothing does.
	relists time.Time
	listing chan listing
}

// listing is a list of all groups.
type listing struct {
	begun  time.Time
	groups []eci.GroupStatus
	err    error
}

// update asks for what changed. It returns the groups that cost money: those that are known, while they have not all been listed yet.
func (t *tracker) update(ctx context.Context, client eci.Client, region string, now time.Time) (map[string]eci.GroupStatus, error) {
	gap := !t.asked.IsZero() && now.Sub(t.asked) > longestGap
	if t.listing == nil && (gap || !now.Before(t.relists)) {
		t.listing = list(ctx, client, region, now)
	}
	t.takeOver(ctx, now)
	since := overlap
	if !t.asked.IsZero() {
		since += now.Sub(t.asked)
	}
	changed, err := client.DescribeContainerGroupStatus(ctx, region, since)
	if err != nil {
		return nil, fmt.Errorf("listing container groups: %w", err)
	}
	t.note(changed)
	t.asked = now
	return maps.Clone(t.groups), nil
}

// list begins to list all groups.
func list(ctx context.Context, client eci.Client, region string, now time.Time) chan listing {
	done := make(chan listing, 1)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), listingTakes)
	go func() {
		defer cancel()
		groups, err := client.DescribeContainerGroupStatus(ctx, region, 0)
		done <- listing{begun: now, groups: groups, err: err}
	}()
	return done
}

// takeOver takes the list of all groups over when it is there. The first one is waited for, for a moment: until it is there the pods of our own count twice.
func (t *tracker) takeOver(ctx context.Context, now time.Time) {
	if t.listing == nil {
		return
	}
	if !t.asked.IsZero() {
		select {
		case all := <-t.listing:
			t.use(&all, now)
		default:
		}
		return
	}
	select {
	case all := <-t.listing:
		t.use(&all, now)
	case <-time.After(firstListing):
	case <-ctx.Done():
	}
}

// use takes a list over. One that failed changes nothing: the groups that are known are good enough until it succeeds.
func (t *tracker) use(all *listing, now time.Time) {
	t.listing = nil
	if all.err != nil {
		t.relists = now.Add(relistAgain)
		return
	}
	t.groups = nil
	t.note(all.groups)
	t.asked, t.relists = all.begun, all.begun.Add(relistAfter)
}

// note takes over what groups are now.
func (t *tracker) note(changed []eci.GroupStatus) {
	if t.groups == nil {
		t.groups = map[string]eci.GroupStatus{}
	}
	for _, group := range changed {
		if group.Billed() {
			t.groups[group.ID] = group
		} else {
			delete(t.groups, group.ID)
		}
	}
}

// inBoth returns the groups that are in both lists.
func inBoth(before, after map[string]eci.GroupStatus) Groups {
	both := Groups{}
	for id, group := range after {
		if _, ok := before[id]; ok {
			both[id] = group
		}
	}
	return both
}
