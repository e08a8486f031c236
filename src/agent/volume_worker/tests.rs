use super::*;

#[test]
fn pauses_grow_to_the_longest_and_keep_half_of_themselves() {
    for attempt in [0, 1, 2, 5, 30, 31, 32, 1000, u32::MAX] {
        let whole = FIRST_PAUSE
            .saturating_mul(2_u32.saturating_pow(attempt))
            .min(LONGEST_PAUSE);
        for _ in 0..50 {
            let pause = backoff(attempt, LONGEST_PAUSE);
            assert!(
                pause >= whole / 2 && pause <= whole,
                "{attempt}: {pause:?} of {whole:?}"
            );
        }
    }
}

#[test]
fn pauses_differ() {
    let first = backoff(5, LONGEST_PAUSE);
    assert!((0..200).any(|_| backoff(5, LONGEST_PAUSE) != first));
}
