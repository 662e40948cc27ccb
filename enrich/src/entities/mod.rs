//! Which subjects of the watchlist a mention names, where, and whether it counts.
//!
//! What belongs here: finding names and deciding between *sure* and *doubtful* (`gate`). What does not: what is
//! said about the subjects. What names are found, and what it takes for each to count, is written for people in
//! `enrich/lexicons/README.md`.

mod folded;
mod gate;
mod lists;
mod names;
mod passing;
mod patterns;
mod person;

use std::collections::HashMap;
use std::ops::Range;

use aho_corasick::BuildError;
use earshot_common::definitions::{AliasClass, Subject, SubjectKind, Watchlist};
use earshot_common::events::{Corroboration, Derivation, EntityMatch, Lane, Mention};
use earshot_common::text::{
    CharacterOffsets, Token, TokenKind, Tokenized, fold, is_apostrophe, is_written_without_spaces,
    split_hashtag,
};

use folded::Folded;
use gate::{Finding, FoundContext, Surrounding, Texts};
use passing::SymbolLists;
use patterns::{Form, Pattern, Patterns, has_capitals, letters};
use person::{Before, Person, is_written_as_name, word_before};

/// Places listed for one subject of one mention; more of them say nothing new.
const MAX_MATCHES: usize = 100;

/// Names, and words that corroborate them, that a mention is read for, at most: what is done with each looks at the
/// others, and a list of more says nothing new.
const MAX_FOUND: usize = 500;

/// Before or in a role they speak of somebody who is not the one who has it.
const NOT_IN_OFFICE: [&str; 9] =
    ["acting", "ex", "former", "formerly", "late", "next", "onetime", "past", "previous"];

/// Finds the subjects of a watchlist in mentions.
#[derive(Debug)]
pub struct Matcher {
    subjects: Vec<Watched>,
    /// For each source that is about subjects: their places among the subjects.
    sources: HashMap<String, Vec<usize>>,
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
    /// Whether every place is one in a list of ticker symbols.
    pub passing: bool,
}

#[derive(Debug)]
struct Watched {
    id: String,
    kind: SubjectKind,
    /// Of an executive: the company's place among the subjects.
    company: Option<usize>,
    /// Of an executive: the parts of the name.
    person: Option<Person>,
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
    /// It counts only with corroboration.
    ambiguous: bool,
    /// The alias, as the watchlist writes it or as it follows from that.
    alias: &'m str,
    /// How it follows.
    derived: Option<Derivation>,
}

/// How a range of the text ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// With a word, or with its possessive.
    Whole,
    /// Before the ending of a plural.
    Plural,
}

/// One part of a mention, taken apart.
struct Read<'t> {
    part: Part,
    text: &'t str,
    tokens: &'t [Token],
}

impl<'t> Read<'t> {
    fn of(part: Part, tokenized: &'t Tokenized<'_>) -> Self {
        Self { part, text: tokenized.text, tokens: &tokenized.tokens }
    }
}

/// Everything of interest in a mention.
#[derive(Default)]
struct Hits<'m, 't> {
    names: Vec<Found<'m, 't>>,
    contexts: Vec<FoundContext<'m, 't>>,
}

impl Hits<'_, '_> {
    fn is_full(&self) -> bool {
        self.names.len() >= MAX_FOUND || self.contexts.len() >= MAX_FOUND
    }
}

impl Matcher {
    /// Finds all subjects of a watchlist.
    pub fn new(watchlist: &Watchlist) -> Result<Self, BuildError> {
        let subjects: Vec<&Subject> = watchlist.subjects().collect();
        let places: HashMap<&str, usize> =
            subjects.iter().enumerate().map(|(place, subject)| (subject.id.as_str(), place)).collect();
        let place = |id: &String| places.get(id.as_str()).copied();
        let mut watched = Vec::new();
        for subject in &subjects {
            let (id, kind) = (subject.id.clone(), subject.kind);
            let company = subject.company.as_ref().and_then(place);
            watched.push(Watched { id, kind, company, person: names::person(subject) });
        }
        let patterns = Patterns::of(&subjects, &watched)?;
        let mut sources = HashMap::new();
        for source in watchlist.sources().filter(|source| !source.subjects.is_empty()) {
            sources.insert(source.id.clone(), source.subjects.iter().filter_map(place).collect());
        }
        Ok(Self { subjects: watched, sources, patterns })
    }

