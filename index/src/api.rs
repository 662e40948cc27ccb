//! The HTTP interface for programs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Query, State};
use axum::routing::get;
use axum::{Json, Router};
use earshot_common::broker::Broker;
use earshot_common::definitions::Definition;
use earshot_common::erasures::Erased;
use earshot_common::events::{
    Acknowledgement, AlertEvent, Author, Enriched, EntityTag, Evidence, ReachUnit, Sentiment, SourceRef,
    Transition, Word,
};
use earshot_common::http::Refusal;
use earshot_common::keys::{MentionKey, Secret};
use earshot_common::query::Query as Search;
use earshot_common::time::{Clock, Timestamp};
use earshot_common::topics::MENTIONS_ENRICHED;
use jiff::tz::TimeZone;
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::alerts_view::{Alert, AlertFilter, AlertState, AlertsView};
use crate::digest::{Digest, DigestAnswer};
use crate::highlight::{Highlight, highlights};
use crate::histogram::{Bucket, HistogramError, Timeline, Unit};
use crate::metrics::Metrics;
use crate::params::{ParameterError, Parameters};
use crate::search::{self, Page};
use crate::stage::Committed;
use crate::store::Store;
use crate::watchlist::{PublishAnswer, PublishRequest, Publisher};

/// Mentions that are shown with an alert, at most.
const MAX_EVIDENCE: usize = 5;
/// Mentions that are asked for by their keys, at most.
const MAX_KEYS: usize = 100;
/// An answer that waits for the index waits for so long at most.
const MAX_WAIT_MS: u64 = 5_000;

/// What every request works with.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) store: Store,
    pub(crate) broker: Broker,
    pub(crate) secret: Secret,
    pub(crate) clock: Clock,
    pub(crate) publisher: Publisher,
    pub(crate) alerts: watch::Receiver<Arc<AlertsView>>,
    pub(crate) erased: watch::Receiver<Arc<Erased>>,
    pub(crate) committed: watch::Receiver<Committed>,
    pub(crate) metrics: Metrics,
}

/// Names and values of an address.
pub(crate) type Pairs = Query<Vec<(String, String)>>;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/api/status", get(status))
        .route("/api/search", get(search))
        .route("/api/histogram", get(histogram))
        .route("/api/digest", get(digest))
        .route("/api/mentions/{*id}", get(mention))
        .route("/api/alerts", get(alerts))
        .route("/api/evidence", get(evidence))
        .route("/api/watchlist", get(watchlist).post(publish))
}

/// Whether everything that the log holds can be found.
#[derive(Debug, Serialize)]
struct Status {
    up_to_date: bool,
    documents: u64,
    partitions: Vec<PartitionStatus>,
}

#[derive(Debug, Serialize)]
struct PartitionStatus {
    partition: u32,
    committed: u64,
    end: u64,
}

async fn status(State(app): State<App>) -> Result<Json<Status>, Refusal> {
    // The ends first: what is committed meanwhile can only make the answer truer.
    let bounds = app.broker.bounds(&MENTIONS_ENRICHED, None).await.map_err(Refusal::unavailable)?;
    let committed = app.committed.borrow().clone();
    let mut partitions = Vec::new();
    for bounds in bounds {
        let (partition, committed) = (bounds.partition, committed.next(&bounds));
        partitions.push(PartitionStatus { partition, committed, end: bounds.next });
    }
    let up_to_date = partitions.iter().all(|partition| partition.committed >= partition.end);
    Ok(Json(Status { up_to_date, documents: committed.documents, partitions }))
}

/// A page of mentions.
#[derive(Debug, Serialize)]
struct SearchAnswer {
    total: u64,
    hits: Vec<Hit>,
    next: Option<String>,
}

/// A mention as the search shows it.
#[derive(Debug, Serialize)]
pub(crate) struct Hit {
    id: String,
    title: Option<String>,
    text: String,
    url: Option<String>,
    author: Option<Author>,
    source: SourceRef,
    published: Timestamp,
    /// What `from`, `to`, the order and the timeline go by: the earlier of published and collected.
    event_time: Timestamp,
    lang: String,
    entities: Vec<EntityTag>,
    sentiment: Sentiment,
    reach: Option<u64>,
    reach_unit: Option<ReachUnit>,
    outlet: Option<String>,
    risk: Vec<String>,
    intent: Vec<String>,
    desks: Vec<String>,
    evidence: Vec<Evidence>,
    highlights: Vec<Highlight>,
}

