package devcluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// cluster is one control plane in one folder. Everything that starts or stops a component goes
// through it.
type cluster struct {
	options     options
	folder      *folder
	spawner     *spawner
	ports       map[string]port
	credentials *credentials
	kwokFiles   []string
	node        *node // nil without --node
	client      *kubernetes.Clientset
	health      *http.Client
	version     string

	// deaths are the ends that nobody asked for; a buffer for one of each component is enough, since
	// the first one ends the cluster.
	deaths chan *process

	// life ends when the cluster is asked to, so that a `start` in progress does not hold it up.
	life context.Context
	end  context.CancelFunc

	// operation lets one start or stop happen at a time.
	operation sync.Mutex
	mu        sync.Mutex // guards processes, never held while waiting
	processes map[string]*process
}

func newCluster(chosen options, in *folder, real *node) *cluster {
	life, end := context.WithCancel(context.Background())
	return &cluster{
		options:   chosen,
		folder:    in,
		node:      real,
		life:      life,
		end:       end,
		spawner:   newSpawner(),
		deaths:    make(chan *process, 2*len(specs)),
		processes: map[string]*process{},
	}
}

// prepare reserves the ports and writes every file that a component reads.
func (c *cluster) prepare() error {
	c.ports = map[string]port{}
	for _, s := range c.options.components {
		for _, name := range s.ports {
			reserved, err := reservePort()
			if err != nil {
				return err
			}
			c.ports[name] = reserved
		}
	}
	if c.node != nil {
		c.ports[apiserver].release()
		c.ports[apiserver] = nodePort
		if err := c.node.claim(c.folder, c.options.keepDir); err != nil {
			return err
		}
	}
	var err error
	if c.credentials, err = newCredentials(c.path("credentials"), c.options.users); err != nil {
		return err
	}
	for _, who := range c.credentials.identities {
		server := c.publicServer()
		if slices.Contains(who.groups, componentGroup) {
			server = c.server()
		}
		if err := writeKubeconfig(c.kubeconfig(who.name), server, c.credentials.caPEM, who); err != nil {
			return err
		}
	}
	if c.node != nil {
		if err := c.writeNodeFiles(); err != nil {
			return err
		}
	}
	if c.kwokFiles, err = writeKwokFiles(c.path("kwok")); err != nil {
		return err
	}
	for path, content := range map[string]string{
		c.path("audit-policy.yaml"): auditPolicy,
		c.path("scheduler.yaml"):    schedulerConfig(c),
		c.auditLog():                "", // there from the beginning, so that a reader never misses it
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			return err
		}
	}
	for _, dir := range []string{c.path("logs"), c.path("bin"), c.path("tmp")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	executable, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.Symlink(executable, c.kubectl()); err != nil {
		return err
	}
	return c.prepareClients()
}

func (c *cluster) prepareClients() error {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(c.credentials.caPEM)
	c.health = &http.Client{
		Timeout: 2 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: roots},
			// A kept connection would report the component's previous life.
			DisableKeepAlives: true,
		},
	}
	var err error
	c.client, err = kubernetes.NewForConfig(&rest.Config{
		Host:            c.server(),
		BearerToken:     c.credentials.identities[supervisorUser].token,
		TLSClientConfig: rest.TLSClientConfig{CAData: c.credentials.caPEM},
		QPS:             -1, // no limit
		Timeout:         10 * time.Second,
	})
	return err
}

// start brings everything up, in waves: a component is started when those it needs are healthy.
func (c *cluster) start(ctx context.Context) error {
	c.operation.Lock()
	defer c.operation.Unlock()
	for _, name := range []string{etcd, apiserver} {
		if err := c.startComponent(ctx, specByName(name)); err != nil {
			return err
		}
	}
	version, err := c.client.Discovery().ServerVersion()
	if err != nil {
		return fmt.Errorf("ask the API server for its version: %w", err)
	}
	c.version = version.GitVersion

	rest, restCtx := errgroup.WithContext(ctx)
	for _, s := range c.options.components {
		if s.name != etcd && s.name != apiserver && !s.inNode {
			rest.Go(func() error { return c.startComponent(restCtx, s) })
		}
	}
	if c.node != nil {
		rest.Go(func() error { return c.startNode(restCtx) })
	}
	rest.Go(func() error { return c.populate(restCtx) })
	return rest.Wait()
}

