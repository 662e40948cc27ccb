//! The parts of a person's name, and what stands before a surname: it tells who of that name is meant.

use earshot_common::events::Derivation;
use earshot_common::text::{Token, TokenKind, fold};

use super::lists::{is_common, is_first_name, other_forms};

/// Words between first name and surname that belong to the surname.
const PARTICLES: [&str; 22] = [
    "al", "bin", "da", "de", "del", "della", "den", "der", "di", "dos", "du", "el", "ibn", "la", "le", "mac",
    "st", "ten", "ter", "van", "von", "zu",
];
/// What is written around a name and is no part of it.
const TITLES: [&str; 17] = [
    "dame",
    "dr",
    "ii",
    "iii",
    "iv",
    "jr",
    "lady",
    "lord",
    "md",
    "mr",
    "mrs",
    "ms",
    "phd",
    "prof",
    "professor",
    "sir",
    "sr",
];

/// A person's name, taken apart and folded.
#[derive(Debug)]
pub(super) struct Person {
    /// As the watchlist writes it.
    pub(super) name: String,
    first: String,
    /// Other forms of the first name, and middle names: the person may go by them.
    others: Vec<String>,
    /// Of the middle names, where they are known.
    middle_initials: Vec<char>,
    /// As the watchlist writes it.
    pub(super) surname: String,
}

/// What the words before a surname say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// Nothing of anybody's first name.
    Nothing,
    /// The person's first name, or initials beside it, from this byte of the text on.
    FullName(usize),
    /// Something that fits the person and others too, from this byte of the text on.
    Fits(usize, Derivation),
    /// The first name or initials of somebody else.
    SomebodyElse,
}

impl Person {
    /// Takes a name apart; `None` where it has no surname.
    pub(super) fn named(name: &str) -> Option<Self> {
        let plain = |word: &str| word.trim_matches(['.', ',']).to_owned();
        let words: Vec<String> = name.split_whitespace().map(plain).collect();
        let words: Vec<&String> =
            words.iter().filter(|word| !TITLES.contains(&fold(word).as_str()) && !word.is_empty()).collect();
        let [first, .., _] = words.as_slice() else { return None };
        let mut surname = words.len() - 1;
        while surname > 1 && PARTICLES.contains(&fold(words[surname - 1]).as_str()) {
            surname -= 1;
        }
        let middles = &words[1..surname];
        let mut others: Vec<String> = other_forms(first).iter().map(|name| (*name).to_owned()).collect();
        others.extend(middles.iter().filter(|name| name.chars().count() > 1).map(|name| fold(name)));
        Some(Self {
            name: name.to_owned(),
            first: fold(first),
            others,
            middle_initials: middles.iter().filter_map(|name| name.chars().next()).collect(),
            surname: words[surname..].iter().map(|word| word.as_str()).collect::<Vec<_>>().join(" "),
        })
    }

    /// First name and surname, without what is between.
    pub(super) fn short_name(&self) -> Option<String> {
        let first =
            self.name.split_whitespace().find(|word| fold(word.trim_matches(['.', ','])) == self.first)?;
        (self.first.chars().count() > 1).then(|| format!("{first} {}", self.surname))
    }

    /// Whether a word is one of the person's own names.
    pub(super) fn is_called(&self, word: &str) -> bool {
        let word = fold(word);
        word == self.first
            || self.others.contains(&word)
            || fold(&self.surname).split(' ').any(|part| part == word)
    }

    /// What the words before a surname that begins at a byte of the text say.
    pub(super) fn before(&self, text: &str, tokens: &[Token], surname: usize) -> Before {
        let Some((number, word)) = word_before(text, tokens, surname) else { return Before::Nothing };
        let start = tokens[number].bytes.start;
        if let Some(fits) = self.first_name(word, start) {
            return fits;
        }
        let further =
            word_before(text, tokens, start).map(|(number, word)| (tokens[number].bytes.start, word));
        let named = || further.and_then(|(start, name)| self.first_name(name, start));
        if let Some(initials) = initials(word) {
            if let Some(named) = named().filter(|_| self.has_middle(&initials)) {
                return named;
            }
            return match further {
                Some((_, name)) if is_written_as_name(name) => Before::SomebodyElse,
                _ if self.first.starts_with(initials[0].to_ascii_lowercase()) => {
                    Before::Fits(start, Derivation::Initials)
                }
                _ => Before::SomebodyElse,
            };
        }
        if !is_written_as_name(word) {
            return Before::Nothing;
        }
        named().unwrap_or(Before::SomebodyElse)
    }