    /// The subjects that a mention names, each once, in the order of their ids.
    pub fn find(&self, mention: &Mention) -> Vec<NamedSubject> {
        let title = mention.title.as_deref().map(Tokenized::new);
        self.find_among(mention, title.as_ref(), &Tokenized::new(&mention.text))
    }

    /// The same where title and text are taken apart already.
    pub fn find_among(
        &self,
        mention: &Mention,
        title: Option<&Tokenized<'_>>,
        text: &Tokenized<'_>,
    ) -> Vec<NamedSubject> {
        let texts = Texts { title: title.map_or("", |title| title.text), text: text.text };
        let mut hits = Hits::default();
        if let Some(title) = title {
            self.find_in(Read::of(Part::Title, title), &mut hits);
        }
        self.find_in(Read::of(Part::Text, text), &mut hits);
        for link in mention.links.iter().filter(|link| !text.text.contains(link.as_str())) {
            for number in self.patterns.of_address(link) {
                hits.names.push(Found::certain(&self.patterns.all[number], Part::Links, 0..0, link));
            }
        }
        if hits.names.is_empty() {
            return Vec::new();
        }
        let around = match hits.names.iter().any(|name| name.ambiguous) {
            true => self.around(mention),
            false => Vec::new(),
        };
        let findings = gate::pass(hits.names, &hits.contexts, &around, &self.subjects, texts);
        let offsets = (CharacterOffsets::new(texts.title), CharacterOffsets::new(texts.text));
        let lists = SymbolLists::of(title, text);
        let described = findings.into_iter().map(|finding| NamedSubject {
            subject: self.subjects[finding.subject].id.clone(),
            kind: self.subjects[finding.subject].kind,
            lane: if finding.evidence.is_some() { Lane::Sure } else { Lane::Doubtful },
            passing: finding.names.iter().all(|name| lists.hold(name)),
            matches: places(&finding, &offsets),
        });
        described.collect()
    }

