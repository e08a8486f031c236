use serde_json::Value;

use super::receiver::{Answer, Receiver};
use super::*;
use crate::ops::Vocabulary;
use crate::ops::notify::post::PostError;

const OK: Answer = Answer::With("200 OK");

fn metrics() -> Metrics {
    Metrics::new(&Vocabulary::default())
}

fn started(config: &Notifications, metrics: &Metrics) -> Arc<Notifier> {
    let notifier = Notifier::start(config, "a/b", metrics).expect("it starts");
    notifier.expect("somebody is told")
}

/// Does not take a machine that stands still for a receiver that never answers.
const ANSWERED: Duration = Duration::from_secs(30);

fn quick(timeout: Duration) -> RetryPolicy {
    RetryPolicy {
        timeout,
        tries: 3,
        pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(50),
    }
}

/// Brings one batch and gives what was counted.
async fn bring(sink: Sink, receiver: &Receiver, batch: Batch) -> Vec<(&'static str, usize)> {
    bring_within(ANSWERED, sink, receiver, batch).await
}

async fn bring_within(timeout: Duration, sink: Sink, receiver: &Receiver, batch: Batch) -> Vec<(&'static str, usize)> {
    let metrics = metrics();
    let sender = Sender {
        sink,
        requests: requests_of(sink),
        endpoint: receiver.endpoint(),
        poster: Poster::new(None).expect("no file to read"),
        origin: Arc::new(origin()),
        metrics: metrics.clone(),
        retry_policy: quick(timeout),
    };
    let (queue, batches) = mpsc::channel(1);
    queue.send(Arc::new(batch)).await.expect("there is room");
    drop(queue);
    sender.run(batches).await;
    counted(&metrics, sink)
}

fn counted(metrics: &Metrics, sink: Sink) -> Vec<(&'static str, usize)> {
    let text = metrics.encode();
    ["delivered", "refused", "failed", "dropped"]
        .into_iter()
        .filter_map(|result| {
            let series = format!(
                "windlass_notifications_total{{result=\"{result}\",sink=\"{}\"}} ",
                sink.as_str()
            );
            let line = text.lines().find_map(|line| line.strip_prefix(&series));
            let count = line.expect("it is there from the start").parse().expect("a number");
            (count > 0).then_some((result, count))
        })
        .collect()
}

fn two() -> Batch {
    trouble(&[("shop", "web", "why"), ("shop", "api", "why")])
}

