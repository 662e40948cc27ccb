//! The console: pages for people, which work without script.
//!
//! What belongs here: what stands on a page. Mention text is hostile: it reaches a page only through the
//! templates' escaping, and a foreign address only through [`address::web_link`].

mod acknowledge;
mod address;
mod marks;
mod timeline;
mod words;

use std::sync::Arc;

use anyhow::Context as _;
use askama::Template;
use axum::Router;
use axum::extract::{Form as Posted, Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use earshot_common::definitions::Watchlist;
use earshot_common::events::{Arithmetic, CommandKind, Enriched, EntityTag, Lane, RISKS, Sentiment};
use earshot_common::http::Refusal;
use earshot_common::keys::AlertKey;
use earshot_common::query::{Condition, Field, Query as Search, Value};
use earshot_common::time::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;

use self::address::{address, web_link};
use self::marks::{Piece, marked};
use self::timeline::TimelineView;
use crate::alerts_view::{Alert, AlertFilter, AlertState};
use crate::api::{App, Pairs};
use crate::commands::{CommandRequest, new_id};
use crate::highlight::{TextField, highlights};
use crate::histogram::{HistogramError, Timeline};
use crate::params::{ParameterError, Parameters};
use crate::query::Filter;
use crate::search::{self, Choices, Cursor, Page, Sort};

/// Alerts that are folded away, at most.
const MAX_EARLIER: usize = 50;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/", get(home))
        .route("/mentions/{*id}", get(mention))
        .route("/alerts/{id}", get(alert))
        .route("/alerts/{id}/{what}", post(say))
}

/// What asks for no login: the page behind a message's link, and what every page is made with.
pub(crate) fn open_routes() -> Router<App> {
    acknowledge::routes()
        .route("/static/console.css", get(async || asset("text/css; charset=utf-8", CSS)))
        .route("/static/console.js", get(async || asset("text/javascript; charset=utf-8", JS)))
        .route("/static/icon.svg", get(async || asset("image/svg+xml", ICON)))
}

const CSS: &str = include_str!("../static/console.css");
const JS: &str = include_str!("../static/console.js");
const ICON: &str = include_str!("../static/icon.svg");

fn asset(kind: &'static str, text: &'static str) -> impl IntoResponse {
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "max-age=300")], text)
}

fn render(page: &impl Template) -> Result<Html<String>, Refusal> {
    let page = page.render().context("render a page").map_err(|error| Refusal::internal(&error))?;
    Ok(Html(page))
}

/// A page that says why there is none.
#[derive(Template)]
#[template(path = "missing.html")]
struct MissingPage {
    what: String,
}

fn missing(what: impl Into<String>) -> Result<Response, Refusal> {
    Ok((StatusCode::NOT_FOUND, render(&MissingPage { what: what.into() })?).into_response())
}

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage {
    form: Form,
    problems: Problems,
    alerts: Vec<AlertCard>,
    earlier: Vec<AlertCard>,
    timeline: Option<TimelineView>,
    timeline_problem: Option<String>,
    results: Option<Results>,
    review: Option<Review>,
    /// All mentions that can be found, whatever the filters.
    documents: u64,
}

/// The fields as the reader left them, and what they can be set to.
struct Form {
    q: String,
    from: String,
    to: String,
    zone: String,
    zone_default: String,
    sort: String,
    subjects: Vec<Choice>,
    sentiments: Vec<Choice>,
    risks: Vec<Choice>,
    sources: Vec<Choice>,
    langs: Vec<Choice>,
    zones: Vec<String>,
    /// A span that date fields cannot show, and the address without it.
    span: Option<(String, String)>,
    /// Whether anything is filtered.
    filtered: bool,
}

struct Choice {
    value: String,
    label: String,
    selected: bool,
}

/// What is wrong with the request: the query beside its box, the rest above the results.
#[derive(Default)]
struct Problems {
    query: Option<String>,
    other: Option<String>,
}

impl From<ParameterError> for Problems {
    fn from(error: ParameterError) -> Self {
        match error.name.as_str() {
            "q" => Self { query: Some(error.message), other: None },
            _ => Self { query: None, other: Some(error.to_string()) },
        }
    }
}

/// Mentions that perhaps name a subject and are counted nowhere: for a person to look at.
struct Review {
    words: String,
    href: String,
}

