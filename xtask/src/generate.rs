//! `cargo xtask generate`: files that follow from the code, written here and checked in.

mod annotations;
mod kinds;

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{
    say, values,
    workspace::{self, Profile, root},
};

/// How to treat the files.
#[derive(Args)]
pub struct Options {
    /// Write nothing; fail when a file is not what it would be.
    #[arg(long)]
    pub check: bool,
    /// Ask this program, which was built from these sources, instead of building it.
    #[arg(long, hide = true)]
    pub windlass: Option<PathBuf>,
}

/// A generated file and what makes its content from the binary.
struct Generated {
    path: &'static str,
    content: fn(windlass: &Path) -> Result<String>,
}

/// Written by people, but for what is between the marks.
const METRICS: &str = "docs/metrics.md";
const ANNOTATIONS: &str = "docs/annotations.md";

/// Written by people, but for the kinds of workloads.
const VALUES: &str = "charts/windlass/values.yaml";
const SCHEMA: &str = "charts/windlass/values.schema.json";

const FILES: &[Generated] = &[
    Generated {
        path: "docs/reference/cli.md",
        content: command_line,
    },
    Generated {
        path: METRICS,
        content: metrics,
    },
    Generated {
        path: ANNOTATIONS,
        content: |_| filled(&read(ANNOTATIONS)?, &annotations::sections()),
    },
    Generated {
        path: "crds/rolloutpolicies.windlass.dev.yaml",
        content: |windlass| definition(windlass, "rolloutpolicies.windlass.dev"),
    },
    Generated {
        path: "crds/clusterrolloutpolicies.windlass.dev.yaml",
        content: |windlass| definition(windlass, "clusterrolloutpolicies.windlass.dev"),
    },
    // Helm reads nothing outside the chart's folder.
    Generated {
        path: "charts/windlass/files/crds/rolloutpolicies.windlass.dev.yaml",
        content: |windlass| definition(windlass, "rolloutpolicies.windlass.dev"),
    },
    Generated {
        path: "charts/windlass/files/crds/clusterrolloutpolicies.windlass.dev.yaml",
        content: |windlass| definition(windlass, "clusterrolloutpolicies.windlass.dev"),
    },
    Generated {
        path: "charts/windlass/files/kinds.yaml",
        content: |_| Ok(kinds::table()),
    },
    Generated {
        path: VALUES,
        content: |_| values(),
    },
    Generated {
        path: SCHEMA,
        content: |_| kinds::schema(&read(SCHEMA)?),
    },
    Generated {
        path: "charts/windlass/README.md",
        content: |_| chart_readme(),
    },
];

/// Writes or checks all of them.
pub fn run(options: &Options) -> Result<()> {
    let windlass = if let Some(windlass) = &options.windlass {
        windlass.clone()
    } else {
        say::step("Building windlass");
        workspace::build("windlass", Profile::Dev)?
    };
    let mut outdated = Vec::new();
    for Generated { path, content } in FILES {
        let fresh = content(&windlass).with_context(|| format!("generate {path}"))?;
        let target = root().join(path);
        if fs::read_to_string(&target).is_ok_and(|found| found == fresh) {
            say::checked(format_args!("{path} is up to date"));
        } else if options.check {
            outdated.push(*path);
        } else {
            let folder = target.parent().context("a generated file lies in a folder")?;
            fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
            fs::write(&target, fresh).with_context(|| format!("write {path}"))?;
            say::note(format_args!("{path} written"));
        }
    }
    if !outdated.is_empty() {
        bail!(
            "not up to date: {}; run `cargo xtask generate` and commit the result",
            outdated.join(", ")
        );
    }
    Ok(())
}

/// The help texts of the binary and of each command that it lists.
fn command_line(windlass: &Path) -> Result<String> {
    let top = help(windlass, &[])?;
    let mut page =
        String::from("<!-- Written by `cargo xtask generate`; edit the code, not this file. -->\n# Command line\n");
    section(&mut page, "windlass", &top)?;
    for command in commands(&top) {
        section(&mut page, &format!("windlass {command}"), &help(windlass, &[command])?)?;
    }
    Ok(page)
}

fn section(page: &mut String, title: &str, text: &str) -> Result<()> {
    writeln!(page, "\n## `{title}`\n\n```text\n{}\n```", text.trim())?;
    Ok(())
}

