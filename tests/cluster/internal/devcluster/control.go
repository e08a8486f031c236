package devcluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const socketName = "control.sock"

const (
	commandStop   = "stop"
	commandStart  = "start"
	commandStatus = "status"
	commandDown   = "down"

	signalTerm = "TERM"
	signalKill = "KILL"
)

// request and response are one JSON document each, over a connection that carries one of each.
// `down` has no response: the connection closes when the supervisor is gone.
type request struct {
	Command   string `json:"command"`
	Component string `json:"component,omitempty"`
	Signal    string `json:"signal,omitempty"`
}

type response struct {
	Error  string  `json:"error,omitempty"`
	Status *status `json:"status,omitempty"`
}

// control is the socket in the cluster's folder, where the commands of other processes arrive.
type control struct {
	listener *net.UnixListener
	folder   *os.File
}

// socketAddress reaches the socket through an open folder, because the address of a socket may have
// 107 bytes only, and the folder of a test is easily deeper.
func socketAddress(folder *os.File) *net.UnixAddr {
	return &net.UnixAddr{Net: "unix", Name: fmt.Sprintf("/proc/self/fd/%d/%s", folder.Fd(), socketName)}
}

func openControl(c *cluster, down func()) (*control, error) {
	folder, err := os.Open(c.folder.path)
	if err != nil {
		return nil, err
	}
	listener, err := net.ListenUnix("unix", socketAddress(folder))
	if err != nil {
		folder.Close()
		return nil, err
	}
	doors := &control{listener, folder}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed
			}
			go serve(c, conn, down)
		}
	}()
	return doors, nil
}

func (d *control) close() {
	d.listener.Close()
	d.folder.Close()
}

func serve(c *cluster, conn net.Conn, down func()) {
	var asked request
	// The other end is our own command; it writes at once or it is broken.
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if err := json.NewDecoder(conn).Decode(&asked); err != nil {
		conn.Close()
		return
	}
	if asked.Command == commandDown {
		down()
		return // left open on purpose: closing it is the answer, and the end of the process does that
	}
	defer conn.Close()
	_ = json.NewEncoder(conn).Encode(answer(c, asked))
}

func answer(c *cluster, asked request) response {
	if asked.Command == commandStatus {
		now := c.status()
		return response{Status: &now}
	}
	component := specByName(asked.Component)
	if component == nil || !slices.Contains(c.options.components, component) {
		return response{Error: fmt.Sprintf("%s is not part of this cluster", asked.Component)}
	}
	var err error
	switch {
	case asked.Command == commandStart:
		err = c.restartComponent(component)
	case asked.Command == commandStop && asked.Signal == signalKill:
		err = c.stopComponent(component, syscall.SIGKILL)
	case asked.Command == commandStop:
		err = c.stopComponent(component, syscall.SIGTERM)
	default:
		err = fmt.Errorf("unknown command %q", asked.Command)
	}
	if err != nil {
		return response{Error: err.Error()}
	}
	return response{}
}

// ask sends one request to the supervisor of a folder.
func ask(dir string, asked request) (response, error) {
	folder, err := os.Open(dir)
	if err != nil {
		return response{}, err
	}
	defer folder.Close()
	conn, err := net.DialUnix("unix", nil, socketAddress(folder))
	if err != nil {
		if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOTDIR) {
			return response{}, fmt.Errorf("no cluster is running in %s (or it is not ready yet)", filepath.Clean(dir))
		}
		return response{}, err
	}
	defer conn.Close()
	if err := json.NewEncoder(conn).Encode(asked); err != nil {
		return response{}, err
	}
	var got response
	err = json.NewDecoder(conn).Decode(&got)
	if asked.Command == commandDown && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)) {
		return response{}, nil
	}
	if err != nil {
		return response{}, fmt.Errorf("the cluster went away: %w", err)
	}
	if got.Error != "" {
		return response{}, errors.New(strings.TrimSpace(got.Error))
	}
	return got, nil
}
