//! How well the language of a text is told: Earshot's way beside the two libraries that it is made of.
//!
//! `cargo run --release -p earshot-tests --bin languages -- LABELLED.jsonl.gz ...`: rows with a `text` and the English
//! name of its language as `lang`; rows without one are taken as English. Prints a table for each file: by the number
//! of words, the share of texts that get an answer, the share of answers that are right, and the share of texts that
//! get a wrong one.

#![expect(clippy::print_stdout, reason = "the report of a program belongs on the standard output")]

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context as _;
use earshot_common::text::{TokenKind, Tokenized, tokens};
use earshot_enrich::language::{self, UNDETERMINED};
use earshot_tests::labelled::{self, InLanguage};

/// Texts are told apart by their number of words, up to and with these.
const LENGTHS: [(&str, std::ops::RangeInclusive<usize>); 5] =
    [("all", 1..=usize::MAX), ("1-3", 1..=3), ("4-7", 4..=7), ("8-15", 8..=15), ("16-", 16..=usize::MAX)];

/// A way of telling a language: its name, and the ISO 639-1 code that it gives for a text and its words.
type Way = (&'static str, fn(&str, &str) -> Option<String>);

const WAYS: [Way; 4] = [
    ("Earshot", earshot),
    ("whichlang", whichlang_alone),
    ("whatlang", whatlang_alone),
    ("whatlang, reliable", whatlang_reliable),
];

fn main() -> anyhow::Result<()> {
    for path in std::env::args_os().skip(1).map(PathBuf::from) {
        let texts = labelled::in_languages(&path)?;
        println!("{}: {} texts\n", path.file_name().unwrap_or_default().display(), texts.len());
        let words: Vec<String> = texts.iter().map(|text| words_of(&text.text)).collect();
        let lengths: Vec<usize> = words.iter().map(|words| words.split_whitespace().count()).collect();
        println!("| way | words | texts | answered | right of these | wrong of all | texts a second |");
        println!("|---|---|---|---|---|---|---|");
        for (name, tell) in WAYS {
            let start = Instant::now();
            let answers: Vec<Option<String>> =
                texts.iter().zip(&words).map(|(text, words)| tell(&text.text, words)).collect();
            let rate = texts.len() as f64 / start.elapsed().as_secs_f64();
            for (length, range) in &LENGTHS {
                let rows = texts.iter().zip(&answers).zip(&lengths);
                let rows = rows.filter(|(_, words)| range.contains(*words)).map(|(row, _)| row);
                let figures = figures(rows).context("count the answers")?;
                println!("| {name} | {length} | {figures} | {rate:.0} |");
            }
        }
        println!();
    }
    Ok(())
}

/// Number of texts, shares answered, right of the answers and wrong of all.
fn figures<'r>(rows: impl Iterator<Item = (&'r InLanguage, &'r Option<String>)>) -> Option<String> {
    let (mut texts, mut answered, mut wrong) = (0, 0, 0);
    for (text, answer) in rows {
        texts += 1;
        answered += usize::from(answer.is_some());
        wrong += usize::from(answer.as_ref().is_some_and(|answer| *answer != text.lang));
    }
    let percent = |part: usize, whole: usize| 100.0 * part as f64 / whole.max(1) as f64;
    let right = answered.checked_sub(wrong)?;
    Some(format!(
        "{texts} | {:.1} % | {:.1} % | {:.1} %",
        percent(answered, texts),
        percent(right, answered),
        percent(wrong, texts)
    ))
}

fn earshot(text: &str, _: &str) -> Option<String> {
    Some(language::of(None, None, &Tokenized::new(text)).code).filter(|code| code != UNDETERMINED)
}

fn whichlang_alone(_: &str, words: &str) -> Option<String> {
    Some(two_letters(whichlang::detect_language(words).three_letter_code()))
}

fn whatlang_alone(_: &str, words: &str) -> Option<String> {
    whatlang::detect(words).map(|guess| two_letters(guess.lang().code()))
}

fn whatlang_reliable(_: &str, words: &str) -> Option<String> {
    let guess = whatlang::detect(words).filter(whatlang::Info::is_reliable)?;
    Some(two_letters(guess.lang().code()))
}

/// The code that rows are labelled with; any other language is a wrong one for them.
fn two_letters(code: &str) -> String {
    language::of(Some(code), None, &Tokenized::new("")).code
}

/// The words alone, as Earshot looks at them.
fn words_of(text: &str) -> String {
    let tokens = tokens(text);
    let words: Vec<&str> =
        tokens.iter().filter(|token| token.kind == TokenKind::Word).map(|token| token.of(text)).collect();
    words.join(" ")
}
