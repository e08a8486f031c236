//! How many Events an object and a namespace may have: token buckets.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::types::time::Moment;

#[cfg(test)]
mod tests;

/// One token bucket for each key. A key without one has a full bucket, so that only keys are kept whose bucket
/// is being filled, and of these no more than the capacity.
#[derive(Debug)]
pub struct TokenBuckets<K> {
    burst: i32,
    interval: SignedDuration,
    capacity: usize,
    /// When the bucket is full again. An ordered map, because a hash table keeps up to three times the room.
    full_at: BTreeMap<K, Moment>,
    /// Until when a key without a bucket may be one whose bucket was removed for want of room.
    uncertain_until: Timestamp,
}

impl<K: Clone + Ord> TokenBuckets<K> {
    /// Buckets that hold `burst` tokens and get one each `interval`; `capacity` of them at most are kept.
    #[must_use]
    pub fn new(burst: i32, interval: SignedDuration, capacity: usize) -> Self {
        Self {
            burst,
            interval,
            capacity,
            full_at: BTreeMap::new(),
            uncertain_until: Timestamp::MIN,
        }
    }

    /// When the key's bucket has a token: now or later.
    #[must_use]
    pub fn available_at(&self, key: &K, now: Timestamp) -> Timestamp {
        let Some(full_at) = self.full_at(key) else {
            return now;
        };
        // It has one as long as no more than all but one are missing.
        let missing = self.interval.saturating_mul(self.burst.saturating_sub(1));
        full_at.saturating_sub(missing).unwrap_or(now).max(now)
    }

    /// Whether the key's bucket is certainly full: none of its tokens was taken lately.
    #[must_use]
    pub fn is_full(&self, key: &K, now: Timestamp) -> bool {
        self.full_at(key).unwrap_or(self.uncertain_until).le(&now)
    }

    /// Takes a token; the caller has made sure that there is one.
    pub fn take(&mut self, key: &K, now: Timestamp) {
        let full_at = self.full_at(key).unwrap_or(now).max(now);
        let full_at = full_at.saturating_add(self.interval).unwrap_or(Timestamp::MAX);
        if let Some(known) = self.full_at.get_mut(key) {
            *known = full_at.into();
            return;
        }
        self.make_room(now);
        self.full_at.insert(key.clone(), full_at.into());
    }

    fn full_at(&self, key: &K) -> Option<Timestamp> {
        self.full_at.get(key).map(|full_at| full_at.timestamp())
    }

    /// Removes what is full, and if nothing is, the fullest.
    fn make_room(&mut self, now: Timestamp) {
        if self.full_at.len() < self.capacity {
            return;
        }
        self.full_at.retain(|_, full_at| full_at.timestamp() > now);
        if self.full_at.len() < self.capacity {
            return;
        }
        let fullest = self.full_at.iter().min_by_key(|(_, full_at)| **full_at);
        if let Some((key, full_at)) = fullest.map(|(key, full_at)| (key.clone(), *full_at)) {
            self.full_at.remove(&key);
            self.uncertain_until = self.uncertain_until.max(full_at.timestamp());
        }
    }
}
