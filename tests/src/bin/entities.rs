//! The evaluation of entity tags: which companies of the S&P 500 and which of their executives the real judge
//! finds in tweets, how many of its tags are right, how many names it misses, how many wait for a person.
//!
//! `cargo run --release -p earshot-tests --bin entities -- STREAM_DIR SP500.csv OUT_DIR [SEED [HALF]]`, where STREAM_DIR
//! has `stocks.jsonl.gz` (tweets with the ticker that they were collected by) and `airline.csv.gz` (tweets with
//! their airline). HALF is `reported`, or `development`: the other half of the texts, which whoever changes names and rules
//! may read. It prints the figures and writes to OUT_DIR, for whoever judges: `drawn.tsv`, the tags to judge,
//! `names-alone.tsv`, more of those in whose text no symbol and no account of the subject helps, and samples of `doubtful.tsv` and `missed.tsv`. These files hold texts of the data sets and stay where they are.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use earshot_common::definitions::{Subject, Watchlist};
use earshot_common::events::{
    Author, Derivation, Enriched, EntityMatch, EntityTag, Lane, Mention, RawPosition, SourceRef,
};
use earshot_common::keys::StoryKey;
use earshot_common::text::{TokenKind, tokens};
use earshot_common::time::Timestamp;
use earshot_enrich::judge::{Knowledge, judge};
use earshot_tests::{labelled, sp500};
use flate2::read::MultiGzDecoder;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use serde::Deserialize;

const ADDITIONS: &str = include_str!("../../evaluations/sp500.toml");
/// Tags that are drawn from each stream to be judged.
const DRAWN: [(&str, usize); 2] = [("stocks", 200), ("airline", 100)];
/// Tags that are drawn from those in whose text there is no symbol and no account of the subject.
const DRAWN_ALONE: usize = 100;
/// Lines of a sample.
const SAMPLE: usize = 200;

/// A tweet, and the subject that it was collected by, where the watchlist has it.
struct Tweet {
    stream: &'static str,
    id: String,
    text: String,
    author: String,
    about: Option<String>,
}

#[derive(Deserialize)]
struct StockRow {
    id: String,
    ticker: String,
    user: String,
    text: String,
}

#[derive(Deserialize)]
struct AirlineRow {
    tweet_id: String,
    airline: String,
    name: String,
    text: String,
}

/// A tag and the tweet that it was made of.
struct Tagged<'t> {
    tweet: &'t Tweet,
    tag: EntityTag,
}

#[expect(clippy::print_stdout, reason = "the figures are this program's answer")]
fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let mut path = |name: &str| arguments.next().with_context(|| format!("name {name}"));
    let (streams, list, out) = (path("STREAM_DIR")?, path("SP500.csv")?, path("OUT_DIR")?);
    let seed = arguments.next().map_or(Ok(1), |seed| seed.to_string_lossy().parse()).context("read SEED")?;
    let half = arguments.next().map_or("reported".to_owned(), |half| half.to_string_lossy().into_owned());
    anyhow::ensure!(
        ["reported", "development"].contains(&half.as_str()),
        "HALF is `{half}`: reported or development"
    );
    std::fs::create_dir_all(&out).with_context(|| format!("create {}", out.display()))?;

    let watchlist = sp500::watchlist(&list, ADDITIONS)?;
    let knowledge = Knowledge::shipped(&watchlist)?;
    let mut tweets = stocks(&streams.join("stocks.jsonl.gz"), &watchlist)?;
    tweets.extend(airline(&streams.join("airline.csv.gz"), &watchlist)?);
    let rows = tweets.len();
    tweets.retain(|tweet| is_development(&tweet.text) == (half == "development"));
    println!("{} subjects; {} of {rows} rows: the {half} half\n", watchlist.subjects().count(), tweets.len());

    let tags = tags(&tweets, &knowledge);
    println!("{}", lanes(&tags));
    write(&out.join("drawn.tsv"), &drawn(&tags, seed))?;
    write(&out.join("names-alone.tsv"), &names_alone(&tags, seed))?;
    write(&out.join("doubtful.tsv"), &doubtful(&tags, seed))?;
    let (figures, missed) = recall(&tweets, &watchlist, &knowledge, seed);
    println!("{figures}");
    write(&out.join("missed.tsv"), &missed)
}

