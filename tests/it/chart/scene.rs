//! A namespace in which every right of the chart is needed, and a controller that has the rights that the
//! chart gave to its service account, or all but one of them.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use k8s_openapi::api::{authentication::v1::TokenRequest, core::v1::ServiceAccount};
use kube::{
    Api,
    api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PostParams},
    config::Kubeconfig,
};
use serde_json::{Value, json};

use super::helm::{template, the};
use crate::support::{
    Test, Workload,
    audit::Audit,
    build::{deployment, env, volume},
    by,
    controller::Controller,
    from,
    kinds::{self, Kind},
    policies, value,
};

/// A right, as small as RBAC has them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// Which of the rendered roles has it.
    role: usize,
    pub group: String,
    /// With its subresource.
    pub resource: String,
    /// Empty: any.
    pub name: String,
    pub verb: String,
}

impl std::fmt::Display for Right {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            group,
            resource,
            name,
            verb,
            ..
        } = self;
        write!(f, "{verb} {resource}.{group} {name}")
    }
}

/// The account of a release as the API server calls it.
pub fn account(t: &Test, name: &str) -> String {
    format!("system:serviceaccount:{}:{name}", t.namespace)
}

/// What the chart renders for one namespace.
pub struct Rendered {
    documents: Vec<Value>,
    /// The name of everything in the release.
    pub name: String,
    /// What its account asks for; nothing of it is in the API server's log before.
    pub audit: Option<Audit>,
}

impl Rendered {
    /// A release of its own in the test's namespace.
    pub fn new(t: &Test, name: &str, mut values: Value) -> Self {
        values["fullnameOverride"] = json!(name);
        let log = t.cluster.audit_log.clone();
        let documents = template(name, &t.namespace, &values).expect("values that can be");
        Self {
            documents,
            name: name.to_owned(),
            audit: log.map(|log| Audit::from_now(log, &account(t, name), &t.namespace)),
        }
    }

    fn roles(&self) -> impl Iterator<Item = (usize, &Value)> {
        let all = self.documents.iter().enumerate();
        all.filter(|(_, it)| ["Role", "ClusterRole"].contains(&it["kind"].as_str().unwrap_or_default()))
    }

    /// All rights, taken apart.
    pub fn rights(&self) -> BTreeSet<Right> {
        let mut rights = BTreeSet::new();
        for (role, document) in self.roles() {
            for rule in document["rules"].as_array().expect("a role has rules") {
                let names = if rule["resourceNames"].is_null() {
                    vec![String::new()]
                } else {
                    texts(&rule["resourceNames"])
                };
                for group in texts(&rule["apiGroups"]) {
                    for resource in texts(&rule["resources"]) {
                        for name in &names {
                            for verb in texts(&rule["verbs"]) {
                                rights.insert(Right {
                                    role,
                                    group: group.clone(),
                                    resource: resource.clone(),
                                    name: name.clone(),
                                    verb,
                                });
                            }
                        }
                    }
                }
            }
        }
        rights
    }

