//! A mounted `ConfigMap`, Secret or projected volume, any other directory, or a single file.
//!
//! ```text
//!   inotify (one thread) ──ring──▶ follow (a task) ──▶ read (through one handle) ──▶ Feed
//!   poll ────────────────────────────▲
//! ```

mod beneath;
mod error;
mod follow;
mod inotify;
mod read;
mod trail;

use std::{
    io::{self, Read},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

pub use error::VolumeError;

use crate::{
    Snapshot,
    feed::{Changes, Feed, Trouble},
};
use follow::Follower;

/// A directory or file that is followed: its newest snapshot, and a stream of them.
///
/// In the kubelet's layout all keys of a snapshot are of one version. In a plain directory each file is
/// read for itself, one level deep; a single file is a snapshot with one key, its name. Names that begin
/// with `..` are the layout's own and no keys.
///
/// Followed until the last [`Feed`] and [`Changes`] of it are dropped.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # std::fs::write(directory.path().join("greeting"), "hello")?;
/// # let path = directory.path();
/// use windlass_live::Volume;
///
/// let volume = Volume::open(path).await?;
/// let snapshot = volume.snapshot();
/// assert_eq!(snapshot.get("greeting").and_then(|content| content.text()), Some("hello"));
///
/// let mut changes = volume.changes();
/// # std::fs::write(directory.path().join("greeting"), "hi")?;
/// while let Some(snapshot) = changes.next().await {
///     println!("{} keys", snapshot.len());
/// #   break;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Volume {
    feed: Feed,
    settings: Arc<Settings>,
    watching: Watching,
}

/// How changes are noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watching {
    /// By inotify, with a slow poll behind it.
    Inotify,
    /// By the poll alone: it was asked for, or inotify is not to be had.
    Poll,
}

/// What can be said about how a volume is followed.
#[derive(Clone, Debug)]
pub struct VolumeBuilder(Settings);

#[derive(Clone, Debug)]
struct Settings {
    path: PathBuf,
    debounce: Duration,
    poll: Duration,
    poll_alone: Duration,
    inotify: bool,
    max_size: u64,
    secret: bool,
    links: Links,
    condense: Option<Condense>,
}

/// What becomes of symlinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Links {
    /// They are followed wherever they lead.
    Follow,
    /// They are followed as long as they stay within the volume.
    Contain,
}

/// See [`VolumeBuilder::condense`].
type Condense = fn(&mut dyn Read) -> io::Result<Vec<u8>>;

impl Volume {
    /// Opens and follows a directory or file with the settings that [`Volume::builder`] begins with.
    ///
    /// # Errors
    ///
    /// It cannot be read now. A single key that cannot be read is no error: see
    /// [`Entry::Unreadable`](crate::Entry::Unreadable).
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with a timer.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self, VolumeError> {
        Self::builder(path).open().await
    }

    /// Settings for a directory or file.
    #[must_use]
    pub fn builder(path: impl Into<PathBuf>) -> VolumeBuilder {
        VolumeBuilder(Settings {
            path: path.into(),
            debounce: Duration::from_millis(20),
            poll: Duration::from_secs(10),
            poll_alone: Duration::from_secs(1),
            inotify: true,
            max_size: 8 << 20,
            secret: false,
            links: Links::Follow,
            condense: None,
        })
    }

    /// The newest good snapshot.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.feed.snapshot()
    }

    /// The snapshots from here on.
    #[must_use]
    pub fn changes(&self) -> Changes {
        self.feed.changes()
    }

    /// Reads now, whatever is known. The stream does not take notice of it.
    ///
    /// # Errors
    ///
    /// It cannot be read now.
    pub async fn read(&self) -> Result<Snapshot, VolumeError> {
        let settings = Arc::clone(&self.settings);
        blocking(move || read::read(&settings))
            .await
            .map(|reading| reading.snapshot)
    }

    /// Why it cannot be read at present; the last good snapshot stays meanwhile.
    #[must_use]
    pub fn trouble(&self) -> Option<Trouble> {
        self.feed.trouble()
    }

    /// How changes are noticed.
    #[must_use]
    pub fn watching(&self) -> Watching {
        self.watching
    }
}

impl AsRef<Feed> for Volume {
    fn as_ref(&self) -> &Feed {
        &self.feed
    }
}

impl VolumeBuilder {
    /// How long to gather events before reading, from the first of them; default 20 ms. A swap of the
    /// kubelet is complete as it is: it is read at once, unless the last reading is younger than this.
    #[must_use]
    pub fn debounce(mut self, time: Duration) -> Self {
        self.0.debounce = time;
        self
    }

    /// How often to look without any event; default 10 s. For what inotify cannot see: some network
    /// filesystems, and a directory further up that was replaced.
    #[must_use]
    pub fn poll(mut self, interval: Duration) -> Self {
        self.0.poll = interval;
        self
    }

    /// How often to look where inotify is not to be had; default 1 s.
    #[must_use]
    pub fn poll_alone(mut self, interval: Duration) -> Self {
        self.0.poll_alone = interval;
        self
    }

    /// Does without inotify.
    #[must_use]
    pub fn without_inotify(mut self) -> Self {
        self.0.inotify = false;
        self
    }

    /// The largest file that is read, in bytes; default 8 MiB. Kubernetes allows 1 MiB for a whole object.
    #[must_use]
    pub fn max_size(mut self, bytes: u64) -> Self {
        self.0.max_size = bytes;
        self
    }

    /// The content is secret: no error quotes it, neither of a parser nor of a flag.
    #[must_use]
    pub fn secret(mut self) -> Self {
        self.0.secret = true;
        self
    }

    /// Follows no link that leads out of the volume, and none on the way to it. For a directory that
    /// somebody else may write, who could otherwise have any file of this machine read by a link to it.
    /// Such a key is [`Unreadable::Outside`](crate::Unreadable::Outside); the links of the kubelet's layout
    /// stay within.
    #[must_use]
    pub fn contained(mut self) -> Self {
        self.0.links = Links::Contain;
        self
    }

    /// Keeps of each file what `condense` makes of its bytes, such as a hash, in place of them. The
    /// snapshots hold that as the content; a change that leaves it as it was is none. It gets the file's
    /// bytes, [`VolumeBuilder::max_size`] and one more at most, and an error of it makes the key unreadable.
    #[must_use]
    pub fn condense(mut self, condense: fn(&mut dyn Read) -> io::Result<Vec<u8>>) -> Self {
        self.0.condense = Some(condense);
        self
    }

    /// Reads for the first time and begins to follow.
    ///
    /// # Errors
    ///
    /// As for [`Volume::open`].
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with a timer.
    pub async fn open(self) -> Result<Volume, VolumeError> {
        let settings = Arc::new(self.0);
        let (follower, first) = Follower::begin(Arc::clone(&settings)).await?;
        let watching = follower.watching();
        let feed = follower.spawn(first);
        Ok(Volume {
            feed,
            settings,
            watching,
        })
    }
}

/// Files can be slow: they are read on a thread for that.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, VolumeError> + Send + 'static,
) -> Result<T, VolumeError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(_) => Err(VolumeError::Shutdown),
    }
}
