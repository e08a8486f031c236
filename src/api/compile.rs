//! From what a policy says in words to what the rules work with.
//!
//! What the schema cannot see is found here: an impossible date, a zone that does not exist. Should
//! the schema of an older or a later version be installed, so is everything else.

use std::sync::Arc;

use jiff::SignedDuration;
use windlass_core::policy::in_place;
use windlass_core::policy::window::Schedule;
use windlass_core::policy::{self, PolicySettings, WorkloadSelector};
use windlass_core::types::glob::is_pattern;
use windlass_core::types::labels::{Operator, Requirement, Selector};
use windlass_core::types::name::SourceKind;
use windlass_core::workload::key_strategy::{self, RuleSet};
use windlass_core::workload::opt_in;
use windlass_core::workload::pattern::{Pattern, is_key_or_glob};

use super::policy::{
    ClusterWorkloads, HttpMethod, InPlace, Mode, NotifyHttp, OnTimeout, PolicySpec, Rule, SourcePattern, Sources,
    Strategy, Workloads,
};
use super::restart::{Restart, Window};
use super::selector::{LabelOperator, LabelRequirement, LabelSelector};
use super::{ClusterRolloutPolicySpec, Duration, RolloutPolicySpec};

/// Entries of a list of patterns, and of rules.
pub(super) const ENTRIES: usize = 64;
/// Bytes of all names and keys of the rules.
pub(super) const RULE_BYTES: usize = 16 * 1024;
/// Bytes of those among them that have wildcards; the same for all names under `sources`. Each is compared with
/// each key, or with each source of the namespace, while plain names cost nothing to speak of.
pub(super) const WILDCARD_BYTES: usize = 4 * 1024;

/// Twice as long as the kubelet takes from the touch on.
const NOTIFY_DELAY: SignedDuration = SignedDuration::from_secs(2);

const NO_SUCH_NAME: &str = "no object can have such a name; accepted: a name, * and ? as wildcards";
const NO_SUCH_KEY: &str = "no ConfigMap or Secret can have such a key; accepted: letters, digits, '-', '_' and '.', \
                           not '.' alone nor '..' at its beginning, * and ? as wildcards";

/// What is wrong with a policy: the field, and what it accepts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("spec.{field}: {why}")]
pub struct Invalid {
    field: String,
    why: String,
}

impl Invalid {
    fn new(field: impl Into<String>, why: impl ToString) -> Self {
        Self {
            field: field.into(),
            why: why.to_string(),
        }
    }
}

impl RolloutPolicySpec {
    /// Which workloads it selects. `None`: only those that name it.
    #[must_use]
    pub fn selector(&self) -> Option<WorkloadSelector> {
        self.workloads.as_ref().map(Workloads::selects)
    }
}

impl ClusterRolloutPolicySpec {
    /// Which workloads it selects.
    #[must_use]
    pub fn selects(&self) -> WorkloadSelector {
        let ClusterWorkloads {
            workloads,
            namespace_selector,
        } = &self.workloads;
        WorkloadSelector {
            namespaces: namespace_selector.as_ref().map(LabelSelector::compile),
            ..workloads.selects()
        }
    }
}

impl Workloads {
    fn selects(&self) -> WorkloadSelector {
        let Self { kinds, selector } = self;
        WorkloadSelector {
            kinds: kinds.iter().map(|kind| kind.as_str().into()).collect(),
            labels: selector.compile(),
            namespaces: None,
        }
    }
}

impl LabelSelector {
    fn compile(&self) -> Selector {
        let Self {
            match_labels,
            match_expressions,
        } = self;
        let labels = match_labels.iter().map(|(key, value)| Requirement {
            key: key.as_str().into(),
            operator: Operator::In([value.as_str().into()].into()),
        });
        Selector(
            labels
                .chain(match_expressions.iter().map(LabelRequirement::compile))
                .collect(),
        )
    }
}

impl LabelRequirement {
    fn compile(&self) -> Requirement {
        let Self { key, operator, values } = self;
        let values = || values.iter().map(|value| value.as_str().into()).collect();
        Requirement {
            key: key.as_str().into(),
            operator: match operator {
                LabelOperator::In => Operator::In(values()),
                LabelOperator::NotIn => Operator::NotIn(values()),
                LabelOperator::Exists => Operator::Exists,
                LabelOperator::DoesNotExist => Operator::DoesNotExist,
            },
        }
    }
}

