//! StatefulSets and DaemonSets: the same sequences as for Deployments, by the evidence of each kind.

use serde_json::{Value, json};

use crate::support::{
    CAUSE, CONFIG_DIGEST, OBSERVED, Test, Workloads, annotation, await_condition,
    build::{Workload, deployment, env},
    kinds::{stateful_set, tests_of_kinds},
    next_second, tests,
};

tests_of_kinds! {
    [stateful_set daemon_set]
    adoption_restarts_nothing: live, down;
    a_used_key_is_one_rollout: live, down, crashed, paused, live_paged;
    an_unused_key_is_none: live, down;
    there_and_back_is_none: live, down, paused;
    there_and_back_with_a_pod_replaced_in_between_is_one_rollout: live, down, paused;
    an_upgrade_after_the_change_is_the_rollout: live, down, paused;
    an_upgrade_before_the_change_is_not_the_rollout: live, down;
    undoing_a_complete_rollout_restarts_nothing: live, down, paused;
    undoing_half_a_rollout_holds: live, down, paused;
    a_rollout_restart_after_it_lifts_the_hold: live;
    a_baseline_stripped_live_is_restored: live, paused;
    a_baseline_stripped_after_a_restart_is_recovered: live;
    a_baseline_stripped_with_a_change_does_not_hide_it: live;
    a_first_baseline_stripped_with_a_change_is_no_silent_adoption: live;
    one_created_later_is_adopted: live, down, paused;
    another_one_of_the_same_name_is_adopted: live, down, paused;
    pods_that_wait_to_be_deleted_hold: live, down;
}

tests! {
    a_partition_holds_until_it_is_lowered: live, down;
    a_stateful_set_without_pods_takes_the_change_in: live, down;
}

fn web() -> Workload {
    deployment("web").uses(env("web", "level"))
}

async fn level(t: &Test, level: &str) {
    t.config("web", &[("level", level), ("unused", "A")]).await;
}

async fn adopt(w: &Workloads<'_>, web: Workload, flags: &[&str]) {
    level(w, "A").await;
    w.deploy(web).await;
    w.start_and_adopt(flags).await;
}

async fn adoption_restarts_nothing(w: &Workloads<'_>) {
    adopt(w, web(), &[]).await;
    let adopted = w.get("web").await;
    // Written behind the patch; what is stopped in between never says it.
    w.event("web", "Adopted").await;

    w.meanwhile(async {}).await;

    w.rolls("web", 0).await;
    w.state("Current", 1).await;
    assert_eq!(w.event_count("web", "Adopted").await, 1);
    let baseline = w.baseline("web").await;
    assert_eq!(baseline["uid"], json!(adopted.metadata.uid), "{baseline}");
    assert_eq!(
        annotation(&w.get("web").await, OBSERVED),
        annotation(&adopted, OBSERVED)
    );
}

async fn a_used_key_is_one_rollout(w: &Workloads<'_>) {
    adopt(w, web(), &[]).await;
    let adopted = w.baseline("web").await;

    w.meanwhile(level(w, "B")).await;

    w.rolls("web", 1).await;
    let message = w.event("web", "Restarted").await;
    assert!(message.contains("ConfigMap web (key level)"), "{message}");
    assert_eq!(w.event_count("web", "Restarted").await, 1);
    let template = w.template("web").await;
    for written in [CONFIG_DIGEST, CAUSE] {
        assert!(template["metadata"]["annotations"][written].is_string(), "no {written}");
    }
    assert_ne!(w.baseline("web").await["src"], adopted["src"], "the baseline has moved");
    w.counted("windlass_restarts_total", &[("kind", w.word())]).await;
    w.state("Current", 1).await;

    // And again, so that the state after a rollout is as good as the one after adoption.
    w.meanwhile(level(w, "C")).await;
    w.rolls("web", 2).await;
}

async fn an_unused_key_is_none(w: &Workloads<'_>) {
    adopt(w, web(), &[]).await;

    w.meanwhile(w.config("web", &[("level", "A"), ("unused", "B"), ("new", "B")]))
        .await;

    w.rolls("web", 0).await;
}

