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
                warn!(resource, namespace = scope, error = %message, "permission missing: list and watch are required");
            }
            WatchError::Interrupted(message) => {
                warn!(resource, namespace = scope, error = %message, "watch interrupted; retrying");
            }
            WatchError::NotServed => info!(resource, "resource no longer served"),
            WatchError::Undecodable => {
                warn!(
                    resource,
                    namespace = scope,
                    "cannot decode a watch event; listing again"
                );
            }
            WatchError::Expired => info!(resource, namespace = scope, "resource version expired; listing again"),
            WatchError::NoStreamingLists => {
                info!(
                    resource,
                    namespace = scope,
                    "streaming lists are not supported; listing in pages"
                );
            }
        }
    }

    pub(crate) fn recovered(&mut self) {
        if let Some((trouble, _)) = self.ongoing.take() {
            debug!(resource = self.plural, "watch recovered");
            if matches!(trouble, WatchError::Forbidden(_) | WatchError::Interrupted(_)) {
                info!(resource = self.plural, "watch resumed");
            }
        }
    }
}
