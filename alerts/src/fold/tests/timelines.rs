//! A table of time-lines: at this time push that, and at that time want this.
//!
//! Each case is a text. A line is a time and what happens then:
//!
//! ```text
//! quiet DAYS at N          N mentions in each hour of so many days before, which is what is usual then
//! 00:10 push 40 by 30      40 mentions, a second apart, by 30 authors
//! 00:20 progress           enrichment is done up to here
//! 00:20 want opened        what was decided since the last `want`: transitions with ` to ROUTE` where told, or `nothing`
//! ```
//!
//! Times are those of Thursday, 8 January 2026; `1+09:00` is the day after at nine.

use earshot_common::events::{Command, CommandKind, SourceHealth, SourceStatus};

use super::*;

/// What a rule asks for beside being about Harbor, then the time-line.
fn check(rule: &str, timeline: &str) {
    let watchlist = format!(
        "[[subject]]\nid = \"harbor\"\nkind = \"brand\"\nname = \"Harbor\"\n\
         [[route]]\nid = \"team\"\nlog = true\n[[route]]\nid = \"deputy\"\nlog = true\n\
         [[route]]\nid = \"night\"\nlog = true\n\
         [[rule]]\nid = \"rule\"\nsubjects = [\"harbor\"]\nroute = \"team\"\n{rule}\n"
    );
    let mut case = Case { timeline: Timeline::new(&watchlist), commands: 0 };
    for line in timeline.lines().map(str::trim).filter(|line| !line.is_empty()) {
        case.happen(line);
    }
}

const VOLUME: &str =
    "when = \"count of mentions against expectation\"\nauthors_at_least = 10\nprobability_below = 0.001";
const STRONG: &str = "when = \"each mention\"\nreach_at_least = 1000\nquiet_after_hours = 6";

struct Case {
    timeline: Timeline,
    commands: u32,
}

impl Case {
    fn happen(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let ["quiet", days, "at", an_hour] = words[..] {
            let days: i64 = days.parse().unwrap();
            let from = days_later(at("2026-01-08T00:00"), -days);
            return self.timeline.ordinary_days(&from.to_string(), days, an_hour.parse().unwrap());
        }
        let time = moment(words[0]);
        match words[1..] {
            ["push", mentions, "by", authors] => {
                self.timeline.push(&time.to_string(), mentions.parse().unwrap(), authors.parse().unwrap());
            }
            ["strong", name] => {
                let post = Post::new(name).about("harbor", -0.9).reach(5_000);
                self.timeline.post_at(time, &post);
            }
            ["progress"] => self.timeline.progress_at(time),
            [state @ ("failing" | "healthy"), source] => self.health(time, state, source),
            [who, "says", what] => self.command(time, who, what, None),
            [who, "says", what, "until", until] => self.command(time, who, what, Some(moment(until))),
            ["want", ..] => {
                let wanted = line.split_once("want ").unwrap().1;
                assert_eq!(self.decided(), wanted, "{line}");
            }
            _ => panic!("not a line of a time-line: {line}"),
        }
    }

    fn health(&mut self, time: Timestamp, state: &str, source: &str) {
        let state = if state == "failing" { SourceStatus::Failing } else { SourceStatus::Healthy };
        let health = SourceHealth {
            v: SchemaVersion::default(),
            source: source.to_owned(),
            state,
            reason: None,
            raw: Vec::new(),
            at: time,
        };
        self.timeline.append(time, SignalRecord::SourceHealth(health));
    }

    /// `again` is the last command delivered a second time.
    fn command(&mut self, time: Timestamp, who: &str, what: &str, until: Option<Timestamp>) {
        let (what, again) = what.strip_suffix("-again").map_or((what, false), |what| (what, true));
        self.commands += u32::from(!again);
        let command = Command {
            v: SchemaVersion::default(),
            id: format!("command-{}", self.commands),
            alert: self.timeline.events.last().expect("there is an alert").alert,
            what: match what {
                "acknowledge" => CommandKind::Acknowledge,
                "mute" => CommandKind::Mute,
                "mute-rule" => CommandKind::MuteRule,
                "note" => CommandKind::Note,
                "useful" => CommandKind::Useful,
                "noise" => CommandKind::Noise,
                other => panic!("nobody says {other}"),
            },
            by: who.to_owned(),
            note: None,
            until,
        };
        self.timeline.append(time, SignalRecord::Command(command));
    }

    fn decided(&mut self) -> String {
        let events = &self.timeline.events[self.timeline.read..];
        self.timeline.read = self.timeline.events.len();
        let said: Vec<String> = events.iter().map(said).collect();
        if said.is_empty() { "nothing".to_owned() } else { said.join(", ") }
    }
}

/// A transition in short: who did it, who has it in hand, and who is told.
fn said(event: &AlertEvent) -> String {
    let mut text = event.transition.name().to_owned();
    if let Some(word) = &event.word {
        write!(text, " by {}", word.by).unwrap();
    }
    if let Some(held) = event.acknowledged.as_ref().filter(|_| event.transition == Transition::Declined) {
        write!(text, " as {} has it", held.by).unwrap();
    }
    for notify in &event.notify {
        write!(text, " to {}", notify.route).unwrap();
    }
    text
}

