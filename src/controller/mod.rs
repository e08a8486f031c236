//! The controller: watches on one side, patches on the other, one decision in between.
//!
//! [`run`] is the order of things: keys, watches, the first lists, then workers; and backwards at
//! the end. Data flows one way: watch → index → decide → write.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use jiff::SignedDuration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::core::decide::Settings;
use crate::core::digest::KeyRing;
use crate::core::governor::Governor;
use crate::core::kind::KindId;
use crate::core::name::{SourceKind, WorkloadRef};
use crate::core::optin::Reading;
use crate::core::reason::{REASONS, STATES};
use crate::core::terms::BuiltIn;
use crate::core::time::Second;
use crate::k8s::client;
use crate::k8s::heartbeat::{self, Heartbeat};
use crate::k8s::keyring::KeptIn;
use crate::k8s::lease::Lease;
use crate::ops::{Admin, ApiCode, Liveness, Metrics, Readiness, Shutdown, Verb, Vocabulary};

mod config;
mod definitions;
pub mod entry;
mod event_writer;
mod feed;
pub mod gather;
pub mod index;
mod kinds;
mod leading;
pub mod observe;
mod places;
mod policies;
pub mod propagation;
pub mod queue;
mod reading;
pub mod reconcile;
pub mod rehearsal;
#[cfg(test)]
mod simulation;
mod startup;
mod statuses;
mod troubles;
mod watches;

pub use config::{ControllerConfig, Described, Sources, WorkloadKind};
use feed::Feed;
use gather::{Clock, Context};
use index::{Index, Rules, Wanted};
use leading::{Election, Leading};
use observe::Observer;
use propagation::Propagator;
use queue::Queue;
use reconcile::Reconciler;

/// How long one request may take. A stop waits for those under way, and has 10 s in all.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(8);

/// How long a stop waits for the lease to be released. Without that the others take it when it expires.
const RELEASE: Duration = Duration::from_millis(900);

/// A leader that has seen a change may take this long beyond the settling until the cluster tells of it.
const UNRECORDED: SignedDuration = SignedDuration::from_secs(10);

/// What is left of the 10 s for the Events that are still queued.
const EVENTS_AT_STOP: Duration = Duration::from_secs(1);

/// Events waiting to be written. 1024 of them are half a MiB; beyond that they are counted and
/// dropped, because no decision may wait for one.
const EVENTS_QUEUED: usize = 1024;

/// The API server is deaf for longer only if it hangs.
const LIVENESS_DEADLINE: Duration = Duration::from_mins(1);
const LIVENESS_TICK: Duration = Duration::from_secs(5);

/// Workloads that are queued at a time when everything is looked at again.
const RESYNC_PORTION: usize = 256;
const RESYNC_PAUSE: Duration = Duration::from_millis(5);

/// How often gauges are set that no decision sets.
const REPORT: Duration = Duration::from_secs(5);

/// A rollout that is not complete by then has failed, and gives its place to the next one.
const ROLLOUT_DEADLINE: SignedDuration = SignedDuration::from_mins(10);

const KEYS_READY: &str = "digest keys";
const SYNC_READY: &str = "first lists of all watches";

