//! The HTTP client, put together here because two defaults of kube's own cost too much.
//!
//! - kube cannot set `TCP_NODELAY`. Without it the first patch on a new connection waits 40 ms for a
//!   delayed acknowledgement: every change after a quiet hour.
//! - kube retries 429 and 5xx by itself for up to 1000 s. Our writes have a deadline, and their
//!   backoff is the controller's.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::{Request, Response, Uri};
use kube::client::{Body, ClientBuilder, ConfigExt as _};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tower::{BoxError, Service, ServiceBuilder, ServiceExt as _};
use windlass_core::workload::kind::KindId;

use super::watch_activity::{ActivityBody, WatchActivity};

#[cfg(test)]
mod tests;

/// How long a TCP and TLS handshake may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections kept open while unused: as many as there are writers at most, and for longer than
/// changes are usually apart, since a new one costs a TLS handshake.
const IDLE_CONNECTIONS: usize = 32;
const IDLE_TIMEOUT: Duration = Duration::from_mins(15);

/// What each connection reads at a time: a record of TLS has no more. By itself hyper's buffers grow to
/// 400 KiB each while a list comes, and stay.
const READ_BUFFER: usize = 16 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No usable kubeconfig.
    #[error("kubeconfig {path:?}: {source}")]
    Kubeconfig {
        /// The file that was asked for.
        path: Option<PathBuf>,
        /// What is wrong with it.
        source: Box<kube::config::KubeconfigError>,
    },
    /// Neither a kubeconfig nor a service account.
    #[error("no cluster is configured: {0}; set --kubeconfig or KUBECONFIG, or run in a pod")]
    Infer(Box<kube::config::InferConfigError>),
    /// TLS or credentials.
    #[error("cannot use the credentials or certificates: {0}")]
    Tls(#[from] Box<kube::Error>),
    /// Proxies are not supported.
    #[error("the kubeconfig asks for the proxy {0}, which Windlass does not support")]
    Proxy(Uri),
}

/// One finished request, for the metrics.
#[derive(Clone, Copy, Debug)]
pub struct ApiCall {
    /// `get`, `list`, `watch`, `create`, `patch`, … as in RBAC.
    pub verb: &'static str,
    /// The plural, or `other`.
    pub resource: &'static str,
    /// How it ended.
    pub result: CallResult,
    /// Until the head of the answer was there.
    pub took: Duration,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallResult {
    /// With this HTTP status.
    Status(u16),
    /// There was no connection, or it broke.
    Broken,
    /// Whoever sent it waits no more.
    NotInTime,
}

/// Where finished requests are counted.
pub type CallObserver = Arc<dyn Fn(ApiCall) + Send + Sync>;

/// Finds the cluster: the given kubeconfig, `KUBECONFIG`, `~/.kube/config`, or the pod's own account.
///
/// # Errors
/// When there is none, or it cannot be read.
pub async fn config(path: Option<PathBuf>, context: Option<String>) -> Result<Config, ClientError> {
    let options = KubeConfigOptions {
        context,
        ..KubeConfigOptions::default()
    };
    let wrap = |path: Option<PathBuf>| {
        |source: kube::config::KubeconfigError| ClientError::Kubeconfig {
            path,
            source: Box::new(source),
        }
    };
    let mut config = match path {
        Some(path) => {
            let kubeconfig = Kubeconfig::read_from(&path).map_err(wrap(Some(path.clone())))?;
            Config::from_custom_kubeconfig(kubeconfig, &options)
                .await
                .map_err(wrap(Some(path)))?
        }
        None if options.context.is_some() => Config::from_kubeconfig(&options).await.map_err(wrap(None))?,
        None => Config::infer()
            .await
            .map_err(|error| ClientError::Infer(Box::new(error)))?,
    };
    config.default_retry = false;
    Ok(config)
}

/// The client for a cluster.
///
/// # Errors
/// When credentials or certificates cannot be used.
pub fn client(config: &Config, observer: CallObserver, pulses: WatchActivity) -> Result<Client, ClientError> {
    if let Some(proxy) = &config.proxy_url {
        return Err(ClientError::Proxy(proxy.clone()));
    }
    let mut tcp = hyper_util::client::legacy::connect::HttpConnector::new();
    tcp.set_nodelay(true);
    tcp.enforce_http(false);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    tcp.set_keepalive(Some(Duration::from_secs(30)));
    let tls = config.rustls_https_connector_with_connector(tcp).map_err(Box::new)?;
    // The TCP connector's own covers no handshake of TLS.
    let tls = tower::util::MapFuture::new(tls, in_time);
    let http: hyper_util::client::legacy::Client<_, Body> =
        hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
            .timer(hyper_util::rt::TokioTimer::new())
            .pool_timer(hyper_util::rt::TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .http1_read_buf_exact_size(READ_BUFFER)
            .build(tls);
    let service = ServiceBuilder::new()
        .map_request(newest_list)
        .map_request(metadata_only)
        .layer_fn(move |inner| ObservedService {
            inner,
            observer: observer.clone(),
            activity: pulses.clone(),
        })
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer().map_err(Box::new)?)
        .layer(config.extra_headers_layer().map_err(Box::new)?)
        .map_err(BoxError::from)
        .service(http);
    Ok(ClientBuilder::new(service, config.default_namespace.clone()).build())
}

/// A connection, or an error when it takes too long.
fn in_time<T, E>(
    connection: impl Future<Output = Result<T, E>> + Send + 'static,
) -> Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>
where
    E: Into<BoxError>,
{
    Box::pin(async {
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, connection).await;
        connected.map_err(BoxError::from)?.map_err(Into::into)
    })
}

