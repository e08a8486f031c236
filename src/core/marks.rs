//! What Reloader and Wave left on a workload, and whether they are still at work.
//!
//! To take a mark off is a rollout like any other edit of a pod template. So marks stay until a
//! restart is due anyway, and go in its patch.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::annotation::{CONFIG_DIGEST, reloader, wave};
use super::decide::mark_of;
use super::optin::Origin;

#[cfg(test)]
mod tests;

/// Marks on one workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks {
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

/// Of one mark: its name and value, wherever it stands.
type Print = [u8; 8];

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

/// Whether an environment variable is a mark.
#[must_use]
pub fn is_mark_variable(name: &str) -> bool {
    name.starts_with("STAKATER_") && (name.ends_with("_CONFIGMAP") || name.ends_with("_SECRET"))
}

impl Marks {
    /// Of a pod template and the annotations of its workload. `None`: there are none, or only what
    /// we wrote ourselves in their stead.
    #[must_use]
    pub fn of<'a>(template: &Value, workload: impl Fn(&str) -> Option<&'a str>) -> Option<Box<Self>> {
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
                    prints.push(print(reloader::LAST_RELOADED_FROM, text));
                    origin = Origin::Reloader;
                }
            }
        }
        let mut variables = Vec::new();
        for list in LISTS {
            let containers = template.get("spec").and_then(|spec| spec.get(list)?.as_array());
            for container in containers.into_iter().flatten() {
                let Some(named) = container.get("name").and_then(Value::as_str) else {
                    continue;
                };
                let found = container.get("env").and_then(Value::as_array);
                for variable in found.into_iter().flatten() {
                    let Some(name) = variable.get("name").and_then(Value::as_str) else {
                        continue;
                    };
                    if !is_mark_variable(name) {
                        continue;
                    }
                    let value = variable.get("value").and_then(Value::as_str);
                    prints.push(print(name, value.unwrap_or_default()));
                    origin = Origin::Reloader;
                    variables.push(Variable {
                        list,
                        container: named.into(),
                        name: name.into(),
                    });
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
        if annotations.is_empty() && variables.is_empty() && scheduler.is_none() {
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

    /// Whether one of these, seen after `before`, was written by somebody who is still at work. One
    /// that went proves nothing: its container may have gone.
    #[must_use]
    pub fn moved_since(&self, before: Option<&Self>) -> bool {
        let known = |print| before.is_some_and(|before| before.prints.binary_search(print).is_ok());
        !self.prints.iter().all(known)
    }
}

fn print(name: &str, value: &str) -> Print {
    let hash = Sha256::new()
        .chain_update(name)
        .chain_update([0])
        .chain_update(value)
        .finalize();
    std::array::from_fn(|at| hash.get(at).copied().unwrap_or(0))
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
        Some(hash) if mark_of(hash).is_some() => Writer::UsBefore,
        Some(_) | None => Writer::Another,
    }
}
