//! The JSON file, and what people read.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use serde::Serialize;

use super::{
    audit::Requests,
    figures::{Course, Figures, Pair, Round},
    in_place,
    rows::rows,
    set::Set,
    sizes::Sizes,
    statistics::{ms, percentile},
    table::{self, Row},
};

/// Everything that goes into the JSON file.
#[derive(Serialize)]
pub struct Report {
    set: Set,
    kubernetes: String,
    cores: usize,
    sizes: Sizes,
    rows: Vec<Row>,
    rounds: Vec<RoundReport>,
    requests: BTreeMap<&'static str, Requests>,
    targets_met: bool,
}

/// The raw figures of a round, in milliseconds.
#[derive(Serialize)]
#[serde(untagged)]
enum RoundReport {
    Singles {
        floor: Reading,
        windlass: Reading,
        ratio_p50: f64,
        ratio_burst: f64,
        #[serde(skip_serializing_if = "Option::is_none")]
        secrets: Option<SecretReading>,
    },
    FanOut {
        floor_ms: f64,
        windlass_ms: f64,
        ratio: f64,
    },
    InPlace {
        detection: &'static str,
        floor: DelayReport,
        windlass: DelayReport,
        without_nudge: DelayReport,
    },
}

/// Of each change, in order.
#[derive(Serialize)]
#[allow(
    clippy::struct_field_names,
    reason = "names in the JSON file, where the unit belongs to the name"
)]
struct DelayReport {
    file_ms: Vec<f64>,
    told_ms: Vec<f64>,
    proven_ms: Vec<f64>,
    watch_ms: Vec<f64>,
}

#[derive(Serialize)]
#[allow(
    clippy::struct_field_names,
    reason = "names in the JSON file, where the unit belongs to the name"
)]
struct Reading {
    p50_ms: f64,
    p99_ms: f64,
    first_after_idling_ms: f64,
    burst_ms: f64,
    one_at_a_time_ms: Vec<f64>,
}

#[derive(Serialize)]
#[allow(
    clippy::struct_field_names,
    reason = "names in the JSON file, where the unit belongs to the name"
)]
struct SecretReading {
    p50_ms: f64,
    burst_ms: f64,
    one_at_a_time_ms: Vec<f64>,
}

impl Report {
    /// Draws the conclusions.
    pub fn new(sizes: &Sizes, kubernetes: &str, figures: &Figures, requests: BTreeMap<&'static str, Requests>) -> Self {
        let rows = rows(sizes, figures, &requests);
        let rounds = match &figures.course {
            Course::Singles(singles) => singles.rounds.iter().map(RoundReport::singles).collect(),
            Course::FanOut(rounds) => rounds.iter().map(RoundReport::fan_out).collect(),
        };
        Self::concluded(sizes, kubernetes, rows, rounds, requests)
    }

    /// Of the set in which pods run.
    pub fn in_place(sizes: &Sizes, measured: in_place::Measured) -> Self {
        let in_place::Measured { kubernetes, rows, all } = measured;
        let requests = all
            .iter()
            .map(|figures| (figures.detection.word(), figures.requests.clone()));
        let requests = requests.collect();
        let rounds = all.iter().map(RoundReport::in_place).collect();
        Self::concluded(sizes, &kubernetes, rows, rounds, requests)
    }

    fn concluded(
        sizes: &Sizes,
        kubernetes: &str,
        rows: Vec<Row>,
        rounds: Vec<RoundReport>,
        requests: BTreeMap<&'static str, Requests>,
    ) -> Self {
        Self {
            set: sizes.set,
            kubernetes: kubernetes.to_owned(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            sizes: *sizes,
            targets_met: !rows.iter().any(Row::is_missed),
            rows,
            rounds,
            requests,
        }
    }

    /// As Markdown, which is also readable as it is.
    pub fn table(&self) -> String {
        let how = match (self.set, self.sizes.rollouts) {
            (Set::InPlace, _) => "a real kubelet".to_owned(),
            (_, true) => format!("{} rounds, every change a real rollout", self.sizes.rounds),
            (_, false) => format!("{} rounds, API server alone (no rollouts)", self.sizes.rounds),
        };
        let mut text = format!(
            "Set {}: Kubernetes {}, {} cores, {}, {how}.\n\n",
            self.set.word(),
            self.kubernetes,
            self.cores,
            self.sizes.describe(),
        );
        text.push_str(&table::markdown(&self.rows));
        text.push_str("\nRequests of Windlass, from the API server's audit log:\n");
        for (name, requests) in &self.requests {
            let list: Vec<String> = requests
                .counts
                .iter()
                .map(|(what, count)| format!("{count} {what}"))
                .collect();
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "- {name}: {}",
                if list.is_empty() {
                    "none".to_owned()
                } else {
                    list.join(", ")
                }
            );
        }
        text
    }
}

impl RoundReport {
    fn singles(round: &Round) -> Self {
        let Round {
            one_at_a_time,
            after_idle,
            burst,
            secrets,
        } = round;
        let reading = |times: &[Duration], idle: Duration, burst: Duration| Reading {
            p50_ms: ms(percentile(times, 50)),
            p99_ms: ms(percentile(times, 99)),
            first_after_idling_ms: ms(idle),
            burst_ms: ms(burst),
            one_at_a_time_ms: times.iter().copied().map(ms).collect(),
        };
        let floor = reading(&one_at_a_time.floor, after_idle.floor, burst.floor);
        let windlass = reading(&one_at_a_time.windlass, after_idle.windlass, burst.windlass);
        Self::Singles {
            ratio_p50: windlass.p50_ms / floor.p50_ms,
            ratio_burst: windlass.burst_ms / floor.burst_ms,
            floor,
            windlass,
            secrets: secrets.as_ref().map(|times| SecretReading {
                p50_ms: ms(percentile(&times.one_at_a_time, 50)),
                burst_ms: ms(times.burst),
                one_at_a_time_ms: times.one_at_a_time.iter().copied().map(ms).collect(),
            }),
        }
    }

    fn in_place(figures: &in_place::Figures) -> Self {
        let delays = |series: &in_place::Series| {
            let all_ms = |delays: Vec<Duration>| delays.into_iter().map(ms).collect();
            DelayReport {
                file_ms: all_ms(series.file()),
                told_ms: all_ms(series.told()),
                proven_ms: all_ms(series.proven()),
                watch_ms: all_ms(series.watch()),
            }
        };
        Self::InPlace {
            detection: figures.detection.word(),
            floor: delays(&figures.floor),
            windlass: delays(&figures.nudged),
            without_nudge: delays(&figures.alone),
        }
    }

    fn fan_out(round: &Pair<Duration>) -> Self {
        let Pair { floor, windlass } = round.map(|time| ms(*time));
        Self::FanOut {
            floor_ms: floor,
            windlass_ms: windlass,
            ratio: windlass / floor,
        }
    }
}
