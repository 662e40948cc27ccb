//! Dead letters for people: the list, one of them in full, and driving them again.
//!
//! The index serves them because it is the one address for people. It only reads `dead-letters`; a letter that
//! is driven again is appended, as it was, to the topic that it came from.

mod letter;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Query, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use earshot_common::broker::{Bounds, Broker, MAX_BATCH, NewRecord, Position, Reader, Record};
use earshot_common::erasures::Erased;
use earshot_common::events::MentionVersion;
use earshot_common::http::Refusal;
use earshot_common::keys::Secret;
use earshot_common::stage::{Output, store};
use earshot_common::topics::DEAD_LETTERS;
use serde::{Deserialize, Serialize};

pub use letter::{Letter, LetterSummary};

use letter::{Opened, Selection};

use crate::api::{App, Pairs};
use crate::params::Parameters;
use crate::schema::version_of;

/// Letters that are read at once when looking back.
const WINDOW: u64 = 500;
/// Letters that one request looks at, at most; the answer says where to go on.
const MAX_LOOKED_AT: u64 = 20_000;
/// Letters that one request drives again, at most; the answer says where to go on.
const MAX_REDRIVEN: u64 = 1_000;
/// Reading letters that are there takes longer only where the log does not answer.
const DEADLINE: Duration = Duration::from_secs(20);

/// What `GET /api/dead-letters` answers: newest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LetterPage {
    /// The letters.
    pub letters: Vec<LetterSummary>,
    /// The `before` of the next page, where older letters were not looked at yet.
    pub next: Option<u64>,
    /// The offset that the next letter will have.
    pub end: u64,
}

/// What `POST /api/dead-letters/redrive` takes: a stretch of letters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedriveRequest {
    /// The first offset.
    pub from: u64,
    /// The offset behind the last one.
    pub to: u64,
    /// Only letters of this kind.
    #[serde(default)]
    pub kind: Option<String>,
    /// Only letters of this service.
    #[serde(default)]
    pub service: Option<String>,
}

/// What driving letters again answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedriveAnswer {
    /// How many went to which topic.
    pub redriven: BTreeMap<String, u64>,
    /// Those that were not driven again.
    pub refused: Vec<RefusedLetter>,
    /// Where to go on, where the stretch was longer than one request does.
    pub next: Option<u64>,
}

/// A letter that was not driven again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedLetter {
    /// The letter.
    pub offset: u64,
    /// Why, and what to do instead.
    pub why: String,
}

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/api/dead-letters", get(list))
        .route("/api/dead-letters/redrive", post(redrive))
        .route("/api/dead-letters/{offset}", get(show))
        .route("/api/dead-letters/{offset}/redrive", post(redrive_one))
}

async fn list(State(app): State<App>, Query(pairs): Pairs) -> Result<Json<LetterPage>, Refusal> {
    let parameters = Parameters::new(pairs, &Parameters::LETTERS)?;
    let limit = parameters.limit()?;
    let before = parameters.read("before", |text| text.parse().ok(), "an offset")?;
    let selection = Selection::new(parameters.get("service"), parameters.get("kind"))?;
    let letters = Letters::of(&app);
    let bounds = letters.bounds().await?;
    let mut page = LetterPage { end: bounds.next, ..LetterPage::default() };
    let newest = before.map_or(bounds.next, |before: u64| before.min(bounds.next));
    let mut to = newest;
    while to > bounds.first && newest - to < MAX_LOOKED_AT {
        let from = to.saturating_sub(WINDOW).max(bounds.first);
        let mut window = Vec::new();
        let mut stretch = letters.stretch(from, to).await?;
        while let Some(records) = stretch.next().await? {
            let selected = records.iter().filter(|record| selection.takes(record));
            window.extend(selected.map(|record| letters.open(record).summary()));
        }
        page.letters.extend(window.into_iter().rev());
        to = from;
        if page.letters.len() >= limit {
            page.letters.truncate(limit);
            to = page.letters.last().map_or(to, |last| last.offset);
            break;
        }
    }
    page.next = (to > bounds.first).then_some(to);
    Ok(Json(page))
}

async fn show(State(app): State<App>, Path(offset): Path<String>) -> Result<Json<Letter>, Refusal> {
    let letters = Letters::of(&app);
    let offset = letters.offset(&offset).await?;
    let records = letters.stretch(offset, offset + 1).await?.next().await?.unwrap_or_default();
    let letter = records.first().map(|record| letters.open(record).in_full());
    letter.map(Json).ok_or_else(|| gone(offset))
}

async fn redrive_one(
    State(app): State<App>,
    Path(offset): Path<String>,
) -> Result<Json<RedriveAnswer>, Refusal> {
    let letters = Letters::of(&app);
    let offset = letters.offset(&offset).await?;
    letters.redrive(&app, offset, offset + 1, &Selection::default()).await.map(Json)
}

