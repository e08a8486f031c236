package devcluster

import (
	"net"
	"testing"
)

func TestAReservedPortCanBeListenedOnButNotReservedAgain(t *testing.T) {
	reserved, err := reservePort()
	if err != nil {
		t.Fatal(err)
	}
	defer reserved.release()
	taken := func() bool {
		socket, err := bindLoopback(reserved.number, false)
		if err == nil {
			port{socket: socket}.release()
		}
		return err != nil
	}
	if !taken() {
		t.Error("another supervisor could reserve it before its component listens")
	}
	// Twice: a component is stopped and started again on the same port.
	for range 2 {
		listener, err := net.Listen("tcp", reserved.address())
		if err != nil {
			t.Fatalf("the component itself cannot listen: %v", err)
		}
		if !taken() {
			t.Error("another supervisor could reserve it while its component listens")
		}
		listener.Close()
	}
	if !taken() {
		t.Error("another supervisor could reserve it while its component is stopped")
	}
}
