use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use windlass_core::notice::event::WorkloadEvent;
use windlass_core::policy::effective_policy::PolicyDefaults;
use windlass_core::types::name::{Name, Namespace, SourceKind};
use windlass_core::workload::kind::DEPLOYMENT;
use windlass_core::workload::opt_in::AnnotationOptions;

use super::*;
use crate::fixtures;
use crate::index::{Index, IndexSettings, Observation, WatchId, WatchedKind};
use crate::k8s::mock::{Answer, Api};
use crate::k8s::wire::{WatchedConfigMap, WatchedWorkload};

const PATCH: &str = "PATCH /apis/apps/v1/namespaces/shop/deployments/web?&fieldManager=windlass";

/// A reconciler that knows Deployment `web` and `ConfigMap` `web`, and the server that it talks to.
struct Bench {
    reconciler: Reconciler,
    events: mpsc::Receiver<WorkloadEvent>,
    sources: WatchId,
    workloads: WatchId,
    version: u64,
    observed: Option<String>,
    paused: bool,
}

impl Bench {
    fn new(api: &Api, observe_only: bool) -> Self {
        let mut index = Index::new(IndexSettings {
            observe_only,
            policy_defaults: PolicyDefaults {
                settle: SignedDuration::ZERO,
                ..PolicyDefaults::default()
            },
            ..IndexSettings::default()
        });
        let sources = index.add_watch(WatchedKind::Sources(SourceKind::ConfigMap), None, None);
        let workloads = index.add_watch(WatchedKind::Workloads(DEPLOYMENT), None, None);
        let now = Timestamp::now();
        index.list_start(sources);
        index.list_end(sources, now);
        index.list_start(workloads);
        index.list_end(workloads, now);
        let (sender, events) = mpsc::channel(16);
        let metrics = fixtures::metrics();
        let reconciler = Reconciler {
            context: Arc::new(fixtures::context(index, api.client())),
            queue: Arc::default(),
            fetch_queue: Arc::default(),
            dry_runs: DryRuns::default(),
            propagator: None,
            observer: Arc::new(Observer::new(metrics, sender)),
            observe_only,
            resync: Duration::from_mins(10),
        };
        let mut bench = Self {
            reconciler,
            events,
            sources,
            workloads,
            version: 10,
            observed: None,
            paused: false,
        };
        bench.deployment();
        bench.config("A");
        // That it comes is nothing that anybody waits for here.
        if let Some(entry) = bench.reconciler.context.index().workload_mut(&web()) {
            entry.settle_change();
        }
        bench
    }

    fn config(&mut self, value: &str) {
        self.version += 1;
        let object = json!({
            "metadata": { "name": "web", "namespace": "shop", "uid": "c", "resourceVersion": self.version.to_string() },
            "data": { "level": value },
        });
        let source = serde_json::from_str::<WatchedConfigMap>(&object.to_string())
            .expect("it decodes")
            .source;
        let now = Timestamp::now();
        self.reconciler
            .context
            .index()
            .apply_source(self.sources, source, Observation::Watched, now);
    }

    /// The event of the Deployment as it is now.
    fn deployment(&mut self) {
        self.version += 1;
        let mut annotations = json!({ "windlass.dev/enabled": "true" });
        if let Some(observed) = &self.observed {
            annotations["windlass.dev/observed"] = json!(observed);
        }
        let object = json!({
            "metadata": {
                "name": "web", "namespace": "shop", "uid": "d", "resourceVersion": self.version.to_string(),
                "annotations": annotations,
            },
            "spec": { "paused": self.paused, "template": { "spec": { "containers": [
                { "envFrom": [{ "configMapRef": { "name": "web" } }] },
            ] } } },
        });
        let workload = serde_json::from_str::<WatchedWorkload>(&object.to_string()).expect("it decodes");
        self.reconciler.context.index().apply_workload(
            self.workloads,
            workload.workload(DEPLOYMENT, AnnotationOptions::default()),
            Observation::Watched,
            Timestamp::now(),
        );
    }

    /// What the API server made of a patch, as the event that tells it.
    fn see(&mut self, patch: &Value) {
        self.observed = patch["metadata"]["annotations"]["windlass.dev/observed"]
            .as_str()
            .map(str::to_owned);
        self.deployment();
    }

    async fn reconcile(&self) {
        self.reconciler.reconcile(&web()).await;
    }

    fn state(&self) -> Option<(State, &'static str)> {
        let index = self.reconciler.context.index();
        index
            .workload(&web())?
            .status()
            .map(|(state, reason)| (state, reason.as_str()))
    }

    fn events(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.events.try_recv().ok())
            .map(|event| format!("{}: {}", event.reason.as_str(), event.note))
            .collect()
    }
}

fn web() -> WorkloadRef {
    WorkloadRef {
        namespace: Namespace::from("shop"),
        kind: DEPLOYMENT,
        name: Name::from("web"),
    }
}

