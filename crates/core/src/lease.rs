//! Which of several replicas writes: the rules of the Lease.
//!
//! No clock and no client: readings of the clock and answers of the API server are arguments. That two
//! replicas never write at a time rests on these:
//!
//! 1. Every write of the Lease carries the version that was read: of two that want it one is refused.
//! 2. How long another holder is still to be heeded is counted on our own monotonic clock, from when we
//!    first saw its last record. Times in the record are for people; clocks of two machines are never
//!    compared, only how fast they run, and for that there is a margin.
//! 3. A renewal counts from before it was sent, and only if it was answered.
//! 4. We lead while the last renewal is younger than the renew deadline. A write of ours is waited for half
//!    of what is left of the lease at most, and the API server is told to take no longer either: what got
//!    there before we gave it up is over before another one may take the lease, answered or not.
//! 5. Whoever releases the lease has nothing under way. One that cannot know leaves it to expire.

use std::ops::{Add, RangeInclusive};
use std::time::Duration;

use jiff::Timestamp;

use crate::types::name::Version;

#[cfg(test)]
mod tests;

/// Clocks of two machines may differ in speed: this part of the lease's duration is given away for it.
const MARGIN_PARTS: u32 = 16;

/// The way to the API server has one half of what a write may take, the API server itself the other.
const WRITE_PARTS: u32 = 2;

/// How much more often a standby looks than a leader renews: a released lease is taken within a second.
const LOOKS_PER_RETRY: u32 = 4;

/// A reading of the machine's monotonic clock, since any point in time that stays the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Monotonic(Duration);

impl Monotonic {
    /// This long after the clock's beginning.
    #[must_use]
    pub fn new(since_the_beginning: Duration) -> Self {
        Self(since_the_beginning)
    }

    /// How long after `earlier` this is; nothing if it is not.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Monotonic {
    type Output = Self;

    fn add(self, more: Duration) -> Self {
        Self(self.0.saturating_add(more))
    }
}

/// Who holds a lease: one process, never the same one twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder(Box<str>);

impl Holder {
    /// By this name. `None`: it is empty, which means nobody.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        (!name.is_empty()).then(|| Self(name.into()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The `spec` of a Lease
/// (<https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/lease-v1/>).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// `holderIdentity`; `None`: it was released.
    pub holder: Option<Holder>,
    /// `leaseDurationSeconds`.
    pub duration: Option<Duration>,
    /// `acquireTime`, by the holder's clock.
    pub acquired: Option<Timestamp>,
    /// `renewTime`, by the holder's clock: up to then it has certainly watched.
    pub renewed: Option<Timestamp>,
    /// `leaseTransitions`.
    pub transitions: u32,
}

/// How long things last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTimes {
    duration: Duration,
    deadline: Duration,
    retry: Duration,
    write: Duration,
}

/// What does not fit together in [`LeaseTimes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the lease duration must be in whole seconds and at least 1/16 longer than the renew deadline, which must be at least twice the retry period"
)]
pub struct InvalidTimes;

impl LeaseTimes {
    /// What a lease may last.
    pub const DURATION: RangeInclusive<Duration> = Duration::from_secs(2)..=Duration::from_hours(1);

    /// `duration`: how long others heed a record. `deadline`: how old a renewal may be for its holder to
    /// lead. `retry`: how often it is renewed. `write_timeout`: the longest that any write is waited for, and
    /// that the API server takes for it.
    ///
    /// # Errors
    /// When they do not fit together.
    pub fn new(
        duration: Duration,
        deadline: Duration,
        retry: Duration,
        write_timeout: Duration,
    ) -> Result<Self, InvalidTimes> {
        let fits = Self::DURATION.contains(&duration)
            && duration.subsec_nanos() == 0
            && deadline <= duration.saturating_sub(duration / MARGIN_PARTS)
            && !retry.is_zero()
            && retry <= deadline / 2;
        fits.then_some(Self {
            duration,
            deadline,
            retry,
            write: write_timeout.min(duration),
        })
        .ok_or(InvalidTimes)
    }

