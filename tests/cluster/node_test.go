package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"windlass.dev/tests/cluster/internal/cgroups"
)

var removePrograms = func() {}

// programs builds the small programs that a node and its pods need, once.
var programs = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "devcluster-programs-")
	if err != nil {
		return "", err
	}
	removePrograms = func() { _ = os.RemoveAll(folder) }
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", folder, "./cmd/...")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		return folder, fmt.Errorf("%w: %s", err, said)
	}
	return folder, os.Setenv("DEVCLUSTER_NODE", filepath.Join(folder, "devcluster-node"))
})

func needsNode(t *testing.T) (folder string) {
	t.Helper()
	folder, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	return folder
}

// testImage is an archive with the test application.
func testImage(t *testing.T) string {
	t.Helper()
	archive := filepath.Join(t.TempDir(), "app.tar")
	must(t, call("image", "--output", archive, "--name", "windlass.test/app", "--binary", filepath.Join(needsNode(t), "testapp")+"=/app"))
	return archive
}

const realPod = `apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {level: A}
---
apiVersion: v1
kind: Pod
metadata: {name: real}
spec:
  containers:
  - name: app
    image: windlass.test/app
    imagePullPolicy: Never
    readinessProbe: {httpGet: {port: 8080, path: /state}, periodSeconds: 1}
    volumeMounts: [{name: settings, mountPath: /settings}]
  volumes:
  - {name: settings, configMap: {name: settings}}
`

// runPod returns the address of a pod that is ready.
func (c *cluster) runPod(t *testing.T) string {
	t.Helper()
	must(t, call("load", "--dir", c.Dir, testImage(t)))
	file := filepath.Join(t.TempDir(), "pod.yaml")
	if err := os.WriteFile(file, []byte(realPod), 0o600); err != nil {
		t.Fatal(err)
	}
	c.mustKubectl(t, "test", "create", "-f", file)
	c.mustKubectl(t, "test", "wait", "--for=condition=Ready", "pod/real", "--timeout=60s")
	return c.mustKubectl(t, "test", "get", "pod", "real", "-o", "jsonpath={.status.podIP}")
}

// traces is what a node is known by in the kernel.
type traces struct {
	dir, cgroup string
	namespaces  map[string]string // kind to identity
}

func (c *cluster) traces(t *testing.T) traces {
	t.Helper()
	seen := traces{dir: c.Dir, cgroup: strings.TrimPrefix(c.Node.Cgroup, "/"), namespaces: map[string]string{}}
	for _, kind := range []string{"pid", "mnt", "net"} {
		name, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", c.Node.Pid, kind))
		if err != nil {
			t.Fatal(err)
		}
		seen.namespaces[kind] = name
	}
	return seen
}

// left lists what there is of a node: processes in its namespaces, mounts, control groups.
func (s traces) left(t *testing.T) []string {
	t.Helper()
	var left []string
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, process := range processes {
		for kind, name := range s.namespaces {
			if got, err := os.Readlink(process + "/ns/" + kind); err == nil && got == name {
				line, _ := os.ReadFile(process + "/cmdline")
				left = append(left, fmt.Sprintf("%s %s %q", process, name, line))
			}
		}
	}
	mounts, err := os.ReadFile("/proc/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, s.dir) {
			left = append(left, line)
		}
	}
	return append(left, cgroups.Left(s.cgroup)...)
}

// interfaces are the names of the devices that the machine itself has.
func interfaces(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, folder := range []string{"/sys/class/net", "/run/netns"} {
		entries, err := os.ReadDir(folder)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		for _, entry := range entries {
			names = append(names, entry.Name())
		}
	}
	return names
}

