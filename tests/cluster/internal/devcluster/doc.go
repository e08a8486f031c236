// Package devcluster supervises one Kubernetes control plane on this machine: it prepares a folder,
// starts the components from its own executable, tells when they answer, stops and starts single
// ones on request, and takes everything down again, however it ends itself.
//
// The way of one cluster, file by file:
//
//	cli.go       words and flags to options (options.go), exit codes
//	scratch.go   the folder, claimed by a lock, cleaned afterwards
//	ports.go     free ports, reserved for as long as the supervisor lives
//	credentials.go, kubeconfig.go, audit.go, kwok.go    the files that the components read
//	specs.go     the table of components: what each needs, its arguments, how to ask if it is well
//	spawner.go, process.go    one child process: started on a thread that never ends, watched
//	cluster.go   all of them in order; the only place that starts and stops
//	fakenodes.go nodes without machines, and the wait until pods can be scheduled
//	supervise.go the life of `up`, from the first file to the last signal
//	control.go   the socket behind `stop`, `start`, `status` and `down`
//
// And with a real node:
//
//	prerequisites.go    what the machine must have
//	network.go   the supervisor begins again in a network of its own; the door to the API server
//	node.go      the node's namespaces, from its first process to its end
//	nodefiles.go the configuration of containerd, the kubelet and CNI's plugins
//	load.go      images into containerd
//	nodecli.go   the commands `enter`, `load` and `image`
//
// Linux only: children are tied to the supervisor by PR_SET_PDEATHSIG, and paths under /proc are
// used where a name could be too long or could have changed.
package devcluster
