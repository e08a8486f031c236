package main

import (
	"os"
	"os/signal"
	"syscall"
)

// pause waits to be told to end. As process 1 of a pod whose containers share one process namespace
// it also takes the orphans.
func pause() {
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, syscall.SIGINT)
	go reapForever()
	<-end
}

// reapForever waits for every child that this process has or is given.
func reapForever() {
	changed := make(chan os.Signal, 1) // one is enough: all that ended are taken at once
	signal.Notify(changed, syscall.SIGCHLD)
	for {
		for {
			pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
			if err == syscall.EINTR {
				continue
			}
			if pid <= 0 || err != nil {
				break
			}
		}
		<-changed
	}
}
