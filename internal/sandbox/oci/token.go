package oci

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// An issuer stands for the cluster's certificate authority and its signer of
// service account tokens. Its key lives as long as the engine.
type issuer struct {
	key *ecdsa.PrivateKey
	ca  []byte // PEM
}

// tokenLife is how long a projected token is good for: the kubelet asks for an
// hour and seven seconds.
const tokenLife = 3607 * time.Second

func newIssuer() (*issuer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "kubernetes"},
		NotBefore: now.Add(-time.Minute), NotAfter: now.Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	return &issuer{key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}, nil
}

// token signs a token for a service account, bound to a pod, with the claims
// that the API server writes.
func (i *issuer) token(namespace, account, pod string) (string, error) {
	now := time.Now()
	t := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"aud": []string{"https://kubernetes.default.svc.cluster.local"},
		"iss": "https://kubernetes.default.svc.cluster.local",
		"sub": fmt.Sprintf("system:serviceaccount:%s:%s", namespace, account),
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(tokenLife).Unix(),
		"kubernetes.io": map[string]any{
			"namespace":      namespace,
			"serviceaccount": map[string]any{"name": account},
			"pod":            map[string]any{"name": pod},
		},
	})
	return t.SignedString(i.key)
}