    /// What it says that a word stands before the surname, if it is one of the person's first names.
    fn first_name(&self, word: &str, start: usize) -> Option<Before> {
        let word = fold(word);
        if word == self.first && word.chars().count() > 1 {
            return Some(Before::FullName(start));
        }
        self.others.contains(&word).then_some(Before::Fits(start, Derivation::ShortForm))
    }

    /// Whether initials between first name and surname can be the person's.
    fn has_middle(&self, initials: &[char]) -> bool {
        let same = |(known, written): (&char, &char)| known.eq_ignore_ascii_case(written);
        self.middle_initials.iter().zip(initials).all(same)
    }
}

/// Whether a word is written as a first name and is one, or at least no word of the language.
pub(super) fn is_written_as_name(word: &str) -> bool {
    let has_small_letters = word.chars().skip(1).any(char::is_lowercase);
    let is_plain = word.chars().all(char::is_alphabetic);
    let is_unknown = || has_small_letters && !is_common(word) && !TITLES.contains(&fold(word).as_str());
    word.starts_with(char::is_uppercase) && is_plain && (is_first_name(word) || is_unknown())
}

/// The word directly before a place, with its number among the tokens: at most a full stop and a space between.
pub(super) fn word_before<'t>(text: &'t str, tokens: &[Token], place: usize) -> Option<(usize, &'t str)> {
    let number = tokens.partition_point(|token| token.bytes.end <= place).checked_sub(1)?;
    let token = tokens.get(number).filter(|token| token.kind == TokenKind::Word)?;
    let between = &text[token.bytes.end..place];
    let is_initial = initials(token.of(text)).is_some();
    let near = between.len() <= 4 && between.chars().all(|c| c.is_whitespace() || (is_initial && c == '.'));
    near.then(|| (number, token.of(text)))
}

/// The letters of `T`, `T.D` or `TD`.
fn initials(word: &str) -> Option<Vec<char>> {
    let letters: Vec<char> = word.chars().filter(|c| *c != '.').collect();
    (matches!(letters.len(), 1 | 2) && letters.iter().all(char::is_ascii_uppercase)).then_some(letters)
}

#[cfg(test)]
mod tests {
    use earshot_common::text::tokens;

    use super::*;

    fn before(name: &str, text: &str) -> Before {
        let person = Person::named(name).unwrap();
        let surname = text.rfind(&person.surname).unwrap();
        person.before(text, &tokens(text), surname)
    }

    #[test]
    fn a_name_is_taken_apart() {
        for (name, surname, short) in [
            ("Tim Cook", "Cook", Some("Tim Cook")),
            ("Mr. Timothy D. Cook, Jr.", "Cook", Some("Timothy Cook")),
            ("Ben van Beurden", "van Beurden", Some("Ben van Beurden")),
            ("J. Michael Pearson", "Pearson", None),
        ] {
            let person = Person::named(name).unwrap();
            assert_eq!(person.surname, surname);
            assert_eq!(person.short_name().as_deref(), short);
        }
        assert!(Person::named("Madonna").is_none());
    }

    #[test]
    fn first_names_and_initials_tell_who_is_meant() {
        for (text, wanted) in [
            ("so Cook said", Before::Nothing),
            ("said Tim. Cook", Before::Nothing),
            ("said Mr. Cook", Before::Nothing),
            ("Apple’s Cook", Before::Nothing),
            ("so CEO Cook", Before::Nothing),
            ("Tim Cook", Before::FullName(0)),
            ("by Tim D. Cook", Before::FullName(3)),
            ("by Tim Donald Cook", Before::FullName(3)),
            ("by Timothy Cook", Before::Fits(3, Derivation::ShortForm)),
            ("by T. Cook", Before::Fits(3, Derivation::Initials)),
            ("by T.D. Cook", Before::Fits(3, Derivation::Initials)),
            ("by T Cook", Before::Fits(3, Derivation::Initials)),
            ("by J. Cook", Before::SomebodyElse),
            ("by Mervyn Cook", Before::SomebodyElse),
            ("by Robert T. Cook", Before::SomebodyElse),
        ] {
            assert_eq!(before("Tim Cook", text), wanted, "{text}");
        }
    }

    #[test]
    fn a_middle_initial_must_be_the_persons_where_it_is_known() {
        assert_eq!(before("Tim D. Cook", "Tim D. Cook"), Before::FullName(0));
        assert_eq!(before("Tim D. Cook", "Tim X. Cook"), Before::SomebodyElse);
    }
}
