//! The controller: watches on one side, patches on the other, one decision in between.
//!
//! [`run`] is the order of things: keys, watches, the first lists, then workers; and backwards at
//! the end. Data flows one way: watch → index → decide → write.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use jiff::SignedDuration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::info;
use windlass_core::content::digest::KeyRing;
use windlass_core::decide::DecisionSettings;
use windlass_core::policy::effective_policy::PolicyDefaults;
use windlass_core::rollout_slots::RolloutSlots;
use windlass_core::types::name::{Namespace, SourceKind, WorkloadRef};
use windlass_core::workload::opt_in::AnnotationOptions;

pub(crate) mod leader;
pub(crate) mod startup;

use crate::k8s::client;
use crate::k8s::heartbeat::Heartbeat;
use crate::k8s::keyring::KeyStore;
use crate::k8s::lease::Lease;
use crate::k8s::watch_activity::WatchActivity;
use crate::ops::{Admin, Liveness, Metrics, Notifier, Readiness, Shutdown};
use crate::report::gauges;
use crate::watch::{self, baselines, fetch};

use crate::clock::Clock;
pub use crate::config::{ControllerConfig, REQUEST_TIMEOUT};
use crate::context::Context;
use crate::election::{Election, WriteGate};
use crate::index::{FetchRequest, Index, IndexSettings};
use crate::queue::Queue;
use crate::reader::Reader;
use crate::reconcile::Reconciler;
pub use crate::report::labels::metrics_reference;
use crate::report::labels::{metrics, request_counter};
use crate::report::traces::ChangeTraces;
pub use crate::scope::{ClusterPolicies, CustomKind, SourceKinds, WorkloadKind};
use crate::watch::ingest::Ingest;

/// The API server is deaf for longer only if it hangs.
pub(crate) const LIVENESS_DEADLINE: Duration = Duration::from_mins(1);
pub(crate) const LIVENESS_TICK: Duration = Duration::from_secs(5);

/// How often is looked after what no event tells of: slots of deleted workloads, silent watches.
pub(crate) const REPORT: Duration = Duration::from_secs(5);

/// A rollout that is not complete by then has failed, and gives its place to the next one.
pub(crate) const ROLLOUT_DEADLINE: SignedDuration = SignedDuration::from_mins(10);

/// What is left of the 10 s of a stop for what is still to be told.
pub(crate) const NOTIFICATIONS_AT_STOP: Duration = Duration::from_millis(500);

/// The same for traces.
pub(crate) const TRACES_AT_STOP: Duration = Duration::from_millis(300);

pub(crate) const KEYS_READY: &str = "digest keys";
pub(crate) const SYNC_READY: &str = "initial lists of all watches";
pub(crate) const HEARD_READY: &str = "recent data from all watches";

/// A watch that has brought nothing for longer is deaf: the API server sends a bookmark about once a minute, and
/// one that brings nothing for 295 s is opened anew.
pub(crate) const DEAF: Duration = Duration::from_mins(6);