struct Results {
    total: String,
    hits: Vec<HitView>,
    by_time: bool,
    other_order: String,
    next: Option<String>,
    /// The first page, where this is another.
    first: Option<String>,
}

async fn home(State(app): State<App>, Query(pairs): Pairs) -> Result<Html<String>, Refusal> {
    let watchlist = app.publisher.current();
    let (parameters, mut problems) = match Parameters::new(pairs, &Parameters::SEARCH) {
        Ok(parameters) => (parameters, Problems::default()),
        Err(error) => (Parameters::default(), error.into()),
    };
    let zone = match parameters.zone() {
        Ok(Some(zone)) => zone,
        Ok(None) => zone_of(&watchlist, parameters.get("subject")),
        Err(error) => {
            problems = error.into();
            TimeZone::UTC
        }
    };
    let asked = match Asked::read(&parameters, &zone) {
        Ok(asked) => Some(asked),
        Err(error) => {
            problems = error.into();
            None
        }
    };

    let mut timeline = None;
    let mut timeline_problem = None;
    let mut results = None;
    let mut review = None;
    if let Some(asked) = asked {
        let Asked { filter, sort, limit, cursor } = asked;
        let query = filter.query.clone();
        let doubtful = doubtful(&filter);
        let (page, counted, doubts) = app
            .blocking(move |store| {
                let page = search::search(store, &filter, sort, cursor, limit)?;
                let doubts = search::count(store, &doubtful)?;
                Ok((page, Timeline::count(store, &filter)?, doubts))
            })
            .await?;
        review = Review::of(doubts, &parameters);
        let unit = counted.readable_unit();
        match counted.buckets(unit, &zone) {
            Ok(buckets) => timeline = timeline::draw(&buckets, unit, &parameters),
            Err(error @ HistogramError::TooMany { .. }) => timeline_problem = Some(error.to_string()),
            Err(HistogramError::Failed(error)) => return Err(Refusal::internal(&error)),
        }
        results = Some(view_results(page, &query, sort, &parameters, &watchlist, &zone));
    }

    let (alerts, earlier) = alert_cards(&app, parameters.get("subject"));
    let choices = app.blocking(search::choices).await?;
    let documents = app.committed.borrow().documents;
    let form = Form::new(&parameters, &watchlist, choices, &zone);
    render(&HomePage {
        form,
        problems,
        alerts,
        earlier,
        timeline,
        timeline_problem,
        results,
        review,
        documents,
    })
}

/// What a request asks for, read.
struct Asked {
    filter: Filter,
    sort: Sort,
    limit: usize,
    cursor: Option<Cursor>,
}

impl Asked {
    fn read(parameters: &Parameters, zone: &TimeZone) -> Result<Self, ParameterError> {
        let sort = parameters.sort()?;
        Ok(Self {
            filter: parameters.filter(zone)?,
            sort,
            limit: parameters.limit()?,
            cursor: parameters.cursor(sort)?,
        })
    }
}

/// The mentions of the same time and source that perhaps name the filter's subject, or any.
fn doubtful(filter: &Filter) -> Filter {
    let (field, value) = in_doubt(filter.subject.as_deref());
    let query = Search::Field(Condition::Value(field, Value::Is(value.to_owned())));
    Filter { query, subject: None, sentiment: None, ..filter.clone() }
}

/// What is asked for to find doubtful mentions of a subject, or of any.
fn in_doubt(subject: Option<&str>) -> (Field, &str) {
    match subject {
        Some(subject) => (Field::Doubtful, subject),
        None => (Field::Lane, Lane::Doubtful.as_str()),
    }
}

impl Review {
    /// Where there are such mentions, and they are not what is shown.
    fn of(doubts: u64, parameters: &Parameters) -> Option<Self> {
        let (field, value) = in_doubt(parameters.get("subject"));
        let query = format!("{}:{value}", field.name());
        if doubts == 0 || parameters.get("q") == Some(query.as_str()) {
            return None;
        }
        let without = ["subject", "sentiment", "risk", "cursor"].map(|name| (name, None));
        let changes = [&[("q", Some(query.as_str()))], without.as_slice()].concat();
        let words = words::counted(doubts, "doubtful mention", "doubtful mentions");
        Some(Self { words, href: address(parameters, &changes) })
    }
}

/// A subject's zone; UTC without one.
fn zone_of(watchlist: &Watchlist, subject: Option<&str>) -> TimeZone {
    subject.and_then(|id| watchlist.subject(id)).map_or(TimeZone::UTC, |subject| subject.time_zone())
}