/// Runs the controller until it is asked to stop.
///
/// # Errors
/// When it cannot begin: no cluster to talk to, unusable credentials, a port that is taken. What can
/// heal (an API server that is away, a right that is missing) is waited for instead.
pub async fn run(config: ControllerConfig) -> anyhow::Result<()> {
    let shutdown = Shutdown::new().context("signal handlers")?;
    let stop = shutdown.token();
    let metrics = metrics();
    let readiness = Readiness::new(&[KEYS_READY, SYNC_READY]);
    let liveness = Liveness::new(LIVENESS_DEADLINE);
    let admin = Admin::bind(config.admin_address).await?;
    let mut background = JoinSet::new();
    background.spawn(admin.serve(
        readiness.clone(),
        liveness.clone(),
        metrics.clone(),
        stop.clone().cancelled_owned(),
    ));

    let kube_config = client::config(config.kubeconfig.clone(), config.context.clone()).await?;
    let client = client::client(&kube_config, request_counter(metrics.clone()))?;
    let namespace = config
        .lease_namespace
        .clone()
        .unwrap_or_else(|| kube_config.default_namespace.clone());
    let installation = format!("{namespace}/{}", config.lease_name);
    let holder = std::env::var("HOSTNAME").unwrap_or_else(|_| "windlass".into());
    let heart = Heartbeat::new(&namespace, &config.lease_name, &holder, REQUEST_TIMEOUT);
    announce(&config, &kube_config, &installation);

    let clock = Clock::start();
    let begin = startup::Begin {
        client: &client,
        metrics: &metrics,
        heart: &heart,
        clock,
        namespace: &namespace,
        lease_name: &config.lease_name,
        keys_in: keys_in(config.sources),
        timeout: REQUEST_TIMEOUT,
    };
    let tick = tick_liveness(liveness.clone());
    background.spawn(tick);
    let Some((ring, last_watched)) = stop.run_until_cancelled(begin.keys_and_last_watched()).await else {
        return finish(background).await;
    };
    readiness.set(KEYS_READY, true);

    let leading = match config.election {
        // Whoever only reports leaves it to nobody else.
        Some(times) if !config.observe_only => Leading::elected(leading::identity(&holder)?, times),
        Some(_) | None => Leading::alone(),
    };
    let last_watched = if leading.is_alone() {
        last_watched
    } else {
        last_watched.and_then(|last| dealt_with(last, &config))
    };
    let context = Arc::new(context(
        &config,
        installation,
        ring,
        client.clone(),
        clock,
        leading.clone(),
    )?);
    let queue: Arc<Queue<WorkloadRef>> = Arc::default();
    let reading: Arc<Queue<Wanted>> = Arc::default();
    let feed = Feed {
        context: context.clone(),
        queue: queue.clone(),
        reading: reading.clone(),
        metrics: metrics.clone(),
        progress: Arc::default(),
        excluded: watches::excluded(&config.exclude_namespaces),
        source_labels: config.source_selector.clone(),
    };
    let Some(watches) = stop
        .run_until_cancelled(watches::open(&config, &feed, last_watched))
        .await
    else {
        return finish(background).await;
    };
    if stop
        .run_until_cancelled(startup::recover_baselines(&context, &config.namespaces))
        .await
        .is_none()
    {
        return finish(background).await;
    }
    readiness.set(SYNC_READY, true);
    announce_sync(&context);
    reading::start(feed, &mut background);
    background.spawn(report(context.clone(), queue.clone(), metrics.clone()));
    // Not before: its renewals say that we have watched up to then.
    let election = Election {
        leading: leading.clone(),
        lease: Lease::new(&namespace, &config.lease_name),
        client: client.clone(),
        metrics: metrics.clone(),
        clock,
    };
    let mut election = tokio::spawn(election.run());
    let mut work = Work {
        config: &config,
        context: &context,
        queue: &queue,
        reading,
        metrics: &metrics,
        stop: &stop,
        heart: &heart,
        holder,
    };
    let ended = tokio::select! {
        biased;
        ended = &mut election => Some(ended),
        () = work.run() => None,
    };
    if ended.is_some() {
        // Whatever is under way is cut off: another one may lead.
        metrics.leader(false);
        anyhow::bail!("the lease is lost: ending, to begin anew as a standby");
    }
    if leading.is_alone() {
        election.abort();
    } else {
        leading.release();
        if tokio::time::timeout(RELEASE, election).await.is_err() {
            warn!("the lease could not be released, it expires");
        }
    }
    metrics.leader(false);
    drop(watches);
    finish(background).await
}

/// Up to when what a leader has seen is dealt with or on record, given when it renewed the lease last: what
/// it knew besides, a replica that begins while it leads does not.
fn dealt_with(last: Second, config: &ControllerConfig) -> Option<Second> {
    let settle = SignedDuration::try_from(config.settle).ok()?;
    let unrecorded = settle.checked_add(UNRECORDED)?;
    Some(Second::new(last.unix().saturating_sub(unrecorded.as_secs())))
}

/// Everything that only one replica does.
struct Work<'a> {
    config: &'a ControllerConfig,
    context: &'a Arc<Context>,
    queue: &'a Arc<Queue<WorkloadRef>>,
    reading: Arc<Queue<Wanted>>,
    metrics: &'a Metrics,
    stop: &'a CancellationToken,
    heart: &'a Heartbeat,
    holder: String,
}

