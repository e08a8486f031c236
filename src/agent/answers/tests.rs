use super::*;

fn challenge(number: u128, time: i64) -> Challenge {
    Challenge {
        nonce: Nonce::from_bytes(number.to_le_bytes()),
        time,
    }
}

#[test]
fn a_nonce_is_taken_once() {
    let mut seen = UsedNonces::default();
    assert_eq!(seen.take(challenge(1, 1000), 1000), Ok(()));
    assert_eq!(seen.take(challenge(1, 1000), 1000), Err(NonceError::Seen));
    assert_eq!(seen.take(challenge(1, 1001), 1001), Err(NonceError::Seen));
    assert_eq!(seen.take(challenge(2, 1000), 1000), Ok(()));
}

#[test]
fn a_full_list_refuses_rather_than_forgets_and_has_room_again_later() {
    let mut seen = UsedNonces::default();
    for number in 0..NONCES as u128 {
        assert_eq!(seen.take(challenge(number, 1000), 1000), Ok(()));
    }
    assert_eq!(
        seen.take(challenge(99_999, 1300), 1000 + MAX_SKEW),
        Err(NonceError::Full)
    );
    assert_eq!(seen.take(challenge(5, 1000), 1000 + MAX_SKEW), Err(NonceError::Seen));
    assert_eq!(seen.take(challenge(99_999, 1301), 1001 + MAX_SKEW), Ok(()));
    assert_eq!(seen.nonces.len(), 1);
}

#[test]
fn what_was_forgotten_is_not_accepted_again_when_the_clock_is_set_back() {
    let mut seen = UsedNonces::default();
    for number in 0..NONCES as u128 {
        assert_eq!(seen.take(challenge(number, 1000), 1000), Ok(()));
    }
    assert_eq!(seen.take(challenge(99_999, 2000), 2000), Ok(()));
    assert_eq!(seen.take(challenge(5, 1000), 1000), Err(NonceError::Seen));
    assert_eq!(
        seen.take(challenge(99_998, 1001), 1000),
        Ok(()),
        "which is a new question"
    );
}
