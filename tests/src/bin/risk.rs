//! What the patterns of risk and intent find in real texts, and a sample of it to be judged by hand.
//!
//! `cargo run --release -p earshot-tests --bin risk -- --seed 5 --each 7 --output DRAWN.tsv TEXTS…`, where each file has
//! an id and a text a row: CSV with the columns `id` or `tweet_id` and `text` or `title`, or JSON Lines with `id` and
//! `text`; gzip both. A text that stands there twice counts once. The sample has so many tags of each label from all
//! files together. The texts are written to the output alone, to be read there and not to be kept.

#![expect(clippy::print_stdout, reason = "the report of a program belongs on the standard output")]

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Parser;
use earshot_common::definitions::Watchlist;
use earshot_common::events::{Enriched, INTENTS, Mention, RISKS, RawPosition, SourceRef};
use earshot_common::text::Tokenized;
use earshot_common::time::Timestamp;
use earshot_enrich::judge::{Knowledge, judge};
use earshot_enrich::risk::Risks;
use earshot_enrich::sentiment::Lexicons;
use earshot_tests::core_time::CoreTime;
use earshot_tests::labelled;
use flate2::read::MultiGzDecoder;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;

#[derive(Debug, Parser)]
struct Arguments {
    /// Of what the sample is drawn by
    #[arg(long, default_value_t = 5)]
    seed: u64,
    /// Tags of each label in the sample
    #[arg(long, default_value_t = 7)]
    each: usize,
    /// The sample: file, id, label, words and text, with tabs between them
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Files of texts
    #[arg(required = true, value_name = "TEXTS")]
    texts: Vec<PathBuf>,
}

/// A text of a file.
struct Row {
    file: String,
    id: String,
    text: String,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut rows = Vec::new();
    for path in &arguments.texts {
        rows.extend(read(path)?);
    }
    let mut known = HashSet::new();
    rows.retain(|row| known.insert(row.text.clone()));
    let risks = Arc::new(Risks::english());
    println!("{} texts; {:.1} µs for the patterns of one", rows.len(), microseconds(&rows, &risks));

    let knowledge = Knowledge::of(&Watchlist::default(), Arc::new(Lexicons::shipped()), risks)?;
    let mut tags: BTreeMap<&str, Vec<(&Row, String)>> = BTreeMap::new();
    for row in &rows {
        let enriched = judged(row, &knowledge);
        for label in RISKS.iter().chain(&INTENTS) {
            let found = enriched.evidence.iter().filter(|found| found.label == **label);
            let words: Vec<&str> = found.filter_map(|found| found.words.as_deref()).collect();
            if !words.is_empty() {
                tags.entry(label).or_default().push((row, words.join(" … ")));
            }
        }
    }
    let mut chance = StdRng::seed_from_u64(arguments.seed);
    let mut sample = String::new();
    for label in RISKS.iter().chain(&INTENTS) {
        let found = tags.remove(label).unwrap_or_default();
        println!("{label:<16}{:>8}", found.len());
        for (row, words) in found.sample(&mut chance, arguments.each) {
            let text = row.text.replace(['\n', '\t', '\r'], " ");
            let _ = writeln!(sample, "{}\t{}\t{label}\t{words}\t{text}", row.file, row.id);
        }
    }
    std::fs::write(&arguments.output, sample).with_context(|| format!("write {}", arguments.output.display()))
}

fn judged(row: &Row, knowledge: &Knowledge) -> Enriched {
    let now = Timestamp::from_millis(0);
    let source = SourceRef { id: row.file.clone(), network: "evaluation".to_owned(), site: None };
    let mention = Mention::new(row.id.clone(), source, row.text.clone(), now);
    judge(mention, RawPosition { partition: 0, offset: 0 }, knowledge, now)
}

/// The time for one text on one core.
fn microseconds(rows: &[Row], risks: &Risks) -> f64 {
    let time = CoreTime::start();
    let places: usize =
        rows.iter().map(|row| risks.look(None, &Tokenized::new(&row.text), true).evidence.len()).sum();
    println!("{places} places");
    time.elapsed().as_secs_f64() * 1e6 / rows.len().max(1) as f64
}

fn read(path: &Path) -> anyhow::Result<Vec<Row>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let file = name.split('.').next().unwrap_or_default().to_owned();
    if name.contains(".csv") {
        let context = || format!("read {}", path.display());
        let decoder = MultiGzDecoder::new(File::open(path).with_context(context)?);
        let mut reader = csv::Reader::from_reader(decoder);
        let headers = reader.headers().with_context(context)?.clone();
        let column = |names: [&str; 2]| headers.iter().position(|header| names.contains(&header));
        let (Some(id), Some(text)) = (column(["id", "tweet_id"]), column(["text", "title"])) else {
            bail!("{}: no columns `id` and `text`", path.display());
        };
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.with_context(context)?;
            rows.push(Row { file: file.clone(), id: record[id].to_owned(), text: record[text].to_owned() });
        }
        return Ok(rows);
    }
    labelled::rows(path, |row| {
        let string = |name: &str| {
            row[name].as_str().map(str::to_owned).with_context(|| format!("`{name}` is no text"))
        };
        Ok(Row { file: file.clone(), id: string("id")?, text: string("text")? })
    })
}
