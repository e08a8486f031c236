//! What the kubelet asks the API server, which counts by scope and not by user: whoever else is there asks
//! for lists of ConfigMaps, and the kubelet for one at a time.

#![allow(clippy::cast_precision_loss, reason = "the figures are far below 2^52")]

use anyhow::{Context, Result};
use kube::{Client, api::ListParams, core::Request};

/// So far, on the whole server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Count {
    /// Watches of one ConfigMap each that are open.
    watches: f64,
    /// GETs of one ConfigMap, ever.
    gets: f64,
}

/// What it costs.
#[derive(Clone, Copy)]
pub struct Kubelet {
    /// Watches that it holds open for the pods' ConfigMaps.
    pub watches: f64,
    /// GETs of ConfigMaps for each change, on average.
    pub gets_per_change: f64,
}

impl Kubelet {
    /// Of the counts before there were pods, before changes, and after them.
    pub fn between(without_pods: Count, before: Count, after: Count, changes: usize) -> Self {
        Self {
            watches: before.watches - without_pods.watches,
            gets_per_change: (after.gets - before.gets) / changes as f64,
        }
    }
}

/// Reads the server's own metrics.
pub async fn count(client: &Client) -> Result<Count> {
    let request = Request::new("/metrics").list(&ListParams::default())?;
    let text = client
        .request_text(request)
        .await
        .context("read the API server's metrics")?;
    Ok(read(&text))
}

fn read(metrics: &str) -> Count {
    let sum = |name: &str, verb: &str| {
        let verb = format!("verb=\"{verb}\"");
        let labels = ["resource=\"configmaps\"", "scope=\"resource\"", verb.as_str()];
        metrics
            .lines()
            .filter_map(|line| line.strip_prefix(name)?.strip_prefix('{')?.rsplit_once("} "))
            .filter(|(found, _)| labels.iter().all(|label| found.split(',').any(|it| it == *label)))
            .filter_map(|(_, value)| value.parse::<f64>().ok())
            .sum()
    };
    Count {
        watches: sum("apiserver_longrunning_requests", "WATCH"),
        gets: sum("apiserver_request_total", "GET"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Count, read};

    #[test]
    fn requests_for_one_config_map_are_told_from_all_others() {
        let metrics = r#"
# TYPE apiserver_longrunning_requests gauge
apiserver_longrunning_requests{component="apiserver",group="",resource="configmaps",scope="resource",subresource="",verb="WATCH",version="v1"} 4
apiserver_longrunning_requests{component="apiserver",group="",resource="configmaps",scope="cluster",subresource="",verb="WATCH",version="v1"} 2
apiserver_longrunning_requests{component="apiserver",group="",resource="secrets",scope="resource",subresource="",verb="WATCH",version="v1"} 8
apiserver_request_total{code="200",component="apiserver",group="",resource="configmaps",scope="resource",subresource="",verb="GET",version="v1"} 16
apiserver_request_total{code="404",component="apiserver",group="",resource="configmaps",scope="resource",subresource="",verb="GET",version="v1"} 1
apiserver_request_total{code="200",component="apiserver",group="",resource="configmaps",scope="resource",subresource="",verb="PATCH",version="v1"} 32
"#;
        let (watches, gets) = (4.0, 17.0);
        assert_eq!(read(metrics), Count { watches, gets });
    }
}
