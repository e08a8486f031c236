//! Many typed values from one volume.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex},
    time::Duration,
};

use windlass_live::{
    Flags, Volume,
    flags::{Dynamic, Flag, FlagSet, Json, Report, Size, SourceKind, Static, Unknown, rules_yaml},
};

use crate::{kubelet::Kubelet, support::eventually};

/// A few flags of each kind, and all that was reported.
struct App {
    port: Static<u16>,
    token: Static<String>,
    low: Dynamic<u32>,
    high: Dynamic<u32>,
    features: Dynamic<Json<Vec<String>>>,
    told: Arc<Mutex<Vec<String>>>,
    set: FlagSet,
}

impl App {
    fn new() -> Self {
        let told = Arc::new(Mutex::new(Vec::new()));
        let mut set = FlagSet::new();
        let reports = Arc::clone(&told);
        set.reporter(move |report: &Report| {
            reports
                .lock()
                .expect("a lock")
                .push(format!("{}: {report}", report.kind()));
        });
        let note = |name: &'static str| {
            let told = Arc::clone(&told);
            move |old: &u32, new: &u32| told.lock().expect("a lock").push(format!("{name} {old}->{new}"))
        };
        Self {
            port: set.add_static(Flag::new("port", 80)).expect("a flag"),
            token: set
                .add_static(Flag::new("token", "none".to_owned()).secret())
                .expect("a flag"),
            low: set
                .add_dynamic(
                    Flag::new("low-mark", 1)
                        .validator(|low| {
                            if *low == 0 {
                                Err("must be at least 1".into())
                            } else {
                                Ok(())
                            }
                        })
                        .notifier(note("first"))
                        .notifier(|_, new| assert_ne!(*new, 13, "a notifier that panics"))
                        .notifier(note("second")),
                )
                .expect("a flag"),
            high: set
                .add_dynamic(Flag::new("high-mark", 10).notifier(note("high")))
                .expect("a flag"),
            features: set
                .add_dynamic(Flag::new("features", Json(Vec::new())))
                .expect("a flag"),
            told,
            set,
        }
    }

    fn told(&self) -> Vec<String> {
        std::mem::take(&mut *self.told.lock().expect("a lock"))
    }
}

async fn start(kubelet: &Kubelet, set: FlagSet) -> Flags {
    let volume = Volume::open(kubelet.path()).await.expect("a volume");
    let flags = set.initialize(&volume).expect("good keys");
    flags.start();
    flags
}

fn listed(flags: &Flags, name: &str) -> windlass_live::flags::Listed {
    flags.list().into_iter().find(|flag| flag.name == name).expect("a flag")
}

