package main

import (
	"context"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
	kwokconfig "sigs.k8s.io/kwok/pkg/config"
	kwok "sigs.k8s.io/kwok/pkg/kwok/cmd"
	kwoklog "sigs.k8s.io/kwok/pkg/log"
	kwoksignals "sigs.k8s.io/kwok/pkg/utils/signals"

	// Upstream's main packages register the log format, the metrics and the time zones by these.
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	_ "time/tzdata"
)

// components maps the name that the binary is called by to upstream's own entry point, so that
// what the tests run is Kubernetes itself and not an approximation of it. Each entry does what the
// main function of that component does, takes its arguments and returns its exit code.
var components = map[string]func(args []string) int{
	"etcd":                    runEtcd,
	"kube-apiserver":          viaCobra(apiserver.NewAPIServerCommand),
	"kube-controller-manager": viaCobra(controllermanager.NewControllerManagerCommand),
	"kube-scheduler":          viaCobra(func() *cobra.Command { return scheduler.NewSchedulerCommand() }),
	"kubelet":                 viaCobra(func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) }),
	"kwok":                    runKwok,
	"kubectl":                 runKubectl,
}

func componentNames() []string {
	names := make([]string, 0, len(components))
	for name := range components {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// setArgs makes the process look as if it had been started as that component alone: upstream's
// commands read os.Args themselves in places, whatever cobra is told.
func setArgs(args []string) {
	os.Args = append([]string{os.Args[0]}, args...)
}

// forgetGlobalFlags is for commands that define flags of the same names themselves. Kubernetes's
// components register --version and others globally when they are linked in, and cobra adds global
// flags to every command; in upstream's own binaries these never meet.
func forgetGlobalFlags() {
	pflag.CommandLine = pflag.NewFlagSet(os.Args[0], pflag.ContinueOnError)
}

func viaCobra(command func() *cobra.Command) func([]string) int {
	return func(args []string) int {
		setArgs(args)
		cmd := command()
		cmd.SetArgs(args)
		return cli.Run(cmd)
	}
}

func runEtcd(args []string) int {
	setArgs(args)
	etcdmain.Main(os.Args)
	return 0
}

// runKubectl follows kubernetes/cmd/kubectl: the log level has to be known before the command is
// made, and errors are printed without cobra's usage text.
func runKubectl(args []string) int {
	forgetGlobalFlags()
	setArgs(args)
	_, _ = logs.GlogSetter(kubectl.GetLogVerbosity(os.Args))
	cmd := kubectl.NewDefaultKubectlCommand()
	cmd.SetArgs(args)
	if err := cli.RunNoErrOutput(cmd); err != nil {
		kubectlutil.CheckErr(err) // prints in kubectl's way and exits
		return 1
	}
	return 0
}

// runKwok follows kwok/cmd/kwok: the configuration file is read before the command is made,
// because its contents become the defaults of the command's flags.
func runKwok(args []string) int {
	forgetGlobalFlags()
	setArgs(args)
	flags := pflag.NewFlagSet("global", pflag.ContinueOnError)
	flags.ParseErrorsAllowlist.UnknownFlags = true
	flags.Usage = func() {}

	ctx, logger := kwoklog.InitFlags(kwoksignals.SetupSignalContext(), flags)
	ctx, err := kwokconfig.InitFlags(ctx, flags)
	if err != nil {
		logger.Error("Read the configuration", "err", err)
		return 1
	}
	cmd := kwok.NewCommand(ctx)
	cmd.PersistentFlags().AddFlagSet(flags)
	cmd.SetArgs(args)
	if err := cmd.ExecuteContext(ctx); err != nil {
		logger.Error("Exit", "err", err)
		return 1
	}
	return 0
}
