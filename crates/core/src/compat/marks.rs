//! What Reloader and Wave left on a workload, and whether they are still at work.
//!
//! To take a mark off is a rollout like any other edit of a pod template. So marks stay until a
//! restart is due anyway, and go in its patch.

use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::annotation::{CONFIG_DIGEST, reloader, wave};
use crate::content::digest::digest_prefix;
use crate::types::name::{SourceKind, SourceRef};
use crate::workload::opt_in::{OptIn, Origin};
use crate::workload::reference::Use;

#[cfg(test)]
mod tests;

/// Marks on one workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControllerMarks {
    /// Annotations of the template.
    pub annotations: Box<[&'static str]>,
    /// Environment variables of its containers.
    pub variables: Box<[Variable]>,
    /// The scheduler that its pods were meant for, where Wave put one that does not exist. Empty:
    /// the default one.
    pub scheduler: Option<Box<str>>,
    /// Whose they are.
    pub origin: Origin,
    /// Tells each from what it was before, sorted.
    prints: Box<[Print]>,
}

/// Another controller that may be at work on a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompetingController {
    pub origin: Origin,
    /// Its marks that were news.
    pub marks: Vec<MarkPrint>,
}

/// A mark's name and value.
pub type MarkPrint = [u8; 8];

/// How many marks of a rival are kept: more than a workload has of one change.
const RIVALS_MARKS: usize = 64;

impl CompetingController {
    /// It wrote these as well.
    pub fn add(&mut self, other: Self) {
        self.origin = other.origin;
        for mark in other.marks {
            if self.marks.len() < RIVALS_MARKS && !self.marks.contains(&mark) {
                self.marks.push(mark);
            }
        }
    }
}

/// One mark, wherever it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Print {
    /// Of its name and value.
    hash: MarkPrint,
    /// When it was written by its own account, in seconds since 1970.
    at: Option<i64>,
}

/// A mark as baselines keep it, keyed: a plain hash would let people test guesses of what is in a Secret.
pub type MarkLabel = [u8; 4];

/// A mark that is older than the baseline by more than clocks differ was not written since.
const CLOCKS_DIFFER: i64 = 60;

/// An environment variable that Reloader put into a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// `containers` or `initContainers`.
    pub list: &'static str,
    /// The container's name.
    pub container: Box<str>,
    /// The variable's name.
    pub name: Box<str>,
}

const LISTS: [&str; 2] = ["containers", "initContainers"];

/// Whether a template's annotation is a mark.
#[must_use]
pub fn is_mark(annotation: &str) -> bool {
    annotation == reloader::LAST_RELOADED_FROM || annotation == wave::CONFIG_HASH
}

/// The sources of which Reloader may have left a variable: those that a template reads, and those that its
/// workload's annotations name.
#[derive(Clone, Copy, Debug)]
pub struct NamedSources<'a> {
    /// What the template reads.
    pub uses: &'a [Use],
    /// What the annotations name.
    pub opt_in: Option<&'a OptIn>,
}

#[cfg(test)]
impl NamedSources<'static> {
    /// Any source.
    pub(crate) fn any() -> Self {
        static OPT_IN: std::sync::LazyLock<OptIn> = std::sync::LazyLock::new(|| {
            let selection = || crate::workload::opt_in::Selection {
                named: crate::workload::pattern::Pattern::expression(".*")
                    .into_iter()
                    .collect(),
                ..Default::default()
            };
            OptIn {
                configmaps: selection(),
                secrets: selection(),
                ..OptIn::default()
            }
        });
        Self {
            uses: &[],
            opt_in: Some(&OPT_IN),
        }
    }
}

