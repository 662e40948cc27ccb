//! `earshot evaluate volume`: the detector of the count rules on a published series of counts.
//!
//! A row is a bucket, judged against the rows before it by the default rule. Its score is how surprising it is, on
//! a scale from 0 to 1, where it is above all of the day before, else 0: what follows within a day of something more
//! surprising is not said again.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use earshot_alerts::Detector;
use earshot_common::definitions::{CountCondition, Window};
use earshot_common::time::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::print;

const HOUR_MS: i64 = 3_600_000;
/// What is no more surprising than something within this time before it is not said.
const LAST_DAY_MS: i64 = 24 * HOUR_MS;
/// Orders of magnitude of improbability that make half of the highest score.
const HALFWAY: f64 = 4.0;

#[derive(Debug, Args)]
pub(crate) struct VolumeArguments {
    /// CSV with `timestamp` (`2015-02-26 21:42:53`, UTC, evenly spaced, an hour at most) and `value`, a count
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// CSV with `timestamp`, `value` and `anomaly_score`, 0 to 1; each from the rows up to its own
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
}

#[derive(Debug, Deserialize)]
struct Row {
    timestamp: String,
    value: f64,
}

#[derive(Debug, Serialize)]
struct Scored<'a> {
    timestamp: &'a str,
    value: f64,
    anomaly_score: String,
}

/// Scores a series and says how often the rule would have fired.
pub(crate) fn evaluate(arguments: &VolumeArguments) -> anyhow::Result<()> {
    let rows = read(&arguments.input)?;
    let mut detector = Detector::of_parts(CountCondition::of(Window::Hour), parts_of_an_hour(&rows)?);
    let mut last_day = LastDay::default();
    let mut alerts = 0;
    let mut writer = csv::Writer::from_path(&arguments.output)
        .with_context(|| format!("write {}", arguments.output.display()))?;
    for (start, row) in &rows {
        let judged = detector.push(*start, row.value as u32);
        alerts += u32::from(judged.opened);
        let surprise = judged.probability.map_or(0.0, |probability| -probability.log10());
        let score =
            if last_day.is_exceeded(*start, surprise) { surprise / (surprise + HALFWAY) } else { 0.0 };
        let anomaly_score = format!("{score:.9}");
        writer.serialize(Scored { timestamp: &row.timestamp, value: row.value, anomaly_score })?;
    }
    writer.flush().with_context(|| format!("write {}", arguments.output.display()))?;
    print(&format!("{} rows; the default rule would have fired {alerts} times", rows.len()));
    Ok(())
}

/// The surprises of the last day that nothing since has exceeded, the highest first.
#[derive(Debug, Default)]
struct LastDay {
    surprises: VecDeque<(Timestamp, f64)>,
}

impl LastDay {
    /// Takes a surprise in. Answers whether it is above all of the last day.
    fn is_exceeded(&mut self, at: Timestamp, surprise: f64) -> bool {
        while self.surprises.front().is_some_and(|(then, _)| then.plus_millis(LAST_DAY_MS) < at) {
            self.surprises.pop_front();
        }
        let exceeds = self.surprises.front().is_none_or(|(_, highest)| surprise > *highest);
        while self.surprises.back().is_some_and(|(_, lower)| *lower <= surprise) {
            self.surprises.pop_back();
        }
        self.surprises.push_back((at, surprise));
        exceeds
    }
}

fn read(input: &Path) -> anyhow::Result<Vec<(Timestamp, Row)>> {
    let mut reader = csv::Reader::from_path(input).with_context(|| format!("open {}", input.display()))?;
    let mut rows = Vec::new();
    for (at, row) in reader.deserialize().enumerate() {
        let place = || format!("{}:{}", input.display(), at + 2);
        let row: Row = row.with_context(place)?;
        if !(row.value >= 0.0 && row.value <= f64::from(u32::MAX) && row.value.fract() == 0.0) {
            bail!("{}: `value` {} is no count", place(), row.value);
        }
        let local: DateTime =
            row.timestamp.parse().with_context(|| format!("{}: `timestamp` {}", place(), row.timestamp))?;
        let start = TimeZone::UTC.to_timestamp(local).with_context(place)?.into();
        if rows.last().is_some_and(|(before, _)| *before >= start) {
            bail!("{}: `timestamp` {} is not after the row before", place(), row.timestamp);
        }
        rows.push((start, row));
    }
    Ok(rows)
}

/// How many rows make an hour, from the first two.
fn parts_of_an_hour(rows: &[(Timestamp, Row)]) -> anyhow::Result<usize> {
    let [(first, _), (second, _), ..] = rows else { bail!("a series needs two rows at least") };
    let length_ms = second.as_millis() - first.as_millis();
    if HOUR_MS % length_ms != 0 {
        bail!("rows are {} s apart: that must be an hour or an even part of one", length_ms / 1_000);
    }
    Ok((HOUR_MS / length_ms) as usize)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn scores(text: &str) -> anyhow::Result<Vec<f64>> {
        let folder = tempfile::tempdir()?;
        let (input, output) = (folder.path().join("series.csv"), folder.path().join("scores.csv"));
        std::fs::write(&input, text)?;
        evaluate(&VolumeArguments { input, output: output.clone() })?;
        let scored = std::fs::read_to_string(output)?;
        let score = |line: &str| line.rsplit(',').next().and_then(|score| score.parse().ok());
        Ok(scored.lines().skip(1).filter_map(score).collect())
    }

    /// Three days of rows of half an hour with ten mentions each, and 60 in the one and 50 in the next at the end.
    fn series() -> String {
        let mut text = "timestamp,value\n".to_owned();
        for row in 0..144 {
            let (day, hour, minute) = (row / 48 + 1, row / 2 % 24, row % 2 * 30);
            let value = [10, 60, 50][usize::from(row > 141) + usize::from(row > 142)];
            let _ = writeln!(text, "2026-01-0{day} {hour:02}:{minute:02}:00,{value}");
        }
        text
    }

    #[test]
    fn a_burst_scores_once_and_a_score_uses_no_later_row() {
        let all = scores(&series()).unwrap();
        assert_eq!(all.len(), 144);
        assert!(all[142] > 0.5 && all[..142].iter().all(|score| *score < 0.2), "{all:?}");
        assert_eq!(all[143], 0.0, "it belongs to the same alert");
        let first_rows: Vec<String> = series().lines().take(121).map(str::to_owned).collect();
        assert_eq!(scores(&first_rows.join("\n")).unwrap(), all[..120]);
    }

    #[test]
    fn what_is_no_series_is_refused_with_its_line() {
        let error = |text: &str| format!("{:#}", scores(text).unwrap_err());
        assert!(
            error("timestamp,value\n2026-01-01 00:00:00,-1\n")
                .contains("series.csv:2: `value` -1 is no count")
        );
        assert!(error("timestamp,value\nyesterday,1\n").contains("series.csv:2: `timestamp` yesterday"));
        assert!(
            error("timestamp,value\n2026-01-01 00:00:00,1\n2026-01-01 00:07:00,1\n").contains("420 s apart")
        );
        assert!(error("timestamp,value\n2026-01-01 00:00:00,1\n").contains("two rows"));
    }
}