    /// From its last renewal on, when nothing of a holder may be under way any more.
    fn usable(&self) -> Duration {
        self.duration.saturating_sub(self.duration / MARGIN_PARTS)
    }

    fn look(&self) -> Duration {
        self.retry / LOOKS_PER_RETRY
    }
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing before then.
    Sleep(Monotonic),
    /// Send this, wait for the answer at most this long, and give it to [`Elector::answer`].
    Call(Call, Duration),
    /// Nothing more: the lease is lost, and whoever lost it has to end.
    Lost,
    /// Nothing more: it is released, or was not ours.
    Released,
}

/// A request on the Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Read it, the most recent one.
    Read,
    /// Create it; refused if there is one.
    Create(Record),
    /// Write it; refused if it has another version by now.
    Update(Record, Version),
}

/// What the API server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// What was read; `None`: there is no Lease.
    Read(Option<(Record, Version)>),
    /// Written, and the version that it has by it.
    Written(Version),
    /// Not written: the version is another one, or it exists, or it is gone.
    Conflict,
    /// No answer, or none that tells whether it was carried out.
    Failed,
}

/// Where we stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leadership {
    /// Somebody else leads, or nobody.
    Standby,
    /// We lead. Both times are before the request was sent.
    Leading {
        renewed: Monotonic,
        writes_from: Monotonic,
    },
    Lost,
    Released,
}

/// What was read or written last.
#[derive(Clone, Debug)]
struct SeenRecord {
    record: Record,
    version: Version,
    /// When we first saw this version.
    at: Monotonic,
}

/// What is under way.
#[derive(Clone, Debug)]
struct PendingCall {
    at: Monotonic,
    call: Call,
}

#[derive(Clone, Debug)]
enum KnownLease {
    /// Nothing, or no longer what is true now.
    Nothing,
    /// There is none.
    Missing,
    Seen(SeenRecord),
}

/// One candidate.
#[derive(Clone, Debug)]
pub struct Elector {
    me: Holder,
    times: LeaseTimes,
    leadership: Leadership,
    releasing: bool,
    /// When a write of something else than the Lease was last given up.
    given_up: Option<Monotonic>,
    known: KnownLease,
    /// The last record of somebody else, which has to be read again before it counts.
    heeded: Option<SeenRecord>,
    sent: Option<PendingCall>,
    next: Monotonic,
}

impl Elector {
    /// A candidate that knows nothing yet. `me` must not be the name of any other process, an earlier one
    /// of ours included.
    #[must_use]
    pub fn new(me: Holder, times: LeaseTimes, now: Monotonic) -> Self {
        Self {
            me,
            times,
            leadership: Leadership::Standby,
            releasing: false,
            given_up: None,
            known: KnownLease::Nothing,
            heeded: None,
            sent: None,
            next: now,
        }
    }

    /// What to do now. `wall`: the time of day, for the record alone.
    pub fn tick(&mut self, now: Monotonic, wall: Timestamp) -> Step {
        self.expire(now);
        match self.leadership {
            Leadership::Lost => return Step::Lost,
            Leadership::Released => return Step::Released,
            Leadership::Standby | Leadership::Leading { .. } => {}
        }
        // Its answer comes, or its timeout.
        if let Some(sent) = &self.sent {
            return Step::Sleep(sent.at + self.patience(sent.at));
        }
        if now < self.next {
            return Step::Sleep(self.next);
        }
        let call = self.call(now, wall);
        self.sent = Some(PendingCall {
            at: now,
            call: call.clone(),
        });
        Step::Call(call, self.patience(now))
    }

