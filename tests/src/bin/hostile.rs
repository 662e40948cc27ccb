//! Whether the time that a text takes grows with its length and no faster, for texts that are made to break that: the
//! tokenizer, the finder of names, the scorer, and the judge as a whole, at 10 kB, 100 kB and 1 MB.
//!
//! `cargo run --release -p earshot-tests --bin hostile`

#![expect(clippy::print_stdout, reason = "the report of a program belongs on the standard output")]

use std::sync::Arc;
use std::time::Duration;

use earshot_common::definitions::Watchlist;
use earshot_common::events::{Enriched, Mention, RawPosition, SourceRef};
use earshot_common::text::tokens;
use earshot_common::time::Timestamp;
use earshot_enrich::entities::Matcher;
use earshot_enrich::judge::{Knowledge, judge, signal};
use earshot_enrich::risk::Risks;
use earshot_enrich::sentiment::{Lexicons, Read};
use earshot_tests::aliases;
use earshot_tests::core_time::CoreTime;

const LENGTHS: [usize; 3] = [10_000, 100_000, 1_000_000];
/// A text is judged again until it took so long, so that short times are not made of noise.
const LEAST_TIME: Duration = Duration::from_millis(20);
/// Ten times the text may take so many times as long: caches hold less of it.
const MOST_GROWTH: f64 = 20.0;

/// What is repeated until the text is long enough.
const PIECES: [(&str, &str); 28] = [
    ("one letter", "a"),
    ("one capital", "A"),
    ("words", "the app is fine "),
    ("praise without end", "good "),
    ("negations", "not good "),
    ("negations without words", "not "),
    ("clauses", "good, "),
    ("contrasts", "but good, "),
    ("contrasts of nothing", "but a, "),
    ("questions", "is it good, "),
    ("exclamation marks", "!"),
    ("full stops", "."),
    ("mixed punctuation", "?!.,;:-)("),
    ("quotation marks", "\"“«good»”\" "),
    ("combining marks", "\u{301}"),
    ("letters with marks", "e\u{301}\u{302}"),
    ("joiners", "\u{200d}"),
    ("emoji", "😡"),
    ("families", "👨\u{200d}👩\u{200d}👧"),
    ("flags", "🇩🇪"),
    ("at signs", "@"),
    ("hash signs", "#a"),
    ("addresses", "www."),
    ("emoticons", ":( "),
    ("slips", "godo horibble "),
    ("negations behind, German", "gut nicht a a a a a "),
    ("risks", "sued, boycott "),
    ("risks denied and dropped", "not sued not only a scam patent lawsuit "),
];

/// A step of the judge, which answers something of its work so that it is not left out.
type Step<'s> = (&'static str, Box<dyn Fn(&str) -> usize + 's>);

fn main() -> anyhow::Result<()> {
    let watchlist = aliases::watchlist(10_000, 1);
    let lexicons = Arc::new(Lexicons::shipped());
    let [english, german] = ["en", "de"].map(|lang| lexicons.of(lang).expect("it is judged"));
    let matcher = Matcher::new(&watchlist)?;
    let knowledge = Knowledge::of(&watchlist, lexicons.clone(), Arc::new(Risks::english()))?;
    let steps: [Step; 6] = [
        ("tokenizer", Box::new(|text| tokens(text).len())),
        ("names", Box::new(|text| matcher.find(&mention(text)).len())),
        ("scorer", Box::new(|text| Read::new(english, None, text).message().words.len())),
        ("scorer, German", Box::new(|text| Read::new(german, None, text).message().words.len())),
        ("judge", Box::new(|text| judged(text, &knowledge).sentiment.words.len())),
        ("signal", Box::new(|text| signalled(&judged(text, &knowledge)))),
    ];
    let mut texts: Vec<(String, String)> = PIECES
        .iter()
        .map(|(name, piece)| ((*name).to_owned(), piece.repeat(LENGTHS[2] / piece.len())))
        .collect();
    texts.push(("one name".to_owned(), "Apple ".repeat(LENGTHS[2] / 6)));
    texts.push(("one name in a hashtag".to_owned(), format!("#{}", "Apple".repeat(LENGTHS[2] / 5))));
    texts.push(("one name, excluded".to_owned(), excluded(&watchlist)));
    texts.push(("all names".to_owned(), all_names(&watchlist)));
    println!("{:<24} {:<14} {:>9} {:>9} {:>9} ns/byte", "text", "step", "10 kB", "100 kB", "1 MB");
    let mut too_slow = 0;
    for (name, text) in &texts {
        for (step, work) in &steps {
            let times = LENGTHS.map(|length| time_per_byte(start_of(text, length), work));
            let grows = times[2] / times[0] > MOST_GROWTH / 10.0 * (MOST_GROWTH / 10.0);
            let mark = if grows { "  grows faster than the text" } else { "" };
            println!("{name:<24} {step:<14} {:>9.1} {:>9.1} {:>9.1}{mark}", times[0], times[1], times[2]);
            too_slow += usize::from(grows);
        }
    }
    anyhow::ensure!(too_slow == 0, "{too_slow} of them take more than linear time");
    Ok(())
}

/// Nanoseconds of a core for each byte.
fn time_per_byte(text: &str, work: impl Fn(&str) -> usize) -> f64 {
    let time = CoreTime::start();
    let mut times = 0;
    let mut sum = 0;
    while times == 0 || time.elapsed() < LEAST_TIME {
        sum += work(text);
        times += 1;
    }
    std::hint::black_box(sum);
    time.elapsed().as_nanos() as f64 / f64::from(times) / text.len() as f64
}

fn judged(text: &str, knowledge: &Knowledge) -> Enriched {
    judge(mention(text), RawPosition { partition: 0, offset: 0 }, knowledge, Timestamp::default())
}

fn signalled(enriched: &Enriched) -> usize {
    let signal = signal(enriched, None, Vec::new(), Timestamp::default());
    signal.map_or(0, |signal| signal.subjects.len())
}

fn mention(text: &str) -> Mention {
    let source = SourceRef { id: "hostile".to_owned(), network: "hostile".to_owned(), site: None };
    Mention {
        lang_given: Some("en".to_owned()),
        ..Mention::new("hostile:1".to_owned(), source, text.to_owned(), Timestamp::default())
    }
}

/// The longest start of a text with at most so many bytes.
fn start_of(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes.min(text.len()))]
}

/// A name and a phrase that excludes it, by turns.
fn excluded(watchlist: &Watchlist) -> String {
    let subject = watchlist.subjects().find(|subject| !subject.exclusions.is_empty());
    let phrase = subject.map(|subject| subject.exclusions[0].clone()).unwrap_or_default();
    let name = phrase.split(' ').next().unwrap_or_default();
    let piece = format!("{name} {phrase} ");
    piece.repeat(LENGTHS[2] / piece.len())
}

/// The names of all subjects, over and over.
fn all_names(watchlist: &Watchlist) -> String {
    let mut names = String::new();
    for subject in watchlist.subjects() {
        names.push_str(&subject.name);
        names.push_str(" is bad, ");
    }
    names.repeat(LENGTHS[2].div_ceil(names.len()))
}