fn view_results(
    page: Page,
    query: &Search,
    sort: Sort,
    parameters: &Parameters,
    watchlist: &Watchlist,
    zone: &TimeZone,
) -> Results {
    let subject = parameters.get("subject");
    let view = |mention: &Enriched| HitView::new(mention, query, subject, watchlist, zone);
    let other_order = match sort {
        Sort::Time => Some("relevance"),
        Sort::Relevance => None,
    };
    let next = page.next.map(|cursor| cursor.to_string());
    Results {
        total: words::counted(page.total, "mention", "mentions"),
        hits: page.mentions.iter().map(view).collect(),
        by_time: sort == Sort::Time,
        other_order: address(parameters, &[("sort", other_order), ("cursor", None)]),
        next: next.map(|cursor| address(parameters, &[("cursor", Some(&cursor))])),
        first: parameters.get("cursor").map(|_| address(parameters, &[("cursor", None)])),
    }
}

impl Form {
    fn new(parameters: &Parameters, watchlist: &Watchlist, choices: Choices, zone: &TimeZone) -> Self {
        let value = |name: &str| parameters.get(name).unwrap_or_default().to_owned();
        let choose = |name: &str, options: Vec<(String, String)>| {
            let chosen = value(name);
            let mut choices: Vec<Choice> = options
                .into_iter()
                .map(|(value, label)| Choice { selected: value == chosen, value, label })
                .collect();
            // What the address asks for stays chosen, also where there is no such thing.
            if !chosen.is_empty() && !choices.iter().any(|choice| choice.selected) {
                choices.push(Choice { value: chosen.clone(), label: chosen, selected: true });
            }
            choices
        };
        let plain = |values: Vec<String>| values.into_iter().map(|value| (value.clone(), value)).collect();
        let subjects = watchlist.watched().map(|subject| (subject.id.clone(), subject.name.clone()));
        let sentiments = ["negative", "neutral", "positive"].map(str::to_owned).to_vec();
        let mut zones: Vec<String> = watchlist.watched().map(|subject| subject.zone.clone()).collect();
        zones.push("UTC".to_owned());
        zones.sort_unstable();
        zones.dedup();
        Self {
            q: value("q"),
            from: value("from"),
            to: value("to"),
            zone: value("zone"),
            zone_default: zone.iana_name().unwrap_or("UTC").to_owned(),
            sort: value("sort"),
            subjects: choose("subject", subjects.collect()),
            sentiments: choose("sentiment", plain(sentiments)),
            risks: choose("risk", RISKS.map(|risk| (risk.to_owned(), risk.replace('_', " "))).to_vec()),
            sources: choose("source", plain(choices.sources)),
            langs: choose("lang", plain(choices.langs)),
            zones,
            span: exact_span(parameters, zone),
            filtered: parameters.pairs().any(|(name, _)| !matches!(name, "sort" | "zone" | "cursor")),
        }
    }
}

/// A span of times, such as an hour, in words; with the address without it. Dates need none: their fields show them.
fn exact_span(parameters: &Parameters, zone: &TimeZone) -> Option<(String, String)> {
    let ends = [parameters.get("from"), parameters.get("to")];
    if !ends.into_iter().flatten().any(|end| end.len() > 10) {
        return None;
    }
    let write = |end: &str| match end.parse::<Timestamp>() {
        Ok(at) => words::moment(at, zone),
        Err(_) => end.to_owned(),
    };
    let words = match ends {
        [Some(from), Some(to)] => format!("{} to {}", write(from), write(to)),
        [Some(from), None] => format!("from {}", write(from)),
        [None, to] => format!("before {}", to.map(write).unwrap_or_default()),
    };
    Some((words, address(parameters, &[("from", None), ("to", None), ("cursor", None)])))
}

/// An alert in short.
struct AlertCard {
    id: String,
    severity: u8,
    loudness: &'static str,
    historic: bool,
    resolved: bool,
    /// Who has it in hand.
    owner: Option<String>,
    muted: bool,
    subject: String,
    sentence: String,
    since: String,
}

