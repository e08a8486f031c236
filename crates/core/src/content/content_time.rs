//! When the content of a source came to be what it is, as far as that can be told.
//!
//! The times in `managedFields` are a lower bound only. The API server moves a manager's time for
//! fields that the manager takes, and a removed key is taken by nobody: the time stays, or goes back
//! where the remover owned nothing else. So each source has two times: the one that its managed fields
//! give, and one that it cannot have changed after, because its content was seen then.

use std::num::NonZeroU32;

use crate::types::time::Second;

#[cfg(test)]
mod tests;

/// Seconds since 1970 in four bytes: there is one of these for each source of a cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Stamp(Option<NonZeroU32>);

impl Stamp {
    fn get(self) -> Option<Second> {
        self.0.map(|seconds| Second::new(i64::from(seconds.get())))
    }
}

impl From<Option<Second>> for Stamp {
    fn from(at: Option<Second>) -> Self {
        // What does not fit is no time at which a cluster was written to.
        Self(at.and_then(|at| NonZeroU32::new(u32::try_from(at.unix()).ok()?)))
    }
}

/// When the content of a source came to be what it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContentTime {
    /// The latest time of a manager of content.
    content: Stamp,
    /// The latest time of any manager.
    any: Stamp,
    /// The best estimate.
    at: Stamp,
    /// Not later than this.
    by: Stamp,
}

impl ContentTime {
    /// What managed fields say: the latest time of a manager of content, and of any manager.
    #[must_use]
    pub fn recorded(content: Option<Second>, any: Option<Second>) -> Self {
        Self {
            content: content.into(),
            any: any.into(),
            at: content.into(),
            by: Stamp::default(),
        }
    }

    /// It was found with this content by `now`.
    #[must_use]
    pub fn found(self, now: Second) -> Self {
        Self {
            by: Stamp::from(Some(now)).max(self.at),
            ..self
        }
    }

    /// It was seen to be created with this content.
    #[must_use]
    pub fn created(self, now: Second) -> Self {
        let at = if self.content.0.is_some() {
            self.content
        } else {
            Some(now).into()
        };
        Self { at, by: at, ..self }
    }

    /// It was seen to change to this content. That write moved the time, or it removed keys and happened
    /// by `now`.
    #[must_use]
    pub fn changed(self, before: Self, now: Second) -> Self {
        if self.content > before.content {
            Self {
                at: self.content,
                by: self.content,
                ..self
            }
        } else {
            self.unknown(now)
        }
    }

    /// Its content was written at an unknown time, by `now`.
    #[must_use]
    pub fn unknown(self, now: Second) -> Self {
        let at = Stamp::from(Some(now)).max(self.content);
        Self { at, by: at, ..self }
    }

    /// It was seen to be written with the content that it had before.
    #[must_use]
    pub fn kept(self, before: Self) -> Self {
        Self {
            at: before.at,
            by: before.by,
            ..self
        }
    }

    /// It was found with the content that it had before, and may have held something else in between.
    #[must_use]
    pub fn kept_unseen(self, before: Self, now: Second) -> Self {
        let at = if self.content > before.content {
            self.content
        } else {
            before.at
        };
        Self { at, ..self }.found(now)
    }

    /// It was found with other content than before; `removed`: some of the keys are gone.
    #[must_use]
    pub fn changed_unseen(self, before: Self, removed: bool, now: Second) -> Self {
        if removed || self.content <= before.content {
            self.unknown(now)
        } else {
            self.found(now)
        }
    }

    /// The best estimate. Too early by any length where keys were removed and [`Self::is_exact`] is false.
    /// `None`: nobody left a trace.
    #[must_use]
    pub fn at(self) -> Option<Second> {
        self.at.get()
    }

    /// What its managed fields say.
    #[must_use]
    pub fn recorded_at(self) -> Option<Second> {
        self.content.get()
    }

    /// A time after which the content did not change.
    #[must_use]
    pub fn by(self) -> Option<Second> {
        self.by.get()
    }

    /// Whether the estimate is known not to be too early.
    #[must_use]
    pub fn is_exact(self) -> bool {
        self.at == self.by && self.at.0.is_some()
    }

    /// Whether some manager took a field, content or not, at that time or later.
    #[must_use]
    pub fn touched_since(self, since: Second) -> bool {
        self.any.max(self.content).get().is_some_and(|any| any >= since)
    }
}
