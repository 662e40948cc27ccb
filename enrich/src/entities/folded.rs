//! Text without case, accents, hyphens and runs of white space, and the way back to the original.

use std::ops::Range;

use earshot_common::text::fold;

/// A folded text that knows where each of its bytes comes from.
#[derive(Debug)]
pub(super) struct Folded {
    /// The folded text.
    pub(super) text: String,
    /// For each byte of `text`, the first byte of the original character that it comes from.
    origins: Vec<usize>,
    original_length: usize,
}

impl Folded {
    /// Folds a text as `earshot_common::text::fold` does, character by character; hyphens are spaces.
    pub(super) fn of(original: &str) -> Self {
        let mut folded = Self {
            text: String::with_capacity(original.len()),
            origins: Vec::with_capacity(original.len()),
            original_length: original.len(),
        };
        let mut follows_word = false;
        for (at, c) in original.char_indices() {
            let joins = follows_word
                && is_hyphen(c)
                && original[at + c.len_utf8()..].starts_with(char::is_alphanumeric);
            follows_word = c.is_alphanumeric();
            if c.is_whitespace() || joins {
                if !folded.text.ends_with(' ') {
                    folded.push(' ', at);
                }
            } else if c.is_ascii() {
                folded.push(c.to_ascii_lowercase(), at);
            } else {
                folded.push_all(&fold(c.encode_utf8(&mut [0; 4])), at);
            }
        }
        folded
    }

    /// The bytes of the original that a range of the folded text comes from, accents that follow included;
    /// `None` where the range begins or ends inside a character.
    pub(super) fn original(&self, range: Range<usize>) -> Option<Range<usize>> {
        let cuts = |at: usize| at > 0 && at < self.origins.len() && self.origins[at - 1] == self.origins[at];
        if cuts(range.start) || cuts(range.end) {
            return None;
        }
        let start = *self.origins.get(range.start)?;
        let end = self.origins.get(range.end).copied().unwrap_or(self.original_length);
        Some(start..end)
    }

    /// A character of ASCII.
    fn push(&mut self, c: char, origin: usize) {
        self.text.push(c);
        self.origins.push(origin);
    }

    fn push_all(&mut self, piece: &str, origin: usize) {
        self.text.push_str(piece);
        self.origins.resize(self.text.len(), origin);
    }
}

/// `Coca-Cola` is `Coca Cola`.
fn is_hyphen(c: char) -> bool {
    matches!(c, '-' | '‐' | '‑' | '–')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folded_range_leads_back_to_whole_characters() {
        for (original, part, found) in [
            ("Café Noir", "cafe", Some("Café")),
            // The accent as a character of its own belongs to its letter.
            ("Cafe\u{301} Noir", "cafe", Some("Cafe\u{301}")),
            ("😡 Harbor\u{a0}\n Bank!", "harbor bank", Some("Harbor\u{a0}\n Bank")),
            ("a Harbor-Bank", "harbor bank", Some("Harbor-Bank")),
            ("Harbor - Bank", "harbor - bank", Some("Harbor - Bank")),
            ("the ﬁrm", "firm", Some("ﬁrm")),
            // One character becomes two letters: half of it is no place.
            ("the ﬁrm", "irm", None),
            ("the ﬁrm", "the f", None),
        ] {
            let folded = Folded::of(original);
            let start = folded.text.find(part).unwrap();
            let range = folded.original(start..start + part.len());
            assert_eq!(range.map(|range| &original[range]), found, "{part} in {original}");
        }
    }
}
