use super::WorkloadEntry;

/// A cluster has thousands, each in an allocation of its own: of a multiple of 16 bytes, 8 of which are the
/// allocator's.
#[test]
fn an_entry_stays_small() {
    assert!(size_of::<WorkloadEntry>() <= 392, "{}", size_of::<WorkloadEntry>());
}
