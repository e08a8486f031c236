package devcluster

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	nodeAddress = "10.245.0.1" // the same in every cluster: their networks know nothing of each other
	podRange    = "10.244.0.0/24"

	// doorVariable tells the supervisor, begun again in its own network, which of its descriptors is
	// the socket that listens outside.
	doorVariable = "DEVCLUSTER_DOOR"
)

// networkCommands make the node's network: an address of its own, which must not be loopback, and
// the address of the Service default/kubernetes. The API server listens there itself, so that pods
// reach it as in any cluster, without kube-proxy and without packet filters. The pair of devices
// stands in for a network card; not every kernel has a dummy device.
const networkCommands = `link set lo up
address add ` + firstServiceAddress + `/32 dev lo
link add node type veth peer name wire
address add ` + nodeAddress + `/24 dev node
link set node up
link set wire up
route add default dev node
`

// enterOwnNetwork puts the whole supervisor, and so all that it starts, into a new network
// namespace without a name: the kernel removes it with the last process in it. A namespace belongs
// to a thread, so the program begins again in it, as the same process. What it keeps from outside
// is one listening socket: the door to the API server.
func enterOwnNetwork() (net.Listener, error) {
	if word, again := os.LookupEnv(doorVariable); again {
		os.Unsetenv(doorVariable)
		_ = os.WriteFile("/proc/self/comm", []byte("devcluster"), 0o600) // it was begun as /proc/self/exe
		descriptor, err := strconv.Atoi(word)
		if err != nil {
			return nil, fmt.Errorf("%s=%q is no descriptor", doorVariable, word)
		}
		file := os.NewFile(uintptr(descriptor), "door")
		defer file.Close() // the listener has a copy
		door, err := net.FileListener(file)
		if err != nil {
			return nil, fmt.Errorf("take over the door: %w", err)
		}
		return door, makeNetwork()
	}
	reserved, err := reservePort()
	if err != nil {
		return nil, err
	}
	if err := unix.Listen(reserved.socket, 1024); err != nil {
		return nil, os.NewSyscallError("listen", err)
	}
	if _, err := unix.FcntlInt(uintptr(reserved.socket), unix.F_SETFD, 0); err != nil { // survives the exec
		return nil, os.NewSyscallError("fcntl", err)
	}
	runtime.LockOSThread() // for good: this thread becomes the process
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("make a network namespace: %w", err)
	}
	environment := append(os.Environ(), fmt.Sprintf("%s=%d", doorVariable, reserved.socket))
	return nil, fmt.Errorf("begin again in the new network: %w", syscall.Exec("/proc/self/exe", os.Args, environment))
}

func makeNetwork() error {
	command := exec.Command("ip", "-batch", "-")
	command.Stdin = strings.NewReader(networkCommands)
	if said, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("make the node's network: ip: %w: %s", err, strings.TrimSpace(string(said)))
	}
	return nil
}

// forward carries every connection on to the target. While nobody listens there it resets them,
// which is as near to a refused connection as a listening socket can come.
func forward(door net.Listener, target string) {
	for {
		conn, err := door.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "devcluster: accept a connection to the API server: %v\n", err)
			return
		}
		go carry(conn.(*net.TCPConn), target)
	}
}

func carry(from *net.TCPConn, target string) {
	defer from.Close()
	conn, err := net.Dial("tcp", target)
	if err != nil {
		_ = from.SetLinger(0)
		return
	}
	to := conn.(*net.TCPConn)
	defer to.Close()
	back := make(chan struct{})
	go func() {
		pour(from, to)
		close(back)
	}()
	pour(to, from)
	<-back
}

// pour copies one direction, and hands on how it ended: a server that was killed must not look as if
// it had said all that it wanted.
func pour(to, from *net.TCPConn) {
	if _, err := io.Copy(to, from); err != nil {
		_ = to.SetLinger(0)
		_ = from.SetLinger(0)
		to.Close()
		from.Close()
		return
	}
	_ = to.CloseWrite()
}
