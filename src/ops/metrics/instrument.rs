//! The row of a metric, and how each type of metric is made from its row.

use prometheus::core::Collector;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, Result,
};

use super::Vocabulary;
use super::label::Label;

/// What all names begin with.
pub const PREFIX: &str = "windlass";

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Without the prefix.
    pub name: &'static str,
    /// Its labels, in the order of their values.
    pub labels: &'static [Label],
    /// One sentence, which is served with it.
    pub help: &'static str,
    /// What the reference says besides.
    pub more: &'static str,
    /// Of a histogram.
    pub buckets: &'static [f64],
}

/// A metric that needs no more words.
pub const fn family(name: &'static str, labels: &'static [Label], help: &'static str) -> Family {
    Family {
        name,
        labels,
        help,
        more: "",
        buckets: &[],
    }
}

impl Family {
    pub(super) const fn more(self, more: &'static str) -> Self {
        Self { more, ..self }
    }

    pub(super) const fn buckets(self, buckets: &'static [f64]) -> Self {
        Self { buckets, ..self }
    }
}

/// A type of metric (<https://prometheus.io/docs/concepts/metric_types/>).
pub trait Instrument: Collector + Clone + 'static {
    /// Its word.
    const TYPE: &'static str;

    /// One without a series, if it has labels.
    fn create(family: &Family) -> Result<Self>;

    /// Begins the series with these label values at zero. Nothing without labels: it is there.
    fn zero(&self, _values: &[&str]) {}
}

/// One that is registered, with zeros for the label values that are known.
pub fn register<I: Instrument>(registry: &Registry, family: &Family, vocabulary: &Vocabulary<'_>) -> Result<I> {
    let instrument = I::create(family)?;
    let mut series: Vec<Vec<&str>> = vec![Vec::new()];
    for label in family.labels {
        let values = label.values(vocabulary);
        let with_each = |begun: &Vec<&'static str>| {
            let longer = values.iter().map(|value| [begun.as_slice(), &[value]].concat());
            longer.collect::<Vec<_>>()
        };
        series = series.iter().flat_map(with_each).collect();
    }
    for values in &series {
        instrument.zero(values);
    }
    registry.register(Box::new(instrument.clone()))?;
    Ok(instrument)
}

fn opts(family: &Family) -> Opts {
    Opts::new(family.name, family.help).namespace(PREFIX)
}

fn histogram_opts(family: &Family) -> HistogramOpts {
    HistogramOpts {
        common_opts: opts(family),
        buckets: family.buckets.to_vec(),
    }
}

fn names(family: &Family) -> Vec<&'static str> {
    family.labels.iter().copied().map(Label::name).collect()
}

macro_rules! instruments {
    ($($one:ident, $many:ident, $word:literal, $opts:ident;)*) => { $(
        impl Instrument for $one {
            const TYPE: &'static str = $word;

            fn create(family: &Family) -> Result<Self> {
                Self::with_opts($opts(family))
            }
        }

        impl Instrument for $many {
            const TYPE: &'static str = $word;

            fn create(family: &Family) -> Result<Self> {
                Self::new($opts(family), &names(family))
            }

            fn zero(&self, values: &[&str]) {
                let _ = self.with_label_values(values);
            }
        }
    )* };
}

instruments! {
    IntCounter, IntCounterVec, "counter", opts;
    IntGauge, IntGaugeVec, "gauge", opts;
    Gauge, GaugeVec, "gauge", opts;
    Histogram, HistogramVec, "histogram", histogram_opts;
}
