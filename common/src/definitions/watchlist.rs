//! The watchlist as a whole: the newest version of each definition, what must hold between them, and the
//! difference between a file and what is published.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Brief, Condition, Definition, Route, Rule, Search, Source, Subject};
use crate::events::{DefinitionVersion, SchemaVersion};

/// The newest version of each definition. A fold over the topic `watchlist`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Watchlist {
    entries: BTreeMap<String, DefinitionVersion>,
    /// The searches in force as subjects of the decision side.
    searches: BTreeMap<String, Subject>,
    next: u64,
}

/// What decides which mentions are of a subject. Its words do, name and role among them; its zone does not, nor who
/// owns the definition.
#[derive(Clone, Copy, Debug)]
pub enum Matching<'w> {
    /// The words of a subject.
    Words(&'w Subject),
    /// The query of a search.
    Query(&'w str),
}

impl<'w> Matching<'w> {
    /// That of a definition; none of one that is no subject and no search.
    pub fn of(definition: &'w Definition) -> Option<Self> {
        match definition {
            Definition::Subject(subject) => Some(Self::Words(subject)),
            Definition::Search(search) => Some(Self::Query(&search.query)),
            _ => None,
        }
    }
}

impl PartialEq for Matching<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Words(one), Self::Words(other)) => {
                Subject { zone: String::new(), ..(*one).clone() }
                    == Subject { zone: String::new(), ..(*other).clone() }
            }
            (Self::Query(one), Self::Query(other)) => one == other,
            _ => false,
        }
    }
}

/// What is wrong between definitions.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum WatchlistError {
    /// Two definitions of one kind have one id.
    #[error("{key} is defined twice, by {first} and by {second}; give one of them another id")]
    DefinedTwice {
        /// Kind and id.
        key: String,
        /// The owner of one.
        first: String,
        /// The owner of the other.
        second: String,
    },
    /// A definition names one that is not there.
    #[error("{key}: `{field}` names `{name}`, and there is no {kind} of that id; {known}")]
    Unknown {
        /// Kind and id of the definition that names it.
        key: String,
        /// The field.
        field: &'static str,
        /// The name.
        name: String,
        /// What it should name.
        kind: &'static str,
        /// The ids that it could name.
        known: String,
    },
    /// Nobody reads a brief.
    #[error(
        "{key}: `to` names `{route}`, which brings no brief to anybody: give that route `mail`, `slack`, `teams` or \
         `log = true`"
    )]
    Unread {
        /// Kind and id of the brief.
        key: String,
        /// The route.
        route: String,
    },
}

impl Watchlist {
    /// The watchlist that owners' definitions make, without any log. Refuses what does not hold together.
    pub fn of(owners: Vec<(String, Vec<Definition>)>) -> Result<Self, WatchlistError> {
        let mut watchlist = Self::default();
        for version in difference(&Self::default(), owners)? {
            watchlist.take(watchlist.next(), version);
        }
        Ok(watchlist)
    }

    /// Takes a version in; `offset` is its place in `watchlist`.
    pub fn take(&mut self, offset: u64, mut version: DefinitionVersion) {
        self.next = self.next.max(offset + 1);
        if let Some(id) = version.id.strip_prefix("search/") {
            self.searches.remove(&Search::subject_id(id));
        }
        if let Some(Definition::Search(search)) = &version.definition {
            let subject = search.as_subject();
            self.searches.insert(subject.id.clone(), subject);
        }
        if version.definition.is_some() {
            version.version = Some(offset);
            self.entries.insert(version.id.clone(), version);
        } else {
            self.entries.remove(&version.id);
        }
    }

    /// Leaves out a version that this program cannot read: the one before stays in force.
    pub fn pass_over(&mut self, offset: u64) {
        self.next = self.next.max(offset + 1);
    }

    /// The next offset of `watchlist`: all definitions before it are in.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Every definition in force, by key.
    pub fn versions(&self) -> impl Iterator<Item = &DefinitionVersion> {
        self.entries.values()
    }

    /// The subjects in force.
    pub fn subjects(&self) -> impl Iterator<Item = &Subject> {
        self.definitions().filter_map(|definition| match definition {
            Definition::Subject(subject) => Some(subject),
            _ => None,
        })
    }

    /// What rules can watch: the subjects in force, and the searches as subjects.
    pub fn watched(&self) -> impl Iterator<Item = &Subject> {
        self.subjects().chain(self.searches.values())
    }

