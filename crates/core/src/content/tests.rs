use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn digest(number: u8) -> ValueDigest {
    ValueDigest::new([number; 32])
}

fn contents(entries: &[(String, u8)]) -> Contents {
    entries
        .iter()
        .map(|(key, value)| (key.as_str(), digest(*value)))
        .collect()
}

fn entries() -> impl Strategy<Value = Vec<(String, u8)>> {
    prop::collection::vec(("[a-cä.]{0,3}", 0..3_u8), 0..12)
}

proptest! {
    #[test]
    fn it_is_a_map_in_order_and_of_equal_keys_the_last_one_counts(entries in entries()) {
        let map: BTreeMap<String, u8> = entries.iter().cloned().collect();
        let all = contents(&entries);
        let expected: Vec<(&str, ValueDigest)> = map.iter().map(|(key, value)| (key.as_str(), digest(*value))).collect();
        prop_assert_eq!(all.iter().collect::<Vec<_>>(), expected);
        for key in entries.iter().map(|(key, _)| key.as_str()).chain(["", "b", "zz"]) {
            prop_assert_eq!(all.get(key), map.get(key).map(|value| digest(*value)));
        }
        let sorted: Vec<(String, u8)> = map.into_iter().collect();
        prop_assert_eq!(contents(&sorted), all);
    }

    #[test]
    fn what_differs_is_what_was_changed_added_or_is_gone(one in entries(), other in entries()) {
        let [before, after] = [&one, &other].map(|it| it.iter().cloned().collect::<BTreeMap<_, _>>());
        let keys: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        let expected: Vec<Key> = keys
            .into_iter()
            .filter(|key| before.get(*key) != after.get(*key))
            .map(|key| Key::from(key.as_str()))
            .collect();
        prop_assert_eq!(contents(&one).differing(&contents(&other)), expected);
        prop_assert_eq!(contents(&one) == contents(&other), before == after);
    }
}

#[test]
fn a_key_costs_its_text_and_36_bytes() {
    let entries: Vec<(String, u8)> = (0..1000).map(|number| (format!("{number:03}"), 0)).collect();
    assert_eq!(contents(&entries).0.len(), 1000 * (3 + 36) + 4);
    assert_eq!(contents(&[]).0.len(), 0);
    // While it is read no more than a quarter of it is free.
    let mut reading = Entries::default();
    for (key, value) in &entries {
        reading.push(key, digest(*value));
        assert!(reading.records.capacity() <= reading.records.len() * 5 / 4 + RECORD);
    }
}

#[test]
fn no_digest_is_printed() {
    let printed = format!("{:?}", contents(&[("level".to_owned(), 7)]));
    assert_eq!(printed, r#"{"level"}"#);
}