    /// The subjects that are the mention's author, or that its site or source is about.
    fn around<'t>(&self, mention: &'t Mention) -> Vec<Surrounding<'t>> {
        let mut around = Vec::new();
        let mut add = |subject, written, kind| around.push(Surrounding { subject, written, kind });
        if let Some(handle) = mention.author.as_ref().and_then(|author| author.handle.as_deref()) {
            for number in self.patterns.of_handle(handle) {
                add(self.patterns.all[*number].subject, handle, Corroboration::Author);
            }
        }
        for address in mention.url.as_deref().into_iter().chain(mention.source.site.as_deref()) {
            for number in self.patterns.of_address(address) {
                add(self.patterns.all[number].subject, address, Corroboration::Site);
            }
        }
        for subject in self.sources.get(&mention.source.id).into_iter().flatten() {
            add(*subject, mention.source.id.as_str(), Corroboration::Source);
        }
        around
    }

    /// Everything of interest in one part of a mention.
    fn find_in<'m, 't>(&'m self, read: Read<'t>, hits: &mut Hits<'m, 't>) {
        self.find_phrases(&read, hits);
        for token in read.tokens {
            if hits.is_full() {
                break;
            }
            let written = token.of(read.text);
            let addressed;
            let numbers = match token.kind {
                TokenKind::Handle => self.patterns.of_handle(written),
                TokenKind::Cashtag => self.patterns.of_cashtag(written),
                TokenKind::Url => {
                    addressed = self.patterns.of_address(written);
                    &addressed
                }
                TokenKind::Hashtag => {
                    self.find_in_hashtag(&read, token, hits);
                    continue;
                }
                TokenKind::Word | TokenKind::Emoji => continue,
            };
            for number in numbers {
                let pattern = &self.patterns.all[*number];
                hits.names.push(Found::certain(pattern, read.part, token.bytes.clone(), written));
            }
        }
    }

    fn find_phrases<'m, 't>(&'m self, read: &Read<'t>, hits: &mut Hits<'m, 't>) {
        let folded = Folded::of(read.text);
        for hit in self.patterns.phrases.words.find_overlapping_iter(&folded.text) {
            if hits.is_full() {
                break;
            }
            let Some(bytes) = folded.original(hit.range()) else { continue };
            let Some(ending) = ending(read, &bytes) else { continue };
            let form: &Form = &self.patterns.phrases.forms[hit.pattern().as_usize()];
            for number in &form.patterns {
                hits.names.extend(self.named(&self.patterns.all[*number], read, &bytes, ending));
            }
            if !form.contexts.is_empty() {
                let written = &read.text[bytes.clone()];
                hits.contexts.push(FoundContext {
                    contexts: &form.contexts,
                    part: read.part,
                    bytes,
                    written,
                });
            }
        }
    }

    /// What it means that a pattern's words stand somewhere: perhaps nothing, by their case, or by the words around.
    fn named<'m, 't>(
        &'m self,
        pattern: &'m Pattern,
        read: &Read<'t>,
        bytes: &Range<usize>,
        ending: Ending,
    ) -> Option<Found<'m, 't>> {
        let written = &read.text[bytes.clone()];
        let mut found = Found::certain(pattern, read.part, bytes.clone(), written);
        if pattern.excluded {
            return Some(found);
        }
        let name = &pattern.name;
        let exactly = || written.split_whitespace().eq(pattern.spelling.split_whitespace());
        if (ending == Ending::Plural && !name.has_plural) || (name.exact && !exactly()) {
            return None;
        }
        found.ambiguous = match name.class {
            AliasClass::Distinct => false,
            AliasClass::CommonPhrase => !has_capitals(pattern, written),
            AliasClass::Ambiguous => true,
            AliasClass::CommonWord if has_capitals(pattern, written) => true,
            AliasClass::CommonWord => return None,
        };
        match &self.subjects[pattern.subject].person {
            Some(person) if name.is_surname => of_person(found, person, read),
            Some(person) if name.derived == Some(Derivation::Role) => {
                (!is_of_somebody_else(person, read, bytes)).then_some(found)
            }
            _ => Some(found),
        }
    }

    /// What a hashtag names: `#UnitedAirlines` and `#unitedairlines` as a whole, `#HarborFail` by one of the
    /// words that its capitals show. Its mark does for the capitals of a name.
    fn find_in_hashtag<'m, 't>(&'m self, read: &Read<'t>, token: &Token, hits: &mut Hits<'m, 't>) {
        let written = token.of(read.text);
        let mut joined = String::with_capacity(written.len());
        let mut borders = vec![0];
        for word in split_hashtag(written.trim_start_matches(['#', '＃'])) {
            joined.push_str(&letters(word));
            borders.push(joined.len());
        }
        let folded = Folded::of(&joined);
        for hit in self.patterns.tags.words.find_overlapping_iter(&folded.text) {
            if hits.is_full() {
                break;
            }
            let Some(bytes) = folded.original(hit.range()) else { continue };
            if borders.binary_search(&bytes.start).is_err() || borders.binary_search(&bytes.end).is_err() {
                continue;
            }
            let form: &Form = &self.patterns.tags.forms[hit.pattern().as_usize()];
            for number in &form.patterns {
                let pattern = &self.patterns.all[*number];
                if pattern.name.exact && joined[bytes.clone()] != letters(&pattern.spelling) {
                    continue;
                }
                let mut found = Found::certain(pattern, read.part, token.bytes.clone(), written);
                found.ambiguous = !pattern.excluded
                    && matches!(pattern.name.class, AliasClass::Ambiguous | AliasClass::CommonWord);
                hits.names.push(found);
            }
            if !form.contexts.is_empty() {
                let (part, bytes) = (read.part, token.bytes.clone());
                hits.contexts.push(FoundContext { contexts: &form.contexts, part, bytes, written });
            }
        }
    }
}

impl<'m, 't> Found<'m, 't> {
    /// Something that means its subject.
    fn certain(pattern: &'m Pattern, part: Part, bytes: Range<usize>, written: &'t str) -> Self {
        let (alias, derived) = (&pattern.name.written, pattern.name.derived);
        Self { pattern, part, bytes, written, ambiguous: false, alias, derived }
    }
}

/// A surname by what stands before it: the full name, a form of it, or nothing where it is somebody else's.
fn of_person<'m, 't>(mut found: Found<'m, 't>, person: &'m Person, read: &Read<'t>) -> Option<Found<'m, 't>> {
    match person.before(read.text, read.tokens, found.bytes.start) {
        Before::Nothing => return Some(found),
        Before::SomebodyElse => return None,
        Before::FullName(start) => {
            found.bytes.start = start;
            (found.ambiguous, found.derived) = (false, None);
        }
        Before::Fits(start, derivation) => {
            found.bytes.start = start;
            (found.ambiguous, found.derived) = (true, Some(derivation));
        }
    }
    found.written = &read.text[found.bytes.clone()];
    found.alias = &person.name;
    Some(found)
}

