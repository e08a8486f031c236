//! The way of one change: read, validate, tell, say what became of it.
//!
//! What the application was told is said of exactly the files that were there before and after telling
//! it. When they changed meanwhile, the newer ones are handled, and nothing is claimed of the older.
//!
//! At its start the agent knows nothing of what the application has read. So the first version is handled
//! as a change, and one that came while no agent ran is not lost. The application may not run yet: until
//! it was reached for the first time, it is tried without end.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{Mutex, watch};
use tokio::time::sleep;
use tracing::{info, warn};
use windlass_core::agent_protocol::challenge::VolumeState;
use windlass_live::{Changes, Snapshot, Volume};

use super::command::{self, CommandEnd};
use super::config::{AgentConfig, Notify};
use super::files::{self, Fingerprint};
use super::metrics::{Metrics, Notification, Validation};
use super::notify;
use super::outcome::Outcome;
use super::text::clean;
use super::volume_status::{VolumeStatus, VolumeStatuses};

#[cfg(test)]
mod tests;

/// The first pause; each next one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Between attempts to reach an application that has not been reached yet: it is about to start.
const START_PAUSE: Duration = Duration::from_secs(2);
/// How often a volume that cannot be read is tried.
const OPEN_PAUSE: Duration = Duration::from_secs(1);
/// How often it is looked whether there is something to say again.
const LOOK: Duration = Duration::from_secs(10);
/// Every how many looks it is said again.
const LOOKS: u32 = 30;

/// Handles one volume for as long as the agent runs.
pub(super) struct VolumeWorker {
    number: usize,
    config: Arc<AgentConfig>,
    statuses: Arc<VolumeStatuses>,
    metrics: Metrics,
    /// One command or notice at a time in the whole agent: the application takes one after the other.
    turn: Arc<Mutex<()>>,
    /// Counts what was applied, of all volumes.
    applied: Arc<watch::Sender<u64>>,
    others: watch::Receiver<u64>,
    /// Whether the application has been reached since the agent started.
    reached: bool,
    /// Files that were refused are to be looked at again: others that belong to them have come.
    again: bool,
}

/// What is left to do after one version was handled.
enum Next {
    /// Wait for another one.
    Wait,
    /// This one is there already.
    Handle(Arc<Snapshot>),
    /// The volume is followed no more.
    End,
}

impl VolumeWorker {
    pub(super) fn new(
        number: usize,
        config: Arc<AgentConfig>,
        statuses: Arc<VolumeStatuses>,
        metrics: Metrics,
        turn: Arc<Mutex<()>>,
        applied: Arc<watch::Sender<u64>>,
    ) -> Self {
        Self {
            others: applied.subscribe(),
            applied,
            again: false,
            number,
            config,
            statuses,
            metrics,
            turn,
            reached: false,
        }
    }

    /// `opened` is called once the volume could be read.
    pub(super) async fn run(mut self, opened: impl FnOnce()) {
        let volume = self.open().await;
        self.statuses.opened(self.number, volume.clone());
        opened();
        let mut changes = volume.changes();
        let mut snapshot = Arc::clone(changes.last());
        loop {
            let next = self.handle(&volume, &snapshot, &mut changes).await;
            snapshot = match next {
                Next::Handle(newer) => newer,
                Next::Wait => match self.wait(&volume, &snapshot, &mut changes).await {
                    Some(newer) => newer,
                    None => return,
                },
                Next::End => return,
            };
        }
    }

    async fn open(&self) -> Volume {
        let path = self.statuses.path(self.number);
        loop {
            let opening = Volume::builder(path)
                .contained()
                .condense(files::hashed)
                .debounce(self.config.debounce)
                .secret()
                .open();
            let error = match opening.await {
                Ok(volume) => return volume,
                Err(error) => clean(error.to_string().as_bytes()),
            };
            if self.statuses.status(self.number).message.as_ref() != Some(&error) {
                warn!(%error, "cannot read the volume; retrying every second");
                self.set(None, VolumeState::Pending, Some(error));
            }
            sleep(OPEN_PAUSE).await;
        }
    }

