//! Random mentions, and random queries of the whole language that are made from them, so that many match.

use earshot_common::definitions::SubjectKind;
use earshot_common::events::{
    Author, Engagement, Enriched, EnrichmentVersion, EntityTag, Lane, Mention, Origin, Polarity, RawPosition,
    SchemaVersion, Sentiment, SourceRef,
};
use earshot_common::query::Facts;
use earshot_common::text::tokens;
use earshot_common::time::Timestamp;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

/// Words of the texts; the first ones are the frequent ones.
const WORDS: [&str; 40] = [
    "the",
    "app",
    "is",
    "down",
    "bank",
    "of",
    "a",
    "to",
    "harbor",
    "not",
    "outage",
    "at",
    "again",
    "customer",
    "service",
    "flight",
    "cancelled",
    "App",
    "DOWN",
    "Harbor's",
    "café",
    "CAFÉ",
    "Cafe",
    "#AppDown",
    "#CancelledFlight",
    "@harbor",
    "@app",
    "$HRB",
    "U.S.",
    "don't",
    "late.Now",
    "3.5",
    "😡",
    "👍🏽",
    "http://t.co/x7",
    "https://www.harbor.example/news",
    "naïve",
    "ＡＢＣ",
    "周受资",
    "マイクロソフト",
];
/// What may stand between two words.
const GAPS: [&str; 10] = [" ", " ", " ", " ", " ", ", ", "! ", " (", ") ", "-"];
/// Fields of the language with values that some mentions have.
const CONDITIONS: [&str; 36] = [
    "author:ann",
    "author:bo*",
    "author:@BOB",
    "author:\"carol lee\"",
    "source:hn",
    "source:(x OR feed)",
    "network:web",
    "site:example.org",
    "site:*.org",
    "site:news.example.org",
    "lang:en",
    "language:de",
    "country:usa",
    "country:d?",
    "doubtful:bank",
    "lane:doubtful",
    "entity:bank",
    "entity:ri*",
    "kind:brand",
    "kind:executive",
    "sentiment:negative",
    "sentiment:positive",
    "followers:>=100",
    "followers:[5 TO 50]",
    "followers:<=7",
    "reach:>50",
    "reach:[* TO *]",
    "risk:legal",
    "intent:complaint",
    "is:repost",
    "is:reply",
    "is:original",
    "has:link",
    "after:2026-01-02",
    "before:2026-01-02T12:00:00Z",
    "after:-1d",
];

/// What times relative to now are relative to, in generated cases.
pub fn now() -> Timestamp {
    "2026-01-04T00:00:00Z".parse().expect("a constant time")
}

/// Makes the same mentions and queries from the same seed.
#[derive(Debug)]
pub struct Generator(StdRng);

impl Generator {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// A mention with any of the fields that queries can ask for.
    pub fn mention(&mut self, number: usize) -> Enriched {
        let title = self.chance(0.3).then(|| self.text(6));
        let text = self.text(14);
        let published = Timestamp::from_millis(1_767_225_600_000 + self.0.random_range(0..4 * 86_400_000));
        let author = self.chance(0.8).then(|| self.author());
        let reach = self.chance(0.5).then(|| self.0.random_range(0..200));
        let entities = if self.chance(0.4) { vec![self.entity()] } else { Vec::new() };
        let score = *self.of(&[-0.5_f32, 0.0, 0.5]);
        Enriched {
            mention: Mention {
                v: SchemaVersion::default(),
                id: format!("web:{number}"),
                revision: 1,
                origin: Origin::Live,
                source: SourceRef {
                    id: (*self.of(&["hn", "feed", "import"])).to_owned(),
                    network: (*self.of(&["web", "hackernews"])).to_owned(),
                    site: self.some(0.3, &["example.org", "www.News.example.org"]),
                },
                url: self.some(
                    0.5,
                    &["https://example.org/1", "http://news.example.org:80/a", "https://x.example"],
                ),
                title,
                text,
                lang_given: None,
                country: self.some(0.5, &["US", "DE"]),
                author,
                reply_to: self.some(0.2, &["web:0"]),
                repost_of: self.some(0.2, &["web:0"]),
                links: self.some(0.3, &["https://example.org/2"]).into_iter().collect(),
                media: self.some(0.2, &["https://example.org/a.png"]).into_iter().collect(),
                engagement: Engagement::default(),
                published,
                collected: published,
                cut: Vec::new(),
            },
            raw: RawPosition { partition: 0, offset: number as u64 },
            enrichment: EnrichmentVersion { watchlist: 1, lexicon: "none".to_owned() },
            lang: (*self.of(&["en", "de", "und"])).to_owned(),
            lang_confidence: 1.0,
            entities,
            sentiment: sentiment(score),
            risk: self.some(0.2, &["legal", "safety"]).into_iter().collect(),
            intent: self.some(0.2, &["complaint", "praise"]).into_iter().collect(),
            desks: self.some(0.2, &["customer_care"]).into_iter().collect(),
            evidence: Vec::new(),
            story: None,
            reach,
            reach_unit: None,
            outlet: None,
            searches: Vec::new(),
            enriched: published,
        }
    }

    /// A query that is made from a mention, which it often matches.
    pub fn query(&mut self, from: &Enriched) -> String {
        self.expression(from, 3)
    }

    fn expression(&mut self, from: &Enriched, depth: u32) -> String {
        if depth == 0 || self.chance(0.35) {
            return self.leaf(from);
        }
        let part = |this: &mut Self| this.expression(from, depth - 1);
        match self.0.random_range(0..8) {
            0..=2 => format!("({} AND {})", part(self), part(self)),
            3 => format!("({} {} {})", part(self), part(self), part(self)),
            4 | 5 => format!("({} OR {})", part(self), part(self)),
            6 => format!("({} NOT {})", part(self), self.word()),
            _ => format!("NOT {}", part(self)),
        }
    }

