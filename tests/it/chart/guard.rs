//! The admission policy that docs/security.md advises: Windlass works with it, and its account can do no more
//! to a workload than change annotations.

use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api, Client, Config,
    api::{Patch, PatchParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};

use super::scene::{Rendered, Scene, account, apply, define};
use crate::support::{CONFIG_DIGEST, Test, await_condition, template_annotation, tests};

tests! {
    the_policy_of_the_docs_lets_windlass_work_and_no_more: embedded;
}

/// What the docs show, for this account and under this name.
fn documented(user: &str, name: &str) -> Vec<Value> {
    let page = include_str!("../../../docs/security.md");
    let begin = page
        .find("```yaml\napiVersion: admissionregistration")
        .expect("the example");
    let text = page.get(begin + "```yaml\n".len()..).expect("it goes on");
    let text = text.split("```").next().expect("it ends");
    let shown = "system:serviceaccount:windlass-system:windlass";
    assert!(text.contains(shown));
    let text = text.replace(shown, user).replace("windlass-annotations-only", name);
    let documents = text.split("---\n");
    documents
        .map(|document| serde_saphyr::from_str(document).unwrap_or_else(|error| panic!("{error}: {document}")))
        .collect()
}

async fn the_policy_of_the_docs_lets_windlass_work_and_no_more(t: &Test) {
    define(t).await;
    let scene = Scene::set(t).await;
    let values = json!({"namespaces": [scene.namespace()], "replicas": 1, "leaderElection": {"enabled": false}});
    let name = format!("guarded-{}", scene.namespace());
    let rendered = Rendered::new(t, &name, values);
    rendered.grant(t, None).await;
    for document in documented(&account(t, &rendered.name), &name) {
        apply(t, &document).await;
    }
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let kubeconfig = Kubeconfig::read_from(rendered.kubeconfig(t, scratch.path()).await).expect("readable");
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    let client = Client::try_from(config.expect("a configuration")).expect("a client");
    let stolen: Api<Deployment> = Api::namespaced(client, scene.namespace());
    let container = json!({"name": "app", "image": "example.invalid/other:1"});
    let image = Patch::Strategic(json!({"spec": {"template": {"spec": {"containers": [container]}}}}));
    await_condition("another image to be refused", async || {
        let dry = PatchParams {
            dry_run: true,
            ..PatchParams::default()
        };
        let refused = stolen.patch("deployment", &dry, &image).await.err();
        let said = refused.map(|error| error.to_string()).unwrap_or_default();
        anyhow::ensure!(said.contains("Windlass may change annotations only"), "{said}");
        Ok(())
    })
    .await;

    let controller = rendered.start(t, scratch.path()).await;
    controller.await_ready().await;
    let deployments: Api<Deployment> = Api::namespaced(t.client.clone(), scene.namespace());
    await_condition("the Deployment to be adopted", async || {
        let deployment = deployments.get("deployment").await?;
        let annotations = deployment.metadata.annotations.unwrap_or_default();
        anyhow::ensure!(annotations.contains_key("windlass.dev/observed"), "it is not");
        Ok(())
    })
    .await;
    scene.secret("B").await;
    await_condition("it to be restarted", async || {
        let deployment = deployments.get("deployment").await?;
        anyhow::ensure!(template_annotation(&deployment, CONFIG_DIGEST).is_some(), "it is not");
        Ok(())
    })
    .await;
    controller.stop().await;
}
