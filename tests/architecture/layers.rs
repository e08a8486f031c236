//! The import table: which module may import which others.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use crate::graph::{Imports, cycles, imports, shown, way};
use crate::modules::{Crate, Modules};

const CRATES: [Crate; 4] = [
    Crate {
        name: "windlass",
        root: "src/lib.rs",
    },
    Crate {
        name: "windlass_core",
        root: "crates/core/src/lib.rs",
    },
    Crate {
        name: "windlass_live",
        root: "crates/live/src/lib.rs",
    },
    // Without a row in the tables: only circles are looked for.
    Crate {
        name: "xtask",
        root: "xtask/src/main.rs",
    },
];

/// A module, and what it and all below it may import besides themselves. A name stands for all below it; of several
/// rows for a module the longest name counts. What the code does not import must not stand here.
type Row = (&'static str, &'static [&'static str]);

/// The modules of the binary. Each imports only from rows above.
const BINARY: &[Row] = &[
    ("flags", &["windlass_core::types"]),
    ("api", &["windlass_core"]),
    ("k8s", &["api", "windlass_core"]),
    ("ops", &["flags", "windlass_core"]),
    ("backoff", &["windlass_core"]),
    ("scope", &["flags", "k8s::names", "windlass_core"]),
    (
        "index",
        &[
            "api::status",
            "k8s::wire",
            "scope",
            "windlass_core::agent_protocol",
            "windlass_core::annotation",
            "windlass_core::compat",
            "windlass_core::content",
            "windlass_core::decide",
            "windlass_core::policy",
            "windlass_core::reason",
            "windlass_core::types",
            "windlass_core::workload",
        ],
    ),
    (
        "reader",
        &["clock", "index", "windlass_core::content", "windlass_core::decide"],
    ),
    (
        "watch",
        &[
            "backoff",
            "index",
            "k8s::discovery",
            "k8s::error",
            "k8s::pod_history",
            "k8s::wire",
            "k8s::watch_activity",
            "k8s::read",
            "k8s::watch",
            "queue",
            "reader",
            "scope",
            "windlass_core::policy",
            "windlass_core::types",
            "windlass_core::workload",
        ],
    ),
    (
        "reconcile::gather",
        &[
            "index",
            "k8s::error",
            "k8s::pod_history",
            "reader",
            "windlass_core::annotation",
            "windlass_core::decide",
            "windlass_core::policy",
            "windlass_core::reason",
            "windlass_core::types",
            "windlass_core::workload",
        ],
    ),
    (
        "config",
        &["flags", "k8s::names", "k8s::selector", "ops", "scope", "windlass_core"],
    ),
    ("election", &["clock", "k8s", "ops", "windlass_core"]),
    ("context", &["election", "reader", "windlass_core"]),
    (
        "in_place",
        &[
            "config",
            "context",
            "index",
            "k8s",
            "ops",
            "queue",
            "reader",
            "windlass_core",
        ],
    ),
    ("reconcile::outcome", &["k8s", "windlass_core"]),
    (
        "report",
        &[
            "config",
            "context",
            "index",
            "k8s",
            "ops",
            "queue",
            "reader",
            "reconcile::outcome",
            "watch",
            "windlass_core",
        ],
    ),
    (
        "reconcile",
        &[
            "backoff",
            "context",
            "in_place",
            "index",
            "k8s",
            "ops",
            "queue",
            "reader",
            "report",
            "windlass_core",
        ],
    ),
    (
        "controller",
        &[
            "clock",
            "config",
            "context",
            "election",
            "in_place",
            "index",
            "k8s",
            "ops",
            "queue",
            "reader",
            "reconcile",
            "report",
            "scope",
            "watch",
            "windlass_core",
        ],
    ),
    ("agent", &["flags", "ops", "windlass_core", "windlass_live"]),
    (
        "cli",
        &[
            "agent",
            "api",
            "config",
            "controller",
            "flags",
            "ops",
            "report",
            "windlass_core",
        ],
    ),
];

/// The modules of the libraries.
const LIBRARIES: &[Row] = &[
    (
        "windlass_core::agent_protocol",
        &[
            "windlass_core::content",
            "windlass_core::types",
            "windlass_core::workload",
        ],
    ),
    ("windlass_core::annotation", &["windlass_core::workload"]),
    (
        "windlass_core::compat",
        &[
            "windlass_core::annotation",
            "windlass_core::content",
            "windlass_core::types",
            "windlass_core::workload",
        ],
    ),
    (
        "windlass_core::content",
        &[
            "windlass_core::compat",
            "windlass_core::types",
            "windlass_core::workload",
        ],
    ),
    (
        "windlass_core::decide",
        &[
            "windlass_core::agent_protocol",
            "windlass_core::compat",
            "windlass_core::content",
            "windlass_core::policy",
            "windlass_core::reason",
            "windlass_core::types",
            "windlass_core::workload",
        ],
    ),
    (
        "windlass_core::rollout_slots",
        &["windlass_core::policy", "windlass_core::types"],
    ),
    ("windlass_core::lease", &["windlass_core::types"]),
    ("windlass_core::reason", &[]),
    (
        "windlass_core::notice",
        &["windlass_core::reason", "windlass_core::types"],
    ),
    (
        "windlass_core::policy",
        &[
            "windlass_core::annotation",
            "windlass_core::types",
            "windlass_core::workload",
        ],
    ),
    ("windlass_core::types", &["windlass_core::workload"]),
    (
        "windlass_core::workload",
        &[
            "windlass_core::annotation",
            "windlass_core::compat",
            "windlass_core::content",
            "windlass_core::policy",
            "windlass_core::types",
        ],
    ),
    (
        "windlass_live::api",
        &["windlass_live::feed", "windlass_live::flags", "windlass_live::snapshot"],
    ),
    ("windlass_live::feed", &["windlass_live::snapshot"]),
    (
        "windlass_live::flags",
        &["windlass_live::feed", "windlass_live::live", "windlass_live::snapshot"],
    ),
    (
        "windlass_live::live",
        &[
            "windlass_live::content",
            "windlass_live::feed",
            "windlass_live::snapshot",
        ],
    ),
    ("windlass_live::snapshot", &["windlass_live::content"]),
    (
        "windlass_live::volume",
        &[
            "windlass_live::content",
            "windlass_live::feed",
            "windlass_live::snapshot",
        ],
    ),
];

/// What a decision is made with. Somebody who only wants to know what would be decided runs no more than this.
const READS: &[&str] = &["reader", "index", "watch", "reconcile::gather"];

/// What writes, counts, or waits for a turn to write. Nothing that a decision is made with comes to it, by whatever
/// way.
const WRITES: &[&str] = &[
    "config",
    "context",
    "controller",
    "election",
    "in_place",
    "k8s::events",
    "k8s::heartbeat",
    "k8s::keyring",
    "k8s::lease",
    "k8s::patch",
    "k8s::pod_history::running",
    "k8s::policy_status",
    "ops",
    "report",
    "windlass_core::rollout_slots",
    "windlass_core::lease",
    "windlass_core::notice",
];

/// Circles that are known, with the reason.
const KNOWN: &[(&[&str], &str)] = &[];

/// All of the code, read once.
static CODE: LazyLock<(Modules, Imports)> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let modules = Modules::read(&CRATES, &|file| fs::read_to_string(root.join(file)).ok());
    let imports = imports(&modules);
    assert!(
        imports.len() > 300,
        "only {} imports were found: the test looks in the wrong place",
        imports.len()
    );
    (modules, imports)
});

