//! The benchmark's input: mentions of invented text, the same for the same seed, or the texts of a file.
//!
//! What matters to the figures is kept close to what networks bring: 150 to 300 bytes of text, a vocabulary with
//! few common and many rare words, links, tags and emoji, one mention in three naming somebody who is watched.

use std::io::BufRead;
use std::path::Path;

use anyhow::Context as _;
use earshot_common::events::{Author, Mention, SourceRef};
use earshot_common::time::Timestamp;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

/// The watchlist that goes with the texts.
pub(crate) const WATCHLIST: &str = include_str!("watchlist.toml");

const SEED: u64 = 0xEA75;
const AUTHORS: u32 = 20_000;
/// One mention in so many names a watched subject.
const NAMED_EVERY: u32 = 3;
/// Texts are at least this long, and about twice at most.
const LEAST_TEXT_BYTES: usize = 150;

const NAMES: &[&str] = &[
    "Harbor Bank",
    "@harborbank",
    "the Harbor app",
    "TidePay",
    "Jordan Vale",
    "Ama Osei",
    "Northgate Savings",
    "@northgate",
    "Lumen Credit",
];

/// `{n}` is a thing, `{p}` a person or company without a watch, `{a}` an opinion, `{w}` a rare word.
const SENTENCES: &[&str] = &[
    "I have been waiting {w} minutes for the {n} and nobody answers.",
    "The {n} was {a}, and the people at the {n} were {a} too!",
    "Does anybody know why the {n} is not working since this morning?",
    "Just heard from {p} that the {n} will cost twice as much next year",
    "Honestly, {p} has the most {a} {n} in the whole town.",
    "My mother says the {n} is {a}, but I really do not think so.",
    "They told me to call {w} and then hung up. How is that a {n}?",
    "Great news about the {n}: it is {a} and it arrives on {w} day 🎉",
    "Why would anyone pay for a {n} that is this {a}?! 😡",
    "Reading the report by {p} on the {n} — worth your time: https://news.example/{w}",
    "Never again. The {n} failed, the {n} was {a}, and no refund. #{w}",
    "So the {n} opens again on Monday, says {p}, after {w} weeks of repairs",
    "It is not the {n} that I mind, it is the {a} way in which they explain it.",
    "If you need a {n}, ask {p}: quick, {a} and not expensive at all.",
    "Two hours in the queue for a {n} with the children. I am so tired of this.",
    "What a {a} day to talk about the {n}, says nobody ever lol",
];

/// Sentences about somebody who is watched: `{s}`.
const ABOUT: &[&str] = &[
    "{s} lost my {n} again and the answer was {a}.",
    "Thank you {s}, the {n} was {a} and it took five minutes!",
    "Has anyone else had trouble with {s} today? The {n} shows an error.",
    "I read that {s} wants to close the {n} in {w}. What do you think?",
    "The way {s} talks about customers is {a}, there is no other word for it.",
    "Moving everything away from {s} after the {n} affair.",
    "{s} announced a {a} {n} this morning, details at https://press.example/{w}",
];

const THINGS: &[&str] = &[
    "account",
    "card",
    "branch",
    "app",
    "queue",
    "train",
    "phone",
    "delivery",
    "hotel",
    "flight",
    "ticket",
    "meeting",
    "concert",
    "kitchen",
    "garden",
    "update",
    "password",
    "invoice",
    "letter",
    "bridge",
    "station",
    "school",
    "match",
    "recipe",
    "laptop",
    "charger",
    "road",
    "museum",
    "bakery",
    "service",
    "contract",
    "loan",
    "mortgage",
    "fee",
    "website",
    "hotline",
    "manager",
    "election",
    "weather",
    "budget",
    "printer",
    "insurance",
    "refund",
    "statement",
];
const PEOPLE: &[&str] = &[
    "my neighbour",
    "Maria",
    "the council",
    "@dailypost",
    "the landlord",
    "Coach Hill",
    "Aunt Rosa",
    "the minister",
    "@cityline",
    "Mr. Adeyemi",
    "the union",
    "Brightwater",
    "a friend",
    "the BBC",
    "Dr. Lindqvist",
    "@weatherdesk",
];
const OPINIONS: &[&str] = &[
    "terrible",
    "great",
    "awful",
    "lovely",
    "slow",
    "friendly",
    "useless",
    "perfect",
    "disgusting",
    "helpful",
    "boring",
    "amazing",
    "broken",
    "cheap",
    "expensive",
    "rude",
    "excellent",
    "confusing",
    "okay",
    "really bad",
    "very good",
    "not bad",
    "horrible",
    "kind",
    "stupid",
    "brilliant",
    "embarrassing",
    "fair",
    "dishonest",
    "safe",
];
const SYLLABLES: &[&str] = &[
    "ba", "cor", "den", "el", "fi", "gra", "hol", "in", "jo", "kal", "lu", "mar", "nor", "os", "pel", "qui",
    "ren", "sto", "tu", "ver", "win", "yar", "zen", "ash", "bur", "cle",
];

/// Mentions without end.
#[derive(Debug)]
pub(crate) struct Mentions {
    random: StdRng,
    next: u64,
    /// The texts of a file, taken in turn; empty where they are invented.
    texts: Vec<String>,
}

impl Mentions {
    /// Invented ones, or with the texts of a file.
    pub(crate) fn new(input: Option<&Path>) -> anyhow::Result<Self> {
        let texts = match input {
            Some(file) => read_texts(file).with_context(|| format!("read the input {}", file.display()))?,
            None => Vec::new(),
        };
        Ok(Self { random: StdRng::seed_from_u64(SEED), next: 0, texts })
    }