    /// What came of the call that [`Elector::tick`] asked for.
    pub fn answer(&mut self, now: Monotonic, answer: Answer) {
        let Some(sent) = self.sent.take() else { return };
        self.expire(now);
        if matches!(self.leadership, Leadership::Lost | Leadership::Released) {
            return;
        }
        match (sent.call, answer) {
            (Call::Read, Answer::Read(read)) => self.read(now, read),
            (Call::Create(record), Answer::Written(version)) => {
                // Somebody may have deleted the Lease of one who leads.
                self.written(sent.at, now, record, version, now + self.times.duration);
            }
            (Call::Update(record, version), Answer::Written(new)) => {
                let writes_from = self.takes_over(now, version);
                self.written(sent.at, now, record, new, writes_from);
            }
            (Call::Read, _) => self.next = now + self.times.look(),
            // Whatever was known of it is not so.
            (Call::Create(_) | Call::Update(..), Answer::Conflict) => {
                self.known = KnownLease::Nothing;
                self.next = now;
            }
            (Call::Create(_) | Call::Update(..), _) => {
                self.known = KnownLease::Nothing;
                self.next = now + self.times.look();
            }
        }
    }

    /// Whether a write may be sent now that is given up after `write_timeout`.
    #[must_use]
    pub fn may_write(&self, now: Monotonic, write_timeout: Duration) -> bool {
        self.write_time(now).is_some_and(|left| write_timeout <= left)
    }

    /// How long a write may be waited for that is sent now, and how long the API server may take for it.
    /// `None`: none may be sent.
    #[must_use]
    pub fn write_time(&self, now: Monotonic) -> Option<Duration> {
        let Leadership::Leading { renewed, writes_from } = self.leadership else {
            return None;
        };
        if self.releasing || now < writes_from || now.since(renewed) >= self.times.deadline {
            return None;
        }
        let left = self.times.usable().checked_sub(now.since(renewed))? / WRITE_PARTS;
        (!left.is_zero()).then_some(left)
    }

    /// Whether the lease is ours, even if it is too early to write.
    #[must_use]
    pub fn leads(&self) -> bool {
        matches!(self.leadership, Leadership::Leading { .. })
    }

    /// From when on we may write, if we lead.
    #[must_use]
    pub fn writes_from(&self) -> Option<Monotonic> {
        match self.leadership {
            Leadership::Leading { writes_from, .. } => Some(writes_from),
            Leadership::Standby | Leadership::Lost | Leadership::Released => None,
        }
    }

    /// Who holds it, as far as is known.
    #[must_use]
    pub fn holder(&self) -> Option<&Holder> {
        match &self.known {
            KnownLease::Seen(seen) => seen.record.holder.as_ref(),
            KnownLease::Nothing | KnownLease::Missing => None,
        }
    }

    /// A write of ours was given up: the API server may be carrying it out still.
    pub fn write_given_up(&mut self, now: Monotonic) {
        self.given_up = Some(now);
    }

    /// Gives it up: from now on nothing may be written, and no write of ours may be waited for.
    ///
    /// Whoever takes a released lease writes at once. So it is left to expire where a write of ours was
    /// given up a moment ago, or one of the holder before us may not be over yet.
    pub fn release(&mut self, now: Monotonic) {
        self.releasing = true;
        self.next = self.next.min(now);
        let in_doubt = self.given_up.is_some_and(|at| now.since(at) < self.times.write)
            || self.writes_from().is_none_or(|from| now < from);
        if in_doubt && self.leadership != Leadership::Lost {
            self.leadership = Leadership::Released;
        }
    }

    fn expire(&mut self, now: Monotonic) {
        if let Leadership::Leading { renewed, .. } = self.leadership
            && now.since(renewed) >= self.times.deadline
        {
            self.leadership = Leadership::Lost;
        }
    }

    /// How long to wait for an answer: a leader has time for a second try.
    fn patience(&self, sent: Monotonic) -> Duration {
        let half = self.times.deadline / 2;
        match self.leadership {
            Leadership::Leading { renewed, .. } => half.min(self.times.deadline.saturating_sub(sent.since(renewed))),
            Leadership::Standby | Leadership::Lost | Leadership::Released => half,
        }
    }

