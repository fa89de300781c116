package provider

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/ecispec"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

func TestAPodRuns(t *testing.T) {
	w := start(t)
	w.node()
	w.play()
	w.pod(wrappers.MakePod("web").Namespace("shop"))
	w.pod(wrappers.MakePod("elsewhere").Node("ecs-1"))
	w.eventually("the pod runs", w.inPhase("web", corev1.PodRunning))
	groups := w.groups()
	if len(groups) != 1 || groups[0].Name != "shop-web" || groups[0].Spec != "2-4Gi" || groups[0].VSwitch != "vsw-cn-beijing-j" ||
		groups[0].Tags["UID"] != "uid-web" || groups[0].Tags["NameSpace"] != "shop" || groups[0].Tags["PodName"] != "web" {
		t.Errorf("the groups: %+v", groups)
	}
	pod := w.get("web")
	if pod.Annotations[v1alpha1.AnnotationInstanceID] != groups[0].ID || pod.Annotations[ecispec.AnnotationInstanceSpec] != "2-4Gi" {
		t.Errorf("the annotations: %v", pod.Annotations)
	}
	if got := w.says("web"); got != "True Created: " {
		t.Errorf("the condition: %s", got)
	}
	if len(pod.Status.ContainerStatuses) != len(pod.Spec.Containers) || pod.Status.StartTime == nil {
		t.Errorf("the status: %+v", pod.Status)
	}
	if got := w.get("elsewhere").Status.Phase; got != corev1.PodPending {
		t.Errorf("a pod of another node is %s", got)
	}
}

func TestTheNodeIsKnownLater(t *testing.T) {
	w := start(t)
	w.play()
	w.pod(wrappers.MakePod("web"))
	w.node()
	w.eventually("the pod runs", w.inPhase("web", corev1.PodRunning))
}

func TestSpecificationsInTheirOrder(t *testing.T) {
	w := start(t)
	w.zone(`{"stock":{"2-4Gi":"WithoutStock"}}`)
	w.node()
	w.play()
	w.pod(wrappers.MakePod("web").Annotation(ecispec.AnnotationUseSpecs, "2-4Gi,4-8Gi,8-16Gi"))
	w.eventually("the pod runs", w.inPhase("web", corev1.PodRunning))
	if got := w.get("web").Annotations[ecispec.AnnotationInstanceSpec]; got != "4-8Gi" {
		t.Errorf("it has %s, want 4-8Gi", got)
	}
}

func TestAPodOfAJobEnds(t *testing.T) {
	w := start(t)
	w.node()
	w.play()
	w.pod(wrappers.MakePod("work").OwnedBy("batch/v1", "Job", "job"))
	w.eventually("the pod has succeeded", w.inPhase("work", corev1.PodSucceeded))
	w.eventually("its group is gone", func() bool { return len(w.groups()) == 0 })
	if got := w.asked.Load(); got != 1 {
		t.Errorf("%d creations, want 1", got)
	}
}

func TestRefusals(t *testing.T) {
	for name, tc := range map[string]struct{ state, undo, want string }{
		"no stock": {
			`{"regions":{"cn-beijing":{"zones":{"cn-beijing-j":{"default":"WithoutStock"}}}}}`,
			`{"regions":{"cn-beijing":{"zones":{"cn-beijing-j":{"default":"WithStock"}}}}}`, "False NoStock: OperationDenied.NoStock",
		},
		"closed": {
			`{"regions":{"cn-beijing":{"zones":{"cn-beijing-j":{"closed":true}}}}}`,
			`{"regions":{"cn-beijing":{"zones":{"cn-beijing-j":{"closed":false}}}}}`, "False StockClose: Zone.NotOnSale",
		},
		"quota": {
			`{"regions":{"cn-beijing":{"maxCPU":1}}}`, `{"regions":{"cn-beijing":{"maxCPU":2}}}`, "False QuotaExceeded: QuotaExceeded",
		},
		"addresses": {
			`{"regions":{"cn-beijing":{"vSwitches":{"vsw-cn-beijing-j":{"freeIPs":0}}}}}`,
			`{"regions":{"cn-beijing":{"vSwitches":{"vsw-cn-beijing-j":{"freeIPs":1}}}}}`, "False IpNotEnough: InvalidVSwitchId.IpNotEnough",
		},
		"anything else": {
			`{"actions":{"CreateContainerGroup":{"failWith":"Account.Arrearage"}}}`, `{"actions":null}`, "False UnknownError: Account.Arrearage",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t)
			w.patch(tc.state)
			w.node()
			w.play()
			w.pod(wrappers.MakePod("web"))
			w.eventually("the pod says why: "+tc.want, func() bool { return w.says("web") == tc.want })
			w.eventually("it is tried again", func() bool { return w.asked.Load() >= 3 })
			if w.get("web").Status.Phase != corev1.PodPending {
				t.Error("the pod does not wait")
			}
			w.patch(tc.undo)
			w.eventually("the pod runs", w.inPhase("web", corev1.PodRunning))
			if got := w.says("web"); got != "True Created: " {
				t.Errorf("the condition: %s", got)
			}
		})
	}
}

