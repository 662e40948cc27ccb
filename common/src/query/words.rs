//! From what is written to words: what stands in quotation marks, in braces, behind `raw:`, or by itself.

use super::pattern::Pattern;
use super::tree::{Span, Word};
use crate::text::{Form, Term, fold, terms_as};

/// Stand for `*` and `?` while a text is split into words: Unicode joins them to the letters beside them.
const STAR: char = '\u{203F}';
const QUESTION: char = '\u{2040}';

/// One word by itself, and several as a phrase.
pub(super) fn sequence(mut words: Vec<Word>) -> Span {
    match words.pop() {
        Some(word) if words.is_empty() => Span::Word(word),
        last => {
            words.extend(last);
            Span::Phrase(words)
        }
    }
}

/// The words of a text, of which a token with several terms gives the first.
pub(super) fn words(text: &str) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    for piece in text.split_whitespace() {
        if piece.contains(['*', '?']) {
            words.extend(wildcard_words(piece)?);
        } else {
            for (word, _) in first_terms(Form::Folded, piece) {
                words.push(Word::Folded(sought(Form::Folded, word)?));
            }
        }
    }
    if words.is_empty() {
        return Err(format!("`{text}` holds no word"));
    }
    Ok(words)
}

fn wildcard_words(piece: &str) -> Result<Vec<Word>, String> {
    if let Some(pattern) = marked_pattern(piece) {
        return Ok(vec![Word::Wildcard(pattern?)]);
    }
    let wildcards = |text: &str| text.chars().filter(|&c| matches!(c, STAR | QUESTION)).count();
    let joined = piece.replace('*', &STAR.to_string()).replace('?', &QUESTION.to_string());
    let mut words = Vec::new();
    let mut kept = 0;
    for (word, _) in first_terms(Form::Folded, &joined) {
        kept += wildcards(&word);
        let word = sought(Form::Folded, word)?;
        words.push(match wildcards(&word) {
            0 => Word::Folded(word),
            _ => Word::Wildcard(Pattern::new(&word.replace(STAR, "*").replace(QUESTION, "?"))?),
        });
    }
    if kept < wildcards(&joined) {
        return Err(format!("a wildcard in `{piece}` touches no letter or digit, and stands for no word"));
    }
    Ok(words)
}

/// `#app*` and `@app*`, which are one word with a mark.
fn marked_pattern(piece: &str) -> Option<Result<Pattern, String>> {
    let rest = piece.strip_prefix(['#', '@', '$'])?;
    let within = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '@' | '*' | '?');
    rest.chars().all(within).then(|| Pattern::new(&fold(piece)))
}

/// The words between braces.
pub(super) fn exact_words(text: &str) -> Result<Vec<Word>, String> {
    if text.contains(['*', '?']) {
        return Err(format!("`{{{text}}}` is exact: no wildcard can stand in it"));
    }
    let mut words = Vec::new();
    for (word, _) in first_terms(Form::Exact, text) {
        words.push(Word::Exact(sought(Form::Exact, word)?));
    }
    if words.is_empty() {
        return Err(format!("`{{{text}}}` holds no word"));
    }
    Ok(words)
}

/// A word that can be written as it is compared. (A few rare characters are compared as others that are no word.)
fn sought(form: Form, word: String) -> Result<String, String> {
    match written(form, &word) {
        Some(_) => Ok(word),
        None => Err(format!("`{word}` cannot be sought: it is compared as characters that make no word")),
    }
}

/// A word as it can be read again, if it can. The host of an address is a word only within an address.
pub(super) fn written(form: Form, word: &str) -> Option<String> {
    let same = |text: &str| matches!(first_terms(form, text).as_slice(), [(first, _)] if first == word);
    let address = format!("http://{word}");
    match (same(word), same(&address)) {
        (true, _) => Some(word.to_owned()),
        (false, true) => Some(address),
        (false, false) => None,
    }
}

/// Exact characters. They need a word, by which the index finds them.
pub(super) fn raw(text: &str) -> Result<Span, String> {
    if first_terms(Form::Exact, text).is_empty() {
        return Err(format!("`raw:` needs a word, and `{text}` holds none"));
    }
    Ok(Span::Raw(text.to_owned()))
}

/// The first term of each token, with its first byte.
pub(super) fn first_terms(form: Form, text: &str) -> Vec<(String, usize)> {
    let mut first: Vec<(String, usize)> = Vec::new();
    let mut last: Option<usize> = None;
    for Term { text, position, bytes } in terms_as(form, text) {
        if last != Some(position) {
            first.push((text, bytes.start));
        }
        last = Some(position);
    }
    first
}
