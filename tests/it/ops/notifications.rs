//! What is told to where people look.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use serde_json::{Value, json};

use crate::support::{
    CONFIG_DIGEST, Test, await_condition,
    build::{deployment, env},
    policies::{for_web, install, policy},
    receiver::{Manners, Receiver, SECRET},
    template_annotation, tests,
};

tests! {
    each_occasion_is_told_to_everybody: live;
    a_receiver_that_hangs_holds_up_no_restart: live;
    one_that_only_observes_tells_of_no_restart: live;
    a_replica_that_begins_to_lead_tells_of_trouble_by_the_same_id: live;
    only_the_replica_that_leads_tells_and_what_is_left_at_its_end: embedded;
}

const OCCASIONS: [&str; 5] = ["Failed", "Halted", "Held", "Recovered", "Restarted"];

/// A receiver of each kind, and the flags that name them.
struct Receivers {
    events: Receiver,
    slack: Receiver,
    teams: Receiver,
}

impl Receivers {
    async fn start(chats: Manners) -> Self {
        Self {
            events: Receiver::start(Manners::Takes).await,
            slack: Receiver::start(chats).await,
            teams: Receiver::start(chats).await,
        }
    }

    fn flags(&self) -> Vec<String> {
        let Self { events, slack, teams } = self;
        [
            ("--notify-cloudevents", events.url()),
            ("--notify-slack", slack.url()),
            ("--notify-teams", teams.url()),
            ("--notify-interval", "1s".to_owned()),
            ("--notify-cluster", "testing".to_owned()),
        ]
        .into_iter()
        .flat_map(|(flag, value)| [flag.to_owned(), value])
        .collect()
    }

    /// All events so far, without those about markers.
    fn events(&self) -> Vec<Value> {
        let batches = self.events.bodies();
        let events = batches
            .iter()
            .flat_map(|batch| batch.as_array().expect("a batch").clone());
        events
            .filter(|event| {
                !event["data"]["name"]
                    .as_str()
                    .is_some_and(|name| name.starts_with("marker"))
            })
            .collect()
    }

    /// Waits for an event of that occasion about the Deployment.
    async fn event(&self, name: &str, occasion: &str) -> Value {
        await_condition(&format!("{name} to be told as {occasion}"), async || {
            let events = self.events();
            let found = events
                .iter()
                .find(|it| it["data"]["name"] == name && it["data"]["occasion"] == occasion);
            found.cloned().with_context(|| format!("{events:#?}"))
        })
        .await
    }
}

fn flags(of: &[String]) -> Vec<&str> {
    of.iter().map(String::as_str).collect()
}

/// All that stands in a message for people.
fn texts(receiver: &Receiver) -> String {
    Value::Array(receiver.bodies()).to_string()
}

/// The URL's secret is nowhere.
async fn nothing_is_given_away(t: &Test) {
    assert!(!t.logs().contains(SECRET), "a secret is in the log");
    let metrics = t.windlass().metrics().await.expect("the metrics are served");
    assert!(!metrics.contains(SECRET), "a secret is in the metrics");
}