/// Runs the controller until it is asked to stop.
///
/// # Errors
/// When it cannot begin: no cluster to talk to, unusable credentials, a port that is taken. What can
/// heal (an API server that is away, a right that is missing) is waited for instead.
pub async fn run(config: ControllerConfig) -> anyhow::Result<()> {
    let shutdown = Shutdown::new().context("signal handlers")?;
    let stop = shutdown.token();
    let metrics = metrics();
    let readiness = Readiness::new(&[KEYS_READY, SYNC_READY, HEARD_READY]);
    readiness.set(HEARD_READY, true);
    let liveness = Liveness::new(LIVENESS_DEADLINE);
    let admin = Admin::bind(config.observability.admin_address).await?;
    let mut background = JoinSet::new();
    background.spawn(admin.serve(
        readiness.clone(),
        liveness.clone(),
        metrics.clone(),
        stop.clone().cancelled_owned(),
    ));

    let kube_config = client::config(config.connection.kubeconfig.clone(), config.connection.context.clone()).await?;
    let pulses = WatchActivity::default();
    let client = client::client(&kube_config, request_counter(metrics.clone()), pulses.clone())?;
    let namespace = own_namespace(&config, &kube_config);
    let installation = format!("{namespace}/{}", config.lease.name);
    let holder = std::env::var("HOSTNAME").unwrap_or_else(|_| "windlass".into());
    let heart = Heartbeat::new(&namespace, &config.lease.name, &holder, REQUEST_TIMEOUT);
    announce(&config, &kube_config, &installation);
    let notifier = Notifier::start(&config.notifications, &installation, &metrics)?;
    let traces = ChangeTraces::start(&config, &installation)?;

    let clock = Clock::start();
    let begin = startup::Bootstrap {
        client: &client,
        metrics: &metrics,
        heart: &heart,
        clock,
        namespace: &namespace,
        lease_name: &config.lease.name,
        keys_in: keys_in(config.watch.sources),
        timeout: REQUEST_TIMEOUT,
    };
    background.spawn(tick_liveness(liveness.clone()));
    let Some((ring, last_watched)) = stop.run_until_cancelled(begin.keys_and_last_watched()).await else {
        return finish(background).await;
    };
    readiness.set(KEYS_READY, true);

    let (write_gate, last_watched) = leader::begin(&config, &holder, last_watched)?;
    let context = Arc::new(context(
        &config,
        installation,
        ring,
        client.clone(),
        clock,
        write_gate.clone(),
    )?);
    let queue: Arc<Queue<WorkloadRef>> = Arc::default();
    let reading: Arc<Queue<FetchRequest>> = Arc::default();
    // Before the first lists: one that is never complete is to be seen.
    background.spawn(report_silences(pulses.clone(), metrics.clone(), readiness.clone()));
    let ingest = ingest(&config, &context, &queue, &reading, &metrics, pulses);
    let Some(watches) = stop
        .run_until_cancelled(watch::open(&config.watch.scope(), &ingest, last_watched))
        .await
    else {
        return finish(background).await;
    };
    if stop
        .run_until_cancelled(baselines::recover(&context, &config.watch.namespaces))
        .await
        .is_none()
    {
        return finish(background).await;
    }
    readiness.set(SYNC_READY, true);
    announce_sync(&context);
    fetch::start(ingest, &mut background);
    gauges::follow(&metrics, &context, &queue);
    background.spawn(release_slots(context.clone(), queue.clone()));
    // Not before: its renewals say that we have watched up to then.
    let election = Election {
        write_gate: write_gate.clone(),
        lease: Lease::new(&namespace, &config.lease.name),
        client: client.clone(),
        metrics: metrics.clone(),
        clock,
    };
    let work = leader::LeaderDuties {
        config: &config,
        context: &context,
        queue: &queue,
        fetch_queue: reading,
        metrics: &metrics,
        stop: &stop,
        heart: &heart,
        holder,
        notifier: notifier.clone(),
        traces: traces.clone(),
    };
    leader::take_part(election, work).await?;
    drop(watches);
    flush_reports(notifier, traces).await;
    finish(background).await
}

fn announce(config: &ControllerConfig, cluster: &kube::Config, installation: &str) {
    let namespaces = if config.watch.namespaces.is_empty() {
        "all".to_owned()
    } else {
        let names: Vec<&str> = config.watch.namespaces.iter().map(Namespace::as_str).collect();
        names.join(",")
    };
    info!(version = crate::ops::VERSION, server = %cluster.cluster_url, installation, namespaces, "controller starting");
}

fn own_namespace(config: &ControllerConfig, cluster: &kube::Config) -> String {
    let given = config.lease.namespace.as_ref().map(Namespace::as_str);
    given.unwrap_or(&cluster.default_namespace).to_owned()
}

