//! The report: one list of measures, printed as a table and written as JSON.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

/// What was measured, where and with what.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    /// The name of its files.
    pub(crate) name: String,
    /// What it is about.
    pub(crate) title: String,
    /// Where it ran.
    pub(crate) machine: Machine,
    /// With what it ran.
    pub(crate) input: Input,
    /// What was found, in the order of the table.
    pub(crate) measures: Vec<Measure>,
}

/// The machine.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    /// Its processor, as Linux names it.
    pub(crate) processor: String,
    /// Cores that the programs may use.
    pub(crate) cores: usize,
}

/// The input.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Input {
    /// `generated`, or the name of a file.
    pub(crate) from: String,
    /// How much of it, in words.
    pub(crate) amount: String,
}

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measure {
    /// What was measured.
    pub(crate) name: String,
    /// The figure: of several runs the best, of memory the worst.
    pub(crate) value: f64,
    /// Its unit.
    pub(crate) unit: &'static str,
    /// All runs, in their order, where there were several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) runs: Vec<f64>,
    /// What the figure is to be compared with, and how many times as large it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ratio: Option<Ratio>,
    /// What it must be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) wanted: Option<Wanted>,
}

/// A comparison.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Ratio {
    /// With what.
    pub(crate) of: String,
    /// The figure divided by it.
    pub(crate) value: f64,
}

/// A goal.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Wanted {
    /// In words.
    pub(crate) goal: String,
    /// Whether it was met.
    pub(crate) met: bool,
}

impl Measure {
    /// A figure by itself.
    pub(crate) fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { name: name.into(), value, unit, runs: Vec::new(), ratio: None, wanted: None }
    }

    /// The largest of several runs.
    pub(crate) fn largest(name: impl Into<String>, runs: Vec<f64>, unit: &'static str) -> Self {
        let largest = runs.iter().copied().fold(0.0, f64::max);
        Self { runs, ..Self::new(name, largest, unit) }
    }

    /// Compared with another figure.
    pub(crate) fn of(mut self, other: &str, value: f64) -> Self {
        self.ratio = Some(Ratio { of: other.to_owned(), value: self.value / value });
        self
    }

    /// With a goal for the figure or its ratio.
    pub(crate) fn wanted(mut self, goal: impl Into<String>, met: bool) -> Self {
        self.wanted = Some(Wanted { goal: goal.into(), met });
        self
    }

    /// Its ratio; nothing is zero.
    pub(crate) fn ratio(&self) -> f64 {
        self.ratio.as_ref().map_or(0.0, |ratio| ratio.value)
    }
}

impl Report {
    /// As Markdown.
    pub(crate) fn table(&self) -> String {
        let mut text = format!(
            "# {}\n\n{}, {} cores. Input: {}; {}\n\n",
            self.title, self.machine.processor, self.machine.cores, self.input.from, self.input.amount
        );
        text.push_str("| measure | figure | all runs | ratio | wanted | met |\n|---|---:|---|---|---|---|\n");
        for measure in &self.measures {
            let runs: Vec<String> = measure.runs.iter().map(|run| number(*run)).collect();
            let ratio = measure.ratio.as_ref().map(|ratio| format!("{:.2} of {}", ratio.value, ratio.of));
            let goal = measure.wanted.as_ref().map_or("", |wanted| wanted.goal.as_str());
            let met = measure.wanted.as_ref().map_or("", |wanted| if wanted.met { "yes" } else { "**no**" });
            let _ = writeln!(
                text,
                "| {} | {} {} | {} | {} | {goal} | {met} |",
                measure.name,
                number(measure.value),
                measure.unit,
                runs.join(", "),
                ratio.unwrap_or_default(),
            );
        }
        text
    }

    /// Writes `NAME.json` and `NAME.md` into a folder.
    pub(crate) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let path = |extension: &str| folder.join(format!("{}.{extension}", self.name));
        let json = serde_json::to_string_pretty(self)? + "\n";
        for (path, text) in [(path("json"), json), (path("md"), self.table())] {
            std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        }
        Ok(())
    }
}

/// With as many decimals as say something.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_the_best_run_its_ratio_and_whether_the_goal_is_met() {
        let copy = Measure::largest("copy", vec![900.0, 1_000.0, 950.0], "records/s").of("bare", 2_000.0);
        let slow = copy.ratio() >= 0.9;
        let report = Report {
            name: "bench-kafka".to_owned(),
            title: "Benchmark on Kafka".to_owned(),
            machine: Machine { processor: "Some CPU".to_owned(), cores: 2 },
            input: Input { from: "generated".to_owned(), amount: "10 mentions.".to_owned() },
            measures: vec![copy.wanted("0.9 of bare", slow), Measure::new("memory", 12.34, "MB")],
        };
        let table = report.table();
        let line = "| copy | 1000 records/s | 900, 1000, 950 | 0.50 of bare | 0.9 of bare | **no** |";
        assert!(table.contains(line), "{table}");
        assert!(table.contains("| memory | 12.3 MB |  |  |  |  |"), "{table}");
    }
}
