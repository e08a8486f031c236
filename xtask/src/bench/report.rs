//! Ratios, targets, the table and the JSON file.
//!
//! Single readings scatter by a third on small machines, so a ratio is the median of the ratios of
//! the rounds, each taken from two figures that were measured next to each other.

#![allow(clippy::cast_precision_loss, reason = "the figures are far below 2^52")]

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use serde::Serialize;

use super::{
    Options,
    audit::Requests,
    rounds::{CHANGES, Figures, Pair, QUIET, Round, START},
};

/// Everything that goes into the JSON file.
#[derive(Serialize)]
pub struct Report {
    kubernetes: String,
    cores: usize,
    sizes: Sizes,
    rows: Vec<Row>,
    rounds: Vec<RoundReport>,
    requests: BTreeMap<&'static str, Requests>,
    targets_met: bool,
}

#[derive(Serialize)]
struct Sizes {
    configmaps: usize,
    deployments: usize,
    floor_deployments: usize,
    rounds: usize,
    burst: usize,
    one_at_a_time: usize,
    idle_seconds: u64,
    quiet_seconds: u64,
    rollouts: bool,
}

/// One line of the table.
#[derive(Default, Serialize)]
struct Row {
    figure: String,
    unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    floor: Option<f64>,
    windlass: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    comparison: Option<Comparison>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_most: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    met: Option<bool>,
}

/// How the two figures relate.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum Comparison {
    /// Windlass divided by the floor.
    Ratio(f64),
    /// Windlass minus the floor, in milliseconds.
    DifferenceMs(f64),
}

