//! Lexicons: which words and phrases weigh something, and which change the weight of others.
//!
//! What belongs here: the files, their layers and their checks. A later layer overrides an earlier one, so that
//! a team's own words have the last say. What does not: what a text makes of the weights, which is `rules`.

use std::path::Path;

use earshot_common::text::{exact, fold};
use hashbrown::HashMap;

use crate::lines::{self, LineError};

use super::languages::{self, Accents, ENGLISH, GENERAL, Language};
use super::roles::{Role, Roles};
use super::words::{Pause, Word};

/// No word weighs more, either way.
const MAX_WEIGHT: f32 = 8.0;
/// Phrases have no more words: the work for each word of a text stays bounded.
const MAX_PHRASE_WORDS: usize = 6;

/// Shorter words are not looked for behind slips of the finger: too many words are like them.
const SHORTEST_SLIP: usize = 3;

/// A known word, by its number.
pub(super) type WordId = u32;

/// What is known of a word or phrase.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Meaning {
    /// How good or bad it is by itself.
    pub(super) weight: Option<f32>,
    /// What it does to its neighbours.
    pub(super) roles: Roles,
}

/// The words after the first of a phrase, and what the whole means.
#[derive(Clone, Debug)]
struct Phrase {
    /// By it most phrases are told apart.
    second: WordId,
    others: Vec<WordId>,
    meaning: Meaning,
}

impl Phrase {
    fn is(&self, rest: &[WordId]) -> bool {
        rest.split_first().is_some_and(|(second, others)| self.second == *second && self.others == others)
    }
}

/// A word, and the phrases that begin with it, the longest first.
#[derive(Clone, Debug, Default)]
struct Entry {
    meaning: Meaning,
    phrases: Vec<Phrase>,
}

/// The lexicons of every language that is judged. Made once, shared by every message.
#[derive(Clone, Debug)]
pub struct Lexicons {
    lexicons: Vec<Lexicon>,
}

impl Lexicons {
    /// The lexicons that come with the program.
    pub fn shipped() -> Self {
        Self { lexicons: languages::JUDGED.into_iter().map(Lexicon::shipped).collect() }
    }

    /// The lexicon that judges a language (ISO 639-1, or `und`, or its English name), where it is judged.
    pub fn of(&self, language: &str) -> Option<&Lexicon> {
        let judged = languages::judged(language)?;
        self.lexicons.iter().find(|lexicon| lexicon.language.code == judged.code)
    }

    /// Names and versions of all of them.
    pub fn versions(&self) -> String {
        let versions: Vec<String> = self.lexicons.iter().map(Lexicon::version).collect();
        versions.join(", ")
    }

    /// Lays a team's own words over the shipped ones: those of `harbor.fr.tsv` over the French ones, those of
    /// `harbor.tsv` over those of every language.
    pub fn overlay(&mut self, file: &Path) -> anyhow::Result<()> {
        let stem = file.file_stem().unwrap_or(file.as_os_str()).to_string_lossy();
        let only = stem.rsplit_once('.').map(|(_, code)| code);
        let only = only.filter(|code| languages::JUDGED.iter().any(|language| language.code == *code));
        for lexicon in &mut self.lexicons {
            if only.is_none_or(|code| lexicon.language.code == code) {
                lexicon.overlay(file)?;
            }
        }
        Ok(())
    }
}

/// Words and phrases of a language with their weights and roles.
#[derive(Clone, Debug)]
pub struct Lexicon {
    language: &'static Language,
    ids: HashMap<String, WordId>,
    names: Vec<String>,
    /// Slips of the finger: known words with two neighbouring letters swapped.
    slips: HashMap<String, WordId>,
    entries: Vec<Entry>,
    overlays: Vec<String>,
}

impl Lexicon {
    /// The English lexicons that come with the program.
    pub fn english() -> Self {
        Self::shipped(&ENGLISH)
    }

    /// The same with other content in place of the general lexicon: for learning and for comparing.
    pub fn english_with_general(content: &str) -> Result<Self, LineError> {
        let mut lexicon = Self::empty(&ENGLISH);
        for (name, shipped) in ENGLISH.layers {
            lexicon.lay(name, if *name == GENERAL { content } else { shipped })?;
        }
        lexicon.find_spellings();
        Ok(lexicon)
    }

