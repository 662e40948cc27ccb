//! What people define: subjects, searches, rules, routes, briefs and sources, and how they are read from files.
//!
//! A definition that this module hands out is valid by itself; [`Watchlist`] says what is valid together.

mod brief;
mod condition;
mod doubts;
mod file;
mod follow;
mod route;
mod rule;
mod rule_form;
mod search;
mod telling;
mod watchlist;

use std::fmt;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::events::ReachUnit;

pub use brief::{Brief, Every};
pub use condition::{
    AbsenceCondition, Condition, CountCondition, EachCondition, MOST_AUTHORS, NoveltyCondition,
    RankCondition, ReachCondition, SourceAbsenceCondition, ToneCondition, Window,
};
pub use doubts::doubts;
pub use file::{FileError, check, parse_file};
pub use follow::follow;
pub use route::{Candidate, Route, Takes};
pub use rule::{FILTER_PREFIX, MOST_SEVERE, Rule};
pub use search::{Search, standing_query};
pub use telling::{Day, EscalationStep, Hours, Shift, TOLD_AT_ANY_HOUR, TOLD_TO_A_TEAM, Telling, TimeOfDay};
pub use watchlist::{Matching, Watchlist, WatchlistError, difference};

/// One thing that people defined.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Definition {
    /// Something watched.
    Subject(Subject),
    /// A saved query.
    Search(Search),
    /// When it raises an alert.
    Rule(Rule),
    /// Who hears of it.
    Route(Route),
    /// What is told by the clock.
    Brief(Brief),
    /// Where to listen.
    Source(Source),
}

impl Definition {
    /// Kind and id, such as `subject/harbor`: the key of its versions.
    pub fn key(&self) -> String {
        let (kind, id) = match self {
            Self::Subject(subject) => ("subject", &subject.id),
            Self::Search(search) => ("search", &search.id),
            Self::Rule(rule) => ("rule", &rule.id),
            Self::Route(route) => ("route", &route.id),
            Self::Brief(brief) => ("brief", &brief.id),
            Self::Source(source) => ("source", &source.id),
        };
        format!("{kind}/{id}")
    }
}

/// Something watched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// Short and stable; records name the subject by it.
    pub id: String,
    /// What it is.
    pub kind: SubjectKind,
    /// Its name for people; also an alias.
    pub name: String,
    /// What else it is called.
    #[serde(default)]
    pub aliases: Vec<Alias>,
    /// Accounts, such as `@harbor`.
    #[serde(default)]
    pub handles: Vec<String>,
    /// Its sites: a link to one names it.
    #[serde(default)]
    pub domains: Vec<String>,
    /// Ticker symbols, such as `$HRB`.
    #[serde(default)]
    pub cashtags: Vec<String>,
    /// Words that corroborate an ambiguous alias.
    #[serde(default)]
    pub context: Vec<String>,
    /// Phrases that contain an alias and mean something else, such as `harbor master`.
    #[serde(default)]
    pub exclusions: Vec<String>,
    /// Where its day begins (IANA name); hours and days of its rules are counted there.
    #[serde(default = "utc")]
    pub zone: String,
    /// Of an executive: the id of the company's subject.
    #[serde(default)]
    pub company: Option<String>,
    /// Of an executive: the role, which corroborates like a context word.
    #[serde(default)]
    pub role: Option<String>,
}

impl Subject {
    /// A subject that goes by its name alone, in UTC.
    pub fn new(id: String, kind: SubjectKind, name: String) -> Self {
        Self {
            id,
            kind,
            name,
            aliases: Vec::new(),
            handles: Vec::new(),
            domains: Vec::new(),
            cashtags: Vec::new(),
            context: Vec::new(),
            exclusions: Vec::new(),
            zone: utc(),
            company: None,
            role: None,
        }
    }

    /// Its zone. Falls back to UTC where this machine does not know the name, which `apply` has refused.
    pub fn time_zone(&self) -> TimeZone {
        TimeZone::get(&self.zone).unwrap_or(TimeZone::UTC)
    }
}

fn utc() -> String {
    "UTC".to_owned()
}

/// What a subject is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectKind {
    /// A company or its mark.
    Brand,
    /// A person who stands for a company.
    Executive,
    /// Something that a company sells.
    Product,
    /// Another company.
    Competitor,
    /// A theme.
    Topic,
}

/// What a subject is called. In a file a plain string, or a table where case or ambiguity matter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "AliasForm")]
pub struct Alias {
    /// The word or words.
    pub text: String,
    /// Whether case counts.
    #[serde(default)]
    pub case: Case,
    /// The short way to write `class = "ambiguous"`.
    #[serde(default)]
    pub ambiguous: bool,
    /// What else it may mean. Where nothing is said, the words themselves tell: see `enrich/lexicons/README.md`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<AliasClass>,
}

impl Alias {
    /// The class that the watchlist gives it.
    pub fn given_class(&self) -> Option<AliasClass> {
        self.class.or(self.ambiguous.then_some(AliasClass::Ambiguous))
    }
}

/// What else an alias may mean, and so what it takes to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AliasClass {
    /// Nothing else: it counts wherever it stands, in capitals or not.
    Distinct,
    /// Words of the language that are the subject's name when they are written as one, such as `General Motors`:
    /// with the alias's capitals it counts, without them it needs corroboration.
    CommonPhrase,
    /// Others are called so too, such as `Delta` or a surname: it counts only with corroboration.
    Ambiguous,
    /// A word of the language, such as `Target`: without the alias's capitals it is no name, and with them it counts
    /// only with corroboration.
    CommonWord,
}

/// Whether case counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Case {
    /// `harbor` is `Harbor`.
    #[default]
    Fold,
    /// It is not.
    Exact,
}

/// The two ways to write an alias.
#[derive(Deserialize)]
#[serde(untagged)]
enum AliasForm {
    Text(String),
    Table(AliasTable),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AliasTable {
    text: String,
    #[serde(default)]
    case: Case,
    #[serde(default)]
    ambiguous: bool,
    class: Option<AliasClass>,
}

impl From<AliasForm> for Alias {
    fn from(form: AliasForm) -> Self {
        match form {
            AliasForm::Text(text) => Self { text, case: Case::Fold, ambiguous: false, class: None },
            AliasForm::Table(AliasTable { text, case, ambiguous, class }) => {
                Self { text, case, ambiguous, class }
            }
        }
    }
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Short and stable; mentions name their source by it.
    pub id: String,
    /// How it is read.
    pub kind: SourceKind,
    /// Its address.
    pub url: String,
    /// Seconds between two polls; the source may ask for longer.
    #[serde(default = "default_poll_interval_s")]
    pub poll_interval_s: u64,
    /// Ids of the subjects that it is about: their ambiguous names are meant there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subjects: Vec<String>,
    /// What people call it, such as `The Harbor Times`; without it, it is called by its host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outlet: Option<String>,
    /// How many read it, where somebody knows: the reach of mentions whose author's is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<Audience>,
}

/// How many an outlet has as readers, and how they are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audience {
    /// How many.
    pub count: u64,
    /// Of what.
    pub unit: ReachUnit,
}

fn default_poll_interval_s() -> u64 {
    300
}

/// How a source is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// RSS, Atom or JSON Feed, polled.
    Feed,
}

impl fmt::Display for SubjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Brand => "brand",
            Self::Executive => "executive",
            Self::Product => "product",
            Self::Competitor => "competitor",
            Self::Topic => "topic",
        })
    }
}
