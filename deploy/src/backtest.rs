//! `earshot backtest`: when a rule would have fired.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use earshot_alerts::{Backtest, BacktestRequest, Fired, Period, SourceGap};
use earshot_common::definitions::parse_file;
use earshot_common::events::{Arithmetic, accounts_in_words};
use earshot_common::time::{Clock, Timestamp};
use jiff::Span;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::client::{Client, Server, answer};
use crate::print;

#[derive(Debug, Args)]
pub(crate) struct BacktestCommand {
    /// The rule's id
    rule: String,
    /// From when on: so long ago, such as 30d or 12h, or a date such as 2026-01-31 (UTC)
    #[arg(long, default_value = "30d", value_name = "TIME")]
    since: String,
    /// A watchlist file whose definitions are tested in place of those in force, whose words, queries and filters it must
    /// have; nothing is published
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Print the whole answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

/// Asks the running system and prints when the rule would have fired.
pub(crate) async fn backtest(command: BacktestCommand, settings: &Path) -> anyhow::Result<()> {
    let definitions = match &command.file {
        Some(file) => {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("read the watchlist {}", file.display()))?;
            parse_file(&file.display().to_string(), &text)?
        }
        None => Vec::new(),
    };
    let since = since(&command.since, Clock::system().now()).context("--since")?;
    let request = BacktestRequest { rule: command.rule, definitions, since };
    let client = Client::find(&command.server, settings, "alerts").await?;
    // It reads all that the log holds, which takes as long as it takes.
    let response = client.post("/api/backtests").json(&request).send().await;
    let found: Backtest = answer(response.context("ask for the back-test")?).await?;
    if command.json {
        print(&serde_json::to_string_pretty(&found).context("write the answer")?);
    } else {
        print(told(&found).trim_end());
    }
    Ok(())
}

