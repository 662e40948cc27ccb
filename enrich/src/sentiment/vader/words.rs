//! A text as VADER sees it: pieces between white space, without the punctuation around them, emoji in words.

use super::lexicon::Lexicon;

/// Shorter pieces keep their punctuation: they are likely emoticons.
const SHORTEST_WORD: usize = 3;

/// A word or emoticon.
#[derive(Debug)]
pub(super) struct Word {
    /// In lower case.
    pub(super) lower: String,
    /// Whether it shouts: its letters are capitals.
    pub(super) capitals: bool,
}

/// A text taken apart.
#[derive(Debug, Default)]
pub(super) struct Words {
    /// In the order of the text.
    pub(super) words: Vec<Word>,
    /// How many `!` it has.
    pub(super) exclamation_marks: usize,
    /// How many `?` it has.
    pub(super) question_marks: usize,
}

/// Takes a text apart.
pub(super) fn split(lexicon: &Lexicon, text: &str) -> Words {
    let described = with_described_emoji(lexicon, text);
    let mut split = Words::default();
    for piece in described.split(is_space).filter(|piece| !piece.is_empty()) {
        split.exclamation_marks += piece.matches('!').count();
        split.question_marks += piece.matches('?').count();
        let written = without_punctuation(piece);
        split.words.push(Word { capitals: is_upper(written), lower: written.to_lowercase() });
    }
    split
}

/// The text with a description in place of each emoji.
fn with_described_emoji(lexicon: &Lexicon, text: &str) -> String {
    let mut described = String::with_capacity(text.len());
    let mut after_space = true;
    for c in text.chars() {
        if let Some(description) = lexicon.description(c) {
            if !after_space {
                described.push(' ');
            }
            described.push_str(description);
            after_space = false;
        } else {
            described.push(c);
            after_space = c == ' ';
        }
    }
    described
}

fn without_punctuation(piece: &str) -> &str {
    let plain = piece.trim_matches(|c: char| c.is_ascii_punctuation());
    if plain.chars().count() < SHORTEST_WORD { piece } else { plain }
}

/// White space as Python's `str.split` has it.
fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

/// Python's `str.isupper`: some letter, and none of them small.
fn is_upper(word: &str) -> bool {
    word.chars().any(char::is_uppercase) && !word.chars().any(char::is_lowercase)
}
