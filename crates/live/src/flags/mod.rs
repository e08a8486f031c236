//! Typed flags: from the command line first, and from a source with one key for each flag after it.
//!
//! ```text
//!   default ──▶ command line ──▶ key of the source      the rightmost that is there holds
//! ```
//!
//! A *static* flag is what it was at the start; when its key changes, it is said that it needs a restart.
//! A *dynamic* flag follows its key. Flags whose keys change in one swap change together, or, if one of
//! them is not a good value, not at all. A key that goes away gives the flag back to the command line or
//! its default; one that cannot be read changes nothing.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # std::fs::write(directory.path().join("request_timeout"), "250ms\n")?;
//! # let path = directory.path();
//! use std::time::Duration;
//! use windlass_live::{Volume, flags::{Flag, FlagSet}};
//!
//! let mut set = FlagSet::new();
//! let port = set.add_static(Flag::new("port", 8080_u16).help("where to listen"))?;
//! let timeout = set.add_dynamic(
//!     Flag::new("request-timeout", Duration::from_secs(1))
//!         .validator(|timeout| match timeout.is_zero() {
//!             true => Err("must be more than nothing".to_owned()),
//!             false => Ok(()),
//!         })
//!         .notifier(|old, new| println!("{old:?} -> {new:?}")),
//! )?;
//! set.command_line(["--port=9090".to_owned()])?;
//!
//! let volume = Volume::open(path).await?;
//! let flags = set.initialize(&volume)?; // both kinds
//! flags.start(); // the dynamic ones from here on
//! assert_eq!(port.get(), 9090);
//! assert_eq!(timeout.get(), Duration::from_millis(250));
//! # Ok(())
//! # }
//! ```

mod apply;
mod command_line;
mod handle;
mod listing;
mod name;
#[cfg(feature = "axum")]
mod page;
mod report;
mod rules;
mod slot;
#[cfg(test)]
mod tests;
mod timestamp;
mod units;
mod value;

use std::{
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use arc_swap::ArcSwap;

#[cfg(feature = "json")]
pub use self::value::Json;
use self::{
    apply::Inner,
    handle::Values,
    name::Name,
    report::Reporter,
    slot::{Notifier, Rules, Slot, Validator, Value, masked},
};
pub use self::{
    command_line::CommandLineError,
    handle::{Dynamic, Static, View},
    listing::{Listed, Origin},
    name::NameError,
    report::{FlagProblem, FlagsError, Report},
    rules::{PolicyRule, RulesError, SourceKind, rules_yaml},
    value::{Choice, FlagValue, Size},
};
use crate::feed::{Changes, Feed, Task};

/// What a flag is, before it is registered.
#[must_use]
pub struct Flag<T> {
    name: String,
    default: T,
    help: String,
    secret: bool,
    rules: Rules<T>,
}

/// Whether a flag follows its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It stays as it was at the start.
    Static,
    /// It follows its key.
    Dynamic,
}

/// What to do about keys that are no flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unknown {
    /// Nothing: the source holds other things as well.
    Ignore,
    /// Report them.
    #[default]
    Warn,
    /// Take nothing of a version that has one.
    Refuse,
}

/// Why a flag was not registered: mistakes in the program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The name cannot be a key of a `ConfigMap`, or not be told on the command line.
    #[error("the name {name:?} {reason}")]
    Name {
        /// As it was given.
        name: String,
        /// What is wrong with it.
        reason: NameError,
    },
    /// Another flag has a name that is the same but for `-` and `_`.
    #[error("{name} and {other} are the same flag")]
    Taken {
        /// As it was given.
        name: String,
        /// The one that was there before.
        other: String,
    },
    /// A validator refuses the default.
    #[error("invalid default of {name}: {message}")]
    Default {
        /// The flag.
        name: String,
        /// What the validator says.
        message: String,
    },
}

impl<T: FlagValue> Flag<T> {
    /// A flag with its default. The name may have letters, digits, `-`, `_` and `.`, and is a key of the
    /// source as well; `-` and `_` are the same.
    pub fn new(name: &str, default: T) -> Self {
        Self {
            name: name.to_owned(),
            default,
            help: String::new(),
            secret: false,
            rules: Rules {
                validators: Vec::new(),
                notifiers: Vec::new(),
            },
        }
    }

    /// One line on what it is for.
    pub fn help(mut self, help: &str) -> Self {
        help.clone_into(&mut self.help);
        self
    }

