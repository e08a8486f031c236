use jiff::SignedDuration;

use super::*;
use crate::policy::effective_policy::{EffectivePolicy, PolicyDefaults, PolicyProblem, SourceFilter};
use crate::policy::window::{RolloutTimes, Schedule};
use crate::types::labels::{Operator, Requirement};
use crate::types::name::SourceKind;
use crate::workload::kind::DEPLOYMENT;
use crate::workload::opt_in::{OptIn, Selection, Strategy};
use crate::workload::pattern::Pattern;

fn reference(namespace: Option<&str>, name: &str) -> PolicyRef {
    PolicyRef {
        namespace: namespace.map(Namespace::from),
        name: Name::from(name),
    }
}

fn policy(namespace: Option<&str>, name: &str, settings: PolicySettings) -> Policy {
    Policy {
        reference: reference(namespace, name),
        priority: 0,
        created: Second::new(0),
        selector: Some(WorkloadSelector::default()),
        defines_strategy: settings.strategy.is_some(),
        settings: Ok(settings),
    }
}

fn restarts() -> PolicySettings {
    PolicySettings {
        strategy: Some(Strategy::Restart),
        ..PolicySettings::default()
    }
}

fn labelled(key: &str, value: &str) -> Selector {
    Selector(Box::new([Requirement {
        key: key.into(),
        operator: Operator::In([value.into()].into()),
    }]))
}

fn all(policies: impl IntoIterator<Item = Policy>) -> Policies {
    let mut all = Policies::default();
    for policy in policies {
        assert!(all.set(policy));
    }
    all
}

struct Of<'a> {
    labels: &'a [(&'static str, &'static str)],
    named: Option<&'static str>,
}

fn govern(policies: &Policies, of: &Of<'_>) -> PolicyMatch {
    let labels: Labels = of.labels.iter().copied().collect();
    let namespace_labels: Labels = [("team", "shop")].into_iter().collect();
    policies.match_workload(&PolicySubject {
        namespace: &Namespace::from("shop"),
        kind: DEPLOYMENT,
        labels: &labels,
        namespace_labels: Some(&namespace_labels),
        named: of.named,
    })
}

const WEB: Of<'static> = Of {
    labels: &[("app", "web")],
    named: None,
};

fn by(policy_match: &PolicyMatch) -> String {
    match &policy_match.governing {
        GoverningPolicy::None => "nobody".into(),
        GoverningPolicy::Policy(policy) => policy.to_string(),
        GoverningPolicy::Missing(policy) => format!("missing {policy}"),
    }
}

#[test]
fn the_named_one_goes_before_the_namespaces_before_the_clusters_before_nobody() {
    let cluster = || policy(None, "all", restarts());
    let namespaced = || policy(Some("shop"), "web", restarts());
    let elsewhere = || policy(Some("other"), "web", restarts());
    let unselecting = || Policy {
        selector: None,
        ..policy(Some("shop"), "named", restarts())
    };
    let named = Of {
        named: Some("named"),
        ..WEB
    };
    assert_eq!(by(&govern(&all([]), &WEB)), "nobody");
    assert_eq!(by(&govern(&all([elsewhere(), unselecting()]), &WEB)), "nobody");
    assert_eq!(
        by(&govern(&all([cluster(), elsewhere()]), &WEB)),
        "ClusterRolloutPolicy all"
    );
    assert_eq!(
        by(&govern(&all([cluster(), namespaced()]), &WEB)),
        "RolloutPolicy shop/web"
    );
    let every = all([cluster(), namespaced(), unselecting()]);
    assert_eq!(by(&govern(&every, &named)), "RolloutPolicy shop/named");
    let none = all([cluster(), namespaced()]);
    assert_eq!(by(&govern(&none, &named)), "missing RolloutPolicy shop/named");
}

