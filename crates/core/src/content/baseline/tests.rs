use proptest::prelude::*;

use super::*;
use crate::content::digest::KeyRing;
use crate::types::name::{Name, SourceKind};

fn key() -> WorkloadKey {
    KeyRing::new([("k1".into(), [1; 32])])
        .expect("one key")
        .newest()
        .for_workload(&Uid::from("u"))
}

fn namespace() -> Namespace {
    Namespace::from("shop")
}

fn references(count: usize) -> Vec<SourceRef> {
    (0..count)
        .map(|n| SourceRef {
            namespace: namespace(),
            kind: SourceKind::ConfigMap,
            name: Name::from(format!("a-config-map-with-a-name-{n:03}").as_str()),
        })
        .collect()
}

fn present(references: &[SourceRef], content: u8, hints: usize) -> Vec<PresentSource<'_>> {
    references
        .iter()
        .map(|source| PresentSource {
            key_strategy: KeyStrategy::Restart,
            source,
            tag: ShapeTag([0; 3]),
            digest: Digest([content; 16]),
            hints: vec![Hint([content; 3]); hints],
        })
        .collect()
}

pub(crate) fn recorded(present: &[PresentSource<'_>]) -> Baseline {
    let mut baseline = Baseline {
        in_place: None,
        last_override: None,
        excused: true,
        undone: BTreeMap::new(),
        marks: Vec::new(),
        immutable: Vec::new(),
        installation: "windlass-system/windlass".into(),
        key: "k1795258662".into(),
        uid: Uid::from("b2f7dd88-6225-436d-bb56-003eff9ed922"),
        at: "2026-11-21T10:57:51.256Z".parse().expect("a time"),
        horizon: Version::new(123_456_789),
        written: None,
        revision: 7,
        shape: [0; 6],
        recorded: RecordedDigests::Combined(Digest([0; 16]), Box::default()),
        stale: None,
        held: None,
        restarts: vec![1_795_258_671; RESTARTS_KEPT],
        template_digest: Some([7; 6]),
        reverts: 1,
        flaps: 1,
    };
    baseline.record(&key(), &namespace(), present);
    baseline
}

#[test]
fn it_is_read_as_it_was_written_in_every_form_and_stays_below_its_bound() {
    for (count, form) in [(2, "src"), (8, "src"), (30, "packed"), (200, "all")] {
        let references = references(count);
        let baseline = recorded(&present(&references, 1, 8));
        let text = baseline.print();
        assert!(text.len() <= MAX_BYTES, "{count} sources take {} bytes", text.len());
        assert!(text.contains(&format!("\"{form}\":")), "{count} sources: {text}");
        assert_eq!(Baseline::parse(&text), Ok(baseline));
    }
}

#[test]
fn every_form_tells_a_change() {
    for count in [2, 30, 200] {
        let references = references(count);
        let baseline = recorded(&present(&references, 1, 0));
        let same = baseline.compare(&key(), &namespace(), &present(&references, 1, 0));
        assert_eq!(
            same,
            Some(Difference {
                changed: vec![],
                added: vec![],
                reclassified: vec![],
                shape_changed: false,
                removed: false,
            }),
            "{count} sources"
        );
        let mut changed = present(&references, 1, 0);
        changed.last_mut().expect("one").digest = Digest([9; 16]);
        let difference = baseline.compare(&key(), &namespace(), &changed).expect("comparable");
        assert!(
            difference.changed.contains(&(count - 1)) && !difference.shape_changed,
            "{count} sources"
        );
    }
}

/// The first eight of them all were named.
#[test]
fn of_eighty_sources_those_that_changed_are_told() {
    for (count, told) in [(60, true), (70, true), (80, true), (200, false)] {
        let references = references(count);
        let baseline = recorded(&present(&references, 1, 8));
        assert_eq!(baseline.tells_apart(count), told, "{count} sources");
        let mut now = present(&references, 1, 8);
        for at in [7, count - 3] {
            now.get_mut(at).expect("so many").digest = Digest([9; 16]);
        }
        let difference = baseline.compare(&key(), &namespace(), &now).expect("comparable");
        let expected = if told { vec![7, count - 3] } else { (0..count).collect() };
        assert_eq!(difference.changed, expected, "{count} sources");
        // What begins alike is not missed: it may have been any.
        let mut alike = present(&references, 1, 8);
        alike.get_mut(7).expect("so many").digest.0[15] = 9;
        let difference = baseline.compare(&key(), &namespace(), &alike).expect("comparable");
        assert!(difference.changed.contains(&7), "{count} sources");
    }
}

#[test]
fn parts_that_somebody_cut_tell_nothing_apart() {
    let references = references(80);
    let mut baseline = recorded(&present(&references, 1, 0));
    let RecordedDigests::Combined(_, parts) = &mut baseline.recorded else {
        panic!("{baseline:?}")
    };
    *parts = parts.get(1..).expect("some").into();
    assert!(!baseline.tells_apart(80));
    let now = present(&references, 2, 0);
    let difference = baseline.compare(&key(), &namespace(), &now).expect("comparable");
    assert_eq!(difference.changed.len(), 80);
}

#[test]
fn a_source_more_or_less_is_reshaped_and_hides_no_change() {
    let references = references(31);
    let baseline = recorded(&present(references.get(..30).expect("thirty"), 1, 0));
    let mut now = present(&references, 1, 0);
    now.first_mut().expect("one").digest = Digest([9; 16]);
    assert_eq!(
        baseline.compare(&key(), &namespace(), &now),
        Some(Difference {
            changed: vec![0],
            added: vec![],
            reclassified: vec![30],
            shape_changed: true,
            removed: false,
        })
    );
}

#[test]
fn too_many_to_be_kept_one_by_one_cannot_be_compared_once_reshaped() {
    let references = references(201);
    let baseline = recorded(&present(references.get(..200).expect("two hundred"), 1, 0));
    assert_eq!(
        baseline.compare(&key(), &namespace(), &present(&references, 1, 0)),
        None
    );
}

#[test]
fn another_selection_of_keys_is_no_change_of_content() {
    let references = references(1);
    let baseline = recorded(&present(&references, 1, 0));
    let mut now = present(&references, 9, 0);
    now.first_mut().expect("one").tag = ShapeTag([1; 3]);
    assert_eq!(
        baseline.compare(&key(), &namespace(), &now),
        Some(Difference {
            changed: vec![],
            added: vec![],
            reclassified: vec![0],
            shape_changed: true,
            removed: false,
        })
    );
}

#[test]
fn what_ceased_to_count_can_be_told_in_every_form() {
    for count in [2, 30] {
        let references = references(count);
        let baseline = recorded(&present(&references, 1, 0));
        let fewer = present(references.get(1..).expect("some"), 1, 0);
        let difference = baseline.compare(&key(), &namespace(), &fewer).expect("comparable");
        assert!(difference.shape_changed && difference.removed, "{count} sources");
    }
}

#[test]
fn what_it_was_taken_back_from_is_kept_as_far_as_there_is_room() {
    for (count, kept) in [(1, 1), (2, 2), (30, 4), (200, 6)] {
        let mut references = references(count);
        if let Some(first) = references.first_mut() {
            first.namespace = Namespace::from("elsewhere");
        }
        let mut baseline = recorded(&present(&references, 1, 0));
        baseline.undo(&namespace(), references.iter().map(|source| (source, [7; 6])));
        let text = baseline.print();
        assert!(text.len() <= MAX_BYTES, "{count} sources take {} bytes", text.len());
        let read = Baseline::parse(&text).expect("readable");
        let mut from: Vec<_> = read.undone_from(&namespace()).map(|it| it.source).collect();
        assert!(from.len() >= kept, "{count} sources: {}", from.len());
        from.sort();
        references.sort();
        references.retain(|it| from.contains(it));
        assert_eq!(from, references, "{count} sources");
        assert_eq!(read, baseline);
    }
}

#[test]
fn a_later_format_is_named() {
    let text = recorded(&[]).print().replace("\"v\":1", "\"v\":2");
    assert_eq!(Baseline::parse(&text), Err(BaselineError::Format(2)));
}

#[test]
fn only_the_last_restarts_are_kept() {
    let mut baseline = recorded(&[]);
    baseline.push_restart(Timestamp::from_second(1_800_000_000).expect("a time"));
    assert_eq!(baseline.restarts.len(), RESTARTS_KEPT);
    assert_eq!(baseline.restarts.last(), Some(&1_800_000_000));
}

proptest! {
    #[test]
    fn any_text_is_read_without_harm(text in "\\PC{0,200}") {
        let _ = Baseline::parse(&text);
    }

    #[test]
    fn a_damaged_baseline_is_read_without_harm(at in 0_usize..400, with in any::<char>()) {
        let references = references(2);
        let text: String = recorded(&present(&references, 1, 2)).print().chars().enumerate()
            .map(|(n, c)| if n == at { with } else { c }).collect();
        let _ = Baseline::parse(&text);
    }
}
