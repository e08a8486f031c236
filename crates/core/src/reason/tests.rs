use super::*;

#[test]
fn a_sentence_is_short_and_can_stand_after_a_colon() {
    for reason in Reason::ALL {
        let sentence = reason.sentence();
        let words = sentence.split_whitespace().count();
        assert!(words <= 25, "{}: {words} words", reason.as_str());
        let begins_low = sentence.starts_with(char::is_lowercase) || sentence.starts_with("Windlass");
        assert!(
            begins_low && !sentence.ends_with('.'),
            "{}: {sentence}",
            reason.as_str()
        );
    }
}

#[test]
fn people_are_notified_only_of_holds_and_failures() {
    for reason in Reason::ALL {
        let Meaning { phase, notify, .. } = reason.meaning();
        let expected = match phase {
            Phase::Failed => notify == Notify::As(NoticeKind::Failed),
            Phase::Held(..) => notify != Notify::As(NoticeKind::Failed),
            Phase::Done | Phase::InProgress | Phase::Remark => notify == Notify::Nobody,
        };
        assert!(expected, "{}", reason.as_str());
    }
}

#[test]
fn a_failure_and_what_waits_for_a_person_is_a_warning() {
    for reason in Reason::ALL {
        let Meaning { phase, event, .. } = reason.meaning();
        if matches!(phase, Phase::Failed | Phase::Held(Resolution::Person, _)) {
            assert_eq!(event, EventClass::Warning, "{}", reason.as_str());
        }
    }
}