fn stocks(file: &Path, watchlist: &Watchlist) -> anyhow::Result<Vec<Tweet>> {
    labelled::rows(file, |row| {
        let row: StockRow = serde_json::from_value(row)?;
        let cashtag = format!("${}", row.ticker.replace('-', "."));
        let about = watchlist.subjects().find(|subject| has_cashtag(subject, &cashtag));
        Ok(Tweet {
            stream: "stocks",
            id: row.id,
            text: unescaped(&row.text),
            author: row.user,
            about: about.map(|subject| subject.id.clone()),
        })
    })
}

fn has_cashtag(subject: &Subject, cashtag: &str) -> bool {
    subject.cashtags.iter().any(|own| own.eq_ignore_ascii_case(cashtag))
}

fn airline(file: &Path, watchlist: &Watchlist) -> anyhow::Result<Vec<Tweet>> {
    let opened = File::open(file).with_context(|| format!("read {}", file.display()))?;
    let mut text = String::new();
    MultiGzDecoder::new(opened).read_to_string(&mut text)?;
    let mut tweets = Vec::new();
    for row in csv::Reader::from_reader(text.as_bytes()).deserialize() {
        let row: AirlineRow = row.context("read a row")?;
        // The rows that are labelled Delta are about JetBlue, which is not on the list.
        let about = match row.airline.as_str() {
            "United" => Some("united-airlines"),
            "Southwest" => Some("southwest-airlines"),
            _ => None,
        };
        let about = about.and_then(|id| watchlist.subject(id)).map(|subject| subject.id.clone());
        tweets.push(Tweet {
            stream: "airline",
            id: row.tweet_id,
            text: unescaped(&row.text),
            author: row.name,
            about,
        });
    }
    Ok(tweets)
}

/// Tweets are stored as HTML has them.
fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&amp;", "&")
}

fn judged(tweet: &Tweet, text: String, knowledge: &Knowledge) -> Enriched {
    let source = SourceRef { id: "import".to_owned(), network: "twitter".to_owned(), site: None };
    let author = Author { id: tweet.author.clone(), handle: Some(tweet.author.clone()), ..Author::default() };
    let now = Timestamp::from_millis(0);
    let mention = Mention { author: Some(author), ..Mention::new(tweet.id.clone(), source, text, now) };
    judge(mention, RawPosition { partition: 0, offset: 0 }, knowledge, now)
}

/// All tags, each text and subject once: the same tweet is in several rows, and repeated by many.
fn tags<'t>(tweets: &'t [Tweet], knowledge: &Knowledge) -> Vec<Tagged<'t>> {
    let mut seen = BTreeSet::new();
    let mut tags = Vec::new();
    for tweet in tweets {
        if seen.insert(essence(&tweet.text)) {
            let enriched = judged(tweet, tweet.text.clone(), knowledge);
            tags.extend(enriched.entities.into_iter().map(|tag| Tagged { tweet, tag }));
        }
    }
    tags
}

/// Which half of the texts one belongs to; copies of one text are in the same half.
fn is_development(text: &str) -> bool {
    StoryKey::of("half", &essence(text)).to_string().as_bytes().first().is_some_and(|digit| digit % 2 == 0)
}

/// The words of a text without accounts and addresses.
fn essence(text: &str) -> String {
    let mut words = String::new();
    for token in tokens(text) {
        if !matches!(token.kind, TokenKind::Url | TokenKind::Handle) && token.of(text) != "RT" {
            words.push_str(&token.of(text).to_lowercase());
            words.push(' ');
        }
    }
    words
}

/// Whether a tag rests on a name: accounts and ticker symbols prove nothing of the gate.
fn has_name(tag: &EntityTag) -> bool {
    tag.matches.iter().any(is_name)
}

fn is_name(place: &EntityMatch) -> bool {
    !place.alias.starts_with(['$', '@'])
}

