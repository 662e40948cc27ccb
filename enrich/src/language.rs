//! The language of a mention: as its source gave it, else by its letters.
//!
//! A wrong language is worse than none: where two ways of telling do not agree, a text is `und`. The first is
//! `whichlang`, which is fast and mostly right, but always answers: it is believed where parts of the text, taken by
//! themselves, get the same answer as the whole. The second is `whatlang`, which knows more languages and says how
//! sure it is, but is slow. What this is worth is in `tests/reports/languages.md`.

use std::sync::LazyLock;

use earshot_common::text::{TokenKind, Tokenized};
use whatlang::Detector;
use whichlang::{LANGUAGES, detect_language};

/// The code for "cannot be told".
pub const UNDETERMINED: &str = "und";

/// So many words of a text tell its language.
const MAX_WORDS: usize = 60;
/// Shorter texts have no parts that tell a language.
const SHORTEST_WITH_PARTS: usize = 4;
/// So sure must `whatlang` be of a text without parts, though `whichlang` agrees.
const SURE_OF_A_SHORT_TEXT: f64 = 0.3;
/// So sure must it be of a language that `whichlang` does not know.
const SURE_WITHOUT_A_SECOND: f64 = 0.9;
/// The share of right answers, on tweets in six languages, where all parts agree.
const PARTS_AGREE: f32 = 0.99;
/// And where only `whatlang` and `whichlang` agree.
const BOTH_AGREE: f32 = 0.95;

/// The languages that a guess may come to, with their ISO 639-1 codes. Short English looks like many a rare
/// language by accident, so those are left out; a source can still name them.
const CANDIDATES: &[(whatlang::Lang, &str)] = &[
    (whatlang::Lang::Ara, "ar"),
    (whatlang::Lang::Ben, "bn"),
    (whatlang::Lang::Bul, "bg"),
    (whatlang::Lang::Cat, "ca"),
    (whatlang::Lang::Ces, "cs"),
    (whatlang::Lang::Cmn, "zh"),
    (whatlang::Lang::Dan, "da"),
    (whatlang::Lang::Deu, "de"),
    (whatlang::Lang::Ell, "el"),
    (whatlang::Lang::Eng, "en"),
    (whatlang::Lang::Fin, "fi"),
    (whatlang::Lang::Fra, "fr"),
    (whatlang::Lang::Heb, "he"),
    (whatlang::Lang::Hin, "hi"),
    (whatlang::Lang::Hun, "hu"),
    (whatlang::Lang::Ind, "id"),
    (whatlang::Lang::Ita, "it"),
    (whatlang::Lang::Jpn, "ja"),
    (whatlang::Lang::Kor, "ko"),
    (whatlang::Lang::Nld, "nl"),
    (whatlang::Lang::Nob, "no"),
    (whatlang::Lang::Pes, "fa"),
    (whatlang::Lang::Pol, "pl"),
    (whatlang::Lang::Por, "pt"),
    (whatlang::Lang::Ron, "ro"),
    (whatlang::Lang::Rus, "ru"),
    (whatlang::Lang::Spa, "es"),
    (whatlang::Lang::Swe, "sv"),
    (whatlang::Lang::Tam, "ta"),
    (whatlang::Lang::Tha, "th"),
    (whatlang::Lang::Tur, "tr"),
    (whatlang::Lang::Ukr, "uk"),
    (whatlang::Lang::Urd, "ur"),
    (whatlang::Lang::Vie, "vi"),
];

static DETECTOR: LazyLock<Detector> =
    LazyLock::new(|| Detector::with_allowlist(CANDIDATES.iter().map(|(lang, _)| *lang).collect()));

/// A language and how sure it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Language {
    /// ISO 639-1, or [`UNDETERMINED`].
    pub code: String,
    /// 0 to 1; what a source says is taken as sure.
    pub confidence: f32,
}

/// The language of a mention; `given` is what its source says (BCP 47).
pub fn of(given: Option<&str>, title: Option<&Tokenized<'_>>, text: &Tokenized<'_>) -> Language {
    if let Some(code) = given.and_then(primary_language) {
        return Language { code, confidence: 1.0 };
    }
    let mut words: Vec<&str> = Vec::with_capacity(text.tokens.len().min(MAX_WORDS));
    for part in title.into_iter().chain([text]) {
        push_words(&mut words, part);
    }
    match guess(&words) {
        Some((code, confidence)) => Language { code: code.to_owned(), confidence },
        None => Language { code: UNDETERMINED.to_owned(), confidence: 0.0 },
    }
}

