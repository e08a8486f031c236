//! The annotations, read and written. Manifests rely on the keys: none is renamed or reused.
//!
//! Ours are rows of one table, from which `cargo xtask generate` writes the tables of `docs/annotations.md`.

#[cfg(test)]
mod tests;

/// What an annotation is for, which says where it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnnotationRole {
    /// On a workload: whether it is managed.
    OptIn,
    /// On a workload that opts in or that a policy selects: how it is managed.
    Setting,
    /// On a workload: what a person wants once.
    ManualOverride,
    Source,
    /// Written by Windlass, on this.
    Written(&'static str),
}

/// A row of the table: what people have to know of an annotation.
#[derive(Clone, Copy, Debug)]
pub struct AnnotationRow {
    pub key: &'static str,
    pub role: AnnotationRole,
    /// The values that it accepts, in words that errors say as well.
    pub value: &'static str,
    /// What holds without it.
    pub default: &'static str,
    /// What it does, as a cell of a table in Markdown.
    pub help: &'static str,
}

macro_rules! annotations {
    ($($(#[$doc:meta])* $name:ident $constant:ident $key:literal $role:expr, $value:literal, $default:literal, $help:literal;)*) => {
        /// Our own annotations. The parsers match on this, so that the compiler asks for what a new one does.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Annotation { $($(#[$doc])* $name,)* }

        $($(#[$doc])* pub const $constant: &str = $key;)*

        impl Annotation {
            /// All of them, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            #[must_use]
            pub const fn row(self) -> AnnotationRow {
                match self {
                    $(Self::$name => AnnotationRow { key: $key, role: $role, value: $value, default: $default, help: $help },)*
                }
            }
        }
    };
}

annotations! {
    /// On a workload: `"true"` opts it in, `"false"` keeps Windlass off it.
    Enabled ENABLED "windlass.dev/enabled" AnnotationRole::OptIn,
        "\"true\", \"false\"",
        "managed if `windlass.dev/policy` is set or a [policy](policy.md#which-policy-governs) selects it",
        "whether the workload is managed; `\"false\"`: not, whatever else selects it";
    /// On a workload: the policy that governs it, by name.
    Policy POLICY "windlass.dev/policy" AnnotationRole::OptIn,
        "the name of a RolloutPolicy of this namespace",
        "see [policy.md](policy.md#which-policy-governs)",
        "that [policy](policy.md) governs. Opts in. Held if it does not exist (`PolicyMissing`). A ClusterRolloutPolicy \
         cannot be named";
    /// On a workload: what a change does to it, past any policy.
    Strategy STRATEGY "windlass.dev/strategy" AnnotationRole::Setting,
        "Restart, InPlace, Auto, Ignore",
        "as the policy says, else Restart",
        "meaning and precedence: [policy.md](policy.md#strategy)";
    /// On a workload: `ConfigMap`s that count although the pod template does not name them.
    ConfigMaps CONFIGMAPS "windlass.dev/configmaps" AnnotationRole::Setting,
        "a list",
        "none",
        "ConfigMaps that count although the pod template does not name them, such as those read through the API. All \
         keys count; the ConfigMap may be missing";
    /// On a workload: Secrets that count although the pod template does not name them.
    Secrets SECRETS "windlass.dev/secrets" AnnotationRole::Setting,
        "a list",
        "none",
        "the same for Secrets";
    /// On a workload: `ConfigMap`s that do not count although the pod template names them.
    ExcludeConfigMaps EXCLUDE_CONFIGMAPS "windlass.dev/exclude-configmaps" AnnotationRole::Setting,
        "a list",
        "none",
        "ConfigMaps that do not count, whatever names them";
    /// On a workload: Secrets that do not count although the pod template names them.
    ExcludeSecrets EXCLUDE_SECRETS "windlass.dev/exclude-secrets" AnnotationRole::Setting,
        "a list",
        "none",
        "the same for Secrets";
    /// On a workload, a time: whatever holds a restart back, go on.
    Resume RESUME "windlass.dev/resume" AnnotationRole::ManualOverride,
        "the present time",
        "none",
        "a [manual override](policy.md#manual-overrides): whatever holds a restart back, go on";
    /// On a workload, a time: take the present content as what its pods run.
    Skip SKIP "windlass.dev/skip" AnnotationRole::ManualOverride,
        "the present time",
        "none",
        "a manual override: take the present content as what the pods run";
    /// On a workload, a time: do not wait for windows and intervals.
    RestartNow RESTART_NOW "windlass.dev/restart-now" AnnotationRole::ManualOverride,
        "the present time",
        "none",
        "a manual override: do not wait for windows and intervals";
    /// On a source: `"true"` means that its changes never count.
    Ignore IGNORE "windlass.dev/ignore" AnnotationRole::Source,
        "\"true\"; anything else is as if it were absent",
        "changes count",
        "changes of this object never count";
    /// On a source: the other namespaces whose workloads may name it.
    AllowFrom ALLOW_FROM "windlass.dev/allow-from" AnnotationRole::Source,
        "a comma-separated list of namespaces",
        "none",
        "other namespaces whose workloads may name this object. A change restarts nothing. A list over 256 entries or \
         16 KiB, and impossible names such as `*`, allow nobody";
    /// Written on a workload's metadata: the baseline.
    Observed OBSERVED "windlass.dev/observed" AnnotationRole::Written("workload metadata"),
        "JSON", "",
        "first sight, each restart, and when the baseline changes";
    /// Written on a pod template with each restart: the digest of what the workload consumes.
    ConfigDigest CONFIG_DIGEST "windlass.dev/config-digest" AnnotationRole::Written("pod template"),
        "KEY.DIGEST", "",
        "to restart: `KEY.DIGEST`, one keyed digest over all used content";
    /// Written on a pod template with each restart: when and because of what.
    Cause CAUSE "windlass.dev/cause" AnnotationRole::Written("pod template"),
        "JSON", "",
        "in the same patch";
    /// Written on a pod: makes its kubelet look at it, and at its volumes, at once.
    Nudge NUDGE "windlass.dev/nudge" AnnotationRole::Written("pod metadata"),
        "a time", "",
        "for a change in place";
}

impl Annotation {
    /// What a workload may say that a policy selects without its asking.
    pub fn settings() -> impl Iterator<Item = Self> {
        let all = Self::ALL.iter().copied();
        all.filter(|annotation| annotation.row().role == AnnotationRole::Setting)
    }

    #[must_use]
    pub const fn key(self) -> &'static str {
        self.row().key
    }
}

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
