//! Risk and intent: what could harm whom a mention is about, and what its author is about; each with the words that
//! it was read from, and the desks that it is for.
//!
//! Patterns are read from files (`enrich/lexicons/risk-en`) in the query language of saved searches, and all stand
//! together in one [`Finder`]. An occurrence counts unless a word that drops its pattern stands in the same sentence,
//! or a negation shortly before it in the same clause: *no lawsuit* is none. What is asked, feared or threatened counts
//! like what happened: *if they sue* is a matter for the same desk.
//!
//! What belongs here: from the texts of a mention to its labels. What a rule makes of a label is the watchlist's.

mod code_names;
mod desks;
mod layout;
mod patterns;
mod stretches;

use std::collections::HashSet;
use std::fmt;
use std::path::Path;

use earshot_common::events::{Enriched, EntityMatch, EntityTag, Evidence, INTENTS, Polarity, RISKS};
use earshot_common::query::places::{BODY, Stretch};
use earshot_common::query::{Finder, Found, Query};
use earshot_common::text::{CharacterOffsets, Tokenized};

use crate::lines::{self, LineError};
pub use desks::{Desks, DesksError};

use layout::{Layout, Sentences};
use patterns::{Meaning, Pattern};
use stretches::Stretches;

/// Words from a negation to what it denies, at most.
const NEGATION_REACH: u32 = 4;
/// Places listed for one label of one mention; more of them say nothing new.
const MAX_PLACES: usize = 5;

/// The label of a code name that is out.
const LEAK: &str = "leak";
/// Labels that depend on more than their patterns.
const QUESTION: &str = "question";
const COMPLAINT: &str = "complaint";
const PRAISE: &str = "praise";
const CHURN: &str = "churn";
const PURCHASE: &str = "purchase";

/// What is looked for, and whom it is for.
pub struct Risks {
    finder: Finder,
    /// By the number of the query in the finder; none where a query only drops others.
    patterns: Vec<Option<Pattern>>,
    desks: Desks,
    version: String,
}

/// What the texts of a mention hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sights {
    /// What may count, in the order of the text.
    pub evidence: Vec<Evidence>,
    /// Every place of a code name, without the name.
    pub code_names: Vec<EntityMatch>,
}

/// The labels of a mention, each once, and what they were read from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// Risk categories.
    pub risk: Vec<String>,
    /// Intents.
    pub intent: Vec<String>,
    /// Desks.
    pub desks: Vec<String>,
    /// Their words, in the order of the text.
    pub evidence: Vec<Evidence>,
}

impl Risks {
    /// The patterns that come with the program, for English, and the desks that are usual.
    pub fn english() -> Self {
        let mut risks = Self {
            finder: Finder::default(),
            patterns: Vec::new(),
            desks: Desks::default(),
            version: patterns::VERSION.to_owned(),
        };
        for (name, content) in patterns::ENGLISH {
            risks.add(name, content).expect("the shipped patterns are checked by a test");
        }
        risks
    }

    /// Adds the patterns of a file's lines.
    pub fn add(&mut self, file: &str, content: &str) -> Result<(), LineError> {
        lines::for_each(file, content, "#", |line| self.add_line(line))
    }

    /// Adds a team's own patterns; judgements carry the file's name.
    pub fn overlay(&mut self, file: &Path) -> anyhow::Result<()> {
        let name = lines::overlay(file, |name, content| self.add(name, content))?;
        self.version = format!("{}+{name}", self.version);
        Ok(())
    }

    /// Adds a team's confidential code names. Nothing that is written anywhere tells which they are.
    pub fn add_code_names(&mut self, file: &Path) -> anyhow::Result<()> {
        for query in code_names::read(file)? {
            self.finder.add(&query).expect("a phrase stands at a place");
            self.patterns.push(Some(Pattern {
                meaning: Meaning::CodeName,
                unless: None,
                denies_itself: false,
            }));
        }
        Ok(())
    }

    /// Sends labels to other desks.
    pub fn set_desks(&mut self, desks: Desks) {
        self.desks = desks;
    }

    /// Names and versions of the patterns, as every judgement carries them.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Looks for everything. In a text that is not English only code names mean something.
    pub fn look(&self, title: Option<&Tokenized<'_>>, text: &Tokenized<'_>, english: bool) -> Sights {
        let found = self.finder.find(title, text);
        // Most texts have at most words that deny or drop something.
        if !found.iter().any(|one| self.says_something(one)) {
            return Sights::default();
        }
        let layout = Layout::of(title, text);
        let code_names = self.code_names(&found);
        let confidential = Stretches::of(code_names.iter().copied());
        let mut labelled: Vec<(Stretch, &str)> = code_names.iter().map(|stretch| (*stretch, LEAK)).collect();
        if english {
            // A word of a code name is a name and says nothing by itself.
            let is_named = |at: u32| confidential.overlap((at, at));
            let labels = self.labelled(&found, &layout).into_iter();
            labelled.extend(labels.filter(|((first, last), _)| !is_named(*first) && !is_named(*last)));
        }
        let mut places = Places::of(title.map_or("", |title| title.text), text.text, &layout);
        let mut sights = Sights::default();
        for (stretch, label) in first_of_each(labelled) {
            sights.evidence.push(places.evidence(label, stretch, confidential.overlap(stretch)));
        }
        for stretch in &code_names {
            sights.code_names.push(places.nameless(*stretch));
        }
        sights
    }

