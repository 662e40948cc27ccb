//! Which characters of a mention a query matched.

use std::cmp::Reverse;

use earshot_common::query::places::BODY;
use earshot_common::query::{Query, stretches};
use earshot_common::text::{CharacterOffsets, Token, tokens};
use serde::Serialize;

/// A matched place, counted in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Highlight {
    /// First character.
    pub(crate) from: u32,
    /// The character after the last one.
    pub(crate) to: u32,
    /// Which text it is in.
    pub(crate) field: TextField,
}

/// The texts of a mention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TextField {
    /// The headline.
    Title,
    /// The text.
    Text,
}

/// The places that the query's words, phrases and distances match, in order. What the query excludes is no
/// match.
pub(crate) fn highlights(query: &Query, title: Option<&str>, text: &str) -> Vec<Highlight> {
    let title = title.unwrap_or_default();
    let title_marks = Marks::of(title);
    let text_marks = Marks::of(text);
    let mut found = Vec::new();
    for (first, last) in stretches(query, title, text) {
        let (field, marks, first, last) = match first.checked_sub(BODY) {
            Some(first) => (TextField::Text, &text_marks, first, last - BODY),
            None => (TextField::Title, &title_marks, first, last),
        };
        let (from, to) = marks.characters(first as usize, last as usize);
        found.push(Highlight { from, to, field });
    }
    within_no_other(found)
}

/// From positions of a text to its characters.
struct Marks<'t> {
    tokens: Vec<Token>,
    offsets: CharacterOffsets<'t>,
}

impl<'t> Marks<'t> {
    fn of(text: &'t str) -> Self {
        Self { tokens: tokens(text), offsets: CharacterOffsets::new(text) }
    }

    fn characters(&self, first: usize, last: usize) -> (u32, u32) {
        let (start, end) = (self.tokens[first].bytes.start, self.tokens[last].bytes.end);
        (self.offsets.at(start), self.offsets.at(end))
    }
}

/// Leaves out what lies within another one: a word of a phrase that is marked as a whole.
fn within_no_other(mut found: Vec<Highlight>) -> Vec<Highlight> {
    // Of those that begin at one place the longest comes first, so whatever contains another stands before
    // it.
    found.sort_unstable_by_key(|highlight| (highlight.field, highlight.from, Reverse(highlight.to)));
    let mut kept: Vec<Highlight> = Vec::new();
    for highlight in found {
        let within = kept.last().is_some_and(|last| last.field == highlight.field && highlight.to <= last.to);
        if !within {
            kept.push(highlight);
        }
    }
    kept.sort_unstable();
    kept
}

#[cfg(test)]
mod tests {
    use earshot_common::query::parse;

    use super::*;

    fn matched(query: &str, title: Option<&str>, text: &str) -> Vec<String> {
        let cut = |highlight: &Highlight| -> String {
            let text = if highlight.field == TextField::Title { title.unwrap() } else { text };
            text.chars()
                .skip(highlight.from as usize)
                .take((highlight.to - highlight.from) as usize)
                .collect()
        };
        highlights(&parse(query).unwrap(), title, text).iter().map(cut).collect()
    }

    #[test]
    fn places_are_counted_in_characters_also_behind_emoji_and_accents() {
        let text = "😡 Café Harbor: flight cancelled 👩‍👩‍👧 again, harbor!";
        assert_eq!(matched("harbor flight", None, text), ["Harbor", "flight", "harbor"]);
        let found = highlights(&parse("harbor").unwrap(), None, text);
        assert_eq!((found[0].from, found[0].to), (7, 13));
    }

    #[test]
    fn the_words_of_a_phrase_are_marked_only_where_they_stand_together() {
        let text = "the app is down. Is the app down? App down!";
        assert_eq!(matched("\"app down\"", None, text), ["app down", "App down"]);
    }

    #[test]
    fn of_a_distance_the_words_that_made_it_are_marked() {
        let text = "down. The app is down now, and the other app is not.";
        assert_eq!(matched("app ONEAR/2 down", None, text), ["app", "down"]);
        assert_eq!(matched("ap* NEAR/2 \"is down\"", None, text), ["app", "is down"]);
    }

    #[test]
    fn what_is_excluded_is_not_marked_and_titles_count() {
        assert_eq!(
            matched("(outage OR delay) -refund", Some("Outage at Harbor"), "no refund for the delay"),
            ["Outage", "delay"]
        );
    }

    #[test]
    fn a_hashtag_is_marked_as_a_whole_by_any_of_its_words() {
        assert_eq!(matched("cancelled", None, "oh #CancelledFlight"), ["#CancelledFlight"]);
    }
}
