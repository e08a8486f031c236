//! How a controller asks an agent what the files of a pod hold, and how the agent answers.
//!
//! Both know a token, which never travels. The question carries a nonce, the time and a MAC of the two;
//! the answer carries digests under a key made of the token and the nonce, and a seal over its body. So
//! nobody else can ask, nobody can answer in the agent's place, and who listens can neither test guesses
//! of a short password nor compare two answers. The exact inputs are in `docs/agent.md`.

use std::collections::BTreeMap;
use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};

use crate::content::value::ValueDigest;

#[cfg(test)]
mod tests;

/// Where an agent answers.
pub const PATH: &str = "/v1/volumes";
/// The header of an answer that has the seal of its body.
pub const SEAL_HEADER: &str = "windlass-seal";
/// How far the clocks of controller and agent may be apart, in seconds.
pub const MAX_SKEW: i64 = 300;
/// The format of [`Answer`] that this version writes.
pub const FORMAT: u32 = 1;

/// Half of what HMAC-SHA-256 can make use of; a shorter one could be guessed by who listens.
const MIN_TOKEN: usize = 16;
/// Far beyond any token, and small enough to read at each question.
pub const MAX_TOKEN: usize = 4096;
const SCHEME: &str = "Windlass ";
const REQUEST: &[u8] = b"windlass-agent/1 request\n";
const ANSWER: &[u8] = b"windlass-agent/1 answer\n";
const FILE: &[u8] = b"windlass-agent/1 file\n";
const SEAL: &[u8] = b"windlass-agent/1 seal\n";

/// What controller and agent share. `Debug` prints nothing of it.
#[derive(Clone)]
pub struct Token(Box<[u8]>);

/// Why bytes are no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Nothing, or nothing but line breaks.
    #[error("the token is empty")]
    Empty,
    /// It could be guessed.
    #[error("the token has {bytes} bytes; at least {MIN_TOKEN} are needed, such as those of openssl rand -hex 32")]
    Short {
        /// Its length without the line break at its end.
        bytes: usize,
    },
    /// It is certainly something else.
    #[error("the token has more than {MAX_TOKEN} bytes")]
    Long,
}

