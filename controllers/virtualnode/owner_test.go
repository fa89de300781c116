package virtualnode

import (
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/spillway-k8s/spillway/test/wrappers"
)

// TestDrain_DaemonSetOfAnotherGroup checks that the drain waits for pods of a kind that only has the name of a
// DaemonSet.
func TestDrain_DaemonSetOfAnotherGroup(t *testing.T) {
	for apiVersion, want := range map[string]bool{"apps/v1": true, "apps.kruise.io/v1alpha1": true, "ads.example.com/v1": false} {
		if got := ownedByDaemonSet(wrappers.MakePod("p").OwnedBy(apiVersion, "DaemonSet", "agent").Obj()); got != want {
			t.Errorf("%s: goes with the Node = %v, want %v", apiVersion, got, want)
		}
	}
}

// TestMoveRefused_SuccessorOfTheJob checks that a Job which has the name of the pod's Job, and is another one, does not
// answer for it.
func TestMoveRefused_SuccessorOfTheJob(t *testing.T) {
	for uid, want := range map[string]int{"owner": 1, "successor": 0} {
		job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "owner"}}
		job.UID = types.UID(uid)
		s := newScene(t, job, refused("p", "Job", "batch/v1"))
		s.moveAll(soldOut(0), s.pods())
		if len(s.evicted) != want {
			t.Errorf("Job %s: %d pods are evicted, want %d", uid, len(s.evicted), want)
		}
	}
}
