use super::*;

fn at(second: i64) -> Second {
    Second::new(second)
}

fn recorded(content: i64) -> ContentTime {
    ContentTime::recorded(Some(at(content)), Some(at(content)))
}

#[test]
fn what_is_found_may_have_changed_until_then() {
    let found = recorded(100).found(at(500));
    assert_eq!(
        (found.at(), found.by(), found.is_exact()),
        (Some(at(100)), Some(at(500)), false)
    );
}

#[test]
fn a_time_that_moved_with_a_change_is_that_of_the_change() {
    let changed = recorded(200).changed(recorded(100), at(500));
    assert_eq!((changed.at(), changed.is_exact()), (Some(at(200)), true));
}

#[test]
fn a_time_that_stays_or_goes_back_with_a_change_tells_nothing() {
    for after in [recorded(100), recorded(50), ContentTime::recorded(None, None)] {
        let removed = after.changed(recorded(100), at(500));
        assert_eq!((removed.at(), removed.is_exact()), (Some(at(500)), true), "{after:?}");
    }
}

#[test]
fn a_label_moves_the_time_of_its_manager_and_a_later_removal_does_not_hide_behind_it() {
    let labelled = recorded(300).kept(recorded(100).created(at(100)));
    assert_eq!(labelled.at(), Some(at(100)), "the label is no change of content");
    let removed = recorded(300).changed(labelled, at(400));
    assert_eq!(removed.at(), Some(at(400)));
}

#[test]
fn what_changed_unseen_is_known_only_if_the_time_moved_and_no_key_is_gone() {
    let before = recorded(100).created(at(100));
    assert_eq!(recorded(200).changed_unseen(before, false, at(500)).at(), Some(at(200)));
    for (time, removed) in [(200, true), (100, false), (100, true)] {
        let changed = recorded(time).changed_unseen(before, removed, at(500));
        assert_eq!(changed.at(), Some(at(500)), "{time} {removed}");
    }
}

#[test]
fn what_is_found_as_before_may_have_been_something_else_in_between() {
    let before = recorded(100).created(at(100));
    let kept = recorded(100).kept_unseen(before, at(500));
    assert_eq!(
        (kept.at(), kept.by(), kept.is_exact()),
        (Some(at(100)), Some(at(500)), false)
    );
}

#[test]
fn a_write_of_anything_explains_a_version() {
    let labelled = ContentTime::recorded(Some(at(100)), Some(at(300)));
    assert!(labelled.touched_since(at(300)));
    assert!(!labelled.touched_since(at(301)));
    assert!(!ContentTime::default().touched_since(at(0)));
}
