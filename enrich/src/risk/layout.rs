//! Where the sentences and clauses of a mention's two texts are, by the positions of their words.

use std::ops::Range;

use earshot_common::query::places::{BODY, Stretch};
use earshot_common::text::{CharacterOffsets, Token, TokenKind, Tokenized};

/// The words of both texts.
#[derive(Debug)]
pub(super) struct Layout {
    title: Vec<Spot>,
    body: Vec<Spot>,
    sentences: Vec<Sentence>,
}

/// What is known of a sentence.
#[derive(Clone, Copy, Debug, Default)]
struct Sentence {
    /// It ends with a question mark.
    asked: bool,
    /// It has a ticker symbol.
    traded: bool,
}

/// A word's place. Sentences are counted through both texts, clauses through one.
#[derive(Clone, Debug)]
struct Spot {
    bytes: Range<usize>,
    sentence: usize,
    clause: usize,
    is_ticker: bool,
}

/// What ends between two words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Nothing,
    Clause,
    Sentence,
    Question,
}

impl Layout {
    pub(super) fn of(title: Option<&Tokenized<'_>>, body: &Tokenized<'_>) -> Self {
        let mut layout = Self { title: Vec::new(), body: Vec::new(), sentences: Vec::new() };
        if let Some(title) = title {
            layout.title = layout.spots(title);
        }
        layout.body = layout.spots(body);
        layout
    }

    /// The spots of the next text; it begins a sentence and a clause.
    fn spots(&mut self, Tokenized { text, tokens }: &Tokenized<'_>) -> Vec<Spot> {
        let mut spots = Vec::with_capacity(tokens.len());
        let symbols = symbols(text, tokens);
        let mut clause = 0;
        let mut sentence = Sentence::default();
        for (at, token) in tokens.iter().enumerate() {
            let is_symbol = token.kind == TokenKind::Cashtag;
            let is_ticker = is_symbol || symbols.contains(&token.of(text));
            spots.push(Spot {
                bytes: token.bytes.clone(),
                sentence: self.sentences.len(),
                clause,
                is_ticker,
            });
            sentence.traded |= is_symbol;
            let next = tokens.get(at + 1).map_or(text.len(), |next| next.bytes.start);
            let end = end_in(text, token.bytes.end..next);
            if end >= End::Clause || is_contrast(token.of(text)) {
                clause += 1;
            }
            if end >= End::Sentence {
                sentence.asked = end == End::Question;
                self.sentences.push(std::mem::take(&mut sentence));
            }
        }
        self.sentences.push(sentence);
        spots
    }

    fn spot(&self, position: u32) -> &Spot {
        match position.checked_sub(BODY) {
            Some(position) => &self.body[position as usize],
            None => &self.title[position as usize],
        }
    }

    /// The bytes of its text.
    pub(super) fn bytes(&self, (first, last): Stretch) -> Range<usize> {
        self.spot(first).bytes.start..self.spot(last).bytes.end
    }

    pub(super) fn is_in_one_sentence(&self, (first, last): Stretch) -> bool {
        self.spot(first).sentence == self.spot(last).sentence
    }

    /// The number of the sentence that it begins in.
    pub(super) fn sentence(&self, (first, _): Stretch) -> usize {
        self.spot(first).sentence
    }

    /// Whether its sentence ends with a question mark.
    pub(super) fn is_asked(&self, (first, _): Stretch) -> bool {
        self.sentences[self.spot(first).sentence].asked
    }

    /// Whether its sentence has a ticker symbol.
    pub(super) fn is_of_shares(&self, (first, _): Stretch) -> bool {
        self.sentences[self.spot(first).sentence].traded
    }

    /// Whether it begins or ends with a ticker symbol: that is a name, whatever the word says elsewhere.
    pub(super) fn is_of_a_ticker(&self, (first, last): Stretch) -> bool {
        self.spot(first).is_ticker || self.spot(last).is_ticker
    }

    /// Whether a word stands before others in the same clause, with fewer than so many words between them.
    pub(super) fn governs(&self, word: Stretch, others: Stretch, reach: u32) -> bool {
        word.1 < others.0
            && others.0 - word.1 <= reach
            && self.spot(word.1).sentence == self.spot(others.0).sentence
            && self.spot(word.1).clause == self.spot(others.0).clause
    }
}

/// Where the sentences of a text begin.
#[derive(Debug)]
pub(super) struct Sentences {
    /// In characters, in order; that of the first is left out.
    starts: Vec<u32>,
}

impl Sentences {
    pub(super) fn of(text: &str) -> Self {
        let Tokenized { tokens, .. } = Tokenized::new(text);
        let offsets = CharacterOffsets::new(text);
        let mut starts = Vec::new();
        for pair in tokens.windows(2) {
            if end_in(text, pair[0].bytes.end..pair[1].bytes.start) >= End::Sentence {
                starts.push(offsets.at(pair[1].bytes.start));
            }
        }
        Self { starts }
    }

    /// The number of the sentence that a character is in.
    pub(super) fn at(&self, character: u32) -> usize {
        self.starts.partition_point(|start| *start <= character)
    }
}

/// The ticker symbols of a text, without their mark: *HACK* beside *$HACK* is that fund, and no crime.
fn symbols<'t>(text: &'t str, tokens: &[Token]) -> Vec<&'t str> {
    let symbols = tokens.iter().filter(|token| token.kind == TokenKind::Cashtag);
    symbols.map(|token| token.of(text).trim_start_matches('$')).collect()
}

/// *no delay but a lawsuit*: what is denied before it is not denied after it.
fn is_contrast(word: &str) -> bool {
    word.eq_ignore_ascii_case("but") || word.eq_ignore_ascii_case("however")
}

/// What ends in the characters between two words. A full stop before a small letter is one of an abbreviation.
fn end_in(text: &str, between: Range<usize>) -> End {
    let next = text[between.end..].chars().next();
    let mut end = End::Nothing;
    for c in text[between].chars() {
        end = end.max(match c {
            '?' | '？' => End::Question,
            '.' if next.is_some_and(char::is_lowercase) => End::Nothing,
            '.' | '!' | '…' | '\n' | '。' => End::Sentence,
            ',' | ';' | ':' | '(' | ')' | '—' | '–' | '|' | '"' | '“' | '”' => End::Clause,
            _ => End::Nothing,
        });
    }
    end
}
