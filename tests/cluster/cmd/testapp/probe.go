package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const timeout = 10 * time.Second

// ask prints what an application answers.
func ask(method, url string) error {
	request, err := http.NewRequest(method, url, nil)
	if err != nil {
		return err
	}
	answer, err := (&http.Client{Timeout: timeout}).Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(os.Stdout, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s", method, url, answer.Status)
	}
	return nil
}

// serviceAccount is where the kubelet puts what a pod needs to ask the API server.
const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount"

// probeAPI finds the API server as every client in a pod does, and prints how it answers.
func probeAPI() error {
	host, port := os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return errors.New("KUBERNETES_SERVICE_HOST and _PORT are not set")
	}
	account := map[string]string{}
	for _, name := range []string{"ca.crt", "token", "namespace"} {
		content, err := os.ReadFile(filepath.Join(serviceAccount, name))
		if err != nil {
			return err
		}
		account[name] = strings.TrimSpace(string(content))
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(account["ca.crt"])) {
		return errors.New("ca.crt holds no certificate")
	}
	client := &http.Client{
		Timeout:   timeout,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}},
	}
	url := "https://" + net.JoinHostPort(host, port) + "/api/v1/namespaces/" + account["namespace"] + "/configmaps"
	ask, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	ask.Header.Set("Authorization", "Bearer "+account["token"])
	answer, err := client.Do(ask)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	fmt.Printf("%s %s\n%s\n", url, answer.Status, body)
	return nil
}
