use super::*;
use crate::policy::terms::{BuiltIn, Terms, Trouble};
use crate::policy::window::Times;
use crate::types::labels::{Must, Requirement};
use crate::workload::kind::{DEPLOYMENT, KindId};

fn reference(namespace: Option<&str>, name: &str) -> PolicyRef {
    PolicyRef {
        namespace: namespace.map(Namespace::from),
        name: Name::from(name),
    }
}

fn policy(namespace: Option<&str>, name: &str, says: Says) -> Policy {
    Policy {
        reference: reference(namespace, name),
        priority: 0,
        created: Second::new(0),
        selects: Some(Selects::default()),
        says_what: says.strategy.is_some(),
        says: Ok(says),
    }
}

fn restarts() -> Says {
    Says {
        strategy: Some(Strategy::Restart),
        ..Says::default()
    }
}

fn labelled(key: &str, value: &str) -> Selector {
    Selector(Box::new([Requirement {
        key: key.into(),
        must: Must::BeIn([value.into()].into()),
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

fn govern(policies: &Policies, of: &Of<'_>) -> Governed {
    let labels: Labels = of.labels.iter().copied().collect();
    let namespace_labels: Labels = [("team", "shop")].into_iter().collect();
    policies.govern(&Subject {
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

fn by(governed: &Governed) -> String {
    match &governed.by {
        By::Nobody => "nobody".into(),
        By::Policy(policy) => policy.to_string(),
        By::Missing(policy) => format!("missing {policy}"),
    }
}

#[test]
fn the_named_one_goes_before_the_namespaces_before_the_clusters_before_nobody() {
    let cluster = || policy(None, "all", restarts());
    let namespaced = || policy(Some("shop"), "web", restarts());
    let elsewhere = || policy(Some("other"), "web", restarts());
    let unselecting = || Policy {
        selects: None,
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
        let governed = govern(&all(policies), &WEB);
        let By::Policy(first) = &governed.by else {
            panic!("{governed:?}");
        };
        let order: Vec<&str> = std::iter::once(first)
            .chain(&governed.overruled)
            .map(|it| it.name.as_str())
            .collect();
        assert_eq!(order.join(", "), expected);
    }
}

#[test]
fn a_policy_selects_by_kind_labels_and_the_namespaces_labels() {
    let selecting = |selects: Selects| {
        let policy = Policy {
            selects: Some(selects),
            ..policy(None, "all", restarts())
        };
        by(&govern(&all([policy]), &WEB)) != "nobody"
    };
    let kinds = |kind: &str| Selects {
        kinds: [kind.into()].into(),
        ..Selects::default()
    };
    assert!(selecting(kinds(DEPLOYMENT.row().kind)));
    assert!(!selecting(kinds(
        KindId::named("StatefulSet").expect("a kind").row().kind
    )));
    for (key, value, expected) in [("app", "web", true), ("app", "db", false)] {
        let selector = labelled(key, value);
        assert_eq!(
            selecting(Selects {
                selector,
                ..Selects::default()
            }),
            expected
        );
    }
    for (value, expected) in [("shop", true), ("bank", false)] {
        let namespaces = Some(labelled("team", value));
        assert_eq!(
            selecting(Selects {
                namespaces,
                ..Selects::default()
            }),
            expected
        );
    }
}

#[test]
fn a_cluster_policy_that_says_nothing_of_changes_is_a_floor_and_governs_nobody() {
    let freezes = || vec![Schedule::parse("0 0 * * *", SignedDuration::from_hours(1), "UTC").expect("a schedule")];
    let floor = policy(
        None,
        "floor",
        Says {
            suspend: true,
            max_parallel: Some(3),
            freezes: freezes(),
            min_interval: SignedDuration::from_hours(9),
            ..Says::default()
        },
    );
    let own = policy(
        Some("shop"),
        "web",
        Says {
            max_parallel: Some(7),
            ..restarts()
        },
    );
    let alone = all([floor.clone()]);
    let governed = govern(&alone, &WEB);
    assert_eq!((by(&governed), governed.floors.len()), ("nobody".into(), 1));
    let both = all([floor, own]);
    let terms = both.terms(&govern(&both, &WEB), &BuiltIn::default());
    assert_eq!(terms.floor_suspended, Some(reference(None, "floor")));
    assert_eq!(terms.floor, Times::new(Vec::new(), freezes()));
    assert_eq!(terms.times, Times::default());
    assert_eq!(terms.min_interval, SignedDuration::ZERO, "that is no floor");
    let budgets: Vec<(String, usize)> = terms.budgets.iter().map(|it| (it.of.to_string(), it.limit)).collect();
    let expected = [("RolloutPolicy shop/web", 7), ("ClusterRolloutPolicy floor", 3)];
    assert_eq!(budgets, expected.map(|(of, limit)| (of.to_owned(), limit)));
}

#[test]
fn nothing_looser_takes_the_place_of_a_policy_that_is_missing_or_invalid() {
    let broken = |namespace: Option<&str>, name: &str| Policy {
        says: Err("spec.restart.windows[0]: no such zone".into()),
        ..policy(namespace, name, Says::default())
    };
    let trouble = |policies: &Policies, of: &Of<'_>| {
        let terms = policies.terms(&govern(policies, of), &BuiltIn::default());
        terms.trouble.map(|trouble| match trouble {
            Trouble::Missing(policy) => format!("missing {policy}"),
            Trouble::Invalid(policy, _) => format!("invalid {policy}"),
        })
    };
    let named = Of {
        named: Some("gone"),
        ..WEB
    };
    assert_eq!(
        trouble(&all([]), &named).as_deref(),
        Some("missing RolloutPolicy shop/gone")
    );
    let own = all([broken(Some("shop"), "web"), policy(None, "all", restarts())]);
    assert_eq!(trouble(&own, &WEB).as_deref(), Some("invalid RolloutPolicy shop/web"));
    let floor = all([broken(None, "floor"), policy(Some("shop"), "web", restarts())]);
    assert_eq!(
        trouble(&floor, &WEB).as_deref(),
        Some("invalid ClusterRolloutPolicy floor")
    );
    let governing = Policy {
        says_what: true,
        ..broken(None, "all")
    };
    let governing = all([governing]);
    assert_eq!(
        by(&govern(&governing, &WEB)),
        "ClusterRolloutPolicy all",
        "what it opted in it keeps"
    );
    let elsewhere = all([broken(Some("other"), "web"), policy(Some("shop"), "web", restarts())]);
    assert_eq!(trouble(&elsewhere, &WEB), None);
}

#[test]
fn sources_of_a_policy_add_to_those_of_the_annotations() {
    let pattern = |name: &str| Pattern::glob(None, name).expect("a name");
    let of = |name: &str| (SourceKind::ConfigMap, pattern(name));
    let policy = policy(
        Some("shop"),
        "web",
        Says {
            sources: Sources {
                include: [of("web-*")].into(),
                exclude: [of("web-tls")].into(),
                extra: [of("flags")].into(),
            },
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
    let opt_in = policy.opt_in(&asked);
    let own = Namespace::from("shop");
    let counts = |kind: SourceKind, name: &str| {
        let source = crate::types::name::SourceRef {
            namespace: own.clone(),
            kind,
            name: Name::from(name),
        };
        opt_in
            .selection(kind)
            .meant(&own, &source, name != "flags" && name != "own", false)
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
    let terms = Terms {
        waves: [labelled("wave", "canary"), labelled("wave", "some")].into(),
        ..Terms::default()
    };
    for (label, expected) in [("canary", 0), ("some", 1), ("others", 2)] {
        let labels: Labels = [("wave", label)].into_iter().collect();
        assert_eq!(terms.wave(&labels), Some(expected));
    }
    assert_eq!(Terms::default().wave(&Labels::default()), None);
}
