//! What the world sees of workloads of any kind.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kube::{
    ResourceExt,
    api::{DynamicObject, ListParams},
};
use serde_json::Value;

use super::{Workloads, annotation};
use crate::support::{CANARY, OBSERVED, Server, await_condition, await_condition_within, to_json};

impl Workloads<'_> {
    /// [`Test::start_and_adopt`] for these workloads as well.
    pub async fn start_and_adopt(&self, flags: &[&str]) {
        let names = self.opted_in().await;
        for name in &names {
            self.complete(name).await;
        }
        self.test.start_and_adopt(flags).await;
        for name in &names {
            self.adopted(name).await;
        }
    }

    /// Those that have opted in.
    pub(in crate::support) async fn opted_in(&self) -> Vec<String> {
        let all = self.api.list(&ListParams::default()).await.expect("a list");
        let opted_in = all.into_iter().filter(|it| {
            it.annotations()
                .get("windlass.dev/enabled")
                .is_some_and(|it| it == "true")
        });
        opted_in.map(|it| it.name_any()).collect()
    }

    /// Waits until every pod that the workload wants is there, ready, and of its newest template.
    pub async fn complete(&self, name: &str) {
        // After a crash of the API server the workload's controller comes back in its own time: it
        // waits up to half a minute before it tries again, for each kind of object.
        let deadline = if self.server == Server::Stoppable { 5 } else { 1 };
        await_condition_within(
            Duration::from_mins(deadline),
            &format!("{name} to be complete"),
            async || self.is_complete(name).await,
        )
        .await;
    }

    /// [`Workloads::complete`] for pods that the node leaves running and not ready: says for it that
    /// each one is.
    pub async fn complete_by_hand(&self, name: &str) {
        await_condition(&format!("{name} to be complete"), async || {
            for pod in self.pods(name).await? {
                Box::pin(self.make_ready(&pod)).await?;
            }
            self.is_complete(name).await
        })
        .await;
    }

    async fn is_complete(&self, name: &str) -> Result<()> {
        let object = self.api.get(name).await?;
        let [spec, status] = ["spec", "status"].map(|part| &object.data[part]);
        if self.kind.is_observed() {
            let seen = status["observedGeneration"].as_i64();
            ensure!(seen >= object.metadata.generation, "not observed yet");
        }
        (self.kind.complete)(spec, status)
    }

    /// Waits for the baseline of the workload and returns it.
    pub async fn adopted(&self, name: &str) -> Value {
        await_condition(&format!("{name} to be adopted"), async || {
            baseline(&self.api.get(name).await?)
        })
        .await
    }

    /// The baseline of the workload as it is now.
    pub async fn baseline(&self, name: &str) -> Value {
        baseline(&self.get(name).await).expect("it has been adopted")
    }

    /// The pod template of the workload as it is now.
    pub async fn template(&self, name: &str) -> Value {
        self.kind.template_of(&self.get(name).await)
    }

    /// How often the template of the workload was changed since it was created, by anybody.
    pub async fn template_changes(&self, name: &str) -> usize {
        await_condition(&format!("the history of {name}"), async || {
            let object = self.api.get(name).await?;
            self.history.template_changes(&object).context("not recorded yet")
        })
        .await
    }

    /// Waits until the template has been changed this often.
    pub async fn await_template_changes(&self, name: &str, times: usize) {
        await_condition(&format!("{name} to be changed {times} times"), async || {
            let changes = self.template_changes(name).await;
            ensure!(changes >= times, "{changes} times so far");
            Ok(())
        })
        .await;
    }

    /// The workload is rolled out this often in all, by anybody, and the last of these rollouts
    /// becomes complete. 0 is a fine number: nothing happens.
    pub async fn rolls(&self, name: &str, times: usize) {
        self.await_template_changes(name, times).await;
        self.complete(name).await;
        self.rolled_no_more_than(name, times).await;
        if let Some(counted) = self.kind.revision {
            let object = self.get(name).await;
            let revision = (times + 1).to_string();
            assert_eq!(annotation(&object, counted), Some(&*revision), "the revision of {name}");
        }
    }

    /// The workload was rolled out this often in all, by anybody, and whatever the controller had to
    /// do by now is done.
    pub async fn rolled_no_more_than(&self, name: &str, times: usize) {
        self.everything_before_is_done().await;
        let changes = self.template_changes(name).await;
        assert_eq!(changes, times, "rollouts of {name}:\n{}", self.history.describe(name));
        let object = self.get(name).await;
        let written = [
            to_json(object.annotations()),
            self.kind.template_of(&object).to_string(),
        ];
        for text in written {
            assert!(!text.contains(CANARY), "a source's content is in {name}:\n{text}");
        }
    }

    /// Waits until so many workloads of this kind are in this state, by the controller's own account.
    pub async fn state(&self, state: &str, count: u32) {
        let labels = [("kind", self.word()), ("state", state)];
        self.metric("windlass_workloads", &labels, count).await;
    }

    /// Waits until so many workloads of this kind are known to the controller at all.
    pub async fn known(&self, count: u32) {
        self.metric("windlass_workloads", &[("kind", self.word())], count).await;
    }
}

fn baseline(object: &DynamicObject) -> Result<Value> {
    let baseline = annotation(object, OBSERVED).context("there is no baseline")?;
    serde_json::from_str(baseline).with_context(|| format!("not JSON: {baseline}"))
}
