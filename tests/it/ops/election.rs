//! Several replicas, of which one writes.
//!
//! They are told apart by the users of the test cluster, `windlass` and `second`. Times are short: a lease of
//! ten seconds is over after ten, and one that was released is taken long before.

use std::time::Duration;

use anyhow::ensure;
use k8s_openapi::api::coordination::v1::Lease;
use serde_json::json;

use crate::support::{
    Test,
    audit::{Audit, Request},
    await_condition, await_condition_within,
    build::{deployment, env},
    controller::Controller,
    tests,
    webhook::Webhook,
};

tests! {
    only_the_leader_writes: embedded;
    a_leader_that_is_stopped_hands_over_at_once: embedded;
    a_leader_that_crashed_is_followed_when_its_lease_is_over: embedded;
    a_leader_that_was_halted_ends_and_writes_nothing_more: embedded;
    a_write_that_is_not_over_in_time_comes_to_nothing: embedded;
    no_more_roll_than_may_when_the_leader_changes: embedded;
}

/// A lease that is soon over, and long enough that a leader on a busy machine renews it in time.
const SHORT: &str = "10s";

/// What somebody waits for before it leads where nobody released the lease, and some more.
const TAKEN_OVER: Duration = Duration::from_mins(1);

/// Two replicas, the test's own first, which leads.
async fn two(t: &Test, lease: &str) -> (Controller, Controller) {
    t.config("web", &[("level", "A")]).await;
    t.deploy(deployment("web").uses(env("web", "level"))).await;
    t.settle_in().await;
    two_with(t, lease, &[]).await
}

/// The same for workloads that are there already, with more flags.
async fn two_with(t: &Test, lease: &str, more: &[&str]) -> (Controller, Controller) {
    let flags = ["--leader-election", "--lease-duration", lease];
    let times = ["--lease-renew-deadline", "9s", "--lease-retry-period", "1s"];
    let own = ["--lease-namespace", &t.namespace];
    let flags = [&flags[..], &times[..], &own[..], more].concat();
    let flags: Vec<String> = flags.into_iter().map(str::to_owned).collect();
    let first = t.installation(t.cluster.windlass.clone(), flags.clone()).await;
    leads(&first).await;
    t.all_adopted().await;
    let second = t.installation(t.cluster.second.clone(), flags).await;
    second.await_ready().await;
    (first, second)
}

async fn leads(controller: &Controller) {
    await_condition_within(TAKEN_OVER, "it to lead", async || {
        ensure!(controller.metric("windlass_leader", &[]).await? > 0.5, "it does not");
        Ok(())
    })
    .await;
}

async fn ends(controller: &Controller) {
    await_condition("the one that was halted to end", async || {
        ensure!(!controller.runs(), "it runs still");
        Ok(())
    })
    .await;
}

/// What it has written so far, its Lease aside.
fn written(audit: &Audit) -> Vec<String> {
    audit
        .requests()
        .into_iter()
        .filter(|it| !["get", "list", "watch"].contains(&&*it.verb) && it.resource != "leases" && it.code < 400)
        .map(|it| format!("{} {} {}", it.verb, it.resource, it.name))
        .collect()
}

async fn only_the_leader_writes(t: &Test) {
    let (first, second) = two(t, SHORT).await;
    let (of_first, of_second) = (t.audit("windlass"), t.audit("second"));
    t.config("web", &[("level", "B")]).await;
    t.rolls("web", 1).await;
    t.event("web", "Restarted").await;
    assert!(!written(&of_first).is_empty());
    assert_eq!(written(&of_second), Vec::<String>::new(), "a standby writes nothing");
    assert!(second.metric("windlass_leader", &[]).await.expect("metrics") < 0.5);
    assert!(second.ready().await, "a standby is ready");
    second.stop().await;
    first.stop().await;
}

async fn a_leader_that_is_stopped_hands_over_at_once(t: &Test) {
    // There is one already, which nobody holds; or the first replica would wait for it to be over, too.
    let _: Lease = t
        .create(json!({"metadata": {"name": "windlass"}, "spec": {"holderIdentity": ""}}))
        .await;
    // So long that only a release explains what comes.
    let (first, second) = two(t, "10m").await;
    let of_second = t.audit("second");
    // Not settled when the leader goes: the next one has seen it as well, and finishes it.
    t.config("web", &[("level", "B")]).await;
    first.stop().await;
    leads(&second).await;
    t.rolls("web", 1).await;
    t.config("web", &[("level", "C")]).await;
    t.rolls("web", 2).await;
    assert!(!written(&of_second).is_empty());
    second.stop().await;
}

