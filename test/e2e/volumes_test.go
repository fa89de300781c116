package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// mount puts the files of a volume where the container mounts it.
func (p *pod) mount(ctx context.Context, mount *corev1.VolumeMount, root string) {
	GinkgoHelper()
	at := slices.IndexFunc(p.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == mount.Name })
	Expect(at).NotTo(BeNumerically("<", 0), "volume %s", mount.Name)
	Expect(mount.SubPath).To(BeEmpty(), "mount %s: subPath is not played here", mount.MountPath)
	volume := &p.Spec.Volumes[at]
	files := map[string][]byte{}
	switch {
	case volume.ConfigMap != nil:
		files = p.configMap(ctx, volume.ConfigMap.Name, volume.ConfigMap.Items)
	case volume.Secret != nil:
		files = p.secret(ctx, volume.Secret.SecretName, volume.Secret.Items)
	case volume.Projected != nil:
		for i := range volume.Projected.Sources {
			for name, data := range p.source(ctx, &volume.Projected.Sources[i]) {
				files[name] = data
			}
		}
	default:
		Fail(fmt.Sprintf("volume %s: only configMap, secret and projected are played here", volume.Name))
	}
	dir := filepath.Join(root, mount.MountPath)
	for name, data := range files {
		Expect(os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755)).To(Succeed())
		Expect(os.WriteFile(filepath.Join(dir, name), data, 0o444)).To(Succeed())
	}
}

func (p *pod) source(ctx context.Context, source *corev1.VolumeProjection) map[string][]byte {
	GinkgoHelper()
	switch {
	case source.ServiceAccountToken != nil:
		token := p.token(ctx, source.ServiceAccountToken)
		return map[string][]byte{source.ServiceAccountToken.Path: []byte(token)}
	case source.ConfigMap != nil:
		return p.configMap(ctx, source.ConfigMap.Name, source.ConfigMap.Items)
	case source.Secret != nil:
		return p.secret(ctx, source.Secret.Name, source.Secret.Items)
	case source.DownwardAPI != nil:
		files := map[string][]byte{}
		for _, item := range source.DownwardAPI.Items {
			files[item.Path] = []byte(p.field(item.FieldRef.FieldPath))
		}
		return files
	}
	Fail(fmt.Sprintf("a projected volume has a source that is not played here: %v", source))
	return nil
}

// token asks for a token of the pod's ServiceAccount, bound to the pod as the kubelet does.
func (p *pod) token(ctx context.Context, source *corev1.ServiceAccountTokenProjection) string {
	GinkgoHelper()
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		ExpirationSeconds: source.ExpirationSeconds,
		BoundObjectRef:    &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: p.Name, UID: p.UID},
	}}
	if source.Audience != "" {
		request.Spec.Audiences = []string{source.Audience}
	}
	return requestToken(ctx, p.Spec.ServiceAccountName, request)
}

// tokenOf returns a token of a ServiceAccount of the release's namespace.
func tokenOf(ctx context.Context, account string) string {
	GinkgoHelper()
	return requestToken(ctx, account, &authenticationv1.TokenRequest{})
}

func requestToken(ctx context.Context, account string, request *authenticationv1.TokenRequest) string {
	GinkgoHelper()
	subject := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: account}}
	Expect(api.SubResource("token").Create(ctx, subject, request)).To(Succeed(), "a token of ServiceAccount %s", account)
	return request.Status.Token
}

func (p *pod) configMap(ctx context.Context, name string, items []corev1.KeyToPath) map[string][]byte {
	GinkgoHelper()
	object := &corev1.ConfigMap{}
	Expect(api.Get(ctx, client.ObjectKey{Namespace: p.Namespace, Name: name}, object)).To(Succeed())
	data := map[string][]byte{}
	for key, value := range object.Data {
		data[key] = []byte(value)
	}
	return pick(data, items)
}

func (p *pod) secret(ctx context.Context, name string, items []corev1.KeyToPath) map[string][]byte {
	GinkgoHelper()
	object := &corev1.Secret{}
	Expect(api.Get(ctx, client.ObjectKey{Namespace: p.Namespace, Name: name}, object)).To(Succeed())
	return pick(object.Data, items)
}

// pick returns the files of a volume: all keys, or the items.
func pick(data map[string][]byte, items []corev1.KeyToPath) map[string][]byte {
	GinkgoHelper()
	if len(items) == 0 {
		return data
	}
	files := map[string][]byte{}
	for _, item := range items {
		Expect(data).To(HaveKey(item.Key))
		files[item.Path] = data[item.Key]
	}
	return files
}
