//! One watch that never gives up: streaming list where the server has it, pages where not.
//!
//! kube's watcher lists, watches, goes on where it was, and opens a watch anew that the server closes. Two things
//! are left to us. It sends each request as soon as the last one has ended, and waits for answers without limit:
//! see `requests`. And it gives every error and then tries the same again: here it is decided whether that can
//! help, or whether the list has to be made again, by pages instead of as a stream or the other way round.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use kube::api::ApiResource;
use kube::core::{DynamicResourceScope, Status};
use kube::runtime::watcher::{self, Config, Event, watcher};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::error::ApiError;
use super::watch_activity::WatchActivity;

mod pauses;
mod requests;
#[cfg(test)]
mod tests;

use self::pauses::{Pauses, RELIST_PAUSE};

/// A page is held in memory as a whole: ten `ConfigMap`s of 1 MiB are 10 MiB.
const PAGE: u32 = 10;

/// The server closes a watch after this.
const WATCH_SECONDS: u32 = 290;

/// The longest text of the API server's that is passed on.
const MESSAGE_CHARS: usize = 200;

/// What a watch saw.
#[derive(Debug)]
pub enum WatchEvent<K> {
    /// A list begins: what it does not name by its end is gone.
    ListStart,
    /// One object of the list.
    Listed(K),
    /// The list is complete.
    ListEnd,
    /// One object came or changed.
    Applied(K),
    /// One object went.
    Deleted(K),
    /// The watch has to be opened or the list made again; it goes on by itself.
    Error(WatchError),
}

/// Why a watch had to start over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchError {
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
pub enum Availability {
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
pub struct WatchOptions {
    /// A field selector.
    pub fields: Option<String>,
    /// A label selector.
    pub labels: Option<String>,
    /// Makes the list again when it is told to.
    pub relist: Option<Arc<Notify>>,
    /// For how long there is something to watch.
    pub availability: Availability,
    /// Where it is noted that it is to be open, under this resource.
    pub activity: Option<(WatchActivity, &'static str)>,
}

impl WatchOptions {
    fn config(&self, listing: Listing) -> Config {
        let config = match listing {
            Listing::Streaming => Config::default().streaming_lists(),
            Listing::Paged => Config::default().page_size(PAGE),
        };
        Config {
            label_selector: self.labels.clone(),
            field_selector: self.fields.clone(),
            ..config.timeout(WATCH_SECONDS)
        }
    }

    async fn told_to_relist(&self) {
        match &self.relist {
            Some(relist) => relist.notified().await,
            None => std::future::pending().await,
        }
    }
}

/// Where the objects are that are watched.
#[derive(Clone)]
pub struct WatchTarget {
    /// The client of the cluster.
    pub client: Client,
    pub resource: ApiResource,
    /// `None`: all namespaces, or a resource without any.
    pub namespace: Option<String>,
}

impl WatchTarget {
    /// The same for each watcher of one watch: what was learned of the server outlives them.
    fn api<K>(self, pauses: &Pauses) -> Api<K>
    where
        K: Resource<DynamicType = ApiResource, Scope = DynamicResourceScope>,
    {
        let client = requests::client(self.client, pauses.clone());
        match self.namespace {
            Some(namespace) => Api::namespaced_with(client, &namespace, &self.resource),
            None => Api::all_with(client, &self.resource),
        }
    }
}

/// Watches and hands over what is seen, in order. Ends when the server does not know a kind that is served by
/// its definition, else only when dropped.
pub async fn follow<K>(target: WatchTarget, watching: WatchOptions, sink: impl FnMut(WatchEvent<K>))
where
    K: Resource<DynamicType = ApiResource, Scope = DynamicResourceScope>
        + Clone
        + DeserializeOwned
        + Debug
        + Send
        + 'static,
{
    let pauses = Pauses::default();
    let api: Api<K> = target.api(&pauses);
    let pulse = watching.activity.as_ref();
    let _watched = pulse.map(|(pulses, resource)| pulses.begin(resource, api.resource_url()));
    let mut follower = Follower {
        sink,
        served: watching.availability,
        listing: Listing::Streaming,
        streaming_refused: false,
        progress: Progress::Asked,
        pauses,
    };
    let mut worked = TimeSlice::default();
    loop {
        follower.begin_list();
        let mut events = std::pin::pin!(watcher(api.clone(), watching.config(follower.listing)));
        let mut told_to_relist = std::pin::pin!(watching.told_to_relist());
        loop {
            worked.let_others_go_first().await;
            let event = tokio::select! {
                // First: what a list brings that began before is not what is asked for now.
                biased;
                () = &mut told_to_relist => break,
                event = events.next() => event,
            };
            worked.begins();
            let after = match event {
                Some(Ok(event)) => follower.see(event),
                Some(Err(error)) => follower.fail(&error),
                None => After::ListAgain,
            };
            match after {
                After::Continue => {}
                After::ListAgain => break,
                After::End => return,
            }
        }
    }
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    /// Leave it to kube's watcher.
    Continue,
    /// Begin with a new one.
    ListAgain,
    /// The server does not know the kind.
    End,
}

/// How far one watcher has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Asked,
    Listing,
    Listed,
}

struct Follower<S> {
    sink: S,
    served: Availability,
    listing: Listing,
    /// The server has said that it knows none.
    streaming_refused: bool,
    progress: Progress,
    pauses: Pauses,
}

impl<S> Follower<S> {
    fn begin_list(&mut self) {
        self.progress = Progress::Asked;
        self.pauses.begin_list();
    }

