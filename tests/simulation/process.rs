//! One life of the controller: the real one, fed by hand instead of by watches.
//!
//! The order of things is that of [`crate::controller::run`]. A kill is the end of all its tasks, wherever
//! they are.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use windlass_core::policy::PolicyRef;
use windlass_core::reason::Reason;
use windlass_core::rollout_slots::RolloutSlots;
use windlass_core::types::name::{Namespace, SourceKind, WorkloadRef};
use windlass_core::types::time::Second;
use windlass_core::workload::kind::DEPLOYMENT;

use super::super::clock::Clock;
use super::super::fixtures;
use super::super::index::{Index, IndexSettings, Observation, PolicyEffect, WatchId, WatchedKind};
use super::super::reconcile::Reconciler;
use super::api;
use super::checks::Checks;
use super::cluster::{Event, Fact, Millis, Stream, wall};
use super::world::World;
use crate::context::Context;
use crate::controller::startup;
use crate::election::WriteGate;
use crate::k8s::wire::{
    IntoSource as _, WatchedConfigMap, WatchedMetadata, WatchedPolicy, WatchedSecret, WatchedWorkload,
};
use crate::ops::Metrics;
use crate::reader::Reader;
use crate::reconcile::dry_run::DryRuns;
use crate::reconcile::observe::Observer;
use crate::watch::ingest::{Ingest, apply};
use crate::watch::wait_until;
use crate::watch::{baselines, fetch};

/// Thousands of series, which nobody looks at here.
static METRICS: OnceLock<Metrics> = OnceLock::new();

/// How often the real one says that it is there.
const BEAT: Millis = 10_000;

/// A controller that runs.
pub struct Process {
    pub context: Arc<Context>,
    pub reconciler: Arc<Reconciler>,
    tasks: JoinSet<()>,
    born: Millis,
    skew: i64,
}

impl Process {
    /// Starts one whose clock is ahead by some milliseconds.
    pub fn start(world: &Arc<World>, skew: i64, last_watched: Option<Second>, workers: u64) -> Self {
        let now = world.now();
        let max_parallel = world.look(|state| {
            state.checks.begin(&state.cluster, skew);
            let after = last_watched.map(Second::unix);
            state
                .cluster
                .say(format_args!("START, clock {skew} ms ahead, watched until {after:?}"));
            state.checks.max_parallel
        });
        let clock = wall(now) + jiff::SignedDuration::from_millis(skew);
        let context = Arc::new(Context {
            rollout_slots: std::sync::Mutex::new(RolloutSlots::new(max_parallel)),
            reader: Arc::new(Reader {
                timeout: Duration::from_secs(8),
                clock: Clock::at(clock),
                ..fixtures::reader(Index::new(IndexSettings::default()), api::client(world))
            }),
            write_gate: WriteGate::alone(),
        });
        let metrics = METRICS.get_or_init(crate::report::labels::metrics).clone();
        let (events, mut queued) = mpsc::channel(1024);
        let reconciler = Arc::new(Reconciler {
            context: context.clone(),
            queue: Arc::default(),
            fetch_queue: Arc::default(),
            dry_runs: DryRuns::default(),
            propagator: None,
            observer: Arc::new(Observer::new(metrics.clone(), events)),
            observe_only: false,
            resync: Duration::from_mins(10),
        });
        let feed = Ingest {
            reader: context.reader.clone(),
            queue: reconciler.queue.clone(),
            fetch_queue: reconciler.fetch_queue.clone(),
            observer: Arc::new(metrics),
            progress: Arc::default(),
            watch_activity: crate::k8s::watch_activity::WatchActivity::default(),
            excluded: None,
            source_labels: None,
        };
        let mut tasks = JoinSet::new();
        let reported = world.clone();
        tasks.spawn(async move {
            while let Some(event) = queued.recv().await {
                let (name, reason, note) = (event.workload.name.clone(), event.reason.as_str(), event.note);
                reported.look(|state| {
                    state.cluster.say(format_args!("  {name}: {reason}: {note}"));
                    if event.reason == Reason::RolloutFailed {
                        state.checks.failed(&state.cluster, &event.workload);
                    }
                });
            }
        });
        // The list of older revisions is no future that another thread could take up.
        tasks.spawn_local(live(world.clone(), feed, reconciler.clone(), last_watched, workers));
        Self {
            context,
            reconciler,
            tasks,
            born: now,
            skew,
        }
    }

