//! What a source gives to those who use it: the newest snapshot, and word of the next one.

use std::{fmt, sync::Arc};

use tokio::{sync::watch, task::JoinHandle};

use crate::Snapshot;

/// The newest snapshot of a source, and the trouble it has, if any.
///
/// What [`Live`](crate::Live) and [`Flags`](crate::Flags) are fed from; a [`Volume`](crate::Volume) has
/// one, and so has an object of the API. Clones are cheap and share everything; the source is followed
/// as long as one of them is there.
#[derive(Clone)]
pub struct Feed {
    state: watch::Receiver<State>,
    // Whoever holds a feed keeps its source going.
    _task: Option<Arc<Task>>,
    secret: bool,
}

#[derive(Clone)]
struct State {
    snapshot: Arc<Snapshot>,
    trouble: Option<Trouble>,
}

/// Why a source cannot be read at present. What was read last stays good meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Trouble {
    kind: &'static str,
    message: String,
}

impl Trouble {
    pub(crate) fn new(kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// One word out of a fixed list, for the label of a metric: that of the source's error.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind
    }
}

/// Ends a task when nobody needs it any more.
pub(crate) struct Task(pub(crate) JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The side of a source that writes.
pub(crate) struct Publisher(watch::Sender<State>);

impl Publisher {
    pub(crate) fn new(first: Snapshot) -> Self {
        Self(watch::Sender::new(State {
            snapshot: Arc::new(first),
            trouble: None,
        }))
    }

    /// A good snapshot. Nobody is woken when nothing in it has changed.
    pub(crate) fn publish(&self, snapshot: Snapshot) {
        self.0.send_if_modified(|state| {
            let healed = state.trouble.take().is_some();
            let changed = *state.snapshot != snapshot;
            if changed {
                state.snapshot = Arc::new(snapshot);
            }
            changed || healed
        });
    }

    /// A snapshot from elsewhere, while the source itself is still in trouble.
    #[cfg(feature = "kube")]
    pub(crate) fn replace(&self, snapshot: Snapshot) {
        self.0.send_modify(|state| state.snapshot = Arc::new(snapshot));
    }

    /// The source can be read again, and says nothing new.
    #[cfg(feature = "kube")]
    pub(crate) fn healed(&self) {
        self.0.send_if_modified(|state| state.trouble.take().is_some());
    }

    /// The source cannot be read; the last snapshot stays.
    pub(crate) fn trouble(&self, trouble: Trouble) {
        self.0.send_if_modified(|state| {
            let changed = state.trouble.as_ref() != Some(&trouble);
            state.trouble = Some(trouble);
            changed
        });
    }

    /// A feed that keeps `task` going.
    pub(crate) fn feed(&self, task: Option<Task>, secret: bool) -> Feed {
        Feed {
            state: self.0.subscribe(),
            _task: task.map(Arc::new),
            secret,
        }
    }
}

impl Feed {
    /// A feed that never changes, for tests of what is fed from one.
    #[must_use]
    pub fn fixed(snapshot: Snapshot) -> Self {
        Publisher::new(snapshot).feed(None, false)
    }

    /// The newest good snapshot.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.state.borrow().snapshot)
    }

    /// Why the source cannot be read at present; `None` when it can.
    #[must_use]
    pub fn trouble(&self) -> Option<Trouble> {
        self.state.borrow().trouble.clone()
    }

    /// The snapshots from here on.
    #[must_use]
    pub fn changes(&self) -> Changes {
        let mut feed = self.clone();
        let last = Arc::clone(&feed.state.borrow_and_update().snapshot);
        Changes { feed, last }
    }

    /// Whether the content must not be quoted in errors.
    pub(crate) fn is_secret(&self) -> bool {
        self.secret
    }
}

impl AsRef<Feed> for Feed {
    fn as_ref(&self) -> &Feed {
        self
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Feed")
            .field("keys", &self.snapshot().len())
            .field("trouble", &self.trouble())
            .finish_non_exhaustive()
    }
}

/// The stream of snapshots. A slow reader misses those in between and never the newest.
#[derive(Debug)]
pub struct Changes {
    feed: Feed,
    last: Arc<Snapshot>,
}

impl Changes {
    /// Waits for a snapshot that differs from the one that was given last, or, the first time, from the
    /// one that was current when this stream was made. `None` when the source has ended, which it does
    /// with the runtime that it was opened on. May be dropped and called again: nothing is lost.
    pub async fn next(&mut self) -> Option<Arc<Snapshot>> {
        loop {
            self.feed.state.changed().await.ok()?;
            let newest = Arc::clone(&self.feed.state.borrow_and_update().snapshot);
            if !Arc::ptr_eq(&newest, &self.last) {
                self.last = Arc::clone(&newest);
                return Some(newest);
            }
        }
    }

    /// The snapshot that was given last.
    #[must_use]
    pub fn last(&self) -> &Arc<Snapshot> {
        &self.last
    }
}
