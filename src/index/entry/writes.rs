//! What became of requests for one workload.

use std::sync::Arc;

use jiff::Timestamp;
use windlass_core::types::name::Version;

use super::WorkloadEntry;

/// Writes that are not settled. Boxed as a whole: most workloads have none.
#[derive(Default)]
pub(super) struct Writes(Option<Box<Unsettled>>);

#[derive(Default, PartialEq, Eq)]
struct Unsettled {
    /// The version that our last write led to, and until when its event is waited for.
    unseen: Option<(Version, Timestamp)>,
    /// Failed requests in a row.
    failures: u32,
    rejection: Option<Rejection>,
}

/// A write that was rejected by a right or a rule.
#[derive(PartialEq, Eq)]
struct Rejection {
    identity: String,
    /// When it may be tried again.
    until: Timestamp,
}

impl Writes {
    /// The workload was seen at this version.
    pub(super) fn note_version(&mut self, version: Version) {
        self.change(|it| it.unseen = it.unseen.filter(|unseen| version < unseen.0));
    }

    /// Whether the version that our last write led to has not been seen.
    pub(super) fn has_unseen(&self) -> bool {
        self.unseen().is_some()
    }

    fn unseen(&self) -> Option<(Version, Timestamp)> {
        self.0.as_deref()?.unseen
    }

    fn rejection(&self) -> Option<&Rejection> {
        self.0.as_deref()?.rejection.as_ref()
    }

    /// Changes what there is, if anything.
    fn change(&mut self, change: impl FnOnce(&mut Unsettled)) {
        if let Some(unsettled) = &mut self.0 {
            change(unsettled);
            if **unsettled == Unsettled::default() {
                self.0 = None;
            }
        }
    }

    fn begin(&mut self) -> &mut Unsettled {
        self.0.get_or_insert_default()
    }
}

impl WorkloadEntry {
    /// The API server took a write that led to this version; its event is waited for until then. `baseline`:
    /// the one that was written. `horizon`: the newest version among its sources.
    pub fn record_write(
        &mut self,
        version: Version,
        event_until: Timestamp,
        baseline: Option<Arc<str>>,
        horizon: Version,
    ) {
        self.note_success();
        self.writes.change(|it| it.rejection = None);
        self.mark_verified(horizon);
        if self.workload.version < version {
            self.writes.begin().unseen = Some((version, event_until));
        }
        if baseline.is_some() {
            self.last_baseline = baseline;
        }
    }

    /// Whether the workload is older here than our own last write, and its event may still come.
    #[must_use]
    pub fn is_stale_read(&self, now: Timestamp) -> bool {
        self.own_event_until().is_some_and(|until| now < until)
    }

    /// Until when the event of our own last write is waited for. `None`: it was seen.
    #[must_use]
    pub fn own_event_until(&self) -> Option<Timestamp> {
        self.writes.unseen().map(|(_, until)| until)
    }

    /// Failed requests in a row.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.writes.0.as_ref().map_or(0, |unsettled| unsettled.failures)
    }

    /// A request failed. Gives how many did in a row.
    pub fn note_failed_request(&mut self) -> u32 {
        let unsettled = self.writes.begin();
        unsettled.failures = unsettled.failures.saturating_add(1);
        unsettled.failures
    }

    /// No request failed this time.
    pub fn note_success(&mut self) {
        self.writes.change(|it| it.failures = 0);
    }

    /// A write was rejected by a right or a rule: until then the same one is not tried again. `identity` tells
    /// it from others.
    pub fn note_rejection(&mut self, identity: String, until: Timestamp) {
        self.note_failed_request();
        self.writes.begin().rejection = Some(Rejection { identity, until });
    }

    /// Whether this very write was rejected a moment ago.
    #[must_use]
    pub fn is_rejected(&self, identity: &str, now: Timestamp) -> bool {
        let rejection = self.writes.rejection();
        rejection.is_some_and(|rejection| rejection.identity == identity && now < rejection.until)
    }

    /// When the write that was rejected last may be tried again.
    #[must_use]
    pub fn rejected_until(&self) -> Option<Timestamp> {
        self.writes.rejection().map(|rejection| rejection.until)
    }
}
