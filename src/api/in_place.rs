//! How a policy brings changes into running pods.

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use windlass_core::policy::in_place;

use super::Duration;
use super::schema::{PATH, SUBDOMAIN, rule};
use super::validate::{Bounds, Invalid};

const TIMEOUT: Bounds = Bounds::new("1s", "1h");
const NOTIFY_DELAY: Bounds = Bounds::new("0s", "10m");

/// Twice as long as the kubelet takes from the touch on.
const DEFAULT_NOTIFY_DELAY: SignedDuration = SignedDuration::from_secs(2);

/// How changes are applied to running pods.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rule(
    "!(has(self.agent) && has(self.notifyHttp))",
    "set either inPlace.agent or inPlace.notifyHttp; an agent notifies the application itself",
)))]
pub struct InPlace {
    /// Whether to patch pods so that the kubelet updates their files at once instead of within a
    /// minute or two; default true.
    #[serde(default = "yes")]
    pub nudge: bool,
    /// Agent in each pod that verifies the files of the pod. Unset: files are not verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<Agent>,
    /// HTTP request to each pod without an agent, some time after the pod was patched. The new files
    /// are not verified. Unset: no request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify_http: Option<NotifyHttp>,
    /// How long pods may take to apply a change. From 1s to 1h; unset: 60s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = TIMEOUT.schema("timeout")))]
    pub timeout: Option<Duration>,
    /// What to do after the timeout: Report only reports, Restart also rolls the workload out. Unset:
    /// Report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_timeout: Option<OnTimeout>,
}

fn yes() -> bool {
    true
}

impl Default for InPlace {
    fn default() -> Self {
        Self {
            nudge: yes(),
            agent: None,
            notify_http: None,
            timeout: None,
            on_timeout: None,
        }
    }
}

/// Address and token of the agent in a pod.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Agent {
    /// Port of the agent. From 1 to 65535.
    #[schemars(range(min = 1))]
    pub port: u16,
    /// Secret in the namespace of the workload with the token of the agent.
    pub token_secret_ref: SecretName,
}

/// A request that makes an application reload its files.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotifyHttp {
    /// Port of the pod. From 1 to 65535. Pods with hostNetwork are not called.
    #[schemars(range(min = 1))]
    pub port: u16,
    /// Path with an optional query, such as /-/reload.
    #[schemars(length(min = 1, max = 256), regex(pattern = PATH))]
    pub path: String,
    /// HTTP method: POST, PUT or GET; default POST.
    #[serde(default)]
    pub method: HttpMethod,
    /// Delay after the pod was patched. From 0s to 10m; unset: 2s with nudge; without nudge, the
    /// timeout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = NOTIFY_DELAY.schema("delay")))]
    pub delay: Option<Duration>,
}

/// A method of HTTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(description = "")]
#[serde(rename_all = "UPPERCASE")]
pub enum HttpMethod {
    /// `POST`.
    #[default]
    Post,
    /// `PUT`.
    Put,
    /// `GET`.
    Get,
}

/// A Secret in the namespace of the workload.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretName {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = SUBDOMAIN))]
    pub name: String,
}

/// What to do after a timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(description = "")]
pub enum OnTimeout {
    /// It is said.
    Report,
    /// The workload is rolled out.
    Restart,
}

impl InPlace {
    pub(super) fn compile(&self) -> Result<in_place::InPlace, Invalid> {
        let Self {
            nudge,
            agent,
            notify_http,
            timeout,
            on_timeout,
        } = self;
        let default = in_place::InPlace::default();
        Ok(in_place::InPlace {
            nudge: *nudge,
            agent: agent.as_ref().map(|agent| in_place::Agent {
                port: agent.port,
                token_secret: agent.token_secret_ref.name.as_str().into(),
            }),
            notify: notify_http.as_ref().map(NotifyHttp::compile).transpose()?,
            timeout: TIMEOUT
                .check_given("inPlace.timeout", *timeout)?
                .unwrap_or(default.timeout),
            on_timeout: match on_timeout {
                Some(OnTimeout::Restart) => in_place::OnTimeout::Restart,
                Some(OnTimeout::Report) | None => in_place::OnTimeout::Report,
            },
        })
    }
}

impl NotifyHttp {
    fn compile(&self) -> Result<in_place::NotifyHttp, Invalid> {
        let Self {
            port,
            path,
            method,
            delay,
        } = self;
        // It becomes part of a request: nothing in it may end a line or begin a new header.
        if !path.starts_with('/') || path.contains(|c: char| !c.is_ascii_graphic()) {
            return Err(Invalid::new(
                "inPlace.notifyHttp.path",
                "not a path; accepted: a path such as /-/reload",
            ));
        }
        Ok(in_place::NotifyHttp {
            port: *port,
            path: path.as_str().into(),
            method: match method {
                HttpMethod::Post => in_place::Method::Post,
                HttpMethod::Put => in_place::Method::Put,
                HttpMethod::Get => in_place::Method::Get,
            },
            delay: NOTIFY_DELAY
                .check_given("inPlace.notifyHttp.delay", *delay)?
                .unwrap_or(DEFAULT_NOTIFY_DELAY),
        })
    }
}
