//! The fold as a time-line: at nine push this, want that. In the end every alert of every time-line must verify, and a
//! snapshot of the state must hold all of it.

mod backtest;
mod briefs;
mod counts;
mod definitions;
mod detector;
mod each;
mod past;
mod reach;
mod rebuild;
mod replay;
mod routes;
mod searches;
mod situations;
mod timelines;
mod verify;

use std::fmt::Write;

use earshot_common::definitions::{Watchlist, difference, parse_file};
use earshot_common::events::{
    AlertEvent, Arithmetic, DefinitionVersion, Delivery, DeliveryState, Lane, Origin, PartitionProgress,
    Progress, RawPosition, SchemaVersion, Signal, SignalRecord, SourceHealth, SourceStatus, SubjectSignal,
    Transition,
};
use earshot_common::keys::{MentionKey, Secret, StoryKey};
use earshot_common::time::Timestamp;

use super::State;
use super::calendar::{DAY_MS, HOUR_MS};

/// One brand with an hour rule that needs ten authors; UTC.
const HARBOR: &str = r#"
    [[subject]]
    id = "harbor"
    kind = "brand"
    name = "Harbor"
    [[route]]
    id = "comms"
    mail = ["comms@harbor.example"]
    [[rule]]
    id = "volume"
    when = "count of mentions against expectation"
    subjects = ["harbor"]
    authors_at_least = 10
    probability_below = 0.001
    severity = 6
    route = "comms"
"#;

/// A log of `signals` as it grows, its state, and what it decided.
struct Timeline {
    state: State,
    /// Every record so far, as the log has it.
    log: Vec<(u64, Timestamp, SignalRecord)>,
    raw_next: u64,
    named: u32,
    events: Vec<AlertEvent>,
    read: usize,
}

/// A mention to push; what a test does not say is ordinary.
#[derive(Clone)]
struct Post {
    name: String,
    revision: i64,
    subjects: Vec<(&'static str, f32)>,
    author: Option<String>,
    reach: Option<u64>,
    story: Option<&'static str>,
    origin: Origin,
    lane: Lane,
    passing: bool,
    source: &'static str,
    polarity: f32,
    matched: Vec<&'static str>,
    desks: Vec<&'static str>,
    /// Subjects of which a risk is said, and which.
    risks: Vec<(&'static str, &'static str)>,
}

impl Post {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            revision: 1,
            subjects: vec![("harbor", 0.0)],
            author: Some(name.to_owned()),
            reach: None,
            story: None,
            origin: Origin::Live,
            lane: Lane::Sure,
            passing: false,
            source: "hn",
            polarity: 0.0,
            matched: Vec::new(),
            desks: Vec::new(),
            risks: Vec::new(),
        }
    }

    fn matched(mut self, ids: &[&'static str], polarity: f32) -> Self {
        self.matched = ids.to_vec();
        self.polarity = polarity;
        self
    }

    fn about(mut self, subject: &'static str, polarity: f32) -> Self {
        self.subjects = vec![(subject, polarity)];
        self
    }

    fn reach(mut self, reach: u64) -> Self {
        self.reach = Some(reach);
        self
    }

    fn signal(&self, event_time: Timestamp, raw_offset: u64) -> Signal {
        let risks_of = |id: &str| {
            let said = self.risks.iter().filter(|(of, _)| *of == id);
            said.map(|(_, risk)| (*risk).to_owned()).collect::<Vec<String>>()
        };
        let subject = |(id, polarity): &(&str, f32)| SubjectSignal {
            id: (*id).to_owned(),
            polarity: *polarity,
            risk: risks_of(id),
            lane: self.lane,
            passing: self.passing,
        };
        Signal {
            v: SchemaVersion::default(),
            mention: MentionKey::of(&self.name),
            revision: self.revision,
            author: self.author.as_ref().map(|author| Secret::from_bytes([7; 32]).author(author)),
            origin: self.origin,
            story: self.story.map(|story| StoryKey::of("1", story)),
            event_time,
            subjects: self.subjects.iter().map(subject).collect(),
            polarity: Some(self.polarity),
            risk: self.risks.iter().map(|(_, risk)| (*risk).to_owned()).collect(),
            desks: self.desks.iter().map(|desk| (*desk).to_owned()).collect(),
            reach: self.reach,
            reach_unit: None,
            matched: self.matched.iter().map(|id| (*id).to_owned()).collect(),
            source: self.source.to_owned(),
            raw: RawPosition { partition: 0, offset: raw_offset },
            raw_appended: None,
            watchlist: 9,
            lexicon: "general-1".to_owned(),
        }
    }
}

impl Timeline {
    fn new(watchlist: &str) -> Self {
        Self::begun("2026-01-01T00:00", watchlist)
    }

    /// One whose log begins at a time, with the definitions.
    fn begun(time: &str, watchlist: &str) -> Self {
        let mut timeline =
            Self { state: State::new(), log: Vec::new(), raw_next: 0, named: 0, events: Vec::new(), read: 0 };
        for version in versions(watchlist) {
            timeline.append(at(time), SignalRecord::Definition(version));
        }
        timeline
    }

