package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/spillway-k8s/spillway/internal/ecisim"
)

const (
	namespace = "spillway-system"
	// secretName is the Secret that config/samples/virtualnode.yaml names.
	secretName = "eci-credentials"
	// tokenSeconds is how long the tokens of a local cluster last.
	tokenSeconds = 365 * 24 * 3600
)

// install puts into the cluster what an installation of Spillway has: the CRDs, the roles, the admission policy that is on by default, the identities and
// the configuration. What plays kubelets and ECI is an administrator, whom the policy exempts.
func (c *cluster) install(ctx context.Context, api client.Client, ports map[string]int) error {
	for _, pattern := range []string{"crd/*.yaml", "rbac/*.yaml", "admission/placed-pods.yaml"} {
		if err := apply(ctx, api, filepath.Join("config", pattern)); err != nil {
			return err
		}
	}
	credentials := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: secretName},
		StringData: simulatorCredentials(),
	}
	if err := api.Create(ctx, credentials); err != nil {
		return fmt.Errorf("creating Secret %s: %w", secretName, err)
	}
	for _, name := range []string{"spillway-scheduler", "spillway-controller"} {
		if err := c.writeServiceAccountKubeconfig(ctx, api, name, ports); err != nil {
			return err
		}
	}
	if err := c.writeSchedulerConfig(); err != nil {
		return err
	}
	return waitForDefaultServiceAccount(ctx, api)
}

// client returns a client with the rights of the administrator.
func (c *cluster) client() (client.Client, error) {
	config, err := clientcmd.BuildConfigFromFlags("", c.file("kubeconfig"))
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	api, err := client.New(config, client.Options{})
	if err != nil {
		return nil, fmt.Errorf("creating a client: %w", err)
	}
	return api, nil
}

// writeSimulatorURL writes where the ECI simulator is.
func (c *cluster) writeSimulatorURL(ports map[string]int) error {
	if err := os.WriteFile(c.file("eci-simulator.url"), []byte(loopback("http", ports["eci-simulator"])+"\n"), 0o644); err != nil {
		return fmt.Errorf("writing eci-simulator.url: %w", err)
	}
	return nil
}

func simulatorCredentials() map[string]string {
	for id, secret := range ecisim.DefaultState().AccessKeys {
		return map[string]string{"accessKeyID": id, "accessKeySecret": secret}
	}
	return nil
}

// apply creates the objects of the files that match.
func apply(ctx context.Context, api client.Client, pattern string) error {
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		return fmt.Errorf("finding %s: no such file; run the command from the root of the repository", pattern)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("reading %s: %w", file, err)
		}
		decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096)
		for {
			object := &unstructured.Unstructured{}
			if err := decoder.Decode(object); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return fmt.Errorf("decoding %s: %w", file, err)
			}
			if err := api.Create(ctx, object); err != nil {
				return fmt.Errorf("creating %s %s of %s: %w", object.GetKind(), object.GetName(), file, err)
			}
		}
	}
	return nil
}

// writeServiceAccountKubeconfig writes a kubeconfig with a token of a ServiceAccount: the binaries run with the rights of an installation, not as
// administrator.
func (c *cluster) writeServiceAccountKubeconfig(ctx context.Context, api client.Client, name string, ports map[string]int) error {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: ptr.To[int64](tokenSeconds)}}
	if err := api.SubResource("token").Create(ctx, account, request); err != nil {
		return fmt.Errorf("requesting a token for ServiceAccount %s: %w", name, err)
	}
	return c.writeKubeconfig(name+".kubeconfig", ports, &clientcmdapi.AuthInfo{Token: request.Status.Token})
}

// writeSchedulerConfig writes the configuration that an installation has, with the kubeconfig of the local cluster.
func (c *cluster) writeSchedulerConfig() error {
	data, err := os.ReadFile("config/scheduler/config.yaml")
	if err != nil {
		return fmt.Errorf("reading the configuration of the scheduler: %w", err)
	}
	var config map[string]any
	if err := yaml.Unmarshal(data, &config); err != nil {
		return fmt.Errorf("decoding the configuration of the scheduler: %w", err)
	}
	if err := unstructured.SetNestedField(config, c.file("spillway-scheduler.kubeconfig"), "clientConnection", "kubeconfig"); err != nil {
		return fmt.Errorf("setting the kubeconfig of the scheduler: %w", err)
	}
	if data, err = yaml.Marshal(config); err != nil {
		return fmt.Errorf("encoding the configuration of the scheduler: %w", err)
	}
	return os.WriteFile(c.file("scheduler-config.yaml"), data, 0o644)
}

// waitForDefaultServiceAccount waits until pods can be created in the default namespace.
func waitForDefaultServiceAccount(ctx context.Context, api client.Client) error {
	for {
		err := api.Get(ctx, client.ObjectKey{Namespace: metav1.NamespaceDefault, Name: "default"}, &corev1.ServiceAccount{})
		if err == nil || !apierrors.IsNotFound(err) && !meta.IsNoMatchError(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the default ServiceAccount: %w", ctx.Err())
		case <-time.After(pollInterval):
		}
	}
}
