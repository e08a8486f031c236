//! The annotation keys, read and written. Manifests rely on them: a name here never changes.

/// On a workload: `"true"` opts it in, `"false"` keeps Windlass off it.
pub const ENABLED: &str = "windlass.dev/enabled";
/// On a workload: the policy that governs it, by name.
pub const POLICY: &str = "windlass.dev/policy";
/// On a workload: what a change does to it, past any policy.
pub const STRATEGY: &str = "windlass.dev/strategy";
/// On a workload: `ConfigMap`s that count although the pod template does not name them.
pub const CONFIGMAPS: &str = "windlass.dev/configmaps";
/// On a workload: `ConfigMap`s that do not count although the pod template names them.
pub const EXCLUDE_CONFIGMAPS: &str = "windlass.dev/exclude-configmaps";
/// On a source: `"true"` means that its changes never count.
pub const IGNORE: &str = "windlass.dev/ignore";

/// Written on a workload's metadata: the baseline.
pub const OBSERVED: &str = "windlass.dev/observed";
/// Written on a pod template with each restart: the digest of what the workload consumes.
pub const CONFIG_DIGEST: &str = "windlass.dev/config-digest";
/// Written on a pod template with each restart: when and because of what.
pub const CAUSE: &str = "windlass.dev/cause";

/// What all of ours begin with.
pub const PREFIX: &str = "windlass.dev/";
