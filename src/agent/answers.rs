//! Answers to a controller that knows the token: what the files hold now, and what became of them.
//!
//! Nothing in the request says what to read. Who does not know the token learns nothing, not even whether
//! a time or a nonce would have been accepted.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use tracing::warn;
use windlass_core::agent_protocol::challenge::{
    Answer, AnswerKey, Challenge, FORMAT, MAX_SKEW, Nonce, SEAL_HEADER, VolumeAnswer, VolumeState,
};
use windlass_live::{Snapshot, Volume};

use super::files::{Fingerprint, digest};
use super::token;
use super::volume_status::VolumeStatuses;
use crate::ops::server::plain;

#[cfg(test)]
mod tests;

/// Far more than controllers ask within the ten minutes that a nonce is remembered; 160 KiB when full.
const NONCES: usize = 4096;

/// What the answers are made of.
pub struct Answers {
    token_file: Option<PathBuf>,
    statuses: Arc<VolumeStatuses>,
    seen: Mutex<UsedNonces>,
    /// What was wrong with the token last, so that it is said once.
    said: Mutex<Option<String>>,
}

impl Answers {
    pub(super) fn new(token_file: Option<PathBuf>, statuses: Arc<VolumeStatuses>) -> Self {
        Self {
            token_file,
            statuses,
            seen: Mutex::default(),
            said: Mutex::default(),
        }
    }

    /// Answers one question.
    pub(super) async fn answer(&self, request: &Parts) -> Response<String> {
        let Some(file) = &self.token_file else {
            return unavailable("the agent has no token; set --token-file\n");
        };
        let token = token::read(file).await;
        self.say(token.as_ref().err());
        let Ok(token) = token else {
            return unavailable("the agent cannot use its token; see its log\n");
        };
        let query = request.uri.query().unwrap_or_default();
        let asked = Challenge::parse_query(query);
        let header = request.headers.get(AUTHORIZATION);
        let header = header.and_then(|value| value.to_str().ok()).unwrap_or_default();
        // The same work for a query that makes no sense.
        let challenge = asked.unwrap_or(Challenge {
            nonce: Nonce::from_bytes([0; 16]),
            time: 0,
        });
        if !challenge.verify(&token, header) || asked.is_err() {
            return unauthorized();
        }
        let now = now();
        let apart = challenge.time.abs_diff(now);
        if apart > MAX_SKEW.unsigned_abs() {
            let text = format!("the clocks of agent and controller differ by {apart} s\n");
            return plain(StatusCode::BAD_REQUEST, text);
        }
        let fresh = self
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(challenge, now);
        match fresh {
            Err(NonceError::Seen) => return plain(StatusCode::CONFLICT, "this nonce was used before\n"),
            Err(NonceError::Full) => return plain(StatusCode::TOO_MANY_REQUESTS, "too many questions\n"),
            Ok(()) => {}
        }
        self.sealed(&challenge.answer_key(&token)).await
    }

    async fn sealed(&self, key: &AnswerKey) -> Response<String> {
        let mut volumes = Vec::new();
        for (number, (path, volume)) in self.statuses.all().into_iter().enumerate() {
            volumes.push(self.volume(number, path, volume, key).await);
        }
        let answer = Answer {
            format: FORMAT,
            volumes,
        };
        let Ok(body) = serde_json::to_string(&answer) else {
            // Strings and maps of strings: this does not happen.
            return plain(StatusCode::INTERNAL_SERVER_ERROR, "no answer\n");
        };
        let seal = HeaderValue::from_str(&key.seal(body.as_bytes()));
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Ok(seal) = seal {
            headers.insert(SEAL_HEADER, seal);
        }
        response
    }

    async fn volume(&self, number: usize, path: &Path, volume: Option<Volume>, key: &AnswerKey) -> VolumeAnswer {
        let mut answer = VolumeAnswer {
            path: path.display().to_string(),
            state: VolumeState::Pending,
            message: None,
            files: std::collections::BTreeMap::new(),
            unreadable: Vec::new(),
        };
        let Some(volume) = volume else {
            answer.message = self.statuses.status(number).message;
            return answer;
        };
        let snapshot = match volume.read().await {
            Ok(snapshot) => snapshot,
            Err(error) => {
                answer.message = Some(super::text::clean(error.to_string().as_bytes()));
                return answer;
            }
        };
        // Asked after reading: what was handled meanwhile counts, and what was written meanwhile does not.
        let status = self.statuses.status(number);
        if status.files == Some(Fingerprint::of(&snapshot)) {
            answer.state = status.state;
            answer.message = status.message;
        }
        describe(&snapshot, key, &mut answer);
        answer
    }

    fn say(&self, wrong: Option<&String>) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.as_ref() != wrong {
            if let Some(wrong) = wrong {
                warn!(error = %wrong, "cannot answer the controller");
            }
            *said = wrong.cloned();
        }
    }
}

fn describe(snapshot: &Snapshot, key: &AnswerKey, answer: &mut VolumeAnswer) {
    for (name, entry) in snapshot {
        match digest(entry) {
            Some(value) => {
                answer.files.insert(name.to_owned(), key.value(&value));
            }
            None => answer.unreadable.push(name.to_owned()),
        }
    }
}

/// The nonces that were used, each for as long as its time would be accepted.
#[derive(Default)]
struct UsedNonces {
    nonces: HashMap<Nonce, i64>,
    /// The latest time of a question whose nonce was forgotten. Nothing as old is accepted any more: a
    /// clock that was set back would open the window again.
    forgotten: Option<i64>,
}

#[derive(Debug, PartialEq, Eq)]
enum NonceError {
    Seen,
    Full,
}

impl UsedNonces {
    fn take(&mut self, challenge: Challenge, now: i64) -> Result<(), NonceError> {
        let Challenge { nonce, time } = challenge;
        if self.nonces.contains_key(&nonce) || self.forgotten.is_some_and(|forgotten| time <= forgotten) {
            return Err(NonceError::Seen);
        }
        if self.nonces.len() >= NONCES {
            let forgotten = &mut self.forgotten;
            self.nonces.retain(|_, time| {
                let kept = now.saturating_sub(*time) <= MAX_SKEW;
                if !kept {
                    *forgotten = (*forgotten).max(Some(*time));
                }
                kept
            });
        }
        if self.nonces.len() >= NONCES {
            return Err(NonceError::Full);
        }
        self.nonces.insert(nonce, time);
        Ok(())
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn unavailable(text: &'static str) -> Response<String> {
    plain(StatusCode::SERVICE_UNAVAILABLE, text)
}

fn unauthorized() -> Response<String> {
    let mut response = plain(StatusCode::UNAUTHORIZED, "unauthorized\n");
    let scheme = HeaderValue::from_static("Windlass");
    response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
    response
}
