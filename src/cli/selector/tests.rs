use super::*;

#[test]
fn what_kubernetes_takes_is_taken() {
    for good in [
        "team=web",
        "team==web",
        "team!=web",
        "team",
        "!team",
        "env in (dev, test)",
        "env notin (prod),team=web",
        "example.org/tier = gold , !old",
        "empty=",
    ] {
        assert_eq!(selector(good).as_deref(), Some(good), "{good}");
    }
    assert_eq!(selector(" team=web ").as_deref(), Some("team=web"));
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
        assert_eq!(selector(bad), None, "{bad}");
    }
}
