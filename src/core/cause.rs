//! What a restart was for, as it stands on the pod template: for people, and for finding the others
//! that wait for the same change should this one fail.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::name::{Key, Name, Namespace, SourceKind, SourceRef};
use super::text::NAMED;

/// A digest of a whole source, the same for all workloads of an installation.
pub type WholeDigest = [u8; 6];

/// A source that changed, and what it was then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caused {
    /// Which one.
    pub source: SourceRef,
    /// Which content of it.
    pub digest: WholeDigest,
}

/// What a restart was for, as far as the rules ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The key that its digests are made with.
    pub key: Box<str>,
    /// The sources.
    pub sources: Box<[Caused]>,
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
pub struct Because<'a> {
    /// Which one.
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
    sources: impl Iterator<Item = Because<'a>>,
) -> String {
    let sources: Vec<_> = sources
        .take(NAMED)
        .map(|because| WireSource {
            kind: because.source.kind.word(),
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

/// Reads it. `None`: it names no content.
#[must_use]
pub fn parse(text: &str, own: &Namespace) -> Option<Box<Cause>> {
    let wire: Wire<'_> = serde_json::from_str(text).ok()?;
    let sources: Box<[Caused]> = wire
        .sources
        .iter()
        .take(NAMED)
        .filter_map(|source| {
            let kind = [SourceKind::ConfigMap, SourceKind::Secret]
                .into_iter()
                .find(|kind| kind.word() == source.kind)?;
            Some(Caused {
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
            key: wire.key.unwrap_or_default().into(),
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
            Because {
                source: &here,
                keys: &keys,
                digest: Some([1; 6]),
            },
            Because {
                source: &elsewhere,
                keys: &[],
                digest: Some([2; 6]),
            },
            Because {
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
