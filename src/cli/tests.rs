use super::*;

fn parse_line(line: &str, env: &[(&str, &str)]) -> Result<Command, UsageError> {
    let lookup = |name: &str| {
        env.iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| OsString::from(value))
    };
    parse(line.split(' ').map(OsString::from), &lookup)
}

fn config(line: &str, env: &[(&str, &str)]) -> ControllerConfig {
    match parse_line(line, env).expect(line) {
        Command::Controller(config) => *config,
        Command::Print(text) => panic!("{line} printed {text}"),
        #[cfg(feature = "agent")]
        Command::Agent(_) => panic!("{line} ran the agent"),
    }
}

#[test]
fn flags_reach_the_configuration_in_either_spelling() {
    for line in [
        "windlass controller --settle 0s --namespaces shop,blog --observe-only",
        "windlass controller --settle=0s --namespaces=shop,blog --observe-only=true",
    ] {
        let config = config(line, &[]);
        assert_eq!(config.settle, std::time::Duration::ZERO);
        assert_eq!(config.namespaces, ["blog", "shop"]);
        assert!(config.observe_only);
    }
}

#[test]
fn a_switch_set_in_the_environment_can_be_taken_back_by_its_flag() {
    let env = [("WINDLASS_OBSERVE_ONLY", "true")];
    assert!(config("windlass controller", &env).observe_only);
    assert!(!config("windlass controller --observe-only=false", &env).observe_only);
}

#[test]
fn a_negative_number_is_a_bad_value_and_not_an_unknown_flag() {
    let error = parse_line("windlass controller --write-concurrency -1", &[]).expect_err("bad");
    let said = "--write-concurrency: \"-1\" is not valid; accepts a whole number from 1 to 256";
    assert_eq!(error.to_string(), said);
}

#[test]
fn a_bad_variable_does_not_keep_people_from_what_is_only_printed() {
    let env = [("WINDLASS_SETTLE", "nonsense")];
    for line in [
        "windlass --help",
        "windlass controller --help",
        "windlass version",
        "windlass crds",
    ] {
        assert!(matches!(parse_line(line, &env), Ok(Command::Print(_))), "{line}");
    }
}

#[test]
fn an_error_is_one_line_with_all_its_causes() {
    let error = anyhow::anyhow!("first\nsecond").context("middle").context("outer");
    assert_eq!(one_line(&format!("{error:#}")), "outer: middle: first second");
}
