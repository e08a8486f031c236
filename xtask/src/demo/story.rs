//! The steps of the demo. Each says what it does, does it, and says what was seen; a statement that
//! does not hold ends the demo. "Nothing happened" is said only after something that was caused
//! later has happened.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, ensure};

use tokio::time::sleep;

use super::stage::{LIMIT, Rollout, Stage, message};
use crate::{
    controller::Controller,
    devcluster::Info,
    kinds::{Kind, WorkloadRef},
    say::{checked, note, step, time},
};

const NAMESPACE: &str = "windlass-demo";
/// Where the controller keeps its key and its lease.
pub const SYSTEM_NAMESPACE: &str = "windlass-system";
/// The Deployments of `examples/` that opt in.
const OPTED_IN: [&str; 2] = ["web", "worker"];
const DATABASE: (Kind, &str) = (Kind::StatefulSet, "database");
const BACKUP: (Kind, &str) = (Kind::CronJob, "backup");
const UNTOUCHED: &str = "untouched";
/// Between two changes that belong together: longer than a quick controller needs to patch, well
/// within the two seconds that it lets changes settle.
const APART: Duration = Duration::from_millis(500);

/// Tells all of it. The controller is left in its slot, so that the caller can end it in any case.
pub async fn tell(info: &Info, windlass: &Path, log: &Path, slot: &mut Option<Controller>) -> Result<()> {
    step("Applying examples/: all but the Deployment untouched opt in");
    let mut stage = Stage::set(info, NAMESPACE, SYSTEM_NAMESPACE).await?;
    all_ready(&stage).await?;
    let first_pods = stage.pods(UNTOUCHED).await?;

    let start = async || {
        let kubeconfig = info.kubeconfig("windlass")?;
        let arguments = ["--namespaces", NAMESPACE, "--lease-namespace", SYSTEM_NAMESPACE];
        Controller::start(windlass, kubeconfig, log, &arguments).await
    };

    step("1. Windlass starts and takes note of what runs");
    let before = (stage.pods("web").await?, stage.pods("worker").await?);
    adoption(&stage, slot.insert(start().await?)).await?;

    step("2. A key that nobody uses changes: NOTES in ConfigMap web");
    unused_key(&mut stage).await?;
    ensure!(
        stage.pods("web").await? == before.0,
        "pods of web were replaced, and should not have been"
    );
    checked(format_args!(
        "web still runs the {} pods it had before Windlass came",
        before.0.len()
    ));

    step("3. A key that web uses changes: GREETING in ConfigMap web");
    used_key(&mut stage).await?;

    step("4. Two sources of web change together: ConfigMap web, and half a second later web-pages");
    two_sources(&mut stage).await?;

    step("5. PASSWORD in Secret database changes: the StatefulSet database uses it, and the CronJob backup");
    secret(&mut stage).await?;

    step("6. Windlass is stopped, COLOUR in ConfigMap web changes, Windlass is started");
    let stopped = slot.take().context("the controller runs")?.stop().await?;
    note(format_args!("stopped in {}", time(stopped)));
    missed_while_down(&mut stage, slot, start).await?;

    step("In the end");
    stage.expect_rollouts(UNTOUCHED, 0)?;
    ensure!(
        stage.pods(UNTOUCHED).await? == first_pods,
        "pods of {UNTOUCHED} were replaced"
    );
    checked("untouched uses the same ConfigMap, did not opt in, and was never written to");
    Ok(())
}

async fn all_ready(stage: &Stage) -> Result<()> {
    let deployments = [OPTED_IN[0], OPTED_IN[1], UNTOUCHED].map(WorkloadRef::from);
    let all = [&deployments[..], &[DATABASE.into()]].concat();
    stage
        .observer()
        .wait(LIMIT, "the examples become ready", |seen| {
            all.iter()
                .all(|workload| seen.get(workload).is_some_and(|one| one.complete.is_some()))
                .then_some(())
        })
        .await?;
    checked("all their pods are ready");
    Ok(())
}

async fn adoption(stage: &Stage, controller: &mut Controller) -> Result<()> {
    let ready = controller.ready(LIMIT).await?;
    let adopted = stage
        .observer()
        .wait(LIMIT, "web, worker and database are adopted", |all| {
            let adopted = OPTED_IN.map(WorkloadRef::from).into_iter().chain([DATABASE.into()]);
            let times = adopted
                .map(|workload| all.get(&workload)?.adopted)
                .collect::<Option<Vec<_>>>()?;
            times.into_iter().max()
        })
        .await?;
    note(format_args!("ready {} after its start", time(ready)));
    checked(format_args!(
        "web, worker and database were adopted {} after the start",
        time(adopted.saturating_duration_since(controller.started()))
    ));
    for name in OPTED_IN {
        stage.expect_rollouts(name, 0)?;
    }
    stage.expect_rollouts(DATABASE, 0)?;
    checked("nothing was restarted");
    Ok(())
}

