//! The order of all measurements with one cluster, and what came of them.

use std::time::Duration;

use anyhow::{Result, bail};
use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use super::{
    Detection, Who,
    change::{Changer, Delays, reloads},
    kubelet::{self, Kubelet},
    site::{RunningPod, Site},
    watches::Watches,
};
use crate::{
    bench::{
        audit::{self, Requests, Window},
        sizes::Sizes,
    },
    say,
};

/// Not counted: first connections.
const WARM_UP: usize = 2;
/// Between two changes, at the least: what follows from one (an Event, the kubelet's own rounds) must
/// not be measured as a part of the next one.
const GAP: Duration = Duration::from_millis(400);
/// The kubelet has rounds every second, which no change should be in step with.
const STEPS: [u64; 5] = [0, 370, 140, 510, 230];
/// The agents tell once when they start, and Windlass adopts.
const CALM_LIMIT: Duration = Duration::from_mins(1);

/// Of one way in which the kubelet notices changes.
pub struct Figures {
    pub detection: Detection,
    pub floor: Series,
    pub nudged: Series,
    /// Few: each takes a minute. None where it was not measured.
    pub alone: Series,
    /// Of Windlass, while floor and nudged changed.
    pub requests: Requests,
    pub kubelet: Kubelet,
}

/// Delays of one pod's changes.
#[derive(Default)]
pub struct Series(pub(super) Vec<Delays>);

impl Series {
    /// How many changes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Until the file had it.
    pub fn file(&self) -> Vec<Duration> {
        self.each(|delays| Some(delays.file))
    }

    /// Until the application was told.
    pub fn told(&self) -> Vec<Duration> {
        self.each(|delays| Some(delays.told))
    }

    /// Until Windlass had it proven; none of the floor.
    pub fn proven(&self) -> Vec<Duration> {
        self.each(|delays| delays.proven)
    }

    /// Until a bare watch was told.
    pub fn watch(&self) -> Vec<Duration> {
        self.each(|delays| Some(delays.watch))
    }

    fn each(&self, delay: impl Fn(&Delays) -> Option<Duration>) -> Vec<Duration> {
        self.0.iter().filter_map(delay).collect()
    }
}

/// Everything with one cluster.
pub async fn run(site: &Site, sizes: &Sizes) -> Result<Figures> {
    site.prepare()?;
    let watches = Watches::start(&site.client);
    let without_pods = kubelet::count(&site.client).await?;
    let pods = site.deploy().await?;
    let [floor, nudged, alone] = &*pods else {
        bail!("there are {} pods, and not 3", pods.len());
    };
    for pod in &pods {
        was_told_at_start(pod).await?;
    }
    let controller = site.controller().await?;
    for who in Who::ALL.into_iter().filter(|who| who.is_governed()) {
        watches.proven(who, 0, CALM_LIMIT).await?;
    }

    let mut changer = Changer::new(&site.client, &watches);
    for _ in 0..WARM_UP {
        changer.one(floor).await?;
        changer.one(nudged).await?;
        sleep(GAP).await;
    }
    let with_pods = kubelet::count(&site.client).await?;
    let from = Timestamp::now();
    let (mut of_floor, mut of_nudged) = (Series::default(), Series::default());
    for step in STEPS.into_iter().cycle().take(sizes.one_at_a_time) {
        // They take turns, so that neither gains from a machine that becomes slower or quicker.
        for (pod, series) in [(floor, &mut of_floor), (nudged, &mut of_nudged)] {
            series.0.push(changer.one(pod).await?);
            sleep(GAP + Duration::from_millis(step)).await;
        }
    }
    let to = Timestamp::now();
    let in_the_end = kubelet::count(&site.client).await?;
    say::note(format_args!(
        "{} changes each of the floor and of Windlass",
        of_floor.len()
    ));

    let mut of_alone = Series::default();
    if site.detection == Detection::Watch {
        for number in 1..=sizes.without_nudge {
            let delays = changer.one(alone).await?;
            say::note(format_args!(
                "without a nudge, {number} of {}: {}",
                sizes.without_nudge,
                say::time(delays.file)
            ));
            of_alone.0.push(delays);
            sleep(GAP).await;
        }
    }
    controller.stop().await?;
    Ok(Figures {
        detection: site.detection,
        kubelet: Kubelet::between(without_pods, with_pods, in_the_end, of_floor.len() + of_nudged.len()),
        requests: requests(site, from, to)?,
        floor: of_floor,
        nudged: of_nudged,
        alone: of_alone,
    })
}

async fn was_told_at_start(pod: &RunningPod) -> Result<()> {
    let started = Instant::now();
    while reloads(pod).await? == 0 {
        if started.elapsed() > CALM_LIMIT {
            bail!("the agent of {} does not tell its application", pod.name);
        }
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

fn requests(site: &Site, from: Timestamp, to: Timestamp) -> Result<Requests> {
    let window = Window {
        name: "changes",
        user: "windlass".to_owned(),
        from,
        to,
    };
    let mut counted = audit::count(&site.info().audit_log, &[window])?;
    Ok(counted.remove("changes").unwrap_or_default())
}