impl AlertCard {
    fn new(alert: &Alert, watchlist: &Watchlist) -> Self {
        let now = alert.now();
        let zone = zone_of(watchlist, Some(&now.subject));
        Self {
            id: now.alert.to_string(),
            severity: now.severity,
            loudness: words::severity(now.severity),
            historic: now.historic,
            resolved: alert.state() == AlertState::Resolved,
            owner: now.acknowledged.as_ref().map(|held| held.by.clone()),
            muted: now.muted_until.is_some(),
            subject: subject_name(watchlist, &now.subject),
            sentence: words::sentence(alert.raised(), &zone),
            since: words::moment(now.opened, &zone),
        }
    }
}

fn subject_name(watchlist: &Watchlist, id: &str) -> String {
    watchlist.subject(id).map_or_else(|| id.to_owned(), |subject| subject.name.clone())
}

/// The alerts that stand on top, and those that are folded away.
fn alert_cards(app: &App, subject: Option<&str>) -> (Vec<AlertCard>, Vec<AlertCard>) {
    let watchlist = app.publisher.current();
    let filter = AlertFilter { subject: subject.map(str::to_owned), ..AlertFilter::default() };
    let all = app.alerts.borrow().list(&filter);
    let (mut top, rest): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|alert| alert.state() == AlertState::Open && !alert.now().historic);
    top.sort_by_key(|alert| std::cmp::Reverse(alert.now().severity));
    let earlier = rest.into_iter().take(MAX_EARLIER).collect();
    let cards =
        |alerts: Vec<Arc<Alert>>| alerts.iter().map(|alert| AlertCard::new(alert, &watchlist)).collect();
    (cards(top), cards(earlier))
}

/// A mention in a list.
struct HitView {
    id: String,
    title: Vec<Piece>,
    text: Vec<Piece>,
    tone: &'static str,
    score: String,
    /// Towards whom the sentiment is.
    towards: Option<String>,
    chips: Vec<Chip>,
    /// Risks, each with the address of the mentions that have it.
    risks: Vec<(String, String)>,
    author: String,
    source: String,
    lang: String,
    when: String,
    when_exact: String,
    link: Option<String>,
    reach: Option<String>,
}

/// A subject that a mention concerns.
struct Chip {
    name: String,
    href: String,
    tone: &'static str,
    score: String,
    doubtful: bool,
}

impl HitView {
    fn new(
        enriched: &Enriched,
        query: &Search,
        subject: Option<&str>,
        watchlist: &Watchlist,
        zone: &TimeZone,
    ) -> Self {
        let mention = &enriched.mention;
        let matched = highlights(query, mention.title.as_deref(), &mention.text);
        let towards = subject.and_then(|id| enriched.entities.iter().find(|tag| tag.subject == id));
        let sentiment = towards.map_or(&enriched.sentiment, |tag| &tag.sentiment);
        let mark = |text: &str, field| marked(text, field, &matched, sentiment, &enriched.entities);
        let author = mention.author.as_ref();
        let name = author.and_then(|author| author.name.clone().or_else(|| author.handle.clone()));
        let at = mention.event_time();
        Self {
            id: mention.id.clone(),
            title: mark(mention.title.as_deref().unwrap_or_default(), TextField::Title),
            text: mark(&mention.text, TextField::Text),
            tone: sentiment.label.as_str(),
            score: words::signed(sentiment.score),
            towards: towards.map(|tag| subject_name(watchlist, &tag.subject)),
            chips: enriched.entities.iter().map(|tag| Chip::new(tag, watchlist)).collect(),
            risks: enriched.risk.iter().map(|risk| risk_chip(risk)).collect(),
            author: name.unwrap_or_else(|| "unknown author".to_owned()),
            source: enriched
                .outlet
                .as_ref()
                .or(mention.source.site.as_ref())
                .unwrap_or(&mention.source.id)
                .clone(),
            lang: enriched.lang.clone(),
            when: words::moment(at, zone),
            when_exact: at.to_string(),
            link: mention.url.as_deref().and_then(web_link),
            reach: enriched.audience().map(|(count, unit)| words::audience(count, unit)),
        }
    }
}

fn risk_chip(label: &str) -> (String, String) {
    (label.replace('_', " "), address(&Parameters::default(), &[("risk", Some(label))]))
}

impl Chip {
    fn new(tag: &EntityTag, watchlist: &Watchlist) -> Self {
        Self {
            name: subject_name(watchlist, &tag.subject),
            href: address(&Parameters::default(), &[("subject", Some(&tag.subject))]),
            tone: tag.sentiment.label.as_str(),
            score: words::signed(tag.sentiment.score),
            doubtful: tag.lane == Lane::Doubtful,
        }
    }
}

