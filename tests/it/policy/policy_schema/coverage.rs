//! That every rule of the definitions is tried: a new one without a row is named here, and the row of
//! one that goes fails on the API server.

use std::collections::BTreeSet;

use serde_json::Value;

use super::nonsense::{self, Row};
use crate::support::policies::{CLUSTER, NAMESPACED, shipped};

/// Where a rule stands, and what the API server says of what breaks it.
type Rule = (String, String);

const REQUIRED: &str = "Required value";

/// The rules of a definition's spec.
fn rules(name: &str) -> BTreeSet<Rule> {
    let definition = shipped(name);
    let spec = definition.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec");
    let mut found = BTreeSet::new();
    walk(spec.expect("a schema"), "", &mut found);
    found
}

fn walk(schema: &Value, at: &str, found: &mut BTreeSet<Rule>) {
    let words = schema.as_object().unwrap_or_else(|| panic!("{at}: {schema}"));
    for (word, value) in words {
        let complaint = match word.as_str() {
            "type" | "format" | "description" | "default" | "x-kubernetes-map-type" => continue,
            "properties" => {
                for (name, property) in value.as_object().expect("properties") {
                    walk(property, &format!("{at}/{name}"), found);
                }
                continue;
            }
            "items" => {
                walk(value, &format!("{at}/[]"), found);
                continue;
            }
            "additionalProperties" => {
                walk(value, &format!("{at}/{{}}"), found);
                continue;
            }
            "required" => {
                let names = value.as_array().expect("names").iter().filter_map(Value::as_str);
                found.extend(names.map(|name| (format!("{at}/{name}"), REQUIRED.to_owned())));
                continue;
            }
            "x-kubernetes-validations" => {
                let rules = value.as_array().expect("rules").iter();
                let messages = rules.map(|rule| rule["message"].as_str().expect("a message"));
                found.extend(messages.map(|message| (at.to_owned(), message.to_owned())));
                continue;
            }
            "pattern" => format!("should match '{}'", value.as_str().expect("a pattern")),
            "enum" => {
                let words: Vec<String> = value.as_array().expect("words").iter().map(Value::to_string).collect();
                format!("supported values: {}", words.join(", "))
            }
            "minimum" => format!("greater than or equal to {value}"),
            "maximum" => format!("less than or equal to {value}"),
            "minLength" => format!("should be at least {value} chars long"),
            "maxLength" => format!("Too long: may not be more than {value} bytes"),
            "minItems" => format!("should have at least {value} items"),
            "maxItems" | "maxProperties" => format!("must have at most {value} items"),
            other => panic!("{at}: what does the API server say when {other} does not hold?"),
        };
        found.insert((at.to_owned(), complaint));
    }
}

/// `/rules/0/name` is about the names of all rules, `…/matchLabels/tier` about the value of any label.
fn place(pointer: &str) -> String {
    let parts = pointer.split('/').map(|part| match part {
        "0" => "[]",
        "tier" => "{}",
        name => name,
    });
    parts.collect::<Vec<_>>().join("/")
}

fn untried<'a>(rules: impl IntoIterator<Item = &'a Rule>, rows: &[Row], required: &[&str]) -> Vec<&'a Rule> {
    let is_tried = |(at, complaint): &&Rule| {
        if complaint == REQUIRED {
            required.iter().any(|pointer| place(pointer) == *at)
        } else {
            let mut rows = rows.iter();
            rows.any(|(pointer, said, _)| place(pointer) == *at && complaint.contains(said))
        }
    };
    rules.into_iter().filter(|rule| !is_tried(rule)).collect()
}

#[test]
fn every_rule_of_the_definitions_has_a_row() {
    let namespaced = rules(NAMESPACED);
    assert!(namespaced.len() > 130, "only {} rules", namespaced.len());
    let untried_rules = untried(&namespaced, &nonsense::rows(), nonsense::REQUIRED);
    assert!(untried_rules.is_empty(), "{untried_rules:#?}");

    let cluster = rules(CLUSTER);
    assert!(namespaced.is_subset(&cluster), "{:#?}", namespaced.difference(&cluster));
    let own = cluster.difference(&namespaced);
    let untried_rules = untried(own, &nonsense::rows_of_cluster(), nonsense::REQUIRED_OF_CLUSTER);
    assert!(untried_rules.is_empty(), "{untried_rules:#?}");
}
