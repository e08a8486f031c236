//! What a scenario needs to read as a few sentences.

pub mod audit;
pub mod build;
pub mod cluster;
pub mod controller;
mod deployments;
pub mod encoding;
mod events;
pub mod faulty;
pub mod helm;
mod history;
pub mod kinds;
mod leaks;
mod lifecycle;
pub mod markers;
mod metrics;
pub mod node;
mod objects;
mod pods;
pub mod policies;
mod programs;
pub mod prometheus;
pub mod receiver;
mod report;
mod rights;
mod sources;
mod times;
mod wait;
mod ways;
pub mod webhook;
mod wire;
mod workloads;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
};

use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{ConfigMap, Namespace, ServiceAccount},
};
use kube::{
    Api, Client, Resource,
    api::{DeleteParams, Patch, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

pub(crate) use self::ways::tests;
pub use self::{
    build::{Workload, deployment},
    cluster::Server,
    deployments::template_annotation,
    objects::{by, from},
    programs::application,
    sources::value,
    wait::{await_condition, await_condition_within, next_second},
    ways::{When, way},
    workloads::{Workloads, annotation},
};
use self::{
    cluster::Borrowed,
    controller::Controller,
    history::History,
    leaks::CANARY,
    objects::{to_json, unique},
};

/// The baseline, on the workload.
pub const OBSERVED: &str = "windlass.dev/observed";

/// The digest of what was rolled out, on the template.
pub const CONFIG_DIGEST: &str = "windlass.dev/config-digest";

/// What the last restart was for, on the template.
pub const CAUSE: &str = "windlass.dev/cause";

/// The Secret that holds the key of all digests.
pub const DIGEST_KEY: &str = "windlass-digest-key";

/// A namespace, what was put into it, and the controller that is limited to it.
pub struct Test {
    /// The cluster that it is in.
    pub cluster: Borrowed,
    /// Acts as the test's user.
    pub client: Client,
    /// Belongs to this test alone.
    pub namespace: String,
    server: Server,
    when: When,
    scratch: tempfile::TempDir,
    history: History,
    windlass: RefCell<Option<Controller>>,
    flags: RefCell<Vec<String>>,
    controllers: Cell<u32>,
    configs: RefCell<BTreeMap<String, u32>>,
    namespaces: RefCell<Vec<String>>,
}

impl Test {
    async fn new(cluster: Borrowed, server: Server, when: When) -> Self {
        let client = cluster.client().await;
        let namespace = unique("it");
        let history = History::default();
        let mut test = Self {
            cluster,
            client,
            namespace: namespace.clone(),
            server,
            when,
            scratch: tempfile::tempdir().expect("a scratch folder"),
            history,
            windlass: RefCell::default(),
            flags: RefCell::default(),
            controllers: Cell::default(),
            configs: RefCell::default(),
            namespaces: RefCell::default(),
        };
        test.create_namespace(&namespace).await;
        test.history = kinds::deployment().history(&test);
        test
    }

    /// The objects of one kind in the test's namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Creates an object in the test's namespace.
    pub async fn create<K>(&self, manifest: Value) -> K
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned
            + Serialize,
    {
        let created = self.api().create(&by("test").post(), &from(manifest)).await;
        created.expect("the API server accepts the object")
    }
}

// Namespaces.
impl Test {
    async fn create_namespace(&self, name: &str) {
        self.namespaces.borrow_mut().push(name.to_owned());
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let namespace = from(json!({"metadata": {"name": name}}));
        await_condition("the namespace to be created", async || {
            match namespaces.create(&PostParams::default(), &namespace).await {
                Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
                other => Ok(other.map(drop)?),
            }
        })
        .await;
        // No pod is admitted before.
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), name);
        await_condition("the namespace to have its service account", async || {
            accounts.get("default").await.map_err(Into::into)
        })
        .await;
        // Or whoever counts the ConfigMaps counts too early.
        let configs: Api<ConfigMap> = Api::namespaced(self.client.clone(), name);
        await_condition("the namespace to have the cluster's certificate", async || {
            configs.get("kube-root-ca.crt").await.map_err(Into::into)
        })
        .await;
    }

    /// A further namespace, for what does not belong into the workloads' own.
    pub async fn another_namespace(&self) -> String {
        let name = unique("it-other");
        self.create_namespace(&name).await;
        name
    }

    /// A further namespace with scenery and markers of its own, in the sight of whatever controller
    /// is told of it.
    pub async fn beside(&self) -> Self {
        let beside = Self::new(self.cluster.again(), self.server, self.when).await;
        self.namespaces.borrow_mut().push(beside.namespace.clone());
        beside
    }

    /// Sets or, with null, removes labels of this namespace.
    pub async fn label_namespace(&self, labels: Value) {
        let patch = Patch::Merge(json!({"metadata": {"labels": labels}}));
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let patched = namespaces.patch(&self.namespace, &by("test").patch(), &patch).await;
        patched.expect("the API server accepts the patch");
    }

    /// Leaves nothing in a cluster that is not ours; one of ours is gone soon anyway, and
    /// emptying a namespace would only cost the other tests time.
    async fn tidy(&self) {
        if self.cluster.audit_log.is_none() {
            let namespaces: Api<Namespace> = Api::all(self.client.clone());
            let created = self.namespaces.take();
            for namespace in &created {
                let deleted = namespaces.delete(namespace, &DeleteParams::default()).await;
                deleted.expect("the namespace can be deleted");
            }
        }
    }
}
