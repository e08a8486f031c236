//! First sight of a workload: what its pods run is written down, and nothing restarts.

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Secret};
use kube::{
    ResourceExt,
    api::{DeleteParams, ListParams},
};
use serde_json::{Value, json};

use crate::support::{
    DIGEST_KEY, OBSERVED, Test, annotation,
    build::{deployment, env, env_from, volume},
    next_second, tests,
};

tests! {
    adoption_writes_a_small_baseline_and_restarts_nothing: live, live_paged;
    adoption_is_written_once: live;
    a_restart_of_windlass_writes_nothing: down, crashed, down_paged;
    a_workload_created_later_is_adopted: live, down, paused, live_paged;
    a_workload_that_came_before_its_config_map_is_adopted: live, down;
    a_workload_that_has_not_opted_in_is_left_alone: live;
    a_clone_with_its_annotations_is_adopted: live, down, paused;
    a_workload_recreated_in_settle_is_adopted: live;
    a_deleted_workload_is_forgotten: live, down, paused;
}

async fn adoption_writes_a_small_baseline_and_restarts_nothing(t: &Test) {
    t.config("web", &[("level", "A"), ("color", "blue")]).await;
    t.config("files", &[("a", "A"), ("b", "B")]).await;
    t.deploy(deployment("web").uses(env("web", "level")).uses(volume("files")))
        .await;
    t.deploy(deployment("api").uses(env_from("web")).with("replicas", 3))
        .await;
    t.start_and_adopt(&[]).await;

    for name in ["web", "api"] {
        t.rolls(name, 0).await;
        let deployment = t.deployment(name).await;
        let text = annotation(&deployment, OBSERVED).expect("it has been adopted");
        assert!(text.len() < 1024, "{} bytes: {text}", text.len());
        let baseline = t.baseline(name).await;
        assert_eq!(baseline["in"], json!(format!("{}/windlass", t.namespace)), "{baseline}");
        assert_eq!(baseline["uid"], json!(deployment.uid()), "{baseline}");
        for field in ["v", "key", "at", "rev", "shape", "src"] {
            assert!(baseline.get(field).is_some(), "no {field}: {baseline}");
        }
        t.event(name, "Adopted").await;
        assert_eq!(t.event_count(name, "Adopted").await, 1);
    }
    t.state("Current", 4).await;
    let keys = t.api::<Secret>().list(&ListParams::default()).await;
    let keys: Vec<_> = keys.expect("a list").iter().map(ResourceExt::name_any).collect();
    assert_eq!(keys, [DIGEST_KEY]);
}

async fn adoption_is_written_once(t: &Test) {
    t.config("web", &[("level", "A")]).await;
    t.deploy(deployment("web").uses(env("web", "level"))).await;
    t.start_and_adopt(&[]).await;
    // The Deployment controller takes note of the annotation; after that nobody has to write.
    t.complete("web").await;
    let before = t.deployment("web").await.resource_version();

    t.everything_before_is_done().await;

    assert_eq!(t.deployment("web").await.resource_version(), before);
}

async fn a_restart_of_windlass_writes_nothing(t: &Test) {
    t.config("web", &[("level", "A")]).await;
    t.deploy(deployment("web").uses(env("web", "level"))).await;
    t.deploy(deployment("other").uses(volume("web"))).await;
    t.start_and_adopt(&[]).await;
    t.complete("web").await;
    t.complete("other").await;
    // An Event is best effort: one that is not written yet dies with the process.
    t.event("web", "Adopted").await;
    let before = [t.deployment("web").await, t.deployment("other").await];

    t.meanwhile(async {}).await;
    t.meanwhile(async {}).await;

    t.rolls("web", 0).await;
    t.rolls("other", 0).await;
    let after = [t.deployment("web").await, t.deployment("other").await];
    assert_eq!(
        after.map(|it| it.resource_version()),
        before.map(|it| it.resource_version())
    );
    assert_eq!(t.event_count("web", "Adopted").await, 1);
}

async fn a_workload_created_later_is_adopted(t: &Test) {
    t.start_and_adopt(&[]).await;

    t.meanwhile(async {
        // Both orders: the workload after its source, and before.
        t.config("first", &[("level", "A")]).await;
        t.deploy(deployment("after").uses(env("first", "level"))).await;
        t.deploy(deployment("before").uses(env("second", "level"))).await;
        t.config("second", &[("level", "A")]).await;
    })
    .await;

    t.adopted("after").await;
    t.adopted("before").await;
    t.rolls("after", 0).await;
    t.rolls("before", 0).await;
    t.config("first", &[("level", "B")]).await;
    t.config("second", &[("level", "B")]).await;
    t.rolls("after", 1).await;
    t.rolls("before", 1).await;
}

