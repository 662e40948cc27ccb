//! Names in passing: *$AAPL $MSFT $HRB $IBM* under a text about something else names four companies and is about none.

use std::ops::Range;

use earshot_common::text::{TokenKind, Tokenized};

use super::{Found, Part};

/// So many ticker symbols side by side are a list. Up to three may be those that a text is about: a purchase has two
/// sides, and its bidder.
const LEAST_SYMBOLS: usize = 4;

/// Where a mention lists ticker symbols.
pub(super) struct SymbolLists {
    title: Vec<Range<usize>>,
    text: Vec<Range<usize>>,
}

impl SymbolLists {
    /// Those of a title and a text.
    pub(super) fn of(title: Option<&Tokenized<'_>>, text: &Tokenized<'_>) -> Self {
        Self { title: title.map(lists).unwrap_or_default(), text: lists(text) }
    }

    /// Whether a name stands in one of them.
    pub(super) fn hold(&self, name: &Found<'_, '_>) -> bool {
        let lists = match name.part {
            Part::Title => &self.title,
            Part::Text => &self.text,
            Part::Links => return false,
        };
        lists.iter().any(|list| list.start <= name.bytes.start && name.bytes.end <= list.end)
    }
}

/// The symbols that stand side by side, with no word between them, in bytes of the text.
fn lists(Tokenized { tokens, .. }: &Tokenized<'_>) -> Vec<Range<usize>> {
    let runs = tokens.chunk_by(|one, next| one.kind == TokenKind::Cashtag && next.kind == TokenKind::Cashtag);
    let lists = runs.filter(|run| run.len() >= LEAST_SYMBOLS);
    lists.map(|run| run[0].bytes.start..run[run.len() - 1].bytes.end).collect()
}
