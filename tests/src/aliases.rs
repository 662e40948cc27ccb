//! Watchlists of any size, for measurements: well-known companies first, then people and companies with invented
//! names that are made as real ones are.

use earshot_common::definitions::{Alias, Case, Definition, Subject, SubjectKind, Watchlist};
use earshot_common::events::{DefinitionVersion, SchemaVersion};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

/// Name, ticker symbol, and whether the name is a word that means other things too.
const KNOWN: [(&str, &str, bool); 24] = [
    ("Apple", "AAPL", true),
    ("Google", "GOOG", false),
    ("Amazon", "AMZN", true),
    ("Facebook", "FB", false),
    ("Microsoft", "MSFT", false),
    ("Netflix", "NFLX", false),
    ("Tesla", "TSLA", false),
    ("Twitter", "TWTR", false),
    ("Intel", "INTC", true),
    ("Boeing", "BA", false),
    ("Delta", "DAL", true),
    ("United", "UAL", true),
    ("Southwest", "LUV", true),
    ("JetBlue", "JBLU", false),
    ("American Airlines", "AAL", false),
    ("Virgin America", "VA", false),
    ("Target", "TGT", true),
    ("Walmart", "WMT", false),
    ("Goldman Sachs", "GS", false),
    ("Citigroup", "C", false),
    ("Visa", "V", true),
    ("Ford", "F", true),
    ("Starbucks", "SBUX", false),
    ("Chevron", "CVX", false),
];
const FIRST_NAMES: [&str; 48] = [
    "Mary", "James", "Linda", "Robert", "Susan", "Michael", "Karen", "David", "Nancy", "Richard", "Helen",
    "Thomas", "Laura", "Daniel", "Emily", "Kevin", "Anna", "Brian", "Julia", "Steven", "Maria", "Andrew",
    "Sofia", "Peter", "Elena", "Hannah", "Victor", "Clara", "Oscar", "Ingrid", "Hugo", "Priya", "Arjun",
    "Mei", "Hiroshi", "Fatima", "Omar", "Leila", "Kwame", "Amara", "Diego", "Lucía", "Mateo", "Zoë", "Björn",
    "Astrid", "Noah", "Chloe",
];
const BEGINNINGS: [&str; 32] = [
    "Ash", "Black", "Bran", "Cald", "Carl", "Dal", "East", "Fair", "Gar", "Hal", "Hart", "Holm", "Kings",
    "Lang", "Mar", "Mont", "North", "Oak", "Pem", "Ran", "Rock", "San", "Shel", "Stan", "Thorn", "Val",
    "Wal", "West", "Whit", "Win", "Wood", "York",
];
const ENDINGS: [&str; 24] = [
    "berg", "bury", "brook", "by", "croft", "dale", "field", "ford", "gate", "ham", "hurst", "land", "ley",
    "low", "man", "mere", "mont", "more", "stone", "ton", "vale", "well", "wick", "worth",
];
const TRADES: [&str; 20] = [
    "Airways",
    "Bank",
    "Beverages",
    "Capital",
    "Chemicals",
    "Energy",
    "Foods",
    "Health",
    "Holdings",
    "Hotels",
    "Insurance",
    "Logistics",
    "Media",
    "Mobile",
    "Motors",
    "Pharma",
    "Robotics",
    "Software",
    "Steel",
    "Stores",
];
const LETTERS: [char; 26] = [
    'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O', 'P', 'Q', 'R', 'S', 'T', 'U',
    'V', 'W', 'X', 'Y', 'Z',
];

/// A watchlist with so many names, handles and ticker symbols in all; the same for the same seed.
pub fn watchlist(aliases: usize, seed: u64) -> Watchlist {
    let mut names = StdRng::seed_from_u64(seed);
    let mut watchlist = Watchlist::default();
    let mut count = 0;
    for number in 0.. {
        if count >= aliases {
            break;
        }
        let subject = match KNOWN.get(number) {
            Some(known) => known_company(number, *known),
            None if number % 2 == 0 => company(number, &mut names),
            None => person(number, &mut names),
        };
        count += subject.aliases.len() + subject.handles.len() + subject.cashtags.len();
        let definition = Definition::Subject(subject);
        let version = DefinitionVersion {
            v: SchemaVersion::default(),
            id: definition.key(),
            owner: "file:made".to_owned(),
            definition: Some(definition),
            version: None,
        };
        watchlist.take(watchlist.next(), version);
    }
    watchlist
}

fn known_company(number: usize, (name, symbol, ambiguous): (&str, &str, bool)) -> Subject {
    let context = ["stock", "shares", "CEO", "flight", "app"].map(str::to_owned).to_vec();
    Subject {
        handles: vec![format!("@{}", name.replace(' ', ""))],
        cashtags: vec![format!("${symbol}")],
        context,
        ..subject(number, SubjectKind::Competitor, name, vec![alias(name, ambiguous)])
    }
}

fn company(number: usize, names: &mut StdRng) -> Subject {
    let (place, trade) = (surname(names), *TRADES.choose(names).expect("the list is not empty"));
    let name = format!("{place} {trade}");
    let aliases = vec![alias(&name, false), alias(&place, true), alias(&format!("{place} Group"), false)];
    let symbol: String = (0..4).map(|_| LETTERS[names.random_range(0..LETTERS.len())]).collect();
    Subject {
        handles: vec![format!("@{place}{trade}")],
        cashtags: vec![format!("${symbol}")],
        context: vec![trade.to_owned(), "shares".to_owned()],
        exclusions: vec![format!("{place} Street")],
        ..subject(number, SubjectKind::Brand, &name, aliases)
    }
}

fn person(number: usize, names: &mut StdRng) -> Subject {
    let (first, last) = (*FIRST_NAMES.choose(names).expect("the list is not empty"), surname(names));
    let name = format!("{first} {last}");
    let initial = first.chars().next().unwrap_or_default();
    let aliases = vec![alias(&name, false), alias(&format!("{initial}. {last}"), false), alias(&last, true)];
    Subject {
        handles: vec![format!("@{first}{last}{}", names.random_range(0..100))],
        role: Some("CEO".to_owned()),
        company: Some(id(number - 1)),
        ..subject(number, SubjectKind::Executive, &name, aliases)
    }
}

/// One of some twenty thousand.
fn surname(names: &mut StdRng) -> String {
    let pick =
        |names: &mut StdRng, list: &[&'static str]| *list.choose(names).expect("the list is not empty");
    let (beginning, ending) = (pick(names, &BEGINNINGS), pick(names, &ENDINGS));
    match names.random_range(0..3) {
        0 => format!("{beginning}{ending}"),
        1 => format!("{beginning}er{ending}"),
        _ => format!("{beginning}{ending}-{}{}", pick(names, &BEGINNINGS), pick(names, &ENDINGS)),
    }
}

fn subject(number: usize, kind: SubjectKind, name: &str, aliases: Vec<Alias>) -> Subject {
    Subject { aliases, ..Subject::new(id(number), kind, name.to_owned()) }
}

fn id(number: usize) -> String {
    format!("subject{number}")
}

fn alias(text: &str, ambiguous: bool) -> Alias {
    Alias { text: text.to_owned(), case: Case::Fold, ambiguous, class: None }
}
