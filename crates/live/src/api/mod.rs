//! A `ConfigMap` or Secret, followed by a watch on that one object instead of a mount.
//!
//! Changes arrive without the kubelet's delay, and it takes a service account with two rights on one name:
//!
//! ```yaml
//! rules:
//! - apiGroups: [""]
//!   resources: [configmaps]
//!   resourceNames: [web]
//!   verbs: [get, watch]
//! ```
//!
//! The binary chooses the `v1_*` feature of `k8s-openapi` and the TLS of `kube`.
//!
//! ```no_run
//! # async fn example(client: kube::Client) -> Result<(), Box<dyn std::error::Error>> {
//! use windlass_live::{Live, Volume, api::ApiSource};
//!
//! # #[derive(serde::Deserialize)]
//! # struct Limits;
//! let mount = Volume::open("/etc/web").await?;
//! let source = ApiSource::config_map(client, "shop", "web").or_mount(&mount).start().await?;
//! let limits = Live::<Limits>::json(&source, "limits.json")?;
//! # Ok(())
//! # }
//! ```

mod backoff;
mod connection;
mod error;
mod follow;
mod object;

use std::{fmt, sync::Arc, time::Duration};

use kube::Client;

pub use self::error::ApiError;
use self::{connection::Target, follow::Follower};
use crate::{
    Snapshot,
    feed::{Changes, Feed, Trouble},
    flags::SourceKind,
};

/// One `ConfigMap` or Secret of the API server: its newest snapshot, and a stream of them.
///
/// What was read last stays good while the server is away, the rights are gone, or the object is deleted;
/// [`ApiSource::trouble`] says which. Followed until the last [`Feed`] and [`Changes`] of it are dropped.
#[derive(Clone, Debug)]
pub struct ApiSource {
    feed: Feed,
}

/// Settings of an [`ApiSource`].
#[must_use]
pub struct ApiSourceBuilder {
    target: Target,
    start_timeout: Duration,
    mount: Option<Feed>,
    secret: bool,
}

impl ApiSource {
    /// A `ConfigMap`.
    pub fn config_map(client: Client, namespace: &str, name: &str) -> ApiSourceBuilder {
        ApiSourceBuilder::new(client, SourceKind::ConfigMap, namespace, name)
    }

    /// A Secret. Its content is quoted by no error.
    pub fn secret(client: Client, namespace: &str, name: &str) -> ApiSourceBuilder {
        ApiSourceBuilder::new(client, SourceKind::Secret, namespace, name)
    }

    /// The newest good snapshot.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.feed.snapshot()
    }

    /// The snapshots from here on.
    #[must_use]
    pub fn changes(&self) -> Changes {
        self.feed.changes()
    }

    /// Why the object cannot be followed at present; the last good snapshot stays meanwhile. Its kind is
    /// that of an [`ApiError`].
    #[must_use]
    pub fn trouble(&self) -> Option<Trouble> {
        self.feed.trouble()
    }
}

impl AsRef<Feed> for ApiSource {
    fn as_ref(&self) -> &Feed {
        &self.feed
    }
}

impl ApiSourceBuilder {
    fn new(client: Client, kind: SourceKind, namespace: &str, name: &str) -> Self {
        Self {
            target: Target::new(client, kind, namespace, name),
            start_timeout: Duration::from_secs(10),
            mount: None,
            secret: kind == SourceKind::Secret,
        }
    }

    /// How long to wait for the first answer; default 10 s.
    pub fn start_timeout(mut self, time: Duration) -> Self {
        self.start_timeout = time;
        self
    }

    /// Starts from a mount of the same object when the API server does not give it, whatever the reason,
    /// and follows the mount until the server gives it for the first time.
    pub fn or_mount(mut self, mount: &impl AsRef<Feed>) -> Self {
        self.mount = Some(mount.as_ref().clone());
        self
    }

    /// Reads the object and begins to follow it.
    ///
    /// # Errors
    ///
    /// There is no such object, it may not be read, or the server did not answer in time; none of these
    /// with [`ApiSourceBuilder::or_mount`].
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with a timer.
    pub async fn start(self) -> Result<ApiSource, ApiError> {
        let Self {
            target,
            start_timeout,
            mount,
            secret,
        } = self;
        let secret = secret || mount.as_ref().is_some_and(Feed::is_secret);
        let mut follower = Follower::new(target);
        let feed = match (follower.first(start_timeout).await, mount) {
            (Ok(first), _) => follower.spawn(first, secret),
            (Err(error), Some(mount)) => follower.spawn_from(&mount, &error, secret),
            (Err(error), None) => return Err(error),
        };
        Ok(ApiSource { feed })
    }
}

impl fmt::Debug for ApiSourceBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("ApiSourceBuilder")
            .field(&self.target.to_string())
            .finish()
    }
}
