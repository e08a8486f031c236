//! How an application reads a flag.

use std::{fmt, marker::PhantomData, sync::Arc};

use arc_swap::ArcSwap;

use super::{
    FlagValue, Following,
    slot::{Value, of},
};

/// The values of all flags at one moment.
pub(super) struct Values(pub(super) Vec<Value>);

impl Values {
    fn get(&self, slot: usize) -> &Value {
        self.0
            .get(slot)
            .expect("slots are only added, and a handle is made after its slot")
    }
}

/// A flag that follows its key. Reading it takes no lock. The source is followed as long as there is a
/// handle, or a [`Flags`](super::Flags).
pub struct Dynamic<T>(Handle<T>);

/// A flag that stays as it was at the start. It keeps the source followed, as a [`Dynamic`] one does.
pub struct Static<T>(Handle<T>);

struct Handle<T> {
    slot: usize,
    values: Arc<ArcSwap<Values>>,
    following: Arc<Following>,
    value: PhantomData<fn() -> T>,
}

/// All flags at one moment: what changed in one swap is all old or all new in it.
#[derive(Clone)]
pub struct View(pub(super) Arc<Values>);

macro_rules! readable {
    ($handle:ident) => {
        impl<T: FlagValue> $handle<T> {
            pub(super) fn new(slot: usize, values: &Arc<ArcSwap<Values>>, following: &Arc<Following>) -> Self {
                Self(Handle {
                    slot,
                    values: Arc::clone(values),
                    following: Arc::clone(following),
                    value: PhantomData,
                })
            }

            /// The present value.
            #[must_use]
            pub fn get(&self) -> T
            where
                T: Clone,
            {
                self.with(T::clone)
            }

            /// What a function makes of the present value, without a copy of it.
            pub fn with<R>(&self, function: impl FnOnce(&T) -> R) -> R {
                function(of(self.0.values.load().get(self.0.slot)))
            }

            /// The value in a view of all flags.
            ///
            /// # Panics
            ///
            /// The view is of another set of flags.
            #[must_use]
            pub fn of<'a>(&self, view: &'a View) -> &'a T {
                of(view.0.get(self.0.slot))
            }
        }

        impl<T> Clone for $handle<T> {
            fn clone(&self) -> Self {
                Self(Handle {
                    slot: self.0.slot,
                    values: Arc::clone(&self.0.values),
                    following: Arc::clone(&self.0.following),
                    value: PhantomData,
                })
            }
        }

        impl<T> fmt::Debug for $handle<T> {
            /// Without the value: it may be secret.
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter
                    .debug_struct(stringify!($handle))
                    .finish_non_exhaustive()
            }
        }
    };
}

readable!(Dynamic);
readable!(Static);

impl fmt::Debug for View {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("View").finish_non_exhaustive()
    }
}
