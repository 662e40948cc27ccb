//! The one tokenizer: what a word is, for entity tags, sentiment, the query language and the index alike.
//!
//! Words are those of Unicode Standard Annex 29, with what social text adds: hashtags, handles, cashtags,
//! addresses and emoji are tokens of their own. No stemming; case and accents fold.

use std::ops::Range;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_segmentation::UnicodeSegmentation;

/// Longer words are no words: they are not indexed and match nothing.
const MAX_WORD_BYTES: usize = 100;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// A word or a number.
    Word,
    /// `#word`.
    Hashtag,
    /// `@account`.
    Handle,
    /// `$TICKER`.
    Cashtag,
    /// A web address.
    Url,
    /// One emoji, with its modifiers.
    Emoji,
}

/// A piece of text that means something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Where it stands, in bytes of the original text, its mark (`#`, `@`, `$`) included.
    pub bytes: Range<usize>,
}

impl Token {
    /// The token as it stands in the text.
    pub fn of<'t>(&self, text: &'t str) -> &'t str {
        &text[self.bytes.clone()]
    }

    /// The token in a text that has so many bytes before this one.
    pub fn behind(&self, bytes: usize) -> Self {
        Self { kind: self.kind, bytes: self.bytes.start + bytes..self.bytes.end + bytes }
    }
}

/// A text that was taken apart once, for all who read it.
#[derive(Clone, Debug)]
pub struct Tokenized<'t> {
    /// The text.
    pub text: &'t str,
    /// Its tokens, in order.
    pub tokens: Vec<Token>,
}

impl<'t> Tokenized<'t> {
    /// Takes a text apart.
    pub fn new(text: &'t str) -> Self {
        Self { text, tokens: tokens(text) }
    }

    /// Calls `visit` with each word, in order: see [`terms`].
    pub fn for_each_word(&self, mut visit: impl FnMut(&WordInText<'_>)) {
        for (position, token) in self.tokens.iter().enumerate() {
            let written = token.of(self.text);
            if written.len() > MAX_WORD_BYTES && token.kind != TokenKind::Url {
                continue;
            }
            for_each_word_of(token.kind, written, |written| {
                visit(&WordInText { written, kind: token.kind, position, bytes: token.bytes.clone() });
            });
        }
    }
}

/// The tokens of a text, in order; white space and punctuation are not among them.
pub fn tokens(text: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::with_capacity(text.len() / 6);
    // Words end at white space, so that each piece between it can be taken apart for itself.
    let mut start = 0;
    for piece in text.as_bytes().split(|byte| matches!(byte, b' ' | b'\n' | b'\t')) {
        let end = start + piece.len();
        if !push_simple(&mut tokens, text, start, piece) {
            push_segmented(&mut tokens, text, start, &text[start..end]);
        }
        start = end + 1;
    }
    tokens
}

/// Most pieces are a plain word, an address or a marked word, perhaps between punctuation: they need none of the
/// rules of UAX 29, which take most of the time. Whether the piece was one.
fn push_simple(tokens: &mut Vec<Token>, text: &str, piece_start: usize, piece: &[u8]) -> bool {
    let before = piece.iter().take_while(|byte| is_separator(**byte) && !b"@#$".contains(byte)).count();
    let (start, piece) = (piece_start + before, &piece[before..]);
    let Some(first) = piece.first() else { return true };
    let plain = || (TokenKind::Word, plain_length(piece));
    let (kind, length) = match first {
        b'h' | b'H' | b'w' | b'W' => {
            url_length(text, start).map_or_else(plain, |length| (TokenKind::Url, length))
        }
        b'@' | b'#' | b'$' => marked(text, start).unwrap_or_else(plain),
        _ => plain(),
    };
    if length == 0 || !piece[length..].iter().all(|byte| is_separator(*byte)) {
        return false;
    }
    tokens.push(Token { kind, bytes: start..start + length });
    true
}

/// Length of the letters and digits that a piece begins with; an apostrophe between two letters joins them.
fn plain_length(piece: &[u8]) -> usize {
    let is_letter = |at: usize| piece.get(at).is_some_and(u8::is_ascii_alphabetic);
    let joins = |at: usize| piece[at] == b'\'' && is_letter(at - 1) && is_letter(at + 1);
    let mut length = 0;
    while length < piece.len() && (piece[length].is_ascii_alphanumeric() || (length > 0 && joins(length))) {
        length += 1;
    }
    length
}

/// Whether a byte is punctuation that joins no words by itself, as `_` does.
fn is_separator(byte: u8) -> bool {
    byte.is_ascii_punctuation() && byte != b'_'
}

/// Takes a piece apart by the rules of UAX 29.
fn push_segmented(tokens: &mut Vec<Token>, text: &str, piece_start: usize, piece: &str) {
    // Up to here the text is spoken for, by an address or a mark and its word.
    let mut done = 0;
    for (at, piece) in piece.split_word_bound_indices() {
        let start = piece_start + at;
        if start < done {
            continue;
        }
        let rest = &text[start..];
        if let Some(length) = url_length(text, start) {
            tokens.push(Token { kind: TokenKind::Url, bytes: start..start + length });
            done = start + length;
        } else if let Some((kind, length)) = marked(text, start) {
            tokens.push(Token { kind, bytes: start..start + length });
            done = start + length;
        } else if piece.chars().any(char::is_alphanumeric) {
            push_words(tokens, start, piece);
        } else if rest.chars().next().is_some_and(is_emoji) {
            tokens.push(Token { kind: TokenKind::Emoji, bytes: start..start + piece.len() });
        }
    }
}

/// How the words of a text are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Without case, accents and the possessive ending: see [`fold`].
    Folded,
    /// As written: see [`exact`].
    Exact,
}

