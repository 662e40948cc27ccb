//! The query language: parsed once into one tree, and what can be done with the tree alone.
//!
//! What belongs here: reading, printing, linting a query, and its meaning on one mention ([`Matcher`],
//! [`StandingQueries`]). The back end for the index is in `earshot-index`; it takes the same tree, the same
//! words ([`crate::text`]), the same values of fields ([`facts`]) and the same arithmetic of distances
//! ([`places`]), so that a query means one thing on the stream and in the index. The language is documented
//! in `common/docs/query.md`.

mod countries;
pub mod facts;
mod fields;
mod finder;
mod lexer;
mod lint;
mod matcher;
mod parser;
mod pattern;
pub mod places;
mod print;
mod standing;
mod tree;
mod values;
mod vocabulary;
mod words;

pub use facts::Facts;
pub use fields::{Field, Flag, NumberField};
pub use finder::{Finder, Found, phrase};
pub use lint::{Lint, cost, lint};
pub use matcher::{Matcher, stretches};
pub use parser::{Note, Reading, parse, read};
pub use pattern::Pattern;
pub use standing::{Refusal, StandingQueries, refusal};
pub use tree::{Bound, Condition, Moment, Near, Query, Scope, Span, Text, Value, Word};

/// What is wrong with a query, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("query, character {}: {message}", at + 1)]
pub struct QueryError {
    /// Character, from 0.
    pub at: usize,
    /// What is wrong, and what was expected.
    pub message: String,
}

#[cfg(test)]
mod tests;
