//! Ratios and targets.
//!
//! Single readings scatter by a third on small machines, so a ratio is the median of the ratios of
//! the rounds, each taken from two figures that were measured next to each other.

#![allow(clippy::cast_precision_loss, reason = "the figures are far below 2^52")]

use std::{collections::BTreeMap, time::Duration};

use super::{
    audit::Requests,
    figures::{CHANGES, Course, Figures, Pair, Phases, QUIET, Round, START, SecretTimes, Singles, WHOLE},
    set::Set,
    sizes::Sizes,
    statistics::{median, mib, ms, percentile},
    table::{Comparison, Row},
};

/// The Secret with which the controller keys its digests, named after its lease.
const DIGEST_KEY: &str = "windlass-digest-key";

/// What a figure is about, in the words of a set.
struct Words {
    /// What is patched.
    workload: &'static str,
    /// What calls for a patch.
    change: &'static str,
}

impl Words {
    fn new(set: Set) -> Self {
        let (workload, change) = match set {
            Set::Default | Set::InPlace => ("Deployment", "change"),
            Set::Mixed => ("workload", "change"),
            Set::FanOut => ("Deployment", "restart"),
        };
        Self { workload, change }
    }
}

/// All figures of a set in the order in which they are shown.
pub fn rows(sizes: &Sizes, figures: &Figures, requests: &BTreeMap<&'static str, Requests>) -> Vec<Row> {
    let Figures {
        ready,
        adopted,
        template_writes_at_adoption,
        template_writes_unasked,
        memory_at_end,
        phases,
        course,
    } = figures;
    let words = Words::new(sizes.set);
    let singles = match course {
        Course::Singles(singles) => Some(singles),
        Course::FanOut(_) => None,
    };
    let mut rows = match course {
        Course::Singles(singles) => times(sizes, &words, singles),
        Course::FanOut(rounds) => vec![fan_out(sizes, rounds)],
    };
    rows.push(pair("start to ready", "ms", ready.map(|time| ms(*time))));
    rows.extend(singles.map(|singles| Row::one("start to ready, all adopted", "ms", ms(singles.ready_again))));
    rows.extend([
        Row::one("start to last adoption", "ms", ms(*adopted)),
        Row::one("template writes at adoption", "", *template_writes_at_adoption as f64).at_most(0.0),
        Row::one(
            &format!("template writes beyond one per {}", words.change),
            "",
            *template_writes_unasked as f64,
        )
        .at_most(0.0),
    ]);
    rows.extend(singles.map(|singles| {
        let memory = singles.memory_at_rest.map(|memory| mib(memory.now_kib));
        pair("resident memory at rest", "MiB", memory)
    }));
    let peak = pair(
        "resident memory, peak",
        "MiB",
        memory_at_end.map(|memory| mib(memory.peak_kib)),
    );
    rows.push(match sizes.set {
        Set::Default if sizes.wide_configmaps > 0 => peak.at_most(40.0),
        Set::Default => peak.at_most(28.0),
        Set::Mixed => peak.at_most(36.0),
        Set::FanOut | Set::InPlace => peak,
    });
    rows.push(cpu(&words, phases));
    rows.extend(request_rows(sizes, &words, phases, requests));
    rows
}

fn times(sizes: &Sizes, words: &Words, singles: &Singles) -> Vec<Row> {
    let Singles {
        rounds,
        after_quiet,
        ready_again: _,
        memory_at_rest: _,
    } = singles;
    let p = |percent| move |round: &Round| round.one_at_a_time.map(|times| ms(percentile(times, percent)));
    let change = if sizes.has_secrets() {
        "ConfigMap change"
    } else {
        words.change
    };
    let single = format!("{change} to patched {}", words.workload);
    let mut rows = vec![
        ratio(&format!("{single}, p50"), rounds, p(50)).at_most(1.25),
        ratio(&format!("{single}, p99"), rounds, p(99)),
        difference(
            &format!("first change after {} s idle", sizes.idle_seconds),
            rounds,
            |round| round.after_idle.map(|time| ms(*time)),
        )
        .at_most(3.0),
        single_difference(
            &format!("first change after {} s idle, one reading", sizes.quiet_seconds),
            after_quiet,
        ),
        ratio(
            &format!("{} changes at once, until the last", sizes.burst),
            rounds,
            |round| round.burst.map(|time| ms(*time)),
        )
        .at_most(1.25),
    ];
    let secrets: Vec<&SecretTimes> = rounds.iter().filter_map(|round| round.secrets.as_ref()).collect();
    if !secrets.is_empty() {
        let p50 = secrets.iter().map(|times| ms(percentile(&times.one_at_a_time, 50)));
        let burst = secrets.iter().map(|times| ms(times.burst));
        rows.extend([
            Row::one("Secret change to patched workload, p50", "ms", median(p50)),
            Row::one(
                &format!("{} Secret changes at once, until the last", sizes.burst),
                "ms",
                median(burst),
            ),
        ]);
    }
    rows
}

fn fan_out(sizes: &Sizes, rounds: &[Pair<Duration>]) -> Row {
    let figure = format!("change to the last of {} patched Deployments", sizes.deployments);
    ratio(&figure, rounds, |round| round.map(|time| ms(*time))).at_most(1.2)
}

fn cpu(words: &Words, phases: &Phases) -> Row {
    let Phases { cpu, changes, .. } = phases;
    let per_thousand = |used: Duration, changes: usize| used.as_secs_f64() * 1000.0 / changes as f64;
    Row::pair(
        &format!("CPU seconds per 1,000 {}s", words.change),
        "s",
        per_thousand(cpu.floor, changes.floor),
        per_thousand(cpu.windlass, changes.windlass),
    )
}