async fn there_and_back_is_none(w: &Workloads<'_>) {
    adopt(w, web(), &["--settle", "5s"]).await;

    w.meanwhile(async {
        level(w, "B").await;
        level(w, "A").await;
    })
    .await;

    w.rolls("web", 0).await;
    w.state("Current", 1).await;
}

async fn there_and_back_with_a_pod_replaced_in_between_is_one_rollout(w: &Workloads<'_>) {
    // Long enough for the steps, so that no restart comes in between.
    adopt(w, web(), &["--settle", "30s"]).await;

    w.meanwhile(async {
        level(w, "B").await;
        next_second().await;
        w.replace_pods("web").await;
        next_second().await;
        level(w, "A").await;
    })
    .await;

    w.rolls("web", 1).await;
    w.state("Current", 1).await;
}

async fn an_upgrade_after_the_change_is_the_rollout(w: &Workloads<'_>) {
    adopt(w, web(), &["--settle", "5s"]).await;
    let adopted = w.baseline("web").await;

    w.meanwhile(async {
        level(w, "B").await;
        if !w.is_live() {
            // What was not seen as it came is put in order by times of whole seconds.
            next_second().await;
        }
        w.upgrade("web", "2").await;
        w.complete("web").await;
    })
    .await;

    w.event("web", "CoveredByRollout").await;
    w.rolls("web", 1).await;
    assert_eq!(w.event_count("web", "Restarted").await, 0);
    assert_ne!(w.baseline("web").await["src"], adopted["src"], "the baseline has moved");
    w.state("Current", 1).await;

    w.meanwhile(level(w, "C")).await;
    w.rolls("web", 2).await;
}

async fn an_upgrade_before_the_change_is_not_the_rollout(w: &Workloads<'_>) {
    adopt(w, web(), &["--settle", "5s"]).await;

    w.meanwhile(async {
        w.upgrade("web", "2").await;
        // Pods that a busy cluster starts only after the change have read it.
        w.complete("web").await;
        level(w, "B").await;
    })
    .await;

    w.rolls("web", 2).await;
    assert_eq!(w.event_count("web", "Restarted").await, 1);
    assert_eq!(w.event_count("web", "CoveredByRollout").await, 0);
}

async fn undoing_a_complete_rollout_restarts_nothing(w: &Workloads<'_>) {
    adopt(w, web(), &[]).await;
    level(w, "B").await;
    w.rolls("web", 1).await;
    w.state("Current", 1).await;

    // The pods of the undo start with the new content, so there is nothing left to do.
    w.meanwhile(async {
        next_second().await;
        w.undo("web").await;
        w.complete("web").await;
    })
    .await;
    w.rolls("web", 2).await;
    w.state("Current", 1).await;
    assert_eq!(w.event_count("web", "RolledBack").await, 0);

    w.meanwhile(level(w, "C")).await;
    w.rolls("web", 3).await;
}

