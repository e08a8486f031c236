//! One watch that never gives up: streaming list where the server has it, pages where not.
//!
//! Each request has an end: one that is not answered in time is given up and sent again. What fails is sent
//! again after a pause that grows, and shrinks again only after a list was complete and nothing has failed for a
//! while: a server that is overloaded must not be asked more often because it fails.

use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use kube::api::{ListParams, WatchParams};
use kube::core::{Status, WatchEvent};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::error::ApiError;
use super::pulse::Pulses;

mod pauses;
#[cfg(test)]
mod tests;

use pauses::{Pauses, RELIST_PAUSE};

/// A page is held in memory as a whole: ten `ConfigMap`s of 1 MiB are 10 MiB.
const PAGE: u32 = 10;

/// The server closes a watch after this.
const WATCH_SECONDS: u32 = 290;

/// A watch that brings nothing for longer is opened anew: the server should have closed it.
const WATCH_SILENCE: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 5);

/// How long to wait for the head of the answer to a watch. The API server lets it wait for its turn for 15 s at
/// most.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long to wait for one page. The API server itself gives up after a minute.
const PAGE_TIMEOUT: Duration = Duration::from_secs(65);

/// How long a streaming list may bring nothing.
const LIST_SILENCE: Duration = Duration::from_mins(1);

/// A watch that ends before is not opened again at once.
const SHORT_WATCH: Duration = Duration::from_secs(1);

/// The bookmark at the end of a streaming list has this annotation.
const END_OF_LIST: &str = "k8s.io/initial-events-end";

/// The longest text of the API server's that is passed on.
const MESSAGE_CHARS: usize = 200;

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
    /// The server could not be reached, did not answer in time, was overloaded, or closed the watch with an error.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listing {
    Streaming,
    Paged,
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
    fn watch_params(&self, with_list: bool) -> WatchParams {
        WatchParams {
            label_selector: self.labels.clone(),
            field_selector: self.fields.clone(),
            timeout: Some(WATCH_SECONDS),
            bookmarks: true,
            send_initial_events: with_list,
        }
    }

    fn list_params(&self, next: Option<String>) -> ListParams {
        ListParams {
            label_selector: self.labels.clone(),
            field_selector: self.fields.clone(),
            limit: Some(PAGE),
            continue_token: next,
            ..ListParams::default()
        }
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
pub async fn follow<K>(api: Api<K>, watching: Watching, sink: impl FnMut(Seen<K>))
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let pulse = watching.pulse.as_ref();
    let _watched = pulse.map(|(pulses, resource)| pulses.begin(resource, api.resource_url()));
    let mut follower = Follower {
        api,
        watching: &watching,
        sink,
        listing: Listing::Streaming,
        streaming_refused: false,
        pauses: Pauses::default(),
        worked: Worked::default(),
    };
    loop {
        let ended = tokio::select! {
            // First: what a list brings that began before is not what is asked for now.
            biased;
            () = watching.told_to_relist() => continue,
            ended = follower.list_and_watch() => ended,
        };
        if let Ended::NotServed = ended {
            return;
        }
    }
}

type Events<K> = Pin<Box<dyn Stream<Item = kube::Result<WatchEvent<K>>> + Send>>;

/// What went wrong with a list or a watch.
#[derive(Debug)]
enum Failure {
    /// The request was not sent, or refused.
    Refused(kube::Error),
    /// The answer to it broke off.
    Broken(kube::Error),
    /// The answer to it ended with an event that says so.
    Event(Box<Status>),
    /// There was no answer in time.
    NoAnswer(Duration),
    /// The answer brought nothing for too long.
    Silence(Duration),
    /// A streaming list ended in the middle.
    Incomplete,
    /// A watch was closed as soon as it was open.
    ClosedAtOnce,
    /// An object or a list without a version.
    NoVersion,
}

impl Failure {
    fn status(&self) -> Option<&Status> {
        match self {
            Self::Event(status) | Self::Refused(kube::Error::Api(status)) | Self::Broken(kube::Error::Api(status)) => {
                Some(status)
            }
            _ => None,
        }
    }

    /// When the server wants to be asked again.
    fn not_before(&self) -> Duration {
        let details = self.status().and_then(|status| status.details.as_ref());
        Duration::from_secs(details.map_or(0, |details| details.retry_after_seconds.into()))
    }

