//! One change that concerns all workloads: the order of measurements in the fan-out set.

use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::time::sleep;

use super::{
    figures::{Course, Figures, Pair, START},
    layout::Subject,
    phases::{Bench, order},
    start::{Running, Site},
};
use crate::say;

/// A process that uses next to nothing for that long has ended what it had to do. Longer than a
/// controller holds back the Events of what it did.
const CALM: Duration = Duration::from_secs(2);
/// Kernels count in ticks of 10 ms, and an idle process has timers.
const NEXT_TO_NOTHING: Duration = Duration::from_millis(20);
/// By then a process that is not calm never will be.
const CALM_LIMIT: Duration = Duration::from_mins(1);

/// Runs everything.
pub async fn run(site: &Site<'_>) -> Result<Figures> {
    let observer = site.observe().await?;
    let running = site.start(&observer).await?;
    let mut bench = Bench::new(site, &observer, &running)?;
    let Running {
        floor,
        controller,
        ready,
        adopted,
        from,
    } = running;
    bench.calm(Subject::Windlass).await?;
    bench.count_requests(START, from);
    // Windlass has all its connections from the adoption, and each restart more brings it closer to
    // taking its workloads for ones that flap; the floor knows neither.
    bench.floor.shared().await?;
    bench.calm(Subject::Floor).await?;
    let template_writes_at_adoption = bench.unasked();

    let mut rounds = Vec::new();
    for number in 1..=site.sizes.rounds {
        let mut round = Pair::default();
        for subject in order(number) {
            bench.changer(subject).tidy_up().await?;
            let phase = bench.begin(subject)?;
            *round.get_mut(subject) = bench.changer(subject).shared().await?;
            bench.calm(subject).await?;
            bench.end(&phase)?;
        }
        say::note(format_args!(
            "round {number} of {}: floor {}, Windlass {}",
            site.sizes.rounds,
            say::time(round.floor),
            say::time(round.windlass)
        ));
        rounds.push(round);
    }
    let memory_at_end = bench.memory()?;
    let template_writes_unasked = bench.unasked();
    controller.stop().await?;
    drop(floor); // the kernel takes it away; it has nothing to finish

    Ok(Figures {
        ready,
        adopted,
        template_writes_at_adoption,
        template_writes_unasked,
        memory_at_end,
        phases: bench.phases,
        course: Course::FanOut(rounds),
    })
}

impl Bench<'_> {
    /// Waits until the process has ended what follows from the last change, such as a thousand
    /// Events: the other one's turn must not pay for it.
    async fn calm(&self, subject: Subject) -> Result<()> {
        let started = Instant::now();
        let mut before = self.cpu(subject)?;
        while started.elapsed() < CALM_LIMIT {
            sleep(CALM).await;
            let now = self.cpu(subject)?;
            if now.saturating_sub(before) <= NEXT_TO_NOTHING {
                return Ok(());
            }
            before = now;
        }
        say::note(format_args!(
            "(the process of {subject} is still busy {} after its change)",
            say::time(CALM_LIMIT)
        ));
        Ok(())
    }
}