/// How many tags there are of each kind.
fn lanes(tags: &[Tagged]) -> String {
    let mut told = String::from(
        "| stream | texts with a tag | sure | of them by a name | doubtful | doubtful of all by a name |\n",
    );
    told.push_str("|---|---|---|---|---|---|\n");
    for (stream, _) in DRAWN {
        let of_stream: Vec<&Tagged> = tags.iter().filter(|tagged| tagged.tweet.stream == stream).collect();
        let texts: BTreeSet<&str> = of_stream.iter().map(|tagged| tagged.tweet.id.as_str()).collect();
        let sure = of_stream.iter().filter(|tagged| tagged.tag.lane == Lane::Sure);
        let named = sure.clone().filter(|tagged| has_name(&tagged.tag)).count();
        let doubtful = of_stream.iter().filter(|tagged| tagged.tag.lane == Lane::Doubtful).count();
        let _ = writeln!(
            told,
            "| {stream} | {} | {} | {named} | {doubtful} | {:.1} % |",
            texts.len(),
            sure.count(),
            100.0 * doubtful as f64 / (named + doubtful).max(1) as f64
        );
    }
    told
}

/// The tags to judge: sure ones that rest on a name.
fn drawn(tags: &[Tagged], seed: u64) -> String {
    let mut generator = StdRng::seed_from_u64(seed);
    let mut lines = String::from("stream\tid\tsubject\tnames\tcorroborated\ttext\n");
    for (stream, count) in DRAWN {
        let mut sure: Vec<&Tagged> = tags
            .iter()
            .filter(|tagged| tagged.tweet.stream == stream && tagged.tag.lane == Lane::Sure)
            .filter(|tagged| has_name(&tagged.tag))
            .collect();
        sure.shuffle(&mut generator);
        for tagged in sure.into_iter().take(count) {
            lines.push_str(&line(tagged));
        }
    }
    lines
}

/// More tags to judge: those that no symbol and no account of the subject makes easy.
fn names_alone(tags: &[Tagged], seed: u64) -> String {
    let is_alone = |tagged: &&Tagged| tagged.tag.lane == Lane::Sure && tagged.tag.matches.iter().all(is_name);
    let mut alone: Vec<&Tagged> = tags.iter().filter(is_alone).collect();
    alone.shuffle(&mut StdRng::seed_from_u64(seed));
    let drawn = alone.into_iter().take(DRAWN_ALONE);
    drawn.map(line).collect()
}

fn doubtful(tags: &[Tagged], seed: u64) -> String {
    let mut doubtful: Vec<&Tagged> = tags.iter().filter(|tagged| tagged.tag.lane == Lane::Doubtful).collect();
    doubtful.shuffle(&mut StdRng::seed_from_u64(seed));
    let lines = doubtful.into_iter().take(SAMPLE);
    lines.map(line).collect()
}

fn line(Tagged { tweet, tag }: &Tagged) -> String {
    let mut names: Vec<String> = Vec::new();
    let mut corroborated: Vec<String> = Vec::new();
    for place in &tag.matches {
        let derived = match place.derived {
            Some(Derivation::Surname) => " (surname)",
            Some(Derivation::Role) => " (role)",
            Some(Derivation::Initials) => " (initials)",
            Some(Derivation::ShortForm) => " (short form)",
            None => "",
        };
        names.push(format!("{}{derived}", place.alias));
        if let (Some(by), Some(kind)) = (&place.corroborated_by, place.corroboration) {
            corroborated.push(format!("{kind:?}: {by}"));
        }
    }
    names.sort();
    names.dedup();
    corroborated.sort();
    corroborated.dedup();
    let (text, names, corroborated) = (in_a_line(&tweet.text), names.join("; "), corroborated.join("; "));
    format!("{}\t{}\t{}\t{names}\t{corroborated}\t{text}\n", tweet.stream, tweet.id, tag.subject)
}

fn in_a_line(text: &str) -> String {
    text.replace(['\n', '\t', '\r'], " ")
}

/// A row that holds a name of its subject when symbols and accounts are masked, and what the gate makes of it.
struct Held<'a> {
    tweet: &'a Tweet,
    subject: &'a Subject,
    text: String,
    lane: Option<Lane>,
}