impl Hit {
    pub(crate) fn of(enriched: Enriched, query: &Search) -> Self {
        let highlights = highlights(query, enriched.mention.title.as_deref(), &enriched.mention.text);
        let event_time = enriched.mention.event_time();
        let reach_unit = enriched.audience().map(|(_, unit)| unit);
        let mention = enriched.mention;
        Self {
            id: mention.id,
            title: mention.title,
            text: mention.text,
            url: mention.url,
            author: mention.author,
            source: mention.source,
            published: mention.published,
            event_time,
            lang: enriched.lang,
            entities: enriched.entities,
            sentiment: enriched.sentiment,
            reach: enriched.reach,
            reach_unit,
            outlet: enriched.outlet,
            risk: enriched.risk,
            intent: enriched.intent,
            desks: enriched.desks,
            evidence: enriched.evidence,
            highlights,
        }
    }
}

async fn search(State(app): State<App>, Query(pairs): Pairs) -> Result<Json<SearchAnswer>, Refusal> {
    let parameters = Parameters::new(pairs, &Parameters::SEARCH)?;
    let filter = parameters.filter(&parameters.zone()?.unwrap_or(TimeZone::UTC))?;
    let sort = parameters.sort()?;
    let limit = parameters.limit()?;
    let cursor = parameters.cursor(sort)?;
    let query = filter.query.clone();
    let Page { total, mentions, next } =
        app.blocking(move |store| search::search(store, &filter, sort, cursor, limit)).await?;
    let hits = mentions.into_iter().map(|mention| Hit::of(mention, &query)).collect();
    Ok(Json(SearchAnswer { total, hits, next: next.map(|cursor| cursor.to_string()) }))
}

/// A timeline.
#[derive(Debug, Serialize)]
struct HistogramAnswer {
    by: Unit,
    zone: String,
    buckets: Vec<BucketAnswer>,
}

/// A bar of a timeline; its ends are written with the zone's offset.
#[derive(Debug, Serialize)]
struct BucketAnswer {
    from: String,
    to: String,
    negative: u64,
    neutral: u64,
    positive: u64,
    total: u64,
}

impl From<Bucket> for BucketAnswer {
    fn from(bucket: Bucket) -> Self {
        let total = bucket.total();
        let Bucket { from, to, negative, neutral, positive } = bucket;
        let write = |at: jiff::ZonedDateTime| at.timestamp().display_with_offset(at.offset()).to_string();
        Self { from: write(from), to: write(to), negative, neutral, positive, total }
    }
}

async fn histogram(State(app): State<App>, Query(pairs): Pairs) -> Result<Json<HistogramAnswer>, Refusal> {
    let parameters = Parameters::new(pairs, &Parameters::HISTOGRAM)?;
    let zone = parameters.zone()?.unwrap_or(TimeZone::UTC);
    let filter = parameters.filter(&zone)?;
    let by = parameters.unit()?.unwrap_or(Unit::Day);
    let timeline = app.blocking(move |store| Timeline::count(store, &filter)).await?;
    let buckets = timeline.buckets(by, &zone)?.into_iter().map(BucketAnswer::from).collect();
    let zone = zone.iana_name().unwrap_or("UTC").to_owned();
    Ok(Json(HistogramAnswer { by, zone, buckets }))
}

/// What was said from one time to another. Where the request allows it, the answer waits for what the log holds already.
async fn digest(State(app): State<App>, Query(pairs): Pairs) -> Result<Json<DigestAnswer>, Refusal> {
    let parameters = Parameters::new(pairs, &Parameters::DIGEST)?;
    let filter = parameters.filter(&parameters.zone()?.unwrap_or(TimeZone::UTC))?;
    let (Some(from), Some(to)) = (filter.from, filter.to) else {
        return Err(Refusal::bad_request("parameters `from` and `to`: a digest needs both"));
    };
    app.catch_up(Duration::from_millis(wait_ms(&parameters)?)).await?;
    app.blocking(move |store| Digest::of(store, &filter, from, to)).await.map(|digest| Json(digest.into()))
}