fn values() -> Result<String> {
    kinds::values(&read(VALUES)?)
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(root().join(path)).with_context(|| format!("read {path}"))
}

/// What the chart's values are, by the comments in `values.yaml`.
fn chart_readme() -> Result<String> {
    let text = values()?;
    Ok(format!(
        "<!-- Written by `cargo xtask generate` from values.yaml; edit that file, not this one. -->\n{}{}",
        include_str!("chart_readme.md"),
        values::tables(&text)?
    ))
}

/// The names under "Commands:", as clap prints them.
fn commands(help: &str) -> Vec<&str> {
    help.lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        // Deeper lines continue a description.
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect()
}

/// The reference of the metrics as it is, with its generated sections as they should be.
fn metrics(windlass: &Path) -> Result<String> {
    let page = read(METRICS)?;
    filled(&page, &output(windlass, &["metrics-reference"])?)
}

const BEGIN: &str = "<!-- generated: ";
const END: &str = "<!-- end of what is generated -->\n";

/// Puts each section of `fresh` in the place of the one with the same first line.
fn filled(page: &str, fresh: &str) -> Result<String> {
    let mut page = page.to_owned();
    for section in fresh.split_inclusive(END) {
        let mark = section.lines().next().unwrap_or_default();
        let begin = page
            .find(mark)
            .with_context(|| format!("there is no place for {mark:?}"))?;
        let length = page[begin..]
            .find(END)
            .with_context(|| format!("what begins with {mark:?} has no end"))?;
        page.replace_range(begin..begin + length + END.len(), section);
    }
    if page.matches(BEGIN).count() != fresh.matches(BEGIN).count() {
        bail!("there are marks of sections that are not generated");
    }
    Ok(page)
}

/// One of the documents of `windlass crds`.
fn definition(windlass: &Path, name: &str) -> Result<String> {
    let all = output(windlass, &["crds"])?;
    let named = format!("\n  name: {name}\n");
    let document = all
        .split("---\n")
        .find(|document| document.contains(&named))
        .with_context(|| format!("windlass crds prints no {name}"))?;
    Ok(format!(
        "# Written by `cargo xtask generate`; edit the code, not this file.\n---\n{document}"
    ))
}

fn help(windlass: &Path, words: &[&str]) -> Result<String> {
    let text = output(windlass, &[words, &["--help"]].concat())?;
    // Wrapping leaves blanks at ends of lines, which reviewers' tools complain about.
    Ok(text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n"))
}

/// What the binary prints.
fn output(windlass: &Path, words: &[&str]) -> Result<String> {
    let mut command = Command::new(windlass);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("WINDLASS_") {
            command.env_remove(name); // would be printed as the present value
        }
    }
    let output = command
        .args(words)
        .env("COLUMNS", "100") // clap asks for the width otherwise
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("run {}", windlass.display()))?;
    if !output.status.success() {
        bail!("windlass {} failed ({})", words.join(" "), output.status);
    }
    String::from_utf8(output.stdout).context("what it prints is not UTF-8")
}

#[cfg(test)]
mod tests {
    use super::{commands, filled};

    #[test]
    fn generated_sections_are_replaced_and_the_rest_is_left_alone() {
        let section =
            |name: &str, text: &str| format!("<!-- generated: {name} -->\n{text}<!-- end of what is generated -->\n");
        let fresh = section("b", "new b\n") + &section("a", "new a\n");
        let page = format!("Prose.\n{}more\n{}end\n", section("a", "old\n"), section("b", ""));
        let expected = format!(
            "Prose.\n{}more\n{}end\n",
            section("a", "new a\n"),
            section("b", "new b\n")
        );
        assert_eq!(filled(&page, &fresh).expect("a page"), expected);
        assert!(filled("Prose.\n", &fresh).is_err(), "no place");
        assert!(filled(&(page + &section("c", "")), &fresh).is_err(), "too many");
    }

    #[test]
    fn commands_are_read_from_the_help_without_help_itself() {
        let help = "Keeps.\n\nUsage: x\n\nCommands:\n  controller  Runs\n              in a cluster\n  plan        Shows\n  help        Print\n\nOptions:\n  -h\n";
        assert_eq!(commands(help), ["controller", "plan"]);
    }
}
