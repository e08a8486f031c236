//! One random history: what people, pods and machines do to the cluster, and to the controller.

use std::sync::Arc;
use std::time::Duration;

use windlass_core::annotation;
use windlass_core::policy::PolicyRef;
use windlass_core::types::name::{Name, Namespace, SourceKind, SourceRef, WorkloadRef};
use windlass_core::types::time::Second;

use super::api::workload;
use super::checks::{Checks, policy_of};
use super::cluster::{Cluster, wall};
use super::deployment::{Deployment, Use};
use super::policies::{Opening, Rules};
use super::process::Process;
use super::rng::Rng;
use super::world::{Faults, World};

pub const NAMESPACES: [&str; 2] = ["n0", "n1"];

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// What kind of trouble there is in a history.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each by its own chance")]
struct Temper {
    kills: bool,
    steps: bool,
    policies: bool,
    manual_overrides: bool,
    undos: bool,
    /// In milliseconds: how quickly things happen.
    pace: u64,
}

pub struct History {
    rng: Rng,
    temper: Temper,
    world: Arc<World>,
    process: Option<Process>,
    last_watched: Option<Second>,
    skew: i64,
    workers: u64,
}

impl History {
    /// The cluster as it is when the controller is first started.
    pub fn begin(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let pace = *rng.pick(&[300, 3 * SECOND, 30 * SECOND, 5 * MINUTE]).expect("some");
        let temper = Temper {
            kills: rng.chance(60),
            steps: rng.chance(15),
            policies: rng.chance(75),
            manual_overrides: rng.chance(25),
            undos: rng.chance(40),
            pace,
        };
        let mut cluster = Cluster::new(rng.next());
        for source in sources() {
            cluster.write_source(&source, [rng.below(6), rng.below(6)]);
        }
        let faults = if rng.chance(40) {
            Faults::NONE
        } else {
            Faults {
                refused: rng.below(10),
                lost: rng.below(10),
                latency: rng.between(1, 400),
                lag: rng.between(1, 3000),
            }
        };
        cluster.say(format_args!("{temper:?} {faults:?}"));
        let max_parallel = usize::try_from(rng.between(1, 4)).expect("small");
        cluster.say(format_args!("--max-parallel={max_parallel}"));
        let world = World::new(cluster, Checks::new(max_parallel), faults);
        let mut history = Self {
            workers: rng.between(1, 4),
            rng,
            temper,
            world,
            process: None,
            last_watched: None,
            skew: 0,
        };
        if history.temper.policies {
            for policy in [policy_of(Some(&Namespace::from("n0"))), policy_of(None)] {
                let rules = history.rules(&policy);
                history.world.act(|state| state.cluster.write_policy(&policy, rules));
            }
        }
        for at in 0..history.rng.between(2, 6) {
            history.create(&format!("w{at}"));
        }
        history
    }

    /// Plays it. Gives the controller as it is in the end, when all is quiet.
    pub async fn play(&mut self) {
        let world = self.world.clone();
        let cluster = tokio::spawn(world.clone().run());
        sleep(20 * SECOND).await;
        self.start();
        sleep(30 * SECOND).await;
        for _ in 0..self.rng.between(5, 60) {
            let pause = match self.rng.below(10) {
                0..=3 => self.rng.below(200),
                4..=8 => self.rng.below(self.temper.pace),
                _ => self.rng.below(10 * self.temper.pace),
            };
            sleep(pause).await;
            self.step().await;
        }
        self.calm();
        if self.process.is_none() {
            self.start();
        }
        // Beyond the longest wait of the flap breaker, and any window.
        sleep(if self.temper.steps { 40 * HOUR } else { 6 * HOUR }).await;
        super::quiet::check(&world, self.process.as_ref().expect("it runs")).await;
        if let Some(process) = self.process.take() {
            process.kill(&world).await;
        }
        cluster.abort();
    }

    pub fn world(&self) -> &World {
        &self.world
    }

    fn start(&mut self) {
        if self.temper.steps && self.rng.chance(50) {
            let hours = i64::try_from(self.rng.below(6 * HOUR)).expect("small");
            self.skew = if self.rng.chance(50) { hours } else { -hours };
        }
        let process = Process::start(&self.world, self.skew, self.last_watched, self.workers);
        self.process = Some(process);
    }

