//! Writes what is to be said of policies, when it is something else than what stands there.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tracing::{debug, warn};
use windlass_core::policy::PolicyRef;

use crate::context::Context;
use crate::index::DueStatus;
use crate::k8s::error::ApiError;
use crate::k8s::policy_status;
use crate::ops::Metrics;
use crate::reader::Reader;

/// A rollout of a thousand workloads is a thousand statuses; a person reads one a second at most.
const PERIOD: Duration = Duration::from_secs(1);

/// How long a policy is left alone whose status may not be written.
const REFUSED_PAUSE: SignedDuration = SignedDuration::from_mins(1);

/// Writes for ever.
pub async fn write(context: Arc<Context>, metrics: Metrics) {
    let mut round = tokio::time::interval(PERIOD);
    let mut refused: HashMap<PolicyRef, Timestamp> = HashMap::new();
    loop {
        round.tick().await;
        let now = context.clock.now();
        refused.retain(|_, until| now < *until);
        let due = {
            let mut index = context.index();
            if index.take_news() {
                index.due_statuses(now)
            } else {
                Vec::new()
            }
        };
        for due in due {
            if refused.contains_key(&due.policy) {
                context.index().note_news();
                continue;
            }
            let DueStatus { policy, uid, status } = &due;
            let Context {
                reader,
                write_gate: leading,
                ..
            } = &*context;
            let Reader { client, timeout, .. } = &**reader;
            let write = |timeout| policy_status::write(client, policy, uid.as_ref(), status, timeout);
            match leading.write(*timeout, write).await {
                Ok(()) => context.index().note_status(due),
                // Its event is on the way.
                Err(ApiError::NotFound | ApiError::Replaced | ApiError::Conflict) => {}
                Err(error) => {
                    metrics.error(error.as_str());
                    if matches!(error, ApiError::Forbidden(_) | ApiError::Rejected(_)) {
                        warn!(policy = %policy, %error, "cannot write the policy status");
                        if let Ok(until) = now.checked_add(REFUSED_PAUSE) {
                            refused.insert(policy.clone(), until);
                        }
                    } else {
                        debug!(policy = %policy, %error, "cannot write the policy status; retrying");
                    }
                    context.index().note_news();
                }
            }
        }
    }
}
