//! Many queries for words and phrases, and where in the two texts of a mention each of them stands.
//!
//! What belongs here: what other rules about texts are made of. A query that is true or false of a whole
//! mention stands in [`super::StandingQueries`].

use std::sync::{Mutex, PoisonError};

use super::matcher::{Scoped, Sighting};
use super::places::{Place, Stretch};
use super::standing::required_of_place;
use super::tree::{Query, Scope, Span, Text, Word};
use super::vocabulary::{Item, Vocabulary};
use super::words::{first_terms, sequence};
use crate::text::{Form, Tokenized};

/// Looks for all its queries in one pass over the words.
#[derive(Debug, Default)]
pub struct Finder {
    vocabulary: Vocabulary,
    /// What each query is made of.
    queries: Vec<Vec<(Scope, Place)>>,
    /// By word: the queries that may stand where the word is.
    watched: Vec<Vec<u32>>,
    /// What is worked with, for each thread that asks at the same time.
    sightings: Mutex<Vec<Sighting>>,
}

/// Where a query stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// The query's number.
    pub query: usize,
    /// First and last position: see [`super::places::BODY`].
    pub stretch: Stretch,
}

impl Finder {
    /// Adds a query and gives its number, counted from 0. It must have a place: one word, phrase or distance, or
    /// several with OR.
    pub fn add(&mut self, query: &Query) -> Result<usize, String> {
        let mut texts = Vec::new();
        texts_of(query, &mut texts)?;
        let mut places = Vec::new();
        let mut required = Vec::new();
        for Text { scope, span } in texts {
            let place = Place::of(span, &mut |word| self.vocabulary.take(Item::Word(word.clone())));
            required.extend(required_of_place(&place, &self.vocabulary).items);
            places.push((*scope, place));
        }
        required.sort_unstable();
        required.dedup();
        let number = self.queries.len();
        self.watched.resize_with(self.vocabulary.len(), Vec::new);
        for item in required {
            self.watched[item as usize].push(number as u32);
        }
        self.queries.push(places);
        Ok(number)
    }

    /// Everywhere that the queries stand, by query and then by place, each once.
    pub fn find(&self, title: Option<&Tokenized<'_>>, body: &Tokenized<'_>) -> Vec<Found> {
        let sightings = || self.sightings.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sighting = sightings().pop().unwrap_or_default();
        sighting.look_at_texts(&self.vocabulary, title, body);
        let mut found = Vec::new();
        for number in self.candidates(&sighting) {
            for (scope, place) in &self.queries[number as usize] {
                let words = Scoped { sighting: &sighting, scope: *scope };
                if place.could_occur(&words) {
                    let at = |stretch| Found { query: number as usize, stretch };
                    found.extend(place.all(&words).into_iter().map(at));
                }
            }
        }
        sightings().push(sighting);
        found.sort_unstable();
        found.dedup();
        found
    }

    fn candidates(&self, sighting: &Sighting) -> Vec<u32> {
        let mut candidates: Vec<u32> =
            sighting.present().iter().flat_map(|item| &self.watched[*item as usize]).copied().collect();
        candidates.sort_unstable();
        candidates.dedup();
        candidates
    }
}

/// The query for the words of a text side by side; none where it has no word. No mark in the text means
/// anything.
pub fn phrase(text: &str) -> Option<Query> {
    let words: Vec<Word> =
        first_terms(Form::Folded, text).into_iter().map(|(word, _)| Word::Folded(word)).collect();
    let span: Option<Span> = (!words.is_empty()).then(|| sequence(words));
    span.map(Query::anywhere)
}

fn texts_of<'q>(query: &'q Query, texts: &mut Vec<&'q Text>) -> Result<(), String> {
    match query {
        Query::Text(text) => {
            texts.push(text);
            Ok(())
        }
        Query::Or(parts) => parts.iter().try_for_each(|part| texts_of(part, texts)),
        Query::And(_) => Err(format!(
            "`{query}` stands at no one place; write a phrase in quotation marks, or NEAR between its parts"
        )),
        Query::All | Query::Field(_) | Query::Not(_) => {
            Err(format!("`{query}` stands at no place of a text; ask for words, phrases and NEAR"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{parse, places::BODY};
    use super::*;

    #[test]
    fn every_place_of_every_query_is_found() {
        let mut finder = Finder::default();
        for query in ["\"class action\"", "(sue OR sued) NEAR/3 (airline OR bank)", "title:recall", "absent"]
        {
            finder.add(&parse(query).unwrap()).unwrap();
        }
        let title = Tokenized::new("Recall of a class action");
        let body = Tokenized::new("They sued the bank. Recall it, class action");
        let found = finder.find(Some(&title), &body);
        let places: Vec<(usize, Stretch)> = found.iter().map(|found| (found.query, found.stretch)).collect();
        assert_eq!(places, [(0, (3, 4)), (0, (BODY + 6, BODY + 7)), (1, (BODY + 1, BODY + 3)), (2, (0, 0))]);
        assert_eq!(finder.find(None, &Tokenized::new("")), []);
    }

    #[test]
    fn what_has_no_place_is_refused_with_what_to_write() {
        let refused = |query: &str| Finder::default().add(&parse(query).unwrap()).unwrap_err();
        assert_eq!(
            refused("class action"),
            "`(class AND action)` stands at no one place; write a phrase in quotation marks, or NEAR between its parts"
        );
        assert_eq!(
            refused("a OR -b"),
            "`NOT b` stands at no place of a text; ask for words, phrases and NEAR"
        );
        assert!(refused("lang:en").starts_with("`lang:\"en\"` stands at no place"));
    }

    #[test]
    fn the_words_of_a_phrase_mean_only_themselves() {
        let mut finder = Finder::default();
        finder.add(&phrase("Project OR-Bit* \"x\"").unwrap()).unwrap();
        assert_eq!(finder.find(None, &Tokenized::new("about project or bit x")).len(), 1);
        assert_eq!(phrase(" *?! "), None);
    }
}
