package devcluster

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// spawner starts child processes such that none outlives the supervisor, SIGKILL included.
//
// PR_SET_PDEATHSIG asks the kernel to kill a child when its parent ends, but "parent" means the
// thread that started it, and Go ends threads as it likes. So one thread does all the starts and
// stays: the goroutine that is locked to it does not return before it is told to.
type spawner struct {
	starts     chan start
	attributes syscall.SysProcAttr
}

type start struct {
	cmd  *exec.Cmd
	done chan error
}

func newSpawner() *spawner {
	s := &spawner{
		starts: make(chan start),
		attributes: syscall.SysProcAttr{
			Pdeathsig: syscall.SIGKILL,
			// A group of its own: Ctrl-C in a terminal reaches the supervisor alone, which then ends the
			// components in order.
			Setpgid: true,
		},
	}
	go func() {
		runtime.LockOSThread()
		s.serve()
	}()
	return s
}

// newNodeSpawner starts processes in the namespaces of a node. They are the supervisor's children
// all the same, and die with the node's process 1, which dies with the supervisor: Go's way of
// asking for PR_SET_PDEATHSIG takes a parent in another namespace for a dead one.
func newNodeSpawner(first int) (*spawner, error) {
	s := &spawner{starts: make(chan start), attributes: syscall.SysProcAttr{Setpgid: true}}
	entered := make(chan error)
	go func() {
		// Never unlocked: the thread ends with the goroutine, and lets go of the namespaces.
		runtime.LockOSThread()
		err := enterNode(first)
		entered <- err
		if err == nil {
			s.serve()
		}
	}()
	return s, <-entered
}

// enterNode makes this thread see the node's mounts, and its children be the node's processes.
func enterNode(first int) error {
	// Threads share their idea of the current folder, and such cannot change mounts.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return os.NewSyscallError("unshare", err)
	}
	// The mounts last: with them /proc is another one.
	for _, name := range []string{"pid", "mnt"} {
		file, err := os.Open(fmt.Sprintf("/proc/%d/ns/%s", first, name))
		if err != nil {
			return err
		}
		defer file.Close()
		if err := unix.Setns(int(file.Fd()), 0); err != nil {
			return fmt.Errorf("enter the node: %w", os.NewSyscallError("setns", err))
		}
	}
	return nil
}

func (s *spawner) serve() {
	for next := range s.starts {
		next.done <- next.cmd.Start()
	}
}

// close lets the thread end. Only for a spawner whose children do not depend on it.
func (s *spawner) close() { close(s.starts) }

func (s *spawner) start(cmd *exec.Cmd) error { return s.startWith(cmd, 0) }

// startWith gives the child namespaces of its own (CLONE_NEW...).
func (s *spawner) startWith(cmd *exec.Cmd, namespaces uintptr) error {
	attributes := s.attributes
	attributes.Cloneflags = namespaces
	cmd.SysProcAttr = &attributes
	done := make(chan error)
	s.starts <- start{cmd, done}
	return <-done
}
