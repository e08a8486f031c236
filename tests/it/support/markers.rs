//! What is changed and waited for, so that whatever had to be done before it has been done.

use super::{
    Test,
    build::{deployment, env},
    controller::Controller,
    next_second,
};

/// Two, so that one can still be rolling when the next proof is asked for.
const MARKERS: [&str; 2] = ["marker-1", "marker-2"];

/// What uses a Secret, to be changed and waited for: they come by another watch than `ConfigMap`s.
pub const SECRET_MARKER: &str = "secret-marker";

impl Test {
    /// Causes two restarts one after the other and waits for both, so that what was to be done
    /// before has been done.
    pub async fn everything_before_is_done(&self) {
        for marker in MARKERS {
            let before = self.template_changes(marker).await;
            self.change_marker(marker).await;
            self.await_template_changes(marker, before + 1).await;
        }
    }

    pub(super) async fn everything_is_said(&self) {
        let [_, marker] = MARKERS;
        let is_there = self.configs.borrow().contains_key(marker);
        let runs = self.windlass.borrow().as_ref().is_some_and(Controller::runs);
        if !is_there || !runs {
            return;
        }
        let before = self.template_changes(marker).await;
        self.change_marker(marker).await;
        self.await_template_changes(marker, before + 1).await;
        self.metric("windlass_events_waiting", &[], 0).await;
    }

    pub(super) async fn deploy_markers(&self) {
        for marker in MARKERS {
            self.change_marker(marker).await;
        }
        // So that the pods are younger than what they use, to be read off their times.
        next_second().await;
        for marker in MARKERS {
            self.deploy(deployment(marker).uses(env(marker, "count"))).await;
        }
    }

    async fn change_marker(&self, marker: &str) {
        let count = {
            let mut configs = self.configs.borrow_mut();
            let count = configs.entry(marker.to_owned()).or_default();
            *count += 1;
            count.to_string()
        };
        self.config(marker, &[("count", &count)]).await;
    }

    /// Deploys the marker.
    pub async fn deploy_secret_marker(&self) {
        self.secret(SECRET_MARKER, &[("count", "0")]).await;
        let uses = env(SECRET_MARKER, "count").of_secret();
        self.deploy(deployment(SECRET_MARKER).uses(uses)).await;
    }

    /// What was to be done about any Secret or `ConfigMap` of this namespace has been done.
    pub async fn everything_of_secrets_is_done(&self) {
        for _ in 0..2 {
            let count = self.template_changes(SECRET_MARKER).await + 1;
            self.secret(SECRET_MARKER, &[("count", &count.to_string())]).await;
            self.await_template_changes(SECRET_MARKER, count).await;
        }
        self.everything_before_is_done().await;
    }
}
