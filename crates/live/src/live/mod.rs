//! One key as a type, always the last good version.

pub mod parse;
mod refused;

use std::{
    fmt,
    ops::Deref,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::{
    Content, Snapshot,
    feed::{Changes, Feed, Task},
    snapshot::Entry,
};
use parse::ParseError;
pub use refused::{Problem, Refused};

/// One key of a source as a `T`: the last good version of it.
///
/// A version that does not parse, or that a validator refuses, is not taken: the one before stays, and
/// [`Live::refusals`], [`Live::problem`] and [`LiveBuilder::on_refused`] say so. Only the first version has
/// to be good: without it there is no `Live`.
///
/// Reading takes no lock and never waits. Clones are cheap and share everything.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # std::fs::write(directory.path().join("limits.json"), r#"{"connections": 100}"#)?;
/// # let path = directory.path();
/// use windlass_live::{Live, Volume, parse};
///
/// #[derive(serde::Deserialize)]
/// struct Limits {
///     connections: u32,
/// }
///
/// let volume = Volume::open(path).await?;
/// let limits = Live::<Limits>::builder(&volume, "limits.json", parse::json)
///     .validator(|limits| match limits.connections {
///         0 => Err("connections must be at least 1".to_owned()),
///         _ => Ok(()),
///     })
///     .on_refused(|refused| eprintln!("keeping the limits: {refused}"))
///     .start()?;
/// assert_eq!(limits.load().connections, 100);
/// # Ok(())
/// # }
/// ```
pub struct Live<T> {
    inner: Arc<Inner<T>>,
    // The task has the other end, so that who waits here hears of its end.
    newest: watch::Receiver<Arc<T>>,
    task: Arc<Task>,
}

impl<T> Clone for Live<T> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            newest: self.newest.clone(),
            task: Arc::clone(&self.task),
        }
    }
}

struct Inner<T> {
    value: ArcSwap<T>,
    refusals: AtomicU64,
    problem: Mutex<Option<Refused>>,
    rules: Rules<T>,
}

/// How content becomes a value.
struct Rules<T> {
    key: Arc<str>,
    parser: Parser<T>,
    validators: Vec<Validator<T>>,
    on_refused: Option<OnRefused>,
    secret: bool,
}

type Parser<T> = Box<dyn Fn(&[u8]) -> Result<T, ParseError> + Send + Sync>;
type Validator<T> = Box<dyn Fn(&T) -> Result<(), String> + Send + Sync>;
type OnRefused = Box<dyn Fn(&Refused) + Send + Sync>;

/// Settings of a [`Live`].
#[must_use]
pub struct LiveBuilder<T> {
    feed: Feed,
    rules: Rules<T>,
}

#[cfg(feature = "json")]
impl<T: serde::de::DeserializeOwned + Send + Sync + 'static> Live<T> {
    /// A key that is JSON, without validators.
    ///
    /// # Errors
    ///
    /// As for [`LiveBuilder::start`].
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn json(source: &impl AsRef<Feed>, key: &str) -> Result<Self, Refused> {
        Self::builder(source, key, parse::json).start()
    }
}

#[cfg(feature = "yaml")]
impl<T: serde::de::DeserializeOwned + Send + Sync + 'static> Live<T> {
    /// A key that is YAML, without validators.
    ///
    /// # Errors
    ///
    /// As for [`LiveBuilder::start`].
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn yaml(source: &impl AsRef<Feed>, key: &str) -> Result<Self, Refused> {
        Self::builder(source, key, parse::yaml).start()
    }
}

#[cfg(feature = "toml")]
impl<T: serde::de::DeserializeOwned + Send + Sync + 'static> Live<T> {
    /// A key that is TOML, without validators.
    ///
    /// # Errors
    ///
    /// As for [`LiveBuilder::start`].
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn toml(source: &impl AsRef<Feed>, key: &str) -> Result<Self, Refused> {
        Self::builder(source, key, parse::toml).start()
    }
}

impl<T: Send + Sync + 'static> Live<T> {
    /// A key of a source and what makes a `T` of it: one of the functions in [`parse`], or your own.
    pub fn builder(
        source: &impl AsRef<Feed>,
        key: &str,
        parser: impl Fn(&[u8]) -> Result<T, ParseError> + Send + Sync + 'static,
    ) -> LiveBuilder<T> {
        let feed = source.as_ref().clone();
        let secret = feed.is_secret();
        LiveBuilder {
            feed,
            rules: Rules {
                key: Arc::from(key),
                parser: Box::new(parser),
                validators: Vec::new(),
                on_refused: None,
                secret,
            },
        }
    }

    /// The last good version, borrowed. Takes no lock. To hold it for long, or across an `await`, take
    /// [`Live::get`].
    #[must_use]
    pub fn load(&self) -> Loaded<T> {
        Loaded(self.inner.value.load())
    }

    /// The last good version, shared.
    #[must_use]
    pub fn get(&self) -> Arc<T> {
        self.inner.value.load_full()
    }

    /// Word of each new good version from here on.
    #[must_use]
    pub fn subscribe(&self) -> Subscriber<T> {
        let mut newest = self.newest.clone();
        newest.mark_unchanged();
        Subscriber {
            newest,
            _task: Arc::clone(&self.task),
        }
    }

    /// How many versions were not taken so far.
    #[must_use]
    pub fn refusals(&self) -> u64 {
        self.inner.refusals.load(Ordering::Relaxed)
    }

    /// Why the newest version was not taken; `None` when it was.
    #[must_use]
    pub fn problem(&self) -> Option<Refused> {
        self.inner
            .problem
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl<T> fmt::Debug for Live<T> {
    /// Without the value: it may be secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Live")
            .field("key", &self.inner.rules.key)
            .finish_non_exhaustive()
    }
}

