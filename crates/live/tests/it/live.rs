//! One key as a type.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use serde::Deserialize;
use windlass_live::{Live, Problem, Refused, Volume, parse};

use crate::{
    kubelet::Kubelet,
    support::{DEADLINE, eventually},
};

#[derive(Debug, Deserialize, PartialEq)]
struct Limits {
    connections: u32,
}

async fn next<T>(subscriber: &mut windlass_live::Subscriber<T>) -> Arc<T> {
    tokio::time::timeout(DEADLINE, subscriber.next())
        .await
        .expect("within the deadline")
        .expect("a version")
}

#[tokio::test]
async fn every_format_follows_the_key() {
    let mut kubelet = Kubelet::with([
        ("l.json", r#"{"connections": 1}"#),
        ("l.yaml", "connections: 1"),
        ("l.toml", "connections = 1"),
        ("l.txt", "1\n"),
    ]);
    let volume = Volume::open(kubelet.path()).await.expect("a volume");
    let json = Live::<Limits>::json(&volume, "l.json").expect("JSON");
    let yaml = Live::<Limits>::yaml(&volume, "l.yaml").expect("YAML");
    let toml = Live::<Limits>::toml(&volume, "l.toml").expect("TOML");
    let own = Live::builder(&volume, "l.txt", |bytes| {
        let connections = parse::text(bytes)?
            .parse()
            .map_err(|_| parse::ParseError::new("is not a number"))?;
        Ok(Limits { connections })
    })
    .start()
    .expect("a parser of one's own");
    let all = [json, yaml, toml, own];
    let mut subscribers: Vec<_> = all.iter().map(Live::subscribe).collect();
    assert!(all.iter().all(|live| live.load().connections == 1));

    kubelet.write([
        ("l.json", r#"{"connections": 2}"#),
        ("l.yaml", "connections: 2"),
        ("l.toml", "connections = 2"),
        ("l.txt", "2\n"),
    ]);
    for (live, subscriber) in all.iter().zip(&mut subscribers) {
        assert_eq!(*next(subscriber).await, Limits { connections: 2 });
        assert_eq!(*live.load(), Limits { connections: 2 }, "it is there when it is told");
        assert_eq!(*live.get(), *subscriber.newest());
    }
}

#[tokio::test]
async fn a_bad_version_is_refused_by_key_and_position_and_the_last_good_one_stays() {
    let mut kubelet = Kubelet::with([("l.json", r#"{"connections": 1}"#)]);
    let volume = Volume::open(kubelet.path()).await.expect("a volume");
    let told = Arc::new(Mutex::new(Vec::<Refused>::new()));
    let heard = Arc::clone(&told);
    let live = Live::<Limits>::builder(&volume, "l.json", parse::json)
        .validator(|limits| match limits.connections {
            0 => Err("connections must be at least 1".to_owned()),
            _ => Ok(()),
        })
        .validator(|limits| {
            assert_ne!(limits.connections, 13, "a validator that panics");
            Ok(())
        })
        .on_refused(move |refused| {
            heard.lock().expect("a lock").push(refused.clone());
            panic!("a callback that panics");
        })
        .start()
        .expect("a good first version");
    let mut subscriber = live.subscribe();

    let versions = [
        (
            Some("{\n  \"connections\": x}"),
            "key l.json, line 2, column 18: expected value",
        ),
        (
            Some(r#"{"connections": 0}"#),
            "key l.json: connections must be at least 1",
        ),
        (
            Some(r#"{"connections": 13}"#),
            "key l.json: the parser or a validator panicked",
        ),
        (None, "key l.json: is missing"),
    ];
    for (refusals, (bad, problem)) in (1..).zip(versions) {
        kubelet.write(bad.map(|content| ("l.json", content)));
        eventually("it is refused", || live.refusals() == refusals).await;
        assert_eq!(live.problem().expect("a problem").to_string(), problem);
        assert_eq!(live.load().connections, 1, "the last good one stays");
    }
    assert_eq!(
        told.lock()
            .expect("a lock")
            .iter()
            .map(|refused| refused.problem.kind())
            .collect::<Vec<_>>(),
        ["syntax", "invalid", "panicked", "missing"]
    );

    kubelet.write([("l.json", r#"{"connections": 7}"#)]);
    assert_eq!(
        next(&mut subscriber).await.connections,
        7,
        "the bad ones were given to nobody"
    );
    assert_eq!(live.problem(), None);
    assert_eq!(live.refusals(), 4);
}

#[tokio::test]
async fn a_first_version_that_is_wrong_is_an_error() {
    let kubelet = Kubelet::with([
        ("bad.yaml", "connections:\n  - 1\n"),
        ("bad.toml", "\n\nconnections = \"x\"\n"),
    ]);
    let volume = Volume::open(kubelet.path()).await.expect("a volume");
    let refused = Live::<Limits>::json(&volume, "none.json").expect_err("no such key");
    assert_eq!(refused.problem, Problem::Missing);
    let refused = Live::<Limits>::yaml(&volume, "bad.yaml").expect_err("a list");
    assert_eq!(refused.position.map(|at| at.line), Some(2), "{refused}");
    let refused = Live::<Limits>::toml(&volume, "bad.toml").expect_err("a text");
    assert_eq!(
        refused.position.map(|at| (at.line, at.column)),
        Some((3, 15)),
        "{refused}"
    );
}

#[tokio::test]
async fn the_error_of_a_secret_gives_the_position_and_no_content() {
    let kubelet = Kubelet::with([("p.json", r#"{"connections": "hunter2"}"#)]);
    let volume = Volume::builder(kubelet.path()).secret().open().await.expect("a volume");
    let refused = Live::<Limits>::json(&volume, "p.json").expect_err("a text");
    assert!(!format!("{refused} {refused:?}").contains("hunter2"));
    assert!(
        refused.to_string().starts_with("key p.json, line 1, column 25"),
        "{refused}"
    );
    assert!(!format!("{:?} {volume:?}", volume.snapshot()).contains("hunter2"));
    // Without it the error says what is wrong, and that quotes the content.
    let volume = Volume::open(kubelet.path()).await.expect("a volume");
    let refused = Live::<Limits>::json(&volume, "p.json").expect_err("a text");
    assert!(refused.to_string().contains("hunter2"));
    let secret = Live::<Limits>::builder(&volume, "p.json", parse::json).secret();
    assert!(!secret.start().expect_err("a text").to_string().contains("hunter2"));
}

#[tokio::test]
async fn a_slow_subscriber_gets_the_newest_and_another_key_wakes_nobody() {
    let mut kubelet = Kubelet::with([("l.json", r#"{"connections": 1}"#), ("other", "0")]);
    let volume = Volume::open(kubelet.path()).await.expect("a volume");
    let parsed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&parsed);
    let live = Live::<Limits>::builder(&volume, "l.json", move |bytes| {
        count.fetch_add(1, Ordering::Relaxed);
        parse::json(bytes)
    })
    .start()
    .expect("a good first version");
    let mut slow = live.subscribe();
    for number in 2..6 {
        let content = format!(r#"{{"connections": {number}}}"#);
        kubelet.write([("l.json", &*content), ("other", "0")]);
        eventually("it is taken", || live.load().connections == number).await;
    }
    assert_eq!(next(&mut slow).await.connections, 5);
    let before = parsed.load(Ordering::Relaxed);
    kubelet.write([("l.json", r#"{"connections": 5}"#), ("other", "1")]);
    kubelet.write([("l.json", r#"{"connections": 6}"#), ("other", "1")]);
    assert_eq!(next(&mut slow).await.connections, 6);
    assert_eq!(
        parsed.load(Ordering::Relaxed),
        before + 1,
        "what did not change is not parsed"
    );
}

#[test]
fn whoever_waits_hears_of_the_end_of_the_runtime() {
    let kubelet = Kubelet::with([("l.json", r#"{"connections": 1}"#)]);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let volume = runtime.block_on(Volume::open(kubelet.path())).expect("a volume");
    let inside = runtime.enter();
    let live = Live::<Limits>::json(&volume, "l.json").expect("JSON");
    drop(inside);
    let (mut versions, mut changes) = (live.subscribe(), volume.changes());
    drop(runtime);
    let runtime = tokio::runtime::Runtime::new().expect("another runtime");
    assert_eq!(runtime.block_on(versions.next()), None);
    assert_eq!(runtime.block_on(changes.next()), None);
    assert_eq!(live.load().connections, 1, "what was read stays");
}
