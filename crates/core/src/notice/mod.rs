//! What people who are not looking are told of: a restart, trouble, and that it is over.
//!
//! The facts are those of the Events; here is which of them are worth a message, and how many of them one
//! interval may have.

pub mod event;
pub mod event_limit;
pub mod event_queue;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::reason::{Notify, Reason, State};
use crate::types::name::{Uid, WorkloadRef};
use crate::types::text::one_line;

mod batcher;
#[cfg(test)]
mod tests;

pub use super::reason::NoticeKind;
pub use batcher::{Batch, BatchResult, Batcher, Counts};

/// The longest sentence that is told, in bytes: twenty of them, escaped, fit into a message of Teams, which
/// may have 28 KiB.
pub const NOTE_BYTES: usize = 300;

/// Those that a recovery ends.
const TROUBLE: [NoticeKind; 3] = [NoticeKind::Failed, NoticeKind::Halted, NoticeKind::Held];

impl NoticeKind {
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// What trouble a state is, if it is any.
    #[must_use]
    pub fn for_condition(state: State, reason: Reason) -> Option<Self> {
        match (state, reason.meaning().notify) {
            (State::Held | State::Failed, Notify::As(kind)) => Some(kind),
            (State::Held | State::Failed, Notify::Nobody)
            | (
                State::Current
                | State::Settling
                | State::Pending
                | State::Rolling
                | State::Propagating
                | State::Observed,
                _,
            ) => None,
        }
    }
}

/// Which occasions are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoticeKinds([bool; NoticeKind::ALL.len()]);

impl NoticeKinds {
    /// Those that are named. `None`: that makes no sense, since a recovery is told only of trouble that was.
    #[must_use]
    pub fn new(named: &[NoticeKind]) -> Option<Self> {
        let chosen = Self(NoticeKind::ALL.map(|kind| named.contains(&kind)));
        let orphaned = chosen.has(NoticeKind::Recovered) && !TROUBLE.into_iter().any(|it| chosen.has(it));
        (!named.is_empty() && !orphaned).then_some(chosen)
    }

    /// Whether it is told.
    #[must_use]
    pub fn has(self, kind: NoticeKind) -> bool {
        NoticeKind::ALL
            .iter()
            .zip(self.0)
            .any(|(it, chosen)| *it == kind && chosen)
    }
}

/// One thing to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The same for the same occasion, whoever tells it and how often.
    pub id: String,
    pub kind: NoticeKind,
    pub workload: WorkloadRef,
    pub uid: Uid,
    /// Where it stands.
    pub state: State,
    pub reason: Reason,
    /// The sentence, on one line. Names only, never content.
    pub note: String,
    /// When it was found.
    pub at: Timestamp,
}

/// Where a workload stands, as the Event about it has it.
#[derive(Clone, Copy, Debug)]
pub struct WorkloadCondition<'a> {
    pub workload: &'a WorkloadRef,
    pub uid: &'a Uid,
    /// Where it stands.
    pub state: State,
    pub reason: Reason,
    /// The sentence.
    pub note: &'a str,
    /// When it was found.
    pub at: Timestamp,
}

impl WorkloadCondition<'_> {
    fn notice(&self, kind: NoticeKind, mark: &str) -> Notice {
        let mut note = one_line(self.note);
        if note.len() > NOTE_BYTES {
            note.truncate(note.floor_char_boundary(NOTE_BYTES - '…'.len_utf8()));
            note.push('…');
        }
        Notice {
            id: id(self.uid, kind, self.reason, mark),
            kind,
            workload: self.workload.clone(),
            uid: self.uid.clone(),
            state: self.state,
            reason: self.reason,
            note,
            at: self.at,
        }
    }
}

/// 128 bits over what makes it this occasion and no other.
fn id(uid: &Uid, kind: NoticeKind, reason: Reason, mark: &str) -> String {
    let mut hash = Sha256::new();
    // None of the parts can have a line break in it.
    for part in [&uid.to_string(), kind.as_str(), reason.as_str(), mark] {
        hash.update(part.as_bytes());
        hash.update(b"\n");
    }
    let digest = hash.finalize();
    let (half, _) = digest.split_at(16);
    format!(
        "{:032x}",
        half.iter().fold(0_u128, |id, byte| id << 8 | u128::from(*byte))
    )
}
