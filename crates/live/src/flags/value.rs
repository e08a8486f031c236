//! Types that a flag can have.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use super::units;

/// A type that a flag can have.
///
/// There are: `bool`, whole numbers, `f64`, `String`, `PathBuf`, [`Duration`], [`Size`], IP and socket
/// addresses, `Vec` (a list) and `BTreeSet` (a set) of these, [`Json`], and every [`Choice`].
pub trait FlagValue: PartialEq + Send + Sync + Sized + 'static {
    /// On the command line the name alone means this text; of a `bool` it is `true`.
    const ALONE: Option<&'static str> = None;

    /// What it is in a few words, such as `duration`.
    fn kind() -> String;

    /// The value of a text, without the line end at its end.
    ///
    /// # Errors
    ///
    /// What is expected, in one line. It may quote the text: of a secret flag it is not shown.
    fn parse(text: &str) -> Result<Self, String>;

    /// The text of a value, for people.
    fn show(&self) -> String;
}

/// An enum as the value of a flag.
///
/// ```
/// use windlass_live::flags::{Choice, FlagValue};
///
/// #[derive(Clone, Copy, Debug, PartialEq)]
/// enum Level {
///     Info,
///     Debug,
/// }
///
/// impl Choice for Level {
///     const CHOICES: &'static [(&'static str, Self)] = &[("info", Self::Info), ("debug", Self::Debug)];
/// }
///
/// assert_eq!(Level::parse("debug"), Ok(Level::Debug));
/// assert_eq!(Level::parse("loud"), Err("\"loud\" is not one of info, debug".to_owned()));
/// ```
pub trait Choice: Copy + PartialEq + Send + Sync + 'static {
    /// Each value with the text that stands for it.
    const CHOICES: &'static [(&'static str, Self)];
}

impl<T: Choice> FlagValue for T {
    fn kind() -> String {
        format!("one of {}", words::<T>())
    }

    fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let found = T::CHOICES.iter().find(|(word, _)| *word == text);
        found
            .map(|(_, value)| *value)
            .ok_or_else(|| format!("{text:?} is not one of {}", words::<T>()))
    }

    fn show(&self) -> String {
        let found = T::CHOICES.iter().find(|(_, value)| value == self);
        found.map_or("?", |(word, _)| word).to_owned()
    }
}

fn words<T: Choice>() -> String {
    let words: Vec<_> = T::CHOICES.iter().map(|(word, _)| *word).collect();
    words.join(", ")
}

impl FlagValue for bool {
    const ALONE: Option<&'static str> = Some("true");

    fn kind() -> String {
        "true or false".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        match text.trim() {
            "true" => Ok(true),
            "false" => Ok(false),
            other => Err(format!("{other:?} is neither true nor false")),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

/// Types whose `FromStr` and `Display` are what people write and read.
macro_rules! plain {
    ($($type:ty: $kind:expr;)*) => {
        $(
            impl FlagValue for $type {
                fn kind() -> String {
                    $kind
                }

                fn parse(text: &str) -> Result<Self, String> {
                    let text = text.trim();
                    text.parse().map_err(|_| format!("{text:?} is not a value of type {}", Self::kind()))
                }

                fn show(&self) -> String {
                    self.to_string()
                }
            }
        )*
    };
}

plain! {
    u8: range(Self::MIN, Self::MAX);
    u16: range(Self::MIN, Self::MAX);
    u32: range(Self::MIN, Self::MAX);
    u64: range(Self::MIN, Self::MAX);
    usize: range(Self::MIN, Self::MAX);
    i8: range(Self::MIN, Self::MAX);
    i16: range(Self::MIN, Self::MAX);
    i32: range(Self::MIN, Self::MAX);
    i64: range(Self::MIN, Self::MAX);
    isize: range(Self::MIN, Self::MAX);
    IpAddr: "IP address".to_owned();
    Ipv4Addr: "IPv4 address".to_owned();
    Ipv6Addr: "IPv6 address".to_owned();
    SocketAddr: "IP address and port".to_owned();
}

fn range<N: std::fmt::Display>(least: N, most: N) -> String {
    format!("whole number from {least} to {most}")
}

impl FlagValue for f64 {
    fn kind() -> String {
        "number".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        // NaN is not equal to itself and would be a change each time; nobody means infinity.
        let number = text.parse().ok().filter(|number: &f64| number.is_finite());
        number.ok_or_else(|| format!("{text:?} is not a number"))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl FlagValue for String {
    fn kind() -> String {
        "text".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }

    fn show(&self) -> String {
        self.clone()
    }
}

impl FlagValue for PathBuf {
    fn kind() -> String {
        "path".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self::from(text))
    }

    fn show(&self) -> String {
        self.display().to_string()
    }
}

impl FlagValue for Duration {
    fn kind() -> String {
        "duration such as 1h30m or 250ms".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        units::parse_duration(text.trim())
    }

    fn show(&self) -> String {
        units::show_duration(*self)
    }
}

/// A number of bytes, written as Kubernetes does: `512`, `64Ki`, `10Mi`, `1G`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(pub u64);

impl FlagValue for Size {
    fn kind() -> String {
        "size in bytes such as 64Ki or 10M".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        units::parse_size(text.trim()).map(Self)
    }

    fn show(&self) -> String {
        units::show_size(self.0)
    }
}

impl<T: FlagValue> FlagValue for Vec<T> {
    fn kind() -> String {
        format!("list, by commas or lines, of: {}", T::kind())
    }

    fn parse(text: &str) -> Result<Self, String> {
        elements(text)
    }

    fn show(&self) -> String {
        join(self)
    }
}

impl<T: FlagValue + Ord> FlagValue for BTreeSet<T> {
    fn kind() -> String {
        format!("set, by commas or lines, of: {}", T::kind())
    }

    fn parse(text: &str) -> Result<Self, String> {
        elements(text)
    }

    fn show(&self) -> String {
        join(self)
    }
}

/// Elements by commas or lines, without the spaces around them. Nothing at all is an empty list; a comma
/// with nothing before it is a mistake.
fn elements<T: FlagValue, C: FromIterator<T>>(text: &str) -> Result<C, String> {
    if text.trim().is_empty() {
        return Ok(C::from_iter([]));
    }
    text.trim()
        .split([',', '\n'])
        .map(|element| match element.trim() {
            "" => Err("has an empty element".to_owned()),
            element => T::parse(element),
        })
        .collect()
}

fn join<'a, T: FlagValue>(elements: impl IntoIterator<Item = &'a T>) -> String {
    let elements: Vec<_> = elements.into_iter().map(FlagValue::show).collect();
    elements.join(",")
}

/// Any serde type as the value of a flag, written as JSON.
#[cfg(feature = "json")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Json<T>(pub T);

#[cfg(feature = "json")]
impl<T> FlagValue for Json<T>
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + Send + Sync + 'static,
{
    fn kind() -> String {
        "JSON".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        crate::parse::json(text.as_bytes())
            .map(Self)
            .map_err(|error| match error.position {
                Some(position) => format!("{position}: {error}"),
                None => error.to_string(),
            })
    }

    fn show(&self) -> String {
        serde_json::to_string(&self.0).unwrap_or_else(|_| "(not displayable)".to_owned())
    }
}
