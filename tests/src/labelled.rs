//! Labelled texts of the evaluations: JSON Lines, gzip, one row `{"set", "kind", "text", "label"}` for each.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::ops::Range;
use std::path::Path;

use anyhow::Context as _;
use flate2::read::MultiGzDecoder;
use serde_json::Value;

/// A text with the polarity that people gave it.
#[derive(Clone, Debug)]
pub struct Row {
    /// The set that it is of.
    pub set: String,
    /// Whether the message was judged, or what it says of somebody.
    pub kind: Kind,
    /// The text.
    pub text: String,
    /// -1, 0 or 1.
    pub label: i8,
}

/// What was judged.
#[derive(Clone, Debug)]
pub enum Kind {
    /// The message.
    Message,
    /// What it says of what is named at these bytes.
    Target(Vec<Range<usize>>),
}

/// Reads labelled texts.
pub fn read(path: &Path) -> anyhow::Result<Vec<Row>> {
    rows(path, |row| row_of(&row))
}

/// Reads the texts of rows that need no label.
pub fn texts(path: &Path) -> anyhow::Result<Vec<String>> {
    rows(path, |row| row["text"].as_str().map(str::to_owned).context("`text` is no text"))
}

/// A text in a language that people gave it.
#[derive(Clone, Debug)]
pub struct InLanguage {
    /// The text.
    pub text: String,
    /// ISO 639-1.
    pub lang: String,
}

/// Reads texts in the languages that are judged; those of rows without `lang` are English.
pub fn in_languages(path: &Path) -> anyhow::Result<Vec<InLanguage>> {
    rows(path, |row| {
        let text = row["text"].as_str().context("`text` is no text")?.to_owned();
        let lang = match row["lang"].as_str().unwrap_or("english") {
            "english" => "en",
            "french" => "fr",
            "german" => "de",
            "spanish" => "es",
            "italian" => "it",
            "portuguese" => "pt",
            other => anyhow::bail!("`lang` is `{other}`, which is none of the languages that are judged"),
        };
        Ok(InLanguage { text, lang: lang.to_owned() })
    })
}

/// Reads JSON Lines, gzip; an error names the file and the line.
pub fn rows<R>(path: &Path, read: impl Fn(Value) -> anyhow::Result<R>) -> anyhow::Result<Vec<R>> {
    let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    let mut rows = Vec::new();
    for (at, line) in BufReader::new(MultiGzDecoder::new(file)).lines().enumerate() {
        let place = || format!("{}:{}", path.display(), at + 1);
        let row: Value = serde_json::from_str(&line.with_context(place)?).with_context(place)?;
        rows.push(read(row).with_context(place)?);
    }
    Ok(rows)
}

fn row_of(row: &Value) -> anyhow::Result<Row> {
    let string = |name: &str| row[name].as_str().with_context(|| format!("`{name}` is no text"));
    let text = string("text")?.to_owned();
    let kind = match string("kind")? {
        "target" => Kind::Target(earshot_enrich::sentiment::places_of(
            &text,
            row["target"].as_str().unwrap_or_default(),
            row["from"].as_u64().zip(row["to"].as_u64()),
        )),
        _ => Kind::Message,
    };
    let label = row["label"].as_i64().context("`label` is no number")?;
    Ok(Row { set: string("set")?.to_owned(), kind, label: label.signum() as i8, text })
}

/// The label of a score, by the thresholds of VADER's authors.
pub fn label_of(score: f64) -> i8 {
    if score >= 0.05 {
        1
    } else if score <= -0.05 {
        -1
    } else {
        0
    }
}

/// The mean of F1 over the labels that occur, of pairs of the true label and the answer.
pub fn macro_f1(pairs: &[(i8, i8)]) -> f64 {
    let mut figures = Vec::new();
    for class in [-1, 0, 1] {
        let gold = pairs.iter().filter(|(label, _)| *label == class).count();
        let said = pairs.iter().filter(|(_, answer)| *answer == class).count();
        let hit = pairs.iter().filter(|(label, answer)| *label == class && *answer == class).count();
        if gold > 0 {
            figures.push(2.0 * hit as f64 / (gold + said) as f64);
        }
    }
    figures.iter().sum::<f64>() / figures.len().max(1) as f64
}