    /// Its value and its default are shown nowhere and quoted by no error. Of a secret source every flag
    /// is secret from [`FlagSet::initialize`] on.
    pub fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// A check of each value, that on the command line and the default included; all have to agree and
    /// are asked in order. It may ask the flags and take its time: those who read are not kept waiting.
    pub fn validator(mut self, validator: impl Fn(&T) -> Result<(), String> + Send + Sync + 'static) -> Self {
        self.rules.validators.push(Box::new(validator) as Validator<T>);
        self
    }

    /// Told the old value and the new one after each change that [`Flags::start`] makes. Notifiers are
    /// called one after the other: those of one flag in the order given here, flags in the order in which
    /// they were registered. One that panics is reported, and the others are told all the same. It may ask
    /// the flags; one that takes long keeps the next change waiting and nobody else.
    pub fn notifier(mut self, notifier: impl Fn(&T, &T) + Send + Sync + 'static) -> Self {
        self.rules.notifiers.push(Box::new(notifier) as Notifier<T>);
        self
    }
}

/// Flags that are being registered.
pub struct FlagSet {
    slots: Vec<Slot>,
    values: Arc<ArcSwap<Values>>,
    following: Arc<Following>,
    unknown: Unknown,
    reporter: Reporter,
}

impl Default for FlagSet {
    fn default() -> Self {
        Self::new()
    }
}

impl FlagSet {
    /// No flags yet. Keys that are no flags are reported; reports are a line on standard error.
    #[must_use]
    pub fn new() -> Self {
        Self {
            slots: Vec::new(),
            values: Arc::new(ArcSwap::from_pointee(Values(Vec::new()))),
            following: Arc::default(),
            unknown: Unknown::default(),
            reporter: Reporter::default(),
        }
    }

    /// What to do about keys that are no flags.
    pub fn unknown_keys(&mut self, unknown: Unknown) -> &mut Self {
        self.unknown = unknown;
        self
    }

    /// Who is told what happens, in place of a line on standard error. Has to be quick.
    pub fn reporter(&mut self, function: impl Fn(&Report) + Send + Sync + 'static) -> &mut Self {
        self.reporter = Reporter::new(function);
        self
    }

    /// Registers a flag that stays as it was at the start.
    ///
    /// # Errors
    ///
    /// The name cannot be a key or is taken, or a validator refuses the default.
    pub fn add_static<T: FlagValue>(&mut self, flag: Flag<T>) -> Result<Static<T>, RegisterError> {
        let slot = self.add(flag, Kind::Static)?;
        Ok(Static::new(slot, &self.values, &self.following))
    }

    /// Registers a flag that follows its key.
    ///
    /// # Errors
    ///
    /// The name cannot be a key or is taken, or a validator refuses the default.
    pub fn add_dynamic<T: FlagValue>(&mut self, flag: Flag<T>) -> Result<Dynamic<T>, RegisterError> {
        let slot = self.add(flag, Kind::Dynamic)?;
        Ok(Dynamic::new(slot, &self.values, &self.following))
    }

    fn add<T: FlagValue>(&mut self, flag: Flag<T>, kind: Kind) -> Result<usize, RegisterError> {
        let Flag {
            name: given,
            default,
            help,
            secret,
            rules,
        } = flag;
        let name = Name::new(&given).map_err(|reason| RegisterError::Name {
            name: given.clone(),
            reason,
        })?;
        let keys = name.keys();
        if let Some(other) = self
            .slots
            .iter()
            .find(|slot| keys.iter().any(|key| slot.name.is_written(key)))
        {
            return Err(RegisterError::Taken {
                name: given,
                other: other.name.to_string(),
            });
        }
        if let Err(message) = rules.validate(&default) {
            let message = if secret { masked() } else { message };
            return Err(RegisterError::Default { name: given, message });
        }
        let default: Value = Arc::new(default);
        self.slots.push(Slot {
            name,
            kind,
            help,
            secret,
            typed: Box::new(rules),
            default,
            given: None,
        });
        self.show_base();
        Ok(self.slots.len() - 1)
    }

    /// Takes the flags out of a command line, given without the name of the program, and returns what is
    /// left: arguments without `--` in front, and all after a `--` alone. `--name value` and
    /// `--name=value`; a `bool` may stand alone.
    ///
    /// # Errors
    ///
    /// An unknown flag, a value that is missing or not a good one, a flag given twice; then no flag has
    /// changed. Also when help is wanted.
    pub fn command_line(
        &mut self,
        arguments: impl IntoIterator<Item = String>,
    ) -> Result<Vec<String>, CommandLineError> {
        let rest = command_line::take(&mut self.slots, arguments)?;
        self.show_base();
        Ok(rest)
    }

    /// Handles read what holds without a source until there is one.
    fn show_base(&self) {
        let values = self.slots.iter().map(|slot| Arc::clone(slot.base())).collect();
        self.values.store(Arc::new(Values(values)));
    }

