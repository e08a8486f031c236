// Command devcluster-node is what a real node needs beside Kubernetes, as small as Go allows, since
// it is copied into an image and lies in memory as often as there are nodes. By the name that it is
// called by, or by its first argument, it is one of:
//
//	pause     the first process of every pod: it holds the namespaces and does nothing
//	init      process 1 of a node: private mounts, then the parent of every orphan
//	janitor   removes what a killed supervisor leaves behind
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	words := os.Args
	if name := filepath.Base(words[0]); name == "pause" || len(words) == 1 {
		words = []string{words[0], "pause"}
	}
	var err error
	switch rest := words[2:]; {
	case words[1] == "pause":
		pause()
	case words[1] == "init" && len(rest) == 1:
		err = initialise(rest[0])
	case words[1] == "janitor" && len(rest) == 2:
		err = clean(rest[0], rest[1])
	default:
		fmt.Fprintln(os.Stderr, "usage: devcluster-node pause | init FOLDER | janitor CGROUP FOLDER")
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "devcluster-node: %v\n", err)
		os.Exit(1)
	}
}
