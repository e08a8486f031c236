package devcluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Paths inside the node, as process 1 makes them (cmd/devcluster-node): the same in every cluster,
// and short, since some are sockets.
const (
	insideFolder     = "/run/devcluster"
	insideSocket     = "/run/containerd/containerd.sock"
	insideKubelet    = "/var/lib/kubelet"
	insideContainerd = "/var/lib/containerd"
)

const (
	nodeName    = "node-0"
	kubeletUser = "system:node:" + nodeName
	pauseImage  = "windlass.test/pause:1"
	kubeletPort = "10250"
)

// inside is a file of the cluster's folder, by its name in the node.
func inside(name string) string { return filepath.Join(insideFolder, name) }

const (
	containerdConfigFile = "node/containerd.toml"
	kubeletConfigFile    = "node/kubelet.yaml"
	cniFolder            = "node/cni"
	podLogs              = "node/pod-logs"
)

// writeNodeFiles writes what containerd, the kubelet and CNI's plugins read, and makes the folders
// that process 1 binds.
func (c *cluster) writeNodeFiles() error {
	for _, folder := range []string{cniFolder, podLogs, "node/kubelet", "node/containerd"} {
		if err := os.MkdirAll(c.path(folder), 0o700); err != nil {
			return err
		}
	}
	for name, content := range map[string]string{
		containerdConfigFile:               containerdConfig(c),
		kubeletConfigFile:                  kubeletConfig(c),
		cniFolder + "/devcluster.conflist": cniConfig,
		"node/resolv.conf":                 "", // pods have no name server, and must not use the machine's
	} {
		if err := os.WriteFile(c.path(name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func containerdArgs(*cluster) []string {
	return []string{"--config=" + inside(containerdConfigFile)}
}

// containerdConfig is read by containerd 1.6 and newer. Plugins that are not of use are off where
// they would write outside of the node's folders, or look for hardware.
func containerdConfig(c *cluster) string {
	return `version = 2
root = "` + insideContainerd + `"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.internal.v1.opt",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]

[grpc]
  address = "` + insideSocket + `"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "` + pauseImage + `"
  # Where lowering the score is forbidden every pod would fail.
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "` + c.node.installed.cniPlugins + `"
    conf_dir = "` + inside(cniFolder) + `"

  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"

      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        BinaryName = "` + c.node.installed.runc + `"
        SystemdCgroup = false
`
}

// cniConfig gives pods addresses on a bridge. They are not hidden behind the node's: nothing
// outside of this network is ever reached.
const cniConfig = `{
  "cniVersion": "0.4.0",
  "name": "devcluster",
  "plugins": [{
    "type": "bridge",
    "bridge": "pods",
    "isDefaultGateway": true,
    "hairpinMode": true,
    "ipMasq": false,
    "ipam": {"type": "host-local", "ranges": [[{"subnet": "` + podRange + `"}]]}
  }]
}
`

func kubeletArgs(c *cluster) []string {
	return []string{
		"--config=" + inside(kubeletConfigFile),
		"--kubeconfig=" + inside(strings.TrimPrefix(c.kubeconfig(kubeletUser), c.folder.path)),
		"--root-dir=" + insideKubelet,
		"--cert-dir=" + insideKubelet + "/pki",
		"--hostname-override=" + nodeName,
		"--node-ip=" + nodeAddress,
	}
}

func kubeletConfig(c *cluster) string {
	return fmt.Sprintf(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix://%s
cgroupRoot: %s
cgroupDriver: cgroupfs
# Both are how machines are that tests run on, and nothing here depends on either.
failCgroupV1: false
failSwapOn: false
enforceNodeAllocatable: []
oomScoreAdj: 0
healthzBindAddress: 127.0.0.1
healthzPort: %s
port: %s
tlsCertFile: %s
tlsPrivateKeyFile: %s
# Only what runs in this network reaches it: the API server, for logs and exec, and the tests' pods.
authentication:
  anonymous: {enabled: true}
  webhook: {enabled: false}
authorization: {mode: AlwaysAllow}
configMapAndSecretChangeDetectionStrategy: %s
imagePullCredentialsVerificationPolicy: NeverVerify
resolvConf: %s
podLogsDir: %s
volumePluginDir: %s/volume-plugins
makeIPTablesUtilChains: false
# The disk is the machine's, and how full it is must not decide about a test.
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 1Mi, nodefs.available: "0%%", nodefs.inodesFree: "0%%", imagefs.available: "0%%"}
# No limits on requests, as for the other components.
kubeAPIQPS: 1000
kubeAPIBurst: 2000
eventRecordQPS: 0
`,
		insideSocket, c.node.group.Name(), c.portNumber(kubelet), kubeletPort,
		inside("credentials/server.crt"), inside("credentials/server.key"), c.node.options.changeDetection,
		inside("node/resolv.conf"), inside(podLogs), insideKubelet)
}
