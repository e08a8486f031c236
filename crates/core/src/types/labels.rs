//! Labels, and the selectors that policies have.
//!
//! Follows `LabelSelector` of meta/v1
//! (<https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/label-selector/>): all
//! requirements have to hold, and one without any selects everything.

#[cfg(test)]
mod tests;

/// The labels of one object, sorted by key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Labels(Vec<(Box<str>, Box<str>)>);

impl<K: Into<Box<str>>, V: Into<Box<str>>> FromIterator<(K, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(labels: I) -> Self {
        let mut all: Vec<(Box<str>, Box<str>)> = labels
            .into_iter()
            .map(|(key, value)| (key.into(), value.into()))
            .collect();
        all.sort();
        all.shrink_to_fit();
        Self(all)
    }
}

impl Labels {
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// The value of a label.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        let at = self.0.binary_search_by(|(known, _)| (**known).cmp(key)).ok()?;
        self.0.get(at).map(|(_, value)| &**value)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Selects objects by their labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Selector(pub Box<[Requirement]>);

/// What one label has to be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Requirement {
    /// The label.
    pub key: Box<str>,
    pub operator: Operator,
}

/// What a label has to be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    In(Box<[Box<str>]>),
    /// None of these, or not there.
    NotIn(Box<[Box<str>]>),
    Exists,
    DoesNotExist,
}

impl Selector {
    /// Whether it selects an object with these labels.
    #[must_use]
    pub fn selects(&self, labels: &Labels) -> bool {
        self.0.iter().all(|Requirement { key, operator: must }| {
            let value = labels.get(key);
            match must {
                Operator::In(values) => value.is_some_and(|value| values.iter().any(|it| **it == *value)),
                Operator::NotIn(values) => !value.is_some_and(|value| values.iter().any(|it| **it == *value)),
                Operator::Exists => value.is_some(),
                Operator::DoesNotExist => value.is_none(),
            }
        })
    }
}
