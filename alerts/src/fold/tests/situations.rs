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
