use proptest::prelude::*;

use super::super::*;
use super::meaning::mention;
use super::random;

#[test]
fn queries_come_change_and_go_between_mentions() {
    let mut standing = StandingQueries::default();
    standing.put("outage", &parse("harbor NEAR/3 outage").unwrap()).unwrap();
    standing.put("app", &parse("app* AND -{APP}").unwrap()).unwrap();
    standing.put("not", &parse("NOT spam").unwrap()).unwrap();
    let about = mention("m", "an outage of the harbor app");
    assert_eq!(standing.matches(&about), ["app", "not", "outage"]);
    standing.put("outage", &parse("title:outage").unwrap()).unwrap();
    assert_eq!(standing.matches(&about), ["app", "not"]);
    assert!(standing.remove("app") && !standing.remove("app"));
    assert_eq!(standing.matches(&about), ["not"]);
    // The number of a word that nobody asks for any more is given to another one.
    standing.put("other", &parse("spam OR harbor").unwrap()).unwrap();
    assert_eq!(standing.matches(&about), ["not", "other"]);
    assert_eq!(standing.candidates(&mention("m", "nothing of it")), ["not"]);
    assert_eq!(standing.len(), 3);
}

#[test]
fn what_changes_after_the_match_is_refused_with_the_reason() {
    let refused = |query: &str| refusal(&parse(query).unwrap()).map(|refusal| refusal.to_string());
    assert!(
        refused("a OR (b reach:>5)")
            .unwrap()
            .starts_with("reach:[6 TO *] cannot stand on the stream: reach grows")
    );
    assert!(
        refused("NOT after:-7d")
            .unwrap()
            .starts_with("after:-604800s cannot stand on the stream: a time relative")
    );
    assert_eq!(refused("a after:2026-01-01 followers:>5 is:repost"), None);
}

/// Words of the vocabulary in any case, so that many queries match.
fn any_text() -> impl Strategy<Value = String> {
    let words = vec![
        "app", "App", "down", "Down's", "#AppDown", "@app", "$APP", "😡", "bank", "(app", "App!", "A.I.",
    ];
    prop::collection::vec(prop::sample::select(words), 0..8).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_presearcher_loses_no_match(
        texts in prop::collection::vec((any_text(), any_text()), 1..8),
        queries in prop::collection::vec(random::query(random::VOCABULARY), 1..12),
    ) {
        let mut standing = StandingQueries::default();
        let mut matchers = Vec::new();
        for (n, query) in queries.iter().enumerate() {
            let id = format!("q{n:02}");
            // Some are there before and are changed, so that numbers are used again.
            standing.put(&id, &parse("app OR down OR bank").unwrap()).unwrap();
            if refusal(query).is_none() {
                standing.put(&id, query).unwrap();
                matchers.push((id, Matcher::new(query)));
            } else {
                standing.remove(&id);
            }
        }
        for (title, text) in texts {
            let mut mention = mention("m1", &text);
            mention.mention.title = Some(title);
            let wanted: Vec<&str> = matchers
                .iter()
                .filter(|(_, matcher)| matcher.matches(&mention, random::now()))
                .map(|(id, _)| id.as_str())
                .collect();
            prop_assert_eq!(standing.matches(&mention), wanted.clone());
            prop_assert_eq!(standing.matches_by_evaluating_all(&mention), wanted.clone());
            let candidates = standing.candidates(&mention);
            prop_assert!(wanted.iter().all(|id| candidates.contains(id)));
        }
    }
}
