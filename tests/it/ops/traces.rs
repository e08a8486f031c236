//! Traces, as a collector gets them: OTLP over HTTP, decoded.

use std::sync::{Arc, Mutex};

use anyhow::{Context as _, ensure};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    trace::v1::Span,
};
use prost::Message as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::support::{
    Test, await_condition,
    build::{deployment, env},
    tests, value,
};

tests! {
    a_change_is_one_trace_from_its_event_to_the_last_pod: live;
    a_collector_that_does_not_answer_is_in_nobodys_way: live;
}

/// A collector on a port of its own.
struct Collector {
    port: u16,
    bodies: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Collector {
    async fn start(answers: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let bodies: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let kept = bodies.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let kept = kept.clone();
                tokio::spawn(async move {
                    let body = take(stream, answers).await.expect("a request");
                    kept.lock().expect("not poisoned").push(body);
                    if !answers {
                        std::future::pending::<()>().await;
                    }
                });
            }
        });
        Self { port, bodies }
    }

    fn flag(&self) -> String {
        format!("--otlp-endpoint=http://127.0.0.1:{}", self.port)
    }

    fn bodies(&self) -> Vec<Vec<u8>> {
        self.bodies.lock().expect("not poisoned").clone()
    }

    /// The spans of the traces of this workload.
    fn spans(&self, workload: &str) -> anyhow::Result<Vec<Span>> {
        let mut spans = Vec::new();
        for body in self.bodies() {
            let request = ExportTraceServiceRequest::decode(&*body)?;
            for of_resource in request.resource_spans {
                let resource = of_resource.resource.context("a resource")?;
                ensure!(
                    text(&resource.attributes, "service.name") == Some("windlass"),
                    "{resource:?}"
                );
                spans.extend(of_resource.scope_spans.into_iter().flat_map(|it| it.spans));
            }
        }
        let roots = spans
            .iter()
            .filter(|it| text(&it.attributes, "windlass.workload.name") == Some(workload));
        let traces: Vec<Vec<u8>> = roots.map(|root| root.trace_id.clone()).collect();
        spans.retain(|span| traces.contains(&span.trace_id));
        Ok(spans)
    }
}

/// Reads a request to its end; gives its body.
async fn take(mut stream: TcpStream, answers: bool) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let body = loop {
        let mut part = [0; 4096];
        let read = stream.read(&mut part).await?;
        ensure!(read > 0, "it ended early");
        bytes.extend_from_slice(&part[..read]);
        let Some(end) = bytes.windows(4).position(|it| it == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        ensure!(head.starts_with("post /v1/traces "), "{head}");
        ensure!(head.contains("content-type: application/x-protobuf"), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.context("a length")?.trim().parse()?;
        if bytes.len() >= end + 4 + length {
            break bytes[end + 4..].to_vec();
        }
    };
    if answers {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            .await?;
    }
    Ok(body)
}

fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    let found = attributes.iter().find(|it| it.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

async fn web(t: &Test, collector: &Collector) {
    t.config("web", &[("level", "info")]).await;
    t.deploy(deployment("web").uses(env("web", "level"))).await;
    t.start_and_adopt(&[&collector.flag()]).await;
    t.config("web", &[("level", "debug")]).await;
    t.rolls("web", 1).await;
}

async fn a_change_is_one_trace_from_its_event_to_the_last_pod(t: &Test) {
    let collector = Collector::start(true).await;
    web(t, &collector).await;
    let spans = await_condition("the trace", async || {
        let spans = collector.spans("web")?;
        ensure!(!spans.is_empty(), "there is none");
        Ok(spans)
    })
    .await;
    let names: Vec<&str> = spans.iter().map(|span| &*span.name).collect();
    assert_eq!(names, ["change", "settle", "decide", "patch", "rollout"]);
    let whole = &spans[0];
    assert_eq!(text(&whole.attributes, "windlass.workload.kind"), Some("Deployment"));
    assert_eq!(text(&whole.attributes, "k8s.namespace.name"), Some(&*t.namespace));
    assert_eq!(text(&whole.attributes, "windlass.state"), Some("Current"));
    assert!(
        format!("{whole:?}").contains(&format!("ConfigMap {}/web", t.namespace)),
        "{whole:?}"
    );
    // It settled for as long as it was told to, and each part ends where the next one begins.
    let took = |span: &Span| span.end_time_unix_nano - span.start_time_unix_nano;
    assert!(took(&spans[1]) >= 190_000_000, "{:?}", spans[1]);
    for pair in spans[1..].windows(2) {
        assert_eq!(pair[0].end_time_unix_nano, pair[1].start_time_unix_nano);
        assert_eq!(pair[1].parent_span_id, whole.span_id);
    }
    assert_eq!(spans[4].end_time_unix_nano, whole.end_time_unix_nano);
    for body in collector.bodies() {
        let text = String::from_utf8_lossy(&body).into_owned();
        assert!(!text.contains(&value("debug")), "a trace holds content");
    }
}

async fn a_collector_that_does_not_answer_is_in_nobodys_way(t: &Test) {
    let collector = Collector::start(false).await;
    web(t, &collector).await;
    await_condition("a trace to be on its way", async || {
        ensure!(!collector.bodies().is_empty(), "there is none");
        Ok(())
    })
    .await;
    t.config("web", &[("level", "trace")]).await;
    t.rolls("web", 2).await;
    // Within the time of a stop.
    t.stop().await;
}
