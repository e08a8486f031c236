//! The order of all measurements. Floor and Windlass take turns and change places each round, so
//! that neither gains from a machine that becomes slower or quicker.

use std::{
    collections::BTreeMap,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use kube::Client;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Child,
    time::{sleep, timeout},
};

use super::{
    NAMESPACE, Options, START_LIMIT,
    audit::Window,
    measure::Changer,
    seed::Subject,
    start_controller,
    usage::{self, Memory},
};
use crate::{
    deployments::{Deployments, Observer},
    devcluster::Info,
    process, say,
};

/// Changes of each before anything counts: connections are made, caches are warm.
pub const WARM_UP: usize = 10;
/// After a series of single changes, and after a burst: what follows from them has ended by then.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_AFTER_BURST: Duration = Duration::from_secs(3);
/// Names of the windows in which the controller's requests are counted.
pub const START: &str = "start";
pub const CHANGES: &str = "changes";
pub const QUIET: &str = "quiet";

/// A figure of each.
#[derive(Clone, Default)]
pub struct Pair<T> {
    pub floor: T,
    pub windlass: T,
}

impl<T> Pair<T> {
    fn get_mut(&mut self, subject: Subject) -> &mut T {
        match subject {
            Subject::Floor => &mut self.floor,
            Subject::Windlass => &mut self.windlass,
        }
    }
}

/// What one round measured.
#[derive(Default)]
pub struct Round {
    pub one_at_a_time: Pair<Vec<Duration>>,
    pub after_idle: Pair<Duration>,
    pub burst: Pair<Duration>,
}

/// Everything that was measured, except for requests.
pub struct Figures {
    pub ready: Pair<Duration>,
    /// The controller once more, with everything adopted.
    pub ready_again: Duration,
    /// From its start until the last workload had its baseline.
    pub adopted: Duration,
    pub template_writes_at_adoption: usize,
    /// In the whole run, beyond one per change.
    pub template_writes_unasked: usize,
    pub rounds: Vec<Round>,
    pub after_quiet: Pair<Duration>,
    pub memory_at_rest: Pair<Memory>,
    pub memory_at_end: Pair<Memory>,
    /// Within the phases of each.
    pub cpu: Pair<Duration>,
    /// Of each, within its phases.
    pub changes: usize,
    pub windows: Vec<Window>,
}

/// Runs everything.
pub async fn run(options: &Options, client: &Client, info: &Info, windlass: &Path, folder: &Path) -> Result<Figures> {
    let observer = Observer::start(client.clone(), NAMESPACE).await?;
    if options.rollouts {
        say::step("Waiting until the pods of all Deployments are ready");
        let limit = Duration::from_mins(30);
        let all_ready = |all: &Deployments| all.values().all(|seen| seen.complete.is_some()).then_some(());
        observer.wait(limit, "all Deployments become ready", all_ready).await?;
    }

    say::step("Starting the floor and Windlass");
    let (floor, floor_ready) = start_floor(info.kubeconfig("floor")?, &folder.join("floor.log")).await?;
    let start = Timestamp::now();
    let controller_log = folder.join("controller.log");
    let mut controller = start_controller(windlass, info.kubeconfig("windlass")?, &controller_log).await?;
    let windlass_ready = controller.ready(START_LIMIT).await?;
    say::note(format_args!(
        "floor ready after {}, Windlass after {}",
        say::time(floor_ready),
        say::time(windlass_ready)
    ));
    let adopted = adoption(&observer, options.deployments, controller.started()).await?;
    say::note(format_args!(
        "{} Deployments adopted after {}",
        options.deployments,
        say::time(adopted)
    ));
    sleep(PAUSE).await;

    let mut bench = Bench {
        observer: &observer,
        floor: Changer::new(client, &observer, Subject::Floor, options.floor_deployments),
        windlass: Changer::new(client, &observer, Subject::Windlass, options.deployments),
        pids: Pair {
            floor: floor.id().context("the floor has ended")?,
            windlass: controller.pid()?,
        },
        cpu: Pair::default(),
        windows: vec![window(START, start)],
    };
    for subject in [Subject::Floor, Subject::Windlass] {
        bench.changer(subject).one_at_a_time(WARM_UP).await?;
    }
    // Changes made after adoption have had their effect by now, so nothing of it is still to come.
    let template_writes_at_adoption = bench.unasked();

    let mut rounds = Vec::new();
    for number in 1..=options.rounds {
        say::step(format_args!("Round {number} of {}", options.rounds));
        let order = if number % 2 == 1 {
            [Subject::Floor, Subject::Windlass]
        } else {
            [Subject::Windlass, Subject::Floor]
        };
        rounds.push(bench.round(options, order).await?);
    }

    say::step(format_args!("Nothing changes for {} s", options.quiet));
    sleep(PAUSE).await;
    let quiet = Timestamp::now();
    sleep(Duration::from_secs(options.quiet)).await;
    bench.windows.push(window(QUIET, quiet));
    let memory_at_rest = bench.memory()?;
    let after_quiet = Pair {
        floor: bench.floor.one().await?,
        windlass: bench.windlass.one().await?,
    };
    let memory_at_end = bench.memory()?;

    say::step("Stopping Windlass and starting it again");
    controller.stop().await?;
    let mut controller = start_controller(windlass, info.kubeconfig("windlass")?, &controller_log).await?;
    let ready_again = controller.ready(START_LIMIT).await?;
    bench.windlass.one().await?;
    sleep(PAUSE).await;
    let template_writes_unasked = bench.unasked();
    let Bench { cpu, windows, .. } = bench;
    controller.stop().await?;
    drop(floor); // the kernel takes it away; it has nothing to finish

    Ok(Figures {
        ready: Pair {
            floor: floor_ready,
            windlass: windlass_ready,
        },
        ready_again,
        adopted,
        template_writes_at_adoption,
        template_writes_unasked,
        changes: options.rounds * (options.one_at_a_time + 1 + options.burst),
        rounds,
        after_quiet,
        memory_at_rest,
        memory_at_end,
        cpu,
        windows,
    })
}

