//! A text as the judge reads it: words, emoji and emoticons in order, and what stands between them.

use std::ops::Range;

use earshot_common::text::{self, TokenKind};

use super::lexicon::{Lexicon, WordId};

/// A word, emoji or emoticon.
#[derive(Clone, Debug)]
pub(super) struct Word {
    /// Its number, where a lexicon knows it.
    pub(super) id: Option<WordId>,
    /// Where it stands, in bytes.
    pub(super) bytes: Range<usize>,
    /// Whether it is in capitals.
    pub(super) shouted: bool,
    /// Whether letters are drawn out, as in `soooo`.
    pub(super) drawn_out: bool,
    /// What separates it from the word before.
    pub(super) pause: Pause,
    /// Whether it stands between quotation marks.
    pub(super) quoted: bool,
}

/// How strongly two words are kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Pause {
    /// Nothing but space.
    None,
    /// A comma, a dash, a colon, a bracket.
    Short,
    /// A full stop or the like.
    Full,
    /// An exclamation mark: a full stop that shouts.
    Exclamation,
    /// A question mark.
    Question,
}

/// The words of a text, and what ends it.
#[derive(Clone, Debug, Default)]
pub(super) struct Words {
    pub(super) words: Vec<Word>,
    /// The pause after the last word.
    pub(super) end: Option<Pause>,
}

/// Shortest and longest emoticon, in bytes.
const EMOTICON_BYTES: std::ops::RangeInclusive<usize> = 2..=4;

/// Takes a text apart.
pub(super) fn read(lexicon: &Lexicon, text: &str) -> Words {
    let mut words: Vec<Word> = Vec::new();
    let mut between = Between { text, at: 0, quoted: false };
    let mut buffer = String::new();
    let emoticons = emoticons(lexicon, text);
    let mut emoticons = emoticons.iter().peekable();
    for token in text::tokens(text) {
        while let Some((bytes, id)) = emoticons.next_if(|(bytes, _)| bytes.start < token.bytes.start + 1) {
            let (pause, quoted) = between.up_to(bytes.clone());
            words.push(Word {
                id: Some(*id),
                bytes: bytes.clone(),
                shouted: false,
                drawn_out: false,
                pause,
                quoted,
            });
        }
        if token.bytes.start < between.at {
            continue;
        }
        let (pause, quoted) = between.up_to(token.bytes.clone());
        let word =
            Word { id: None, bytes: token.bytes.clone(), shouted: false, drawn_out: false, pause, quoted };
        match token.kind {
            TokenKind::Word => words.push(known(lexicon, text, word, &mut buffer)),
            TokenKind::Emoji => {
                let written = token.of(text).trim_end_matches('\u{fe0f}');
                let first = written.chars().next().map_or(0, char::len_utf8);
                let id = lexicon.id(written).or_else(|| lexicon.id(&written[..first]));
                words.push(Word { id, ..word });
            }
            TokenKind::Hashtag => push_hashtag(lexicon, text, word, &mut buffer, &mut words),
            TokenKind::Handle | TokenKind::Cashtag | TokenKind::Url => words.push(word),
        }
    }
    for (bytes, id) in emoticons {
        let (pause, quoted) = between.up_to(bytes.clone());
        words.push(Word {
            id: Some(*id),
            bytes: bytes.clone(),
            shouted: false,
            drawn_out: false,
            pause,
            quoted,
        });
    }
    let (end, _) = between.up_to(text.len()..text.len());
    Words { words, end: Some(end) }
}

/// The whole tag where it is known, its words otherwise.
fn push_hashtag(lexicon: &Lexicon, text: &str, tag: Word, buffer: &mut String, words: &mut Vec<Word>) {
    let written = &text[tag.bytes.clone()];
    text_key(written, buffer);
    if let Some(id) = lexicon.id(buffer) {
        words.push(Word { id: Some(id), ..tag });
        return;
    }
    let mark = written.chars().next().map_or(0, char::len_utf8);
    let mut pause = tag.pause;
    for part in text::split_hashtag(&written[mark..]) {
        let start = part.as_ptr() as usize - text.as_ptr() as usize;
        let word = Word { bytes: start..start + part.len(), pause, ..tag.clone() };
        words.push(known(lexicon, text, word, buffer));
        pause = Pause::None;
    }
}

