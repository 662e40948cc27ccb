//! Briefs on the time-line of the log: when one is due, for which time, and what the fold has to say in it.

use earshot_common::events::{Collecting, DeliveryState, SourceStatus, Tick};

use super::*;
use crate::fold::{Facts, GapFacts};

/// [`HARBOR`] with a brief at half past seven in Berlin, which is half past six in UTC in winter.
fn watchlist() -> String {
    format!(
        "{HARBOR}\n[[brief]]\nid = \"daily\"\nto = \"comms\"\nsubjects = [\"harbor\"]\nevery = \"day\"\nat = \"07:30\"\n\
         zone = \"Europe/Berlin\"\n[[source]]\nid = \"times\"\nkind = \"feed\"\nurl = \"https://times.example\"\n\
         outlet = \"The Harbor Times\"\n"
    )
}

/// What was due last: its time, and the key of its message.
fn due(timeline: &Timeline) -> Option<String> {
    let due = timeline.state.due_briefs().next()?;
    let keys: Vec<&str> = due.notify.iter().map(|notification| notification.key.as_str()).collect();
    Some(format!("{} to {}, {}", due.from, due.until, keys.join(" ")))
}

fn facts(timeline: &Timeline) -> Facts {
    let due = timeline.state.due_briefs().next().unwrap();
    timeline.state.facts(&due.brief, &(due.from..due.until))
}

#[test]
fn a_brief_is_due_with_the_first_record_at_or_after_its_time_and_once() {
    let mut timeline = Timeline::new(&watchlist());
    timeline.progress("2026-01-01T06:29");
    assert_eq!(due(&timeline), None);
    timeline.progress("2026-01-01T06:30");
    let first = "2025-12-31T06:30:00.000Z to 2026-01-01T06:30:00.000Z, \
                 brief/daily/2026-01-01T06:30:00.000Z/mail/comms@harbor.example";
    assert_eq!(due(&timeline).unwrap(), first);
    let decided = timeline.state.due_briefs().next().unwrap().decided;
    timeline.progress("2026-01-01T18:00");
    assert_eq!(timeline.state.due_briefs().next().unwrap().decided, decided, "it is decided once");
    assert_eq!(timeline.said(), "", "no alert comes of it");
}

#[test]
fn after_an_outage_the_last_one_missed_is_due_alone_and_reaches_back_to_the_last_one_that_somebody_got() {
    let mut timeline = Timeline::new(&watchlist());
    timeline.progress("2026-01-01T06:31");
    let key = "brief/daily/2026-01-01T06:30:00.000Z/mail/comms@harbor.example";
    timeline.delivery("2026-01-01T06:32", key, DeliveryState::Sending);
    timeline.delivery("2026-01-01T06:33", key, DeliveryState::Delivered);
    timeline.progress("2026-01-05T20:00");
    let after = due(&timeline).unwrap();
    assert!(
        after.starts_with("2026-01-01T06:30:00.000Z to 2026-01-05T06:30:00.000Z, brief/daily/2026-01-05"),
        "{after}"
    );
    // Nobody gets that one: the next tells of its time too.
    timeline.delivery(
        "2026-01-05T21:00",
        "brief/daily/2026-01-05T06:30:00.000Z/mail/comms@harbor.example",
        DeliveryState::Failed,
    );
    timeline.progress("2026-01-06T06:30");
    let next = due(&timeline).unwrap();
    assert!(next.starts_with("2026-01-01T06:30:00.000Z to 2026-01-06T06:30:00.000Z"), "{next}");
    // However long nobody gets one, it reaches back a month.
    timeline.progress("2026-03-01T06:30");
    let late = due(&timeline).unwrap();
    assert!(late.starts_with("2026-01-29T06:30:00.000Z to 2026-03-01T06:30:00.000Z"), "{late}");
}

