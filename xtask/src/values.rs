//! The chart's `values.yaml` as people read it: headings, descriptions and defaults.
//!
//! Of YAML this knows only as much as the head of that file promises: two blanks for each level, a
//! comment above each value, a value on one line.

use std::fmt::Write as _;

use anyhow::{Result, bail};

/// A value and what is said of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry<'text> {
    /// `image.tag`
    pub path: String,
    /// As it stands there.
    pub default: &'text str,
    description: String,
}

/// A heading and the values below it.
#[derive(Debug, PartialEq, Eq)]
pub struct Section<'text> {
    title: &'text str,
    /// In the order of the file.
    pub entries: Vec<Entry<'text>>,
}

/// Reads the file. Fails at a value without a description.
pub fn parse(text: &str) -> Result<Vec<Section<'_>>> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    let mut groups: Vec<&str> = Vec::new();
    let mut comment: Vec<&str> = Vec::new();
    for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line)) {
        let content = line.trim_start();
        if let Some(title) = content.strip_prefix("## ") {
            sections.push(Section {
                title,
                entries: Vec::new(),
            });
        } else if let Some(words) = content.strip_prefix("# ") {
            comment.push(words);
        } else if content.is_empty() {
            // What stands by itself, such as the head of the file, describes nothing.
            comment.clear();
        } else {
            let level = (line.len() - content.len()) / 2;
            let Some((name, value)) = content.split_once(':') else {
                bail!("line {number} is neither a comment nor `name: value`: {line}");
            };
            if level > groups.len() {
                bail!("line {number} is further in than what it belongs to");
            }
            groups.truncate(level);
            let default = value.trim();
            if default.is_empty() {
                groups.push(name);
                continue;
            }
            if comment.is_empty() {
                bail!("line {number}: {name} has no comment above it");
            }
            let Some(section) = sections.last_mut() else {
                bail!("line {number} stands before the first heading");
            };
            section.entries.push(Entry {
                path: [&groups[..], &[name]].concat().join("."),
                default,
                description: std::mem::take(&mut comment).join(" "),
            });
        }
    }
    Ok(sections)
}

/// A table for each section.
pub fn tables(text: &str) -> Result<String> {
    let mut page = String::new();
    for Section { title, entries } in parse(text)? {
        writeln!(page, "\n### {title}\n\n| value | default | |\n|---|---|---|")?;
        for Entry {
            path,
            default,
            description,
        } in entries
        {
            writeln!(
                page,
                "| `{path}` | `{}` | {} |",
                default.replace('|', "\\|"),
                description.replace('|', "\\|")
            )?;
        }
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use serde_json::Value;

    use super::{parse, tables};
    use crate::workspace::root;

    const TEXT: &str = "# Head.\n\n## Pod\n# How many.\nreplicas: 2\nimage:\n  # Where.\n  # With a port.\n  repository: a|b\n# Which.\nlabels: {a: b}\n";

    #[test]
    fn each_value_is_a_row_with_its_comment() {
        assert_eq!(
            tables(TEXT).expect("readable"),
            "\n### Pod\n\n| value | default | |\n|---|---|---|\n| `replicas` | `2` | How many. |\n\
             | `image.repository` | `a\\|b` | Where. With a port. |\n| `labels` | `{a: b}` | Which. |\n"
        );
    }

    #[test]
    fn what_cannot_be_documented_is_refused() {
        for (text, word) in [
            ("## A\nb: 1\n", "no comment"),
            ("# B.\nb: 1\n", "heading"),
            ("## A\n# B.\n    b: 1\n", "further in"),
            ("## A\n# B.\n- b\n", "neither"),
        ] {
            let problem = parse(text).expect_err(text).to_string();
            assert!(problem.contains(word), "{text:?}: {problem}");
        }
    }

    /// The paths that a schema has a definition for, down to where values are no further described.
    fn paths(schema: &Value, prefix: &str, found: &mut BTreeSet<String>) {
        for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
            let path = if prefix.is_empty() {
                name.clone()
            } else {
                format!("{prefix}.{name}")
            };
            found.insert(path.clone());
            paths(inner, &path, found);
        }
    }

    #[test]
    fn values_and_schema_have_the_same_names() {
        let chart = root().join("charts/windlass");
        let text = fs::read_to_string(chart.join("values.yaml")).expect("values.yaml");
        let schema = fs::read(chart.join("values.schema.json")).expect("values.schema.json");
        let schema: Value = serde_json::from_slice(&schema).expect("JSON");
        let mut known = BTreeSet::new();
        paths(&schema, "", &mut known);
        let sections = parse(&text).expect("readable");
        let entries: Vec<_> = sections.iter().flat_map(|section| &section.entries).collect();
        for entry in &entries {
            assert!(known.contains(&entry.path), "not in the schema: {}", entry.path);
        }
        // helm's own.
        known.remove("global");
        for path in known {
            let documented = entries.iter().any(|entry| {
                let inside =
                    |outer: &str, inner: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.'));
                // Itself, a group of values, or a part of a value that is described as a whole.
                entry.path == path || inside(&path, &entry.path) || inside(&entry.path, &path)
            });
            assert!(documented, "not in values.yaml: {path}");
        }
    }

    #[test]
    fn every_value_is_set_in_a_unit_test_of_the_chart() {
        let chart = root().join("charts/windlass");
        let tests = fs::read_dir(chart.join("tests")).expect("unit tests");
        let tests: String = tests
            .map(|entry| entry.expect("an entry").path())
            // helm-unittest makes a folder for snapshots.
            .filter(|path| path.is_file())
            .map(|path| fs::read_to_string(path).expect("a unit test"))
            .collect();
        let text = fs::read_to_string(chart.join("values.yaml")).expect("values.yaml");
        let sections = parse(&text).expect("readable");
        for entry in sections.iter().flat_map(|section| &section.entries) {
            let set = |before: &str| tests.contains(&format!("{before}{}: ", entry.path));
            let block = tests.contains(&format!(" {}:\n", entry.path));
            assert!(set(" ") || set("{") || block, "no unit test sets {}", entry.path);
        }
    }

    #[test]
    fn a_schema_never_lets_an_unknown_name_through() {
        fn open(schema: &Value, path: &str, found: &mut Vec<String>) {
            if schema.get("properties").is_some() && schema["additionalProperties"] != Value::Bool(false) {
                found.push(path.to_owned());
            }
            for (name, inner) in schema.as_object().into_iter().flatten() {
                open(inner, &format!("{path}/{name}"), found);
            }
        }
        let schema = fs::read(root().join("charts/windlass/values.schema.json")).expect("values.schema.json");
        let mut found = Vec::new();
        open(&serde_json::from_slice(&schema).expect("JSON"), "", &mut found);
        assert_eq!(found, Vec::<String>::new());
    }
}
