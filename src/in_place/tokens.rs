//! The tokens that agents share with us, as they stand in Secrets of the workloads' namespaces.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use windlass_core::agent_protocol::challenge::Token;
use windlass_core::agent_protocol::propagation::clean;
use windlass_core::types::name::{Name, Namespace};

use crate::context::Context;
use crate::k8s::error::ApiError;
use crate::k8s::read;

/// For how long a token is taken to be what it was: long enough for the workloads of a namespace that
/// share a change, short enough for one that is replaced.
const KEPT: Duration = Duration::from_secs(5);

type CachedToken = (Instant, Result<Arc<Token>, String>);

/// What was read of late.
#[derive(Default)]
pub(crate) struct Tokens(Mutex<HashMap<(Namespace, Name), CachedToken>>);

impl Tokens {
    /// The token of that Secret, or why there is none, in words.
    pub(crate) async fn get(
        &self,
        context: &Context,
        namespace: &Namespace,
        secret: &Name,
    ) -> Result<Arc<Token>, String> {
        let at = (namespace.clone(), secret.clone());
        if let Some((_, known)) = self.fresh().get(&at) {
            return known.clone();
        }
        let read = read::token(&context.client, namespace, secret, context.timeout).await;
        let token = match read {
            Ok(Some(bytes)) => Token::new(&bytes)
                .map(Arc::new)
                .map_err(|why| format!("Secret {secret}, key token: {why}")),
            Ok(None) => Err(format!("Secret {secret} has no key token")),
            Err(ApiError::NotFound) => Err(format!("Secret {secret} with the agent token does not exist")),
            Err(error) => Err(clean(&format!("cannot read Secret {secret}: {error}"))),
        };
        self.fresh().insert(at, (Instant::now(), token.clone()));
        token
    }

    /// Without what is too old.
    fn fresh(&self) -> std::sync::MutexGuard<'_, HashMap<(Namespace, Name), CachedToken>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (at, _)| at.elapsed() < KEPT);
        known
    }
}
