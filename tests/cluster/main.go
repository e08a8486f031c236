// Command devcluster is a whole Kubernetes in one file, for tests and the demo: the components
// themselves, compiled from upstream's sources, and a supervisor that runs them without Docker,
// without root and without anything installed on the machine.
//
// Like busybox it looks at the name it is called by. As `etcd`, `kube-apiserver`, ... it is that
// component, and nothing of ours runs; under any other name the first argument picks the component
// or one of the supervisor's own commands (`devcluster up`, see internal/devcluster).
package main

import (
	"os"
	"path/filepath"

	"windlass.dev/tests/cluster/internal/devcluster"
)

func main() {
	os.Exit(run(os.Args))
}

// run returns the exit code instead of leaving, so that the tests can call it as well.
func run(argv []string) int {
	if name, args, ok := component(argv); ok {
		// The supervisor starts components through /proc/self/exe (see process.go), and the kernel
		// would call every one of them "exe" in ps and top. A failure only costs that nicety.
		_ = os.WriteFile("/proc/self/comm", []byte(name), 0o600)
		return components[name](args)
	}
	forgetGlobalFlags()
	return devcluster.Main(argv[1:], componentNames())
}

// component tells which component is asked for, by name of the binary or by first argument.
func component(argv []string) (name string, args []string, ok bool) {
	if name := filepath.Base(argv[0]); components[name] != nil {
		return name, argv[1:], true
	}
	if len(argv) > 1 && components[argv[1]] != nil {
		return argv[1], argv[2:], true
	}
	return "", nil, false
}
