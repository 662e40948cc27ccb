//! The language of a mention: as its source gave it, else by its trigrams.
//!
//! A wrong language is worse than none: a text that is too short to tell is `und`.

use earshot_common::text::{TokenKind, tokens};
use whatlang::{Detector, Lang};

/// The code for "cannot be told".
pub const UNDETERMINED: &str = "und";

/// Below this the guess is not told. On tweets in six languages it leaves about one wrong guess in a hundred.
const LEAST_CONFIDENCE: f64 = 0.5;

/// The languages that a guess may come to, with their ISO 639-1 codes. Short English looks like many a rare
/// language by accident, so those are left out; a source can still name them.
const CANDIDATES: &[(Lang, &str)] = &[
    (Lang::Ara, "ar"),
    (Lang::Ben, "bn"),
    (Lang::Bul, "bg"),
    (Lang::Cat, "ca"),
    (Lang::Ces, "cs"),
    (Lang::Cmn, "zh"),
    (Lang::Dan, "da"),
    (Lang::Deu, "de"),
    (Lang::Ell, "el"),
    (Lang::Eng, "en"),
    (Lang::Fin, "fi"),
    (Lang::Fra, "fr"),
    (Lang::Heb, "he"),
    (Lang::Hin, "hi"),
    (Lang::Hun, "hu"),
    (Lang::Ind, "id"),
    (Lang::Ita, "it"),
    (Lang::Jpn, "ja"),
    (Lang::Kor, "ko"),
    (Lang::Nld, "nl"),
    (Lang::Nob, "no"),
    (Lang::Pes, "fa"),
    (Lang::Pol, "pl"),
    (Lang::Por, "pt"),
    (Lang::Ron, "ro"),
    (Lang::Rus, "ru"),
    (Lang::Spa, "es"),
    (Lang::Swe, "sv"),
    (Lang::Tam, "ta"),
    (Lang::Tha, "th"),
    (Lang::Tur, "tr"),
    (Lang::Ukr, "uk"),
    (Lang::Urd, "ur"),
    (Lang::Vie, "vi"),
];

/// A language and how sure it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Language {
    /// ISO 639-1, or [`UNDETERMINED`].
    pub code: String,
    /// 0 to 1; what a source says is taken as sure.
    pub confidence: f32,
}

/// The language of a mention; `given` is what its source says (BCP 47).
pub fn of(given: Option<&str>, title: Option<&str>, text: &str) -> Language {
    if let Some(code) = given.and_then(primary_language) {
        return Language { code, confidence: 1.0 };
    }
    let mut words = String::new();
    for part in title.into_iter().chain([text]) {
        append_words(&mut words, part);
    }
    let detector = Detector::with_allowlist(CANDIDATES.iter().map(|(lang, _)| *lang).collect());
    let guess = detector.detect(&words).filter(|guess| guess.confidence() >= LEAST_CONFIDENCE);
    match guess.and_then(|guess| Some((code_of(guess.lang())?, guess.confidence()))) {
        Some((code, confidence)) => Language { code: code.to_owned(), confidence: confidence as f32 },
        None => Language { code: UNDETERMINED.to_owned(), confidence: 0.0 },
    }
}

/// The language of a BCP 47 tag such as `pt-BR`, where it looks like one and says one.
fn primary_language(tag: &str) -> Option<String> {
    let mut subtags = tag.split(['-', '_']);
    let primary = subtags.next()?.to_ascii_lowercase();
    let is_subtag =
        |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    if !primary.bytes().all(|b| b.is_ascii_lowercase()) || !subtags.all(is_subtag) {
        return None;
    }
    match primary.len() {
        2 => Some(primary),
        3 => code_of(Lang::from_code(primary)?).map(str::to_owned),
        _ => None,
    }
}

fn code_of(lang: Lang) -> Option<&'static str> {
    CANDIDATES.iter().find(|(candidate, _)| *candidate == lang).map(|(_, code)| *code)
}

/// Accounts, addresses and hashtags are in no language.
fn append_words(words: &mut String, text: &str) {
    for token in tokens(text).iter().filter(|token| token.kind == TokenKind::Word) {
        words.push_str(token.of(text));
        words.push(' ');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_told_or_left_open() {
        for (text, code) in [
            ("@united I have been waiting for my bags for three hours and nobody answers the phone", "en"),
            ("Das ist leider schon der dritte Flug in dieser Woche, der nicht gekommen ist", "de"),
            ("Je ne comprends pas pourquoi personne ne répond quand on appelle le service", "fr"),
            ("これは本当にひどいサービスです", "ja"),
            // Too short to tell, or nothing but names.
            ("ok", "und"),
            ("@united thx lol", "und"),
            ("#unhappy #ungluecklich http://example.com/warum/nicht", "und"),
            ("", "und"),
        ] {
            assert_eq!(of(None, None, text).code, code, "{text}");
        }
    }

    #[test]
    fn what_the_source_says_wins_where_it_is_a_language() {
        let english = "this is a plain English sentence about the weather of the last few days";
        for (given, code) in [
            ("fr", "fr"),
            ("pt-BR", "pt"),
            ("EN_us", "en"),
            ("zh-Hant-TW", "zh"),
            ("deu", "de"),
            // Not languages: the text decides.
            ("und", "en"),
            ("zxx", "en"),
            ("x-klingon", "en"),
            ("en/US", "en"),
            ("German", "en"),
            ("", "en"),
        ] {
            assert_eq!(of(Some(given), None, english).code, code, "{given}");
        }
    }

    #[test]
    fn the_title_speaks_too() {
        let language =
            of(None, Some("Why nobody should ever have to wait for three hours at a counter"), "ok");
        assert_eq!(language.code, "en");
        assert!((0.5..=1.0).contains(&language.confidence), "{}", language.confidence);
    }
}
