//! A text read once: its words, the words that weigh something, and its clauses.
//!
//! What belongs here: finding them. What the words around a word do to it is in `rules`.

use std::ops::Range;

use earshot_common::text::Token;

use super::languages::Language;
use super::lexicon::Lexicon;
use super::roles::{Role, Roles};
use super::rules::Rule;
use super::words::{self, Names, Pause, Word, begins_a_sentence};

/// A word or phrase that weighs something.
#[derive(Clone, Debug)]
pub(super) struct Hit {
    /// Which words it is made of.
    pub(super) words: Range<usize>,
    /// What it weighs by itself.
    pub(super) weight: f32,
    /// What its surroundings make of that.
    pub(super) factor: f32,
    /// The rules that changed the factor.
    pub(super) rules: Vec<Rule>,
}

impl Hit {
    /// What it weighs where it stands.
    pub(super) fn value(&self) -> f32 {
        self.weight * self.factor
    }

    /// Changes the factor, and says by which rule.
    pub(super) fn scale(&mut self, by: f32, rule: Rule) {
        self.factor *= by;
        if !self.rules.contains(&rule) {
            self.rules.push(rule);
        }
    }
}

/// A stretch of words that say one thing.
#[derive(Clone, Debug)]
pub(super) struct Clause {
    pub(super) words: Range<usize>,
    pub(super) hits: Range<usize>,
    /// Which sentence it is part of, counted from 0.
    pub(super) sentence: usize,
    /// The roles of its words together.
    pub(super) roles: Roles,
    /// The role of the word that opens it.
    pub(super) opening: Roles,
    /// What follows it.
    pub(super) end: Pause,
}

/// A text read once.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub(super) language: &'static Language,
    pub(super) words: Vec<Word>,
    /// What each word does to its neighbours, as the first word of a phrase for the whole phrase.
    pub(super) roles: Vec<Roles>,
    pub(super) hits: Vec<Hit>,
    pub(super) clauses: Vec<Clause>,
}

impl Reading {
    /// Reads the tokens of a text, apart from what is named at some places.
    pub(super) fn of(lexicon: &Lexicon, text: &str, tokens: &[Token], names: Vec<Range<usize>>) -> Self {
        let words::Words { words, end } = words::read(lexicon, text, tokens, Names::new(names));
        let mut reading = Self {
            language: lexicon.language(),
            roles: Vec::with_capacity(words.len()),
            hits: Vec::new(),
            // Most clauses have three words or more.
            clauses: Vec::with_capacity(words.len() / 3 + 1),
            words,
        };
        reading.find_meanings(lexicon, text);
        reading.find_clauses(end);
        reading
    }

    /// Weights and roles: of the longest phrase that begins at a word, or of the word. What a phrase that weighs
    /// or changes something is made of means nothing by itself.
    fn find_meanings(&mut self, lexicon: &Lexicon, text: &str) {
        let mostly_capitals =
            self.words.iter().filter(|word| is_capitalised(word)).count() * 2 > self.words.len();
        let mut at = 0;
        while at < self.words.len() {
            let phrase = lexicon.phrase(&self.words[at..]);
            let alone = || (1, self.words[at].id.map(|id| lexicon.word(id)).unwrap_or_default());
            let (length, meaning) = phrase.unwrap_or_else(alone);
            self.roles.push(meaning.roles);
            self.roles.extend(std::iter::repeat_n(Roles::default(), length - 1));
            if let Some(weight) =
                meaning.weight.filter(|_| mostly_capitals || length > 1 || !self.is_in_name(text, at))
            {
                self.hits.push(Hit { words: at..at + length, weight, factor: 1.0, rules: Vec::new() });
            }
            at += length;
        }
    }

    /// Whether a word is part of a name, as *Grand* of *Grand Island*: it is capitalised within a sentence, and so is
    /// a word beside it that no lexicon knows.
    fn is_in_name(&self, text: &str, at: usize) -> bool {
        let unknown = |word: &Word| word.id.is_none() && is_capitalised(word);
        let shows = self.language.capitals_show_names && is_capitalised(&self.words[at]);
        if !shows || begins_a_sentence(text, &self.words, at) {
            return false;
        }
        (self.words[at].pause == Pause::None && unknown(&self.words[at - 1]))
            || self.words.get(at + 1).is_some_and(|after| after.pause == Pause::None && unknown(after))
    }

    fn find_clauses(&mut self, end: Pause) {
        let mut start = 0;
        let mut sentence = 0;
        let mut first_hit = 0;
        for at in 1..=self.words.len() {
            let pause = self.words.get(at).map_or(end, |word| word.pause);
            let joint = self.roles.get(at).is_some_and(|roles| opens_a_clause(*roles));
            if at < self.words.len() && pause == Pause::None && !joint {
                continue;
            }
            let hits = self.hits[first_hit..].iter().take_while(|hit| hit.words.start < at).count();
            self.clauses.push(Clause {
                words: start..at,
                hits: first_hit..first_hit + hits,
                sentence,
                roles: self.roles[start..at].iter().fold(Roles::default(), |all, roles| all.and(*roles)),
                opening: self.roles[start],
                end: pause,
            });
            first_hit += hits;
            start = at;
            if pause >= Pause::Full {
                sentence += 1;
            }
        }
    }

    /// The hits of a clause.
    pub(super) fn hits_of(&mut self, clause: usize) -> &mut [Hit] {
        &mut self.hits[self.clauses[clause].hits.clone()]
    }
}

fn is_capitalised(word: &Word) -> bool {
    word.capitalised && !word.shouted
}

fn opens_a_clause(roles: Roles) -> bool {
    roles.has(Role::Contrast) || roles.has(Role::Concession) || roles.has(Role::Joint)
}
