//! How a change gets into the files of running pods: which pods can take it, what their files have to
//! hold then, and what the answer of an agent proves.
//!
//! Follows the kubelet's reading of a pod: a whole volume follows its source, a `subPath` of one never
//! does (<https://kubernetes.io/docs/concepts/configuration/configmap/#mounted-configmaps-are-updated-automatically>).

use ::core::net::IpAddr;
use std::collections::BTreeMap;

use jiff::Timestamp;

use super::challenge::{Answer, AnswerKey, VolumeAnswer, VolumeState};
use crate::content::{Contents, ValueDigest};
use crate::types::name::{Key, Name, SourceKind, Uid};
use crate::types::text;
use crate::types::time::Second;
use crate::workload::reference::Use;

#[cfg(test)]
mod tests;

/// The container that is the agent where none declares its port.
pub const AGENT_CONTAINER: &str = "windlass-agent";

/// Pods whose trouble is told by name.
const PROBLEMS_NAMED: usize = 3;

/// The longest message of an application's that is passed on.
const MESSAGE_CHARS: usize = 200;

/// A running pod, as far as its files go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningPod {
    pub name: Box<str>,
    pub uid: Uid,
    pub created: Option<Second>,
    /// Whether its node is heard of.
    pub node_ready: bool,
    /// Where it is reached; `None`: it has no address yet.
    pub address: Option<IpAddr>,
    /// Whether that address is its node's.
    pub host_network: bool,
    /// Whether its volumes cannot all be read.
    pub unclear: bool,
    /// Its volumes that come from sources.
    pub volumes: Vec<Volume>,
    /// Its containers that run, native sidecars included.
    pub containers: Vec<Container>,
}

/// A volume, and what its files are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Its name in the pod.
    pub name: Box<str>,
    /// Of which sources it is made; more than one in a projected volume.
    pub parts: Vec<VolumePart>,
    /// Whether there is something else in it, such as a token.
    pub others: bool,
}

/// What of one source is in a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumePart {
    /// The source's kind.
    pub kind: SourceKind,
    pub name: Name,
    /// Keys and the paths of their files; `None`: each key is a file of its name.
    pub items: Option<Vec<(Key, Box<str>)>>,
}

/// A container, and where it has which volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    pub name: Box<str>,
    /// The ports that it declares.
    pub ports: Vec<u16>,
    /// Where it has which volume.
    pub mounts: Vec<Mount>,
}

/// A volume in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The volume's name.
    pub volume: Box<str>,
    pub path: Box<str>,
    /// Only a part of it, which never changes.
    pub sub_path: bool,
}

/// A source whose change is to be brought into files.
#[derive(Clone, Debug)]
pub struct ExpectedSource {
    /// What of it counts.
    pub used: Use,
    /// What it holds; `None`: it does not exist.
    pub contents: Option<Contents>,
}

impl ExpectedSource {
    fn is_in(&self, part: &VolumePart) -> bool {
        // Volumes are made of the pod's own namespace only.
        self.used.namespace.is_none() && part.kind == self.used.kind && part.name == self.used.name
    }

    /// The files of a part that have to be as they are: `None` for one that must not be there.
    fn files(&self, part: &VolumePart) -> BTreeMap<Box<str>, Option<ValueDigest>> {
        let value = |key: &Key| self.contents.as_ref().and_then(|contents| contents.get(key.as_str()));
        let Some(items) = &part.items else {
            let keys = self.contents.iter().flat_map(Contents::iter);
            let counted = keys.filter(|(key, _)| self.used.counts(key));
            return counted.map(|(key, digest)| (key.into(), Some(digest))).collect();
        };
        let counted = items.iter().filter(|(key, _)| self.used.counts(key.as_str()));
        counted.map(|(key, path)| (path.clone(), value(key))).collect()
    }
}

