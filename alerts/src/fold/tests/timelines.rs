//! A table of time-lines: at this time push that, and at that time want this.
//!
//! Each case is a text. A line is a time and what happens then:
//!
//! ```text
//! quiet DAYS at N          N mentions in each hour of so many days before, which is what is usual then
//! 00:10 push 40 by 30      40 mentions, a second apart, by 30 authors
//! 00:20 progress           enrichment is done up to here
//! 00:20 want opened        what was decided since the last `want`: transitions with ` at SEVERITY` where that is above
//!                          the rule's and ` to ROUTE` where told, or `nothing`
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
            ["strong", name] => self.strong(time, name, 5_000),
            ["strong", name, "reaching", reach] => self.strong(time, name, reach.parse().unwrap()),
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

    fn strong(&mut self, time: Timestamp, name: &str, reach: u64) {
        let post = Post::new(name).about("harbor", -0.9).reach(reach);
        self.timeline.post_at(time, &post);
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
    if !event.raise.is_none() && event.word.is_none() {
        write!(text, " at {}", event.severity).unwrap();
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

#[test]
fn a_burst_rises_stands_at_its_height_fades_and_is_over() {
    check(
        VOLUME,
        "quiet 3 at 4
         00:00 push 50 by 30
         01:00 progress
         01:00 want opened to team, rising
         01:00 push 40 by 30
         02:00 progress
         02:00 want peak
         02:00 push 20 by 20
         03:00 progress
         03:00 want fading
         03:00 push 4 by 4
         04:00 progress
         04:00 want resolved",
    );
}

#[test]
fn after_its_height_a_burst_rises_again_only_well_above_it() {
    check(
        VOLUME,
        "quiet 3 at 4
         00:00 push 50 by 30
         01:00 push 45 by 30
         02:00 progress
         02:00 want opened to team, rising, peak
         02:00 push 45 by 30
         03:00 progress
         03:00 want nothing
         03:00 push 70 by 30
         03:00 want rising
         05:00 progress
         05:00 want resolved",
    );
}

#[test]
fn size_and_reach_make_an_alert_more_severe_and_that_is_told() {
    check(
        VOLUME,
        "quiet 3 at 4
         00:00 push 100 by 30
         00:30 want opened to team, rising, rising, rising at 6 to team
         00:40 strong a reaching 200000
         00:40 want rising at 7 to team
         00:41 push 500 by 30
         00:59 want rising at 7, rising at 7, rising at 8 to team",
    );
}

#[test]
fn severity_is_not_raised_above_what_the_rule_allows() {
    check(
        &format!("{STRONG}\nseverity = 5\nseverity_at_most = 5"),
        "09:00 strong a reaching 500000
         09:00 want opened at 5 to team",
    );
}

#[test]
fn the_next_in_the_order_is_called_while_nobody_has_it_in_hand() {
    let steps =
        "escalate = [{ after_minutes = 15, route = \"deputy\" }, { after_minutes = 30, route = \"night\" }]";
    check(
        &format!("{STRONG}\n{steps}"),
        "09:00 strong a
         09:14 progress
         09:14 want opened to team
         09:15 progress
         09:15 want escalated to deputy
         09:29 ann says acknowledge until 10:00
         09:45 progress
         09:45 want acknowledged by ann
         10:00 progress
         10:00 want lapsed to team
         10:15 progress
         10:30 progress
         10:30 want escalated to deputy, escalated to night
         11:30 progress
         11:30 want nothing",
    );
}

#[test]
fn whoever_is_on_duty_is_told() {
    let duty = "on_duty = [{ route = \"night\", from = \"18:00\", to = \"08:00\" }]\nreopen_within_hours = 0";
    check(
        &format!("{STRONG}\n{duty}"),
        "09:00 strong a
         09:00 want opened to team
         16:00 progress
         16:00 want resolved
         19:00 strong b
         19:00 want opened to night",
    );
}

#[test]
fn in_quiet_hours_an_alert_waits_unless_it_is_severe() {
    let quiet = "zone = \"Europe/Berlin\"\nquiet_hours = { from = \"22:00\", to = \"07:00\" }";
    check(
        &format!("{STRONG}\n{quiet}"),
        "21:30 strong a
         21:30 want opened
         1+05:59 progress
         1+05:59 want resolved",
    );
    let lasting = STRONG.replace("quiet_after_hours = 6", "quiet_after_hours = 24");
    check(
        &format!("{lasting}\n{quiet}"),
        "21:30 strong a
         21:30 want opened
         1+05:59 progress
         1+05:59 want nothing
         1+06:00 progress
         1+06:00 want told to team",
    );
    check(
        &format!("{STRONG}\n{quiet}\nseverity = 7"),
        "23:00 strong a
         23:00 want opened to team",
    );
}

#[test]
fn after_an_alert_was_told_the_next_is_not_until_the_rule_has_cooled_down() {
    check(
        &format!("{STRONG}\nreopen_within_hours = 0\ncool_down_hours = 12"),
        "06:00 strong a
         12:00 progress
         12:00 want opened to team, resolved
         13:00 strong b
         13:00 want opened
         19:00 progress
         19:00 want resolved
         20:00 strong c
         20:00 want opened to team",
    );
    check(
        &format!("{STRONG}\nreopen_within_hours = 0\ncool_down_hours = 12"),
        "06:00 strong a
         12:00 progress
         12:00 want opened to team, resolved
         13:00 strong b reaching 200000
         13:00 want opened at 6 to team",
    );
}

#[test]
fn an_outage_of_the_source_in_the_middle_keeps_an_alert_where_it_is() {
    check(
        VOLUME,
        "quiet 3 at 4
         00:00 push 50 by 30
         01:00 failing hn
         05:00 progress
         05:00 want opened to team, rising
         05:10 healthy hn
         06:00 progress
         06:00 want resolved",
    );
}
