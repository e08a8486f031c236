//! One watch, from its opening to its end.

use std::{fmt, pin::Pin, time::Duration};

use futures::{Stream, StreamExt as _};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind, WatchEvent, WatchParams},
};
use tokio::time::timeout;

use super::{
    error::ApiError,
    object::{Object, is_newer},
};
use crate::flags::SourceKind;

/// For an answer to begin.
const REQUEST: Duration = Duration::from_secs(15);
/// After which the server ends a watch; below the 5 minutes of common load balancers.
const WATCH_SECONDS: u32 = 240;
/// A connection of which nothing was heard, not even its end, is dead.
const SILENCE: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 15);

/// The object that is followed.
pub(super) struct Target {
    api: Api<DynamicObject>,
    kind: SourceKind,
    namespace: String,
    name: String,
}

/// What the server says of the object.
pub(super) enum News {
    Object(Object),
    /// It is deleted, or was never there.
    Missing,
}

type Events = Pin<Box<dyn Stream<Item = Result<WatchEvent<DynamicObject>, kube::Error>> + Send>>;

/// An open watch.
pub(super) struct Connection {
    events: Events,
    /// The newest version that was seen; the next watch begins there.
    pub(super) version: Option<String>,
}

/// How a watch ended.
pub(super) enum End {
    /// As watches do: the next one resumes.
    Over,
    /// The server knows nothing of our version any more: begin anew.
    Expired,
    Failed(ApiError),
}

impl Target {
    pub(super) fn new(client: Client, kind: SourceKind, namespace: &str, name: &str) -> Self {
        let kind_name = format!("{kind:?}");
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", &kind_name));
        Self {
            api: Api::namespaced_with(client, namespace, &resource),
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// Opens a watch and reads the object after that, so that nothing falls in between. It takes no right
    /// to `list`, and no version that the server might have forgotten.
    pub(super) async fn connect(&self) -> Result<(Connection, News), ApiError> {
        let events = self.watch("").await?;
        let found = timeout(REQUEST, self.api.get_opt(&self.name))
            .await
            .map_err(|_| self.unreachable())?
            .map_err(|error| self.failed(&error))?;
        let mut connection = Connection { events, version: None };
        let news = match found {
            Some(object) => self.object(&mut connection, object)?,
            None => News::Missing,
        };
        Ok((connection, news))
    }

    /// Opens a watch from a version on.
    pub(super) async fn resume(&self, version: String) -> Result<Connection, ApiError> {
        let events = self.watch(&version).await?;
        Ok(Connection {
            events,
            version: Some(version),
        })
    }

    async fn watch(&self, version: &str) -> Result<Events, ApiError> {
        let params = WatchParams::default()
            .fields(&format!("metadata.name={}", self.name))
            .timeout(WATCH_SECONDS);
        let events = timeout(REQUEST, self.api.watch(&params, version))
            .await
            .map_err(|_| self.unreachable())?
            .map_err(|error| self.failed(&error))?;
        Ok(events.boxed())
    }

    /// The next news of a watch, or its end. May be dropped and called again.
    pub(super) async fn next(&self, connection: &mut Connection) -> Result<News, End> {
        loop {
            let event = match timeout(SILENCE, connection.events.next()).await {
                Err(_) => return Err(End::Failed(self.unreachable())),
                Ok(None) => return Err(End::Over),
                Ok(Some(Err(kube::Error::Api(status)))) if status.code == 410 => return Err(End::Expired),
                Ok(Some(Err(error))) => return Err(End::Failed(self.failed(&error))),
                Ok(Some(Ok(event))) => event,
            };
            match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    if connection.is_news(&object) {
                        return self.object(connection, object).map_err(End::Failed);
                    }
                }
                WatchEvent::Deleted(object) => {
                    if connection.is_news(&object) {
                        connection.version = object.metadata.resource_version;
                        return Ok(News::Missing);
                    }
                }
                WatchEvent::Bookmark(bookmark) => connection.version = Some(bookmark.metadata.resource_version),
                WatchEvent::Error(status) if status.code == 410 => return Err(End::Expired),
                WatchEvent::Error(status) => {
                    let error = ApiError::of_status(self.to_string(), status.code, &status.reason);
                    return Err(End::Failed(error));
                }
            }
        }
    }

    fn object(&self, connection: &mut Connection, object: DynamicObject) -> Result<News, ApiError> {
        let object = Object::new(self.kind, object).ok_or_else(|| ApiError::Malformed {
            object: self.to_string(),
        })?;
        connection.version = Some(object.version.clone());
        Ok(News::Object(object))
    }

    pub(super) fn missing(&self) -> ApiError {
        ApiError::Missing {
            object: self.to_string(),
        }
    }

    pub(super) fn unreachable(&self) -> ApiError {
        ApiError::Unreachable {
            object: self.to_string(),
        }
    }

    fn failed(&self, error: &kube::Error) -> ApiError {
        ApiError::of_kube(self.to_string(), error)
    }
}

impl Connection {
    /// A watch that was opened before the object was read begins with what was there before.
    fn is_news(&self, object: &DynamicObject) -> bool {
        match (&object.metadata.resource_version, &self.version) {
            (Some(version), Some(seen)) => is_newer(version, seen),
            _ => true,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} {}/{}", self.kind, self.namespace, self.name)
    }
}
