//! The simulated cluster: objects, their versions, and the events that tell of them. No async and no
//! clock; whoever calls says what time it is.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use windlass_core::annotation;
use windlass_core::policy::PolicyRef;
use windlass_core::types::name::{SourceKind, SourceRef, WorkloadRef};

use super::deployment::Deployment;
use super::policies::Rules;
use super::rng::Rng;

/// Milliseconds since the history began.
pub type Millis = u64;

/// Midnight of a Monday, UTC.
const BEGIN: i64 = 1_772_409_600;

/// Two keys of a source.
pub type Content = [u64; 2];

/// What a watch brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stream {
    ConfigMaps,
    Secrets,
    Deployments,
    Policies,
    ClusterPolicies,
    Namespaces,
}

pub const STREAMS: [Stream; 6] = [
    Stream::ConfigMaps,
    Stream::Secrets,
    Stream::Deployments,
    Stream::Policies,
    Stream::ClusterPolicies,
    Stream::Namespaces,
];

/// What an event tells, for the checks.
#[derive(Clone, Debug)]
pub enum Fact {
    Source(SourceRef, Option<Seen>),
    Workload(WorkloadRef, bool),
    Policy(PolicyRef, Option<Arc<Rules>>),
    Namespace,
}

/// One version of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub version: u64,
    pub content: Content,
}

/// One event of a watch.
#[derive(Clone, Debug)]
pub struct Event {
    pub version: u64,
    pub gone: bool,
    pub object: Arc<str>,
    pub fact: Fact,
}

/// A `ConfigMap` or a Secret.
#[derive(Clone, Debug)]
pub struct Source {
    pub uid: u64,
    pub version: u64,
    pub content: Content,
    pub written: Millis,
}

/// All of it.
pub struct Cluster {
    pub rng: Rng,
    pub now: Millis,
    pub version: u64,
    uids: u64,
    pub sources: BTreeMap<SourceRef, Source>,
    pub deployments: BTreeMap<WorkloadRef, Deployment>,
    pub policies: BTreeMap<PolicyRef, (u64, Arc<Rules>)>,
    pub log: BTreeMap<Stream, Vec<Event>>,
    /// Content that keeps pods from becoming ready does so no more.
    pub healed: bool,
    /// What happened, for people.
    pub trace: Vec<String>,
}

/// The time that the cluster's own clocks show.
pub fn wall(now: Millis) -> Timestamp {
    let now = i64::try_from(now).expect("a few days");
    Timestamp::from_millisecond(BEGIN * 1000 + now).expect("a time of this century")
}

/// As it stands in objects: whole seconds.
pub fn printed(now: Millis) -> String {
    format!("{:.0}", Timestamp::from_second(wall(now).as_second()).expect("a time"))
}

impl Cluster {
    pub fn new(seed: u64) -> Self {
        let mut cluster = Self {
            rng: Rng::new(seed),
            now: 0,
            version: 100,
            uids: 0,
            sources: BTreeMap::new(),
            deployments: BTreeMap::new(),
            policies: BTreeMap::new(),
            log: STREAMS.map(|stream| (stream, Vec::new())).into(),
            healed: false,
            trace: Vec::new(),
        };
        for namespace in super::history::NAMESPACES {
            let version = cluster.next_version();
            let object = json!({ "metadata": { "name": namespace, "resourceVersion": version.to_string() } });
            cluster.tell(Stream::Namespaces, version, false, &object, Fact::Namespace);
        }
        cluster
    }

    pub fn say(&mut self, text: std::fmt::Arguments<'_>) {
        let mut line = String::new();
        let (seconds, millis) = (self.now / 1000, self.now % 1000);
        let _ = write!(line, "{seconds:6}.{millis:03} {text}");
        self.trace.push(line);
    }

    pub fn next_version(&mut self) -> u64 {
        self.version += 1;
        self.version
    }

    pub fn next_uid(&mut self) -> u64 {
        self.uids += 1;
        self.uids
    }