    /// Two lines for each flag, for `--help`.
    #[must_use]
    pub fn help(&self) -> String {
        let lines = self.slots.iter().map(|slot| {
            let kind = slot.typed.kind();
            let default = slot.show(&slot.default);
            format!("  --{} ({kind}; default {default})\n        {}\n", slot.name, slot.help)
        });
        lines.collect()
    }

    /// Sets static and dynamic flags from a source. [`Flags::start`] follows the dynamic ones from there.
    ///
    /// # Errors
    ///
    /// A key is not a good value, cannot be read, or is there twice (with `-` and with `_`); or there is
    /// one that is no flag and these are refused. All that is wrong is in the error.
    pub fn initialize(mut self, source: &impl AsRef<Feed>) -> Result<Flags, FlagsError> {
        let changes = source.as_ref().changes();
        if source.as_ref().is_secret() {
            for slot in &mut self.slots {
                slot.secret = true;
            }
        }
        let flags = self.without_source();
        flags.inner.initialize(changes.last())?;
        Ok(Flags {
            pending: Arc::new(Mutex::new(Some(changes))),
            ..flags
        })
    }

    /// The same without a source: what the command line and the defaults say is all there is.
    #[must_use]
    pub fn without_source(self) -> Flags {
        let inner = Arc::new(Inner::new(self.slots, self.values, self.unknown, self.reporter));
        Flags {
            inner,
            following: self.following,
            pending: Arc::default(),
        }
    }
}

impl fmt::Debug for FlagSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.slots.iter().map(|slot| slot.name.as_str());
        formatter.debug_list().entries(names).finish()
    }
}

/// Flags that have their values. Clones are cheap and share everything.
///
/// Once started, keys are followed until the last of these and the last handle ([`Dynamic`], [`Static`]) is
/// dropped: whoever can read a flag reads its present value. A validator, notifier or reporter that owns one of them is kept
/// by the following, which then ends with the runtime only; give it a [`Weak`](std::sync::Weak) where that
/// matters.
#[derive(Clone)]
pub struct Flags {
    inner: Arc<Inner>,
    following: Arc<Following>,
    /// What is to be followed from the start on.
    pending: Arc<Mutex<Option<Changes>>>,
}

/// The task that follows the source, if any. Everybody who reads flags holds it, and the task does not.
#[derive(Default)]
struct Following(OnceLock<Task>);

impl Flags {
    /// Follows the keys of dynamic flags from here on; what has changed since
    /// [`FlagSet::initialize`] is taken at once. Without a source, and the second time, it does nothing.
    /// Parsers, validators, notifiers and the reporter are called on a thread for blocking work.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn start(&self) {
        let pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(changes) = pending {
            let task = tokio::spawn(follow(Arc::clone(&self.inner), changes));
            self.following.0.get_or_init(|| Task(task));
        }
    }

    /// All flags at this moment: what changed in one swap is all old or all new in it.
    #[must_use]
    pub fn view(&self) -> View {
        self.inner.view()
    }

    /// How many versions were not taken so far.
    #[must_use]
    pub fn refusals(&self) -> u64 {
        self.inner.refusals()
    }

    /// Why the newest version was not taken; `None` when it was.
    #[must_use]
    pub fn problem(&self) -> Option<FlagsError> {
        self.inner.problem()
    }

    /// Static flags whose key says something else than they do.
    #[must_use]
    pub fn needs_restart(&self) -> Vec<String> {
        self.inner.needs_restart()
    }

    /// Every flag in the order of registration, for people: secret values are masked.
    #[must_use]
    pub fn list(&self) -> Vec<Listed> {
        self.inner.list()
    }

    /// The `rules` of a `RolloutPolicy` that fit the flags: `Restart` for the keys of static ones,
    /// `InPlace` for those of dynamic ones. [`rules_yaml`] prints them.
    ///
    /// # Errors
    ///
    /// The name cannot be that of an object, or there are more keys than a policy's rules can hold.
    pub fn policy_rules(&self, kind: SourceKind, name: &str) -> Result<Vec<PolicyRule>, RulesError> {
        rules::policy_rules(self.inner.slots(), kind, name)
    }
}

async fn follow(inner: Arc<Inner>, mut changes: Changes) {
    while let Some(snapshot) = changes.next().await {
        let inner = Arc::clone(&inner);
        // What the application checks and does may take long, and a runtime may have one thread only.
        let taken = tokio::task::spawn_blocking(move || inner.take(&snapshot)).await;
        if taken.is_err_and(|error| error.is_cancelled()) {
            return;
        }
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.inner.slots().iter().map(|slot| slot.name.as_str());
        formatter.debug_list().entries(names).finish()
    }
}
