//! What the application does in its own code: it may ask anything, and take its time.

use std::{
    sync::{
        Arc, Mutex, OnceLock, Weak,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    time::Duration,
};

use windlass_live::{
    Flags, Live, Volume,
    flags::{Flag, FlagSet, FlagValue, RegisterError, Unknown},
    parse,
};

use crate::{
    kubelet::Kubelet,
    support::{DEADLINE, eventually},
};

/// Runs it on a thread of its own with a runtime of one thread: what hangs fails, and hangs no other test.
fn within_the_deadline<F: Future<Output = ()>>(body: impl FnOnce() -> F + Send + 'static) {
    let (end, ended) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(body());
        end.send(()).expect("somebody waits");
    });
    match ended.recv_timeout(DEADLINE) {
        Ok(()) => thread.join().expect("it has ended"),
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        Err(mpsc::RecvTimeoutError::Disconnected) => panic!("{:?}", thread.join().expect_err("it panicked")),
    }
}

/// The flags that the code of the application asks, and how often it has done so.
static ASKED: OnceLock<Flags> = OnceLock::new();
static ANSWERS: AtomicU32 = AtomicU32::new(0);

fn ask() {
    if let Some(flags) = ASKED.get() {
        let _ = (flags.refusals(), flags.problem(), flags.list(), flags.needs_restart());
        let _ = (flags.view(), flags.clone(), format!("{flags:?}"));
        flags.start();
        ANSWERS.fetch_add(1, Ordering::Relaxed);
    }
}

/// A number of which every method asks the flags.
struct Asking(u32);

