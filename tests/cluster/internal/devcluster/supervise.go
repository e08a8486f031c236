package devcluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// portAttempts is how often a cluster is begun again because a program outside took a port between
// its reservation and its use.
const portAttempts = 3

// up runs one cluster from its first file to its end. announce is called once, when it is ready.
// It returns nil if it was asked to end after that.
func up(chosen options, real *node, announce func(status) error) (err error) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	// Whoever reads our output may be gone by the time we clean up; that is no reason to stop cleaning.
	signal.Ignore(syscall.SIGPIPE)

	claimed, err := claimFolder(chosen.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, claimed.release(chosen.keepDir)) }()

	c := newCluster(chosen, claimed, real)
	ctx, cancel := context.WithTimeoutCause(context.Background(), chosen.timeout,
		fmt.Errorf("the cluster was not ready within %s", chosen.timeout))
	defer cancel()

	started := make(chan error, 1)
	go func() { started <- c.begin(ctx) }()

	asked := make(chan string, 3) // one sender each: stdin, `down`, and room to spare
	if chosen.stopOnStdinEOF {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			asked <- "standard input closed"
		}()
	}

	ready, dead := false, false
	var reason string
	for reason == "" && err == nil {
		select {
		case err = <-started:
			started = nil
			if err != nil {
				break
			}
			ready = true
			var doors *control
			if doors, err = openControl(c, func() { asked <- "`devcluster down`" }); err == nil {
				defer doors.close()
				err = announce(c.status())
			}
		case p := <-c.deaths:
			dead = true
			err = errors.New(p.obituary())
		case got := <-signals:
			reason = got.String()
		case reason = <-asked:
		}
	}
	if started != nil {
		cancel()
		<-started
	}
	if reason != "" {
		fmt.Fprintf(os.Stderr, "devcluster: ending (%s)\n", reason)
		if !ready {
			err = fmt.Errorf("asked to end before the cluster was ready")
		}
	}

	// A second signal means now.
	go func() {
		<-signals
		c.kill()
	}()
	c.end()
	if err != nil && !ready || dead {
		// Nothing is left to be polite to: a server without its store takes all its time.
		c.shutdown(syscall.SIGKILL)
	} else {
		c.shutdown(syscall.SIGTERM)
	}
	return err
}

// begin prepares and starts the cluster, again with other ports if one was taken.
func (c *cluster) begin(ctx context.Context) error {
	for attempt := 1; ; attempt++ {
		err := c.prepare()
		if err == nil {
			err = c.start(ctx)
		}
		if err == nil || attempt == portAttempts || !isPortClash(err) {
			return err
		}
		fmt.Fprintf(os.Stderr, "devcluster: a port was taken by another program, beginning again with others\n")
		c.shutdown(syscall.SIGKILL)
		if err := c.folder.empty(); err != nil {
			return err
		}
	}
}

func isPortClash(err error) bool {
	var failed startError
	return errors.As(err, &failed) && strings.Contains(failed.text, "address already in use")
}

// status is the JSON line of `up` and `status`. Stopped components are not among the pids.
type status struct {
	Dir         string            `json:"dir"`
	Pid         int               `json:"pid"`
	Server      string            `json:"server"`
	Version     string            `json:"version"`
	Kubeconfigs map[string]string `json:"kubeconfigs"`
	AuditLog    string            `json:"audit_log"`
	Pids        map[string]int    `json:"pids"`
	Logs        map[string]string `json:"logs"`
	Kubectl     string            `json:"kubectl"`
	Node        *nodeStatus       `json:"node,omitempty"`
}

// nodeStatus is there with --node. Containerd is its socket, as seen from outside of the node.
type nodeStatus struct {
	Name       string `json:"name"`
	Address    string `json:"address"`
	PodRange   string `json:"pod_range"`
	Containerd string `json:"containerd"`
	Cgroup     string `json:"cgroup"`
	PodLogs    string `json:"pod_logs"`
	// Pid is of process 1 of the node: /proc/PID/root is what its processes see.
	Pid int `json:"pid"`
}

func (c *cluster) status() status {
	now := status{
		Dir:         c.folder.path,
		Pid:         os.Getpid(),
		Server:      c.publicServer(),
		Version:     c.version,
		Kubeconfigs: map[string]string{},
		AuditLog:    c.auditLog(),
		Pids:        map[string]int{},
		Logs:        map[string]string{},
		Kubectl:     c.kubectl(),
	}
	if c.node != nil {
		now.Node = c.node.told
	}
	for _, u := range c.options.users {
		now.Kubeconfigs[u.name] = c.kubeconfig(u.name)
	}
	for _, s := range c.options.components {
		now.Logs[s.name] = c.logPath(s)
		if p := c.process(s); p != nil {
			now.Pids[s.name] = p.pid()
		}
	}
	return now
}

// kill ends every component at once, without the order and the patience of shutdown.
func (c *cluster) kill() {
	for _, s := range c.options.components {
		if p := c.process(s); p != nil {
			_ = p.cmd.Process.Kill()
		}
	}
}

// stopComponent and restartComponent are the fault tests' way in.

func (c *cluster) stopComponent(s *spec, signal syscall.Signal) error {
	c.operation.Lock()
	defer c.operation.Unlock()
	if c.process(s) == nil {
		return fmt.Errorf("%s is not running", s.name)
	}
	if pid, killed := c.stopProcess(s, signal); killed {
		fmt.Fprintf(os.Stderr, "devcluster: %s (pid %d) did not end within %s of SIGTERM and was killed\n", s.name, pid, s.grace)
	}
	return nil
}

// restartTimeout bounds one `start`; the API server reads all of etcd before it is ready.
const restartTimeout = time.Minute

func (c *cluster) restartComponent(s *spec) error {
	c.operation.Lock()
	defer c.operation.Unlock()
	if p := c.process(s); p != nil {
		return fmt.Errorf("%s is running already (pid %d)", s.name, p.pid())
	}
	ctx, cancel := context.WithTimeout(c.life, restartTimeout)
	defer cancel()
	return c.startComponent(ctx, s)
}