func TestARealNodeRunsPodsAndNothingOfItStaysHoweverItEnds(t *testing.T) {
	t.Parallel()
	needsNode(t)
	before := interfaces(t)
	t.Cleanup(func() {
		if after := interfaces(t); !slices.Equal(before, after) {
			t.Errorf("devices of the machine before %v and after %v", before, after)
		}
	})
	for name, end := range map[string]func(*testing.T, *cluster){
		"down":    func(t *testing.T, c *cluster) { must(t, call("down", "--dir", c.Dir)) },
		"SIGTERM": func(t *testing.T, c *cluster) { c.signal(t, syscall.SIGTERM) },
		"SIGKILL": func(t *testing.T, c *cluster) { c.signal(t, syscall.SIGKILL) },
		// As much as the machine may do to it: the pods are nobody's children then.
		"SIGKILL of containerd": func(t *testing.T, c *cluster) {
			if err := syscall.Kill(c.Pids["containerd"], syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			_ = c.cmd.Wait()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := up(t, "--node")
			address := c.runPod(t)
			got, err := call("enter", "--dir", c.Dir, "--", filepath.Join(needsNode(t), "testapp"), "--get", "http://"+address+":8080/file?path=/settings/level").CombinedOutput()
			if err != nil || string(got) != "A" {
				t.Errorf("the pod at %s is not to be reached: %v %s", address, err, got)
			}
			seen := c.traces(t)
			// The supervisor's components, process 1, containerd, the kubelet, a shim, pause and the app.
			if left := seen.left(t); len(left) < 10 {
				t.Errorf("not all is found while it runs: %q", left)
			}
			end(t, c)
			var there error
			var left []string
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("%s: %v; left: %q", c.Dir, there, left)
				}
			})
			eventually(t, "nothing is left", func() bool {
				_, there = os.Stat(c.Dir)
				left = seen.left(t)
				return len(left) == 0 && os.IsNotExist(there)
			})
		})
	}
}

func (c *cluster) signal(t *testing.T, signal syscall.Signal) {
	t.Helper()
	if err := c.cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	_ = c.cmd.Wait() // how it ends is another test's business
}

func TestAStartWithANodeThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	needsNode(t)
	// In the first the API server fails, and by then there is a control group; the second is over
	// before any machine can be done: quick ones are with all of it within four seconds.
	for _, flag := range []string{"--apiserver-arg=--no-such-flag", "--timeout=2500ms"} {
		out, err := call("up", "--node", flag).CombinedOutput()
		if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 1 {
			t.Fatalf("%s: %v %s", flag, err, out)
		}
		eventually(t, "no control group belongs to a dead cluster", func() bool { return len(deadGroups(t)) == 0 })
	}
}

// deadGroups are the control groups whose lock nobody holds: others may be running clusters.
func deadGroups(t *testing.T) []string {
	t.Helper()
	var dead []string
	for _, folder := range []string{"/sys/fs/cgroup/", "/sys/fs/cgroup/*/"} {
		found, err := filepath.Glob(folder + cgroups.Prefix + "*")
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range found {
			if !cgroups.Held(filepath.Base(path)) {
				dead = append(dead, path)
			}
		}
	}
	return dead
}

func TestAKubeletAndAContainerdThatAreStartedAgainFindTheirPods(t *testing.T) {
	t.Parallel()
	needsNode(t)
	c := up(t, "--node", "--change-detection", "Cache")
	c.runPod(t)
	const started = "jsonpath={.status.containerStatuses[0].containerID}"
	before := c.mustKubectl(t, "test", "get", "pod", "real", "-o", started)
	for _, name := range []string{"kubelet", "containerd"} {
		must(t, call("stop", "--dir", c.Dir, name, "--signal", "KILL"))
		must(t, call("start", "--dir", c.Dir, name))
	}
	eventually(t, "exec works again", func() bool {
		out, err := c.kubectl(t, "test", "exec", "real", "--", "/app", "--probe-api")
		return err == nil && strings.Contains(out, "system:serviceaccount:default:default")
	})
	if after := c.mustKubectl(t, "test", "get", "pod", "real", "-o", started); after != before {
		t.Errorf("the container was %s and is %s", before, after)
	}
}
