//! Which subjects of the watchlist a mention names, where, and whether it counts.
//!
//! What belongs here: finding names and deciding between *sure* and *doubtful*. What does not: what is said
//! about the subjects.

mod folded;
mod patterns;

use std::collections::HashMap;
use std::ops::Range;

use aho_corasick::BuildError;
use earshot_common::definitions::{Subject, SubjectKind, Watchlist};
use earshot_common::events::{EntityMatch, Lane};
use earshot_common::text::{CharacterOffsets, Token, TokenKind, Tokenized, fold, split_hashtag};

use folded::Folded;
use patterns::{Meaning, Pattern, Patterns, letters};

/// Places listed for one subject of one mention; more of them say nothing new.
const MAX_MATCHES: usize = 100;

/// Finds the subjects of a watchlist in mentions.
#[derive(Debug)]
pub struct Matcher {
    subjects: Vec<Watched>,
    patterns: Patterns,
}

/// A subject that a mention names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedSubject {
    /// The subject's id.
    pub subject: String,
    /// What the subject is.
    pub kind: SubjectKind,
    /// Where it is named: the title's places first, then the text's, each in order; at last links that stand
    /// beside the text, which have an empty place.
    pub matches: Vec<EntityMatch>,
    /// Whether it counts.
    pub lane: Lane,
}

#[derive(Debug)]
struct Watched {
    id: String,
    kind: SubjectKind,
    /// Of an executive: the company's place among the subjects.
    company: Option<usize>,
}

/// Which part of a mention a place is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Title,
    Text,
    Links,
}

/// A pattern and where it was found.
#[derive(Clone, Debug)]
struct Found<'m, 't> {
    pattern: &'m Pattern,
    part: Part,
    /// In bytes of the part.
    bytes: Range<usize>,
    written: &'t str,
}

/// What was found of one subject.
struct Finding<'m, 't> {
    subject: usize,
    names: Vec<Found<'m, 't>>,
    /// What makes its ambiguous names count.
    corroboration: Option<&'t str>,
}

impl Matcher {
    /// Finds all subjects of a watchlist.
    pub fn new(watchlist: &Watchlist) -> Result<Self, BuildError> {
        let subjects: Vec<&Subject> = watchlist.subjects().collect();
        let places: HashMap<&str, usize> =
            subjects.iter().enumerate().map(|(place, subject)| (subject.id.as_str(), place)).collect();
        let place = |id: &String| places.get(id.as_str()).copied();
        let watched = |subject: &&Subject| Watched {
            id: subject.id.clone(),
            kind: subject.kind,
            company: subject.company.as_ref().and_then(place),
        };
        Ok(Self { subjects: subjects.iter().map(watched).collect(), patterns: Patterns::of(&subjects)? })
    }

    /// The subjects that a mention names, each once, in the order of their ids.
    pub fn find(&self, title: Option<&str>, text: &str, links: &[String]) -> Vec<NamedSubject> {
        self.find_among(title.map(Tokenized::new).as_ref(), &Tokenized::new(text), links)
    }

    /// The same, of a title and a text that are taken apart already.
    pub fn find_among(
        &self,
        title: Option<&Tokenized<'_>>,
        text: &Tokenized<'_>,
        links: &[String],
    ) -> Vec<NamedSubject> {
        let mut found = Vec::new();
        if let Some(title) = title {
            self.find_in(title, Part::Title, &mut found);
        }
        self.find_in(text, Part::Text, &mut found);
        for link in links.iter().filter(|link| !text.text.contains(link.as_str())) {
            for number in self.patterns.of_address(link) {
                found.push(Found {
                    pattern: &self.patterns.all[number],
                    part: Part::Links,
                    bytes: 0..0,
                    written: link,
                });
            }
        }
        let findings = corroborated_by_companies(&self.subjects, by_subject(found));
        let in_title = CharacterOffsets::new(title.map_or("", |title| title.text));
        let in_text = CharacterOffsets::new(text.text);
        let described = findings.into_iter().map(|finding| NamedSubject {
            subject: self.subjects[finding.subject].id.clone(),
            kind: self.subjects[finding.subject].kind,
            lane: if finding.corroboration.is_some() { Lane::Sure } else { Lane::Doubtful },
            matches: places(&finding, &in_title, &in_text),
        });
        described.collect()
    }

