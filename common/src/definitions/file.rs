//! Watchlist files: TOML with `[[subject]]`, `[[search]]`, `[[rule]]`, `[[route]]` and `[[source]]`.
//!
//! What belongs here: everything that is wrong with a definition by itself, said with file, line, field and
//! value. What is wrong between definitions is [`super::Watchlist`]'s to say.

use serde::Deserialize;
use toml::Spanned;

use super::rule::RuleForm;
use super::search::standing_query;
use super::{Condition, Definition, Route, Rule, Search, Source, Subject};

/// What is wrong with a watchlist file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {message}")]
pub struct FileError {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// Field, value, and what is wrong with it.
    pub message: String,
}

/// A file's tables, each with its place.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tables {
    #[serde(default)]
    subject: Vec<Spanned<Subject>>,
    #[serde(default)]
    search: Vec<Spanned<Search>>,
    #[serde(default)]
    rule: Vec<Spanned<RuleForm>>,
    #[serde(default)]
    route: Vec<Spanned<Route>>,
    #[serde(default)]
    source: Vec<Spanned<Source>>,
}

/// Reads the definitions of a file; `file` is its name for messages.
pub fn parse_file(file: &str, text: &str) -> Result<Vec<Definition>, FileError> {
    let tables: Tables = toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        FileError { file: file.to_owned(), line: line_of(text, at), message: error.message().to_owned() }
    })?;
    let mut found: Vec<(usize, Result<Definition, String>)> = Vec::new();
    for table in tables.subject {
        found.push((table.span().start, Ok(Definition::Subject(table.into_inner()))));
    }
    for table in tables.search {
        found.push((table.span().start, Ok(Definition::Search(table.into_inner()))));
    }
    for table in tables.rule {
        found.push((table.span().start, rule_of(table.into_inner()).map(Definition::Rule)));
    }
    for table in tables.route {
        found.push((table.span().start, Ok(Definition::Route(table.into_inner()))));
    }
    for table in tables.source {
        found.push((table.span().start, Ok(Definition::Source(table.into_inner()))));
    }
    let mut definitions = Vec::new();
    for (start, definition) in found {
        let checked = definition.and_then(|definition| check(&definition).map(|()| definition));
        definitions.push(checked.map_err(|message| FileError {
            file: file.to_owned(),
            line: line_of(text, start),
            message,
        })?);
    }
    Ok(definitions)
}

/// Says what is wrong with a definition by itself, naming it, the field and the value.
pub fn check(definition: &Definition) -> Result<(), String> {
    match definition {
        Definition::Subject(subject) => check_subject(subject),
        Definition::Search(search) => check_search(search),
        Definition::Rule(rule) => check_rule(rule),
        Definition::Route(route) => check_route(route),
        Definition::Source(source) => check_source(source),
    }
}

fn check_subject(subject: &Subject) -> Result<(), String> {
    check_id("subject", &subject.id)?;
    let named = |what: &str| Err(format!("subject `{}`: {what}", subject.id));
    if subject.name.trim().is_empty() {
        return named("`name` is empty");
    }
    if subject.aliases.iter().any(|alias| alias.text.trim().is_empty()) {
        return named("`aliases` has an empty one");
    }
    check_zone(&subject.zone).or_else(|what| named(&what))
}

fn check_zone(zone: &str) -> Result<(), String> {
    match jiff::tz::TimeZone::get(zone) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("`zone = \"{zone}\"` is not a known time zone: {error}")),
    }
}

fn check_search(search: &Search) -> Result<(), String> {
    check_id("search", &search.id)?;
    let named = |what: String| Err(format!("search `{}`: {what}", search.id));
    if let Err(error) = standing_query(&search.query) {
        return named(format!("`query`: {error}"));
    }
    check_zone(&search.zone).or_else(named)
}

fn rule_of(form: RuleForm) -> Result<Rule, String> {
    match form.misplaced_fields().first() {
        Some(field) => Err(format!("rule `{}`: `{field}` does not belong to its `when`", form.id)),
        None => Ok(Rule::from(form)),
    }
}

