package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// validity is how long the certificates of a local cluster last.
const validity = 365 * 24 * time.Hour

// identities are the client certificates, by file name: user and group as Kubernetes' own roles name them.
var identities = map[string]pkix.Name{
	"admin":                   {CommonName: "admin", Organization: []string{"system:masters"}},
	"kwok":                    {CommonName: "kwok", Organization: []string{"system:masters"}},
	"kube-controller-manager": {CommonName: "system:kube-controller-manager"},
	"kube-scheduler":          {CommonName: "system:kube-scheduler"},
}

type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func (c *cluster) cert(name string) string { return c.file("pki", name+".crt") }
func (c *cluster) key(name string) string  { return c.file("pki", name+".key") }

// writeCertificates creates a certificate authority, the API server's certificate, the client certificates and the key that signs service account
// tokens.
func (c *cluster) writeCertificates() error {
	if err := os.MkdirAll(c.file("pki"), 0o700); err != nil {
		return err
	}
	ca := &authority{}
	root := &x509.Certificate{
		Subject: pkix.Name{CommonName: "spillway-local-cluster"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	if err := c.issue("ca", root, ca); err != nil {
		return err
	}
	server := &x509.Certificate{
		Subject: pkix.Name{CommonName: "kube-apiserver"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost", "kubernetes.default.svc"},
	}
	if err := c.issue("apiserver", server, ca); err != nil {
		return err
	}
	for name, subject := range identities {
		client := &x509.Certificate{Subject: subject, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
		if err := c.issue(name, client, ca); err != nil {
			return err
		}
	}
	return c.issue("service-account", &x509.Certificate{Subject: pkix.Name{CommonName: "service-account"}}, ca)
}

// issue creates a key and a certificate for it, signed by the authority. An empty authority becomes the one that is issued.
func (c *cluster) issue(name string, template *x509.Certificate, ca *authority) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("generating a key for %s: %w", name, err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(validity)
	if ca.cert == nil {
		ca.cert, ca.key = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, key.Public(), ca.key)
	if err != nil {
		return fmt.Errorf("signing the certificate of %s: %w", name, err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return fmt.Errorf("encoding the key of %s: %w", name, err)
	}
	if err := writePEM(c.cert(name), "CERTIFICATE", der); err != nil {
		return err
	}
	return writePEM(c.key(name), "EC PRIVATE KEY", keyDER)
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

// writeAdminKubeconfigs writes a kubeconfig for every client certificate; that of the administrator is called kubeconfig.
func (c *cluster) writeAdminKubeconfigs(ports map[string]int) error {
	for name := range identities {
		file := name + ".kubeconfig"
		if name == "admin" {
			file = "kubeconfig"
		}
		user := &clientcmdapi.AuthInfo{ClientCertificate: c.cert(name), ClientKey: c.key(name)}
		if err := c.writeKubeconfig(file, ports, user); err != nil {
			return err
		}
	}
	return nil
}

func (c *cluster) writeKubeconfig(file string, ports map[string]int, user *clientcmdapi.AuthInfo) error {
	config := clientcmdapi.NewConfig()
	config.Clusters["spillway-local"] = &clientcmdapi.Cluster{Server: loopback("https", ports["kube-apiserver"]), CertificateAuthority: c.cert("ca")}
	config.AuthInfos["user"] = user
	config.Contexts["spillway-local"] = &clientcmdapi.Context{Cluster: "spillway-local", AuthInfo: "user", Namespace: "default"}
	config.CurrentContext = "spillway-local"
	if err := clientcmd.WriteToFile(*config, c.file(file)); err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	return nil
}
