//! A query against one mention.

use std::ops::Range;

use super::facts::Facts;
use super::places::{BODY, Place, Stretch, Words, WrittenTexts, within};
use super::tree::{Condition, Query, Scope, Text};
use super::vocabulary::{Item, Vocabulary};
use crate::events::Enriched;
use crate::text::{Form, Tokenized, WordInText};
use crate::time::Timestamp;

/// A query, prepared for many mentions.
#[derive(Debug)]
pub struct Matcher {
    vocabulary: Vocabulary,
    plan: Plan,
}

impl Matcher {
    /// Prepares a query.
    pub fn new(query: &Query) -> Self {
        let mut vocabulary = Vocabulary::default();
        let plan = Plan::of(query, &mut vocabulary);
        Self { vocabulary, plan }
    }

    /// Whether the query matches a mention, where `now` is now.
    pub fn matches(&self, mention: &Enriched, now: Timestamp) -> bool {
        let mut sighting = Sighting::default();
        sighting.look(&self.vocabulary, mention);
        self.plan.holds(&sighting, now)
    }
}

/// Where in two texts the words and phrases stand that a query asks for, in no order. Of a distance those
/// that made it; what the query excludes is none of them.
pub fn stretches(query: &Query, title: &str, body: &str) -> Vec<Stretch> {
    let mut vocabulary = Vocabulary::default();
    let mut places = Vec::new();
    positive_places(query, &mut vocabulary, &mut places);
    let mut sighting = Sighting::default();
    sighting.look_at_texts(&vocabulary, Some(&Tokenized::new(title)), &Tokenized::new(body));
    let mut stretches = Vec::new();
    for (scope, place) in places {
        place.parts(&Scoped { sighting: &sighting, scope }, &mut stretches);
    }
    stretches
}

fn positive_places(query: &Query, vocabulary: &mut Vocabulary, places: &mut Vec<(Scope, Place)>) {
    match query {
        Query::All | Query::Field(_) | Query::Not(_) => {}
        Query::Text(Text { scope, span }) => {
            let place = Place::of(span, &mut |word| vocabulary.take(Item::Word(word.clone())));
            places.push((*scope, place));
        }
        Query::And(parts) | Query::Or(parts) => {
            parts.iter().for_each(|part| positive_places(part, vocabulary, places));
        }
    }
}

/// A query with its words and values replaced by their numbers.
#[derive(Clone, Debug)]
pub(super) enum Plan {
    All,
    /// One of the words or values is there.
    Present(u32),
    Word(Scope, u32),
    Text(Scope, Place),
    Field(Condition),
    And(Vec<Plan>),
    Or(Vec<Plan>),
    Not(Box<Plan>),
}

impl Plan {
    /// Of a query, with its words and values in the vocabulary. Each use is counted.
    pub(super) fn of(query: &Query, vocabulary: &mut Vocabulary) -> Self {
        match query {
            Query::All => Self::All,
            Query::Text(Text { scope, span }) => {
                match Place::of(span, &mut |word| vocabulary.take(Item::Word(word.clone()))) {
                    Place::Word(word) if *scope == Scope::Anywhere => Self::Present(word),
                    Place::Word(word) => Self::Word(*scope, word),
                    place => Self::Text(*scope, place),
                }
            }
            Query::Field(Condition::Value(field, value)) => {
                Self::Present(vocabulary.take(Item::Value(*field, value.clone())))
            }
            Query::Field(condition) => Self::Field(condition.clone()),
            Query::And(parts) => Self::And(parts.iter().map(|part| Self::of(part, vocabulary)).collect()),
            Query::Or(parts) => Self::Or(parts.iter().map(|part| Self::of(part, vocabulary)).collect()),
            Query::Not(query) => Self::Not(Box::new(Self::of(query, vocabulary))),
        }
    }

    pub(super) fn holds(&self, sighting: &Sighting, now: Timestamp) -> bool {
        match self {
            Self::All => true,
            Self::Present(item) => sighting.is_present(*item),
            Self::Word(scope, word) => !within(*scope, sighting.places(*word)).is_empty(),
            Self::Text(Scope::Anywhere, place) => place.occurs(sighting),
            Self::Text(scope, place) => place.occurs(&Scoped { sighting, scope: *scope }),
            Self::Field(condition) => sighting.facts.as_ref().is_some_and(|facts| facts.meet(condition, now)),
            Self::And(parts) => parts.iter().all(|part| part.holds(sighting, now)),
            Self::Or(parts) => parts.iter().any(|part| part.holds(sighting, now)),
            Self::Not(part) => !part.holds(sighting, now),
        }
    }

    /// Every word and value, once for each use.
    pub(super) fn items(&self, items: &mut Vec<u32>) {
        match self {
            Self::All | Self::Field(_) => {}
            Self::Present(item) | Self::Word(_, item) => items.push(*item),
            Self::Text(_, place) => place_items(place, items),
            Self::And(parts) | Self::Or(parts) => parts.iter().for_each(|part| part.items(items)),
            Self::Not(part) => part.items(items),
        }
    }
}

