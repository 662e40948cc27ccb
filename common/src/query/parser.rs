//! From the parts of a query to its tree.
//!
//! What belongs here: precedence, what may stand where, and what to say where something else was expected.

use super::QueryError;
use super::fields::Named;
use super::lexer::{FieldValue, Lexeme, lex};
use super::lint::{MAX_COST, cost};
use super::tree::{Near, Query, Scope, Span, Text, Word};
use super::values::{condition, is};
use super::words::{exact_words, raw, sequence, words};

/// Queries longer than this are refused.
const MAX_QUERY_BYTES: usize = 200_000;
/// Trees deeper than this are refused.
const MAX_DEPTH: usize = 50;
/// Parentheses and exclusions are read to this depth, also those that add none to the tree.
const MAX_NESTING: usize = 120;
/// The distance of a NEAR that is itself an operand of NEAR, at most: each of its pairs is a place to start
/// from.
const MAX_INNER_DISTANCE: u32 = 50;

/// A query as read, and what was left out of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What was kept.
    pub query: Query,
    /// What was not.
    pub notes: Vec<Note>,
}

/// A condition that was left out, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("character {}: {message}", at + 1)]
pub struct Note {
    /// Character, from 0.
    pub at: usize,
    /// What was left out and why.
    pub message: String,
}

/// Reads a query whose every condition counts: one on a field of another product is refused.
pub fn parse(text: &str) -> Result<Query, QueryError> {
    let reading = read(text)?;
    match reading.notes.into_iter().next() {
        Some(note) => Err(QueryError { at: note.at, message: format!("{}; remove it", note.message) }),
        None => Ok(reading.query),
    }
}

/// Reads a query, also one that was written for another product: conditions on fields that only that product
/// has are left out and named.
pub fn read(text: &str) -> Result<Reading, QueryError> {
    if text.len() > MAX_QUERY_BYTES {
        return Err(QueryError { at: 0, message: format!("a query has at most {MAX_QUERY_BYTES} bytes") });
    }
    let end = text.chars().count();
    let mut parser = Parser { lexemes: lex(text)?, at: 0, end, scope: Scope::Anywhere, notes: Vec::new() };
    if parser.lexemes.is_empty() {
        return Ok(Reading { query: Query::All, notes: Vec::new() });
    }
    let query = parser.expression(0)?;
    if let Some((at, _)) = parser.lexemes.get(parser.at) {
        return Err(QueryError { at: *at, message: "this `)` closes nothing".to_owned() });
    }
    let Some(query) = query else {
        let message = "nothing is left of this query: every condition is on a field that is not known here";
        return Err(QueryError { at: 0, message: message.to_owned() });
    };
    if depth(&query) > MAX_DEPTH {
        let message =
            format!("this query is nested more than {MAX_DEPTH} deep; join what can stand side by side");
        return Err(QueryError { at: 0, message });
    }
    let cost = cost(&query);
    if cost > MAX_COST {
        let message = format!(
            "this query costs {cost} and {MAX_COST} is the limit; split it, or use fewer wildcards and shorter distances"
        );
        return Err(QueryError { at: 0, message });
    }
    Ok(Reading { query, notes: parser.notes })
}

struct Parser {
    lexemes: Vec<(usize, Lexeme)>,
    at: usize,
    end: usize,
    /// In which text words are sought.
    scope: Scope,
    notes: Vec<Note>,
}

/// What was read; nothing where it was left out.
type Part = Result<Option<Query>, QueryError>;