/// kube starts a streaming list at version 0, which a lagging API server may answer with content
/// older than what we know. Without a version the server makes sure that it is up to date
/// (<https://kubernetes.io/docs/reference/using-api/api-concepts/#streaming-lists>).
fn newest_list<B>(mut request: Request<B>) -> Request<B> {
    let newest = request.uri().path_and_query().and_then(|whole| {
        let whole = whole.as_str();
        whole
            .contains("sendInitialEvents=true")
            .then(|| whole.replace("&resourceVersion=0", ""))
    });
    if let Some(path) = newest
        && let Ok(path) = path.parse()
    {
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        parts.path_and_query = Some(path);
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
    request
}

/// What the API server sends of each object when no more than its metadata is asked for
/// (<https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-partial-metadata>).
pub(super) const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/// Of which resources nothing but metadata is ever listed or watched. For Secrets this is a promise:
/// no list of values enters this process.
const METADATA_OF: &[&str] = &["secrets", "namespaces", "customresourcedefinitions"];

fn metadata_only<B>(mut request: Request<B>) -> Request<B> {
    if request.method() != http::Method::GET {
        return request;
    }
    let (verb, resource) = classify(request.method(), request.uri());
    let accept = match verb {
        "watch" => METADATA,
        "list" => METADATA_LIST,
        _ => return request,
    };
    if METADATA_OF.contains(&resource) {
        request
            .headers_mut()
            .insert(http::header::ACCEPT, http::HeaderValue::from_static(accept));
    }
    request
}

/// Counts requests, and feels what comes of watches.
#[derive(Clone)]
struct ObservedService<S> {
    inner: S,
    observer: CallObserver,
    activity: WatchActivity,
}

impl<S, B> Service<Request<Body>> for ObservedService<S>
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
{
    type Response = Response<ActivityBody<B>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (verb, resource) = classify(request.method(), request.uri());
        let mut counted = CallTimer {
            observer: self.observer.clone(),
            call: ApiCall {
                verb,
                resource,
                result: CallResult::NotInTime,
                took: Duration::ZERO,
            },
            started: Instant::now(),
        };
        let watch = matches!(verb, "watch" | "list").then(|| (self.activity.clone(), request.uri().path().to_owned()));
        let response = self.inner.clone().oneshot(request);
        Box::pin(async move {
            let response = response.await;
            counted.call.result = match &response {
                Ok(response) => CallResult::Status(response.status().as_u16()),
                Err(_) => CallResult::Broken,
            };
            drop(counted);
            let response = response?;
            let watch = watch.filter(|_| response.status().is_success());
            Ok(response.map(|body| ActivityBody::new(body, watch)))
        })
    }
}

/// A request under way: counted when it ends, and also when nobody waits for it any more.
struct CallTimer {
    observer: CallObserver,
    call: ApiCall,
    started: Instant,
}

impl Drop for CallTimer {
    fn drop(&mut self) {
        (self.observer)(ApiCall {
            took: self.started.elapsed(),
            ..self.call
        });
    }
}

/// The resources that we ever ask for besides workloads: labels of metrics must be bounded.
const RESOURCES: &[&str] = &[
    "configmaps",
    "replicasets",
    "controllerrevisions",
    "namespaces",
    "customresourcedefinitions",
    "pods",
    "events",
    "secrets",
    "leases",
    "rolloutpolicies",
    "clusterrolloutpolicies",
];

fn resources() -> impl Iterator<Item = &'static str> {
    let workloads = KindId::built_in().map(|kind| kind.row().plural);
    RESOURCES.iter().copied().chain(workloads)
}

/// The RBAC verb and the resource of a request.
fn classify(method: &http::Method, uri: &Uri) -> (&'static str, &'static str) {
    let mut parts = uri.path().trim_matches('/').split('/');
    // api/v1/…, apis/GROUP/VERSION/…, either with or without namespaces/NAME/.
    let skip = if parts.next() == Some("apis") { 2 } else { 1 };
    let mut rest = parts.skip(skip).peekable();
    let mut plural = rest.next();
    if plural == Some("namespaces") && rest.next().is_some() && rest.peek().is_some() {
        plural = rest.next();
    }
    let named = rest.next().is_some();
    let resource = resources().find(|known| Some(*known) == plural).unwrap_or("other");
    let query = uri.query().unwrap_or_default();
    let verb = match method.as_str() {
        "GET" if query.contains("watch=true") => "watch",
        "GET" if named => "get",
        "GET" => "list",
        "POST" => "create",
        "PATCH" => "patch",
        "PUT" => "update",
        "DELETE" => "delete",
        _ => "other",
    };
    (verb, resource)
}
