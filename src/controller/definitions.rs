//! Definitions of custom resources: when one appears, it is worth asking whether its kind is served.
//!
//! Waiting costs no requests, but where definitions may not be watched.

use std::fmt;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tracing::{info, warn};

use super::feed::{Feed, api};
use super::troubles::Troubles;
use crate::k8s::error::ApiError;
use crate::k8s::lean::{WatchedName, resource};
use crate::k8s::watch::{Seen, Trouble, follow};

/// A definition is served a moment after it is written; so it is asked for a few times.
const TRIES: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Without the right to watch definitions there is only asking.
const POLL: Duration = Duration::from_secs(30);

/// What asking for a kind gives; `None`: it is not served.
pub type Found<T> = Result<Option<T>, ApiError>;

/// Finds out whether a kind is served. Waits for an API server that is away.
pub async fn is_served<T, F: Future<Output = Found<T>>>(what: impl fmt::Display, find: impl Fn() -> F) -> Option<T> {
    let mut pause = FIRST_PAUSE;
    loop {
        match find().await {
            Ok(found) => return found,
            Err(error) => {
                warn!(kind = %what, %error, retry_in = ?pause, "waiting to know whether a kind is served");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(POLL);
            }
        }
    }
}

/// Waits until a kind is served: asks when its definition has come, or now and then.
pub async fn appears<T, F: Future<Output = Found<T>>>(
    find: impl Fn() -> F,
    definitions: &mut watch::Receiver<Definitions>,
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

/// Asks a few times: an API server that has just started may not know its definitions yet.
pub async fn soon<T, F: Future<Output = Found<T>>>(find: impl Fn() -> F) -> Option<T> {
    try_for(TRIES, &find).await
}

async fn try_for<T, F: Future<Output = Found<T>>>(tries: u32, find: &impl Fn() -> F) -> Option<T> {
    let mut pause = FIRST_PAUSE;
    for left in (0..tries).rev() {
        if let Ok(Some(found)) = find().await {
            return Some(found);
        }
        if left > 0 {
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }
    None
}

/// What is known of the definitions of custom resources.
#[derive(Clone, Copy, Debug, Default)]
pub struct Definitions {
    /// They must not be watched.
    hidden: bool,
}

/// Watches them for ever, and tells when one of these groups changes.
pub async fn watch(feed: &Feed, groups: &[String], changed: &watch::Sender<Definitions>) {
    let row = resource(
        "apiextensions.k8s.io",
        "v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
    );
    let definitions = api::<WatchedName>(feed.context.client.clone(), None, &row);
    let mut troubles = Troubles::new("customresourcedefinitions", None, feed.metrics.clone());
    let forbidden = Notify::new();
    let watching = follow(
        definitions,
        feed.watching("customresourcedefinitions"),
        |seen| match seen {
            Seen::Listed(object) | Seen::Changed(object) => {
                troubles.over();
                // PLURAL.GROUP
                let group = object.name().split_once('.').map_or("", |(_, group)| group);
                if groups.iter().any(|wanted| wanted == group) {
                    changed.send_replace(Definitions { hidden: false });
                }
            }
            Seen::Trouble(Trouble::Forbidden(_)) => {
                // Asked for now and then instead, which every account may do: no reason for alarm.
                info!("definitions of custom resources must not be watched; kinds are asked for every 30 s");
                changed.send_replace(Definitions { hidden: true });
                forbidden.notify_one();
            }
            Seen::Trouble(trouble) => troubles.report(&trouble),
            Seen::ListStart | Seen::ListEnd | Seen::Gone(_) => {}
        },
    );
    tokio::select! {
        () = watching => {}
        () = forbidden.notified() => {
            // The other end would take a sender that is gone for a change.
            std::future::pending::<()>().await;
        }
    }
}
