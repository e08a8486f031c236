use proptest::prelude::*;
use windlass_core::types::text::is_invisible;

use super::*;

#[test]
fn a_message_is_one_short_line() {
    for (given, line) in [
        (&b"fine"[..], "fine"),
        (b"", ""),
        (b"  a\n\n\tb\r\n", "a b"),
        (b"\x1b[31mred\x1b[0m", "[31mred [0m"),
        (b"nul\0nul", "nul nul"),
        ("turned\u{202e}around".as_bytes(), "turnedaround"),
        (b"caf\xe9", "caf\u{fffd}"),
    ] {
        assert_eq!(clean(given), line);
    }
    let long = clean("é".repeat(500).as_bytes());
    assert_eq!(long, format!("{0}…{0}", "é".repeat(74)));
}

#[test]
fn of_a_long_message_the_beginning_and_the_end_are_kept() {
    let said = format!("FAILED {} because", "fine ".repeat(100));
    let line = clean(said.as_bytes());
    assert!(
        line.starts_with("FAILED fine") && line.ends_with("fine because"),
        "{line}"
    );
}

proptest! {
    #[test]
    fn whatever_is_said_has_no_control_characters_and_fits(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let line = clean(&bytes);
        prop_assert!(line.len() <= MESSAGE);
        prop_assert!(!line.chars().any(|c| c.is_control() || is_invisible(c)));
    }
}