    fn tell(&mut self, stream: Stream, version: u64, gone: bool, object: &Value, fact: Fact) {
        let event = Event {
            version,
            gone,
            object: object.to_string().into(),
            fact,
        };
        self.log.entry(stream).or_default().push(event);
    }

    // ---- sources --------------------------------------------------------------------------------

    /// Writes a source; the same content again is no write.
    pub fn write_source(&mut self, reference: &SourceRef, content: Content) {
        let known = self.sources.get(reference);
        if known.is_some_and(|known| known.content == content) {
            return;
        }
        let uid = match known {
            Some(known) => known.uid,
            None => self.next_uid(),
        };
        let version = self.next_version();
        let source = Source {
            uid,
            version,
            content,
            written: self.now,
        };
        self.sources.insert(reference.clone(), source);
        self.say(format_args!("{reference} of {} holds {content:?}", reference.namespace));
        self.tell_source(reference, version, false);
    }

    pub fn delete_source(&mut self, reference: &SourceRef) {
        if self.sources.contains_key(reference) {
            let version = self.next_version();
            self.say(format_args!("{reference} of {} is deleted", reference.namespace));
            self.tell_source(reference, version, true);
            self.sources.remove(reference);
        }
    }

    fn tell_source(&mut self, reference: &SourceRef, version: u64, gone: bool) {
        let Some(source) = self.sources.get(reference) else {
            return;
        };
        let mut object = source_object(reference, source, version);
        let (stream, seen) = match reference.kind {
            SourceKind::ConfigMap => (Stream::ConfigMaps, true),
            SourceKind::Secret => {
                // Only its metadata is watched.
                object["data"].take();
                (Stream::Secrets, gone)
            }
        };
        let content = source.content;
        let seen = seen.then_some(Seen { version, content }).filter(|_| !gone);
        self.tell(stream, version, gone, &object, Fact::Source(reference.clone(), seen));
    }

    /// A source as it is read.
    pub fn read_source(&self, reference: &SourceRef) -> Option<(Value, Seen)> {
        let source = self.sources.get(reference)?;
        let seen = Seen {
            version: source.version,
            content: source.content,
        };
        Some((source_object(reference, source, source.version), seen))
    }

    // ---- policies -------------------------------------------------------------------------------

    pub fn write_policy(&mut self, reference: &PolicyRef, rules: Rules) {
        let version = self.next_version();
        let rules = Arc::new(rules);
        self.say(format_args!("{reference} says {rules:?}"));
        self.policies.insert(reference.clone(), (version, rules));
        self.tell_policy(reference, version, false);
    }

    pub fn delete_policy(&mut self, reference: &PolicyRef) {
        if self.policies.contains_key(reference) {
            let version = self.next_version();
            self.say(format_args!("{reference} is deleted"));
            self.tell_policy(reference, version, true);
            self.policies.remove(reference);
        }
    }

    fn tell_policy(&mut self, reference: &PolicyRef, version: u64, gone: bool) {
        let Some((_, rules)) = self.policies.get(reference) else {
            return;
        };
        let object = rules.object(reference, version);
        let rules = Some(rules.clone()).filter(|_| !gone);
        let stream = match reference.namespace {
            Some(_) => Stream::Policies,
            None => Stream::ClusterPolicies,
        };
        self.tell(stream, version, gone, &object, Fact::Policy(reference.clone(), rules));
    }

    // ---- workloads ------------------------------------------------------------------------------

    /// Changes a Deployment, or nothing: then there is no new version. Its controller will look.
    pub fn change(&mut self, reference: &WorkloadRef, change: impl FnOnce(&mut Deployment, Millis)) {
        let (now, version) = (self.now, self.version + 1);
        let delay = self.rng.between(5, 300);
        let Some(deployment) = self.deployments.get_mut(reference) else {
            return;
        };
        let before = (
            deployment.spec(),
            deployment.annotations.clone(),
            deployment.status.clone(),
        );
        change(deployment, now);
        if deployment.spec() != before.0 {
            deployment.generation += 1;
        } else if deployment.annotations == before.1 && deployment.status == before.2 {
            return;
        }
        deployment.version = version;
        deployment.look_at(now + delay);
        self.version = version;
        self.tell_deployment(reference, version, false);
    }

