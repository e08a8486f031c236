//! JSON that others wrote, whatever it is.
//!
//! Fields of custom resources may be kept without being checked, and so are some maps in every pod template.
//! `serde_json`'s own reader refuses what is nested more than 128 times, and what bears the one name that it
//! passes raw texts under. One such object would end the list of its kind, for all and for ever.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// Levels that are read. Kinds that are described by a path may have their pod template deep inside; no rule
/// looks deeper than a dozen levels into that.
const LEVELS: u8 = 64;

/// Any JSON. What is nested deeper than any rule looks is kept as the text that it is, so that it still differs
/// when it is changed.
#[derive(Clone, Debug)]
pub struct Json(pub Value);

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Level { left: LEVELS }.deserialize(deserializer).map(Self)
    }
}

#[derive(Clone, Copy)]
struct Level {
    left: u8,
}

impl Level {
    fn below(self) -> Self {
        Self {
            left: self.left.saturating_sub(1),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Level {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        if self.left > 0 {
            return deserializer.deserialize_any(self);
        }
        // Skipped over without recursion.
        let text: Box<str> = Box::<RawValue>::deserialize(deserializer)?.into();
        Ok(Value::String(text.into()))
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(self.below())? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            fields.insert(name, map.next_value_seed(self.below())?);
        }
        Ok(Value::Object(fields))
    }
}