async fn mention(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Enriched>, Refusal> {
    app.mention(id).await.map(Json)
}

/// The list of alerts.
#[derive(Debug, Serialize)]
struct AlertsAnswer {
    alerts: Vec<AlertAnswer>,
}

/// An alert as it stands, with the mentions behind it.
#[derive(Debug, Serialize)]
struct AlertAnswer {
    id: String,
    state: AlertState,
    subject_name: String,
    transition: Transition,
    evidence_mentions: Vec<Hit>,
    /// How it stands; numbers and evidence are those that raised it, not those of the calm that ended it.
    #[serde(flatten)]
    now: AlertFields,
    /// Who has it in hand.
    acknowledged: Option<Acknowledgement>,
    /// Until when nobody is told more of it.
    muted_until: Option<Timestamp>,
    /// Every transition with its own numbers, oldest first.
    transitions: Vec<TransitionAnswer>,
}

/// One step of an alert.
#[derive(Debug, Serialize)]
struct TransitionAnswer {
    sequence: u32,
    transition: Transition,
    decided: Timestamp,
    arithmetic: earshot_common::events::Arithmetic,
    /// The person's word that caused it.
    word: Option<Word>,
}

impl From<&AlertEvent> for TransitionAnswer {
    fn from(event: &AlertEvent) -> Self {
        Self {
            sequence: event.sequence,
            transition: event.transition,
            decided: event.decided,
            arithmetic: event.arithmetic.clone(),
            word: event.word.clone(),
        }
    }
}

/// The fields of a transition that describe the alert.
#[derive(Debug, Serialize)]
struct AlertFields {
    historic: bool,
    rule: String,
    subject: String,
    severity: u8,
    opened: Timestamp,
    until: Timestamp,
    sequence: u32,
    parent: Option<earshot_common::keys::AlertKey>,
    arithmetic: earshot_common::events::Arithmetic,
    evidence: Vec<earshot_common::keys::MentionKey>,
    silent_sources: Vec<String>,
    definition: earshot_common::events::DecidedWith,
    decided: Timestamp,
}

impl From<&AlertEvent> for AlertFields {
    fn from(event: &AlertEvent) -> Self {
        let event = event.clone();
        Self {
            historic: event.historic,
            rule: event.rule,
            subject: event.subject,
            severity: event.severity,
            opened: event.opened,
            until: event.until,
            sequence: event.sequence,
            parent: event.parent,
            arithmetic: event.arithmetic,
            evidence: event.evidence,
            silent_sources: event.silent_sources,
            definition: event.definition,
            decided: event.decided,
        }
    }
}

async fn alerts(State(app): State<App>, Query(pairs): Pairs) -> Result<Json<AlertsAnswer>, Refusal> {
    let parameters = Parameters::new(pairs, &Parameters::ALERTS)?;
    let filter = AlertFilter {
        state: parameters.read("state", AlertState::parse, "`open` or `resolved`")?,
        historic: parameters.read("historic", |text| text.parse().ok(), "`true` or `false`")?,
        subject: parameters.get("subject").map(str::to_owned),
    };
    let alerts = app.alerts.borrow().list(&filter);
    let mut answers = Vec::with_capacity(alerts.len());
    for alert in alerts {
        let now = alert.now();
        let evidence = app.evidence(&alert).await?;
        answers.push(AlertAnswer {
            id: now.alert.to_string(),
            state: alert.state(),
            subject_name: app.subject_name(&now.subject),
            transition: now.transition,
            acknowledged: now.acknowledged.clone(),
            muted_until: now.muted_until,
            evidence_mentions: evidence.into_iter().map(|mention| Hit::of(mention, &Search::All)).collect(),
            now: AlertFields {
                arithmetic: alert.raised().arithmetic.clone(),
                evidence: alert.raised().evidence.clone(),
                ..now.into()
            },
            transitions: alert.transitions().iter().map(TransitionAnswer::from).collect(),
        });
    }
    Ok(Json(AlertsAnswer { alerts: answers }))
}

/// The mentions behind an alert, as a message quotes them.
#[derive(Debug, Serialize)]
struct EvidenceAnswer {
    mentions: Vec<Hit>,
}

/// The first mentions of these keys, each story once. An alert is often quicker than the index, so the answer waits
/// for what is still to come as long as the request allows.
async fn evidence(State(app): State<App>, Query(pairs): Pairs) -> Result<Json<EvidenceAnswer>, Refusal> {
    let parameters = Parameters::new(pairs, &Parameters::EVIDENCE)?;
    let keys = parameters.read("keys", read_keys, "keys of mentions, with commas between them")?;
    let keys = keys.unwrap_or_default();
    let limit = parameters.limit()?;
    let deadline = Instant::now() + Duration::from_millis(wait_ms(&parameters)?);
    let mut committed = app.committed.clone();
    loop {
        committed.mark_unchanged();
        let (mentions, complete) = app.stories(keys.clone(), limit).await?;
        let more_may_come =
            async { timeout_at(deadline, committed.changed()).await.is_ok_and(|c| c.is_ok()) };
        if complete || !more_may_come.await {
            let mentions = mentions.into_iter().map(|mention| Hit::of(mention, &Search::All)).collect();
            return Ok(Json(EvidenceAnswer { mentions }));
        }
    }
}

/// Milliseconds that an answer may wait for the index.
fn wait_ms(parameters: &Parameters) -> Result<u64, ParameterError> {
    let read = |text: &str| text.parse().ok().filter(|wait_ms| *wait_ms <= MAX_WAIT_MS);
    Ok(parameters.read("wait_ms", read, &format!("a number up to {MAX_WAIT_MS}"))?.unwrap_or_default())
}

fn read_keys(text: &str) -> Option<Vec<MentionKey>> {
    text.split(',')
        .map(|key| key.parse().ok())
        .collect::<Option<Vec<_>>>()
        .filter(|keys| keys.len() <= MAX_KEYS)
}

/// The watchlist in force.
#[derive(Debug, Serialize)]
struct WatchlistAnswer {
    version: u64,
    definitions: Vec<VersionAnswer>,
}

#[derive(Debug, Serialize)]
struct VersionAnswer {
    id: String,
    owner: String,
    version: Option<u64>,
    definition: Option<Definition>,
}

async fn watchlist(State(app): State<App>) -> Json<WatchlistAnswer> {
    let watchlist = app.publisher.current();
    let definitions = watchlist.versions().cloned().map(|version| VersionAnswer {
        id: version.id,
        owner: version.owner,
        version: version.version,
        definition: version.definition,
    });
    Json(WatchlistAnswer { version: watchlist.next(), definitions: definitions.collect() })
}

async fn publish(
    State(app): State<App>,
    request: Result<Json<PublishRequest>, JsonRejection>,
) -> Result<Json<PublishAnswer>, Refusal> {
    let Json(request) = request.map_err(|rejection| Refusal::bad_request(rejection.body_text()))?;
    app.publisher.publish(request).await.map(Json)
}

impl App {
    /// Reads the index away from the threads that serve.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Store) -> anyhow::Result<T> + Send + 'static,
    ) -> Result<T, Refusal> {
        let store = self.store.clone();
        let seconds = self.metrics.search_seconds.clone();
        let read = tokio::task::spawn_blocking(move || seconds.observe_closure_duration(|| read(&store)));
        read.await
            .context("a read of the index panicked")
            .and_then(|read| read)
            .map_err(|error| Refusal::internal(&error))
    }

    /// Waits until all that the log holds now can be found, though not longer than this.
    async fn catch_up(&self, patience: Duration) -> Result<(), Refusal> {
        let deadline = Instant::now() + patience;
        let ends = self.broker.bounds(&MENTIONS_ENRICHED, None).await.map_err(Refusal::unavailable)?;
        let mut committed = self.committed.clone();
        let caught_up = committed.wait_for(|now| ends.iter().all(|end| now.next(end) >= end.next));
        drop(timeout_at(deadline, caught_up).await);
        Ok(())
    }

    /// The mention of an id.
    pub(crate) async fn mention(&self, id: String) -> Result<Enriched, Refusal> {
        let sought = id.clone();
        let found = self.blocking(move |store| search::by_id(store, &sought)).await?;
        found.ok_or_else(|| {
            Refusal::not_found(format!("there is no mention `{id}`: it was deleted, or is not indexed yet"))
        })
    }

    /// The first mentions behind an alert that are still there.
    pub(crate) async fn evidence(&self, alert: &Alert) -> Result<Vec<Enriched>, Refusal> {
        let keys = alert.raised().evidence.clone();
        self.blocking(move |store| {
            let mut mentions = Vec::new();
            for key in keys {
                if mentions.len() == MAX_EVIDENCE {
                    break;
                }
                mentions.extend(search::by_key(store, &key.to_string())?);
            }
            Ok(mentions)
        })
        .await
    }

    /// The first mentions of these keys that are there, each story once; and whether later commits can bring no more.
    async fn stories(&self, keys: Vec<MentionKey>, limit: usize) -> Result<(Vec<Enriched>, bool), Refusal> {
        self.blocking(move |store| {
            let (mut mentions, mut stories, mut all_found) = (Vec::new(), BTreeSet::new(), true);
            for key in keys {
                if mentions.len() == limit {
                    return Ok((mentions, true));
                }
                match search::by_key(store, &key.to_string())? {
                    Some(mention) if mention.story.is_some_and(|story| !stories.insert(story)) => {}
                    Some(mention) => mentions.push(mention),
                    None => all_found = false,
                }
            }
            Ok((mentions, all_found))
        })
        .await
    }

    /// A subject's name for people; its id where the definition is gone.
    pub(crate) fn subject_name(&self, id: &str) -> String {
        self.publisher.current().subject(id).map_or_else(|| id.to_owned(), |subject| subject.name.clone())
    }
}

impl From<ParameterError> for Refusal {
    fn from(error: ParameterError) -> Self {
        Self::bad_request(error)
    }
}

impl From<HistogramError> for Refusal {
    fn from(error: HistogramError) -> Self {
        match error {
            HistogramError::TooMany { .. } => Self::bad_request(error),
            HistogramError::Failed(error) => Self::internal(&error),
        }
    }
}