async fn a_leader_that_crashed_is_followed_when_its_lease_is_over(t: &Test) {
    let (first, second) = two(t, SHORT).await;
    t.config("web", &[("level", "B")]).await;
    t.rolls("web", 1).await;
    first.kill().await;
    t.config("web", &[("level", "C")]).await;
    leads(&second).await;
    t.rolls("web", 2).await;
    second.stop().await;
}

async fn a_leader_that_was_halted_ends_and_writes_nothing_more(t: &Test) {
    let (first, second) = two(t, SHORT).await;
    first.pause();
    t.config("web", &[("level", "B")]).await;
    leads(&second).await;
    t.rolls("web", 1).await;
    // Both changes are news to it when it wakes, and one of them is not dealt with yet.
    let of_first = t.audit("windlass");
    t.config("web", &[("level", "C")]).await;
    first.resume();
    ends(&first).await;
    assert_eq!(first.exit_code(), Some(1));
    t.rolls("web", 2).await;
    assert_eq!(written(&of_first), Vec::<String>::new(), "it led no more");
    second.stop().await;
}

async fn a_write_that_is_not_over_in_time_comes_to_nothing(t: &Test) {
    let (first, second) = two(t, SHORT).await;
    let of_first = t.audit("windlass");
    let webhook = Webhook::hold(t, "windlass", "web").await;
    t.config("web", &[("level", "B")]).await;
    webhook.is_asked().await;
    // From now on it can neither give its write up nor hang up: the API server has to know by itself.
    first.pause();
    leads(&second).await;
    // The webhook has not answered yet, and would wait for longer than the lease lasts.
    let requests = of_first.requests();
    let given_up = |it: &Request| it.verb == "patch" && it.name == "web" && it.code >= 500;
    assert!(requests.iter().any(given_up), "under way still: {requests:?}");
    webhook.end().await;
    t.rolls("web", 1).await;
    first.resume();
    ends(&first).await;
    t.rolls("web", 1).await;
    second.stop().await;
}

async fn no_more_roll_than_may_when_the_leader_changes(t: &Test) {
    const NAMES: [&str; 4] = ["web-0", "web-1", "web-2", "web-3"];
    t.config("web", &[("level", "A")]).await;
    for name in NAMES {
        t.deploy(deployment(name).uses(env("web", "level")).made_ready_by_hand())
            .await;
        t.complete_by_hand(name).await;
    }
    t.settle_in().await;
    let (first, second) = two_with(t, SHORT, &["--max-parallel", "2"]).await;
    t.config("web", &[("level", "B")]).await;
    let rolling = restarted(t, &NAMES, 2).await;
    wait_for_their_turn(&first, 2).await;

    first.kill().await;
    leads(&second).await;
    wait_for_their_turn(&second, 2).await;
    assert_eq!(restarted(t, &NAMES, 2).await, rolling, "both places are taken");
    // Each one that is complete makes room for one.
    for (done, name) in rolling.iter().enumerate() {
        t.complete_by_hand(name).await;
        restarted(t, &NAMES, 3 + done).await;
        wait_for_their_turn(&second, 1 - u32::try_from(done).expect("few")).await;
    }
    for name in NAMES {
        assert_eq!(t.template_changes(name).await, 1, "{name}");
    }
    second.stop().await;
}

/// Waits until that many have been restarted, and says which.
async fn restarted(t: &Test, names: &[&'static str], count: usize) -> Vec<&'static str> {
    await_condition(&format!("{count} to be restarted"), async || {
        let mut restarted = Vec::new();
        for name in names {
            if t.template_changes(name).await > 0 {
                restarted.push(*name);
            }
        }
        ensure!(restarted.len() == count, "{restarted:?}");
        Ok(restarted)
    })
    .await
}

async fn wait_for_their_turn(leader: &Controller, count: u32) {
    leader
        .await_metric("windlass_workloads_held", &[("reason", "Budget")], count)
        .await;
}
