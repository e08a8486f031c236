package devcluster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// installation is where the programs of a node are on this machine.
type installation struct {
	containerd, ctr, runc string
	cniPlugins            string // the folder
	helper                string // devcluster-node
}

// helperName is built beside this program.
const helperName = "devcluster-node"

// helperVariable names it where this program is not beside it, as in Go's tests.
const helperVariable = "DEVCLUSTER_NODE"

var (
	cniFolders    = []string{"/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"}
	cniPlugins    = []string{"bridge", "host-local", "loopback"}
	systemFolders = []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}
)

// findInstallation fails with one line that names all that is missing.
func findInstallation() (*installation, error) {
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("--node needs root: it makes namespaces, mounts and control groups")
	}
	// The PATH of those who are not root lacks where some of these lie.
	if err := os.Setenv("PATH", nodePath()); err != nil {
		return nil, err
	}
	found := &installation{}
	var missing, packages []string
	lacks := func(what, debian string) {
		missing = append(missing, what)
		if !slices.Contains(packages, debian) {
			packages = append(packages, debian)
		}
	}
	for _, program := range []struct {
		name, debian string
		path         *string
	}{
		{"containerd", "containerd", &found.containerd},
		{"containerd-shim-runc-v2", "containerd", new(string)},
		{"ctr", "containerd", &found.ctr},
		{"runc", "runc", &found.runc},
		{"ip", "iproute2", new(string)},
	} {
		path, err := exec.LookPath(program.name)
		if err != nil {
			lacks(program.name, program.debian)
			continue
		}
		*program.path = path
	}
	at := slices.IndexFunc(cniFolders, hasPlugins)
	if at < 0 {
		lacks("the CNI plugins "+strings.Join(cniPlugins, ", "), "containernetworking-plugins")
	} else {
		found.cniPlugins = cniFolders[at]
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("--node lacks %s (Debian: apt-get install -y %s)",
			strings.Join(missing, ", "), strings.Join(packages, " "))
	}
	var err error
	found.helper, err = findHelper()
	return found, err
}

func nodePath() string {
	return os.Getenv("PATH") + ":" + strings.Join(systemFolders, ":")
}

func hasPlugins(folder string) bool {
	return !slices.ContainsFunc(cniPlugins, func(name string) bool {
		_, err := exec.LookPath(filepath.Join(folder, name))
		return err != nil
	})
}

func findHelper() (string, error) {
	if path := os.Getenv(helperVariable); path != "" {
		return path, nil
	}
	executable, err := os.Executable()
	if err != nil {
		return "", err
	}
	path := filepath.Join(filepath.Dir(executable), helperName)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("--node needs %s beside this program (README.md says how both are built): %w", helperName, err)
	}
	return path, nil
}
