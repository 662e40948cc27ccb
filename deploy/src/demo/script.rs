//! What is said in the demo. All of it is invented: the airline, its people, the authors.
//!
//! A fixed seed makes every demo tell the same story, moved to now.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

const SEED: u64 = 0x7A24;
const DAYS: i64 = 14;
const AUTHORS: usize = 700;
/// Mentions an hour on an ordinary day, from midnight on.
const PROFILE: [f64; 24] = [
    1.0, 0.6, 0.4, 0.4, 0.6, 1.2, 2.5, 4.0, 5.0, 5.5, 5.0, 5.0, 5.5, 5.0, 4.5, 4.5, 5.0, 6.0, 6.5, 6.0, 5.0,
    4.0, 3.0, 1.8,
];

/// An invented account.
#[derive(Clone, Debug)]
pub(super) struct Author {
    pub(super) name: String,
    pub(super) handle: String,
    pub(super) followers: u64,
}

/// A line of the crisis.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// How long after the line before.
    pub(super) after: Duration,
    pub(super) author: Author,
    pub(super) text: String,
}

/// Two ordinary weeks up to now, as a CSV file.
pub(super) fn history(now: Timestamp) -> String {
    let mut random = StdRng::seed_from_u64(SEED);
    let authors = authors(&mut random);
    let zone = jiff::tz::TimeZone::system();
    let mut csv = String::from("id,time,author,followers,text\n");
    let mut n = 0;
    for hour in (1..=DAYS * 24).rev() {
        let start = now - SignedDuration::from_hours(hour);
        let local = zone.to_datetime(start);
        let weekend =
            matches!(local.weekday(), jiff::civil::Weekday::Saturday | jiff::civil::Weekday::Sunday);
        let mean = PROFILE[local.hour() as usize] * if weekend { 0.8 } else { 1.0 };
        for _ in 0..poisson(&mut random, mean) {
            let time = start + SignedDuration::from_secs(random.random_range(0..3600));
            let author = pick(&mut random, &authors);
            let text = ordinary(&mut random);
            n += 1;
            csv.push_str(&format!("h{n},{time},{},{},\"{text}\"\n", author.handle, author.followers));
        }
    }
    csv
}

/// The crisis: how it begins, and then on without end, slower after ten minutes.
pub(super) fn crisis() -> impl Iterator<Item = Line> {
    let mut random = StdRng::seed_from_u64(SEED + 1);
    let authors = authors(&mut random);
    let opening = opening(&authors);
    let rest = (0_u32..).map(move |n| Line {
        after: Duration::from_millis(if n < 400 {
            random.random_range(500..2_500)
        } else {
            random.random_range(10_000..40_000)
        }),
        author: pick(&mut random, &authors).clone(),
        text: angry(&mut random),
    });
    opening.into_iter().chain(rest)
}

/// How it begins: the first half minute is written, not drawn.
fn opening(authors: &[Author]) -> Vec<Line> {
    let line = |n: usize, after_ms: u64, text: &str| Line {
        after: Duration::from_millis(after_ms),
        author: authors[n * 7 % authors.len()].clone(),
        text: text.to_owned(),
    };
    let columnist = Author {
        name: "Odile Marchbank".to_owned(),
        handle: "odile_on_travel".to_owned(),
        followers: 412_000,
    };
    let mut lines = vec![
        line(1, 0, "Anyone else unable to check in with @tarnwickair? The app just shows an error."),
        line(2, 900, "Tarnwick Air check-in is down. Every screen at the terminal is blank 😡"),
        line(3, 800, "@tarnwickair your system failed and nobody here knows anything. Terrible."),
        line(4, 700, "Queue for the Tarnwick desk goes out of the door. Not one announcement."),
        line(5, 800, "Tarnwick Air outage: hundreds stranded, no staff, no information. What a disaster"),
        line(
            6,
            600,
            "@tarnwickair cancelled my flight by text message and the hotline hangs up. Awful service",
        ),
        line(7, 900, "Third hour at the gate. Tarnwick Air is a mess. #TarnwickFail"),
        line(8, 700, "My mother is 81 and sits on the floor because of @tarnwickair. Shame on you"),
        line(9, 600, "If the Tarnwick system is broken, why do you still sell tickets for tonight?"),
        line(10, 800, "Flight cancelled, bag lost, no refund. Thanks for nothing @tarnwickair #TarnwickFail"),
        line(11, 700, "So Tarnwick Air knew about the outage since last night and told nobody?!"),
        line(
            12,
            600,
            "Switching to @oakmereair for good. Tarnwick has the worst crisis communication I have seen",
        ),
        line(13, 900, "Maren Holloway just said on the radio that passengers should \"plan better\". Wow."),
        line(
            14,
            700,
            "\"Plan better\" says Tarnwick CEO Holloway while families sleep at the gate. Disgusting.",
        ),
    ];
    lines.push(Line {
        after: Duration::from_millis(800),
        author: columnist,
        text: "Maren Holloway blames stranded families for her own airline's failure. The most arrogant, shameful \
               answer I have heard from a chief executive in twenty years. She should resign."
            .to_owned(),
    });
    lines
}

