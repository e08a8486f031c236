//! Lines of figures with their targets, for people and for JSON.

use std::fmt::Write as _;

use serde::Serialize;

/// One line of the table.
#[derive(Default, Serialize)]
pub struct Row {
    figure: String,
    unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    floor: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    windlass: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comparison: Option<Comparison>,
    #[serde(flatten)]
    target: Option<Target>,
    #[serde(skip_serializing_if = "Option::is_none")]
    met: Option<bool>,
}

/// How the two figures relate.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// Windlass divided by the floor.
    Ratio(f64),
    /// Windlass minus the floor, in milliseconds.
    DifferenceMs(f64),
}

/// What the comparison should be where there is one, else Windlass's own figure.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum Target {
    AtMost(f64),
    Exactly(f64),
}

impl Row {
    /// A figure of Windlass alone.
    pub fn one(figure: &str, unit: &'static str, windlass: f64) -> Self {
        Self {
            figure: figure.to_owned(),
            unit,
            windlass: Some(windlass),
            ..Self::default()
        }
    }

    /// A figure of both.
    pub fn pair(figure: &str, unit: &'static str, floor: f64, windlass: f64) -> Self {
        Self {
            floor: Some(floor),
            ..Self::one(figure, unit, windlass)
        }
    }

    /// A figure that has nothing of Windlass in it.
    pub fn floor(figure: &str, unit: &'static str, floor: f64) -> Self {
        Self {
            floor: Some(floor),
            windlass: None,
            ..Self::one(figure, unit, floor)
        }
    }

    /// How they relate.
    pub fn compared(self, comparison: Comparison) -> Self {
        Self {
            comparison: Some(comparison),
            ..self
        }
    }

    /// No more than that.
    pub fn at_most(self, limit: f64) -> Self {
        let met = self.value() <= limit;
        self.target(Target::AtMost(limit), met)
    }

    /// No more and no less.
    pub fn exactly(self, value: f64) -> Self {
        let met = (self.value() - value).abs() < f64::EPSILON;
        self.target(Target::Exactly(value), met)
    }

    /// Whether a target was missed.
    pub fn is_missed(&self) -> bool {
        self.met == Some(false)
    }

    fn target(self, target: Target, met: bool) -> Self {
        Self {
            target: Some(target),
            met: Some(met),
            ..self
        }
    }

    fn value(&self) -> f64 {
        match self.comparison {
            Some(Comparison::Ratio(value) | Comparison::DifferenceMs(value)) => value,
            // Not a number is never good enough.
            None => self.windlass.unwrap_or(f64::NAN),
        }
    }

    fn cells(&self) -> [String; 6] {
        let Self {
            figure,
            unit,
            floor,
            windlass,
            comparison,
            target,
            met,
        } = self;
        let plain = |value: f64| format!("{} {unit}", digits(value)).trim().to_owned();
        let compared = comparison.map(|comparison| match comparison {
            Comparison::Ratio(value) => format!("{value:.2} x"),
            Comparison::DifferenceMs(value) => format!("{value:+.1} ms"),
        });
        let target = target.map(|target| {
            let (sign, value) = match target {
                Target::AtMost(value) => ("<=", value),
                Target::Exactly(value) => ("=", value),
            };
            match comparison {
                Some(Comparison::Ratio(_)) => format!("{sign} {value} x"),
                Some(Comparison::DifferenceMs(_)) => format!("{sign} +{value} ms"),
                None => format!("{sign} {}", plain(value)),
            }
        });
        let verdict = met.map_or("", |met| if met { "met" } else { "NOT MET" });
        [
            figure.clone(),
            floor.map(plain).unwrap_or_default(),
            windlass.map(plain).unwrap_or_default(),
            compared.unwrap_or_default(),
            target.unwrap_or_default(),
            verdict.to_owned(),
        ]
    }
}

/// As Markdown, which is also readable as it is.
pub fn markdown(rows: &[Row]) -> String {
    let mut lines = vec![["figure", "floor", "windlass", "compared", "target", ""].map(str::to_owned)];
    lines.push(["---", "---:", "---:", "---:", "---:", "---"].map(str::to_owned));
    lines.extend(rows.iter().map(Row::cells));
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
    let mut text = String::new();
    for line in &lines {
        for (cell, width) in line.iter().zip(&widths) {
            // Writing to a String cannot fail.
            let _ = write!(text, "| {cell:<width$} ");
        }
        text.push_str("|\n");
    }
    text
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
    use super::{Comparison, Row};

    #[test]
    fn a_target_is_one_of_the_comparison_where_there_is_one() {
        let row = Row::pair("", "ms", 10.0, 12.0)
            .compared(Comparison::Ratio(1.2))
            .at_most(1.25);
        assert!(!row.is_missed());
        assert!(Row::one("", "ms", 12.0).at_most(1.25).is_missed());
    }

    #[test]
    fn less_than_an_exact_target_misses_it_as_well() {
        assert!(Row::one("", "", 0.5).exactly(1.0).is_missed());
        assert!(!Row::one("", "", 1.0).exactly(1.0).is_missed());
    }

    #[test]
    fn a_row_names_its_target_in_json() {
        let json = serde_json::to_value(Row::one("memory", "MiB", 20.0).at_most(28.0)).unwrap();
        let expected = serde_json::json!(
            {"figure": "memory", "unit": "MiB", "windlass": 20.0, "at_most": 28.0, "met": true}
        );
        assert_eq!(json, expected);
        let json = serde_json::to_value(Row::one("memory", "MiB", 20.0)).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"figure": "memory", "unit": "MiB", "windlass": 20.0})
        );
    }
}