thread_local! {
    // `list` calls `show`, which would ask for the list again.
    static SHOWING: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

impl FlagValue for Asking {
    fn kind() -> String {
        "number".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        ask();
        text.trim().parse().map(Self).map_err(|_| "is no number".to_owned())
    }

    fn show(&self) -> String {
        if !SHOWING.replace(true) {
            ask();
            SHOWING.set(false);
        }
        self.0.to_string()
    }
}

impl PartialEq for Asking {
    fn eq(&self, other: &Self) -> bool {
        ask();
        assert_ne!(self.0, 77, "a comparison that panics");
        self.0 == other.0
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        ask();
    }
}

#[test]
fn the_code_of_the_application_may_ask_the_flags() {
    within_the_deadline(|| async {
        let mut kubelet = Kubelet::with([("fixed", "1"), ("moving", "1")]);
        let volume = Volume::open(kubelet.path()).await.expect("a volume");
        let mut set = FlagSet::new();
        set.unknown_keys(Unknown::Warn).reporter(|_| ask());
        set.add_static(Flag::new("fixed", Asking(0))).expect("a flag");
        let flag = Flag::new("moving", Asking(0))
            .validator(|moving| {
                ask();
                if moving.0 == 13 {
                    Err("is 13".to_owned())
                } else {
                    Ok(())
                }
            })
            .notifier(|_, _| ask());
        let moving = set.add_dynamic(flag).expect("a flag");
        let flags = set.initialize(&volume).expect("good keys");
        ASKED.set(flags.clone()).expect("the only test that asks");
        flags.start();

        // Good; refused; a static flag that changes, goes on changing and goes back; an unknown key; one whose
        // comparison panics.
        for (refusals, fixed, value) in [
            (0, 1, 2),
            (1, 1, 13),
            (1, 2, 3),
            (1, 3, 4),
            (1, 1, 5),
            (1, 1, 77),
            (1, 1, 6),
        ] {
            let other = format!("unknown-{value}");
            kubelet.write([
                ("fixed", fixed.to_string()),
                ("moving", value.to_string()),
                (&*other, String::new()),
            ]);
            eventually("it is taken or refused", || {
                let present = moving.with(|moving| moving.0);
                flags.refusals() == refusals && (present == value || value == 13)
            })
            .await;
            assert!(!flags.list().is_empty());
        }
        assert!(ANSWERS.load(Ordering::Relaxed) > 7, "it was asked");
    });
}

/// A gate at which code of the application waits until it is told to go on.
#[derive(Clone)]
struct Gate {
    arrived: mpsc::Sender<()>,
    open: Arc<Mutex<mpsc::Receiver<()>>>,
}

impl Gate {
    fn new() -> (Self, mpsc::Receiver<()>, mpsc::Sender<()>) {
        let (arrived, seen) = mpsc::channel();
        let (opener, open) = mpsc::channel();
        let open = Arc::new(Mutex::new(open));
        (Self { arrived, open }, seen, opener)
    }

    fn wait(&self) {
        self.arrived.send(()).expect("the test goes on");
        self.open.lock().expect("a lock").recv().expect("the test goes on");
    }
}

async fn arrives(seen: &mpsc::Receiver<()>) {
    eventually("the application's code runs", || seen.try_recv().is_ok()).await;
}

#[test]
fn a_slow_validator_and_a_slow_notifier_keep_no_reader_waiting() {
    within_the_deadline(|| async {
        let mut kubelet = Kubelet::with([("low", "1"), ("other", "1")]);
        let volume = Volume::open(kubelet.path()).await.expect("a volume");
        let (gate, seen, opener) = Gate::new();
        let mut set = FlagSet::new();
        let (check, tell) = (gate.clone(), gate);
        let low = Flag::new("low", 0_u32)
            .validator(move |low| {
                if *low == 2 {
                    check.wait();
                }
                Ok(())
            })
            .notifier(move |_, _| tell.wait());
        let low = set.add_dynamic(low).expect("a flag");
        let other = set.add_dynamic(Flag::new("other", 0_u32)).expect("a flag");
        let flags = set.initialize(&volume).expect("good keys");
        flags.start();
        let other_source = Volume::builder(kubelet.path()).open().await.expect("a volume");
        let mut changes = other_source.changes();

        kubelet.write([("low", "2"), ("other", "2")]);
        arrives(&seen).await;
        // The validator is at work: this runtime, which has one thread, serves everybody else meanwhile.
        assert_eq!((low.get(), other.get()), (1, 1));
        assert_eq!((flags.refusals(), flags.problem()), (0, None));
        assert_eq!(flags.list().len(), 2);
        page(&flags).await;
        assert!(changes.next().await.is_some(), "another follower is told");
        opener.send(()).expect("it waits");
        arrives(&seen).await;
        // The notifier is at work.
        assert_eq!((low.get(), other.get()), (2, 2));
        page(&flags).await;
        opener.send(()).expect("it waits");
    });
}

async fn page(flags: &Flags) {
    use tower::ServiceExt as _;
    let router: axum::Router = flags.router();
    let request = http::Request::get("/json")
        .body(axum::body::Body::empty())
        .expect("a request");
    let answer = router.oneshot(request).await.expect("an answer");
    assert_eq!(answer.status(), 200);
}

#[test]
fn a_slow_parser_validator_or_callback_of_a_key_keeps_nobody_waiting() {
    within_the_deadline(|| async {
        let mut kubelet = Kubelet::with([("n", "1"), ("m", "1")]);
        let volume = Volume::open(kubelet.path()).await.expect("a volume");
        let (gate, seen, opener) = Gate::new();
        let number = |bytes: &[u8]| {
            let text = parse::text(bytes)?;
            text.parse::<u32>().map_err(|_| parse::ParseError::new("is no number"))
        };
        let (in_parser, in_validator, in_callback) = (gate.clone(), gate.clone(), gate);
        let live = Live::builder(&volume, "n", move |bytes| {
            let value = number(bytes)?;
            if value == 2 {
                in_parser.wait();
            }
            Ok(value)
        })
        .validator(move |value| match value {
            3 => {
                in_validator.wait();
                Err("is 3".to_owned())
            }
            _ => Ok(()),
        })
        .on_refused(move |_| in_callback.wait())
        .start()
        .expect("a good first version");
        let neighbour = Live::builder(&volume, "m", number)
            .start()
            .expect("a good first version");

        for (value, waits) in [("2", 1), ("3", 2)] {
            kubelet.write([("n", value), ("m", value)]);
            for _ in 0..waits {
                arrives(&seen).await;
                // At work: others are served, and told.
                let _ = (live.get(), live.refusals(), live.problem());
                eventually("the other key is there", || neighbour.get().to_string() == value).await;
                opener.send(()).expect("it waits");
            }
        }
        eventually("it is refused", || live.refusals() == 1).await;
        assert_eq!(*live.get(), 2);
    });
}

/// Whoever kept a handle and dropped the flags was left with a value that never changed again.
#[tokio::test]
async fn a_handle_alone_keeps_following() {
    let mut kubelet = Kubelet::with([("low", "1"), ("fixed", "1")]);
    let alive = Arc::new(());
    let followed = Arc::downgrade(&alive);
    let mut set = FlagSet::new();
    let (reports, reported) = mpsc::channel();
    set.reporter(move |report| {
        let _ = reports.send(report.kind());
    });
    let flag = Flag::new("low", 0_u32).notifier(move |_, _| drop(Arc::clone(&alive)));
    let low = set.add_dynamic(flag).expect("a flag");
    let fixed = set.add_static(Flag::new("fixed", 0_u32)).expect("a flag");
    let volume = Volume::open(kubelet.path()).await.expect("a volume");
    // Neither the flags nor the volume are kept.
    set.initialize(&volume).expect("good keys").start();
    drop(volume);

    kubelet.write([("low", "2"), ("fixed", "1")]);
    eventually("the handle follows", || low.get() == 2).await;
    let another = low.clone();
    drop(low);
    kubelet.write([("low", "3"), ("fixed", "1")]);
    eventually("a clone of it follows", || another.get() == 3).await;
    drop(another);
    kubelet.write([("low", "3"), ("fixed", "2")]);
    eventually("that of a static flag still says that it needs a restart", || {
        reported.try_recv() == Ok("needs-restart")
    })
    .await;
    assert!(is_followed(&followed));
    drop(fixed);
    eventually("nobody can read a flag, and nobody follows", || !is_followed(&followed)).await;
}

fn is_followed(followed: &Weak<()>) -> bool {
    followed.strong_count() > 0
}

#[tokio::test]
async fn the_last_version_of_a_key_is_followed_by_whoever_can_read_it() {
    let mut kubelet = Kubelet::with([("n", "1")]);
    let live = {
        let volume = Volume::open(kubelet.path()).await.expect("a volume");
        Live::builder(&volume, "n", parse::text)
            .start()
            .expect("a good first version")
    };
    let mut subscriber = live.subscribe();
    kubelet.write([("n", "2")]);
    eventually("it follows", || *live.get() == "2").await;
    drop(live);
    assert_eq!(subscriber.next().await.as_deref().map(String::as_str), Some("2"));
    kubelet.write([("n", "3")]);
    let next = tokio::time::timeout(Duration::from_mins(1), subscriber.next()).await;
    assert_eq!(next.expect("in time").as_deref().map(String::as_str), Some("3"));
}

#[test]
fn the_default_of_a_secret_flag_is_quoted_by_nobody() {
    let flag = |text: &'static str| {
        Flag::new("token", text.to_owned())
            .validator(move |token| Err(format!("{token} has {text} in it")))
            .validator(|token| panic!("{token}"))
    };
    let refused = |flag| FlagSet::new().add_static(flag).expect_err("refused");
    let error = refused(flag("hunter2").secret());
    assert!(matches!(error, RegisterError::Default { .. }));
    let shown = format!("{error} {error:?}");
    assert!(shown.contains("token") && !shown.contains("hunter2"), "{shown}");
    // Of any other the reason is worth having.
    let error = FlagSet::new().add_dynamic(flag("eight")).expect_err("refused");
    assert!(error.to_string().contains("eight"), "{error}");
}
