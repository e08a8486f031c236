//! Parts of the schema that several fields share: rules in CEL, and the syntax of names.
//!
//! A rule is for what the structural schema cannot say or would say in a regular expression that
//! nobody reads. Its message names the field and what is accepted.

use serde_json::{Value, json};

/// Names with `*` and `?`: of objects.
pub(super) const NAME_PATTERN: &str = "^[-a-z0-9.*?]+$";
/// Names with `*` and `?`: of keys.
pub(super) const KEY_PATTERN: &str = "^[-._a-zA-Z0-9*?]+$";
/// The name of a Secret
/// (<https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-subdomain-names>).
pub(super) const SUBDOMAIN: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// A label's key, with or without a prefix
/// (<https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set>).
pub(super) const LABEL_KEY: &str = r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$";
/// The longest: 253 of the prefix, the slash, 63 of the name.
pub(super) const LABEL_KEY_LENGTH: usize = 317;
/// A label's value, which may be empty.
pub(super) const LABEL_VALUE: &str = "^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$";

/// A duration in the form of the Gateway API (<https://gateway-api.sigs.k8s.io/geps/gep-2257/>): what
/// everybody reads alike, so no fractions, no signs, and never too long for the `duration()` of CEL.
pub(super) const DURATION: &str = "^([0-9]{1,5}(h|m|s|ms)){1,4}$";
/// The longest of these.
pub(super) const DURATION_LENGTH: usize = 28;
/// A cron line of five fields, with one blank or several between them.
pub(super) const SCHEDULE: &str = "^[0-9A-Za-z*/,#-]+( +[0-9A-Za-z*/,#-]+){4}$";
/// Path and query of a request, as it is sent.
pub(super) const PATH: &str = "^/[!-~]*$";
/// A name of the IANA time zone database.
pub(super) const TIME_ZONE: &str = "^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$";

/// One rule in CEL and what is said when it does not hold
/// (<https://kubernetes.io/docs/reference/using-api/cel/>).
pub(super) fn rule(rule: &str, message: &str) -> Value {
    rules([(rule, message)])
}

/// The same with several rules of one field.
pub(super) fn rules<'a>(rules: impl IntoIterator<Item = (&'a str, &'a str)>) -> Value {
    let rules = rules.into_iter();
    rules
        .map(|(rule, message)| json!({"rule": rule, "message": message}))
        .collect()
}

/// The shape of a text in words. The pattern itself stands in the schema too, for tools that check
/// without a server.
pub(super) fn shape(pattern: &str, message: &str) -> Value {
    rule(&format!("self.matches(r'{pattern}')"), message)
}

/// The bounds of a duration, both of them accepted.
pub(super) fn between(field: &str, least: &str, most: &str) -> Value {
    rule(
        // In CEL only what has the shape can be made a duration.
        &format!(
            "self.matches(r'{DURATION}') && duration(self) >= duration('{least}') && duration(self) <= duration('{most}')"
        ),
        &format!("{field} must be from {least} to {most}, in whole numbers with the units h, m, s and ms"),
    )
}
