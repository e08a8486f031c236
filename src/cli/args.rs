//! The first layer: what the command line says, as text, and clap's errors as one line.
//!
//! No value is judged here. A value can come from a flag, the environment or a default, and all
//! three go through the same checks in [`super::config`].

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use super::UsageError;
#[cfg(feature = "agent")]
use super::agent::{self, AgentArgs};
#[cfg(feature = "controller")]
use super::config;
use super::setting::Flag;
use crate::ops::{REVISION, VERSION};

#[cfg(all(test, feature = "controller", feature = "agent"))]
mod tests;

/// The commands that have flags, with these.
const COMMANDS: &[(&str, &[Flag])] = &[
    #[cfg(feature = "controller")]
    ("controller", config::FLAGS),
    #[cfg(feature = "agent")]
    ("agent", agent::FLAGS),
];

// As a constant and not as a doc comment, where the name of a kind needs marks that help would show.
const ABOUT: &str = "\
Keeps running workloads true to their configuration.

When a ConfigMap or Secret changes, every workload that uses it and asks for this is rolled out, once.";

#[derive(Debug, Parser)]
#[command(
    name = "windlass",
    about = ABOUT,
    disable_help_subcommand = true,
    max_term_width = 100,
    arg_required_else_help = false
)]
struct Args {
    #[command(subcommand)]
    command: Subcommands,
}

#[derive(Debug, Subcommand)]
enum Subcommands {
    /// Watch mounted configuration in a pod, check it, and tell the application
    ///
    /// Each flag can also be given by its environment variable; the flag wins.
    #[cfg(feature = "agent")]
    Agent(Box<AgentArgs>),
    /// Watch the cluster and roll out workloads whose configuration changed
    ///
    /// Each flag can also be given by its environment variable; the flag wins. Without
    /// --kubeconfig the file named by KUBECONFIG counts, else ~/.kube/config, else the service
    /// account of the pod.
    #[cfg(feature = "controller")]
    Controller(Box<ControllerArgs>),
    /// Print the custom resource definitions
    ///
    /// Two YAML documents, those of the namespaced policies and of the cluster's, for
    /// kubectl apply --server-side -f -
    #[cfg(feature = "controller")]
    Crds,
    /// Print the generated parts of the reference of the metrics
    #[cfg(feature = "controller")]
    #[command(hide = true)]
    MetricsReference,
    /// Print the version
    Version,
}