    fn shipped(language: &'static Language) -> Self {
        let mut lexicon = Self::empty(language);
        for (name, content) in language.layers {
            lexicon.lay(name, content).expect("the shipped lexicons are checked by a test");
        }
        lexicon.find_spellings();
        lexicon
    }

    fn empty(language: &'static Language) -> Self {
        Self {
            language,
            ids: HashMap::new(),
            names: Vec::new(),
            slips: HashMap::new(),
            entries: Vec::new(),
            overlays: Vec::new(),
        }
    }

    /// The language that it judges.
    pub(super) fn language(&self) -> &'static Language {
        self.language
    }

    /// Whether a term is or holds a word for a group of people.
    pub fn is_identity(&self, term: &str) -> bool {
        let words = words_of(term);
        self.identity_word(&words).is_some()
    }

    /// What a word or phrase weighs by itself.
    pub fn weight(&self, term: &str) -> Option<f32> {
        let words = words_of(term);
        self.meaning(&words)?.weight
    }

    /// Lays a file's words over those that are there.
    pub fn add(&mut self, file: &str, content: &str) -> Result<(), LineError> {
        self.lay(file, content)?;
        self.find_spellings();
        Ok(())
    }

    fn lay(&mut self, file: &str, content: &str) -> Result<(), LineError> {
        // A hash with a space begins a comment; a hashtag is a word like others.
        lines::for_each(file, content, "# ", |line| self.add_line(line))
    }

    /// Lays a team's own words over the shipped ones; judgements carry its name.
    pub fn overlay(&mut self, file: &Path) -> anyhow::Result<()> {
        let name = lines::overlay(file, |name, content| self.add(name, content))?;
        self.overlays.push(name);
        Ok(())
    }

    /// Names and versions of the lexicons, as every judgement carries them.
    pub fn version(&self) -> String {
        let mut version = self.language.version.to_owned();
        for overlay in &self.overlays {
            version.push('+');
            version.push_str(overlay);
        }
        version
    }

    fn add_line(&mut self, line: &str) -> Result<(), String> {
        let mut columns = line.split('\t');
        let (Some(term), Some(value)) = (columns.next(), columns.next()) else {
            return Err(format!("`{line}` has no tab: a line is a word, a tab, and its weight or role"));
        };
        let words = words_of(term);
        if words.is_empty() || words.len() > MAX_PHRASE_WORDS {
            return Err(format!("`{term}` has {} words, not 1 to {MAX_PHRASE_WORDS}", words.len()));
        }
        if let Some(role) = Role::named(value) {
            let meaning = self.meaning_mut(&words);
            meaning.roles = meaning.roles.and(Roles::only(role));
            return Ok(());
        }
        let weight: f32 = value
            .parse()
            .ok()
            .filter(|weight: &f32| weight.abs() <= MAX_WEIGHT)
            .ok_or_else(|| format!("`{value}` is neither a weight from -8 to 8 nor a role"))?;
        if let Some(word) = self.identity_word(&words) {
            return Err(format!(
                "`{term}` names a group of people (`{word}`) and can have no weight: remove the line"
            ));
        }
        self.meaning_mut(&words).weight = Some(weight);
        Ok(())
    }

    /// The identity word that a term is or contains.
    fn identity_word(&self, words: &[String]) -> Option<String> {
        for start in 0..words.len() {
            for end in start + 1..=words.len() {
                let part = &words[start..end];
                if self.meaning(part).is_some_and(|meaning| meaning.roles.has(Role::Identity)) {
                    return Some(part.join(" "));
                }
            }
        }
        None
    }

    fn meaning(&self, words: &[String]) -> Option<Meaning> {
        let entry = &self.entries[self.id(words.first()?)? as usize];
        let rest: Option<Vec<WordId>> = words[1..].iter().map(|word| self.id(word)).collect();
        match rest?.as_slice() {
            [] => Some(entry.meaning),
            rest => entry.phrases.iter().find(|phrase| phrase.is(rest)).map(|phrase| phrase.meaning),
        }
    }

    fn meaning_mut(&mut self, words: &[String]) -> &mut Meaning {
        let ids: Vec<WordId> = words.iter().map(|word| self.intern(word)).collect();
        let entry = &mut self.entries[ids[0] as usize];
        let [second, others @ ..] = &ids[1..] else { return &mut entry.meaning };
        let at = match entry.phrases.iter().position(|phrase| phrase.is(&ids[1..])) {
            Some(at) => at,
            None => {
                let at = entry.phrases.partition_point(|phrase| phrase.others.len() >= others.len());
                let (second, others) = (*second, others.to_vec());
                entry.phrases.insert(at, Phrase { second, others, meaning: Meaning::default() });
                at
            }
        };
        &mut entry.phrases[at].meaning
    }

    fn intern(&mut self, word: &str) -> WordId {
        if let Some(id) = self.id(word) {
            return id;
        }
        let id = self.entries.len() as WordId;
        self.ids.insert(word.to_owned(), id);
        self.names.push(word.to_owned());
        self.entries.push(Entry::default());
        id
    }

    /// The number of a word that some lexicon knows.
    pub(super) fn id(&self, word: &str) -> Option<WordId> {
        self.ids.get(word).copied()
    }

    /// The known word that somebody meant to type, where two neighbouring letters are swapped.
    pub(super) fn meant(&self, word: &str) -> Option<WordId> {
        self.slips.get(word).copied()
    }

    /// The other ways in which people write the words that are known. A word of its own stays what it is; in a
    /// team's words, which are laid over later, *ano* is *año*.
    fn find_spellings(&mut self) {
        for at in 0..self.names.len() {
            let plain = without_accents(&self.names[at], self.language.accents);
            if !plain.is_empty() && plain != self.names[at] {
                self.ids.entry(plain).or_insert(at as WordId);
            }
        }
        if self.language.mends_slips {
            self.find_slips();
        }
    }

    fn find_slips(&mut self) {
        self.slips.clear();
        let mut letters = Vec::new();
        for (word, id) in &self.ids {
            if word.len() < SHORTEST_SLIP || !word.bytes().all(|byte| byte.is_ascii_lowercase()) {
                continue;
            }
            for at in 1..word.len() {
                letters.clear();
                letters.extend_from_slice(word.as_bytes());
                letters.swap(at - 1, at);
                let slip = String::from_utf8_lossy(&letters).into_owned();
                if !self.ids.contains_key(&slip) {
                    // Of two words that could be meant the first in the alphabet is taken: always the same.
                    let known = self.slips.entry(slip).or_insert(*id);
                    if self.names[*id as usize] < self.names[*known as usize] {
                        *known = *id;
                    }
                }
            }
        }
    }

    /// The word of a number.
    pub(super) fn name(&self, id: WordId) -> &str {
        &self.names[id as usize]
    }

    /// What a word means by itself.
    pub(super) fn word(&self, id: WordId) -> Meaning {
        self.entries[id as usize].meaning
    }

    /// The longest phrase that the words begin with: how many words, and what they mean. None reaches over the end of a
    /// sentence.
    pub(super) fn phrase(&self, words: &[Word]) -> Option<(usize, Meaning)> {
        let [first, second, others @ ..] = words else { return None };
        let (first, second) = (first.id?, second.id.filter(|_| second.pause < Pause::Full)?);
        let continues = |(word, id): (&Word, &WordId)| word.id == Some(*id) && word.pause < Pause::Full;
        let phrase = self.entries[first as usize].phrases.iter().find(|phrase| {
            phrase.second == second
                && phrase.others.len() <= others.len()
                && others.iter().zip(&phrase.others).all(continues)
        })?;
        Some((2 + phrase.others.len(), phrase.meaning))
    }
}

/// The words of a term. A hyphen between letters separates words, as it does in texts.
fn words_of(term: &str) -> Vec<String> {
    let is_word = term.starts_with(char::is_alphabetic) && term.len() > 3;
    let words = term.split(|c| c == ' ' || (c == '-' && is_word));
    words.filter(|word| !word.is_empty()).map(normal).collect()
}

/// A word as lexicons have it: with its accents, without its case.
pub(super) fn normal(word: &str) -> String {
    match word.chars().next().is_some_and(char::is_alphanumeric) {
        true => exact(word).to_lowercase(),
        // Emoticons and marks are what they are.
        false => word.to_owned(),
    }
}

/// A word of a lexicon as people write it without its accents.
fn without_accents(word: &str, accents: Accents) -> String {
    if word.is_ascii() || !word.starts_with(char::is_alphanumeric) {
        return word.to_owned();
    }
    match accents {
        Accents::Optional => fold(word),
        Accents::Transcribed => {
            word.replace('ä', "ae").replace('ö', "oe").replace('ü', "ue").replace('ß', "ss")
        }
    }
}
