//! VADER 3.3.2, a lexicon with rules for English social text: the baseline that Earshot's own judgement is
//! measured against. Nothing is judged by it.

mod lexicon;
mod rules;
mod words;

pub use lexicon::Lexicon;

/// Approximates the largest sum that a message comes to; the published constant.
const ALPHA: f64 = 15.0;

/// VADER's compound score, -1 to 1.
pub fn score(lexicon: &Lexicon, text: &str) -> f64 {
    let split = words::split(lexicon, text);
    let sum: f64 = rules::valences(lexicon, &split.words).iter().sum();
    let emphasis = match sum {
        0.0 => 0.0,
        _ => rules::punctuation_emphasis(split.exclamation_marks, split.question_marks),
    };
    let total = sum + emphasis.copysign(sum);
    total / (total * total + ALPHA).sqrt()
}

#[cfg(test)]
mod tests;
