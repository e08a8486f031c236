use serde_json::json;

use super::*;
use crate::workload::reference::{Use, discover};

fn rule(kind: Option<SourceKind>, name: &str, keys: &[&str], strategy: Strategy) -> Rule {
    Rule {
        kind,
        name: name.into(),
        keys: keys.iter().map(|key| (*key).into()).collect(),
        strategy,
    }
}

fn key(name: &str) -> Key {
    Key::from(name)
}

/// `web` mounted as a whole, its key `port` read by env as well.
fn mounted_and_env() -> Use {
    let uses = discover(&json!({"spec": {
        "containers": [{
            "name": "c",
            "env": [{"name": "PORT", "valueFrom": {"configMapKeyRef": {"name": "web", "key": "port"}}}],
            "volumeMounts": [{"name": "v", "mountPath": "/etc/web"}],
        }],
        "volumes": [{"name": "v", "configMap": {"name": "web"}}],
    }}));
    uses.first().expect("one source").clone()
}

fn env_only() -> Use {
    let uses = discover(&json!({"spec": {"containers": [{
        "name": "c",
        "env": [
            {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "web", "key": "a"}}},
            {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "web", "key": "b", "optional": true}}},
        ],
    }]}}));
    uses.first().expect("one source").clone()
}

fn sort(key_rules: &KeyRules<'_>, used: Use) -> (Vec<Use>, Option<String>) {
    let mut sorted = Vec::new();
    let unsupported = key_rules.split(used, &mut sorted);
    (sorted, unsupported)
}

fn classes(sorted: &[Use], name: &str) -> Vec<KeyStrategy> {
    let of_it = sorted.iter().filter(|used| used.counts(name));
    of_it.map(|used| used.key_strategy).collect()
}

#[test]
fn the_first_rule_that_matches_decides_and_a_key_is_in_one_class() {
    let rules = Arc::new(RuleSet::from_iter([
        rule(Some(SourceKind::Secret), "*", &["*"], Strategy::Ignore),
        rule(None, "w?b", &["flags.*"], Strategy::InPlace),
        rule(None, "web", &["flags.hard", "README*"], Strategy::Ignore),
        rule(None, "other", &["*"], Strategy::Ignore),
    ]));
    let key_rules = KeyRules {
        rules: &rules,
        default: Strategy::Restart,
        notifies_app: false,
    };
    let (sorted, unsupported) = sort(&key_rules, mounted_and_env());
    assert_eq!(
        classes(&sorted, "flags.hard"),
        [KeyStrategy::InPlace],
        "the first rule wins"
    );
    assert_eq!(classes(&sorted, "README.md"), []);
    assert_eq!(classes(&sorted, "anything"), [KeyStrategy::Restart]);
    assert_eq!(unsupported, None);
    let required: Vec<bool> = sorted.iter().map(|used| used.required).collect();
    assert_eq!(required, [true, false], "what pods need is said once");
}

#[test]
fn what_is_fixed_at_the_start_restarts_and_that_is_told() {
    let rules = Arc::new(RuleSet::from_iter([rule(None, "web", &["*"], Strategy::InPlace)]));
    let key_rules = KeyRules {
        rules: &rules,
        default: Strategy::Restart,
        notifies_app: false,
    };
    let (sorted, unsupported) = sort(&key_rules, mounted_and_env());
    assert_eq!(classes(&sorted, "port"), [KeyStrategy::Restart], "env never updates");
    assert_eq!(classes(&sorted, "page"), [KeyStrategy::InPlace]);
    assert_eq!(unsupported.as_deref(), Some("ConfigMap web (keys port)"));
    let (sorted, unsupported) = sort(&key_rules, env_only());
    assert_eq!((classes(&sorted, "a"), sorted.len()), (vec![KeyStrategy::Restart], 1));
    assert_eq!(unsupported.as_deref(), Some("ConfigMap web (keys a, b)"));
}

#[test]
fn auto_is_in_place_only_where_somebody_tells_the_application() {
    for (told, page) in [(false, KeyStrategy::Restart), (true, KeyStrategy::InPlace)] {
        let key_rules = KeyRules {
            rules: &Arc::default(),
            default: Strategy::Auto,
            notifies_app: told,
        };
        assert_eq!(key_rules.is_plain(), !told);
        let (sorted, unsupported) = sort(&key_rules, mounted_and_env());
        assert_eq!(classes(&sorted, "page"), [page], "told: {told}");
        assert_eq!(classes(&sorted, "port"), [KeyStrategy::Restart], "told: {told}");
        assert_eq!(unsupported, None, "nobody asked for it");
    }
}

