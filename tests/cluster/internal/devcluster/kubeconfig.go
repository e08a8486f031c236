package devcluster

import (
	"os"
	"path/filepath"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// writeKubeconfig writes a file that can be copied anywhere: the CA and the token are inside.
func writeKubeconfig(path, server string, caPEM []byte, who identity) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	const cluster = "devcluster"
	content := api.NewConfig()
	content.Clusters[cluster] = &api.Cluster{Server: server, CertificateAuthorityData: caPEM}
	content.AuthInfos[who.name] = &api.AuthInfo{Token: who.token}
	content.Contexts[who.name] = &api.Context{Cluster: cluster, AuthInfo: who.name}
	content.CurrentContext = who.name
	return clientcmd.WriteToFile(*content, path)
}
