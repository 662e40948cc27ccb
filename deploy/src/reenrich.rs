//! `earshot reenrich`: a change of the watchlist or the lexicons carried over history, and what moved by it.

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use earshot_common::events::Polarity;
use earshot_common::time::Timestamp;
use earshot_enrich::reenrich::{Changes, Count, Labels, ReenrichRequest, Report, State};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::client::{Client, Server};
use crate::{print, say, terminal};

/// Between two questions how far the run is.
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
pub(crate) struct ReenrichCommand {
    /// Judge mentions of this time and later again: a day such as 2026-03-01 (in UTC), or an RFC 3339 time
    #[arg(long, value_name = "TIME", value_parser = instant)]
    since: Timestamp,
    /// Only say what would move, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

/// Has enrich judge history again, waits for the end, and prints the report.
pub(crate) async fn reenrich(command: ReenrichCommand, settings: &Path) -> anyhow::Result<()> {
    let client = Client::find(&command.server, settings, "enrich").await?;
    let request = ReenrichRequest { since: command.since, dry_run: command.dry_run };
    let begun: Report = client.post_json("/api/reenrich", &request).await?;
    let report = wait(&client, &begun).await.context(
        "the run goes on as long as enrich does; after a restart give the command again: \
         what is written by then no longer differs",
    )?;
    if command.json {
        print(&serde_json::to_string_pretty(&report).context("write the report")?);
    } else {
        print(told(&report).trim_end());
    }
    if report.newer_watchlist {
        say("the watchlist changed meanwhile; the same command again carries that change over history too");
    }
    match report.error {
        Some(error) => bail!("judge history again: {error}; what is written stays, give the command again"),
        None => Ok(()),
    }
}

async fn wait(client: &Client, begun: &Report) -> anyhow::Result<Report> {
    let target = match std::io::stderr().is_terminal() {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    };
    let style = ProgressStyle::with_template("{bar:30} {percent}%  {pos} of {len} records, {eta} left")
        .expect("the template is a constant");
    let bar = ProgressBar::with_draw_target(None, target).with_style(style);
    loop {
        let report: Report = client.get_json("/api/reenrich", &()).await?;
        if report.started != begun.started {
            bail!("another run has begun since, at {}", report.started);
        }
        if report.state != State::Running {
            bar.finish_and_clear();
            return Ok(report);
        }
        bar.set_length(report.records);
        bar.set_position(report.records_read);
        tokio::time::sleep(PAUSE).await;
    }
}

/// A day, which begins at midnight in UTC, or an RFC 3339 time.
fn instant(text: &str) -> Result<Timestamp, String> {
    if let Ok(day) = text.parse::<Date>()
        && !text.contains(['T', 't', ' '])
    {
        let midnight = day.to_zoned_datetime(TimeZone::UTC).map_err(|error| error.to_string())?;
        return Ok(midnight.timestamp().into());
    }
    text.parse().map_err(|_| "it is a day such as 2026-03-01, or an RFC 3339 time".to_owned())
}

/// The report as a person would want to read it.
fn told(report: &Report) -> String {
    let mut told = String::new();
    let verb = if report.dry_run { "would change (nothing is written)" } else { "changed" };
    let _ = writeln!(
        told,
        "since {}, with watchlist {} and {}: {} mentions judged again, {} {verb}",
        report.since, report.enrichment.watchlist, report.enrichment.lexicon, report.judged, report.changed
    );
    let left = report.left;
    for (count, why) in [
        (left.newer, "changed meanwhile, or a newer watchlist judged them"),
        (left.erased, "their author was erased"),
        (left.too_large, "too large with their new judgement"),
        (left.unreadable, "their records cannot be read"),
    ] {
        if count > 0 {
            let _ = writeln!(told, "left as they are: {count} ({why})");
        }
    }
    told.push_str(&moved(&report.changes));
    told
}

fn moved(changes: &Changes) -> String {
    let mut told = String::new();
    told.push_str(&matrix("messages", &changes.messages));
    for (id, subject) in &changes.subjects {
        if is_moved(&subject.sure) || is_moved(&subject.doubtful) || subject.towards.moved() > 0 {
            told.push_str(&counted("subject", id, &subject.sure));
        }
        if is_moved(&subject.doubtful) {
            told.push_str(&counted("  doubtful", id, &subject.doubtful));
        }
        told.push_str(&matrix("  towards it", &subject.towards));
    }
    for (what, counts) in
        [("risk", &changes.risks), ("intent", &changes.intents), ("search", &changes.searches)]
    {
        for (name, count) in counts.iter().filter(|(_, count)| is_moved(count)) {
            told.push_str(&counted(what, name, count));
        }
    }
    if !changes.largest.is_empty() {
        told.push_str("moved most\n");
    }
    for largest in &changes.largest {
        let _ = writeln!(told, "  {:5.2}  {}", largest.size, terminal::one_line(&largest.id));
    }
    told
}

fn is_moved(count: &Count) -> bool {
    count.gained + count.lost > 0
}

fn counted(what: &str, name: &str, count: &Count) -> String {
    let Count { before, after, gained, lost } = count;
    format!("{what} {}: {before} before, {after} now (+{gained} -{lost})\n", terminal::one_line(name))
}

/// How many moved from which polarity (down) to which (across); nothing where none did.
fn matrix(what: &str, labels: &Labels) -> String {
    let mut told = String::new();
    if labels.moved() == 0 {
        return told;
    }
    let names = Polarity::ALL.map(Polarity::as_str);
    let _ = writeln!(told, "{:<22}{:>10}{:>10}{:>10}  now", what, names[0], names[1], names[2]);
    for (label, row) in names.iter().zip(labels.0) {
        let _ =
            writeln!(told, "  {:<20}{:>10}{:>10}{:>10}", format!("{label} before"), row[0], row[1], row[2]);
    }
    told
}

#[cfg(test)]
mod tests {
    use earshot_common::events::EnrichmentVersion;
    use earshot_enrich::reenrich::{LargestChange, Left, SubjectChanges};
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_day_begins_at_midnight_in_utc_and_a_time_is_one() {
        assert_eq!(instant("2026-03-01").unwrap().to_string(), "2026-03-01T00:00:00.000Z");
        assert_eq!(instant("2026-03-01T01:00:00+01:00").unwrap().to_string(), "2026-03-01T00:00:00.000Z");
        for bad in ["yesterday", "2026-03", "2026-03-01T10:00", "2026-02-30"] {
            assert!(instant(bad).unwrap_err().contains("2026-03-01"), "{bad}");
        }
    }

