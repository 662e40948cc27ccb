//! `earshot evaluate`: the judge on labelled texts, beside VADER, and the detector on series of counts. It prints
//! scores and rates, and judges nothing by them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use earshot_common::events::Polarity;
use earshot_common::settings::Settings;
use earshot_common::text::Tokenized;
use earshot_enrich::sentiment::{Lexicon, Lexicons, Read, places_of, vader};
use earshot_enrich::{EnrichSettings, language};
use flate2::read::GzDecoder;
use serde::Deserialize;

use crate::print;
use crate::volume::{self, VolumeArguments};

/// The language of what has none that is judged.
const ENGLISH: &str = "en";

#[derive(Debug, Subcommand)]
pub(crate) enum EvaluateCommand {
    /// Score labelled texts, one score a line: towards `target` where a row has one
    Sentiment(SentimentArguments),
    /// Failure rates on the CheckList suite for sentiment, beside VADER's
    Checklist(ChecklistArguments),
    /// Score a series of counts with the detector of the count rules, one score a row
    Volume(VolumeArguments),
}

#[derive(Debug, Args)]
pub(crate) struct SentimentArguments {
    /// JSON Lines, plain or gzip, with `text` and perhaps `lang`, `target`, `from` and `to` (in characters)
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// The scores, -1 to 1, in the order of the rows
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Who judges
    #[arg(long, value_enum, default_value = "earshot")]
    judge: Judge,
    /// Score 0 where nothing is said of the target, instead of the message's score in its stead
    #[arg(long)]
    without_fallback: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ChecklistArguments {
    /// JSON Lines, plain or gzip, with `test`, `type`, `capability`, `data` and `label`
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Judge {
    /// Earshot's own judge
    Earshot,
    /// The baseline
    Vader,
}

/// Runs an evaluation with the lexicons of the settings, where there is a settings file.
pub(crate) fn evaluate(command: EvaluateCommand, settings: &Path) -> anyhow::Result<()> {
    let lexicons = match settings.exists() {
        true => {
            let settings = Settings::load(settings)?;
            settings.section::<EnrichSettings>("enrich")?.lexicons(&settings.base)?
        }
        false => Lexicons::shipped(),
    };
    let english = lexicons.of(ENGLISH).context("English is not judged")?;
    match command {
        EvaluateCommand::Sentiment(arguments) => sentiment(&arguments, &lexicons, english),
        EvaluateCommand::Checklist(arguments) => checklist(&arguments, english),
        EvaluateCommand::Volume(arguments) => volume::evaluate(&arguments),
    }
}

#[derive(Debug, Deserialize)]
struct Labelled {
    text: String,
    lang: Option<String>,
    target: Option<String>,
    from: Option<u64>,
    to: Option<u64>,
}

impl Labelled {
    /// The lexicon of the row's language, or else of the language that its text is in. A row needs a score: what is
    /// in no language that is judged is judged as English.
    fn lexicon<'l>(&self, lexicons: &'l Lexicons, english: &'l Lexicon) -> &'l Lexicon {
        let given = self.lang.as_deref().and_then(|lang| lexicons.of(&lang.to_lowercase()));
        given
            .or_else(|| lexicons.of(&language::of(None, None, &Tokenized::new(&self.text)).code))
            .unwrap_or(english)
    }
}

fn sentiment(arguments: &SentimentArguments, lexicons: &Lexicons, english: &Lexicon) -> anyhow::Result<()> {
    let baseline = vader::Lexicon::english();
    let mut scores = String::new();
    let (mut rows, mut targets, mut fallbacks) = (0, 0, 0);
    for_each_row(&arguments.input, |row: Labelled| {
        rows += 1;
        let lexicon = row.lexicon(lexicons, english);
        let score = match (arguments.judge, &row.target) {
            (Judge::Vader, _) => vader::score(&baseline, &row.text),
            (Judge::Earshot, None) => f64::from(Read::new(lexicon, None, &row.text).message().score),
            (Judge::Earshot, Some(target)) => {
                let places = places_of(&row.text, target, row.from.zip(row.to));
                let towards = Read::new(lexicon, None, &row.text).towards(&places);
                targets += 1;
                fallbacks += usize::from(towards.fallback);
                if towards.fallback && arguments.without_fallback { 0.0 } else { f64::from(towards.score) }
            }
        };
        let _ = writeln!(scores, "{score:.6}");
    })?;
    std::fs::write(&arguments.output, scores)
        .with_context(|| format!("write {}", arguments.output.display()))?;
    print(&format!("{rows} rows, {targets} towards a target; of {fallbacks} of these nothing is said of it"));
    Ok(())
}

#[derive(Debug, Deserialize)]
struct Case {
    test: String,
    #[serde(rename = "type")]
    kind: String,
    capability: String,
    data: Data,
    label: Option<u8>,
}

/// One text, or several that must agree; a text may come in parts.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Data {
    Text(String),
    Texts(Vec<Part>),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Part {
    Whole(String),
    Parts(Vec<String>),
}

impl Data {
    fn texts(self) -> Vec<String> {
        match self {
            Self::Text(text) => vec![text],
            Self::Texts(texts) => {
                let whole = |part| match part {
                    Part::Whole(text) => text,
                    Part::Parts(parts) => parts.join(" "),
                };
                texts.into_iter().map(whole).collect()
            }
        }
    }
}

/// How often a test was run, and how often each judge failed it.
#[derive(Debug, Default)]
struct Failures {
    cases: usize,
    earshot: usize,
    vader: usize,
}

fn checklist(arguments: &ChecklistArguments, lexicon: &Lexicon) -> anyhow::Result<()> {
    let baseline = vader::Lexicon::english();
    let mut failures: BTreeMap<(String, String), Failures> = BTreeMap::new();
    for_each_row(&arguments.input, |case: Case| {
        // Tests of a change in a direction have no right class.
        if case.kind == "DIR" {
            return;
        }
        let texts = case.data.texts();
        let ours = |text: &String| class(f64::from(Read::new(lexicon, None, text).message().score));
        let theirs = |text: &String| class(vader::score(&baseline, text));
        let failed = failures.entry((case.capability, case.test)).or_default();
        failed.cases += 1;
        failed.earshot += usize::from(fails(&case.kind, case.label, texts.iter().map(ours)));
        failed.vader += usize::from(fails(&case.kind, case.label, texts.iter().map(theirs)));
    })?;
    print(&format!("{:<12}{:>7}{:>10}{:>9}  test", "capability", "cases", "Earshot", "VADER"));
    for ((capability, test), failed) in &failures {
        let rate = |failures: usize| 100.0 * failures as f64 / failed.cases as f64;
        let (ours, theirs) = (rate(failed.earshot), rate(failed.vader));
        print(&format!("{capability:<12}{:>7}{ours:>8.1} %{theirs:>7.1} %  {test}", failed.cases));
    }
    Ok(())
}

/// Whether a case fails: the class must be the label, or not negative where there is none; variants must agree.
fn fails(kind: &str, label: Option<u8>, mut classes: impl Iterator<Item = u8>) -> bool {
    let Some(first) = classes.next() else { return false };
    match (kind, label) {
        ("INV", _) => classes.any(|class| class != first),
        (_, None) => first == 0,
        (_, Some(label)) => first != label,
    }
}

/// 0 negative, 1 neutral, 2 positive.
fn class(score: f64) -> u8 {
    match Polarity::of(score as f32) {
        Polarity::Negative => 0,
        Polarity::Neutral => 1,
        Polarity::Positive => 2,
    }
}

fn for_each_row<R: serde::de::DeserializeOwned>(path: &Path, mut each: impl FnMut(R)) -> anyhow::Result<()> {
    let mut file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    let mut magic = [0; 2];
    let gzip = file.read_exact(&mut magic).is_ok() && magic == [0x1f, 0x8b];
    let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    let lines: Box<dyn std::io::BufRead> = match gzip {
        true => Box::new(BufReader::new(GzDecoder::new(file))),
        false => Box::new(BufReader::new(file)),
    };
    for (at, line) in lines.lines().enumerate() {
        let place = || format!("{}:{}", path.display(), at + 1);
        let line = line.with_context(place)?;
        if !line.trim().is_empty() {
            each(serde_json::from_str(&line).with_context(place)?);
        }
    }
    Ok(())
}
