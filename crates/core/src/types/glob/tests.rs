use super::*;

#[test]
fn wildcards_stand_for_any_text_and_for_one_character() {
    let long = "a".repeat(253);
    for (pattern, fits, fits_not) in [
        ("web", &["web"][..], &["web-2", "we", ""][..]),
        ("*", &["", "a", "a.b", &long], &[]),
        ("**", &["", "a"], &[]),
        ("?", &["a"], &["", "ab"]),
        ("web-*", &["web-", "web-2"], &["web", "my-web-2"]),
        ("*-tls", &["-tls", "web-tls"], &["tls", "web-tls-2"]),
        ("a*a", &["aa", "aba", &long], &["a", "ab"]),
        ("a?*b", &["acb", "accb"], &["ab", "acba"]),
        ("*a*b*", &["ab", "xaxbx"], &["ba", "a", "b"]),
        ("*?*?*", &["ab", "abc", &long], &["a", ""]),
        ("*aab", &["aaab", "aab"], &["ab", "aaba"]),
        ("*ab?", &["abc", "ababc"], &["ab", "abab"]),
    ] {
        for name in fits {
            assert!(matches(pattern, name), "{pattern} is to match {name}");
        }
        for name in fits_not {
            assert!(!matches(pattern, name), "{pattern} is not to match {name}");
        }
    }
}

#[test]
fn a_name_that_ends_at_the_edge_of_a_word_is_compared_to_its_end() {
    for length in [62, 63, 64, 65, 127, 128, 129, 191, 192, 253] {
        let name = "a".repeat(length);
        assert!(matches("*?a", &name) && matches("?*a?", &name), "{length}");
        assert!(matches(&"?".repeat(length), &name), "{length}");
        assert!(!matches(&"?".repeat(length - 1), &name), "{length}");
        assert!(!matches("*b?", &name) && !matches("*?b", &name), "{length}");
    }
}

#[test]
fn the_usual_patterns_cost_one_step_and_others_as_many_as_they_have_bytes() {
    for (pattern, cost) in [("web", 1), ("web-*", 1), ("*-tls", 1), ("web-*-tls", 1), ("*", 1)] {
        assert_eq!(Glob::new(pattern).cost(), cost, "{pattern}");
    }
    assert_eq!(Glob::new("web-*-blue-*").cost(), 1 + "*-blue-*".len());
    assert_eq!(Glob::new("web-?").cost(), 2);
}

/// Before, each byte of the pattern could be compared with each byte of the name: 31,000 steps for these.
#[test]
fn what_a_comparison_costs_does_not_depend_on_the_name() {
    for pattern in ["*a".repeat(63), "?*".repeat(63), format!("*{}b", "a".repeat(124))] {
        let glob = Glob::new(&pattern);
        for name in ["", "a", &"a".repeat(253), &"ab".repeat(126)] {
            let candidate = Candidate::new(name);
            let _ = glob.matches(&candidate);
            assert!(
                candidate.steps() <= glob.cost() + name.len(),
                "{pattern} and {name}: {} steps",
                candidate.steps()
            );
        }
    }
}
