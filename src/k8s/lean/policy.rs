//! Policies: read one by one, so that one that cannot be read hides no other.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::core::ObjectMeta;
use serde::Deserialize;
use serde::de::Deserializer;
use serde_json::Value;

use super::WireMeta;
use crate::api::{ClusterRolloutPolicySpec, PolicySpec, PolicyStatus, RolloutPolicySpec};
use crate::core::name::Uid;
use crate::core::policy::{Policy, PolicyRef, Selects};
use crate::core::time::Second;

/// A policy as it is watched.
#[derive(Clone, Debug)]
pub struct WatchedPolicy {
    pub(super) meta: ObjectMeta,
    wire: WireMeta,
    spec: Value,
    status: Value,
}

impl<'de> Deserialize<'de> for WatchedPolicy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Wire {
            metadata: WireMeta,
            #[serde(default)]
            spec: Value,
            #[serde(default)]
            status: Value,
        }
        let Wire { metadata, spec, status } = Wire::deserialize(deserializer)?;
        Ok(Self {
            meta: metadata.object_meta(),
            wire: metadata,
            spec,
            status,
        })
    }
}

/// What of a policy its status is about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct About {
    /// Which one of that name.
    pub uid: Option<Uid>,
    /// Which generation of it.
    pub generation: i64,
    /// What stands there.
    pub status: PolicyStatus,
}

impl WatchedPolicy {
    /// Which one.
    #[must_use]
    pub fn reference(&self) -> PolicyRef {
        PolicyRef {
            namespace: self.wire.namespace.is_some().then(|| self.wire.namespace()),
            name: self.wire.name(),
        }
    }

    /// What its status is about.
    #[must_use]
    pub fn about(&self) -> About {
        About {
            uid: self.wire.uid.is_some().then(|| self.wire.uid()),
            generation: self.wire.generation.unwrap_or(0),
            status: PolicyStatus::deserialize(&self.status).unwrap_or_default(),
        }
    }

    /// What the rules need of it.
    #[must_use]
    pub fn policy(&self) -> Policy {
        let reference = self.reference();
        let (selects, spec) = if reference.namespace.is_some() {
            read(RolloutPolicySpec::deserialize(&self.spec), |spec| {
                (spec.selects(), spec.policy)
            })
        } else {
            read(ClusterRolloutPolicySpec::deserialize(&self.spec), |spec| {
                (Some(spec.selects()), spec.policy)
            })
        };
        let created = self.wire.creation_timestamp.as_deref().and_then(Second::parse);
        Policy {
            reference,
            priority: spec.as_ref().map_or(0, |spec| spec.priority),
            created: created.unwrap_or(Second::new(0)),
            selects,
            // One that cannot be read must not opt in a whole cluster.
            says_what: spec
                .as_ref()
                .is_ok_and(|spec| spec.strategy.is_some() || !spec.rules.is_empty()),
            says: spec.and_then(|spec| spec.says().map_err(|why| why.to_string().into())),
        }
    }
}

/// One that cannot be read might select anything of its scope, so it holds all of that.
fn read<S>(
    spec: Result<S, serde_json::Error>,
    parts: impl FnOnce(S) -> (Option<Selects>, PolicySpec),
) -> (Option<Selects>, Result<PolicySpec, Box<str>>) {
    match spec {
        Ok(spec) => {
            let (selects, spec) = parts(spec);
            (selects, Ok(spec))
        }
        Err(why) => (
            Some(Selects::default()),
            Err(format!("spec: {why}").chars().take(256).collect::<String>().into()),
        ),
    }
}

/// Keeps a condition's time unless it says something else than before.
#[must_use]
pub fn since(condition: Condition, before: &[Condition]) -> Condition {
    let known = before.iter().find(|known| known.type_ == condition.type_);
    match known.filter(|known| known.status == condition.status) {
        Some(known) => Condition {
            last_transition_time: known.last_transition_time.clone(),
            ..condition
        },
        None => condition,
    }
}