// TestARefusalIsNotAskedAgainAtOnce has a single worker, which takes the pods in the order of their changes: what is written about the refusal comes
// back before the other pod.
func TestARefusalIsNotAskedAgainAtOnce(t *testing.T) {
	w := start(t)
	w.options.Retry, w.options.Workers = time.Hour, 1
	w.zone(`{"stock":{"2-4Gi":"WithoutStock"}}`)
	w.node()
	w.play()
	w.pod(wrappers.MakePod("web"))
	w.eventually("the pod says why", func() bool { return w.says("web") != "" })
	w.pod(wrappers.MakePod("other").Annotation(ecispec.AnnotationUseSpecs, "4-8Gi"))
	w.eventually("the other pod runs", w.inPhase("other", corev1.PodRunning))
	if got := w.asked.Load(); got != 2 {
		t.Errorf("%d creations, want one for each pod", got)
	}
}

func TestAPodFailsFast(t *testing.T) {
	w := start(t)
	w.zone(`{"default":"WithoutStock"}`)
	w.node()
	w.play()
	w.pod(wrappers.MakePod("web").Annotation(annotationFailStrategy, failFast))
	w.eventually("the pod has failed", w.inPhase("web", corev1.PodFailed))
	if got := w.get("web").Status.Reason; got != "ProviderFailed" {
		t.Errorf("its reason is %s", got)
	}
	w.zone(`{"default":"WithStock"}`)
	w.pod(wrappers.MakePod("later"))
	w.eventually("another pod runs", w.inPhase("later", corev1.PodRunning))
	if got := w.asked.Load(); got != 2 {
		t.Errorf("%d creations, want one for each pod", got)
	}
}

func TestAnOutageSaysNothing(t *testing.T) {
	for name, state := range map[string]string{
		"outage": `{"outage":true}`, "throttled": `{"failWith":"Throttling.User"}`, "the server fails": `{"errorRate":1}`,
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t)
			w.patch(state)
			w.node()
			w.play()
			w.pod(wrappers.MakePod("web"))
			w.eventually("it was tried twice", func() bool { return w.asked.Load() >= 2 })
			if got := w.says("web"); got != "" {
				t.Errorf("the pod says %s", got)
			}
			w.patch(`{"outage":false,"failWith":"","errorRate":0}`)
			w.eventually("the pod runs", w.inPhase("web", corev1.PodRunning))
		})
	}
}

func TestAPodThatIsDeleted(t *testing.T) {
	w := start(t)
	w.node()
	w.play()
	w.pod(wrappers.MakePod("web"))
	w.pod(wrappers.MakePod("forced"))
	w.eventually("both run", func() bool { return len(w.groups()) == 2 && w.inPhase("web", corev1.PodRunning)() })
	// The fake API server knows no grace: this is a deletion that the provider learns of when the pod is gone.
	if err := w.kube.CoreV1().Pods("default").Delete(t.Context(), "forced", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.eventually("its group is gone", func() bool { return len(w.groups()) == 1 })
	pod := w.get("web")
	pod.DeletionTimestamp = &metav1.Time{Time: time.Now()}
	if _, err := w.kube.CoreV1().Pods("default").Update(t.Context(), pod, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	w.eventually("the pod and its group are gone", func() bool { return len(w.groups()) == 0 && w.get("web") == nil })
}

func TestAnotherProviderGoesOn(t *testing.T) {
	w := start(t)
	w.node()
	stop := w.play()
	w.pod(wrappers.MakePod("web"))
	w.eventually("the pod runs", w.inPhase("web", corev1.PodRunning))
	stop()
	pod := w.get("web")
	pod.DeletionTimestamp = &metav1.Time{Time: time.Now()}
	if _, err := w.kube.CoreV1().Pods("default").Update(t.Context(), pod, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	w.play()
	w.eventually("the pod and its group are gone", func() bool { return len(w.groups()) == 0 && w.get("web") == nil })
}

func TestAnAnswerThatIsLost(t *testing.T) {
	t.Run("the pod stays", func(t *testing.T) {
		w := start(t)
		w.lost.Store(1)
		w.node()
		w.play()
		w.pod(wrappers.MakePod("web"))
		w.eventually("the pod runs", w.inPhase("web", corev1.PodRunning))
		if got := w.groups(); len(got) != 1 {
			t.Errorf("the groups: %+v", got)
		}
	})
	t.Run("the pod goes", func(t *testing.T) {
		w := start(t)
		w.lost.Store(1)
		w.node()
		w.play()
		w.pod(wrappers.MakePod("web"))
		w.eventually("the group is there", func() bool { return len(w.groups()) == 1 })
		if err := w.kube.CoreV1().Pods("default").Delete(t.Context(), "web", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		w.eventually("the group is gone", func() bool { return len(w.groups()) == 0 })
	})
}