#[tokio::test]
async fn the_key_comes_before_the_command_line_and_that_before_the_default() {
    let mut kubelet = Kubelet::with([("port", "8080\n"), ("low_mark", "3")]);
    let mut app = App::new();
    let given = ["--port=9", "--high-mark", "20", "--low-mark=2"];
    app.set.command_line(given.map(str::to_owned)).expect("a command line");
    assert_eq!(
        (app.port.get(), app.low.get(), app.high.get()),
        (9, 2, 20),
        "until there is a source"
    );
    let flags = start(&kubelet, std::mem::take(&mut app.set)).await;
    assert_eq!((app.port.get(), app.low.get(), app.high.get()), (8080, 3, 20));
    assert_eq!(listed(&flags, "low-mark").source.to_string(), "key low_mark");
    assert_eq!(listed(&flags, "high-mark").source.to_string(), "command line");

    kubelet.write([("port", "8080")]);
    eventually("the key is gone, the command line holds", || app.low.get() == 2).await;
    assert_eq!(listed(&flags, "low-mark").source.to_string(), "command line");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flags_that_change_in_one_swap_change_together() {
    let mut kubelet = Kubelet::with([("low-mark", "1"), ("high-mark", "2")]);
    let mut app = App::new();
    let flags = start(&kubelet, std::mem::take(&mut app.set)).await;
    let (low, high, seen) = (app.low.clone(), app.high.clone(), flags.clone());
    let reader = std::thread::spawn(move || {
        loop {
            let view = seen.view();
            let (low, high) = (*low.of(&view), *high.of(&view));
            assert_eq!(low * 2, high, "one is newer than the other");
            if low == 50 {
                break;
            }
        }
    });
    for number in 2..=50_u32 {
        kubelet.write([
            ("low-mark", number.to_string()),
            ("high-mark", (number * 2).to_string()),
        ]);
        tokio::task::yield_now().await;
    }
    eventually("the last one is there", || app.high.get() == 100).await;
    reader.join().expect("never torn");
}

#[tokio::test]
async fn a_bad_value_keeps_all_flags_of_its_swap_and_is_told() {
    let mut kubelet = Kubelet::with([("low-mark", "1"), ("high-mark", "10")]);
    let mut app = App::new();
    let flags = start(&kubelet, std::mem::take(&mut app.set)).await;
    for (low, message) in [
        (
            "x",
            "low-mark: \"x\" is not a value of type whole number from 0 to 4294967295",
        ),
        ("0", "low-mark: must be at least 1"),
    ] {
        kubelet.write([("low-mark", low), ("high-mark", "99"), ("features", "[\"a\"]")]);
        eventually("it is refused", || {
            flags.problem().is_some_and(|problem| problem.to_string() == message)
        })
        .await;
        assert_eq!((app.low.get(), app.high.get()), (1, 10));
        assert!(app.features.with(|features| features.0.is_empty()));
        assert!(listed(&flags, "low-mark").last_error.is_some());
        assert_eq!(listed(&flags, "high-mark").last_error, None);
    }
    assert_eq!(flags.refusals(), 2);
    assert!(
        app.told()
            .iter()
            .all(|line| line.starts_with("refused: flags unchanged: low-mark"))
    );

    kubelet.write([("low-mark", "5"), ("high-mark", "99"), ("features", "[\"a\"]")]);
    eventually("it is taken", || app.low.get() == 5).await;
    assert_eq!((app.high.get(), app.features.get().0), (99, vec!["a".to_owned()]));
    assert_eq!(flags.problem(), None);
    assert_eq!(listed(&flags, "low-mark").last_error, None);
    assert!(listed(&flags, "low-mark").last_change.is_some());
}

#[tokio::test]
async fn notifiers_are_told_in_order_and_one_that_panics_harms_nobody() {
    let mut kubelet = Kubelet::with([("low-mark", "1")]);
    let mut app = App::new();
    let _flags = start(&kubelet, std::mem::take(&mut app.set)).await;
    kubelet.write([("low-mark", "13"), ("high-mark", "20")]);
    eventually("all are told", || app.told.lock().expect("a lock").len() == 4).await;
    let reported = "notifier-panicked: 1 notifiers of low-mark panicked";
    assert_eq!(app.told(), ["first 1->13", "second 1->13", reported, "high 10->20"]);
    kubelet.write([("low-mark", "14"), ("high-mark", "20")]);
    eventually("it goes on", || app.told.lock().expect("a lock").len() == 2).await;
    assert_eq!(
        app.told(),
        ["first 13->14", "second 13->14"],
        "the other flag did not change"
    );
}

#[tokio::test]
async fn a_static_flag_that_changes_needs_a_restart_and_stays() {
    let mut kubelet = Kubelet::with([("port", "80"), ("token", "hunter2"), ("low-mark", "1")]);
    let mut app = App::new();
    let flags = start(&kubelet, std::mem::take(&mut app.set)).await;
    kubelet.write([("port", "81"), ("token", "hunter3"), ("low-mark", "2")]);
    eventually("the dynamic one is taken", || app.low.get() == 2).await;
    assert_eq!((app.port.get(), app.token.get()), (80, "hunter2".to_owned()));
    assert_eq!(flags.needs_restart(), ["port", "token"]);
    assert_eq!(listed(&flags, "port").after_restart.as_deref(), Some("81"));
    assert_eq!(listed(&flags, "token").after_restart.as_deref(), Some("***"));
    let restart = |flag| format!("needs-restart: {flag} changed; restart required");
    assert_eq!(app.told()[..2], [restart("port"), restart("token")]);

    // A bad one keeps nobody else from changing, and is told.
    kubelet.write([("port", "x"), ("token", "hunter2"), ("low-mark", "3")]);
    eventually("the dynamic one is taken", || app.low.get() == 3).await;
    assert!(app.told().iter().any(|line| line.starts_with("would-not-start: ")));
    kubelet.write([("port", "80"), ("token", "hunter2"), ("low-mark", "4")]);
    eventually("the dynamic one is taken", || app.low.get() == 4).await;
    assert!(flags.needs_restart().is_empty(), "it was taken back");
}

#[tokio::test]
async fn unknown_keys_are_ignored_told_or_refused() {
    let mut kubelet = Kubelet::with([("low-mark", "1"), ("lwo-mark", "2")]);
    let volume = Volume::open(kubelet.path()).await.expect("a volume");

    let mut app = App::new();
    app.set.unknown_keys(Unknown::Refuse);
    let error = std::mem::take(&mut app.set).initialize(&volume).expect_err("refused");
    assert_eq!(error.to_string(), "lwo-mark: unknown flag");

    let mut app = App::new();
    app.set.unknown_keys(Unknown::Ignore);
    std::mem::take(&mut app.set).initialize(&volume).expect("ignored");
    assert!(app.told().is_empty());

    let mut app = App::new();
    let flags = std::mem::take(&mut app.set).initialize(&volume).expect("told");
    flags.start();
    assert_eq!(app.told(), ["unknown-keys: unknown keys: lwo-mark"]);
    kubelet.write([("low-mark", "7"), ("lwo-mark", "2")]);
    eventually("it is taken", || app.low.get() == 7).await;
    assert!(
        !app.told().iter().any(|line| line.contains("unknown")),
        "once is enough"
    );
}

#[tokio::test]
async fn a_first_version_that_is_wrong_is_an_error_with_all_that_is_wrong() {
    let kubelet = Kubelet::with([
        ("port", "x"),
        ("low-mark", "0"),
        ("features", "[\"a\","),
        ("high-mark", "1"),
        ("high_mark", "2"),
    ]);
    let volume = Volume::open(kubelet.path()).await.expect("a volume");
    let mut app = App::new();
    let error = std::mem::take(&mut app.set).initialize(&volume).expect_err("wrong");
    let names: Vec<_> = error.problems.iter().map(|problem| &*problem.name).collect();
    assert_eq!(names, ["port", "low-mark", "high-mark", "features"]);
    let last = error.problems.last().expect("a problem");
    assert_eq!(
        last.to_string(),
        "features: line 1, column 5: EOF while parsing a value"
    );
    assert_eq!(error.problems[2].message, "is set more than once: high-mark, high_mark");
}

#[tokio::test]
async fn a_key_that_cannot_be_read_changes_nothing() {
    let root = tempfile::tempdir().expect("a folder");
    let file = root.path().join("low-mark");
    std::fs::write(&file, "7").expect("a file");
    let volume = Volume::open(root.path()).await.expect("a volume");
    let mut app = App::new();
    let flags = std::mem::take(&mut app.set).initialize(&volume).expect("good keys");
    flags.start();
    std::os::unix::fs::symlink("nowhere", root.path().join("link")).expect("a link");
    std::fs::rename(root.path().join("link"), &file).expect("a rename");
    eventually("it is told", || listed(&flags, "low-mark").last_error.is_some()).await;
    assert_eq!(app.low.get(), 7, "neither the default nor anything else");
    std::fs::remove_file(&file).expect("removed");
    eventually("it is gone, which is something else", || app.low.get() == 1).await;
}

#[tokio::test]
async fn nothing_of_a_secret_is_shown() {
    let mut kubelet = Kubelet::with([("token", "hunter2"), ("pin", "1234")]);
    let volume = Volume::open(kubelet.path()).await.expect("a volume");
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&told);
    let mut set = FlagSet::new();
    set.reporter(move |report| heard.lock().expect("a lock").push(format!("{report} {report:?}")));
    set.add_static(Flag::new("token", "hunter0".to_owned()).secret())
        .expect("a flag");
    let pin = set
        .add_dynamic(Flag::new("pin", 0_u16).secret().validator(|pin| {
            if *pin == 9876 {
                Err(format!("{pin} is too easy"))
            } else {
                Ok(())
            }
        }))
        .expect("a flag");
    let flags = set.initialize(&volume).expect("good keys");
    flags.start();
    let mut shown = Vec::new();
    for (token, value) in [("hunter3", "9876"), ("hunter3", "98765"), ("hunter3", "4321")] {
        let before = flags.refusals();
        kubelet.write([("token", token), ("pin", value)]);
        eventually("it is seen", || flags.refusals() > before || pin.get() == 4321).await;
        let list = flags.list();
        shown.push(format!("{list:?} {flags:?} {:?} {pin:?}", flags.problem()));
        shown.push(serde_json::to_string(&list).expect("JSON"));
    }
    shown.extend(told.lock().expect("a lock").drain(..));
    for secret in ["hunter", "9876", "4321", "1234"] {
        let found = shown.iter().find(|text| text.contains(secret));
        assert_eq!(found, None, "{secret} is in it");
    }

    // Of a secret source every flag is secret.
    let volume = Volume::builder(kubelet.path()).secret().open().await.expect("a volume");
    let mut set = FlagSet::new();
    set.unknown_keys(Unknown::Ignore);
    set.add_static(Flag::new("token", String::new())).expect("a flag");
    let flags = set.initialize(&volume).expect("good keys");
    assert_eq!(listed(&flags, "token").value, "***");
}