    fn leaf(&mut self, from: &Enriched) -> String {
        let scope = *self.of(&["", "", "", "", "", "", "title:", "body:"]);
        match self.0.random_range(0..20) {
            0..=13 => format!("{scope}{}", self.span(from, 2)),
            14 | 15 => self.fact(from),
            16 | 17 => (*self.of(&CONDITIONS)).to_owned(),
            18 => format!("{scope}{}", self.word()),
            _ => "*".to_owned(),
        }
    }

    /// A value that the mention has.
    fn fact(&mut self, from: &Enriched) -> String {
        let facts = Facts::of(from);
        match facts.values.choose(&mut self.0) {
            Some((field, value)) => format!("{}:\"{value}\"", field.name()),
            None => "*".to_owned(),
        }
    }

    /// What has a place in a text.
    fn span(&mut self, from: &Enriched, depth: u32) -> String {
        if depth == 0 || self.chance(0.4) {
            return self.words_of(from);
        }
        let part = |this: &mut Self| this.span(from, depth - 1);
        let operator =
            *self.of(&["NEAR", "ONEAR", "NEAR/1", "ONEAR/1", "NEAR/2", "ONEAR/3", "NEAR/9", "NEAR/2f"]);
        match self.0.random_range(0..6) {
            0..=2 => format!("({} {operator} {})", part(self), part(self)),
            3 => format!("(({} OR {}) {operator} {})", part(self), part(self), part(self)),
            4 => format!("({} {operator} {} NEAR/3 {})", part(self), part(self), part(self)),
            _ => format!("({} {operator} ({} OR {}))", part(self), part(self), part(self)),
        }
    }

    /// One word or several of the mention, in one of the ways to write them.
    fn words_of(&mut self, from: &Enriched) -> String {
        let title = from.mention.title.as_deref().unwrap_or_default();
        let text = if self.chance(0.7) || title.is_empty() { from.mention.text.as_str() } else { title };
        let tokens = tokens(text);
        if tokens.is_empty() {
            return self.word();
        }
        let first = self.0.random_range(0..tokens.len());
        let last = (first + self.0.random_range(0..3)).min(tokens.len() - 1);
        let word = tokens[first].of(text);
        let several = &text[tokens[first].bytes.start..tokens[last].bytes.end];
        match self.0.random_range(0..10) {
            0..=3 => word.to_owned(),
            4 | 5 => format!("\"{several}\""),
            6 => self.wildcard(word),
            7 => format!("{{{several}}}"),
            8 => format!("raw:\"{several}\""),
            _ if word != "not" => word.to_uppercase(),
            _ => word.to_owned(),
        }
    }

    /// A pattern that fits a word, where the word is plain enough.
    fn wildcard(&mut self, word: &str) -> String {
        let characters: Vec<char> = word.chars().collect();
        let plain = characters.len() >= 3 && word.is_ascii() && word.bytes().all(|b| b.is_ascii_alphabetic());
        if !plain {
            return word.to_owned();
        }
        let at = self.0.random_range(0..characters.len());
        let (before, after): (String, String) =
            (characters[..at].iter().collect(), characters[at + 1..].iter().collect());
        match self.0.random_range(0..3) {
            0 if at >= 2 => format!("{before}*"),
            1 => format!("{before}*{after}"),
            _ => format!("{before}?{after}"),
        }
    }

    fn text(&mut self, most: usize) -> String {
        let mut text = String::new();
        for _ in 0..self.0.random_range(0..=most) {
            text.push_str(&self.word());
            let gap = self.of::<&str>(&GAPS);
            text.push_str(gap);
        }
        text
    }

    /// Any word; the first ones are met more often.
    fn word(&mut self) -> String {
        let most = self.0.random_range(1..=WORDS.len());
        WORDS[self.0.random_range(0..most)].to_owned()
    }

    fn author(&mut self) -> Author {
        let (handle, name) = *self.of(&[("ann", "Ann"), ("Bob", "Bob Ray"), ("carol", "Carol Lee")]);
        Author {
            id: format!("web:{handle}"),
            name: self.chance(0.7).then(|| name.to_owned()),
            handle: self.chance(0.7).then(|| handle.to_owned()),
            followers: self.chance(0.7).then(|| self.0.random_range(0..200)),
            verified: self.chance(0.5).then(|| self.0.random_bool(0.5)),
        }
    }

    fn entity(&mut self) -> EntityTag {
        let (subject, kind) = *self.of(&[("bank", SubjectKind::Brand), ("rival", SubjectKind::Competitor)]);
        EntityTag {
            subject: subject.to_owned(),
            kind: Some(kind),
            matches: Vec::new(),
            lane: *self.of(&[Lane::Sure, Lane::Sure, Lane::Doubtful]),
            passing: false,
            sentiment: sentiment(0.0),
        }
    }

    fn chance(&mut self, probability: f64) -> bool {
        self.0.random_bool(probability)
    }

    fn of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        choices.choose(&mut self.0).expect("choices are constants")
    }

    fn some(&mut self, probability: f64, choices: &[&str]) -> Option<String> {
        self.chance(probability).then(|| (*self.of(choices)).to_owned())
    }
}

fn sentiment(score: f32) -> Sentiment {
    Sentiment { score, label: Polarity::of(score), confidence: None, words: Vec::new(), fallback: false }
}
