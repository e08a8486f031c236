//! What is shown, and the bound.

#![allow(clippy::cast_precision_loss, reason = "the figures are far below 2^52")]

use std::time::Duration;

use super::{Detection, Figures, Series};
use crate::bench::{
    statistics::{ms, percentile},
    table::{Comparison, Row},
};

/// What is promised of the kubelet's default, in milliseconds.
const FILE_P99_MS: f64 = 1000.0;

/// All figures in the order in which they are shown.
pub fn rows(all: &[Figures]) -> Vec<Row> {
    all.iter().flat_map(of_one).collect()
}

fn of_one(figures: &Figures) -> Vec<Row> {
    let Figures {
        detection,
        floor,
        nudged,
        alone,
        requests,
        kubelet,
    } = figures;
    let name = |what: &str| format!("{detection}: {what}");
    let mut rows = Vec::new();
    let promised = (*detection == Detection::Watch).then_some(FILE_P99_MS);
    for (what, delay, promised) in [
        (
            "change in the file",
            Series::file as fn(&Series) -> Vec<Duration>,
            promised,
        ),
        ("application told", Series::told, None),
    ] {
        for (point, percent) in POINTS {
            let of = |series| ms(percentile(&delay(series), percent));
            let row = Row::pair(&name(&format!("{what}, {point}")), "ms", of(floor), of(nudged));
            rows.push(match promised {
                Some(limit) if percent == 99 => row.at_most(limit),
                _ => row.compared(Comparison::Ratio(of(nudged) / of(floor))),
            });
        }
    }
    for (point, percent) in POINTS {
        let proven = ms(percentile(&nudged.proven(), percent));
        rows.push(Row::one(&name(&format!("proven, {point}")), "ms", proven));
    }
    if alone.len() > 0 {
        for (what, delays) in [
            ("change in the file", alone.file()),
            ("application told", alone.told()),
            ("proven", alone.proven()),
        ] {
            for (point, percent) in [("median", 50), ("max", 100)] {
                let figure = name(&format!("{what} without a nudge, {point} of {}", alone.len()));
                rows.push(Row::one(&figure, "ms", ms(percentile(&delays, percent))));
            }
        }
    }
    for (point, percent) in POINTS {
        let watch: Vec<Duration> = [floor.watch(), nudged.watch()].concat();
        let figure = name(&format!("a bare watch of the ConfigMap is told, {point}"));
        rows.push(Row::floor(&figure, "ms", ms(percentile(&watch, percent))));
    }
    let per_change = |count: u64| count as f64 / nudged.len() as f64;
    for (what, count) in [
        ("pod patches per change", requests.of("patch", "pods")),
        ("Deployment patches per change", requests.of("patch", "deployments")),
        ("GET and LIST per change", requests.with_verb(&["get", "list"])),
        ("Event requests per change", requests.on("events")),
    ] {
        rows.push(Row::one(&name(what), "", per_change(count)));
    }
    rows.extend([
        Row::floor(
            &name("watches of ConfigMaps by the kubelet, 3 pods"),
            "",
            kubelet.watches,
        ),
        Row::floor(
            &name("GETs of ConfigMaps by the kubelet per change"),
            "",
            kubelet.gets_per_change,
        ),
    ]);
    rows
}

const POINTS: [(&str, usize); 3] = [("p50", 50), ("p99", 99), ("max", 100)];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Detection, Figures, Series, of_one};
    use crate::bench::{
        audit::Requests,
        in_place::{change::Delays, kubelet::Kubelet},
        table::Row,
    };

    /// Whether a target is missed when every change takes this long to be in the file.
    fn misses(detection: Detection, millis: u64) -> bool {
        let file = Duration::from_millis(millis);
        let delays = Delays {
            file,
            told: file,
            proven: Some(file),
            watch: Duration::ZERO,
        };
        let series = || Series(vec![delays; 3]);
        let figures = Figures {
            detection,
            floor: series(),
            nudged: series(),
            alone: Series::default(),
            requests: Requests::default(),
            kubelet: Kubelet {
                watches: 0.0,
                gets_per_change: 0.0,
            },
        };
        of_one(&figures).iter().any(Row::is_missed)
    }

    #[test]
    fn a_second_until_the_file_has_it_is_the_bound_with_the_kubelets_default() {
        assert!(!misses(Detection::Watch, 1000));
        assert!(misses(Detection::Watch, 1001));
        assert!(!misses(Detection::Cache, 1001));
    }
}