    /// Which of them this request needs; `None`: none of them allows it.
    pub fn needed(&self, request: &Value) -> Vec<Right> {
        let reference = &request["objectRef"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let resource = match text(&reference["subresource"]) {
            none if none.is_empty() => text(&reference["resource"]),
            subresource => format!("{}/{subresource}", text(&reference["resource"])),
        };
        let place = text(&reference["namespace"]);
        let allows = |right: &Right| {
            let of_role = self.documents[right.role]["metadata"]["namespace"].as_str();
            right.group == text(&reference["apiGroup"])
                && right.resource == resource
                && right.verb == text(&request["verb"])
                && (right.name.is_empty() || right.name == text(&reference["name"]))
                && of_role.is_none_or(|namespace| namespace == place)
        };
        self.rights().into_iter().filter(allows).collect()
    }

    /// The account, its roles and their bindings, without the one right.
    pub async fn grant(&self, t: &Test, but: Option<&Right>) {
        for (index, document) in self.documents.iter().enumerate() {
            let mut document = document.clone();
            match document["kind"].as_str() {
                Some("Role" | "ClusterRole") => {
                    let left = self
                        .rights()
                        .into_iter()
                        .filter(|it| it.role == index && Some(it) != but);
                    document["rules"] = left.map(rule).collect();
                }
                Some("RoleBinding" | "ClusterRoleBinding" | "ServiceAccount") => {}
                _ => continue,
            }
            apply(t, &document).await;
        }
    }

    /// Runs the controller with the chart's own arguments and the token of its service account.
    pub async fn start(&self, t: &Test, scratch: &Path) -> Controller {
        let kubeconfig = self.kubeconfig(t, scratch).await;
        Controller::start(
            &kubeconfig,
            &self.arguments(t),
            scratch.join(format!("{}.log", self.name)),
        )
        .await
    }

    /// A kubeconfig with the token of its service account.
    pub async fn kubeconfig(&self, t: &Test, scratch: &Path) -> PathBuf {
        let accounts: Api<ServiceAccount> = t.api();
        let request: TokenRequest = from(json!({"spec": {"audiences": []}}));
        let issued = accounts
            .create_token_request(&self.name, &PostParams::default(), &request)
            .await
            .expect("the account is there");
        let token = issued.status.expect("a token was asked for").token;
        let kubeconfig = Kubeconfig::read_from(&t.cluster.test).expect("the test's kubeconfig");
        // JSON is YAML, and this form has the token left out.
        let mut kubeconfig = serde_json::to_value(&kubeconfig).expect("a kubeconfig has a JSON form");
        for user in kubeconfig["users"].as_array_mut().into_iter().flatten() {
            user["user"] = json!({"token": token});
        }
        let file = scratch.join(format!("{}.yaml", self.name));
        fs::write(&file, kubeconfig.to_string()).expect("a scratch file");
        file
    }

    fn arguments(&self, t: &Test) -> Vec<String> {
        let pod = &the(&self.documents, "Deployment")["spec"]["template"]["spec"];
        let arguments = texts(&pod["containers"][0]["args"]).into_iter().skip(1);
        // Of these the harness has its own.
        let own = |argument: &String| {
            ["--admin-address", "--log-format"]
                .iter()
                .any(|flag| argument.starts_with(flag))
        };
        let mut arguments: Vec<String> = arguments.filter(|argument| !own(argument)).collect();
        // In a pod it reads that from its own files.
        arguments.push(format!("--lease-namespace={}", t.namespace));
        arguments
    }
}

fn texts(list: &Value) -> Vec<String> {
    let list = list.as_array().into_iter().flatten();
    list.map(|text| text.as_str().expect("a list of texts").to_owned())
        .collect()
}

fn rule(right: Right) -> Value {
    let Right {
        role: _,
        group,
        resource,
        name,
        verb,
    } = right;
    let mut rule = json!({"apiGroups": [group], "resources": [resource], "verbs": [verb]});
    if !name.is_empty() {
        rule["resourceNames"] = json!([name]);
    }
    rule
}

/// Server-side apply of any object, in the namespace that it names.
pub async fn apply(t: &Test, manifest: &Value) {
    let metadata = &manifest["metadata"];
    let name = metadata["name"].as_str().expect("a name");
    let (group, version) = match manifest["apiVersion"].as_str().expect("a version").split_once('/') {
        Some((group, version)) => (group, version),
        None => ("", manifest["apiVersion"].as_str().expect("a version")),
    };
    let kind = GroupVersionKind::gvk(group, version, manifest["kind"].as_str().expect("a kind"));
    let resource = ApiResource::from_gvk(&kind);
    let api: Api<DynamicObject> = match metadata["namespace"].as_str() {
        Some(namespace) => Api::namespaced_with(t.client.clone(), namespace, &resource),
        None => Api::all_with(t.client.clone(), &resource),
    };
    let applied = api.patch(name, &by("test").apply(), &Patch::Apply(manifest)).await;
    applied.unwrap_or_else(|error| panic!("{manifest}: {error}"));
}

/// The kind that `customKinds` names in these tests.
pub fn custom() -> Kind {
    Kind::custom("chart.windlass.test", "Widget", &["spec", "template"])
}

/// Its value.
pub fn custom_value() -> Value {
    json!({"group": "chart.windlass.test", "version": "v1", "kind": "Widget", "resource": "widgets", "path": ".spec.template"})
}

/// A `ConfigMap` that nobody uses at first, and the Deployment that begins to use it.
pub const LATE: &str = "late";

/// Workloads of every kind that mount a `ConfigMap`, a Secret, and policies by which they change in place.
pub struct Scene<'t> {
    t: &'t Test,
    namespace: String,
}

