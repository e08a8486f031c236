//! A simulated Deployment with its controller, its `ReplicaSet`s and their pods, as far as they
//! matter to us: <https://github.com/kubernetes/kubernetes/tree/master/pkg/controller/deployment>.

use std::collections::BTreeMap;

use windlass_core::annotation;
use windlass_core::types::name::{SourceRef, WorkloadRef};

use super::checks::Ours;
use super::cluster::{Cluster, Content, Millis};

pub const DEPLOYMENT_REVISION: &str = "deployment.kubernetes.io/revision";

/// Content that keeps a pod from becoming ready.
pub fn is_bad(content: Content) -> bool {
    content.iter().any(|value| value % 7 == 6)
}

/// A source that pods read when they start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    pub source: SourceRef,
    /// One of its keys; `None`: all.
    pub key: Option<usize>,
    pub optional: bool,
}

impl Use {
    /// What of a content is used.
    pub fn part(&self, content: Option<Content>) -> Option<Vec<u64>> {
        let content = content?;
        Some(match self.key {
            Some(key) => vec![content[key]],
            None => content.to_vec(),
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pub image: u64,
    pub annotations: BTreeMap<String, String>,
    pub uses: Vec<Use>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    pub observed_generation: u64,
    pub replicas: usize,
    pub updated: usize,
    pub available: usize,
    pub reason: &'static str,
}

#[derive(Clone, Debug)]
pub struct ReplicaSet {
    pub uid: u64,
    pub revision: u64,
    pub template: Template,
    pub created: Millis,
    pub annotations: BTreeMap<String, String>,
    want: usize,
}

#[derive(Clone, Debug)]
pub struct Pod {
    pub uid: u64,
    pub set: u64,
    start_at: Millis,
    pub started: Option<Millis>,
    /// How often it did.
    pub starts: usize,
    /// What was there when it started: version and content.
    pub read: Vec<(Use, u64, Option<Content>)>,
    ready_at: Option<Millis>,
    pub ready: bool,
}

#[derive(Clone, Debug)]
pub struct Deployment {
    pub reference: WorkloadRef,
    pub uid: u64,
    pub version: u64,
    pub generation: u64,
    pub created: Millis,
    pub tier: u64,
    pub annotations: BTreeMap<String, String>,
    pub replicas: usize,
    pub template: Template,
    /// Its pods never become ready, whatever they read.
    pub broken: bool,
    pub progress_deadline: Millis,
    pub sets: Vec<ReplicaSet>,
    pub pods: Vec<Pod>,
    pub status: Status,
    progress_at: Millis,
    sync_at: Option<Millis>,
    /// For the checks.
    pub ours: Ours,
}

impl Deployment {
    pub fn new(reference: WorkloadRef, replicas: usize, uses: Vec<Use>) -> Self {
        Self {
            reference,
            uid: 0,
            version: 0,
            generation: 1,
            created: 0,
            tier: 0,
            annotations: [(annotation::ENABLED.to_owned(), "true".to_owned())].into(),
            replicas,
            template: Template {
                image: 1,
                annotations: BTreeMap::new(),
                uses,
            },
            broken: false,
            progress_deadline: 600_000,
            sets: Vec::new(),
            pods: Vec::new(),
            status: Status::default(),
            progress_at: 0,
            sync_at: None,
            ours: Ours::default(),
        }
    }

    pub fn words(&self) -> String {
        let uses = self.template.uses.iter();
        let uses: Vec<String> = uses
            .map(|it| format!("{}{:?}{}", it.source.name, it.key, if it.optional { "?" } else { "" }))
            .collect();
        let Self {
            reference,
            tier,
            replicas,
            ..
        } = self;
        format!(
            "{}/{} tier {tier} x{replicas} {uses:?}",
            reference.namespace, reference.name
        )
    }

    pub fn spec(&self) -> (usize, Template) {
        (self.replicas, self.template.clone())
    }

    pub fn look_at(&mut self, at: Millis) {
        self.sync_at = Some(self.sync_at.map_or(at, |known| known.min(at)));
    }

    /// When its controller or one of its pods has something to do.
    pub fn due(&self) -> Option<Millis> {
        let of_pod = |pod: &Pod| match pod.started {
            None => Some(pod.start_at),
            Some(_) => pod.ready_at.filter(|_| !pod.ready),
        };
        self.pods.iter().filter_map(of_pod).chain(self.sync_at).min()
    }

    pub fn revision(&self) -> u64 {
        let text = self.annotations.get(DEPLOYMENT_REVISION);
        text.and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    pub fn is_complete(&self) -> bool {
        let status = &self.status;
        status.observed_generation >= self.generation
            && status.updated == self.replicas
            && status.replicas == self.replicas
            && status.reason == "NewReplicaSetAvailable"
    }

    pub fn has_failed(&self) -> bool {
        self.status.reason == "ProgressDeadlineExceeded" && self.status.observed_generation >= self.generation
    }

    /// The template before the present one comes back, with what was annotated then.
    pub fn undo(&mut self) -> bool {
        let present = self.revision();
        let before = self.sets.iter().filter(|set| set.revision < present);
        let Some(set) = before.max_by_key(|set| set.revision).cloned() else {
            return false;
        };
        let revision = self.annotations.remove(DEPLOYMENT_REVISION);
        self.annotations = set.annotations;
        self.annotations
            .extend(revision.map(|revision| (DEPLOYMENT_REVISION.to_owned(), revision)));
        self.template = set.template;
        true
    }

    /// A container starts anew and reads what is there.
    pub fn crash(&mut self, at: usize, now: Millis) {
        let running = self.pods.iter_mut().filter(|pod| pod.started.is_some());
        if let Some(pod) = running.into_iter().nth(at) {
            (pod.started, pod.ready, pod.ready_at, pod.start_at) = (None, false, None, now + 200);
            pod.read.clear();
        }
    }

    pub fn evict(&mut self, at: usize, now: Millis) {
        if at < self.pods.len() {
            self.pods.remove(at);
            self.look_at(now + 20);
        }
    }

    // ---- what its controllers do ----------------------------------------------------------------

    pub fn step(&mut self, cluster: &mut Cluster) {
        let now = cluster.now;
        self.run_pods(cluster);
        self.sync_at = None;
        if self.note_revision(cluster) {
            // What it counts is written with the next look.
            let soon = now + cluster.rng.between(1, 60);
            return self.look_at(soon);
        }
        let moved = self.scale(cluster) | self.reconcile_pods(cluster);
        self.note_status(cluster);
        if moved || self.status.observed_generation < self.generation {
            let soon = now + cluster.rng.between(20, 300);
            self.look_at(soon);
        } else if !self.is_complete() && !self.has_failed() {
            self.look_at((self.progress_at + self.progress_deadline).max(now + 1000));
        }
    }

    fn run_pods(&mut self, cluster: &mut Cluster) {
        let now = cluster.now;
        let name = self.reference.name.clone();
        for pod in &mut self.pods {
            let Some(set) = self.sets.iter().find(|set| set.uid == pod.set) else {
                continue;
            };
            if pod.started.is_none() && pod.start_at <= now {
                let read: Vec<_> = set
                    .template
                    .uses
                    .iter()
                    .map(|used| match cluster.sources.get(&used.source) {
                        Some(source) => (used.clone(), source.version, Some(source.content)),
                        None => (used.clone(), cluster.version, None),
                    })
                    .collect();
                if read
                    .iter()
                    .any(|(used, _, content)| content.is_none() && !used.optional)
                {
                    // It will start when something else has changed since, perhaps.
                    pod.start_at = now + 5000;
                    self.ours.restless = Some(now);
                    continue;
                }
                pod.started = Some(now);
                pod.starts += 1;
                let parts: Vec<_> = read.iter().map(|(used, _, content)| used.part(*content)).collect();
                pod.read = read;
                cluster.say(format_args!("{name}: pod {} starts with {parts:?}", pod.uid));
            }
            let read_bad = pod.read.iter().filter_map(|(_, _, content)| *content).any(is_bad);
            let fine = !self.broken && (cluster.healed || !read_bad);
            if pod.started.is_some() && !pod.ready && pod.ready_at.is_none() && fine {
                pod.ready_at = Some(now + cluster.rng.between(50, 6000));
            }
            if !pod.ready && pod.ready_at.is_some_and(|at| at <= now) {
                pod.ready = true;
            }
        }
    }

    /// Finds or makes the `ReplicaSet` of the template. Gives whether its number is news.
    fn note_revision(&mut self, cluster: &mut Cluster) -> bool {
        let newest = self.sets.iter().map(|set| set.revision).max().unwrap_or(0);
        let mut kept = self.annotations.clone();
        kept.remove(DEPLOYMENT_REVISION);
        if !self.sets.iter().any(|set| set.template == self.template) {
            self.sets.push(ReplicaSet {
                uid: cluster.next_uid(),
                revision: newest + 1,
                template: self.template.clone(),
                created: cluster.now,
                annotations: BTreeMap::new(),
                want: 0,
            });
        }
        let Some(set) = self.sets.iter_mut().find(|set| set.template == self.template) else {
            return false;
        };
        if set.revision < newest {
            set.revision = newest + 1;
        }
        set.annotations = kept;
        let (uid, revision) = (set.uid, set.revision);
        let in_use = |set: &ReplicaSet| set.uid == uid || set.want > 0 || set.revision + 10 > revision;
        self.sets.retain(in_use);
        let known = self
            .annotations
            .insert(DEPLOYMENT_REVISION.to_owned(), revision.to_string());
        let news = known.is_none_or(|known| known != revision.to_string());
        if news {
            self.status.reason = "NewReplicaSetCreated";
            self.progress_at = cluster.now;
            cluster.say(format_args!("{} is at revision {revision}", self.reference.name));
        }
        news
    }

    fn ready_of(&self, set: u64) -> usize {
        self.pods.iter().filter(|pod| pod.set == set && pod.ready).count()
    }

    /// One more than wanted at most, and never fewer that are ready.
    fn scale(&mut self, _cluster: &mut Cluster) -> bool {
        let replicas = self.replicas;
        let total: usize = self.sets.iter().map(|set| set.want).sum();
        let Some(at) = self.sets.iter().position(|set| set.template == self.template) else {
            return false;
        };
        let newest = &self.sets[at];
        let (uid, want) = (newest.uid, newest.want);
        let room = (replicas + 1).saturating_sub(total);
        let grown = if want > replicas {
            replicas
        } else {
            (want + room).min(replicas)
        };
        let unready = want.saturating_sub(self.ready_of(uid));
        let mut surplus = total.saturating_sub(replicas).saturating_sub(unready);
        let mut moved = grown != want;
        self.sets[at].want = grown;
        for set in self.sets.iter_mut().filter(|set| set.uid != uid && set.want > 0) {
            let less = if replicas == 0 { set.want } else { surplus.min(set.want) };
            surplus = surplus.saturating_sub(less);
            set.want -= less;
            moved |= less > 0;
        }
        moved
    }

    fn reconcile_pods(&mut self, cluster: &mut Cluster) -> bool {
        let mut moved = false;
        for set in &self.sets {
            let mut have = self.pods.iter().filter(|pod| pod.set == set.uid).count();
            while have < set.want {
                self.pods.push(Pod {
                    uid: cluster.next_uid(),
                    set: set.uid,
                    start_at: cluster.now + cluster.rng.between(20, 1500),
                    started: None,
                    starts: 0,
                    read: Vec::new(),
                    ready_at: None,
                    ready: false,
                });
                have += 1;
                moved = true;
            }
            while have > set.want {
                let unready = self.pods.iter().position(|pod| pod.set == set.uid && !pod.ready);
                let last = || self.pods.iter().rposition(|pod| pod.set == set.uid);
                let Some(at) = unready.or_else(last) else { break };
                self.pods.remove(at);
                have -= 1;
                moved = true;
            }
        }
        moved
    }

    fn note_status(&mut self, cluster: &mut Cluster) {
        let uid = self
            .sets
            .iter()
            .find(|set| set.template == self.template)
            .map(|set| set.uid);
        let updated = self.pods.iter().filter(|pod| Some(pod.set) == uid).count();
        let mut status = Status {
            observed_generation: self.generation,
            replicas: self.pods.len(),
            updated,
            available: self.pods.iter().filter(|pod| pod.ready).count(),
            reason: self.status.reason,
        };
        let all = updated == self.replicas && self.pods.len() == updated && status.available >= self.replicas;
        let progress = (status.replicas, status.updated) != (self.status.replicas, self.status.updated)
            || status.available > self.status.available;
        if all {
            status.reason = "NewReplicaSetAvailable";
        } else if status.reason == "NewReplicaSetAvailable" {
            // A pod that is replaced later does not open the rollout again.
        } else if progress {
            status.reason = "ReplicaSetUpdated";
            self.progress_at = cluster.now;
        } else if cluster.now >= self.progress_at + self.progress_deadline {
            status.reason = "ProgressDeadlineExceeded";
        }
        if status.reason != self.status.reason {
            cluster.say(format_args!("{}: {}", self.reference.name, status.reason));
        }
        self.status = status;
        if self.is_complete() {
            if std::mem::take(&mut self.ours.rolling) {
                self.ours.complete_since = Some(cluster.now);
            }
            self.ours.displaced = None;
        }
        self.ours.failed |= self.has_failed();
    }
}
