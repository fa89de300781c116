package owner

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestKindOf(t *testing.T) {
	for apiVersion, want := range map[string]bool{
		"apps/v1": true, "apps/v1beta2": true, "apps.kruise.io/v1beta1": false, "apps": false, "v1": false, "": false, "/v1": false, "/apps/v1": false,
	} {
		if got := KindOf(&metav1.OwnerReference{APIVersion: apiVersion, Kind: "StatefulSet"}) == StatefulSet; got != want {
			t.Errorf("%q: is a StatefulSet of Kubernetes = %v, want %v", apiVersion, got, want)
		}
	}
	if got := KindOf(&metav1.OwnerReference{APIVersion: "v1", Kind: "ReplicationController"}); got != ReplicationController {
		t.Errorf("kind %+v", got)
	}
}

func TestIsDaemonSet(t *testing.T) {
	for apiVersion, want := range map[string]bool{"apps/v1": true, "apps.kruise.io/v1alpha1": true, "ads.example.com/v1": false, "": false} {
		if got := IsDaemonSet(&metav1.OwnerReference{APIVersion: apiVersion, Kind: "DaemonSet"}); got != want {
			t.Errorf("%q: is a DaemonSet = %v, want %v", apiVersion, got, want)
		}
	}
	if IsDaemonSet(nil) || IsDaemonSet(&metav1.OwnerReference{APIVersion: "apps/v1", Kind: "ReplicaSet"}) {
		t.Error("no owner, or a ReplicaSet, is taken for a DaemonSet")
	}
}
