//! The task that follows one volume: sleep, watch, read, publish.

use std::{path::PathBuf, sync::Arc};

use tokio::time::{Instant, sleep, sleep_until};

use super::{
    Settings, VolumeError, Watching, blocking,
    inotify::{Bell, Subscription},
    read::{self, Reading},
    trail::{Place, trail},
};
use crate::{
    Snapshot,
    feed::{Feed, Publisher, Task, Trouble},
};

/// Links of a plain directory whose targets are watched; the others are left to the poll.
const LINKS: usize = 64;

/// How often to read until what is watched is what was read.
const ROUNDS: usize = 4;

/// What is needed to read again.
pub(super) struct Follower {
    settings: Arc<Settings>,
    bell: Arc<Bell>,
    eyes: Eyes,
}

/// Lent to the blocking thread for each reading.
struct Eyes {
    subscription: Option<Subscription>,
    links: Vec<PathBuf>,
    /// Something could not be watched, for example because this user has no watch left.
    blind: bool,
}

impl Follower {
    /// Watches and reads for the first time.
    pub(super) async fn begin(settings: Arc<Settings>) -> Result<(Self, Snapshot), VolumeError> {
        let bell = Arc::new(Bell::default());
        let subscription = settings
            .inotify
            .then(|| Subscription::new(Arc::clone(&bell)).ok())
            .flatten();
        let mut follower = Self {
            settings,
            bell,
            eyes: Eyes {
                subscription,
                links: Vec::new(),
                blind: false,
            },
        };
        let first = follower.read().await?;
        Ok((follower, first))
    }

    pub(super) fn watching(&self) -> Watching {
        match self.eyes.subscription {
            Some(_) if !self.eyes.blind => Watching::Inotify,
            _ => Watching::Poll,
        }
    }

    pub(super) fn spawn(self, first: Snapshot) -> Feed {
        let publisher = Arc::new(Publisher::new(first));
        let secret = self.settings.secret;
        let task = tokio::spawn(self.run(Arc::clone(&publisher)));
        publisher.feed(Some(Task(task)), secret)
    }

    async fn run(mut self, publisher: Arc<Publisher>) {
        let mut last = Instant::now();
        loop {
            tokio::select! {
                () = self.bell.rung() => self.gather(last).await,
                () = sleep(self.interval()) => {}
            }
            last = Instant::now();
            match self.read().await {
                Ok(snapshot) => publisher.publish(snapshot),
                Err(VolumeError::Shutdown) => return,
                Err(error) => publisher.trouble(Trouble::from(&error)),
            }
        }
    }

    /// Lets the events that belong together come. A swap is complete as it is, so it only waits as long
    /// as keeps a writer in a loop from having us read in a loop.
    async fn gather(&self, last: Instant) {
        let debounce = self.settings.debounce;
        if self.bell.take_swap() {
            sleep_until(last + debounce).await;
        } else {
            sleep(debounce).await;
        }
        // What came meanwhile is covered by the reading that follows.
        self.bell.take_swap();
    }

    fn interval(&self) -> std::time::Duration {
        match self.watching() {
            Watching::Inotify => self.settings.poll,
            Watching::Poll => self.settings.poll_alone,
        }
    }

    async fn read(&mut self) -> Result<Snapshot, VolumeError> {
        let settings = Arc::clone(&self.settings);
        let mut eyes = std::mem::replace(
            &mut self.eyes,
            Eyes {
                subscription: None,
                links: Vec::new(),
                blind: false,
            },
        );
        let (eyes, result) = blocking(move || {
            let result = eyes.look(&settings);
            Ok((eyes, result))
        })
        .await?;
        self.eyes = eyes;
        result
    }
}

impl Eyes {
    /// Watches first and reads then, so that nothing falls in between. What a path leads to may change
    /// in between as well: then what was watched is not what was read, and both are done again.
    fn look(&mut self, settings: &Settings) -> Result<Snapshot, VolumeError> {
        let mut watched = self.places(settings);
        for _ in 0..ROUNDS {
            if let Some(subscription) = &mut self.subscription {
                self.blind = subscription.set(Some(settings.path.clone()), &watched).is_err();
            }
            let Reading { snapshot, mut links } = read::read(settings)?;
            links.truncate(LINKS);
            self.links = links;
            let places = self.places(settings);
            if places == watched {
                return Ok(snapshot);
            }
            watched = places;
        }
        read::read(settings).map(|reading| reading.snapshot)
    }

    fn places(&self, settings: &Settings) -> Vec<Place> {
        if self.subscription.is_none() {
            return Vec::new();
        }
        let mut places: Vec<_> = trail(&settings.path);
        places.extend(self.links.iter().flat_map(|link| trail(link)));
        places.sort();
        places.dedup();
        places
    }
}
