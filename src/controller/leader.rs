//! What one replica does after the other: it stands by, it leads, it hands over.
//!
//! Everything before, up to the first lists, is the same for all replicas; a single one leads at once.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use windlass_core::types::name::WorkloadRef;
use windlass_core::types::time::Second;

use super::work;
use crate::config::ControllerConfig;
use crate::context::Context;
use crate::controller::startup;
use crate::election::{self, Election, WriteGate};
use crate::in_place::Propagator;
use crate::index::FetchRequest;
use crate::k8s::heartbeat::{self, Heartbeat};
use crate::ops::{Metrics, Notifier};
use crate::queue::Queue;
use crate::reconcile::Reconciler;
use crate::reconcile::dry_run;
use crate::reconcile::observe::Observer;
use crate::report::events::{self, EVENTS_QUEUED, EventBacklog};
use crate::report::policy_status;
use crate::report::traces::ChangeTraces;

/// How long a stop waits for the lease to be released. Without that the others take it when it expires.
const RELEASE: Duration = Duration::from_millis(900);

/// A leader that has seen a change may take this long beyond the settling until the cluster tells of it.
const UNRECORDED: SignedDuration = SignedDuration::from_secs(10);

/// What is left of the 10 s for the Events that are still queued.
const EVENTS_AT_STOP: Duration = Duration::from_secs(1);

/// Workloads that are queued at a time when everything is looked at again.
const RESYNC_PORTION: usize = 256;
const RESYNC_PAUSE: Duration = Duration::from_millis(5);

/// Whether there are other replicas, and up to when what was watched before is dealt with.
pub(crate) fn begin(
    config: &ControllerConfig,
    host: &str,
    last_watched: Option<Second>,
) -> anyhow::Result<(WriteGate, Option<Second>)> {
    match config.lease.times {
        // Whoever only reports leaves it to nobody else.
        Some(times) if !config.rollouts.observe_only => {
            let leading = WriteGate::elected(election::identity(host)?, times);
            Ok((leading, last_watched.and_then(|last| last_watched_before(last, config))))
        }
        Some(_) | None => Ok((WriteGate::alone(), last_watched)),
    }
}

/// Takes part in the election and leads when it is our turn, until the stop. Fails when the lease is lost.
pub(crate) async fn take_part(election: Election, mut work: LeaderDuties<'_>) -> anyhow::Result<()> {
    let leading = election.write_gate.clone();
    let mut election = tokio::spawn(election.run());
    let lost = tokio::select! {
        biased;
        _ = &mut election => true,
        () = work.run() => false,
    };
    work.metrics.leader(false);
    // Whatever is under way is cut off with this: another one may lead.
    anyhow::ensure!(!lost, "lost leader election; exiting to restart as standby");
    if leading.is_alone() {
        election.abort();
        return Ok(());
    }
    leading.release();
    if tokio::time::timeout(RELEASE, election).await.is_err() {
        warn!("cannot release the lease; it expires on its own");
    }
    Ok(())
}

/// Up to when what a leader has seen is dealt with or on record, given when it renewed the lease last: what
/// it knew besides, a replica that begins while it leads does not.
fn last_watched_before(last: Second, config: &ControllerConfig) -> Option<Second> {
    let settle = SignedDuration::try_from(config.rollouts.settle).ok()?;
    let unrecorded = settle.checked_add(UNRECORDED)?;
    Some(Second::new(last.unix().saturating_sub(unrecorded.as_secs())))
}

/// Everything that only one replica does.
pub(crate) struct LeaderDuties<'a> {
    pub(crate) config: &'a ControllerConfig,
    pub(crate) context: &'a Arc<Context>,
    pub(crate) queue: &'a Arc<Queue<WorkloadRef>>,
    pub(crate) fetch_queue: Arc<Queue<FetchRequest>>,
    pub(crate) metrics: &'a Metrics,
    pub(crate) stop: &'a CancellationToken,
    pub(crate) heart: &'a Heartbeat,
    pub(crate) holder: String,
    pub(crate) notifier: Option<Arc<Notifier>>,
    pub(crate) traces: ChangeTraces,
}

