//! No content of any source is in anything that the controller says or writes.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Event, Secret},
};
use kube::{ResourceExt, api::ListParams};

use super::{Test, controller::Controller, encoding::hex, to_json};

/// Is part of every value in every `ConfigMap` and Secret of these tests, and must never be seen anywhere
/// else: not in an Event, an annotation, a log line or a metric.
pub(super) const CANARY: &str = "never-to-be-seen-elsewhere";

/// The ways in which somebody could write down the canary, be it in the middle of something longer.
pub fn forms_of_canary() -> Vec<String> {
    let mut forms = vec![
        CANARY.to_owned(),
        hex(CANARY.as_bytes()),
        format!("{:?}", CANARY.as_bytes()).trim_matches(['[', ']']).to_owned(),
    ];
    for shift in 0..3 {
        // Three alignments; what depends on the neighbours is left off at both ends.
        let shifted = [&b"???"[..shift], CANARY.as_bytes()].concat();
        let encoded = STANDARD.encode(shifted);
        forms.push(encoded[4..encoded.len() - 4].to_owned());
    }
    forms
}

impl Test {
    /// No content of any `ConfigMap` or Secret is in anything that the controller has said or written.
    pub async fn nothing_leaked(&self) {
        let mut said = vec![("log", self.logs())];
        let controller = self.windlass.borrow().clone().filter(Controller::runs);
        if let Some(controller) = controller {
            said.push(("metrics", controller.metrics().await.expect("the metrics are served")));
        }
        let events = self
            .api::<Event>()
            .list(&ListParams::default())
            .await
            .expect("a list of Events");
        said.push(("Events", to_json(&events.items)));
        let deployments = self
            .api::<Deployment>()
            .list(&ListParams::default())
            .await
            .expect("a list");
        for deployment in &deployments {
            said.push(("annotations", to_json(deployment.annotations())));
            said.push((
                "template",
                to_json(&deployment.spec.as_ref().map(|spec| &spec.template)),
            ));
        }
        let secrets = self.api::<Secret>().list(&ListParams::default()).await.expect("a list");
        let own = secrets.items.iter().filter(|it| it.name_any().ends_with("-digest-key"));
        said.push(("digest key", to_json(&own.collect::<Vec<_>>())));
        let forms = forms_of_canary();
        for (place, text) in said {
            for form in &forms {
                assert!(
                    !text.contains(form),
                    "a source's content is in the {place} as {form}:\n{text}"
                );
            }
        }
    }
}