    /// The labels that stand, once the polarity of the message and its subjects are known: praise is nothing bad, a
    /// complaint nothing good, and a subject's name no risk.
    pub fn labels(&self, evidence: Vec<Evidence>, polarity: Polarity, subjects: &[EntityTag]) -> Labels {
        let mut labels = Labels { evidence, ..Labels::default() };
        labels.evidence.retain(|found| {
            let contradicted = match found.label.as_str() {
                COMPLAINT => polarity == Polarity::Positive,
                PRAISE => polarity == Polarity::Negative,
                _ => false,
            };
            !contradicted && !is_in_a_name(found, subjects)
        });
        labels.risk = those_found(&RISKS, &labels.evidence);
        labels.intent = those_found(&INTENTS, &labels.evidence);
        labels.desks = self.desks.of(labels.risk.iter().chain(&labels.intent));
        labels
    }

    fn add_line(&mut self, line: &str) -> Result<(), String> {
        let denies_itself = !self.negations(&self.finder.find(None, &Tokenized::new(line))).is_empty();
        let line = patterns::read_line(line)?;
        let unless = line.unless.map(|query| self.add_query(&query, None)).transpose()?;
        self.add_query(&line.query, Some(Pattern { meaning: line.meaning, unless, denies_itself }))?;
        Ok(())
    }

    fn add_query(&mut self, query: &Query, pattern: Option<Pattern>) -> Result<usize, String> {
        let number = self.finder.add(query)?;
        self.patterns.push(pattern);
        Ok(number)
    }

    fn says_something(&self, found: &Found) -> bool {
        self.patterns[found.query].as_ref().is_some_and(|pattern| pattern.meaning != Meaning::Negation)
    }

    fn code_names(&self, found: &[Found]) -> Vec<Stretch> {
        let is_code_name = |one: &&Found| {
            self.patterns[one.query].as_ref().is_some_and(|pattern| pattern.meaning == Meaning::CodeName)
        };
        let mut places: Vec<Stretch> = found.iter().filter(is_code_name).map(|one| one.stretch).collect();
        places.sort_unstable();
        places
    }

    /// Where the patterns of labels stand and mean what they say.
    fn labelled(&self, found: &[Found], layout: &Layout) -> Vec<(Stretch, &'static str)> {
        let negations = self.negations(found);
        let mut labelled = Vec::new();
        for Found { query, stretch } in found {
            let Some(Pattern { meaning: Meaning::Label(label), unless, denies_itself }) =
                &self.patterns[*query]
            else {
                continue;
            };
            let denied = || {
                let from = negations.partition_point(|(_, last)| last + NEGATION_REACH < stretch.0);
                let mut near = negations[from..].iter().take_while(|(_, last)| *last <= stretch.1);
                near.any(|negation| {
                    layout.governs(*negation, *stretch, NEGATION_REACH)
                        || (!denies_itself && is_within(*negation, *stretch))
                })
            };
            let means_it = match *label {
                QUESTION => layout.is_asked(*stretch),
                _ if layout.is_of_a_ticker(*stretch) => false,
                CHURN | PURCHASE if layout.is_of_shares(*stretch) => false,
                _ => !denied(),
            };
            let is_dropped = unless.is_some_and(|unless| stands_beside(found, unless, *stretch, layout));
            if means_it && layout.is_in_one_sentence(*stretch) && !is_dropped {
                labelled.push((*stretch, *label));
            }
        }
        labelled
    }

    /// Where something is denied, by the last word of what denies it.
    fn negations(&self, found: &[Found]) -> Vec<Stretch> {
        let mut negations = Vec::new();
        for of_one in found.chunk_by(|a, b| a.query == b.query) {
            let Some(Pattern { meaning: Meaning::Negation, unless, .. }) = self.patterns[of_one[0].query]
            else {
                continue;
            };
            // Phrases such as *not only* hold the word itself.
            let dropping = unless.map_or(&[][..], |unless| places_of(found, unless));
            let dropped = Stretches::of(dropping.iter().map(|one| one.stretch));
            negations
                .extend(of_one.iter().map(|one| one.stretch).filter(|stretch| !dropped.overlap(*stretch)));
        }
        negations.sort_unstable_by_key(|(first, last)| (*last, *first));
        negations
    }
}

/// The patterns would spell the code names that are among them.
impl fmt::Debug for Risks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Risks")
            .field("version", &self.version)
            .field("desks", &self.desks)
            .finish_non_exhaustive()
    }
}

/// Whether the patterns read a language (ISO 639-1, or `und`): English, and what may be English.
pub fn is_read(lang: &str) -> bool {
    matches!(lang, "en" | "und")
}

