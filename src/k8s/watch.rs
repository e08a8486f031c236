//! One watch that never gives up: streaming list where the server has it, pages where not.
//!
//! kube's watcher resumes where it was and lists again after a 410. What it leaves to us: the switch
//! to paged lists on servers without streaming lists, and an event that could not be decoded, which
//! it drops although the store is then no longer what the cluster is.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use kube::runtime::watcher::{self, Config, Event};
use kube::runtime::{WatchStreamExt as _, watcher as start};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::error::ApiError;
use super::pulse::Pulses;

#[cfg(test)]
mod tests;

/// A page is held in memory as a whole: ten `ConfigMap`s of 1 MiB are 10 MiB.
const PAGE: u32 = 10;

/// The server closes a watch after this; plus 5 s without a sign of life, it is opened anew.
const WATCH_SECONDS: u32 = 290;

/// How long to wait before listing again after an event that could not be decoded.
const RELIST_PAUSE: Duration = Duration::from_secs(5);

/// How long to wait after an error: short enough to be back soon after the API server is.
const MIN_BACKOFF: Duration = Duration::from_millis(200);
const MAX_BACKOFF: Duration = Duration::from_secs(10);

/// What a watch saw.
#[derive(Debug)]
pub enum Seen<K> {
    /// A list begins: what it does not name by its end is gone.
    ListStart,
    /// One object of the list.
    Listed(K),
    /// The list is complete.
    ListEnd,
    /// One object came or changed.
    Changed(K),
    /// One object went.
    Gone(K),
    /// The watch has to be opened or the list made again; it goes on by itself.
    Trouble(Trouble),
}

/// Why a watch had to start over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The right to list or watch is missing.
    Forbidden(String),
    /// The server knows no such kind.
    NotServed,
    /// The server has forgotten our place: 410.
    Expired,
    /// The server knows no streaming lists.
    NoStreamingLists,
    /// An event could not be decoded.
    Undecodable,
    /// The server could not be reached, was overloaded, or closed the watch with an error.
    Interrupted(String),
}

/// For how long a server knows a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Served {
    /// For ever: a 404 is the word of somebody in between, or of a server that has just started.
    #[default]
    Always,
    /// While there is a definition of it.
    ByDefinition,
}

/// How the list is made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Listing {
    Streaming,
    Paged,
}

/// What to do after an error.
#[derive(Debug, PartialEq, Eq)]
enum After {
    Continue,
    Paged,
    Relist,
    End,
}

/// What is watched of a kind, and when to begin anew.
#[derive(Clone, Debug, Default)]
pub struct Watching {
    /// A field selector.
    pub fields: Option<String>,
    /// A label selector.
    pub labels: Option<String>,
    /// Makes the list again when it is told to.
    pub relist: Option<Arc<Notify>>,
    /// For how long there is something to watch.
    pub served: Served,
    /// Where it is noted that it is to be open, under this resource.
    pub pulse: Option<(Pulses, &'static str)>,
}

impl Watching {
    fn config(&self, listing: Listing) -> Config {
        let mut config = match listing {
            Listing::Streaming => Config::default().streaming_lists(),
            Listing::Paged => Config::default().page_size(PAGE),
        };
        if let Some(fields) = &self.fields {
            config = config.fields(fields);
        }
        if let Some(labels) = &self.labels {
            config = config.labels(labels);
        }
        config.timeout(WATCH_SECONDS)
    }

