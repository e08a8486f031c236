package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test binary contains all of Kubernetes already, so it stands in for devcluster: started under
// any of its names it is that, and the supervisor in it finds its components through /proc/self/exe.
func TestMain(m *testing.M) {
	if _, _, ok := component(os.Args); ok || filepath.Base(os.Args[0]) == "devcluster" {
		os.Exit(run(os.Args))
	}
	code := m.Run()
	removePrograms()
	os.Exit(code)
}

func call(args ...string) *exec.Cmd {
	return &exec.Cmd{Path: "/proc/self/exe", Args: append([]string{"devcluster"}, args...)}
}

// cluster is a running `devcluster up`.
type cluster struct {
	cmd    *exec.Cmd
	stderr bytes.Buffer
	Dir    string
	Pid    int
	Server string
	Pids   map[string]int
	Kubectl,
	Version string
	Kubeconfigs map[string]string
	AuditLog    string `json:"audit_log"`
	Node        struct {
		Pid    int
		Cgroup string
	}
}

// controlPlane is enough for most tests, and starts soonest.
const controlPlane = "--components=etcd,kube-apiserver"

func up(t *testing.T, args ...string) *cluster {
	t.Helper()
	c := &cluster{cmd: call(append([]string{"up"}, args...)...)}
	c.cmd.Stderr = &c.stderr
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.cmd.Process.Signal(syscall.SIGTERM) // has ended already in most tests
		_ = c.cmd.Wait()
	})
	lines := bufio.NewReader(out)
	line, err := lines.ReadBytes('\n')
	if err != nil {
		_ = c.cmd.Wait()
		t.Fatalf("no line on stdout: %v\n%s", err, c.stderr.String())
	}
	if err := json.Unmarshal(line, c); err != nil {
		t.Fatalf("%v in %s", err, line)
	}
	return c
}

