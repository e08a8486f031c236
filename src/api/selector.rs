//! Selecting objects by their labels, as everywhere in Kubernetes, but checked on the way in.
//!
//! The type of meta/v1 has no bounds and takes any word for an operator; its own checks are run for
//! built-in kinds only.

#![expect(
    clippy::doc_markdown,
    reason = "the comments are the descriptions that kubectl explain shows, where backticks are noise"
)]

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use windlass_core::types::labels::{Operator, Requirement, Selector};

use super::schema::{LABEL_KEY, LABEL_KEY_LENGTH, LABEL_VALUE, rule, shape};

/// Selects objects by labels: all requirements must match; `{}` selects all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct LabelSelector {
    /// Required labels with exact values; at most 32.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend(
        "maxProperties" = 32,
        "additionalProperties" = {"type": "string", "maxLength": 63, "pattern": LABEL_VALUE},
        "x-kubernetes-validations" = rule(
            &format!("self.all(key, size(key) <= {LABEL_KEY_LENGTH} && key.matches(r'{LABEL_KEY}'))"),
            "matchLabels must have keys of labels: a name of at most 63 letters, digits, '-', '_' and '.', \
             after an optional DNS subdomain and '/'",
        ),
    ))]
    pub match_labels: BTreeMap<String, String>,
    /// Requirements on labels; at most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub match_expressions: Vec<LabelRequirement>,
}

/// Requirement on one label.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rule(
    "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
    "values must be given with the operators In and NotIn, and only with these",
)))]
pub struct LabelRequirement {
    /// Key of the label.
    #[schemars(
        length(max = LABEL_KEY_LENGTH),
        regex(pattern = LABEL_KEY),
        extend("x-kubernetes-validations" = shape(
            LABEL_KEY,
            "key must be the key of a label: a name of at most 63 letters, digits, '-', '_' and '.', \
             after an optional DNS subdomain and '/'",
        )),
    )]
    pub key: String,
    /// Operator: In and NotIn compare the label with the values (objects without the label match
    /// NotIn); Exists and DoesNotExist only check for the label.
    pub operator: LabelOperator,
    /// Values for In and NotIn, at least one; at most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 63), regex(pattern = LABEL_VALUE)))]
    pub values: Vec<String>,
}

/// How a label is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(description = "")]
pub enum LabelOperator {
    /// It has one of the values.
    In,
    /// It has none of the values, or is not there.
    NotIn,
    /// It is there.
    Exists,
    /// It is not there.
    DoesNotExist,
}

impl LabelSelector {
    pub(super) fn compile(&self) -> Selector {
        let Self {
            match_labels,
            match_expressions,
        } = self;
        let labels = match_labels.iter().map(|(key, value)| Requirement {
            key: key.as_str().into(),
            operator: Operator::In([value.as_str().into()].into()),
        });
        Selector(
            labels
                .chain(match_expressions.iter().map(LabelRequirement::compile))
                .collect(),
        )
    }
}

impl LabelRequirement {
    fn compile(&self) -> Requirement {
        let Self { key, operator, values } = self;
        let values = || values.iter().map(|value| value.as_str().into()).collect();
        Requirement {
            key: key.as_str().into(),
            operator: match operator {
                LabelOperator::In => Operator::In(values()),
                LabelOperator::NotIn => Operator::NotIn(values()),
                LabelOperator::Exists => Operator::Exists,
                LabelOperator::DoesNotExist => Operator::DoesNotExist,
            },
        }
    }
}