/// A time that was written as a span before `now`, or as a date.
fn since(text: &str, now: Timestamp) -> anyhow::Result<Timestamp> {
    if let Ok(date) = text.parse::<Date>() {
        return Ok(date.to_zoned_datetime(TimeZone::UTC)?.timestamp().into());
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let wrong =
        || format!("`{text}` is neither so long ago, such as 30d or 12h, nor a date such as 2026-01-31");
    let ago: Span = text.parse().with_context(wrong)?;
    let now = now.to_jiff().to_zoned_datetime(TimeZone::UTC);
    Ok(now.checked_sub(ago.abs()).with_context(wrong)?.timestamp().into())
}

/// The answer as a person would want to read it.
fn told(found: &Backtest) -> String {
    let mut told = String::new();
    let _ = writeln!(told, "rule      {}: {}", found.rule, found.tested);
    if let Some(in_force) = &found.in_force {
        let _ = writeln!(told, "in force  {in_force}");
    }
    let _ = writeln!(told, "span      {} to {}", minute(found.since), minute(found.until));
    for subject in &found.subjects {
        let observed = match subject.observed.is_empty() {
            true => "never observed: only what was counted since can be told".to_owned(),
            false => format!("observed {}", periods(&subject.observed)),
        };
        let _ = writeln!(told, "history   {}: {} mentions, {observed}", subject.subject, subject.mentions);
        if subject.observed.first().is_some_and(|first| first.from > found.since) {
            let _ =
                writeln!(told, "          history starts later than the span: what was before is unknown");
        }
    }
    for subject in &found.subjects {
        for anew in &subject.counted_anew {
            let _ = writeln!(
                told,
                "          {}: what was before {} was counted anew then, as it was live; a version that counts \
                 something else begins there",
                subject.subject,
                minute(*anew)
            );
        }
        if let Some(since) = subject.warming_since {
            let _ = writeln!(
                told,
                "          {}: its words changed at {} and it is not counted anew yet: nothing opens against a baseline",
                subject.subject,
                minute(since)
            );
        }
    }
    for gap in &found.missing_sources {
        let _ = writeln!(told, "missing   {}", missing(gap));
    }
    told.push('\n');
    told.push_str(&table(&found.fired));
    if found.in_force.is_some() {
        let _ = writeln!(told, "\nthe version in force would have raised");
        told.push_str(&table(&found.fired_in_force));
    }
    if !found.not_fired.is_empty() {
        told.push_str("\nalerts that exist, and that this version would not have raised\n");
        for existing in &found.not_fired {
            let _ = writeln!(told, "{}  {}  {}", minute(existing.opened), existing.alert, existing.subject);
        }
    }
    told
}

fn table(fired: &[Fired]) -> String {
    let mut table = match fired.len() {
        0 => return "no alert\n".to_owned(),
        1 => "1 alert\n".to_owned(),
        number => format!("{number} alerts\n"),
    };
    let width = fired.iter().map(|fired| fired.subject.len()).max().unwrap_or_default().max("subject".len());
    let mut row = |opened: &str,
                   until: &str,
                   subject: &str,
                   severity: &str,
                   numbers: &Numbers,
                   alert: &str| {
        let Numbers { observed, expected, odds } = numbers;
        let _ = writeln!(
            table,
            "{opened:<17}  {until:<17}  {subject:<width$}  {severity:>8}  {observed:>16}  {expected:>11}  {odds:>15}  {alert}"
        );
    };
    row("opened", "until", "subject", "severity", &Numbers::titles(), "alert");
    for fired in fired {
        row(
            &minute(fired.opened),
            &fired.until.map_or("still open".to_owned(), minute),
            &fired.subject,
            &fired.severity.to_string(),
            &Numbers::of(&fired.arithmetic),
            &fired.alert.map_or("none".to_owned(), |alert| alert.to_string()),
        );
    }
    table
}

/// What was counted against what was to be expected, as columns.
struct Numbers {
    observed: String,
    expected: String,
    odds: String,
}

impl Numbers {
    fn titles() -> Self {
        Self { observed: "observed".to_owned(), expected: "expected".to_owned(), odds: "odds".to_owned() }
    }

    fn of(arithmetic: &Arithmetic) -> Self {
        match arithmetic {
            Arithmetic::Count(count) => Self {
                observed: count.observed.to_string(),
                expected: count.expected.map_or("little data".to_owned(), |mean| format!("{mean:.1}")),
                odds: count.probability.map_or("unknown".to_owned(), odds),
            },
            Arithmetic::Each(each) => Self {
                observed: format!("{:+.2} × {}", each.polarity, each.matched),
                expected: format!("≤ {:+.2}", each.polarity_at_most),
                odds: each.reach.map_or("reach unknown".to_owned(), |reach| format!("reach {reach}")),
            },
            Arithmetic::Tone(tone) => Self {
                observed: format!("{:.2}", tone.observed),
                expected: format!("{:.2}", tone.expected),
                odds: odds(tone.probability),
            },
            Arithmetic::Reach(reach) => Self {
                observed: format!("{} accounts", accounts_in_words(reach.reach)),
                expected: accounts_in_words(reach.expected),
                odds: odds(reach.probability),
            },
            Arithmetic::Absence(absence) => Self {
                observed: format!("{} h silent", absence.hours),
                expected: absence.expected.map_or("unknown".to_owned(), |mean| format!("{mean:.1}")),
                odds: absence.probability.map_or("unknown".to_owned(), odds),
            },
            Arithmetic::Novelty(novelty) => Self {
                observed: format!("{} mentions", novelty.mentions),
                expected: "never there".to_owned(),
                odds: format!("{} authors", novelty.authors),
            },
            Arithmetic::Rank(rank) => Self {
                observed: format!("rank {}", rank.rank),
                expected: format!("rank {}", rank.usual_rank),
                odds: odds(rank.probability),
            },
        }
    }
}

/// A probability as people say it.
fn odds(probability: f64) -> String {
    match 1.0 / probability {
        one_in if one_in < 1e6 => format!("1 in {one_in:.0}"),
        one_in => format!("1 in {one_in:.0e}"),
    }
}

fn missing(gap: &SourceGap) -> String {
    let brought = match gap.mentions {
        0 => "brought no mention of anybody watched".to_owned(),
        mentions => format!("brought {mentions} mentions"),
    };
    match gap.failing.is_empty() {
        true => format!("{}: {brought}", gap.source),
        false => format!("{}: {brought}, did not answer {}", gap.source, periods(&gap.failing)),
    }
}

fn periods(periods: &[Period]) -> String {
    let period = |period: &Period| match period.until {
        Some(until) => format!("from {} to {}", minute(period.from), minute(until)),
        None => format!("since {}", minute(period.from)),
    };
    periods.iter().map(period).collect::<Vec<_>>().join(", ")
}

fn minute(at: Timestamp) -> String {
    at.to_jiff().strftime("%Y-%m-%d %H:%MZ").to_string()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_span_or_a_date_says_from_when_on() {
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        let begins = |text: &str| since(text, now).unwrap().to_string();
        assert_eq!(begins("30d"), "2026-01-01T12:00:00.000Z");
        assert_eq!(begins("12h"), "2026-01-31T00:00:00.000Z");
        assert_eq!(begins("2026-01-05"), "2026-01-05T00:00:00.000Z");
        assert_eq!(begins("2026-01-05T09:00:00Z"), "2026-01-05T09:00:00.000Z");
        let error = since("yesterday", now).unwrap_err().to_string();
        assert!(error.contains("`yesterday` is neither"), "{error}");
    }

    #[test]
    fn the_table_says_when_with_what_and_whether_it_was_so() {
        let found: Backtest = serde_json::from_str(
            r#"{
                "rule": "volume", "tested": "count of mentions in an hour", "in_force": "count of mentions in a day",
                "since": "2026-01-01T00:00:00Z", "until": "2026-01-31T00:00:00Z",
                "subjects": [
                    {"subject": "harbor", "mentions": 52, "observed": [{"from": "2026-01-05T00:00:00Z", "until": null}]},
                    {"subject": "haven", "mentions": 0, "observed": [], "counted_anew": ["2026-01-06T00:10:00Z"],
                     "warming_since": "2026-01-09T00:00:00Z"}
                ],
                "missing_sources": [
                    {"source": "blog", "mentions": 0, "failing": []},
                    {"source": "news", "mentions": 7, "failing": [
                        {"from": "2026-01-07T00:00:00Z", "until": "2026-01-07T06:30:00Z"},
                        {"from": "2026-01-09T00:00:00Z", "until": null}
                    ]}
                ],
                "fired": [
                    {"opened": "2026-01-08T00:16:00Z", "until": "2026-01-08T01:00:00Z", "subject": "harbor", "severity": 6,
                     "alert": "000000000000000000000000000000ff",
                     "arithmetic": {"primitive": "count", "measure": "mentions", "window": "2026-01-08T00:00:00Z/PT1H",
                        "observed": 34, "expected": 4.1666, "probability": 0.00005, "dispersion": 0.2, "authors": 34,
                        "baseline": [4, 4, 4], "seasonality": "hour_of_day", "little_data": false, "threshold": 17}},
                    {"opened": "2026-01-09T00:00:00Z", "until": null, "subject": "harbor", "severity": 8, "alert": null,
                     "arithmetic": {"primitive": "each", "polarity": -0.9, "polarity_at_most": -0.5, "reach": 50000,
                        "reach_at_least": 10000, "matched": 3}}
                ],
                "fired_in_force": [],
                "not_fired": [
                    {"alert": "0000000000000000000000000000000a", "subject": "harbor", "opened": "2026-01-12T00:00:00Z", "until": null}
                ]
            }"#,
        )
        .unwrap();
        expect![[r#"
            rule      volume: count of mentions in an hour
            in force  count of mentions in a day
            span      2026-01-01 00:00Z to 2026-01-31 00:00Z
            history   harbor: 52 mentions, observed since 2026-01-05 00:00Z
                      history starts later than the span: what was before is unknown
            history   haven: 0 mentions, never observed: only what was counted since can be told
                      haven: what was before 2026-01-06 00:10Z was counted anew then, as it was live; a version that counts something else begins there
                      haven: its words changed at 2026-01-09 00:00Z and it is not counted anew yet: nothing opens against a baseline
            missing   blog: brought no mention of anybody watched
            missing   news: brought 7 mentions, did not answer from 2026-01-07 00:00Z to 2026-01-07 06:30Z, since 2026-01-09 00:00Z

            2 alerts
            opened             until              subject  severity          observed     expected             odds  alert
            2026-01-08 00:16Z  2026-01-08 01:00Z  harbor          6                34          4.2       1 in 20000  000000000000000000000000000000ff
            2026-01-09 00:00Z  still open         harbor          8         -0.90 × 3      ≤ -0.50      reach 50000  none

            the version in force would have raised
            no alert

            alerts that exist, and that this version would not have raised
            2026-01-12 00:00Z  0000000000000000000000000000000a  harbor
        "#]].assert_eq(&told(&found));
    }
}