async fn redrive(
    State(app): State<App>,
    request: Result<Json<RedriveRequest>, JsonRejection>,
) -> Result<Json<RedriveAnswer>, Refusal> {
    let Json(request) = request.map_err(|rejection| Refusal::bad_request(rejection.body_text()))?;
    let selection = Selection::new(request.service.as_deref(), request.kind.as_deref())?;
    let letters = Letters::of(&app);
    let bounds = letters.bounds().await?;
    let (from, to) = (request.from.max(bounds.first), request.to.min(bounds.next));
    if from >= to {
        return Ok(Json(RedriveAnswer::default()));
    }
    let end = to.min(from.saturating_add(MAX_REDRIVEN));
    let answer = letters.redrive(&app, from, end, &selection).await?;
    Ok(Json(RedriveAnswer { next: (end < to).then_some(end), ..answer }))
}

fn gone(offset: u64) -> Refusal {
    Refusal::not_found(format!(
        "there is no dead letter {offset}; `earshot dead-letters list` shows those that are there"
    ))
}

/// The topic, read with the knowledge of who was erased.
struct Letters {
    broker: Broker,
    secret: Secret,
    erased: Arc<Erased>,
}

impl Letters {
    fn of(app: &App) -> Self {
        let erased = app.erased.borrow().clone();
        Self { broker: app.broker.clone(), secret: app.secret.clone(), erased }
    }

    async fn bounds(&self) -> Result<Bounds, Refusal> {
        let bounds = self.broker.bounds(&DEAD_LETTERS, None).await.map_err(Refusal::unavailable)?;
        bounds.into_iter().next().ok_or_else(|| Refusal::unavailable("`dead-letters` has no partition"))
    }

    /// The offset of a letter that is there.
    async fn offset(&self, text: &str) -> Result<u64, Refusal> {
        let offset = text
            .parse()
            .map_err(|_| Refusal::bad_request(format!("offset {text:?} is not the number of a letter")))?;
        let bounds = self.bounds().await?;
        if !(bounds.first..bounds.next).contains(&offset) {
            return Err(gone(offset));
        }
        Ok(offset)
    }

    /// Appends the letters of a stretch to where they came from.
    async fn redrive(
        &self,
        app: &App,
        from: u64,
        to: u64,
        selection: &Selection,
    ) -> Result<RedriveAnswer, Refusal> {
        let mut answer = RedriveAnswer::default();
        let mut stretch = self.stretch(from, to).await?;
        while let Some(records) = stretch.next().await? {
            let mut outputs = Vec::new();
            for record in records.iter().filter(|record| selection.takes(record)) {
                let letter = self.open(record);
                let known = app.known_version(letter.mention_id()).await?;
                match letter.redrive(known) {
                    Ok(topic) => outputs.push(Output { topic, record: as_it_was(record) }),
                    Err(why) => answer.refused.push(RefusedLetter { offset: record.offset, why }),
                }
            }
            for output in &outputs {
                *answer.redriven.entry(output.topic.name.to_owned()).or_default() += 1;
            }
            let stored = store(&self.broker, outputs).await;
            stored
                .map_err(|error| Refusal::unavailable(format!("{error:#}; try again: twice is harmless")))?;
        }
        tracing::info!(from, to, redriven = ?answer.redriven, "dead letters were driven again");
        Ok(answer)
    }

    fn open<'r>(&self, record: &'r Record) -> Opened<'r> {
        Opened::new(record, |author| self.erased.contains(author), &self.secret)
    }

    /// A stretch of the topic, from its first offset to the one behind its last.
    async fn stretch(&self, from: u64, to: u64) -> Result<Stretch, Refusal> {
        let start = vec![Position { partition: 0, offset: from }];
        let reader = self.broker.read(&DEAD_LETTERS, start).await.map_err(Refusal::unavailable)?;
        Ok(Stretch { reader, next: from, to })
    }
}

/// Letters in their order, read in batches, which bounds what is held at once.
struct Stretch {
    reader: Reader,
    next: u64,
    to: u64,
}

impl Stretch {
    async fn next(&mut self) -> Result<Option<Vec<Record>>, Refusal> {
        if self.next >= self.to {
            return Ok(None);
        }
        let max = usize::try_from(self.to - self.next).unwrap_or(MAX_BATCH).min(MAX_BATCH);
        let read = tokio::time::timeout(DEADLINE, self.reader.next(max)).await;
        let no_answer = |_| Refusal::unavailable(format!("`dead-letters` offset {}: no answer", self.next));
        let mut records = read.map_err(no_answer)?.map_err(Refusal::unavailable)?;
        self.next = records.last().map_or(self.to, |last| last.offset + 1);
        records.retain(|record| record.offset < self.to);
        Ok(Some(records))
    }
}

impl App {
    /// The version of a mention that stands in the index.
    async fn known_version(&self, id: Option<&str>) -> Result<Option<MentionVersion>, Refusal> {
        let Some(id) = id.map(str::to_owned) else { return Ok(None) };
        self.blocking(move |store| Ok(version_of(&store.searcher(), &store.fields, &id)?)).await
    }
}

/// The record that became a letter, and a header that says that it comes again.
fn as_it_was(letter: &Record) -> NewRecord {
    NewRecord {
        partition: None,
        key: letter.key.clone(),
        value: letter.value.clone(),
        headers: vec![("redriven_from".to_owned(), letter.offset.to_string().into())],
    }
}