func (c *cluster) kubectl(t *testing.T, user string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(c.Kubectl, append([]string{"--kubeconfig", c.Kubeconfigs[user]}, args...)...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (c *cluster) mustKubectl(t *testing.T, user string, args ...string) string {
	t.Helper()
	out, err := c.kubectl(t, user, args...)
	if err != nil {
		t.Fatalf("kubectl %q: %v\n%s", args, err, out)
	}
	return out
}

func must(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%q: %v\n%s", cmd.Args, err, out)
	}
}

func eventually(t *testing.T, what string, check func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !check(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

// alive looks at the command line as well: a number may have been given to another process.
func alive(pid int, name string) bool {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && strings.HasPrefix(string(line), name+"\x00")
}

func TestMistakesOfTheCallerExitWith2AndSayWhatIsAccepted(t *testing.T) {
	for _, row := range []struct {
		args []string
		says string
	}{
		{[]string{"ab"}, "up"},
		{[]string{"ab"}, "kube-scheduler"},
		{[]string{"up", "--nonsense"}, "--nonsense"},
		{[]string{"up", "word"}, "word"},
		{[]string{"up", "--components", "etcd,coredns"}, "coredns"},
		{[]string{"up", "--fake-nodes", "many"}, "many"},
		{[]string{"stop", "etcd"}, "--dir"},
		{[]string{"stop", "--dir", "x"}, "kube-apiserver"},
		{[]string{"stop", "--dir", "x", "coredns"}, "coredns"},
		{[]string{"stop", "--dir", "x", "etcd", "--signal", "HUP"}, "HUP"},
	} {
		t.Run(strings.Join(row.args, " "), func(t *testing.T) {
			t.Parallel()
			out, err := call(row.args...).CombinedOutput()
			if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 2 || !strings.Contains(string(out), row.says) {
				t.Fatalf("want exit 2 and %q, got %v and %s", row.says, err, out)
			}
		})
	}
}

func TestAskingAFolderWithoutAClusterFailsWith1(t *testing.T) {
	t.Parallel()
	out, err := call("status", "--dir", t.TempDir()).CombinedOutput()
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 1 || !strings.Contains(string(out), "no cluster is running") {
		t.Fatalf("got %v and %s", err, out)
	}
}

func TestPodsOnTheFakeNodeBecomeReadyUnlessTheyMustNot(t *testing.T) {
	t.Parallel()
	c := up(t, "--users", "windlass,limited:none")
	if c.Version != "v1.37.1" && !strings.HasPrefix(c.Version, "v0.0.0") { // stamped by the build command only
		t.Errorf("version %s", c.Version)
	}
	if out, err := c.kubectl(t, "limited", "get", "pods"); err == nil || !strings.Contains(out, "Forbidden") {
		t.Errorf("limited:none may list pods: %v %s", err, out)
	}
	pods := `{"apiVersion":"v1","kind":"List","items":[` +
		pod("plain", "{}") + "," + pod("never", `{"windlass.test/never-ready":"true"}`) + "," + pod("slow", `{"windlass.test/ready-after":"2s"}`) + `]}`
	file := filepath.Join(t.TempDir(), "pods.json")
	if err := os.WriteFile(file, []byte(pods), 0o600); err != nil {
		t.Fatal(err)
	}
	c.mustKubectl(t, "windlass", "create", "-f", file)
	// slow comes after the others, so by then never has had its chance.
	c.mustKubectl(t, "windlass", "wait", "--for=condition=Ready", "pod/plain", "pod/slow", "--timeout=30s")
	got := c.mustKubectl(t, "windlass", "get", "pod", "never", "plain", "-o", `jsonpath={range .items[*]}{.status.phase}/{.status.containerStatuses[0].ready}/{.status.containerStatuses[0].state.running.startedAt} {end}`)
	if words := strings.Fields(got); len(words) != 2 || !strings.HasPrefix(words[0], "Running/false/2") || !strings.HasPrefix(words[1], "Running/true/2") {
		t.Errorf("never and plain are %q", got)
	}
	c.mustKubectl(t, "windlass", "delete", "pod", "--all", "--timeout=20s")

	counts := map[string]int{}
	log, err := os.ReadFile(c.AuditLog)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(log) {
		var event struct {
			Stage, Verb string
			User        struct{ Username string }
			ObjectRef   struct{ Resource string }
		}
		if err := json.Unmarshal(line, &event); err != nil {
			t.Fatal(err)
		}
		if event.Stage != "ResponseComplete" || strings.HasPrefix(event.User.Username, "system:") {
			t.Errorf("does not belong in the audit log: %s", line)
		}
		counts[event.User.Username+" "+event.Verb+" "+event.ObjectRef.Resource]++
	}
	if counts["windlass create pods"] != 3 || counts["limited list pods"] != 1 {
		t.Errorf("counts: %v", counts)
	}
}

// Found by a rollout that hung: kwok's leases outlived the kwok that was stopped.
func TestPodsBecomeReadySoonAfterKwokIsStartedAgain(t *testing.T) {
	t.Parallel()
	c := up(t)
	for _, signal := range []string{"KILL", "TERM"} {
		must(t, call("stop", "--dir", c.Dir, "kwok", "--signal", signal))
		must(t, call("start", "--dir", c.Dir, "kwok"))
		name := "after-" + strings.ToLower(signal)
		c.mustKubectl(t, "test", "create", "deployment", name, "--image=none", "--replicas=3")
		c.mustKubectl(t, "test", "rollout", "status", "deployment", name, "--timeout=20s")
	}
}

func pod(name, annotations string) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":%q,"annotations":%s},"spec":{"containers":[{"name":"c","image":"none"}]}}`, name, annotations)
}

func TestStreamingListsAreThereUnlessSwitchedOff(t *testing.T) {
	t.Parallel()
	const ask = "/api/v1/namespaces?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=1"
	out, err := up(t, controlPlane).kubectl(t, "test", "get", "--raw", ask)
	if err != nil || !strings.Contains(out, "k8s.io/initial-events-end") {
		t.Errorf("with: %v %s", err, out)
	}
	out, err = up(t, controlPlane, "--without-watch-list").kubectl(t, "test", "get", "--raw", ask)
	if err == nil || !strings.Contains(out, "sendInitialEvents") {
		t.Errorf("without: %v %s", err, out)
	}
}

func TestClustersSideBySideKnowNothingOfEachOther(t *testing.T) {
	t.Parallel()
	one, two := up(t, controlPlane), up(t, controlPlane)
	one.mustKubectl(t, "admin", "create", "namespace", "only-one")
	if out, err := two.kubectl(t, "admin", "get", "namespace", "only-one"); err == nil || !strings.Contains(out, "NotFound") {
		t.Errorf("two: %v %s", err, out)
	}
	must(t, call("down", "--dir", one.Dir))
	if _, err := os.Stat(one.Dir); !os.IsNotExist(err) {
		t.Errorf("the scratch folder is still there after `down`: %v", err)
	}
	if err := one.cmd.Wait(); err != nil {
		t.Errorf("`down` did not end it well: %v\n%s", err, one.stderr.String())
	}
	two.mustKubectl(t, "admin", "get", "namespace", "default")
}

func TestAStoppedComponentComesBackWithItsDataAndItsAddress(t *testing.T) {
	t.Parallel()
	// Deeper than the 107 bytes that the address of a socket may have.
	dir := filepath.Join(t.TempDir(), strings.Repeat("deep", 40))
	c := up(t, controlPlane, "--dir", dir)
	c.mustKubectl(t, "test", "create", "configmap", "kept", "--from-literal=a=b")
	for _, fault := range [][]string{{"kube-apiserver", "KILL"}, {"kube-apiserver", "TERM"}, {"etcd", "KILL"}} {
		name, before := fault[0], c.Pids[fault[0]]
		must(t, call("stop", "--dir", dir, name, "--signal", fault[1]))
		if alive(before, name) {
			t.Fatalf("%s is alive after stop", name)
		}
		if out, err := call("stop", "--dir", dir, name).CombinedOutput(); err == nil || !strings.Contains(string(out), "not running") {
			t.Errorf("stopped twice: %v %s", err, out)
		}
		must(t, call("start", "--dir", dir, name))
		eventually(t, "the ConfigMap is there after "+name+" "+fault[1], func() bool {
			out, err := c.kubectl(t, "test", "get", "configmap", "kept", "-o", "jsonpath={.data.a}")
			return err == nil && out == "b"
		})
		line, err := call("status", "--dir", dir).Output()
		if err != nil {
			t.Fatal(err)
		}
		var now cluster
		if err := json.Unmarshal(line, &now); err != nil {
			t.Fatal(err)
		}
		if now.Server != c.Server || now.Pids[name] == before || !alive(now.Pids[name], name) {
			t.Errorf("status after the start: %s", line)
		}
		c.Pids = now.Pids
	}
}

func TestChildrenDieWithTheSupervisorEvenWhenItIsKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := up(t, controlPlane, "--dir", dir)
	if err := c.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for name, pid := range c.Pids {
		eventually(t, name+" is gone", func() bool { return !alive(pid, name) })
	}
	// What it left behind does not stop the next one.
	up(t, controlPlane, "--dir", dir)
}

func TestAComponentThatDiesEndsEverythingAndIsNamed(t *testing.T) {
	t.Parallel()
	c := up(t, controlPlane)
	if err := syscall.Kill(c.Pids["etcd"], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	err := c.cmd.Wait()
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 1 || !strings.Contains(c.stderr.String(), "etcd (pid") {
		t.Errorf("got %v and %s", err, c.stderr.String())
	}
	if alive(c.Pids["kube-apiserver"], "kube-apiserver") {
		t.Error("the API server is alive")
	}
}

func TestAComponentThatCannotStartIsExplainedByItsLog(t *testing.T) {
	t.Parallel()
	out, err := call("up", controlPlane, "--apiserver-arg=--no-such-flag").CombinedOutput()
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 1 || !strings.Contains(string(out), "unknown flag: --no-such-flag") {
		t.Fatalf("got %v and %s", err, out)
	}
}

func TestTheEndOfStandardInputEndsTheClusterWhenAsked(t *testing.T) {
	t.Parallel()
	cmd := call("up", controlPlane, "--stop-on-stdin-eof")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadBytes('\n'); err != nil {
		t.Fatal(err)
	}
	in.Close()
	_, _ = io.Copy(io.Discard, out)
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
}