    #[test]
    fn the_report_says_what_moved_and_nothing_of_what_did_not() {
        let moved = Count { before: 4, after: 6, gained: 3, lost: 1 };
        let still = Count { before: 9, after: 9, gained: 0, lost: 0 };
        let towards = Labels([[1, 2, 0], [0, 0, 0], [0, 0, 0]]);
        let harbor = SubjectChanges { sure: moved, doubtful: Count::default(), towards };
        let vale =
            SubjectChanges { sure: still, doubtful: still, towards: Labels([[9, 0, 0], [0; 3], [0; 3]]) };
        let report = Report {
            since: "2026-03-01T00:00:00Z".parse().unwrap(),
            dry_run: true,
            state: State::Done,
            error: None,
            started: Timestamp::default(),
            ended: Some(Timestamp::default()),
            enrichment: EnrichmentVersion { watchlist: 7, lexicon: "earshot-en-1".to_owned() },
            newer_watchlist: false,
            records: 20,
            records_read: 20,
            judged: 12,
            changed: 5,
            left: Left { erased: 2, ..Left::default() },
            changes: Changes {
                subjects: [("harbor".to_owned(), harbor), ("vale".to_owned(), vale)].into(),
                searches: [("outages".to_owned(), moved), ("quiet".to_owned(), still)].into(),
                largest: vec![LargestChange { id: "hn:\u{1b}1".to_owned(), size: 2.25 }],
                ..Changes::default()
            },
        };
        expect![[r#"
            since 2026-03-01T00:00:00.000Z, with watchlist 7 and earshot-en-1: 12 mentions judged again, 5 would change (nothing is written)
            left as they are: 2 (their author was erased)
            subject harbor: 4 before, 6 now (+3 -1)
              towards it            negative   neutral  positive  now
              negative before              1         2         0
              neutral before               0         0         0
              positive before              0         0         0
            search outages: 4 before, 6 now (+3 -1)
            moved most
               2.25  hn:\u{1b}1
        "#]].assert_eq(&told(&report));
    }
}
