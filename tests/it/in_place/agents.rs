//! Changes in place, proven: real pods on a real kubelet, with the agent beside the application.

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::ResourceExt as _;
use kube::api::{DeleteParams, Patch};
use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{
    Test, await_condition,
    build::deployment,
    by,
    cluster::WINDLASS,
    node::{application, process_of},
    policies::{for_web, install, policy},
    tests, value,
};

tests! {
    every_pod_is_proven_and_its_application_told: on_node;
    what_the_validator_refuses_is_told_to_nobody_but_the_operator: on_node;
    an_application_that_hangs_is_named: on_node;
    an_application_is_told_by_a_signal: on_node;
    an_application_that_ignores_the_signal_was_told_all_the_same: on_node;
    without_a_shared_process_namespace_the_agent_says_so: on_node;
    a_pod_that_goes_while_it_is_asked_keeps_nobody_waiting: on_node;
    an_agent_that_is_killed_before_it_tells_makes_up_for_it: on_node;
    the_proof_goes_on_after_the_controller_was_killed: on_node;
    another_token_proves_nothing: on_node;
    without_an_agent_the_controller_tells_the_application: on_node;
    auto_restarts_what_is_read_at_the_start_and_not_the_rest: on_node;
}

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const PORT: u16 = 9533;

async fn secret(t: &Test, token: &str) {
    let object = json!({"metadata": {"name": "windlass-agent"}, "stringData": {"token": token}});
    t.create::<Secret>(object).await;
}

/// The agent as a native sidecar, with these flags.
fn agent(flags: &[&str]) -> Value {
    let fixed = [
        "/windlass",
        "agent",
        "--volume",
        "/etc/web",
        "--token-file",
        "/token/token",
        "--retries",
        "1",
    ];
    let command = [&fixed[..], flags].concat();
    json!({
        "name": "agent",
        "image": WINDLASS,
        "imagePullPolicy": "Never",
        "command": command,
        "restartPolicy": "Always",
        "ports": [{"containerPort": PORT}],
        "volumeMounts": [
            {"name": "config", "mountPath": "/etc/web"},
            {"name": "token", "mountPath": "/token"},
        ],
        "startupProbe": {"httpGet": {"path": "/readyz", "port": PORT}, "periodSeconds": 1},
    })
}

/// `web`: the application with these flags, and beside it whoever `sidecars` are.
async fn web(t: &Test, pods: u32, flags: &[&str], sidecars: Vec<Value>, more: Value) {
    t.config("web", &[("flags", "A"), ("valid", "yes")]).await;
    let mut app = application("app", flags);
    app["volumeMounts"] = json!([{"name": "config", "mountPath": "/etc/web"}]);
    app["readinessProbe"] = json!({"httpGet": {"path": "/state", "port": 8080}, "periodSeconds": 1});
    let mut spec = json!({
        "terminationGracePeriodSeconds": 1,
        "containers": [app],
        "initContainers": sidecars,
        "volumes": [
            {"name": "config", "configMap": {"name": "web"}},
            {"name": "token", "secret": {"secretName": "windlass-agent", "optional": true}},
        ],
    });
    if let (Some(spec), Value::Object(more)) = (spec.as_object_mut(), more) {
        spec.extend(more);
    }
    let template = json!({"metadata": {"labels": {"app": "web"}}, "spec": spec});
    let web = deployment("web").labelled("tier", "web").with("replicas", pods);
    t.deploy(web.with("template", template)).await;
}

pub async fn with_agent(t: &Test, pods: u32, app: &[&str], flags: &[&str]) {
    install(t).await;
    secret(t, TOKEN).await;
    web(t, pods, app, vec![agent(flags)], json!({})).await;
}

pub async fn in_place(t: &Test, strategy: &str, timeout: &str, on_timeout: &str) {
    let agent = json!({"port": PORT, "tokenSecretRef": {"name": "windlass-agent"}});
    let in_place = json!({"agent": agent, "timeout": timeout, "onTimeout": on_timeout});
    policy(t, "web", for_web(json!({"strategy": strategy, "inPlace": in_place}))).await;
}

