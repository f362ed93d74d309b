package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// files are the inputs of the API server and of its clients.
type files struct {
	ca, serverCert, serverKey, saPublic, saPrivate   string
	tokens, token, auditPolicy, auditLog, kubeconfig string
}

// The API server's own requests are left out: what remains is what clients did.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
omitManagedFields: true
rules:
  - level: None
    users: ["system:apiserver"]
  - level: None
    nonResourceURLs: ["/readyz*", "/livez*", "/healthz*", "/version", "/openapi*"]
  - level: Metadata
`

func writeFiles(dir, server string) (files, error) {
	at := func(name string) string { return filepath.Join(dir, name) }
	f := files{
		ca: at("ca.crt"), serverCert: at("server.crt"), serverKey: at("server.key"),
		saPublic: at("sa.pub"), saPrivate: at("sa.key"), tokens: at("tokens.csv"),
		auditPolicy: at("audit-policy.yaml"), auditLog: at("audit.log"), kubeconfig: at("kubeconfig"),
	}
	random := make([]byte, 16)
	if _, err := rand.Read(random); err != nil {
		return f, err
	}
	f.token = hex.EncodeToString(random)
	ca, err := writeCertificates(f)
	if err != nil {
		return f, err
	}
	if err := writeServiceAccountKey(f); err != nil {
		return f, err
	}
	for path, text := range map[string]string{
		f.tokens:      f.token + ",admin,admin,system:masters\n",
		f.auditPolicy: auditPolicy,
		f.kubeconfig:  kubeconfig(server, f.token, ca),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return f, err
		}
	}
	return f, nil
}

func kubeconfig(server, token string, ca []byte) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Config
clusters:
  - name: fanfare
    cluster:
      server: %s
      certificate-authority-data: %s
users:
  - name: admin
    user:
      token: %s
contexts:
  - name: fanfare
    context: {cluster: fanfare, user: admin, namespace: default}
current-context: fanfare
`, server, base64.StdEncoding.EncodeToString(ca), token)
}

// writeCertificates makes an authority of its own for each control plane and
// returns its certificate in PEM.
func writeCertificates(f files) ([]byte, error) {
	now := time.Now()
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "fanfare test authority"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(30 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "kube-apiserver"},
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost", "kubernetes", "kubernetes.default.svc"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	caPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER})
	if err := os.WriteFile(f.ca, caPEM, 0o600); err != nil {
		return nil, err
	}
	if err := writePEM(f.serverCert, "CERTIFICATE", der); err != nil {
		return nil, err
	}
	return caPEM, writePEM(f.serverKey, "EC PRIVATE KEY", keyDER)
}

func writeServiceAccountKey(f files) error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return err
	}
	if err := writePEM(f.saPublic, "PUBLIC KEY", public); err != nil {
		return err
	}
	return writePEM(f.saPrivate, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key))
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