impl Parser {
    /// `a OR b`, `a AND b`, `a b`.
    fn expression(&mut self, depth: usize) -> Part {
        if depth > MAX_NESTING {
            return Err(self.error(format!("parentheses are nested more than {MAX_NESTING} deep")));
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
                    "AND (also words side by side) and OR stand side by side; say which goes first with parentheses: \
                     `(a AND b) OR c` or `a AND (b OR c)`"
                        .to_owned(),
                ));
            }
            operator = Some(next);
            if matches!(lexeme, Lexeme::Or | Lexeme::And) {
                self.at += 1;
            }
            parts.push(self.operand(depth)?);
        }
        let mut kept: Vec<Query> = parts.into_iter().flatten().collect();
        Ok(match (kept.len(), operator) {
            (0 | 1, _) => kept.pop(),
            (_, Some(Operator::Or)) => Some(Query::Or(kept)),
            _ => Some(Query::And(kept)),
        })
    }

    fn operand(&mut self, depth: usize) -> Part {
        if depth > MAX_NESTING {
            return Err(self.error(format!("exclusions are nested more than {MAX_NESTING} deep")));
        }
        if self.take(&Lexeme::Not) {
            return Ok(self.operand(depth + 1)?.map(|query| Query::Not(Box::new(query))));
        }
        self.chain(depth)
    }

    /// `a NEAR/3 b ONEAR/2 c`: from left to right, each with all that stands before it.
    fn chain(&mut self, depth: usize) -> Part {
        let start = self.place();
        let first = self.primary(depth)?;
        if !matches!(self.peek(), Some(Lexeme::Near { .. })) {
            return Ok(first);
        }
        let mut links = 0;
        let mut left = self.as_span(first, start)?;
        while let Some(Lexeme::Near { distance, ordered, .. }) = self.peek().cloned() {
            links += 1;
            if links > MAX_DEPTH {
                return Err(self.error(format!("more than {MAX_DEPTH} links are in this chain of NEAR")));
            }
            self.check_inner(&left)?;
            self.at += 1;
            if matches!(self.peek(), Some(Lexeme::Not)) {
                return Err(self.error(
                    "NOT cannot stand beside NEAR, which joins what is there; write `a NOT (a NEAR/3 b)`"
                        .to_owned(),
                ));
            }
            let start = self.place();
            let right = self.primary(depth)?;
            let right = self.as_span(right, start)?;
            self.check_inner(&right)?;
            left = Span::Near(Box::new(Near { left, right, distance, ordered }));
        }
        Ok(Some(Query::Text(Text { scope: self.scope, span: left })))
    }

    fn primary(&mut self, depth: usize) -> Part {
        let start = self.place();
        let Some(lexeme) = self.peek().cloned() else {
            return Err(self.error("a word, a phrase or `(` was expected at the end".to_owned()));
        };
        match lexeme {
            Lexeme::Open => {
                self.at += 1;
                let query = self.group(depth)?;
                match self.peek().cloned() {
                    Some(Lexeme::Within(between)) => {
                        let within = self.within_group(query, between)?;
                        self.at += 1;
                        Ok(Some(within))
                    }
                    _ => Ok(query),
                }
            }
            Lexeme::Phrase(text) => {
                let words = words(&text).map_err(|message| self.error(message))?;
                self.at += 1;
                match self.peek().cloned() {
                    Some(Lexeme::Within(slop)) => {
                        let within = self.within_phrase(words, slop)?;
                        self.at += 1;
                        Ok(Some(within))
                    }
                    _ => Ok(Some(self.text(sequence(words)))),
                }
            }
            Lexeme::Word(text) if text == "*" => {
                self.at += 1;
                Ok(Some(Query::All))
            }
            Lexeme::Word(text) => {
                let words = words(&text).map_err(|message| self.error(message))?;
                self.at += 1;
                Ok(Some(self.text(sequence(words))))
            }
            Lexeme::Exact(text) => {
                let words = exact_words(&text).map_err(|message| self.error(message))?;
                self.at += 1;
                Ok(Some(self.text(sequence(words))))
            }
            Lexeme::Field { name, named, value } => {
                self.at += 1;
                self.field(&name, named, value, start, depth)
            }
            Lexeme::Near { .. } => {
                Err(self.error("a word, a phrase or `(` was expected before NEAR".to_owned()))
            }
            Lexeme::And | Lexeme::Or | Lexeme::Not | Lexeme::Close | Lexeme::Within(_) => {
                Err(self.error("a word, a phrase or `(` was expected here".to_owned()))
            }
        }
    }

    /// What stands up to the `)` of a `(` that is taken.
    fn group(&mut self, depth: usize) -> Part {
        let query = self.expression(depth + 1)?;
        if !self.take(&Lexeme::Close) {
            return Err(self.error("`)` was expected".to_owned()));
        }
        Ok(query)
    }

    fn text(&self, span: Span) -> Query {
        Query::Text(Text { scope: self.scope, span })
    }

    /// An operand of NEAR: what has a place in a text.
    fn as_span(&self, part: Option<Query>, start: usize) -> Result<Span, QueryError> {
        part.and_then(|query| to_span(query, self.scope)).ok_or_else(|| QueryError {
            at: start,
            message: "NEAR joins words, phrases, and groups of them with OR; of `(a AND b) NEAR/3 c` make \
                      `(a NEAR/3 c) AND (b NEAR/3 c)`, and put fields and NOT outside"
                .to_owned(),
        })
    }

    fn check_inner(&self, operand: &Span) -> Result<(), QueryError> {
        if inner_distance(operand) <= MAX_INNER_DISTANCE {
            return Ok(());
        }
        Err(self.error(format!(
            "a NEAR that is joined by another one has a distance of at most {MAX_INNER_DISTANCE}"
        )))
    }

    /// Brandwatch's `"a b"~n`: the words of the phrase in at most n moves of a word by one place. In order
    /// that is n words between them; the other way round two moves are gone before any word stands between.
    fn within_phrase(&self, words: Vec<Word>, slop: u32) -> Result<Query, QueryError> {
        let Ok([first, second]) = <[Word; 2]>::try_from(words) else {
            return Err(self.error(
                "`~` behind a phrase is read for two words; write a chain, such as `a NEAR/3 b NEAR/3 c`"
                    .to_owned(),
            ));
        };
        let (first, second) = (Span::Word(first), Span::Word(second));
        let pair = |left: &Span, right: &Span, distance| {
            let near = Near { left: left.clone(), right: right.clone(), distance, ordered: true };
            self.text(Span::Near(Box::new(near)))
        };
        let in_order = pair(&first, &second, slop + 1);
        match slop {
            0 | 1 => Ok(in_order),
            _ => Ok(Query::Or(vec![in_order, pair(&second, &first, slop - 1)])),
        }
    }

    /// Brandwatch's `(a AND b)~n`: in any order, with at most n words between.
    fn within_group(&self, query: Option<Query>, between: u32) -> Result<Query, QueryError> {
        let refused = || {
            self.error("`~` behind a group is read for two operands of AND; write `a NEAR/3 b`".to_owned())
        };
        let Some(Query::And(parts)) = query else { return Err(refused()) };
        let [left, right] = <[Query; 2]>::try_from(parts).map_err(|_| refused())?;
        let left = to_span(left, self.scope).ok_or_else(refused)?;
        let right = to_span(right, self.scope).ok_or_else(refused)?;
        Ok(self.text(Span::Near(Box::new(Near { left, right, distance: between + 1, ordered: false }))))
    }

    fn field(&mut self, name: &str, named: Named, value: FieldValue, start: usize, depth: usize) -> Part {
        let fail = |message: String| QueryError { at: start, message };
        if self.scope != Scope::Anywhere && named != Named::Raw {
            return Err(fail("a field cannot stand within `title:` or `body:`".to_owned()));
        }
        match (named, value) {
            (Named::Title, _) => self.scoped(Scope::Title, depth),
            (Named::Body, _) => self.scoped(Scope::Body, depth),
            (Named::Raw, FieldValue::Written(text)) => {
                let raw = raw(&text).map_err(fail)?;
                Ok(Some(self.text(raw)))
            }
            (Named::Foreign, value) => {
                if value == FieldValue::Follows {
                    self.skip_group(start)?;
                }
                self.leave_out(start, format!("the field `{name}` is not known here"))
            }
            (named, FieldValue::Follows) => self.alternatives(named, start),
            (Named::Engagement, FieldValue::Written(kind)) => match kind.to_lowercase().as_str() {
                "retweet" => Ok(Some(is("repost"))),
                "reply" => Ok(Some(is("reply"))),
                _ => self.leave_out(start, format!("`{kind}` of the field `{name}` is not known here")),
            },
            (named, value) => condition(named, &value).map(Some).map_err(fail),
        }
    }

    /// `title:` and what stands behind it.
    fn scoped(&mut self, scope: Scope, depth: usize) -> Part {
        self.scope = scope;
        let part = self.primary(depth + 1);
        self.scope = Scope::Anywhere;
        let start = self.place();
        match part? {
            Some(Query::All) => {
                Err(QueryError { at: start, message: "`*` is no word to seek in one text".to_owned() })
            }
            part => Ok(part),
        }
    }

    /// `site:(a OR b)`.
    fn alternatives(&mut self, named: Named, start: usize) -> Part {
        let fail = |message: String| QueryError { at: start, message };
        self.at += 1;
        let mut values = Vec::new();
        loop {
            let (Some(Lexeme::Word(value)) | Some(Lexeme::Phrase(value))) = self.peek().cloned() else {
                return Err(self.error("a value was expected".to_owned()));
            };
            values.push(condition(named, &FieldValue::Written(value)).map_err(fail)?);
            self.at += 1;
            if self.take(&Lexeme::Close) {
                break;
            }
            if !self.take(&Lexeme::Or) {
                return Err(self.error("`OR` or `)` was expected between the values of a field".to_owned()));
            }
        }
        Ok(if values.len() == 1 { values.pop() } else { Some(Query::Or(values)) })
    }

    fn skip_group(&mut self, start: usize) -> Result<(), QueryError> {
        let mut depth = 0;
        while let Some(lexeme) = self.peek() {
            match lexeme {
                Lexeme::Open => depth += 1,
                Lexeme::Close => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Ok(());
            }
        }
        Err(QueryError { at: start, message: "`)` was expected".to_owned() })
    }

    fn leave_out(&mut self, at: usize, message: String) -> Part {
        self.notes.push(Note { at, message });
        Ok(None)
    }

    fn peek(&self) -> Option<&Lexeme> {
        self.lexemes.get(self.at).map(|(_, lexeme)| lexeme)
    }

    fn take(&mut self, wanted: &Lexeme) -> bool {
        let there = self.peek() == Some(wanted);
        self.at += usize::from(there);
        there
    }

    fn place(&self) -> usize {
        self.lexemes.get(self.at).map_or(self.end, |(at, _)| *at)
    }

    fn error(&self, message: String) -> QueryError {
        QueryError { at: self.place(), message }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    And,
    Or,
}

