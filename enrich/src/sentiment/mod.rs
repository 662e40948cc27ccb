//! Polarity of a message and towards those it names, with the words that made it: lexicons, and rules for
//! what the words around a word do to it.
//!
//! What belongs here: from text to [`Sentiment`]. What does not: who is named where, which is `entities`' to say.

mod attitude;
mod languages;
mod lexicon;
mod reading;
mod roles;
mod rules;
mod score;
pub mod vader;
mod words;

use std::borrow::Cow;
use std::ops::Range;

use earshot_common::events::{Polarity, Sentiment, SentimentWord};
use earshot_common::text::{CharacterOffsets, Token, Tokenized};

pub use lexicon::{Lexicon, Lexicons};
pub use rules::Rule;
pub use score::Traits;

use reading::{Hit, Reading};
use roles::Role;
use score::Scale;

/// The places in a text, in bytes, that somebody is named at: the characters that are given, or else wherever
/// the name stands, whatever its case.
pub fn places_of(text: &str, name: &str, characters: Option<(u64, u64)>) -> Vec<Range<usize>> {
    let byte =
        |character: u64| text.char_indices().nth(character as usize).map_or(text.len(), |(byte, _)| byte);
    if let Some((from, to)) = characters {
        return std::iter::once(byte(from)..byte(to.max(from))).collect();
    }
    let (lower, name) = (text.to_lowercase(), name.to_lowercase());
    // Where letters change their length with case, places in one are no places in the other.
    if name.is_empty() || lower.len() != text.len() {
        return Vec::new();
    }
    let places = lower.match_indices(&name).map(|(at, found)| at..at + found.len());
    places.filter(|place| text.is_char_boundary(place.start) && text.is_char_boundary(place.end)).collect()
}

/// Where somebody is named.
#[derive(Clone, Debug)]
pub struct Place {
    /// Whether the place is in the title.
    pub in_title: bool,
    /// Where, in characters of the title or the text.
    pub characters: Range<u32>,
}

/// What a message in a language that is not judged says: nothing.
pub fn not_judged() -> Sentiment {
    Sentiment { score: 0.0, label: Polarity::Neutral, confidence: None, words: Vec::new(), fallback: false }
}

/// A text that was read: what it says, and what it says of whom.
#[derive(Clone, Debug)]
pub struct Read<'t> {
    text: Cow<'t, str>,
    /// Bytes of the title and the line end after it.
    title_bytes: usize,
    reading: Reading,
}

/// A word or phrase that weighs something, and why it weighs what it does.
#[derive(Clone, Debug, PartialEq)]
pub struct Weighed {
    /// Where it stands, in bytes.
    pub bytes: Range<usize>,
    /// The word or phrase as the lexicon has it.
    pub term: String,
    /// What it weighs by itself.
    pub weight: f32,
    /// What its surroundings make of that.
    pub factor: f32,
    /// The rules that made the factor.
    pub rules: Vec<Rule>,
}

impl<'t> Read<'t> {
    /// Reads a title and a text as one, in this order.
    pub fn new(lexicon: &Lexicon, title: Option<&str>, text: &'t str) -> Self {
        Self::apart_from(lexicon, title.map(Tokenized::new).as_ref(), &Tokenized::new(text), [])
    }

    /// Reads a title and a text that are taken apart already. The names at some places mean nothing: to be called
    /// United is no praise.
    pub fn apart_from(
        lexicon: &Lexicon,
        title: Option<&Tokenized<'_>>,
        text: &Tokenized<'t>,
        names: impl IntoIterator<Item = Place>,
    ) -> Self {
        let (whole, tokens) = as_one(title, text);
        let title_bytes = whole.len() - text.text.len();
        let names = places(&whole, title_bytes, names);
        let mut reading = Reading::of(lexicon, &whole, &tokens, names);
        rules::apply(&mut reading);
        Self { text: whole, title_bytes, reading }
    }

    /// The polarity of the message.
    pub fn message(&self) -> Sentiment {
        let values: Vec<f32> = self.reading.hits.iter().map(Hit::value).collect();
        self.sentiment(&values, score::of_message(&values, self.traits(), self.scale()), false)
    }

    /// The polarity towards what is named at some places, in bytes of title and text as one.
    pub fn towards(&self, places: &[Range<usize>]) -> Sentiment {
        let view = attitude::towards(&self.reading, places);
        let hits = self.reading.hits.iter().zip(&view.worth);
        let values: Vec<f32> = hits.map(|(hit, worth)| hit.value() * worth).collect();
        self.sentiment(&values, score::of_attitude(&values), view.fallback)
    }

