package devcluster

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// process is one run of one component.
type process struct {
	spec    *spec
	cmd     *exec.Cmd
	logPath string
	exited  chan struct{} // closed after it is gone and result is set
	result  string        // how it ended

	mu sync.Mutex
	// onDeath is called when the process ends without having been asked to; nil while it is starting
	// or being stopped, when somebody else looks at exited.
	onDeath func(*process)
}

// thisProgram is the executable of most components: this very one, so that a component started an
// hour later is still the same version even if the file has been rebuilt or removed.
const thisProgram = "/proc/self/exe"

// startProcess returns as soon as the process exists. The command says what to run, where and with
// which environment.
func startProcess(from *spawner, s *spec, cmd *exec.Cmd, logPath string) (*process, error) {
	log, err := os.OpenFile(logPath, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p := &process{spec: s, cmd: cmd, logPath: logPath, exited: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = log, log
	if err := from.start(p.cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", s.name, err)
	}
	go p.wait()
	return p, nil
}

func (p *process) wait() {
	_ = p.cmd.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.result = p.cmd.ProcessState.String()
	close(p.exited)
	if p.onDeath != nil {
		p.onDeath(p)
	}
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// watch makes every end from now on, or since it was started, an unexpected one.
func (p *process) watch(onDeath func(*process)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.onDeath = onDeath
	if !p.running() {
		onDeath(p)
	}
}

// stop ends the process and returns when it is gone. It says whether it had to be killed although
// it was asked politely.
func (p *process) stop(signal syscall.Signal) (killed bool) {
	p.mu.Lock()
	p.onDeath = nil
	p.mu.Unlock()
	_ = p.cmd.Process.Signal(signal) // fails only if it has ended already
	select {
	case <-p.exited:
		return false
	case <-time.After(p.spec.grace):
		_ = p.cmd.Process.Kill()
		<-p.exited
		return signal != syscall.SIGKILL
	}
}

// obituary tells how it ended, with the last lines of its log.
func (p *process) obituary() string {
	return fmt.Sprintf("%s (pid %d) ended: %s; the end of its log:\n%s", p.spec.name, p.pid(), p.result, logTail(p.logPath))
}

const (
	tailBytes = 16 << 10
	tailLines = 25
)

func logTail(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Sprintf("  (%v)", err)
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.Size() > tailBytes {
		_, _ = file.Seek(-tailBytes, io.SeekEnd)
	}
	content, err := io.ReadAll(file)
	if err != nil {
		return fmt.Sprintf("  (%v)", err)
	}
	lines := bytes.Split(bytes.TrimRight(content, "\n"), []byte("\n"))
	if len(lines) > tailLines {
		lines = lines[len(lines)-tailLines:]
	}
	var tail bytes.Buffer
	for _, line := range lines {
		fmt.Fprintf(&tail, "  | %s\n", line)
	}
	return tail.String()
}
