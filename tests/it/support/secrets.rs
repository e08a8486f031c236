//! Secrets, further namespaces, and what passes between the controller and the API server.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::PathBuf,
    process::Child,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use k8s_openapi::{
    ByteString, NamespaceResourceScope,
    api::core::v1::{Event, Namespace, Secret},
    api::rbac::v1::{Role, RoleBinding},
};
use kube::{
    Api, Resource,
    api::{DeleteParams, ListParams, Patch},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
};

use super::{
    Audit, CANARY, Test, await_condition,
    build::{deployment, env},
    by,
    cluster::LIMITED_USER,
    value,
};

/// The bytes as the API has them in a Secret.
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The bytes as two digits each.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a String takes anything");
    }
    text
}

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

/// What uses a Secret, to be changed and waited for: they come by another watch than `ConfigMap`s.
pub const SECRET_MARKER: &str = "secret-marker";

// What was to be done about Secrets.
impl Test {
    /// Deploys the marker.
    pub async fn deploy_secret_marker(&self) {
        self.secret(SECRET_MARKER, &[("count", "0")]).await;
        let uses = env(SECRET_MARKER, "count").of_secret();
        self.deploy(deployment(SECRET_MARKER).uses(uses)).await;
    }

    /// What was to be done about any Secret or `ConfigMap` of this namespace has been done.
    pub async fn everything_of_secrets_is_done(&self) {
        for _ in 0..2 {
            let count = self.template_changes(SECRET_MARKER).await + 1;
            self.secret(SECRET_MARKER, &[("count", &count.to_string())]).await;
            self.await_template_changes(SECRET_MARKER, count).await;
        }
        self.everything_before_is_done().await;
    }
}

// What is said.
impl Test {
    /// Waits for a Warning Event about the Deployment with this reason word and returns its message.
    pub async fn warning(&self, name: &str, reason: &str) -> String {
        await_condition(&format!("a Warning {reason} about {name}"), async || {
            let about = ListParams::default().fields(&format!("involvedObject.name={name},reason={reason}"));
            let event = self.api::<Event>().list(&about).await?.items.pop();
            let event = event.context("there is none")?;
            assert_eq!(event.type_.as_deref(), Some("Warning"), "{event:?}");
            Ok(event.message.unwrap_or_default())
        })
        .await
    }
}

// More than one namespace.
impl Test {
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
}

// Rights.
impl Test {
    /// Lets the limited user do this in the test's namespace.
    pub async fn grant(&self, name: &str, rules: Value) {
        let role = json!({"metadata": {"name": name}, "rules": rules});
        let _: Role = self.create(role).await;
        let binding = json!({
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": LIMITED_USER}]
        });
        let _: RoleBinding = self.create(binding).await;
    }
}

impl Audit {
    /// How often each object of this kind was read by its name.
    pub fn reads(&self, resource: &str) -> BTreeMap<String, usize> {
        let mut reads = BTreeMap::new();
        for request in self.requests() {
            if request.verb == "get" && request.resource == resource {
                *reads.entry(request.name).or_default() += 1;
            }
        }
        reads
    }
}

/// Everything that passes between a controller and the API server, readable.
pub struct Wire {
    seen: Arc<Mutex<Seen>>,
    proxy: Child,
}

#[derive(Default)]
struct Seen {
    sent: Vec<Vec<u8>>,
    received: Vec<Vec<u8>>,
    /// What is received as what instead; both of one length.
    spoilt: Option<(&'static str, &'static str)>,
}

impl Test {
    /// Listens in on a controller that is started with the kubeconfig that comes with it.
    pub async fn wire(&self) -> (Wire, PathBuf) {
        let (proxy, port) = self.cluster.plain_proxy();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let own = listener.local_addr().expect("it is bound").port();
        let seen = Arc::<Mutex<Seen>>::default();
        let recorder = seen.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else {
                    continue;
                };
                let connection = {
                    let mut seen = recorder.lock().unwrap_or_else(PoisonError::into_inner);
                    seen.sent.push(Vec::new());
                    seen.received.push(Vec::new());
                    seen.sent.len() - 1
                };
                let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
                let sent = move |seen: &mut Seen, bytes: &mut [u8]| seen.sent[connection].extend_from_slice(bytes);
                let received = move |seen: &mut Seen, bytes: &mut [u8]| {
                    seen.received[connection].extend_from_slice(bytes);
                    if let Some((right, wrong)) = seen.spoilt {
                        spoil(bytes, right.as_bytes(), wrong.as_bytes());
                    }
                };
                tokio::spawn(pass_on(from_client, to_server, recorder.clone(), sent));
                tokio::spawn(pass_on(from_server, to_client, recorder.clone(), received));
            }
        });
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "plain",
            "clusters": [{"name": "plain", "cluster": {"server": format!("http://127.0.0.1:{own}")}}],
            "users": [{"name": "plain", "user": {}}],
            "contexts": [{"name": "plain", "context": {"cluster": "plain", "user": "plain"}}]
        });
        let path = self.scratch.path().join("plain.kubeconfig");
        std::fs::write(&path, kubeconfig.to_string()).expect("a file");
        (Wire { seen, proxy }, path)
    }
}

async fn pass_on(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    seen: Arc<Mutex<Seen>>,
    note: impl Fn(&mut Seen, &mut [u8]),
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        note(
            &mut seen.lock().unwrap_or_else(PoisonError::into_inner),
            &mut buffer[..count],
        );
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

fn spoil(bytes: &mut [u8], right: &[u8], wrong: &[u8]) {
    for at in 0..(bytes.len() + 1).saturating_sub(right.len()) {
        let found = &mut bytes[at..at + right.len()];
        if found == right {
            found.copy_from_slice(wrong);
        }
    }
}

impl Wire {
    /// From now on the controller receives the second text wherever the first was sent; of one length.
    pub fn spoil(&self, texts: Option<(&'static str, &'static str)>) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).spoilt = texts;
    }

    /// How often this text has been received so far.
    pub fn received(&self, text: &str) -> usize {
        self.count(|seen| &seen.received, text)
    }

    /// How often this text has been sent so far.
    pub fn sent(&self, text: &str) -> usize {
        self.count(|seen| &seen.sent, text)
    }

    fn count(&self, side: impl Fn(&Seen) -> &Vec<Vec<u8>>, text: &str) -> usize {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let streams = side(&seen).iter();
        streams
            .map(|bytes| {
                bytes
                    .windows(text.len())
                    .filter(|window| *window == text.as_bytes())
                    .count()
            })
            .sum()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.proxy.kill();
        let _ = self.proxy.wait();
    }
}