impl<'t> Scene<'t> {
    /// In a namespace of its own. Policies, Rollouts and the custom kind have to be defined.
    pub async fn set(t: &'t Test) -> Self {
        let scene = Self {
            t,
            namespace: t.another_namespace().await,
        };
        scene.config("A").await;
        scene.secret("A").await;
        let late = json!({"metadata": {"name": LATE}, "data": {"flags": value("A")}});
        scene.apply("v1", "ConfigMap", late).await;
        let token =
            json!({"metadata": {"name": "windlass-agent"}, "stringData": {"token": "of-the-agents-of-this-namespace"}});
        scene.apply("v1", "Secret", token).await;
        let by_name = |name: &str| deployment(name).labelled("tier", "web").uses(volume("web"));
        for kind in kinds::all().chain([custom()]) {
            let ApiResource {
                api_version,
                kind: word,
                ..
            } = &kind.resource;
            let mut workload = by_name(&word.to_lowercase());
            if word == "Deployment" {
                workload = workload.uses(env("web", "password").of_secret());
            }
            scene.workload(api_version, word, &workload, Some(&kind)).await;
        }
        scene.policies().await;
        scene
    }

    /// Where it is.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    async fn workload(&self, version: &str, kind: &str, workload: &Workload, of: Option<&Kind>) {
        let manifest = of.map_or_else(|| workload.manifest().clone(), |of| of.manifest(workload));
        self.apply(version, kind, manifest).await;
    }

    async fn policies(&self) {
        let selector = json!({"matchLabels": {"tier": "web"}});
        // Nobody answers at that port: the token is read all the same.
        let agent = json!({"port": 9533, "tokenSecretRef": {"name": "windlass-agent"}});
        let policy = json!({
            "metadata": {"name": "web"},
            "spec": {"workloads": {"selector": selector}, "strategy": "InPlace", "inPlace": {"timeout": "1m", "agent": agent}},
        });
        self.apply("windlass.dev/v1alpha1", "RolloutPolicy", policy).await;
        let here = json!({"matchLabels": {"kubernetes.io/metadata.name": self.namespace}});
        let policy = json!({
            "apiVersion": "windlass.dev/v1alpha1",
            "kind": "ClusterRolloutPolicy",
            "metadata": {"name": self.namespace},
            "spec": {"workloads": {"selector": {}, "namespaceSelector": here}},
        });
        apply(self.t, &policy).await;
    }

    /// Makes this the content of the `ConfigMap` that all mount.
    pub async fn config(&self, text: &str) {
        let manifest = json!({"metadata": {"name": "web"}, "data": {"flags": value(text)}});
        self.apply("v1", "ConfigMap", manifest).await;
    }

    /// A Deployment comes, called [`LATE`], that uses the `ConfigMap` which nobody used before.
    pub async fn late(&self) {
        let workload = deployment(LATE).labelled("tier", "web").uses(volume(LATE));
        self.workload("apps/v1", "Deployment", &workload, None).await;
    }

    /// Makes this the content of the Secret that the Deployment reads.
    pub async fn secret(&self, text: &str) {
        let manifest = json!({"metadata": {"name": "web"}, "stringData": {"password": value(text)}});
        self.apply("v1", "Secret", manifest).await;
    }

    async fn apply(&self, version: &str, kind: &str, mut manifest: Value) {
        manifest["apiVersion"] = json!(version);
        manifest["kind"] = json!(kind);
        manifest["metadata"]["namespace"] = json!(self.namespace);
        apply(self.t, &manifest).await;
    }
}

/// Defines what a scene is made of.
pub async fn define(t: &Test) {
    policies::install(t).await;
    for kind in kinds::all().filter(Kind::is_custom).chain([custom()]) {
        kind.define(t).await;
    }
}