impl Work<'_> {
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
            reading,
            metrics,
            stop,
            heart,
            holder,
        } = self;
        metrics.leader(true);
        startup::find_rolling(context);
        context.index().note_news();
        let (events, queued_events) = mpsc::channel(EVENTS_QUEUED);
        let observer = Arc::new(Observer::new(metrics.clone(), events));
        let propagator = Propagator::new(context.clone(), queue.clone(), metrics.clone(), config);
        let reconciler = reconciler(context, queue, reading.clone(), &propagator, observer, config);
        let mut background = JoinSet::new();
        // Its first round decides everything.
        background.spawn(resync(context.clone(), queue.clone(), config.resync));
        background.spawn(statuses::write(context.clone(), metrics.clone()));
        let beats = !config.observe_only && context.leading.is_alone();
        if beats {
            background.spawn(beat(context.clone(), heart.clone(), metrics.clone()));
        }
        let workers = start_workers(reconciler, config.write_concurrency, stop);
        let propagating = propagator.start(stop);
        let event_writer = tokio::spawn(event_writer::write(
            queued_events,
            context.clone(),
            holder.clone(),
            queue.clone(),
            metrics.clone(),
        ));

        stop.cancelled().await;
        info!("stopping: finishing the writes under way");
        finish_writes(workers, propagating, event_writer).await;
        background.shutdown().await;
        if beats && let Err(error) = heart.beat(&context.client, context.clock.now()).await {
            warn!(%error, "the last heartbeat could not be written");
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
        () = context.leading.may_write() => {}
        () = forget => {}
    }
}

fn reconciler(
    context: &Arc<Context>,
    queue: &Arc<Queue<WorkloadRef>>,
    reading: Arc<Queue<Wanted>>,
    propagator: &Arc<Propagator>,
    observer: Arc<Observer>,
    config: &ControllerConfig,
) -> Reconciler {
    Reconciler {
        context: context.clone(),
        queue: queue.clone(),
        reading,
        rehearsals: rehearsal::Rehearsals::default(),
        propagator: Some(propagator.clone()),
        observer,
        observe_only: config.observe_only,
        resync: config.resync,
    }
}

fn announce(config: &ControllerConfig, cluster: &kube::Config, installation: &str) {
    let namespaces = if config.namespaces.is_empty() {
        "all".to_owned()
    } else {
        config.namespaces.join(",")
    };
    info!(version = crate::ops::VERSION, server = %cluster.cluster_url, installation, namespaces, "starting");
}

/// Without Secrets none of ours either: then no right on any is needed.
fn keys_in(sources: Sources) -> KeptIn {
    KeptIn(if sources.secrets {
        SourceKind::Secret
    } else {
        SourceKind::ConfigMap
    })
}

fn announce_sync(context: &Context) {
    let index = context.index();
    info!(
        workloads = index.workloads().count(),
        configmaps = index.source_count(SourceKind::ConfigMap),
        secrets = index.source_count(SourceKind::Secret),
        "in sync"
    );
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
        warn!("some Events could not be written before the end");
    }
}

fn context(
    config: &ControllerConfig,
    installation: String,
    ring: KeyRing,
    client: kube::Client,
    clock: Clock,
    leading: Leading,
) -> anyhow::Result<Context> {
    Ok(Context {
        index: std::sync::Mutex::new(Index::new(Rules {
            reading: Reading {
                compat: config.compat,
                cross_namespace: config.allow_cross_namespace,
            },
            sources: config.sources,
            selected_sources: config.source_selector.is_some(),
            observe_only: config.observe_only,
            built_in: BuiltIn {
                settle: SignedDuration::try_from(config.settle).context("settle")?,
                deadline: ROLLOUT_DEADLINE,
                flap_limit: (config.flap_limit > 0).then_some(config.flap_limit),
            },
        })),
        settings: Settings {
            installation: installation.into(),
            presence: config.presence,
        },
        governor: std::sync::Mutex::new(Governor::new(config.max_parallel)),
        ring,
        client,
        timeout: REQUEST_TIMEOUT,
        clock,
        leading,
    })
}

async fn finish(mut background: JoinSet<()>) -> anyhow::Result<()> {
    // The admin server ends by itself with the same signal; the rest has nothing to finish.
    tokio::time::sleep(Duration::from_millis(10)).await;
    background.abort_all();
    while background.join_next().await.is_some() {}
    info!("stopped");
    Ok(())
}

/// One worker: one workload at a time, until the stop, and never cut off in the middle.
async fn work(reconciler: Arc<Reconciler>, stop: CancellationToken) {
    while let Some(workload) = stop.run_until_cancelled(reconciler.queue.pop()).await {
        reconciler.reconcile(&workload).await;
        reconciler.queue.done(&workload);
        // With a thousand of them due nothing here would ever wait, and no answer of the API server be read.
        tokio::task::yield_now().await;
    }
}

