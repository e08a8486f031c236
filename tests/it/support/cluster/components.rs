//! Components of a cluster that a test ends and starts.

use std::{
    collections::BTreeSet,
    process::{Command, Stdio},
    sync::{MutexGuard, PoisonError},
};

use super::{Borrowed, Cluster, kubectl::run, start::devcluster};

impl Cluster {
    /// Ends one component as a crash would.
    pub async fn kill(&self, component: &'static str) {
        self.stopped().insert(component);
        run(self.devcluster("stop", component, &["--signal", "KILL"])).await;
    }

    /// Starts a component that was ended, and returns when it is healthy.
    pub async fn start(&self, component: &'static str) {
        run(self.devcluster("start", component, &[])).await;
        self.stopped().remove(component);
    }

    fn stopped(&self) -> MutexGuard<'_, BTreeSet<&'static str>> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn devcluster(&self, verb: &str, component: &str, flags: &[&str]) -> Command {
        let dir = self
            .dir
            .as_deref()
            .expect("only a cluster of ours is stopped and started");
        let mut command = Command::new(devcluster().expect("it has started this cluster"));
        command
            .arg(verb)
            .arg("--dir")
            .arg(dir)
            .args(flags)
            .arg(component)
            .stdin(Stdio::null());
        command
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        // A test that failed halfway must not fail the next one as well.
        for component in std::mem::take(&mut *self.cluster.stopped()) {
            let status = self.cluster.devcluster("start", component, &[]).status();
            if !status.as_ref().is_ok_and(std::process::ExitStatus::success) {
                println!("starting {component} again: {status:?}");
            }
        }
    }
}
