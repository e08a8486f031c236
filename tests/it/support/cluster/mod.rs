//! The API servers that the tests run against: the one that `KUBECONFIG` names, or real ones of
//! their own, started by `tests/cluster` when the first test asks and gone with this process.

mod components;
mod images;
mod kubectl;
mod start;

use std::{
    collections::BTreeSet,
    env,
    path::PathBuf,
    process::Child,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use anyhow::Result;

pub use self::kubectl::run;
use self::start::{embedded, given, with_images, with_node};

/// A user of the cluster who may do nothing until a test grants it.
pub const LIMITED_USER: &str = "limited";

/// The image of the test application (`tests/cluster/cmd/testapp`), in clusters with a real node.
pub const APPLICATION: &str = "windlass.test/testapp:1";

/// The image of Windlass itself, with the test application in it; in clusters with a real node.
pub const WINDLASS: &str = "windlass.test/windlass:1";

/// What `cargo xtask test` has built with `cargo xtask image`, and in which folder.
pub const IMAGE: &str = "localhost/windlass:test";

/// The same program as [`IMAGE`], as a later version.
pub const NEXT_IMAGE: &str = "localhost/windlass:next";

/// The agent's.
pub const AGENT_IMAGE: &str = "localhost/windlass-agent:test";

/// The real node, where there is one.
pub const NODE: &str = "node-0";

/// Which API server a test needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// Any; the one of `KUBECONFIG` if that is set.
    Any,
    /// One of ours, for the audit log and the users with few rights.
    Embedded,
    /// One of ours that has no streaming lists, as before Kubernetes 1.34.
    WithoutWatchList,
    /// One of ours that the test may stop and start; one test at a time.
    Stoppable,
    /// One of ours whose pods run, on a real node; the test runs in its network.
    Node,
    /// One of ours with both kinds of nodes, of which the real one is for Windlass and what says so, and with
    /// the images; one test at a time.
    Installed,
}

/// A running API server with its controllers and nodes, and the ways into it.
pub struct Cluster {
    /// For the test itself.
    pub test: PathBuf,
    /// For the controller under test.
    pub windlass: PathBuf,
    /// For a second installation, so that its requests can be told apart.
    pub second: PathBuf,
    /// For the tests of missing rights; only in clusters of ours.
    pub limited: Option<PathBuf>,
    /// One JSON line per request; only in clusters of ours.
    pub audit_log: Option<PathBuf>,
    /// The network in which pods have addresses, as a file of the kernel's; only with a real node.
    pub network: Option<PathBuf>,
    kubectl: PathBuf,
    dir: Option<PathBuf>,
    stopped: Mutex<BTreeSet<&'static str>>,
    // The harness ends when its standard input does, so holding the child here ties the cluster's
    // life to that of this process, however it ends.
    _harness: Option<Child>,
}

/// A cluster, for as long as the test has it.
pub struct Borrowed {
    cluster: &'static Cluster,
    _alone: Option<MutexGuard<'static, ()>>,
}

impl std::ops::Deref for Borrowed {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        self.cluster
    }
}

impl Borrowed {
    /// Once more, for the same test.
    pub fn again(&self) -> Self {
        Self {
            cluster: self.cluster,
            _alone: None,
        }
    }
}

/// The cluster for a test, started if it is the first to ask.
///
/// # Panics
/// When there is none to be had; no test is ever skipped.
pub fn borrow(server: Server) -> Borrowed {
    static GIVEN: OnceLock<Result<Cluster>> = OnceLock::new();
    static EMBEDDED: OnceLock<Result<Cluster>> = OnceLock::new();
    static WITHOUT_WATCH_LIST: OnceLock<Result<Cluster>> = OnceLock::new();
    static STOPPABLE: OnceLock<Result<Cluster>> = OnceLock::new();
    static NODE: OnceLock<Result<Cluster>> = OnceLock::new();
    static INSTALLED: OnceLock<Result<Cluster>> = OnceLock::new();
    static ONE_AT_A_TIME: [Mutex<()>; 2] = [const { Mutex::new(()) }; 2];

    // A test that failed has left the cluster whole all the same.
    let alone = match server {
        Server::Stoppable => ONE_AT_A_TIME.first(),
        Server::Installed => ONE_AT_A_TIME.last(),
        _ => None,
    };
    let alone = alone.map(|it| it.lock().unwrap_or_else(PoisonError::into_inner));
    let cluster = match (server, env::var_os("KUBECONFIG")) {
        (Server::Any, Some(kubeconfig)) => GIVEN.get_or_init(|| given(&kubeconfig)),
        (Server::Any | Server::Embedded, _) => EMBEDDED.get_or_init(|| embedded(&[])),
        (Server::WithoutWatchList, _) => WITHOUT_WATCH_LIST.get_or_init(|| embedded(&["--without-watch-list"])),
        (Server::Stoppable, _) => STOPPABLE.get_or_init(|| embedded(&[])),
        (Server::Node, _) => NODE.get_or_init(with_node),
        (Server::Installed, _) => INSTALLED.get_or_init(with_images),
    };
    match cluster {
        Ok(cluster) => Borrowed { cluster, _alone: alone },
        Err(reason) => panic!("no cluster to test on: {reason:#}"),
    }
}
