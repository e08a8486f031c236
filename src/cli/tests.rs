use windlass_core::types::name::Namespace;

use super::*;
use crate::agent::Notify;
use crate::controller::ControllerConfig;

fn parse_line(line: &str) -> Result<Command, Stop> {
    parse_words(&line.split(' ').skip(1).collect::<Vec<_>>())
}

fn parse_words(words: &[&str]) -> Result<Command, Stop> {
    let words = std::iter::once("windlass").chain(words.iter().copied());
    parse(words.map(OsString::from))
}

fn printed(words: &[&str]) -> String {
    match parse_words(words) {
        Err(Stop::Print(text)) => text,
        other => panic!("{words:?}: {other:?}"),
    }
}

fn wrong(words: &[&str]) -> String {
    match parse_words(words) {
        Err(Stop::Wrong(error)) => error.to_string(),
        other => panic!("{words:?}: {other:?}"),
    }
}

fn controller(line: &str) -> ControllerConfig {
    match parse_line(line) {
        Ok(Command::Controller(command)) => command.config,
        other => panic!("{line}: {other:?}"),
    }
}

/// All flags, each with its command.
fn flags() -> Vec<(String, Arg)> {
    let known = known();
    let flags = known.get_subcommands().flat_map(|command| {
        let flags = command.get_arguments().filter(|arg| arg.get_long().is_some());
        flags.map(|arg| (command.get_name().to_owned(), arg.clone()))
    });
    flags.collect()
}

#[test]
fn clap_finds_nothing_wrong_with_the_flags() {
    known().debug_assert();
    assert!(flags().len() > 50);
}

#[test]
fn each_flag_has_a_variable_of_its_name_and_says_what_it_accepts() {
    for (command, arg) in flags() {
        let flag = arg.get_long().expect("a flag");
        let prefix = if command == "agent" {
            "WINDLASS_AGENT"
        } else {
            "WINDLASS"
        };
        let variable = format!("{prefix}_{}", flag.to_uppercase().replace('-', "_"));
        assert_eq!(arg.get_env(), Some(OsStr::new(&variable)), "{command} --{flag}");
        assert_ne!(usage::accepted(Some(&arg)), usage::accepted(None), "{command} --{flag}");
        assert!(arg.get_help_heading().is_some(), "{command} --{flag} is in no group");
    }
}

#[test]
fn each_flag_is_explained_in_short_sentences() {
    for (command, arg) in flags() {
        let help = arg.get_long_help().expect("a help").to_string();
        for sentence in help.split(['.', ';']).filter(|it| it.contains(' ')) {
            let words = sentence.split_whitespace().count();
            assert!(words <= 25, "{command} --{}: {words} words: {sentence}", arg.get_id());
        }
    }
}

#[test]
fn help_shows_each_flag_with_its_variable_default_and_accepted_values() {
    for (command, arg) in flags() {
        let help = printed(&[&command, "--help"]);
        let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
        let flag = arg.get_long().expect("a flag");
        assert!(
            words.contains(&format!("--{flag} ")) || words.contains(&format!("--{flag}[")),
            "{flag}: {help}"
        );
        let variable = arg.get_env().expect("a variable").to_string_lossy();
        assert!(words.contains(&format!("[env: {variable}]")), "{flag}: {help}");
        assert!(
            words.contains(&format!("Accepts {}", usage::accepted(Some(&arg)))),
            "{flag}: {help}"
        );
        if let Some(default) = arg.get_default_values().first().filter(|it| !it.is_empty()) {
            let default = default.to_string_lossy();
            assert!(words.contains(&format!("[default: {default}]")), "{flag}: {help}");
        }
    }
    assert!(printed(&["--help"]).contains("controller"));
}

/// Each line after "Examples:" that begins with the program's name is a command that it takes.
#[test]
fn examples_are_taken() {
    let mut count = 0;
    for command in ["controller", "agent", "crds"] {
        let help = printed(&[command, "--help"]);
        let examples = help.split("Examples:").nth(1).expect("examples");
        for line in examples
            .lines()
            .filter_map(|line| line.trim().strip_prefix("windlass "))
        {
            let line = line.split(" | ").next().unwrap_or_default();
            let words = shell_words::split(line).expect("words");
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            assert!(parse_words(&words).is_ok(), "{line}");
            count += 1;
        }
    }
    assert_eq!(count, 6);
}

#[test]
fn version_is_a_flag_and_a_command_and_both_say_the_same() {
    assert_eq!(printed(&["--version"]), version::text());
    assert!(matches!(parse_words(&["version"]), Ok(Command::Version(_))));
    assert!(version::text().starts_with(&format!("windlass {VERSION} ")));
}

#[test]
fn the_definitions_are_two_documents() {
    assert!(matches!(parse_words(&["crds"]), Ok(Command::Crds(_))));
    let text = crate::api::definitions();
    let documents: Vec<_> = text.split("---\n").filter(|it| !it.is_empty()).collect();
    let [namespaced, cluster] = documents.as_slice() else {
        panic!("{text}");
    };
    assert!(namespaced.contains("\n  name: rolloutpolicies.windlass.dev\n"));
    assert!(cluster.contains("\n  name: clusterrolloutpolicies.windlass.dev\n"));
    assert!(text.ends_with('\n') && !text.ends_with("\n\n"));
}

