use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::core::annotation::{CONFIGMAPS, ENABLED, EXCLUDE_CONFIGMAPS, POLICY, STRATEGY};

fn read_all(annotations: &[(&str, &str)]) -> Result<Option<OptIn>, InvalidAnnotation> {
    let map: BTreeMap<&str, &str> = annotations.iter().copied().collect();
    read(|name| map.get(name).copied(), &Namespace::from("shop"))
}

#[test]
fn only_true_opts_in() {
    assert_eq!(read_all(&[]), Ok(None));
    assert_eq!(read_all(&[(ENABLED, "false"), (STRATEGY, "nonsense")]), Ok(None));
    assert_eq!(read_all(&[(CONFIGMAPS, "web")]), Ok(None));
    assert_eq!(read_all(&[(ENABLED, "true")]), Ok(Some(OptIn::default())));
}

#[test]
fn lists_are_split_trimmed_and_may_hold_patterns() {
    let opt_in = read_all(&[
        (ENABLED, "true"),
        (CONFIGMAPS, " a, b-*,,shop/c "),
        (EXCLUDE_CONFIGMAPS, "x?"),
    ]);
    let opt_in = opt_in.expect("valid").expect("opted in");
    assert_eq!(&*opt_in.configmaps, &["a".into(), "b-*".into(), "c".into()]);
    assert!(opt_in.excludes_configmap("xy") && !opt_in.excludes_configmap("x"));
}

#[test]
fn a_bad_value_is_named_with_what_is_accepted() {
    let table = [
        (
            vec![(ENABLED, "yes")],
            "annotation windlass.dev/enabled has the value \"yes\"; accepted: \"true\", \"false\"",
        ),
        (vec![(ENABLED, "true"), (STRATEGY, "Auto")], "windlass.dev/strategy"),
        (vec![(POLICY, "web")], "windlass.dev/policy"),
        (
            vec![(ENABLED, "true"), (CONFIGMAPS, "other/web")],
            "\"other/web\"; accepted: a comma-separated list",
        ),
        (vec![(ENABLED, "true"), (CONFIGMAPS, "a,Bad_Name!")], "\"Bad_Name!\""),
        (
            vec![(ENABLED, "true"), (EXCLUDE_CONFIGMAPS, "-a")],
            "windlass.dev/exclude-configmaps",
        ),
    ];
    for (annotations, expected) in table {
        let message = read_all(&annotations).expect_err(expected).to_string();
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn a_long_value_is_cut() {
    let value = "y".repeat(100_000);
    assert!(
        read_all(&[(ENABLED, &value)])
            .expect_err("no such value")
            .to_string()
            .len()
            < 200
    );
}

proptest! {
    #[test]
    fn any_value_is_read_without_harm(value in "\\PC{0,40}") {
        for name in [ENABLED, STRATEGY, CONFIGMAPS, EXCLUDE_CONFIGMAPS] {
            let _ = read_all(&[(ENABLED, "true"), (name, &value)]);
        }
    }

    #[test]
    fn a_pattern_fits_as_a_shell_would_say(name in "[a-c]{0,8}", pattern in "[a-c*?]{0,8}") {
        prop_assert_eq!(glob::matches(&pattern, &name), by_recursion(pattern.as_bytes(), name.as_bytes()));
    }
}

/// The textbook definition, too slow to be used on what strangers write.
fn by_recursion(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), Some((_, tail))) => by_recursion(rest, name) || by_recursion(pattern, tail),
        (Some((b'*', rest)), None) => by_recursion(rest, name),
        (Some((b'?', rest)), Some((_, tail))) => by_recursion(rest, tail),
        (Some((p, rest)), Some((n, tail))) => p == n && by_recursion(rest, tail),
        _ => false,
    }
}
