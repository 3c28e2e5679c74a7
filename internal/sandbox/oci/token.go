package oci

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"

	"road/internal/sandbox/oci/network"

	"github.com/golang-jwt/jwt/v5"
)

// An issuer stands for the cluster's certificate authority and its signer of
// service account tokens. Its key lives as long as the engine.
type issuer struct {
	key  *ecdsa.PrivateKey
	ca   []byte // PEM
	cert *x509.Certificate
}

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
	if cert, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	return &issuer{key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), cert}, nil
}

// serving makes the certificate with which the API server shows itself.
func (i *issuer) serving() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "kube-apiserver"},
		NotBefore: i.cert.NotBefore, NotAfter: i.cert.NotAfter,
		DNSNames:    []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"},
		IPAddresses: []net.IP{network.APIServer.AsSlice()},
		KeyUsage:    x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, i.cert, &key.PublicKey, i.key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// audience is who the tokens are for, and who signs them.
const audience = "https://kubernetes.default.svc.cluster.local"

// who says whose token it is, as the API server does that made it.
func (i *issuer) who(token string) (string, error) {
	t, err := jwt.Parse(token, func(*jwt.Token) (any, error) { return &i.key.PublicKey, nil },
		jwt.WithValidMethods([]string{jwt.SigningMethodES256.Alg()}), jwt.WithAudience(audience), jwt.WithIssuer(audience), jwt.WithExpirationRequired())
	if err != nil {
		return "", err
	}
	return t.Claims.GetSubject()
}

// token signs a token for a service account, bound to a pod, with the claims
// that the API server writes. It is for someone, "" for the API server, and good
// for so many seconds.
func (i *issuer) token(namespace, account, pod, someone string, seconds int64) (string, error) {
	if someone == "" {
		someone = audience
	}
	now := time.Now()
	t := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"aud": []string{someone},
		"iss": audience,
		"sub": fmt.Sprintf("system:serviceaccount:%s:%s", namespace, account),
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Unix() + seconds,
		"kubernetes.io": map[string]any{
			"namespace":      namespace,
			"serviceaccount": map[string]any{"name": account},
			"pod":            map[string]any{"name": pod},
		},
	})
	return t.SignedString(i.key)
}