    pub fn create(&mut self, mut deployment: Deployment) {
        deployment.uid = self.next_uid();
        deployment.version = self.next_version();
        deployment.created = self.now;
        deployment.look_at(self.now + 50);
        let (reference, version) = (deployment.reference.clone(), deployment.version);
        self.say(format_args!("{} is created", deployment.words()));
        self.deployments.insert(reference.clone(), deployment);
        self.tell_deployment(&reference, version, false);
    }

    pub fn delete(&mut self, reference: &WorkloadRef) {
        if self.deployments.contains_key(reference) {
            let version = self.next_version();
            self.say(format_args!("{} of {} is deleted", reference.name, reference.namespace));
            self.tell_deployment(reference, version, true);
            self.deployments.remove(reference);
        }
    }

    fn tell_deployment(&mut self, reference: &WorkloadRef, version: u64, gone: bool) {
        let Some(deployment) = self.deployments.get(reference) else {
            return;
        };
        let mut object = deployment.object();
        object["metadata"]["resourceVersion"] = version.to_string().into();
        let fact = Fact::Workload(reference.clone(), deployment.has_failed() && !gone);
        self.tell(Stream::Deployments, version, gone, &object, fact);
    }

    /// The objects of a list, as events, and the version that they are of.
    pub fn list(&self, stream: Stream) -> (u64, Vec<Event>) {
        let mut newest: BTreeMap<String, &Event> = BTreeMap::new();
        for event in self.log.get(&stream).into_iter().flatten() {
            let of = match &event.fact {
                Fact::Source(it, _) => format!("{}/{}", it.namespace, it.name),
                Fact::Workload(it, _) => format!("{}/{}", it.namespace, it.name),
                Fact::Policy(it, _) => it.to_string(),
                Fact::Namespace => event.version.to_string(),
            };
            newest.insert(of, event);
        }
        let there = newest.into_values().filter(|event| !event.gone);
        (self.version, there.cloned().collect())
    }

    // ---- their controllers ----------------------------------------------------------------------

    /// Does what is due, and says when to come again.
    pub fn step(&mut self, now: Millis) -> Option<Millis> {
        self.now = now;
        let all: Vec<WorkloadRef> = self.deployments.keys().cloned().collect();
        for reference in &all {
            let Some(mut deployment) = self.deployments.remove(reference) else {
                continue;
            };
            if deployment.due().is_some_and(|due| due <= now) {
                let (annotations, status) = (deployment.annotations.clone(), deployment.status.clone());
                deployment.step(self);
                if deployment.annotations != annotations || deployment.status != status {
                    deployment.version = self.next_version();
                    let version = deployment.version;
                    self.deployments.insert(reference.clone(), deployment);
                    self.tell_deployment(reference, version, false);
                    continue;
                }
            }
            self.deployments.insert(reference.clone(), deployment);
        }
        self.deployments.values().filter_map(Deployment::due).min()
    }

    /// Everything that kept pods from becoming ready is over.
    pub fn heal(&mut self) {
        self.healed = true;
        let now = self.now;
        for deployment in self.deployments.values_mut() {
            deployment.broken = false;
            deployment.look_at(now + 100);
        }
    }
}

fn source_object(reference: &SourceRef, source: &Source, version: u64) -> Value {
    let [one, two] = source.content.map(|value| match reference.kind {
        SourceKind::ConfigMap => value.to_string(),
        SourceKind::Secret => {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD.encode(value.to_string())
        }
    });
    json!({
        "metadata": {
            "name": reference.name.as_str(), "namespace": reference.namespace.as_str(),
            "uid": source.uid.to_string(), "resourceVersion": version.to_string(),
            "managedFields": [{ "time": printed(source.written), "fieldsV1": { "f:data": {} } }],
        },
        "data": { "one": one, "two": two },
    })
}

/// Whether a workload has been taken up.
pub fn has_baseline(deployment: &Deployment) -> bool {
    deployment.annotations.contains_key(annotation::OBSERVED)
}