impl<T: Send + Sync + 'static> LiveBuilder<T> {
    /// A check of each version that parses; all have to agree, and are asked in order. The error says in
    /// one line what is wrong. After the first version, parser, validators and callback are called on a thread
    /// for blocking work: one that takes long keeps the next version waiting and nobody else.
    pub fn validator(mut self, validator: impl Fn(&T) -> Result<(), String> + Send + Sync + 'static) -> Self {
        self.rules.validators.push(Box::new(validator));
        self
    }

    /// Called for each version that is not taken, after the first.
    pub fn on_refused(mut self, callback: impl Fn(&Refused) + Send + Sync + 'static) -> Self {
        self.rules.on_refused = Some(Box::new(callback));
        self
    }

    /// The content is secret: errors give the position and never quote it. Of a source that is secret
    /// every key is.
    pub fn secret(mut self) -> Self {
        self.rules.secret = true;
        self
    }

    /// Takes the present version and follows the key.
    ///
    /// # Errors
    ///
    /// The key is missing or cannot be read, its content does not parse, or a validator refuses it.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn start(self) -> Result<Live<T>, Refused> {
        let Self { feed, rules } = self;
        let changes = feed.changes();
        let first = rules.find(changes.last())?;
        let value = Arc::new(rules.judge(&first)?);
        let (tell, newest) = watch::channel(Arc::clone(&value));
        let inner = Arc::new(Inner {
            value: ArcSwap::new(value),
            refusals: AtomicU64::new(0),
            problem: Mutex::new(None),
            rules,
        });
        let task = tokio::spawn(follow(Arc::clone(&inner), tell, changes, Ok(first)));
        Ok(Live {
            inner,
            newest,
            task: Arc::new(Task(task)),
        })
    }
}

async fn follow<T: Send + Sync + 'static>(
    inner: Arc<Inner<T>>,
    tell: watch::Sender<Arc<T>>,
    mut changes: Changes,
    mut last: Result<Content, Refused>,
) {
    while let Some(snapshot) = changes.next().await {
        let found = inner.rules.find(&snapshot);
        // Another key has changed.
        if found == last {
            continue;
        }
        last.clone_from(&found);
        let inner = Arc::clone(&inner);
        // What the application checks and does may take long, and a runtime may have one thread only.
        match tokio::task::spawn_blocking(move || inner.judge(found)).await {
            Ok(Some(value)) => drop(tell.send_replace(value)),
            Err(error) if error.is_cancelled() => return,
            Ok(None) | Err(_) => {}
        }
    }
}

impl<T> Inner<T> {
    /// A later version; gives it if it is taken.
    fn judge(&self, found: Result<Content, Refused>) -> Option<Arc<T>> {
        match found.and_then(|content| self.rules.judge(&content)) {
            Ok(value) => {
                let value = Arc::new(value);
                self.take(&value);
                Some(value)
            }
            Err(refused) => {
                self.refuse(refused);
                None
            }
        }
    }

    fn take(&self, value: &Arc<T>) {
        self.note(None);
        self.value.store(Arc::clone(value));
    }

    fn refuse(&self, refused: Refused) {
        self.refusals.fetch_add(1, Ordering::Relaxed);
        self.note(Some(refused.clone()));
        if let Some(callback) = &self.rules.on_refused {
            // A callback that panics would end the following of the key.
            let _ = catch_unwind(AssertUnwindSafe(|| callback(&refused)));
        }
    }

    fn note(&self, problem: Option<Refused>) {
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = problem;
    }
}

impl<T> Rules<T> {
    fn find(&self, snapshot: &Snapshot) -> Result<Content, Refused> {
        match snapshot.entry(&self.key) {
            Some(Entry::Content(content)) => Ok(content.clone()),
            Some(Entry::Unreadable(unreadable)) => Err(Refused::new(&self.key, Problem::Unreadable(*unreadable))),
            None => Err(Refused::new(&self.key, Problem::Missing)),
        }
    }

    fn judge(&self, content: &Content) -> Result<T, Refused> {
        let judged = catch_unwind(AssertUnwindSafe(|| {
            let value = (self.parser)(content).map_err(|error| Refused::syntax(&self.key, error, self.secret))?;
            for validator in &self.validators {
                validator(&value).map_err(|message| Refused::invalid(&self.key, message, self.secret))?;
            }
            Ok(value)
        }));
        judged.unwrap_or_else(|_| Err(Refused::new(&self.key, Problem::Panicked)))
    }
}

/// The last good version, borrowed from a [`Live`].
pub struct Loaded<T>(arc_swap::Guard<Arc<T>>);

impl<T> Deref for Loaded<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: fmt::Debug> fmt::Debug for Loaded<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(formatter)
    }
}

/// Waits for new versions of a [`Live`]. A slow one misses those in between and never the newest.
pub struct Subscriber<T> {
    newest: watch::Receiver<Arc<T>>,
    // The key is followed as long as somebody waits for it.
    _task: Arc<Task>,
}

impl<T> Subscriber<T> {
    /// Waits for a version that was not given yet. `None` when the source has ended. May be dropped and
    /// called again: nothing is lost.
    pub async fn next(&mut self) -> Option<Arc<T>> {
        self.newest.changed().await.ok()?;
        Some(Arc::clone(&self.newest.borrow_and_update()))
    }

    /// The newest version, without waiting.
    #[must_use]
    pub fn newest(&self) -> Arc<T> {
        Arc::clone(&self.newest.borrow())
    }
}

impl<T> fmt::Debug for Subscriber<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Subscriber").finish_non_exhaustive()
    }
}