/// The Deployments that have been restarted.
async fn restarted(t: &Test, names: &[&'static str], count: usize) -> Vec<&'static str> {
    await_condition(&format!("{count} to be restarted"), async || {
        let mut restarted = Vec::new();
        for name in names {
            if template_annotation(&t.deployment(name).await, CONFIG_DIGEST).is_some() {
                restarted.push(*name);
            }
        }
        ensure!(restarted.len() == count, "{restarted:?}");
        Ok(restarted)
    })
    .await
}

async fn each_occasion_is_told_to_everybody(t: &Test) {
    let receivers = Receivers::start(Manners::Takes).await;
    install(t).await;
    let halting = json!({"restart": {"maxParallel": 1, "haltOnFailure": true, "deadline": "5s"}});
    policy(t, "web", for_web(halting)).await;
    t.config("web", &[("a", "A")]).await;
    t.config("lost", &[("a", "A")]).await;
    let both = ["web-0", "web-1"];
    for name in both {
        let web = deployment(name).labelled("tier", "web").uses(env("web", "a"));
        t.deploy(web.made_ready_by_hand()).await;
        t.complete_by_hand(name).await;
    }
    t.deploy(deployment("lost").uses(env("lost", "a"))).await;
    t.settle_in().await;
    let mut all = receivers.flags();
    all.extend(["--log-level".to_owned(), "trace".to_owned()]);
    t.start(&flags(&all)).await;
    t.all_adopted().await;
    // Adoption is told to nobody: what is told first came later.
    t.everything_before_is_done().await;
    assert_eq!(receivers.events(), Vec::<Value>::new());

    t.delete_config("lost").await;
    let held = receivers.event("lost", "Held").await;
    assert_eq!(held["data"]["reason"], "SourceMissing");
    t.config("lost", &[("a", "A")]).await;
    receivers.event("lost", "Recovered").await;

    t.config("web", &[("a", "B")]).await;
    let failing = restarted(t, &both, 1).await.remove(0);
    let waiting = both.into_iter().find(|name| *name != failing).expect("the other one");
    let event = receivers.event(failing, "Restarted").await;
    let version = &t.deployment(failing).await;
    assert_eq!(event["specversion"], "1.0");
    assert_eq!(event["type"], "dev.windlass.workload.restarted");
    let source = format!("/clusters/testing/windlass/{}/windlass", t.namespace);
    assert_eq!(event["source"], source.as_str());
    let subject = format!("/apis/apps/v1/namespaces/{}/deployments/{failing}", t.namespace);
    assert_eq!(event["subject"], subject.as_str());
    assert_eq!(event["data"]["uid"].as_str(), version.metadata.uid.as_deref());
    let message = event["data"]["message"].as_str().expect("a message");
    assert!(message.contains("ConfigMap web") && message.contains('a'), "{message}");

    receivers.event(failing, "Failed").await;
    receivers.event(waiting, "Halted").await;
    t.complete_by_hand(failing).await;
    receivers.event(failing, "Recovered").await;
    restarted(t, &both, 2).await;
    t.complete_by_hand(waiting).await;
    receivers.event(waiting, "Recovered").await;

    let ids = receivers.events();
    let mut ids: Vec<&str> = ids.iter().filter_map(|event| event["id"].as_str()).collect();
    ids.sort_unstable();
    let all = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), all, "each event has an id of its own");
    await_condition("both chats to be told of each occasion", async || {
        for chat in [&receivers.slack, &receivers.teams] {
            let told = texts(chat);
            let missing: Vec<_> = OCCASIONS.iter().filter(|it| !told.contains(**it)).collect();
            ensure!(missing.is_empty(), "{missing:?} is missing in {told}");
        }
        Ok(())
    })
    .await;
    for chat in [&receivers.slack, &receivers.teams] {
        let named = format!("Deployment {}/{failing}: ", t.namespace);
        assert!(texts(chat).contains(&named), "{}", texts(chat));
    }
    delivered(t, "cloudevents").await.expect("they are counted");
    nothing_is_given_away(t).await;
}

async fn delivered(t: &Test, sink: &str) -> Result<()> {
    let labels = [("sink", sink), ("result", "delivered")];
    let count = t.windlass().metric("windlass_notifications_total", &labels).await?;
    ensure!(count > 0.5, "{count}");
    Ok(())
}

async fn a_receiver_that_hangs_holds_up_no_restart(t: &Test) {
    let receivers = Receivers::start(Manners::Hangs).await;
    t.config("web", &[("a", "A")]).await;
    t.deploy(deployment("web").uses(env("web", "a"))).await;
    t.start_and_adopt(&flags(&receivers.flags())).await;

    for (times, value) in ["B", "C", "D", "E", "F", "G", "H", "I"].into_iter().enumerate() {
        t.config("web", &[("a", value)]).await;
        t.rolls("web", times + 1).await;
        receivers.event("web", "Restarted").await;
    }

    // Each chat has been sent something, and is still thought about: nothing has come of it.
    await_condition("the chats to hang", async || {
        for chat in [&receivers.slack, &receivers.teams] {
            ensure!(!chat.bodies().is_empty(), "one was sent nothing");
        }
        Ok(())
    })
    .await;
    delivered(t, "cloudevents").await.expect("they are counted");
    delivered(t, "slack").await.expect_err("it never answers");
    // Nor does it hold up the end.
    nothing_is_given_away(t).await;
    t.stop().await;
    assert!(!t.logs().contains(SECRET), "a secret is in the log");
}