/// Looks a word up: as it is written, without drawn-out letters, or as a part of it before a hyphen.
fn known(lexicon: &Lexicon, text: &str, mut word: Word, buffer: &mut String) -> Word {
    let written = &text[word.bytes.clone()];
    text_key(written, buffer);
    word.shouted = written.len() > 2
        && written.chars().any(char::is_uppercase)
        && !written.chars().any(char::is_lowercase);
    word.id = lexicon.id(buffer);
    if word.id.is_none() && has_run_of_three(buffer) {
        word.drawn_out = true;
        word.id = [2, 1].into_iter().find_map(|most| lexicon.id(&without_runs(buffer, most)));
    }
    // A word that begins with a capital is more likely a name than a slip.
    if word.id.is_none() && !written.starts_with(char::is_uppercase) {
        word.id = lexicon.meant(buffer);
    }
    word
}

/// A word as the lexicons have it.
fn text_key(written: &str, buffer: &mut String) {
    buffer.clear();
    if written.is_ascii() {
        buffer.push_str(written);
        buffer.make_ascii_lowercase();
        if buffer.len() > 2 && buffer.ends_with("'s") {
            buffer.truncate(buffer.len() - 2);
        }
    } else {
        buffer.push_str(&text::fold(written));
    }
}

fn has_run_of_three(word: &str) -> bool {
    let bytes = word.as_bytes();
    bytes.windows(3).any(|run| run[0] == run[1] && run[1] == run[2])
}

/// The word with no letter more than so many times in a row.
fn without_runs(word: &str, most: usize) -> String {
    let mut kept = String::with_capacity(word.len());
    let (mut last, mut times) = (None, 0);
    for c in word.chars() {
        times = if last == Some(c) { times + 1 } else { 1 };
        last = Some(c);
        if times <= most {
            kept.push(c);
        }
    }
    kept
}

/// The emoticons that the lexicon knows, in order: at the start or the end of a piece between white space.
fn emoticons(lexicon: &Lexicon, text: &str) -> Vec<(Range<usize>, WordId)> {
    let mut found = Vec::new();
    for piece in text.split_whitespace() {
        let bytes = piece.as_bytes();
        if !bytes.iter().any(|byte| matches!(byte, b':' | b';' | b'=' | b'<' | b'(' | b')' | b'/' | b'^')) {
            continue;
        }
        let start = piece.as_ptr() as usize - text.as_ptr() as usize;
        if let Some((range, id)) = emoticon(lexicon, piece) {
            found.push((start + range.start..start + range.end, id));
        }
    }
    found
}

fn emoticon(lexicon: &Lexicon, piece: &str) -> Option<(Range<usize>, WordId)> {
    if piece.contains("://") {
        return None;
    }
    for length in EMOTICON_BYTES.rev() {
        let ends = [Some(0), piece.len().checked_sub(length)];
        for start in ends.into_iter().flatten() {
            let Some(part) = piece.get(start..start + length) else { continue };
            let marks = part.bytes().filter(|byte| byte.is_ascii_punctuation()).count();
            if marks == 0 || (start > 0 && part.starts_with(|c: char| c.is_alphanumeric())) {
                continue;
            }
            if let Some(id) = lexicon.id(part) {
                return Some((start..start + length, id));
            }
        }
    }
    None
}

/// Walks over what stands between words.
struct Between<'t> {
    text: &'t str,
    at: usize,
    quoted: bool,
}

impl Between<'_> {
    /// The pause before a word, and whether the word is quoted.
    fn up_to(&mut self, word: Range<usize>) -> (Pause, bool) {
        let mut pause = Pause::None;
        for c in self.text[self.at.min(word.start)..word.start].chars() {
            pause = pause.max(match c {
                '?' => Pause::Question,
                '!' => Pause::Exclamation,
                '.' | '…' | '\n' | '。' => Pause::Full,
                ',' | ';' | ':' | '(' | ')' | '—' | '–' | '-' | '|' => Pause::Short,
                _ => Pause::None,
            });
            match c {
                '"' => self.quoted = !self.quoted,
                '“' | '«' => self.quoted = true,
                '”' | '»' => self.quoted = false,
                _ => {}
            }
        }
        self.at = word.end;
        (pause, self.quoted)
    }
}