    /// The searches in force.
    pub fn searches(&self) -> impl Iterator<Item = &Search> {
        self.definitions().filter_map(|definition| match definition {
            Definition::Search(search) => Some(search),
            _ => None,
        })
    }

    /// The rules in force, each with the offset of its version.
    pub fn rules(&self) -> impl Iterator<Item = (u64, &Rule)> {
        self.entries.values().filter_map(|version| match &version.definition {
            Some(Definition::Rule(rule)) => Some((version.version.unwrap_or_default(), rule)),
            _ => None,
        })
    }

    /// The briefs in force.
    pub fn briefs(&self) -> impl Iterator<Item = &Brief> {
        self.definitions().filter_map(|definition| match definition {
            Definition::Brief(brief) => Some(brief),
            _ => None,
        })
    }

    /// The sources in force.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.definitions().filter_map(|definition| match definition {
            Definition::Source(source) => Some(source),
            _ => None,
        })
    }

    /// A subject by its id, or a search as a subject ([`Search::subject_id`]).
    pub fn subject(&self, id: &str) -> Option<&Subject> {
        match self.definition(&format!("subject/{id}")) {
            Some(Definition::Subject(subject)) => Some(subject),
            _ => self.searches.get(id),
        }
    }

    /// The version of a subject, or of a search as one, and what decides which mentions are of it.
    pub fn matching(&self, id: &str) -> Option<(u64, Matching<'_>)> {
        let entry = match id.strip_prefix(&Search::subject_id("")) {
            Some(search) => self.entries.get(&format!("search/{search}"))?,
            None => self.entries.get(&format!("subject/{id}"))?,
        };
        Some((entry.version.unwrap_or_default(), Matching::of(entry.definition.as_ref()?)?))
    }

    /// A route by its id.
    pub fn route(&self, id: &str) -> Option<&Route> {
        match self.definition(&format!("route/{id}")) {
            Some(Definition::Route(route)) => Some(route),
            _ => None,
        }
    }

    /// The routes in force.
    pub fn routes(&self) -> impl Iterator<Item = &Route> {
        self.definitions().filter_map(|definition| match definition {
            Definition::Route(route) => Some(route),
            _ => None,
        })
    }

    /// The routes that a rule's alerts may take, where nobody is on duty instead: those that it names, else all that
    /// state a match.
    pub fn routes_of<'a>(&'a self, rule: &'a Rule) -> Vec<&'a Route> {
        match rule.routes.as_slice() {
            [] => self.routes().filter(|route| route.states_a_match()).collect(),
            named => named.iter().filter_map(|route| self.route(route)).collect(),
        }
    }

    /// A brief by its id.
    pub fn brief(&self, id: &str) -> Option<&Brief> {
        match self.definition(&format!("brief/{id}")) {
            Some(Definition::Brief(brief)) => Some(brief),
            _ => None,
        }
    }

    /// Says what does not hold between the definitions.
    pub fn check(&self) -> Result<(), WatchlistError> {
        for definition in self.definitions() {
            match definition {
                Definition::Subject(subject) => {
                    if let Some(company) = &subject.company {
                        self.require(definition, "company", company, "subject")?;
                    }
                }
                Definition::Rule(rule) => {
                    for subject in &rule.subjects {
                        self.require(definition, "subjects", subject, "subject")?;
                    }
                    for search in &rule.searches {
                        self.require(definition, "searches", search, "search")?;
                    }
                    let field = if rule.routes.len() == 1 { "route" } else { "routes" };
                    for route in &rule.routes {
                        self.require(definition, field, route, "route")?;
                    }
                    if let Condition::Rank(rank) = &rule.condition {
                        for competitor in &rank.competitors {
                            self.require(definition, "competitors", competitor, "subject")?;
                        }
                    }
                    for shift in &rule.telling.on_duty {
                        self.require(definition, "on_duty", &shift.route, "route")?;
                    }
                    for step in &rule.telling.escalate {
                        self.require(definition, "escalate", &step.route, "route")?;
                    }
                }
                Definition::Route(route) => {
                    if let Some(fallback) = &route.fallback {
                        self.require(definition, "fallback", fallback, "route")?;
                    }
                    for subject in &route.subjects {
                        self.require(definition, "subjects", subject, "subject")?;
                    }
                    for search in &route.searches {
                        self.require(definition, "searches", search, "search")?;
                    }
                }
                Definition::Brief(brief) => self.check_brief(definition, brief)?,
                Definition::Source(source) => {
                    for subject in &source.subjects {
                        self.require(definition, "subjects", subject, "subject")?;
                    }
                }
                Definition::Search(_) => {}
            }
        }
        Ok(())
    }

    fn check_brief(&self, definition: &Definition, brief: &Brief) -> Result<(), WatchlistError> {
        for subject in &brief.subjects {
            self.require(definition, "subjects", subject, "subject")?;
        }
        for search in &brief.searches {
            self.require(definition, "searches", search, "search")?;
        }
        self.require(definition, "to", &brief.to, "route")?;
        match self.route(&brief.to) {
            Some(route) if route.readers().is_empty() => {
                Err(WatchlistError::Unread { key: definition.key(), route: brief.to.clone() })
            }
            _ => Ok(()),
        }
    }

    fn require(
        &self,
        by: &Definition,
        field: &'static str,
        name: &str,
        kind: &'static str,
    ) -> Result<(), WatchlistError> {
        if self.entries.contains_key(&format!("{kind}/{name}")) {
            return Ok(());
        }
        let prefix = format!("{kind}/");
        let known: Vec<&str> = self.entries.keys().filter_map(|key| key.strip_prefix(&prefix)).collect();
        let known = if known.is_empty() {
            "none is defined".to_owned()
        } else {
            format!("there are: {}", known.join(", "))
        };
        Err(WatchlistError::Unknown { key: by.key(), field, name: name.to_owned(), kind, known })
    }

    fn definition(&self, key: &str) -> Option<&Definition> {
        self.entries.get(key).and_then(|version| version.definition.as_ref())
    }

    fn definitions(&self) -> impl Iterator<Item = &Definition> {
        self.entries.values().filter_map(|version| version.definition.as_ref())
    }
}

