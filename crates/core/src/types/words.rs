//! Enums whose variants are words: in labels, logs, flags and messages.

/// Defines an enum of words from one row a variant: `ALL` in the order of the rows, `as_str`, and, where each row
/// has a meaning after `=>`, `meaning` for the generated reference.
#[macro_export]
macro_rules! words {
    (@enum $(#[$about:meta])* $vis:vis $name:ident; $($(#[$doc:meta])* $variant:ident = $word:literal,)*) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// Each of them, in the order in which the reference lists them.
            $vis const ALL: [Self; [$($word),*].len()] = [$(Self::$variant),*];

            /// The stable word for labels, logs and messages.
            #[must_use]
            $vis const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
    };
    (
        $(#[$about:meta])* $vis:vis enum $name:ident {
            $($(#[$doc:meta])* $variant:ident = $word:literal => $meaning:literal,)*
        }
    ) => {
        $crate::words! { @enum $(#[$about])* $vis $name; $($(#[$doc])* #[doc = $meaning] $variant = $word,)* }

        impl $name {
            /// What the word means, for the generated reference.
            #[must_use]
            $vis const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
    (
        $(#[$about:meta])* $vis:vis enum $name:ident {
            $($(#[$doc:meta])* $variant:ident = $word:literal,)*
        }
    ) => {
        $crate::words! { @enum $(#[$about])* $vis $name; $($(#[$doc])* $variant = $word,)* }
    };
}
