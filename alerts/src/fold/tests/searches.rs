//! Saved searches raise alerts like subjects, and filters narrow rules.

use expect_test::expect;

use super::*;

const SEARCHED: &str = r#"
    [[subject]]
    id = "harbor"
    kind = "brand"
    name = "Harbor"
    [[search]]
    id = "app"
    query = "harbor NEAR/5 app"
    [[rule]]
    id = "volume"
    when = "count of mentions against expectation"
    searches = ["app"]
    authors_at_least = 3
    little_data_at_least = 4
    [[rule]]
    id = "strong"
    when = "each mention"
    subjects = ["harbor"]
    searches = ["app"]
    filter = "NOT is:repost"
    reach_at_least = 1000
"#;

#[test]
fn a_search_is_counted_and_judged_like_a_subject() {
    let mut timeline = Timeline::new(SEARCHED);
    timeline.progress("2026-01-05T08:00");
    for name in ["a", "b", "c", "d"] {
        let mut post = Post::new(name).matched(&["app", "other"], -0.2);
        post.subjects.clear();
        timeline.post("2026-01-05T09:00", &post);
    }
    expect![[r#"
        opened volume/search:app #1: 2026-01-05T09:00:00Z/PT1H with 4 by 4 authors, little data
    "#]]
    .assert_eq(&timeline.said());
    // Strong towards the search by the polarity of the message.
    let mut strong = Post::new("e").reach(5_000).matched(&["app", "rule:strong"], -0.8);
    strong.subjects.clear();
    timeline.post("2026-01-05T09:01", &strong);
    expect![[r#"
        opened strong/search:app #1: polarity -0.8 reach Some(5000) matched 1, child
    "#]]
    .assert_eq(&timeline.said());
}

#[test]
fn a_filter_keeps_out_what_does_not_match_it() {
    let mut timeline = Timeline::new(SEARCHED);
    let strong = |name: &str| Post::new(name).about("harbor", -0.8).reach(5_000);
    timeline.post("2026-01-05T09:00", &strong("repost"));
    timeline.post("2026-01-05T09:00", &strong("other").matched(&["rule:another"], 0.0));
    assert_eq!(timeline.said(), "");
    timeline.post("2026-01-05T09:00", &strong("own").matched(&["rule:strong"], 0.0));
    assert!(timeline.said().starts_with("opened strong/harbor #1"));
    // A rule that asks for something else is another one: its alert is over, and it judges anew.
    let changed = SEARCHED.replace("NOT is:repost", "lang:en");
    timeline.append(at("2026-01-05T10:00"), SignalRecord::Definition(version_of(&changed, "rule/strong")));
    assert!(timeline.said().starts_with("resolved strong/harbor #2"));
}

#[test]
fn a_search_that_is_retired_ends_its_alerts() {
    let mut timeline = Timeline::new(SEARCHED);
    let mut post = Post::new("a").reach(5_000).matched(&["app", "rule:strong"], -0.8);
    post.subjects.clear();
    timeline.post("2026-01-05T09:00", &post);
    assert!(timeline.said().starts_with("opened strong/search:app #1"));
    let mut retired = version_of(SEARCHED, "search/app");
    retired.definition = None;
    timeline.append(at("2026-01-05T10:00"), SignalRecord::Definition(retired));
    assert!(timeline.said().starts_with("resolved strong/search:app #2"));
}