#[test]
fn flags_reach_the_configuration_in_either_spelling() {
    for line in [
        "windlass controller --settle 0s --namespaces shop,blog --observe-only",
        "windlass controller --settle=0s --namespaces=shop,blog --observe-only=true",
    ] {
        let config = controller(line);
        assert_eq!(config.rollouts.settle, std::time::Duration::ZERO);
        let namespaces: Vec<&str> = config.watch.namespaces.iter().map(Namespace::as_str).collect();
        assert_eq!(namespaces, ["blog", "shop"]);
        assert!(config.rollouts.observe_only);
    }
    assert!(
        !controller("windlass controller --observe-only=false")
            .rollouts
            .observe_only
    );
}

#[test]
fn the_agent_gets_its_flags() {
    let Ok(Command::Agent(command)) = parse_line("windlass agent --volume /a --notify-exec reload") else {
        panic!("it is the agent's");
    };
    assert!(matches!(command.config.notify, Notify::Exec(_)));
}

#[test]
fn a_wrong_word_is_one_line_with_what_is_accepted() {
    for (words, said) in [
        (
            &[][..],
            "a command is missing; accepted: agent, controller, crds and version",
        ),
        (
            &["controler"],
            "unknown command \"controler\"; did you mean controller?; accepted: agent, controller, crds and version",
        ),
        (
            &["controller", "--setle", "2s"],
            "unknown flag --setle; did you mean --settle?; windlass controller --help lists all",
        ),
        (
            &["controller", "--setle=2s"],
            "unknown flag --setle; did you mean --settle?; windlass controller --help lists all",
        ),
        (
            &["controller", "--quite-different"],
            "unknown flag --quite-different; windlass controller --help lists all",
        ),
        (
            &["agent", "--notify-htp", "x"],
            "unknown flag --notify-htp; did you mean --notify-http?; windlass agent --help lists all",
        ),
        (
            &["agent", "--retries"],
            "--retries: its value is missing; accepts a whole number from 0 to 100",
        ),
        (
            &["agent"],
            "--volume is missing; accepts one or more distinct absolute paths, separated by commas",
        ),
        (
            &["controller", "stray"],
            "unexpected argument \"stray\"; windlass --help shows what is accepted",
        ),
        (
            &["controller", "--settle", "1s", "--settle", "2s"],
            "--settle: given more than once",
        ),
        (
            &["controller", "--log-format"],
            "--log-format: its value is missing; accepts text or json",
        ),
        (
            &["controller", "--log-format", "--observe-only"],
            "--log-format: its value is missing; accepts text or json",
        ),
    ] {
        assert_eq!(wrong(words), said, "{words:?}");
    }
}

#[test]
fn a_bad_value_is_named_with_what_is_accepted() {
    for (words, said) in [
        (
            &["controller", "--write-concurrency", "-1"][..],
            "--write-concurrency: \"-1\" is not valid; accepts a whole number from 1 to 256",
        ),
        (
            &["controller", "--settle=\n"],
            "--settle: \"\\n\" is not valid; accepts a duration from 0s to 1h, such as 500ms, 2s or 1m30s",
        ),
        (
            &["controller", "--settle="],
            "--settle: \"\" is not valid; accepts a duration from 0s to 1h, such as 500ms, 2s or 1m30s",
        ),
        (
            &["controller", "--observe-only=yes"],
            "--observe-only: \"yes\" is not valid; accepts true or false",
        ),
        (
            &["agent", "--volume", "/a", "--notify-signal", "KILL"],
            "--notify-signal: \"KILL\" is not valid; accepts HUP, INT, QUIT, TERM, USR1, USR2 or WINCH, with --process or --pid-file",
        ),
        (
            &["agent", "--volume", "/a", "--process", "a"],
            "--process: needs --notify-signal; accepts a program name, such as nginx; only with --notify-signal and without --pid-file",
        ),
        (
            &[
                "agent",
                "--volume",
                "/a",
                "--notify-exec",
                "a",
                "--notify-http",
                "http://localhost",
            ],
            "--notify-exec: not together with --notify-http; accepts one of --notify-http, --notify-signal and --notify-exec",
        ),
        (
            &["controller", "--compat-auto-reload-all"],
            "--compat-auto-reload-all: true needs --compat reloader; accepts true or false; true needs --compat reloader",
        ),
    ] {
        assert_eq!(wrong(words), said, "{words:?}");
    }
}

#[test]
fn a_bad_url_to_notify_is_named_and_not_shown() {
    for flag in ["--notify-cloudevents", "--notify-slack", "--notify-teams"] {
        for bad in [
            "ftp://hooks.example.org/s3cret",
            "hooks.example.org/s3cret",
            "https:///s3cret",
            "https://s3cret@hooks.example.org",
            "https://hooks.example.org/s3 cret",
        ] {
            let said = format!(
                "{flag}: its value, not shown here, is not valid; accepts a URL http(s)://HOST[:PORT]/PATH without a user"
            );
            assert_eq!(wrong(&["controller", flag, bad]), said);
        }
    }
}

#[test]
fn every_error_is_one_line() {
    for words in [
        &["controller", "--observe-only", "yes"][..],
        &["controller", "-x"],
        &["controller", "--", "x"],
        &["version", "--settle", "2s"],
        &["crds", "--settle", "2s"],
        &["--settle", "2s"],
        &["controller", "--help=x"],
        &["controller", "a\nb"],
        &["controller", "--a\nb"],
    ] {
        let error = windlass_core::types::text::one_line(&wrong(words));
        assert!(!error.is_empty() && error.lines().count() == 1, "{error}");
    }
}
