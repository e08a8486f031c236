//! What is wrong with a watch, for logs and whoever counts.

use std::mem::discriminant;
use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, info, warn};
use windlass_core::types::name::Namespace;

use crate::k8s::watch::WatchError;
use crate::watch::observer::WatchObserver;

/// How often an ongoing trouble of a watch is logged again.
const REMIND: Duration = Duration::from_mins(1);

/// Says what is wrong with a watch, once, and again when it lasts; and that it is over.
pub(crate) struct WatchHealth {
    plural: &'static str,
    scope: Option<Namespace>,
    observer: Arc<dyn WatchObserver>,
    ongoing: Option<(WatchError, tokio::time::Instant)>,
}

impl WatchHealth {
    pub(crate) fn new(plural: &'static str, scope: Option<Namespace>, observer: Arc<dyn WatchObserver>) -> Self {
        Self {
            plural,
            scope,
            observer,
            ongoing: None,
        }
    }

    pub(crate) fn report(&mut self, trouble: &WatchError) {
        self.observer.troubled(self.plural, trouble);
        let known = self
            .ongoing
            .as_ref()
            .is_some_and(|(ongoing, said)| discriminant(ongoing) == discriminant(trouble) && said.elapsed() < REMIND);
        if known {
            return;
        }
        self.ongoing = Some((trouble.clone(), tokio::time::Instant::now()));
        let (resource, scope) = (self.plural, self.scope.as_ref().map_or("all", Namespace::as_str));
        match trouble {
            WatchError::Forbidden(message) => {
                warn!(resource, namespace = scope, error = %message, "a right is missing: list and watch are needed");
            }
            WatchError::Interrupted(message) => {
                warn!(resource, namespace = scope, error = %message, "watch interrupted, trying again");
            }
            WatchError::NotServed => info!(resource, "the server knows this kind no more"),
            WatchError::Undecodable => {
                warn!(
                    resource,
                    namespace = scope,
                    "an event could not be decoded, listing again"
                );
            }
            WatchError::Expired => info!(
                resource,
                namespace = scope,
                "the server forgot our place, listing again"
            ),
            WatchError::NoStreamingLists => {
                info!(
                    resource,
                    namespace = scope,
                    "the server has no streaming lists, listing by pages"
                );
            }
        }
    }

    pub(crate) fn recovered(&mut self) {
        if let Some((trouble, _)) = self.ongoing.take() {
            debug!(resource = self.plural, "the watch is well again");
            if matches!(trouble, WatchError::Forbidden(_) | WatchError::Interrupted(_)) {
                info!(resource = self.plural, "watching again");
            }
        }
    }
}