    /// Ends it where it is. Gives until when it is known to have watched.
    pub async fn kill(mut self, world: &World) -> Option<Second> {
        self.tasks.shutdown().await;
        world.look(|state| {
            state.cluster.say(format_args!("KILL"));
            Checks::end(&mut state.cluster);
        });
        let (now, begun) = (world.now(), self.context.index().started());
        let beats = (now - self.born) / BEAT;
        let last = wall(self.born + beats * BEAT) + jiff::SignedDuration::from_millis(self.skew);
        begun.then(|| Second::from(last))
    }
}

/// Lists, then works: as the real one begins.
async fn live(
    world: Arc<World>,
    feed: Ingest,
    reconciler: Arc<Reconciler>,
    last_watched: Option<Second>,
    workers: u64,
) {
    let context = reconciler.context.clone();
    let relist = Arc::<Notify>::default();
    let mut tasks = JoinSet::new();
    let mut announced = Vec::new();
    {
        let mut index = context.index();
        index.serve_policies();
        for (stream, feeds, last) in [
            (Stream::Policies, WatchedKind::Policies { of_cluster: false }, None),
            (
                Stream::ClusterPolicies,
                WatchedKind::Policies { of_cluster: true },
                None,
            ),
            (Stream::Namespaces, WatchedKind::Namespaces, None),
            (Stream::Deployments, WatchedKind::Workloads(DEPLOYMENT), None),
            (
                Stream::ConfigMaps,
                WatchedKind::Sources(SourceKind::ConfigMap),
                last_watched,
            ),
            (Stream::Secrets, WatchedKind::Sources(SourceKind::Secret), last_watched),
        ] {
            announced.push((stream, index.add_watch(feeds, None, last)));
        }
    }
    for (stream, watch) in announced {
        if matches!(stream, Stream::ConfigMaps | Stream::Secrets) {
            wait_until(&feed, Index::has_workloads).await;
        }
        let watching = Watching {
            world: world.clone(),
            feed: feed.clone(),
            stream,
            watch,
            relist: relist.clone(),
        };
        tasks.spawn(watching.run());
    }
    wait_until(&feed, Index::started).await;
    baselines::recover(&context, &[]).await;
    startup::find_rolling(&context);
    for (workload, _) in context.index().workloads() {
        feed.queue.push(workload.clone());
    }
    let stop = CancellationToken::new();
    for _ in 0..workers {
        tasks.spawn(crate::controller::work(reconciler.clone(), stop.clone()));
    }
    fetch::start(feed.clone(), &mut tasks);
    tasks.spawn(retain(context, reconciler, world));
    while tasks.join_next().await.is_some() {}
}

/// What the real one does every few seconds, here only when something happened.
async fn retain(context: Arc<Context>, reconciler: Arc<Reconciler>, world: Arc<World>) {
    let mut changes = world.changes();
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let turns = {
            let index = context.index();
            context
                .rollout_slots()
                .retain(|workload| index.workload(workload).is_some())
        };
        for turn in turns {
            reconciler.queue.push(turn);
        }
        changes.changed().await;
    }
}

/// One watch.
struct Watching {
    world: Arc<World>,
    feed: Ingest,
    stream: Stream,
    watch: WatchId,
    /// Everybody who asks for labels has to be listed again.
    relist: Arc<Notify>,
}

impl Watching {
    async fn run(self) {
        let mut changes = self.world.changes();
        loop {
            self.lag().await;
            let mut seen = self.list().await;
            // A watch lasts until it breaks, and then everything is listed.
            loop {
                let next = self.world.look(|state| {
                    let events = state.cluster.log.get(&self.stream)?;
                    events.iter().find(|event| event.version > seen).cloned()
                });
                let Some(event) = next else {
                    let asked = self.relist.notified();
                    tokio::select! {
                        biased;
                        () = changes.changed() => continue,
                        () = asked, if self.stream == Stream::Deployments => break,
                    }
                };
                self.lag().await;
                seen = event.version;
                self.deliver(&event, Observation::Watched);
                if self
                    .world
                    .look(|state| state.faults.lag > 50 && state.cluster.rng.chance(1))
                {
                    break;
                }
            }
        }
    }

    async fn lag(&self) {
        let lag = self.world.look(|state| {
            let lag = state.faults.lag;
            // Mostly at once, sometimes late.
            let most = if state.cluster.rng.chance(20) { lag } else { lag / 20 };
            state.cluster.rng.between(0, most)
        });
        if lag > 0 {
            tokio::time::sleep(Duration::from_millis(lag)).await;
        }
    }

