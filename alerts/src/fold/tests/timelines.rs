//! A table of time-lines: at this time push that, and at that time want this.
//!
//! Each case is a text. A line is a time and what happens then:
//!
//! ```text
//! quiet DAYS at N          N mentions in each hour of so many days before, which is what is usual then
//! 00:10 push 40 by 30      40 mentions, a second apart, by 30 authors
//! 00:10 push 9 by 9 toned -0.6 of merger from rss
//!                          the same with a polarity, a reach (`reaching 500`), a story, a source, a desk (`for hr`); `passing` passes the rule's
//!                          filter, `listed` names Harbor in a list of ticker symbols
//! 00:10 doubtful 9         9 mentions of a namesake
//! 06:00 late 9 of 00:30    9 mentions that were published before
//! 00:20 again 9            the last 9 are collected again
//! 00:20 progress           enrichment is done up to here
//! 00:20 collecting         a sign of ingest
//! 00:20 tick               nothing but the time at which the log takes it
//! 00:20 want opened        what was decided since the last `want`: transitions with ` at SEVERITY` where that is above
//!                          the rule's and ` to ROUTE` where told, or `nothing`
//! ```
//!
//! Times are those of Thursday, 8 January 2026; `1+09:00` is the day after at nine.

use earshot_common::definitions::Window;
use earshot_common::events::{Collecting, Command, CommandKind, Rebuilt, SourceStatus, Tick};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::*;

/// What a rule asks for beside being about Harbor, then the time-line.
fn check(rule: &str, timeline: &str) {
    drop(played(rule, timeline));
}

/// The same, and answers what came of it.
pub(super) fn played(rule: &str, timeline: &str) -> Timeline {
    let watchlist = format!(
        "[[subject]]\nid = \"harbor\"\nkind = \"brand\"\nname = \"Harbor\"\n\
         [[route]]\nid = \"team\"\nlog = true\n[[route]]\nid = \"deputy\"\nlog = true\n\
         [[route]]\nid = \"night\"\nlog = true\n\
         [[rule]]\nid = \"rule\"\nsubjects = [\"harbor\"]\nroute = \"team\"\n{rule}\n"
    );
    played_with(&watchlist, timeline)
}

