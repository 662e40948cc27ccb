//! Whole judgements, as the records have them.

use std::sync::LazyLock;

use earshot_common::definitions::parse_file;
use earshot_common::events::{EnrichedEvent, Lane, MentionEvent, SignalRecord, decode, encode};
use earshot_common::keys::Secret;
use expect_test::expect;
use serde_json::{Value, json};

use super::*;
use crate::searches::Searches;

const WATCHLIST: &str = r#"
[[subject]]
id = "harbor"
kind = "brand"
name = "Harbor"
aliases = [{ text = "Harbor", case = "exact", ambiguous = true }]
context = ["CEO", "app"]

[[subject]]
id = "united"
kind = "competitor"
name = "United"
aliases = [{ text = "United", ambiguous = true }]
"#;

fn knowledge() -> Knowledge {
    let definitions = parse_file("watchlist.toml", WATCHLIST).unwrap();
    let watchlist = Watchlist::of(vec![("file:test".to_owned(), definitions)]).unwrap();
    static SHIPPED: LazyLock<Arc<Lexicons>> = LazyLock::new(|| Arc::new(Lexicons::shipped()));
    Knowledge::of(&watchlist, SHIPPED.clone(), Arc::new(Risks::english())).unwrap()
}

fn judged(text: &str) -> Enriched {
    let mention = json!({
        "v": 1, "kind": "upsert", "id": "hn:41983282", "revision": 1_767_225_600_000_i64, "origin": "live",
        "source": { "id": "hn", "network": "hackernews", "site": "news.ycombinator.com" },
        "url": "https://news.ycombinator.com/item?id=41983282", "title": null, "text": text, "lang_given": null,
        "author": { "id": "hackernews:someone", "handle": "someone", "followers": 1200 },
        "published": "2026-01-01T00:00:00.000Z", "collected": "2026-01-01T00:00:12.345Z"
    });
    let Ok(MentionEvent::Upsert(mention)) = decode(mention.to_string().as_bytes()) else {
        panic!("the mention of the examples is one")
    };
    let now = "2026-01-01T00:00:12.360Z".parse().unwrap();
    judge(*mention, RawPosition { partition: 2, offset: 918 }, &knowledge(), now)
}

/// What is in a record, as others read it.
fn written(record: &impl serde::Serialize) -> Value {
    serde_json::from_slice(&encode(record)).unwrap()
}

#[test]
fn a_mention_is_judged_in_its_language_or_not_at_all() {
    for (text, lang, label, lexicon) in [
        ("Personne ne répond chez Harbor, quelle honte", "fr", "negative", "earshot-fr-1, risk-en-1"),
        ("Ich bin mit der App von Harbor sehr zufrieden", "de", "positive", "earshot-de-1, risk-en-1"),
        (
            "Waarom neemt niemand de telefoon op bij Harbor, wat een schande",
            "nl",
            "neutral",
            "none, risk-en-1",
        ),
    ] {
        let enriched = judged(text);
        let found = (enriched.lang.as_str(), enriched.sentiment.label.as_str());
        assert_eq!(found, (lang, label), "{text}");
        assert_eq!(enriched.enrichment.lexicon, lexicon, "{text}");
    }
}

#[test]
fn a_code_name_beside_no_subject_is_caught_by_a_search_for_leaks() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "Project Zanderfish\n").unwrap();
    let mut risks = Risks::english();
    risks.add_code_names(file.path()).unwrap();
    let text = "[[search]]\nid = \"leaks\"\nquery = \"risk:leak\"\n\
                [[rule]]\nid = \"leak\"\npreset = \"risk\"\ncategory = \"leak\"\nsearches = [\"leaks\"]\n";
    let definitions = parse_file("watchlist.toml", text).unwrap();
    let watchlist = Watchlist::of(vec![("file:test".to_owned(), definitions)]).unwrap();
    let knowledge = Knowledge::of(&watchlist, Arc::new(Lexicons::shipped()), Arc::new(risks)).unwrap();
    let mut searches = Searches::default();
    searches.follow(&watchlist);
    let enriched = judged("Lunch was fine, then they spoke of project zanderfish");
    let mut enriched = judge(enriched.mention, enriched.raw, &knowledge, enriched.enriched);
    let matched = searches.matched(&mut enriched);
    let signal = signal(&enriched, None, matched, enriched.enriched).unwrap();
    assert_eq!(signal.subjects, []);
    let [leaks] = &signal.concerned()[..] else { panic!("the search alone") };
    assert_eq!((leaks.id.as_str(), &leaks.risk[..]), ("search:leaks", &["leak".to_owned()][..]));
}

#[test]
fn a_name_is_no_praise() {
    // "united" is a positive word of the lexicon; as a name and in a handle it says nothing.
    let enriched = judged("@united UNITED lost my bag, a good start");
    let words: Vec<&str> = enriched.sentiment.words.iter().map(|word| word.word.as_str()).collect();
    assert_eq!(words, ["lost my bag", "good"]);
    assert_eq!((enriched.sentiment.words[0].from, enriched.sentiment.words[1].from), (15, 30));
}

