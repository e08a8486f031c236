package main

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// readyDescriptor is where the supervisor waits for a word.
const readyDescriptor = 3

// emptied are the folders in which containerd, the kubelet and CNI's plugins write at names that are
// compiled into them. In the node they begin empty, and end with its mounts.
var emptied = []string{"/run", "/var/lib", "/var/log"}

// provided are folders of the cluster's own, on disk since the layers of images lie there, and
// where the node's programs find them.
var provided = []struct{ from, to string }{
	{".", "/run/devcluster"},
	{"node/kubelet", "/var/lib/kubelet"},
	{"node/containerd", "/var/lib/containerd"},
}

// settings are what the kubelet writes into the kernel, for the whole machine, unless it finds them
// so. It is shown what it wants to see instead.
var settings = map[string]string{
	"vm/overcommit_memory":      "1",
	"vm/panic_on_oom":           "0",
	"kernel/panic":              "10",
	"kernel/panic_on_oops":      "1",
	"kernel/keys/root_maxkeys":  "1000000",
	"kernel/keys/root_maxbytes": "25000000",
}

// initialise is process 1 of a node, in namespaces of its own for processes and mounts. When it
// ends the kernel kills everything in the node and forgets its mounts: nothing has to be found.
func initialise(folder string) error {
	if os.Getpid() != 1 {
		return fmt.Errorf("not process 1 of a namespace of its own")
	}
	if err := mountAll(folder); err != nil {
		return err
	}
	ready := os.NewFile(readyDescriptor, "ready")
	if _, err := ready.WriteString("ready"); err != nil {
		return fmt.Errorf("tell that the node is ready: %w", err)
	}
	ready.Close()
	reapForever()
	return nil
}

func mountAll(folder string) error {
	// First away from the machine's mounts, then shared again among ourselves: containers may ask to
	// see mounts that are made later.
	for _, how := range []uintptr{unix.MS_PRIVATE, unix.MS_SHARED} {
		if err := mount("none", "/", "", unix.MS_REC|how); err != nil {
			return err
		}
	}
	// Held open, since its name may be below one of the folders that disappear.
	cluster, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer cluster.Close()
	source := fmt.Sprintf("/proc/self/fd/%d", cluster.Fd())
	if err := mount("proc", "/proc", "proc", 0); err != nil {
		return err
	}
	for _, path := range emptied {
		if err := mount("tmpfs", path, "tmpfs", 0); err != nil {
			return err
		}
	}
	for _, bind := range provided {
		if err := os.MkdirAll(bind.to, 0o755); err != nil {
			return err
		}
		if err := mount(filepath.Join(source, bind.from), bind.to, "", unix.MS_BIND); err != nil {
			return err
		}
	}
	return maskSettings("/run/settings")
}

func maskSettings(folder string) error {
	if err := os.Mkdir(folder, 0o755); err != nil {
		return err
	}
	for name, value := range settings {
		target := filepath.Join("/proc/sys", name)
		if _, err := os.Stat(target); err != nil {
			continue // this kernel has none, and the kubelet will say so
		}
		shown := filepath.Join(folder, filepath.Base(name))
		if err := os.WriteFile(shown, []byte(value+"\n"), 0o644); err != nil {
			return err
		}
		if err := mount(shown, target, "", unix.MS_BIND); err != nil {
			return err
		}
	}
	return nil
}

func mount(source, target, kind string, flags uintptr) error {
	if err := unix.Mount(source, target, kind, flags, ""); err != nil {
		return fmt.Errorf("mount %s at %s: %w", source, target, err)
	}
	return nil
}
