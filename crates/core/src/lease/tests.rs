use super::*;

const WALL: Timestamp = Timestamp::UNIX_EPOCH;

fn times() -> LeaseTimes {
    let seconds = Duration::from_secs;
    LeaseTimes::new(seconds(15), seconds(10), seconds(2), seconds(8)).expect("they fit")
}

fn at(millis: u64) -> Monotonic {
    Monotonic::new(Duration::from_millis(millis))
}

fn by(name: &str) -> Option<Holder> {
    Holder::new(name)
}

fn held(name: &str) -> Record {
    Record {
        holder: by(name),
        duration: Some(Duration::from_secs(15)),
        acquired: Some(WALL),
        renewed: Some(WALL),
        transitions: 3,
    }
}

fn elector() -> Elector {
    Elector::new(by("me").expect("a name"), times(), at(0))
}

/// The call that is due at that time.
fn call(elector: &mut Elector, now: u64) -> Call {
    match elector.tick(at(now), WALL) {
        Step::Call(call, _) => call,
        other => panic!("no call but {other:?}"),
    }
}

fn read(elector: &mut Elector, now: u64, record: Record, version: u64) {
    assert_eq!(call(elector, now), Call::Read);
    elector.answer(at(now), Answer::Read(Some((record, Version::new(version)))));
}

/// One that took a released lease at version 5 by a request sent then, and may write.
fn leader(sent: u64) -> Elector {
    let mut elector = elector();
    let released = Record {
        holder: None,
        ..held("other")
    };
    read(&mut elector, sent, released, 4);
    let taken = call(&mut elector, sent);
    assert!(
        matches!(&taken, Call::Update(record, version) if record.holder == by("me") && *version == Version::new(4)),
        "{taken:?}"
    );
    elector.answer(at(sent + 100), Answer::Written(Version::new(5)));
    elector
}

#[test]
fn a_released_lease_is_taken_at_once_and_written_under_at_once() {
    let elector = leader(1_000);
    assert!(elector.leads());
    assert!(elector.may_write(at(1_100), Duration::from_secs(6)));
}

#[test]
fn a_renewal_counts_from_before_it_was_sent() {
    let elector = leader(1_000);
    assert!(elector.may_write(at(10_999), Duration::from_secs(1)));
    assert!(!elector.may_write(at(11_000), Duration::from_millis(1)));
}

#[test]
fn a_write_may_take_half_of_what_is_left_of_the_lease() {
    let elector = leader(0);
    // 15 s less a sixteenth; the API server has the other half.
    assert_eq!(elector.write_time(at(9_000)), Some(Duration::from_micros(2_531_250)));
    assert!(elector.may_write(at(9_000), Duration::from_millis(2_500)));
    assert!(!elector.may_write(at(9_000), Duration::from_secs(3)));
}

#[test]
fn another_holder_is_heeded_from_when_its_last_record_was_first_seen() {
    let mut elector = elector();
    read(&mut elector, 1_000, held("other"), 4);
    // Renewed at the same time by its own clock, which says nothing: the version counts.
    read(&mut elector, 9_000, held("other"), 5);
    read(&mut elector, 23_900, held("other"), 5);
    let Step::Sleep(until) = elector.tick(at(23_950), WALL) else {
        panic!("it is too early")
    };
    assert_eq!(until, at(24_000));
    let taken = call(&mut elector, 24_000);
    let Call::Update(record, version) = taken else {
        panic!("{taken:?}")
    };
    assert_eq!(
        (record.holder, record.transitions, version),
        (by("me"), 4, Version::new(5))
    );
    elector.answer(at(24_100), Answer::Written(Version::new(6)));
    assert!(elector.leads());
    let seconds = Duration::from_secs;
    assert_eq!(elector.writes_from(), Some(at(9_000) + seconds(15)), "within the lease");
    assert!(elector.may_write(at(24_100), seconds(1)));
}

#[test]
fn a_holder_that_says_longer_is_heeded_for_longer() {
    let mut elector = elector();
    let longer = Record {
        duration: Some(Duration::from_mins(1)),
        ..held("other")
    };
    read(&mut elector, 0, longer, 4);
    assert_eq!(call(&mut elector, 59_999), Call::Read);
}

#[test]
fn a_new_lease_is_not_written_under_at_once_because_somebody_may_have_deleted_one() {
    let mut elector = elector();
    assert_eq!(call(&mut elector, 0), Call::Read);
    elector.answer(at(100), Answer::Read(None));
    assert!(matches!(call(&mut elector, 100), Call::Create(_)));
    elector.answer(at(200), Answer::Written(Version::new(1)));
    assert!(elector.leads());
    assert_eq!(elector.writes_from(), Some(at(15_200)));
}

