package perf

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/kubernetes/test/utils/client-go/ktesting"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/spillway-k8s/spillway/controllers"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

const (
	prepareTimeout = time.Minute
	prepareEvery   = 100 * time.Millisecond
)

// template writes a template and returns its path.
func (r *run) template(name, text string) string {
	path := filepath.Join(r.dir, fmt.Sprintf("%s-%d.yaml", name, r.templates))
	r.templates++
	if err := os.WriteFile(path, []byte(strings.TrimLeft(text, "\n")), 0o600); err != nil {
		panic(err) // The directory is the test's own.
	}
	return path
}

// prepare installs the CRDs, the policies and the VirtualNodes, and waits until the scheduler acts on them.
func (r *run) prepare(tCtx ktesting.TContext, c perfCase) error {
	if r.scheduler == stock {
		return nil
	}
	if err := installCRDs(tCtx); err != nil {
		return err
	}
	options, err := controllers.ManagerOptions()
	if err != nil {
		return err
	}
	config := rest.CopyConfig(tCtx.RESTConfig())
	config.ContentType = runtime.ContentTypeJSON // Custom resources have no other encoding.
	api, err := client.New(config, client.Options{Scheme: options.Scheme})
	if err != nil {
		return fmt.Errorf("creating a client: %w", err)
	}
	for _, name := range []string{namespace, others} {
		if err := api.Create(tCtx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
			return fmt.Errorf("creating namespace %s: %w", name, err)
		}
	}
	all := []*wrappers.Policy{wrappers.MakePolicy("probe").Selector("app", "probe").Unit(wrappers.ECS())}
	if c.policies != nil {
		all = append(all, c.policies()...)
	}
	// The probe is the last: when it is known the others are.
	for i := len(all) - 1; i >= 0; i-- {
		rp := all[i].Obj()
		if rp.UID = ""; rp.Namespace != others {
			rp.Namespace = namespace
		}
		if err := api.Create(tCtx, rp); err != nil {
			return fmt.Errorf("creating policy %s: %w", rp.Name, err)
		}
	}
	if c.virtual {
		if err := describeVirtualNodes(tCtx, api); err != nil {
			return err
		}
	}
	if r.scheduler == score {
		return nil
	}
	return probe(tCtx, api)
}

// installCRDs installs the CRDs of Spillway and waits until they are served.
func installCRDs(tCtx ktesting.TContext) error {
	files, err := filepath.Glob(filepath.Join("..", "..", "config", "crd", "*.yaml"))
	if err != nil {
		return err
	}
	crds := tCtx.APIExtensions().ApiextensionsV1().CustomResourceDefinitions()
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.Unmarshal(data, crd); err != nil {
			return fmt.Errorf("decoding %s: %w", file, err)
		}
		if _, err := crds.Create(tCtx, crd, metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("creating %s: %w", crd.Name, err)
		}
		err = poll(tCtx, func(ctx context.Context) (bool, error) {
			current, err := crds.Get(ctx, crd.Name, metav1.GetOptions{})
			if err != nil {
				return false, err
			}
			for _, condition := range current.Status.Conditions {
				if condition.Type == apiextensionsv1.Established && condition.Status == apiextensionsv1.ConditionTrue {
					return true, nil
				}
			}
			return false, nil
		})
		if err != nil {
			return fmt.Errorf("waiting for %s: %w", crd.Name, err)
		}
	}
	return nil
}

// describeVirtualNodes creates a VirtualNode for each virtual node, with more than the pods need.
func describeVirtualNodes(ctx context.Context, api client.Client) error {
	for i := range virtualNodes {
		z := wrappers.MakeZone("cn-beijing-j").External().Offers("cpu", "10000").Offers("memory", "80Ti").Offers("pods", "10000").Quota("100000").
			Fresh(time.Now().Add(24*time.Hour)).Price("0.18", "0.036")
		z.Name, z.UID, z.Spec.NodeName = fmt.Sprintf("virtual-%d", i), "", fmt.Sprintf("virtual-%d", i)
		vn := z.Obj()
		status := vn.Status
		if err := api.Create(ctx, vn); err != nil {
			return fmt.Errorf("creating VirtualNode %s: %w", vn.Name, err)
		}
		vn.Status = status
		vn.Status.ObservedGeneration = vn.Generation
		if err := api.Status().Update(ctx, vn); err != nil {
			return fmt.Errorf("writing the status of VirtualNode %s: %w", vn.Name, err)
		}
	}
	return nil
}

// probe waits until a pod that fits nowhere is refused in the words of a policy. In a cluster without nodes the scheduler does not ask its plugins.
func probe(ctx context.Context, api client.Client) error {
	node := wrappers.MakeNode("probe").Capacity("pods", "0").Obj()
	pod := wrappers.MakePod("probe").Namespace(namespace).Label("app", "probe").Request("cpu", "1").Scheduler("default-scheduler").Obj()
	node.UID, pod.UID = "", ""
	for _, object := range []client.Object{node, pod} {
		if err := api.Create(ctx, object); err != nil {
			return fmt.Errorf("creating %s: %w", object.GetName(), err)
		}
	}
	err := poll(ctx, func(ctx context.Context) (bool, error) {
		if err := api.Get(ctx, client.ObjectKeyFromObject(pod), pod); err != nil {
			return false, err
		}
		for _, condition := range pod.Status.Conditions {
			if strings.Contains(condition.Message, "unit 0 (") {
				return true, nil
			}
		}
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("waiting until the scheduler acts on the policies: %w", err)
	}
	for _, object := range []client.Object{pod, node} {
		if err := api.Delete(ctx, object, client.GracePeriodSeconds(0)); err != nil {
			return fmt.Errorf("deleting %s: %w", object.GetName(), err)
		}
	}
	return nil
}

func poll(ctx context.Context, done wait.ConditionWithContextFunc) error {
	return wait.PollUntilContextTimeout(ctx, prepareEvery, prepareTimeout, true, done)
}

// judge counts the pods that are not where the order wants them: of a unit with more pods than belong there, those that are too many.
func (r *run) judge(tCtx ktesting.TContext, c perfCase) {
	pods, err := tCtx.Client().CoreV1().Pods(metav1.NamespaceAll).List(tCtx, metav1.ListOptions{})
	if err != nil {
		tCtx.Errorf("listing pods: %v", err)
		return
	}
	nodes, err := tCtx.Client().CoreV1().Nodes().List(tCtx, metav1.ListOptions{})
	if err != nil {
		tCtx.Errorf("listing nodes: %v", err)
		return
	}
	unitOf := map[string]string{}
	for i := range nodes.Items {
		unitOf[nodes.Items[i].Name] = nodes.Items[i].Labels[unitLabel]
	}
	out, counts := result{LiveHeap: r.heap()}, map[string]int{}
	for i := range pods.Items {
		if node := pods.Items[i].Spec.NodeName; node != "" {
			counts[unitOf[node]]++
			if pods.Items[i].Namespace == namespace {
				out.Measured++
			}
		}
	}
	if c.expected != nil {
		expected := c.expected(r)
		for unit, n := range counts {
			out.OrderViolations += max(n-expected[unit], 0)
		}
	}
	if err := writeResult(out); err != nil {
		tCtx.Errorf("writing the result: %v", err)
	}
}
