use std::sync::Mutex;

use http::{Request, Response};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use windlass_core::notice::event::Severity;
use windlass_core::reason::Reason;
use windlass_core::types::name::{Name, Namespace, Uid};
use windlass_core::workload::kind::DEPLOYMENT;

use super::*;
use crate::fixtures;
use crate::index::{Index, IndexSettings};

/// When which request came.
type Requests = Arc<Mutex<Vec<(Duration, String)>>>;

/// An API server that accepts everything, and a writer of Events.
struct Bench {
    requests: Requests,
    events: mpsc::Sender<WorkloadEvent>,
    queue: Arc<Queue<WorkloadRef>>,
    backlog: EventBacklog,
    context: Arc<Context>,
    task: tokio::task::JoinHandle<()>,
}

impl Bench {
    fn new() -> Self {
        let requests = Requests::default();
        let (noted, start) = (requests.clone(), Instant::now());
        let service = tower::service_fn(move |request: Request<Body>| {
            let noted = noted.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect_bytes().await.expect("a body");
                let body: Value = serde_json::from_slice(&body).expect("JSON");
                let about = body["regarding"]["name"].as_str().unwrap_or_default().to_owned();
                let word = format!("{} {about} {}", head.method, body["series"]["count"]);
                noted.lock().expect("no panic").push((start.elapsed(), word));
                let answer = json!({"metadata": {"name": "event"}});
                Ok::<_, std::convert::Infallible>(Response::new(Body::from(answer.to_string().into_bytes())))
            }
        });
        let context = Arc::new(fixtures::context(
            Index::new(IndexSettings::default()),
            Client::new(service, "default"),
        ));
        let queue: Arc<Queue<WorkloadRef>> = Arc::default();
        let metrics = fixtures::metrics();
        let backlog = EventBacklog::new(metrics.clone());
        let (events, offered) = mpsc::channel(EVENTS_QUEUED);
        let write = write(
            offered,
            context.clone(),
            "test".into(),
            queue.clone(),
            backlog.clone(),
            metrics,
        );
        Self {
            requests,
            events,
            queue,
            backlog,
            context,
            task: tokio::spawn(write),
        }
    }

    fn say(&self, namespace: &str, name: &str, severity: Severity) {
        let event = WorkloadEvent {
            workload: workload(namespace, name),
            uid: Uid::from(name),
            severity,
            reason: Reason::Adopted,
            note: "note".into(),
            at: self.context.clock.now(),
        };
        self.events.try_send(event).expect("there is room");
        self.backlog.add(1);
    }

    fn requests(&self) -> Vec<(Duration, String)> {
        self.requests.lock().expect("no panic").clone()
    }
}

fn workload(namespace: &str, name: &str) -> WorkloadRef {
    WorkloadRef {
        namespace: Namespace::from(namespace),
        kind: DEPLOYMENT,
        name: Name::from(name),
    }
}

#[tokio::test(start_paused = true)]
async fn a_warning_is_written_within_ten_seconds_however_busy_it_is() {
    let bench = Bench::new();
    // Something is always due, and each workload reports.
    bench.queue.push(workload("busy", "busy"));
    for second in 0..60 {
        for number in 0..4 {
            bench.say("busy", &format!("busy-{second}-{number}"), Severity::Normal);
        }
        if second == 20 {
            bench.say("other", "warning", Severity::Warning);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let requests = bench.requests();
    let warned = requests.iter().find(|(_, it)| it.contains("warning"));
    let (at, _) = warned.unwrap_or_else(|| panic!("it is not written: {requests:?}"));
    assert!(*at <= Duration::from_secs(20 + 10), "{at:?}");
    // The others have waited, and not for ever.
    let others = requests.iter().filter(|(_, it)| it.contains("busy"));
    assert!(others.clone().all(|(at, _)| *at >= Duration::from_secs(30)));
    assert!(others.count() >= 100);
}

#[tokio::test(start_paused = true)]
async fn while_workloads_are_due_urgent_events_keep_a_rate() {
    let bench = Bench::new();
    bench.queue.push(workload("busy", "busy"));
    for number in 0..200 {
        bench.say("shop", &format!("web-{number}"), Severity::Warning);
    }
    tokio::time::sleep(Duration::from_secs(10)).await;
    let requests = bench.requests();
    assert_eq!(requests.len(), 200, "within ten seconds");
    let first = requests.first().map(|(at, _)| *at).expect("some");
    assert!(first >= Duration::from_secs(5), "patches go first: {first:?}");
    let early = requests
        .iter()
        .filter(|(at, _)| *at < first + Duration::from_secs(1))
        .count();
    assert!(early <= 51, "{early} in a second");
}

#[tokio::test(start_paused = true)]
async fn when_all_is_quiet_events_are_written_at_once_and_repeats_as_counts() {
    let bench = Bench::new();
    tokio::time::sleep(Duration::from_secs(2)).await;
    for _ in 0..3 {
        bench.say("shop", "web", Severity::Normal);
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(bench.backlog.len(), 0);
    }
    let words: Vec<String> = bench.requests().into_iter().map(|(_, word)| word).collect();
    assert_eq!(words, ["POST web null", "PATCH  2", "PATCH  3"]);
}

#[tokio::test(start_paused = true)]
async fn at_the_end_everything_is_written() {
    let Bench {
        requests,
        events,
        queue,
        backlog,
        context,
        task,
    } = {
        let bench = Bench::new();
        bench.queue.push(workload("busy", "busy"));
        for _ in 0..100 {
            bench.say("shop", "web", Severity::Normal);
            bench.say("shop", "other", Severity::Warning);
        }
        bench
    };
    drop(events);
    task.await.expect("it ends");
    let words: Vec<String> = requests
        .lock()
        .expect("no panic")
        .iter()
        .map(|(_, it)| it.clone())
        .collect();
    assert_eq!(words, ["POST web 100", "POST other 100"]);
    assert_eq!(backlog.len(), 0);
    drop((queue, context));
}
