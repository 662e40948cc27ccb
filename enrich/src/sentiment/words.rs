//! A text as the judge reads it: words, emoji and emoticons in order, and what stands between them.

use std::ops::Range;

use earshot_common::text::{self, Token, TokenKind};

use super::languages::Accents;
use super::lexicon::{Lexicon, WordId, normal};
use super::roles::Role;

/// A word, emoji or emoticon.
#[derive(Clone, Debug)]
pub(super) struct Word {
    /// Its number, where a lexicon knows it.
    pub(super) id: Option<WordId>,
    /// Where it stands, in bytes.
    pub(super) bytes: Range<usize>,
    /// Whether it begins with a capital.
    pub(super) capitalised: bool,
    /// Whether it is in capitals.
    pub(super) shouted: bool,
    /// Whether letters are drawn out, as in `soooo`.
    pub(super) drawn_out: bool,
    /// What separates it from the word before.
    pub(super) pause: Pause,
    /// Whether it is an emoji or emoticon: no word before it says anything of it.
    pub(super) is_sign: bool,
    /// Whether it stands between quotation marks.
    pub(super) quoted: bool,
    /// Whether it is part of a name, and means nothing.
    pub(super) is_name: bool,
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
#[derive(Clone, Debug)]
pub(super) struct Words {
    pub(super) words: Vec<Word>,
    /// The pause after the last word.
    pub(super) end: Pause,
}

/// Shortest and longest emoticon, in bytes.
const EMOTICON_BYTES: std::ops::RangeInclusive<usize> = 2..=4;

/// Words of this length, in bytes, may have a letter too many or too few.
const SHORTEST_SPLIT: usize = 4;
const LONGEST_SPLIT: usize = 20;

/// Places that somebody is named at.
#[derive(Clone, Debug)]
pub(super) struct Names(Vec<Range<usize>>);

impl Names {
    /// In bytes of the text; names of several subjects may lie across each other.
    pub(super) fn new(mut places: Vec<Range<usize>>) -> Self {
        places.retain(|place| !place.is_empty());
        places.sort_unstable_by_key(|place| place.start);
        let mut apart: Vec<Range<usize>> = Vec::with_capacity(places.len());
        for place in places {
            match apart.last_mut() {
                Some(last) if place.start < last.end => last.end = last.end.max(place.end),
                _ => apart.push(place),
            }
        }
        Self(apart)
    }

