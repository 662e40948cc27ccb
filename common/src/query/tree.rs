//! The tree of a query: what every reader of it works from.

use super::fields::{Field, NumberField};
use super::pattern::Pattern;
use crate::time::Timestamp;

/// A query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// Everything: the empty query.
    All,
    /// Something stands in a text of the mention.
    Text(Text),
    /// A field of the mention has a value.
    Field(Condition),
    /// All of them.
    And(Vec<Query>),
    /// At least one of them.
    Or(Vec<Query>),
    /// Not this.
    Not(Box<Query>),
}

/// Something that stands in a text of the mention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// In which text.
    pub scope: Scope,
    /// What stands there. Alternatives at the top of a text are [`Query::Or`] instead.
    pub span: Span,
}

/// A text of a mention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The headline or the text, and never across the two.
    Anywhere,
    /// The headline.
    Title,
    /// The text.
    Body,
}

/// What has a beginning and an end in a text, counted in positions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Span {
    /// One word.
    Word(Word),
    /// At least two words at successive positions.
    Phrase(Vec<Word>),
    /// These characters: the exact words of them at successive positions, with the same characters between
    /// and around them.
    Raw(String),
    /// At least two alternatives.
    Any(Vec<Span>),
    /// Two spans at a distance.
    Near(Box<Near>),
}

/// Two spans that do not overlap, at a distance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Near {
    /// The one.
    pub left: Span,
    /// The other.
    pub right: Span,
    /// Positions from the end of the first to the beginning of the second, at most; 1 is next to each other.
    pub distance: u32,
    /// Whether the left one comes first.
    pub ordered: bool,
}

/// One word.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Word {
    /// A folded term of [`crate::text::terms`].
    Folded(String),
    /// A term with its case and accents.
    Exact(String),
    /// Every folded term that fits.
    Wildcard(Pattern),
}

/// What a field of the mention must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// One of the field's values is this one.
    Value(Field, Value),
    /// The field's number is known and within these limits, both included.
    Number(NumberField, Option<u64>, Option<u64>),
    /// Event time is on this side of a moment.
    Time(Bound, Moment),
}

/// A value of a field.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// This value, in the field's form.
    Is(String),
    /// Every value that fits.
    Like(Pattern),
}

/// A side of a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// At it or later.
    After,
    /// Before it.
    Before,
}

/// A point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// This one.
    At(Timestamp),
    /// So many seconds before now.
    Ago(u32),
}

impl Moment {
    /// The point in time, where `now` is now.
    pub fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::Ago(seconds) => now.plus_millis(-1000 * i64::from(seconds)),
        }
    }
}

impl Query {
    /// Something anywhere in the texts of a mention.
    pub fn anywhere(span: Span) -> Self {
        Self::Text(Text { scope: Scope::Anywhere, span })
    }
}
