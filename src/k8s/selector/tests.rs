use super::*;

#[test]
fn what_kubernetes_takes_is_taken() {
    for (text, printed) in [
        ("team=web", "team=web"),
        ("team==web", "team=web"),
        ("team!=web", "team!=web"),
        ("team", "team"),
        ("!team", "!team"),
        ("env in (test, dev)", "env in (dev,test)"),
        ("env notin (prod),team=web", "env notin (prod),team=web"),
        ("example.org/tier = gold , !old", "example.org/tier=gold,!old"),
        ("empty=", "empty="),
        (" team=web ", "team=web"),
    ] {
        let selector = parse(text).expect(text);
        assert_eq!(selector.to_string(), printed, "{text}");
        assert_eq!(parse(printed), Some(selector), "{printed}");
    }
}

#[test]
fn what_kubernetes_refuses_is_refused() {
    for bad in [
        "",
        "team=web,",
        "=web",
        "team=web prod",
        "team in dev",
        "team in (dev",
        "team of (dev)",
        "-team=web",
        "team=-web",
        "Example.org/a=b",
        "a/b/c=d",
        "team in (dev))",
        "team=(web)",
    ] {
        assert_eq!(parse(bad), None, "{bad}");
    }
}
