//! What of a watchlist is looked for: words of subjects in an automaton, accounts and addresses in tables.

use std::collections::HashMap;

use aho_corasick::{AhoCorasick, BuildError};
use earshot_common::definitions::{AliasClass, Subject};
use earshot_common::events::Derivation;
use earshot_common::text::{fold, url_host};

use super::Watched;
use super::folded::Folded;
use super::names::{Name, forms_of_role, names, spellings};

/// Something that is looked for on behalf of a subject.
#[derive(Debug)]
pub(super) struct Pattern {
    /// The subject's place among the matcher's subjects.
    pub(super) subject: usize,
    /// The name; of an excluded phrase, the phrase.
    pub(super) name: Name,
    /// One of the name's spellings.
    pub(super) spelling: String,
    /// Whether a name of the subject within is not meant.
    pub(super) excluded: bool,
}

/// A subject whose ambiguous names are meant beside a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Context {
    pub(super) subject: usize,
    /// The word is the person's role.
    pub(super) is_role: bool,
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

/// An automaton and what each of its words stands for.
#[derive(Debug)]
pub(super) struct Automaton {
    pub(super) words: AhoCorasick,
    pub(super) forms: Vec<Form>,
}

/// All that one form of words stands for. Hundreds of subjects may share a context word: it is found once.
#[derive(Debug, Default)]
pub(super) struct Form {
    pub(super) patterns: Vec<usize>,
    /// In the order of the subjects.
    pub(super) contexts: Vec<Context>,
}

impl Patterns {
    /// The patterns of subjects, which are numbered in their order, with what is known of each.
    pub(super) fn of(subjects: &[&Subject], watched: &[Watched]) -> Result<Self, BuildError> {
        let mut all = Vec::new();
        let mut contexts: Vec<(String, Context)> = Vec::new();
        for (number, subject) in subjects.iter().enumerate() {
            let Watched { company, person, .. } = &watched[number];
            for name in names(subject, person.as_ref(), company.map(|place| subjects[place])) {
                for spelling in spellings(&name.written) {
                    all.push(Pattern { subject: number, name: name.clone(), spelling, excluded: false });
                }
            }
            for phrase in &subject.exclusions {
                all.push(Pattern {
                    subject: number,
                    name: Name::new(phrase.to_owned(), AliasClass::Distinct),
                    spelling: phrase.clone(),
                    excluded: true,
                });
            }
            let mut context =
                |word: String, is_role| contexts.push((word, Context { subject: number, is_role }));
            subject.context.iter().for_each(|word| context(word.clone(), false));
            subject.role.iter().flat_map(|role| forms_of_role(role)).for_each(|word| context(word, true));
        }
        drop_shared_roles(&mut all);
        let phrases = Automaton::of(&all, &contexts, |written| Folded::of(written.trim()).text)?;
        let tags = Automaton::of(&all, &contexts, |written| fold(&letters(written)))?;
        let mut patterns = Self {
            all,
            phrases,
            tags,
            handles: HashMap::new(),
            cashtags: HashMap::new(),
            domains: HashMap::new(),
        };
        for (number, subject) in subjects.iter().enumerate() {
            patterns.add_accounts(number, subject);
        }
        Ok(patterns)
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
        if self.domains.is_empty() {
            return Vec::new();
        }
        let host = url_host(address).unwrap_or_default().to_lowercase();
        let mut found = Vec::new();
        let mut domain = Some(host.as_str());
        while let Some(name) = domain {
            found.extend(self.domains.get(name).into_iter().flatten());
            domain = name.split_once('.').map(|(_, above)| above);
        }
        found
    }

    fn add_accounts(&mut self, number: usize, subject: &Subject) {
        let all = &mut self.all;
        let mut add = |table: &mut HashMap<String, Vec<usize>>, key: String, written: &str| {
            table.entry(key).or_default().push(all.len());
            let (name, spelling) = (Name::new(written.to_owned(), AliasClass::Distinct), written.to_owned());
            all.push(Pattern { subject: number, name, spelling, excluded: false });
        };
        for handle in &subject.handles {
            add(&mut self.handles, account(handle), handle);
        }
        for cashtag in &subject.cashtags {
            add(&mut self.cashtags, account(cashtag), cashtag);
        }
        for domain in &subject.domains {
            if let Some(host) = url_host(domain.trim()) {
                add(&mut self.domains, host.to_lowercase(), domain);
            }
        }
    }
}

impl Automaton {
    fn of(
        all: &[Pattern],
        contexts: &[(String, Context)],
        form: impl Fn(&str) -> String,
    ) -> Result<Self, BuildError> {
        let mut forms: HashMap<String, Form> = HashMap::new();
        for (number, pattern) in all.iter().enumerate() {
            forms.entry(form(&pattern.spelling)).or_default().patterns.push(number);
        }
        for (word, context) in contexts {
            forms.entry(form(word)).or_default().contexts.push(*context);
        }
        forms.remove("");
        let mut forms: Vec<(String, Form)> = forms.into_iter().collect();
        // Which number a word gets must not differ from run to run.
        forms.sort_by(|(one, _), (other, _)| one.cmp(other));
        let words = AhoCorasick::new(forms.iter().map(|(word, _)| word))?;
        let mut forms: Vec<Form> = forms.into_iter().map(|(_, form)| form).collect();
        for form in &mut forms {
            form.contexts.sort();
            // A word that is both context and role of a subject is its context.
            form.contexts.dedup_by_key(|context| context.subject);
        }
        Ok(Self { words, forms })
    }
}

/// A role that several subjects have in one company names none of them.
fn drop_shared_roles(all: &mut Vec<Pattern>) {
    let mut holders: HashMap<String, Option<usize>> = HashMap::new();
    for pattern in all.iter().filter(|pattern| pattern.name.derived == Some(Derivation::Role)) {
        let holder = holders.entry(fold(&pattern.spelling)).or_insert(Some(pattern.subject));
        if *holder != Some(pattern.subject) {
            *holder = None;
        }
    }
    all.retain(|pattern| {
        let is_role = pattern.name.derived == Some(Derivation::Role);
        !is_role || holders.get(&fold(&pattern.spelling)) == Some(&Some(pattern.subject))
    });
}

/// Letters and digits alone, as a hashtag writes a phrase.
pub(super) fn letters(phrase: &str) -> String {
    phrase.chars().filter(|c| c.is_alphanumeric()).collect()
}

/// Whether a name as it is written in the text has the capitals of its spelling: more of them do no harm.
pub(super) fn has_capitals(pattern: &Pattern, written: &str) -> bool {
    let ours = pattern.spelling.chars().filter(|c| c.is_alphanumeric());
    let theirs = written.chars().filter(|c| c.is_alphanumeric());
    ours.zip(theirs).all(|(ours, theirs)| !ours.is_uppercase() || theirs.is_uppercase())
}

fn account(written: &str) -> String {
    fold(written.trim().trim_start_matches(['@', '＠', '$']))
}