    fn trouble(&self, served: Served) -> Trouble {
        let code = self.status().map(|status| status.code);
        match self {
            _ if code == Some(410) => Trouble::Expired,
            Self::Refused(_) | Self::Broken(_) if code == Some(404) && served == Served::ByDefinition => {
                Trouble::NotServed
            }
            Self::Refused(kube::Error::SerdeError(_)) | Self::Broken(kube::Error::SerdeError(_)) | Self::NoVersion => {
                Trouble::Undecodable
            }
            // What kube cannot decode as an event it tries as a Status, whose fields are all optional:
            // one without a code is no answer of the API server's.
            Self::Refused(_) | Self::Broken(_) if code == Some(0) => Trouble::Undecodable,
            Self::Refused(error) | Self::Broken(error) => match ApiError::of(error) {
                ApiError::Forbidden(message) => Trouble::Forbidden(message),
                error => Trouble::Interrupted(error.to_string()),
            },
            Self::Event(status) => Trouble::Interrupted(status.message.chars().take(MESSAGE_CHARS).collect()),
            Self::NoAnswer(after) => Trouble::Interrupted(format!("no answer within {} s", after.as_secs())),
            Self::Silence(after) => {
                Trouble::Interrupted(format!("the answer brought nothing for {} s", after.as_secs()))
            }
            Self::Incomplete => Trouble::Interrupted("the list ended in the middle".into()),
            Self::ClosedAtOnce => Trouble::Interrupted("the watch was closed as soon as it was open".into()),
        }
    }
}

/// How a list and what came after it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// It has to be made again.
    ListAgain,
    /// The server does not know the kind.
    NotServed,
}

struct Follower<'a, K, S> {
    api: Api<K>,
    watching: &'a Watching,
    sink: S,
    listing: Listing,
    /// The server has said that it knows none.
    streaming_refused: bool,
    pauses: Pauses,
    worked: Worked,
}

impl<K, S> Follower<'_, K, S>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    S: FnMut(Seen<K>),
{
    /// Lists, and watches from there for as long as the server remembers the place.
    async fn list_and_watch(&mut self) -> Ended {
        self.pauses.begin_list();
        self.pauses.wait().await;
        let listed = match self.listing {
            Listing::Streaming => self.stream_list().await,
            Listing::Paged => self.list_pages().await.map(|version| (version, None)),
        };
        let (mut version, mut events) = match listed {
            Ok(listed) => listed,
            Err(failure) => return self.list_failed(&failure),
        };
        self.pauses.listed();
        loop {
            let outcome = match events.take() {
                Some(events) => self.take_events(events, &mut version, true).await,
                None => self.watch(&mut version).await,
            };
            let Err(failure) = outcome else { continue };
            let trouble = failure.trouble(self.watching.served);
            let again = match trouble {
                Trouble::Expired | Trouble::Undecodable => Some(Ended::ListAgain),
                Trouble::NotServed => Some(Ended::NotServed),
                Trouble::Forbidden(_) | Trouble::NoStreamingLists | Trouble::Interrupted(_) => None,
            };
            self.failed(&failure, trouble);
            if let Some(ended) = again {
                return ended;
            }
        }
    }

    fn list_failed(&mut self, failure: &Failure) -> Ended {
        let code = failure.status().map(|status| status.code);
        let trouble = failure.trouble(self.watching.served);
        match (self.listing, failure) {
            // Before 1.34, or with the feature switched off, the server refuses the parameters.
            (Listing::Streaming, Failure::Refused(_)) if matches!(code, Some(400 | 422)) => {
                self.streaming_refused = true;
                self.listing = Listing::Paged;
                (self.sink)(Seen::Trouble(Trouble::NoStreamingLists));
                return Ended::ListAgain;
            }
            (Listing::Streaming, Failure::Refused(_) | Failure::NoAnswer(_)) => {}
            // It has begun and came to no end, as with an etcd that cannot tell its progress.
            (Listing::Streaming, _) => self.listing = Listing::Paged,
            (Listing::Paged, _) if !self.streaming_refused => self.listing = Listing::Streaming,
            (Listing::Paged, _) => {}
        }
        let ended = if trouble == Trouble::NotServed {
            Ended::NotServed
        } else {
            Ended::ListAgain
        };
        self.failed(failure, trouble);
        ended
    }

    fn failed(&mut self, failure: &Failure, trouble: Trouble) {
        let least = match trouble {
            Trouble::Undecodable => RELIST_PAUSE,
            _ => Duration::ZERO,
        };
        self.pauses.failed(least.max(failure.not_before()));
        (self.sink)(Seen::Trouble(trouble));
    }