fn check_rule(rule: &Rule) -> Result<(), String> {
    check_id("rule", &rule.id)?;
    let named = |what: String| Err(format!("rule `{}`: {what}", rule.id));
    if rule.subjects.is_empty() && rule.searches.is_empty() {
        return named("`subjects` and `searches` are empty: name at least one".to_owned());
    }
    match (&rule.filter, &rule.condition) {
        (Some(_), Condition::Count(_)) => {
            return named(
                "`filter` belongs to `when = \"each mention\"`; to count what a query matches, define a search such as \
                 `entity:ID AND …` and name it under `searches`"
                    .to_owned(),
            );
        }
        (Some(filter), Condition::Each(_)) => {
            if let Err(error) = standing_query(filter) {
                return named(format!("`filter`: {error}"));
            }
        }
        (None, _) => {}
    }
    if !(1..=10).contains(&rule.severity) {
        return named(format!("`severity = {}` must be between 1 and 10", rule.severity));
    }
    match &rule.condition {
        Condition::Each(each) if !(-1.0..=1.0).contains(&each.sentiment_at_most) => {
            named(format!("`sentiment_at_most = {}` must be between -1 and 1", each.sentiment_at_most))
        }
        Condition::Count(count) if !(count.probability_below > 0.0 && count.probability_below < 1.0) => {
            named(format!("`probability_below = {}` must be between 0 and 1", count.probability_below))
        }
        _ => Ok(()),
    }
}

fn check_route(route: &Route) -> Result<(), String> {
    check_id("route", &route.id)?;
    if let Some(address) = route.mail.iter().find(|address| !address.contains('@')) {
        return Err(format!("route `{}`: `mail` has `{address}`, which is not an e-mail address", route.id));
    }
    if route.mail.is_empty() && route.webhook.is_empty() && !route.log {
        return Err(format!("route `{}`: it tells nobody: give `mail`, `webhook` or `log = true`", route.id));
    }
    Ok(())
}

fn check_source(source: &Source) -> Result<(), String> {
    check_id("source", &source.id)?;
    if !source.url.starts_with("http://") && !source.url.starts_with("https://") {
        return Err(format!(
            "source `{}`: `url = \"{}\"` must be an http or https address",
            source.id, source.url
        ));
    }
    if source.poll_interval_s == 0 {
        return Err(format!("source `{}`: `poll_interval_s = 0` must be at least 1", source.id));
    }
    Ok(())
}

/// Ids stand in keys, addresses and file names: letters, digits, `-`, `_` and `.`.
fn check_id(kind: &str, id: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if id.is_empty() || id.len() > 100 || !id.chars().all(plain) {
        return Err(format!("{kind} `id = \"{id}\"` must be 1 to 100 letters, digits, `-`, `_` or `.`"));
    }
    Ok(())
}

