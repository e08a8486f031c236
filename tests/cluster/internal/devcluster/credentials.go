package devcluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// componentGroup marks the cluster's own parts, so that the audit log leaves them out (audit.go).
	componentGroup = "devcluster:components"
	mastersGroup   = "system:masters"
	// supervisorUser is this program itself: it creates nodes and asks for readiness.
	supervisorUser = "system:devcluster"
)

// identity is one line of the API server's token file.
type identity struct {
	name, token string
	groups      []string
}

// credentials are made anew for every cluster and live in its folder only.
type credentials struct {
	caPEM      []byte
	caFile     string
	certFile   string // of every component that serves HTTPS
	keyFile    string
	saKeyFile  string // signs the tokens of service accounts
	tokenFile  string
	identities map[string]identity
}

// newCredentials writes everything into dir. The serving certificate is signed by a CA of its own
// instead of being its own CA, as the API server would make it: rustls refuses a CA as a server's
// certificate. Elliptic curves, since making RSA keys takes longer than starting etcd.
func newCredentials(dir string, users []user) (*credentials, error) {
	made := &credentials{
		caFile:     filepath.Join(dir, "ca.crt"),
		certFile:   filepath.Join(dir, "server.crt"),
		keyFile:    filepath.Join(dir, "server.key"),
		saKeyFile:  filepath.Join(dir, "service-accounts.key"),
		tokenFile:  filepath.Join(dir, "tokens.csv"),
		identities: map[string]identity{},
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := made.writeCertificates(); err != nil {
		return nil, err
	}
	if _, err := newKey(made.saKeyFile); err != nil {
		return nil, err
	}
	made.addIdentity(supervisorUser, componentGroup, mastersGroup)
	for _, component := range specs {
		if component.user != "" {
			made.addIdentity(component.user, append([]string{componentGroup}, component.groups...)...)
		}
	}
	for _, u := range users {
		if u.rights == rightsAll {
			made.addIdentity(u.name, mastersGroup)
		} else {
			made.addIdentity(u.name)
		}
	}
	return made, made.writeTokens()
}

func (c *credentials) addIdentity(name string, groups ...string) {
	c.identities[name] = identity{name: name, token: randomToken(), groups: groups}
}

func (c *credentials) writeTokens() error {
	var lines strings.Builder
	for _, who := range c.identities {
		fmt.Fprintf(&lines, "%s,%s,%s,%q\n", who.token, who.name, who.name, strings.Join(who.groups, ","))
	}
	return os.WriteFile(c.tokenFile, []byte(lines.String()), 0o600)
}

func (c *credentials) writeCertificates() error {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	now := time.Now()
	ca := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "devcluster CA"},
		NotBefore:             now.Add(-time.Hour), // clocks of containers and virtual machines differ a little
		NotAfter:              now.AddDate(1, 0, 0),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		return err
	}
	c.caPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER})
	if err := os.WriteFile(c.caFile, c.caPEM, 0o600); err != nil {
		return err
	}
	serverKey, err := newKey(c.keyFile)
	if err != nil {
		return err
	}
	server := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		Subject:      pkix.Name{CommonName: "devcluster"},
		NotBefore:    ca.NotBefore,
		NotAfter:     ca.NotAfter,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.ParseIP(firstServiceAddress), net.ParseIP(nodeAddress)},
	}
	serverDER, err := x509.CreateCertificate(rand.Reader, server, ca, serverKey.Public(), caKey)
	if err != nil {
		return err
	}
	return os.WriteFile(c.certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: serverDER}), 0o600)
}

func newKey(path string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600)
}

func randomToken() string {
	token := make([]byte, 16)
	_, _ = rand.Read(token) // never fails (see its documentation)
	return hex.EncodeToString(token)
}
