//! Definitions come from the log alone, and a change ends what nothing asks for any more.

use earshot_common::events::{SourceHealth, SourceStatus};
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

/// Its first step was due before anything else was decided, and nobody was called.
#[test]
fn an_escalation_that_is_added_while_an_alert_is_open_calls() {
    let rule = |rest: &str| {
        format!(
            "[[subject]]\nid = \"harbor\"\nkind = \"brand\"\nname = \"Harbor\"\n\
             [[route]]\nid = \"team\"\nmail = [\"team@harbor.example\"]\n\
             [[route]]\nid = \"deputy\"\nmail = [\"deputy@harbor.example\"]\n\
             [[rule]]\nid = \"strong\"\nwhen = \"each mention\"\nsubjects = [\"harbor\"]\nreach_at_least = 1000\n\
             route = \"team\"\n{rest}\n"
        )
    };
    let mut timeline = Timeline::new(&rule(""));
    timeline.post("2026-01-08T09:00", &Post::new("a").about("harbor", -0.9).reach(5_000));
    timeline.said();
    let mut version =
        version_of(&rule("escalate = [{ after_minutes = 15, route = \"deputy\" }]"), "rule/strong");
    version.version = Some(50);
    timeline.append(at("2026-01-08T09:05"), SignalRecord::Definition(version));
    timeline.progress("2026-01-08T09:15");
    let said = timeline.said();
    assert!(said.starts_with("escalated") && said.contains("told /2/mail/deputy@harbor.example"), "{said}");
}

/// It would never have said that it answers again, and its alert would have stayed open for eight weeks.
#[test]
fn a_source_that_is_retired_while_it_fails_is_missed_no_longer() {
    let text = "[[subject]]\nid = \"harbor\"\nkind = \"brand\"\nname = \"Harbor\"\n\
                [[source]]\nid = \"rss\"\nkind = \"feed\"\nurl = \"https://rss.example\"\n\
                [[rule]]\nid = \"silent\"\npreset = \"source silent\"\nsubjects = [\"harbor\"]\n";
    let mut timeline = Timeline::new(text);
    let mut post = Post::new("a");
    post.source = "rss";
    timeline.post("2026-01-08T08:00", &post);
    timeline.append(
        at("2026-01-08T09:00"),
        SignalRecord::SourceHealth(SourceHealth {
            v: SchemaVersion::default(),
            source: "rss".to_owned(),
            state: SourceStatus::Failing,
            reason: None,
            raw: Vec::new(),
            at: at("2026-01-08T09:00"),
        }),
    );
    timeline.progress("2026-01-08T10:00");
    assert!(timeline.said().starts_with("opened silent/harbor"));
    let mut version = version_of(text, "source/rss");
    (version.definition, version.version) = (None, Some(50));
    timeline.append(at("2026-01-08T10:05"), SignalRecord::Definition(version));
    timeline.progress("2026-01-08T10:10");
    assert!(timeline.said().starts_with("resolved silent/harbor"));
}
