use std::collections::BTreeSet;

use serde_json::Value;

use super::{SCENARIOS, UNIT_TESTS};
use crate::workspace;

/// The steps name test programs one by one, so a new one would run in no step.
#[test]
fn every_test_program_runs_in_one_of_the_steps() {
    let mut command = workspace::cargo();
    command.args(["metadata", "--no-deps", "--format-version", "1"]);
    let output = command.output().expect("cargo starts");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let list = |value: &Value, field: &str| value[field].as_array().expect("a list").clone();
    let targets = list(&metadata, "packages")
        .into_iter()
        .flat_map(|it| list(&it, "targets"));
    let programs: BTreeSet<String> = targets
        .filter(|target| list(target, "kind").iter().any(|kind| kind == "test"))
        .map(|target| target["name"].as_str().expect("a name").to_owned())
        .collect();
    let mut named = BTreeSet::new();
    for step in [SCENARIOS, UNIT_TESTS] {
        let after = step.windows(2).filter(|pair| pair.first() == Some(&"--test"));
        named.extend(after.filter_map(|pair| Some((*pair.last()?).to_owned())));
    }
    assert_eq!(programs, named);
    for kind in ["--lib", "--bins", "--examples"] {
        assert!(UNIT_TESTS.contains(&kind), "{kind}");
    }
}
