//! What a policy says of changes in place: how files of running pods are brought up to date, who tells
//! the application, and what follows when that takes too long.

use jiff::SignedDuration;

use crate::types::name::Name;

/// How changes reach running pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InPlace {
    /// Whether pods are touched, so that the kubelet writes their files at once.
    pub nudge: bool,
    /// Who in each pod proves what its files hold.
    pub agent: Option<Agent>,
    /// What is called in each pod once its files should be there.
    pub notify: Option<NotifyHttp>,
    /// How long the pods have.
    pub timeout: SignedDuration,
    /// What follows when they took longer.
    pub on_timeout: OnTimeout,
}

impl Default for InPlace {
    /// As it is without a policy.
    fn default() -> Self {
        Self {
            nudge: true,
            agent: None,
            notify: None,
            timeout: SignedDuration::from_secs(60),
            on_timeout: OnTimeout::Report,
        }
    }
}

impl InPlace {
    /// Whether somebody tells the application of new files.
    #[must_use]
    pub fn notifies_app(&self) -> bool {
        self.agent.is_some() || self.notify.is_some()
    }
}

/// Where the agents of a policy's pods answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// The port in each pod.
    pub port: u16,
    /// The Secret of the workload's namespace whose key `token` they share with us.
    pub token_secret: Name,
}

/// A request to each pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotifyHttp {
    /// The port in each pod.
    pub port: u16,
    /// Path, and query if any.
    pub path: Box<str>,
    /// How it is called.
    pub method: Method,
    /// How long after the kubelet was touched.
    pub delay: SignedDuration,
}

/// How a pod is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// As most reload endpoints want it.
    #[default]
    Post,
    /// `PUT`.
    Put,
    /// `GET`.
    Get,
}

impl Method {
    /// As HTTP spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Get => "GET",
        }
    }
}

/// What follows when pods did not take a change in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnTimeout {
    /// It is said.
    #[default]
    Report,
    /// They are replaced.
    Restart,
}