/// A term of the index or of a query, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// The folded word; hashtags, handles and cashtags keep their mark.
    pub text: String,
    /// Counts tokens; the terms of one token share a position.
    pub position: usize,
    /// Where the token stands, in bytes of the original text.
    pub bytes: Range<usize>,
}

/// The terms of a text. `#CancelledFlight` is found by itself, by `cancelledflight`, by `cancelled` and by
/// `flight`; `@apple` only by itself.
pub fn terms(text: &str) -> Vec<Term> {
    terms_as(Form::Folded, text)
}

/// The terms of a text in one of the forms that words are compared in.
pub fn terms_as(form: Form, text: &str) -> Vec<Term> {
    let mut terms = Vec::new();
    Tokenized::new(text).for_each_word(|word| {
        let mut text = String::new();
        word.write(form, &mut text);
        // Marks that combine with nothing are folded away.
        if !text.is_empty() {
            terms.push(Term { text, position: word.position, bytes: word.bytes.clone() });
        }
    });
    terms
}

/// A word of a text as it is written, with its place.
#[derive(Debug)]
pub struct WordInText<'t> {
    written: &'t str,
    kind: TokenKind,
    /// Counts tokens; the words of one token share a position.
    pub position: usize,
    /// Where the token stands, in bytes of the text.
    pub bytes: Range<usize>,
}

impl WordInText<'_> {
    /// Writes the word as it is compared in place of what a buffer holds.
    pub fn write(&self, form: Form, buffer: &mut String) {
        buffer.clear();
        match (self.kind, form) {
            (TokenKind::Emoji, _) => buffer.push_str(self.written),
            (_, Form::Folded) => push_folded(buffer, self.written),
            (_, Form::Exact) => buffer.push_str(&exact(self.written)),
        }
    }
}

/// A word as it is compared: without case, accents and the possessive ending.
pub fn fold(word: &str) -> String {
    let mut folded = String::with_capacity(word.len());
    push_folded(&mut folded, word);
    folded
}

/// Writes a word as [`fold`] makes it behind what a buffer holds.
pub fn push_folded(buffer: &mut String, word: &str) {
    let start = buffer.len();
    if word.is_ascii() {
        buffer.push_str(word);
        buffer[start..].make_ascii_lowercase();
    } else {
        let letters = word.nfc().flat_map(plain_letters).filter(|&c| !is_combining_mark(c));
        buffer.extend(letters.flat_map(char::to_lowercase).map(plain_apostrophe));
    }
    drop_possessive(buffer, start);
}

