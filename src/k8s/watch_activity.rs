//! Signs of life of the watches: which ones are to be open, and when each last brought anything.
//!
//! In a quiet cluster nothing comes but the server's bookmarks, about one a minute, and kube's watcher keeps
//! these to itself. So what is noted is that bytes of an answer came, below kube.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::body::{Body, Frame, SizeHint};

#[cfg(test)]
mod tests;

/// All watches of this process. A clone is one reference count.
#[derive(Clone, Debug, Default)]
pub struct WatchActivity(Arc<Mutex<BTreeMap<String, ResourceActivity>>>);

#[derive(Debug)]
struct ResourceActivity {
    resource: &'static str,
    last: Instant,
    /// Two that differ in their selectors only have one path, and pass for one.
    watches: usize,
}

/// A watch that is to be open for as long as this lives.
#[derive(Debug)]
pub struct OpenWatch {
    pulses: WatchActivity,
    path: String,
}

impl WatchActivity {
    /// A watch begins. `path` is that of its requests, without the query.
    #[must_use]
    pub fn begin(&self, resource: &'static str, path: &str) -> OpenWatch {
        let mut pulses = self.lock();
        let pulse = pulses.entry(path.to_owned()).or_insert_with(|| ResourceActivity {
            resource,
            last: Instant::now(),
            watches: 0,
        });
        pulse.watches += 1;
        drop(pulses);
        OpenWatch {
            pulses: self.clone(),
            path: path.to_owned(),
        }
    }

    /// For how long the most silent watch of each resource has brought nothing.
    #[must_use]
    pub fn silences(&self, now: Instant) -> BTreeMap<&'static str, Duration> {
        let mut silences = BTreeMap::new();
        for pulse in self.lock().values() {
            let silence = now.saturating_duration_since(pulse.last);
            let longest = silences.entry(pulse.resource).or_insert(silence);
            *longest = silence.max(*longest);
        }
        silences
    }

    fn beat(&self, path: &str) {
        if let Some(pulse) = self.lock().get_mut(path) {
            pulse.last = Instant::now();
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, ResourceActivity>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for OpenWatch {
    fn drop(&mut self) {
        let mut pulses = self.pulses.lock();
        if let Some(pulse) = pulses.get_mut(&self.path) {
            pulse.watches -= 1;
            if pulse.watches == 0 {
                pulses.remove(&self.path);
            }
        }
    }
}

/// The body of an answer that is a sign of life for each piece of it.
pub struct ActivityBody<B> {
    body: B,
    of: Option<(WatchActivity, String)>,
}

impl<B> ActivityBody<B> {
    /// `of`: the watch, by its path; `None`: this answer is no sign of any.
    pub fn new(body: B, of: Option<(WatchActivity, String)>) -> Self {
        Self { body, of }
    }
}

impl<B: Body + Unpin> Body for ActivityBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let (Poll::Ready(Some(Ok(_))), Some((pulses, path))) = (&polled, &self.of) {
            pulses.beat(path);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
