//! What must hold of any text at all: places are whole characters, the words of a score add up to it, and nothing
//! panics.

#![expect(clippy::unwrap_used, reason = "all of this file is tests, and a panic is how they fail")]

use std::sync::LazyLock;

use earshot_common::definitions::{Watchlist, parse_file};
use earshot_common::events::{Mention, RawPosition, Sentiment, SourceRef};
use earshot_common::text::fold;
use earshot_common::time::Timestamp;
use earshot_enrich::judge::{Knowledge, judge};
use earshot_enrich::sentiment::{Lexicon, Place, Read};
use proptest::prelude::*;

const WATCHLIST: &str = r##"
[[subject]]
id = "harbor"
kind = "brand"
name = "Harbor Bank"
aliases = [{ text = "Harbor", ambiguous = true }, { text = "HB", case = "exact" }, "Café Noir", "ﬁrm"]
handles = ["@harborbank"]
cashtags = ["$HRB"]
domains = ["harbor.example"]
context = ["app", "bank"]
exclusions = ["harbor master"]

[[subject]]
id = "vale"
kind = "executive"
name = "Jordan Vale"
aliases = [{ text = "Vale", ambiguous = true }, "日本"]
company = "harbor"
role = "CEO"
"##;

static KNOWLEDGE: LazyLock<Knowledge> = LazyLock::new(|| {
    let definitions = parse_file("watchlist.toml", WATCHLIST).unwrap();
    let watchlist = Watchlist::of(vec![("file:test".to_owned(), definitions)]).unwrap();
    Knowledge::shipped(&watchlist).unwrap()
});
static LEXICON: LazyLock<Lexicon> = LazyLock::new(Lexicon::english);

/// Names in all their forms, words that weigh something and change others, and what tokenizers stumble over.
const PIECES: &[&str] = &[
    "Harbor",
    "Harbor Bank",
    "harbor master",
    "HB",
    "hb's",
    "Café Noir",
    "Cafe\u{301} Noir",
    "the ﬁrm",
    "firm",
    "日本",
    "Vale’s",
    "#HarborFail",
    "#harborbank",
    "＃Harbor",
    "@harborbank",
    "＠harborbank",
    "$HRB",
    "https://harbor.example/x",
    "www.harbor.example",
    "CEO",
    "app",
    "good",
    "GOOD",
    "gooood",
    "terrible",
    "not",
    "n't",
    "but",
    "although",
    "if",
    "used to",
    "better than",
    "I think",
    "no",
    "yes",
    "godo",
    "goo dflight",
    ":)",
    ":-(",
    "😡",
    "👍🏽",
    "👨\u{200d}👩\u{200d}👧",
    "🇩🇪",
    "?",
    "!",
    "...",
    ",",
    "\"",
    "“",
    "”",
    "\n",
    " ",
    "  ",
    "\u{a0}",
    "\u{301}",
    "\u{200d}",
    "\u{202e}",
    "\0",
    "İstanbul",
    "ß",
    "ǆ",
    "½",
    "ไทยไทย",
    "عربي",
    "'s",
    "-",
    "_",
    "#",
    "@",
];

fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => prop::sample::select(PIECES).prop_map(str::to_owned),
        2 => (prop::sample::select(PIECES), 2..30_usize).prop_map(|(piece, times)| piece.repeat(times)),
        1 => any::<char>().prop_map(String::from),
        1 => "\\PC{0,8}",
    ];
    let glue = prop::sample::select(&["", " ", " ", " "][..]);
    prop::collection::vec((piece, glue), 0..25)
        .prop_map(|pieces| pieces.into_iter().map(|(piece, glue)| piece + glue).collect())
}

/// The characters from one place to another.
fn characters(text: &str, from: u32, to: u32) -> String {
    text.chars().skip(from as usize).take((to - from) as usize).collect()
}

/// The words are where they are said to be, and their shares add up to the score as far as `f32` can tell.
fn check(sentiment: &Sentiment, title: Option<&str>, text: &str) -> Result<(), TestCaseError> {
    prop_assert!((-1.0..=1.0).contains(&sentiment.score), "{sentiment:?}");
    let mut sum = 0.0;
    let mut size = 0.0;
    for word in &sentiment.words {
        let part = if word.in_title { title.unwrap_or_default() } else { text };
        prop_assert_eq!(&characters(part, word.from, word.to), &word.word);
        sum += f64::from(word.share);
        size += f64::from(word.share.abs());
    }
    let rounding = 1e-6 + f64::from(f32::EPSILON) * size * (sentiment.words.len() as f64 + 4.0);
    prop_assert!((sum - f64::from(sentiment.score)).abs() <= rounding, "{sum} of {size}: {sentiment:?}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_words_of_a_score_add_up_to_it(
        title in prop::option::of(hostile()),
        text in hostile(),
        places in prop::collection::vec((0..40_u32, 0..10_u32, any::<bool>()), 0..4),
    ) {
        let read = Read::new(&LEXICON, title.as_deref(), &text);
        check(&read.message(), title.as_deref(), &text)?;
        let places = places.into_iter().map(|(from, length, in_title)| Place { in_title, characters: from..from + length });
        let places = read.places(places);
        check(&read.towards(&places), title.as_deref(), &text)?;
    }

    #[test]
    fn every_tag_is_at_whole_characters_that_say_its_name(
        title in prop::option::of(hostile()),
        text in hostile(),
        is_english in any::<bool>(),
    ) {
        let source = SourceRef { id: "test".to_owned(), network: "test".to_owned(), site: None };
        let mention = Mention {
            title: title.clone(),
            lang_given: is_english.then(|| "en".to_owned()),
            ..Mention::new("test:1".to_owned(), source, text.clone(), Timestamp::default())
        };
        let enriched = judge(mention, RawPosition { partition: 0, offset: 0 }, &KNOWLEDGE, Timestamp::default());
        let mut subjects: Vec<&str> = enriched.entities.iter().map(|tag| tag.subject.as_str()).collect();
        subjects.dedup();
        prop_assert_eq!(subjects.len(), enriched.entities.len(), "each once");
        for tag in &enriched.entities {
            for at in &tag.matches {
                let part = if at.in_title { title.as_deref().unwrap_or_default() } else { &text };
                prop_assert!(at.from < at.to && at.to as usize <= part.chars().count(), "{at:?} in {part:?}");
                let written = fold(&characters(part, at.from, at.to));
                let name = fold(&at.alias);
                let first = name.trim_start_matches(['@', '$']).chars().next().unwrap();
                // A name that follows from another, such as a role, need not look like it.
                prop_assert!(at.derived.is_some() || written.contains(first), "{written:?} is called {name:?}");
            }
            check(&tag.sentiment, title.as_deref(), &text)?;
        }
        check(&enriched.sentiment, title.as_deref(), &text)?;
    }
}
