//! How fast enrich is as a whole on one core, JSON in and out, beside JSON in and out alone, with ten thousand and with
//! a hundred thousand aliases; and whether its memory stays flat.
//!
//! `cargo run --release -p earshot-tests --bin enrich_speed -- TEXTS.jsonl.gz [--memory MENTIONS]`, where each row has a
//! `text` and an `author`. With `--memory` the file is judged over and over until so many mentions are through, and the
//! resident memory is printed at each million.

#![expect(clippy::print_stdout, reason = "the report of a program belongs on the standard output")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use earshot_common::events::{
    Author, EnrichedEvent, Mention, MentionEvent, RawPosition, SignalRecord, SourceRef, decode, encode,
};
use earshot_common::keys::Secret;
use earshot_common::time::Timestamp;
use earshot_enrich::judge::{Knowledge, judge, signal};
use earshot_enrich::searches::Searches;
use earshot_tests::aliases;
use earshot_tests::core_time::CoreTime;
use earshot_tests::labelled;

/// Rates are of so many mentions, from all over the file.
const SAMPLE: usize = 100_000;
/// Each is measured so often, and the best time counts: other work on the machine only ever adds.
const RUNS: usize = 3;
const ALIASES: [usize; 2] = [10_000, 100_000];

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let path = arguments.first().map(PathBuf::from).context("name the texts")?;
    let memory = match arguments.get(1..) {
        Some([flag, count]) if flag == "--memory" => Some(count.parse::<usize>().context("read the count")?),
        None | Some([]) => None,
        _ => anyhow::bail!("usage: enrich_speed TEXTS.jsonl.gz [--memory COUNT]"),
    };
    let mentions = raw_mentions(&path, None)?;
    let sample = sample_of(&mentions);
    let mentions_of_known_language = raw_mentions(&path, Some("en"))?;
    let sample_of_known_language = sample_of(&mentions_of_known_language);
    let bytes: usize = sample.iter().map(|mention| mention.len()).sum();
    println!("{} mentions of {} bytes on average, one core, by its time", sample.len(), bytes / sample.len());
    let alone = best(&sample, json_alone)?;
    println!("JSON in and out alone  {:>9.0} mentions a second", rate(&sample, alone));
    for count in ALIASES {
        let enrich = Enrich::new(count)?;
        for (sample, language) in
            [(&sample, "language to be told"), (&sample_of_known_language, "language given by the source")]
        {
            let whole = best(sample, |mention| enrich.whole(mention))?;
            println!(
                "enrich, {count:>7} aliases {:>8.0} mentions a second, {:>4.1} times the time of JSON alone, {language}",
                rate(sample, whole),
                whole.as_secs_f64() / alone.as_secs_f64()
            );
        }
    }
    drop(mentions_of_known_language);
    match memory {
        Some(count) => watch_memory(&mentions, count),
        None => Ok(()),
    }
}

/// Enrich as its stage does it, without the log.
struct Enrich {
    knowledge: Knowledge,
    searches: Searches,
    secret: Secret,
}

impl Enrich {
    fn new(aliases: usize) -> anyhow::Result<Self> {
        let watchlist = aliases::watchlist(aliases, 1);
        let mut searches = Searches::default();
        searches.follow(&watchlist);
        let knowledge = Knowledge::shipped(&watchlist)?;
        Ok(Self { knowledge, searches, secret: Secret::from_bytes([7; 32]) })
    }

    /// From the bytes of a raw mention to those of its records; answers how many bytes.
    fn whole(&self, raw: &[u8]) -> anyhow::Result<usize> {
        let MentionEvent::Upsert(mention) = decode(raw)? else { anyhow::bail!("it is no mention") };
        let author = mention.author.as_ref().map(|author| self.secret.author(&author.id));
        let now = Timestamp::default();
        let mut enriched = judge(*mention, RawPosition { partition: 0, offset: 0 }, &self.knowledge, now);
        let matched = self.searches.matched(&mut enriched);
        let signal = signal(&enriched, author, matched, now);
        let signal = signal.map_or(0, |signal| encode(&SignalRecord::Signal(Box::new(signal))).len());
        Ok(signal + encode(&EnrichedEvent::Upsert(Box::new(enriched))).len())
    }
}

/// What reading a mention and writing it again takes by itself.
fn json_alone(raw: &[u8]) -> anyhow::Result<usize> {
    Ok(encode(&decode::<MentionEvent>(raw)?).len())
}

/// The best time for all of a sample.
fn best(sample: &[&[u8]], work: impl Fn(&[u8]) -> anyhow::Result<usize>) -> anyhow::Result<Duration> {
    let mut best = Duration::MAX;
    for _ in 0..RUNS {
        let time = CoreTime::start();
        let mut bytes = 0;
        for mention in sample {
            bytes += work(mention)?;
        }
        std::hint::black_box(bytes);
        best = best.min(time.elapsed());
    }
    Ok(best)
}

fn rate(sample: &[&[u8]], time: Duration) -> f64 {
    sample.len() as f64 / time.as_secs_f64()
}

fn watch_memory(mentions: &[Vec<u8>], count: usize) -> anyhow::Result<()> {
    let enrich = Enrich::new(ALIASES[0])?;
    println!("mentions   resident memory in MiB (the file's mentions are in it)");
    let mut bytes = 0;
    for (done, mention) in mentions.iter().cycle().take(count).enumerate() {
        if done % 1_000_000 == 0 {
            println!("{done:>9}  {:.1}", resident_mib()?);
        }
        bytes += enrich.whole(mention)?;
    }
    println!("{count:>9}  {:.1}", resident_mib()?);
    std::hint::black_box(bytes);
    Ok(())
}

fn resident_mib() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status").context("this system does not tell")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("there is no VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().context("read VmRSS")?;
    Ok(kib / 1024.0)
}

fn sample_of(mentions: &[Vec<u8>]) -> Vec<&[u8]> {
    mentions.iter().step_by(mentions.len().div_ceil(SAMPLE).max(1)).map(Vec::as_slice).collect()
}

/// The file's texts as `mentions.raw` holds mentions, in a language that the source gives or does not.
fn raw_mentions(path: &Path, language: Option<&str>) -> anyhow::Result<Vec<Vec<u8>>> {
    let texts = labelled::rows(path, |row| {
        let text = row["text"].as_str().context("`text` is no text")?.to_owned();
        Ok((text, row["author"].as_str().map(str::to_owned)))
    })?;
    let mut mentions = Vec::with_capacity(texts.len());
    for (text, author) in texts {
        let source = SourceRef { id: "tweets".to_owned(), network: "twitter".to_owned(), site: None };
        let author = author.map(|handle| Author {
            id: format!("twitter:{handle}"),
            handle: Some(handle),
            followers: Some(1_200),
            ..Author::default()
        });
        let id = format!("twitter:{}", mentions.len());
        let lang_given = language.map(str::to_owned);
        let mention = Mention { author, lang_given, ..Mention::new(id, source, text, Timestamp::default()) };
        mentions.push(encode(&MentionEvent::Upsert(Box::new(mention))));
    }
    Ok(mentions)
}
