use earshot_common::events::{EnrichedEvent, decode};

use super::*;

/// The mention of the contract's example, about nobody and found by no search.
fn mention(id: &str, score: f32) -> Enriched {
    let example = include_bytes!("../../../../common/tests/golden/mentions.enriched.v1.upsert.json");
    let Ok(EnrichedEvent::Upsert(mut enriched)) = decode(example) else { panic!("the example is a mention") };
    enriched.mention.id = id.to_owned();
    enriched.entities.clear();
    enriched.searches.clear();
    enriched.sentiment.score = score;
    enriched.sentiment.label = Polarity::of(score);
    *enriched
}

fn about(mut mention: Enriched, subject: &str, lane: Lane, score: f32) -> Enriched {
    let mut sentiment = mention.sentiment.clone();
    (sentiment.score, sentiment.label) = (score, Polarity::of(score));
    let matches = Vec::new();
    mention.entities.push(EntityTag {
        subject: subject.to_owned(),
        kind: None,
        matches,
        lane,
        passing: false,
        sentiment,
    });
    mention
}

fn count(before: u64, after: u64, gained: u64, lost: u64) -> Count {
    Count { before, after, gained, lost }
}

#[test]
fn tags_gained_and_lost_and_polarities_moved_are_counted_by_subject() {
    let mut changes = Changes::default();
    let (sure, doubtful) = (Lane::Sure, Lane::Doubtful);
    let plain = || mention("m", 0.0);
    for (before, after) in [
        (about(plain(), "harbor", sure, -0.5), about(plain(), "harbor", sure, 0.5)),
        (about(plain(), "harbor", sure, -0.5), about(plain(), "harbor", sure, -0.4)),
        (about(plain(), "harbor", doubtful, -0.5), about(plain(), "harbor", sure, -0.5)),
        (about(plain(), "harbor", sure, 0.0), plain()),
        (plain(), about(plain(), "vale", doubtful, 0.0)),
    ] {
        changes.note(&before, &after);
    }
    let harbor = &changes.subjects["harbor"];
    assert_eq!(harbor.sure, count(3, 3, 1, 1));
    assert_eq!(harbor.doubtful, count(1, 0, 0, 1));
    assert_eq!(harbor.towards, Labels([[1, 0, 1], [0, 0, 0], [0, 0, 0]]));
    assert_eq!(harbor.towards.moved(), 1);
    assert_eq!(changes.subjects["vale"].doubtful, count(0, 1, 1, 0));
    assert_eq!(changes.messages, Labels([[0, 0, 0], [0, 5, 0], [0, 0, 0]]));
}

#[test]
fn risks_intents_and_searches_are_counted_each_for_itself() {
    let mut changes = Changes::default();
    let (mut before, mut after) = (mention("m", 0.0), mention("m", 0.0));
    (before.risk, after.risk) = (vec!["legal".to_owned()], vec!["legal".to_owned(), "safety".to_owned()]);
    (before.intent, after.intent) = (vec!["complaint".to_owned()], Vec::new());
    after.searches = vec!["outages".to_owned()];
    changes.note(&before, &after);
    let legal_and_safety = [("legal", count(1, 1, 0, 0)), ("safety", count(0, 1, 1, 0))];
    assert_eq!(changes.risks, legal_and_safety.map(|(name, count)| (name.to_owned(), count)).into());
    assert_eq!(changes.intents["complaint"], count(1, 0, 0, 1));
    assert_eq!(changes.searches["outages"], count(0, 1, 1, 0));
    assert_eq!(changes.largest, [LargestChange { id: "m".to_owned(), size: 3.0 }]);
}

#[test]
fn the_ten_that_moved_most_are_named_the_most_moved_first() {
    let mut changes = Changes::default();
    for n in 0..12 {
        let id = format!("m{n}");
        changes.note(&mention(&id, 0.0), &mention(&id, n as f32 / 16.0));
    }
    let named: Vec<&str> = changes.largest.iter().map(|largest| largest.id.as_str()).collect();
    assert_eq!(named, ["m11", "m10", "m9", "m8", "m7", "m6", "m5", "m4", "m3", "m2"]);
    assert_eq!(changes.largest[0].size, 11.0 / 16.0);
}
