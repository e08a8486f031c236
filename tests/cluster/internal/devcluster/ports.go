package devcluster

import (
	"fmt"
	"math/rand/v2"
	"os"

	"golang.org/x/sys/unix"
)

// port is a TCP port of 127.0.0.1, reserved by a socket that is bound and never listens.
//
// Picking a free port and closing it again is a race with every other cluster and with every
// outgoing connection, and it is lost for certain when a component is stopped for a while. A bound
// socket keeps both away. The component itself can still listen there: Linux lets two sockets with
// SO_REUSEADDR share an address as long as only one listens, and Go sets it on every listener.
// Other supervisors notice the reservation because they try each port once without SO_REUSEADDR.
type port struct {
	number int
	socket int
}

const (
	// Below the default range of outgoing connections (32768 and up), above the well-known services.
	lowestPort  = 12000
	highestPort = 31999
	portTries   = 200
)

func reservePort() (port, error) {
	var last error
	for range portTries {
		number := lowestPort + rand.IntN(highestPort-lowestPort+1)
		// Nobody has it, reserved or listening?
		probe, err := bindLoopback(number, false)
		if err != nil {
			last = err
			continue
		}
		unix.Close(probe)
		socket, err := bindLoopback(number, true)
		if err != nil {
			last = err
			continue
		}
		return port{number, socket}, nil
	}
	return port{}, fmt.Errorf("no free port between %d and %d after %d tries: %w", lowestPort, highestPort, portTries, last)
}

// nodePort is where the API server listens in a network of its own, in which nobody takes it away.
var nodePort = port{number: 443, socket: -1}

func (p port) release() {
	if p.socket >= 0 {
		unix.Close(p.socket)
	}
}

func (p port) address() string { return fmt.Sprintf("127.0.0.1:%d", p.number) }

func bindLoopback(number int, share bool) (int, error) {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if share {
		if err := unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
			unix.Close(socket)
			return -1, os.NewSyscallError("setsockopt", err)
		}
	}
	if err := unix.Bind(socket, &unix.SockaddrInet4{Port: number, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		unix.Close(socket)
		return -1, os.NewSyscallError("bind", err)
	}
	return socket, nil
}
