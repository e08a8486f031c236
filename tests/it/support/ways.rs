//! The ways of running a scenario: where the controller is meanwhile, and on which API server.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::{
    Test,
    cluster::{self, Borrowed, Server},
    node, times,
};

/// Where the controller is while a scenario writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// It sees each write as it comes.
    Live,
    /// It has stopped before, and is started after.
    Down,
    /// It has crashed before, and is started after.
    Crashed,
    /// Its process is halted: afterwards all the events are there at once, and those of different
    /// kinds reach it in any order.
    Paused,
}

/// Makes a test of each scenario and each way of running it.
macro_rules! tests {
    ($($scenario:ident: $($way:ident),+;)+) => {$(
        mod $scenario {
            $(
                #[test]
                fn $way() {
                    $crate::support::way::$way(super::$scenario);
                }
            )+
        }
    )+};
}

pub(crate) use tests;

/// The ways of running a scenario.
pub mod way {
    use super::{Server, Test, When, run};

    macro_rules! ways {
        ($($(#[$doc:meta])* $way:ident: $server:ident, $when:ident;)+) => {$(
            $(#[$doc])*
            pub fn $way(scenario: impl AsyncFnOnce(&Test) + Send) {
                run(Server::$server, When::$when, scenario);
            }
        )+};
    }

    ways! {
        live: Any, Live;
        down: Any, Down;
        crashed: Any, Crashed;
        paused: Any, Paused;
        /// As `live`, against an API server without streaming lists.
        live_paged: WithoutWatchList, Live;
        /// As `down`, against an API server without streaming lists.
        down_paged: WithoutWatchList, Down;
        /// Needs what only a cluster of ours has.
        embedded: Embedded, Live;
        /// As `down`, in a cluster of ours.
        embedded_down: Embedded, Down;
        /// As `paused`, in a cluster of ours.
        embedded_paused: Embedded, Paused;
        /// Stops and starts the API server.
        alone: Stoppable, Live;
        /// Pods run, on a real node.
        on_node: Node, Live;
        /// Has a cluster with a real node for itself, to install the chart there.
        installed: Installed, Live;
    }
}

/// Runs one scenario in a namespace of its own.
fn run(server: Server, when: When, scenario: impl AsyncFnOnce(&Test) + Send) {
    let here = || {
        let cluster = cluster::borrow(server);
        // Not before: the first to ask starts the cluster, and others wait until they have it for themselves.
        let _time = times::Stopwatch::start();
        run_here(cluster, server, when, scenario);
    };
    if matches!(server, Server::Node | Server::Installed) {
        let network = cluster::borrow(server).network.clone();
        node::within(&network.expect("it has a real node"), here);
    } else {
        here();
    }
}

fn run_here(cluster: Borrowed, server: Server, when: When, scenario: impl AsyncFnOnce(&Test)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let test = runtime.block_on(Test::new(cluster, server, when));
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            scenario(&test).await;
            test.nothing_leaked().await;
            test.stop().await;
        });
    }));
    if let Err(panic) = outcome {
        runtime.block_on(test.describe());
        resume_unwind(panic);
    }
    runtime.block_on(test.tidy());
}
