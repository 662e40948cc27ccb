//! Several alerts about one thing: who speaks, and who is told.

use expect_test::expect;

use super::*;

fn two_rules(second: &str) -> String {
    format!(
        "{HARBOR}
    [[subject]]
    id = \"ceo\"
    kind = \"executive\"
    name = \"Jordan Vale\"
    company = \"harbor\"
    [[route]]
    id = \"board\"
    log = true
    [[rule]]
    id = \"strong\"
    when = \"each mention\"
    subjects = [\"harbor\", \"ceo\"]
    reach_at_least = 1000
    {second}
"
    )
}

fn burst(timeline: &mut Timeline) {
    timeline.ordinary_days("2026-01-05T00:00", 3, 4);
    timeline.push("2026-01-08T00:00", 25, 25);
    timeline.said();
}

fn strong(name: &str, subject: &'static str) -> Post {
    Post::new(name).about(subject, -0.9).reach(5_000)
}

#[test]
fn a_second_rule_joins_the_first_alert_and_is_quiet() {
    let mut timeline = Timeline::new(&two_rules("severity = 6\nroute = \"comms\""));
    burst(&mut timeline);
    timeline.post("2026-01-08T00:30", &strong("x", "harbor"));
    expect![[r#"
        opened strong/harbor #1: polarity -0.9 reach Some(5000) matched 1, child
    "#]]
    .assert_eq(&timeline.said());
    let parent = timeline.events.first().unwrap().alert;
    assert_eq!(timeline.events.last().unwrap().parent, Some(parent));
}

/// Harbor by the hour and by the day, after two weeks of two an hour: a burst of an hour at ten, and more than usual
/// until the evening.
fn burst_of_an_hour_in_a_busy_day(day: &str) -> Timeline {
    let mut timeline = Timeline::new(&format!(
        "{HARBOR}
    [[rule]]
    id = \"day\"
    when = \"count of mentions against expectation\"
    subjects = [\"harbor\"]
    window = \"1d\"
    {day}
"
    ));
    timeline.ordinary_days("2026-01-05T00:00", 14, 2);
    for hour in 0..24 {
        let mentions = if hour == 10 { 16 } else { 4 };
        timeline.push(&format!("2026-01-19T{hour:02}:00"), mentions, mentions);
        timeline.progress(&format!("2026-01-19T{hour:02}:59"));
    }
    timeline
}

#[test]
fn a_day_joins_the_alert_of_its_hour_that_is_over_already() {
    let mut timeline = burst_of_an_hour_in_a_busy_day("severity = 6\nroute = \"comms\"");
    expect![[r#"
        opened volume/harbor #1: 2026-01-19T10:00:00Z/PT1H with 11 by 11 authors, 2.0 expected, told /1/mail/comms@harbor.example
        resolved volume/harbor #2: 2026-01-19T11:00:00Z/PT1H with 4 by 4 authors, 2.0 expected
        opened day/harbor #1: 2026-01-19T00:00:00Z/P1D with 76 by 16 authors, 48.0 expected, child
    "#]].assert_eq(&timeline.said());
    let mut timeline = burst_of_an_hour_in_a_busy_day("severity = 7\nroute = \"comms\"");
    expect![[r#"
        opened volume/harbor #1: 2026-01-19T10:00:00Z/PT1H with 11 by 11 authors, 2.0 expected, told /1/mail/comms@harbor.example
        resolved volume/harbor #2: 2026-01-19T11:00:00Z/PT1H with 4 by 4 authors, 2.0 expected
        opened day/harbor #1: 2026-01-19T00:00:00Z/P1D with 76 by 16 authors, 48.0 expected, child, told /1/mail/comms@harbor.example
    "#]].assert_eq(&timeline.said());
}

#[test]
fn what_opens_again_is_a_part_of_what_it_was_a_part_of_and_not_of_itself() {
    let mut timeline = Timeline::new(&two_rules("severity = 6\nroute = \"comms\""));
    burst(&mut timeline);
    timeline.post("2026-01-08T00:30", &strong("x", "harbor"));
    timeline.progress("2026-01-08T03:00");
    timeline.push("2026-01-08T04:00", 25, 25);
    expect![[r#"
        opened strong/harbor #1: polarity -0.9 reach Some(5000) matched 1, child
        resolved volume/harbor #2: 2026-01-08T01:00:00Z/PT1H with 0 by 0 authors, 4.0 expected
        reopened volume/harbor #3: 2026-01-08T04:00:00Z/PT1H with 17 by 17 authors, 4.0 expected
    "#]]
    .assert_eq(&timeline.said());
    let mut timeline = burst_of_an_hour_in_a_busy_day("severity = 6\nroute = \"comms\"");
    timeline.progress("2026-01-21T00:00");
    for hour in 0..24 {
        timeline.push(&format!("2026-01-21T{hour:02}:00"), 6, 6);
        timeline.progress(&format!("2026-01-21T{hour:02}:59"));
    }
    let reopened = timeline.events.iter().find(|event| event.transition == Transition::Reopened).unwrap();
    assert_eq!((reopened.rule.as_str(), reopened.parent), ("day", Some(timeline.events[0].alert)));
}

#[test]
fn the_same_story_within_a_week_is_the_same_alert_and_another_one_is_not() {
    for (story, days, transition) in [
        ("a lawsuit", 3, Transition::Reopened),
        ("a lawsuit", 9, Transition::Opened),
        ("a strike", 3, Transition::Opened),
    ] {
        let mut timeline = Timeline::new(&two_rules("severity = 6\nroute = \"comms\""));
        timeline.progress("2026-01-05T00:00");
        let mut first = strong("first", "harbor");
        first.story = Some("a lawsuit");
        timeline.post("2026-01-05T00:30", &first);
        let again = days_later(at("2026-01-05T00:30"), days);
        timeline.progress_at(again);
        let mut second = strong("second", "harbor");
        second.story = Some(story);
        timeline.post_at(again, &second);
        let last = timeline.events.last().unwrap();
        assert_eq!((last.transition, last.notify.len()), (transition, 1), "{story} after {days} days");
    }
}

#[test]
fn one_text_about_two_companies_is_told_once() {
    let text = format!(
        "{HARBOR}
    [[subject]]
    id = \"tarnwick\"
    kind = \"competitor\"
    name = \"Tarnwick\"
    [[rule]]
    id = \"strong\"
    when = \"each mention\"
    subjects = [\"harbor\", \"tarnwick\"]
    reach_at_least = 1000
    route = \"comms\"
"
    );
    for same in [true, false] {
        let mut timeline = Timeline::new(&text);
        let mut both = strong("both", "harbor");
        both.story = Some("both are sued");
        if same {
            both.subjects.push(("tarnwick", -0.9));
        }
        timeline.post("2026-01-08T00:30", &both);
        let mut other = strong("other", "tarnwick");
        other.story = Some("a strike");
        timeline.post("2026-01-08T00:31", &other);
        let told: Vec<(&str, bool, bool)> = timeline
            .events
            .iter()
            .filter(|event| event.transition == Transition::Opened)
            .map(|event| (event.subject.as_str(), event.parent.is_some(), !event.notify.is_empty()))
            .collect();
        assert_eq!(told, [("harbor", false, true), ("tarnwick", same, !same)]);
    }
}

#[test]
fn a_more_severe_child_or_one_for_somebody_else_is_told() {
    for second in ["severity = 7\nroute = \"comms\"", "severity = 2\nroute = \"board\""] {
        let mut timeline = Timeline::new(&two_rules(second));
        burst(&mut timeline);
        timeline.post("2026-01-08T00:30", &strong("x", "harbor"));
        let said = timeline.said();
        assert!(said.contains(", child, told /1/"), "{second}: {said}");
    }
}

#[test]
fn an_executives_alert_joins_the_companys_when_the_story_is_the_same() {
    let text = two_rules("severity = 6\nroute = \"comms\"");
    let mut same = strong("same", "ceo");
    same.story = Some("the merger");
    let mut other = strong("other", "ceo");
    other.story = Some("a charity run");
    for (post, child) in [(same, true), (other, false)] {
        let mut timeline = Timeline::new(&text);
        burst(&mut timeline);
        let mut merger = Post::new("merger").about("harbor", -0.2);
        merger.story = Some("the merger");
        timeline.post("2026-01-08T00:30", &merger);
        timeline.post("2026-01-08T00:31", &post);
        let event = timeline.events.last().unwrap();
        assert_eq!((event.subject.as_str(), event.parent.is_some()), ("ceo", child));
        assert_eq!(event.notify.is_empty(), child);
    }
}

/// A burst at midnight with a strong mention in it, which is over at one; the child tells of it in the morning.
fn over_before_the_morning(text: &str) {
    let mut timeline = Timeline::new(text);
    timeline.ordinary_days("2026-01-05T00:00", 3, 4);
    timeline.push("2026-01-08T00:00", 25, 25);
    timeline.post("2026-01-08T00:30", &strong("x", "harbor"));
    for hour in 1..9 {
        timeline.push(&format!("2026-01-08T{hour:02}:00"), 4, 4);
        timeline.progress(&format!("2026-01-08T{hour:02}:59"));
    }
    expect![[r#"
        opened volume/harbor #1: 2026-01-08T00:00:00Z/PT1H with 17 by 17 authors, 4.0 expected
        opened strong/harbor #1: polarity -0.9 reach Some(5000) matched 1, child
        resolved volume/harbor #2: 2026-01-08T01:00:00Z/PT1H with 4 by 4 authors, 4.0 expected
        told strong/harbor #2: polarity -0.9 reach Some(5000) matched 1, child, told /2/mail/comms@harbor.example
    "#]]
    .assert_eq(&timeline.said());
}

#[test]
fn a_child_speaks_where_quiet_hours_outlast_its_parent() {
    let quiet = "quiet_hours = { from = \"22:00\", to = \"07:00\" }";
    over_before_the_morning(
        &two_rules(&format!("severity = 5\nroute = \"comms\"\n{quiet}"))
            .replace("severity = 6", &format!("severity = 5\n{quiet}")),
    );
}

#[test]
fn a_child_speaks_where_its_parent_is_over_before_the_schedule_of_its_people_begins() {
    let days = "[\"mon\", \"tue\", \"wed\", \"thu\", \"fri\"]";
    let schedule = format!("schedule = {{ days = {days}, from = \"07:00\", to = \"22:00\" }}");
    over_before_the_morning(
        &two_rules("severity = 5\nroute = \"comms\"")
            .replace("id = \"comms\"", &format!("id = \"comms\"\n{schedule}")),
    );
}
