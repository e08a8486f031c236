use super::*;

fn buckets() -> TokenBuckets<&'static str> {
    TokenBuckets::new(3, SignedDuration::from_secs(10), 2)
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).expect("a time")
}

/// The seconds at which a token was taken, by somebody who tries at each of these.
fn taken(
    buckets: &mut TokenBuckets<&'static str>,
    key: &'static str,
    tries: impl IntoIterator<Item = i64>,
) -> Vec<i64> {
    let mut taken = Vec::new();
    for second in tries {
        let now = at(second);
        if buckets.available_at(&key, now) <= now {
            buckets.take(&key, now);
            taken.push(second);
        }
    }
    taken
}

#[test]
fn a_bucket_gives_its_burst_and_then_one_token_each_interval() {
    for (tries, expected) in [
        (vec![0, 0, 0, 0, 0], vec![0, 0, 0]),
        (vec![0, 0, 0, 9, 10, 10, 19, 20], vec![0, 0, 0, 10, 20]),
        (vec![0, 0, 0, 25, 25, 25, 30, 30], vec![0, 0, 0, 25, 25, 30]),
        (vec![0, 0, 0, 30, 30, 30, 30], vec![0, 0, 0, 30, 30, 30]),
        (vec![0, 0, 0, 1000, 1000, 1000, 1000], vec![0, 0, 0, 1000, 1000, 1000]),
    ] {
        assert_eq!(taken(&mut buckets(), "a", tries.clone()), expected, "{tries:?}");
    }
}

#[test]
fn it_is_known_when_the_next_token_comes() {
    let mut buckets = buckets();
    assert_eq!(buckets.available_at(&"a", at(5)), at(5));
    taken(&mut buckets, "a", [5, 5, 5]);
    assert_eq!(buckets.available_at(&"a", at(6)), at(15));
    assert_eq!(buckets.available_at(&"b", at(6)), at(6));
}

#[test]
fn a_bucket_is_full_when_all_its_tokens_are_back() {
    let mut buckets = buckets();
    assert!(buckets.is_full(&"a", at(0)));
    taken(&mut buckets, "a", [0, 0]);
    assert!(!buckets.is_full(&"a", at(19)));
    assert!(buckets.is_full(&"a", at(20)));
}

#[test]
fn no_more_buckets_than_the_capacity_are_kept_and_the_fullest_goes_first() {
    let mut buckets = buckets();
    taken(&mut buckets, "a", [0, 0, 0]);
    taken(&mut buckets, "b", [0]);
    taken(&mut buckets, "c", [1, 1]);
    assert_eq!(buckets.full_at.len(), 2);
    assert_eq!(taken(&mut buckets, "a", [2]), Vec::<i64>::new(), "the emptiest is kept");
    // Nobody can tell that "b" has taken none, until it would be full.
    assert!(!buckets.is_full(&"b", at(9)) && !buckets.is_full(&"d", at(9)));
    assert!(buckets.is_full(&"b", at(10)));
    // What is full is forgotten without harm.
    taken(&mut buckets, "d", [100]);
    assert_eq!(buckets.full_at.len(), 1);
}