/// Pods that become ready only when the test says so, of which one of the old template is left when
/// the first of the new one is there.
fn slow(w: &Workloads<'_>) -> Workload {
    let web = web().made_ready_by_hand();
    if w.word() == "DaemonSet" {
        let surge = json!({"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}});
        web.with("updateStrategy", surge)
    } else {
        web.with("replicas", 2)
    }
}

async fn undo_half_a_rollout(w: &Workloads<'_>) {
    level(w, "A").await;
    w.deploy(slow(w)).await;
    w.complete_by_hand("web").await;
    w.start_and_adopt(&[]).await;
    let before = w.pods("web").await.expect("a list of pods");

    level(w, "B").await;
    w.await_template_changes("web", 1).await;
    w.state("Rolling", 1).await;
    await_condition("one new pod besides an old one", async || {
        let pods = w.pods("web").await?;
        let is_old = |uid: &Option<String>| before.iter().any(|old| old.metadata.uid == *uid);
        let (old, new): (Vec<_>, Vec<_>) = pods.iter().partition(|pod| is_old(&pod.metadata.uid));
        anyhow::ensure!([old.len(), new.len()] == [1, 1], "{} old, {} new", old.len(), new.len());
        Ok(())
    })
    .await;

    // The pod that goes on running has never seen the new content.
    w.meanwhile(async {
        next_second().await;
        w.undo("web").await;
        w.complete_by_hand("web").await;
    })
    .await;
    w.event("web", "RolledBack").await;
    w.held("RolledBack", 1).await;
    w.rolled_no_more_than("web", 2).await;
    let after = w.pods("web").await.expect("a list of pods");
    let left = after
        .iter()
        .filter(|pod| before.iter().any(|old| old.metadata.uid == pod.metadata.uid));
    assert_eq!(left.count(), 1, "a pod is left that was never restarted");
}

async fn undoing_half_a_rollout_holds(w: &Workloads<'_>) {
    undo_half_a_rollout(w).await;

    w.meanwhile(async {}).await;
    w.held("RolledBack", 1).await;
    w.rolled_no_more_than("web", 2).await;

    w.meanwhile(level(w, "C")).await;
    w.await_template_changes("web", 3).await;
    w.held("RolledBack", 0).await;
    w.complete_by_hand("web").await;
    w.state("Current", 1).await;
    w.rolled_no_more_than("web", 3).await;
}

async fn a_rollout_restart_after_it_lifts_the_hold(w: &Workloads<'_>) {
    undo_half_a_rollout(w).await;

    w.meanwhile(w.rollout_restart("web")).await;
    w.complete_by_hand("web").await;

    w.held("RolledBack", 0).await;
    w.state("Current", 1).await;
    w.rolled_no_more_than("web", 3).await;
    level(w, "C").await;
    w.await_template_changes("web", 4).await;
    w.rolled_no_more_than("web", 4).await;
}

async fn is_as_before(w: &Workloads<'_>, before: &Value) {
    w.adopted("web").await;
    let after = w.baseline("web").await;
    for field in ["in", "key", "uid", "shape", "src"] {
        assert_eq!(after[field], before[field], "{field}");
    }
}

async fn a_baseline_stripped_live_is_restored(w: &Workloads<'_>) {
    adopt(w, web(), &[]).await;
    let before = w.baseline("web").await;

    w.meanwhile(w.annotate("web", OBSERVED, Value::Null)).await;

    w.event("web", "BaselineRestored").await;
    is_as_before(w, &before).await;
    w.rolls("web", 0).await;
    level(w, "B").await;
    w.rolls("web", 1).await;
}

async fn a_baseline_stripped_after_a_restart_is_recovered(w: &Workloads<'_>) {
    adopt(w, web(), &[]).await;
    level(w, "B").await;
    w.rolls("web", 1).await;
    let before = w.baseline("web").await;

    w.while_down(w.annotate("web", OBSERVED, Value::Null)).await;

    is_as_before(w, &before).await;
    w.rolls("web", 1).await;
    assert_eq!(w.event_count("web", "Adopted").await, 1, "it is known from before");
}

async fn a_baseline_stripped_with_a_change_does_not_hide_it(w: &Workloads<'_>) {
    adopt(w, web(), &[]).await;
    level(w, "B").await;
    w.rolls("web", 1).await;

    w.while_down(async {
        w.annotate("web", OBSERVED, Value::Null).await;
        level(w, "C").await;
    })
    .await;

    w.rolls("web", 2).await;
    w.adopted("web").await;
}

/// Its first revision was made before there was a baseline, so nobody has kept a copy.
async fn a_first_baseline_stripped_with_a_change_is_no_silent_adoption(w: &Workloads<'_>) {
    adopt(w, web(), &[]).await;

    w.while_down(async {
        w.annotate("web", OBSERVED, Value::Null).await;
        next_second().await;
        level(w, "B").await;
    })
    .await;

    w.event("web", "Unproven").await;
    w.held("Unproven", 1).await;
    w.rolls("web", 0).await;
    level(w, "C").await;
    w.rolls("web", 1).await;
}

async fn one_created_later_is_adopted(w: &Workloads<'_>) {
    w.start_and_adopt(&[]).await;

    w.meanwhile(async {
        // All in one go, as a chart is installed.
        level(w, "A").await;
        w.deploy(web()).await;
        w.complete("web").await;
    })
    .await;

    w.adopted("web").await;
    w.event("web", "Adopted").await;
    w.rolls("web", 0).await;
    w.held("Unproven", 0).await;
    w.meanwhile(level(w, "B")).await;
    w.rolls("web", 1).await;
}

async fn another_one_of_the_same_name_is_adopted(w: &Workloads<'_>) {
    adopt(w, web(), &["--settle", "5s"]).await;
    let old = w.get("web").await;

    w.meanwhile(async {
        level(w, "B").await;
        next_second().await;
        w.delete("web").await;
        let mut again = json!({"metadata": {"name": "web", "annotations": old.metadata.annotations}});
        again["spec"] = old.data["spec"].clone();
        let again = w.create_object(again).await;
        assert!(
            annotation(&again, OBSERVED).is_some(),
            "it has the baseline of the old one"
        );
        w.complete("web").await;
    })
    .await;

    let new = w.get("web").await;
    await_condition("a baseline of its own", async || {
        let baseline = w.baseline("web").await;
        anyhow::ensure!(baseline["uid"] == json!(new.metadata.uid), "{baseline}");
        Ok(())
    })
    .await;
    w.rolls("web", 0).await;
    assert_eq!(w.event_count("web", "Restarted").await, 0);
    w.meanwhile(level(w, "C")).await;
    w.rolls("web", 1).await;
}

async fn pods_that_wait_to_be_deleted_hold(w: &Workloads<'_>) {
    adopt(w, web().with("updateStrategy", json!({"type": "OnDelete"})), &[]).await;

    w.meanwhile(level(w, "B")).await;

    w.await_template_changes("web", 1).await;
    w.event("web", "OnDelete").await;
    w.held("OnDelete", 1).await;
    w.state("Held", 1).await;
    w.rolled_no_more_than("web", 1).await;
    w.meanwhile(async {}).await;
    w.held("OnDelete", 1).await;

    w.meanwhile(w.replace_pods("web")).await;
    w.held("OnDelete", 0).await;
    w.state("Current", 1).await;
    w.rolled_no_more_than("web", 1).await;
    w.meanwhile(level(w, "C")).await;
    w.await_template_changes("web", 2).await;
    w.held("OnDelete", 1).await;
}

async fn a_partition_holds_until_it_is_lowered(t: &Test) {
    let w = stateful_set().of(t);
    let partition = |partition: u32| json!({"type": "RollingUpdate", "rollingUpdate": {"partition": partition}});
    let web = web().with("replicas", 3).with("updateStrategy", partition(2));
    adopt(&w, web, &[]).await;
    let before = w.pods("web").await.expect("a list of pods");

    w.meanwhile(level(t, "B")).await;

    w.await_template_changes("web", 1).await;
    w.event("web", "Partitioned").await;
    w.held("Partitioned", 1).await;
    w.rolled_no_more_than("web", 1).await;
    w.meanwhile(async {}).await;
    w.held("Partitioned", 1).await;
    let after = w.pods("web").await.expect("a list of pods");
    let left = after
        .iter()
        .filter(|pod| before.iter().any(|old| old.metadata.uid == pod.metadata.uid));
    assert_eq!(left.count(), 2, "pods below the partition stay");

    w.meanwhile(w.patch("web", json!({"spec": {"updateStrategy": partition(0)}})))
        .await;
    w.complete("web").await;
    w.held("Partitioned", 0).await;
    w.state("Current", 1).await;
    w.rolls("web", 1).await;
    w.meanwhile(level(t, "C")).await;
    w.rolls("web", 2).await;
}

async fn a_stateful_set_without_pods_takes_the_change_in(t: &Test) {
    let w = stateful_set().of(t);
    adopt(&w, web().with("replicas", 0), &[]).await;
    let before = w.baseline("web").await;

    w.meanwhile(level(t, "B")).await;

    await_condition("the baseline to move", async || {
        anyhow::ensure!(w.baseline("web").await["src"] != before["src"], "it is as before");
        Ok(())
    })
    .await;
    w.rolls("web", 0).await;

    // Its first pod starts with the new content; the next change is one that it has to get.
    w.patch("web", json!({"spec": {"replicas": 1}})).await;
    w.complete("web").await;
    w.rolls("web", 0).await;
    w.meanwhile(level(t, "C")).await;
    w.rolls("web", 1).await;
}
