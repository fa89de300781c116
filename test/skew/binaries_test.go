package skew

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gexec"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/test/wrappers"
)

// oldest and newest are the versions that the scheduler can act as; newest is what it acts as when nothing else is said.
const (
	oldest = "1.34"
	newest = "1.37"
)

var _ = It("places a pod on a machine and the next one on ECI, with the rights of an installation", func() {
	machine := wrappers.MakeNode("machine").Label("unit", "machine").Capacity(corev1.ResourceCPU, "2").Obj()
	machine.UID = ""
	Expect(api.Create(context.Background(), machine)).To(Succeed())
	// The scheduler knows the policy from the start.
	policy := wrappers.MakePolicy("web").Namespace(metav1.NamespaceDefault).Selector("app", "web").
		Unit(wrappers.ECS().On("unit", "machine")).Unit(wrappers.ECI()).Obj()
	policy.UID = ""
	Expect(api.Create(context.Background(), policy)).To(Succeed())
	zone := wrappers.MakeZone("cn-beijing-j").VSwitch("vsw-cn-beijing-j").Obj()
	zone.UID = ""
	Expect(api.Create(context.Background(), zone)).To(Succeed())

	processes := []*gexec.Session{start(controller, "--kubeconfig="+kubeconfigOf(controller), "--eci-endpoint="+eciURL,
		"--metrics-bind-address=0", "--health-probe-bind-address=127.0.0.1:0")}
	processes = append(processes, startScheduler("--emulated-version="+version))
	Expect(place("first")).To(Equal("machine"))
	Expect(place("second")).To(Equal("virtual-kubelet-cn-beijing-j"))

	By("going on as an older version, as after an upgrade of the cluster alone")
	Eventually(processes[1].Terminate()).Should(gexec.Exit())
	processes = append(processes, startScheduler("--emulated-version="+oldest))
	Expect(place("third")).To(Equal("virtual-kubelet-cn-beijing-j"))

	for _, process := range processes {
		log := string(process.Err.Contents())
		Expect(log).NotTo(ContainSubstring("is forbidden"))
		Expect(log).NotTo(ContainSubstring("could not find the requested resource"))
	}
})

var _ = It("refuses to act as a version that is newer than the cluster's", func() {
	if version == newest {
		Skip("the scheduler cannot act as a newer version than this")
	}
	process := startScheduler()
	Eventually(process).Should(gexec.Exit(1))
	Expect(string(process.Err.Contents())).To(ContainSubstring("start it with --emulated-version=" + version))
})

// place creates a pod that fills a machine and returns the node that it is bound to.
func place(name string) string {
	GinkgoHelper()
	pod := wrappers.MakePod(name).Namespace(metav1.NamespaceDefault).Label("app", "web").Request(corev1.ResourceCPU, "2").Obj()
	pod.UID = ""
	Expect(api.Create(context.Background(), pod)).To(Succeed())
	Eventually(func(g Gomega) {
		g.Expect(api.Get(context.Background(), client.ObjectKeyFromObject(pod), pod)).To(Succeed())
		g.Expect(pod.Spec.NodeName).NotTo(BeEmpty(), "pod %s waits: %v", pod.Name, pod.Status.Conditions)
	}).Should(Succeed())
	return pod.Spec.NodeName
}