/// The risk categories that are said of each subject, in the order of the mention's tags: those that stand in a
/// sentence that names it, and those in a sentence that names no subject at all. (In *Tarnwick is sued. I love
/// Harbor.* only Tarnwick is at risk.)
pub fn of_subjects(enriched: &Enriched) -> Vec<Vec<String>> {
    let Enriched { mention, entities, risk, evidence, .. } = enriched;
    if entities.len() < 2 || risk.is_empty() {
        return vec![risk.clone(); entities.len()];
    }
    let in_title = Sentences::of(mention.title.as_deref().unwrap_or_default());
    let in_text = Sentences::of(&mention.text);
    let sentence = |title: bool, from: u32| (title, if title { &in_title } else { &in_text }.at(from));
    let mut named: Vec<HashSet<(bool, usize)>> = Vec::new();
    for tag in entities {
        named.push(tag.matches.iter().map(|named| sentence(named.in_title, named.from)).collect());
    }
    let all: HashSet<(bool, usize)> = named.iter().flatten().copied().collect();
    let said: Vec<(&str, (bool, usize))> =
        evidence.iter().map(|found| (found.label.as_str(), sentence(found.in_title, found.from))).collect();
    let is_said = |risk: &str, ours: &HashSet<(bool, usize)>| {
        said.iter().any(|(label, at)| *label == risk && (ours.contains(at) || !all.contains(at)))
    };
    named.iter().map(|ours| risk.iter().filter(|risk| is_said(risk, ours)).cloned().collect()).collect()
}

/// What stands where, as records have it: in characters of the title or the text.
struct Places<'m> {
    title: &'m str,
    text: &'m str,
    layout: &'m Layout,
    in_title: CharacterOffsets<'m>,
    in_text: CharacterOffsets<'m>,
}

impl<'m> Places<'m> {
    fn of(title: &'m str, text: &'m str, layout: &'m Layout) -> Self {
        let (in_title, in_text) = (CharacterOffsets::new(title), CharacterOffsets::new(text));
        Self { title, text, layout, in_title, in_text }
    }

    fn evidence(&mut self, label: &str, stretch: Stretch, is_confidential: bool) -> Evidence {
        let EntityMatch { from, to, in_title, .. } = self.nameless(stretch);
        let part = if in_title { self.title } else { self.text };
        let words = (!is_confidential).then(|| part[self.layout.bytes(stretch)].to_owned());
        Evidence { label: label.to_owned(), from, to, words, in_title }
    }

    fn nameless(&mut self, stretch: Stretch) -> EntityMatch {
        let in_title = stretch.0 < BODY;
        let bytes = self.layout.bytes(stretch);
        let offsets = if in_title { &mut self.in_title } else { &mut self.in_text };
        let (from, to) = (offsets.at(bytes.start), offsets.at(bytes.end));
        EntityMatch {
            from,
            to,
            alias: String::new(),
            corroborated_by: None,
            in_title,
            corroboration: None,
            derived: None,
        }
    }
}

/// Where one query stands; what was found is in the order of the queries.
fn places_of(found: &[Found], query: usize) -> &[Found] {
    let from = found.partition_point(|one| one.query < query);
    let until = found.partition_point(|one| one.query <= query);
    &found[from..until]
}

/// In the order of the text, of places of one label that overlap the first, and not too many.
fn first_of_each(mut labelled: Vec<(Stretch, &str)>) -> Vec<(Stretch, &str)> {
    labelled.sort_unstable();
    let mut kept: Vec<(Stretch, &str)> = Vec::new();
    for (stretch, label) in labelled {
        let of_label = || kept.iter().filter(|(_, other)| *other == label);
        if of_label().count() < MAX_PLACES && !of_label().any(|(other, _)| overlap(*other, stretch)) {
            kept.push((stretch, label));
        }
    }
    kept
}

/// Whether a query stands in the same sentence.
fn stands_beside(found: &[Found], query: usize, stretch: Stretch, layout: &Layout) -> bool {
    let places = places_of(found, query);
    let sentence = layout.sentence(stretch);
    let from = places.partition_point(|other| layout.sentence(other.stretch) < sentence);
    places.get(from).is_some_and(|other| layout.sentence(other.stretch) == sentence)
}

fn is_within(inner: Stretch, outer: Stretch) -> bool {
    outer.0 <= inner.0 && inner.1 <= outer.1
}

fn overlap(a: Stretch, b: Stretch) -> bool {
    a.0 <= b.1 && b.0 <= a.1
}

fn those_found(names: &[&str], evidence: &[Evidence]) -> Vec<String> {
    let is_found = |name: &&&str| evidence.iter().any(|found| found.label == **name);
    names.iter().filter(is_found).map(|name| (*name).to_owned()).collect()
}

/// Whether the words are part of what a subject is called, as in *Recall Masters*.
fn is_in_a_name(found: &Evidence, subjects: &[EntityTag]) -> bool {
    let is_within = |named: &EntityMatch| {
        named.in_title == found.in_title && named.from <= found.from && found.to <= named.to
    };
    found.words.is_some() && subjects.iter().flat_map(|subject| &subject.matches).any(is_within)
}

#[cfg(test)]
mod tests;