impl NamedSources<'_> {
    /// Whether Reloader wrote this item of a container's environment: of the name of such a source, and with a
    /// SHA-1 as its value. All else is the application's own.
    #[must_use]
    pub fn is_mark(&self, item: &Value) -> bool {
        let text = |field: &str| item.get(field).and_then(Value::as_str);
        let from_elsewhere = item.get("valueFrom").is_some_and(|from| !from.is_null());
        let (Some(name), Some(value)) = (text("name"), text("value")) else {
            return false;
        };
        !from_elsewhere && is_sha1(value) && source_of(name).is_some_and(|(kind, called)| self.has(kind, called))
    }

    fn has(&self, kind: SourceKind, called: &str) -> bool {
        let mut uses = self.uses.iter();
        let patterns = self.opt_in.map_or(&[][..], |opt_in| &opt_in.selection(kind).named);
        uses.any(|used| used.kind == kind && variable_part(used.name.as_str()) == called)
            // An expression may have named any.
            || patterns
                .iter()
                .any(|pattern| pattern.name().is_none_or(|name| variable_part(name.as_str()) == called))
    }
}

fn is_sha1(value: &str) -> bool {
    value.len() == 40 && value.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c))
}

/// What Reloader calls the source of a variable of that name.
fn source_of(variable: &str) -> Option<(SourceKind, &str)> {
    let rest = variable.strip_prefix("STAKATER_")?;
    let of = |kind, suffix| Some((kind, rest.strip_suffix(suffix)?));
    of(SourceKind::ConfigMap, "_CONFIGMAP").or_else(|| of(SourceKind::Secret, "_SECRET"))
}

/// How Reloader calls a source within a variable's name: `web-1.conf` is `WEB_1_CONF`.
fn variable_part(source: &str) -> String {
    let mut part = String::with_capacity(source.len());
    let mut valid = false;
    for c in source.chars() {
        if c.is_ascii_alphanumeric() {
            part.push(c.to_ascii_uppercase());
            valid = true;
        } else {
            if valid {
                part.push('_');
            }
            valid = false;
        }
    }
    part
}

