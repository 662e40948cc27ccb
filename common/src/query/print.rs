//! A query as text: reading what is printed gives the same tree again.

use std::fmt;

use super::tree::{Bound, Condition, Moment, Query, Scope, Span, Text, Value, Word};
use super::words::written;
use crate::text::Form;

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Text(text) => write!(f, "{text}"),
            Self::Field(condition) => write!(f, "{condition}"),
            Self::And(parts) => list(f, parts, " AND "),
            Self::Or(parts) => list(f, parts, " OR "),
            Self::Not(query) => write!(f, "NOT {query}"),
        }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scope {
            Scope::Anywhere => {}
            Scope::Title => f.write_str("title:")?,
            Scope::Body => f.write_str("body:")?,
        }
        write!(f, "{}", self.span)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word @ Word::Exact(_)) => write!(f, "{{{word}}}"),
            Self::Word(word) => {
                let word = word.to_string();
                // A colon would make a field of what stands before it.
                match word.contains(':') {
                    true => write!(f, "\"{word}\""),
                    false => f.write_str(&word),
                }
            }
            Self::Phrase(words) => {
                let exact = words.iter().all(|word| matches!(word, Word::Exact(_)));
                let words: Vec<String> = words.iter().map(Word::to_string).collect();
                match exact {
                    true => write!(f, "{{{}}}", words.join(" ")),
                    false => write!(f, "\"{}\"", words.join(" ")),
                }
            }
            Self::Raw(text) => write!(f, "raw:\"{text}\""),
            Self::Any(spans) => list(f, spans, " OR "),
            Self::Near(near) => {
                let operator = if near.ordered { "ONEAR" } else { "NEAR" };
                write!(f, "({} {operator}/{} {})", near.left, near.distance, near.right)
            }
        }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folded(word) => f.write_str(&written(Form::Folded, word).unwrap_or_else(|| word.clone())),
            Self::Exact(word) => f.write_str(&written(Form::Exact, word).unwrap_or_else(|| word.clone())),
            Self::Wildcard(pattern) => write!(f, "{pattern}"),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(field, Value::Is(value)) => write!(f, "{}:\"{value}\"", field.name()),
            Self::Value(field, Value::Like(pattern)) => write!(f, "{}:\"{pattern}\"", field.name()),
            Self::Number(field, from, to) => {
                let limit = |limit: &Option<u64>| limit.map_or("*".to_owned(), |limit| limit.to_string());
                write!(f, "{}:[{} TO {}]", field.name(), limit(from), limit(to))
            }
            Self::Time(bound, moment) => {
                let name = match bound {
                    Bound::After => "after",
                    Bound::Before => "before",
                };
                match moment {
                    Moment::At(time) => write!(f, "{name}:{time}"),
                    Moment::Ago(seconds) => write!(f, "{name}:-{seconds}s"),
                }
            }
        }
    }
}

fn list<T: fmt::Display>(f: &mut fmt::Formatter<'_>, parts: &[T], operator: &str) -> fmt::Result {
    f.write_str("(")?;
    for (n, part) in parts.iter().enumerate() {
        if n > 0 {
            f.write_str(operator)?;
        }
        write!(f, "{part}")?;
    }
    f.write_str(")")
}
