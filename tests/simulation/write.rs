//! A write of the controller's to a workload, as it came.

use serde_json::Value;
use windlass_core::annotation;

use super::deployment::Deployment;

/// A write of the controller's, as it came.
#[derive(Debug)]
pub struct Write {
    annotations: Vec<(String, Option<String>)>,
    template: Vec<(String, Option<String>)>,
    pub cause: Option<String>,
}

impl Write {
    /// Whatever else it holds is not for us to write.
    pub fn read(body: &Value) -> Result<Self, &'static str> {
        let mut rest = body.clone();
        let annotations = taken(rest.pointer_mut("/metadata/annotations"))?;
        let template = taken(rest.pointer_mut("/spec/template/metadata/annotations"))?;
        let metadata = rest.pointer("/metadata").and_then(Value::as_object);
        let known = ["uid", "resourceVersion", "annotations"];
        if !metadata.is_some_and(|it| it.keys().all(|key| known.contains(&key.as_str()))) {
            return Err("an unexpected write to metadata");
        }
        let cause = template.iter().find(|(name, _)| name == annotation::CAUSE);
        Ok(Self {
            cause: cause.and_then(|(_, value)| value.clone()),
            annotations,
            template,
        })
    }

    pub fn apply(&self, deployment: &mut Deployment) {
        for (list, into) in [
            (&self.annotations, &mut deployment.annotations),
            (&self.template, &mut deployment.template.annotations),
        ] {
            for (name, value) in list {
                match value {
                    Some(value) => drop(into.insert(name.clone(), value.clone())),
                    None => drop(into.remove(name)),
                }
            }
        }
    }
}

fn taken(map: Option<&mut Value>) -> Result<Vec<(String, Option<String>)>, &'static str> {
    let Some(map) = map.map(Value::take) else {
        return Ok(Vec::new());
    };
    let map = map.as_object().ok_or("annotations that are no map")?;
    let entries = map
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().map(str::to_owned)));
    Ok(entries.collect())
}

/// When a restart was made, by whoever made it, and why.
pub fn recorded_at(cause: &str) -> (i64, String) {
    let cause: Value = serde_json::from_str(cause).unwrap_or_default();
    let at = cause["at"].as_str().and_then(|at| at.parse::<jiff::Timestamp>().ok());
    let reason = cause["reason"].as_str().unwrap_or_default().to_owned();
    (at.map_or(0, jiff::Timestamp::as_second), reason)
}
