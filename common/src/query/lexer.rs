//! Splits a query into its parts, each with its character.

use std::ops::RangeInclusive;

use super::QueryError;
use super::fields::{KNOWN, Named};

/// NEAR without a number.
const DEFAULT_DISTANCE: u32 = 4;
/// Distances that can be asked for.
pub(super) const DISTANCES: RangeInclusive<u32> = 1..=1_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lexeme {
    Open,
    Close,
    And,
    Or,
    Not,
    Near {
        distance: u32,
        ordered: bool,
        as_words_between: bool,
    },
    /// `~n` behind a phrase or a group.
    Within(u32),
    Phrase(String),
    /// `{…}`.
    Exact(String),
    Word(String),
    Field {
        name: String,
        named: Named,
        value: FieldValue,
    },
}

/// What stands behind a field's colon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FieldValue {
    /// What follows is lexed like any query: `title:"…"`, `site:(a OR b)`.
    Follows,
    /// A value, or a comparison such as `>=1000`.
    Written(String),
    /// The inside of `[a TO b]`.
    Range(String),
}

/// Splits a query into its parts, each with its character.
pub(super) fn lex(text: &str) -> Result<Vec<(usize, Lexeme)>, QueryError> {
    let mut lexer = Lexer { characters: text.chars().collect(), at: 0 };
    let mut lexemes = Vec::new();
    while let Some(c) = lexer.peek() {
        let start = lexer.at;
        let lexeme = match c {
            c if c.is_whitespace() => {
                lexer.at += 1;
                continue;
            }
            '<' if lexer.looking_at("<<<") => {
                lexer.comment()?;
                continue;
            }
            '(' => lexer.one(Lexeme::Open),
            ')' => lexer.one(Lexeme::Close),
            '-' if lexer.after(1).is_some_and(|c| !c.is_whitespace()) => lexer.one(Lexeme::Not),
            '~' if lexer.after_operand() => lexer.within()?,
            c if is_quote(c) => Lexeme::Phrase(lexer.quoted()?),
            '{' => Lexeme::Exact(lexer.enclosed('}', "this `{` is not closed by `}`")?),
            '^' if lexer.after_operand() && lexer.after(1).is_some_and(|c| c.is_ascii_digit()) => {
                return Err(boost(start));
            }
            _ => lexer.word()?,
        };
        lexemes.push((start, lexeme));
    }
    Ok(lexemes)
}

struct Lexer {
    characters: Vec<char>,
    at: usize,
}

impl Lexer {
    fn peek(&self) -> Option<char> {
        self.after(0)
    }

    fn after(&self, count: usize) -> Option<char> {
        self.characters.get(self.at + count).copied()
    }

    fn looking_at(&self, wanted: &str) -> bool {
        wanted.chars().enumerate().all(|(n, c)| self.after(n) == Some(c))
    }

    /// Whether something that could be an operand ends right here.
    fn after_operand(&self) -> bool {
        let before = self.at.checked_sub(1).map(|before| self.characters[before]);
        before.is_some_and(|c| is_quote(c) || matches!(c, ')' | '}'))
    }

    fn one(&mut self, lexeme: Lexeme) -> Lexeme {
        self.at += 1;
        lexeme
    }

    fn comment(&mut self) -> Result<(), QueryError> {
        let start = self.at;
        while !self.looking_at(">>>") {
            if self.peek().is_none() {
                let message = "this comment is not closed: `>>>` was expected".to_owned();
                return Err(QueryError { at: start, message });
            }
            self.at += 1;
        }
        self.at += 3;
        Ok(())
    }

    fn quoted(&mut self) -> Result<String, QueryError> {
        self.enclosed('"', "this quotation mark is not closed")
    }

    /// What stands up to a closing character.
    fn enclosed(&mut self, closing: char, unclosed: &str) -> Result<String, QueryError> {
        let start = self.at;
        self.at += 1;
        let from = self.at;
        while let Some(c) = self.peek() {
            self.at += 1;
            if c == closing || (closing == '"' && is_quote(c)) {
                return Ok(self.characters[from..self.at - 1].iter().collect());
            }
        }
        Err(QueryError { at: start, message: unclosed.to_owned() })
    }

    fn within(&mut self) -> Result<Lexeme, QueryError> {
        let start = self.at;
        self.at += 1;
        let digits = self.while_of(|c| c.is_ascii_digit());
        match digits.parse() {
            // One more is the distance that it is read as.
            Ok(between) if DISTANCES.contains(&between) && DISTANCES.contains(&(between + 1)) => {
                Ok(Lexeme::Within(between))
            }
            _ => Err(QueryError { at: start, message: distance_expected("~") }),
        }
    }