pub const RELOAD: [&str; 2] = ["--notify-http", "http://127.0.0.1:8080/-/reload"];

pub async fn change(t: &Test, flags: &str) {
    t.config("web", &[("flags", flags), ("valid", "yes")]).await;
}

/// What each pod's application has been told, and what its file is.
async fn told(t: &Test, pods: usize) -> Result<Vec<(Value, String)>> {
    let all = t.pods("web").await?;
    ensure!(all.len() == pods, "{} pods", all.len());
    let mut told = Vec::new();
    for pod in &all {
        told.push((t.app_state(pod).await?, t.file_in(pod, "/etc/web/flags").await?));
    }
    Ok(told)
}

/// What is there once each application has been told of what it started with: an agent tells of the first
/// version as soon as it is answered, which may be later than the pod is ready.
async fn told_at_the_start(t: &Test, pods: usize) -> Vec<(Value, String)> {
    await_condition("the applications to be told of what they started with", async || {
        let told = told(t, pods).await?;
        ensure!(told.iter().all(|(state, _)| state["reloads"] != 0), "{told:?}");
        Ok(told)
    })
    .await
}

async fn every_pod_is_proven_and_its_application_told(t: &Test) {
    with_agent(t, 2, &[], &RELOAD).await;
    in_place(t, "Auto", "60s", "Report").await;
    t.start_and_adopt(&[]).await;
    let before = told_at_the_start(t, 2).await;
    for (number, flags) in ["B", "C", "D"].into_iter().enumerate() {
        change(t, flags).await;
        t.metric(
            "windlass_in_place_changes_total",
            &[("result", "verified")],
            u32::try_from(number + 1).expect("few"),
        )
        .await;
        // Proven means that it is so now, not soon.
        let now = told(t, 2).await.expect("the applications answer");
        for ((state, file), (before, _)) in now.iter().zip(&before) {
            assert_eq!(*file, value(flags));
            let reloads = |state: &Value| state["reloads"].as_u64().unwrap_or_default();
            assert!(
                reloads(state) > reloads(before) + number as u64,
                "{state} after {before}"
            );
        }
    }
    let note = t.event("web", "Verified").await;
    assert!(note.contains("2/2 pods"), "{note}");
    t.rolls("web", 0).await;
    for pod in t.pods("web").await.expect("pods") {
        let nudge = pod.annotations().get("windlass.dev/nudge");
        assert!(nudge.is_some(), "{:?}", pod.annotations());
    }
    t.nothing_leaked().await;
}

async fn what_the_validator_refuses_is_told_to_nobody_but_the_operator(t: &Test) {
    let validate = ["--validate", "/testapp --require-file /etc/web/valid --exit"];
    with_agent(t, 1, &[], &[&RELOAD[..], &validate[..]].concat()).await;
    // Time enough to start a validator on a busy machine.
    in_place(t, "InPlace", "20s", "Report").await;
    t.start_and_adopt(&[]).await;
    let before = told_at_the_start(t, 1).await;
    t.config("web", &[("flags", "B")]).await;
    t.event_with("web", "NotApplied", &["0/1 pods", "validation"]).await;
    let now = told(t, 1).await.expect("the application answers");
    assert_eq!(now[0].0["reloads"], before[0].0["reloads"], "it was not told");
    t.state("Failed", 1).await;
    change(t, "C").await;
    t.metric("windlass_in_place_changes_total", &[("result", "verified")], 1)
        .await;
    t.state("Failed", 0).await;
    t.rolls("web", 0).await;
}