impl From<Strategy> for opt_in::Strategy {
    fn from(strategy: Strategy) -> Self {
        match strategy {
            Strategy::Auto => Self::Auto,
            Strategy::Restart => Self::Restart,
            Strategy::InPlace => Self::InPlace,
            Strategy::Ignore => Self::Ignore,
        }
    }
}

impl PolicySpec {
    /// What it says.
    ///
    /// # Errors
    /// The first field that makes no sense.
    pub fn settings(&self) -> Result<PolicySettings, Invalid> {
        let Self {
            priority: _,
            sources,
            strategy,
            rules,
            in_place,
            restart,
            mode,
            suspend,
        } = self;
        let default = PolicySettings::default();
        let in_place = in_place.clone().unwrap_or_default();
        let restart = restart.clone().unwrap_or_default();
        let Restart {
            settle,
            min_interval,
            max_parallel,
            windows,
            freezes,
            halt_on_failure,
            deadline,
            waves,
        } = &restart;
        Ok(PolicySettings {
            sources: sources.as_ref().map(Sources::compile).transpose()?.unwrap_or_default(),
            strategy: strategy.map(Into::into),
            rules: compiled(rules)?,
            in_place: in_place.compile()?.into(),
            settle: length("restart.settle", *settle)?,
            min_interval: length("restart.minInterval", *min_interval)?.unwrap_or(default.min_interval),
            max_parallel: max_parallel.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX).max(1)),
            windows: schedules("windows", windows)?,
            freezes: schedules("freezes", freezes)?,
            halt_on_failure: halt_on_failure.unwrap_or(default.halt_on_failure),
            deadline: length("restart.deadline", *deadline)?,
            waves: waves.iter().map(|wave| wave.selector.compile()).collect(),
            observe: *mode == Some(Mode::Observe),
            suspend: *suspend,
        })
    }
}

impl InPlace {
    fn compile(&self) -> Result<in_place::InPlace, Invalid> {
        let Self {
            nudge,
            agent,
            notify_http,
            timeout,
            on_timeout,
        } = self;
        let default = in_place::InPlace::default();
        Ok(in_place::InPlace {
            nudge: *nudge,
            agent: agent.as_ref().map(|agent| in_place::Agent {
                port: agent.port,
                token_secret: agent.token_secret_ref.name.as_str().into(),
            }),
            notify: notify_http.as_ref().map(NotifyHttp::compile).transpose()?,
            timeout: length("inPlace.timeout", *timeout)?.unwrap_or(default.timeout),
            on_timeout: match on_timeout {
                Some(OnTimeout::Restart) => in_place::OnTimeout::Restart,
                Some(OnTimeout::Report) | None => in_place::OnTimeout::Report,
            },
        })
    }
}

impl NotifyHttp {
    fn compile(&self) -> Result<in_place::NotifyHttp, Invalid> {
        let Self {
            port,
            path,
            method,
            delay,
        } = self;
        // It becomes part of a request: nothing in it may end a line or begin a new header.
        if !path.starts_with('/') || path.contains(|c: char| !c.is_ascii_graphic()) {
            return Err(Invalid::new(
                "inPlace.notifyHttp.path",
                "no path; accepted: one like /-/reload",
            ));
        }
        Ok(in_place::NotifyHttp {
            port: *port,
            path: path.as_str().into(),
            method: match method {
                HttpMethod::Post => in_place::Method::Post,
                HttpMethod::Put => in_place::Method::Put,
                HttpMethod::Get => in_place::Method::Get,
            },
            delay: length("inPlace.notifyHttp.delay", *delay)?.unwrap_or(NOTIFY_DELAY),
        })
    }
}

fn compiled(rules: &[Rule]) -> Result<Arc<RuleSet>, Invalid> {
    at_most(ENTRIES, rules.len(), "rules", "rules")?;
    for (at, rule) in rules.iter().enumerate() {
        at_most(ENTRIES, rule.keys.len(), &format!("rules[{at}].keys"), "keys")?;
    }
    let texts = || rules.iter().flat_map(|rule| rule.keys.iter().chain([&rule.name]));
    at_most(RULE_BYTES, bytes(texts()), "rules", "bytes of names and keys")?;
    at_most(WILDCARD_BYTES, wildcard_bytes(texts()), "rules", WITH_WILDCARDS)?;
    let rules = rules.iter().enumerate();
    let rules = rules.map(|(at, rule)| rule.compile(&format!("rules[{at}]")));
    rules.collect::<Result<RuleSet, _>>().map(Arc::new)
}