    async fn handle(&mut self, volume: &Volume, snapshot: &Arc<Snapshot>, changes: &mut Changes) -> Next {
        let files = Fingerprint::of(snapshot);
        let before = self.statuses.status(self.number);
        let settled = matches!(before.state, VolumeState::Applied | VolumeState::Refused);
        if before.files == Some(files) && settled && !std::mem::take(&mut self.again) {
            return Next::Wait;
        }
        self.others.mark_unchanged();
        if before.files.is_some_and(|before| before != files) {
            self.metrics.swap(self.number);
        }
        self.set(Some(files), VolumeState::Pending, None);
        if let Some(next) = self.validate(volume, files, changes).await {
            return next;
        }
        self.tell(volume, files, changes).await
    }

    /// `None`: go on and tell.
    async fn validate(&self, volume: &Volume, files: Fingerprint, changes: &mut Changes) -> Option<Next> {
        let words = self.config.validate.as_ref()?;
        let mut attempt = 0;
        let message = loop {
            let end = {
                let _turn = self.turn.lock().await;
                command::run(words, self.path(), self.config.timeout).await
            };
            if let Some(next) = Self::replaced(volume, files).await {
                return Some(next);
            }
            match end {
                CommandEnd::Good => {
                    self.metrics.validation(Validation::Accepted);
                    return None;
                }
                CommandEnd::Bad(text) => {
                    self.metrics.validation(Validation::Refused);
                    break text;
                }
                CommandEnd::Broken(text) => {
                    self.metrics.validation(Validation::Failed);
                    let text = format!("validation failed: {text}");
                    if attempt >= self.config.retries {
                        break text;
                    }
                    self.set(Some(files), VolumeState::Pending, Some(text));
                }
            }
            if let Some(next) = pause(backoff(attempt, LONGEST_PAUSE), changes).await {
                return Some(next);
            }
            attempt += 1;
        };
        self.set(Some(files), VolumeState::Refused, Some(message));
        self.complain();
        Some(Next::Wait)
    }

    async fn tell(&mut self, volume: &Volume, files: Fingerprint, changes: &mut Changes) -> Next {
        let mut attempt = 0;
        loop {
            // Asked for before telling: files that come later are not covered.
            let since = match self.config.notify {
                Notify::Signal { .. } if attempt > 0 || !self.reached => files::swapped(self.path()),
                _ => None,
            };
            let outcome = {
                let _turn = self.turn.lock().await;
                notify::tell(&self.config.notify, self.path(), since, self.config.timeout).await
            };
            self.count(&outcome);
            if matches!(outcome, Outcome::Told | Outcome::Knows) {
                self.reached = true;
                if let Some(next) = Self::replaced(volume, files).await {
                    return next;
                }
                self.applied(files);
                return Next::Wait;
            }
            let (Outcome::Absent(text) | Outcome::Failed(text)) = &outcome else {
                return Next::Wait;
            };
            let exhausted = attempt >= self.config.retries;
            // Before its first start there is nobody to fail.
            let waiting = !self.reached && matches!(outcome, Outcome::Absent(_));
            let state = if exhausted && !waiting {
                VolumeState::Failed
            } else {
                VolumeState::Pending
            };
            self.set(Some(files), state, Some(clean(text.as_bytes())));
            if attempt == 0 || attempt == self.config.retries {
                self.complain();
            }
            if exhausted && self.reached {
                return Next::Wait;
            }
            let longest = if self.reached { LONGEST_PAUSE } else { START_PAUSE };
            if let Some(next) = pause(backoff(attempt, longest), changes).await {
                return next;
            }
            attempt = attempt.saturating_add(1);
        }
    }