#[test]
fn of_several_the_highest_priority_then_the_oldest_then_the_first_by_name_governs() {
    let of = |name: &str, priority: i32, created: i64| Policy {
        priority,
        created: Second::new(created),
        ..policy(Some("shop"), name, restarts())
    };
    for (policies, expected) in [
        ([of("a", 0, 1), of("b", 5, 9), of("c", 1, 0)], "b, c, a"),
        ([of("a", 0, 3), of("b", 0, 2), of("c", 0, 1)], "c, b, a"),
        ([of("b", 0, 1), of("c", 0, 1), of("a", 0, 1)], "a, b, c"),
    ] {
        let policy_match = govern(&all(policies), &WEB);
        let GoverningPolicy::Policy(first) = &policy_match.governing else {
            panic!("{policy_match:?}");
        };
        let order: Vec<&str> = std::iter::once(first)
            .chain(&policy_match.overruled)
            .map(|it| it.name.as_str())
            .collect();
        assert_eq!(order.join(", "), expected);
    }
}

#[test]
fn a_policy_selects_by_kind_labels_and_the_namespaces_labels() {
    let selecting = |selects: WorkloadSelector| {
        let policy = Policy {
            selector: Some(selects),
            ..policy(None, "all", restarts())
        };
        by(&govern(&all([policy]), &WEB)) != "nobody"
    };
    let kinds = |kind: &str| WorkloadSelector {
        kinds: [kind.into()].into(),
        ..WorkloadSelector::default()
    };
    assert!(selecting(kinds(DEPLOYMENT.row().kind)));
    assert!(!selecting(kinds(
        KindId::named("StatefulSet").expect("a kind").row().kind
    )));
    for (key, value, expected) in [("app", "web", true), ("app", "db", false)] {
        let selector = labelled(key, value);
        assert_eq!(
            selecting(WorkloadSelector {
                labels: selector,
                ..WorkloadSelector::default()
            }),
            expected
        );
    }
    for (value, expected) in [("shop", true), ("bank", false)] {
        let namespaces = Some(labelled("team", value));
        assert_eq!(
            selecting(WorkloadSelector {
                namespaces,
                ..WorkloadSelector::default()
            }),
            expected
        );
    }
}

#[test]
fn a_cluster_policy_that_says_nothing_of_changes_is_a_floor_and_governs_nobody() {
    let freezes = || {
        let daily = Schedule::parse("0 0 * * *", SignedDuration::from_hours(1), "UTC").expect("a schedule");
        RolloutTimes::new([], [daily])
    };
    let floor = policy(
        None,
        "floor",
        PolicySettings {
            suspend: true,
            max_parallel: Some(3),
            times: freezes(),
            min_interval: Some(SignedDuration::from_hours(9)),
            ..PolicySettings::default()
        },
    );
    let own = policy(
        Some("shop"),
        "web",
        PolicySettings {
            max_parallel: Some(7),
            ..restarts()
        },
    );
    let alone = all([floor.clone()]);
    let policy_match = govern(&alone, &WEB);
    assert_eq!((by(&policy_match), policy_match.floors.len()), ("nobody".into(), 1));
    let both = all([floor, own]);
    let effective_policy = both.effective_policy(&govern(&both, &WEB), &PolicyDefaults::default());
    assert_eq!(effective_policy.suspended.floor, Some(reference(None, "floor")));
    assert_eq!(effective_policy.times.floor, freezes());
    assert_eq!(effective_policy.times.own, RolloutTimes::default());
    assert_eq!(effective_policy.min_interval, SignedDuration::ZERO, "that is no floor");
    let budgets: Vec<(String, usize)> = effective_policy
        .budgets
        .iter()
        .map(|it| (it.policy.to_string(), it.limit))
        .collect();
    let expected = [("RolloutPolicy shop/web", 7), ("ClusterRolloutPolicy floor", 3)];
    assert_eq!(budgets, expected.map(|(of, limit)| (of.to_owned(), limit)));
}