#[tokio::test]
async fn each_receiver_is_sent_what_it_understands() {
    for (sink, content_type) in [
        (Sink::CloudEvents, "application/cloudevents-batch+json; charset=utf-8"),
        (Sink::Slack, "application/json"),
        (Sink::Teams, "application/json"),
    ] {
        let receiver = Receiver::start(&[Answer::With("202 Accepted")]).await;
        assert_eq!(bring(sink, &receiver, two()).await, [("delivered", 2)]);
        let requests = receiver.requests();
        let [(head, body)] = requests.as_slice() else {
            panic!("one request: {requests:?}")
        };
        assert!(
            head.starts_with("POST /services/s3cret?token=s3cret HTTP/1.1\r\n"),
            "{head}"
        );
        let has = |header: &str| head.lines().any(|line| line.eq_ignore_ascii_case(header));
        assert!(has(&format!("content-type: {content_type}")), "{head}");
        let body: Value = serde_json::from_str(body).expect("it is JSON");
        let expected = match sink {
            Sink::CloudEvents => body.as_array().is_some_and(|events| events.len() == 2),
            Sink::Slack => body["blocks"].is_array(),
            Sink::Teams => body["attachments"].is_array(),
        };
        assert!(expected, "{body}");
    }
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_what_may_not_is_not() {
    for (answers, counted, requests) in [
        (
            &[Answer::With("500 Internal Server Error"), OK][..],
            ("delivered", 2),
            2,
        ),
        (
            &[Answer::With("429 Too Many Requests\r\nRetry-After: 1"), OK],
            ("delivered", 2),
            2,
        ),
        (&[Answer::With("408 Request Timeout"), OK], ("delivered", 2), 2),
        (&[Answer::HangUp, Answer::HangUp, OK], ("delivered", 2), 3),
        (&[Answer::Never, OK], ("delivered", 2), 2),
        (&[Answer::Never], ("failed", 2), 3),
        (&[Answer::With("503 Service Unavailable")], ("failed", 2), 3),
        (&[Answer::With("404 Not Found")], ("refused", 2), 1),
        (&[Answer::With("400 Bad Request"), OK], ("refused", 2), 1),
    ] {
        let receiver = Receiver::start(answers).await;
        let hangs = answers.iter().any(|it| matches!(it, Answer::Never));
        let timeout = if hangs { Duration::from_secs(1) } else { ANSWERED };
        let brought = bring_within(timeout, Sink::Slack, &receiver, two()).await;
        assert_eq!(brought, [counted], "{answers:?}");
        assert_eq!(receiver.requests().len(), requests, "{answers:?}");
    }
}

#[test]
fn pauses_grow_and_heed_what_the_receiver_asks_for() {
    let seconds = Duration::from_secs;
    let busy = |retry_after: Option<u64>| PostError::Status {
        status: http::StatusCode::TOO_MANY_REQUESTS,
        retry_after: retry_after.map(seconds),
    };
    let pause = |tried, error: &PostError| RetryPolicy::default().pause_after(tried, error);
    for (tried, error, expected) in [
        (1, PostError::Timeout(seconds(10)), Some(1)),
        (2, PostError::Broken(String::new()), Some(4)),
        (3, busy(None), Some(16)),
        (4, busy(None), None),
        (1, busy(Some(30)), Some(30)),
        (3, busy(Some(3)), Some(16)),
        (1, busy(Some(86_400)), Some(60)),
    ] {
        assert_eq!(pause(tried, &error), expected.map(seconds), "{tried} {error:?}");
    }
    let gone = PostError::Status {
        status: http::StatusCode::GONE,
        retry_after: Some(seconds(1)),
    };
    assert_eq!(pause(1, &gone), None);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Receiver::start(&[OK]).await;
    let location = format!("307 Temporary Redirect\r\nLocation: http://{}/", elsewhere.endpoint());
    let receiver = Receiver::start(&[Answer::With(location.leak())]).await;
    assert_eq!(bring(Sink::Teams, &receiver, two()).await, [("refused", 2)]);
    assert_eq!(receiver.requests().len(), 1);
    assert_eq!(elsewhere.requests().len(), 0);
}

#[tokio::test]
async fn a_receiver_that_is_not_there_costs_nothing_but_its_notifications() {
    let receiver = Receiver::start(&[OK]).await;
    let gone: Endpoint = "http://localhost:1/s3cret".parse().expect("a URL");
    let poster = Poster::new(None).expect("no file to read");
    let post = poster.post(&gone, "application/json", "{}".into(), ANSWERED);
    let error = post.await.expect_err("nobody is there").to_string();
    assert!(error.contains("refused") && !error.contains("s3cret"), "{error}");
    assert_eq!(bring(Sink::Slack, &receiver, two()).await, [("delivered", 2)]);
}

#[tokio::test]
async fn many_events_are_several_requests() {
    let names: Vec<String> = (0..250).map(|number| format!("n-{number:03}")).collect();
    let of: Vec<(&str, &str, &str)> = names
        .iter()
        .map(|namespace| (namespace.as_str(), "web", "why"))
        .collect();
    let receiver = Receiver::start(&[OK]).await;
    let counted = bring(Sink::CloudEvents, &receiver, trouble(&of)).await;
    assert_eq!(counted, [("delivered", 250)]);
    let sizes: Vec<usize> = receiver
        .requests()
        .iter()
        .map(|(_, body)| serde_json::from_str::<Vec<Value>>(body).expect("a batch").len())
        .collect();
    assert_eq!(sizes, [100, 100, 50]);
}

fn config(receivers: &[(&Receiver, Sink)], interval: Duration) -> Notifications {
    let of = |sink| {
        let found = receivers.iter().find(|(_, it)| *it == sink);
        found.map(|(receiver, _)| receiver.endpoint())
    };
    Notifications {
        cloudevents: of(Sink::CloudEvents),
        slack: of(Sink::Slack),
        teams: of(Sink::Teams),
        on: NoticeKinds::new(&NoticeKind::ALL).expect("all of them make sense"),
        interval,
        cluster: None,
        ca_file: None,
    }
}

fn hold(notifier: &Notifier, name: &str) {
    let workload = windlass_core::types::name::WorkloadRef {
        namespace: "shop".into(),
        kind: DEPLOYMENT,
        name: name.into(),
    };
    let standing = WorkloadCondition {
        workload: &workload,
        uid: &"uid".into(),
        state: State::Held,
        reason: Reason::SourceMissing,
        note: "why",
        at: "2026-11-21T10:00:00Z".parse().expect("a time"),
    };
    notifier.status_changed(&standing, name);
}

#[tokio::test]
async fn without_receivers_there_is_nobody_to_tell() {
    let nobody = config(&[], Duration::from_secs(1));
    assert!(
        Notifier::start(&nobody, "a/b", &metrics())
            .expect("it starts")
            .is_none()
    );
}

#[tokio::test]
async fn what_comes_within_an_interval_is_one_message_to_each() {
    let (events, slack) = (Receiver::start(&[OK]).await, Receiver::start(&[OK]).await);
    let config = config(
        &[(&events, Sink::CloudEvents), (&slack, Sink::Slack)],
        Duration::from_millis(100),
    );
    let notifier = started(&config, &metrics());
    for name in ["web", "api", "db"] {
        hold(&notifier, name);
    }
    events.await_requests(1).await;
    hold(&notifier, "later");
    assert_eq!(events.await_requests(2).await.len(), 2);
    let told = slack.await_requests(2).await;
    assert!(told[0].1.contains("3 held") && told[1].1.contains("1 held"), "{told:?}");
}

#[tokio::test]
async fn a_hanging_receiver_keeps_no_other_from_being_told_and_is_dropped_when_there_is_too_much() {
    let (hanging, well) = (Receiver::start(&[Answer::Never]).await, Receiver::start(&[OK]).await);
    let config = config(
        &[(&hanging, Sink::Slack), (&well, Sink::Teams)],
        Duration::from_millis(5),
    );
    let metrics = metrics();
    let notifier = started(&config, &metrics);
    // One is being sent, some wait, and the last finds no room.
    for number in 0..=BATCHES_QUEUED + 1 {
        hold(&notifier, &format!("web-{number}"));
        well.await_requests(number + 1).await;
    }
    assert_eq!(counted(&metrics, Sink::Slack), [("dropped", 1)]);
    // It is counted when the answer is there, which is after the request.
    let delivered = [("delivered", BATCHES_QUEUED + 2)];
    let told = async {
        while counted(&metrics, Sink::Teams) != delivered {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let told = tokio::time::timeout(ANSWERED, told).await;
    told.unwrap_or_else(|_| panic!("{:?}", counted(&metrics, Sink::Teams)));
    notifier.finish(Duration::from_millis(100)).await;
}

#[tokio::test]
async fn what_is_gathered_at_the_end_is_told_at_once() {
    let receiver = Receiver::start(&[OK]).await;
    let config = config(&[(&receiver, Sink::Slack)], Duration::from_hours(1));
    let metrics = metrics();
    let notifier = started(&config, &metrics);
    hold(&notifier, "web");
    notifier.finish(Duration::from_secs(30)).await;
    assert_eq!(counted(&metrics, Sink::Slack), [("delivered", 1)]);
}

#[tokio::test]
async fn too_many_of_a_namespace_are_counted() {
    let receiver = Receiver::start(&[OK]).await;
    let config = config(&[(&receiver, Sink::Slack)], Duration::from_hours(1));
    let metrics = metrics();
    let notifier = started(&config, &metrics);
    for number in 0..103 {
        hold(&notifier, &format!("web-{number}"));
    }
    assert!(metrics.encode().contains("windlass_notifications_limited_total 3\n"));
    notifier.finish(Duration::from_secs(30)).await;
    let told = receiver.requests();
    assert!(
        told[0].1.contains("103 held") && told[0].1.contains("and 83 more"),
        "{told:?}"
    );
}

#[test]
fn an_endpoint_shows_its_host_only() {
    let endpoint: Endpoint = "https://hooks.example.org:8443/T0/s3cret?key=s3cret"
        .parse()
        .expect("a URL");
    assert_eq!(endpoint.to_string(), "hooks.example.org:8443");
    assert_eq!(format!("{endpoint:?}"), "Endpoint(hooks.example.org:8443)");
    let error = "s3cret".parse::<Endpoint>().expect_err("no URL");
    assert!(!format!("{error} {error:?}").contains("s3cret"));
}
