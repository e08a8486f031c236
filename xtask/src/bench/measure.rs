//! One change and the time until its effect is visible to others.
//!
//! The clock of a single change starts when the API server has confirmed the change of the
//! ConfigMap, and stops when our own watch shows the changed pod template. Starting it when the
//! request is sent would add the same few milliseconds to both sides and bring every ratio closer
//! to one. The clock of a burst starts when its first request is sent.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use kube::{
    Client,
    api::{Patch, PatchParams},
    core::Request,
};
use serde_json::json;
use tokio::time::sleep;

use super::seed::{Subject, USED_KEY, config_maps_path};
use crate::deployments::Observer;

/// An effect that takes this long will not come.
const EFFECT_LIMIT: Duration = Duration::from_mins(1);
/// Between two single changes: what follows a patch (an Event, watch events) must not be measured
/// as a part of the next one.
const GAP: Duration = Duration::from_millis(20);
/// Requests of ours in flight during a burst.
const BURST_CONCURRENCY: usize = 32;

/// Changes the ConfigMaps of one subject in turn, so that no Deployment restarts often.
pub struct Changer<'a> {
    client: &'a Client,
    observer: &'a Observer,
    subject: Subject,
    deployments: usize,
    made: usize,
}

impl<'a> Changer<'a> {
    /// `deployments` is how many the subject has.
    pub fn new(client: &'a Client, observer: &'a Observer, subject: Subject, deployments: usize) -> Self {
        Self {
            client,
            observer,
            subject,
            deployments,
            made: 0,
        }
    }

    /// How many changes it has made so far.
    pub fn made(&self) -> usize {
        self.made
    }

    /// One change.
    pub async fn one(&mut self) -> Result<Duration> {
        let target = self.next_target();
        self.change(&target).await?;
        let confirmed = Instant::now();
        let seen = self.effects(std::slice::from_ref(&target)).await?;
        Ok(seen.saturating_duration_since(confirmed))
    }

    /// Changes one after the other.
    pub async fn one_at_a_time(&mut self, count: usize) -> Result<Vec<Duration>> {
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            times.push(self.one().await?);
            sleep(GAP).await;
        }
        Ok(times)
    }

    /// Changes at once; the time until the last effect.
    pub async fn burst(&mut self, count: usize) -> Result<Duration> {
        let targets: Vec<Target> = (0..count).map(|_| self.next_target()).collect();
        let started = Instant::now();
        stream::iter(targets.iter().map(|target| self.change(target)))
            .buffer_unordered(BURST_CONCURRENCY)
            .try_collect::<()>()
            .await?;
        Ok(self.effects(&targets).await?.saturating_duration_since(started))
    }

    fn next_target(&mut self) -> Target {
        let index = self.made % self.deployments;
        self.made += 1;
        let deployment = self.subject.deployment(index);
        let before = self
            .observer
            .get(&deployment)
            .map_or(0, |seen| seen.template_changes.len());
        Target {
            deployment,
            config_map: self.subject.environment(index),
            value: format!("{:05}", self.made),
            before,
        }
    }

    async fn change(&self, target: &Target) -> Result<()> {
        let body = Patch::Merge(json!({"data": {USED_KEY: target.value}}));
        let request = Request::new(config_maps_path()).patch(&target.config_map, &PatchParams::default(), &body)?;
        self.client
            .request_text(request)
            .await
            .with_context(|| format!("change {}", target.config_map))?;
        Ok(())
    }

    /// When the last of them had its effect.
    async fn effects(&self, targets: &[Target]) -> Result<Instant> {
        let what = format!(
            "{} changes the template of {} Deployment(s)",
            self.subject,
            targets.len()
        );
        self.observer
            .wait(EFFECT_LIMIT, &what, |all| {
                let times: Option<Vec<Instant>> = targets
                    .iter()
                    .map(|target| {
                        all.get(&target.deployment)?
                            .template_changes
                            .get(target.before)
                            .copied()
                    })
                    .collect();
                times?.into_iter().max()
            })
            .await
    }
}

struct Target {
    deployment: String,
    config_map: String,
    value: String,
    /// Template changes of that Deployment before this one.
    before: usize,
}