    fn text(&mut self) -> String {
        if self.texts.is_empty() {
            return invented(&mut self.random);
        }
        self.texts[self.next as usize % self.texts.len()].clone()
    }
}

impl Iterator for Mentions {
    type Item = Mention;

    /// The next mention, published and collected now.
    fn next(&mut self) -> Option<Mention> {
        let text = self.text();
        let author = self.random.random_range(0..AUTHORS);
        let now = Timestamp::from(jiff::Timestamp::now());
        self.next += 1;
        let source = SourceRef {
            id: "door:test".to_owned(),
            network: "bench".to_owned(),
            site: Some("social.example".to_owned()),
        };
        Some(Mention {
            revision: now.as_millis(),
            url: Some(format!("https://social.example/@author{author}/{}", self.next)),
            author: Some(Author {
                id: format!("bench:author{author}"),
                name: Some(format!("Author {author}")),
                handle: Some(format!("author{author}")),
                followers: Some(u64::from(author) * 7 % 90_000),
                verified: None,
            }),
            ..Mention::new(format!("bench:{}", self.next), source, text, now)
        })
    }
}

fn invented(random: &mut StdRng) -> String {
    let mut text = String::new();
    if random.random_range(0..NAMED_EVERY) == 0 {
        let name = pick(random, NAMES);
        let sentence = pick(random, ABOUT);
        text = filled(random, sentence).replace("{s}", name);
    }
    while text.len() < LEAST_TEXT_BYTES {
        if !text.is_empty() {
            text.push(' ');
        }
        let sentence = pick(random, SENTENCES);
        text.push_str(&filled(random, sentence));
    }
    text
}

/// A sentence with words in its places, but for `{s}`.
fn filled(random: &mut StdRng, sentence: &str) -> String {
    let mut text = sentence.to_owned();
    for (place, words) in [("{n}", THINGS), ("{p}", PEOPLE), ("{a}", OPINIONS)] {
        while text.contains(place) {
            text = text.replacen(place, pick(random, words), 1);
        }
    }
    while text.contains("{w}") {
        text = text.replacen("{w}", &rare_word(random), 1);
    }
    text
}

/// One of about half a million.
fn rare_word(random: &mut StdRng) -> String {
    (0..4).map(|_| pick(random, SYLLABLES)).collect()
}

fn pick(random: &mut StdRng, words: &[&'static str]) -> &'static str {
    words.choose(random).copied().expect("the lists of words are not empty")
}

/// The column or field `text` of each row.
fn read_texts(file: &Path) -> anyhow::Result<Vec<String>> {
    let texts = match file.extension().and_then(|extension| extension.to_str()) {
        Some("csv") => read_csv(file)?,
        _ => read_json_lines(file)?,
    };
    anyhow::ensure!(!texts.is_empty(), "it has no row with a `text`");
    Ok(texts)
}

fn read_csv(file: &Path) -> anyhow::Result<Vec<String>> {
    let mut reader = csv::Reader::from_path(file)?;
    let columns = reader.headers()?.clone();
    let column = columns.iter().position(|name| name == "text").context("it has no column `text`")?;
    let mut texts = Vec::new();
    for row in reader.records() {
        texts.extend(row?.get(column).filter(|text| !text.trim().is_empty()).map(str::to_owned));
    }
    Ok(texts)
}

fn read_json_lines(file: &Path) -> anyhow::Result<Vec<String>> {
    let mut texts = Vec::new();
    for line in std::io::BufReader::new(std::fs::File::open(file)?).lines() {
        let row: serde_json::Value = serde_json::from_str(&line?)?;
        texts.extend(row["text"].as_str().filter(|text| !text.trim().is_empty()).map(str::to_owned));
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(count: usize) -> Vec<String> {
        Mentions::new(None).unwrap().take(count).map(|mention| mention.text).collect()
    }

    #[test]
    fn the_same_texts_come_each_time_and_one_in_three_names_a_subject() {
        let texts_of_one_run = texts(3_000);
        assert_eq!(texts_of_one_run, texts(3_000));
        let named =
            texts_of_one_run.iter().filter(|text| NAMES.iter().any(|name| text.contains(name))).count();
        assert!((900..1_100).contains(&named), "one in three names a subject, not {named} of 3000");
        let bytes = texts_of_one_run.iter().map(String::len).sum::<usize>() / 3_000;
        assert!((150..300).contains(&bytes), "{bytes} bytes of text on average");
        assert!(texts_of_one_run.iter().all(|text| !text.contains('{')), "every place is filled");
    }

    #[test]
    fn texts_of_a_file_are_taken_in_turn() {
        let folder = tempfile::tempdir().unwrap();
        let (csv, lines) = (folder.path().join("a.csv"), folder.path().join("a.jsonl"));
        std::fs::write(&csv, "id,text\n1,first\n2,\n3,\"third, and last\"\n").unwrap();
        std::fs::write(&lines, "{\"text\":\"first\"}\n{\"id\":2}\n{\"text\":\"third, and last\"}\n").unwrap();
        for file in [csv, lines] {
            let taken: Vec<String> = Mentions::new(Some(&file)).unwrap().take(3).map(|m| m.text).collect();
            assert_eq!(taken, ["first", "third, and last", "first"], "{}", file.display());
        }
    }
}