const OPENINGS: [&str; 12] = [
    "Flying @tarnwickair to {place} today",
    "Tarnwick Air to {place}",
    "On board with Tarnwick Air",
    "@tarnwickair gate {gate}",
    "Booked {place} with @tarnwickair",
    "Tarnwick Air lounge in {place}",
    "Early morning with Tarnwick Air",
    "@tarnwickair question about my booking to {place}",
    "Back from {place} with Tarnwick Air",
    "Comparing Tarnwick Air and @oakmereair to {place}",
    "@oakmereair to {place}",
    "Tarnwick Air opens a new route to {place}",
];
const ENDINGS: [&str; 18] = [
    "friendly crew, great start",
    "on time, thank you",
    "lovely view and good coffee 😊",
    "boarding was quick",
    "the usual",
    "seats are a bit tight",
    "twenty minutes late, annoying",
    "how do I change my seat?",
    "is breakfast included?",
    "excellent service by the cabin crew",
    "could be cheaper",
    "no complaints",
    "a small delay, but handled well",
    "my bag was the last one, again 🙄",
    "happy with the new app",
    "food was disappointing",
    "easy to rebook, nice",
    "what does the fare cost in May?",
];
const EXECUTIVE_NEWS: [&str; 5] = [
    "Tarnwick Air CEO Maren Holloway speaks at the regional transport forum",
    "Interview: Idris Penhale on how Tarnwick Air plans its summer schedule",
    "Maren Holloway presents solid quarterly figures for Tarnwick Air",
    "Tarnwick COO Idris Penhale praises ground staff for a strong winter",
    "Maren Holloway joins the panel on sustainable flying",
];
const PLACES: [&str; 10] =
    ["Lisbon", "Bergen", "Turin", "Gdansk", "Cork", "Valencia", "Malmö", "Split", "Nantes", "Leipzig"];
const COMPLAINTS: [&str; 16] = [
    "still no information from @tarnwickair at gate {gate}",
    "@tarnwickair cancelled our flight to {place}, no hotel, no food. Horrible",
    "{n} hours in the queue. Tarnwick Air has lost control",
    "Tarnwick Air staff are crying at the counters. This failure is management's fault",
    "#TarnwickFail {place} edition: everybody is angry and nobody helps",
    "Refund refused by @tarnwickair although THEY cancelled. Is this fraud?",
    "Never again Tarnwick Air. Worst airline, worst day",
    "Tarnwick Air: app broken, website broken, trust broken 💔",
    "@tarnwickair my connection to {place} is gone and so is my holiday. Awful",
    "A man collapsed in the Tarnwick queue. This is dangerous now",
    "Is anyone at Tarnwick Air even awake? {n} flights cancelled and silence",
    "Lawyers will love what Tarnwick Air did today. #TarnwickFail",
    "Maren Holloway has to apologise for this Tarnwick disaster",
    "Holloway, the Tarnwick CEO, is an embarrassment. Resign",
    "@oakmereair is taking Tarnwick passengers. Thank you, at least somebody cares",
    "Boycott Tarnwick Air until every family is paid back",
];
const FIRST_NAMES: [&str; 20] = [
    "Ada", "Bo", "Cleo", "Dario", "Edda", "Finn", "Greta", "Hugo", "Ines", "Jonas", "Kaja", "Luca", "Mila",
    "Nils", "Olga", "Pia", "Quinn", "Rosa", "Sven", "Thea",
];
const LAST_NAMES: [&str; 20] = [
    "Abel", "Brandt", "Costa", "Dahl", "Engel", "Falk", "Groen", "Holm", "Ivers", "Jansen", "Kerr", "Lund",
    "Moreau", "Novak", "Ohlin", "Petit", "Rossi", "Stein", "Thorn", "Urban",
];