/// Whether the words around a role speak of somebody else who has or had it: `former Harbor CEO`, `Harbor CEO Smith`.
fn is_of_somebody_else(person: &Person, read: &Read, bytes: &Range<usize>) -> bool {
    let before = word_before(read.text, read.tokens, bytes.start).map(|(_, word)| fold(word));
    if before.is_some_and(|word| NOT_IN_OFFICE.contains(&word.as_str()))
        || read.text[..bytes.start].ends_with("ex-")
    {
        return true;
    }
    let behind = read.tokens.partition_point(|token| token.bytes.start < bytes.end);
    let Some(next) = read.tokens.get(behind).filter(|next| next.kind == TokenKind::Word) else {
        return false;
    };
    let word = next.of(read.text);
    let beside = read.text[bytes.end..next.bytes.start].chars().all(char::is_whitespace);
    beside && is_written_as_name(word) && !person.is_called(word)
}

/// Places as records have them, in characters.
fn places(finding: &Finding, (in_title, in_text): &(CharacterOffsets, CharacterOffsets)) -> Vec<EntityMatch> {
    let mut places = Vec::new();
    for name in finding.names.iter().take(MAX_MATCHES) {
        let offsets = if name.part == Part::Title { in_title } else { in_text };
        let evidence = finding.evidence.filter(|_| name.ambiguous);
        places.push(EntityMatch {
            from: offsets.at(name.bytes.start),
            to: offsets.at(name.bytes.end),
            alias: name.alias.to_owned(),
            corroborated_by: evidence.map(|evidence| evidence.written.to_owned()),
            corroboration: evidence.map(|evidence| evidence.kind),
            derived: name.derived,
            in_title: name.part == Part::Title,
        });
    }
    places
}

/// How a range of the text ends, if it begins and ends at borders of words. In scripts without spaces every
/// character is one; behind a name in Hangul a particle may follow.
fn ending(read: &Read, bytes: &Range<usize>) -> Option<Ending> {
    let Read { text, tokens, .. } = read;
    let last = text[..bytes.end].chars().next_back();
    let inside = |at: usize| {
        let around = [text[..at].chars().next_back(), text[at..].chars().next()];
        !around.into_iter().flatten().any(is_written_without_spaces)
    };
    let begins_within =
        |token: &Token| token.kind != TokenKind::Hashtag || !is_mark(&text[token.bytes.start..bytes.start]);
    if inside(bytes.start) && token_across(tokens, bytes.start).is_some_and(begins_within) {
        return None;
    }
    if is_fraction(&text[..bytes.start], &text[bytes.start..]) {
        return None;
    }
    let token = match token_across(tokens, bytes.end) {
        Some(token) if inside(bytes.end) && !last.is_some_and(is_hangul) => token,
        _ => return Some(Ending::Whole),
    };
    let rest = &text[bytes.end..token.bytes.end];
    match token.kind {
        TokenKind::Word if is_possessive(rest) => Some(Ending::Whole),
        TokenKind::Word if matches!(rest, "s" | "S") => Some(Ending::Plural),
        TokenKind::Word if matches!(rest, "es" | "ES") && last.is_some_and(|c| "sxzhSXZH".contains(c)) => {
            Some(Ending::Plural)
        }
        _ => None,
    }
}

/// The token that has a place inside, with something of it on both sides.
fn token_across(tokens: &[Token], at: usize) -> Option<&Token> {
    let next = tokens.partition_point(|token| token.bytes.end <= at);
    tokens.get(next).filter(|token| token.bytes.start < at)
}

/// Whether a text goes on with the digits behind a decimal point: there is no `3M` in `9.3M`.
fn is_fraction(before: &str, rest: &str) -> bool {
    let whole =
        before.strip_suffix(['.', ',']).is_some_and(|whole| whole.ends_with(|c: char| c.is_ascii_digit()));
    whole && rest.starts_with(|c: char| c.is_ascii_digit())
}

/// `#Harbor Bank` is written with a mark before its first word alone.
fn is_mark(beginning: &str) -> bool {
    matches!(beginning, "#" | "＃")
}

fn is_possessive(ending: &str) -> bool {
    let mut mark = ending.strip_suffix(['s', 'S']).unwrap_or_default().chars();
    mark.next().is_some_and(is_apostrophe) && mark.next().is_none()
}

fn is_hangul(c: char) -> bool {
    matches!(u32::from(c), 0xAC00..=0xD7A3)
}

#[cfg(test)]
mod tests;
