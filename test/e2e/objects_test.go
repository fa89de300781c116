package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// snapshot is every object of the cluster by "resource namespace/name", with a digest of what somebody wrote on it: all but its status, its version and
// its node. Events are left out, and of Leases what they hold: they change by themselves.
type snapshot map[string]string

func takeSnapshot(ctx context.Context) snapshot {
	GinkgoHelper()
	objects := snapshot{}
	for _, resource := range listable() {
		list, err := everything.Resource(resource).List(ctx, metav1.ListOptions{})
		if apierrors.IsNotFound(err) {
			continue // Its CRD went after it was listed.
		}
		Expect(err).NotTo(HaveOccurred(), "listing %s", resource.Resource)
		for i := range list.Items {
			object := &list.Items[i]
			name := fmt.Sprintf("%s %s/%s", resource.GroupResource(), object.GetNamespace(), object.GetName())
			objects[name] = digest(object)
		}
	}
	return objects
}

// listable returns every kind of object that the API server can list, but events.
func listable() []schema.GroupVersionResource {
	GinkgoHelper()
	lists, err := discoverer.ServerPreferredResources()
	Expect(err).NotTo(HaveOccurred())
	var resources []schema.GroupVersionResource
	for _, list := range lists {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		Expect(err).NotTo(HaveOccurred())
		for i := range list.APIResources {
			r := &list.APIResources[i]
			if slices.Contains(r.Verbs, "list") && r.Name != "events" && r.Name != "componentstatuses" {
				resources = append(resources, version.WithResource(r.Name))
			}
		}
	}
	return resources
}

func digest(object *unstructured.Unstructured) string {
	GinkgoHelper()
	content := object.DeepCopy()
	for _, field := range [][]string{{"status"}, {"metadata", "managedFields"}, {"metadata", "resourceVersion"}, {"spec", "nodeName"}} {
		unstructured.RemoveNestedField(content.Object, field...)
	}
	if content.GetKind() == "Lease" {
		unstructured.RemoveNestedField(content.Object, "spec")
	}
	data, err := json.Marshal(content.Object)
	Expect(err).NotTo(HaveOccurred())
	return fmt.Sprintf("%x", sha256.Sum256(data))[:12]
}

// with returns the objects whose name begins with one of the prefixes, and without the others.
func (s snapshot) with(prefixes ...string) snapshot    { return s.filter(true, prefixes) }
func (s snapshot) without(prefixes ...string) snapshot { return s.filter(false, prefixes) }

func (s snapshot) filter(keep bool, prefixes []string) snapshot {
	rest := maps.Clone(s)
	maps.DeleteFunc(rest, func(name, _ string) bool {
		return keep != slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
	})
	return rest
}

// names returns the objects that are in s and not in before.
func (s snapshot) names(before snapshot) []string {
	var added []string
	for name := range s {
		if _, ok := before[name]; !ok {
			added = append(added, name)
		}
	}
	slices.Sort(added)
	return added
}

// changes returns what was created, deleted and changed since, a line for each object.
func (s snapshot) changes(before snapshot) []string {
	lines := []string{}
	for name, digest := range s {
		if old, ok := before[name]; !ok {
			lines = append(lines, "created: "+name)
		} else if old != digest {
			lines = append(lines, "changed: "+name)
		}
	}
	for _, name := range before.names(s) {
		lines = append(lines, "deleted: "+name)
	}
	slices.Sort(lines)
	return lines
}

// expectUnchanged demands that nothing was created, changed or deleted since.
func expectUnchanged(ctx context.Context, before snapshot) {
	GinkgoHelper()
	Expect(takeSnapshot(ctx).without(ofTests...).changes(before.without(ofTests...))).To(BeEmpty())
}