#[test]
fn the_rules_of_a_policy_fit_the_flags() {
    let app = App::new();
    let flags = app.set.without_source();
    let rules = flags.policy_rules(SourceKind::ConfigMap, "web").expect("rules");
    let yaml = rules_yaml(&rules);
    assert_eq!(
        yaml,
        "rules:\n- kind: ConfigMap\n  name: \"web\"\n  strategy: Restart\n  keys:\n  - \"port\"\n  - \"token\"\n\
         - kind: ConfigMap\n  name: \"web\"\n  strategy: InPlace\n  keys:\n  - \"low-mark\"\n  - \"low_mark\"\n  \
         - \"high-mark\"\n  - \"high_mark\"\n  - \"features\"\n"
    );
    let read: serde_json::Value = windlass_live::parse::yaml(yaml.as_bytes()).expect("YAML");
    assert_eq!(read, serde_json::json!({"rules": rules}));
    for name in ["", "Web", "a/b", "a\"b", &"x".repeat(254)] {
        assert!(flags.policy_rules(SourceKind::Secret, name).is_err(), "{name:?}");
    }
}

#[test]
fn many_flags_make_several_rules_and_too_many_none() {
    let rules = |count: usize| {
        let mut set = FlagSet::new();
        for number in 0..count {
            set.add_dynamic(Flag::new(&format!("f{number}"), false))
                .expect("a flag");
        }
        set.without_source().policy_rules(SourceKind::Secret, "web-*")
    };
    let sizes: Vec<_> = rules(130).expect("rules").iter().map(|rule| rule.keys.len()).collect();
    assert_eq!(sizes, [64, 64, 2]);
    assert!(rules(0).expect("rules").is_empty());
}

#[test]
fn every_type_of_the_guide_can_be_a_flag() {
    let mut set = FlagSet::new();
    let timeout = set
        .add_dynamic(Flag::new("timeout", Duration::from_secs(1)))
        .expect("a flag");
    let size = set.add_dynamic(Flag::new("size", Size(1 << 20))).expect("a flag");
    let peers = set
        .add_dynamic(Flag::new("peers", vec![IpAddr::from(Ipv4Addr::LOCALHOST)]))
        .expect("a flag");
    set.command_line(["--timeout=1m", "--size=2Mi", "--peers=10.0.0.1,::1"].map(str::to_owned))
        .expect("good values");
    assert_eq!(
        (timeout.get(), size.get(), peers.with(Vec::len)),
        (Duration::from_mins(1), Size(2 << 20), 2)
    );
    let shown: Vec<_> = set
        .without_source()
        .list()
        .into_iter()
        .map(|flag| (flag.default, flag.value))
        .collect();
    let expected = [("1s", "1m"), ("1Mi", "2Mi"), ("127.0.0.1", "10.0.0.1,::1")];
    assert_eq!(
        shown,
        expected.map(|(default, value)| (default.to_owned(), value.to_owned()))
    );
}