/// A time-line under these definitions.
pub(super) fn played_with(watchlist: &str, timeline: &str) -> Timeline {
    let mut case = Case { timeline: Timeline::new(watchlist), commands: 0 };
    for line in timeline.lines().map(str::trim).filter(|line| !line.is_empty()) {
        case.happen(line);
    }
    assert!(!case.timeline.events.is_empty() || timeline.contains("want nothing"));
    case.timeline
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
            ["push", mentions, "by", authors, ref rest @ ..] => {
                self.push(time, mentions.parse().unwrap(), authors.parse().unwrap(), rest);
            }
            ["doubtful", mentions] => self.doubtful(time, mentions.parse().unwrap()),
            ["late", mentions, "of", published] => {
                self.late(time, mentions.parse().unwrap(), moment(published));
            }
            ["again", mentions] => self.again(time, mentions.parse().unwrap()),
            ["strong", name] => self.strong(time, name, 5_000),
            ["strong", name, "reaching", reach] => self.strong(time, name, reach.parse().unwrap()),
            ["progress"] => self.timeline.progress_at(time),
            ["collecting"] => {
                self.timeline.append(time, SignalRecord::Collecting(Collecting::default()));
            }
            ["tick"] => self.timeline.append(time, SignalRecord::Tick(Tick::default())),
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

    /// Authors are other ones than those of the quiet days.
    fn push(&mut self, time: Timestamp, mentions: u32, authors: u32, rest: &[&str]) {
        let mut ordinary = Post::new("");
        for pair in rest.chunks(2) {
            match *pair {
                ["toned", polarity] => ordinary.subjects = vec![("harbor", polarity.parse().unwrap())],
                ["reaching", reach] => ordinary.reach = Some(reach.parse().unwrap()),
                ["of", story] => ordinary.story = Some(story.to_owned().leak()),
                ["from", source] => ordinary.source = source.to_owned().leak(),
                ["for", desk] => ordinary.desks = vec![desk.to_owned().leak()],
                ["risking", risk] => ordinary.risks = vec![("harbor", risk.to_owned().leak())],
                ["passing"] => ordinary.matched = vec!["rule:rule"],
                ["listed"] => ordinary.passing = true,
                _ => panic!("not of a push: {pair:?}"),
            }
        }
        for number in 0..mentions {
            self.timeline.named += 1;
            let mut post = ordinary.clone();
            post.name = format!("post-{}", self.timeline.named);
            post.author = Some(format!("{time}-{}", number % authors));
            self.timeline.post_at(time.plus_millis(i64::from(number) * 1_000), &post);
        }
    }

    fn doubtful(&mut self, time: Timestamp, mentions: u32) {
        for number in 0..mentions {
            let mut post = Post::new(&format!("{time}-{number}")).about("harbor", -0.9).reach(9_000);
            post.lane = Lane::Doubtful;
            self.timeline.post_at(time, &post);
        }
    }

    fn late(&mut self, time: Timestamp, mentions: u32, published: Timestamp) {
        for number in 0..mentions {
            let post = Post::new(&format!("late-{published}-{number}"));
            let signal = post.signal(published, self.timeline.raw_next);
            self.timeline.raw_next += 1;
            self.timeline.append(time, SignalRecord::Signal(Box::new(signal)));
        }
    }

    fn again(&mut self, time: Timestamp, mentions: usize) {
        let mut signals = Vec::new();
        for (_, _, record) in self.timeline.log.iter().rev().take(mentions) {
            let SignalRecord::Signal(signal) = record else { panic!("the last records are signals") };
            signals.push(signal.clone());
        }
        for mut signal in signals {
            signal.revision += 1;
            signal.raw.offset = self.timeline.raw_next;
            self.timeline.raw_next += 1;
            self.timeline.append(time, SignalRecord::Signal(signal));
        }
    }

    fn strong(&mut self, time: Timestamp, name: &str, reach: u64) {
        let post = Post::new(name).about("harbor", -0.9).reach(reach);
        self.timeline.post_at(time, &post);
    }

    fn health(&mut self, time: Timestamp, state: &str, source: &str) {
        let state = if state == "failing" { SourceStatus::Failing } else { SourceStatus::Healthy };
        self.timeline.health(time, source, state);
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
                "release" => CommandKind::Release,
                "unmute" => CommandKind::Unmute,
                "unmute-rule" => CommandKind::UnmuteRule,
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
    if event.transition == Transition::Blocked {
        write!(text, " on {}", event.silent_sources.join(" and ")).unwrap();
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
fn an_alert_that_is_given_back_calls_the_route_again_and_then_the_next() {
    check(
        &format!("{STRONG}\nescalate = [{{ after_minutes = 15, route = \"deputy\" }}]"),
        "09:00 strong a
         09:05 ann says acknowledge until 12:00
         09:20 progress
         09:20 want opened to team, acknowledged by ann
         09:30 bob says release
         09:30 want lapsed by bob to team
         09:31 bob says release
         09:31 want noted by bob
         09:44 progress
         09:44 want nothing
         09:45 progress
         09:45 want escalated to deputy
         09:50 bob says acknowledge
         12:00 progress
         12:00 want acknowledged by bob",
    );
}

#[test]
fn a_mute_is_taken_back() {
    check(
        STRONG,
        "09:00 strong a
         09:01 ann says mute until 12:00
         09:30 bob says unmute
         09:30 want opened to team, muted by ann, unmuted by bob to team
         12:00 progress
         12:00 want nothing",
    );
}

#[test]
fn a_mute_of_a_rule_is_taken_back_for_one_alert_or_for_all() {
    for (what, evening) in [("unmute", "opened"), ("unmute-rule", "opened to team")] {
        check(
            &format!("{STRONG}\nreopen_within_hours = 0"),
            &format!(
                "09:00 strong a
                 09:01 ann says mute-rule until 2+00:00
                 09:02 bob says {what}
                 09:02 want opened to team, muted by ann, unmuted by bob to team
                 16:00 progress
                 16:00 want resolved
                 20:00 strong b
                 20:00 want {evening}"
            ),
        );
    }
}

/// The page of the alert that was muted is where it is taken back, also when another one is open.
#[test]
fn a_mute_of_a_rule_is_taken_back_on_an_alert_that_is_over() {
    let mut timeline = played(
        &format!("{STRONG}\nreopen_within_hours = 0"),
        "09:00 strong a
         09:01 ann says mute-rule until 2+00:00
         16:00 progress
         16:00 want opened to team, muted by ann, resolved",
    );
    let over = timeline.events[0].alert;
    timeline.post("2026-01-08T20:00", &Post::new("b").about("harbor", -0.9).reach(5_000));
    let command = Command {
        v: SchemaVersion::default(),
        id: "back".to_owned(),
        alert: over,
        what: CommandKind::UnmuteRule,
        by: "bob".to_owned(),
        note: None,
        until: None,
    };
    timeline.append(at("2026-01-08T20:10"), SignalRecord::Command(command));
    timeline.progress("2026-01-08T20:10");
    let said: Vec<String> = timeline.events[3..].iter().map(said).collect();
    assert_eq!(said, ["opened", "unmuted by bob", "unmuted to team"]);
}

#[test]
fn what_opened_while_its_rule_was_muted_is_told_when_the_mute_ends() {
    check(
        &format!("{STRONG}\nreopen_within_hours = 0"),
        "09:00 strong a
         09:01 ann says mute-rule until 1+01:00
         16:00 progress
         16:00 want opened to team, muted by ann, resolved
         20:00 strong b
         20:01 ann says mute until 22:00
         22:00 progress
         22:00 want opened, muted by ann
         1+01:00 progress
         1+01:00 want unmuted to team",
    );
}

#[test]
fn a_rule_may_open_another_alert_each_time() {
    check(
        &format!("{VOLUME}\nreopen_within_hours = 0"),
        "quiet 3 at 4
         00:00 push 25 by 25
         02:00 progress
         02:00 want opened to team, resolved
         02:00 push 25 by 25
         02:10 want opened to team",
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

/// It was in hand until it was over, and nobody was called to what came after.
#[test]
fn who_had_an_alert_in_hand_until_it_was_over_does_not_keep_others_from_being_called_when_it_opens_again() {
    check(
        VOLUME,
        "quiet 3 at 4
         00:00 push 25 by 25
         00:10 ann says acknowledge
         02:00 progress
         02:00 want opened to team, acknowledged by ann, resolved
         05:00 push 25 by 25
         05:00 want reopened to team",
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
         01:00 push 40 by 30
         02:00 progress
         02:00 want opened to team, rising, peak
         02:00 push 40 by 30
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
fn while_nobody_collects_an_alert_is_not_over_and_a_subject_not_silent() {
    let source = "[[source]]\nid = \"hn\"\nkind = \"feed\"\nurl = \"https://hn.example\"";
    let played = played(
        &format!("{STRONG}\n{source}"),
        "09:00 collecting
         09:00 strong a
         09:00 want opened to team
         15:10 progress
         15:10 want blocked on hn
         15:20 collecting
         15:20 progress
         15:20 want resolved
         15:35 strong b
         15:35 want reopened to team
         23:00 collecting
         23:00 progress
         23:00 want resolved",
    );
    let silent: Vec<String> = played.events.iter().map(|event| event.silent_sources.join(" ")).collect();
    assert_eq!(silent, ["", "hn", "", "hn", ""], "it is named");
    check(
        &format!("when = \"absence of mentions\"\n{source}"),
        "quiet 14 at 6
         00:30 collecting
         06:00 progress
         06:00 want nothing
         06:10 collecting
         06:10 progress
         06:10 want opened to team",
    );
}

#[test]
fn a_tick_moves_the_timers_of_people_while_enrichment_stands_still_and_closes_nothing() {
    check(
        &format!("{STRONG}\nseverity = 9\nescalate = [{{ after_minutes = 15, route = \"deputy\" }}]"),
        "01:59 progress
         02:00 strong a
         02:05 progress
         02:05 want opened to team
         02:14 tick
         02:14 want nothing
         02:15 tick
         02:15 want escalated to deputy
         03:00 team says acknowledge until 04:00
         03:00 want acknowledged by team
         04:00 tick
         04:00 want lapsed to team
         23:00 tick
         23:00 want escalated to deputy",
    );
    let quiet = "zone = \"UTC\"\nquiet_hours = { from = \"22:00\", to = \"07:00\" }";
    check(
        &format!("{STRONG}\n{quiet}"),
        "02:00 strong a
         02:05 progress
         02:05 want opened
         07:00 tick
         07:00 want told to team",
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
fn of_the_end_hear_the_programs_that_were_told_and_of_what_was_severe_the_people() {
    let ended = |severity: u8, words: &str| {
        let watchlist = format!(
            "[[subject]]\nid = \"harbor\"\nkind = \"brand\"\nname = \"Harbor\"\n\
             [[route]]\nid = \"team\"\nmail = [\"a@harbor.example\"]\nwebhook = [\"pager\"]\nalertmanager = [\"main\"]\n\
             [[route]]\nid = \"deputy\"\nslack = [\"deputy\"]\nwebhook = [\"other\"]\n\
             [[rule]]\nid = \"rule\"\nsubjects = [\"harbor\"]\nroute = \"team\"\n{STRONG}\nseverity = {severity}\n\
             escalate = [{{ after_minutes = 60, route = \"deputy\" }}]\n"
        );
        let timeline = format!("09:00 strong a\n{words}\n16:00 progress");
        let played = played_with(&watchlist, &timeline);
        let end = played.events.last().unwrap();
        assert_eq!(end.transition, Transition::Resolved);
        let told = end.notify.iter().map(|notify| (notify.route.clone(), notify.to.name()));
        told.collect::<Vec<_>>()
    };
    let of = |told: &[(&str, &'static str)]| -> Vec<(String, &'static str)> {
        told.iter().map(|(route, channel)| ((*route).to_owned(), *channel)).collect()
    };
    let early = "09:10 ann says acknowledge";
    assert_eq!(ended(6, early), of(&[("team", "webhook")]));
    assert_eq!(ended(7, early), of(&[("team", "mail"), ("team", "webhook")]));
    assert_eq!(ended(7, "09:10 ann says mute until 20:00"), of(&[("team", "webhook")]));
    let called = [("deputy", "webhook"), ("deputy", "slack"), ("team", "mail"), ("team", "webhook")];
    assert_eq!(ended(7, "10:00 progress"), of(&called), "who was called hears of it too");
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

/// Only the first message waited: who was next in the order was called at night.
#[test]
fn in_quiet_hours_nobody_is_called_next_unless_it_is_severe() {
    let rule = format!(
        "{}\nquiet_hours = {{ from = \"22:00\", to = \"07:00\" }}\n\
         escalate = [{{ after_minutes = 15, route = \"deputy\" }}, {{ after_minutes = 600, route = \"night\" }}]",
        STRONG.replace("quiet_after_hours = 6", "quiet_after_hours = 24")
    );
    check(
        &rule,
        "21:50 strong a
         22:05 progress
         1+06:59 progress
         1+06:59 want opened to team
         1+07:00 progress
         1+07:00 want escalated to deputy
         1+07:50 progress
         1+07:50 want escalated to night",
    );
    check(
        &format!("{rule}\nseverity = 7"),
        "21:50 strong a
         22:05 progress
         22:05 want opened to team, escalated to deputy",
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
fn while_a_rule_cools_down_an_alert_is_told_when_it_is_more_severe_than_the_last() {
    check(
        &format!("{STRONG}\nreopen_within_hours = 0\ncool_down_hours = 12"),
        "06:00 strong a reaching 200000
         12:00 progress
         12:00 want opened at 6 to team, resolved at 6
         13:00 strong b
         13:01 strong c reaching 200000
         13:01 want opened, rising at 6
         13:02 strong d
         13:02 strong e
         13:02 strong f
         13:02 want rising at 6, rising at 7 to team",
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
         05:00 want opened to team, rising, blocked on hn
         05:01 progress
         05:01 want nothing
         05:10 healthy hn
         06:00 progress
         06:00 want resolved",
    );
}

/// It named nobody where the source failed after the opening.
#[test]
fn a_source_that_keeps_an_alert_from_being_over_is_named_once() {
    check(
        STRONG,
        "09:00 strong a
         09:10 failing hn
         14:59 progress
         14:59 want opened to team
         15:00 progress
         16:00 progress
         16:00 want blocked on hn
         7+08:59 progress
         7+08:59 want nothing
         7+09:00 progress
         7+09:00 want resolved",
    );
}

#[test]
fn a_tone_is_not_known_to_be_calm_while_its_source_is_silent() {
    check(
        SHARE,
        "quiet 3 at 4
         00:00 push 30 by 30 toned -0.6
         01:00 progress
         01:00 want opened to team
         01:00 push 30 by 30 toned 0.1
         01:30 failing hn
         02:00 progress
         03:00 progress
         03:00 want blocked on hn
         03:10 healthy hn
         03:20 push 30 by 30 toned 0.1
         04:00 progress
         04:00 want resolved",
    );
}

const STORIES: &str =
    "when = \"count against expectation\"\nmeasure = \"stories\"\nprobability_below = 0.001";

#[test]
fn one_syndicated_article_in_sixty_outlets_is_one_story() {
    check(
        STORIES,
        "quiet 3 at 4
         00:00 push 60 by 60 of merger
         00:30 want nothing
         00:30 push 20 by 20
         00:40 want opened to team",
    );
}

#[test]
fn what_names_a_company_in_a_list_of_symbols_is_no_story_about_it() {
    check(
        STORIES,
        "quiet 3 at 4
         00:00 push 60 by 60 listed
         00:30 want nothing
         00:30 push 20 by 20
         00:40 want opened to team",
    );
    check(
        "preset = \"new story\"",
        "quiet 3 at 1
         00:00 push 9 by 9 of merger listed
         00:10 want nothing
         00:10 push 1 by 1 of merger
         00:20 push 2 by 2 of merger
         00:30 want opened to team",
    );
}

#[test]
fn a_bot_with_one_account_is_one_author() {
    check(
        "when = \"count against expectation\"\nmeasure = \"authors\"\nprobability_below = 0.001",
        "quiet 3 at 4
         00:00 push 500 by 1
         00:30 want nothing
         00:30 push 20 by 20 toned 0.0
         00:40 want opened to team",
    );
}

#[test]
fn negatives_are_counted_and_nothing_else() {
    check(
        "when = \"count against expectation\"\nmeasure = \"negatives\"\nprobability_below = 0.001",
        "quiet 3 at 4
         00:00 push 200 by 100 toned 0.4
         00:10 want nothing
         00:10 push 8 by 8 toned -0.6
         00:10 want opened to team",
    );
}

#[test]
fn a_filter_narrows_what_a_count_counts() {
    check(
        &format!("{VOLUME}\nfilter = \"lang:de\""),
        "quiet 3 at 4
         00:00 push 200 by 100
         00:10 want nothing
         00:10 push 30 by 30 passing
         00:10 want opened to team, rising",
    );
}

#[test]
fn a_rule_that_counts_for_itself_begins_when_it_is_defined_and_not_with_zeros() {
    let text = format!("{HARBOR}\n[[rule]]\nid = \"stories\"\nsubjects = [\"harbor\"]\n{STORIES}\n");
    let mut timeline = Timeline::new(HARBOR);
    timeline.ordinary_days("2026-01-05T00:00", 3, 12);
    let mut rule = version_of(&text, "rule/stories");
    rule.version = Some(50);
    timeline.append(at("2026-01-08T00:00"), SignalRecord::Definition(rule));
    timeline.push("2026-01-08T00:10", 12, 12);
    assert_eq!(timeline.said(), "", "twelve an hour are usual, and zero is not known to be");
}

#[test]
fn few_are_no_evidence_however_unlikely() {
    check(
        &format!("{VOLUME}\nmentions_at_least = 40"),
        "quiet 3 at 4
         00:00 push 39 by 30
         00:10 want nothing
         00:10 push 1 by 1
         00:10 want opened to team",
    );
}

#[test]
fn a_rule_may_wait_until_it_is_so_in_windows_one_after_the_other() {
    check(
        &format!("{VOLUME}\nwindows = 3"),
        "quiet 3 at 4
         00:00 push 40 by 30
         01:00 push 40 by 30
         01:30 want nothing
         02:00 push 40 by 30
         02:30 want opened to team, rising
         05:00 progress
         05:00 want resolved
         12:00 push 40 by 30
         14:00 push 40 by 30
         14:30 want nothing",
    );
}

/// Sixty and an ordinary ten are not two hours of a burst, however surprising the seventy are.
#[test]
fn each_of_the_windows_one_after_the_other_has_all_that_the_rule_asks_for() {
    check(
        &format!("{VOLUME}\nwindows = 2"),
        "quiet 3 at 10
         00:00 push 60 by 30
         01:00 push 10 by 10
         01:30 want nothing",
    );
    check(
        &format!("{VOLUME}\nwindows = 2"),
        "quiet 3 at 10
         00:00 push 60 by 9
         01:00 push 60 by 30
         01:30 want nothing
         02:00 push 60 by 30
         02:30 want opened to team, rising",
    );
    check(
        &format!("{VOLUME}\nwindows = 2\nmentions_at_least = 50"),
        "quiet 3 at 4
         00:00 push 40 by 30
         01:00 push 60 by 30
         01:30 want nothing
         02:00 push 60 by 30
         02:30 want opened to team",
    );
}

#[test]
fn a_rule_may_wait_for_half_a_day_of_windows() {
    check(
        &format!("{VOLUME}\nwindows = 12"),
        "quiet 3 at 4
         00:00 push 40 by 30
         01:00 push 40 by 30
         02:00 push 40 by 30
         03:00 push 40 by 30
         04:00 push 40 by 30
         05:00 push 40 by 30
         06:00 push 40 by 30
         06:30 progress
         07:00 push 40 by 30
         08:00 push 40 by 30
         09:00 push 40 by 30
         10:00 push 40 by 30
         10:30 want nothing
         11:00 push 40 by 30
         11:30 want opened to team, rising",
    );
}

#[test]
fn outside_its_schedule_a_rule_raises_nothing() {
    check(
        &format!("{STRONG}\nschedule = {{ days = [\"thu\"], from = \"09:00\", to = \"17:00\" }}"),
        "08:59 strong a
         08:59 want nothing
         09:00 strong b
         09:00 want opened to team",
    );
}

#[test]
fn a_namesake_counts_for_nothing() {
    check(
        &format!("{VOLUME}\nmentions_at_least = 1"),
        "quiet 3 at 4
         00:00 doubtful 100
         00:10 want nothing",
    );
    check(
        STRONG,
        "00:00 doubtful 3
         00:10 want nothing",
    );
}

#[test]
fn mentions_that_are_collected_twice_count_once_for_every_measure() {
    for measure in ["mentions", "stories", "authors"] {
        check(
            &format!("{VOLUME}\nmeasure = \"{measure}\""),
            "quiet 3 at 4
             00:00 push 15 by 15 from rss
             00:10 again 15
             00:20 want nothing",
        );
    }
}

#[test]
fn a_backlog_of_six_hours_counts_in_its_hours_and_pages_nobody() {
    check(
        VOLUME,
        "quiet 3 at 4
         06:00 progress
         06:01 late 30 of 00:30
         06:01 late 30 of 01:30
         06:02 want nothing",
    );
}

const SHARE: &str = "when = \"share of negatives against expectation\"";

#[test]
fn a_share_of_negatives_that_is_far_from_usual_is_said_when_its_hour_has_closed() {
    check(
        SHARE,
        "quiet 3 at 4
         00:00 push 30 by 30 toned -0.6
         00:59 want nothing
         01:00 progress
         01:00 want opened to team
         01:00 push 30 by 30 toned -0.5
         02:00 progress
         02:00 want nothing
         02:00 push 30 by 30 toned 0.1
         03:00 progress
         03:00 want resolved",
    );
}

#[test]
fn a_share_that_must_last_is_said_with_the_last_of_so_many_bad_hours_one_after_the_other() {
    let rule = format!("{SHARE}\nwindows = 2");
    check(
        &rule,
        "quiet 3 at 4
         00:00 push 30 by 30 toned -0.6
         01:00 progress
         01:00 want nothing
         01:00 push 30 by 30 toned -0.6
         02:00 progress
         02:00 want opened to team
         02:00 push 30 by 30 toned 0.1
         03:00 progress
         03:00 want resolved",
    );
    for between in ["push 30 by 30 toned 0.1", "push 30 by 3 toned -0.6", "progress"] {
        let timeline = format!(
            "quiet 3 at 4\n00:00 push 30 by 30 toned -0.6\n01:00 progress\n01:00 {between}\n02:00 progress\n\
             02:00 push 30 by 30 toned -0.6\n03:00 progress\n03:00 want nothing"
        );
        check(&rule, &timeline);
    }
}

/// Twelve bad hours are what is usual of half a day, but not before they were there.
#[test]
fn hours_that_must_last_are_not_what_is_usual_before_they_have() {
    let hours: String = (0..12)
        .map(|hour| format!("{hour:02}:00 push 30 by 30 toned -0.6\n{:02}:00 progress\n", hour + 1))
        .collect();
    let timeline =
        played(&format!("{SHARE}\nwindows = 12"), &format!("quiet 3 at 4\n{hours}12:00 want opened to team"));
    let Arithmetic::Tone(tone) = &timeline.events[0].arithmetic else { panic!("a tone") };
    assert_eq!((tone.in_a_row, tone.baseline_windows), (12, 72));
}

#[test]
fn a_day_that_reaches_into_the_schedule_is_judged() {
    let of_days = |days: &str, want: &str| {
        check(
            &format!(
                "{SHARE}\nwindow = \"1d\"\nschedule = {{ days = [{days}], from = \"09:00\", to = \"18:00\" }}"
            ),
            &format!("quiet 15 at 4\n10:00 push 90 by 90 toned -0.8\n1+00:00 progress\n1+00:00 want {want}"),
        );
    };
    of_days("\"thu\"", "opened to team");
    of_days("\"mon\", \"fri\"", "nothing");
}

#[test]
fn a_few_negatives_or_those_of_few_authors_are_no_share() {
    check(
        SHARE,
        "quiet 3 at 4
         00:00 push 9 by 9 toned -0.6
         01:00 push 30 by 4 toned -0.6
         02:00 progress
         02:00 want nothing",
    );
}

#[test]
fn the_mean_sentiment_falls() {
    check(
        "when = \"mean sentiment against expectation\"",
        "quiet 3 at 4
         00:00 push 30 by 30 toned -0.8
         01:00 progress
         01:00 want opened to team
         02:00 progress
         02:00 want resolved",
    );
}

#[test]
fn a_tone_that_stays_bad_is_said_once_and_becomes_how_things_are() {
    let mut timeline = Timeline::new(&format!(
        "[[subject]]\nid = \"harbor\"\nkind = \"brand\"\nname = \"Harbor\"\n\
         [[rule]]\nid = \"rule\"\nsubjects = [\"harbor\"]\n{SHARE}\n"
    ));
    timeline.ordinary_days("2026-01-05T00:00", 3, 12);
    let mut case = Case { timeline, commands: 0 };
    for hour in 0..10 * 24 {
        let time = at("2026-01-08T00:00").plus_millis(hour * HOUR_MS);
        case.push(time, 12, 12, &["toned", "-0.6"]);
        case.timeline.progress_at(time.plus_millis(HOUR_MS));
    }
    assert_eq!(case.decided(), "opened, resolved", "after a week it is no burst");
}

const SILENT: &str = "preset = \"subject silent\"";

#[test]
fn a_subject_that_falls_silent_in_its_usual_hours_is_told_and_the_next_mention_ends_it() {
    check(
        SILENT,
        "quiet 3 at 6
         01:00 progress
         02:00 progress
         02:59 progress
         02:59 want nothing
         03:00 progress
         03:00 want opened to team
         05:00 progress
         05:00 want nothing
         05:30 push 1 by 1
         05:30 want resolved",
    );
}

#[test]
fn a_subject_that_is_seldom_heard_may_be_silent_for_long() {
    let mut timeline = Timeline::new(
        "[[subject]]\nid = \"harbor\"\nkind = \"brand\"\nname = \"Harbor\"\n\
         [[rule]]\nid = \"silent\"\nsubjects = [\"harbor\"]\npreset = \"subject silent\"\n",
    );
    // One mention a day, at noon: nights are silent, and so is a morning.
    for day in 0..10 {
        let midnight = days_later(at("2026-01-05T00:00"), day);
        timeline.progress_at(midnight);
        timeline.push(&midnight.plus_millis(12 * HOUR_MS).to_string(), 1, 1);
    }
    timeline.progress("2026-01-15T11:00");
    assert_eq!(timeline.said(), "");
}

#[test]
fn one_crisis_does_not_make_the_quiet_hours_of_the_weeks_after_it_a_silence() {
    let mut timeline = Timeline::new(
        "[[subject]]\nid = \"harbor\"\nkind = \"brand\"\nname = \"Harbor\"\n\
         [[rule]]\nid = \"silent\"\nsubjects = [\"harbor\"]\npreset = \"subject silent\"\n",
    );
    let mut random = StdRng::seed_from_u64(4);
    let begin = at("2026-01-05T00:00");
    timeline.progress_at(begin);
    // Two mentions a day by chance for twelve weeks, and a day of two hundred an hour after the eighth.
    for hour in 0..84 * 24 {
        let time = begin.plus_millis(hour * HOUR_MS);
        let mentions = if hour / 24 == 55 { 200 } else { u32::from(random.random_range(0..12) == 0) };
        timeline.push(&time.to_string(), mentions, mentions.max(1));
        timeline.progress_at(time.plus_millis(HOUR_MS));
    }
    assert_eq!(timeline.said(), "");
    for hour in 84 * 24..96 * 24 {
        timeline.progress_at(begin.plus_millis(hour * HOUR_MS));
    }
    assert!(timeline.said().starts_with("opened silent/harbor #1"), "twelve days are one");
}

#[test]
fn while_its_source_does_not_answer_nobody_knows_whether_a_subject_is_silent() {
    check(
        SILENT,
        "quiet 3 at 6
         00:10 failing hn
         08:00 progress
         08:00 want nothing",
    );
}

#[test]
fn one_dead_blog_does_not_mute_a_silence() {
    check(
        SILENT,
        "quiet 3 at 6
         00:00 push 1 by 1 from blog
         00:10 failing blog
         02:00 progress
         03:00 progress
         04:00 progress
         04:00 want opened to team",
    );
}

#[test]
fn a_signed_door_is_watched_by_the_silence_of_its_mentions() {
    let mut timeline = Timeline::new(
        "[[subject]]\nid = \"harbor\"\nkind = \"brand\"\nname = \"Harbor\"\n\
         [[rule]]\nid = \"door\"\nsubjects = [\"harbor\"]\npreset = \"subject silent\"\n\
         filter = \"source:partner\"\n",
    );
    let mut named = 0;
    let mut hour = |timeline: &mut Timeline, number: i64, partner: u32| {
        let time = at("2026-01-05T00:00").plus_millis(number * HOUR_MS);
        for source in std::iter::repeat_n("partner", partner as usize).chain(["hn"; 6]) {
            named += 1;
            let mut post = Post { source, ..Post::new(&format!("post-{named}")) };
            post.matched = if source == "partner" { vec!["rule:door"] } else { Vec::new() };
            timeline.post_at(time, &post);
        }
        timeline.progress_at(time.plus_millis(HOUR_MS));
    };
    timeline.progress("2026-01-05T00:00");
    for number in 0..3 * 24 {
        hour(&mut timeline, number, 6);
    }
    // Whether other sources answer says nothing of the door.
    timeline.health(at("2026-01-08T00:00"), "hn", SourceStatus::Failing);
    for number in 3 * 24..3 * 24 + 2 {
        hour(&mut timeline, number, 0);
    }
    assert_eq!(timeline.said(), "");
    for number in 3 * 24 + 2..3 * 24 + 4 {
        hour(&mut timeline, number, 0);
    }
    assert!(timeline.said().starts_with("opened door/harbor #1"));
}

#[test]
fn a_source_that_does_not_answer_is_told_after_an_hour_and_over_when_it_does() {
    check(
        "preset = \"source silent\"",
        "quiet 1 at 4
         00:10 failing hn
         00:20 failing other
         01:09 progress
         01:09 want nothing
         01:10 progress
         01:10 want opened to team
         03:00 healthy hn
         03:00 progress
         03:00 want resolved",
    );
}

const NEW_STORY: &str = "preset = \"new story\"";

#[test]
fn a_story_that_three_people_tell_is_news_once() {
    check(
        NEW_STORY,
        "quiet 3 at 1
         00:00 push 2 by 2 of merger
         00:10 want nothing
         01:00 push 1 by 1 of merger
         01:00 want opened to team
         02:00 push 40 by 40 of merger
         02:10 want nothing
         03:00 push 3 by 3 of layoffs
         03:00 want rising",
    );
}

#[test]
fn a_story_that_gathers_slowly_or_was_there_before_is_no_news() {
    check(
        NEW_STORY,
        "quiet 3 at 1
         00:00 push 2 by 2 of merger
         1+01:00 progress
         1+01:00 push 9 by 9 of merger
         1+01:10 want nothing",
    );
    // In the first two days anything may be older than our listening.
    check(
        NEW_STORY,
        "quiet 1 at 1
         00:00 push 9 by 9 of merger
         00:10 want nothing",
    );
}

const MOMENTUM: &str = "preset = \"momentum\"";

#[test]
fn a_text_that_was_posted_long_before_it_spreads_has_momentum_once() {
    check(
        MOMENTUM,
        "quiet 3 at 1
         00:00 push 2 by 2 of petition
         2+00:00 push 49 by 49 of petition
         2+00:10 want nothing
         2+00:10 push 1 by 1 of petition
         2+00:10 want opened to team
         3+00:11 progress
         3+00:11 want resolved
         4+00:00 push 60 by 60 of petition
         4+00:10 want nothing",
    );
}

#[test]
fn what_was_heard_in_the_first_days_has_momentum_unless_it_had_it_then() {
    check(
        MOMENTUM,
        "quiet 1 at 1
         00:00 push 2 by 2 of clip
         3+00:00 push 60 by 60 of clip
         3+00:10 want opened to team",
    );
    check(
        MOMENTUM,
        "quiet 1 at 1
         00:00 push 60 by 60 of weather
         3+00:00 push 60 by 60 of weather
         3+00:10 want nothing",
    );
}

#[test]
fn what_was_heard_again_is_remembered_longer_than_what_was_heard_once() {
    let mut timeline = played(
        &format!("{MOMENTUM}\nmentions_at_least = 3\nauthors_at_least = 3"),
        "quiet 3 at 1
         00:00 push 2 by 2 of petition
         00:10 want nothing",
    );
    for number in 0..20_001 {
        let mut post = Post::new(&format!("other-{number}"));
        post.story = Some(post.name.clone().leak());
        timeline.post("2026-01-08T00:30", &post);
    }
    let mut third = Post::new("third");
    third.story = Some("petition");
    timeline.post("2026-01-08T01:00", &third);
    assert!(timeline.said().starts_with("opened rule/harbor #1: a story that spreads, with 3 mentions"));
}

#[test]
fn the_first_mention_by_a_source_is_news_after_two_weeks_of_listening() {
    check(
        "when = \"novelty\"\nof = \"source\"",
        "quiet 15 at 1
         00:00 push 1 by 1 from times
         00:00 want opened to team
         00:10 push 1 by 1 from times
         00:10 want nothing",
    );
}

#[test]
fn many_new_accounts_with_one_text_in_an_hour_are_coordinated_and_a_slow_story_is_not() {
    let coordinated = "preset = \"coordinated posting\"";
    check(
        coordinated,
        "quiet 15 at 2
         00:00 push 10 by 10 of petition
         00:10 want opened to team",
    );
    check(
        coordinated,
        "quiet 15 at 2
         00:00 push 9 by 9 of petition
         02:00 push 9 by 9 of petition
         02:10 want nothing",
    );
}

#[test]
fn accounts_that_were_heard_before_are_not_new() {
    let mut case = Case {
        timeline: Timeline::new(
            "[[subject]]\nid = \"harbor\"\nkind = \"brand\"\nname = \"Harbor\"\n\
             [[rule]]\nid = \"rule\"\nsubjects = [\"harbor\"]\npreset = \"coordinated posting\"\n",
        ),
        commands: 0,
    };
    case.happen("quiet 15 at 12");
    for number in 0..10 {
        // The authors of the quiet days: so many customers who pass one article on.
        let mut post = Post::new(&format!("pass-{number}"));
        post.author = Some(format!("author-{number}"));
        post.story = Some("an article");
        case.timeline.post("2026-01-08T00:10", &post);
    }
    case.happen("00:20 want nothing");
}

#[test]
fn a_risk_needs_no_reach_and_an_influential_author_no_tone() {
    check(
        "preset = \"risk\"\ncategory = \"legal\"",
        "09:00 push 1 by 1 toned 0.3
         09:00 want nothing
         09:01 push 1 by 1 toned 0.3 risking safety
         09:01 want nothing
         09:02 push 1 by 1 toned 0.3 risking legal
         09:02 want opened to team",
    );
    check(
        "preset = \"influential author\"",
        "09:00 strong a reaching 99999
         09:00 want nothing
         09:01 strong b reaching 100000
         09:01 want opened at 6 to team",
    );
}

/// Two competitors: harbor has so many mentions in each hour of a day, and oakmere so many.
pub(super) fn day_of(timeline: &mut Timeline, day: i64, harbor: u32, oakmere: u32) {
    for hour in 0..24 {
        let time = days_later(at("2026-01-05T00:00"), day).plus_millis(hour * HOUR_MS);
        for (subject, mentions) in [("harbor", harbor), ("oakmere", oakmere)] {
            for number in 0..mentions {
                let post = Post::new(&format!("{subject}-{day}-{hour}-{number}")).about(subject, 0.0);
                timeline.post_at(time.plus_millis(i64::from(number) * 1_000), &post);
            }
        }
        timeline.progress_at(time.plus_millis(HOUR_MS));
    }
}

/// Twelve days on which harbor is ahead of oakmere, under a rule about their ranks.
pub(super) fn usually_ahead(rule: &str) -> Timeline {
    let mut timeline = Timeline::new(&format!(
        "[[subject]]\nid = \"harbor\"\nkind = \"brand\"\nname = \"Harbor\"\n\
         [[subject]]\nid = \"oakmere\"\nkind = \"competitor\"\nname = \"Oakmere\"\n\
         [[rule]]\nid = \"rank\"\nsubjects = [\"harbor\"]\npreset = \"rank\"\ncompetitors = [\"oakmere\"]\n\
         {rule}\n"
    ));
    timeline.progress("2026-01-05T00:00");
    for day in 0..12 {
        day_of(&mut timeline, day, 6, 4);
    }
    timeline
}

#[test]
fn a_competitor_that_passes_by_more_than_chance_is_told_until_the_rank_is_the_usual_one_again() {
    // From nine to five: a day that reaches into it is judged.
    let mut timeline = usually_ahead("schedule = { from = \"09:00\", to = \"17:00\" }");
    day_of(&mut timeline, 12, 5, 6);
    assert_eq!(timeline.said(), "", "nearly equal for a day: that is chance");
    day_of(&mut timeline, 13, 4, 20);
    assert_eq!(
        timeline.said(),
        "opened rank/harbor #1: rank 2 of 2 by mentions, where 1 is usual: passed by oakmere\n"
    );
    day_of(&mut timeline, 14, 4, 18);
    assert_eq!(timeline.said(), "");
    day_of(&mut timeline, 15, 6, 4);
    assert_eq!(timeline.said(), "resolved rank/harbor #2: rank 1 of 2 by mentions, where 1 is usual\n");
    let fired = timeline.backtest_of("rank", "2026-01-06T00:00", "").fired;
    let opened: Vec<Timestamp> = fired.iter().map(|fired| fired.opened).collect();
    assert_eq!(opened, [timeline.events[0].opened], "the back-test says what was decided live");
}

#[test]
fn a_rank_that_must_last_is_said_on_the_second_day_and_not_after_a_usual_one() {
    let mut timeline = usually_ahead("windows = 2");
    day_of(&mut timeline, 12, 4, 20);
    assert_eq!(timeline.said(), "", "one day");
    day_of(&mut timeline, 13, 4, 20);
    assert_eq!(
        timeline.said(),
        "opened rank/harbor #1: rank 2 of 2 by mentions, where 1 is usual: passed by oakmere, the last of 2 such windows \
         one after the other\n"
    );
    day_of(&mut timeline, 14, 6, 4);
    assert!(timeline.said().starts_with("resolved rank/harbor #2"));

    let mut timeline = usually_ahead("windows = 2");
    for day in [12, 14] {
        day_of(&mut timeline, day, 4, 20);
        day_of(&mut timeline, day + 1, 6, 4);
    }
    assert_eq!(timeline.said(), "", "a usual day between them");
}

/// Oakmere has 480 mentions by as many authors on its day.
#[test]
fn who_passes_needs_the_mentions_and_the_authors_that_the_rule_asks_for() {
    for (asked, opens) in [
        ("authors_at_least = 480", true),
        ("authors_at_least = 481", false),
        ("mentions_at_least = 480", true),
        ("mentions_at_least = 481", false),
    ] {
        let mut timeline = usually_ahead(asked);
        day_of(&mut timeline, 12, 4, 20);
        assert_eq!(timeline.said().starts_with("opened"), opens, "{asked}");
    }
}

/// A rank was over whatever was silent.
#[test]
fn a_rank_is_not_known_to_be_usual_again_while_a_source_of_a_competitor_is_silent() {
    let mut timeline = usually_ahead("");
    for (day, name) in [("2026-01-05", "one"), ("2026-01-17", "two")] {
        let mut elsewhere = Post::new(name).about("oakmere", 0.0);
        elsewhere.source = "rss";
        timeline.post(&format!("{day}T00:00"), &elsewhere);
    }
    day_of(&mut timeline, 12, 4, 20);
    timeline.health(at("2026-01-18T00:01"), "rss", SourceStatus::Failing);
    day_of(&mut timeline, 13, 6, 4);
    day_of(&mut timeline, 14, 6, 4);
    timeline.health(at("2026-01-20T00:01"), "rss", SourceStatus::Healthy);
    day_of(&mut timeline, 15, 6, 4);
    assert_eq!(
        timeline.said(),
        "opened rank/harbor #1: rank 2 of 2 by mentions, where 1 is usual: passed by oakmere\n\
         blocked rank/harbor #2: rank 2 of 2 by mentions, where 1 is usual: passed by oakmere, silent: rss\n\
         resolved rank/harbor #3: rank 1 of 2 by mentions, where 1 is usual\n"
    );
}

/// Before anybody listened to the competitor nobody knows how often it was named.
#[test]
fn a_competitor_that_is_new_has_not_passed_anybody() {
    let harbor = "[[subject]]\nid = \"harbor\"\nkind = \"brand\"\nname = \"Harbor\"\n";
    let text = format!(
        "{harbor}[[subject]]\nid = \"oakmere\"\nkind = \"competitor\"\nname = \"Oakmere\"\n\
         [[rule]]\nid = \"rank\"\nsubjects = [\"harbor\"]\npreset = \"rank\"\ncompetitors = [\"oakmere\"]\n"
    );
    let mut timeline = Timeline::new(harbor);
    timeline.progress("2026-01-05T00:00");
    for day in 0..12 {
        day_of(&mut timeline, day, 4, 0);
    }
    for (offset, id) in [(30, "subject/oakmere"), (31, "rule/rank")] {
        let version = DefinitionVersion { version: Some(offset), ..version_of(&text, id) };
        timeline.append(at("2026-01-17T00:00"), SignalRecord::Definition(version));
    }
    // Nothing is retained of the time before.
    let request = timeline.state.rebuilds().next().unwrap();
    let rebuilt =
        Rebuilt { from: Some(request.until), last: true, ..rebuild::answer(&request, Window::Hour) };
    timeline.append(at("2026-01-17T00:00"), SignalRecord::Rebuilt(Box::new(rebuilt)));
    for day in 12..26 {
        day_of(&mut timeline, day, 4, 20);
    }
    assert_eq!(timeline.said(), "", "it always had five times as many");
    day_of(&mut timeline, 26, 40, 20);
    assert_eq!(
        timeline.said(),
        "opened rank/harbor #1: rank 1 of 2 by mentions, where 2 is usual: it passed oakmere\n"
    );
}
