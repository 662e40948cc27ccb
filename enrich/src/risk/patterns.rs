//! The files of patterns: a label, a query, and perhaps a query for what drops it.

use earshot_common::events::{INTENTS, RISKS};
use earshot_common::query::{Query, parse};

/// The patterns for English.
pub(super) const ENGLISH: [(&str, &str); 3] = [
    ("negation.tsv", include_str!("../../lexicons/risk-en/negation.tsv")),
    ("risks.tsv", include_str!("../../lexicons/risk-en/risks.tsv")),
    ("intents.tsv", include_str!("../../lexicons/risk-en/intents.tsv")),
];

/// Name and version of the shipped patterns together; to be raised with every change of one.
pub(super) const VERSION: &str = "risk-en-1";

/// The label of words that deny what follows them.
const NEGATION: &str = "negation";

/// What an occurrence means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A risk category or an intent.
    Label(&'static str),
    /// What follows is denied.
    Negation,
    /// A confidential name is out.
    CodeName,
}

/// A query of the finder that means something.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pattern {
    pub(super) meaning: Meaning,
    /// The number of the query that drops it where it stands in the same sentence.
    pub(super) unless: Option<usize>,
    /// It asks for a word that denies, as in *the app is not working*: such a word within does not drop it.
    pub(super) denies_itself: bool,
}

/// A line of a file.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) meaning: Meaning,
    pub(super) query: Query,
    pub(super) unless: Option<Query>,
}

/// Reads a line: label, tab, query, and perhaps a tab and the query that drops it.
pub(super) fn read_line(line: &str) -> Result<Line, String> {
    let columns: Vec<&str> = line.split('\t').map(str::trim).collect();
    let (label, query, unless) = match columns.as_slice() {
        [label, query] => (*label, *query, None),
        [label, query, unless] => (*label, *query, Some(*unless)),
        _ => {
            return Err(format!(
                "`{line}` has {} columns; a line is a label, a tab and a query, and perhaps a tab and the query for \
                 what drops it",
                columns.len()
            ));
        }
    };
    let read = |query: &str| parse(query).map_err(|error| format!("`{query}`: {error}"));
    Ok(Line { meaning: meaning_of(label)?, query: read(query)?, unless: unless.map(read).transpose()? })
}

fn meaning_of(label: &str) -> Result<Meaning, String> {
    if label == NEGATION {
        return Ok(Meaning::Negation);
    }
    let known = RISKS.iter().chain(&INTENTS).find(|known| **known == label);
    known.map(|known| Meaning::Label(known)).ok_or_else(|| {
        format!(
            "`{label}` is no label; there are the risks {}, the intents {}, and {NEGATION}",
            RISKS.join(", "),
            INTENTS.join(", ")
        )
    })
}
