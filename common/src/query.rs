//! The query language: parsed once into one tree.
//!
//! Words side by side mean AND. `"…"` is a phrase, OR and AND are written in capitals, NOT or `-` excludes,
//! parentheses group. AND and OR side by side need parentheses, since people read them both ways. The tree is
//! what every reader of a query works from; the back end for the index is in `earshot-index`.

use std::fmt;

use crate::text::{Term, terms};

/// Queries longer than this are refused.
const MAX_QUERY_BYTES: usize = 10_000;
/// Parentheses deeper than this are refused.
const MAX_DEPTH: usize = 50;

/// A query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// Everything: the empty query.
    All,
    /// A term of the index.
    Term(String),
    /// Terms at successive positions.
    Phrase(Vec<String>),
    /// All of them.
    And(Vec<Query>),
    /// At least one of them.
    Or(Vec<Query>),
    /// Not this.
    Not(Box<Query>),
}

/// What is wrong with a query, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("query, character {}: {message}", at + 1)]
pub struct QueryError {
    /// Character, from 0.
    pub at: usize,
    /// What is wrong, and what was expected.
    pub message: String,
}

/// Reads a query.
pub fn parse(text: &str) -> Result<Query, QueryError> {
    if text.len() > MAX_QUERY_BYTES {
        return Err(QueryError { at: 0, message: format!("a query has at most {MAX_QUERY_BYTES} bytes") });
    }
    let mut parser = Parser { lexemes: lex(text)?, at: 0, end: text.chars().count() };
    if parser.lexemes.is_empty() {
        return Ok(Query::All);
    }
    let query = parser.alternatives(0)?;
    match parser.lexemes.get(parser.at) {
        Some((at, _)) => Err(QueryError { at: *at, message: "this `)` closes nothing".to_owned() }),
        None => Ok(query),
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Lexeme {
    Open,
    Close,
    And,
    Or,
    Not,
    Phrase(String),
    Word(String),
}

/// Splits a query into its parts, each with its character.
fn lex(text: &str) -> Result<Vec<(usize, Lexeme)>, QueryError> {
    let characters: Vec<char> = text.chars().collect();
    let mut lexemes = Vec::new();
    let mut at = 0;
    while at < characters.len() {
        let start = at;
        let lexeme = match characters[at] {
            c if c.is_whitespace() => {
                at += 1;
                continue;
            }
            '(' => Lexeme::Open,
            ')' => Lexeme::Close,
            '-' if characters.get(at + 1).is_some_and(|c| !c.is_whitespace()) => Lexeme::Not,
            '"' | '“' | '”' => {
                let closing = |c: &char| matches!(c, '"' | '“' | '”');
                let length = characters[at + 1..].iter().position(closing).ok_or_else(|| QueryError {
                    at: start,
                    message: "this quotation mark is not closed".to_owned(),
                })?;
                at += length + 1;
                Lexeme::Phrase(characters[start + 1..at].iter().collect())
            }
            _ => {
                let ends = |c: &char| c.is_whitespace() || matches!(c, '(' | ')' | '"' | '“' | '”');
                let length = characters[at..].iter().position(ends).unwrap_or(characters.len() - at);
                at += length - 1;
                let word: String = characters[start..=at].iter().collect();
                match word.as_str() {
                    "AND" => Lexeme::And,
                    "OR" => Lexeme::Or,
                    "NOT" => Lexeme::Not,
                    _ => Lexeme::Word(word),
                }
            }
        };
        lexemes.push((start, lexeme));
        at += 1;
    }
    Ok(lexemes)
}

struct Parser {
    lexemes: Vec<(usize, Lexeme)>,
    at: usize,
    end: usize,
}

impl Parser {
    /// `a OR b`, `a AND b`, `a b`.
    fn alternatives(&mut self, depth: usize) -> Result<Query, QueryError> {
        if depth > MAX_DEPTH {
            return Err(self.error(format!("parentheses are nested more than {MAX_DEPTH} deep")));
        }
        let mut parts = vec![self.operand(depth)?];
        let mut operator: Option<Operator> = None;
        while let Some((_, lexeme)) = self.lexemes.get(self.at) {
            let next = match lexeme {
                Lexeme::Close => break,
                Lexeme::Or => Operator::Or,
                _ => Operator::And,
            };
            if operator.is_some_and(|operator| operator != next) {
                return Err(self.error(
                    "AND (also words side by side) and OR stand side by side; say which goes first with parentheses, \
                     such as `a (b OR c)`"
                        .to_owned(),
                ));
            }
            operator = Some(next);
            if matches!(lexeme, Lexeme::Or | Lexeme::And) {
                self.at += 1;
            }
            parts.push(self.operand(depth)?);
        }
        Ok(match operator {
            _ if parts.len() == 1 => parts.remove(0),
            Some(Operator::Or) => Query::Or(parts),
            _ => Query::And(parts),
        })
    }

    fn operand(&mut self, depth: usize) -> Result<Query, QueryError> {
        let Some((_, lexeme)) = self.lexemes.get(self.at).cloned() else {
            return Err(self.error("a word, a phrase or `(` was expected at the end".to_owned()));
        };
        match lexeme {
            Lexeme::Not => {
                self.at += 1;
                Ok(Query::Not(Box::new(self.operand(depth)?)))
            }
            Lexeme::Open => {
                self.at += 1;
                let query = self.alternatives(depth + 1)?;
                if !matches!(self.lexemes.get(self.at), Some((_, Lexeme::Close))) {
                    return Err(self.error("`)` was expected".to_owned()));
                }
                self.at += 1;
                Ok(query)
            }
            Lexeme::Phrase(text) | Lexeme::Word(text) => {
                let query = phrase(&text).ok_or_else(|| self.error(format!("`{text}` holds no word")))?;
                self.at += 1;
                Ok(query)
            }
            Lexeme::And | Lexeme::Or | Lexeme::Close => {
                Err(self.error("a word, a phrase or `(` was expected here".to_owned()))
            }
        }
    }

    fn error(&self, message: String) -> QueryError {
        QueryError { at: self.lexemes.get(self.at).map_or(self.end, |(at, _)| *at), message }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    And,
    Or,
}

/// The words of a phrase at successive positions; of a token with several terms the first one stands.
fn phrase(text: &str) -> Option<Query> {
    let mut words: Vec<String> = Vec::new();
    let mut last: Option<usize> = None;
    for Term { text, position, .. } in terms(text) {
        if last != Some(position) {
            words.push(text);
        }
        last = Some(position);
    }
    match words.len() {
        0 => None,
        1 => words.pop().map(Query::Term),
        _ => Some(Query::Phrase(words)),
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, parts: &[Query], operator: &str| {
            f.write_str("(")?;
            for (n, part) in parts.iter().enumerate() {
                if n > 0 {
                    write!(f, " {operator} ")?;
                }
                write!(f, "{part}")?;
            }
            f.write_str(")")
        };
        match self {
            Self::All => f.write_str("*"),
            Self::Term(term) => f.write_str(term),
            Self::Phrase(words) => write!(f, "\"{}\"", words.join(" ")),
            Self::And(parts) => list(f, parts, "AND"),
            Self::Or(parts) => list(f, parts, "OR"),
            Self::Not(query) => write!(f, "NOT {query}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(query: &str, wanted: Expect) {
        let shown = parse(query).map_or_else(|error| error.to_string(), |query| query.to_string());
        wanted.assert_eq(&shown);
    }

    #[test]
    fn queries_are_read_as_people_mean_them() {
        check("", expect!["*"]);
        check("Cancelled flight", expect!["(cancelled AND flight)"]);
        check("\"cancelled flight\" -refund", expect![[r#"("cancelled flight" AND NOT refund)"#]]);
        check(
            "harbor AND (outage OR “app down”) NOT #ad",
            expect![[r#"(harbor AND (outage OR "app down") AND NOT #ad)"#]],
        );
        check("@harbor's café", expect!["(@harbor AND cafe)"]);
    }

    #[test]
    fn mistakes_point_at_their_character() {
        check(
            "a b OR c",
            expect![
                "query, character 5: AND (also words side by side) and OR stand side by side; say which goes first with parentheses, such as `a (b OR c)`"
            ],
        );
        check("(a OR b", expect!["query, character 8: `)` was expected"]);
        check("a)", expect!["query, character 2: this `)` closes nothing"]);
        check("say \"this", expect!["query, character 5: this quotation mark is not closed"]);
        check("a AND", expect!["query, character 6: a word, a phrase or `(` was expected at the end"]);
        check("OR a", expect!["query, character 1: a word, a phrase or `(` was expected here"]);
        check("a ...", expect!["query, character 3: `...` holds no word"]);
    }
}
