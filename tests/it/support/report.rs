//! What helps to find out why a scenario failed.

use std::time::Duration;

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Event};
use kube::{ResourceExt, api::ListParams};

use super::{Test, to_json};

impl Test {
    /// Everything that helps to find out why the scenario failed.
    pub(super) async fn describe(&self) {
        let describe = async {
            for deployment in self.api::<Deployment>().list(&ListParams::default()).await? {
                let template = deployment.spec.as_ref().and_then(|it| it.template.metadata.as_ref());
                println!("--- Deployment {}", deployment.name_any());
                println!("annotations: {}", to_json(deployment.annotations()));
                println!("template: {}", to_json(&template.map(|it| &it.annotations)));
                println!("status: {}", to_json(&deployment.status));
            }
            for event in self.api::<Event>().list(&ListParams::default()).await? {
                if event
                    .reporting_component
                    .as_deref()
                    .is_some_and(|it| it.contains("windlass"))
                {
                    let about = event.involved_object.name.unwrap_or_default();
                    let [reason, message] = [event.reason, event.message].map(Option::unwrap_or_default);
                    println!("--- Event about {about}: {reason}: {message}");
                }
            }
            anyhow::Ok(())
        };
        println!("--- namespace {} on {:?}, {:?}", self.namespace, self.server, self.when);
        match tokio::time::timeout(Duration::from_secs(5), describe).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => println!("--- the API server does not say more: {error}"),
            Err(_) => println!("--- the API server does not answer"),
        }
        println!("{}", self.logs());
    }
}
