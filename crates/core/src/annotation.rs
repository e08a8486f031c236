//! The annotation keys, read and written. Manifests rely on them: a name here never changes.

/// On a workload: `"true"` opts it in, `"false"` keeps Windlass off it.
pub const ENABLED: &str = "windlass.dev/enabled";
/// On a workload: the policy that governs it, by name.
pub const POLICY: &str = "windlass.dev/policy";
/// On a workload: what a change does to it, past any policy.
pub const STRATEGY: &str = "windlass.dev/strategy";
/// On a workload: `ConfigMap`s that count although the pod template does not name them.
pub const CONFIGMAPS: &str = "windlass.dev/configmaps";
/// On a workload: Secrets that count although the pod template does not name them.
pub const SECRETS: &str = "windlass.dev/secrets";
/// On a workload: `ConfigMap`s that do not count although the pod template names them.
pub const EXCLUDE_CONFIGMAPS: &str = "windlass.dev/exclude-configmaps";
/// On a workload: Secrets that do not count although the pod template names them.
pub const EXCLUDE_SECRETS: &str = "windlass.dev/exclude-secrets";
/// On a source: `"true"` means that its changes never count.
pub const IGNORE: &str = "windlass.dev/ignore";
/// On a source: the other namespaces whose workloads may name it.
pub const ALLOW_FROM: &str = "windlass.dev/allow-from";

/// On a workload, a time: whatever holds a restart back, go on.
pub const RESUME: &str = "windlass.dev/resume";
/// On a workload, a time: take the present content as what its pods run.
pub const SKIP: &str = "windlass.dev/skip";
/// On a workload, a time: do not wait for windows and intervals.
pub const RESTART_NOW: &str = "windlass.dev/restart-now";

/// Written on a workload's metadata: the baseline.
pub const OBSERVED: &str = "windlass.dev/observed";
/// Written on a pod template with each restart: the digest of what the workload consumes.
pub const CONFIG_DIGEST: &str = "windlass.dev/config-digest";
/// Written on a pod template with each restart: when and because of what.
pub const CAUSE: &str = "windlass.dev/cause";

/// Written on a pod: makes its kubelet look at it, and at its volumes, at once.
pub const NUDGE: &str = "windlass.dev/nudge";

/// What a workload may say that a policy selects without its asking.
pub const FOR_SELECTED: [&str; 5] = [STRATEGY, CONFIGMAPS, SECRETS, EXCLUDE_CONFIGMAPS, EXCLUDE_SECRETS];

/// What all of ours begin with.
pub const PREFIX: &str = "windlass.dev/";

/// Reloader's and Wave's, honoured and written where `--compat` says so.
pub mod reloader {
    /// What all of Reloader's end in, before the slash; some have a kind in front of it.
    pub const DOMAIN: &str = "reloader.stakater.com";
    /// On a workload or its template: everything that is referenced counts.
    pub const AUTO: &str = "reloader.stakater.com/auto";
    /// On a workload or its template: what is referenced counts where it is marked by [`MATCH`].
    pub const SEARCH: &str = "reloader.stakater.com/search";
    /// On a source: it counts for those that [`SEARCH`].
    pub const MATCH: &str = "reloader.stakater.com/match";
    /// On a source: its changes never count.
    pub const IGNORE: &str = "reloader.stakater.com/ignore";
    /// On a Rollout: whether its template is changed or `spec.restartAt` is set.
    pub const ROLLOUT_STRATEGY: &str = "reloader.stakater.com/rollout-strategy";
    /// On a Deployment: how long it stays paused after a reload.
    pub const PAUSE_PERIOD: &str = "deployment.reloader.stakater.com/pause-period";
    /// On a Deployment: since when it is paused.
    pub const PAUSED_AT: &str = "deployment.reloader.stakater.com/paused-at";
    /// Written on the template.
    pub const LAST_RELOADED_FROM: &str = "reloader.stakater.com/last-reloaded-from";
}

/// Wave's, see [`reloader`].
pub mod wave {
    /// What all of Wave's begin with.
    pub const PREFIX: &str = "wave.pusher.com/";
    /// On a workload: `"true"` opts it in.
    pub const UPDATE: &str = "wave.pusher.com/update-on-config-change";
    /// On a workload: more `ConfigMap`s.
    pub const EXTRA_CONFIGMAPS: &str = "wave.pusher.com/extra-configmaps";
    /// On a workload: more Secrets.
    pub const EXTRA_SECRETS: &str = "wave.pusher.com/extra-secrets";
    /// Written on the template.
    pub const CONFIG_HASH: &str = "wave.pusher.com/config-hash";
    /// Written on a workload whose pods Wave keeps from being scheduled: their scheduler's name.
    pub const SCHEDULING_DISABLED: &str = "wave.pusher.com/scheduling-disabled";
    /// The scheduler that does not exist, by which it does so.
    pub const NO_SCHEDULER: &str = "wave.pusher.com/invalid";
}

/// Whether an annotation is of any interest to us. Others can be a quarter of a megabyte.
#[must_use]
pub fn is_read(name: &str) -> bool {
    let domain = name.split_once('/').map_or("", |(domain, _)| domain);
    name.starts_with(PREFIX)
        || name.starts_with(wave::PREFIX)
        || domain == reloader::DOMAIN
        || domain
            .strip_suffix(reloader::DOMAIN)
            .is_some_and(|kind| kind.ends_with('.'))
        || crate::workload::kind::REVISION_ANNOTATIONS.contains(&name)
}