/// `09:30` of the first day, or `2+09:30` of the second one after it.
fn moment(text: &str) -> Timestamp {
    let (days, time) = text.split_once('+').unwrap_or(("0", text));
    days_later(at(&format!("2026-01-08T{time}")), days.parse().unwrap())
}

#[test]
fn two_people_acknowledge_at_once_and_the_first_in_the_log_has_it() {
    check(
        STRONG,
        "09:00 strong a
         09:00 want opened to team
         09:05 ann says acknowledge
         09:05 bob says acknowledge
         09:05 want acknowledged by ann, declined by bob as ann has it
         09:06 ann says acknowledge until 12:00
         09:06 want acknowledged by ann",
    );
}

#[test]
fn a_command_that_is_delivered_again_is_taken_once() {
    check(
        STRONG,
        "09:00 strong a
         09:05 ann says note
         09:06 ann says note-again
         09:06 want opened to team, noted by ann",
    );
}

#[test]
fn an_acknowledgement_that_runs_out_calls_the_route_again() {
    check(
        STRONG,
        "09:00 strong a
         09:05 ann says acknowledge until 10:00
         09:05 want opened to team, acknowledged by ann
         09:59 progress
         09:59 want nothing
         10:00 progress
         10:00 want lapsed to team
         10:10 bob says acknowledge
         10:10 want acknowledged by bob",
    );
}

#[test]
fn nobody_is_told_of_a_muted_alert_until_the_mute_ends() {
    check(
        STRONG,
        "09:00 strong a
         09:01 ann says mute until 11:00
         09:01 want opened to team, muted by ann
         11:00 progress
         11:00 want unmuted to team",
    );
}

#[test]
fn a_mute_that_names_no_end_lasts_a_day() {
    check(
        &STRONG.replace("quiet_after_hours = 6", "quiet_after_hours = 48"),
        "09:00 strong a
         09:01 ann says mute
         09:01 want opened to team, muted by ann
         1+09:00 progress
         1+09:00 want nothing
         1+09:01 progress
         1+09:01 want unmuted to team",
    );
}

#[test]
fn a_muted_rule_opens_alerts_that_nobody_is_told_of() {
    check(
        &format!("{STRONG}\nreopen_within_hours = 0"),
        "09:00 strong a
         09:01 ann says mute-rule until 2+00:00
         09:01 want opened to team, muted by ann
         16:00 progress
         16:00 want resolved
         20:00 strong b
         20:00 want opened
         1+06:00 progress
         1+06:00 want resolved
         2+00:00 strong c
         2+00:00 want opened to team",
    );
}

#[test]
fn what_begins_soon_after_the_end_is_the_same_alert_again() {
    check(
        VOLUME,
        "quiet 3 at 4
         00:00 push 25 by 25
         02:00 progress
         02:00 want opened to team, resolved
         05:00 push 25 by 25
         05:00 want reopened to team
         07:00 progress
         07:00 want resolved
         13:00 push 25 by 25
         13:00 want opened to team",
    );
}

#[test]
fn who_has_an_alert_in_hand_is_not_called_when_it_opens_again() {
    check(
        VOLUME,
        "quiet 3 at 4
         00:00 push 25 by 25
         00:10 ann says acknowledge until 09:00
         02:00 progress
         02:00 want opened to team, acknowledged by ann, resolved
         05:00 push 25 by 25
         05:00 want reopened",
    );
}

#[test]
fn words_about_an_alert_that_is_over_are_taken_for_thirty_days() {
    check(
        STRONG,
        "09:00 strong a
         16:00 progress
         16:00 want opened to team, resolved
         2+09:00 ann says note
         2+09:00 want noted by ann
         20+09:00 ann says noise
         20+09:00 want rated by ann",
    );
}

#[test]
fn feedback_is_counted_by_rule_and_a_person_has_one_verdict_for_an_alert() {
    let mut case = Case {
        timeline: Timeline::new(&format!(
            "[[subject]]\nid = \"harbor\"\nkind = \"brand\"\nname = \"Harbor\"\n\
             [[rule]]\nid = \"rule\"\nsubjects = [\"harbor\"]\n{STRONG}\n"
        )),
        commands: 0,
    };
    for line in ["09:00 strong a", "09:01 ann says noise", "09:02 bob says useful", "09:03 ann says useful"] {
        case.happen(line);
    }
    let feedback = case.timeline.state.feedback()["rule"];
    assert_eq!((feedback.useful, feedback.noise), (2, 0));
}

#[test]
fn the_time_to_the_first_assessment_is_in_its_record_alone() {
    let mut case = Case {
        timeline: Timeline::new(&format!(
            "[[subject]]\nid = \"harbor\"\nkind = \"brand\"\nname = \"Harbor\"\n\
             [[rule]]\nid = \"rule\"\nsubjects = [\"harbor\"]\n{STRONG}\n"
        )),
        commands: 0,
    };
    for line in [
        "09:00 strong a",
        "09:07 ann says acknowledge until 10:00",
        "10:00 progress",
        "10:05 bob says acknowledge",
    ] {
        case.happen(line);
    }
    let after = |event: &AlertEvent| event.acknowledged.as_ref().and_then(|held| held.assessed_after_ms);
    let after: Vec<Option<i64>> = case.timeline.events.iter().map(after).collect();
    assert_eq!(after, [None, Some(7 * 60_000), None, None], "opened, acknowledged, lapsed, acknowledged");
}
