//! Definitions come from the log alone, and a change ends what nothing asks for any more.

use expect_test::expect;

use super::*;

#[test]
fn a_rule_that_is_retired_or_asks_for_something_else_ends_its_alert() {
    let stricter = HARBOR.replace("authors_at_least = 10", "authors_at_least = 90");
    let mut changed = version_of(&stricter, "rule/volume");
    changed.version = Some(10);
    let mut retired = changed.clone();
    retired.definition = None;
    for version in [changed, retired] {
        let mut timeline = Timeline::new(HARBOR);
        timeline.ordinary_days("2026-01-05T00:00", 3, 4);
        timeline.push("2026-01-08T00:00", 25, 25);
        timeline.said();
        timeline.append(at("2026-01-08T00:10"), SignalRecord::Definition(version));
        expect![[r#"
            resolved volume/harbor #2: 2026-01-08T00:00:00Z/PT1H with 16 by 16 authors, 4.0 expected
        "#]]
        .assert_eq(&timeline.said());
        timeline.push("2026-01-08T00:20", 25, 25);
        assert_eq!(timeline.said(), "");
    }
}

#[test]
fn a_rule_that_only_becomes_more_severe_goes_on() {
    let mut timeline = Timeline::new(HARBOR);
    timeline.ordinary_days("2026-01-05T00:00", 3, 4);
    timeline.push("2026-01-08T00:00", 25, 25);
    let mut severe = version_of(&HARBOR.replace("severity = 6", "severity = 9"), "rule/volume");
    severe.version = Some(12);
    timeline.append(at("2026-01-08T00:10"), SignalRecord::Definition(severe));
    timeline.push("2026-01-08T00:20", 25, 25);
    let last = timeline.events.last().unwrap();
    assert_eq!((last.sequence, last.severity, last.definition.watchlist), (2, 9, 12));
}

#[test]
fn a_rule_that_asks_for_something_else_opens_another_alert_in_the_same_hour() {
    let mut timeline = Timeline::new(HARBOR);
    timeline.ordinary_days("2026-01-05T00:00", 3, 4);
    timeline.push("2026-01-08T00:00", 25, 25);
    let looser = HARBOR.replace("authors_at_least = 10", "authors_at_least = 2");
    let mut rule = version_of(&looser, "rule/volume");
    rule.version = Some(10);
    timeline.append(at("2026-01-08T00:10"), SignalRecord::Definition(rule));
    timeline.push("2026-01-08T00:20", 1, 1);
    let [.., first, _, second] = timeline.events.as_slice() else { panic!("opened, resolved, opened") };
    assert_ne!(first.alert, second.alert);
    assert_eq!((second.sequence, second.transition), (1, Transition::Opened));
}

/// A time-line whose log does not hold the definitions yet: they come with [`define`].
pub(super) fn before_the_definitions() -> Timeline {
    Timeline::new("[[subject]]\nid = \"quay\"\nkind = \"brand\"\nname = \"Quay\"\n")
}

/// The definitions of Harbor, published after that and copied in the order of their ids.
pub(super) fn define(timeline: &mut Timeline, time: &str) {
    let mut versions = versions(HARBOR);
    versions.sort_by(|a, b| a.id.cmp(&b.id));
    for mut version in versions {
        version.version = version.version.map(|offset| offset + 5);
        timeline.append(at(time), SignalRecord::Definition(version));
    }
}

#[test]
fn a_mention_that_was_judged_by_a_definition_before_it_was_copied_is_counted_when_it_is_read() {
    let mut timeline = before_the_definitions();
    timeline.progress("2026-01-08T00:00");
    timeline.push("2026-01-08T00:01", 25, 25);
    assert_eq!((timeline.said().as_str(), timeline.state.counted("harbor")), ("", 0));
    define(&mut timeline, "2026-01-08T00:02");
    assert_eq!(timeline.state.counted("harbor"), 25);
    expect![[r#""#]].assert_eq(&timeline.said());
    // They are counted once, and no other time.
    define(&mut timeline, "2026-01-08T00:03");
    assert_eq!(timeline.state.counted("harbor"), 25);
}

#[test]
fn a_mention_of_a_subject_that_was_no_longer_watched_is_not_kept_for_one_to_come() {
    let mut timeline = before_the_definitions();
    let mut signal = Post::new("old").signal(at("2026-01-08T00:01"), 0);
    signal.watchlist = timeline.state.watchlist().next();
    timeline.append(at("2026-01-08T00:01"), SignalRecord::Signal(Box::new(signal)));
    // And one that waited for longer than a day.
    timeline.post("2026-01-08T00:02", &Post::new("yesterday"));
    define(&mut timeline, "2026-01-09T00:02");
    assert_eq!(timeline.state.counted("harbor"), 0);
}