async fn a_workload_that_came_before_its_config_map_is_adopted(t: &Test) {
    t.start_and_adopt(&[]).await;
    // Without its ConfigMap no container of it would start; here no node takes it, to the same
    // effect.
    t.deploy(
        deployment("web")
            .uses(env("web", "level"))
            .with_pod("nodeSelector", json!({"no-such": "node"})),
    )
    .await;
    t.event("web", "SourceMissing").await;

    t.meanwhile(t.config("web", &[("level", "A")])).await;

    t.adopted("web").await;
    t.rolled_no_more_than("web", 0).await;
}

async fn a_workload_that_has_not_opted_in_is_left_alone(t: &Test) {
    t.config("web", &[("level", "A")]).await;
    t.deploy(deployment("silent").not_opted_in().uses(env("web", "level")))
        .await;
    t.deploy(
        deployment("refusing")
            .annotated("windlass.dev/enabled", "false")
            .uses(env("web", "level")),
    )
    .await;
    t.start_and_adopt(&[]).await;

    t.config("web", &[("level", "B")]).await;

    for name in ["silent", "refusing"] {
        t.complete(name).await;
        t.rolled_no_more_than(name, 0).await;
        assert_eq!(annotation(&t.deployment(name).await, OBSERVED), None, "{name}");
    }
}

async fn a_clone_with_its_annotations_is_adopted(t: &Test) {
    t.config("web", &[("level", "A")]).await;
    t.deploy(deployment("web").uses(env("web", "level"))).await;
    t.start_and_adopt(&[]).await;
    t.complete("web").await;
    let original = t.deployment("web").await;

    t.meanwhile(async {
        // The clone is created after the change, so its pods run the new content, whatever the
        // baseline that is copied with it says.
        t.config("web", &[("level", "B")]).await;
        next_second().await;
        let clone: Deployment = t.create(clone_of(&original)).await;
        assert!(
            annotation(&clone, OBSERVED).is_some(),
            "the baseline was cloned as well"
        );
    })
    .await;

    t.event("clone", "Adopted").await;
    t.rolls("clone", 0).await;
    t.rolls("web", 1).await;
    let clone = t.deployment("clone").await;
    assert_eq!(t.baseline("clone").await["uid"], json!(clone.uid()));
}

/// The manifest that somebody makes who saves one Deployment as another.
fn clone_of(original: &Deployment) -> Value {
    let mut spec = serde_json::to_value(&original.spec).expect("JSON");
    spec["selector"]["matchLabels"]["app"] = json!("clone");
    spec["template"]["metadata"]["labels"]["app"] = json!("clone");
    json!({"metadata": {"name": "clone", "annotations": original.annotations()}, "spec": spec})
}

async fn a_workload_recreated_in_settle_is_adopted(t: &Test) {
    t.config("web", &[("level", "A")]).await;
    let web = deployment("web").uses(env("web", "level"));
    t.deploy(web.clone()).await;
    t.start_and_adopt(&["--settle", "10s"]).await;

    t.config("web", &[("level", "B")]).await;
    t.state("Settling", 1).await;
    // It wakes up with the restart due and the object that it was due for replaced.
    t.windlass().pause();
    t.api::<Deployment>()
        .delete("web", &DeleteParams::background())
        .await
        .expect("it was there");
    t.deploy(web).await;
    tokio::time::sleep(std::time::Duration::from_secs(10)).await;
    t.windlass().resume();

    let created = t.deployment("web").await;
    t.adopted("web").await;
    t.rolls("web", 0).await;
    assert_eq!(t.baseline("web").await["uid"], json!(created.uid()));
}

async fn a_deleted_workload_is_forgotten(t: &Test) {
    t.config("web", &[("level", "A")]).await;
    let web = deployment("web").uses(env("web", "level"));
    t.deploy(web.clone()).await;
    t.start_and_adopt(&[]).await;
    t.state("Current", 3).await;

    t.meanwhile(async {
        let deleted = t.api::<Deployment>().delete("web", &DeleteParams::background()).await;
        deleted.expect("it was there");
        t.config("web", &[("level", "B")]).await;
    })
    .await;
    t.state("Current", 2).await;

    t.meanwhile(async {
        t.deploy(web).await;
        t.complete("web").await;
    })
    .await;
    t.adopted("web").await;
    t.rolls("web", 0).await;
    t.state("Current", 3).await;
}
