//! One flag: its facts, and its value from the command line, the environment or the default.

use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use windlass_core::types::duration;

use super::UsageError;

/// Where a value is from that nobody gave.
const DEFAULT: &str = "the default";

/// A flag's facts: for help, errors and defaults alike.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flag {
    /// Without the dashes.
    pub(super) name: &'static str,
    /// Empty: none.
    pub(super) default: &'static str,
    /// Continues "accepts …".
    pub(super) accepts: &'static str,
    /// What the name of its environment variable begins with.
    pub(super) prefix: &'static str,
}

impl Flag {
    /// The environment variable that stands for the flag.
    pub(super) fn env(&self) -> String {
        format!("{}{}", self.prefix, self.name.to_ascii_uppercase().replace('-', "_"))
    }
}

macro_rules! flags {
    ($whose:literal, $prefix:literal; $($id:ident: $name:literal, $default:literal, $accepts:expr;)*) => {
        $(const $id: $crate::cli::setting::Flag = $crate::cli::setting::Flag {
            name: $name,
            default: $default,
            accepts: $accepts,
            prefix: $prefix,
        };)*
        #[doc = concat!("All flags of ", $whose, ", in the order of its help.")]
        pub(super) const FLAGS: &[$crate::cli::setting::Flag] = &[$($id),*];
    };
}
pub(super) use flags;

/// A flag's value with where it came from.
pub(super) struct Setting {
    flag: Flag,
    /// The flag or the variable, for the error.
    origin: String,
    value: OsString,
}

impl Setting {
    pub(super) fn new(flag: Flag, given: Option<OsString>, env: &dyn Fn(&str) -> Option<OsString>) -> Self {
        if let Some(value) = given {
            return Self {
                flag,
                origin: format!("--{}", flag.name),
                value,
            };
        }
        let variable = flag.env();
        match env(&variable).filter(|value| !value.is_empty()) {
            Some(value) => Self {
                flag,
                origin: variable,
                value,
            },
            None => Self {
                flag,
                origin: DEFAULT.to_owned(),
                value: flag.default.into(),
            },
        }
    }

    pub(super) fn read<T>(&self, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, UsageError> {
        self.value.to_str().and_then(parse).ok_or_else(|| {
            // The value in quotes and escaped, so that whatever it holds stays on one line.
            let (origin, value) = (&self.origin, self.value.to_string_lossy());
            let accepts = self.flag.accepts;
            UsageError(format!("{origin}: {value:?} is not valid; accepts {accepts}"))
        })
    }

    /// For what may be left out and nobody may read in a log.
    #[cfg(feature = "controller")]
    pub(super) fn read_secret<T>(&self, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, UsageError> {
        if self.value.is_empty() {
            return Ok(None);
        }
        self.value.to_str().and_then(parse).map(Some).ok_or_else(|| {
            let (origin, accepts) = (&self.origin, self.flag.accepts);
            UsageError(format!(
                "{origin}: its value, not shown here, is not valid; accepts {accepts}"
            ))
        })
    }

    /// For what may be left out: empty is `None`, also when given so.
    pub(super) fn read_optional<T>(&self, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, UsageError> {
        if self.value.is_empty() {
            Ok(None)
        } else {
            self.read(parse).map(Some)
        }
    }

    /// The flag or the variable that set it; `None`: the default stands.
    #[cfg(feature = "agent")]
    pub(super) fn set_by(&self) -> Option<&str> {
        (!self.value.is_empty() && self.origin != DEFAULT).then_some(&*self.origin)
    }

    /// A path may hold any bytes, and only opening it tells whether it is good.
    pub(super) fn path(self) -> Option<PathBuf> {
        (!self.value.is_empty()).then(|| self.value.into())
    }
}

pub(super) fn duration_in(text: &str, range: &RangeInclusive<Duration>) -> Option<Duration> {
    duration::parse(text).filter(|duration| range.contains(duration))
}