async fn an_application_that_hangs_is_named(t: &Test) {
    with_agent(
        t,
        1,
        &["--reload", "hang"],
        &[&RELOAD[..], &["--timeout", "1s"]].concat(),
    )
    .await;
    in_place(t, "InPlace", "8s", "Report").await;
    t.start_and_adopt(&[]).await;
    change(t, "B").await;
    t.event_with(
        "web",
        "NotApplied",
        &["cannot notify the application", "no answer within 1s"],
    )
    .await;
}

async fn told_by_a_signal(t: &Test, app: &[&str]) {
    install(t).await;
    secret(t, TOKEN).await;
    let flags = ["--notify-signal", "HUP", "--process", "testapp"];
    web(t, 1, app, vec![agent(&flags)], json!({"shareProcessNamespace": true})).await;
    in_place(t, "InPlace", "60s", "Report").await;
    t.start_and_adopt(&[]).await;
    let before = await_condition("the application to answer", async || told(t, 1).await).await;
    assert_eq!(before[0].0["hangups"], 0, "it started with what is there");
    change(t, "B").await;
    t.metric("windlass_in_place_changes_total", &[("result", "verified")], 1)
        .await;
}

async fn an_application_is_told_by_a_signal(t: &Test) {
    told_by_a_signal(t, &[]).await;
    await_condition("the application to take notice", async || {
        let now = told(t, 1).await?;
        ensure!(now[0].0["hangups"] == 1, "{}", now[0].0);
        Ok(())
    })
    .await;
}

async fn an_application_that_ignores_the_signal_was_told_all_the_same(t: &Test) {
    told_by_a_signal(t, &["--hangup", "ignore"]).await;
    assert_eq!(told(t, 1).await.expect("it answers")[0].0["hangups"], 0);
}

async fn without_a_shared_process_namespace_the_agent_says_so(t: &Test) {
    with_agent(t, 1, &[], &["--notify-signal", "HUP", "--process", "testapp"]).await;
    in_place(t, "InPlace", "5s", "Report").await;
    t.start_and_adopt(&[]).await;
    change(t, "B").await;
    t.event_with("web", "NotApplied", &["shareProcessNamespace"]).await;
}

async fn a_pod_that_goes_while_it_is_asked_keeps_nobody_waiting(t: &Test) {
    with_agent(t, 2, &[], &RELOAD).await;
    in_place(t, "InPlace", "60s", "Report").await;
    t.start_and_adopt(&[]).await;
    let pods = t.pods("web").await.expect("pods");
    change(t, "B").await;
    let gone = t
        .api::<Pod>()
        .delete(&pods[0].name_any(), &DeleteParams::default())
        .await;
    gone.expect("the API server deletes it");
    t.metric("windlass_in_place_changes_total", &[("result", "verified")], 1)
        .await;
    t.rolls("web", 0).await;
}

async fn an_agent_that_is_killed_before_it_tells_makes_up_for_it(t: &Test) {
    with_agent(t, 1, &[], &RELOAD).await;
    in_place(t, "InPlace", "60s", "Report").await;
    t.start_and_adopt(&[]).await;
    let before = told_at_the_start(t, 1).await;
    let pod = t.pods("web").await.expect("pods").remove(0);
    // Halted it sees nothing of the swap, before or after its end.
    let agent = process_of(&pod, "/windlass agent").expect("the agent runs");
    kill_process(agent, Signal::STOP).expect("it can be halted");
    change(t, "B").await;
    await_condition("the new file", async || {
        let file = t.file_in(&pod, "/etc/web/flags").await?;
        ensure!(file == value("B"), "{file}");
        Ok(())
    })
    .await;
    let now = told(t, 1).await.expect("the application answers");
    assert_eq!(now[0].0["reloads"], before[0].0["reloads"], "it was not told yet");
    kill_process(agent, Signal::KILL).expect("it can be killed");
    t.metric("windlass_in_place_changes_total", &[("result", "verified")], 1)
        .await;
    let now = told(t, 1).await.expect("the application answers");
    assert!(
        now[0].0["reloads"].as_u64() > before[0].0["reloads"].as_u64(),
        "{now:?}"
    );
    t.rolls("web", 0).await;
}