#[test]
fn who_did_not_get_one_is_told_its_time_by_the_next_and_who_got_it_is_not() {
    let two = "mail = [\"comms@harbor.example\", \"chief@harbor.example\"]\nfallback = \"desk\"\n\
               [[route]]\nid = \"desk\"\nslack = [\"desk\"]";
    let text = watchlist().replace("mail = [\"comms@harbor.example\"]", two);
    let mut timeline = Timeline::new(&text);
    let key = |day: u32, rest: &str| format!("brief/daily/2026-01-0{day}T06:30:00.000Z/mail/{rest}");
    let begins = |timeline: &Timeline, key: &str| {
        timeline.state.due_briefs().next().unwrap().period(key).start.to_string()[8..10].to_owned()
    };
    timeline.progress("2026-01-02T06:30");
    timeline.delivery("2026-01-02T06:31", &key(2, "comms@harbor.example"), DeliveryState::Delivered);
    timeline.delivery("2026-01-02T06:32", &key(2, "chief@harbor.example"), DeliveryState::Failed);
    timeline.progress("2026-01-03T06:30");
    assert_eq!(begins(&timeline, &key(3, "comms@harbor.example")), "02");
    assert_eq!(begins(&timeline, &key(3, "chief@harbor.example")), "01");
    let instead = key(3, "chief@harbor.example/instead/slack/desk");
    assert_eq!(begins(&timeline, &instead), "01", "what takes its place tells the same");
    // Who was told instead was told.
    timeline.delivery("2026-01-03T06:31", &instead, DeliveryState::Delivered);
    timeline.progress("2026-01-04T06:30");
    assert_eq!(begins(&timeline, &key(4, "chief@harbor.example")), "03");
    assert_eq!(
        begins(&timeline, &key(4, "comms@harbor.example")),
        "02",
        "of the one before nothing is known"
    );
    // As it would read now it is what somebody gets who got the last one.
    let brief = timeline.state.watchlist().brief("daily").unwrap();
    assert_eq!(timeline.state.period_to(brief, at("2026-01-04T12:00")).start, at("2026-01-03T06:30"));
}

#[test]
fn a_replay_and_a_copy_of_the_definition_make_the_same_briefs_due() {
    let mut timeline = Timeline::new(&watchlist());
    for hour in 0..60 {
        timeline.progress_at(at("2026-01-01T00:00").plus_millis(hour * HOUR_MS));
        if hour == 40 {
            let copy = version_of(&watchlist(), "brief/daily");
            timeline.append(at("2026-01-02T16:00"), SignalRecord::Definition(copy));
        }
    }
    let mut replayed = State::new();
    for (offset, appended, record) in &timeline.log {
        replayed.apply(*offset, *appended, record);
    }
    let of = |state: &State| state.due_briefs().cloned().collect::<Vec<_>>();
    assert_eq!(of(&replayed), of(&timeline.state));
    assert_eq!(of(&replayed)[0].until, at("2026-01-03T06:30"));
    // One that is no longer defined is not due any more.
    let mut retired = version_of(&watchlist(), "brief/daily");
    retired.definition = None;
    timeline.append(at("2026-01-03T12:00"), SignalRecord::Definition(retired));
    timeline.progress("2026-01-09T00:00");
    assert_eq!(due(&timeline), None);
}

#[test]
fn a_brief_knows_the_alerts_of_its_time_what_was_to_be_expected_and_who_was_sent_what() {
    let mut timeline = Timeline::new(&watchlist());
    timeline.ordinary_days("2026-01-01T00:00", 4, 2);
    timeline.push("2026-01-05T01:00", 60, 40);
    let got = "brief/daily/2026-01-04T06:30:00.000Z/mail/comms@harbor.example";
    timeline.delivery("2026-01-05T01:30", got, DeliveryState::Delivered);
    let raised = timeline.said();
    assert!(raised.contains("opened volume/harbor #1"), "{raised}");
    for hour in 2..7 {
        timeline.progress_at(at("2026-01-05T00:00").plus_millis(hour * HOUR_MS));
    }
    timeline.progress("2026-01-05T06:30");
    let known = facts(&timeline);
    let harbor = &known.subjects[0];
    let expected = harbor.expected.unwrap();
    assert!((40.0..60.0).contains(&expected), "a day of two an hour: {expected}");
    let alert = &harbor.alerts[0];
    assert!(alert.is_new && alert.was_sent && alert.over.is_some(), "{alert:?}");
    assert!(harbor.alerts.len() == 1 && alert.severity >= 6, "{alert:?}");
    let Arithmetic::Count(raised_by) = &alert.arithmetic else { panic!("a count") };
    assert!(raised_by.observed > 5, "the numbers that raised it, not those of the calm: {raised_by:?}");
    // The next day it is no news any more.
    timeline.progress("2026-01-06T06:30");
    timeline.delivery(
        "2026-01-06T06:31",
        "brief/daily/2026-01-06T06:30:00.000Z/mail/comms@harbor.example",
        DeliveryState::Delivered,
    );
    timeline.progress("2026-01-07T06:30");
    assert!(facts(&timeline).subjects[0].alerts.is_empty());
}

