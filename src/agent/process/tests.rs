use proptest::prelude::*;

use super::*;

/// A line of `/proc/PID/stat` as Linux writes it.
fn stat(name: &str, state: &str) -> String {
    format!("42 ({name}) {state} 7 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 123456 2 3 4")
}

#[test]
fn the_start_is_found_whatever_the_name_is() {
    let expected = Process {
        pid: 42,
        parent: 7,
        start: 123_456,
    };
    for name in ["nginx", "a b", "x) R 1 2 3", "((", ""] {
        assert_eq!(parse(42, &stat(name, "S")), Some(expected.clone()), "{name}");
    }
    for (text, why) in [
        (stat("nginx", "Z"), "it has ended"),
        (stat("nginx", "X"), "it has ended"),
        (String::new(), "there is nothing"),
        ("42 (x) S 7".to_owned(), "it is cut off"),
        (stat("x", "S").replace("123456", "soon"), "no number"),
    ] {
        assert_eq!(parse(42, &text), None, "{why}");
    }
}

#[test]
fn our_own_start_is_in_the_past_and_not_far() {
    let ours = one(getpid().as_raw_pid()).expect("we run");
    let started = started(&ours).expect("a time");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    assert!(started <= now + BLUR, "{started:?} {now:?}");
    assert!(
        now.saturating_sub(started) < Duration::from_hours(24),
        "{started:?} {now:?}"
    );
}

#[test]
fn nobody_is_told_by_a_file_that_names_us_the_first_process_or_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("pid");
    let target = SignalTarget::PidFile(path.clone());
    let told = || tell(Signal::Usr1, &target, None);
    let absent = |outcome: Outcome, word: &str| {
        assert!(
            matches!(&outcome, Outcome::Absent(text) if text.contains(word)),
            "{outcome:?}"
        );
    };
    absent(told(), "pid file");
    for (content, word) in [
        (std::process::id().to_string(), "shareProcessNamespace: true"),
        ("1".to_owned(), "shareProcessNamespace: true"),
        // Beyond the largest number that Linux gives.
        ("2147483647\n".to_owned(), "shareProcessNamespace: true"),
    ] {
        fs::write(&path, content).expect("a file");
        absent(told(), word);
    }
    for garbage in ["", "x", "-1", "0", "12 13", "99999999999999999999", "\u{0}"] {
        fs::write(&path, garbage).expect("a file");
        let outcome = told();
        assert!(
            matches!(&outcome, Outcome::Failed(text) if text.contains("not contain a process ID")),
            "{garbage:?}"
        );
    }
}

#[test]
fn a_name_that_nobody_has_says_what_is_needed() {
    let outcome = tell(Signal::Usr1, &SignalTarget::Named("no-such-program".to_owned()), None);
    let Outcome::Absent(text) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(
        text,
        "no process named \"no-such-program\": is it running, and does the pod have shareProcessNamespace: true?"
    );
}

#[test]
fn who_was_started_by_us_is_not_the_application() {
    let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep");
    let target = SignalTarget::Named("sleep".to_owned());
    let ours: Vec<_> = find(&target)
        .unwrap_or_default()
        .into_iter()
        .filter(|process| u32::try_from(process.pid) == Ok(child.id()))
        .collect();
    child.kill().expect("killed");
    child.wait().expect("ended");
    assert_eq!(ours, []);
}

#[test]
fn of_a_server_and_its_workers_only_the_server_is_told() {
    let process = |pid, parent| Process { pid, parent, start: 1 };
    let pids = |found: Vec<Process>| -> Vec<i32> { servers(found).iter().map(|it| it.pid).collect() };
    // In a shared namespace the parent of a container's first process is not seen.
    assert_eq!(pids(vec![process(7, 0), process(8, 7), process(9, 7)]), [7]);
    assert_eq!(pids(vec![process(9, 7), process(8, 7), process(7, 3)]), [7]);
    assert_eq!(pids(vec![process(7, 0), process(8, 0)]), [7, 8], "two servers");
    // One that hands over to its successor is still the one that takes signals.
    assert_eq!(
        pids(vec![process(7, 0), process(8, 7), process(20, 7), process(21, 20)]),
        [7]
    );
}

proptest! {
    #[test]
    fn no_line_makes_it_panic(line in ".{0,200}") {
        let _ = parse(1, &line);
        let _ = parse(1, &stat(&line, "S"));
    }
}