impl ControllerMarks {
    /// Of a pod template and the annotations of its workload. `None`: there are none, or only what
    /// we wrote ourselves in their stead.
    #[must_use]
    pub fn of<'a>(
        template: &Value,
        workload: impl Fn(&str) -> Option<&'a str>,
        named: NamedSources<'_>,
    ) -> Option<Box<Self>> {
        let annotation = |name: &str| template.pointer("/metadata/annotations")?.get(name)?.as_str();
        let mut annotations = Vec::new();
        let mut prints = Vec::new();
        let mut origin = Origin::Windlass;
        if let Some(text) = annotation(reloader::LAST_RELOADED_FROM) {
            match writer(text, annotation(CONFIG_DIGEST)) {
                Writer::Us => {}
                // Our own that was not written anew: the workload asks in other words by now.
                Writer::UsBefore => annotations.push(reloader::LAST_RELOADED_FROM),
                Writer::Another => {
                    annotations.push(reloader::LAST_RELOADED_FROM);
                    prints.push(Print {
                        at: observed_at(text),
                        ..print(reloader::LAST_RELOADED_FROM, text)
                    });
                    origin = Origin::Reloader;
                }
            }
        }
        let mut variables = Vec::new();
        for list in LISTS {
            let containers = template.get("spec").and_then(|spec| spec.get(list)?.as_array());
            for container in containers.into_iter().flatten() {
                let Some(container_name) = container.get("name").and_then(Value::as_str) else {
                    continue;
                };
                let env = container.get("env").and_then(Value::as_array);
                let env = env.map_or(&[][..], Vec::as_slice);
                let text = |item: &'_ Value, field: &str| item.get(field).and_then(Value::as_str).map(str::to_owned);
                for item in env.iter().filter(|item| named.is_mark(item)) {
                    let (Some(name), Some(value)) = (text(item, "name"), text(item, "value")) else {
                        continue;
                    };
                    prints.push(print(&name, &value));
                    origin = Origin::Reloader;
                    // Variables go by name: one of the application that has the same would go with it.
                    let shares_name =
                        |other: &Value| text(other, "name").as_ref() == Some(&name) && !named.is_mark(other);
                    if !env.iter().any(shares_name) {
                        variables.push(Variable {
                            list,
                            container: container_name.into(),
                            name: name.into(),
                        });
                    }
                }
            }
        }
        if let Some(text) = annotation(wave::CONFIG_HASH) {
            annotations.push(wave::CONFIG_HASH);
            prints.push(print(wave::CONFIG_HASH, text));
            origin = Origin::Wave;
        }
        let unscheduled = template.pointer("/spec/schedulerName").and_then(Value::as_str) == Some(wave::NO_SCHEDULER);
        let scheduler = unscheduled.then(|| workload(wave::SCHEDULING_DISABLED).unwrap_or_default().into());
        if scheduler.is_some() {
            origin = Origin::Wave;
        }
        if annotations.is_empty() && prints.is_empty() && scheduler.is_none() {
            return None;
        }
        prints.sort_unstable();
        Some(Box::new(Self {
            annotations: annotations.into(),
            variables: variables.into(),
            scheduler,
            origin,
            prints: prints.into(),
        }))
    }

    /// The same with no variables but those of sources that count for the workload or that its template reads:
    /// an expression in its annotations names no other.
    #[must_use]
    pub fn of_sources<'a>(&self, sources: impl Iterator<Item = &'a SourceRef> + Clone, uses: &[Use]) -> Self {
        let is = |variable: &&Variable| {
            source_of(&variable.name).is_some_and(|(kind, called)| {
                let counts = |source: &SourceRef| source.kind == kind && variable_part(source.name.as_str()) == called;
                sources.clone().any(counts) || NamedSources { uses, opt_in: None }.has(kind, called)
            })
        };
        Self {
            variables: self.variables.iter().filter(is).cloned().collect(),
            ..self.clone()
        }
    }

    /// Whether one of these was not there in `before`. One that went says nothing: its container may have gone.
    #[must_use]
    pub fn moved_since(&self, before: Option<&Self>) -> bool {
        let known = |print| before.is_some_and(|before| before.prints.binary_search(print).is_ok());
        !self.prints.iter().all(known)
    }

    /// Those of these, seen after `before`, that may have been written by somebody who is at work. One that says of
    /// itself that it is older than what was there before it, or than our last word on the workload, was brought back
    /// by an undo or an old manifest.
    #[must_use]
    pub fn news(&self, before: Option<&Self>, our_last_word: Option<Timestamp>) -> Option<CompetingController> {
        let newest = before.and_then(|before| before.prints.iter().filter_map(|print| print.at).max());
        let ours = our_last_word.map(|at| at.as_second().saturating_sub(CLOCKS_DIFFER));
        let is_old = |print: &Print| {
            print
                .at
                .is_some_and(|at| newest.max(ours).is_some_and(|known| at < known))
        };
        let known = |print: &Print| before.is_some_and(|before| before.prints.binary_search(print).is_ok());
        let news = self.prints.iter().filter(|print| !known(print) && !is_old(print));
        let marks: Vec<MarkPrint> = news.map(|print| print.hash).collect();
        (!marks.is_empty()).then_some(CompetingController {
            origin: self.origin,
            marks,
        })
    }

    pub fn prints(&self) -> impl Iterator<Item = &MarkPrint> {
        self.prints.iter().map(|print| &print.hash)
    }
}

/// When Reloader wrote its annotation, as it says.
fn observed_at(text: &str) -> Option<i64> {
    let mark: Value = serde_json::from_str(text).ok()?;
    mark.get("observedAt")?.as_i64()
}

fn print(name: &str, value: &str) -> Print {
    let hash = Sha256::new()
        .chain_update(name)
        .chain_update([0])
        .chain_update(value)
        .finalize();
    Print {
        hash: std::array::from_fn(|at| hash.get(at).copied().unwrap_or(0)),
        at: None,
    }
}

/// Who wrote Reloader's mark.
enum Writer {
    /// We did with the last restart: its hash is our digest.
    Us,
    /// We did with an earlier one.
    UsBefore,
    /// Somebody else.
    Another,
}

fn writer(text: &str, digest: Option<&str>) -> Writer {
    let mark: Option<Value> = serde_json::from_str(text).ok();
    let hash = mark.as_ref().and_then(|mark| mark.get("hash")?.as_str());
    match hash {
        Some(hash) if Some(hash) == digest => Writer::Us,
        // Of the form of our digests, which Reloader's never have.
        Some(hash) if digest_prefix(hash).is_some() => Writer::UsBefore,
        Some(_) | None => Writer::Another,
    }
}
