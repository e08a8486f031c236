//! Changes in place, after they were decided: the kubelets touched, the applications told, the agents
//! asked, until every pod is known to have taken the change or somebody has to be told that it did not.
//!
//! A workload's files are brought up to date in rounds. What comes of a round goes into the index, and
//! the workload is decided again: what follows from it is [`windlass_core::decide`]'s to say.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use windlass_core::agent_protocol::propagation::{
    AnswerVerdict, ExpectedSource, FileDelivery, PropagationProgress, RunningPod, clean, file_delivery,
};
use windlass_core::decide::PodFiles;
use windlass_core::types::name::{Version, WorkloadRef};
use windlass_core::workload::key_strategy::KeyStrategy;

use super::queue::Queue;
use crate::config::ControllerConfig;
use crate::context::Context;
use crate::index::entry::WorkloadEntry;
use crate::k8s::error::ApiError;
use crate::k8s::pod_history::running;
use crate::ops::Metrics;
use crate::reader::Reader;

mod agents;
mod round;
mod tokens;

use self::agents::AgentClient;
use self::round::{Round, RoundResult};
use self::tokens::Tokens;

/// When the agents of one round are asked, each time so many milliseconds later: a kubelet that was
/// touched takes a tenth to a third of a second, and 0.8 s at worst (`cargo xtask bench --set in-place`).
const ASKED: &[u64] = &[200, 250, 450];

/// Pods of one workload that are dealt with at a time; all workloads share `--agent-concurrency` besides.
const PODS_AT_A_TIME: usize = 16;

/// Workloads that are dealt with at a time. They mostly wait.
const WORKERS: usize = 16;

/// Brings files up to date.
pub struct Propagator {
    context: Arc<Context>,
    /// Workloads to be decided.
    decisions: Arc<Queue<WorkloadRef>>,
    /// Workloads whose next round is due.
    due: Queue<WorkloadRef>,
    tokens: Tokens,
    agents: AgentClient,
    /// As many writes at a time as there are workers that write.
    writes: Semaphore,
}

impl Propagator {
    /// Nothing to do yet.
    #[must_use]
    pub fn new(
        context: Arc<Context>,
        decisions: Arc<Queue<WorkloadRef>>,
        metrics: Metrics,
        config: &ControllerConfig,
    ) -> Arc<Self> {
        Arc::new(Self {
            context,
            decisions,
            due: Queue::default(),
            tokens: Tokens::default(),
            agents: AgentClient::new(config.in_place.agent_concurrency, metrics),
            writes: Semaphore::new(config.rollouts.write_concurrency),
        })
    }

    /// Sees to it that these files are brought up to date, if that is not under way.
    pub fn ensure(&self, workload: &WorkloadRef, files: &PodFiles, version: Version) {
        let now = self.context.clock.now();
        let mut index = self.context.index();
        let Some(entry) = index.workload_mut(workload) else {
            return;
        };
        let begins = entry.begin_propagation(files, version, now);
        drop(index);
        if begins {
            self.due.push(workload.clone());
        }
    }

    /// Starts the workers.
    #[must_use]
    pub fn start(self: &Arc<Self>, stop: &CancellationToken) -> JoinSet<()> {
        let mut workers = JoinSet::new();
        for _ in 0..WORKERS {
            let (this, stop) = (self.clone(), stop.clone());
            workers.spawn(async move {
                while let Some(workload) = stop.run_until_cancelled(this.due.pop()).await {
                    // Whatever is not finished at the end begins anew: nothing of it is lost.
                    let _ = stop.run_until_cancelled(this.round(&workload)).await;
                    this.due.done(&workload);
                }
            });
        }
        workers
    }

    async fn round(&self, workload: &WorkloadRef) {
        let Some(round) = self.begin(workload) else {
            return;
        };
        let found = running::running(
            &self.context.client,
            &round.template,
            &round.template_uid,
            workload,
            self.context.timeout,
        )
        .await;
        let outcome = match found {
            Ok(Some(pods)) => self.bring(workload, &round, pods).await,
            Ok(None) => round.without_pods("the pods of the workload are unknown".to_owned()),
            Err(ApiError::NotFound | ApiError::Replaced) => return,
            Err(error) => round.without_pods(clean(&format!("cannot read the pods: {error}"))),
        };
        self.end(workload, round, outcome);
    }

