//! What the command line may say, as it was said; [`Sizes`](super::sizes::Sizes) is what follows from it.

use std::path::PathBuf;

use clap::Args;

use super::set::Set;

/// Sizes and places.
#[derive(Args, Clone)]
pub struct Options {
    /// What is in the cluster, and what is measured.
    #[arg(long, value_enum, default_value_t = Set::Default)]
    pub set: Set,
    /// ConfigMaps of 1 KiB; at least two per Deployment, in the mixed set one per workload
    /// [default: 10000, mixed: 5000].
    #[arg(long, value_name = "N")]
    pub configmaps: Option<usize>,
    /// ConfigMaps of 75,000 keys each that nobody uses, besides the others; in the default set only [default: 0].
    #[arg(long, value_name = "N")]
    pub wide_configmaps: Option<usize>,
    /// Secrets of 1 KiB; at least one per workload; in the mixed set only [default: 5000].
    #[arg(long, value_name = "N")]
    pub secrets: Option<usize>,
    /// Deployments that opt in [default: 5000, mixed: 2000, fan-out: 1000].
    #[arg(long, value_name = "N")]
    pub deployments: Option<usize>,
    /// StatefulSets that opt in; in the mixed set only [default: 1000].
    #[arg(long, value_name = "N")]
    pub statefulsets: Option<usize>,
    /// DaemonSets that opt in; in the mixed set only [default: 500].
    #[arg(long, value_name = "N")]
    pub daemonsets: Option<usize>,
    /// CronJobs that opt in; in the mixed set only [default: 500].
    #[arg(long, value_name = "N")]
    pub cronjobs: Option<usize>,
    /// Deployments that the floor works on, with two more ConfigMaps each [default: 500; fan-out:
    /// always as many as Windlass has].
    #[arg(long, value_name = "N")]
    pub floor_deployments: Option<usize>,
    /// Rounds; in each the floor and Windlass take turns [default: 5].
    #[arg(long, value_name = "N")]
    pub rounds: Option<usize>,
    /// Changes at once, per round [default: 200].
    #[arg(long, value_name = "N")]
    pub burst: Option<usize>,
    /// Changes one after the other, per round and kind of source [default: 100; in-place: 50, no rounds].
    #[arg(long, value_name = "N")]
    pub one_at_a_time: Option<usize>,
    /// Changes of what a kubelet writes when it comes by, each of which takes 30 to 90 s; in the
    /// in-place set only, where 0 leaves them out [default: 3].
    #[arg(long, value_name = "N")]
    pub without_nudge: Option<usize>,
    /// Seconds without any change before the first one that is measured on its own, per round [default: 5].
    #[arg(long, value_name = "SECONDS")]
    pub idle: Option<u64>,
    /// Seconds without any change in which requests and memory are looked at; longer than 90, so
    /// that pooled connections close and the first change afterwards needs a new one [default: 100].
    #[arg(long, value_name = "SECONDS")]
    pub quiet: Option<u64>,
    /// Run the controller manager, the scheduler and fake nodes too, so that each change becomes a
    /// real rollout; in the default set only.
    #[arg(long)]
    pub rollouts: bool,
    /// Where the figures go as JSON.
    #[arg(long, value_name = "PATH", default_value = ".windlass/bench.json")]
    pub json: PathBuf,
    /// Also write the table to this file.
    #[arg(long, value_name = "PATH")]
    pub out: Option<PathBuf>,
    /// Measure this binary instead of a fresh release build.
    #[arg(long, value_name = "PATH")]
    pub windlass: Option<PathBuf>,
}