impl Token {
    /// Takes the bytes of a file; line breaks at the end, which editors add, do not count.
    ///
    /// # Errors
    /// Fewer than 16 bytes, or more than 4096.
    pub fn new(bytes: &[u8]) -> Result<Self, TokenError> {
        let end = bytes.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r'));
        let bytes = end.and_then(|end| bytes.get(..=end)).unwrap_or_default();
        match bytes.len() {
            0 => Err(TokenError::Empty),
            short if short < MIN_TOKEN => Err(TokenError::Short { bytes: short }),
            long if long > MAX_TOKEN => Err(TokenError::Long),
            _ => Ok(Self(bytes.into())),
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// A number that is used once, chosen at random by who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Nonce([u8; 16]);

impl Nonce {
    /// From random bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Reads 32 lower hex digits; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        unhex(text).map(Self)
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// One question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// Used once.
    pub nonce: Nonce,
    /// When it was asked, in seconds since 1970 (UTC).
    pub time: i64,
}

/// The query is not that of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the query is not nonce=<32 hex digits>&time=<seconds since 1970>")]
pub struct ChallengeError;

impl Challenge {
    /// What to ask for: path and query of the request.
    #[must_use]
    pub fn path_and_query(&self) -> String {
        format!("{PATH}?nonce={}&time={}", self.nonce, self.time)
    }

    /// Reads the query, without its question mark. There is one way to write each question, in this
    /// order and without escapes, so that no two readers can differ.
    ///
    /// # Errors
    /// It is written in any other way.
    pub fn parse_query(query: &str) -> Result<Self, ChallengeError> {
        let rest = query.strip_prefix("nonce=").ok_or(ChallengeError)?;
        let (nonce, time) = rest.split_once("&time=").ok_or(ChallengeError)?;
        let nonce = Nonce::parse(nonce).ok_or(ChallengeError)?;
        let parsed: i64 = time.parse().map_err(|_| ChallengeError)?;
        if parsed.to_string() == time {
            Ok(Self { nonce, time: parsed })
        } else {
            Err(ChallengeError)
        }
    }

    /// The value of the header `authorization`.
    #[must_use]
    pub fn authorization(&self, token: &Token) -> String {
        let mac: [u8; 32] = self.mac(token, REQUEST).finalize().into_bytes().into();
        format!("{SCHEME}{}", hex(&mac))
    }

    /// Whether the header `authorization` is that of somebody who knows the token. Takes the same time
    /// whatever is wrong with it.
    #[must_use]
    pub fn verify(&self, token: &Token, header: &str) -> bool {
        let given = header.strip_prefix(SCHEME).and_then(unhex::<32>);
        let right = self
            .mac(token, REQUEST)
            .verify_slice(&given.unwrap_or_default())
            .is_ok();
        right && given.is_some()
    }

    /// The key of everything in the answer.
    #[must_use]
    pub fn answer_key(&self, token: &Token) -> AnswerKey {
        AnswerKey(self.mac(token, ANSWER).finalize().into_bytes().into())
    }

    fn mac(&self, token: &Token, purpose: &[u8]) -> Hmac<Sha256> {
        let mut mac = keyed(&token.0, purpose);
        mac.update(self.nonce.to_string().as_bytes());
        mac.update(b"\n");
        mac.update(self.time.to_string().as_bytes());
        mac
    }
}

/// Makes the digests and the seal of one answer. `Debug` prints nothing of it.
pub struct AnswerKey([u8; 32]);

impl AnswerKey {
    #[must_use]
    pub fn file(&self, content: &[u8]) -> FileDigest {
        self.value(&ValueDigest::new(Sha256::digest(content).into()))
    }

    /// The digest of a file of which only the SHA-256 is known.
    #[must_use]
    pub fn value(&self, value: &ValueDigest) -> FileDigest {
        let mut mac = keyed(&self.0, FILE);
        mac.update(value.bytes());
        let mac: [u8; 32] = mac.finalize().into_bytes().into();
        FileDigest(std::array::from_fn(|i| mac.get(i).copied().unwrap_or_default()))
    }

    /// The seal of an answer's body, as 64 hex digits.
    #[must_use]
    pub fn seal(&self, body: &[u8]) -> String {
        let seal: [u8; 32] = self.sealed(body).finalize().into_bytes().into();
        hex(&seal)
    }

    /// Whether the body is as the agent wrote it, for this question. Takes the same time whatever is
    /// wrong with it.
    #[must_use]
    pub fn verify_seal(&self, body: &[u8], seal: &str) -> bool {
        let given = unhex::<32>(seal);
        let right = self.sealed(body).verify_slice(&given.unwrap_or_default()).is_ok();
        right && given.is_some()
    }

    fn sealed(&self, body: &[u8]) -> Hmac<Sha256> {
        let mut mac = keyed(&self.0, SEAL);
        mac.update(body);
        mac
    }
}

impl fmt::Debug for AnswerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnswerKey")
    }
}

/// 128 bits of a digest under an [`AnswerKey`]; written as 32 lower hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileDigest([u8; 16]);

impl fmt::Display for FileDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl Serialize for FileDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex(&self.0))
    }
}

impl<'de> Deserialize<'de> for FileDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        unhex(&text)
            .map(Self)
            .ok_or_else(|| de::Error::custom("a digest is 32 lower hex digits"))
    }
}

/// The body of an answer, as JSON. A reader ignores fields that it does not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// [`FORMAT`]; a reader refuses one that it does not know.
    pub format: u32,
    /// In the order of the agent's flags.
    pub volumes: Vec<VolumeAnswer>,
}

/// What is in one volume, read for this question, and what became of exactly that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeAnswer {
    /// As the agent was given it.
    pub path: String,
    /// What became of exactly these files.
    pub state: VolumeState,
    /// Why it is not applied, at most 300 bytes on one line: words of the agent, or of the validator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Each key with the digest of its content.
    #[serde(default)]
    pub files: BTreeMap<String, FileDigest>,
    /// Keys that the agent cannot read, or may not follow.
    #[serde(default)]
    pub unreadable: Vec<String>,
}

crate::words! {
    /// How far the files of a volume have come. JSON, logs and metrics have the same words.
    #[derive(Serialize, Deserialize)]
    pub enum VolumeState {
        /// The application was told of exactly these files, or started with them.
        Applied = "Applied",
        /// They are there, and the application is not notified yet.
        Pending = "Pending",
        /// The validator refused them; the application was not told.
        Refused = "Refused",
        /// The application could not be told.
        Failed = "Failed",
    }
}

fn keyed(key: &[u8], purpose: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(purpose);
    mac
}

fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).expect("four bits are one digit");
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// Exactly `N` bytes in lower hex digits.
fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let &[high, low] = pair else { return None };
        *byte = nibble(high)? << 4 | nibble(low)?;
    }
    Some(bytes)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}
