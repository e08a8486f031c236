//! The requests of one watch: none before its time, and none without an end.
//!
//! This is below kube's watcher, which does not tell how a watch ended, and opens it again at once. An end that
//! must not pass for a good one is made an error here: of a streaming list in the middle, and of a watch as soon
//! as it was open.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{HeaderMap, Request, Response};
use hyper::body::{Bytes, Frame};
use kube::Client;
use kube::client::Body;
use tokio::time::{Instant, Sleep};
use tower::{BoxError, Service};

use super::WATCH_SECONDS;
use super::pauses::Pauses;

/// How long to wait for the head of the answer to a watch. The API server lets it wait for its turn for 15 s at
/// most.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long to wait for one page. The API server itself gives up after a minute.
const PAGE_TIMEOUT: Duration = Duration::from_secs(65);

/// How long a streaming list may bring nothing.
const LIST_SILENCE: Duration = Duration::from_mins(1);

/// A watch that brings nothing for longer is opened anew: the server should have closed it. kube's watcher does
/// the same 2 s later, and keeps it to itself.
const WATCH_SILENCE: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 3);

/// A watch that ends before is not opened again at once.
const SHORT_WATCH: Duration = Duration::from_secs(1);

/// The client for kube's watcher.
pub(super) fn client(client: Client, pauses: Pauses) -> Client {
    let namespace = client.default_namespace().to_owned();
    Client::new(Requests { client, pauses }, namespace)
}

struct Requests {
    client: Client,
    pauses: Pauses,
}

impl Service<Request<Body>> for Requests {
    type Response = Response<Answer>;
    type Error = kube::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, kube::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), kube::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (client, pauses) = (self.client.clone(), self.pauses.clone());
        Box::pin(async move {
            pauses.wait().await;
            let query = request.uri().query().unwrap_or_default();
            let is_watch = query.split('&').any(|parameter| parameter == "watch=true");
            let limit = if is_watch { HEAD_TIMEOUT } else { PAGE_TIMEOUT };
            let until = Instant::now() + limit;
            let response = tokio::time::timeout_at(until, client.send(request)).await;
            let response = response.map_err(|_| kube::Error::Service(no_answer(limit)))??;
            if !response.status().is_success() {
                pauses.asked_for(retry_after(response.headers()));
            }
            let waiting = if is_watch && response.status().is_success() {
                Waiting::Watch { brought: false }
            } else {
                Waiting::AsAWhole { until, limit }
            };
            Ok(response.map(|body| Answer::new(body, waiting, pauses)))
        })
    }
}

fn no_answer(limit: Duration) -> BoxError {
    format!("no answer within {} s", limit.as_secs()).into()
}

/// When the server wants to be asked again; the `Status` in the body, where there is one, says the same.
fn retry_after(headers: &HeaderMap) -> Duration {
    let header = headers.get(http::header::RETRY_AFTER);
    let seconds = header.and_then(|value| value.to_str().ok()?.parse().ok());
    Duration::from_secs(seconds.unwrap_or_default())
}

/// How long an answer is waited for.
enum Waiting {
    /// All of it has to be there by then.
    AsAWhole { until: Instant, limit: Duration },
    /// For as long as something comes now and then.
    Watch {
        /// Something has come.
        brought: bool,
    },
}

/// The body of an answer.
struct Answer {
    body: Body,
    waiting: Waiting,
    began: Instant,
    last: Instant,
    sleep: Pin<Box<Sleep>>,
    pauses: Pauses,
    failures: u64,
}

impl Answer {
    fn new(body: Body, waiting: Waiting, pauses: Pauses) -> Self {
        let now = Instant::now();
        Self {
            body,
            waiting,
            began: now,
            last: now,
            sleep: Box::pin(tokio::time::sleep_until(now)),
            failures: pauses.failures(),
            pauses,
        }
    }

    /// The watch has told of an error: what else it brings is not waited for.
    fn is_given_up(&self) -> bool {
        matches!(self.waiting, Waiting::Watch { .. }) && self.pauses.failures() != self.failures
    }

    fn note(&mut self, frame: &Frame<Bytes>) {
        self.last = Instant::now();
        if let (Waiting::Watch { brought }, Some(data)) = (&mut self.waiting, frame.data_ref()) {
            *brought = *brought || !data.trim_ascii().is_empty();
        }
    }

    /// Why the answer must not end now.
    fn ended(&self) -> Option<BoxError> {
        let Waiting::Watch { brought } = self.waiting else {
            return None;
        };
        if !self.pauses.is_listed() {
            return Some("the list ended early".into());
        }
        if self.began.elapsed() >= SHORT_WATCH {
            return None;
        }
        if brought {
            self.pauses.short();
            return None;
        }
        Some("the server closed the watch at once".into())
    }

    /// Until when to wait, and what to say then.
    fn limit(&self) -> (Instant, BoxError) {
        let silence = match self.waiting {
            Waiting::AsAWhole { until, limit } => return (until, no_answer(limit)),
            Waiting::Watch { .. } if self.pauses.is_listed() => WATCH_SILENCE,
            Waiting::Watch { .. } => LIST_SILENCE,
        };
        let error = format!("no data for {} s", silence.as_secs());
        (self.last + silence, error.into())
    }
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.is_given_up() {
            return Poll::Ready(None);
        }
        let ended = match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                self.note(&frame);
                return Poll::Ready(Some(Ok(frame)));
            }
            Poll::Ready(ended) => ended.and_then(Result::err),
            Poll::Pending => {
                let (until, error) = self.limit();
                if self.sleep.deadline() != until {
                    self.sleep.as_mut().reset(until);
                }
                ready!(self.sleep.as_mut().poll(context));
                return Poll::Ready(Some(Err(error)));
            }
        };
        let broken = ended.map(|error| match error {
            kube::Error::Service(error) => error,
            error => error.into(),
        });
        Poll::Ready(self.ended().or(broken).map(Err))
    }
}
