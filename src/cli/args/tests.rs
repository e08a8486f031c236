use super::*;

fn parse_words(words: &[&str]) -> Result<Parsed, UsageError> {
    parse(
        std::iter::once("windlass")
            .chain(words.iter().copied())
            .map(OsString::from),
    )
}

fn printed(words: &[&str]) -> String {
    match parse_words(words).expect("no error") {
        Parsed::Print(text) => text,
        Parsed::Controller(_) | Parsed::Agent(_) => panic!("{words:?} ran"),
    }
}

#[test]
fn the_table_of_flags_is_what_clap_knows() {
    let command = command();
    for (name, flags) in COMMANDS {
        let subcommand = command.find_subcommand(name).expect("a command");
        let known: Vec<_> = subcommand
            .get_arguments()
            .filter_map(clap::Arg::get_long)
            .filter(|name| *name != "help")
            .collect();
        let table: Vec<_> = flags.iter().map(|flag| flag.name).collect();
        assert_eq!(known, table);
    }
    command.debug_assert();
}

#[test]
fn help_shows_each_flag_with_its_variable_default_and_accepted_values() {
    let every = COMMANDS.iter().flat_map(|(name, flags)| {
        let help = printed(&[name, "--help"]);
        flags.iter().map(move |flag| (flag, help.clone()))
    });
    for (flag, help) in every {
        let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            words.contains(&format!("--{} ", flag.name)) || words.contains(&format!("--{}[", flag.name)),
            "{}: {help}",
            flag.name
        );
        assert!(words.contains(&format!("[env: {}]", flag.env())), "{help}");
        assert!(words.contains(&format!("Accepts {}", flag.accepts)), "{help}");
        if !flag.default.is_empty() {
            assert!(words.contains(&format!("[default: {}]", flag.default)), "{help}");
        }
    }
    assert!(printed(&["--help"]).contains("controller"));
}

#[test]
fn version_is_a_flag_and_a_command_and_both_say_the_same() {
    assert_eq!(printed(&["--version"]), printed(&["version"]));
    assert!(printed(&["version"]).starts_with(&format!("windlass {VERSION} ")));
}

#[test]
fn the_definitions_are_printed_as_two_documents() {
    let text = printed(&["crds"]);
    let documents: Vec<_> = text.split("---\n").filter(|it| !it.is_empty()).collect();
    let [namespaced, cluster] = documents.as_slice() else {
        panic!("{text}");
    };
    assert!(namespaced.contains("\n  name: rolloutpolicies.windlass.dev\n"));
    assert!(cluster.contains("\n  name: clusterrolloutpolicies.windlass.dev\n"));
    assert!(text.ends_with('\n') && !text.ends_with("\n\n"));
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
        let error = parse_words(words).expect_err("an error").to_string();
        assert_eq!(error, said, "{words:?}");
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
        let error = parse_words(words).expect_err("an error").to_string();
        assert!(!error.is_empty() && super::super::one_line(&error).lines().count() == 1);
    }
}
