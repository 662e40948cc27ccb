//! A text as VADER sees it: pieces between white space, without the punctuation around them, emoji in words.

use super::lexicon::Lexicon;

/// Shorter pieces keep their punctuation: they are likely emoticons.
const SHORTEST_WORD: usize = 3;

/// A word or emoticon and where it stands in the original text.
#[derive(Debug)]
pub(super) struct Word {
    /// In lower case.
    pub(super) lower: String,
    /// Whether it shouts: its letters are capitals.
    pub(super) capitals: bool,
    /// First character, counted in characters of the original.
    pub(super) from: usize,
    /// The character after the last one.
    pub(super) to: usize,
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
    let characters = with_described_emoji(lexicon, text);
    let mut split = Words::default();
    for piece in characters.split(|(c, _)| is_space(*c)).filter(|piece| !piece.is_empty()) {
        split.exclamation_marks += piece.iter().filter(|(c, _)| *c == '!').count();
        split.question_marks += piece.iter().filter(|(c, _)| *c == '?').count();
        let piece = without_punctuation(piece);
        if let (Some((_, first)), Some((_, last))) = (piece.first(), piece.last()) {
            let written: String = piece.iter().map(|(c, _)| *c).collect();
            split.words.push(Word {
                capitals: is_upper(&written),
                lower: written.to_lowercase(),
                from: *first,
                to: last + 1,
            });
        }
    }
    split
}

/// Characters, each with the place in the original that it comes from. The words for an emoji all come from
/// the emoji.
fn with_described_emoji(lexicon: &Lexicon, text: &str) -> Vec<(char, usize)> {
    let mut characters = Vec::with_capacity(text.len());
    let mut after_space = true;
    for (at, c) in text.chars().enumerate() {
        if let Some(description) = lexicon.description(c) {
            if !after_space {
                characters.push((' ', at));
            }
            characters.extend(description.chars().map(|c| (c, at)));
            after_space = false;
        } else {
            characters.push((c, at));
            after_space = c == ' ';
        }
    }
    characters
}

fn without_punctuation(piece: &[(char, usize)]) -> &[(char, usize)] {
    let plain = |(c, _): &(char, usize)| !c.is_ascii_punctuation();
    let (Some(first), Some(last)) = (piece.iter().position(plain), piece.iter().rposition(plain)) else {
        return piece;
    };
    if last + 1 - first < SHORTEST_WORD { piece } else { &piece[first..=last] }
}

/// White space as Python's `str.split` has it.
fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

/// Python's `str.isupper`: some letter, and none of them small.
fn is_upper(word: &str) -> bool {
    word.chars().any(char::is_uppercase) && !word.chars().any(char::is_lowercase)
}