    /// What a round works on, from the index.
    fn begin(&self, workload: &WorkloadRef) -> Option<Round> {
        let index = self.context.index();
        let entry = index.workload(workload)?;
        let job = entry.propagation()?;
        let counted = index.counted_sources(entry);
        if counted.excess.is_some() {
            return None;
        }
        let views = index.views(&counted, entry.verified_version());
        let wanted = views
            .iter()
            .filter(|view| {
                view.used.key_strategy == KeyStrategy::InPlace && job.files().sources.contains(view.reference)
            })
            .map(|view| ExpectedSource {
                used: view.used.clone(),
                contents: view.source.map(|source| source.contents.clone()),
            })
            .collect();
        let (template, template_uid) = index.runs_pods_of(workload, &entry.workload().uid);
        Some(Round {
            since: job.files().since,
            version: job.version(),
            begun: job.begun(),
            number: job.rounds(),
            done: job.done().clone(),
            in_place: index.effective_policy(entry).in_place.clone(),
            expected: wanted,
            template,
            template_uid,
        })
    }

    /// One round over the pods.
    async fn bring(&self, workload: &WorkloadRef, round: &Round, pods: Vec<RunningPod>) -> RoundResult {
        let mut round_result = RoundResult {
            done: round.done.clone(),
            ..RoundResult::default()
        };
        let mut takers = Vec::new();
        for pod in pods {
            match file_delivery(&pod, &round.expected) {
                FileDelivery::Nothing => {}
                FileDelivery::Never => {
                    round_result.lacks(&pod, "the files are mounted with subPath, which never updates");
                }
                FileDelivery::Unclear => round_result.lacks(&pod, "cannot read the volumes"),
                FileDelivery::Live if !pod.node_ready => round_result.lacks(&pod, "the node is not ready"),
                FileDelivery::Live => takers.push(pod),
            }
        }
        let unasked = !round.in_place.notifies_app() || round.since.is_none();
        round_result.done.retain(|uid| takers.iter().any(|pod| pod.uid == *uid));
        for pod in &takers {
            // One that came later started with the present content; an agent is asked all the same.
            if round.in_place.agent.is_none() && round.came_before(pod) {
                round_result.done.insert(pod.uid.clone());
            }
        }
        let left: Vec<&RunningPod> = takers
            .iter()
            .filter(|pod| !round_result.done.contains(&pod.uid))
            .collect();
        if round.in_place.nudge && round.number < round.nudges() {
            let last = round.number + 1 == round.nudges();
            for (pod, result) in self.nudge(workload, &left).await {
                match result {
                    Ok(()) if unasked && last => {
                        round_result.done.insert(pod.uid.clone());
                    }
                    // Another one took its place, with files of its own.
                    Ok(()) | Err(ApiError::NotFound | ApiError::Replaced) => {}
                    Err(error) => round_result.lacks(pod, &clean(&format!("cannot patch the pod: {error}"))),
                }
            }
        }
        round_result.pods = takers.len()
            + round_result
                .problems
                .iter()
                .filter(|it| !takers.iter().any(|pod| pod.name == it.pod))
                .count();
        if unasked {
            return round_result;
        }
        if let Some(agent) = &round.in_place.agent {
            match self
                .tokens
                .get(&self.context, &workload.namespace, &agent.token_secret)
                .await
            {
                Ok(token) => self.ask(round, agent.port, &token, left, &mut round_result).await,
                Err(why) => round_result.trouble = Some(why),
            }
        } else if let Some(notify) = &round.in_place.notify
            && round.elapsed(&self.context) >= round.notify_after(notify.delay)
        {
            let calls = left
                .into_iter()
                .map(|pod| async move {
                    // Whoever leads tells it.
                    if self.context.write_gate.permit(self.context.timeout).is_none() {
                        return (pod, Err("this replica is not the leader".to_owned()));
                    }
                    (pod, self.agents.notify(pod, notify).await)
                })
                .collect();
            for (pod, told) in some_at_a_time(calls).await {
                match told {
                    Ok(()) => _ = round_result.done.insert(pod.uid.clone()),
                    Err(why) => round_result.lacks(pod, &why),
                }
            }
        }
        round_result
    }

