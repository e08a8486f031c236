//! The order of all measurements in the sets where each change is for one workload.

use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use tokio::time::sleep;

use super::{
    figures::{CRON_JOBS, Course, Figures, Pair, QUIET, Round, START, SecretTimes, Singles, WHOLE},
    layout::{Source, Subject},
    phases::{Bench, order},
    sizes::{Sizes, WARM_UP},
    start::{Running, Site},
    statistics::percentile,
};
use crate::{
    say,
    workloads::{Observer, Workloads},
};

/// CronJobs whose ConfigMap is changed.
const CRON_JOB_CHANGES: usize = 50;
/// After a series of single changes, and after a burst: what follows from them has ended by then.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_AFTER_BURST: Duration = Duration::from_secs(3);

/// Runs everything.
pub async fn run(site: &Site<'_>) -> Result<Figures> {
    let sizes = site.sizes;
    let observer = site.observe().await?;
    if sizes.rollouts {
        all_ready(&observer).await?;
    }
    let running = site.start(&observer).await?;
    sleep(PAUSE).await;
    let mut bench = Bench::new(site, &observer, &running)?;
    let Running {
        floor,
        controller,
        ready,
        adopted,
        from,
    } = running;
    bench.count_requests(START, from);
    for subject in [Subject::Floor, Subject::Windlass] {
        let sources = sources(sizes, subject);
        bench.changer(subject).one_at_a_time(WARM_UP, sources).await?;
    }
    // Changes made after adoption have had their effect by now, so nothing of it is still to come.
    let template_writes_at_adoption = bench.unasked();

    let mut rounds = Vec::new();
    for number in 1..=sizes.rounds {
        say::step(format_args!("Round {number} of {}", sizes.rounds));
        rounds.push(bench.round(sizes, order(number)).await?);
    }
    if sizes.cronjobs > 0 {
        bench.cron_jobs(sizes).await?;
    }

    say::step(format_args!("Nothing changes for {} s", sizes.quiet_seconds));
    sleep(PAUSE).await;
    let quiet = Timestamp::now();
    sleep(Duration::from_secs(sizes.quiet_seconds)).await;
    bench.count_requests(QUIET, quiet);
    let memory_at_rest = bench.memory()?;
    let after_quiet = Pair {
        floor: bench.floor.one(Source::ConfigMap).await?,
        windlass: bench.windlass.one(Source::ConfigMap).await?,
    };
    let memory_at_end = bench.memory()?;

    say::step("Stopping Windlass and starting it again");
    controller.stop().await?;
    let (controller, ready_again) = site.start_controller().await?;
    bench.windlass.one(Source::ConfigMap).await?;
    sleep(PAUSE).await;
    let template_writes_unasked = bench.unasked();
    controller.stop().await?;
    drop(floor); // the kernel takes it away; it has nothing to finish
    if sizes.cronjobs > 0 {
        bench.count_requests(WHOLE, from);
    }

    Ok(Figures {
        ready,
        adopted,
        template_writes_at_adoption,
        template_writes_unasked,
        memory_at_end,
        phases: bench.phases,
        course: Course::Singles(Singles {
            rounds,
            ready_again,
            after_quiet,
            memory_at_rest,
        }),
    })
}

async fn all_ready(observer: &Observer) -> Result<()> {
    say::step("Waiting until the pods of all Deployments are ready");
    let limit = Duration::from_mins(30);
    let all_ready = |all: &Workloads| all.values().all(|seen| seen.complete.is_some()).then_some(());
    observer.wait(limit, "all Deployments become ready", all_ready).await
}

/// The floor knows ConfigMaps only.
fn sources(sizes: &Sizes, subject: Subject) -> &'static [Source] {
    if subject == Subject::Windlass && sizes.has_secrets() {
        &[Source::ConfigMap, Source::Secret]
    } else {
        &[Source::ConfigMap]
    }
}

impl Bench<'_> {
    async fn round(&mut self, sizes: &Sizes, order: [Subject; 2]) -> Result<Round> {
        let mut round = Round {
            secrets: sizes.has_secrets().then(SecretTimes::default),
            ..Round::default()
        };
        for subject in order {
            let phase = self.begin(subject)?;
            let sources = sources(sizes, subject);
            let times = self
                .changer(subject)
                .one_at_a_time(sizes.one_at_a_time, sources)
                .await?;
            *round.one_at_a_time.get_mut(subject) = times.config_maps;
            if let Some(secrets) = &mut round.secrets {
                secrets.one_at_a_time.extend(times.secrets);
            }
            sleep(PAUSE).await;
            self.end(&phase)?;
        }
        for subject in order {
            sleep(Duration::from_secs(sizes.idle_seconds)).await;
            let phase = self.begin(subject)?;
            *round.after_idle.get_mut(subject) = self.changer(subject).one(Source::ConfigMap).await?;
            sleep(PAUSE).await;
            self.end(&phase)?;
        }
        for subject in order {
            *round.burst.get_mut(subject) = self.burst(sizes, subject, Source::ConfigMap).await?;
        }
        if let Some(secrets) = &mut round.secrets {
            secrets.burst = self.burst(sizes, Subject::Windlass, Source::Secret).await?;
        }
        tell(&round);
        Ok(round)
    }

    async fn burst(&mut self, sizes: &Sizes, subject: Subject, source: Source) -> Result<Duration> {
        self.changer(subject).tidy_up().await?;
        let phase = self.begin(subject)?;
        let time = self.changer(subject).burst(sizes.burst, source).await?;
        sleep(PAUSE_AFTER_BURST).await;
        self.end(&phase)?;
        Ok(time)
    }

    /// That nothing followed from these changes is known once something has followed from a later one.
    async fn cron_jobs(&mut self, sizes: &Sizes) -> Result<()> {
        let changes = sizes.cronjobs.min(CRON_JOB_CHANGES);
        say::step(format_args!("Changing the ConfigMaps of {changes} CronJobs"));
        let from = Timestamp::now();
        self.windlass.cron_jobs(changes).await?;
        self.windlass.one(Source::ConfigMap).await?;
        sleep(PAUSE).await;
        self.count_requests(CRON_JOBS, from);
        Ok(())
    }
}

fn tell(round: &Round) {
    let Round {
        one_at_a_time,
        after_idle,
        burst,
        secrets,
    } = round;
    for (subject, times, idle, burst) in [
        (Subject::Floor, &one_at_a_time.floor, after_idle.floor, burst.floor),
        (
            Subject::Windlass,
            &one_at_a_time.windlass,
            after_idle.windlass,
            burst.windlass,
        ),
    ] {
        say::note(format_args!(
            "{subject:>8}: p50 {}, first after idling {}, burst {}",
            say::time(percentile(times, 50)),
            say::time(idle),
            say::time(burst),
        ));
    }
    if let Some(SecretTimes { one_at_a_time, burst }) = secrets {
        say::note(format_args!(
            " Secrets: p50 {}, burst {}",
            say::time(percentile(one_at_a_time, 50)),
            say::time(*burst),
        ));
    }
}