/// The controller's flags as given. Names, defaults and accepted values: [`config::FLAGS`].
#[cfg(feature = "controller")]
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct ControllerArgs {
    /// Namespaces to work in; empty: all
    #[arg(long, value_name = "NAME,...")]
    pub(super) namespaces: Option<OsString>,
    /// Namespaces to leave alone
    #[arg(long, value_name = "NAME,...")]
    pub(super) exclude_namespaces: Option<OsString>,
    /// Labels of the namespaces to work in; empty: whatever they bear
    #[arg(long, value_name = "SELECTOR")]
    pub(super) namespace_selector: Option<OsString>,
    /// Whether policies of the cluster count; unset: they do, but with --namespaces only if they may be read
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(super) cluster_policies: Option<OsString>,
    /// Kinds of objects whose changes count
    #[arg(long, value_name = "KIND,...")]
    pub(super) sources: Option<OsString>,
    /// Labels of the ConfigMaps and Secrets that count; empty: whatever they bear
    #[arg(long, value_name = "SELECTOR")]
    pub(super) source_selector: Option<OsString>,
    /// Kinds of workloads to work on; Rollout is Argo's, and counts once it is installed
    #[arg(long, value_name = "KIND,...")]
    pub(super) workload_kinds: Option<OsString>,
    /// One more kind of workloads, and where its pod template is; may be given several times
    #[arg(long, value_name = "GROUP/VERSION/KIND=.PATH")]
    pub(super) workload_kind: Vec<OsString>,
    /// Whose annotations to honour besides our own
    #[arg(long, value_name = "NAME,...")]
    pub(super) compat: Option<OsString>,
    /// With --compat reloader: workloads without annotations count as well
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(super) compat_auto_reload_all: Option<OsString>,
    /// Whether a ConfigMap or Secret that appears is a change for those that did without it
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(super) on_create: Option<OsString>,
    /// Whether one that goes is a change for those that can do without it
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(super) on_delete: Option<OsString>,
    /// Whether workloads may name sources of other namespaces that allow it by windlass.dev/allow-from
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(super) allow_cross_namespace: Option<OsString>,
    /// How long to gather further changes, from the first one, before a rollout
    #[arg(long, value_name = "DURATION", allow_negative_numbers = true)]
    pub(super) settle: Option<OsString>,
    /// How many restarts of one workload within ten minutes are too many; the next ones are put off; 0: no limit
    #[arg(long, value_name = "COUNT", allow_negative_numbers = true)]
    pub(super) flap_limit: Option<OsString>,
    /// How many workloads roll at a time; 0: no limit
    #[arg(long, value_name = "COUNT", allow_negative_numbers = true)]
    pub(super) max_parallel: Option<OsString>,
    /// How many writes to the API server run at once
    #[arg(long, value_name = "COUNT", allow_negative_numbers = true)]
    pub(super) write_concurrency: Option<OsString>,
    /// How many requests to pods, for proof or to notify them, run at once
    #[arg(long, value_name = "COUNT", allow_negative_numbers = true)]
    pub(super) agent_concurrency: Option<OsString>,
    /// How often everything is decided again from memory, without requests
    #[arg(long, value_name = "DURATION", allow_negative_numbers = true)]
    pub(super) resync: Option<OsString>,
    /// Decide and report, but roll out nothing
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(super) observe_only: Option<OsString>,
    /// Run several replicas, of which the one that holds the Lease writes; the others watch and stand by
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(super) leader_election: Option<OsString>,
    /// Name of the Lease of this installation; two installations need two names
    #[arg(long, value_name = "NAME")]
    pub(super) lease_name: Option<OsString>,
    /// Namespace of the Lease and of the digest key; empty: Windlass' own
    #[arg(long, value_name = "NAME")]
    pub(super) lease_namespace: Option<OsString>,
    /// How long the other replicas heed a leader that does not renew the Lease
    #[arg(long, value_name = "DURATION", allow_negative_numbers = true)]
    pub(super) lease_duration: Option<OsString>,
    /// How long a leader goes on that cannot renew the Lease
    #[arg(long, value_name = "DURATION", allow_negative_numbers = true)]
    pub(super) lease_renew_deadline: Option<OsString>,
    /// How often the leader renews the Lease
    #[arg(long, value_name = "DURATION", allow_negative_numbers = true)]
    pub(super) lease_retry_period: Option<OsString>,
    #[command(flatten)]
    pub(super) notify: NotifyArgs,
    /// Base URL of an OpenTelemetry collector, to which the way of each change is sent as a trace
    #[arg(long, value_name = "URL")]
    pub(super) otlp_endpoint: Option<OsString>,
    /// Where /livez, /readyz and /metrics are served
    #[arg(long, value_name = "ADDRESS")]
    pub(super) admin_address: Option<OsString>,
    /// How log lines look
    #[arg(long, value_name = "FORMAT")]
    pub(super) log_format: Option<OsString>,
    /// What is logged
    #[arg(long, value_name = "LEVEL")]
    pub(super) log_level: Option<OsString>,
    /// Kubeconfig file
    #[arg(long, value_name = "PATH")]
    pub(super) kubeconfig: Option<OsString>,
    /// Context of the kubeconfig; empty: its current one
    #[arg(long, value_name = "NAME")]
    pub(super) context: Option<OsString>,
}

/// The controller's flags about notifications as given.
#[cfg(feature = "controller")]
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct NotifyArgs {
    /// Where to send CloudEvents about restarts and trouble, in batches; a secret: better given by the variable
    #[arg(long = "notify-cloudevents", value_name = "URL")]
    pub(super) cloudevents: Option<OsString>,
    /// An incoming webhook of Slack to tell of restarts and trouble; a secret: better given by the variable
    #[arg(long = "notify-slack", value_name = "URL")]
    pub(super) slack: Option<OsString>,
    /// A webhook of a Teams workflow to tell of restarts and trouble; a secret: better given by the variable
    #[arg(long = "notify-teams", value_name = "URL")]
    pub(super) teams: Option<OsString>,
    /// What is told
    #[arg(long = "notify-on", value_name = "OCCASION,...")]
    pub(super) on: Option<OsString>,
    /// How long to gather for one message
    #[arg(long = "notify-interval", value_name = "DURATION", allow_negative_numbers = true)]
    pub(super) interval: Option<OsString>,
    /// What messages call this cluster; empty: nothing
    #[arg(long = "notify-cluster", value_name = "NAME")]
    pub(super) cluster: Option<OsString>,
    /// Certificate authorities in PEM to trust for notifications, besides the public ones
    #[arg(long = "notify-ca-file", value_name = "PATH")]
    pub(super) ca_file: Option<OsString>,
}

/// What the raw arguments are.
#[derive(Debug)]
pub(super) enum Parsed {
    #[cfg(feature = "agent")]
    Agent(Box<AgentArgs>),
    #[cfg(feature = "controller")]
    Controller(Box<ControllerArgs>),
    /// Help, version or definitions.
    Print(String),
}

