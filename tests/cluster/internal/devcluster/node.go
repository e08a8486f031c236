package devcluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"windlass.dev/tests/cluster/internal/cgroups"
	"windlass.dev/tests/cluster/internal/image"
)

// changeDetection is how the kubelet notices that a mounted ConfigMap or Secret has changed, in its
// own words (configMapAndSecretChangeDetectionStrategy).
type changeDetection string

const (
	detectByWatch changeDetection = "Watch"
	detectByCache changeDetection = "Cache"
	detectByGet   changeDetection = "Get"
)

type nodeOptions struct{ changeDetection changeDetection }

// node is the one real node of a cluster: containerd, the kubelet and all pods, in namespaces for
// processes and mounts of which our own program is process 1. Whatever happens to the supervisor,
// the kernel kills that process with it, then everything else in the namespace, shims and
// containers with new parents included, and forgets the mounts. Only control groups and files
// are left to be removed.
type node struct {
	options   nodeOptions
	installed *installation
	doors     []net.Listener // to the API server, outside and inside
	group     *cgroups.Group
	first     *exec.Cmd // process 1
	spawner   *spawner  // starts processes in the node
	told      *nodeStatus
	janitor   *exec.Cmd
	watched   io.Closer // the janitor acts when this closes, which the end of this process does as well
}

// prepareNode moves the supervisor into the node's network; nil if there is to be none. What the
// machine lacks is said before anything is begun.
func prepareNode(chosen *nodeOptions) (*node, error) {
	if chosen == nil {
		return nil, nil
	}
	installed, err := findInstallation()
	if err != nil {
		return nil, err
	}
	door, err := enterOwnNetwork()
	if err != nil {
		return nil, err
	}
	return newNode(*chosen, installed, door)
}

// newNode prepares what does not change when the cluster has to be begun again with other ports.
func newNode(chosen nodeOptions, installed *installation, door net.Listener) (*node, error) {
	// The same address on this side of the door, so that one kubeconfig serves on both.
	within, err := net.Listen("tcp", door.Addr().String())
	if err != nil {
		return nil, err
	}
	n := &node{options: chosen, installed: installed, doors: []net.Listener{door, within}}
	for _, listener := range n.doors {
		go forward(listener, nodePort.address())
	}
	return n, nil
}

func (n *node) server() string { return "https://" + n.doors[0].Addr().String() }

// containerdSocket is containerd's, as seen from outside of the node.
func (n *node) containerdSocket() string {
	return fmt.Sprintf("/proc/%d/root%s", n.first.Process.Pid, insideSocket)
}

// claim takes a control group, and has it removed whatever happens.
func (n *node) claim(in *folder, keep bool) error {
	cgroups.Sweep()
	var err error
	if n.group, err = cgroups.Create(); err != nil {
		return err
	}
	scratch := ""
	if in.scratch && !keep {
		scratch = in.path
	}
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	n.janitor = exec.Command(n.installed.helper, "janitor", n.group.BaseName(), scratch)
	n.janitor.Stdin = read
	n.janitor.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // whoever ends a whole session does not mean it
	n.janitor.Dir = "/"
	if err := n.janitor.Start(); err != nil {
		write.Close()
		return fmt.Errorf("start the janitor: %w", err)
	}
	n.watched = write
	return nil
}

// begin makes the namespaces and returns when their mounts are there.
func (n *node) begin(ctx context.Context, from *spawner, folder, logPath string) error {
	log, err := os.OpenFile(logPath, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	first := &exec.Cmd{
		Path:       n.installed.helper,
		Args:       []string{helperName, "init", folder},
		Env:        nodeEnvironment(),
		Dir:        "/",
		Stdout:     log,
		Stderr:     log,
		ExtraFiles: []*os.File{write},
	}
	err = from.startWith(first, syscall.CLONE_NEWPID|syscall.CLONE_NEWNS)
	write.Close()
	if err != nil {
		return fmt.Errorf("make the namespaces of the node: %w", err)
	}
	n.first = first
	stop := context.AfterFunc(ctx, func() { read.Close() })
	defer stop()
	if word, err := io.ReadAll(read); err != nil || len(word) == 0 {
		return fmt.Errorf("process 1 of the node did not begin (%v); the end of its log:\n%s",
			errors.Join(err, context.Cause(ctx)), logTail(logPath))
	}
	n.told = &nodeStatus{
		Name:       nodeName,
		Address:    nodeAddress,
		PodRange:   podRange,
		Containerd: n.containerdSocket(),
		Cgroup:     n.group.Name(),
		PodLogs:    filepath.Join(folder, podLogs),
		Pid:        first.Process.Pid,
	}
	n.spawner, err = newNodeSpawner(first.Process.Pid)
	return err
}

// groupPatience is for the kernel, which removes killed processes from their groups in its own time.
const groupPatience = 10 * time.Second

// end kills everything in the node and returns when nothing is left of it. It may be called at any
// time and again.
func (n *node) end() error {
	if n.spawner != nil {
		n.spawner.close()
		n.spawner = nil
	}
	if n.first != nil {
		_ = n.first.Process.Kill()
		_ = n.first.Wait() // which the kernel answers when all processes of the node are gone
		n.first = nil
	}
	var err error
	if n.group != nil {
		err = n.group.Remove(groupPatience)
		n.group = nil
	}
	if n.watched != nil {
		n.watched.Close()
		_ = n.janitor.Wait()
		n.watched, n.janitor = nil, nil
	}
	return err
}

func nodeEnvironment() []string {
	return []string{
		"HOME=" + insideFolder,
		"TMPDIR=" + inside("tmp"),
		"PATH=" + nodePath(),
	}
}

// startNode brings up the node's processes; the API server is healthy by now.
func (c *cluster) startNode(ctx context.Context) error {
	if err := c.node.begin(ctx, c.spawner, c.folder.path, c.path("logs/node.log")); err != nil {
		return err
	}
	if err := c.startComponent(ctx, specByName(containerd)); err != nil {
		return err
	}
	if err := c.loadPause(ctx); err != nil {
		return err
	}
	return c.startComponent(ctx, specByName(kubelet))
}

// loadPause gives containerd the image of every pod's first process: there is no registry.
func (c *cluster) loadPause(ctx context.Context) error {
	path := filepath.Join(c.path("tmp"), "pause.tar")
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer os.Remove(path)
	err = image.Write(file, image.Spec{
		Name:       pauseImage,
		Files:      []image.File{{Source: c.node.installed.helper, Target: "/pause"}},
		Entrypoint: []string{"/pause"},
	})
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("make the image %s: %w", pauseImage, err)
	}
	return importImages(ctx, c.node.containerdSocket(), []string{path})
}