#[test]
fn an_unanswered_write_counts_for_nothing_until_a_later_one_is_answered() {
    let mut elector = elector();
    read(&mut elector, 0, held("other"), 4);
    let _ = call(&mut elector, 15_000);
    elector.answer(at(20_000), Answer::Failed);
    assert!(!elector.leads());
    // It was carried out all the same.
    read(&mut elector, 21_000, held("me"), 5);
    assert!(!elector.leads(), "nobody knows since when");
    assert!(matches!(call(&mut elector, 21_500), Call::Update(_, version) if version == Version::new(5)));
    elector.answer(at(22_000), Answer::Written(Version::new(6)));
    assert!(elector.leads());
    assert_eq!(
        elector.writes_from(),
        Some(at(15_000)),
        "from the one before, as if answered"
    );
}

#[test]
fn one_that_cannot_renew_until_the_deadline_has_lost() {
    let mut elector = leader(0);
    let _ = call(&mut elector, 2_000);
    elector.answer(at(7_000), Answer::Failed);
    assert_eq!(call(&mut elector, 7_500), Call::Read);
    elector.answer(at(9_900), Answer::Failed);
    assert_eq!(elector.tick(at(10_000), WALL), Step::Lost);
    assert!(!elector.may_write(at(10_000), Duration::from_millis(1)));
}

#[test]
fn one_that_was_halted_has_lost_even_if_an_answer_waits_for_it() {
    let mut elector = leader(0);
    let _ = call(&mut elector, 2_000);
    elector.answer(at(60_000), Answer::Written(Version::new(6)));
    assert_eq!(elector.tick(at(60_000), WALL), Step::Lost);
}

#[test]
fn one_whose_lease_another_has_taken_has_lost() {
    let mut elector = leader(0);
    let _ = call(&mut elector, 2_000);
    elector.answer(at(2_100), Answer::Conflict);
    read(&mut elector, 2_100, held("other"), 9);
    assert_eq!(elector.tick(at(2_200), WALL), Step::Lost);
}

#[test]
fn somebody_elses_edit_of_the_lease_costs_a_read() {
    let mut elector = leader(0);
    let _ = call(&mut elector, 2_000);
    elector.answer(at(2_100), Answer::Conflict);
    read(&mut elector, 2_100, held("me"), 9);
    assert!(matches!(call(&mut elector, 2_200), Call::Update(_, version) if version == Version::new(9)));
    elector.answer(at(2_300), Answer::Written(Version::new(10)));
    assert!(elector.may_write(at(11_000), Duration::from_secs(1)));
}

#[test]
fn releasing_ends_writing_and_frees_the_lease() {
    let mut elector = leader(0);
    elector.release(at(500));
    assert!(!elector.may_write(at(500), Duration::from_millis(1)));
    let Call::Update(record, version) = call(&mut elector, 500) else {
        panic!("it is written")
    };
    assert_eq!((record.holder, version), (None, Version::new(5)));
    assert_eq!(record.renewed, Some(WALL), "up to now it has watched");
    elector.answer(at(600), Answer::Written(Version::new(6)));
    assert_eq!(elector.tick(at(600), WALL), Step::Released);
}

#[test]
fn a_lease_is_not_released_while_a_write_may_still_be_carried_out() {
    let mut elector = leader(0);
    elector.write_given_up(at(400));
    elector.release(at(500));
    assert_eq!(elector.tick(at(500), WALL), Step::Released, "left to expire");
}

#[test]
fn a_new_lease_is_not_released_while_a_write_of_a_holder_before_may_still_be_carried_out() {
    let mut elector = elector();
    assert_eq!(call(&mut elector, 0), Call::Read);
    elector.answer(at(100), Answer::Read(None));
    assert!(matches!(call(&mut elector, 100), Call::Create(_)));
    elector.answer(at(200), Answer::Written(Version::new(1)));
    assert!(elector.leads());
    elector.release(at(9_000));
    assert_eq!(elector.tick(at(9_000), WALL), Step::Released, "left to expire");
}

#[test]
fn a_standby_has_nothing_to_release() {
    let mut elector = elector();
    read(&mut elector, 0, held("other"), 4);
    elector.release(at(100));
    assert_eq!(elector.tick(at(100), WALL), Step::Released);
}

#[test]
fn times_that_do_not_fit_are_refused() {
    let millis = Duration::from_millis;
    for (duration, deadline, retry) in [
        (15_000, 15_000, 2_000),
        (15_000, 10_000, 6_000),
        (15_000, 10_000, 0),
        (1_000, 500, 100),
        (15_500, 10_000, 2_000),
    ] {
        let times = LeaseTimes::new(millis(duration), millis(deadline), millis(retry), millis(8_000));
        assert_eq!(times, Err(InvalidTimes), "{duration} {deadline} {retry}");
    }
}
