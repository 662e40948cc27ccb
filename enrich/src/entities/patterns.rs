//! What of a watchlist is looked for: words of subjects in an automaton, accounts and addresses in tables.

use std::collections::HashMap;

use aho_corasick::{AhoCorasick, BuildError};
use earshot_common::definitions::{Alias, Case, Subject};
use earshot_common::text::{fold, url_host};

use super::folded::Folded;

/// Something that is looked for on behalf of a subject.
#[derive(Debug)]
pub(super) struct Pattern {
    /// The subject's place among the matcher's subjects.
    pub(super) subject: usize,
    /// As the watchlist writes it.
    pub(super) written: String,
    /// What finding it means.
    pub(super) meaning: Meaning,
}

/// What finding a pattern means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The subject is named.
    Name {
        /// It counts only with corroboration.
        ambiguous: bool,
        /// Only in this case.
        exact: bool,
    },
    /// An ambiguous name of the subject is meant.
    Context,
    /// A name of the subject within is not meant.
    Excluded,
}

impl Meaning {
    const CERTAIN: Self = Self::Name { ambiguous: false, exact: false };
}

/// Everything that is looked for. Numbers stand for places in `all`.
#[derive(Debug)]
pub(super) struct Patterns {
    pub(super) all: Vec<Pattern>,
    /// Folded words and phrases.
    pub(super) phrases: Automaton,
    /// The same as a hashtag writes them: without spaces and punctuation.
    pub(super) tags: Automaton,
    handles: HashMap<String, Vec<usize>>,
    cashtags: HashMap<String, Vec<usize>>,
    domains: HashMap<String, Vec<usize>>,
}

/// An automaton and the pattern that each of its words stands for.
#[derive(Debug)]
pub(super) struct Automaton {
    pub(super) words: AhoCorasick,
    pub(super) patterns: Vec<usize>,
}

impl Patterns {
    /// The patterns of subjects, which are numbered in their order.
    pub(super) fn of(subjects: &[&Subject]) -> Result<Self, BuildError> {
        let mut all = Vec::new();
        let mut handles: HashMap<String, Vec<usize>> = HashMap::new();
        let mut cashtags: HashMap<String, Vec<usize>> = HashMap::new();
        let mut domains: HashMap<String, Vec<usize>> = HashMap::new();
        for (number, subject) in subjects.iter().enumerate() {
            all.extend(words(number, subject));
        }
        let phrases = Automaton::of(&all, |written| Folded::of(written.trim()).text)?;
        let tags = Automaton::of(&all, |written| fold(&letters(written)))?;
        for (number, subject) in subjects.iter().enumerate() {
            let mut add = |table: &mut HashMap<String, Vec<usize>>, key: String, written: &str| {
                table.entry(key).or_default().push(all.len());
                all.push(Pattern { subject: number, written: written.to_owned(), meaning: Meaning::CERTAIN });
            };
            for handle in &subject.handles {
                add(&mut handles, account(handle), handle);
            }
            for cashtag in &subject.cashtags {
                add(&mut cashtags, account(cashtag), cashtag);
            }
            for domain in &subject.domains {
                if let Some(host) = url_host(domain.trim()) {
                    add(&mut domains, host.to_lowercase(), domain);
                }
            }
        }
        Ok(Self { all, phrases, tags, handles, cashtags, domains })
    }

    /// Those of an account, with or without `@`.
    pub(super) fn of_handle(&self, handle: &str) -> &[usize] {
        self.handles.get(&account(handle)).map_or(&[], Vec::as_slice)
    }

    /// Those of a ticker symbol, with or without `$`.
    pub(super) fn of_cashtag(&self, cashtag: &str) -> &[usize] {
        self.cashtags.get(&account(cashtag)).map_or(&[], Vec::as_slice)
    }

    /// Those of an address: its host, or any domain that the host is below.
    pub(super) fn of_address(&self, address: &str) -> Vec<usize> {
        let host = url_host(address).unwrap_or_default().to_lowercase();
        let mut found = Vec::new();
        let mut domain = Some(host.as_str());
        while let Some(name) = domain {
            found.extend(self.domains.get(name).into_iter().flatten());
            domain = name.split_once('.').map(|(_, above)| above);
        }
        found
    }
}

impl Automaton {
    fn of(all: &[Pattern], form: impl Fn(&str) -> String) -> Result<Self, BuildError> {
        let mut forms = Vec::new();
        let mut patterns = Vec::new();
        for (number, pattern) in all.iter().enumerate() {
            let form = form(&pattern.written);
            if !form.is_empty() {
                forms.push(form);
                patterns.push(number);
            }
        }
        Ok(Self { words: AhoCorasick::new(forms)?, patterns })
    }
}

/// Letters and digits alone, as a hashtag writes a phrase.
pub(super) fn letters(phrase: &str) -> String {
    phrase.chars().filter(|c| c.is_alphanumeric()).collect()
}

fn words(number: usize, subject: &Subject) -> Vec<Pattern> {
    let pattern = |written: &str, meaning| Pattern { subject: number, written: written.to_owned(), meaning };
    let mut words: Vec<Pattern> = Vec::new();
    for alias in aliases(subject) {
        let meaning = Meaning::Name { ambiguous: alias.ambiguous, exact: alias.case == Case::Exact };
        words.push(pattern(&alias.text, meaning));
    }
    words.extend(subject.context.iter().chain(&subject.role).map(|word| pattern(word, Meaning::Context)));
    words.extend(subject.exclusions.iter().map(|phrase| pattern(phrase, Meaning::Excluded)));
    words
}

/// The listed aliases, and the name unless it is listed: a list says of its words what case and ambiguity are.
fn aliases(subject: &Subject) -> Vec<Alias> {
    let mut aliases = subject.aliases.clone();
    if !aliases.iter().any(|alias| fold(&alias.text) == fold(&subject.name)) {
        aliases.push(Alias { text: subject.name.clone(), case: Case::Fold, ambiguous: false });
    }
    aliases
}

fn account(written: &str) -> String {
    fold(written.trim().trim_start_matches(['@', '＠', '$']))
}
