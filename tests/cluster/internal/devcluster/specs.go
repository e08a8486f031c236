package devcluster

import (
	"slices"
	"time"
)

const (
	etcd              = "etcd"
	apiserver         = "kube-apiserver"
	controllerManager = "kube-controller-manager"
	scheduler         = "kube-scheduler"
	kwok              = "kwok"
	containerd        = "containerd"
	kubelet           = "kubelet"

	serviceRange        = "10.96.0.0/16"
	firstServiceAddress = "10.96.0.1" // of the Service default/kubernetes

	// The names that upstream's default roles are bound to.
	controllerManagerUser = "system:kube-controller-manager"
	schedulerUser         = "system:kube-scheduler"
	kwokUser              = "system:kwok"
)

// spec is everything the supervisor knows about one component; the rest of the package treats all
// of them alike.
type spec struct {
	name  string
	needs []string // components that must be healthy before this one is started
	ports []string // names of the ports that it listens on; the first one answers the health check
	user  string   // its name at the API server; empty if it never asks it
	// groups of that user. Upstream's default roles bind the controller manager and the scheduler by name.
	groups []string
	args   func(*cluster) []string
	health func(*cluster) string // URL that answers 200 when the component does its work; unix: a socket that listens
	// program is another one than this; inNode, started among the node's processes and mounts, and
	// only with --node.
	program func(*installation) string
	inNode  bool
	// grace is how long it may take to shut down before it is killed.
	grace time.Duration
}

// specs is in the order of starting.
var specs = []*spec{
	{
		name:   etcd,
		ports:  []string{etcd, etcdPeer},
		args:   etcdArgs,
		health: func(c *cluster) string { return "http://" + c.address(etcd) + "/readyz" },
		// Asked politely it waits 7 s for the API server's streams to end, which never do. Killing it
		// loses nothing: what it has written is in the kernel's hands.
		grace: 3 * time.Second,
	},
	{
		name:   apiserver,
		needs:  []string{etcd},
		ports:  []string{apiserver},
		args:   apiserverArgs,
		health: func(c *cluster) string { return c.server() + "/readyz" },
		grace:  10 * time.Second,
	},
	{
		name:   controllerManager,
		needs:  []string{apiserver},
		ports:  []string{controllerManager},
		user:   controllerManagerUser,
		args:   controllerManagerArgs,
		health: func(c *cluster) string { return "https://" + c.address(controllerManager) + "/healthz" },
		grace:  5 * time.Second,
	},
	{
		name:   scheduler,
		needs:  []string{apiserver},
		ports:  []string{scheduler},
		user:   schedulerUser,
		args:   schedulerArgs,
		health: func(c *cluster) string { return "https://" + c.address(scheduler) + "/readyz" },
		grace:  5 * time.Second,
	},
	{
		name:   kwok,
		needs:  []string{apiserver},
		ports:  []string{kwok},
		user:   kwokUser,
		groups: []string{mastersGroup},
		args:   kwokArgs,
		health: func(c *cluster) string { return "http://" + c.address(kwok) + "/healthz" },
		grace:  5 * time.Second,
	},
	{
		name:    containerd,
		args:    containerdArgs,
		health:  func(c *cluster) string { return unixScheme + c.node.containerdSocket() },
		grace:   5 * time.Second,
		program: func(found *installation) string { return found.containerd },
		inNode:  true,
	},
	{
		name:   kubelet,
		needs:  []string{apiserver, containerd},
		ports:  []string{kubelet},
		user:   kubeletUser,
		groups: []string{"system:nodes"},
		args:   kubeletArgs,
		health: func(c *cluster) string { return "http://" + c.address(kubelet) + "/healthz" },
		grace:  5 * time.Second,
		inNode: true,
	},
}

// unixScheme begins the health of a component that is asked by connecting to its socket.
const unixScheme = "unix:"

const etcdPeer = "etcd-peer"

func specByName(name string) *spec {
	if at := slices.IndexFunc(specs, func(s *spec) bool { return s.name == name }); at >= 0 {
		return specs[at]
	}
	return nil
}

func specNames() []string {
	var names []string
	for _, s := range specs {
		names = append(names, s.name)
	}
	return names
}

// withoutNode are the components that run without root, and without --node.
func withoutNode() []string {
	return slices.DeleteFunc(specNames(), func(name string) bool { return specByName(name).inNode })
}

func etcdArgs(c *cluster) []string {
	client, peer := "http://"+c.address(etcd), "http://"+c.address(etcdPeer)
	return []string{
		"--name=devcluster",
		"--data-dir=" + c.path("etcd"),
		"--listen-client-urls=" + client,
		"--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer,
		"--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=devcluster=" + peer,
		// Nothing here outlives the machine, and waiting for the disk would be most of a write's time.
		"--unsafe-no-fsync",
		// Tests seed tens of thousands of objects; the default of 2 GiB is a cliff, not a cost.
		"--quota-backend-bytes=8589934592",
		"--log-level=warn",
	}
}