/// The language of some words, and how sure it is.
fn guess(words: &[&str]) -> Option<(&'static str, f32)> {
    let whole = words.join(" ");
    let first = detect_language(&whole);
    let parts_agree = words.len() >= SHORTEST_WITH_PARTS && parts_are_in(words, first);
    if parts_agree && !has_sisters(first) {
        return Some((known(first), PARTS_AGREE));
    }
    let second = DETECTOR.detect(&whole)?;
    let (code, sure) = (code_of(second.lang())?, second.confidence());
    if !LANGUAGES.into_iter().any(|lang| known(lang) == code) {
        return (sure >= SURE_WITHOUT_A_SECOND).then_some((code, sure as f32));
    }
    if parts_agree {
        return Some((known(first), PARTS_AGREE));
    }
    let long_enough = words.len() >= SHORTEST_WITH_PARTS || sure >= SURE_OF_A_SHORT_TEXT;
    (known(first) == code && long_enough).then_some((code, BOTH_AGREE))
}

/// Whether halves of a text, and every other word of it, are in a language as well.
fn parts_are_in(words: &[&str], lang: whichlang::Lang) -> bool {
    let (begin, end) = words.split_at(words.len() / 2);
    let every_other = |from: usize| words.iter().skip(from).step_by(2);
    // Words have some five letters.
    let mut part = String::with_capacity(words.len() * 6);
    let mut is_in = |words: &mut dyn Iterator<Item = &&str>| {
        part.clear();
        for word in words {
            part.push_str(if part.is_empty() { "" } else { " " });
            part.push_str(word);
        }
        detect_language(&part) == lang
    };
    is_in(&mut begin.iter())
        && is_in(&mut end.iter())
        && is_in(&mut every_other(0))
        && is_in(&mut every_other(1))
}

/// Whether `whichlang` takes languages that it does not know for this one, as it takes Catalan and Romanian for
/// Spanish or Italian, and Danish for Swedish.
fn has_sisters(lang: whichlang::Lang) -> bool {
    !matches!(lang, whichlang::Lang::Eng | whichlang::Lang::Deu)
}

/// The ISO 639-1 code of a language that `whichlang` knows.
fn known(lang: whichlang::Lang) -> &'static str {
    use whichlang::Lang;
    match lang {
        Lang::Ara => "ar",
        Lang::Cmn => "zh",
        Lang::Deu => "de",
        Lang::Eng => "en",
        Lang::Fra => "fr",
        Lang::Hin => "hi",
        Lang::Ita => "it",
        Lang::Jpn => "ja",
        Lang::Kor => "ko",
        Lang::Nld => "nl",
        Lang::Por => "pt",
        Lang::Rus => "ru",
        Lang::Spa => "es",
        Lang::Swe => "sv",
        Lang::Tur => "tr",
        Lang::Vie => "vi",
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
        3 => code_of(whatlang::Lang::from_code(primary)?).map(str::to_owned),
        _ => None,
    }
}

fn code_of(lang: whatlang::Lang) -> Option<&'static str> {
    CANDIDATES.iter().find(|(candidate, _)| *candidate == lang).map(|(_, code)| *code)
}

/// Accounts, addresses and hashtags are in no language.
fn push_words<'t>(words: &mut Vec<&'t str>, Tokenized { text, tokens }: &Tokenized<'t>) {
    let left = MAX_WORDS - words.len();
    let new = tokens.iter().filter(|token| token.kind == TokenKind::Word).take(left);
    words.extend(new.map(|token| token.of(text)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(given: Option<&str>, title: Option<&str>, text: &str) -> Language {
        of(given, title.map(Tokenized::new).as_ref(), &Tokenized::new(text))
    }

    #[test]
    fn a_language_is_told_or_left_open() {
        for (text, code) in [
            ("@united I have been waiting for my bags for three hours and nobody answers the phone", "en"),
            ("Das ist leider schon der dritte Flug in dieser Woche, der nicht gekommen ist", "de"),
            ("Je ne comprends pas pourquoi personne ne répond quand on appelle le service", "fr"),
            ("Nessuno risponde al telefono da tre ore", "it"),
            ("Há três horas que ninguém atende o telefone", "pt"),
            ("Llevo tres horas esperando y nadie contesta", "es"),
            ("これは本当にひどいサービスです", "ja"),
            // Languages that one of the two ways does not know, and would take for others.
            ("Aquest matí els veïns han trobat la porta oberta i ningú no sabia què havia passat", "ca"),
            ("Dzisiaj rano nikt nie odbierał telefonu, a pociąg spóźnił się o trzy godziny", "pl"),
            // Too short to tell, or nothing but names.
            ("ok", "und"),
            ("@united thx lol", "und"),
            ("#unhappy #ungluecklich http://example.com/warum/nicht", "und"),
            ("", "und"),
        ] {
            assert_eq!(told(None, None, text).code, code, "{text}");
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
            assert_eq!(told(Some(given), None, english).code, code, "{given}");
        }
    }

    #[test]
    fn the_title_speaks_too() {
        let language =
            told(None, Some("Why nobody should ever have to wait for three hours at a counter"), "ok");
        assert_eq!(language.code, "en");
        assert!((0.5..=1.0).contains(&language.confidence), "{}", language.confidence);
    }
}