/// Whether a pod's files follow the sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileDelivery {
    /// Its kubelet writes them.
    Live,
    /// It has them through a `subPath` only: never.
    Never,
    /// It has none of them.
    Nothing,
    /// Nothing tells.
    Unclear,
}

/// Whether a pod's files follow any of the sources.
#[must_use]
pub fn file_delivery(pod: &RunningPod, wanted: &[ExpectedSource]) -> FileDelivery {
    if pod.unclear {
        return FileDelivery::Unclear;
    }
    let made_of_it = |volume: &&Volume| volume.parts.iter().any(|part| wanted.iter().any(|it| it.is_in(part)));
    let mut found = FileDelivery::Nothing;
    for volume in pod.volumes.iter().filter(made_of_it) {
        let mounts = pod.containers.iter().flat_map(|container| &container.mounts);
        for mount in mounts.filter(|mount| mount.volume == volume.name) {
            if !mount.sub_path {
                return FileDelivery::Live;
            }
            found = FileDelivery::Never;
        }
    }
    found
}

/// What the files of one volume have to hold, where the agent sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedVolume {
    /// Where the agent has the volume.
    pub path: Box<str>,
    /// By file; `None`: it must not be there.
    pub files: BTreeMap<Box<str>, Option<ValueDigest>>,
    /// Whether nothing else may be there, which is what tells that a key is gone.
    pub exact: bool,
}

/// What the agent of a pod has to show. An error says why it cannot show anything.
///
/// # Errors
/// There is no agent, or it does not have the volume.
pub fn expected(pod: &RunningPod, port: u16, wanted: &[ExpectedSource]) -> Result<Vec<ExpectedVolume>, String> {
    let agent = pod
        .containers
        .iter()
        .find(|container| container.ports.contains(&port))
        .or_else(|| {
            pod.containers
                .iter()
                .find(|container| &*container.name == AGENT_CONTAINER)
        })
        .ok_or_else(|| format!("no container declares port {port} or has the name {AGENT_CONTAINER}"))?;
    let mut found = Vec::new();
    for it in wanted {
        let volumes = pod
            .volumes
            .iter()
            .filter(|volume| volume.parts.iter().any(|part| it.is_in(part)));
        for volume in volumes.filter(|volume| pod.has(volume)) {
            let mount = agent
                .mounts
                .iter()
                .find(|mount| mount.volume == volume.name && !mount.sub_path);
            let mount = mount.ok_or_else(|| format!("the agent does not mount the volume {}", volume.name))?;
            let mut files = BTreeMap::new();
            for part in volume.parts.iter().filter(|part| it.is_in(part)) {
                files.extend(it.files(part));
            }
            if let Some(path) = files.keys().find(|path| path.contains('/')) {
                return Err(format!("cannot verify a file in a folder of a volume: {path}"));
            }
            // Of several sources, or of a choice of keys, what is there besides is somebody else's.
            let whole =
                !volume.others && volume.parts.len() == 1 && volume.parts.iter().all(|part| part.items.is_none());
            let exact = whole && it.used.key_subset().is_none();
            found.push(ExpectedVolume {
                path: mount.path.clone(),
                files,
                exact,
            });
        }
    }
    Ok(found)
}

impl RunningPod {
    /// Whether some container has the whole volume.
    fn has(&self, volume: &Volume) -> bool {
        let mut mounts = self.containers.iter().flat_map(|container| &container.mounts);
        mounts.any(|mount| mount.volume == volume.name && !mount.sub_path)
    }
}

/// What an agent's answer proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerVerdict {
    /// The files hold what they have to, and the application was told.
    Current,
    /// Not yet; in words.
    NotYet(String),
    /// They hold it, and the application does not take it, in its own words.
    Refused(String),
}