    /// Everything of interest in one part of a mention.
    fn find_in<'m, 't>(
        &'m self,
        Tokenized { text, tokens }: &Tokenized<'t>,
        part: Part,
        found: &mut Vec<Found<'m, 't>>,
    ) {
        let mut push = |number: usize, bytes: Range<usize>| {
            let written = &text[bytes.clone()];
            found.push(Found { pattern: &self.patterns.all[number], part, bytes, written });
        };
        self.find_phrases(text, tokens, &mut push);
        for token in tokens {
            let written = token.of(text);
            let numbers = match token.kind {
                TokenKind::Handle => self.patterns.of_handle(written).to_vec(),
                TokenKind::Cashtag => self.patterns.of_cashtag(written).to_vec(),
                TokenKind::Url => self.patterns.of_address(written),
                TokenKind::Hashtag => self.in_hashtag(written),
                TokenKind::Word | TokenKind::Emoji => Vec::new(),
            };
            for number in numbers {
                push(number, token.bytes.clone());
            }
        }
    }

    fn find_phrases(&self, text: &str, tokens: &[Token], push: &mut impl FnMut(usize, Range<usize>)) {
        let folded = Folded::of(text);
        for hit in self.patterns.phrases.words.find_overlapping_iter(&folded.text) {
            let number = self.patterns.phrases.patterns[hit.pattern().as_usize()];
            let pattern = &self.patterns.all[number];
            let Some(bytes) = folded.original(hit.range()) else { continue };
            let exactly = || text[bytes.clone()].split_whitespace().eq(pattern.written.split_whitespace());
            if is_whole(text, tokens, &bytes) && (!is_exact(pattern) || exactly()) {
                push(number, bytes);
            }
        }
    }

    /// What a hashtag names: `#UnitedAirlines` and `#unitedairlines` as a whole, `#HarborFail` by one of the
    /// words that its capitals show.
    fn in_hashtag(&self, tag: &str) -> Vec<usize> {
        let mut joined = String::new();
        let mut borders = vec![0];
        for word in split_hashtag(tag.trim_start_matches(['#', '＃'])) {
            joined.push_str(&letters(word));
            borders.push(joined.len());
        }
        let folded = Folded::of(&joined);
        let mut numbers = Vec::new();
        for hit in self.patterns.tags.words.find_overlapping_iter(&folded.text) {
            let number = self.patterns.tags.patterns[hit.pattern().as_usize()];
            let pattern = &self.patterns.all[number];
            let Some(bytes) = folded.original(hit.range()) else { continue };
            let whole = borders.contains(&bytes.start) && borders.contains(&bytes.end);
            if whole && (!is_exact(pattern) || joined[bytes] == letters(&pattern.written)) {
                numbers.push(number);
            }
        }
        numbers
    }
}

/// Sorts what was found by subject and keeps the subjects that are named.
fn by_subject<'m, 't>(mut found: Vec<Found<'m, 't>>) -> Vec<Finding<'m, 't>> {
    found.sort_by_key(|found| found.pattern.subject);
    let mut findings = Vec::new();
    for of_one in found.chunk_by(|a, b| a.pattern.subject == b.pattern.subject) {
        let names = names(of_one);
        if !names.is_empty() {
            let corroboration = corroboration(of_one, &names);
            findings.push(Finding { subject: names[0].pattern.subject, names, corroboration });
        }
    }
    findings
}

