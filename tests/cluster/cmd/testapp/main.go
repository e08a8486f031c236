// Command testapp is the application in the pods of the tests: it serves what it sees, counts what
// it is told, and misbehaves as its flags say.
//
//	GET  /file?path=P   the content of a file below --root (default /)
//	GET  /env?name=N    a variable; 404 when it is not set
//	POST /-/reload      counted, then answered as --reload says
//	GET  /state         {"pid":1,"reloads":0,"hangups":0,"started":"..."}: what has arrived so far
//
// With --get URL it is a client, for images and networks that have none. With --probe-api it asks the API server, with the token of its service account, and ends.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"
)

// behaviour is what a reload by request, or a signal, is answered with.
type behaviour string

const (
	obey   behaviour = "obey"   // 200; the signal is counted
	refuse behaviour = "refuse" // 500
	hang   behaviour = "hang"   // no answer until the caller leaves
	ignore behaviour = "ignore" // the signal does nothing and is not counted
	fatal  behaviour = "die"    // the process ends with 3
)

type flags struct {
	listen, root   string
	reload, hangup behaviour
	startAfter     time.Duration
	probe, exit    bool
	get, post      string
	touch          string
	requireFile    string
}

func main() {
	var f flags
	flag.StringVar(&f.listen, "listen", ":8080", "address to serve at")
	flag.StringVar(&f.root, "root", "/", "folder below which /file reads")
	flag.StringVar((*string)(&f.reload), "reload", string(obey), "POST /-/reload: obey, refuse, hang or die")
	flag.StringVar((*string)(&f.hangup), "hangup", string(obey), "SIGHUP: obey, ignore or die")
	flag.DurationVar(&f.startAfter, "start-after", 0, "serve only after this long")
	flag.StringVar(&f.touch, "touch", "", "file to create before serving")
	flag.StringVar(&f.requireFile, "require-file", "", "end with 4 at once when this file is not there")
	flag.BoolVar(&f.exit, "exit", false, "end at once, with 0")
	flag.StringVar(&f.get, "get", "", "GET this URL, print the answer's body and end; with 1 unless it was 200")
	flag.StringVar(&f.post, "post", "", "POST to this URL, as --get")
	flag.BoolVar(&f.probe, "probe-api", false, "list the ConfigMaps of its namespace at the API server, print it and end")
	flag.Parse()
	if err := run(f); err != nil {
		fmt.Fprintf(os.Stderr, "testapp: %v\n", err)
		os.Exit(1)
	}
}

func run(f flags) error {
	switch {
	case f.reload != obey && f.reload != refuse && f.reload != hang && f.reload != fatal:
		return fmt.Errorf("--reload: unknown behaviour %q", f.reload)
	case f.hangup != obey && f.hangup != ignore && f.hangup != fatal:
		return fmt.Errorf("--hangup: unknown behaviour %q", f.hangup)
	case f.probe:
		return probeAPI()
	case f.get != "":
		return ask(http.MethodGet, f.get)
	case f.post != "":
		return ask(http.MethodPost, f.post)
	}
	if f.requireFile != "" {
		if _, err := os.Stat(f.requireFile); err != nil {
			fmt.Fprintf(os.Stderr, "testapp: %v\n", err)
			os.Exit(4)
		}
	}
	if f.exit {
		return nil
	}
	app := &app{flags: f, started: time.Now()}
	app.watchHangups()
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, syscall.SIGINT)
	time.Sleep(f.startAfter)
	if f.touch != "" {
		if err := os.WriteFile(f.touch, []byte("started\n"), 0o644); err != nil {
			return err
		}
	}
	server := &http.Server{Addr: f.listen, Handler: app.routes(), ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	fmt.Println("testapp: started")
	select {
	case err := <-failed:
		return err
	case <-end:
		// Whoever still hangs on a reload is cut off.
		return server.Close()
	}
}

type app struct {
	flags            flags
	started          time.Time
	reloads, hangups atomic.Int64
}

func (a *app) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /file", a.file)
	mux.HandleFunc("GET /env", environment)
	mux.HandleFunc("GET /state", a.state)
	mux.HandleFunc("/-/reload", a.reload)
	return mux
}

func (a *app) file(answer http.ResponseWriter, asked *http.Request) {
	content, err := os.ReadFile(filepath.Join(a.flags.root, filepath.Clean("/"+asked.URL.Query().Get("path"))))
	switch {
	case errors.Is(err, os.ErrNotExist):
		http.Error(answer, err.Error(), http.StatusNotFound)
	case err != nil:
		http.Error(answer, err.Error(), http.StatusInternalServerError)
	default:
		_, _ = answer.Write(content) // the caller has left
	}
}

func environment(answer http.ResponseWriter, asked *http.Request) {
	name := asked.URL.Query().Get("name")
	value, there := os.LookupEnv(name)
	if !there {
		http.Error(answer, name+" is not set", http.StatusNotFound)
		return
	}
	fmt.Fprint(answer, value)
}

func (a *app) state(answer http.ResponseWriter, _ *http.Request) {
	answer.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(answer).Encode(map[string]any{
		"pid":     os.Getpid(),
		"reloads": a.reloads.Load(),
		"hangups": a.hangups.Load(),
		"started": a.started.Format(time.RFC3339Nano),
	})
}

// reload counts before it misbehaves: a test wants to know that the request has arrived.
func (a *app) reload(answer http.ResponseWriter, asked *http.Request) {
	if asked.Method != http.MethodPost && asked.Method != http.MethodPut {
		http.Error(answer, "POST or PUT", http.StatusMethodNotAllowed)
		return
	}
	fmt.Printf("testapp: reload %d\n", a.reloads.Add(1))
	switch a.flags.reload {
	case refuse:
		http.Error(answer, "the new configuration is refused", http.StatusInternalServerError)
	case hang:
		hold(asked.Context())
	case fatal:
		os.Exit(3)
	default:
		fmt.Fprintln(answer, "reloaded")
	}
}

func hold(caller context.Context) { <-caller.Done() }

func (a *app) watchHangups() {
	switch a.flags.hangup {
	case ignore:
		signal.Ignore(syscall.SIGHUP)
	case fatal:
		died := make(chan os.Signal, 1)
		signal.Notify(died, syscall.SIGHUP)
		go func() {
			<-died
			os.Exit(3)
		}()
	default:
		// The kernel merges signals that wait; a few in a row may be one, here as in any program.
		arrived := make(chan os.Signal, 16)
		signal.Notify(arrived, syscall.SIGHUP)
		go func() {
			for range arrived {
				fmt.Printf("testapp: hangup %d\n", a.hangups.Add(1))
			}
		}()
	}
}
