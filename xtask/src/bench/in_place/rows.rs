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