    /// Whether something of a range is named.
    fn touch(&self, bytes: &Range<usize>) -> bool {
        let behind = self.0.partition_point(|name| name.end <= bytes.start);
        self.0.get(behind).is_some_and(|name| name.start < bytes.end)
    }
}

/// Finds the words among the tokens of a text.
pub(super) fn read(lexicon: &Lexicon, text: &str, tokens: &[Token], names: Names) -> Words {
    let mut words: Vec<Word> = Vec::with_capacity(tokens.len());
    let mut between = Between { text, at: 0, quoted: false };
    let mut buffer = String::new();
    let mut emoticons = emoticons(lexicon, text);
    emoticons.retain(|(bytes, _)| !names.touch(bytes));
    let mut emoticons = emoticons.into_iter().peekable();
    for token in tokens {
        while let Some((bytes, id)) = emoticons.next_if(|(bytes, _)| bytes.start <= token.bytes.start) {
            words.push(Word { id: Some(id), is_sign: true, ..between.word(bytes) });
        }
        if token.bytes.start < between.at {
            continue;
        }
        let mut word = between.word(token.bytes.clone());
        word.is_name = names.touch(&token.bytes);
        match token.kind {
            TokenKind::Word => push_word(lexicon, text, word, &mut buffer, &mut words),
            TokenKind::Emoji => {
                words.push(Word { id: emoji(lexicon, token.of(text)), is_sign: true, ..word });
            }
            TokenKind::Hashtag => push_hashtag(lexicon, text, &word, &names, &mut buffer, &mut words),
            TokenKind::Handle | TokenKind::Cashtag | TokenKind::Url => words.push(word),
        }
    }
    for (bytes, id) in emoticons {
        words.push(Word { id: Some(id), is_sign: true, ..between.word(bytes) });
    }
    if lexicon.language().mends_slips {
        mend_slips(lexicon, text, &mut words);
    }
    Words { words, end: between.word(text.len()..text.len()).pause }
}

/// The emoji as it is written, or else without its skin tone and other modifiers.
fn emoji(lexicon: &Lexicon, written: &str) -> Option<WordId> {
    let plain = written.chars().next().map_or(0, char::len_utf8);
    lexicon.id(written).or_else(|| lexicon.id(&written[..plain]))
}

/// The word, or the two that an elision joins, as in *n'aime*.
fn push_word(lexicon: &Lexicon, text: &str, mut word: Word, buffer: &mut String, words: &mut Vec<Word>) {
    look_up(lexicon, text, &mut word, buffer);
    if word.id.is_none()
        && let Some((elided, joint)) = elision(lexicon, text, &word.bytes, buffer)
    {
        let mut rest = Word { bytes: joint..word.bytes.end, pause: Pause::None, ..word.clone() };
        let bytes = word.bytes.start..joint;
        words.push(Word { id: Some(elided), bytes, shouted: false, drawn_out: false, ..word });
        look_up(lexicon, text, &mut rest, buffer);
        words.push(rest);
        return;
    }
    words.push(word);
}

/// The word that an apostrophe joins to another one, and where that begins.
fn elision(
    lexicon: &Lexicon,
    text: &str,
    bytes: &Range<usize>,
    buffer: &mut String,
) -> Option<(WordId, usize)> {
    let written = &text[bytes.clone()];
    let (before, mark) = written.char_indices().find(|(_, c)| text::is_apostrophe(*c))?;
    buffer.clear();
    buffer.push_str(&normal(&written[..before]));
    buffer.push('\'');
    let elided = lexicon.id(buffer).filter(|id| lexicon.word(*id).roles.has(Role::Elided))?;
    let joint = bytes.start + before + mark.len_utf8();
    (joint < bytes.end).then_some((elided, joint))
}

/// The whole tag where it is known, its words otherwise.
fn push_hashtag(
    lexicon: &Lexicon,
    text: &str,
    tag: &Word,
    names: &Names,
    buffer: &mut String,
    words: &mut Vec<Word>,
) {
    let written = &text[tag.bytes.clone()];
    if let Some(id) = find(lexicon, written, buffer).filter(|_| !tag.is_name) {
        words.push(Word { id: Some(id), ..tag.clone() });
        return;
    }
    let mark = written.chars().next().map_or(0, char::len_utf8);
    let mut pause = tag.pause;
    for part in text::split_hashtag(&written[mark..]) {
        let start = part.as_ptr() as usize - text.as_ptr() as usize;
        let bytes = start..start + part.len();
        let mut word = Word { is_name: names.touch(&bytes), bytes, pause, ..tag.clone() };
        look_up(lexicon, text, &mut word, buffer);
        words.push(word);
        pause = Pause::None;
    }
}

/// Looks a word up: as it is written, or without drawn-out letters.
fn look_up(lexicon: &Lexicon, text: &str, word: &mut Word, buffer: &mut String) {
    let written = &text[word.bytes.clone()];
    word.capitalised = written.starts_with(char::is_uppercase);
    word.shouted = written.len() > 2 && is_shouted(written);
    if word.is_name {
        return;
    }
    word.id = find(lexicon, written, buffer);
    if word.id.is_none() && has_run_of_three(buffer) {
        word.drawn_out = true;
        word.id = [2, 1].into_iter().find_map(|most| lexicon.id(&without_runs(buffer, most)));
    }
}

fn is_shouted(written: &str) -> bool {
    !written.chars().any(char::is_lowercase) && written.chars().any(char::is_uppercase)
}

/// Finds the words behind slips of the finger: two letters swapped, or a letter and the space beside it.
fn mend_slips(lexicon: &Lexicon, text: &str, words: &mut [Word]) {
    let mut buffer = String::new();
    // Of two words with a moved space between them, both are broken, also when the first is mended.
    let mut before_is_broken = false;
    for at in 0..words.len() {
        let broken = is_broken(text, &words[at]);
        let is_open = words[at].id.is_none() && !words[at].is_name;
        if broken && is_open && !is_likely_a_name(text, words, at) {
            text_key(&text[words[at].bytes.clone()], &mut buffer);
            words[at].id = lexicon
                .meant(&buffer)
                .or_else(|| beside_a_moved_space(lexicon, text, words, at, before_is_broken));
        }
        before_is_broken = broken;
    }
}

/// Whether a word is none that a lexicon knows, or only a letter.
fn is_broken(text: &str, word: &Word) -> bool {
    let written = &text[word.bytes.clone()];
    written.starts_with(char::is_alphabetic) && (word.id.is_none() || written.len() == 1)
}

/// Whether a word is capitalised within a sentence.
fn is_likely_a_name(text: &str, words: &[Word], at: usize) -> bool {
    words[at].capitalised && !begins_a_sentence(text, words, at)
}

/// Whether a sentence begins with a word: after a full stop, or behind a handle.
pub(super) fn begins_a_sentence(text: &str, words: &[Word], at: usize) -> bool {
    at == 0 || words[at].pause >= Pause::Full || text[words[at - 1].bytes.clone()].starts_with('@')
}

/// *disgustinga nd* and *smoot hflight*: a word with a letter too many or too few, where the word beside it is
/// unknown too.
fn beside_a_moved_space(
    lexicon: &Lexicon,
    text: &str,
    words: &[Word],
    at: usize,
    before_is_broken: bool,
) -> Option<WordId> {
    let after = words.get(at + 1).filter(|after| is_broken(text, after));
    let before = at.checked_sub(1).filter(|_| before_is_broken).map(|before| &words[before]);
    let written = &text[words[at].bytes.clone()];
    let fits = (SHORTEST_SPLIT..=LONGEST_SPLIT).contains(&written.len()) && written.is_ascii();
    if !fits || (after.is_none() && before.is_none()) {
        return None;
    }
    let mut word = written.to_ascii_lowercase();
    let letters = |neighbour: &Word| {
        let written = if neighbour.is_name { "" } else { &text[neighbour.bytes.clone()] };
        written.chars()
    };
    if let Some(id) = after.and_then(|_| lexicon.id(&word[..word.len() - 1])) {
        return Some(id);
    }
    if let Some(id) = before.and_then(|_| lexicon.id(&word[1..])) {
        return Some(id);
    }
    if let Some(letter) = after.and_then(|after| letters(after).next()) {
        word.push(letter.to_ascii_lowercase());
        if let Some(id) = lexicon.id(&word) {
            return Some(id);
        }
        word.pop();
    }
    let letter = before.and_then(|before| letters(before).next_back())?;
    word.insert(0, letter.to_ascii_lowercase());
    lexicon.id(&word)
}

/// Looks a word up with its accents, and where the language lets people leave them out, without. The buffer then
/// holds the word as it was looked for last.
fn find(lexicon: &Lexicon, written: &str, buffer: &mut String) -> Option<WordId> {
    if !written.is_ascii() {
        buffer.clear();
        buffer.push_str(&normal(written));
        let id = lexicon.id(buffer);
        if id.is_some() || lexicon.language().accents == Accents::Transcribed {
            return id;
        }
    }
    text_key(written, buffer);
    lexicon.id(buffer)
}

/// A word without case, accents and the possessive ending.
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
    let mut start = 0;
    for piece in text.as_bytes().split(|byte| matches!(byte, b' ' | b'\n')) {
        let end = start + piece.len();
        if may_hold_an_emoticon(piece)
            && let Some((range, id)) = emoticon(lexicon, &text[start..end])
        {
            found.push((start + range.start..start + range.end, id));
        }
        start = end + 1;
    }
    found
}

/// Emoticons begin or end with a mark that closes no sentence; a few end with a letter.
fn may_hold_an_emoticon(piece: &[u8]) -> bool {
    let (Some(first), Some(last)) = (piece.first(), piece.last()) else { return false };
    let is_mark = |byte: &u8| byte.is_ascii_punctuation() && !b".,!?@#\"".contains(byte);
    is_mark(first) || is_mark(last) || (piece.len() == 2 && *last == b'D')
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
    /// A word that is not looked up yet, after what stands before it.
    fn word(&mut self, bytes: Range<usize>) -> Word {
        let mut pause = Pause::None;
        for c in self.text[self.at.min(bytes.start)..bytes.start].chars() {
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
        self.at = bytes.end;
        Word {
            id: None,
            capitalised: self.text[bytes.clone()].starts_with(char::is_uppercase),
            bytes,
            shouted: false,
            drawn_out: false,
            is_sign: false,
            is_name: false,
            pause,
            quoted: self.quoted,
        }
    }
}
