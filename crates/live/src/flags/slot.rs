//! One registered flag, whatever its type.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use super::{FlagValue, Kind, name::Name};

/// The value of a flag, of the type that its slot knows.
pub(super) type Value = Arc<dyn Any + Send + Sync>;

pub(super) type Validator<T> = Box<dyn Fn(&T) -> Result<(), String> + Send + Sync>;
pub(super) type Notifier<T> = Box<dyn Fn(&T, &T) + Send + Sync>;

/// What a flag is besides its present value.
pub(super) struct Slot {
    pub(super) name: Name,
    pub(super) kind: Kind,
    pub(super) help: String,
    pub(super) secret: bool,
    pub(super) typed: Box<dyn Typed>,
    pub(super) default: Value,
    /// From the command line; holds where no key says otherwise.
    pub(super) given: Option<Value>,
}

impl Slot {
    /// The value of a text. A secret flag's error does not quote it.
    pub(super) fn parse(&self, text: &str) -> Result<Value, String> {
        let refused = |message| if self.secret { masked() } else { message };
        self.typed.parse(text).map_err(refused)
    }

    /// The value as people may see it.
    pub(super) fn show(&self, value: &Value) -> String {
        if self.secret {
            return "***".to_owned();
        }
        self.typed.show(value)
    }

    /// The value where no key says otherwise.
    pub(super) fn base(&self) -> &Value {
        self.given.as_ref().unwrap_or(&self.default)
    }
}

/// In place of a message that may quote a secret value.
pub(super) fn masked() -> String {
    "is not a valid value (secret, not shown)".to_owned()
}

/// What needs the type.
pub(super) trait Typed: Send + Sync {
    fn kind(&self) -> String;
    fn alone(&self) -> Option<&'static str>;
    /// Parses and validates.
    fn parse(&self, text: &str) -> Result<Value, String>;
    fn same(&self, one: &Value, other: &Value) -> bool;
    fn show(&self, value: &Value) -> String;
    /// Tells every notifier in order; returns how many of them panicked.
    fn notify(&self, old: &Value, new: &Value) -> usize;
}

pub(super) struct Rules<T> {
    pub(super) validators: Vec<Validator<T>>,
    pub(super) notifiers: Vec<Notifier<T>>,
}

impl<T: FlagValue> Rules<T> {
    pub(super) fn validate(&self, value: &T) -> Result<(), String> {
        catch_unwind(AssertUnwindSafe(|| {
            self.validators.iter().try_for_each(|validator| validator(value))
        }))
        .unwrap_or_else(|_| Err("a validator panicked".to_owned()))
    }
}

impl<T: FlagValue> Typed for Rules<T> {
    fn kind(&self) -> String {
        T::kind()
    }

    fn alone(&self) -> Option<&'static str> {
        T::ALONE
    }

    fn parse(&self, text: &str) -> Result<Value, String> {
        let value = catch_unwind(|| T::parse(text)).unwrap_or_else(|_| Err("its parser panicked".to_owned()))?;
        self.validate(&value)?;
        Ok(Arc::new(value))
    }

    fn same(&self, one: &Value, other: &Value) -> bool {
        // A comparison that panics would end the following of all flags.
        catch_unwind(AssertUnwindSafe(|| of::<T>(one) == of::<T>(other))).unwrap_or(false)
    }

    fn show(&self, value: &Value) -> String {
        of::<T>(value).show()
    }

    fn notify(&self, old: &Value, new: &Value) -> usize {
        let (old, new) = (of::<T>(old), of::<T>(new));
        let panicked = |notifier: &&Notifier<T>| catch_unwind(AssertUnwindSafe(|| notifier(old, new))).is_err();
        self.notifiers.iter().filter(panicked).count()
    }
}

/// The value as what it is.
pub(super) fn of<T: 'static>(value: &Value) -> &T {
    value
        .downcast_ref()
        .expect("a slot holds values of the type that it was registered with")
}