fn ordinary(random: &mut StdRng) -> String {
    if random.random_bool(0.03) {
        return (*pick(random, &EXECUTIVE_NEWS)).to_owned();
    }
    let opening = fill(random, &OPENINGS);
    let ending = *pick(random, &ENDINGS);
    format!("{opening}: {ending}")
}

fn angry(random: &mut StdRng) -> String {
    fill(random, &COMPLAINTS)
}

fn fill(random: &mut StdRng, lines: &[&str]) -> String {
    let place = *pick(random, &PLACES);
    let gate = format!("{}{}", ["A", "B", "C"][random.random_range(0..3)], random.random_range(1..30));
    let hours = random.random_range(2..9).to_string();
    pick(random, lines).replace("{place}", place).replace("{gate}", &gate).replace("{n}", &hours)
}

/// Most accounts reach a few hundred, some reach many: the logarithm is spread evenly.
fn authors(random: &mut StdRng) -> Vec<Author> {
    let mut authors = Vec::new();
    for n in 0..AUTHORS {
        let (first, last) = (*pick(random, &FIRST_NAMES), *pick(random, &LAST_NAMES));
        let followers = 10_f64.powf(random.random_range(1.0..4.2)) as u64;
        let handle = format!("{}{}{n}", first.to_lowercase(), last.to_lowercase());
        authors.push(Author { name: format!("{first} {last}"), handle, followers });
    }
    authors
}

fn pick<'a, T>(random: &mut StdRng, items: &'a [T]) -> &'a T {
    items.choose(random).expect("the lists of the script are not empty")
}

/// A count with the given mean, by Knuth's product of uniform numbers.
fn poisson(random: &mut StdRng, mean: f64) -> u32 {
    let limit = (-mean).exp();
    let mut product: f64 = random.random_range(0.0..1.0);
    let mut count = 0;
    while product > limit {
        product *= random.random_range(0.0..1.0);
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_is_a_fortnight_up_to_now_without_open_ends() {
        let now: Timestamp = "2026-06-01T12:30:00Z".parse().unwrap();
        let history = history(now);
        let times: Vec<Timestamp> =
            history.lines().skip(1).map(|line| line.split(',').nth(1).unwrap().parse().unwrap()).collect();
        assert!((700..2_000).contains(&times.len()), "{} mentions", times.len());
        assert!(times.iter().all(|&time| time <= now && time >= now - SignedDuration::from_hours(DAYS * 24)));
        assert!(!history.contains(['{', '}']), "a place was left open");
    }

    #[test]
    fn the_crisis_names_the_executive_within_half_a_minute() {
        let mut passed = Duration::ZERO;
        let columnist = crisis()
            .inspect(|line| passed += line.after)
            .find(|line| line.author.followers > 50_000 && line.text.contains("Maren Holloway"))
            .unwrap();
        assert!(passed < Duration::from_secs(30), "{passed:?}");
        assert!(columnist.text.contains("resign"));
        assert!(crisis().take(1_000).all(|line| !line.text.contains(['{', '}'])));
    }
}
