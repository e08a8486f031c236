//! A small HTTP service with flags and a page that lists them.
//!
//! ```console
//! $ cargo run -p windlass-live --example service -- --listen 127.0.0.1:8080 --volume /etc/web
//! ```
//!
//! `/` greets, `/flags` shows the flags, `/flags/json` is the same for programs. `--print-rules NAME`
//! prints the rules of a `RolloutPolicy` for a `ConfigMap` of that name, and ends.

use std::{net::SocketAddr, path::PathBuf};

use axum::{Router, extract::State, routing::get};
use tokio::net::TcpListener;
use windlass_live::{
    FlagSet, Flags, Volume,
    flags::{Choice, CommandLineError, Dynamic, Flag, SourceKind, Static, rules_yaml},
};

/// How to greet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mood {
    /// As one should.
    Polite,
    /// As some do.
    Loud,
}

impl Choice for Mood {
    const CHOICES: &'static [(&'static str, Self)] = &[("polite", Self::Polite), ("loud", Self::Loud)];
}

/// What the service reads while it runs.
#[derive(Clone)]
struct Greeter {
    greeting: Dynamic<String>,
    mood: Dynamic<Mood>,
    flags: Flags,
}

/// The flags before there are values.
struct Options {
    listen: Static<SocketAddr>,
    volume: Static<PathBuf>,
    print_rules: Static<String>,
    greeting: Dynamic<String>,
    mood: Dynamic<Mood>,
}

fn register(set: &mut FlagSet) -> anyhow::Result<Options> {
    Ok(Options {
        listen: set
            .add_static(Flag::new("listen", SocketAddr::from(([127, 0, 0, 1], 8080))).help("where to listen"))?,
        volume: set
            .add_static(Flag::new("volume", PathBuf::new()).help("where the ConfigMap is mounted; empty: none"))?,
        print_rules: set
            .add_static(Flag::new("print-rules", String::new()).help("print a policy's rules for this ConfigMap"))?,
        greeting: set.add_dynamic(
            Flag::new("greeting", "hello".to_owned())
                .help("what to say")
                .validator(|text| {
                    if text.trim().is_empty() {
                        Err("says nothing".to_owned())
                    } else {
                        Ok(())
                    }
                }),
        )?,
        mood: set.add_dynamic(
            Flag::new("mood", Mood::Polite)
                .help("how to say it")
                .notifier(|old, new| eprintln!("the mood went from {old:?} to {new:?}")),
        )?,
    })
}

/// Everything but the listening: the address, and what is served there. `None` when there is nothing to
/// serve, because help or rules were asked for.
///
/// # Errors
///
/// The command line or the mounted flags are wrong.
pub async fn prepare(arguments: impl IntoIterator<Item = String>) -> anyhow::Result<Option<(SocketAddr, Router)>> {
    let mut set = FlagSet::new();
    let options = register(&mut set)?;
    match set.command_line(arguments) {
        Err(CommandLineError::Help) => {
            print!("{}", set.help());
            return Ok(None);
        }
        other => other?,
    };
    let rules_for = options.print_rules.get();
    if !rules_for.is_empty() {
        print!("{}", rules(&rules_for)?);
        return Ok(None);
    }
    let flags = match options.volume.get() {
        path if path.as_os_str().is_empty() => set.without_source(),
        path => set.initialize(&Volume::open(path).await?)?,
    };
    flags.start();
    let greeter = Greeter {
        greeting: options.greeting,
        mood: options.mood,
        flags: flags.clone(),
    };
    let router = Router::new()
        .route("/", get(greet))
        .with_state(greeter)
        .nest("/flags", flags.router());
    Ok(Some((options.listen.get(), router)))
}

/// The rules of a `RolloutPolicy` for a `ConfigMap` of this name.
///
/// # Errors
///
/// It cannot be the name of a `ConfigMap`.
pub fn rules(config_map: &str) -> anyhow::Result<String> {
    let mut set = FlagSet::new();
    register(&mut set)?;
    let rules = set.without_source().policy_rules(SourceKind::ConfigMap, config_map)?;
    Ok(rules_yaml(&rules))
}

/// Greeting and mood are of one version, whatever changes meanwhile.
async fn greet(State(greeter): State<Greeter>) -> String {
    let view = greeter.flags.view();
    let greeting = greeter.greeting.of(&view);
    match greeter.mood.of(&view) {
        Mood::Polite => format!("{greeting}\n"),
        Mood::Loud => format!("{}!\n", greeting.to_uppercase()),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    if let Some((address, router)) = prepare(std::env::args().skip(1)).await? {
        let listener = TcpListener::bind(address).await?;
        println!("http://{}/flags", listener.local_addr()?);
        axum::serve(listener, router).await?;
    }
    Ok(())
}
