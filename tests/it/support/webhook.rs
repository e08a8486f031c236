//! An admission webhook that lets a request wait for as long as the test wants.

use std::sync::Arc;

use anyhow::ensure;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use kube::api::{Api, DeleteParams, PostParams};
use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::{Test, await_condition, encoding::base64, receiver::read_json};

/// Allows everything that it is asked, but not before it is told to.
pub struct Webhook {
    asked: watch::Receiver<usize>,
    open: watch::Sender<bool>,
    name: String,
    configurations: Api<ValidatingWebhookConfiguration>,
}

impl Webhook {
    /// From now on that user's writes of that Deployment wait.
    pub async fn hold(t: &Test, user: &str, deployment: &str) -> Self {
        let (pem, tls) = certificate();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let (count, asked) = watch::channel(0);
        let (open, opened) = watch::channel(false);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let (tls, count, opened) = (tls.clone(), count.clone(), opened.clone());
                tokio::spawn(async move {
                    if let Ok(stream) = tls.accept(stream).await {
                        answer(stream, count, opened).await;
                    }
                });
            }
        });
        let name = t.namespace.clone();
        let configurations = Api::all(t.client.clone());
        let manifest = json!({
            "metadata": {"name": name},
            "webhooks": [{
                "name": "hold.test.windlass.dev",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                // Longer than anybody waits: it is not this that ends the request.
                "timeoutSeconds": 30,
                "clientConfig": {
                    "url": format!("https://127.0.0.1:{port}/"),
                    "caBundle": base64(pem.as_bytes()),
                },
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": t.namespace}},
                "rules": [{
                    "apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"], "operations": ["UPDATE"],
                }],
                "matchConditions": [{
                    "name": "these",
                    "expression": format!("request.userInfo.username == '{user}' && request.name == '{deployment}'"),
                }],
            }],
        });
        let manifest = serde_json::from_value(manifest).expect("a configuration");
        let created: Result<ValidatingWebhookConfiguration, _> =
            configurations.create(&PostParams::default(), &manifest).await;
        created.expect("the API server takes it");
        Self {
            asked,
            open,
            name,
            configurations,
        }
    }

    /// Waits until it is asked, and lets that wait.
    pub async fn is_asked(&self) {
        await_condition("the webhook to be asked", async || {
            ensure!(*self.asked.borrow() > 0, "it is not");
            Ok(())
        })
        .await;
    }

    /// Allows what waits, and is no more in anybody's way.
    pub async fn end(self) {
        self.open.send_replace(true);
        let deleted = self.configurations.delete(&self.name, &DeleteParams::default()).await;
        deleted.expect("the API server deletes it");
        await_condition("the webhook to be gone", async || {
            let left = self.configurations.get_opt(&self.name).await?;
            ensure!(left.is_none(), "it is there");
            Ok(())
        })
        .await;
    }
}

async fn answer(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    count: watch::Sender<usize>,
    mut opened: watch::Receiver<bool>,
) {
    let Some(review) = read_json(&mut stream).await else {
        return;
    };
    count.send_modify(|count| *count += 1);
    if opened.wait_for(|open| *open).await.is_err() {
        return;
    }
    let allowed: Value = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "response": {"uid": review["request"]["uid"], "allowed": true},
    });
    let body = allowed.to_string();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n";
    // The API server may have hung up.
    let _ = stream
        .write_all(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes())
        .await;
}

/// A certificate that vouches for itself, in PEM, and what serves by it.
fn certificate() -> (String, TlsAcceptor) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has suites for each version")
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).expect("a key"),
        )
        .expect("they belong together");
    (certificate.pem(), TlsAcceptor::from(Arc::new(config)))
}