func apiserverArgs(c *cluster) []string {
	args := []string{
		"--etcd-servers=http://" + c.address(etcd),
		"--secure-port=" + c.portNumber(apiserver),
		"--cert-dir=" + c.path("credentials"),
		"--tls-cert-file=" + c.credentials.certFile,
		"--tls-private-key-file=" + c.credentials.keyFile,
		"--token-auth-file=" + c.credentials.tokenFile,
		"--authorization-mode=Node,RBAC",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + c.credentials.saKeyFile,
		"--service-account-signing-key-file=" + c.credentials.saKeyFile,
		"--service-cluster-ip-range=" + serviceRange,
		"--allow-privileged=true",
		// Ends open watches when the server is asked to stop; else it waits a minute for the clients to.
		"--shutdown-watch-termination-grace-period=1s",
		"--audit-policy-file=" + c.path("audit-policy.yaml"),
		"--audit-log-path=" + c.auditLog(),
		// Tests share one server. They must neither queue behind each other nor be refused, so both
		// priority and fairness and the older limits are off; users in system:masters would be exempt
		// from the former anyway, which is most of them.
		"--enable-priority-and-fairness=false",
		"--max-requests-inflight=0",
		"--max-mutating-requests-inflight=0",
	}
	if c.node != nil {
		args = append(args,
			"--bind-address=0.0.0.0", // pods come by the address of the Service default/kubernetes
			"--advertise-address="+nodeAddress,
			// For logs and exec; else it would ask a name server for the node's name.
			"--kubelet-preferred-address-types=InternalIP")
	} else {
		args = append(args,
			"--bind-address=127.0.0.1",
			// There is no network between pods, so no address to advertise; without these two the server
			// would look for a default route, which a machine without a network does not have.
			"--advertise-address=127.0.0.1",
			"--endpoint-reconciler-type=none")
	}
	args = append(args, c.featureGateArgs()...)
	return append(args, c.options.apiserverArgs...) // last, so that they win
}

func controllerManagerArgs(c *cluster) []string {
	args := []string{
		"--kubeconfig=" + c.kubeconfig(controllerManagerUser),
		"--bind-address=127.0.0.1",
		"--secure-port=" + c.portNumber(controllerManager),
		"--tls-cert-file=" + c.credentials.certFile,
		"--tls-private-key-file=" + c.credentials.keyFile,
		"--use-service-account-credentials=true",
		"--service-account-private-key-file=" + c.credentials.saKeyFile,
		"--root-ca-file=" + c.credentials.caFile,
		// As root it would make the default one, outside of the cluster's folder.
		"--flex-volume-plugin-dir=" + c.path("tmp/volume-plugins"),
		// It is alone, and must not end itself when the API server is taken away for a while.
		"--leader-elect=false",
		// Fake nodes send no heartbeat, and stay Ready even while kwok is stopped.
		"--node-monitor-grace-period=24h",
		// The defaults (20 requests a second, 5 workers) would be what the tests measure.
		"--kube-api-qps=1000",
		"--kube-api-burst=2000",
		"--concurrent-deployment-syncs=50",
		"--concurrent-replicaset-syncs=50",
		"--concurrent-statefulset-syncs=50",
		"--concurrent-daemonset-syncs=20",
		"--concurrent-job-syncs=20",
		"--concurrent-cron-job-syncs=20",
		"--concurrent-gc-syncs=50",
		"--concurrent-namespace-syncs=50",
		"--concurrent-serviceaccount-token-syncs=20",
	}
	args = append(args, c.featureGateArgs()...)
	return append(args, c.options.controllerManagerArgs...)
}

func schedulerArgs(c *cluster) []string {
	return append([]string{
		"--config=" + c.path("scheduler.yaml"),
		"--bind-address=127.0.0.1",
		"--secure-port=" + c.portNumber(scheduler),
		"--tls-cert-file=" + c.credentials.certFile,
		"--tls-private-key-file=" + c.credentials.keyFile,
	}, c.featureGateArgs()...)
}

// schedulerConfig exists because the scheduler takes no flags for these.
func schedulerConfig(c *cluster) string {
	return `apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
clientConnection:
  kubeconfig: ` + c.kubeconfig(schedulerUser) + `
  qps: 1000
  burst: 2000
leaderElection:
  leaderElect: false
`
}

func (c *cluster) featureGateArgs() []string {
	if c.options.featureGates == "" {
		return nil
	}
	return []string{"--feature-gates=" + c.options.featureGates}
}