#[test]
fn nothing_looser_takes_the_place_of_a_policy_that_is_missing_or_invalid() {
    let broken = |namespace: Option<&str>, name: &str| Policy {
        settings: Err("spec.restart.windows[0]: no such zone".into()),
        ..policy(namespace, name, PolicySettings::default())
    };
    let problem = |policies: &Policies, of: &Of<'_>| {
        let effective_policy = policies.effective_policy(&govern(policies, of), &PolicyDefaults::default());
        effective_policy.problem.map(|problem| match problem {
            PolicyProblem::Missing(policy) => format!("missing {policy}"),
            PolicyProblem::Invalid(policy, _) => format!("invalid {policy}"),
        })
    };
    let named = Of {
        named: Some("gone"),
        ..WEB
    };
    assert_eq!(
        problem(&all([]), &named).as_deref(),
        Some("missing RolloutPolicy shop/gone")
    );
    let own = all([broken(Some("shop"), "web"), policy(None, "all", restarts())]);
    assert_eq!(problem(&own, &WEB).as_deref(), Some("invalid RolloutPolicy shop/web"));
    let floor = all([broken(None, "floor"), policy(Some("shop"), "web", restarts())]);
    assert_eq!(
        problem(&floor, &WEB).as_deref(),
        Some("invalid ClusterRolloutPolicy floor")
    );
    let governing = Policy {
        defines_strategy: true,
        ..broken(None, "all")
    };
    let governing = all([governing]);
    assert_eq!(
        by(&govern(&governing, &WEB)),
        "ClusterRolloutPolicy all",
        "what it opted in it keeps"
    );
    let elsewhere = all([broken(Some("other"), "web"), policy(Some("shop"), "web", restarts())]);
    assert_eq!(problem(&elsewhere, &WEB), None);
}

#[test]
fn sources_of_a_policy_add_to_those_of_the_annotations() {
    let pattern = |name: &str| Pattern::glob(None, name).expect("a name");
    let of = |name: &str| (SourceKind::ConfigMap, pattern(name));
    let policy = policy(
        Some("shop"),
        "web",
        PolicySettings {
            sources: Some(SourceFilter {
                include: [of("web-*")].into(),
                exclude: [of("web-tls")].into(),
                extra: [of("flags")].into(),
            }),
            ..restarts()
        },
    );
    let asked = OptIn {
        configmaps: Selection {
            named: [pattern("own")].into(),
            ..Selection::default()
        },
        ..OptIn::default()
    };
    let policies = all([policy]);
    let effective_policy = policies.effective_policy(&govern(&policies, &WEB), &PolicyDefaults::default());
    let opt_in = effective_policy.opt_in(&asked);
    let own = Namespace::from("shop");
    let counts = |kind: SourceKind, name: &str| {
        let source = crate::types::name::SourceRef {
            namespace: own.clone(),
            kind,
            name: Name::from(name),
        };
        opt_in
            .selection(kind)
            .source_scope(&own, &source, name != "flags" && name != "own", false)
            .is_some()
    };
    for (name, expected) in [
        ("web-page", true),
        ("web-tls", false),
        ("other", false),
        ("flags", true),
        ("own", true),
    ] {
        assert_eq!(counts(SourceKind::ConfigMap, name), expected, "{name}");
    }
    assert!(!counts(SourceKind::Secret, "web-page"), "only what is included counts");
}

#[test]
fn waves_are_numbered_by_the_first_that_selects_and_the_rest_goes_last() {
    let effective_policy = EffectivePolicy {
        waves: [labelled("wave", "canary"), labelled("wave", "some")].into(),
        ..EffectivePolicy::default()
    };
    for (label, expected) in [("canary", 0), ("some", 1), ("others", 2)] {
        let labels: Labels = [("wave", label)].into_iter().collect();
        assert_eq!(effective_policy.wave(&labels), Some(expected));
    }
    assert_eq!(EffectivePolicy::default().wave(&Labels::default()), None);
}
