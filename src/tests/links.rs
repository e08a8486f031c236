//! Links in the documentation lead somewhere: a moved page, a renamed heading or a moved source file fails here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::root;

/// Pages beside `docs/`.
const TOP: [&str; 5] = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "charts/windlass/README.md",
];

/// What a page in backticks may name of the source tree, by the folder.
const TREES: [&str; 9] = [
    ".github/",
    "charts/",
    "crates/",
    "crds/",
    "docs/",
    "examples/",
    "src/",
    "tests/",
    "xtask/",
];

fn pages() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = TOP.iter().map(|name| root().join(name)).collect();
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder of pages") {
            let path = entry.expect("a folder entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found
}

fn read(page: &Path) -> String {
    fs::read_to_string(page).unwrap_or_else(|error| panic!("{}: {error}", page.display()))
}

/// The lines outside of blocks of code, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut code = false;
    text.lines().enumerate().filter_map(move |(number, line)| {
        if line.trim_start().starts_with("```") {
            code = !code;
            return None;
        }
        (!code).then_some((number + 1, line))
    })
}

/// What stands between two texts, each time.
fn between<'a>(line: &'a str, before: &'a str, after: char) -> impl Iterator<Item = &'a str> {
    line.split(before)
        .skip(1)
        .filter_map(move |rest| rest.split(after).next())
}

fn links(line: &str) -> impl Iterator<Item = &str> {
    let pictures = between(line, "src=\"", '"').chain(between(line, "srcset=\"", '"'));
    between(line, "](", ')').chain(pictures)
}

/// The anchors that GitHub makes of a page's headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut anchors = BTreeSet::new();
    for (_, line) in prose(text) {
        let title = line.trim_start_matches('#');
        if title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let kept = title
            .trim()
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        let slug: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let slug = slug.to_lowercase();
        let times = seen.entry(slug.clone()).or_default();
        anchors.insert(if *times == 0 { slug } else { format!("{slug}-{times}") });
        *times += 1;
    }
    anchors
}

/// Without `..`, so that a link cannot leave the repository unnoticed.
fn resolved(page: &Path, target: &str) -> Option<PathBuf> {
    let mut path = page.parent()?.to_owned();
    for part in Path::new(target).components() {
        match part {
            Component::ParentDir => {
                path.pop();
            }
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    (path.starts_with(root()) && path.exists()).then_some(path)
}

fn problem(page: &Path, link: &str) -> Option<&'static str> {
    if link.starts_with("https://") {
        return None;
    }
    let (target, anchor) = link.split_once('#').unwrap_or((link, ""));
    let found = if target.is_empty() {
        Some(page.to_owned())
    } else {
        resolved(page, target)
    };
    let Some(found) = found else {
        return Some("no such file");
    };
    (!anchor.is_empty() && !anchors(&read(&found)).contains(anchor)).then_some("no such heading")
}

#[test]
fn every_link_in_the_documentation_leads_somewhere() {
    let mut count = 0;
    let mut problems = Vec::new();
    for page in pages() {
        for (number, line) in prose(&read(&page)) {
            for link in links(line) {
                count += 1;
                if let Some(problem) = problem(&page, link) {
                    problems.push(format!("{}:{number}: {link}: {problem}", page.display()));
                }
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(
        count > 150,
        "only {count} links were found: the test looks in the wrong place"
    );
}

/// Without it a page goes on naming files that were moved long ago.
#[test]
fn every_source_file_that_the_documentation_names_exists() {
    let mut count = 0;
    let mut missing = Vec::new();
    for page in pages() {
        for (number, line) in prose(&read(&page)) {
            for name in line.split('`').skip(1).step_by(2) {
                let is_path = TREES.iter().any(|tree| name.starts_with(tree)) && !name.contains([' ', '*', '<', ':']);
                if is_path {
                    count += 1;
                    if !root().join(name).exists() {
                        missing.push(format!("{}:{number}: {name}", page.display()));
                    }
                }
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    assert!(
        count > 50,
        "only {count} files were found: the test looks in the wrong place"
    );
}

#[test]
fn anchors_are_those_that_github_makes() {
    let page =
        "# A `b` & c\n## Missing or invalid\n```text\n# none\n```\n## Missing or invalid\n#no\n### How to add …\n";
    let expected = ["a-b--c", "missing-or-invalid", "missing-or-invalid-1", "how-to-add-"];
    assert_eq!(anchors(page), expected.into_iter().map(str::to_owned).collect());
}