    fn while_of(&mut self, of: impl Fn(char) -> bool) -> String {
        let from = self.at;
        while self.peek().is_some_and(&of) {
            self.at += 1;
        }
        self.characters[from..self.at].iter().collect()
    }

    /// A word, an operator or a field: up to white space or punctuation of the language.
    fn word(&mut self) -> Result<Lexeme, QueryError> {
        let start = self.at;
        let mut word = String::new();
        while let Some(c) = self.peek() {
            if c.is_whitespace() || is_quote(c) || matches!(c, '(' | ')' | '{') || self.looking_at("<<<") {
                break;
            }
            self.at += 1;
            if c == ':' && is_field_name(&word) && !self.looking_at("//") {
                return self.field(start, word);
            }
            if c == '^'
                && self.peek().is_some_and(|c| c.is_ascii_digit())
                && word.ends_with(char::is_alphanumeric)
            {
                return Err(boost(self.at - 1));
            }
            if c == '~' && word.ends_with(char::is_alphanumeric) && self.peek().is_none_or(ends_a_fuzzy_word)
            {
                let message =
                    format!("`~` searches for no similar words; write `{word}*`, or the other spellings");
                return Err(QueryError { at: self.at - 1, message });
            }
            word.push(c);
        }
        Ok(match word.as_str() {
            "AND" => Lexeme::And,
            "OR" => Lexeme::Or,
            "NOT" => Lexeme::Not,
            _ => match near(&word).map_err(|message| QueryError { at: start, message })? {
                Some(near) => near,
                None => Lexeme::Word(word),
            },
        })
    }

    fn field(&mut self, start: usize, name: String) -> Result<Lexeme, QueryError> {
        let Some(named) = Named::of(&name) else {
            return Err(QueryError {
                at: start,
                message: format!(
                    "there is no field `{name}`; there are: {KNOWN}. To search for the text itself, put it in \
                     quotation marks"
                ),
            });
        };
        let value = match (named, self.peek()) {
            (Named::Title | Named::Body, _) | (_, Some('(')) => FieldValue::Follows,
            (_, Some('[')) => FieldValue::Range(self.enclosed(']', "this `[` is not closed by `]`")?),
            (_, Some(c)) if is_quote(c) => FieldValue::Written(self.quoted()?),
            _ => FieldValue::Written(
                self.while_of(|c| !c.is_whitespace() && !is_quote(c) && !matches!(c, '(' | ')')),
            ),
        };
        Ok(Lexeme::Field { name, named, value })
    }
}

/// `NEAR`, `NEAR/5`, `ONEAR/5`, and Brandwatch's `NEAR/5f`: in order, with so many words between.
fn near(word: &str) -> Result<Option<Lexeme>, String> {
    let (ordered, rest) = match word.strip_prefix('O') {
        Some(rest) => (true, rest),
        None => (false, word),
    };
    let Some(number) = rest.strip_prefix("NEAR") else { return Ok(None) };
    if number.is_empty() {
        return Ok(Some(Lexeme::Near { distance: DEFAULT_DISTANCE, ordered, as_words_between: false }));
    }
    let Some(number) = number.strip_prefix('/') else { return Ok(None) };
    let operator = if ordered { "ONEAR/" } else { "NEAR/" };
    let between = number.strip_suffix('f').filter(|_| !ordered);
    let as_words_between = between.is_some();
    let (distance, ordered) = match between {
        Some(between) => (between.parse::<u32>().ok().and_then(|between| between.checked_add(1)), true),
        None => (number.parse().ok(), ordered),
    };
    match distance {
        Some(0) => Err(format!(
            "`{word}`: a distance is at least 1, which is next to each other; where a number of words between is \
             meant, as in other products, write one more: `{operator}1`"
        )),
        Some(distance) if DISTANCES.contains(&distance) => {
            Ok(Some(Lexeme::Near { distance, ordered, as_words_between }))
        }
        _ => Err(distance_expected(operator)),
    }
}

fn distance_expected(operator: &str) -> String {
    format!("a number from {} to {} was expected behind `{operator}`", DISTANCES.start(), DISTANCES.end())
}

fn boost(at: usize) -> QueryError {
    let message = "boosts such as `^2` are not for filters: a mention matches or it does not; leave it away";
    QueryError { at, message: message.to_owned() }
}

pub(super) fn is_quote(c: char) -> bool {
    matches!(c, '"' | '“' | '”')
}

fn is_field_name(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_alphabetic() || c == '_')
}

/// `apple~` and `apple~2`; a tilde within a word is punctuation like any other.
fn ends_a_fuzzy_word(next: char) -> bool {
    next.is_whitespace() || next.is_ascii_digit() || next == ')'
}
