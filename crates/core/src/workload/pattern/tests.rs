use super::*;

fn own() -> Namespace {
    Namespace::from("shop")
}

fn names(pattern: &Pattern, namespace: &str, name: &str) -> bool {
    pattern.names(&own(), &Namespace::from(namespace), &Candidate::new(name))
}

fn matches(pattern: &Pattern, name: &str) -> bool {
    names(pattern, "shop", name)
}

fn glob(text: &str) -> Pattern {
    Pattern::glob(None, text).expect("a name or a glob")
}

fn expression(text: &str) -> Pattern {
    Pattern::expression(text).expect("an expression")
}

#[test]
fn an_expression_matches_the_whole_name() {
    let table: [(&str, &[&str], &[&str]); 14] = [
        ("web", &["web"], &["web-2", "my-web", "we"]),
        ("web-.*", &["web-", "web-2", "web-a.b"], &["web", "my-web-2"]),
        ("foo.bar", &["foo.bar", "foo-bar", "fooxbar"], &["foobar", "foo..bar"]),
        (r"foo\.bar", &["foo.bar"], &["foo-bar"]),
        ("a|b", &["a", "b"], &["ab", "a-web", "web-b"]),
        ("^web$", &["web"], &["web-2", "my-web"]),
        ("web-(blue|green)", &["web-blue", "web-green"], &["web-red", "web-"]),
        ("web(?:-v[0-9]+)?", &["web", "web-v12"], &["web-v", "web-va"]),
        (r"web-\d{2}", &["web-12"], &["web-1", "web-123", "web-ab"]),
        ("(?i)WEB", &["web"], &["WEBS"]),
        ("web-[^0-9]", &["web-a"], &["web-1"]),
        ("(?P<app>web|api)-config", &["web-config", "api-config"], &["db-config"]),
        (r"\Aweb\z", &["web"], &["web-2"]),
        ("[a-z]+?-x", &["a-x", "abc-x"], &["-x", "a-xy"]),
    ];
    for (text, fits, fits_not) in table {
        for name in fits {
            assert!(matches(&expression(text), name), "{text} is to match {name}");
        }
        for name in fits_not {
            assert!(!matches(&expression(text), name), "{text} is not to match {name}");
        }
    }
}

#[test]
fn what_is_no_expression_is_refused() {
    for text in [
        "we(b", "web)", "[a-", "*", "+a", "(?P<x", r"\", r"\pZZ", "a{2,1}", "(?<!a)b", r"(a)\1",
    ] {
        assert_eq!(Pattern::expression(text), None, "{text}");
    }
}

/// Found by this test: the parentheses around it made an expression of what is none, anchored at one end.
#[test]
fn parentheses_that_close_ours_are_refused() {
    for text in ["a)(b", "a)|(b", "a)|(?:.*"] {
        assert_eq!(Pattern::expression(text), None, "{text}");
    }
}

#[test]
fn an_expression_that_would_take_much_memory_is_refused() {
    for text in [
        "(?:a{1000}){1000}",
        "(((a{100}){100}){100}){100}",
        r"[a-z]{100000}",
        "(?:web-){200}",
    ] {
        assert_eq!(Pattern::expression(text), None, "{text}");
    }
}

#[test]
fn an_expression_of_a_few_long_names_is_none_that_takes_much() {
    let name = "orders-service-configuration-production-eu-central";
    let text = format!("(?:{name}|{name}-(?:blue|green)|[a-z0-9]+-{name})-v[0-9]{{1,3}}");
    assert!(matches(&expression(&text), &format!("{name}-blue-v12")));
}

/// A backtracking matcher would need longer than the universe is old.
#[test]
fn an_expression_takes_no_time_to_speak_of() {
    let name = "a".repeat(250);
    for text in ["(a+)+b", "(a|a)*b", "(.*.*.*)*b", "(a?){50}a{50}b"] {
        assert!(!matches(&expression(text), &name), "{text}");
    }
}

#[test]
fn an_expression_that_says_no_more_than_a_glob_is_compared_as_one() {
    for text in ["web.*", ".*", "web-.+", "^web.$", r"web\.yaml-.*", "a.b.*c", "^.*$"] {
        let pattern = expression(text);
        assert_eq!(pattern.expression_bytes(), 0, "{text}");
        let as_said = regex_lite::Regex::new(&format!("^(?:{text})$")).expect(text);
        let names = [
            "",
            "w",
            "web",
            "web-",
            "web-2",
            "web.yaml-a",
            "web-yaml-a",
            "acbc",
            "acbxc",
            "abc",
            "webs",
        ];
        for name in names {
            assert_eq!(matches(&pattern, name), as_said.is_match(name), "{text} and {name}");
        }
    }
    for text in [
        "web-(blue|green)",
        "[a-z]+",
        "a*",
        "a.*?",
        "a.{2}",
        "a|b",
        r"a\d",
        "a$b",
        "(?i)a.*",
        "a.+?",
        "a.?",
    ] {
        assert!(expression(text).expression_bytes() > 0, "{text}");
    }
}

