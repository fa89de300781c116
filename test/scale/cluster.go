package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/spillway-k8s/spillway/controllers"
	"github.com/spillway-k8s/spillway/internal/ecisim"
)

const (
	systemNamespace = "spillway-system"
	secretName      = "eci-credentials"
	// controllerUser is who the controller is: an installation gives its rights to this ServiceAccount (config/rbac).
	controllerUser = "system:serviceaccount:" + systemNamespace + ":spillway-controller"
	// auditPolicy has the API server write down every request of the controller, and nothing else.
	auditPolicy = `{"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
"rules": [{"level": "Metadata", "users": ["` + controllerUser + `"]}, {"level": "None"}]}
`
)

// cluster is an API server with its etcd, and the ECI simulator.
type cluster struct {
	logs        string
	environment *envtest.Environment
	config      *rest.Config
	api         client.Client
	scheme      *runtime.Scheme
	controller  *envtest.AuthenticatedUser
	eci         *httptest.Server
	// owners are the ReplicaSets, once the cluster is filled.
	owners map[ownerKey]*appsv1.ReplicaSet
}

// startCluster starts an empty cluster with the CRDs and the roles of Spillway. Logs go to a directory.
func startCluster(ctx context.Context, bin, logs string) (*cluster, error) {
	ctrl.SetLogger(klog.Background())
	options, err := controllers.ManagerOptions()
	if err != nil {
		return nil, err
	}
	c := &cluster{logs: logs, scheme: options.Scheme, environment: &envtest.Environment{
		BinaryAssetsDirectory: bin, CRDDirectoryPaths: []string{filepath.Join("config", "crd")}, ErrorIfCRDPathMissing: true,
	}}
	if err := c.configure(); err != nil {
		return nil, err
	}
	fmt.Println("starting etcd and kube-apiserver")
	if c.config, err = c.environment.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting the API server: %w", err), c.environment.Stop())
	}
	c.config.QPS = -1
	c.eci = httptest.NewServer(ecisim.New(ecisim.DefaultState()))
	if err := c.install(ctx); err != nil {
		c.stop()
		return nil, fmt.Errorf("installing Spillway: %w", err)
	}
	return c, nil
}

// auditLog is the file with the requests of the controller.
func (c *cluster) auditLog() string { return filepath.Join(c.logs, "audit.log") }

// stop ends the cluster.
func (c *cluster) stop() {
	if c.eci != nil {
		c.eci.Close()
	}
	if err := c.environment.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stopping the API server:", err)
	}
}

// configure sets the flags of the API server and of etcd.
func (c *cluster) configure() error {
	policy, err := filepath.Abs(filepath.Join(c.logs, "audit-policy.yaml"))
	if err != nil {
		return fmt.Errorf("finding %s: %w", c.logs, err)
	}
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o644); err != nil {
		return fmt.Errorf("writing the audit policy: %w", err)
	}
	if err := os.RemoveAll(c.auditLog()); err != nil {
		return fmt.Errorf("removing the last audit log: %w", err)
	}
	apiserver := c.environment.ControlPlane.GetAPIServer().Configure()
	// Nobody plays the node lifecycle controller, which would take the taint of new nodes away again.
	apiserver.Append("disable-admission-plugins", "TaintNodesByCondition")
	apiserver.Set("audit-policy-file", policy).Set("audit-log-path", filepath.Join(filepath.Dir(policy), "audit.log"))
	c.environment.ControlPlane.Etcd = &envtest.Etcd{}
	// So many pods in two versions each do not fit into etcd's default of 2 GiB.
	c.environment.ControlPlane.Etcd.Configure().Set("quota-backend-bytes", fmt.Sprint(8<<30))
	return nil
}

// install puts the roles of Spillway and the credentials of the simulator into the cluster, and gives the controller its identity.
func (c *cluster) install(ctx context.Context) error {
	var err error
	if c.api, err = client.New(c.config, client.Options{Scheme: c.scheme}); err != nil {
		return fmt.Errorf("creating a client: %w", err)
	}
	files, err := filepath.Glob(filepath.Join("config", "rbac", "*.yaml"))
	if err != nil || len(files) == 0 {
		return errors.New("config/rbac has no files: run the command from the root of the repository")
	}
	for _, file := range files {
		if err := c.apply(ctx, file); err != nil {
			return err
		}
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: secretName}, StringData: map[string]string{}}
	for id, key := range ecisim.DefaultState().AccessKeys {
		secret.StringData["accessKeyID"], secret.StringData["accessKeySecret"] = id, key
	}
	if err := c.api.Create(ctx, secret); err != nil {
		return fmt.Errorf("creating Secret %s: %w", secretName, err)
	}
	if c.controller, err = c.environment.AddUser(envtest.User{Name: controllerUser}, nil); err != nil {
		return fmt.Errorf("making the certificate of the controller: %w", err)
	}
	return nil
}

// apply creates the objects of a file.
func (c *cluster) apply(ctx context.Context, file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("reading %s: %w", file, err)
	}
	decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096)
	for {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(object); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("decoding %s: %w", file, err)
		}
		// The namespaces of leases exist already, or are created by the API server a moment later.
		if err := c.api.Create(ctx, object); client.IgnoreAlreadyExists(err) != nil {
			return fmt.Errorf("creating %s %s of %s: %w", object.GetKind(), object.GetName(), file, err)
		}
	}
}
