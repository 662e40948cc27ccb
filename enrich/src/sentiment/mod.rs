//! Polarity of a message, and the words that made it: VADER, a lexicon with rules for English social text.
//!
//! What belongs here: from text to [`Sentiment`]. What does not: whom it is towards, which is `judge`'s to say.

mod lexicon;
mod vader;
mod words;

use std::collections::BTreeMap;

use earshot_common::events::{Polarity, Sentiment, SentimentWord};

pub use lexicon::Lexicon;

/// Approximates the largest sum that a message comes to; the published constant.
const ALPHA: f64 = 15.0;

/// The polarity of a message in a language (ISO 639-1, or `und`). Only English is judged: all else is neutral.
/// Title and text are read as one, in this order.
pub fn of_message(lexicon: &Lexicon, lang: &str, title: Option<&str>, text: &str) -> Sentiment {
    if !matches!(lang, "en" | "und") {
        return sentiment(0.0, Vec::new());
    }
    let mut whole: String = title.map(|title| format!("{title}\n")).unwrap_or_default();
    let text_starts = whole.chars().count();
    whole.push_str(text);
    let (compound, shares) = score(lexicon, &whole);
    let characters: Vec<char> = whole.chars().collect();
    let word = |share: &Share| {
        let in_title = share.from < text_starts;
        let part_starts = if in_title { 0 } else { text_starts };
        SentimentWord {
            from: (share.from - part_starts) as u32,
            to: (share.to - part_starts) as u32,
            word: characters[share.from..share.to].iter().collect(),
            share: share.share as f32,
            in_title,
        }
    };
    sentiment(compound, shares.iter().map(word).collect())
}

fn sentiment(compound: f64, words: Vec<SentimentWord>) -> Sentiment {
    let score = compound as f32;
    // The label is that of the score as it is published and shown, with four decimals.
    let label = Polarity::of(((compound * 1e4).round() / 1e4) as f32);
    Sentiment { score, label, confidence: None, words, fallback: false }
}

/// A word's part in a compound score.
#[derive(Debug, PartialEq)]
struct Share {
    /// First character of the word.
    from: usize,
    /// The character after the last one.
    to: usize,
    share: f64,
}

/// VADER's compound score, -1 to 1, and each word's part in it.
///
/// The compound score is `sum / √(sum² + 15)` over the words' valences in their places. A word's share is its
/// valence over the same root, so the shares add up to the score. What punctuation adds to the sum strengthens
/// the side that prevails: it is spread over the words of that side in proportion to their valences.
fn score(lexicon: &Lexicon, text: &str) -> (f64, Vec<Share>) {
    let split = words::split(lexicon, text);
    let valences = vader::valences(lexicon, &split.words);
    let sum: f64 = valences.iter().sum();
    let mut emphasis = vader::punctuation_emphasis(split.exclamation_marks, split.question_marks);
    if sum == 0.0 {
        emphasis = 0.0;
    }
    let total = sum + emphasis.copysign(sum);
    let root = (total * total + ALPHA).sqrt();

    let prevails = |valence: f64| valence * sum > 0.0;
    let side: f64 = valences.iter().filter(|valence| prevails(**valence)).map(|valence| valence.abs()).sum();
    let mut shares: BTreeMap<(usize, usize), f64> = BTreeMap::new();
    for (word, valence) in split.words.iter().zip(valences).filter(|(_, valence)| *valence != 0.0) {
        let strength = if prevails(valence) { 1.0 + emphasis / side } else { 1.0 };
        // The words for one emoji are one place.
        *shares.entry((word.from, word.to)).or_default() += valence * strength / root;
    }
    let shares = shares.into_iter().map(|((from, to), share)| Share { from, to, share }).collect();
    (total / root, shares)
}

#[cfg(test)]
mod tests;
