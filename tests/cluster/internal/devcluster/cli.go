package devcluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const (
	exitFailure = 1 // it was tried and did not work
	exitUsage   = 2 // the words or flags make no sense
)

// Main runs the supervisor's own command line and returns the exit code. names are the components
// that the binary can also be called as; they are only listed here.
func Main(args []string, names []string) int {
	root := rootCommand(names)
	root.SetArgs(args)
	err := root.Execute()
	if err == nil {
		return 0
	}
	fmt.Fprintf(os.Stderr, "devcluster: %v\n", err)
	if errors.As(err, new(usageError)) {
		return exitUsage
	}
	return exitFailure
}

func rootCommand(names []string) *cobra.Command {
	root := &cobra.Command{
		Use:   "devcluster",
		Short: "A real Kubernetes on this machine, without Docker and, but for --node, without root",
		Long: "A real Kubernetes on this machine, without Docker and, but for --node, without root.\n\n" +
			"Called as, or with, one of these words it is that component itself:\n  " +
			strings.Join(names, "\n  "),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			var own []string
			for _, sub := range cmd.Commands() {
				own = append(own, sub.Name())
			}
			return usagef("unknown word %q; accepted are %s, or a component: %s",
				args[0], strings.Join(own, ", "), strings.Join(names, ", "))
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetHelpCommand(&cobra.Command{Use: "help", Hidden: true, RunE: func(cmd *cobra.Command, _ []string) error { return root.Help() }})
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%s: %v (see %s --help)", cmd.Name(), err, cmd.CommandPath())
	})
	root.AddCommand(upCommand(), downCommand(), stopCommand(), startCommand(), statusCommand(),
		enterCommand(), imageCommand(), loadCommand())
	return root
}

func upCommand() *cobra.Command {
	var flags upFlags
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start a cluster, print one JSON line when it is ready, run until SIGTERM, SIGINT or `down`",
		Args:  noWords,
		RunE: func(_ *cobra.Command, _ []string) error {
			parsed, err := flags.parse()
			if err != nil {
				return err
			}
			real, err := prepareNode(parsed.node)
			if err != nil {
				return err
			}
			return up(parsed, real, func(s status) error { return json.NewEncoder(os.Stdout).Encode(s) })
		},
	}
	set := cmd.Flags()
	set.StringVar(&flags.dir, "dir", "", "folder for everything, emptied at the end (default: a new one under the temporary directory)")
	set.BoolVar(&flags.keepDir, "keep-dir", false, "leave the folder as it is at the end, for reading logs")
	set.StringSliceVar(&flags.components, "components", nil, "what to run (default: "+strings.Join(withoutNode(), ",")+"; with --node without kwok)")
	set.IntVar(&flags.fakeNodes, "fake-nodes", 1, "how many nodes kwok plays")
	set.StringSliceVar(&flags.users, "users", []string{"windlass", "floor", "test"}, "users besides admin, each with a kubeconfig; all may do everything, but NAME:none has no rights of its own")
	set.StringVar(&flags.featureGates, "feature-gates", "", "Name=true|false,... for the API server, controller manager and scheduler")
	set.BoolVar(&flags.withoutWatchList, "without-watch-list", false, "no streaming lists, as Kubernetes 1.33 and older behave")
	set.StringArrayVar(&flags.apiserverArgs, "apiserver-arg", nil, "one more argument for the API server (repeat for several)")
	set.StringArrayVar(&flags.controllerManagerArgs, "controller-manager-arg", nil, "one more argument for the controller manager (repeat for several)")
	set.BoolVar(&flags.stopOnStdinEOF, "stop-on-stdin-eof", false, "also end when standard input closes")
	set.BoolVar(&flags.node, "node", false, "also a real node, "+nodeName+", on which pods run (needs root, containerd, runc and CNI's plugins)")
	set.StringVar(&flags.changeDetection, "change-detection", string(detectByWatch), "how the node's kubelet notices changes of ConfigMaps and Secrets: Watch, Cache or Get")
	set.DurationVar(&flags.timeout, "timeout", 3*time.Minute, "how long it may take to become ready")
	return cmd
}

func downCommand() *cobra.Command {
	return controlCommand("down", "Ask the cluster in a folder to end, and wait for it", noWords,
		func([]string) (request, error) { return request{Command: commandDown}, nil })
}

func statusCommand() *cobra.Command {
	return controlCommand("status", "Print the cluster's JSON line again, with the current pids", noWords,
		func([]string) (request, error) { return request{Command: commandStatus}, nil })
}

func startCommand() *cobra.Command {
	return controlCommand("start COMPONENT", "Start a stopped component again, same ports and data; returns when it is healthy", oneComponent,
		func(args []string) (request, error) {
			return request{Command: commandStart, Component: args[0]}, nil
		})
}

func stopCommand() *cobra.Command {
	var signal string
	cmd := controlCommand("stop COMPONENT", "Stop one component and keep it stopped; returns when it is gone", oneComponent,
		func(args []string) (request, error) {
			if signal != signalTerm && signal != signalKill {
				return request{}, usagef("--signal must be %s or %s, got %q", signalTerm, signalKill, signal)
			}
			return request{Command: commandStop, Component: args[0], Signal: signal}, nil
		})
	cmd.Flags().StringVar(&signal, "signal", signalTerm, "TERM: let it shut down (killed when it takes too long); KILL: as in a crash")
	return cmd
}

// controlCommand is any command that asks a running supervisor for something.
func controlCommand(use, short string, words cobra.PositionalArgs, build func([]string) (request, error)) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   use,
		Short: short,
		Args:  words,
		RunE: func(_ *cobra.Command, args []string) error {
			if dir == "" {
				return usagef("--dir is missing: the folder of the cluster, \"dir\" in the line that `up` printed")
			}
			asked, err := build(args)
			if err != nil {
				return err
			}
			answer, err := ask(dir, asked)
			if err != nil {
				return err
			}
			if asked.Command == commandStatus {
				return json.NewEncoder(os.Stdout).Encode(answer.Status)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "folder of the cluster")
	return cmd
}

func noWords(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no words, got %q (see %s --help)", cmd.Name(), args[0], cmd.CommandPath())
	}
	return nil
}

func oneComponent(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usagef("%s takes one component of %s, got %q", cmd.Name(), strings.Join(specNames(), ", "), args)
	}
	if specByName(args[0]) == nil {
		return usagef("unknown component %q, known are %s", args[0], strings.Join(specNames(), ", "))
	}
	return nil
}