// startComponent returns when the component is healthy. If it is not in time, or ends, it is gone.
func (c *cluster) startComponent(ctx context.Context, s *spec) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	begun := time.Now()
	cmd := &exec.Cmd{
		Path: thisProgram,
		Args: append([]string{s.name}, s.args(c)...),
		Env:  c.environment(),
		Dir:  c.folder.path,
	}
	from := c.spawner
	if s.inNode {
		cmd.Env, cmd.Dir, from = nodeEnvironment(), "/", c.node.spawner
	}
	if s.program != nil {
		cmd.Path = s.program(c.node.installed)
	}
	p, err := startProcess(from, s, cmd, c.logPath(s))
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.processes[s.name] = p
	c.mu.Unlock()
	if err := c.waitHealthy(ctx, p); err != nil {
		p.stop(syscall.SIGKILL)
		return err
	}
	fmt.Fprintf(os.Stderr, "devcluster: %s answers after %.1f s\n", s.name, time.Since(begun).Seconds())
	p.watch(func(dead *process) { c.deaths <- dead })
	return nil
}

const healthInterval = 25 * time.Millisecond

func (c *cluster) waitHealthy(ctx context.Context, p *process) error {
	last := error(nil)
	for {
		if last = c.askHealth(ctx, p.spec); last == nil {
			return nil
		}
		select {
		case <-p.exited:
			return newStartError(p)
		case <-ctx.Done():
			return fmt.Errorf("%s is not healthy (%v): %w; the end of its log:\n%s", p.spec.name, last, context.Cause(ctx), logTail(p.logPath))
		case <-time.After(healthInterval):
		}
	}
}

func (c *cluster) askHealth(ctx context.Context, s *spec) error {
	if socket, ok := strings.CutPrefix(s.health(c), unixScheme); ok {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
		if err == nil {
			conn.Close()
		}
		return err
	}
	ask, err := http.NewRequestWithContext(ctx, http.MethodGet, s.health(c), nil)
	if err != nil {
		return err
	}
	if s.name == apiserver {
		ask.Header.Set("Authorization", "Bearer "+c.credentials.identities[supervisorUser].token)
	}
	answer, err := c.health.Do(ask)
	if err != nil {
		return err
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %s", answer.Status)
	}
	return nil
}

// startError is a component that ended while it was starting. The text is made at once, since the
// log is gone by the time that the error is printed.
type startError struct{ text string }

func newStartError(p *process) startError { return startError{p.obituary()} }

func (e startError) Error() string { return e.text }

// shutdown stops everything, in the reverse order of starting: first those that ask the API server,
// all at once, then the server, then its store.
func (c *cluster) shutdown(signal syscall.Signal) {
	c.operation.Lock()
	defer c.operation.Unlock()
	var clients sync.WaitGroup
	for _, s := range c.options.components {
		if s.name != etcd && s.name != apiserver {
			clients.Go(func() { c.stopProcess(s, signal) })
		}
	}
	clients.Wait()
	if c.node != nil {
		if err := c.node.end(); err != nil {
			fmt.Fprintf(os.Stderr, "devcluster: end the node: %v\n", err)
		}
	}
	c.stopProcess(specByName(apiserver), signal)
	c.stopProcess(specByName(etcd), signal)
	for _, reserved := range c.ports {
		reserved.release()
	}
}

func (c *cluster) stopProcess(s *spec, signal syscall.Signal) (pid int, killed bool) {
	p := c.process(s)
	if p == nil {
		return 0, false
	}
	return p.pid(), p.stop(signal)
}

// process is the component's running process, or nil.
func (c *cluster) process(s *spec) *process {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.processes[s.name]; p != nil && p.running() {
		return p
	}
	return nil
}

// environment is the same on every machine: no proxies, no KUBE_ variables, no configuration from
// the home of whoever runs it.
func (c *cluster) environment() []string {
	return []string{
		"HOME=" + c.folder.path,
		"TMPDIR=" + c.path("tmp"),
		"PATH=" + os.Getenv("PATH"),
	}
}

func (c *cluster) path(name string) string    { return filepath.Join(c.folder.path, name) }
func (c *cluster) auditLog() string           { return c.path("audit.log") }
func (c *cluster) kubectl() string            { return c.path("bin/kubectl") }
func (c *cluster) logPath(s *spec) string     { return c.path("logs/" + s.name + ".log") }
func (c *cluster) address(name string) string { return c.ports[name].address() }
func (c *cluster) server() string             { return "https://" + c.address(apiserver) }

// publicServer is what users connect to, inside of the node's network and outside.
func (c *cluster) publicServer() string {
	if c.node != nil {
		return c.node.server()
	}
	return c.server()
}

func (c *cluster) kubeconfig(u string) string { return c.path("kubeconfigs/" + u + ".kubeconfig") }

func (c *cluster) portNumber(name string) string { return strconv.Itoa(c.ports[name].number) }