fn done(version: u64) -> Answer {
    Answer::ok(json!({ "metadata": { "resourceVersion": version.to_string() } }))
}

fn refused(code: u16, message: &str) -> Answer {
    Answer {
        code,
        body: json!({ "message": message }),
    }
}

const FORBIDDEN: &str = "User \"w\" cannot patch resource \"deployments\" in API group \"apps\"";

#[tokio::test]
async fn adoption_is_one_patch_and_one_event_and_then_nothing() {
    let api = Api::expecting([(PATCH, done(13))]);
    let mut bench = Bench::new(&api, false);
    bench.reconcile().await;
    let events = bench.events();
    assert!(
        events.len() == 1 && events.iter().all(|event| event.starts_with("Adopted: ")),
        "{events:?}"
    );
    bench.reconcile().await;
    drop(bench);
    let bodies = api.finish().await;
    assert!(
        bodies.iter().all(|body| body.get("spec").is_none()),
        "no pod is touched"
    );
}

#[tokio::test]
async fn until_the_event_of_its_own_write_is_there_nothing_is_decided() {
    let api = Api::expecting([(PATCH, done(13)), (PATCH, done(15))]);
    let mut bench = Bench::new(&api, false);
    bench.reconcile().await;
    bench.config("B");
    bench.reconcile().await;
    assert_eq!(
        bench.state().map(|(_, reason)| reason),
        Some("Adopted"),
        "the index is out of date"
    );
    let observed = {
        let index = bench.reconciler.context.index();
        index.workload(&web()).and_then(|entry| entry.last_baseline().cloned())
    };
    bench.observed = observed.as_deref().map(str::to_owned);
    bench.deployment();
    bench.reconcile().await;
    assert_eq!(bench.state(), Some((State::Rolling, "Restarted")));
    let events = bench.events();
    assert!(
        events.iter().any(|event| event.contains("ConfigMap web (key level)")),
        "{events:?}"
    );
    drop(bench);
    let bodies = api.finish().await;
    assert!(
        bodies.get(1).is_some_and(|body| body.get("spec").is_some()),
        "a restart"
    );
}

#[tokio::test]
async fn a_conflict_is_decided_again_and_loses_no_change() {
    let api = Api::expecting([(PATCH, done(13)), (PATCH, refused(409, "conflict")), (PATCH, done(17))]);
    let mut bench = Bench::new(&api, false);
    bench.reconcile().await;
    let observed = bench
        .reconciler
        .context
        .index()
        .workload(&web())
        .and_then(|entry| entry.last_baseline().cloned());
    bench.see(&json!({ "metadata": { "annotations": { "windlass.dev/observed": observed.as_deref() } } }));
    bench.config("B");
    bench.reconcile().await;
    assert!(
        bench
            .reconciler
            .context
            .index()
            .workload(&web())
            .is_some_and(|entry| entry.pending_change().is_some())
    );
    bench.deployment();
    bench.reconcile().await;
    assert_eq!(bench.state(), Some((State::Rolling, "Restarted")));
    drop(bench);
    api.finish().await;
}

/// The record says since when and not what: of several sources each has its own there and back.
#[tokio::test]
async fn that_a_change_waits_is_recorded_and_the_change_itself_not_forgotten() {
    let api = Api::expecting([(PATCH, done(13)), (PATCH, done(15))]);
    let mut bench = Bench::new(&api, false);
    bench.reconcile().await;
    let remembered = |bench: &Bench| {
        let index = bench.reconciler.context.index();
        index.workload(&web()).and_then(|entry| entry.last_baseline().cloned())
    };
    bench.observed = remembered(&bench).as_deref().map(str::to_owned);
    bench.paused = true;
    bench.deployment();
    bench.config("B");
    bench.reconcile().await;
    assert_eq!(bench.state(), Some((State::Held, "Paused")));
    {
        let index = bench.reconciler.context.index();
        let entry = index.workload(&web()).expect("it is known");
        let change = entry.pending_change().expect("it waits");
        assert!(change.keys.iter().any(|(_, key)| key.as_str() == "level"), "{change:?}");
    }
    drop(bench);
    api.finish().await;
}

#[tokio::test]
async fn what_a_right_or_a_rule_refuses_is_said_and_not_repeated() {
    for (code, message, word) in [(403, FORBIDDEN, "Forbidden"), (422, "no such thing", "Rejected")] {
        let api = Api::expecting([(PATCH, refused(code, message))]);
        let mut bench = Bench::new(&api, false);
        bench.reconcile().await;
        bench.reconcile().await;
        assert_eq!(bench.state(), Some((State::Failed, word)));
        let events = bench.events();
        assert!(
            events.len() == 1 && events.iter().all(|event| event.contains(message)),
            "{events:?}"
        );
        drop(bench);
        api.finish().await;
    }
}

#[tokio::test]
async fn a_workload_that_is_gone_is_forgotten() {
    let api = Api::expecting([(PATCH, refused(404, "not found"))]);
    let bench = Bench::new(&api, false);
    bench.reconcile().await;
    assert_eq!(bench.state(), None);
    drop(bench);
    api.finish().await;
}

