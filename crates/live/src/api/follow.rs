//! The task that follows one object: connect, publish, resume; and start anew when that fails.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, timeout_at};

use super::{
    backoff::Backoff,
    connection::{Connection, End, News, Target},
    error::ApiError,
};
use crate::{
    Snapshot,
    feed::{Changes, Feed, Publisher, Task, Trouble},
};

/// A watch that lasted as long was a good one, even if nothing happened in it.
const LASTING: Duration = Duration::from_secs(5);

pub(super) struct Follower {
    target: Target,
    connection: Option<Connection>,
    backoff: Backoff,
}

impl Follower {
    pub(super) fn new(target: Target) -> Self {
        Self {
            target,
            connection: None,
            backoff: Backoff::default(),
        }
    }

    /// The first snapshot. A server that does not answer is asked again until the time is over; one that
    /// says no is believed.
    pub(super) async fn first(&mut self, time: Duration) -> Result<Snapshot, ApiError> {
        let deadline = Instant::now() + time;
        loop {
            let error = match timeout_at(deadline, self.target.connect()).await {
                Ok(Ok((connection, News::Object(object)))) => {
                    self.connection = Some(connection);
                    self.backoff = Backoff::default();
                    return Ok(object.snapshot);
                }
                Ok(Ok((connection, News::Missing))) => {
                    self.connection = Some(connection);
                    return Err(self.target.missing());
                }
                Ok(Err(error @ (ApiError::Missing { .. } | ApiError::Denied { .. }))) => return Err(error),
                Ok(Err(error)) => error,
                Err(_) => return Err(self.target.unreachable()),
            };
            let pause = self.backoff.next();
            if Instant::now() + pause >= deadline {
                return Err(error);
            }
            sleep(pause).await;
        }
    }

    /// Follows from the first snapshot on.
    pub(super) fn spawn(self, first: Snapshot, secret: bool) -> Feed {
        let publisher = Arc::new(Publisher::new(first));
        let task = tokio::spawn(self.run(Arc::clone(&publisher)));
        publisher.feed(Some(Task(task)), secret)
    }

    /// Follows the mount until the server gives the object.
    pub(super) fn spawn_from(self, mount: &Feed, error: &ApiError, secret: bool) -> Feed {
        let changes = mount.changes();
        let publisher = Arc::new(Publisher::new(Snapshot::clone(changes.last())));
        publisher.trouble(Trouble::from(error));
        let task = tokio::spawn(self.run_from(changes, Arc::clone(&publisher)));
        publisher.feed(Some(Task(task)), secret)
    }

    async fn run_from(mut self, mut mount: Changes, publisher: Arc<Publisher>) {
        let object = tokio::select! {
            object = self.object() => object,
            () = mirror(&mut mount, &publisher) => return,
        };
        publisher.publish(object);
        drop(mount);
        self.run(publisher).await;
    }

    /// Waits until the server gives the object. What is wrong meanwhile was said at the start.
    async fn object(&mut self) -> Snapshot {
        loop {
            if let Some(connection) = &mut self.connection {
                match self.target.next(connection).await {
                    Ok(News::Object(object)) => return object.snapshot,
                    Ok(News::Missing) => continue,
                    Err(_) => self.connection = None,
                }
            }
            sleep(self.backoff.next()).await;
            match self.target.connect().await {
                Ok((connection, News::Object(object))) => {
                    self.connection = Some(connection);
                    return object.snapshot;
                }
                Ok((connection, News::Missing)) => self.connection = Some(connection),
                Err(_) => {}
            }
        }
    }

    async fn run(mut self, publisher: Arc<Publisher>) {
        self.backoff = Backoff::default();
        let mut version = None;
        let mut exists = true;
        loop {
            let mut connection = match self.reconnect(version.take(), &mut exists, &publisher).await {
                Ok(connection) => connection,
                Err((error, resume)) => {
                    publisher.trouble(Trouble::from(&error));
                    version = resume;
                    sleep(self.backoff.next()).await;
                    continue;
                }
            };
            let since = Instant::now();
            let end = loop {
                match self.target.next(&mut connection).await {
                    Ok(news) => {
                        self.backoff = Backoff::default();
                        exists = self.publish(news, &publisher);
                    }
                    Err(end) => break end,
                }
            };
            version = match end {
                End::Over => connection.version,
                End::Expired => None,
                End::Failed(error) => {
                    publisher.trouble(Trouble::from(&error));
                    connection.version
                }
            };
            if since.elapsed() >= LASTING {
                self.backoff = Backoff::default();
            }
            // Also after an end as it should be: a proxy that ends each watch at once must not have us
            // ask in a loop. Nothing is missed: the next one resumes.
            sleep(self.backoff.next()).await;
        }
    }

    /// The next watch. An error comes with the version to resume from, if it is still good.
    async fn reconnect(
        &mut self,
        version: Option<String>,
        exists: &mut bool,
        publisher: &Publisher,
    ) -> Result<Connection, (ApiError, Option<String>)> {
        if let Some(connection) = self.connection.take() {
            return Ok(connection);
        }
        let Some(version) = version else {
            let (connection, news) = self.target.connect().await.map_err(|error| (error, None))?;
            *exists = self.publish(news, publisher);
            return Ok(connection);
        };
        match self.target.resume(version.clone()).await {
            Ok(connection) => {
                if *exists {
                    publisher.healed();
                } else {
                    publisher.trouble(Trouble::from(&self.target.missing()));
                }
                Ok(connection)
            }
            Err(error @ ApiError::Status { code: 410, .. }) => Err((error, None)),
            Err(error) => Err((error, Some(version))),
        }
    }

    /// Whether the object exists.
    fn publish(&self, news: News, publisher: &Publisher) -> bool {
        match news {
            News::Object(object) => {
                publisher.publish(object.snapshot);
                true
            }
            News::Missing => {
                publisher.trouble(Trouble::from(&self.target.missing()));
                false
            }
        }
    }
}

/// Ends with its source only.
async fn mirror(mount: &mut Changes, publisher: &Publisher) {
    while let Some(snapshot) = mount.next().await {
        publisher.replace(Snapshot::clone(&snapshot));
    }
    std::future::pending::<()>().await;
}