/// A query as an operand of NEAR, where it is one.
fn to_span(query: Query, scope: Scope) -> Option<Span> {
    match query {
        Query::Text(text) => (text.scope == scope).then_some(text.span),
        Query::Or(parts) => {
            let spans: Option<Vec<Span>> = parts.into_iter().map(|part| to_span(part, scope)).collect();
            spans.map(Span::Any)
        }
        Query::All | Query::Field(_) | Query::And(_) | Query::Not(_) => None,
    }
}

/// Levels of a tree.
fn depth(query: &Query) -> usize {
    match query {
        Query::All | Query::Field(_) => 1,
        Query::Text(text) => span_depth(&text.span),
        Query::And(parts) | Query::Or(parts) => 1 + parts.iter().map(depth).max().unwrap_or_default(),
        Query::Not(query) => 1 + depth(query),
    }
}

fn span_depth(span: &Span) -> usize {
    match span {
        Span::Word(_) | Span::Phrase(_) | Span::Raw(_) => 1,
        Span::Any(spans) => 1 + spans.iter().map(span_depth).max().unwrap_or_default(),
        Span::Near(near) => 1 + span_depth(&near.left).max(span_depth(&near.right)),
    }
}

/// The longest distance of a NEAR within a span.
fn inner_distance(span: &Span) -> u32 {
    match span {
        Span::Word(_) | Span::Phrase(_) | Span::Raw(_) => 0,
        Span::Any(spans) => spans.iter().map(inner_distance).max().unwrap_or_default(),
        Span::Near(near) => near.distance.max(inner_distance(&near.left)).max(inner_distance(&near.right)),
    }
}