#[tokio::test]
async fn a_server_that_is_busy_is_asked_again_later() {
    let api = Api::expecting([(PATCH, refused(503, "busy"))]);
    let mut bench = Bench::new(&api, false);
    bench.reconcile().await;
    assert!(bench.events().is_empty());
    let again = tokio::time::timeout(Duration::from_secs(5), bench.reconciler.queue.pop()).await;
    assert_eq!(again, Ok(web()));
    drop(bench);
    api.finish().await;
}

#[tokio::test]
async fn one_who_only_observes_sends_nothing_and_keeps_what_would_restart_in_sight() {
    let api = Api::expecting([]);
    let mut bench = Bench::new(&api, true);
    bench.reconcile().await;
    bench.config("B");
    bench.reconcile().await;
    bench.deployment();
    bench.reconcile().await;
    assert_eq!(bench.state(), Some((State::Observed, "Restarted")));
    let events = bench.events();
    assert!(
        events.len() == 1 && events.iter().all(|event| event.contains("observe-only")),
        "{events:?}"
    );
    drop(bench);
    api.finish().await;
}

/// As if it had been rolled out, so that older revisions may have kept a baseline: they have to be read.
fn that_has_to_be_read(bench: &Bench) {
    let mut index = bench.reconciler.context.index();
    let entry = index.workload_mut(&web()).expect("it is known");
    entry.set_revision(1);
}

const GET: &str = "GET /apis/apps/v1/namespaces/shop/deployments/web";

#[tokio::test(start_paused = true)]
async fn one_that_is_called_and_cannot_be_decided_gives_its_slot_back() {
    for answer in [refused(503, "busy"), refused(403, FORBIDDEN), refused(404, "not found")] {
        let api = Api::expecting([(GET, answer)]);
        let bench = Bench::new(&api, false);
        that_has_to_be_read(&bench);
        let other = WorkloadRef {
            name: Name::from("other"),
            ..web()
        };
        {
            let mut rollout_slots = bench.reconciler.context.rollout_slots();
            *rollout_slots = windlass_core::rollout_slots::RolloutSlots::new(1);
            assert_eq!(
                rollout_slots.acquire(&web(), &[]),
                AcquireOutcome::Granted,
                "it was called"
            );
            assert!(matches!(
                rollout_slots.acquire(&other, &[]),
                AcquireOutcome::Queued { .. }
            ));
        }
        bench.reconcile().await;
        let called = tokio::time::timeout(Duration::from_secs(5), bench.reconciler.queue.pop()).await;
        assert_eq!(called, Ok(other));
        let again = tokio::time::timeout(Duration::from_mins(2), bench.reconciler.queue.pop()).await;
        assert_eq!(again, Ok(web()), "and comes back");
        drop(bench);
        api.finish().await;
    }
}

#[tokio::test]
async fn a_decision_that_does_not_finish_is_made_again_and_counted() {
    let api = Api::expecting([]);
    let bench = Bench::new(&api, false);
    let decided = decide_now(&bench.reconciler.context, &web(), None).expect("it can be decided");
    bench.reconciler.give_up(&web(), decided);
    let failures = {
        let index = bench.reconciler.context.index();
        index.workload(&web()).map(WorkloadEntry::failures)
    };
    assert_eq!(failures, Some(1));
    let again = tokio::time::timeout(Duration::from_secs(5), bench.reconciler.queue.pop()).await;
    assert_eq!(again, Ok(web()));
    drop(bench);
    api.finish().await;
}

#[tokio::test(start_paused = true)]
async fn should_the_event_of_its_own_write_never_come_it_is_decided_again() {
    let api = Api::expecting([(PATCH, done(13))]);
    let bench = Bench::new(&api, false);
    bench.reconcile().await;
    bench.reconcile().await;
    let again = tokio::time::timeout(OWN_EVENT * 2, bench.reconciler.queue.pop()).await;
    assert_eq!(again, Ok(web()));
    drop(bench);
    api.finish().await;
}

#[test]
fn pauses_double_up_to_their_bound() {
    let pauses: Vec<u128> = (0..40)
        .map(|n| backoff(n, MIN_BACKOFF, MAX_BACKOFF).as_millis())
        .collect();
    assert!(
        pauses.is_sorted() && pauses.first() == Some(&50) && pauses.last() == Some(&60_000),
        "{pauses:?}"
    );
    let web = web();
    let pause = Duration::from_secs(2);
    let jittered = |workload: &WorkloadRef, failures| jittered(pause, workload, failures);
    for failures in 0..20 {
        assert!((pause..=pause.mul_f64(1.5)).contains(&jittered(&web, failures)));
    }
    let api = WorkloadRef {
        name: Name::from("api"),
        ..web.clone()
    };
    assert_ne!(jittered(&web, 0), jittered(&api, 0), "they do not come back together");
}