    async fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            // One that was ended before it had listed has changed nothing.
            self.last_watched = process.kill(&self.world).await.or(self.last_watched);
        }
    }

    async fn step(&mut self) {
        let choice = self.rng.below(100);
        if self.process.is_none() && self.rng.chance(40) {
            self.start();
        }
        match choice {
            0..=34 => self.write_source(),
            35..=40 => self.there_and_back().await,
            41..=43 => {
                let source = self.rng.pick(&sources()).cloned().expect("some");
                self.world.act(|state| state.cluster.delete_source(&source));
            }
            44..=55 if self.temper.policies => self.edit_policy(),
            56..=69 if self.temper.kills => {
                self.kill().await;
                if self.rng.chance(50) {
                    sleep(self.rng.between(1, 2000)).await;
                    self.start();
                }
            }
            70..=72 => self.faults(),
            73..=76 => {
                let name = format!("w{}", self.rng.below(6));
                self.create(&name);
            }
            77..=78 => {
                if let Some(workload) = self.some_workload() {
                    self.world.act(|state| state.cluster.delete(&workload));
                }
            }
            79..=82 if self.temper.manual_overrides => self.pull(),
            83..=85 => {
                // Something that nobody can run with.
                let source = self.rng.pick(&sources()).cloned().expect("some");
                self.world.act(|state| state.cluster.write_source(&source, [6, 6]));
                sleep(self.rng.between(20, 120) * SECOND).await;
            }
            _ => self.trouble(),
        }
    }

    /// Pods that are started in between run something else than what is there in the end.
    async fn there_and_back(&mut self) {
        let Some(source) = self.rng.pick(&sources()).cloned() else {
            return;
        };
        let before = self
            .world
            .look(|state| state.cluster.sources.get(&source).map(|it| it.content));
        let other = self.content();
        self.world.act(|state| state.cluster.write_source(&source, other));
        if self.rng.chance(50) {
            self.world.act(|state| {
                let now = state.cluster.now;
                let all = state.cluster.deployments.values_mut();
                for it in all.filter(|it| it.template.uses.iter().any(|used| used.source == source)) {
                    it.ours.restless = Some(now);
                    it.crash(0, now);
                }
            });
            sleep(self.rng.between(1000, 1900)).await;
        } else {
            sleep(self.rng.below(self.temper.pace)).await;
        }
        if let Some(before) = before {
            self.world.act(|state| state.cluster.write_source(&source, before));
        }
    }

    fn content(&mut self) -> [u64; 2] {
        let bad = self.rng.chance(12);
        let mut value = || self.rng.below(4);
        let content = [value(), value()];
        if bad { [6, content[1]] } else { content }
    }

    fn write_source(&mut self) {
        let source = self.rng.pick(&sources()).cloned().expect("some");
        let content = self.content();
        self.world.act(|state| state.cluster.write_source(&source, content));
    }

    fn some_workload(&mut self) -> Option<WorkloadRef> {
        let all: Vec<WorkloadRef> = self
            .world
            .look(|state| state.cluster.deployments.keys().cloned().collect());
        self.rng.pick(&all).cloned()
    }

    /// Pods and their owners.
    fn trouble(&mut self) {
        let Some(workload) = self.some_workload() else { return };
        let (what, number) = (self.rng.below(8), self.rng.below(5));
        let at = usize::try_from(number).expect("small");
        let undos = self.temper.undos;
        self.world.act(|state| {
            let cluster = &mut state.cluster;
            let name = &workload.name;
            match what {
                0 | 1 if undos => {
                    cluster.say(format_args!("{name}: undo"));
                    cluster.change(&workload, |it, now| {
                        if it.undo() {
                            it.ours.disturb(true, now);
                        }
                    });
                }
                0..=2 => {
                    cluster.say(format_args!("{name}: new image"));
                    cluster.change(&workload, |it, now| {
                        it.template.image += 1;
                        it.ours.disturb(false, now);
                    });
                }
                3 => {
                    cluster.say(format_args!("{name}: scaled to {at}"));
                    cluster.change(&workload, |it, now| {
                        it.replicas = at;
                        it.ours.restless = Some(now);
                    });
                }
                4 => {
                    let broken = number < 3;
                    cluster.say(format_args!("{name}: broken: {broken}"));
                    if let Some(it) = cluster.deployments.get_mut(&workload) {
                        it.broken = broken;
                        it.look_at(cluster.now);
                    }
                }
                _ => {
                    cluster.say(format_args!("{name}: a pod is lost ({what})"));
                    let now = cluster.now;
                    if let Some(it) = cluster.deployments.get_mut(&workload) {
                        it.ours.restless = Some(now);
                        if what < 6 {
                            it.crash(at, now);
                        } else {
                            it.evict(at, now);
                        }
                        it.look_at(now + 10);
                    }
                }
            }
        });
    }

    fn pull(&mut self) {
        let Some(workload) = self.some_workload() else { return };
        let manual_overrides = [annotation::RESUME, annotation::SKIP, annotation::RESTART_NOW];
        let manual_override = *self.rng.pick(&manual_overrides).expect("some");
        let set = self.rng.chance(70);
        self.world.act(|state| {
            let cluster = &mut state.cluster;
            cluster.say(format_args!("{}: {manual_override} {set}", workload.name));
            cluster.change(&workload, |it, now| {
                if set {
                    it.annotations.insert(manual_override.to_owned(), wall(now).to_string());
                    it.ours.excused |= manual_override == annotation::SKIP;
                } else {
                    it.annotations.remove(manual_override);
                }
            });
        });
    }

    fn faults(&mut self) {
        let calm = self.rng.chance(50);
        let faults = Faults {
            refused: self.rng.below(30),
            lost: self.rng.below(20),
            latency: self.rng.between(1, 1000),
            lag: self.rng.between(1, 10_000),
        };
        self.world.look(|state| {
            state.faults = if calm { Faults::NONE } else { faults };
            state.cluster.say(format_args!("{:?}", state.faults));
        });
    }

    fn create(&mut self, name: &str) {
        let namespace = *self.rng.pick(&NAMESPACES).expect("some");
        let reference = workload(namespace, name);
        let taken = self
            .world
            .look(|state| state.cluster.deployments.keys().any(|it| it.name == reference.name));
        if taken {
            return;
        }
        let mut uses: Vec<Use> = Vec::new();
        for source in sources().into_iter().filter(|it| it.namespace == reference.namespace) {
            if self.rng.chance(55) || uses.is_empty() {
                uses.push(Use {
                    source,
                    key: [None, None, Some(0), Some(1)][usize::try_from(self.rng.below(4)).expect("small")],
                    optional: self.rng.chance(25),
                });
            }
        }
        let replicas = usize::try_from(self.rng.between(1, 3)).expect("small");
        let mut deployment = Deployment::new(reference, replicas, uses);
        deployment.tier = self.rng.below(3);
        deployment.broken = self.rng.chance(4);
        deployment.progress_deadline = *self
            .rng
            .pick(&[20 * SECOND, MINUTE, 10 * MINUTE, 10 * HOUR])
            .expect("some");
        self.world.act(|state| state.cluster.create(deployment));
    }

    fn edit_policy(&mut self) {
        let policies = [
            policy_of(Some(&Namespace::from("n0"))),
            policy_of(Some(&Namespace::from("n1"))),
            policy_of(None),
        ];
        let policy = self.rng.pick(&policies).cloned().expect("some");
        if self.rng.chance(20) {
            self.world.act(|state| state.cluster.delete_policy(&policy));
        } else {
            let rules = self.rules(&policy);
            self.world.act(|state| state.cluster.write_policy(&policy, rules));
        }
    }

    fn rules(&mut self, of: &PolicyRef) -> Rules {
        let rng = &mut self.rng;
        let openings = |rng: &mut Rng, percent: u64| -> Vec<Opening> {
            let mut opening = || Opening {
                minute: rng.below(60),
                minutes: rng.between(5, 40),
            };
            let (one, two) = (opening(), opening());
            if rng.chance(percent) {
                vec![one, two]
            } else {
                Vec::new()
            }
        };
        let any = Rules {
            windows: openings(rng, 30),
            freezes: openings(rng, 20),
            max_parallel: rng
                .chance(50)
                .then(|| usize::try_from(rng.between(1, 3)).expect("small")),
            min_interval: if rng.chance(25) { rng.between(1, 1800) } else { 0 },
            settle: rng.below(5),
            deadline: rng.between(20, 900),
            halt: rng.chance(60),
            waves: if rng.chance(40) { vec![0, 1] } else { Vec::new() },
            suspend: rng.chance(12),
        };
        match of.namespace {
            Some(_) => any,
            None => Rules {
                freezes: any.freezes,
                max_parallel: any.max_parallel,
                suspend: any.suspend,
                ..Rules::default()
            },
        }
    }

    /// What stood in the way does so no more.
    fn calm(&mut self) {
        self.world.act(|state| {
            state.faults = Faults::NONE;
            let cluster = &mut state.cluster;
            cluster.say(format_args!("CALM"));
            cluster.heal();
            for source in sources() {
                if !cluster.sources.contains_key(&source) {
                    cluster.write_source(&source, [0, 0]);
                }
            }
            let policies: Vec<_> = cluster
                .policies
                .iter()
                .map(|(it, (_, rules))| (it.clone(), rules.clone()))
                .collect();
            for (policy, rules) in policies {
                let open = Rules {
                    windows: Vec::new(),
                    freezes: Vec::new(),
                    suspend: false,
                    ..(*rules).clone()
                };
                cluster.write_policy(&policy, open);
            }
        });
    }
}

async fn sleep(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

fn sources() -> Vec<SourceRef> {
    let each = NAMESPACES.iter().flat_map(|namespace| {
        [
            (SourceKind::ConfigMap, "c0"),
            (SourceKind::ConfigMap, "c1"),
            (SourceKind::Secret, "s0"),
        ]
        .map(|(kind, name)| SourceRef {
            namespace: Namespace::from(*namespace),
            kind,
            name: Name::from(name),
        })
    });
    each.collect()
}
