//! Kinds that are custom resources: defined by a test, and taken away.

use kube::{
    Api,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, PostParams},
};
use serde_json::json;

use super::Kind;
use crate::support::{Test, await_condition, from};

impl Kind {
    /// Makes a custom resource of it: whatever is written is kept, and the status is apart.
    pub async fn define(&self, t: &Test) {
        let ApiResource {
            group,
            version,
            kind,
            plural,
            ..
        } = &self.resource;
        let any = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.{group}")},
            "spec": {
                "group": group,
                "scope": "Namespaced",
                "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase(), "listKind": format!("{kind}List")},
                "versions": [{
                    "name": version,
                    "served": true,
                    "storage": true,
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": any, "status": any}}},
                    "subresources": {"status": {}},
                }],
            },
        });
        let definition: DynamicObject = from(definition);
        // Tests that run in the same cluster share it.
        match definitions(t).create(&PostParams::default(), &definition).await {
            Err(kube::Error::Api(status)) if status.is_already_exists() => {}
            other => drop(other.expect("the API server accepts the definition")),
        }
        let api = self.api(t);
        await_condition(&format!("{kind} to be served"), async || {
            Ok(api.list(&ListParams::default()).await?)
        })
        .await;
    }

    /// Takes the custom resource and all of its objects away.
    pub async fn undefine(&self, t: &Test) {
        let name = format!("{}.{}", self.resource.plural, self.resource.group);
        let deleted = definitions(t).delete(&name, &DeleteParams::default()).await;
        deleted.expect("it was defined");
        let api = self.api(t);
        await_condition(&format!("{} not to be served", self.resource.kind), async || match api
            .list(&ListParams::default())
            .await
        {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            other => anyhow::bail!("it is: {other:?}"),
        })
        .await;
    }
}

fn definitions(t: &Test) -> Api<DynamicObject> {
    let definition = GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    Api::all_with(t.client.clone(), &ApiResource::from_gvk(&definition))
}
