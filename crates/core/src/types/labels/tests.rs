use super::*;

fn selector(requirements: &[(&str, Must)]) -> Selector {
    let all = requirements.iter().map(|(key, must)| Requirement {
        key: (*key).into(),
        must: must.clone(),
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
        ("the value", vec![("tier", Must::BeIn(values(&["web"])))], true),
        (
            "one of the values",
            vec![("tier", Must::BeIn(values(&["db", "web"])))],
            true,
        ),
        ("another value", vec![("tier", Must::BeIn(values(&["db"])))], false),
        (
            "a label that is not there",
            vec![("team", Must::BeIn(values(&["web"])))],
            false,
        ),
        ("not that value", vec![("tier", Must::NotBeIn(values(&["db"])))], true),
        ("not that one", vec![("tier", Must::NotBeIn(values(&["web"])))], false),
        (
            "not there is not in",
            vec![("team", Must::NotBeIn(values(&["web"])))],
            true,
        ),
        ("there, be it empty", vec![("empty", Must::Exist)], true),
        ("not there", vec![("team", Must::Exist)], false),
        ("absent", vec![("team", Must::NotExist)], true),
        ("present", vec![("tier", Must::NotExist)], false),
        (
            "all have to hold",
            vec![("tier", Must::Exist), ("team", Must::Exist)],
            false,
        ),
    ] {
        assert_eq!(selector(&requirements).selects(&labels), expected, "{name}");
    }
}