/// The raw figures of a round, in milliseconds.
#[derive(Serialize)]
struct RoundReport {
    floor: Reading,
    windlass: Reading,
    ratio_p50: f64,
    ratio_burst: f64,
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

impl Report {
    /// Draws the conclusions.
    pub fn new(
        options: &Options,
        kubernetes: &str,
        figures: &Figures,
        requests: BTreeMap<&'static str, Requests>,
    ) -> Self {
        let Options {
            configmaps,
            deployments,
            floor_deployments,
            rounds,
            burst,
            one_at_a_time,
            idle,
            quiet,
            rollouts,
            json: _,
            out: _,
            windlass: _,
        } = *options;
        let rows = rows(options, figures, &requests);
        Self {
            kubernetes: kubernetes.to_owned(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            sizes: Sizes {
                configmaps,
                deployments,
                floor_deployments,
                rounds,
                burst,
                one_at_a_time,
                idle_seconds: idle,
                quiet_seconds: quiet,
                rollouts,
            },
            targets_met: rows.iter().all(|row| row.met != Some(false)),
            rows,
            rounds: figures.rounds.iter().map(RoundReport::new).collect(),
            requests,
        }
    }

    /// As Markdown, which is also readable as it is.
    pub fn table(&self) -> String {
        let Sizes {
            configmaps,
            deployments,
            floor_deployments,
            rounds,
            rollouts,
            ..
        } = self.sizes;
        let mut text = format!(
            "Kubernetes {}, {} cores, {configmaps} ConfigMaps, {deployments} Deployments, {floor_deployments} for the \
             floor, {rounds} rounds, {}.\n\n",
            self.kubernetes,
            self.cores,
            if rollouts {
                "every change a real rollout"
            } else {
                "API server alone (no rollouts)"
            },
        );
        let mut lines = vec![["figure", "floor", "windlass", "compared", "target", ""].map(str::to_owned)];
        lines.push(["---", "---:", "---:", "---:", "---:", "---"].map(str::to_owned));
        lines.extend(self.rows.iter().map(Row::cells));
        let widths: Vec<usize> = (0..6)
            .map(|column| {
                lines
                    .iter()
                    .filter_map(|line| line.get(column))
                    .map(|cell| cell.chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        for line in &lines {
            for (cell, width) in line.iter().zip(&widths) {
                // Writing to a String cannot fail.
                let _ = write!(text, "| {cell:<width$} ");
            }
            text.push_str("|\n");
        }
        text.push_str("\nRequests of Windlass, from the API server's audit log:\n");
        for (name, Requests(counts)) in &self.requests {
            let list: Vec<String> = counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
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

fn rows(options: &Options, figures: &Figures, requests: &BTreeMap<&'static str, Requests>) -> Vec<Row> {
    let Figures {
        ready,
        ready_again,
        adopted,
        template_writes_at_adoption,
        template_writes_unasked,
        rounds,
        after_quiet,
        memory_at_rest,
        memory_at_end,
        cpu,
        changes,
        windows: _,
    } = figures;
    let none = Requests::default();
    let requests = |name| requests.get(name).unwrap_or(&none);
    let changes = *changes as f64;
    let p = |percent| move |round: &Round| over(&round.one_at_a_time, |times| ms(percentile(times, percent)));
    let burst = |round: &Round| over(&round.burst, |time| ms(*time));
    let after_idle = |round: &Round| over(&round.after_idle, |time| ms(*time));
    let per_thousand = |used: Duration| used.as_secs_f64() * 1000.0 / changes;

    vec![
        Row::ratio("change to patched Deployment, p50", rounds, p(50)).target(1.25),
        Row::ratio("change to patched Deployment, p99", rounds, p(99)),
        Row::difference(
            &format!("first change after {} s idle", options.idle),
            rounds,
            after_idle,
        )
        .target(3.0),
        Row::single_difference(
            &format!("first change after {} s idle, one reading", options.quiet),
            after_quiet,
        ),
        Row::ratio(
            &format!("{} changes at once, until the last", options.burst),
            rounds,
            burst,
        )
        .target(1.25),
        Row::pair("start to ready", "ms", &over(ready, |time| ms(*time))),
        Row::one("start to ready, all adopted", "ms", ms(*ready_again)),
        Row::one("start to last adoption", "ms", ms(*adopted)),
        Row::one("template writes at adoption", "", *template_writes_at_adoption as f64).target(0.0),
        Row::one(
            "template writes beyond one per change",
            "",
            *template_writes_unasked as f64,
        )
        .target(0.0),
        Row::pair(
            "resident memory at rest",
            "MiB",
            &over(memory_at_rest, |memory| mib(memory.now_kib)),
        ),
        Row::pair(
            "resident memory, peak",
            "MiB",
            &over(memory_at_end, |memory| mib(memory.peak_kib)),
        )
        .target(28.0),
        Row::pair(
            "CPU seconds per 1,000 changes",
            "s",
            &over(cpu, |used| per_thousand(*used)),
        ),
        Row::one(
            "LIST and GET while quiet",
            "",
            requests(QUIET).with_verb(&["list", "get"]) as f64,
        )
        .target(0.0),
        Row::one(
            "LIST and GET per change",
            "",
            requests(CHANGES).with_verb(&["list", "get"]) as f64 / changes,
        )
        .target(0.0),
        Row::one(
            "Deployment patches per change",
            "",
            requests(CHANGES).of("patch", "deployments") as f64 / changes,
        )
        .target(1.0),
        Row::one(
            "Event requests per change",
            "",
            requests(CHANGES).on("events") as f64 / changes,
        )
        .target(1.0),
        Row::one("requests at start", "", requests(START).0.values().sum::<u64>() as f64),
    ]
}

impl Row {
    fn one(figure: &str, unit: &'static str, windlass: f64) -> Self {
        Self {
            figure: figure.to_owned(),
            unit,
            windlass,
            ..Self::default()
        }
    }

    fn pair(figure: &str, unit: &'static str, values: &Pair<f64>) -> Self {
        Self {
            floor: Some(values.floor),
            ..Self::one(figure, unit, values.windlass)
        }
    }

    fn ratio(figure: &str, rounds: &[Round], value: impl Fn(&Round) -> Pair<f64>) -> Self {
        let ratio = median(rounds.iter().map(&value).map(|pair| pair.windlass / pair.floor));
        Self {
            comparison: Some(Comparison::Ratio(ratio)),
            ..Self::medians(figure, rounds, value)
        }
    }

    fn difference(figure: &str, rounds: &[Round], value: impl Fn(&Round) -> Pair<f64>) -> Self {
        let difference = median(rounds.iter().map(&value).map(|pair| pair.windlass - pair.floor));
        Self {
            comparison: Some(Comparison::DifferenceMs(difference)),
            ..Self::medians(figure, rounds, value)
        }
    }

    fn single_difference(figure: &str, times: &Pair<Duration>) -> Self {
        let values = over(times, |time| ms(*time));
        let difference = Comparison::DifferenceMs(values.windlass - values.floor);
        Self {
            comparison: Some(difference),
            ..Self::pair(figure, "ms", &values)
        }
    }

    fn medians(figure: &str, rounds: &[Round], value: impl Fn(&Round) -> Pair<f64>) -> Self {
        let values = Pair {
            floor: median(rounds.iter().map(|round| value(round).floor)),
            windlass: median(rounds.iter().map(|round| value(round).windlass)),
        };
        Self::pair(figure, "ms", &values)
    }

    /// Of the comparison where there is one, else of Windlass's own figure.
    fn target(mut self, at_most: f64) -> Self {
        let value = match self.comparison {
            Some(Comparison::Ratio(value) | Comparison::DifferenceMs(value)) => value,
            None => self.windlass,
        };
        self.at_most = Some(at_most);
        self.met = Some(value <= at_most);
        self
    }

    fn cells(&self) -> [String; 6] {
        let Self {
            figure,
            unit,
            floor,
            windlass,
            comparison,
            at_most,
            met,
        } = self;
        let plain = |value: f64| format!("{} {unit}", digits(value)).trim().to_owned();
        let compared = comparison.map(|comparison| match comparison {
            Comparison::Ratio(value) => format!("{value:.2} x"),
            Comparison::DifferenceMs(value) => format!("{value:+.1} ms"),
        });
        let target = at_most.map(|limit| match comparison {
            Some(Comparison::Ratio(_)) => format!("<= {limit} x"),
            Some(Comparison::DifferenceMs(_)) => format!("<= +{limit} ms"),
            None => format!("<= {}", plain(limit)),
        });
        let verdict = met.map_or("", |met| if met { "met" } else { "NOT MET" });
        [
            figure.clone(),
            floor.map(plain).unwrap_or_default(),
            plain(*windlass),
            compared.unwrap_or_default(),
            target.unwrap_or_default(),
            verdict.to_owned(),
        ]
    }
}

impl RoundReport {
    fn new(round: &Round) -> Self {
        let Round {
            one_at_a_time,
            after_idle,
            burst,
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
        Self {
            ratio_p50: windlass.p50_ms / floor.p50_ms,
            ratio_burst: windlass.burst_ms / floor.burst_ms,
            floor,
            windlass,
        }
    }
}

fn over<T>(pair: &Pair<T>, value: impl Fn(&T) -> f64) -> Pair<f64> {
    Pair {
        floor: value(&pair.floor),
        windlass: value(&pair.windlass),
    }
}

/// By nearest rank: always a time that was measured.
pub fn percentile(times: &[Duration], percent: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(rank).copied().unwrap_or_default()
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    if sorted.len() % 2 == 1 {
        at(middle)
    } else {
        f64::midpoint(at(middle.wrapping_sub(1)), at(middle))
    }
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

fn digits(value: f64) -> String {
    if value.fract() == 0.0 || value >= 1000.0 {
        format!("{value:.0}")
    } else if value >= 100.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{median, percentile};

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let times: Vec<Duration> = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&times, 50), Duration::from_millis(50));
        assert_eq!(percentile(&times, 99), Duration::from_millis(99));
        assert_eq!(percentile(&[Duration::from_millis(7)], 99), Duration::from_millis(7));
        assert_eq!(percentile(&[], 50), Duration::ZERO);
    }

    #[test]
    fn a_median_of_an_even_count_lies_between_the_two_in_the_middle() {
        assert!((median([4.0, 1.0, 2.0].into_iter()) - 2.0).abs() < f64::EPSILON);
        assert!((median([4.0, 1.0, 2.0, 3.0].into_iter()) - 2.5).abs() < f64::EPSILON);
    }
}
