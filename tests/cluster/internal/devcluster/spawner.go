package devcluster

import (
	"os/exec"
	"runtime"
	"syscall"
)

// spawner starts child processes such that none outlives the supervisor, SIGKILL included.
//
// PR_SET_PDEATHSIG asks the kernel to kill a child when its parent ends, but "parent" means the
// thread that started it, and Go ends threads as it likes. So one thread does all the starts and
// never ends: the goroutine that is locked to it never returns.
type spawner struct{ starts chan start }

type start struct {
	cmd  *exec.Cmd
	done chan error
}

func newSpawner() *spawner {
	s := &spawner{starts: make(chan start)}
	go func() {
		runtime.LockOSThread()
		for next := range s.starts { // never closed
			next.done <- next.cmd.Start()
		}
	}()
	return s
}

func (s *spawner) start(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Pdeathsig: syscall.SIGKILL,
		// A group of its own: Ctrl-C in a terminal reaches the supervisor alone, which then ends the
		// components in order.
		Setpgid: true,
	}
	done := make(chan error)
	s.starts <- start{cmd, done}
	return <-done
}