#[test]
fn a_silent_source_and_an_outage_of_earshot_itself_are_gaps() {
    let mut timeline = Timeline::new(&watchlist());
    for hour in 0..14 {
        timeline.progress_at(at("2026-01-01T00:00").plus_millis(hour * HOUR_MS / 5));
    }
    timeline.health(at("2026-01-01T02:40"), "times", SourceStatus::Failing);
    timeline.health(at("2026-01-01T03:10"), "times", SourceStatus::Healthy);
    timeline.health(at("2026-01-01T03:20"), "gone", SourceStatus::Failing);
    timeline.progress("2026-01-01T05:00");
    timeline.health(at("2026-01-01T06:00"), "times", SourceStatus::Failing);
    timeline.progress("2026-01-01T06:30");
    let gap = |gap: &GapFacts| {
        let until = gap.until.map(|until| until.to_string()[11..16].to_owned());
        (gap.name.clone(), gap.from.to_string()[11..16].to_owned(), until)
    };
    let times = || Some("The Harbor Times".to_owned());
    let told: Vec<_> = facts(&timeline).gaps.iter().filter(|gap| gap.source.is_some()).map(gap).collect();
    let wanted =
        [(times(), "06:00".to_owned(), None), (times(), "02:40".to_owned(), Some("03:10".to_owned()))];
    assert_eq!(told, wanted, "a source that is not defined is none");
    let own: Vec<_> = facts(&timeline).gaps.iter().filter(|gap| gap.source.is_none()).map(gap).collect();
    assert_eq!(
        own,
        [
            (None, "02:36".to_owned(), Some("05:00".to_owned())),
            (None, "05:00".to_owned(), Some("06:30".to_owned())),
        ]
    );
}

#[test]
fn while_ingest_stands_still_nothing_is_collected_and_that_is_told_once() {
    let mut timeline = Timeline::new(&watchlist());
    let collecting = SignalRecord::Collecting(Collecting::default());
    timeline.append(at("2026-01-01T02:00"), collecting.clone());
    // Enrichment goes on: there is nothing to read.
    for minutes in (0..=30 * 60).step_by(5) {
        timeline.progress_at(at("2026-01-01T02:00").plus_millis(minutes * 60_000));
        if minutes == 4 * 60 + 30 {
            let told = facts(&timeline);
            let told: Vec<_> = told.gaps.iter().map(|gap| (&gap.source, gap.from, gap.until)).collect();
            assert_eq!(told, [(&None, at("2026-01-01T02:00"), None)], "half past six");
        }
        if minutes == 7 * 60 {
            timeline.append(at("2026-01-01T09:00"), collecting.clone());
            // Each source says that it was not asked, since the last time before.
            for (state, time) in [(SourceStatus::Failing, "01:57"), (SourceStatus::Healthy, "09:01")] {
                let health = SourceHealth {
                    v: SchemaVersion::default(),
                    source: "times".to_owned(),
                    state,
                    reason: None,
                    raw: Vec::new(),
                    at: at(&format!("2026-01-01T{time}")),
                };
                timeline.append(at("2026-01-01T09:01"), SignalRecord::SourceHealth(health));
            }
        }
        if minutes > 7 * 60 {
            timeline.append(at("2026-01-01T02:00").plus_millis(minutes * 60_000), collecting.clone());
        }
    }
    let told = facts(&timeline);
    let told: Vec<_> = told.gaps.iter().map(|gap| (&gap.source, gap.from, gap.until)).collect();
    assert_eq!(told, [(&None, at("2026-01-01T02:00"), Some(at("2026-01-01T09:00")))], "the next day");
}