fn line_of(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|&b| b == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn refused(text: &str, message: Expect) {
        message.assert_eq(&parse_file("harbor.toml", text).unwrap_err().to_string());
    }

    #[test]
    fn the_example_of_the_readme_is_read() {
        let definitions = parse_file(
            "harbor.toml",
            r#"
            [[subject]]
            id = "harbor"
            kind = "brand"
            name = "Harbor"
            aliases = [{ text = "Harbor", case = "exact", ambiguous = true }, "Harbor Bank", { text = "Port", class = "common_word" }]
            [[rule]]
            id = "harbor-volume"
            when = "count of mentions against expectation"
            subjects = ["harbor"]
            window = "1h"
            "#,
        )
        .unwrap();
        let keys: Vec<String> = definitions.iter().map(Definition::key).collect();
        assert_eq!(keys, ["subject/harbor", "rule/harbor-volume"]);
        let Definition::Subject(subject) = &definitions[0] else { panic!("the first is a subject") };
        assert_eq!(subject.aliases[0].case, Case::Exact);
        let classes = [Some(AliasClass::Ambiguous), None, Some(AliasClass::CommonWord)];
        assert_eq!([0, 1, 2].map(|alias| subject.aliases[alias].given_class()), classes);
        // What is read back from a topic is the same.
        let json = serde_json::to_string(&definitions).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Definition>>(&json).unwrap(), definitions);
    }

    #[test]
    fn searches_and_filters_are_queries_that_can_stand_on_the_stream() {
        let text = "[[search]]\nid = \"app\"\nquery = \"harbor NEAR/5 app\"\n[[rule]]\nid = \"r\"\nwhen = \"each mention\"\n\
                    searches = [\"app\"]\nfilter = \"lang:en\"\n";
        let definitions = parse_file("f", text).unwrap();
        assert_eq!(definitions.iter().map(Definition::key).collect::<Vec<_>>(), ["search/app", "rule/r"]);
        let json = serde_json::to_string(&definitions).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Definition>>(&json).unwrap(), definitions);
        refused(
            "\n[[search]]\nid = \"a\"\nquery = \"a OR b c\"\n",
            expect![
                "harbor.toml:2: search `a`: `query`: query, character 8: AND (also words side by side) and OR stand side by side; say which goes first with parentheses: `(a AND b) OR c` or `a AND (b OR c)`"
            ],
        );
        refused(
            "[[search]]\nid = \"a\"\nquery = \"a after:-7d\"\n",
            expect![
                "harbor.toml:1: search `a`: `query`: after:-604800s cannot stand on the stream: a time relative to now is another one at every reading; give a date, or leave it out: the stream is always new"
            ],
        );
        refused(
            "[[rule]]\nid = \"r\"\nwhen = \"count of mentions against expectation\"\nsubjects = [\"a\"]\nfilter = \"b\"\n",
            expect![[
                r#"harbor.toml:1: rule `r`: `filter` belongs to `when = "each mention"`; to count what a query matches, define a search such as `entity:ID AND …` and name it under `searches`"#
            ]],
        );
        refused(
            "[[rule]]\nid = \"r\"\nwhen = \"each mention\"\n",
            expect!["harbor.toml:1: rule `r`: `subjects` and `searches` are empty: name at least one"],
        );
    }

    use super::super::{AliasClass, Case};

    #[test]
    fn mistakes_name_line_field_and_value() {
        refused(
            "\n[[subject]]\nid = \"a\"\nkind = \"brand\"\nname = \"A\"\ncolour = \"red\"\n",
            expect![
                "harbor.toml:6: unknown field `colour`, expected one of `id`, `kind`, `name`, `aliases`, `handles`, `domains`, `cashtags`, `context`, `exclusions`, `zone`, `company`, `role`"
            ],
        );
        refused(
            "[[subject]]\nid = \"a b\"\nkind = \"brand\"\nname = \"A\"\n",
            expect![[
                r#"harbor.toml:1: subject `id = "a b"` must be 1 to 100 letters, digits, `-`, `_` or `.`"#
            ]],
        );
        refused(
            "[[subject]]\nid = \"a\"\nkind = \"brand\"\nname = \"A\"\nzone = \"Mars/Base\"\n",
            expect![[
                r#"harbor.toml:1: subject `a`: `zone = "Mars/Base"` is not a known time zone: failed to find time zone `Mars/Base` in time zone database"#
            ]],
        );
        refused(
            "[[rule]]\nid = \"r\"\nwhen = \"each mention\"\nsubjects = [\"a\"]\nwindow = \"1h\"\n",
            expect!["harbor.toml:1: rule `r`: `window` does not belong to its `when`"],
        );
        refused(
            "[[rule]]\nid = \"r\"\nwhen = \"sometimes\"\nsubjects = [\"a\"]\n",
            expect![
                "harbor.toml:3: unknown variant `sometimes`, expected `each mention` or `count of mentions against expectation`"
            ],
        );
        refused(
            "[[route]]\nid = \"r\"\nmail = [\"nobody\"]\n",
            expect!["harbor.toml:1: route `r`: `mail` has `nobody`, which is not an e-mail address"],
        );
        refused(
            "[[source]]\nid = \"s\"\nkind = \"feed\"\nurl = \"ftp://x\"\n",
            expect![[r#"harbor.toml:1: source `s`: `url = "ftp://x"` must be an http or https address"#]],
        );
    }
}
