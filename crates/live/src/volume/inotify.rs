//! One inotify instance for the process, and a thread that sleeps in its `read`.
//!
//! One, because a user may have 128 of them on a whole node by default, and a process with fifty volumes
//! should not take fifty. A thread rather than a task, so that it belongs to no runtime: it costs no CPU
//! while nothing happens, and a few KiB.

use std::{
    collections::{HashMap, HashSet},
    ffi::{OsStr, OsString},
    mem::MaybeUninit,
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use rustix::{
    fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags},
    io::Errno,
};
use tokio::sync::Notify;

use super::{read::DATA, trail::Place};

/// What can change a name or what is behind it. `MODIFY` is left out: it would have us read what is half
/// written, and the writer's `close` follows.
const MASK: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR);

/// Room for 16 events with the longest names; what does not fit is read in the next round.
const BUFFER: usize = 16 * (16 + 256);

/// What a volume sleeps on.
#[derive(Debug, Default)]
pub(super) struct Bell {
    rung: Notify,
    swapped: AtomicBool,
}

impl Bell {
    fn ring(&self, swap: bool) {
        if swap {
            self.swapped.store(true, Ordering::Release);
        }
        self.rung.notify_one();
    }

    /// Waits for an event; one that came since the last call counts.
    pub(super) async fn rung(&self) {
        self.rung.notified().await;
    }

    /// Whether one of the events since the last call was the swap of a kubelet, which is complete as it is.
    pub(super) fn take_swap(&self) -> bool {
        self.swapped.swap(false, Ordering::AcqRel)
    }
}

/// The watches of one volume. Dropping it takes them back.
pub(super) struct Subscription {
    hub: &'static Hub,
    number: u64,
    bell: Arc<Bell>,
    watched: HashSet<i32>,
}

impl Subscription {
    /// # Errors
    ///
    /// The system has no inotify, or this user has no instance left.
    pub(super) fn new(bell: Arc<Bell>) -> Result<Self, Errno> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Ok(Self {
            hub: hub()?,
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            bell,
            watched: HashSet::new(),
        })
    }

    /// Watches these from now on and nothing else. What does not exist is left out.
    ///
    /// # Errors
    ///
    /// A directory that exists cannot be watched, for example because the limit of watches is reached. The
    /// others are.
    pub(super) fn set(&mut self, whole: Option<PathBuf>, places: &[Place]) -> Result<(), Errno> {
        let mut wanted = HashMap::<PathBuf, Names>::new();
        for place in places {
            wanted
                .entry(place.directory.clone())
                .or_default()
                .some
                .insert(place.name.clone());
        }
        if let Some(directory) = whole {
            wanted.entry(directory).or_default().all = true;
        }
        let mut failed = None;
        let mut kept = HashSet::new();
        let mut table = self.hub.table();
        // The same directory may go by two paths, and has one number.
        let mut by_number = HashMap::<i32, Names>::new();
        for (directory, names) in wanted {
            match inotify::add_watch(&self.hub.instance, &directory, MASK) {
                Ok(number) => by_number.entry(number).or_default().merge(names),
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                Err(errno) => failed = Some(errno),
            }
        }
        for (number, names) in by_number {
            table.insert(number, self.number, names, &self.bell);
            kept.insert(number);
        }
        for gone in self.watched.difference(&kept) {
            table.remove(&self.hub.instance, *gone, self.number);
        }
        drop(table);
        self.watched = kept;
        failed.map_or(Ok(()), Err)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut table = self.hub.table();
        for number in &self.watched {
            table.remove(&self.hub.instance, *number, self.number);
        }
    }
}

/// Names in a directory that a volume cares for.
#[derive(Debug, Default)]
struct Names {
    /// Every name but those of the kubelet's layout, of which only the link counts.
    all: bool,
    some: HashSet<OsString>,
}

impl Names {
    fn merge(&mut self, other: Self) {
        self.all |= other.all;
        self.some.extend(other.some);
    }

    fn include(&self, name: &OsStr) -> bool {
        self.some.contains(name) || self.all && (name == DATA || !name.as_bytes().starts_with(b".."))
    }
}

struct Hub {
    instance: OwnedFd,
    table: Mutex<Table>,
}

impl Hub {
    /// Held while a watch is added as well: its first event then finds it in the table.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who listens to which watch.
#[derive(Default)]
struct Table(HashMap<i32, HashMap<u64, Listener>>);

struct Listener {
    names: Names,
    bell: Arc<Bell>,
}

impl Table {
    fn insert(&mut self, number: i32, subscription: u64, names: Names, bell: &Arc<Bell>) {
        let bell = Arc::clone(bell);
        self.0
            .entry(number)
            .or_default()
            .insert(subscription, Listener { names, bell });
    }

    fn remove(&mut self, instance: &OwnedFd, number: i32, subscription: u64) {
        let Some(listeners) = self.0.get_mut(&number) else {
            return;
        };
        listeners.remove(&subscription);
        if listeners.is_empty() {
            self.0.remove(&number);
            // It may have gone with its directory.
            let _ = inotify::remove_watch(instance, number);
        }
    }

    fn dispatch(&mut self, number: i32, events: ReadFlags, name: Option<&OsStr>) {
        if events.contains(ReadFlags::QUEUE_OVERFLOW) {
            for listener in self.0.values().flat_map(HashMap::values) {
                listener.bell.ring(false);
            }
            return;
        }
        let Some(listeners) = self.0.get(&number) else {
            return;
        };
        for listener in listeners.values() {
            match name {
                Some(name) if !listener.names.include(name) => {}
                Some(name) => listener.bell.ring(name == DATA && events.contains(ReadFlags::MOVED_TO)),
                None => listener.bell.ring(false),
            }
        }
        // The directory is gone, and its number with it.
        if events.contains(ReadFlags::IGNORED) {
            self.0.remove(&number);
        }
    }
}

/// The instance of this process; made at the first call that succeeds.
fn hub() -> Result<&'static Hub, Errno> {
    static HUB: Mutex<Option<&'static Hub>> = Mutex::new(None);
    let mut slot = HUB.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(hub) = *slot {
        return Ok(hub);
    }
    // It lives as long as the process, like its thread.
    let hub: &'static Hub = Box::leak(Box::new(Hub {
        instance: inotify::init(CreateFlags::CLOEXEC)?,
        table: Mutex::default(),
    }));
    std::thread::Builder::new()
        .name("windlass-live".to_owned())
        .stack_size(64 * 1024)
        .spawn(|| listen(hub))
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::AGAIN))?;
    *slot = Some(hub);
    Ok(hub)
}

fn listen(hub: &Hub) {
    let mut buffer = [const { MaybeUninit::uninit() }; BUFFER];
    let mut reader = Reader::new(&hub.instance, &mut buffer);
    loop {
        match reader.next() {
            Ok(event) => {
                let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
                hub.table().dispatch(event.wd(), event.events(), name);
            }
            Err(Errno::INTR) => {}
            // Cannot happen on an instance that is open; the poll goes on.
            Err(_) => return,
        }
    }
}