struct Bench<'a> {
    observer: &'a Observer,
    floor: Changer<'a>,
    windlass: Changer<'a>,
    pids: Pair<u32>,
    cpu: Pair<Duration>,
    windows: Vec<Window>,
}

impl<'a> Bench<'a> {
    fn changer(&mut self, subject: Subject) -> &mut Changer<'a> {
        match subject {
            Subject::Floor => &mut self.floor,
            Subject::Windlass => &mut self.windlass,
        }
    }

    async fn round(&mut self, options: &Options, order: [Subject; 2]) -> Result<Round> {
        let mut round = Round::default();
        for subject in order {
            let phase = self.begin(subject)?;
            *round.one_at_a_time.get_mut(subject) = self.changer(subject).one_at_a_time(options.one_at_a_time).await?;
            sleep(PAUSE).await;
            self.end(&phase)?;
        }
        for subject in order {
            sleep(Duration::from_secs(options.idle)).await;
            let phase = self.begin(subject)?;
            *round.after_idle.get_mut(subject) = self.changer(subject).one().await?;
            sleep(PAUSE).await;
            self.end(&phase)?;
        }
        for subject in order {
            let phase = self.begin(subject)?;
            *round.burst.get_mut(subject) = self.changer(subject).burst(options.burst).await?;
            sleep(PAUSE_AFTER_BURST).await;
            self.end(&phase)?;
        }
        for (subject, times, idle, burst) in [
            (
                Subject::Floor,
                &round.one_at_a_time.floor,
                round.after_idle.floor,
                round.burst.floor,
            ),
            (
                Subject::Windlass,
                &round.one_at_a_time.windlass,
                round.after_idle.windlass,
                round.burst.windlass,
            ),
        ] {
            say::note(format_args!(
                "{subject:>8}: p50 {}, first after idling {}, burst {}",
                say::time(super::report::percentile(times, 50)),
                say::time(idle),
                say::time(burst),
            ));
        }
        Ok(round)
    }

    fn begin(&self, subject: Subject) -> Result<Phase> {
        let pid = self.pid(subject);
        Ok(Phase {
            subject,
            cpu: usage::cpu(pid)?,
            from: Timestamp::now(),
        })
    }

    fn end(&mut self, phase: &Phase) -> Result<()> {
        let used = usage::cpu(self.pid(phase.subject))?.saturating_sub(phase.cpu);
        *self.cpu.get_mut(phase.subject) += used;
        if phase.subject == Subject::Windlass {
            self.windows.push(window(CHANGES, phase.from));
        }
        Ok(())
    }

    fn pid(&self, subject: Subject) -> u32 {
        match subject {
            Subject::Floor => self.pids.floor,
            Subject::Windlass => self.pids.windlass,
        }
    }

    fn memory(&self) -> Result<Pair<Memory>> {
        Ok(Pair {
            floor: usage::memory(self.pids.floor)?,
            windlass: usage::memory(self.pids.windlass)?,
        })
    }

    /// Writes to pod templates that no change of ours called for.
    fn unasked(&self) -> usize {
        let writes: usize = self
            .observer
            .all(|all| all.values().map(|seen| seen.template_changes.len()).sum());
        writes.saturating_sub(self.floor.made() + self.windlass.made())
    }
}

/// A time in which one subject is measured.
struct Phase {
    subject: Subject,
    cpu: Duration,
    from: Timestamp,
}

fn window(name: &'static str, from: Timestamp) -> Window {
    Window {
        name,
        user: Subject::Windlass.to_string(),
        from,
        to: Timestamp::now(),
    }
}

async fn adoption(observer: &Observer, expected: usize, started: Instant) -> Result<Duration> {
    let last = observer
        .wait(START_LIMIT, "all opted-in Deployments are adopted", |all| {
            let times: BTreeMap<_, _> = all
                .iter()
                .filter_map(|(name, seen)| Some((name, seen.adopted?)))
                .collect();
            (times.len() >= expected).then(|| times.into_values().max())?
        })
        .await?;
    Ok(last.saturating_duration_since(started))
}

/// Starts the floor in a process of its own and waits for its first list.
async fn start_floor(kubeconfig: &Path, log: &Path) -> Result<(Child, Duration)> {
    let sink = std::fs::File::create(log).with_context(|| format!("create {}", log.display()))?;
    let started = Instant::now();
    let mut child = process::child(Path::new(process::OURSELVES))
        .args(["bench-floor", "--kubeconfig"])
        .arg(kubeconfig)
        .stdout(Stdio::piped())
        .stderr(sink)
        .spawn()
        .context("start the floor")?;
    let stdout = child.stdout.take().context("the floor has no standard output")?;
    let mut lines = BufReader::new(stdout).lines();
    match timeout(START_LIMIT, lines.next_line()).await {
        Ok(Ok(Some(_))) => {}
        _ => bail!("the floor is not ready; {}", process::tail(log)),
    }
    let ready = started.elapsed();
    // A closed pipe would end it when it lists again.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Ok((child, ready))
}