/// A word as it is compared where case counts: with its case and accents, whichever way they are encoded.
pub fn exact(word: &str) -> String {
    let mut exact: String =
        if word.is_ascii() { word.to_owned() } else { word.nfc().map(plain_apostrophe).collect() };
    drop_possessive(&mut exact, 0);
    exact
}

/// The letters that a character is made of; itself, where it is made of more than letters, as `½` is.
fn plain_letters(c: char) -> impl Iterator<Item = char> {
    let letters = |part: char| part.is_alphanumeric() || is_combining_mark(part);
    let is_letters = std::iter::once(c).nfkd().all(letters);
    let kept = (!is_letters).then_some(c);
    std::iter::once(c).nfkd().filter(move |_| is_letters).chain(kept)
}

/// `Harbor's` is `Harbor`, of a word that begins at a byte. As often as it takes, so that a word that was compared
/// once is compared alike again.
fn drop_possessive(buffer: &mut String, start: usize) {
    while buffer.len() > start + 2 && (buffer.ends_with("'s") || buffer.ends_with("'S")) {
        buffer.truncate(buffer.len() - 2);
    }
}

/// The words of a hashtag that is written in camel case: `CancelledFlight` is two.
pub fn split_hashtag(tag: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut start = 0;
    let mut previous: Option<char> = None;
    for (at, c) in tag.char_indices() {
        let begins = match previous {
            Some('_') => true,
            Some(p) => (p.is_lowercase() && c.is_uppercase()) || (p.is_alphabetic() != c.is_alphabetic()),
            None => false,
        };
        if begins {
            words.push(&tag[start..at]);
            start = at;
        }
        previous = Some(c);
    }
    words.push(&tag[start..]);
    words.retain(|word| word.chars().any(char::is_alphanumeric));
    words
}

/// Turns byte offsets of one text into character offsets, and back.
#[derive(Debug)]
pub struct CharacterOffsets<'t> {
    text: &'t [u8],
    /// The number of characters before each block of bytes; empty where every character is one byte.
    before: Vec<u32>,
}

impl<'t> CharacterOffsets<'t> {
    /// Bytes that are looked at for one answer, at most.
    const BLOCK: usize = 64;

    /// For a text.
    pub fn new(text: &'t str) -> Self {
        let text = text.as_bytes();
        if text.is_ascii() {
            return Self { text, before: Vec::new() };
        }
        let mut before = Vec::with_capacity(text.len() / Self::BLOCK + 1);
        let mut characters = 0;
        for block in text.chunks(Self::BLOCK) {
            before.push(characters);
            characters += characters_in(block);
        }
        before.push(characters);
        Self { text, before }
    }

    /// The number of characters before a byte.
    pub fn at(&self, byte: usize) -> u32 {
        if self.before.is_empty() {
            return byte as u32;
        }
        let block = byte / Self::BLOCK;
        self.before[block] + characters_in(&self.text[block * Self::BLOCK..byte])
    }

    /// The byte that a character begins at; the end of the text, where it has no such character.
    pub fn byte(&self, character: u32) -> usize {
        if self.before.is_empty() {
            return self.text.len().min(character as usize);
        }
        let block = self.before.partition_point(|before| *before <= character) - 1;
        let mut left = character - self.before[block];
        for (at, byte) in self.text.iter().enumerate().skip(block * Self::BLOCK) {
            if is_beginning(*byte) {
                if left == 0 {
                    return at;
                }
                left -= 1;
            }
        }
        self.text.len()
    }
}

/// Characters that begin in a piece of UTF-8.
fn characters_in(bytes: &[u8]) -> u32 {
    bytes.iter().filter(|byte| is_beginning(**byte)).count() as u32
}

fn is_beginning(byte: u8) -> bool {
    byte & 0b1100_0000 != 0b1000_0000
}

