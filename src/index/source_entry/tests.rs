use super::*;

/// A cluster has thousands, each in an allocation of its own: of a multiple of 16 bytes, 8 of which are the
/// allocator's.
#[test]
fn an_entry_stays_small() {
    assert!(size_of::<SourceEntry>() <= 168, "{}", size_of::<SourceEntry>());
}

#[test]
fn the_second_of_an_unseen_version_is_kept() {
    let kept = |second| {
        UnseenVersion::new(Version::default(), Second::new(second))
            .since()
            .unix()
    };
    for second in [0, 1, 1_800_000_000, i64::from(u32::MAX) - 1] {
        assert_eq!(kept(second), second);
    }
    assert_eq!(kept(-1), 0, "no cluster is older");
}