/// Without Secrets none of ours either: then no right on any is needed.
fn keys_in(sources: SourceKinds) -> KeyStore {
    KeyStore(if sources.secrets {
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
        "caches synced"
    );
}

fn context(
    config: &ControllerConfig,
    installation: String,
    ring: KeyRing,
    client: kube::Client,
    clock: Clock,
    write_gate: WriteGate,
) -> anyhow::Result<Context> {
    let reader = Reader {
        index: std::sync::Mutex::new(Index::new(IndexSettings {
            annotation_options: AnnotationOptions {
                compat: config.watch.compat,
                cross_namespace: config.watch.allow_cross_namespace,
            },
            sources: config.watch.sources,
            selected_sources: config.watch.source_selector.is_some(),
            observe_only: config.rollouts.observe_only,
            policy_defaults: PolicyDefaults {
                settle: SignedDuration::try_from(config.rollouts.settle).context("settle")?,
                deadline: ROLLOUT_DEADLINE,
                flap_limit: (config.rollouts.flap_limit > 0).then_some(config.rollouts.flap_limit),
            },
        })),
        settings: DecisionSettings {
            installation: installation.into(),
            presence: config.watch.presence(),
        },
        ring,
        client,
        timeout: REQUEST_TIMEOUT,
        clock,
    };
    Ok(Context {
        reader: Arc::new(reader),
        rollout_slots: std::sync::Mutex::new(RolloutSlots::new(config.rollouts.max_parallel)),
        write_gate,
    })
}

/// Another replica leads by now: nobody waits for this.
async fn flush_reports(notifier: Option<Arc<Notifier>>, traces: ChangeTraces) {
    traces.finish(TRACES_AT_STOP).await;
    if let Some(notifier) = notifier {
        notifier.finish(NOTIFICATIONS_AT_STOP).await;
    }
}

fn ingest(
    config: &ControllerConfig,
    context: &Arc<Context>,
    queue: &Arc<Queue<WorkloadRef>>,
    reading: &Arc<Queue<FetchRequest>>,
    metrics: &Metrics,
    pulses: WatchActivity,
) -> Ingest {
    Ingest {
        reader: context.reader.clone(),
        queue: queue.clone(),
        fetch_queue: reading.clone(),
        observer: Arc::new(metrics.clone()),
        progress: Arc::default(),
        watch_activity: pulses,
        excluded: watch::exclusion_selector(&config.watch.exclude_namespaces),
        source_labels: config.watch.source_selector.as_ref().map(ToString::to_string),
    }
}

async fn finish(mut background: JoinSet<()>) -> anyhow::Result<()> {
    // The admin server ends by itself with the same signal; the rest has nothing to finish.
    tokio::time::sleep(Duration::from_millis(10)).await;
    background.abort_all();
    while background.join_next().await.is_some() {}
    info!("controller stopped");
    Ok(())
}

/// One worker: one workload at a time, until the stop, and never cut off in the middle.
pub(crate) async fn work(reconciler: Arc<Reconciler>, stop: CancellationToken) {
    while let Some(workload) = stop.run_until_cancelled(reconciler.queue.pop()).await {
        reconciler.reconcile(&workload).await;
        reconciler.queue.done(&workload);
        // With a thousand of them due nothing here would ever wait, and no answer of the API server be read.
        tokio::task::yield_now().await;
    }
}

/// Takes rollout slots back from workloads that went without a decision: deleted ones.
async fn release_slots(context: Arc<Context>, queue: Arc<Queue<WorkloadRef>>) {
    let mut round = tokio::time::interval(REPORT);
    loop {
        round.tick().await;
        let index = context.index();
        let turns = context
            .rollout_slots()
            .retain(|workload| index.workload(workload).is_some());
        for turn in turns {
            queue.push(turn);
        }
    }
}

/// What the watches bring, or no more.
async fn report_silences(pulses: WatchActivity, metrics: Metrics, readiness: Readiness) {
    let mut round = tokio::time::interval(REPORT);
    let mut known = BTreeMap::new();
    loop {
        round.tick().await;
        // One that ended on purpose is silent no more.
        for silence in known.values_mut() {
            *silence = Duration::ZERO;
        }
        known.extend(pulses.silences(Instant::now()));
        for (resource, silence) in &known {
            metrics.watch_idle(resource, *silence);
        }
        readiness.set(HEARD_READY, known.values().all(|silence| *silence < DEAF));
    }
}

async fn tick_liveness(liveness: Liveness) {
    let mut period = tokio::time::interval(LIVENESS_TICK);
    loop {
        period.tick().await;
        liveness.tick();
    }
}