fn place_items(place: &Place, items: &mut Vec<u32>) {
    match place {
        Place::Word(word) => items.push(*word),
        Place::Phrase(words) | Place::Raw { words, .. } => items.extend(words),
        Place::Any(places) => places.iter().for_each(|place| place_items(place, items)),
        Place::Near { left, right, .. } => {
            place_items(left, items);
            place_items(right, items);
        }
    }
}

/// What of a vocabulary is in one mention, and where. Made once and used for one mention after another.
#[derive(Debug, Default)]
pub(super) struct Sighting {
    /// Item and place, in ascending order.
    seen: Vec<(u32, u32)>,
    /// The items that are there.
    present: Vec<u32>,
    places: Vec<u32>,
    /// For each item, the mention that it was last seen in, and its part of `places`.
    slots: Vec<(u64, Range<u32>)>,
    mention: u64,
    facts: Option<Facts>,
    /// Kept where raw terms may ask for it.
    written: WrittenTexts,
    found: Vec<u32>,
    /// A word in one of the forms that it is compared in.
    form: String,
}

impl Sighting {
    /// Looks at a mention.
    pub(super) fn look(&mut self, vocabulary: &Vocabulary, mention: &Enriched) {
        self.begin(vocabulary);
        let title = mention.mention.title.as_deref().map(Tokenized::new);
        self.read_texts(vocabulary, title.as_ref(), &Tokenized::new(&mention.mention.text));
        let facts = Facts::of(mention);
        for (field, value) in &facts.values {
            vocabulary.values(*field, value, &mut self.found);
            self.seen.extend(self.found.drain(..).map(|item| (item, 0)));
        }
        self.facts = Some(facts);
        self.sort_out();
    }

    /// Looks at two texts.
    pub(super) fn look_at_texts(
        &mut self,
        vocabulary: &Vocabulary,
        title: Option<&Tokenized<'_>>,
        body: &Tokenized<'_>,
    ) {
        self.begin(vocabulary);
        self.read_texts(vocabulary, title, body);
        self.sort_out();
    }

    fn begin(&mut self, vocabulary: &Vocabulary) {
        self.mention += 1;
        self.seen.clear();
        self.slots.resize_with(vocabulary.len(), Default::default);
    }

    fn read_texts(&mut self, vocabulary: &Vocabulary, title: Option<&Tokenized<'_>>, body: &Tokenized<'_>) {
        self.written.title.starts = title.map(|title| self.read(vocabulary, title, 0)).unwrap_or_default();
        self.written.body.starts = self.read(vocabulary, body, BODY);
        if vocabulary.has_exact() {
            title.map_or("", |title| title.text).clone_into(&mut self.written.title.text);
            body.text.clone_into(&mut self.written.body.text);
        }
    }

    /// Looks at a text whose first word has this position; gives the first byte of each token, where raw
    /// terms may ask for it.
    fn read(&mut self, vocabulary: &Vocabulary, text: &Tokenized<'_>, first: u32) -> Vec<usize> {
        let mut starts = Vec::new();
        let Self { seen, found, form, .. } = self;
        text.for_each_word(|word: &WordInText<'_>| {
            word.write(Form::Folded, form);
            vocabulary.words(form, found);
            if vocabulary.has_exact() {
                word.write(Form::Exact, form);
                vocabulary.exact_word(form, found);
                starts.resize(word.position + 1, word.bytes.start);
            }
            seen.extend(found.drain(..).map(|item| (item, first + word.position as u32)));
        });
        starts
    }

    /// Gives each item that was seen its places.
    fn sort_out(&mut self) {
        self.seen.sort_unstable();
        self.seen.dedup();
        self.present.clear();
        self.places.clear();
        for &(item, place) in &self.seen {
            let end = self.places.len() as u32;
            let (mention, places) = &mut self.slots[item as usize];
            if *mention != self.mention {
                *mention = self.mention;
                *places = end..end;
                self.present.push(item);
            }
            places.end = end + 1;
            self.places.push(place);
        }
    }

    /// The items that are there.
    pub(super) fn present(&self) -> &[u32] {
        &self.present
    }

    fn is_present(&self, item: u32) -> bool {
        self.slots[item as usize].0 == self.mention
    }
}

impl Words for Sighting {
    fn places(&self, word: u32) -> &[u32] {
        let (mention, places) = &self.slots[word as usize];
        match *mention == self.mention {
            true => &self.places[places.start as usize..places.end as usize],
            false => &[],
        }
    }

    fn reads(&self, place: u32, lead: usize, wanted: &str) -> bool {
        self.written.reads(place, lead, wanted)
    }
}

/// One text of a mention.
pub(super) struct Scoped<'s> {
    pub(super) sighting: &'s Sighting,
    pub(super) scope: Scope,
}

impl Words for Scoped<'_> {
    fn places(&self, word: u32) -> &[u32] {
        within(self.scope, self.sighting.places(word))
    }

    fn reads(&self, place: u32, lead: usize, text: &str) -> bool {
        self.sighting.reads(place, lead, text)
    }
}
