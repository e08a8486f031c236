//! Definitions of custom resources: when one appears, it is worth asking whether its kind is served.
//!
//! Waiting costs no requests, but where definitions may not be watched.

use std::fmt;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tracing::{info, warn};

use crate::k8s::error::ApiError;
use crate::k8s::watch::{WatchError, WatchEvent, follow};
use crate::k8s::wire::{WatchedMetadata, resource};
use crate::watch::health::WatchHealth;
use crate::watch::ingest::{Ingest, target};

/// A definition is served a moment after it is written; so it is asked for a few times.
const TRIES: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Without the right to watch definitions there is only asking.
const POLL: Duration = Duration::from_secs(30);

/// How often it is tried whether they may be watched by now.
const TRY_AGAIN: Duration = Duration::from_mins(5);

/// What asking for a kind gives; `None`: it is not served.
pub type Lookup<T> = Result<Option<T>, ApiError>;

/// Finds out whether a kind is served. Waits for an API server that is away.
pub async fn is_established<T, F: Future<Output = Lookup<T>>>(
    what: impl fmt::Display,
    find: impl Fn() -> F,
) -> Option<T> {
    let mut pause = FIRST_PAUSE;
    loop {
        match find().await {
            Ok(found) => return found,
            Err(error) => {
                warn!(kind = %what, %error, retry_in = ?pause, "cannot find out whether the kind is served; retrying");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(POLL);
            }
        }
    }
}

/// Waits until a kind is served: asks when its definition has come, or now and then.
pub async fn wait_established<T, F: Future<Output = Lookup<T>>>(
    find: impl Fn() -> F,
    definitions: &mut watch::Receiver<CrdWatchState>,
) -> T {
    loop {
        let hidden = definitions.borrow().hidden;
        let tries = tokio::select! {
            changed = definitions.changed() => {
                if changed.is_err() {
                    tokio::time::sleep(POLL).await;
                }
                TRIES
            }
            () = tokio::time::sleep(POLL), if hidden => 1,
        };
        if let Some(found) = try_for(tries, &find).await {
            return found;
        }
    }
}

/// Asks a few times: an API server that has just started may not know its definitions yet. `None`: it said each
/// time that the kind is not served.
pub async fn recheck<T, F: Future<Output = Lookup<T>>>(find: impl Fn() -> F) -> Option<T> {
    // Whoever asks was told just now that it is not.
    tokio::time::sleep(FIRST_PAUSE).await;
    try_for(TRIES, &find).await
}

async fn try_for<T, F: Future<Output = Lookup<T>>>(tries: u32, find: &impl Fn() -> F) -> Option<T> {
    let mut pause = FIRST_PAUSE;
    let mut left = tries;
    loop {
        match find().await {
            Ok(Some(found)) => return Some(found),
            Ok(None) => left = left.saturating_sub(1),
            // An API server that is away says nothing of its kinds.
            Err(_) => {}
        }
        if left == 0 {
            return None;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(POLL);
    }
}

/// What is known of the definitions of custom resources.
#[derive(Clone, Copy, Debug, Default)]
pub struct CrdWatchState {
    /// They must not be watched.
    hidden: bool,
}

/// Watches them for ever, and tells when one of these groups changes.
pub async fn watch(ingest: &Ingest, groups: &[String], changed: &watch::Sender<CrdWatchState>) {
    let row = resource(
        "apiextensions.k8s.io",
        "v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
    );
    let definitions = target(ingest.reader.client.clone(), None, row);
    let mut health = WatchHealth::new("customresourcedefinitions", None, ingest.observer.clone());
    let mut hidden = false;
    loop {
        let forbidden = Notify::new();
        let watching = follow::<WatchedMetadata>(
            definitions.clone(),
            ingest.watching("customresourcedefinitions"),
            |seen| match seen {
                WatchEvent::Listed(object) | WatchEvent::Applied(object) => {
                    health.recovered();
                    // PLURAL.GROUP
                    let group = object.name().split_once('.').map_or("", |(_, group)| group);
                    if groups.iter().any(|wanted| wanted == group) {
                        changed.send_replace(CrdWatchState { hidden: false });
                    }
                }
                WatchEvent::ListEnd if std::mem::take(&mut hidden) => {
                    changed.send_replace(CrdWatchState { hidden: false });
                }
                WatchEvent::Error(WatchError::Forbidden(_)) => forbidden.notify_one(),
                WatchEvent::Error(trouble) => health.report(&trouble),
                WatchEvent::ListStart | WatchEvent::ListEnd | WatchEvent::Deleted(_) => {}
            },
        );
        tokio::select! {
            () = watching => {}
            () = forbidden.notified() => {}
        }
        if !std::mem::replace(&mut hidden, true) {
            // Asked for now and then instead, which every account may do: no reason for alarm.
            info!("cannot watch CustomResourceDefinitions; checking for kinds every 30 s");
            changed.send_replace(CrdWatchState { hidden: true });
        }
        tokio::time::sleep(TRY_AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// What comes of asking soon, and which answers were not needed.
    async fn answered(answers: &[Lookup<()>]) -> (Option<()>, usize) {
        let left = RefCell::new(answers.iter().cloned());
        let found = recheck(async || left.borrow_mut().next().expect("it is asked too often")).await;
        (found, left.into_inner().count())
    }

    #[tokio::test(start_paused = true)]
    async fn a_kind_is_gone_when_the_server_says_so_several_times() {
        let no = || Ok(None);
        assert_eq!(answered(&[Ok(Some(()))]).await, (Some(()), 0));
        assert_eq!(
            answered(&[no(), no(), no(), no(), no(), Ok(Some(()))]).await,
            (Some(()), 0)
        );
        assert_eq!(answered(&[no(), no(), no(), no(), no(), no(), no()]).await, (None, 1));
    }

    /// A definition that is there says no more that it is: nobody would ask again.
    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_away_for_long_says_nothing() {
        let mut answers = vec![Err(ApiError::Unavailable("away".into())); 50];
        answers.push(Ok(Some(())));
        assert_eq!(answered(&answers).await, (Some(()), 0));
    }
}