    /// Whether other files are there now than were handled.
    async fn replaced(volume: &Volume, files: Fingerprint) -> Option<Next> {
        match volume.read().await {
            Ok(newer) if Fingerprint::of(&newer) == files => None,
            Ok(newer) => Some(Next::Handle(Arc::new(newer))),
            // What cannot be read now was read before; when it can be read again, word comes.
            Err(_) => None,
        }
    }

    /// Waits for the next version, and says again what is wrong.
    async fn wait(&mut self, volume: &Volume, last: &Arc<Snapshot>, changes: &mut Changes) -> Option<Arc<Snapshot>> {
        let mut looks: u32 = 0;
        loop {
            let refused = self.statuses.status(self.number).state == VolumeState::Refused;
            tokio::select! {
                newer = changes.next() => return newer,
                // A certificate and its key, say, that were refused for not being of one version.
                Ok(()) = self.others.changed(), if refused => {
                    self.again = true;
                    return Some(Arc::clone(last));
                }
                () = sleep(LOOK) => {}
            }
            looks = looks.wrapping_add(1);
            let state = self.statuses.status(self.number).state;
            // A process that was started since has read the files.
            if state == VolumeState::Failed && matches!(self.config.notify, Notify::Signal { .. }) {
                self.recheck(Fingerprint::of(last)).await;
            }
            if looks.is_multiple_of(LOOKS) {
                if let Some(trouble) = volume.trouble() {
                    warn!(volume = %self.path().display(), error = %trouble, "cannot read the volume");
                }
                if state != VolumeState::Applied {
                    self.complain();
                }
            }
        }
    }

    async fn recheck(&mut self, files: Fingerprint) {
        let Notify::Signal { target, .. } = &self.config.notify else {
            return;
        };
        let since = files::swapped(self.path());
        let _turn = self.turn.lock().await;
        if since.is_some_and(|since| super::process::all_started_after(target, since)) {
            self.applied(files);
        }
    }

    fn applied(&self, files: Fingerprint) {
        self.set(Some(files), VolumeState::Applied, None);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let at = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        self.metrics.applied(self.number, at);
        self.applied.send_modify(|count| *count += 1);
        info!(volume = %self.path().display(), "new content applied");
    }

    fn count(&self, outcome: &Outcome) {
        match outcome {
            Outcome::Told => self.metrics.notification(Notification::Told),
            Outcome::Knows => {}
            Outcome::Absent(_) => self.metrics.notification(Notification::Absent),
            Outcome::Failed(_) => self.metrics.notification(Notification::Failed),
        }
    }

    fn complain(&self) {
        let VolumeStatus { state, message, .. } = self.statuses.status(self.number);
        let message = message.unwrap_or_default();
        warn!(volume = %self.path().display(), state = state.as_str(), error = %message, "new content not applied");
    }

    fn set(&self, files: Option<Fingerprint>, state: VolumeState, message: Option<String>) {
        let status = VolumeStatus { files, state, message };
        self.statuses.set(self.number, status);
    }

    fn path(&self) -> &Path {
        self.statuses.path(self.number)
    }
}

/// Waits, unless a newer version comes.
async fn pause(time: Duration, changes: &mut Changes) -> Option<Next> {
    tokio::select! {
        newer = changes.next() => Some(newer.map_or(Next::End, Next::Handle)),
        () = sleep(time) => None,
    }
}

/// Twice as long each time, between half and all of it at random: agents of a thousand pods that failed
/// at one moment must not come back at one moment.
fn backoff(attempt: u32, longest: Duration) -> Duration {
    let whole = FIRST_PAUSE
        .saturating_mul(1_u32.checked_shl(attempt).unwrap_or(u32::MAX))
        .min(longest);
    let mut random = [0; 1];
    // Without randomness it is the whole.
    let share = getrandom::fill(&mut random).map_or(255, |()| u32::from(random[0]));
    whole / 2 + whole / 2 * share / 255
}