/// The names of one subject that mean it: none within an excluded phrase, and the longest at each place.
fn names<'m, 't>(found: &[Found<'m, 't>]) -> Vec<Found<'m, 't>> {
    let excluded: Vec<&Found> =
        found.iter().filter(|found| found.pattern.meaning == Meaning::Excluded).collect();
    let mut names: Vec<Found> = Vec::new();
    for name in found.iter().filter(|found| matches!(found.pattern.meaning, Meaning::Name { .. })) {
        if !excluded.iter().any(|phrase| phrase.contains(name)) {
            names.push(name.clone());
        }
    }
    // At one place the longest comes first, and of equals the one that is sure.
    names.sort_by_key(|name| {
        (name.part, name.bytes.start, std::cmp::Reverse(name.bytes.end), is_ambiguous(name))
    });
    let mut kept: Vec<Found> = Vec::new();
    for name in names {
        match kept.last_mut() {
            Some(last) if last.overlaps(&name) => {
                if name.bytes.len() > last.bytes.len() {
                    *last = name;
                }
            }
            _ => kept.push(name),
        }
    }
    kept
}

/// What in the mention itself shows that the subject is meant: a name that is sure, or a word of its context
/// that is not part of an ambiguous name.
fn corroboration<'t>(found: &[Found<'_, 't>], names: &[Found<'_, 't>]) -> Option<&'t str> {
    let certain = names.iter().find(|name| !is_ambiguous(name));
    let is_context = |word: &&Found| {
        word.pattern.meaning == Meaning::Context && !names.iter().any(|name| name.contains(word))
    };
    certain.or_else(|| found.iter().find(is_context)).map(|found| found.written)
}

/// An executive is meant where the company is: the last resort for ambiguous names.
fn corroborated_by_companies<'m, 't>(
    subjects: &[Watched],
    mut findings: Vec<Finding<'m, 't>>,
) -> Vec<Finding<'m, 't>> {
    let sure: Vec<(usize, &str)> = findings
        .iter()
        .filter(|finding| finding.corroboration.is_some())
        .map(|finding| (finding.subject, finding.names[0].written))
        .collect();
    for finding in findings.iter_mut().filter(|finding| finding.corroboration.is_none()) {
        let company = subjects[finding.subject].company;
        finding.corroboration =
            sure.iter().find(|(subject, _)| Some(*subject) == company).map(|(_, name)| *name);
    }
    findings
}

/// Places as records have them, in characters.
fn places(
    finding: &Finding,
    in_title: &CharacterOffsets<'_>,
    in_text: &CharacterOffsets<'_>,
) -> Vec<EntityMatch> {
    let mut places = Vec::new();
    for name in finding.names.iter().take(MAX_MATCHES) {
        let offsets = if name.part == Part::Title { in_title } else { in_text };
        let corroborated_by = finding.corroboration.filter(|_| is_ambiguous(name)).map(str::to_owned);
        places.push(EntityMatch {
            from: offsets.at(name.bytes.start),
            to: offsets.at(name.bytes.end),
            alias: name.pattern.written.clone(),
            corroborated_by,
            in_title: name.part == Part::Title,
        });
    }
    places
}

impl Found<'_, '_> {
    fn contains(&self, other: &Self) -> bool {
        self.part == other.part && self.bytes.start <= other.bytes.start && other.bytes.end <= self.bytes.end
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.part == other.part && self.bytes.start < other.bytes.end && other.bytes.start < self.bytes.end
    }
}

/// Whether a range of the text begins and ends at borders of words; a possessive ending is no part of one.
fn is_whole(text: &str, tokens: &[Token], bytes: &Range<usize>) -> bool {
    let ends = match token_across(tokens, bytes.end) {
        Some(token) => token.kind == TokenKind::Word && is_possessive(&text[bytes.end..token.bytes.end]),
        None => true,
    };
    ends && token_across(tokens, bytes.start).is_none()
}

/// The token that has a place inside, with something of it on both sides.
fn token_across(tokens: &[Token], at: usize) -> Option<&Token> {
    let next = tokens.partition_point(|token| token.bytes.end <= at);
    tokens.get(next).filter(|token| token.bytes.start < at)
}

fn is_possessive(ending: &str) -> bool {
    fold(&format!("x{ending}")) == "x"
}

fn is_ambiguous(name: &Found) -> bool {
    matches!(name.pattern.meaning, Meaning::Name { ambiguous: true, .. })
}

fn is_exact(pattern: &Pattern) -> bool {
    matches!(pattern.meaning, Meaning::Name { exact: true, .. })
}

#[cfg(test)]
mod tests;