    fn call(&self, now: Monotonic, wall: Timestamp) -> Call {
        match &self.known {
            KnownLease::Missing => Call::Create(self.record(None, wall)),
            KnownLease::Seen(seen) if self.is_mine(seen) || self.is_free(seen, now) => {
                Call::Update(self.record(Some(&seen.record), wall), seen.version)
            }
            KnownLease::Nothing | KnownLease::Seen(_) => Call::Read,
        }
    }

    fn is_mine(&self, seen: &SeenRecord) -> bool {
        seen.record.holder.as_ref() == Some(&self.me)
    }

    /// Whether it can be taken.
    fn is_free(&self, seen: &SeenRecord, now: Monotonic) -> bool {
        seen.record.holder.is_none() || now >= self.heeded_until(seen)
    }

    /// A holder counts with what it says itself: another one's flags may be other ones.
    fn heeded_until(&self, seen: &SeenRecord) -> Monotonic {
        let duration = seen.record.duration.unwrap_or_default();
        seen.at + duration.max(self.times.duration)
    }

    fn record(&self, before: Option<&Record>, wall: Timestamp) -> Record {
        let mine = before.filter(|record| record.holder.as_ref() == Some(&self.me));
        let transitions = before.map_or(0, |record| record.transitions);
        Record {
            holder: (!self.releasing).then(|| self.me.clone()),
            duration: Some(self.times.duration),
            acquired: mine.and_then(|record| record.acquired).or(Some(wall)),
            renewed: Some(wall),
            transitions: if mine.is_some() || before.is_none() {
                transitions
            } else {
                transitions.saturating_add(1)
            },
        }
    }

    /// When we may write that took the record of this version.
    fn takes_over(&self, now: Monotonic, taken: Version) -> Monotonic {
        match &self.known {
            KnownLease::Seen(seen) if seen.version == taken && !self.is_mine(seen) && seen.record.holder.is_some() => {
                self.heeded_until(seen)
            }
            // Taken by a write of ours that was not answered, from whoever was seen last.
            KnownLease::Seen(seen) if seen.version == taken && self.is_mine(seen) => match &self.heeded {
                Some(heeded) if heeded.record.holder.is_none() => now,
                Some(heeded) => self.heeded_until(heeded),
                None => now + self.times.duration,
            },
            KnownLease::Seen(_) | KnownLease::Nothing | KnownLease::Missing => now,
        }
    }

    fn read(&mut self, now: Monotonic, read: Option<(Record, Version)>) {
        let leads = self.leads();
        let Some((record, version)) = read else {
            self.known = KnownLease::Missing;
            self.heeded = None;
            self.next = now;
            if leads {
                self.leadership = Leadership::Lost;
            }
            return;
        };
        let mine = record.holder.as_ref() == Some(&self.me);
        let at = match &self.heeded {
            Some(known) if known.version == version => known.at,
            _ => now,
        };
        let seen = SeenRecord { record, version, at };
        if !mine {
            self.heeded = Some(seen.clone());
        }
        self.next = if mine || self.is_free(&seen, now) {
            now
        } else {
            self.heeded_until(&seen).min(now + self.times.look())
        };
        self.known = KnownLease::Seen(seen);
        if !mine && leads {
            self.leadership = Leadership::Lost;
        }
    }

    fn written(&mut self, sent: Monotonic, now: Monotonic, record: Record, version: Version, writes_from: Monotonic) {
        if record.holder.is_none() {
            self.leadership = Leadership::Released;
            return;
        }
        let writes_from = match self.leadership {
            Leadership::Leading { writes_from, .. } => writes_from,
            Leadership::Standby | Leadership::Lost | Leadership::Released => writes_from,
        };
        self.leadership = Leadership::Leading {
            renewed: sent,
            writes_from,
        };
        self.known = KnownLease::Seen(SeenRecord {
            record,
            version,
            at: now,
        });
        self.next = if self.releasing { now } else { sent + self.times.retry };
        self.expire(now);
    }
}
