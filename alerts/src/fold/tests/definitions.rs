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
            resolved volume/harbor #2: 2026-01-08T00:00:00Z/PT1H with 17 by 17 authors, 4.0 expected
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
