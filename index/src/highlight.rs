//! Which characters of a mention a query matched.

use std::collections::BTreeMap;

use earshot_common::query::Query;
use earshot_common::text::{CharacterOffsets, Term, terms};
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

/// The places that the query's words and phrases match, in order. What the query excludes is no match.
pub(crate) fn highlights(query: &Query, title: Option<&str>, text: &str) -> Vec<Highlight> {
    let mut wanted = Wanted::default();
    wanted.collect(query);
    let mut found = Vec::new();
    for (field, text) in [(TextField::Title, title.unwrap_or_default()), (TextField::Text, text)] {
        wanted.find(field, text, &mut found);
    }
    found.sort();
    found.dedup();
    found
}

/// The words and phrases of a query that are not excluded.
#[derive(Default)]
struct Wanted<'q> {
    words: Vec<&'q str>,
    phrases: Vec<&'q [String]>,
}

impl<'q> Wanted<'q> {
    fn collect(&mut self, query: &'q Query) {
        match query {
            Query::All | Query::Not(_) => {}
            Query::Term(word) => self.words.push(word),
            Query::Phrase(words) => self.phrases.push(words),
            Query::And(parts) | Query::Or(parts) => {
                for part in parts {
                    self.collect(part);
                }
            }
        }
    }

    fn find(&self, field: TextField, text: &str, found: &mut Vec<Highlight>) {
        let mut at: BTreeMap<usize, Vec<Term>> = BTreeMap::new();
        for term in terms(text) {
            at.entry(term.position).or_default().push(term);
        }
        let stands_at = |position: usize, word: &str| {
            at.get(&position).is_some_and(|terms| terms.iter().any(|term| term.text == word))
        };
        let mut offsets = CharacterOffsets::new(text);
        for (&position, token) in &at {
            let mut length = usize::from(self.words.iter().any(|word| stands_at(position, word)));
            for phrase in &self.phrases {
                if phrase.iter().enumerate().all(|(n, word)| stands_at(position + n, word)) {
                    length = length.max(phrase.len());
                }
            }
            if length > 0 {
                let last = &at[&(position + length - 1)][0];
                let (from, to) = (offsets.at(token[0].bytes.start), offsets.at(last.bytes.end));
                found.push(Highlight { from, to, field });
            }
        }
    }
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
