package devcluster

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"windlass.dev/tests/cluster/internal/image"
)

// enterCommand runs a program where the node's address and those of pods are to be reached. Only
// the network is another one: files and processes are as outside.
func enterCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "enter --dir DIR -- PROGRAM [ARGUMENT...]",
		Short: "Run a program in the network of a cluster with a real node, where pods have addresses",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("enter: which program? (see %s --help)", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			now, err := statusOfNode(dir)
			if err != nil {
				return err
			}
			program, err := exec.LookPath(args[0])
			if err != nil {
				return err
			}
			network, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", now.Pid))
			if err != nil {
				return err
			}
			runtime.LockOSThread() // this thread becomes the program
			if err := unix.Setns(int(network.Fd()), unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("enter the cluster's network: %w", err)
			}
			return fmt.Errorf("run %s: %w", program, syscall.Exec(program, args, os.Environ()))
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "folder of the cluster")
	return cmd
}

// loadTimeout bounds one `load`; importing is copying.
const loadTimeout = 2 * time.Minute

func loadCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "load --dir DIR ARCHIVE...",
		Short: "Give images to the real node of a cluster; returns when pods can use them (imagePullPolicy: Never)",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("load: which archives? (see %s --help)", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			now, err := statusOfNode(dir)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(context.Background(), loadTimeout)
			defer cancel()
			return importImages(ctx, now.Node.Containerd, args)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "folder of the cluster")
	return cmd
}

func statusOfNode(dir string) (*status, error) {
	if dir == "" {
		return nil, usagef("--dir is missing: the folder of the cluster, \"dir\" in the line that `up` printed")
	}
	answer, err := ask(dir, request{Command: commandStatus})
	if err != nil {
		return nil, err
	}
	if answer.Status.Node == nil {
		return nil, fmt.Errorf("the cluster in %s has no real node (it was started without --node)", dir)
	}
	return answer.Status, nil
}

// imageFlags is what was typed.
type imageFlags struct {
	output, name, user               string
	files, binaries, entrypoint, env []string
}

func imageCommand() *cobra.Command {
	var flags imageFlags
	cmd := &cobra.Command{
		Use:   "image --output FILE --name NAME[:TAG] [--file HOST=PATH]... [--binary HOST=PATH]...",
		Short: "Write an image of files of this machine, for `load`; the same files make the same archive",
		Args:  noWords,
		RunE: func(_ *cobra.Command, _ []string) error {
			spec, err := flags.parse()
			if err != nil {
				return err
			}
			return writeImage(flags.output, spec)
		},
	}
	set := cmd.Flags()
	set.StringVar(&flags.output, "output", "", "the archive to write")
	set.StringVar(&flags.name, "name", "", "what pods call the image; without a tag it is :latest")
	set.StringArrayVar(&flags.files, "file", nil, "FILE=/PATH/IN/THE/IMAGE (repeat for several)")
	set.StringArrayVar(&flags.binaries, "binary", nil, "the same, with the loader and the shared libraries that it needs")
	set.StringSliceVar(&flags.entrypoint, "entrypoint", nil, "words of the command that a container runs (default: the first binary)")
	set.StringArrayVar(&flags.env, "env", nil, "NAME=VALUE (repeat for several)")
	set.StringVar(&flags.user, "user", "", "user id that containers run as")
	return cmd
}

func (f imageFlags) parse() (image.Spec, error) {
	spec := image.Spec{Name: f.name, Entrypoint: f.entrypoint, Env: f.env, User: f.user}
	if f.output == "" || f.name == "" {
		return spec, usagef("image: --output and --name are needed")
	}
	for _, word := range f.env {
		if !strings.Contains(word, "=") {
			return spec, usagef("--env: %q is not of the form NAME=VALUE", word)
		}
	}
	for _, word := range f.files {
		file, err := image.ParseFile(word)
		if err != nil {
			return spec, usagef("--file: %v", err)
		}
		spec.Files = append(spec.Files, file)
	}
	for _, word := range f.binaries {
		binary, err := image.ParseFile(word)
		if err != nil {
			return spec, usagef("--binary: %v", err)
		}
		files, err := image.WithLibraries(binary)
		if err != nil {
			return spec, err
		}
		spec.Files = append(spec.Files, files...)
		if len(spec.Entrypoint) == 0 {
			spec.Entrypoint = []string{binary.Target}
		}
	}
	if len(spec.Files) == 0 {
		return spec, usagef("image: nothing is in it (--file, --binary)")
	}
	return spec, nil
}

// writeImage replaces the file in one step: others may be reading it.
func writeImage(path string, spec image.Spec) error {
	var archive bytes.Buffer
	if err := image.Write(&archive, spec); err != nil {
		return err
	}
	fresh, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(fresh.Name())
	if _, err := fresh.Write(archive.Bytes()); err != nil {
		fresh.Close()
		return err
	}
	if err := fresh.Close(); err != nil {
		return err
	}
	return os.Rename(fresh.Name(), path)
}