async fn unused_key(stage: &mut Stage) -> Result<()> {
    stage.change("web", "NOTES", "Somebody corrected a word here.").await?;
    stage.marker().await?;
    stage.expect_rollouts("web", 0)?;
    checked("web was left alone (worker, whose config changed later, has been rolled since)");
    Ok(())
}

async fn used_key(stage: &mut Stage) -> Result<()> {
    const VALUE: &str = "Good evening";
    let before = stage.rollouts("web")?;
    let changed = stage.change("web", "GREETING", VALUE).await?;
    let rollout = stage.rollout("web", before, changed).await?;
    describe(&rollout);
    let event = stage.event_naming("web", "GREETING").await?;
    checked(format_args!(
        "the Event on web names the key:\n      {}: {}",
        event.reason.as_deref().unwrap_or("(no reason)"),
        message(&event)
    ));
    for event in stage.events("web").await? {
        ensure!(
            !message(&event).contains(VALUE),
            "an Event shows a value: {}",
            message(&event)
        );
        ensure!(
            !message(&event).contains("NOTES"),
            "an Event names a key that nobody uses: {}",
            message(&event)
        );
    }
    exactly_one(stage, before).await
}

async fn two_sources(stage: &mut Stage) -> Result<()> {
    let before = stage.rollouts("web")?;
    let changed = stage.change("web", "GREETING", "Good morning").await?;
    sleep(APART).await;
    stage.change("web-pages", "index.html", "<p>New</p>").await?;
    let rollout = stage.rollout("web", before, changed).await?;
    describe(&rollout);
    exactly_one(stage, before).await
}

async fn secret(stage: &mut Stage) -> Result<()> {
    const VALUE: &str = "correct horse";
    let before = stage.rollouts(DATABASE)?;
    let changed = stage.change_secret("database", "PASSWORD", VALUE).await?;
    let rollout = stage.rollout(DATABASE, before, changed).await?;
    checked(format_args!(
        "database was patched {} after the change, and its pods were replaced one by one within {}",
        time(rollout.patched),
        time(rollout.ready)
    ));
    let event = stage.event_naming(BACKUP, "PASSWORD").await?;
    checked(format_args!(
        "nothing is written to backup, and its Event says why:\n      {}: {}",
        event.reason.as_deref().unwrap_or("(no reason)"),
        message(&event)
    ));
    for workload in [DATABASE, BACKUP] {
        for event in stage.events(workload).await? {
            ensure!(
                !message(&event).contains(VALUE),
                "an Event shows a value: {}",
                message(&event)
            );
        }
    }
    stage.marker().await?;
    stage.expect_rollouts(DATABASE, before + 1)?;
    checked("it was exactly one rollout");
    Ok(())
}

async fn missed_while_down(
    stage: &mut Stage,
    slot: &mut Option<Controller>,
    start: impl AsyncFn() -> Result<Controller>,
) -> Result<()> {
    let before = stage.rollouts("web")?;
    let others = stage.rollouts("worker")?;
    stage.change("web", "COLOUR", "green").await?;
    stage.expect_rollouts("web", before)?;
    let controller = slot.insert(start().await?);
    let rollout = stage.rollout("web", before, controller.started()).await?;
    checked(format_args!(
        "the change was found: web was patched {} after the start and all its pods were ready after {}",
        time(rollout.patched),
        time(rollout.ready)
    ));
    exactly_one(stage, before).await?;
    // The one is the marker's.
    stage.expect_rollouts("worker", others + 1)?;
    checked("worker, whose config had not changed, was left alone");
    Ok(())
}

fn describe(rollout: &Rollout) {
    checked(format_args!(
        "web was patched {} after the change and all its pods were ready after {}",
        time(rollout.patched),
        time(rollout.ready)
    ));
}

async fn exactly_one(stage: &mut Stage, before: usize) -> Result<()> {
    stage.marker().await?;
    stage.expect_rollouts("web", before + 1)?;
    checked("it was exactly one rollout");
    Ok(())
}
