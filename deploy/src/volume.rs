//! `earshot evaluate volume`: the detector of the count rules on a published series of counts.
//!
//! A row is a bucket, judged against the rows before it by the default rule. Its score is how surprising it is, on
//! a scale from 0 to 1, where it is above all of the day before, else 0: what follows within a day of something more
//! surprising is not said again.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use earshot_alerts::Detector;
use earshot_common::definitions::{CountCondition, Window};
use earshot_common::time::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::print;

const HOUR_MS: i64 = 3_600_000;
/// What is no more surprising than something within this time before it is not said.
const LAST_DAY_MS: i64 = 24 * HOUR_MS;
/// Orders of magnitude of improbability that make half of the highest score.
const HALFWAY: f64 = 4.0;

#[derive(Debug, Args)]
pub(crate) struct VolumeArguments {
    /// CSV with `timestamp` (`2015-02-26 21:42:53`, UTC) and `value`, a count; evenly spaced, an hour at most, and
    /// some may be missing
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// CSV with `timestamp`, `value` and `anomaly_score`, 0 to 1; each from the rows up to its own
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
}

#[derive(Debug)]
struct Row {
    line: u64,
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
    let mut detector =
        Detector::of_parts(CountCondition::of(Window::Hour), parts_of_an_hour(&arguments.input, &rows)?);
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
    let text = std::fs::read_to_string(input).with_context(|| format!("read {}", input.display()))?;
    let text = text.trim_start_matches('\u{feff}');
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let headers = reader.headers().with_context(|| format!("{}:1", input.display()))?.clone();
    let column = |name: &str| {
        let place = headers.iter().position(|header| header.eq_ignore_ascii_case(name));
        place.with_context(|| {
            let there: Vec<&str> = headers.iter().collect();
            format!("{}:1: there is no column `{name}`; there are: {}", input.display(), there.join(", "))
        })
    };
    let (timestamp, value) = (column("timestamp")?, column("value")?);
    let mut rows: Vec<(Timestamp, Row)> = Vec::new();
    for record in reader.records() {
        let record = record.with_context(|| input.display().to_string())?;
        let row = Row {
            line: record.position().map_or(0, |position| line(text, position)),
            timestamp: record[timestamp].to_owned(),
            value: record[value].parse().unwrap_or(f64::NAN),
        };
        let place = || format!("{}:{}", input.display(), row.line);
        if !(row.value >= 0.0 && row.value <= f64::from(u32::MAX) && row.value.fract() == 0.0) {
            bail!("{}: `value` {} is no count", place(), &record[value]);
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

/// The line of a record, which begins behind the blank lines before it.
fn line(text: &str, position: &csv::Position) -> u64 {
    let rest = text.as_bytes().get(position.byte() as usize..).unwrap_or_default();
    let blank = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
    position.line() + blank.filter(|byte| **byte == b'\n').count() as u64
}

/// How many rows make an hour: they are as far apart as most are. Some may be missing, but none can be between.
fn parts_of_an_hour(input: &Path, rows: &[(Timestamp, Row)]) -> anyhow::Result<usize> {
    let apart = |pair: &[(Timestamp, Row)]| pair[1].0.as_millis() - pair[0].0.as_millis();
    let mut distances: BTreeMap<i64, usize> = BTreeMap::new();
    for pair in rows.windows(2) {
        *distances.entry(apart(pair)).or_default() += 1;
    }
    let most = distances.values().max().copied();
    let Some((length_ms, _)) = distances.iter().find(|(_, times)| Some(**times) == most) else {
        bail!("{}: a series needs two rows at least, and this has {}", input.display(), rows.len());
    };
    if let Some(pair) = rows.windows(2).find(|pair| apart(pair) < *length_ms) {
        let (_, row) = &pair[1];
        bail!(
            "{}:{}: `timestamp` {} is {} s after the row before, and most are {} s apart",
            input.display(),
            row.line,
            row.timestamp,
            apart(pair) / 1_000,
            length_ms / 1_000
        );
    }
    if HOUR_MS % length_ms != 0 {
        bail!(
            "{}: rows are {} s apart: that must be an hour or an even part of one",
            input.display(),
            length_ms / 1_000
        );
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
        for rows in ["", "2026-01-01 00:00:00,1\n"] {
            let message = error(&format!("timestamp,value\n{rows}"));
            assert!(message.contains("series.csv: a series needs two rows"), "{message}");
        }
        for (text, wanted) in [
            ("", "series.csv:1: there is no column `timestamp`; there are: "),
            ("time,value\n", "series.csv:1: there is no column `timestamp`; there are: time, value"),
            // A blank line is a line.
            ("timestamp,value\n\n2026-01-01 00:00:00,many\n", "series.csv:3: `value` many is no count"),
            ("timestamp,value\r\n\r\n2026-01-01 00:00:00,1.5\r\n", "series.csv:3: `value` 1.5 is no count"),
            ("timestamp,value\n2026-01-01 00:00:00\n", "line: 2"),
        ] {
            let message = error(text);
            assert!(message.contains(wanted), "{message}");
        }
    }

    /// As spreadsheets write it: a byte order mark, quotes, capitals, spaces, CRLF, a blank line.
    #[test]
    fn a_series_of_a_spreadsheet_is_read() {
        let series = series();
        let mut written =
            series.replace("timestamp,value", "\u{feff}\"Timestamp\", Value").replace('\n', "\r\n");
        written.push_str("\r\n");
        assert_eq!(scores(&written).unwrap(), scores(&series).unwrap());
    }

    /// Two rows are missing after the first: the rest says how long a row is.
    #[test]
    fn rows_may_be_missing_and_none_may_be_nearer_than_most_are() {
        let minutes = |minutes: &[u32]| {
            let row = |minute: &u32| format!("2026-01-01 00:{minute:02}:00,1\n");
            format!("timestamp,value\n{}", minutes.iter().map(row).collect::<String>())
        };
        let rows = |text: &str| {
            let folder = tempfile::tempdir().unwrap();
            let input = folder.path().join("series.csv");
            std::fs::write(&input, text).unwrap();
            parts_of_an_hour(&input, &read(&input).unwrap()).map_err(|error| format!("{error:#}"))
        };
        assert_eq!(rows(&minutes(&[0, 15, 20, 25, 30])), Ok(12));
        assert_eq!(rows(&minutes(&[0, 15, 20])), Ok(12));
        assert_eq!(rows(&minutes(&[0, 5, 10, 40, 45])), Ok(12));
        let message = rows(&minutes(&[0, 5, 10, 12, 17])).unwrap_err();
        assert!(
            message.contains("series.csv:5: `timestamp` 2026-01-01 00:12:00 is 120 s after the row before, and most are 300 s"),
            "{message}"
        );
    }
}