    fn see<K>(&mut self, event: Event<K>) -> After
    where
        S: FnMut(WatchEvent<K>),
    {
        match event {
            // With pages it comes before the first one was asked for.
            Event::Init => {}
            Event::InitApply(object) => {
                self.list_has_begun();
                (self.sink)(WatchEvent::Listed(object));
            }
            Event::InitDone => {
                self.list_has_begun();
                self.progress = Progress::Listed;
                self.pauses.listed();
                (self.sink)(WatchEvent::ListEnd);
            }
            Event::Apply(object) => (self.sink)(WatchEvent::Applied(object)),
            Event::Delete(object) => (self.sink)(WatchEvent::Deleted(object)),
        }
        After::Continue
    }

    fn list_has_begun<K>(&mut self)
    where
        S: FnMut(WatchEvent<K>),
    {
        if self.progress == Progress::Asked {
            self.progress = Progress::Listing;
            (self.sink)(WatchEvent::ListStart);
        }
    }

    fn fail<K>(&mut self, error: &watcher::Error) -> After
    where
        S: FnMut(WatchEvent<K>),
    {
        use watcher::Error::WatchStartFailed;
        let code = status(error).map(|status| status.code);
        if self.progress != Progress::Listed {
            match (self.listing, error) {
                // Before 1.34, or with the feature switched off, the server refuses the parameters.
                (Listing::Streaming, WatchStartFailed(_)) if matches!(code, Some(400 | 422)) => {
                    self.streaming_refused = true;
                    self.listing = Listing::Paged;
                    (self.sink)(WatchEvent::Error(WatchError::NoStreamingLists));
                    return After::ListAgain;
                }
                (Listing::Streaming, WatchStartFailed(_)) => {}
                // It has begun and came to no end, as with an etcd that cannot tell its progress.
                (Listing::Streaming, _) => self.listing = Listing::Paged,
                (Listing::Paged, _) if !self.streaming_refused => self.listing = Listing::Streaming,
                (Listing::Paged, _) => {}
            }
        }
        let trouble = watch_error(error, self.served);
        let after = match trouble {
            WatchError::NotServed => After::End,
            // kube would go on with the place that is forgotten, and without what could not be decoded.
            WatchError::Expired | WatchError::Undecodable => After::ListAgain,
            _ if self.progress != Progress::Listed => After::ListAgain,
            _ => After::Continue,
        };
        let least = match trouble {
            WatchError::Undecodable => RELIST_PAUSE,
            _ => Duration::ZERO,
        };
        self.pauses.failed(least.max(not_before(error)));
        (self.sink)(WatchEvent::Error(trouble));
        after
    }
}

/// What the server has said.
fn status(error: &watcher::Error) -> Option<&Status> {
    use watcher::Error::{InitialListFailed, WatchError, WatchFailed, WatchStartFailed};
    match error {
        WatchError(status)
        | InitialListFailed(kube::Error::Api(status))
        | WatchStartFailed(kube::Error::Api(status))
        | WatchFailed(kube::Error::Api(status)) => Some(status),
        _ => None,
    }
}

/// When the server wants to be asked again.
fn not_before(error: &watcher::Error) -> Duration {
    let details = status(error).and_then(|status| status.details.as_ref());
    Duration::from_secs(details.map_or(0, |details| details.retry_after_seconds.into()))
}

fn watch_error(error: &watcher::Error, served: Availability) -> WatchError {
    use watcher::Error::{
        InitialListFailed, NoResourceVersion, WatchError as SentStatus, WatchFailed, WatchStartFailed,
    };
    let code = status(error).map(|status| status.code);
    match error {
        _ if code == Some(410) => WatchError::Expired,
        NoResourceVersion => WatchError::Undecodable,
        SentStatus(status) => WatchError::Interrupted(status.message.chars().take(MESSAGE_CHARS).collect()),
        InitialListFailed(error) | WatchStartFailed(error) | WatchFailed(error) => match (error, code) {
            (_, Some(404)) if served == Availability::ByDefinition => WatchError::NotServed,
            // What kube cannot decode as an event it tries as a Status, whose fields are all optional:
            // one without a code is no answer of the API server's.
            (kube::Error::SerdeError(_), _) | (_, Some(0)) => WatchError::Undecodable,
            _ => match ApiError::of(error) {
                ApiError::Forbidden(message) => WatchError::Forbidden(message),
                error => WatchError::Interrupted(error.to_string()),
            },
        },
    }
}

/// How long events have been handled without a pause. A stream that always has one more would keep the thread
/// from everything else, probes and the lease included.
#[derive(Default)]
struct TimeSlice {
    since: Option<Instant>,
}

/// As long as a probe does not notice.
const AT_A_TIME: Duration = Duration::from_millis(5);

impl TimeSlice {
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
