//! Count rules: when they open, rise and are over.

use earshot_common::definitions::Window;
use earshot_common::events::{Arithmetic, Measure, SignalRecord, SourceHealth, SourceStatus};
use expect_test::expect;

use super::*;
use crate::fold::evidence::Witness;
use crate::fold::series::Series;

fn health(state: SourceStatus) -> SignalRecord {
    SignalRecord::SourceHealth(SourceHealth {
        v: SchemaVersion::default(),
        source: "hn".to_owned(),
        state,
        reason: None,
        raw: Vec::new(),
        at: at("2026-01-08T09:00"),
    })
}

#[test]
fn a_burst_opens_at_once_rises_and_is_over_when_an_hour_is_calm() {
    let mut timeline = Timeline::new(HARBOR);
    timeline.ordinary_days("2026-01-05T00:00", 3, 4);
    assert_eq!(timeline.said(), "", "three ordinary days");
    timeline.push("2026-01-08T00:00", 60, 30);
    expect![[r#"
        opened volume/harbor #1: 2026-01-08T00:00:00Z/PT1H with 17 by 17 authors, 4.0 expected, told /1/mail/comms@harbor.example
        rising volume/harbor #2: 2026-01-08T00:00:00Z/PT1H with 34 by 30 authors, 4.0 expected
    "#]]
    .assert_eq(&timeline.said());
    timeline.progress("2026-01-08T01:00");
    timeline.push("2026-01-08T01:10", 25, 25);
    assert_eq!(timeline.said(), "", "the next hour is below the height");
    timeline.progress("2026-01-08T02:00");
    expect![[r#"
        fading volume/harbor #3: 2026-01-08T01:00:00Z/PT1H with 25 by 25 authors, 4.0 expected
    "#]]
    .assert_eq(&timeline.said());
    timeline.push("2026-01-08T02:10", 5, 5);
    timeline.progress("2026-01-08T02:59");
    assert_eq!(timeline.said(), "", "the hour is not over");
    timeline.progress("2026-01-08T03:00");
    expect![[r#"
        resolved volume/harbor #4: 2026-01-08T02:00:00Z/PT1H with 5 by 5 authors, 4.0 expected
    "#]]
    .assert_eq(&timeline.said());
}

#[test]
fn one_account_cannot_raise_an_alert_and_unknown_authors_are_one() {
    let mut timeline = Timeline::new(HARBOR);
    timeline.ordinary_days("2026-01-05T00:00", 3, 4);
    timeline.push("2026-01-08T00:00", 200, 9);
    let mut nobody = Post::new("nobody");
    nobody.author = None;
    for number in 0..50 {
        nobody.name = format!("nobody-{number}");
        if number == 0 {
            assert_eq!(timeline.said(), "", "nine authors");
        }
        timeline.post("2026-01-08T00:30", &nobody);
    }
    let said = timeline.said();
    assert!(
        said.starts_with("opened volume/harbor #1: 2026-01-08T00:00:00Z/PT1H with 201 by 10 authors"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1);
}

#[test]
fn with_little_data_the_floor_decides_and_says_so() {
    let mut timeline = Timeline::new(HARBOR);
    timeline.ordinary_days("2026-01-05T00:00", 1, 4);
    timeline.push("2026-01-06T00:00", 19, 19);
    assert_eq!(timeline.said(), "");
    timeline.push("2026-01-06T00:30", 1, 1);
    expect![[r#"
        opened volume/harbor #1: 2026-01-06T00:00:00Z/PT1H with 20 by 19 authors, little data, told /1/mail/comms@harbor.example
    "#]]
    .assert_eq(&timeline.said());
    // Half of the floor in an hour is still not calm, less is.
    timeline.push("2026-01-06T01:00", 10, 10);
    timeline.push("2026-01-06T02:00", 9, 9);
    timeline.progress("2026-01-06T02:00");
    assert!(timeline.said().starts_with("fading"), "half of the height, and not calm");
    timeline.progress("2026-01-06T03:00");
    assert!(timeline.said().starts_with("resolved"), "nine is less than half of twenty");
}

#[test]
fn a_day_waits_for_two_observed_days() {
    let day = HARBOR.replace("authors_at_least = 10", "window = \"1d\"");
    let mut timeline = Timeline::new(&day);
    timeline.ordinary_days("2026-01-05T00:00", 1, 4);
    timeline.push("2026-01-06T00:00", 3_000, 500);
    assert_eq!(timeline.said(), "", "one day is too little to judge a day by");
    let mut timeline = Timeline::new(&day);
    timeline.ordinary_days("2026-01-05T00:00", 3, 4);
    timeline.push("2026-01-08T00:00", 300, 50);
    let said = timeline.said();
    assert!(said.starts_with("opened volume/harbor #1: 2026-01-08T00:00:00Z/P1D with 1"), "{said}");
}

#[test]
fn time_before_we_listened_is_unknown_and_not_zero() {
    let mut timeline = Timeline::new(HARBOR);
    // Progress begins in the middle of an hour: that hour and all before it count for nothing.
    timeline.progress("2026-01-05T09:30");
    timeline.push("2026-01-05T09:40", 4, 4);
    timeline.ordinary_days("2026-01-05T10:00", 2, 4);
    timeline.push("2026-01-07T10:00", 40, 40);
    let Arithmetic::Count(count) = &timeline.events[0].arithmetic else { panic!("a count") };
    assert_eq!(count.baseline, [4, 4], "the same hour of the two days that were observed");
}

#[test]
fn a_late_mention_counts_in_its_hour_and_an_old_hour_does_not_fire() {
    let mut timeline = Timeline::new(HARBOR);
    timeline.ordinary_days("2026-01-05T00:00", 3, 4);
    timeline.progress("2026-01-08T06:00");
    timeline.push("2026-01-08T01:00", 50, 50);
    assert_eq!(timeline.said(), "", "five hours late is no news");
    timeline.push("2026-01-08T05:00", 50, 50);
    assert!(timeline.said().starts_with("opened volume/harbor #1: 2026-01-08T05:00:00Z/PT1H"));
}

#[test]
fn a_late_mention_does_not_open_again_what_is_over() {
    let mut timeline = Timeline::new(HARBOR);
    timeline.ordinary_days("2026-01-05T00:00", 3, 4);
    timeline.push("2026-01-08T00:00", 25, 25);
    timeline.progress("2026-01-08T02:00");
    assert_eq!(timeline.said().lines().count(), 2, "opened and resolved");
    timeline.push("2026-01-08T00:50", 40, 40);
    assert_eq!(timeline.said(), "");
}

#[test]
fn a_storm_rises_past_its_peak_only() {
    let mut timeline = Timeline::new(HARBOR);
    timeline.ordinary_days("2026-01-05T00:00", 3, 4);
    timeline.push("2026-01-08T00:00", 300, 100);
    assert_eq!(timeline.said().lines().count(), 5, "16, 32, 64, 80 (more severe), 160");
    timeline.push("2026-01-08T01:00", 300, 100);
    assert_eq!(timeline.said(), "", "the next hour stays below twice what was said");
}

#[test]
fn a_burst_does_not_hide_the_next_one() {
    let mut timeline = Timeline::new(HARBOR);
    timeline.ordinary_days("2026-01-05T00:00", 3, 4);
    timeline.push("2026-01-08T00:00", 500, 100);
    timeline.progress("2026-01-08T01:00");
    timeline.ordinary_days("2026-01-08T01:00", 1, 4);
    timeline.said();
    timeline.push("2026-01-09T00:59", 50, 50);
    let said = timeline.said();
    assert!(said.contains("4.0 expected"), "{said}");
}

#[test]
fn a_silent_source_keeps_an_alert_open_and_is_named() {
    let mut timeline = Timeline::new(HARBOR);
    timeline.ordinary_days("2026-01-05T00:00", 3, 4);
    timeline.push("2026-01-08T00:00", 30, 30);
    timeline.said();
    timeline.append(at("2026-01-08T00:45"), health(SourceStatus::Failing));
    timeline.progress("2026-01-08T05:00");
    let said = timeline.said();
    assert!(said.starts_with("blocked volume/harbor #2") && said.contains("silent: hn"), "{said}");
    timeline.append(at("2026-01-08T05:10"), health(SourceStatus::Healthy));
    timeline.progress("2026-01-08T06:00");
    assert!(timeline.said().starts_with("resolved volume/harbor #3: 2026-01-08T05:00:00Z/PT1H with 0"));

    // It does not keep it open for ever.
    timeline.push("2026-01-08T06:00", 40, 40);
    timeline.append(at("2026-01-08T06:45"), health(SourceStatus::Failing));
    timeline.said();
    timeline.progress_at(days_later(at("2026-01-08T06:01"), 7));
    let said = timeline.said();
    assert!(said.starts_with("resolved volume/harbor #6") && said.contains("silent: hn"), "{said}");
}

#[test]
fn the_repeated_hour_is_one_window_and_the_day_has_25_hours() {
    let zoned = HARBOR.replace("name = \"Harbor\"", "name = \"Harbor\"\n    zone = \"America/New_York\"");
    let day = zoned.replace("authors_at_least = 10", "window = \"1d\"");
    let mut timeline = Timeline::begun("2025-10-30T00:00", &day);
    timeline.ordinary_days("2025-10-30T04:00", 3, 4);
    // Sunday, 2 November 2025, the clocks go back: 04:00Z on the 2nd to 05:00Z on the 3rd is one day.
    timeline.push("2025-11-03T04:59", 1, 1);
    timeline.progress("2025-11-03T05:00");
    timeline.push("2025-11-03T05:00", 400, 100);
    let Arithmetic::Count(count) = &timeline.events[0].arithmetic else { panic!("a count") };
    assert_eq!(count.window, "2025-11-03T05:00:00Z/P1D");
    assert_eq!(count.baseline, [96, 96, 96, 1]);

    let mut timeline = Timeline::begun("2025-10-30T00:00", &zoned);
    timeline.ordinary_days("2025-10-30T04:00", 3, 4);
    timeline.push("2025-11-02T04:00", 4, 4);
    timeline.progress("2025-11-02T05:00");
    timeline.push("2025-11-02T05:30", 12, 12);
    timeline.push("2025-11-02T06:30", 12, 12);
    assert_eq!(timeline.said(), "", "seventeen are many for an hour, and not for two");
    timeline.push("2025-11-02T06:40", 20, 12);
    let said = timeline.said();
    assert!(said.starts_with("opened volume/harbor #1: 2025-11-02T05:00:00Z/PT1H with "), "{said}");
    assert!(said.contains(" by 12 authors, 8.0 expected"), "both hours of the clock are one window: {said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn the_repeated_hour_is_no_measure_for_others() {
    let zoned = HARBOR.replace("name = \"Harbor\"", "name = \"Harbor\"\n    zone = \"America/New_York\"");
    let mut timeline = Timeline::begun("2025-10-30T00:00", &zoned);
    timeline.ordinary_days("2025-10-30T04:00", 5, 4);
    assert_eq!(timeline.said(), "", "eight in two hours are usual");
    timeline.push("2025-11-04T06:10", 40, 40);
    let Arithmetic::Count(count) = &timeline.events[0].arithmetic else { panic!("a count") };
    assert_eq!(count.window, "2025-11-04T06:00:00Z/PT1H");
    // One in the morning of Thursday to Saturday and of Monday: Sunday's lasted two hours.
    assert_eq!(count.baseline, [4; 4]);
}

#[test]
fn a_count_of_stories_says_how_many_mentions_they_stand_in() {
    let mut timeline = Timeline::new(
        &HARBOR
            .replace("probability_below = 0.001", "preset = \"volume spike\"")
            .replace("when = \"count of mentions against expectation\"\n", ""),
    );
    timeline.ordinary_days("2026-01-05T00:00", 3, 4);
    for number in 0..30 {
        let mut copy = Post::new(&format!("copy-{number}"));
        copy.story = Some("one text");
        timeline.post_at(at("2026-01-08T00:00").plus_millis(number), &copy);
    }
    assert_eq!(timeline.said(), "", "one story, however often it is repeated");
    timeline.push("2026-01-08T00:30", 20, 20);
    let opened = timeline.events.first().unwrap();
    let Arithmetic::Count(count) = &opened.arithmetic else { panic!("a count") };
    assert_eq!(count.mentions, Some(count.observed + 29));
}

#[test]
fn an_hour_of_two_thousand_stories_a_minute_is_counted_to_the_last() {
    let time = at("2026-01-08T00:00");
    let mut series = Series::new(Measure::Stories, Window::Hour, jiff::tz::TimeZone::UTC);
    let mut signal = Post::new("").signal(time, 0);
    let subject = signal.subjects[0].clone();
    for number in 0..120_000_u32 {
        signal.mention = MentionKey::of(&number.to_string());
        series.count(&signal, &subject, Witness::of(&signal, &subject), time);
    }
    assert_eq!(series.count_at(time), 120_000);
}