/// Calls `visit` with the words that a token is found by; the first one is the token itself.
fn for_each_word_of(kind: TokenKind, written: &str, mut visit: impl FnMut(&str)) {
    match kind {
        TokenKind::Word | TokenKind::Emoji | TokenKind::Handle => visit(written),
        TokenKind::Cashtag => {
            visit(written);
            visit(&written[1..]);
        }
        TokenKind::Hashtag => {
            let word = written.trim_start_matches(['#', '＃']);
            visit(&format!("#{word}"));
            visit(word);
            let parts = split_hashtag(word);
            if parts.len() > 1 {
                parts.into_iter().for_each(visit);
            }
        }
        TokenKind::Url => url_host(written).into_iter().for_each(visit),
    }
}

/// The host of a web address, without `www.`.
pub fn url_host(url: &str) -> Option<&str> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?.split(':').next()?;
    let www = host.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("www."));
    let host = if www { &host[4..] } else { host };
    (!host.is_empty()).then_some(host)
}

/// Length of the web address that starts here, if one does. Closing punctuation belongs to the sentence.
fn url_length(text: &str, start: usize) -> Option<usize> {
    let rest = &text[start..];
    let schemes = ["http://", "https://", "www."];
    let scheme = schemes.iter().find(|scheme| {
        rest.get(..scheme.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(scheme))
    })?;
    let end = rest
        .find(|c: char| c.is_whitespace() || matches!(c, '"' | '<' | '>' | '“' | '”'))
        .unwrap_or(rest.len());
    let url = rest[..end].trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']', '\'', '’', '…']);
    (url.len() > scheme.len()).then_some(url.len())
}

/// Kind and length of the hashtag, handle or cashtag that starts here.
fn marked(text: &str, start: usize) -> Option<(TokenKind, usize)> {
    let after_word = text[..start].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_');
    if after_word {
        return None;
    }
    let mut characters = text[start..].char_indices();
    let (_, mark) = characters.next()?;
    let kind = match mark {
        '#' | '＃' => TokenKind::Hashtag,
        '@' | '＠' => TokenKind::Handle,
        '$' => TokenKind::Cashtag,
        _ => return None,
    };
    let word = &text[start + mark.len_utf8()..];
    let length = match kind {
        TokenKind::Handle => account_length(word),
        TokenKind::Cashtag => length_while(word, |c| c.is_ascii_alphabetic() || matches!(c, '.' | '_')),
        _ => length_while(word, |c| c.is_alphanumeric() || c == '_' || is_combining_mark(c)),
    };
    let word = word[..length].trim_end_matches('.');
    let named = match kind {
        TokenKind::Cashtag => word.chars().next().is_some_and(|c| c.is_ascii_alphabetic()) && word.len() <= 8,
        _ => word.chars().any(char::is_alphanumeric),
    };
    named.then_some((kind, mark.len_utf8() + word.len()))
}

fn length_while(text: &str, within: impl Fn(char) -> bool) -> usize {
    text.find(|c| !within(c)).unwrap_or(text.len())
}

/// Length of the account that the text begins with: words joined by single marks, such as
/// `harbor@mastodon.example`. Two marks in a row belong to the sentence, as in `@harbor...why`; and no run of
/// marks, however long, is looked at again for each of them.
fn account_length(text: &str) -> usize {
    let mut length = 0;
    for (at, c) in text.char_indices() {
        if c.is_alphanumeric() || c == '_' {
            length = at + c.len_utf8();
        } else if !matches!(c, '.' | '-' | '@') || length == 0 || length < at {
            break;
        }
    }
    length
}

/// A piece of UAX 29 may hold a full stop between letters: `late.Now` is two words, `U.S` one.
fn push_words(tokens: &mut Vec<Token>, start: usize, piece: &str) {
    let parts: Vec<&str> = piece.split('.').collect();
    let joined = parts.len() == 1
        || parts.iter().all(|part| part.chars().count() == 1)
        || !piece.contains(char::is_alphabetic);
    if joined {
        tokens.push(Token { kind: TokenKind::Word, bytes: start..start + piece.len() });
        return;
    }
    let mut at = start;
    for part in parts {
        if !part.is_empty() {
            tokens.push(Token { kind: TokenKind::Word, bytes: at..at + part.len() });
        }
        at += part.len() + 1;
    }
}