/// Reads the command line, program name first.
pub(super) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Parsed, UsageError> {
    let args: Vec<OsString> = args.into_iter().collect();
    let named = args.get(1).and_then(|word| word.to_str()).unwrap_or_default();
    let named = COMMANDS.iter().find(|(name, _)| *name == named).copied();
    let parsed = command()
        .try_get_matches_from(&args)
        .and_then(|matches| Args::from_arg_matches(&matches))
        .map(|args| args.command);
    match parsed {
        #[cfg(feature = "agent")]
        Ok(Subcommands::Agent(raw)) => Ok(Parsed::Agent(raw)),
        #[cfg(feature = "controller")]
        Ok(Subcommands::Controller(raw)) => Ok(Parsed::Controller(raw)),
        #[cfg(feature = "controller")]
        Ok(Subcommands::Crds) => Ok(Parsed::Print(crate::api::definitions())),
        #[cfg(feature = "controller")]
        Ok(Subcommands::MetricsReference) => Ok(Parsed::Print(crate::controller::metrics_reference())),
        Ok(Subcommands::Version) => Ok(version()),
        Err(error) => match error.kind() {
            ErrorKind::DisplayVersion => Ok(version()),
            ErrorKind::DisplayHelp => Ok(Parsed::Print(error.render().to_string())),
            _ => Err(usage(&error, named)),
        },
    }
}

fn version() -> Parsed {
    Parsed::Print(format!("windlass {VERSION} (revision {REVISION})\n"))
}

/// clap's command with what only the tables of flags know added to the help.
fn command() -> clap::Command {
    let command = Args::command().version(VERSION);
    COMMANDS.iter().fold(command, |command, (name, flags)| {
        command.mut_subcommand(name, |subcommand| subcommand.mut_args(|arg| explained(arg, flags)))
    })
}

fn explained(arg: clap::Arg, flags: &[Flag]) -> clap::Arg {
    let Some(flag) = flags.iter().find(|flag| Some(flag.name) == arg.get_long()) else {
        return arg;
    };
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let default = match flag.default {
        "" => String::new(),
        default => format!("[default: {default}] "),
    };
    let (accepts, env) = (flag.accepts, flag.env());
    arg.help(format!("{help}\nAccepts {accepts}\n{default}[env: {env}]"))
}

/// The names of all commands, for errors.
fn accepted() -> String {
    let args = Args::command();
    let shown = args.get_subcommands().filter(|command| !command.is_hide_set());
    let names: Vec<&str> = shown.map(clap::Command::get_name).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

/// clap's error as one line. Its own text has several, with usage and hints.
fn usage(error: &clap::Error, named: Option<(&str, &[Flag])>) -> UsageError {
    let (command, flags) = named.map_or(("", &[][..]), |(name, flags)| (name, flags));
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.as_str(),
        // A list comes sorted by likeness, the best at the end.
        Some(ContextValue::Strings(texts)) => texts.last().map_or("", String::as_str),
        _ => "",
    };
    let suggestion = |kind| match text(kind) {
        "" => String::new(),
        near => format!("; did you mean {near}?"),
    };
    // clap writes "--settle <DURATION>".
    let arg = text(ContextKind::InvalidArg);
    let name = arg.split([' ', '=', '[']).next().unwrap_or_default();
    UsageError(match error.kind() {
        ErrorKind::UnknownArgument if name.starts_with('-') => format!(
            "unknown flag {name}{}; windlass {command}{}--help lists all",
            suggestion(ContextKind::SuggestedArg),
            if command.is_empty() { "" } else { " " }
        ),
        ErrorKind::UnknownArgument => {
            format!("unexpected argument {arg:?}; windlass --help shows what is accepted")
        }
        ErrorKind::InvalidSubcommand => format!(
            "unknown command {:?}{}; accepted are {}",
            text(ContextKind::InvalidSubcommand),
            suggestion(ContextKind::SuggestedSubcommand),
            accepted()
        ),
        ErrorKind::MissingSubcommand => format!("a command is missing; accepted are {}", accepted()),
        ErrorKind::ArgumentConflict => format!("{name}: given more than once"),
        ErrorKind::InvalidValue | ErrorKind::TooManyValues | ErrorKind::NoEquals => {
            let flag = flags.iter().find(|flag| name.strip_prefix("--") == Some(flag.name));
            let accepts = flag.map_or("a value", |flag| flag.accepts);
            format!("{name}: its value is missing; accepts {accepts}")
        }
        // What is left has no case of its own: clap's first line without its prefix.
        _ => {
            let full = error.to_string();
            let first = full.lines().next().unwrap_or_default();
            first.trim_start_matches("error: ").to_owned()
        }
    })
}