    async fn told_to_relist(&self) {
        match &self.relist {
            Some(relist) => relist.notified().await,
            None => std::future::pending().await,
        }
    }
}

/// Watches and hands over what is seen, in order. Ends when the server does not know a kind that is served by
/// its definition, else only when dropped.
pub async fn follow<K>(api: Api<K>, watching: Watching, mut sink: impl FnMut(Seen<K>))
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let pulse = watching.pulse.as_ref();
    let _watched = pulse.map(|(pulses, resource)| pulses.begin(resource, api.resource_url()));
    let mut listing = Listing::Streaming;
    let mut worked = Worked::default();
    loop {
        let config = watching.config(listing);
        let mut stream = std::pin::pin!(start(api.clone(), config).backoff(Backoff::default()));
        let mut listed = false;
        loop {
            worked.let_others_go_first().await;
            let event = tokio::select! {
                event = stream.next() => event,
                () = watching.told_to_relist() => break,
            };
            let Some(event) = event else { break };
            worked.begins();
            match event {
                Ok(Event::Init) => sink(Seen::ListStart),
                Ok(Event::InitApply(object)) => sink(Seen::Listed(object)),
                Ok(Event::InitDone) => {
                    listed = true;
                    sink(Seen::ListEnd);
                }
                Ok(Event::Apply(object)) => sink(Seen::Changed(object)),
                Ok(Event::Delete(object)) => sink(Seen::Gone(object)),
                Err(error) => {
                    let (trouble, after) = judge(&error, listing, listed, watching.served);
                    sink(Seen::Trouble(trouble));
                    match after {
                        After::Continue => {}
                        After::Paged => {
                            listing = Listing::Paged;
                            break;
                        }
                        After::Relist => {
                            tokio::time::sleep(RELIST_PAUSE).await;
                            break;
                        }
                        After::End => return,
                    }
                }
            }
        }
    }
}

/// How long events have been handled without a pause. A stream that always has one more would keep the thread
/// from everything else, probes and the lease included.
#[derive(Default)]
struct Worked {
    since: Option<Instant>,
}

/// As long as a probe does not notice.
const AT_A_TIME: Duration = Duration::from_millis(5);

impl Worked {
    fn begins(&mut self) {
        self.since.get_or_insert_with(Instant::now);
    }

    async fn let_others_go_first(&mut self) {
        if self.since.is_some_and(|since| since.elapsed() > AT_A_TIME) {
            self.since = None;
            tokio::task::yield_now().await;
        }
    }
}

fn judge(error: &watcher::Error, listing: Listing, listed: bool, served: Served) -> (Trouble, After) {
    use watcher::Error;
    let of_kube = |error: &kube::Error, starting: bool| match error {
        kube::Error::Api(status) if status.code == 410 => (Trouble::Expired, After::Continue),
        kube::Error::Api(status) if status.code == 404 && served == Served::ByDefinition => {
            (Trouble::NotServed, After::End)
        }
        // 400 and 422: before 1.34, or with the feature switched off, the server refuses the parameters.
        kube::Error::Api(status)
            if starting && listing == Listing::Streaming && !listed && matches!(status.code, 400 | 422) =>
        {
            (Trouble::NoStreamingLists, After::Paged)
        }
        kube::Error::SerdeError(_) => (Trouble::Undecodable, After::Relist),
        // What kube cannot decode as an event it tries as a Status, whose fields are all optional:
        // one without a code is no answer of the API server's.
        kube::Error::Api(status) if status.code == 0 => (Trouble::Undecodable, After::Relist),
        other => match ApiError::of(other) {
            ApiError::Forbidden(message) => (Trouble::Forbidden(message), After::Continue),
            error => (Trouble::Interrupted(error.to_string()), After::Continue),
        },
    };
    match error {
        Error::WatchStartFailed(error) => of_kube(error, true),
        Error::InitialListFailed(error) | Error::WatchFailed(error) => of_kube(error, false),
        Error::WatchError(status) if status.code == 410 => (Trouble::Expired, After::Continue),
        Error::WatchError(status) => (
            Trouble::Interrupted(status.message.chars().take(200).collect()),
            After::Continue,
        ),
        Error::NoResourceVersion => (Trouble::Undecodable, After::Relist),
    }
}

/// Doubles from [`MIN_BACKOFF`] to [`MAX_BACKOFF`]; kube resets it with the next event.
struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(MIN_BACKOFF)
    }
}

impl Iterator for Backoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let now = self.0;
        self.0 = (now * 2).min(MAX_BACKOFF);
        Some(now)
    }
}

impl kube::runtime::utils::Backoff for Backoff {
    fn reset(&mut self) {
        *self = Self::default();
    }
}
