//! `ConfigMap`s and Secrets, as their authors write them.

use std::collections::BTreeMap;

use k8s_openapi::{
    ByteString, NamespaceResourceScope,
    api::core::v1::{ConfigMap, Secret},
};
use kube::{
    Resource,
    api::{DeleteParams, Patch},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{CANARY, Test, by};

/// The value of a key whose text is `text`, as every `ConfigMap` of these tests has it.
pub fn value(text: &str) -> String {
    format!("{text} {CANARY}")
}

impl Test {
    /// Makes this the whole content of the `ConfigMap`, creating it if it is not there.
    pub async fn config(&self, name: &str, content: &[(&str, &str)]) {
        let data: BTreeMap<_, _> = content.iter().map(|(key, text)| (*key, value(text))).collect();
        self.config_object(name, json!({"data": data})).await;
    }

    /// [`Test::config`] for what `data` alone cannot say. The values are the caller's.
    pub async fn config_object(&self, name: &str, mut object: Value) {
        object["apiVersion"] = json!("v1");
        object["kind"] = json!("ConfigMap");
        object["metadata"] = json!({"name": name});
        // Apply by one owner takes away what is not named any more.
        let patched = self
            .api::<ConfigMap>()
            .patch(name, &by("test").apply(), &Patch::Apply(object))
            .await;
        patched.expect("the API server accepts the ConfigMap");
    }

    /// Removes the `ConfigMap`.
    pub async fn delete_config(&self, name: &str) {
        let deleted = self.api::<ConfigMap>().delete(name, &DeleteParams::default()).await;
        deleted.expect("the ConfigMap was there");
    }

    /// Edits the metadata of the `ConfigMap`.
    pub async fn mark_config(&self, name: &str, metadata: Value) {
        let patch = Patch::Merge(json!({"metadata": metadata}));
        let patched = self.api::<ConfigMap>().patch(name, &by("test").patch(), &patch).await;
        patched.expect("the API server accepts the patch");
    }
}

// Secrets, in the way of `ConfigMap`s.
impl Test {
    /// Makes this the whole content of the Secret, creating it if it is not there.
    pub async fn secret(&self, name: &str, content: &[(&str, &str)]) {
        let data: BTreeMap<_, _> = content
            .iter()
            .map(|(key, text)| (*key, ByteString(value(text).into_bytes())))
            .collect();
        self.secret_object(name, json!({"data": data})).await;
    }

    /// [`Test::secret`] for what `data` alone cannot say. The values are the caller's.
    pub async fn secret_object(&self, name: &str, mut object: Value) {
        object["apiVersion"] = json!("v1");
        object["kind"] = json!("Secret");
        object["metadata"] = json!({"name": name});
        // Apply by one owner takes away what is not named any more.
        let patched = self
            .api::<Secret>()
            .patch(name, &by("test").apply(), &Patch::Apply(object))
            .await;
        patched.expect("the API server accepts the Secret");
    }

    /// Removes the Secret.
    pub async fn delete_secret(&self, name: &str) {
        let deleted = self.api::<Secret>().delete(name, &DeleteParams::default()).await;
        deleted.expect("the Secret was there");
    }

    /// Edits the metadata of any object.
    pub async fn mark<K>(&self, name: &str, metadata: Value)
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
    {
        let patch = Patch::Merge(json!({"metadata": metadata}));
        let patched = self.api::<K>().patch(name, &by("test").patch(), &patch).await;
        patched.expect("the API server accepts the patch");
    }
}