#[test]
fn a_mention_is_judged_as_a_whole() {
    let enriched = judged("Harbor's new CEO is not the problem, the app is.");
    let mut record = written(&enriched);
    // What the mention itself says is tested where it comes from.
    let ours = [
        "raw",
        "enrichment",
        "lang",
        "entities",
        "sentiment",
        "reach",
        "reach_unit",
        "outlet",
        "searches",
        "enriched",
    ];
    record.as_object_mut().unwrap().retain(|field, _| ours.contains(&field.as_str()));
    expect![[r#"
        {
          "enriched": "2026-01-01T00:00:12.360Z",
          "enrichment": {
            "lexicon": "earshot-en-1, risk-en-1",
            "watchlist": 2
          },
          "entities": [
            {
              "kind": "brand",
              "lane": "sure",
              "matches": [
                {
                  "alias": "Harbor",
                  "corroborated_by": "CEO",
                  "corroboration": "context",
                  "from": 0,
                  "to": 6
                }
              ],
              "sentiment": {
                "confidence": 0.41817504,
                "label": "positive",
                "score": 0.06688272,
                "words": [
                  {
                    "from": 9,
                    "share": 0.039634205,
                    "to": 12,
                    "word": "new"
                  },
                  {
                    "from": 28,
                    "share": 0.027248517,
                    "to": 35,
                    "word": "problem"
                  }
                ]
              },
              "subject": "harbor"
            }
          ],
          "lang": "en",
          "outlet": "news.ycombinator.com",
          "raw": {
            "offset": 918,
            "partition": 2
          },
          "reach": 1200,
          "reach_unit": "followers",
          "searches": [],
          "sentiment": {
            "confidence": 0.47510117,
            "label": "neutral",
            "score": 0.0181089,
            "words": [
              {
                "from": 9,
                "share": 0.0107312,
                "to": 12,
                "word": "new"
              },
              {
                "from": 28,
                "share": 0.0073777004,
                "to": 35,
                "word": "problem"
              }
            ]
          }
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&record).unwrap());
    let event = EnrichedEvent::Upsert(Box::new(enriched));
    assert_eq!(decode::<EnrichedEvent>(&encode(&event)).unwrap(), event);
}

#[test]
fn a_signal_has_what_decides_and_neither_text_nor_names() {
    let enriched = judged("Harbor's new CEO is not the problem, says United");
    let secret = Secret::from_bytes([7; 32]);
    let author = secret.author("hackernews:someone");
    let signal = signal(&enriched, Some(author), Vec::new(), Timestamp::from_millis(9)).unwrap();
    assert_eq!(signal.mention, MentionKey::of("hn:41983282"));
    assert_eq!(signal.author, Some(author));
    let subjects: Vec<_> =
        signal.subjects.iter().map(|subject| (subject.id.as_str(), subject.lane)).collect();
    assert_eq!(subjects, [("harbor", Lane::Sure), ("united", Lane::Doubtful)]);
    assert_eq!(signal.subjects[0].polarity, enriched.entities[0].sentiment.score);
    assert_eq!((signal.reach, signal.story), (Some(1200), enriched.story));
    assert_eq!(signal.event_time, enriched.mention.published);
    let record = written(&SignalRecord::Signal(Box::new(signal))).to_string();
    assert!(!record.contains("problem") && !record.contains("someone"), "{record}");
}

#[test]
fn a_mention_of_nobody_makes_no_signal() {
    assert_eq!(signal(&judged("a quiet day"), None, Vec::new(), Timestamp::from_millis(9)), None);
}

#[test]
fn a_long_text_lists_its_words_once() {
    let enriched = judged(&format!("Harbor app {}", "bad ".repeat(500)));
    assert_eq!(enriched.sentiment.words.len(), 500);
    let towards = &enriched.entities[0].sentiment;
    assert!(towards.words.is_empty() && towards.score < 0.0);
}

#[test]
fn a_code_name_is_kept_out_of_every_word_of_ours() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("names.txt");
    std::fs::write(&file, "project terrible\n").unwrap();
    let mut risks = Risks::english();
    risks.add_code_names(&file).unwrap();
    let knowledge = Knowledge { risks: Arc::new(risks), ..knowledge() };
    let mut mention = judged("Harbor app: Project Terrible is coming. Harbor was sued.").mention;
    mention.title = Some("Project terrible".to_owned());
    let now = Timestamp::from_millis(0);
    let enriched = judge(mention, RawPosition { partition: 0, offset: 0 }, &knowledge, now);
    assert_eq!(
        (enriched.risk.as_slice(), enriched.evidence.len()),
        (&["legal".into(), "leak".into()][..], 3)
    );
    let signal = signal(&enriched, None, Vec::new(), now).unwrap();
    assert_eq!((&signal.risk, &signal.subjects[0].risk), (&enriched.risk, &enriched.risk));
    assert!(!format!("{:?} {signal:?}", knowledge.risks).to_lowercase().contains("terrible"));
    let weighed = weighed(&enriched, &knowledge).unwrap();
    assert!(weighed.iter().all(|word| word.term != "terrible"), "{weighed:?}");
    let mut record = written(&enriched);
    for text in ["title", "text"] {
        record.as_object_mut().unwrap().remove(text);
    }
    assert!(!record.to_string().to_lowercase().contains("terrible"), "{record:#}");
}