/// As the tables name it: modules of the binary's crate begin with their own name.
fn named(module: &[String]) -> String {
    let module = match module {
        [name, rest @ ..] if name == "windlass" && !rest.is_empty() => rest,
        whole => whole,
    };
    module.join("::")
}

fn is_below(module: &str, name: &str) -> bool {
    module
        .strip_prefix(name)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// What breaks a table, and what of it nobody needs.
fn broken(rows: &[Row], modules: &Modules, imports: &Imports) -> String {
    let mut broken = String::new();
    let mut used: BTreeSet<(&str, &str)> = BTreeSet::new();
    let mut without_row: BTreeSet<String> = BTreeSet::new();
    for ((from, to), names) in imports {
        let (importer, imported) = (named(from), named(to));
        let rows = rows.iter().filter(|(row, _)| is_below(&importer, row));
        let Some((row, allowed)) = rows.max_by_key(|(row, _)| row.len()) else {
            without_row.insert(importer);
            continue;
        };
        if is_below(&imported, row) {
            continue;
        }
        if let Some(by) = allowed.iter().find(|allowed| is_below(&imported, allowed)) {
            used.insert((row, by));
            continue;
        }
        let (file, names) = (
            modules.all[from].file.display(),
            names.iter().map(String::as_str).collect::<Vec<_>>(),
        );
        let _ = writeln!(
            broken,
            "{file} imports {imported} ({}), which {row} may not",
            names.join(", ")
        );
    }
    for module in without_row {
        let _ = writeln!(broken, "{module} has no row");
    }
    for (row, allowed) in rows {
        for allowed in allowed.iter().filter(|allowed| !used.contains(&(*row, **allowed))) {
            let _ = writeln!(broken, "{row} does not import {allowed}: take it off its row");
        }
    }
    broken
}

/// The part of imports that begin in one of these crates, but for their roots, which only re-export.
fn of(crates: &[&str], imports: &Imports) -> Imports {
    let mut imports = imports.clone();
    imports.retain(|(from, _), _| from.len() > 1 && crates.contains(&&*from[0]));
    imports
}

#[test]
fn modules_of_the_binary_import_what_the_table_allows() {
    let (modules, imports) = &*CODE;
    let broken = broken(BINARY, modules, &of(&["windlass"], imports));
    assert!(broken.is_empty(), "\n{broken}");
}

#[test]
fn a_row_of_the_binary_imports_only_from_rows_above() {
    for (at, (row, allowed)) in BINARY.iter().enumerate() {
        for name in *allowed {
            let rows = BINARY.iter().enumerate().filter(|(_, (row, _))| is_below(name, row));
            let whose = rows.max_by_key(|(_, (row, _))| row.len());
            assert!(
                whose.is_none_or(|(whose, _)| whose < at),
                "{row} imports {name}, which comes later"
            );
        }
    }
}

#[test]
fn what_a_decision_is_made_with_comes_to_nothing_that_writes() {
    let (modules, imports) = &*CODE;
    let is_one_of = |module: &[String], names: &[&str]| names.iter().any(|name| is_below(&named(module), name));
    for name in READS.iter().chain(WRITES) {
        let is_there = modules.all.keys().any(|module| named(module) == *name);
        assert!(is_there, "there is no module {name}");
    }
    let way = way(
        imports,
        |module| is_one_of(module, READS),
        |module| is_one_of(module, WRITES),
    );
    let shown: Vec<String> = way.iter().map(|module| named(module)).collect();
    assert!(way.is_empty(), "{}", shown.join(" imports "));
}

#[test]
fn modules_of_the_libraries_import_what_the_table_allows() {
    let (modules, imports) = &*CODE;
    let broken = broken(LIBRARIES, modules, &of(&["windlass_core", "windlass_live"], imports));
    assert!(broken.is_empty(), "\n{broken}");
}

#[test]
fn files_do_not_import_one_another_in_a_circle() {
    let (modules, imports) = &*CODE;
    let known: BTreeMap<BTreeSet<String>, &str> = KNOWN
        .iter()
        .map(|(circle, why)| (circle.iter().map(|name| (*name).to_owned()).collect(), *why))
        .collect();
    let mut found = BTreeSet::new();
    let mut new = String::new();
    for circle in cycles(imports) {
        let names: BTreeSet<String> = circle.iter().map(|module| named(module)).collect();
        if !known.contains_key(&names) {
            let _ = writeln!(new, "a circle of imports:\n{}", shown(modules, imports, &circle));
        }
        found.insert(names);
    }
    assert!(new.is_empty(), "\n{new}");
    for (circle, why) in known {
        assert!(
            found.contains(&circle),
            "no circle any more, take it off: {circle:?} ({why})"
        );
    }
}