/// Judges an answer.
#[must_use]
pub fn judge(expected: &[ExpectedVolume], key: &AnswerKey, answer: &Answer) -> AnswerVerdict {
    for want in expected {
        let same = |volume: &&VolumeAnswer| trimmed(&volume.path) == trimmed(&want.path);
        let Some(volume) = answer.volumes.iter().find(same) else {
            return AnswerVerdict::NotYet(format!("the agent does not watch {} (flag --volume)", want.path));
        };
        if !holds(want, key, volume) {
            return AnswerVerdict::NotYet(format!("{} has older files", want.path));
        }
        let said = || volume.message.as_deref().map(clean).unwrap_or_default();
        match volume.state {
            VolumeState::Applied => {}
            VolumeState::Pending if volume.message.is_some() => {
                return AnswerVerdict::NotYet(format!("the application is not notified yet: {}", said()));
            }
            VolumeState::Pending => return AnswerVerdict::NotYet("the application is not notified yet".to_owned()),
            VolumeState::Refused => return AnswerVerdict::Refused(format!("rejected by validation: {}", said())),
            VolumeState::Failed => {
                return AnswerVerdict::Refused(format!("cannot notify the application: {}", said()));
            }
        }
    }
    AnswerVerdict::Current
}

fn holds(want: &ExpectedVolume, key: &AnswerKey, volume: &VolumeAnswer) -> bool {
    let as_wanted = |(file, digest): (&str, &Option<ValueDigest>)| {
        volume.files.get(file) == digest.as_ref().map(|digest| key.value(digest)).as_ref()
            && (digest.is_some() || !volume.unreadable.iter().any(|name| name == file))
    };
    let none_besides = || {
        let there = volume.files.keys().chain(&volume.unreadable);
        there.into_iter().all(|file| want.files.contains_key(&**file))
    };
    want.files.iter().map(|(file, digest)| (&**file, digest)).all(as_wanted) && (!want.exact || none_besides())
}

fn trimmed(path: &str) -> &str {
    path.trim_end_matches('/')
}

/// Words of an application for an Event: on one line, and without what a terminal would act on. Of many both
/// ends are kept: some programs begin with what is wrong, and others first tell what is right.
#[must_use]
pub fn clean(text: &str) -> String {
    let line = text::one_line(text);
    let chars = line.chars().count();
    if chars <= MESSAGE_CHARS {
        return line;
    }
    let half = (MESSAGE_CHARS - 1) / 2;
    let head = line.chars().take(half);
    let tail = line.chars().skip(chars - half);
    head.chain(['…']).chain(tail).collect()
}

/// How far a change has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropagationProgress {
    /// Which change: when it was left to the kubelet.
    pub since: Timestamp,
    /// Pods that have to take it.
    pub pods: usize,
    /// Of these, the ones that have, as far as can be known.
    pub done: usize,
    /// What is the matter with all of them.
    pub trouble: Option<String>,
    /// What is the matter with the others, as far as anything is; sorted by name.
    pub problems: Vec<PodProblem>,
    /// Whether nothing more is to be done.
    pub complete: bool,
}

/// What keeps one pod from running new content.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PodProblem {
    pub pod: Box<str>,
    /// In words.
    pub why: String,
}

impl PropagationProgress {
    /// `7/10 pods`, and what is the matter with the others.
    #[must_use]
    pub fn describe(&self) -> String {
        let count = format!("{}/{} pods", self.done, self.pods);
        match &self.trouble {
            Some(trouble) if self.pods == 0 => return trouble.clone(),
            Some(trouble) => return format!("{count}; {trouble}"),
            None => {}
        }
        if self.problems.is_empty() {
            return count;
        }
        let named = self.problems.iter().take(PROBLEMS_NAMED);
        let mut listed: Vec<String> = named.map(|PodProblem { pod, why }| format!("{pod}: {why}")).collect();
        if self.problems.len() > PROBLEMS_NAMED {
            listed.push(format!("and {} more", self.problems.len() - PROBLEMS_NAMED));
        }
        format!("{count}; {}", text::joined(&listed))
    }
}