    /// Gives the version that the list is of, and what comes after it.
    async fn stream_list(&mut self) -> Result<(String, Option<Events<K>>), Failure> {
        let params = self.watching.watch_params(true);
        let mut events = self.open(&params, "0").await?;
        (self.sink)(Seen::ListStart);
        loop {
            self.worked.let_others_go_first().await;
            let event = next(&mut events, LIST_SILENCE).await?.ok_or(Failure::Incomplete)?;
            self.worked.begins();
            match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => (self.sink)(Seen::Listed(object)),
                WatchEvent::Bookmark(bookmark) if bookmark.metadata.annotations.contains_key(END_OF_LIST) => {
                    (self.sink)(Seen::ListEnd);
                    return Ok((bookmark.metadata.resource_version, Some(events)));
                }
                // Before the end no object goes: <https://kubernetes.io/docs/reference/using-api/api-concepts/#streaming-lists>.
                WatchEvent::Deleted(_) | WatchEvent::Bookmark(_) => {}
                WatchEvent::Error(status) => return Err(Failure::Event(status)),
            }
        }
    }

    /// Gives the version that the list is of.
    async fn list_pages(&mut self) -> Result<String, Failure> {
        let mut begun = false;
        let mut next = None;
        loop {
            let params = self.watching.list_params(next);
            let page = tokio::time::timeout(PAGE_TIMEOUT, self.api.list(&params)).await;
            let page = page
                .map_err(|_| Failure::NoAnswer(PAGE_TIMEOUT))?
                .map_err(Failure::Refused)?;
            if !std::mem::replace(&mut begun, true) {
                (self.sink)(Seen::ListStart);
            }
            for object in page.items {
                (self.sink)(Seen::Listed(object));
            }
            next = page.metadata.continue_.filter(|token| !token.is_empty());
            if next.is_none() {
                let version = page.metadata.resource_version.filter(|version| !version.is_empty());
                let version = version.ok_or(Failure::NoVersion)?;
                (self.sink)(Seen::ListEnd);
                return Ok(version);
            }
        }
    }

    async fn open(&self, params: &WatchParams, version: &str) -> Result<Events<K>, Failure> {
        let opened = tokio::time::timeout(HEAD_TIMEOUT, self.api.watch(params, version)).await;
        let events = opened
            .map_err(|_| Failure::NoAnswer(HEAD_TIMEOUT))?
            .map_err(Failure::Refused)?;
        Ok(events.boxed())
    }

    /// Watches from a version on, until the server closes the watch.
    async fn watch(&mut self, version: &mut String) -> Result<(), Failure> {
        self.pauses.wait().await;
        let params = self.watching.watch_params(false);
        let events = self.open(&params, version).await?;
        self.take_events(events, version, false).await
    }

    async fn take_events(
        &mut self,
        mut events: Events<K>,
        version: &mut String,
        mut brought: bool,
    ) -> Result<(), Failure> {
        let opened = Instant::now();
        while let Some(event) = {
            self.worked.let_others_go_first().await;
            next(&mut events, WATCH_SILENCE).await?
        } {
            self.worked.begins();
            brought = true;
            match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    *version = version_of(&object)?;
                    (self.sink)(Seen::Changed(object));
                }
                WatchEvent::Deleted(object) => {
                    *version = version_of(&object)?;
                    (self.sink)(Seen::Gone(object));
                }
                WatchEvent::Bookmark(bookmark) => *version = bookmark.metadata.resource_version,
                WatchEvent::Error(status) => return Err(Failure::Event(status)),
            }
        }
        match opened.elapsed() < SHORT_WATCH {
            true if brought => self.pauses.short(),
            true => return Err(Failure::ClosedAtOnce),
            false => {}
        }
        Ok(())
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

/// The next event; `None`: the server has closed the watch.
async fn next<K>(events: &mut Events<K>, silence: Duration) -> Result<Option<WatchEvent<K>>, Failure> {
    let event = tokio::time::timeout(silence, events.next()).await;
    let event = event.map_err(|_| Failure::Silence(silence))?;
    event.transpose().map_err(Failure::Broken)
}

fn version_of(object: &impl Resource) -> Result<String, Failure> {
    let version = object.meta().resource_version.clone();
    version.filter(|version| !version.is_empty()).ok_or(Failure::NoVersion)
}
