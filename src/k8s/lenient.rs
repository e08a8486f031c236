//! Fields of other people's objects: one that is absent, null or of another type is told apart, and never makes
//! the rest of its object or of its list undecodable.
//!
//! The API server itself sends null for times that nobody knows, such as the start of a container that an
//! eviction has ended (`state.terminated.startedAt`).

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A field as it was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Field<T> {
    /// Left out, or null.
    #[default]
    Absent,
    /// Of another type.
    Invalid,
    /// As it should be.
    Value(T),
}

impl<T> Field<T> {
    /// The value, if there is a usable one.
    pub fn get(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Invalid => None,
        }
    }

    /// The value, if there is a usable one.
    pub fn take(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Invalid => None,
        }
    }

    /// Whether something is there that cannot be read.
    pub fn is_invalid(&self) -> bool {
        matches!(self, Self::Invalid)
    }
}

impl<T: Default> Field<T> {
    /// The value, or what stands for none.
    pub fn or_default(self) -> T {
        self.take().unwrap_or_default()
    }
}

impl Field<String> {
    /// The text, or an empty one.
    pub fn text(&self) -> &str {
        self.get().map_or("", String::as_str)
    }
}

/// What can be read from one JSON type. `None`: it is of another one.
pub trait Lenient: Sized {
    fn from_text(_: &str) -> Option<Self> {
        None
    }

    /// From true or false.
    fn from_bool(_: bool) -> Option<Self> {
        None
    }

    /// From a whole number that is not negative.
    fn from_number(_: u64) -> Option<Self> {
        None
    }

    /// From an array.
    ///
    /// # Errors
    /// When it is no JSON.
    fn from_list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    /// From an object.
    ///
    /// # Errors
    /// When it is no JSON.
    fn from_fields<'de, A: MapAccess<'de>>(mut fields: A) -> Result<Option<Self>, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

impl Lenient for String {
    fn from_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl Lenient for bool {
    fn from_bool(value: bool) -> Option<Self> {
        Some(value)
    }
}

impl Lenient for u64 {
    fn from_number(number: u64) -> Option<Self> {
        Some(number)
    }
}

impl Lenient for u16 {
    fn from_number(number: u64) -> Option<Self> {
        number.try_into().ok()
    }
}

impl Lenient for std::net::IpAddr {
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl<T: Lenient> Lenient for Vec<Field<T>> {
    fn from_list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        let mut items = Self::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Some(items))
    }
}

/// What has another type than text is left out.
impl Lenient for BTreeMap<String, String> {
    fn from_fields<'de, A: MapAccess<'de>>(mut fields: A) -> Result<Option<Self>, A::Error> {
        let mut texts = Self::new();
        while let Some((name, value)) = fields.next_entry::<String, Field<String>>()? {
            if let Field::Value(value) = value {
                texts.insert(name, value);
            }
        }
        Ok(Some(texts))
    }
}

/// Structs whose fields are all [`Field`]s and have a default.
macro_rules! read_from_fields {
    ($($type:ty),+ $(,)?) => {$(
        impl $crate::k8s::lenient::Lenient for $type {
            fn from_fields<'de, A: serde::de::MapAccess<'de>>(fields: A) -> Result<Option<Self>, A::Error> {
                serde::Deserialize::deserialize(serde::de::value::MapAccessDeserializer::new(fields)).map(Some)
            }
        }
    )+};
}
pub(super) use read_from_fields;

impl<'de, T: Lenient> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any(PhantomData))
    }
}

struct Any<T>(PhantomData<T>);

fn found<T>(value: Option<T>) -> Field<T> {
    value.map_or(Field::Invalid, Field::Value)
}

impl<'de, T: Lenient> Visitor<'de> for Any<T> {
    type Value = Field<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<Field<T>, E> {
        Ok(Field::Absent)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Field<T>, E> {
        Ok(found(T::from_bool(value)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Field<T>, E> {
        Ok(found(number.try_into().ok().and_then(T::from_number)))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Field<T>, E> {
        Ok(found(T::from_number(number)))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Field<T>, E> {
        Ok(Field::Invalid)
    }

    fn visit_str<E>(self, text: &str) -> Result<Field<T>, E> {
        Ok(found(T::from_text(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Field<T>, A::Error> {
        T::from_list(list).map(found)
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Field<T>, A::Error> {
        T::from_fields(fields).map(found)
    }
}

/// For `deserialize_with`: whatever is no such value is as good as none.
///
/// # Errors
/// When it is no JSON.
pub fn or_default<'de, D: Deserializer<'de>, T: Lenient + Default>(deserializer: D) -> Result<T, D::Error> {
    Field::deserialize(deserializer).map(Field::or_default)
}
