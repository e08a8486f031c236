use proptest::prelude::*;

use super::*;
use crate::content::ValueDigest;
use crate::types::name::{Key, Name, Namespace, SourceKind};
use crate::workload::reference::{ConsumedKeys, Uses};

fn ring() -> KeyRing {
    KeyRing::new([("k1".into(), [1; 32]), ("k2".into(), [2; 32])]).expect("two keys")
}

fn web() -> SourceRef {
    SourceRef {
        namespace: Namespace::from("shop"),
        kind: SourceKind::ConfigMap,
        name: Name::from("web"),
    }
}

fn contents(data: &[(String, u8)]) -> Contents {
    let entries = data.iter();
    entries
        .map(|(key, value)| (key.as_str(), ValueDigest::new([*value; 32])))
        .collect()
}

#[test]
fn the_newest_key_is_the_one_with_the_greatest_id() {
    assert_eq!(ring().newest().id(), "k2");
    assert!(ring().get("k1").is_some() && ring().get("k3").is_none());
    assert!(KeyRing::new([]).is_none());
}

#[test]
fn keys_from_elsewhere_are_read_with_and_never_written_with() {
    let other = KeyRing::new([("z9".into(), [9; 32]), ("k1".into(), [8; 32])]).expect("two keys");
    let ring = ring().with_older(other);
    assert_eq!(ring.newest().id(), "k2");
    assert!(ring.get("z9").is_some());
    let own = ring.get("k1").expect("it is there").for_workload(&Uid::from("u"));
    let first = super::tests::ring()
        .get("k1")
        .expect("it is there")
        .for_workload(&Uid::from("u"));
    let digest = |key: &WorkloadKey| key.source(&web(), &whole(), None);
    assert_eq!(digest(&own), digest(&first), "an own key is not replaced");
}

#[test]
fn two_workloads_and_two_keys_give_digests_that_cannot_be_compared() {
    let one = contents(&[("a".into(), 1)]);
    let digest = |key: &RingKey, uid: &str| key.for_workload(&Uid::from(uid)).source(&web(), &whole(), Some(&one));
    let (ring, uid) = (ring(), "u1");
    let old = ring.get("k1").expect("it is in the ring");
    assert_ne!(digest(ring.newest(), uid), digest(ring.newest(), "u2"));
    assert_ne!(digest(ring.newest(), uid), digest(old, uid));
}

#[test]
fn keys_and_digests_do_not_print_themselves() {
    let text = format!("{:?} {:?}", ring(), ValueDigest::new([7; 32]));
    assert!(!text.contains("7, 7") && !text.contains("2, 2"), "{text}");
}

#[test]
fn a_source_that_is_missing_differs_from_an_empty_one() {
    let key = ring().newest().for_workload(&Uid::from("u"));
    let empty = Contents::default();
    assert_ne!(
        key.source(&web(), &whole(), None),
        key.source(&web(), &whole(), Some(&empty))
    );
}

/// Everything of the source counts.
fn whole() -> Use {
    let mut uses = Uses::default();
    uses.name_whole(None, SourceKind::ConfigMap, Name::from("web"));
    uses.finish().first().expect("one").clone()
}

fn data() -> impl Strategy<Value = Vec<(String, u8)>> {
    prop::collection::btree_map("[a-d]{1,3}", 0_u8..3, 0..6).prop_map(|map| map.into_iter().collect())
}

proptest! {
    #[test]
    fn equal_content_and_only_that_gives_equal_digests(a in data(), b in data()) {
        let key = ring().newest().for_workload(&Uid::from("u"));
        let digest = |data: &[(String, u8)]| key.source(&web(), &whole(), Some(&contents(data)));
        let mut reversed = a.clone();
        reversed.reverse();
        prop_assert_eq!(digest(&a), digest(&reversed), "the order of keys does not matter");
        prop_assert_eq!(digest(&a) == digest(&b), a == b);
    }

    #[test]
    fn a_key_that_nobody_consumes_does_not_matter(mut a in data(), value in 0_u8..3) {
        let key = ring().newest().for_workload(&Uid::from("u"));
        let consumed = Use {
            consumed: ConsumedKeys::Keys(Box::new([Key::from("a"), Key::from("b")])),
            ..whole()
        };
        let before = key.source(&web(), &consumed, Some(&contents(&a)));
        a.push(("unused".into(), value));
        prop_assert_eq!(before, key.source(&web(), &consumed, Some(&contents(&a))));
    }
}
