//! What a restart was for, as it stands on the pod template: for people, and for finding the others
//! that wait for the same change should this one fail.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::types::name::{Key, Name, Namespace, SourceKind, SourceRef};
use crate::types::text::NAMED;

/// Bytes of the annotation: eight sources with eight keys each, all names as long as names may be.
const MAX_BYTES: usize = 32 * 1024;

/// Bytes of a key's name.
const KEY_BYTES: usize = 64;

/// A digest of a whole source, the same for all workloads of an installation.
pub type WholeDigest = [u8; 6];

/// A source that changed, and what it was then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedSource {
    pub source: SourceRef,
    /// Which content of it.
    pub digest: WholeDigest,
}

/// What a restart was for, as far as the rules ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The key that its digests are made with.
    pub key: Box<str>,
    pub sources: Box<[ChangedSource]>,
}

#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    at: Timestamp,
    reason: &'a str,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(borrow)]
    sources: Vec<WireSource<'a>>,
}

#[derive(Serialize, Deserialize)]
struct WireSource<'a> {
    kind: &'a str,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    name: &'a str,
    #[serde(default, borrow, skip_serializing_if = "Vec::is_empty")]
    keys: Vec<std::borrow::Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
}

/// One source as it is printed.
pub struct CauseSource<'a> {
    pub source: &'a SourceRef,
    /// Its keys that changed, as far as they are known.
    pub keys: &'a [Key],
    /// Which content of it; `None`: it is gone.
    pub digest: Option<WholeDigest>,
}

/// The annotation's value, for a workload in the namespace `own`.
#[must_use]
pub fn print<'a>(
    at: Timestamp,
    reason: &str,
    key: &str,
    own: &Namespace,
    sources: impl Iterator<Item = CauseSource<'a>>,
) -> String {
    let sources: Vec<_> = sources
        .take(NAMED)
        .map(|because| WireSource {
            kind: because.source.kind.as_str(),
            namespace: (because.source.namespace != *own).then(|| because.source.namespace.as_str()),
            name: because.source.name.as_str(),
            keys: because.keys.iter().take(NAMED).map(|key| key.as_str().into()).collect(),
            digest: because.digest.map(|digest| BASE64.encode(digest)),
        })
        .collect();
    let wire = Wire {
        at,
        reason,
        key: (!sources.is_empty()).then_some(key),
        sources,
    };
    serde_json::to_string(&wire).expect("names and a time always have a JSON form")
}

/// Reads it. `None`: it names no content, or is longer than what we write: whoever may edit a pod template
/// may write anything there.
#[must_use]
pub fn parse(text: &str, own: &Namespace) -> Option<Box<Cause>> {
    if text.len() > MAX_BYTES {
        return None;
    }
    let wire: Wire<'_> = serde_json::from_str(text).ok()?;
    let key = wire.key.unwrap_or_default();
    if key.len() > KEY_BYTES {
        return None;
    }
    let sources: Box<[ChangedSource]> = wire
        .sources
        .iter()
        .take(NAMED)
        .filter_map(|source| {
            let kind = SourceKind::parse(source.kind)?;
            Some(ChangedSource {
                source: SourceRef {
                    namespace: source.namespace.map_or_else(|| own.clone(), Namespace::from),
                    kind,
                    name: Name::from(source.name),
                },
                digest: BASE64.decode(source.digest.as_ref()?).ok()?.try_into().ok()?,
            })
        })
        .collect();
    (!sources.is_empty()).then(|| {
        Box::new(Cause {
            key: key.into(),
            sources,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read_again() {
        let own = Namespace::from("shop");
        let source = |namespace: &str, name: &str| SourceRef {
            namespace: Namespace::from(namespace),
            kind: SourceKind::Secret,
            name: Name::from(name),
        };
        let (here, elsewhere) = (source("shop", "web"), source("shared", "tls"));
        let keys = [Key::from("odd \" key")];
        let because = [
            CauseSource {
                source: &here,
                keys: &keys,
                digest: Some([1; 6]),
            },
            CauseSource {
                source: &elsewhere,
                keys: &[],
                digest: Some([2; 6]),
            },
            CauseSource {
                source: &here,
                keys: &[],
                digest: None,
            },
        ];
        let text = print(Timestamp::UNIX_EPOCH, "Restarted", "k1", &own, because.into_iter());
        let cause = parse(&text, &own).expect("readable");
        assert_eq!(&*cause.key, "k1");
        let digests: Vec<_> = cause.sources.iter().map(|it| (it.source.clone(), it.digest)).collect();
        assert_eq!(digests, [(here, [1; 6]), (elsewhere, [2; 6])]);
    }

    #[test]
    fn the_longest_that_we_write_is_read_and_a_longer_one_is_not() {
        let own = Namespace::from("shop");
        let long = |text: &str| text.repeat(253);
        let source = SourceRef {
            namespace: Namespace::from(&*long("n")),
            kind: SourceKind::ConfigMap,
            name: Name::from(&*long("s")),
        };
        let keys = vec![Key::from(&*long("k")); 2 * NAMED];
        let text = |key: &str| {
            let because = (0..2 * NAMED).map(|_| CauseSource {
                source: &source,
                keys: &keys,
                digest: Some([1; 6]),
            });
            print(Timestamp::UNIX_EPOCH, "Restarted", key, &own, because)
        };
        assert!(parse(&text(&"k".repeat(KEY_BYTES)), &own).is_some());
        assert_eq!(parse(&text(&"k".repeat(KEY_BYTES + 1)), &own), None, "its key");
        let padded = format!("{}{}", text("k1"), " ".repeat(MAX_BYTES));
        assert_eq!(parse(&padded, &own), None, "all of it");
    }

    #[test]
    fn anything_else_says_nothing() {
        for text in [
            "",
            "{}",
            "{\"at\":\"2026-01-01T00:00:00Z\",\"reason\":\"Restarted\",\"sources\":[{\"kind\":\"ConfigMap\",\"name\":\"web\"}]}",
        ] {
            assert_eq!(parse(text, &Namespace::from("shop")), None, "{text}");
        }
    }
}
