//! How fast queries stand on the stream: thousands of them against many texts, on one core, beside the
//! evaluation of every query.
//!
//! `cargo run --release -p earshot-tests --bin standing -- --names LIST.csv --queries FOLDER --texts
//! TEXTS.jsonl.gz`, where LIST has the columns `Symbol` and `Security`, FOLDER has queries, one a file, and
//! TEXTS has one JSON object a line with `text`, plain or gzip. `--write FILE` writes the queries, one JSON
//! object a line, for others to be measured beside; `--mentions N` takes the first N texts.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Read, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use earshot_common::events::{Author, Enriched};
use earshot_common::query::{StandingQueries, parse};
use earshot_tests::core_time::CoreTime;
use earshot_tests::random_queries::Generator;
use earshot_tests::standing_queries::{companies, parts, standing_queries};
use flate2::read::MultiGzDecoder;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use serde_json::{Value, json};

/// Queries in each measurement.
const COUNTS: [usize; 4] = [100, 1_000, 10_000, 100_000];
/// The evaluation of every query gets so much time for each measurement.
const PATIENCE: Duration = Duration::from_secs(10);

struct Arguments {
    names: PathBuf,
    queries: PathBuf,
    texts: PathBuf,
    write: Option<PathBuf>,
    mentions: usize,
}

fn arguments() -> anyhow::Result<Arguments> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = given.iter().position(|argument| argument == name);
        at.and_then(|at| given.get(at + 1)).cloned()
    };
    let path = |name: &str| value(name).map(PathBuf::from);
    Ok(Arguments {
        names: path("--names").context("give --names LIST.csv")?,
        queries: path("--queries").context("give --queries FOLDER")?,
        texts: path("--texts").context("give --texts TEXTS.jsonl.gz")?,
        write: path("--write"),
        mentions: value("--mentions").map_or(Ok(usize::MAX), |value| value.parse())?,
    })
}

#[expect(clippy::print_stdout, reason = "the report is this program's answer")]
fn main() -> anyhow::Result<()> {
    let arguments = arguments()?;
    let companies = companies(&arguments.names)?;
    let parts = parts(&arguments.queries)?;
    let mentions = mentions(&arguments.texts, arguments.mentions)?;
    let most = COUNTS.into_iter().max().unwrap_or_default();
    let queries = standing_queries(&companies, &parts, most, 1);
    if let Some(file) = &arguments.write {
        write_queries(file, &queries[..10_000])?;
    }
    println!(
        "{} mentions, {} companies, {} parts of real queries\n",
        mentions.len(),
        companies.len(),
        parts.len()
    );
    println!(
        "| queries | mentions/s | µs/mention | candidates/mention | matches/mention | every query: mentions/s |"
    );
    println!("|---|---|---|---|---|---|");
    for count in COUNTS {
        let mut standing = StandingQueries::default();
        for (number, query) in queries[..count].iter().enumerate() {
            standing.put(&number.to_string(), &parse(query).with_context(|| query.clone())?)?;
        }
        println!("{}", measure(&standing, &mentions));
    }
    Ok(())
}

/// One line of the report.
fn measure(standing: &StandingQueries, mentions: &[Enriched]) -> String {
    let queries = standing.len();
    let time = CoreTime::start();
    let mut matches = 0;
    for mention in mentions {
        matches += standing.matches(mention).len();
    }
    let took = time.elapsed();
    let sample = &mentions[..mentions.len().min(20_000)];
    let candidates: usize = sample.iter().map(|mention| standing.candidates(mention).len()).sum();

    let start = Instant::now();
    let time = CoreTime::start();
    let mut evaluated = 0;
    for mention in mentions {
        standing.matches_by_evaluating_all(mention);
        evaluated += 1;
        if start.elapsed() > PATIENCE {
            break;
        }
    }
    let every = time.elapsed();
    let rate = |count: usize, took: Duration| count as f64 / took.as_secs_f64();
    format!(
        "| {queries} | {:.0} | {:.1} | {:.1} | {:.3} | {:.0} |",
        rate(mentions.len(), took),
        took.as_secs_f64() * 1e6 / mentions.len() as f64,
        candidates as f64 / sample.len() as f64,
        matches as f64 / mentions.len() as f64,
        rate(evaluated, every),
    )
}

fn mentions(file: &Path, most: usize) -> anyhow::Result<Vec<Enriched>> {
    let opened = File::open(file).with_context(|| format!("read {}", file.display()))?;
    let reader: Box<dyn Read> = match file.extension().is_some_and(|extension| extension == "gz") {
        true => Box::new(MultiGzDecoder::new(opened)),
        false => Box::new(opened),
    };
    let mut generator = Generator::new(1);
    let mut mentions = Vec::new();
    for line in BufReader::new(reader).lines().take(most) {
        let row: Value = serde_json::from_str(&line?)?;
        // The fields are those of a random mention: none of the texts has any.
        let mut mention = generator.mention(mentions.len());
        mention.mention.title = None;
        row["text"].as_str().unwrap_or_default().clone_into(&mut mention.mention.text);
        if let Some(handle) = row["author"].as_str() {
            mention.mention.author = Some(Author {
                id: format!("web:{handle}"),
                handle: Some(handle.to_owned()),
                ..mention.mention.author.unwrap_or_default()
            });
        }
        mentions.push(mention);
    }
    // The texts of one source stand together, and not everything is measured on all of them.
    mentions.shuffle(&mut StdRng::seed_from_u64(1));
    Ok(mentions)
}

fn write_queries(file: &Path, queries: &[String]) -> anyhow::Result<()> {
    let mut writer = BufWriter::new(File::create(file).with_context(|| format!("write {}", file.display()))?);
    for (number, query) in queries.iter().enumerate() {
        writeln!(writer, "{}", json!({ "id": number.to_string(), "query": query }))?;
    }
    Ok(writer.flush()?)
}