    /// The sender of messages wrote what became of one.
    fn delivery(&mut self, time: &str, key: &str, state: DeliveryState) {
        let delivery = Delivery {
            v: SchemaVersion::default(),
            key: key.to_owned(),
            state,
            attempt: 1,
            sender: "alerts-1".to_owned(),
            error: None,
            out_of_time: false,
        };
        self.append(at(time), SignalRecord::Delivery(delivery));
    }

    /// Ingest says that a source does not answer, or does again.
    fn health(&mut self, time: Timestamp, source: &str, state: SourceStatus) {
        let health = SourceHealth {
            v: SchemaVersion::default(),
            source: source.to_owned(),
            state,
            reason: None,
            raw: Vec::new(),
            at: time,
        };
        self.append(time, SignalRecord::SourceHealth(health));
    }

    fn append(&mut self, appended: Timestamp, record: SignalRecord) {
        let offset = self.log.len() as u64;
        self.events.extend(self.state.apply(offset, appended, &record));
        self.log.push((offset, appended, record));
    }

    /// A mention arrives at the time when it was published.
    fn post(&mut self, time: &str, post: &Post) {
        self.post_at(at(time), post);
    }

    fn post_at(&mut self, time: Timestamp, post: &Post) {
        let signal = post.signal(time, self.raw_next);
        self.raw_next += 1;
        self.append(time, SignalRecord::Signal(Box::new(signal)));
    }

    /// So many new mentions of Harbor by so many authors, one each second.
    fn push(&mut self, time: &str, mentions: u32, authors: u32) {
        for number in 0..mentions {
            self.named += 1;
            let mut post = Post::new(&format!("post-{}", self.named));
            post.author = Some(format!("author-{}", number % authors));
            post.reach = Some(100);
            self.post_at(at(time).plus_millis(i64::from(number) * 1_000), &post);
        }
    }

    /// Enrichment is done with all that came before.
    fn progress(&mut self, time: &str) {
        self.progress_at(at(time));
    }

    fn progress_at(&mut self, time: Timestamp) {
        let partition = PartitionProgress { partition: 0, next: self.raw_next, done_up_to: time };
        let progress =
            Progress { v: SchemaVersion::default(), judged_with: None, partitions: vec![partition] };
        self.append(time, SignalRecord::Progress(progress));
    }

    /// Ordinary days from midnight on: so many mentions in each hour.
    fn ordinary_days(&mut self, from: &str, days: i64, an_hour: u32) {
        let start = at(from);
        self.progress_at(start);
        for hour in 0..days * 24 {
            let begin = start.plus_millis(hour * HOUR_MS);
            self.push(&begin.to_string(), an_hour, an_hour.max(1));
            self.progress_at(begin.plus_millis(HOUR_MS));
        }
    }

    /// What was decided since it was last asked.
    fn said(&mut self) -> String {
        let said = describe(&self.events[self.read..]);
        self.read = self.events.len();
        said
    }
}

/// The definitions of a file as versions, in order.
fn versions(text: &str) -> Vec<DefinitionVersion> {
    let changes =
        difference(&Watchlist::default(), vec![("file:f".to_owned(), parse_file("f", text).unwrap())])
            .unwrap();
    let mut versions = changes;
    for (offset, version) in versions.iter_mut().enumerate() {
        version.version = Some(offset as u64);
    }
    versions
}

fn version_of(text: &str, id: &str) -> DefinitionVersion {
    versions(text).into_iter().find(|version| version.id == id).unwrap()
}

/// `2026-01-05T09:00` in UTC, or a full time stamp.
fn at(time: &str) -> Timestamp {
    time.parse().or_else(|_| format!("{time}:00Z").parse()).unwrap()
}

/// One line for each transition.
fn describe(events: &[AlertEvent]) -> String {
    let mut text = String::new();
    for event in events {
        let transition = event.transition.name();
        let numbers = match &event.arithmetic {
            Arithmetic::Count(count) => {
                let expected =
                    count.expected.map_or("little data".to_owned(), |mean| format!("{mean:.1} expected"));
                format!("{} with {} by {} authors, {expected}", count.window, count.observed, count.authors)
            }
            Arithmetic::Tone(tone) => tone.to_string(),
            Arithmetic::Reach(reach) => reach.to_string(),
            Arithmetic::Absence(absence) => absence.to_string(),
            Arithmetic::Novelty(novelty) => novelty.to_string(),
            Arithmetic::Rank(rank) => rank.to_string(),
            Arithmetic::Each(each) => {
                let by =
                    each.gathered.map_or_else(String::new, |gathered| format!(" by {}", gathered.authors));
                format!("polarity {} reach {:?} matched {}{by}", each.polarity, each.reach, each.matched)
            }
        };
        let told: Vec<&str> =
            event.notify.iter().map(|notify| &notify.key[notify.key.find('/').unwrap()..]).collect();
        write!(text, "{transition} {}/{} #{}: {numbers}", event.rule, event.subject, event.sequence).unwrap();
        if event.parent.is_some() {
            text.push_str(", child");
        }
        if !event.silent_sources.is_empty() {
            write!(text, ", silent: {}", event.silent_sources.join(" ")).unwrap();
        }
        if !told.is_empty() {
            write!(text, ", told {}", told.join(" ")).unwrap();
        }
        text.push('\n');
    }
    text
}

fn days_later(time: Timestamp, days: i64) -> Timestamp {
    time.plus_millis(days * DAY_MS)
}
