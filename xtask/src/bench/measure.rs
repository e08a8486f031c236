//! One change and the time until its effect is visible to others.
//!
//! The clock of a single change starts when the API server has confirmed the change of the
//! source, and stops when our own watch shows the last changed pod template. Starting it when the
//! request is sent would add the same few milliseconds to both sides and bring every ratio closer
//! to one. The clock of a burst starts when its first request is sent.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use kube::{
    Client,
    api::{GetParams, Patch, PatchParams},
    core::Request,
};
use serde_json::json;
use tokio::time::sleep;

use super::layout::{Source, Subject, USED_KEY};
use crate::{
    kinds::{Kind, WorkloadRef},
    workloads::Observer,
};

/// An effect that takes this long will not come.
const EFFECT_LIMIT: Duration = Duration::from_mins(1);
/// Between two single changes: what follows a patch (an Event, watch events) must not be measured
/// as a part of the next one.
const GAP: Duration = Duration::from_millis(20);
/// Requests of ours in flight during a burst.
const BURST_CONCURRENCY: usize = 32;

/// Changes the sources of one subject in turn, so that no workload restarts often.
pub struct Changer<'a> {
    client: &'a Client,
    observer: &'a Observer,
    subject: Subject,
    kinds: Vec<(Kind, usize)>,
    made: usize,
    changed_secrets: Vec<String>,
}

/// How long single changes took.
#[derive(Default)]
pub struct Times {
    pub config_maps: Vec<Duration>,
    pub secrets: Vec<Duration>,
}

impl<'a> Changer<'a> {
    /// `kinds` is which workloads the subject has and how many; they take turns.
    pub fn new(client: &'a Client, observer: &'a Observer, subject: Subject, kinds: Vec<(Kind, usize)>) -> Self {
        Self {
            client,
            observer,
            subject,
            kinds,
            made: 0,
            changed_secrets: Vec::new(),
        }
    }

    /// How many templates it has given a reason to change so far.
    pub fn made(&self) -> usize {
        self.made
    }

    /// The Secret of each change of one so far.
    pub fn changed_secrets(&self) -> &[String] {
        &self.changed_secrets
    }

    /// One change.
    pub async fn one(&mut self, source: Source) -> Result<Duration> {
        let change = self.next(source);
        self.send(&change).await?;
        self.time_from_now(&[change.effect]).await
    }

    /// Changes one after the other, in each turn one of each kind of source.
    pub async fn one_at_a_time(&mut self, turns: usize, sources: &[Source]) -> Result<Times> {
        let mut times = Times::default();
        for _ in 0..turns {
            for source in sources {
                let time = self.one(*source).await?;
                match source {
                    Source::ConfigMap => times.config_maps.push(time),
                    Source::Secret => times.secrets.push(time),
                }
                sleep(GAP).await;
            }
        }
        Ok(times)
    }

    /// Lets the API server collect its garbage (`net/http/pprof`). With thousands of objects that takes it half a
    /// second, and as bursts come at the same pace as the garbage, it is always the same one's bursts that it
    /// makes half as long again.
    pub async fn tidy_up(&self) -> Result<()> {
        let mut request = Request::new("/debug/pprof").get("heap", &GetParams::default())?;
        *request.uri_mut() = "/debug/pprof/heap?gc=1&debug=1".parse()?;
        self.client
            .request_text(request)
            .await
            .context("have the API server collect its garbage")?;
        Ok(())
    }

    /// Changes at once; the time until the last effect.
    pub async fn burst(&mut self, count: usize, source: Source) -> Result<Duration> {
        let changes: Vec<Change> = (0..count).map(|_| self.next(source)).collect();
        let started = Instant::now();
        stream::iter(changes.iter().map(|change| self.send(change)))
            .buffer_unordered(BURST_CONCURRENCY)
            .try_collect::<()>()
            .await?;
        let effects: Vec<Effect> = changes.into_iter().map(|change| change.effect).collect();
        Ok(self.last(&effects).await?.saturating_duration_since(started))
    }

    /// One change of the ConfigMap that all its workloads use; the time until the last effect.
    pub async fn shared(&mut self) -> Result<Duration> {
        let workloads = self.subject.workloads(&self.kinds);
        let effects: Vec<Effect> = workloads.map(|workload| self.effect(workload)).collect();
        self.made += effects.len();
        let value = self.value();
        self.set(Source::ConfigMap, self.subject.shared(), &value).await?;
        self.time_from_now(&effects).await
    }

    /// Changes the ConfigMaps of CronJobs, of which nothing follows.
    pub async fn cron_jobs(&self, count: usize) -> Result<()> {
        let value = self.value();
        for index in 0..count {
            let cron_job = self.subject.workload(Kind::CronJob, index);
            let name = Source::ConfigMap.of(&cron_job);
            self.set(Source::ConfigMap, &name, &value).await?;
        }
        Ok(())
    }

    fn next(&mut self, source: Source) -> Change {
        let kinds = self.kinds.len();
        let (kind, count) = *self
            .kinds
            .get(self.made % kinds)
            .expect("a remainder is less than the divisor");
        let workload = self.subject.workload(kind, self.made / kinds % count);
        self.made += 1;
        let name = source.of(&workload);
        if source == Source::Secret {
            self.changed_secrets.push(name.clone());
        }
        Change {
            source,
            name,
            value: self.value(),
            effect: self.effect(workload),
        }
    }

    /// Another one after each change.
    fn value(&self) -> String {
        format!("{:05}", self.made)
    }

    fn effect(&self, workload: WorkloadRef) -> Effect {
        let before = self
            .observer
            .get(&workload)
            .map_or(0, |seen| seen.template_changes.len());
        Effect { workload, before }
    }

    async fn send(&self, change: &Change) -> Result<()> {
        self.set(change.source, &change.name, &change.value).await
    }

    async fn set(&self, source: Source, name: &str, value: &str) -> Result<()> {
        let field = match source {
            Source::ConfigMap => "data",
            Source::Secret => "stringData",
        };
        let body = Patch::Merge(json!({field: {USED_KEY: value}}));
        let request = Request::new(source.path()).patch(name, &PatchParams::default(), &body)?;
        self.client
            .request_text(request)
            .await
            .with_context(|| format!("change {name}"))?;
        Ok(())
    }

    async fn time_from_now(&self, effects: &[Effect]) -> Result<Duration> {
        let confirmed = Instant::now();
        Ok(self.last(effects).await?.saturating_duration_since(confirmed))
    }

    /// When the last of them could be seen.
    async fn last(&self, effects: &[Effect]) -> Result<Instant> {
        let what = match effects {
            [effect] => format!("{} changes the template of {}", self.subject, effect.workload),
            _ => format!("{} changes the templates of {} workloads", self.subject, effects.len()),
        };
        self.observer
            .wait_for_each(EFFECT_LIMIT, &what, effects, |all, effect| {
                all.get(&effect.workload)?.template_changes.get(effect.before).copied()
            })
            .await
    }
}

struct Change {
    source: Source,
    name: String,
    value: String,
    effect: Effect,
}

struct Effect {
    workload: WorkloadRef,
    /// Template changes of that workload before this one.
    before: usize,
}