    fn index(&self) -> std::sync::MutexGuard<'_, Index> {
        self.feed.reader.index()
    }

    async fn list(&self) -> u64 {
        let (version, events) = self.world.look(|state| state.cluster.list(self.stream));
        self.lag().await;
        self.index().list_start(self.watch);
        for event in &events {
            self.deliver(event, Observation::Listed);
        }
        self.drop_policies(&events);
        let now = self.feed.reader.clock.now();
        let mut index = self.index();
        let touched = index.list_end(self.watch, now);
        self.go_on(&mut index, touched);
        drop(index);
        self.feed.progress.notify_one();
        version
    }

    /// As whoever watches policies does.
    fn drop_policies(&self, listed: &[Event]) {
        let of_cluster = match self.stream {
            Stream::Policies => false,
            Stream::ClusterPolicies => true,
            _ => return,
        };
        let listed: Vec<PolicyRef> = listed
            .iter()
            .filter_map(|event| match &event.fact {
                Fact::Policy(policy, _) => Some(policy.clone()),
                _ => None,
            })
            .collect();
        let gone: Vec<PolicyRef> = self
            .index()
            .policies()
            .map(|(policy, _)| policy.reference.clone())
            .filter(|policy| policy.namespace.is_none() == of_cluster && !listed.contains(policy))
            .collect();
        let now = self.world.now();
        self.world
            .look(|state| state.checks.show_absent_policies(now, of_cluster, &listed));
        for gone in gone {
            let touched = self.index().remove_policy(&gone);
            self.touched(touched);
        }
    }

    fn deliver(&self, event: &Event, how: Observation) {
        let now = self.feed.reader.clock.now();
        let at = self.world.now();
        self.world.look(|state| {
            state.checks.show(at, event);
            if !matches!(event.fact, Fact::Workload(..) | Fact::Namespace) {
                let words = format!("{:?} at {} gone: {}", event.fact, event.version, event.gone);
                state.cluster.say(format_args!("  {how:?} {words}"));
            }
        });
        let text = &*event.object;
        let mut index = self.index();
        let touched = match self.stream {
            Stream::ConfigMaps | Stream::Secrets => {
                let source = if self.stream == Stream::ConfigMaps {
                    decoded::<WatchedConfigMap>(text).into_source()
                } else {
                    decoded::<WatchedSecret>(text).into_source()
                };
                if event.gone {
                    index.remove_source(self.watch, &source.reference, Some(source.version), now)
                } else {
                    index.apply_source(self.watch, source, how, now)
                }
            }
            Stream::Deployments => {
                let object: WatchedWorkload = decoded(text);
                if event.gone {
                    index.forget(&object.reference(DEPLOYMENT));
                    Vec::new()
                } else {
                    let touched = apply(&mut index, self.watch, DEPLOYMENT, &object, how, now);
                    touched.into_iter().collect()
                }
            }
            Stream::Policies | Stream::ClusterPolicies => {
                let policy: WatchedPolicy = decoded(text);
                let touched = if event.gone {
                    index.remove_policy(&policy.reference())
                } else {
                    index.apply_policy(policy.policy(), policy.metadata())
                };
                drop(index);
                return self.touched(touched);
            }
            Stream::Namespaces => {
                let object: WatchedMetadata = decoded(text);
                let labels = object.labels().clone();
                let touched = index.set_namespace_labels(&Namespace::from(object.name()), Some(labels));
                drop(index);
                return self.touched(touched);
            }
        };
        self.go_on(&mut index, touched);
    }

    fn touched(&self, touched: PolicyEffect) {
        if !self.index().started() {
            return;
        }
        for workload in touched.workloads {
            self.feed.queue.push(workload);
        }
        if touched.relist {
            self.relist.notify_one();
        }
    }

    /// As the real one's of that name.
    fn go_on(&self, index: &mut Index, touched: Vec<WorkloadRef>) {
        for wanted in index.take_fetch_requests() {
            self.feed.fetch_queue.push(wanted);
        }
        let called = index.take_called();
        if index.started() {
            for workload in touched.into_iter().chain(called) {
                self.feed.queue.push(workload);
            }
            self.feed.progress.notify_one();
        }
    }
}

fn decoded<T: serde::de::DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).expect("it decodes")
}