fn plain_apostrophe(c: char) -> char {
    if is_apostrophe(c) { '\'' } else { c }
}

/// Whether a character is one of those that people write an apostrophe with.
pub fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '’' | '‘' | 'ʼ' | '＇')
}

/// Whether a character belongs to a script that is written without spaces between words: Han, Hiragana, Katakana,
/// Thai, Lao, Burmese and Khmer. A name in it has no borders that could be told from its surroundings.
pub fn is_written_without_spaces(c: char) -> bool {
    matches!(u32::from(c),
        0x0E00..=0x0EFF | 0x1000..=0x109F | 0x1780..=0x17FF
        | 0x3005..=0x3007 | 0x3031..=0x3035 | 0x3040..=0x30FF | 0x31F0..=0x31FF
        | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0xFF66..=0xFF9F | 0x20000..=0x3FFFF)
}

/// Whether a character starts an emoji: the blocks of Unicode that hold pictographs and flags.
fn is_emoji(c: char) -> bool {
    matches!(u32::from(c),
        0x2600..=0x27BF | 0x2B00..=0x2BFF | 0x1F000..=0x1FAFF | 0x2190..=0x21FF | 0x2300..=0x23FF | 0x25A0..=0x25FF)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(text: &str, wanted: Expect) {
        let listed: Vec<String> =
            tokens(text).iter().map(|token| format!("{:?} {}", token.kind, token.of(text))).collect();
        wanted.assert_eq(&listed.join("\n"));
    }

    fn terms_of(text: &str) -> Vec<(usize, String)> {
        terms(text).into_iter().map(|term| (term.position, term.text)).collect()
    }

    #[test]
    fn social_text_is_taken_apart() {
        check(
            "@VirginAmerica it's really late.Now #CancelledFlight!! see http://t.co/x7, $LUV -5% 😡 U.S. a@b",
            expect![[r#"
                Handle @VirginAmerica
                Word it's
                Word really
                Word late
                Word Now
                Hashtag #CancelledFlight
                Word see
                Url http://t.co/x7
                Cashtag $LUV
                Word 5
                Emoji 😡
                Word U.S
                Word a
                Word b"#]],
        );
    }

    proptest::proptest! {
        #[test]
        fn the_short_way_finds_what_the_rules_find(text in "[a-cHhtpw:/.,;!?'\"()&*%@#$_ 0-9é’\u{301}😡\n-]{0,40}") {
            let mut by_the_rules = Vec::new();
            push_segmented(&mut by_the_rules, &text, 0, &text);
            proptest::prop_assert_eq!(tokens(&text), by_the_rules);
        }
    }

    #[test]
    fn a_hashtag_is_found_by_its_words_and_a_handle_only_by_itself() {
        let wanted =
            [(0, "#cancelledflight"), (0, "cancelledflight"), (0, "cancelled"), (0, "flight"), (1, "@apple")];
        assert_eq!(
            terms_of("#CancelledFlight @apple"),
            wanted.map(|(position, text)| (position, text.to_owned()))
        );
    }

    #[test]
    fn a_host_is_without_www_however_it_is_written() {
        assert_eq!(url_host("https://WWW.Harbor.example:80/x"), Some("Harbor.example"));
        assert_eq!(url_host("http://t.co"), Some("t.co"));
    }

    #[test]
    fn a_mark_that_combines_with_nothing_is_no_term() {
        assert_eq!(terms_of("\u{1752}"), []);
    }

    #[test]
    fn case_accents_and_the_possessive_fold() {
        assert_eq!(fold("Café"), "cafe");
        assert_eq!(fold("HARBOR’s"), "harbor");
        assert_eq!((fold("Harbor‘s").as_str(), fold("Harbor＇s").as_str()), ("harbor", "harbor"));
        assert_eq!(fold("don’t"), "don't");
        assert_eq!((fold("Ａｐｐ").as_str(), fold("½").as_str(), fold("ﬁx").as_str()), ("app", "½", "fix"));
        assert_eq!(fold(&fold("boss's's")), fold("boss's's"));
    }

    #[test]
    fn an_exact_word_keeps_case_and_accents_however_they_are_encoded() {
        assert_eq!(exact("Café"), "Café");
        assert_eq!(exact("Cafe\u{301}"), "Café");
        assert_eq!(exact("HARBOR’s"), "HARBOR");
    }

    #[test]
    fn offsets_are_counted_in_characters() {
        let text = "é😡 ok";
        let offsets = CharacterOffsets::new(text);
        assert_eq!((offsets.at(text.find("ok").unwrap()), offsets.byte(3)), (3, text.find("ok").unwrap()));
        assert_eq!((offsets.at(0), offsets.byte(0)), (0, 0));
        assert_eq!(offsets.byte(99), text.len());
    }

    /// Text as an attacker would send it: any characters, and runs of those that tokenizers stumble over.
    fn hostile() -> impl proptest::strategy::Strategy<Value = String> {
        use proptest::prelude::*;
        const MARKS: &[&str] = &[
            "\u{301}",
            "\u{200d}",
            "\u{fe0f}",
            "\u{1f3fd}",
            "👨\u{200d}👩",
            "🇩🇪",
            "@",
            "#",
            "＃",
            "＠",
            "$",
            "'",
            "’",
            ".",
        ];
        const WORDS: &[&str] = &[
            "www.",
            "https://",
            "a",
            "Ｈarbor",
            "ﬁrm",
            "İ",
            "ß",
            "日本",
            "ไทย",
            "عربي",
            "\u{202e}",
            "\0",
            " ",
            "\n",
            "½",
        ];
        let run = |pieces: &'static [&'static str]| {
            (prop::sample::select(pieces), 1..20_usize).prop_map(|(piece, times)| piece.repeat(times))
        };
        let piece = prop_oneof![any::<char>().prop_map(String::from), "\\PC{0,8}", run(MARKS), run(WORDS),];
        prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
    }

    proptest::proptest! {
        #[test]
        fn tokens_of_any_text_are_whole_characters_in_order(text in hostile()) {
            let mut end = 0;
            for token in tokens(&text) {
                proptest::prop_assert!(end <= token.bytes.start && token.bytes.start < token.bytes.end);
                end = token.bytes.end;
                // Cutting inside a character would panic.
                proptest::prop_assert!(!token.of(&text).is_empty());
            }
            for term in terms(&text) {
                proptest::prop_assert!(text.get(term.bytes).is_some() && !term.text.is_empty());
            }
        }

        #[test]
        fn offsets_lead_from_bytes_to_characters_and_back(text in hostile()) {
            let offsets = CharacterOffsets::new(&text);
            for (character, (byte, _)) in text.char_indices().enumerate() {
                proptest::prop_assert_eq!(offsets.at(byte), character as u32);
                proptest::prop_assert_eq!(offsets.byte(character as u32), byte);
            }
            proptest::prop_assert_eq!(offsets.at(text.len()), text.chars().count() as u32);
        }
    }

    #[test]
    fn marks_that_follow_an_account_belong_to_the_sentence() {
        check(
            "@united...why @united--no @harbor@mastodon.example. @a.bsky.social @@b @",
            expect![[r#"
                Handle @united
                Word why
                Handle @united
                Word no
                Handle @harbor@mastodon.example
                Handle @a.bsky.social
                Handle @b"#]],
        );
    }

    #[test]
    fn a_long_run_of_marks_takes_no_longer_than_a_text() {
        // Quadratic, this took minutes.
        assert_eq!(tokens(&"@".repeat(100_000)), []);
        assert_eq!(tokens(&"@.".repeat(50_000)), []);
    }
}