/// Everything is looked at again now and then, should anything have gone unnoticed. Costs no request.
async fn resync(context: Arc<Context>, queue: Arc<Queue<WorkloadRef>>, period: Duration) {
    let mut round = tokio::time::interval(period);
    loop {
        round.tick().await;
        let mut all: Vec<WorkloadRef> = context.index().workloads().map(|(it, _)| it.clone()).collect();
        // In portions: what is queued takes several times the room, and there may be thousands.
        while !all.is_empty() {
            for workload in all.split_off(all.len().saturating_sub(RESYNC_PORTION)) {
                queue.push(workload);
            }
            while queue.depth() > RESYNC_PORTION / 2 {
                tokio::time::sleep(RESYNC_PAUSE).await;
            }
        }
    }
}

/// Gauges that follow from the index: what went without a decision, a deleted workload, shows only
/// here.
async fn report(context: Arc<Context>, queue: Arc<Queue<WorkloadRef>>, metrics: Metrics) {
    let mut round = tokio::time::interval(REPORT);
    loop {
        round.tick().await;
        let now = context.clock.now();
        let index = context.index();
        let turns = context.governor().retain(|workload| index.workload(workload).is_some());
        for turn in turns {
            queue.push(turn);
        }
        observe::gauges(&metrics, &index);
        for kind in [SourceKind::ConfigMap, SourceKind::Secret] {
            metrics.sources(kind.word(), index.source_count(kind));
        }
        metrics.write_queue_depth(queue.depth());
        let oldest = index.workloads().filter_map(|(_, entry)| entry.stale_since).min();
        metrics.oldest_stale(
            oldest
                .and_then(|since| Duration::try_from(now.duration_since(since)).ok())
                .unwrap_or_default(),
        );
    }
}

/// Keeps the mark of when we last watched.
async fn beat(context: Arc<Context>, heart: Heartbeat, metrics: Metrics) {
    let mut period = tokio::time::interval(heartbeat::PERIOD);
    loop {
        period.tick().await;
        if let Err(error) = heart.beat(&context.client, context.clock.now()).await {
            metrics.error(error.word());
            warn!(%error, "the heartbeat could not be written");
        }
    }
}

async fn tick_liveness(liveness: Liveness) {
    let mut period = tokio::time::interval(LIVENESS_TICK);
    loop {
        period.tick().await;
        liveness.tick();
    }
}

fn metrics() -> Metrics {
    let reasons: Vec<&str> = REASONS
        .iter()
        .filter(|reason| observe::is_hold(**reason))
        .map(|reason| reason.word())
        .collect();
    let states: Vec<&str> = STATES.iter().map(|state| state.word()).collect();
    let plurals: Vec<&str> = KindId::built_in().map(|kind| kind.row().plural).collect();
    let sources = ["configmaps", "secrets"];
    let watched: Vec<&str> = sources
        .iter()
        .chain(&plurals)
        .chain(&policies::PLURALS)
        .copied()
        .collect();
    let requests: Vec<(Verb, &str)> = watched
        .iter()
        .map(|plural| (Verb::Watch, *plural))
        .chain(plurals.iter().map(|plural| (Verb::Patch, *plural)))
        .chain([
            (Verb::Get, "secrets"),
            (Verb::Create, "events"),
            (Verb::Get, "leases"),
            (Verb::Patch, "leases"),
            (Verb::List, "pods"),
            (Verb::Patch, "pods"),
        ])
        .chain(policies::PLURALS.map(|plural| (Verb::Patch, plural)))
        .collect();
    Metrics::new(&Vocabulary {
        workload_kinds: &observe::kind_words(),
        source_kinds: &["ConfigMap", "Secret"],
        states: &states,
        held_reasons: &reasons,
        error_reasons: crate::k8s::error::WORDS,
        watched: &watched,
        requests: &requests,
    })
}

fn request_counter(metrics: Metrics) -> client::Observer {
    Arc::new(move |call: client::Call| {
        let verb = match call.verb {
            "get" => Verb::Get,
            "list" => Verb::List,
            "watch" => Verb::Watch,
            "create" => Verb::Create,
            "patch" => Verb::Patch,
            // Nothing else is ever sent; and what is not known is not counted as something else.
            _ => return,
        };
        let code = if call.code == 0 {
            ApiCode::Transport
        } else {
            ApiCode::Status(call.code)
        };
        metrics.api_request(verb, call.resource, code, call.took);
    })
}
