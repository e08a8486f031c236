//! The life of the controller under test: it starts, stops, crashes and is halted while a scenario writes.

use std::{future::Future, path::PathBuf};

use super::{Test, When, audit::Audit, controller::Controller, next_second};

impl Test {
    /// Starts the controller with these flags and waits until it is ready.
    pub async fn start(&self, flags: &[&str]) {
        self.start_unready(flags).await;
        self.windlass().await_ready().await;
    }

    /// Starts the controller with these flags.
    pub async fn start_unready(&self, flags: &[&str]) {
        *self.flags.borrow_mut() = flags.iter().map(|&flag| flag.to_owned()).collect();
        self.start_again().await;
    }

    async fn start_again(&self) {
        assert!(
            self.windlass.borrow().as_ref().is_none_or(|it| !it.runs()),
            "it runs already"
        );
        let mut flags = self.flags.borrow().clone();
        if !flags.iter().any(|flag| flag == "--lease-namespace") {
            flags.extend(["--lease-namespace".to_owned(), self.namespace.clone()]);
        }
        let kubeconfig = self.cluster.windlass.clone();
        let controller = self.installation(kubeconfig, flags).await;
        *self.windlass.borrow_mut() = Some(controller);
    }

    /// A controller besides the test's own, which is limited to the same namespace.
    pub async fn installation(&self, kubeconfig: PathBuf, mut flags: Vec<String>) -> Controller {
        let scoped =
            |flag: &String| ["--namespaces", "--namespace-selector", "--exclude-namespaces"].contains(&&**flag);
        if !flags.iter().any(scoped) {
            flags.extend(["--namespaces".to_owned(), self.namespace.clone()]);
        }
        if !flags.iter().any(|flag| flag == "--settle") {
            flags.extend(["--settle", "200ms"].map(str::to_owned));
        }
        // Markers are restarted as often as something is to be waited for.
        if !flags.iter().any(|flag| flag == "--flap-limit") {
            flags.extend(["--flap-limit", "0"].map(str::to_owned));
        }
        let number = self.controllers.replace(self.controllers.get() + 1);
        Controller::start(&kubeconfig, &flags, self.log_file(number)).await
    }

    /// Waits until all pods run, starts the controller with these flags and waits until it has
    /// adopted all workloads.
    ///
    /// Workloads whose pods cannot become ready are left out: [`Test::start`] is for them.
    pub async fn start_and_adopt(&self, flags: &[&str]) {
        self.settle_in().await;
        self.start(flags).await;
        self.all_adopted().await;
    }

    /// Deploys the markers and waits until all pods run.
    pub async fn settle_in(&self) {
        self.deploy_markers().await;
        for deployment in self.deployments().opted_in().await {
            self.complete(&deployment).await;
        }
        // So that these pods are older than anything the controller does or the scenario changes.
        next_second().await;
    }

    /// Waits until all that have opted in have a baseline.
    pub async fn all_adopted(&self) {
        for deployment in self.deployments().opted_in().await {
            self.adopted(&deployment).await;
        }
    }

    /// The running controller.
    pub fn windlass(&self) -> Controller {
        self.windlass
            .borrow()
            .clone()
            .expect("the scenario has started the controller")
    }

    /// Everything that controllers of this test have printed.
    pub fn logs(&self) -> String {
        let mut logs = String::new();
        for number in 0..self.controllers.get() {
            let text = std::fs::read(self.log_file(number)).unwrap_or_default();
            logs.push_str("--- a controller\n");
            logs.push_str(&String::from_utf8_lossy(&text));
        }
        logs
    }

    fn log_file(&self, number: u32) -> PathBuf {
        self.scratch.path().join(format!("controller-{number:02}.log"))
    }

    /// Stops the controller cleanly, if it runs.
    pub async fn stop(&self) {
        let controller = self.windlass.borrow_mut().take();
        if let Some(controller) = controller {
            controller.stop().await;
        }
    }

    /// Does this while the controller is where this way of running the scenario has it.
    pub async fn meanwhile<T>(&self, writes: impl Future<Output = T>) -> T {
        match self.when {
            When::Live => writes.await,
            When::Down => {
                self.stop().await;
                let outcome = writes.await;
                self.start_again().await;
                self.windlass().await_ready().await;
                outcome
            }
            When::Crashed => {
                self.windlass().kill().await;
                let outcome = writes.await;
                self.start_again().await;
                self.windlass().await_ready().await;
                outcome
            }
            When::Paused => {
                self.windlass().pause();
                let outcome = writes.await;
                self.windlass().resume();
                outcome
            }
        }
    }

    /// Stops the controller, does this, and starts it again, whatever the way of running.
    pub async fn while_down<T>(&self, writes: impl Future<Output = T>) -> T {
        self.stop().await;
        let outcome = writes.await;
        self.start_again().await;
        self.windlass().await_ready().await;
        outcome
    }

    /// Whether the controller sees each write as it comes.
    pub fn is_live(&self) -> bool {
        self.when == When::Live
    }

    /// The requests of the test's controller on the test's namespace from now on.
    pub fn audit(&self, user: &str) -> Audit {
        let log = self.cluster.audit_log.clone().expect("only run in a cluster of ours");
        Audit::from_now(log, user, &self.namespace)
    }
}