    async fn nudge<'a>(
        &self,
        workload: &WorkloadRef,
        pods: &[&'a RunningPod],
    ) -> Vec<(&'a RunningPod, Result<(), ApiError>)> {
        let mark = format!("{:.3}", self.context.clock.now());
        let mark = &mark;
        let touches = pods
            .iter()
            .map(|pod| async move {
                // Never closed.
                let _turn = self.writes.acquire().await;
                let Context {
                    reader,
                    write_gate: leading,
                    ..
                } = &*self.context;
                let Reader { client, timeout, .. } = &**reader;
                // One that is late does no harm, so none of them holds up a release.
                let touched = match leading.permit(*timeout) {
                    Some(timeout) => running::nudge(client, &workload.namespace, pod, mark, timeout).await,
                    None => Err(ApiError::Unavailable("this replica is not the leader".to_owned())),
                };
                (*pod, touched)
            })
            .collect();
        some_at_a_time(touches).await
    }

    /// Asks the agents of these pods, those that are not there yet once more.
    async fn ask(
        &self,
        round: &Round,
        port: u16,
        token: &windlass_core::agent_protocol::challenge::Token,
        mut left: Vec<&RunningPod>,
        round_result: &mut RoundResult,
    ) {
        let mut open = Vec::new();
        for wait in ASKED {
            tokio::time::sleep(Duration::from_millis(*wait)).await;
            let questions = left
                .into_iter()
                .map(|pod| async move {
                    let verdict = self.agents.ask(&self.context, pod, port, token, &round.expected).await;
                    (pod, verdict)
                })
                .collect();
            open.clear();
            for (pod, verdict) in some_at_a_time(questions).await {
                match verdict {
                    AnswerVerdict::Current => {
                        round_result.done.insert(pod.uid.clone());
                    }
                    AnswerVerdict::NotYet(why) | AnswerVerdict::Refused(why) => open.push((pod, why)),
                }
            }
            left = open.iter().map(|(pod, _)| *pod).collect();
            if left.is_empty() {
                break;
            }
        }
        for (pod, why) in open {
            round_result.lacks(pod, &why);
        }
    }

    /// Notes what came of a round, and arranges for the next one.
    fn end(&self, workload: &WorkloadRef, round: Round, round_result: RoundResult) {
        let RoundResult {
            pods,
            done,
            trouble,
            mut problems,
        } = round_result;
        problems.sort();
        problems.dedup_by(|one, other| one.pod == other.pod);
        let complete = trouble.is_none() && problems.is_empty() && done.len() >= pods && round.says_enough();
        let mut index = self.context.index();
        let Some(job) = index.workload_mut(workload).and_then(WorkloadEntry::propagation_mut) else {
            return;
        };
        // Another change came meanwhile, and its rounds with it.
        if job.files().since != round.since || job.version() != round.version {
            return;
        }
        let progress = round.since.map(|since| PropagationProgress {
            since,
            pods,
            done: done.len(),
            trouble,
            problems,
            complete,
        });
        let news = job.end_round(done, progress);
        let next = round.next(&self.context);
        let over = complete || (round.since.is_none() && job.rounds() >= round.nudges());
        if news {
            index.note_news();
        }
        drop(index);
        if !over {
            self.due.push_after(workload.clone(), next);
        }
        if news {
            self.decisions.push(workload.clone());
        }
    }
}

async fn some_at_a_time<T>(of_each_pod: Vec<impl Future<Output = T>>) -> Vec<T> {
    futures::stream::iter(of_each_pod)
        .buffer_unordered(PODS_AT_A_TIME)
        .collect()
        .await
}
