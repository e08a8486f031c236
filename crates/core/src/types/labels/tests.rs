use super::*;

fn selector(requirements: &[(&str, Operator)]) -> Selector {
    let all = requirements.iter().map(|(key, must)| Requirement {
        key: (*key).into(),
        operator: must.clone(),
    });
    Selector(all.collect())
}

fn values(values: &[&str]) -> Box<[Box<str>]> {
    values.iter().map(|value| (*value).into()).collect()
}

#[test]
fn a_selector_selects_as_kubernetes_says() {
    let labels: Labels = [("tier", "web"), ("app", "shop"), ("empty", "")].into_iter().collect();
    for (name, requirements, expected) in [
        ("nothing asked for", vec![], true),
        ("the value", vec![("tier", Operator::In(values(&["web"])))], true),
        (
            "one of the values",
            vec![("tier", Operator::In(values(&["db", "web"])))],
            true,
        ),
        ("another value", vec![("tier", Operator::In(values(&["db"])))], false),
        (
            "a label that is not there",
            vec![("team", Operator::In(values(&["web"])))],
            false,
        ),
        ("not that value", vec![("tier", Operator::NotIn(values(&["db"])))], true),
        ("not that one", vec![("tier", Operator::NotIn(values(&["web"])))], false),
        (
            "not there is not in",
            vec![("team", Operator::NotIn(values(&["web"])))],
            true,
        ),
        ("there, be it empty", vec![("empty", Operator::Exists)], true),
        ("not there", vec![("team", Operator::Exists)], false),
        ("absent", vec![("team", Operator::DoesNotExist)], true),
        ("present", vec![("tier", Operator::DoesNotExist)], false),
        (
            "all have to hold",
            vec![("tier", Operator::Exists), ("team", Operator::Exists)],
            false,
        ),
    ] {
        assert_eq!(selector(&requirements).selects(&labels), expected, "{name}");
    }
}