async fn the_proof_goes_on_after_the_controller_was_killed(t: &Test) {
    with_agent(t, 1, &[], &RELOAD).await;
    // As long as the agent has another token nothing is proven.
    with_token_of_its_own(t, json!({"timeout": "60s", "onTimeout": "Restart"})).await;
    t.start_and_adopt(&[]).await;
    change(t, "B").await;
    t.event("web", "Propagating").await;
    t.counted("windlass_agent_requests_total", &[("result", "refused")])
        .await;
    t.windlass().kill().await;
    let token = Patch::Merge(json!({"stringData": {"token": TOKEN}}));
    let patched = t.api::<Secret>().patch("other", &by("test").patch(), &token).await;
    patched.expect("the API server takes it");
    t.start(&[]).await;
    t.metric("windlass_in_place_changes_total", &[("result", "verified")], 1)
        .await;
    t.rolls("web", 0).await;
}

/// The policy names another Secret than the one that the agents have.
async fn with_token_of_its_own(t: &Test, mut in_place: Value) {
    let other = json!({"metadata": {"name": "other"}, "stringData": {"token": "another-token-another-token"}});
    t.create::<Secret>(other).await;
    in_place["agent"] = json!({"port": PORT, "tokenSecretRef": {"name": "other"}});
    // The Secret that the agents do have is mounted as well, and nobody's configuration.
    let sources = json!({"exclude": [{"kind": "Secret", "name": "windlass-agent"}]});
    let spec = json!({"strategy": "InPlace", "inPlace": in_place, "sources": sources});
    policy(t, "web", for_web(spec)).await;
}

async fn another_token_proves_nothing(t: &Test) {
    with_agent(t, 1, &[], &RELOAD).await;
    with_token_of_its_own(t, json!({"timeout": "3s"})).await;
    t.start_and_adopt(&[]).await;
    change(t, "B").await;
    let note = t.event_with("web", "NotApplied", &["another token"]).await;
    assert!(
        !note.contains("another-token"),
        "the token itself is nobody's business: {note}"
    );
    t.counted("windlass_agent_requests_total", &[("result", "refused")])
        .await;
}

async fn without_an_agent_the_controller_tells_the_application(t: &Test) {
    install(t).await;
    web(t, 2, &[], Vec::new(), json!({})).await;
    let notify = json!({"port": 8080, "path": "/-/reload", "delay": "10s"});
    policy(
        t,
        "web",
        for_web(json!({"strategy": "Auto", "inPlace": {"notifyHttp": notify}})),
    )
    .await;
    t.start_and_adopt(&[]).await;
    change(t, "B").await;
    t.metric("windlass_in_place_changes_total", &[("result", "propagated")], 1)
        .await;
    await_condition("the files to be new", async || {
        for (state, file) in told(t, 2).await? {
            assert_eq!(state["reloads"], 1, "{state}");
            ensure!(file == value("B"), "{file}");
        }
        Ok(())
    })
    .await;
    t.rolls("web", 0).await;
}

async fn auto_restarts_what_is_read_at_the_start_and_not_the_rest(t: &Test) {
    with_agent(t, 1, &[], &RELOAD).await;
    let from_env = json!({"spec": {"template": {"spec": {"containers": [{
        "name": "app",
        "env": [{"name": "VALID", "valueFrom": {"configMapKeyRef": {"name": "web", "key": "valid"}}}],
    }]}}}});
    t.patch_deployment("web", from_env).await;
    in_place(t, "Auto", "60s", "Report").await;
    t.start_and_adopt(&[]).await;
    let before = t.template_changes("web").await;
    change(t, "B").await;
    t.metric("windlass_in_place_changes_total", &[("result", "verified")], 1)
        .await;
    assert_eq!(t.template_changes("web").await, before);
    t.config("web", &[("flags", "C"), ("valid", "still")]).await;
    t.await_template_changes("web", before + 1).await;
}