fn request_rows(
    sizes: &Sizes,
    words: &Words,
    phases: &Phases,
    requests: &BTreeMap<&'static str, Requests>,
) -> Vec<Row> {
    let none = Requests::default();
    let requests = |name| requests.get(name).unwrap_or(&none);
    let during = requests(CHANGES);
    let per_change = |count: u64| count as f64 / phases.changes.windlass as f64;
    let Words { workload, change, .. } = words;

    let mut rows = Vec::new();
    if sizes.set != Set::FanOut {
        let reads = requests(QUIET).with_verb(&["list", "get"]);
        rows.push(Row::one("LIST and GET while quiet", "", reads as f64).at_most(0.0));
    }
    if sizes.has_secrets() {
        rows.extend(secret_gets(phases, during));
    } else {
        let reads = per_change(during.with_verb(&["list", "get"]));
        rows.push(Row::one(&format!("LIST and GET per {change}"), "", reads).at_most(0.0));
    }
    let patches = sizes
        .rolled()
        .iter()
        .map(|(kind, _)| during.of("patch", kind.plural()))
        .sum();
    rows.extend([
        Row::one(&format!("{workload} patches per {change}"), "", per_change(patches)).at_most(1.0),
        Row::one(
            &format!("Event requests per {change}"),
            "",
            per_change(during.on("events")),
        )
        .at_most(1.0),
    ]);
    if sizes.set == Set::FanOut {
        // Before a thousand are written, one of them is tried.
        let tried = during.dry_runs() as f64 / sizes.rounds as f64;
        rows.push(Row::one("dry runs per change of the ConfigMap", "", tried).at_most(1.0));
    }
    if sizes.cronjobs > 0 {
        let writes = requests(WHOLE).writes_to("cronjobs");
        rows.push(Row::one("writes to CronJobs in the whole run", "", writes as f64).at_most(0.0));
    }
    rows.push(Row::one("requests at start", "", requests(START).all() as f64));
    rows
}

/// The mean alone would hide one Secret that was read twice and another that was not.
fn secret_gets(phases: &Phases, during: &Requests) -> [Row; 3] {
    let gets = |name: &str| during.secret_gets.get(name).copied().unwrap_or(0);
    let changes: u64 = phases.secrets.values().sum();
    let called_for: u64 = phases.secrets.keys().map(|name| gets(name)).sum();
    let odd = phases
        .secrets
        .iter()
        .filter(|(name, changes)| gets(name) != **changes)
        .count();
    let otherwise = during.with_verb(&["list", "get"]) - called_for - gets(DIGEST_KEY);
    [
        Row::one("GETs per changed Secret", "", called_for as f64 / changes as f64).exactly(1.0),
        Row::one("Secrets with more or fewer GETs than changes", "", odd as f64).at_most(0.0),
        Row::one("GETs and LISTs otherwise", "", otherwise as f64).at_most(0.0),
    ]
}

fn pair(figure: &str, unit: &'static str, values: Pair<f64>) -> Row {
    Row::pair(figure, unit, values.floor, values.windlass)
}

fn ratio<R>(figure: &str, rounds: &[R], value: impl Fn(&R) -> Pair<f64>) -> Row {
    let ratio = median(rounds.iter().map(&value).map(|pair| pair.windlass / pair.floor));
    medians(figure, rounds, value).compared(Comparison::Ratio(ratio))
}

fn difference<R>(figure: &str, rounds: &[R], value: impl Fn(&R) -> Pair<f64>) -> Row {
    let difference = median(rounds.iter().map(&value).map(|pair| pair.windlass - pair.floor));
    medians(figure, rounds, value).compared(Comparison::DifferenceMs(difference))
}

fn single_difference(figure: &str, times: &Pair<Duration>) -> Row {
    let Pair { floor, windlass } = times.map(|time| ms(*time));
    Row::pair(figure, "ms", floor, windlass).compared(Comparison::DifferenceMs(windlass - floor))
}

fn medians<R>(figure: &str, rounds: &[R], value: impl Fn(&R) -> Pair<f64>) -> Row {
    let floor = median(rounds.iter().map(|round| value(round).floor));
    let windlass = median(rounds.iter().map(|round| value(round).windlass));
    Row::pair(figure, "ms", floor, windlass)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{DIGEST_KEY, Phases, Requests, Row, secret_gets};

    /// Which targets are missed when two Secrets were changed once each and this was read.
    fn missed(gets: &[(&str, u64)], lists: u64) -> [bool; 3] {
        let phases = Phases {
            secrets: BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 1)]),
            ..Phases::default()
        };
        let total: u64 = gets.iter().map(|(_, count)| count).sum();
        let during = Requests {
            counts: BTreeMap::from([("get secrets".to_owned(), total), ("list pods".to_owned(), lists)]),
            secret_gets: gets.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
        };
        secret_gets(&phases, &during).map(|row: Row| row.is_missed())
    }

    #[test]
    fn one_get_for_each_changed_secret_is_what_is_called_for() {
        assert_eq!(missed(&[("a", 1), ("b", 1)], 0), [false, false, false]);
    }

    #[test]
    fn the_digest_key_is_no_ones_secret() {
        assert_eq!(missed(&[("a", 1), ("b", 1), (DIGEST_KEY, 3)], 0), [false, false, false]);
    }

    #[test]
    fn a_secret_that_is_read_twice_does_not_make_up_for_one_that_is_not() {
        assert_eq!(missed(&[("a", 2)], 0), [false, true, false]);
    }

    #[test]
    fn what_nobody_called_for_is_counted() {
        assert_eq!(missed(&[("a", 1), ("b", 1), ("c", 1)], 0), [false, false, true]);
        assert_eq!(missed(&[("a", 1), ("b", 1)], 1), [false, false, true]);
        assert_eq!(missed(&[], 0), [true, true, false]);
    }
}
