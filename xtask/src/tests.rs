//! What workflows, forms and documents say about this project, compared with what there is.

use std::{collections::BTreeSet, fs, path::PathBuf};

use clap::{CommandFactory as _, Parser as _, error::ErrorKind};
use serde_json::Value;

use super::Arguments;
use crate::workspace::root;

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The YAML files of a folder.
fn files(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(folder)).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let paths = names.map(|name| PathBuf::from(folder).join(name));
    let yaml = paths.filter(|path| path.extension().is_some_and(|it| it == "yml"));
    yaml.map(|path| path.display().to_string()).collect()
}

fn workflows() -> Vec<(String, Value)> {
    let files = files(".github/workflows");
    assert!(files.len() >= 2, "{files:?}");
    files.into_iter().map(|path| (path.clone(), yaml(&path))).collect()
}

fn jobs(workflow: &Value) -> impl Iterator<Item = (&String, &Value)> {
    workflow["jobs"].as_object().expect("jobs").iter()
}

fn steps(job: &Value) -> &[Value] {
    job["steps"].as_array().expect("steps")
}

/// What follows `cargo xtask ` each time, up to the end of the line or of the code in Markdown.
fn xtask_calls(text: &str) -> impl Iterator<Item = &str> {
    let calls = text.split("cargo xtask ").skip(1);
    calls.map(|rest| rest.split(['\n', '`', '#', '|', ';']).next().unwrap_or_default().trim())
}

fn assert_is_understood(call: &str, wherever: &str) {
    let words = call.split_whitespace().map(|word| word.trim_matches('"'));
    let outcome = Arguments::try_parse_from(["cargo xtask"].into_iter().chain(words));
    if let Err(error) = outcome {
        assert_eq!(
            error.kind(),
            ErrorKind::DisplayHelp,
            "{wherever}: cargo xtask {call}\n{error}"
        );
    }
}

#[test]
fn commands_in_workflows_and_documents_exist() {
    let mut calls = 0;
    for (path, workflow) in workflows() {
        for step in jobs(&workflow).flat_map(|(_, job)| steps(job)) {
            let Some(run) = step["run"].as_str() else { continue };
            for call in xtask_calls(run) {
                assert_is_understood(call, &path);
                calls += 1;
            }
        }
    }
    assert!(calls >= 5, "{calls} calls: the test looks in the wrong place");
    for path in ["README.md", "CONTRIBUTING.md", ".github/pull_request_template.md"] {
        for call in xtask_calls(&text(path)) {
            assert_is_understood(call, path);
        }
    }
}

/// `.ci/run` takes names of commands as arguments.
#[test]
fn commands_that_ci_runs_exist() {
    let arguments = Arguments::command();
    let commands: BTreeSet<&str> = arguments.get_subcommands().map(clap::Command::get_name).collect();
    let script = text(".ci/run");
    let defaults = script.split("set -- ").nth(1).and_then(|rest| rest.lines().next());
    let mut named = vec![defaults.expect("the commands that run without arguments").to_owned()];
    for (_, workflow) in workflows() {
        for step in jobs(&workflow).flat_map(|(_, job)| steps(job)) {
            let run = step["run"].as_str().unwrap_or_default();
            named.extend(run.split(".ci/run").skip(1).map(str::to_owned));
        }
    }
    assert!(named.len() >= 3, "{named:?}");
    for word in named.iter().flat_map(|words| words.split_whitespace()) {
        assert!(commands.contains(word), "cargo xtask {word}");
    }
}

#[test]
fn jobs_end_wait_for_jobs_that_exist_and_use_actions_of_one_commit() {
    for (path, workflow) in workflows() {
        let names: BTreeSet<&String> = jobs(&workflow).map(|(name, _)| name).collect();
        for (name, job) in jobs(&workflow) {
            let at = format!("{path}, {name}");
            assert!(
                job["timeout-minutes"].is_u64(),
                "{at}: without a limit a job may run for six hours"
            );
            let needs = match &job["needs"] {
                Value::Null => Vec::new(),
                Value::Array(needs) => needs.iter().collect(),
                one => vec![one],
            };
            for need in needs {
                let need = need.as_str().expect("a name").to_owned();
                assert!(names.contains(&need), "{at} needs {need}");
            }
            for uses in steps(job).iter().filter_map(|step| step["uses"].as_str()) {
                let commit = uses.split_once('@').map_or("", |(_, commit)| commit);
                let is_hash = commit.len() == 40 && commit.chars().all(|it| it.is_ascii_hexdigit());
                assert!(is_hash, "{at}: {uses} may become another action tomorrow");
            }
        }
    }
}

#[test]
fn the_oldest_rust_of_ci_is_that_of_the_manifest() {
    let manifest = text("Cargo.toml");
    let oldest = manifest
        .split("rust-version = \"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    let workflow = text(".github/workflows/ci.yml");
    let used: BTreeSet<&str> = ["cargo +", "rustup toolchain install "]
        .into_iter()
        .flat_map(|before| workflow.split(before).skip(1))
        .filter_map(|rest| rest.split_whitespace().next())
        .collect();
    assert_eq!(used, BTreeSet::from_iter(oldest));
}

#[test]
fn dependabot_looks_where_manifests_are() {
    let settings = yaml(".github/dependabot.yml");
    let updates = settings["updates"].as_array().expect("a list");
    let mut watched = BTreeSet::new();
    for update in updates {
        let ecosystem = update["package-ecosystem"].as_str().expect("a name");
        let manifest = match ecosystem {
            "cargo" => "Cargo.toml",
            "gomod" => "go.mod",
            "github-actions" => ".github/workflows",
            other => panic!("{other}"),
        };
        let folders = update["directories"].as_array().cloned();
        for folder in folders.unwrap_or_else(|| vec![update["directory"].clone()]) {
            let folder = folder.as_str().expect("a folder").trim_start_matches('/').to_owned();
            let path = root().join(&folder).join(manifest);
            assert!(path.exists(), "{}", path.display());
            watched.insert(folder);
        }
    }
    for folder in ["", "tests/cluster", "tests/helm"] {
        assert!(
            watched.contains(folder),
            "nobody looks at the dependencies of /{folder}"
        );
    }
}

/// See <https://docs.github.com/en/communities/using-templates-to-encourage-useful-issues-and-pull-requests/syntax-for-githubs-form-schema>.
#[test]
fn issue_forms_have_what_forms_need() {
    let forms = files(".github/ISSUE_TEMPLATE");
    assert!(forms.len() >= 3, "{forms:?}");
    for path in forms.iter().filter(|path| !path.ends_with("/config.yml")) {
        let form = yaml(path);
        for field in ["name", "description"] {
            assert!(form[field].is_string(), "{path}: {field}");
        }
        let mut ids = BTreeSet::new();
        for element in form["body"].as_array().expect("a list") {
            let kind = element["type"].as_str().expect("a type");
            if kind == "markdown" {
                assert!(element["attributes"]["value"].is_string(), "{path}");
                continue;
            }
            assert!(
                ["input", "textarea", "dropdown", "checkboxes"].contains(&kind),
                "{path}: {kind}"
            );
            assert!(element["attributes"]["label"].is_string(), "{path}: {element}");
            assert!(
                ids.insert(element["id"].as_str().expect("an id").to_owned()),
                "{path}: {element}"
            );
        }
        assert!(!ids.is_empty(), "{path}");
    }
}