#[test]
fn an_outage_of_the_whole_is_told_once() {
    let mut timeline = Timeline::new(&watchlist());
    let collecting = SignalRecord::Collecting(Collecting::default());
    timeline.append(at("2026-01-01T01:58"), collecting.clone());
    for progress in ["02:00", "02:30", "04:00"] {
        timeline.progress(&format!("2026-01-01T{progress}"));
    }
    timeline.append(at("2026-01-01T05:00"), collecting);
    timeline.progress("2026-01-01T05:01");
    let period = at("2026-01-01T00:00")..at("2026-01-01T05:10");
    let gaps = timeline.state.gaps(&period);
    let gaps: Vec<_> = gaps.iter().map(|gap| (gap.from, gap.until)).collect();
    assert_eq!(gaps, [(at("2026-01-01T01:58"), Some(at("2026-01-01T05:01")))]);
}

/// The source fails from then on for so many minutes, and answers for one.
fn fail(timeline: &mut Timeline, now: &mut Timestamp, minutes: i64) {
    timeline.health(*now, "times", SourceStatus::Failing);
    timeline.health(now.plus_millis(minutes * 60_000), "times", SourceStatus::Healthy);
    *now = now.plus_millis((minutes + 1) * 60_000);
}

#[test]
fn a_source_that_fails_all_the_time_for_a_minute_pushes_no_outage_out() {
    let mut timeline = Timeline::new(&watchlist());
    let mut now = at("2026-01-01T00:00");
    fail(&mut timeline, &mut now, 20);
    (0..1_200).for_each(|_| fail(&mut timeline, &mut now, 1));
    fail(&mut timeline, &mut now, 15);
    let period = at("2026-01-01T00:00")..at("2026-02-01T00:00");
    assert_eq!(timeline.state.gaps(&period).len(), 2, "the two that are outages");
    (0..1_000).for_each(|_| fail(&mut timeline, &mut now, 15));
    let gaps = timeline.state.gaps(&period);
    assert_eq!(gaps.len(), 1_000);
    assert_eq!(gaps.last().unwrap().until, Some(now.plus_millis(-60_000)), "the newest is among them");
}

#[test]
fn what_enrichment_has_not_come_to_is_a_gap_that_lasts() {
    let mut timeline = Timeline::new(&watchlist());
    timeline.progress("2026-01-01T02:00");
    timeline.append(at("2026-01-01T06:30"), SignalRecord::Tick(Tick::default()));
    let gaps = |timeline: &Timeline| -> Vec<_> {
        facts(timeline).gaps.iter().map(|gap| (gap.source.clone(), gap.from, gap.until)).collect()
    };
    assert_eq!(gaps(&timeline), [(None, at("2026-01-01T02:00"), None)], "it stands still since two");
    // It is back, and hours behind.
    let partitions = vec![PartitionProgress { partition: 0, next: 9, done_up_to: at("2026-01-01T04:00") }];
    let progress = Progress { v: SchemaVersion::default(), judged_with: None, partitions };
    timeline.append(at("2026-01-01T07:00"), SignalRecord::Progress(progress));
    assert_eq!(gaps(&timeline), [(None, at("2026-01-01T04:00"), None)]);
    timeline.progress("2026-01-01T07:05");
    let wanted = [(None, at("2026-01-01T02:00"), Some(at("2026-01-01T07:00")))];
    assert_eq!(gaps(&timeline), wanted, "it has made up for it, late");
    // A few minutes are the usual delay.
    timeline.progress("2026-01-02T06:16");
    timeline.append(at("2026-01-02T06:30"), SignalRecord::Tick(Tick::default()));
    let lasting: Vec<_> = gaps(&timeline).into_iter().filter(|(_, _, until)| until.is_none()).collect();
    assert_eq!(lasting, []);
}