const WITH_WILDCARDS: &str = "bytes of names and keys with wildcards";

fn bytes<'a>(texts: impl Iterator<Item = &'a String>) -> usize {
    texts.map(String::len).sum()
}

fn wildcard_bytes<'a>(texts: impl Iterator<Item = &'a String>) -> usize {
    bytes(texts.filter(|text| is_pattern(text)))
}

/// The installed schema may be an older one, and a policy may be older than the schema.
fn at_most(limit: usize, given: usize, field: &str, what: &str) -> Result<(), Invalid> {
    if given <= limit {
        return Ok(());
    }
    Err(Invalid::new(
        field,
        format!("{given} {what}; accepted: at most {limit}"),
    ))
}

impl Rule {
    fn compile(&self, field: &str) -> Result<key_strategy::Rule, Invalid> {
        let Self {
            kind,
            name,
            keys,
            strategy,
        } = self;
        // A rule that fits nothing leaves what it is about to the default, which restarts.
        let names_nothing = || Invalid::new(format!("{field}.name"), NO_SUCH_NAME);
        Pattern::glob(None, name).ok_or_else(names_nothing)?;
        if let Some(at) = keys.iter().position(|key| !is_key_or_glob(key)) {
            return Err(Invalid::new(format!("{field}.keys[{at}]"), NO_SUCH_KEY));
        }
        Ok(key_strategy::Rule {
            kind: kind.map(Into::into),
            name: name.as_str().into(),
            keys: keys.iter().map(|key| key.as_str().into()).collect(),
            strategy: (*strategy).into(),
        })
    }
}

impl Sources {
    fn compile(&self) -> Result<policy::SourceFilter, Invalid> {
        let Self {
            include,
            exclude,
            extra,
        } = self;
        let lists = [("include", include), ("exclude", exclude), ("extra", extra)];
        for (field, patterns) in lists {
            at_most(ENTRIES, patterns.len(), &format!("sources.{field}"), "entries")?;
        }
        let names = lists.iter().flat_map(|(_, patterns)| patterns.iter());
        let given = wildcard_bytes(names.map(|pattern| &pattern.name));
        at_most(WILDCARD_BYTES, given, "sources", "bytes of names with wildcards")?;
        Ok(policy::SourceFilter {
            include: patterns("include", include)?,
            exclude: patterns("exclude", exclude)?,
            extra: patterns("extra", extra)?,
        })
    }
}

fn patterns(field: &str, patterns: &[SourcePattern]) -> Result<Box<[(SourceKind, Pattern)]>, Invalid> {
    patterns
        .iter()
        .enumerate()
        .map(|(at, SourcePattern { kind, name })| {
            let names_nothing = || Invalid::new(format!("sources.{field}[{at}].name"), NO_SUCH_NAME);
            let pattern = Pattern::glob(None, name).ok_or_else(names_nothing)?;
            Ok(((*kind).into(), pattern))
        })
        .collect()
}

fn schedules(field: &str, windows: &[Window]) -> Result<Vec<Schedule>, Invalid> {
    windows
        .iter()
        .enumerate()
        .map(|(at, window)| {
            let Window {
                schedule,
                duration,
                time_zone,
            } = window;
            let field = format!("restart.{field}[{at}]");
            let lasts = signed(&format!("{field}.duration"), *duration)?;
            Schedule::parse(schedule, lasts, time_zone).map_err(|why| Invalid::new(field, why))
        })
        .collect()
}

fn length(field: &str, duration: Option<Duration>) -> Result<Option<SignedDuration>, Invalid> {
    duration.map(|duration| signed(field, duration)).transpose()
}

fn signed(field: &str, duration: Duration) -> Result<SignedDuration, Invalid> {
    SignedDuration::try_from(duration.get()).map_err(|_| Invalid::new(field, "too long"))
}