/// The versions to publish so that each owner's definitions become these: changed ones are new versions,
/// absent ones are retired, those of other owners are left alone. Refuses what would not hold afterwards.
pub fn difference(
    published: &Watchlist,
    owners: Vec<(String, Vec<Definition>)>,
) -> Result<Vec<DefinitionVersion>, WatchlistError> {
    let mut wanted: BTreeMap<String, (String, Definition)> = BTreeMap::new();
    let owner_names: BTreeSet<String> = owners.iter().map(|(owner, _)| owner.clone()).collect();
    for (owner, definitions) in owners {
        for definition in definitions {
            let key = definition.key();
            let elsewhere =
                published.entries.get(&key).filter(|version| !owner_names.contains(&version.owner));
            if let Some(other) = elsewhere {
                return Err(WatchlistError::DefinedTwice { key, first: other.owner.clone(), second: owner });
            }
            if let Some((first, _)) = wanted.insert(key.clone(), (owner.clone(), definition)) {
                return Err(WatchlistError::DefinedTwice { key, first, second: owner });
            }
        }
    }

    let version = |id, owner, definition| DefinitionVersion {
        v: SchemaVersion::default(),
        id,
        owner,
        definition,
        version: None,
    };
    let absent = published
        .entries
        .values()
        .filter(|published| owner_names.contains(&published.owner) && !wanted.contains_key(&published.id));
    let mut changes: Vec<DefinitionVersion> =
        absent.map(|absent| version(absent.id.clone(), absent.owner.clone(), None)).collect();
    for (key, (owner, definition)) in wanted {
        let unchanged = published
            .entries
            .get(&key)
            .is_some_and(|p| p.owner == owner && p.definition.as_ref() == Some(&definition));
        if !unchanged {
            changes.push(version(key, owner, Some(definition)));
        }
    }

    let mut after = published.clone();
    for (change, offset) in changes.iter().zip(published.next..) {
        after.take(offset, change.clone());
    }
    after.check()?;
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use super::super::parse_file;
    use super::*;

    fn publish(watchlist: &mut Watchlist, changes: Vec<DefinitionVersion>) -> Vec<String> {
        let keys = changes.iter().map(|change| change.id.clone()).collect();
        for change in changes {
            watchlist.take(watchlist.next(), change);
        }
        keys
    }

    fn subject(id: &str, name: &str) -> String {
        format!("[[subject]]\nid = \"{id}\"\nkind = \"brand\"\nname = \"{name}\"\n")
    }

    #[test]
    fn a_file_is_published_by_difference() {
        let mut watchlist = Watchlist::default();
        let both = subject("a", "A") + &subject("b", "B");
        let change = |watchlist: &Watchlist, owner: &str, text: &str| {
            difference(watchlist, vec![(owner.to_owned(), parse_file("f", text).unwrap())])
        };
        let changes = change(&watchlist, "file:one", &both).unwrap();
        assert_eq!(publish(&mut watchlist, changes), ["subject/a", "subject/b"]);
        // The same file again changes nothing.
        assert_eq!(change(&watchlist, "file:one", &both).unwrap(), []);
        // Another file adds its own, and takes nothing of the first.
        let changes = change(&watchlist, "file:two", &subject("c", "C")).unwrap();
        assert_eq!(publish(&mut watchlist, changes), ["subject/c"]);
        // Changed is a new version, absent is retired.
        let changes = change(&watchlist, "file:one", &subject("a", "Alpha")).unwrap();
        assert_eq!(publish(&mut watchlist, changes), ["subject/b", "subject/a"]);
        assert_eq!(watchlist.subjects().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["Alpha", "C"]);
        assert_eq!(watchlist.next(), 5);
        let error = change(&watchlist, "file:two", &both).unwrap_err().to_string();
        assert!(error.contains("subject/a is defined twice, by file:one and by file:two"), "{error}");
    }

    #[test]
    fn a_search_is_watched_like_a_subject() {
        let text = "[[search]]\nid = \"app\"\nname = \"App trouble\"\nquery = \"app\"\nzone = \"Europe/Berlin\"\n\
                    [[rule]]\nid = \"r\"\nwhen = \"each mention\"\nsearches = [\"app\"]\n";
        let mut watchlist = Watchlist::default();
        let owners = |text: &str| vec![("file:f".to_owned(), parse_file("f", text).unwrap())];
        let changes = difference(&watchlist, owners(text)).unwrap();
        publish(&mut watchlist, changes);
        let subject = watchlist.subject("search:app").unwrap();
        assert_eq!((subject.name.as_str(), subject.zone.as_str()), ("App trouble", "Europe/Berlin"));
        assert!(watchlist.rules().all(|(_, rule)| rule.watches("search:app") && !rule.watches("app")));
        assert_eq!(watchlist.subjects().count(), 0, "entities are not sought by it");
        let changes = difference(&watchlist, owners("")).unwrap();
        publish(&mut watchlist, changes);
        assert_eq!(watchlist.watched().count(), 0);
        let error =
            difference(&Watchlist::default(), owners(&text.replace("[\"app\"]", "[\"ap\"]"))).unwrap_err();
        assert_eq!(
            error.to_string(),
            "rule/r: `searches` names `ap`, and there is no search of that id; there are: app"
        );
    }

    #[test]
    fn a_brief_needs_subjects_that_are_there_and_a_route_that_somebody_reads() {
        let brief = |to: &str, about: &str| {
            format!(
                "{}[[route]]\nid = \"ops\"\nalertmanager = [\"main\"]\n[[route]]\nid = \"board\"\nmail = [\"b@x.example\"]\n\
                     [[brief]]\nid = \"daily\"\nto = \"{to}\"\nevery = \"day\"\nat = \"07:30\"\nsubjects = [\"{about}\"]\n",
                subject("harbor", "Harbor")
            )
        };
        let of = |text: &str| Watchlist::of(vec![("file:f".to_owned(), parse_file("f", text).unwrap())]);
        let watchlist = of(&brief("board", "harbor")).unwrap();
        assert_eq!((watchlist.briefs().count(), watchlist.brief("daily").unwrap().to.as_str()), (1, "board"));
        for (text, wanted) in [
            (
                brief("bord", "harbor"),
                "brief/daily: `to` names `bord`, and there is no route of that id; there are: board, ops",
            ),
            (
                brief("board", "port"),
                "brief/daily: `subjects` names `port`, and there is no subject of that id; there are: harbor",
            ),
            (
                brief("ops", "harbor"),
                "brief/daily: `to` names `ops`, which brings no brief to anybody: give that route `mail`, `slack`, `teams` \
                 or `log = true`",
            ),
        ] {
            assert_eq!(of(&text).unwrap_err().to_string(), wanted);
        }
    }

    #[test]
    fn a_rule_that_names_an_unknown_subject_is_refused() {
        let text = subject("harbor", "Harbor")
            + "[[rule]]\nid = \"r\"\nwhen = \"each mention\"\nsubjects = [\"harbour\"]\n";
        let owners = vec![("file:f".to_owned(), parse_file("f", &text).unwrap())];
        let error = difference(&Watchlist::default(), owners).unwrap_err();
        assert_eq!(
            error.to_string(),
            "rule/r: `subjects` names `harbour`, and there is no subject of that id; there are: harbor"
        );
    }
}