#[derive(Template)]
#[template(path = "mention.html")]
struct MentionPage {
    hit: HitView,
    judgements: Vec<Judgement>,
    facts: Vec<(&'static str, String)>,
}

/// A score and the words that made it.
struct Judgement {
    about: String,
    tone: &'static str,
    score: String,
    doubtful: bool,
    passing: bool,
    fallback: bool,
    words: Vec<(String, &'static str, String)>,
    matches: Vec<(String, Option<String>)>,
}

impl Judgement {
    fn new(about: String, sentiment: &Sentiment) -> Self {
        let word = |word: &earshot_common::events::SentimentWord| {
            let tone = if word.share < 0.0 { "negative" } else { "positive" };
            (word.word.clone(), tone, words::signed(word.share))
        };
        Self {
            about,
            tone: sentiment.label.as_str(),
            score: words::signed(sentiment.score),
            doubtful: false,
            passing: false,
            fallback: sentiment.fallback,
            words: sentiment.words.iter().map(word).collect(),
            matches: Vec::new(),
        }
    }

    fn towards(tag: &EntityTag, watchlist: &Watchlist) -> Self {
        let found = tag.matches.iter().map(|found| (found.alias.clone(), found.corroborated_by.clone()));
        Self {
            doubtful: tag.lane == Lane::Doubtful,
            passing: tag.passing,
            matches: found.collect(),
            ..Self::new(subject_name(watchlist, &tag.subject), &tag.sentiment)
        }
    }
}

async fn mention(State(app): State<App>, Path(id): Path<String>) -> Result<Response, Refusal> {
    let sought = id.clone();
    let Some(enriched) = app.blocking(move |store| search::by_id(store, &sought)).await? else {
        return missing(format!("There is no mention {id}. It was deleted, or is not indexed yet."));
    };
    let watchlist = app.publisher.current();
    let first = enriched.entities.first().map(|tag| tag.subject.as_str());
    let zone = zone_of(&watchlist, first);
    let mut judgements = vec![Judgement::new("The whole message".to_owned(), &enriched.sentiment)];
    judgements.extend(enriched.entities.iter().map(|tag| Judgement::towards(tag, &watchlist)));
    let hit = HitView::new(&enriched, &Search::All, None, &watchlist, &zone);
    Ok(render(&MentionPage { hit, judgements, facts: facts(&enriched, &zone) })?.into_response())
}

fn facts(enriched: &Enriched, zone: &TimeZone) -> Vec<(&'static str, String)> {
    let mention = &enriched.mention;
    let mut facts = vec![
        ("Published", words::moment(mention.published, zone)),
        ("Collected", words::moment(mention.collected, zone)),
        ("Source", format!("{} ({})", mention.source.id, mention.source.network)),
        ("Language", format!("{}, {:.0} % sure", enriched.lang, enriched.lang_confidence * 100.0)),
    ];
    if let Some(outlet) = &enriched.outlet {
        facts.push(("Outlet", outlet.clone()));
    }
    let reach = enriched.audience().map(|(count, unit)| words::audience(count, unit));
    facts.push(("Reach", reach.unwrap_or_else(|| "unknown".to_owned())));
    let lists = [("Risk", &enriched.risk), ("Intent", &enriched.intent), ("Desks", &enriched.desks)];
    for (name, values) in lists {
        if !values.is_empty() {
            facts.push((name, values.join(", ")));
        }
    }
    for found in &enriched.evidence {
        let words = found.words.as_ref().map_or("a code name".to_owned(), |words| format!("“{words}”"));
        facts.push(("Read from", format!("{}: {words}", found.label)));
    }
    if !mention.cut.is_empty() {
        facts.push(("Cut short", mention.cut.join(", ")));
    }
    facts.push(("Judged with", enriched.enrichment.lexicon.clone()));
    facts.push(("Id", mention.id.clone()));
    facts
}

#[derive(Template)]
#[template(path = "alert.html")]
struct AlertPage {
    card: AlertCard,
    raise: Option<String>,
    until: String,
    explanation: Vec<String>,
    baseline: Vec<String>,
    rule_id: String,
    rule: String,
    parent: Option<String>,
    silent_sources: Vec<String>,
    evidence: Vec<HitView>,
    evidence_named: usize,
    transitions: Vec<TransitionView>,
    search: String,
    /// Who has it in hand, and what is muted.
    standing: Vec<String>,
    is_muted: bool,
    /// The id that the next command from this page is made of; none where it takes no commands.
    command: Option<String>,
    problem: Option<String>,
}

struct TransitionView {
    what: &'static str,
    when: String,
    severity: u8,
    sentence: String,
}

async fn alert(State(app): State<App>, Path(id): Path<String>) -> Result<Response, Refusal> {
    alert_page(&app, &id, None).await
}

/// What the form of an alert's page sends.
#[derive(Deserialize)]
struct Said {
    id: String,
    by: String,
    #[serde(default)]
    note: String,
    for_hours: Option<u32>,
}

/// Carries out what a person said on the page of an alert, and shows the page again.
async fn say(
    State(app): State<App>,
    Path((id, what)): Path<(String, CommandKind)>,
    Posted(said): Posted<Said>,
) -> Result<Response, Refusal> {
    // The same button pressed twice is one command; another button, or another note, is another.
    let hours = said.for_hours.unwrap_or_default().to_string();
    let parts = [said.id.as_str(), &format!("{what:?}"), &said.by, &said.note, &hours];
    let command = blake3::hash(parts.join("\n").as_bytes()).to_hex().to_string();
    let request =
        CommandRequest { id: Some(command), by: said.by, note: Some(said.note), for_hours: said.for_hours };
    match app.command(&id, what, request).await {
        Ok(answer) if answer.carried_out => Ok(Redirect::to(&format!("/alerts/{id}")).into_response()),
        Ok(_) => {
            let problem = "It is stored, and will be carried out when the decision side runs again.";
            alert_page(&app, &id, Some(problem.to_owned())).await
        }
        Err(refusal) => alert_page(&app, &id, Some(refusal.message().to_owned())).await,
    }
}

async fn alert_page(app: &App, id: &str, problem: Option<String>) -> Result<Response, Refusal> {
    let known = id.parse::<AlertKey>().ok().and_then(|key| app.alerts.borrow().get(key));
    let Some(alert) = known else { return missing(format!("There is no alert {id}.")) };
    let watchlist = app.publisher.current();
    let now = alert.now();
    let zone = zone_of(&watchlist, Some(&now.subject));
    let evidence = app.evidence(&alert).await?;
    let view =
        |mention: &Enriched| HitView::new(mention, &Search::All, Some(&now.subject), &watchlist, &zone);
    let transitions = alert.transitions().iter().map(|event| TransitionView {
        what: words::transition(event.transition),
        when: words::moment(event.decided, &zone),
        severity: event.severity,
        sentence: words::step(event, &zone),
    });
    let mut standing: Vec<String> = now.acknowledged.iter().map(|held| words::in_hand(held, &zone)).collect();
    if let Some(until) = now.held_until {
        standing.push(format!("It is told when quiet hours are over, {}.", words::moment(until, &zone)));
    }
    if let Some(until) = now.muted_until {
        standing.push(format!("Nobody is told more of it until {}.", words::moment(until, &zone)));
    }
    let raised = alert.raised();
    let baseline = match &raised.arithmetic {
        Arithmetic::Count(count) => count.baseline.iter().map(|n| words::number((*n).into())).collect(),
        _ => Vec::new(),
    };
    let (from, to) = (now.opened.to_string(), now.until.to_string());
    let mut changes = vec![("subject", Some(now.subject.as_str()))];
    if from < to {
        changes.extend([("from", Some(from.as_str())), ("to", Some(to.as_str()))]);
    }
    let page = AlertPage {
        card: AlertCard::new(&alert, &watchlist),
        raise: words::raise(now),
        until: words::moment(now.until, &zone),
        explanation: words::explanation(&raised.arithmetic),
        baseline,
        rule_id: now.rule.clone(),
        rule: now.definition.rule.clone(),
        parent: now.parent.map(|parent| parent.to_string()),
        silent_sources: now.silent_sources.clone(),
        evidence: evidence.iter().map(view).collect(),
        evidence_named: raised.evidence.len(),
        transitions: transitions.collect(),
        search: address(&Parameters::default(), &changes),
        standing,
        is_muted: now.muted_until.is_some_and(|until| until > app.clock.now()),
        command: (!now.historic).then(new_id),
        problem,
    };
    Ok(render(&page)?.into_response())
}