#[test]
fn what_an_expression_may_cost_grows_with_what_it_takes() {
    let name = "orders-service-configuration-production-eu-central";
    let (small, large) = (
        expression("web-(blue|green)"),
        expression(&format!("(?:{name}|[a-z]+-{name}){{2}}")),
    );
    assert_eq!(small.expression_bytes(), 1024);
    assert!(large.expression_bytes() > small.expression_bytes());
    assert!(large.cost() > small.cost() && small.cost() > glob("web-*-blue").cost());
}

#[test]
fn only_a_plain_name_names_one_source() {
    let plain = |pattern: &Pattern| pattern.name().map(|name| name.to_string());
    assert_eq!(plain(&expression("web-2")), Some("web-2".to_owned()));
    assert_eq!(plain(&expression("foo.bar")), None);
    assert_eq!(plain(&expression("web.*")), None);
    assert_eq!(plain(&glob("web-2")), Some("web-2".to_owned()));
    assert_eq!(plain(&glob("foo.bar")), Some("foo.bar".to_owned()));
    assert_eq!(plain(&glob("web-*")), None);
    assert_eq!(plain(&glob("web-?")), None);
}

#[test]
fn in_a_glob_only_the_wildcards_are_special() {
    assert!(matches(&glob("foo.bar"), "foo.bar"));
    assert!(!matches(&glob("foo.bar"), "foo-bar"));
    assert!(matches(&glob("web-*"), "web-"));
    assert!(!matches(&glob("web-*"), "my-web-2"));
    assert!(matches(&glob("w?b"), "web"));
    assert!(!matches(&glob("w?b"), "wb"));
}

#[test]
fn a_glob_holds_only_what_names_may_hold() {
    for text in [
        "",
        "-a",
        "a-",
        ".a",
        "a.",
        "Web",
        "a_b",
        "a/b",
        "a b",
        "ä",
        "a+",
        &"a".repeat(254),
    ] {
        assert_eq!(Pattern::glob(None, text), None, "{text}");
    }
    for text in ["a", "*", "*-a", "a-?", "0", &"a".repeat(253)] {
        assert!(Pattern::glob(None, text).is_some(), "{text}");
    }
}

#[test]
fn a_pattern_is_of_its_own_namespace_unless_it_says_another() {
    let own_ones = [glob("web"), glob("w*"), expression("web"), expression("w.b")];
    for pattern in own_ones {
        assert!(names(&pattern, "shop", "web"), "{pattern:?}");
        assert!(!names(&pattern, "bank", "web"), "{pattern:?}");
    }
    for text in ["web", "w*"] {
        let pattern = Pattern::glob(Some(Namespace::from("bank")), text).expect("a name or a glob");
        assert!(names(&pattern, "bank", "web"), "{pattern:?}");
        assert!(!names(&pattern, "shop", "web"), "{pattern:?}");
    }
}

#[test]
fn patterns_are_told_apart_by_text_manner_and_namespace() {
    assert_eq!(expression("web.*"), expression("web.*"));
    assert_ne!(expression("web.*"), expression("web-.*"));
    // The same text, and the one means one name and the other many.
    assert_ne!(expression("foo.bar"), glob("foo.bar"));
    assert_ne!(Pattern::glob(Some(own()), "web"), Pattern::glob(None, "web"));
}

#[test]
fn a_pattern_is_described_with_its_namespace() {
    let far = Pattern::glob(Some(Namespace::from("bank")), "tls-*").expect("a glob");
    assert_eq!(far.describe(SourceKind::Secret), "Secret bank/tls-*");
    assert_eq!(expression("web.*").describe(SourceKind::ConfigMap), "ConfigMap web.*");
}

#[test]
fn keys_are_what_the_api_server_takes_for_one_and_wildcards() {
    let longest = "k".repeat(253);
    for key in [
        "a",
        "A",
        "7",
        "-",
        "_",
        "web.yaml",
        ".env",
        ".a.",
        "a..b",
        "README*",
        "*",
        "?",
        "*.",
        ".*",
        ".?",
        "?.",
        "?..",
        "Log_Level-2.x",
        &longest,
    ] {
        assert!(is_key_or_glob(key), "{key}");
    }
    let too_long = "k".repeat(254);
    for key in [
        "", ".", "..", "..data", "..*", "a b", "a/b", "ä", "a,b", "[ab]", &too_long,
    ] {
        assert!(!is_key_or_glob(key), "{key}");
    }
}