impl LeaderDuties<'_> {
    /// Stands by, then leads, until the stop; then nothing is under way any more.
    async fn run(&mut self) {
        let stood_by = self.stop.run_until_cancelled(stand_by(self.context, self.queue)).await;
        if stood_by.is_some() {
            self.lead().await;
        }
    }

    async fn lead(&mut self) {
        let Self {
            config,
            context,
            queue,
            fetch_queue: reading,
            metrics,
            stop,
            heart,
            holder,
            notifier,
            traces,
        } = self;
        metrics.leader(true);
        startup::find_rolling(context);
        context.index().note_news();
        let (events, queued_events) = mpsc::channel(EVENTS_QUEUED);
        let backlog = EventBacklog::new(metrics.clone());
        let observer = Arc::new(
            Observer::new(metrics.clone(), events)
                .with_notifier(notifier.clone())
                .with_traces(traces.clone())
                .with_backlog(backlog.clone()),
        );
        let propagator = Propagator::new(context.clone(), queue.clone(), metrics.clone(), config);
        let reconciler = reconciler(context, queue, reading.clone(), &propagator, observer, config);
        let mut background = JoinSet::new();
        // Its first round decides everything.
        background.spawn(resync(context.clone(), queue.clone(), config.rollouts.resync));
        background.spawn(policy_status::write(context.clone(), metrics.clone()));
        let beats = !config.rollouts.observe_only && context.write_gate.is_alone();
        if beats {
            background.spawn(beat(context.clone(), heart.clone(), metrics.clone()));
        }
        let workers = start_workers(reconciler, config.rollouts.write_concurrency, stop);
        let propagating = propagator.start(stop);
        let event_writer = tokio::spawn(events::write(
            queued_events,
            context.clone(),
            holder.clone(),
            queue.clone(),
            backlog,
            metrics.clone(),
        ));

        stop.cancelled().await;
        info!("stopping; finishing writes in progress");
        finish_writes(workers, propagating, event_writer).await;
        background.shutdown().await;
        if beats && let Err(error) = heart.beat(&context.client, context.clock.now()).await {
            warn!(%error, "cannot write the last heartbeat");
        }
    }
}

/// Waits until we may write. What is queued meanwhile would have to be decided anew then, by what is known
/// then, as everything is.
async fn stand_by(context: &Context, queue: &Queue<WorkloadRef>) {
    let forget = async {
        loop {
            let workload = queue.pop().await;
            context.index().forget_dealt_with(&workload);
            queue.done(&workload);
            // With a thousand of them nothing here would ever wait.
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        () = context.write_gate.may_write() => {}
        () = forget => {}
    }
}

fn reconciler(
    context: &Arc<Context>,
    queue: &Arc<Queue<WorkloadRef>>,
    reading: Arc<Queue<FetchRequest>>,
    propagator: &Arc<Propagator>,
    observer: Arc<Observer>,
    config: &ControllerConfig,
) -> Reconciler {
    Reconciler {
        context: context.clone(),
        queue: queue.clone(),
        fetch_queue: reading,
        dry_runs: dry_run::DryRuns::default(),
        propagator: Some(propagator.clone()),
        observer,
        observe_only: config.rollouts.observe_only,
        resync: config.rollouts.resync,
    }
}

fn start_workers(reconciler: Reconciler, count: usize, stop: &CancellationToken) -> JoinSet<()> {
    let reconciler = Arc::new(reconciler);
    let mut workers = JoinSet::new();
    for _ in 0..count {
        workers.spawn(work(reconciler.clone(), stop.clone()));
    }
    workers
}

async fn finish_writes(
    mut workers: JoinSet<()>,
    mut propagating: JoinSet<()>,
    mut event_writer: tokio::task::JoinHandle<()>,
) {
    while workers.join_next().await.is_some() {}
    while propagating.join_next().await.is_some() {}
    // The last worker took the sender with it, so this ends by itself, soon.
    if tokio::time::timeout(EVENTS_AT_STOP, &mut event_writer).await.is_err() {
        event_writer.abort();
        warn!("some Events were not written before shutdown");
    }
}

/// Everything is looked at again now and then, should anything have gone unnoticed. Costs no request.
async fn resync(context: Arc<Context>, queue: Arc<Queue<WorkloadRef>>, period: Duration) {
    let mut round = tokio::time::interval(period);
    loop {
        round.tick().await;
        let mut last = None;
        // In portions: there may be thousands, and what is queued takes room.
        loop {
            let portion = context.index().workloads_after(last.as_ref(), RESYNC_PORTION);
            let Some(end) = portion.last().cloned() else { break };
            for workload in portion {
                queue.push(workload);
            }
            last = Some(end);
            while queue.depth() > RESYNC_PORTION / 2 {
                tokio::time::sleep(RESYNC_PAUSE).await;
            }
        }
    }
}

/// Keeps the mark of when we last watched.
async fn beat(context: Arc<Context>, heart: Heartbeat, metrics: Metrics) {
    let mut period = tokio::time::interval(heartbeat::PERIOD);
    loop {
        period.tick().await;
        if let Err(error) = heart.beat(&context.client, context.clock.now()).await {
            metrics.error(error.as_str());
            warn!(%error, "cannot write the heartbeat");
        }
    }
}
