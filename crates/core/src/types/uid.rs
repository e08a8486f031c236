//! Which object of a name.

use std::fmt;

use uuid::Uuid;

/// An object's `metadata.uid`: another object of the same name has another one.
///
/// API servers make UUIDs, but promise no more than text
/// (<https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#uids>).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(Form);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Form {
    /// A third of its text's memory, which counts with tens of thousands of objects.
    Uuid(Uuid),
    /// Any other text, and UUIDs that are not written as usual: one uid has one form.
    Text(Box<str>),
}

impl From<&str> for Uid {
    fn from(text: &str) -> Self {
        let uuid = Uuid::try_parse(text).ok();
        let usual = uuid.filter(|uuid| uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text);
        Self(usual.map_or_else(|| Form::Text(text.into()), Form::Uuid))
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Uuid(uuid) => uuid.hyphenated().fmt(f),
            Form::Text(text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uid({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Uid;

    const USUAL: &str = "b2f7dd88-6225-436d-bb56-003eff9ed922";

    #[test]
    fn a_uid_is_the_text_it_came_as() {
        for text in [
            USUAL,
            &USUAL.to_uppercase(),
            &USUAL.replace('-', ""),
            &format!("{{{USUAL}}}"),
            &format!("urn:uuid:{USUAL}"),
            "00000000-0000-0000-0000-000000000000",
            "uid-1",
            "",
        ] {
            assert_eq!(Uid::from(text).to_string(), text);
        }
        assert_eq!(format!("{:?}", Uid::from(USUAL)), format!("Uid({USUAL})"));
    }

    #[test]
    fn other_ways_to_write_a_uuid_are_other_uids() {
        assert_ne!(Uid::from(USUAL), Uid::from(USUAL.to_uppercase().as_str()));
        assert_ne!(Uid::from(USUAL), Uid::from(USUAL.replace('-', "").as_str()));
    }

    proptest! {
        #[test]
        fn any_text_is_kept(text in "[0-9a-fA-F{}-]{0,40}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|.*", other in ".*") {
            prop_assert_eq!(Uid::from(text.as_str()).to_string(), text.as_str());
            prop_assert_eq!(Uid::from(text.as_str()) == Uid::from(other.as_str()), text == other);
        }
    }
}