/// How many of the rows that still hold a name of their subject are found to be about it, when ticker symbols and
/// accounts are masked: those of the subject, and those of everybody.
fn recall(tweets: &[Tweet], watchlist: &Watchlist, knowledge: &Knowledge, seed: u64) -> (String, String) {
    let mut told = String::from(
        "| stream | masked | rows with a known subject | still hold a name | sure | doubtful | recall |\n",
    );
    told.push_str("|---|---|---|---|---|---|---|\n");
    let mut of_everybody: Vec<Held> = Vec::new();
    for (stream, _) in DRAWN {
        let about = |tweet: &'_ Tweet| tweet.about.as_deref().and_then(|id| watchlist.subject(id));
        let known = tweets.iter().filter(|tweet| tweet.stream == stream);
        let known: Vec<(&Tweet, &Subject)> = known.filter_map(|tweet| Some((tweet, about(tweet)?))).collect();
        for everybody in [false, true] {
            let held = held(&known, knowledge, everybody);
            let in_lane = |lane| held.iter().filter(|held| held.lane == Some(lane)).count();
            let (sure, doubtful) = (in_lane(Lane::Sure), in_lane(Lane::Doubtful));
            let masked = if everybody { "all symbols and accounts" } else { "the subject's" };
            let _ = writeln!(
                told,
                "| {stream} | {masked} | {} | {} ({:.1} %) | {sure} | {doubtful} | {:.3} |",
                known.len(),
                held.len(),
                100.0 * held.len() as f64 / known.len() as f64,
                sure as f64 / held.len() as f64
            );
            if everybody {
                of_everybody.extend(held);
            }
        }
    }
    told.push_str(&by_subject(&of_everybody));
    let mut missed: Vec<&Held> = of_everybody.iter().filter(|held| held.lane != Some(Lane::Sure)).collect();
    missed.shuffle(&mut StdRng::seed_from_u64(seed));
    let line = |Held { tweet, subject, text, lane }: &Held| {
        format!("{}\t{}\t{lane:?}\t{}\n", tweet.id, subject.id, in_a_line(text))
    };
    (told, missed.into_iter().take(SAMPLE).map(line).collect())
}

fn held<'a>(known: &[(&'a Tweet, &'a Subject)], knowledge: &Knowledge, everybody: bool) -> Vec<Held<'a>> {
    let mut rows = Vec::new();
    for (tweet, subject) in known {
        let text = masked(&tweet.text, subject, everybody);
        if holds_name(&text, subject) {
            let enriched = judged(tweet, text.clone(), knowledge);
            let tag = enriched.entities.iter().find(|tag| tag.subject == subject.id);
            rows.push(Held { tweet, subject, text, lane: tag.map(|tag| tag.lane) });
        }
    }
    rows
}

fn by_subject(held: &[Held]) -> String {
    let mut by_subject: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for row in held {
        let (held, sure) = by_subject.entry(&row.subject.id).or_default();
        *held += 1;
        *sure += usize::from(row.lane == Some(Lane::Sure));
    }
    let mut told = String::from("\n| subject | rows with a name, all masked | recall |\n|---|---|---|\n");
    for (subject, (held, sure)) in by_subject {
        let _ = writeln!(told, "| {subject} | {held} | {:.3} |", sure as f64 / held as f64);
    }
    told
}

/// The text without ticker symbols and accounts.
fn masked(text: &str, subject: &Subject, everybody: bool) -> String {
    let mut masked = String::new();
    let mut done = 0;
    for token in tokens(text) {
        let written = token.of(text);
        let own = |list: &[String]| list.iter().any(|own| own.eq_ignore_ascii_case(written));
        let is_masked = match token.kind {
            TokenKind::Cashtag => everybody || own(&subject.cashtags),
            TokenKind::Handle => everybody || own(&subject.handles),
            _ => false,
        };
        if is_masked {
            masked.push_str(&text[done..token.bytes.start]);
            masked.push('…');
            done = token.bytes.end;
        }
    }
    masked.push_str(&text[done..]);
    masked
}

/// Whether a text has a name of the subject as words, in whatever case: told without the matcher.
fn holds_name(text: &str, subject: &Subject) -> bool {
    let text = words(text);
    let names = subject.aliases.iter().map(|alias| &alias.text).chain([&subject.name]);
    names.into_iter().any(|name| text.contains(&words(name)))
}

/// Words in lower case, without `'s`, each between spaces; addresses are none.
fn words(text: &str) -> String {
    let mut words = String::from(" ");
    for piece in text.split_whitespace().filter(|piece| !piece.contains("://")) {
        for word in piece.split(|c: char| !c.is_alphanumeric() && !matches!(c, '\'' | '’')) {
            let word = word.to_lowercase().replace('’', "'");
            let word = word.trim_end_matches("'s").trim_matches('\'');
            if !word.is_empty() {
                words.push_str(word);
                words.push(' ');
            }
        }
    }
    words
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(file, text).with_context(|| format!("write {}", file.display()))
}