    /// Places in characters of the title or the text, as bytes of both as one.
    pub fn places(&self, characters: impl IntoIterator<Item = Place>) -> Vec<Range<usize>> {
        places(&self.text, self.title_bytes, characters)
    }

    /// The words that weigh something, in the order of the text.
    pub fn weighed(&self, lexicon: &Lexicon) -> Vec<Weighed> {
        let values: Vec<f32> = self.reading.hits.iter().map(|_| 1.0).collect();
        self.weighed_by(lexicon, &values)
    }

    /// The words that weigh something, with what they are worth towards what is named at some places.
    pub fn weighed_towards(&self, lexicon: &Lexicon, places: &[Range<usize>]) -> Vec<Weighed> {
        self.weighed_by(lexicon, &attitude::towards(&self.reading, places).worth)
    }

    fn weighed_by(&self, lexicon: &Lexicon, worth: &[f32]) -> Vec<Weighed> {
        let mut weighed = Vec::with_capacity(self.reading.hits.len());
        for (hit, worth) in self.reading.hits.iter().zip(worth) {
            let words = self.reading.words[hit.words.clone()].iter().filter_map(|word| word.id);
            let names: Vec<&str> = words.map(|id| lexicon.name(id)).collect();
            weighed.push(Weighed {
                bytes: self.bytes(hit),
                term: names.join(" "),
                weight: hit.weight,
                factor: hit.factor * worth,
                rules: hit.rules.clone(),
            });
        }
        weighed
    }

    /// What tells whether it is a report or an opinion, apart from praise and blame.
    pub fn traits(&self) -> Traits {
        let reading = &self.reading;
        let has = |role| reading.clauses.iter().any(|clause| clause.roles.has(role));
        Traits::new(self.names(), has(Role::FirstPerson), has(Role::Address))
    }

    fn scale(&self) -> Scale {
        self.reading.language.scale
    }

    /// How many names it has, as capitals show: words side by side are one name. Words for groups of people are
    /// none.
    fn names(&self) -> usize {
        if !self.reading.language.capitals_show_names {
            return 0;
        }
        let mut names = 0;
        let mut in_name = true;
        for (word, roles) in self.reading.words.iter().zip(&self.reading.roles) {
            let is_name = word.capitalised && !roles.has(Role::Identity);
            names += usize::from(is_name && !in_name);
            in_name = word.capitalised;
        }
        names
    }

    fn bytes(&self, hit: &Hit) -> Range<usize> {
        let words = &self.reading.words[hit.words.clone()];
        words[0].bytes.start..words[words.len() - 1].bytes.end
    }

    fn sentiment(&self, values: &[f32], scored: score::Scored, fallback: bool) -> Sentiment {
        let offsets = CharacterOffsets::new(&self.text);
        let text_starts = offsets.at(self.title_bytes);
        let mut listed = Vec::with_capacity(values.len());
        for (hit, value) in self.reading.hits.iter().zip(values).filter(|(_, value)| **value != 0.0) {
            let bytes = self.bytes(hit);
            let in_title = bytes.start < self.title_bytes;
            let part_starts = if in_title { 0 } else { text_starts };
            listed.push(SentimentWord {
                from: offsets.at(bytes.start) - part_starts,
                to: offsets.at(bytes.end) - part_starts,
                word: self.text[bytes].to_owned(),
                share: value * scored.per_weight,
                in_title,
            });
        }
        Sentiment {
            score: scored.score,
            label: scored.label,
            confidence: Some(scored.confidence),
            words: listed,
            fallback,
        }
    }
}

/// A title, a line end and a text, with the tokens of both; the text itself, where there is no title.
fn as_one<'t, 'a>(
    title: Option<&Tokenized<'_>>,
    text: &'a Tokenized<'t>,
) -> (Cow<'t, str>, Cow<'a, [Token]>) {
    let Some(title) = title else { return (text.text.into(), text.tokens.as_slice().into()) };
    let whole = format!("{}\n{}", title.text, text.text);
    let behind = text.tokens.iter().map(|token| token.behind(title.text.len() + 1));
    let tokens: Vec<Token> = title.tokens.iter().cloned().chain(behind).collect();
    (whole.into(), tokens.into())
}

/// Places in characters of the title or the text, as bytes of both as one.
fn places(whole: &str, title_bytes: usize, characters: impl IntoIterator<Item = Place>) -> Vec<Range<usize>> {
    let offsets = CharacterOffsets::new(whole);
    let text_starts = offsets.at(title_bytes);
    let mut places = Vec::new();
    for Place { in_title, characters } in characters {
        let before = if in_title { 0 } else { text_starts };
        places.push(offsets.byte(before + characters.start)..offsets.byte(before + characters.end));
    }
    places
}

#[cfg(test)]
mod tests;