async fn one_that_only_observes_tells_of_no_restart(t: &Test) {
    let receivers = Receivers::start(Manners::Takes).await;
    t.config("web", &[("a", "A")]).await;
    t.config("lost", &[("a", "A")]).await;
    t.deploy(deployment("web").uses(env("web", "a"))).await;
    t.deploy(deployment("lost").uses(env("lost", "a"))).await;
    t.settle_in().await;
    let mut all = receivers.flags();
    all.push("--observe-only".to_owned());
    t.start(&flags(&all)).await;

    t.config("web", &[("a", "B")]).await;
    t.event("web", "Restarted").await;
    t.delete_config("lost").await;
    receivers.event("lost", "Held").await;
    let told: Vec<Value> = receivers.events();
    assert!(
        told.iter().all(|event| event["data"]["occasion"] == "Held"),
        "{told:#?}"
    );
}

async fn a_replica_that_begins_to_lead_tells_of_trouble_by_the_same_id(t: &Test) {
    let receivers = Receivers::start(Manners::Takes).await;
    t.config("web", &[("a", "A")]).await;
    t.deploy(deployment("web").uses(env("web", "a"))).await;
    t.start_and_adopt(&flags(&receivers.flags())).await;

    t.patch_deployment("web", json!({"spec": {"paused": true}})).await;
    t.config("web", &[("a", "B")]).await;
    let before = receivers.event("web", "Held").await;
    t.while_down(async {}).await;
    let after = await_condition("it to be told again", async || {
        let events = receivers.events();
        ensure!(events.len() > 1, "{events:#?}");
        Ok(events[1].clone())
    })
    .await;
    assert_eq!((&after["id"], &after["source"]), (&before["id"], &before["source"]));
    t.patch_deployment("web", json!({"spec": {"paused": false}})).await;
    receivers.event("web", "Recovered").await;
}

async fn only_the_replica_that_leads_tells_and_what_is_left_at_its_end(t: &Test) {
    let (of_first, of_second) = (
        Receivers::start(Manners::Takes).await,
        Receivers::start(Manners::Takes).await,
    );
    // One that nobody holds; or the first replica would wait for it to be over.
    let lease = json!({"metadata": {"name": "windlass"}, "spec": {"holderIdentity": ""}});
    t.create::<Lease>(lease).await;
    t.config("web", &[("a", "A")]).await;
    t.deploy(deployment("web").uses(env("web", "a"))).await;
    t.settle_in().await;
    let elected = ["--leader-election", "--lease-namespace", &t.namespace].map(str::to_owned);
    let mut all = [&of_first.flags()[..], &elected].concat();
    // So long that only the end explains what comes.
    for value in &mut all {
        if *value == "1s" {
            "1h".clone_into(value);
        }
    }
    let first = t.installation(t.cluster.windlass.clone(), all).await;
    t.all_adopted().await;
    let all = [&of_second.flags()[..], &elected].concat();
    let second = t.installation(t.cluster.second.clone(), all).await;
    second.await_ready().await;

    t.config("web", &[("a", "B")]).await;
    t.event("web", "Restarted").await;
    t.rolls("web", 1).await;
    assert_eq!(of_first.events(), Vec::<Value>::new(), "it gathers for an hour");
    first.stop().await;
    of_first.event("web", "Restarted").await;

    t.config("web", &[("a", "C")]).await;
    of_second.event("web", "Restarted").await;
    // At its end it tells all that is left.
    second.stop().await;
    let restarts = of_second.events();
    assert_eq!(restarts.len(), 1, "of its own only: {restarts:#?}");
}