#[test]
fn a_source_of_which_nothing_counts_is_still_needed_if_pods_cannot_start_without_it() {
    let rules = Arc::new(RuleSet::from_iter([rule(None, "*", &["*"], Strategy::Ignore)]));
    let key_rules = KeyRules {
        rules: &rules,
        default: Strategy::Restart,
        notifies_app: false,
    };
    let (sorted, _) = sort(&key_rules, env_only());
    let [only] = sorted.as_slice() else {
        panic!("{sorted:?}");
    };
    assert!(only.required && *only.required_keys == [key("a")]);
    assert!(!only.counts("a"));
}

#[test]
fn a_source_without_rules_of_its_own_is_used_as_before() {
    let rules = Arc::new(RuleSet::from_iter([rule(None, "other", &["*"], Strategy::InPlace)]));
    let key_rules = KeyRules {
        rules: &rules,
        default: Strategy::Restart,
        notifies_app: false,
    };
    for used in [mounted_and_env(), env_only()] {
        let (sorted, _) = sort(&key_rules, used.clone());
        let [only] = sorted.as_slice() else {
            panic!("{sorted:?}");
        };
        assert_eq!(
            (&only.consumed, only.key_strategy),
            (&used.consumed, KeyStrategy::Restart)
        );
        assert_eq!(only.key_subset(), None, "its digest stays the same");
    }
}

proptest::proptest! {
    /// Whatever the rules say: no key is in two classes, and what is fixed is never in place.
    #[test]
    fn no_key_is_in_two_classes(
        rules in proptest::collection::vec(
            (proptest::sample::subsequence(vec!["port", "p*", "page", "*", "x?"], 1..3), 0_usize..4), 0..4),
        default in 0_usize..4,
        told in proptest::bool::ANY,
    ) {
        let strategies = [Strategy::Restart, Strategy::InPlace, Strategy::Auto, Strategy::Ignore];
        let rules = rules.iter().map(|(keys, at)| rule(None, "*", keys, strategies[*at]));
        let rules = Arc::new(rules.collect::<RuleSet>());
        let key_rules = KeyRules { rules: &rules, default: strategies[default], notifies_app: told };
        let (sorted, _) = sort(&key_rules, mounted_and_env());
        for name in ["port", "page", "p", "xy", "else"] {
            let of = classes(&sorted, name);
            proptest::prop_assert!(of.len() <= 1, "{name}: {of:?}");
            proptest::prop_assert!(name != "port" || of != [KeyStrategy::InPlace]);
        }
    }
}

/// Before, a key was compared with all of them each time that somebody asked, in as many steps as pattern and
/// key have bytes, multiplied.
#[test]
fn what_a_key_costs_is_bounded_and_paid_once() {
    let pattern = |at: usize| format!("*{}b{at}", "a".repeat(56));
    let keys: Vec<String> = (0..64).map(pattern).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let rules = RuleSet::from_iter([rule(None, "*", &keys, Strategy::InPlace)]);
    let memo = Arc::new(RuleMemo::default());
    rules.remember_in(&memo);
    let key_rules = KeyRules {
        rules: &Arc::new(rules),
        default: Strategy::Restart,
        notifies_app: false,
    };
    let (sorted, _) = sort(&key_rules, mounted());
    let keys: Vec<String> = (0..50).map(|at| format!("{}{at:02}", "a".repeat(248))).collect();
    for _ in 0..20 {
        for key in &keys {
            assert_eq!(classes(&sorted, key), [KeyStrategy::Restart]);
        }
    }
    let most = keys.len() * (key_rules.rules.cost() + 250);
    assert!((1..=most).contains(&memo.steps()), "{} of {most} steps", memo.steps());
}

#[test]
fn of_a_key_that_is_named_and_fits_a_pattern_the_first_rule_decides() {
    let rules = Arc::new(RuleSet::from_iter([
        rule(None, "web", &["x", "flags.*"], Strategy::InPlace),
        rule(None, "web", &["flags.hard", "y"], Strategy::Ignore),
        rule(None, "other", &["*"], Strategy::Ignore),
        rule(None, "web", &["y", "*"], Strategy::InPlace),
    ]));
    let key_rules = KeyRules {
        rules: &rules,
        default: Strategy::Restart,
        notifies_app: false,
    };
    let (sorted, _) = sort(&key_rules, mounted());
    for (key, expected) in [
        ("flags.hard", &[KeyStrategy::InPlace][..]),
        ("x", &[KeyStrategy::InPlace]),
        ("y", &[]),
        ("z", &[KeyStrategy::InPlace]),
    ] {
        assert_eq!(classes(&sorted, key), expected, "{key}");
    }
}

fn mounted() -> Use {
    let uses = discover(&json!({"spec": {
        "containers": [{"name": "c", "volumeMounts": [{"name": "v", "mountPath": "/etc/web"}]}],
        "volumes": [{"name": "v", "configMap": {"name": "web"}}],
    }}));
    uses.first().expect("one source").clone()
}
