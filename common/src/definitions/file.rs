//! Watchlist files: TOML with `[[subject]]`, `[[search]]`, `[[rule]]`, `[[route]]`, `[[brief]]` and `[[source]]`.
//!
//! What belongs here: everything that is wrong with a definition by itself, said with file, line, field and
//! value. What is wrong between definitions is [`super::Watchlist`]'s to say.

use serde::Deserialize;
use toml::Spanned;

use super::rule_form::RuleForm;
use super::search::standing_query;
use super::{Brief, Definition, Route, Rule, Search, Source, Subject};

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
    brief: Vec<Spanned<Brief>>,
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
        found.push((table.span().start, Rule::try_from(table.into_inner()).map(Definition::Rule)));
    }
    for table in tables.route {
        found.push((table.span().start, Ok(Definition::Route(table.into_inner()))));
    }
    for table in tables.brief {
        found.push((table.span().start, Ok(Definition::Brief(table.into_inner()))));
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
        Definition::Brief(brief) => check_brief(brief),
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

pub(super) fn check_zone(zone: &str) -> Result<(), String> {
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

fn check_rule(rule: &Rule) -> Result<(), String> {
    check_id("rule", &rule.id)?;
    rule.check().map_err(|what| format!("rule `{}`: {what}", rule.id))
}

fn check_route(route: &Route) -> Result<(), String> {
    check_id("route", &route.id)?;
    route.check().map_err(|what| format!("route `{}`: {what}", route.id))
}

fn check_brief(brief: &Brief) -> Result<(), String> {
    check_id("brief", &brief.id)?;
    brief
        .check()
        .and_then(|()| check_zone(&brief.zone))
        .map_err(|what| format!("brief `{}`: {what}", brief.id))
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
    if source.outlet.as_ref().is_some_and(|name| name.trim().is_empty()) {
        return Err(format!("source `{}`: `outlet` is empty: give a name, or leave it out", source.id));
    }
    if source.audience.is_some_and(|audience| audience.count == 0) {
        return Err(format!(
            "source `{}`: `audience` with `count = 0`: leave it out where it is not known",
            source.id
        ));
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
            "[[rule]]\nid = \"r\"\nwhen = \"each mention\"\n",
            expect!["harbor.toml:1: rule `r`: `subjects` and `searches` are empty: name at least one"],
        );
    }

    #[test]
    fn a_preset_is_a_primitive_with_settings_and_what_is_said_beside_it_stands() {
        for (preset, wanted) in [
            (
                "volume spike",
                expect![
                    "count of stories in an hour against expectation, probability below 0.0006, authors at least 5"
                ],
            ),
            (
                "volume spike\"\nmeasure = \"mentions\"\nwindow = \"1d\"\nfilter = \"lang:en",
                expect![
                    "count of mentions in a day against expectation, probability below 0.003, authors at least 5, where lang:en"
                ],
            ),
            (
                "sentiment drop",
                expect![
                    "share of negatives in an hour against expectation, probability below 0.0003, mentions at least 10, authors at least 5"
                ],
            ),
            (
                "influential author",
                expect!["each mention with sentiment at most 1 and reach at least 100000"],
            ),
            (
                "risk\"\ncategory = \"legal\"\nfilter = \"lang:en",
                expect![
                    "each mention with risk legal, sentiment at most 1 and reach at least 0, where lang:en"
                ],
            ),
            (
                "momentum\"\nmentions_at_least = 80\nof = \"story",
                expect![
                    "novelty: a story that spreads, with at least 80 mentions by 25 authors within 24 hours"
                ],
            ),
            (
                "new story",
                expect![
                    "novelty: a story that was not there within 30 days, with at least 3 mentions by 3 authors within 24 hours"
                ],
            ),
            (
                "coordinated posting",
                expect![
                    "novelty: a story that spreads, with at least 10 mentions by 10 authors within 1 hours, at least 50 % of them new"
                ],
            ),
            ("subject silent", expect!["absence of mentions for 3 hours or longer, probability below 0.001"]),
            ("source silent", expect!["absence of a source for 60 minutes or longer"]),
            (
                "rank\"\ncompetitors = [\"b\", \"c\"]\nwindow = \"1h",
                expect!["rank by mentions in an hour among b, c, probability below 0.0003"],
            ),
        ] {
            let text = format!("[[rule]]\nid = \"r\"\nsubjects = [\"a\"]\npreset = \"{preset}\"\n");
            let definitions = parse_file("f", &text).unwrap();
            let [Definition::Rule(rule)] = &definitions[..] else { panic!("a rule") };
            wanted.assert_eq(&rule.to_string());
            let json = serde_json::to_string(&definitions).unwrap();
            assert_eq!(serde_json::from_str::<Vec<Definition>>(&json).unwrap(), definitions, "{json}");
        }
    }

    #[test]
    fn the_example_of_the_document_about_rules_is_read() {
        let document = include_str!("../../docs/rules.md");
        let example = document.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
        let definitions = parse_file("rules.md", example).unwrap();
        let [Definition::Rule(rule)] = &definitions[..] else { panic!("one rule") };
        assert_eq!(
            rule.named_routes().collect::<Vec<_>>(),
            ["comms", "night-desk", "head-of-comms", "deputy"]
        );
    }

    #[test]
    fn the_routes_of_the_document_about_rules_are_read() {
        let document = include_str!("../../docs/rules.md");
        let example = document.split("```toml\n").nth(2).unwrap().split("```").next().unwrap();
        let definitions = parse_file("rules.md", example).unwrap();
        let keys: Vec<String> = definitions.iter().map(Definition::key).collect();
        assert_eq!(keys, ["route/executive", "route/team", "route/people"]);
        for definition in &definitions {
            let Definition::Route(route) = definition else { panic!("a route") };
            assert!(route.states_a_match(), "{}", route.id);
        }
    }

    #[test]
    fn the_example_of_the_document_about_briefs_is_read() {
        let document = include_str!("../../docs/briefs.md");
        let example = document.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
        let definitions = parse_file("briefs.md", example).unwrap();
        let keys: Vec<String> = definitions.iter().map(Definition::key).collect();
        assert_eq!(keys, ["route/board", "brief/morning"]);
    }

    #[test]
    fn a_rule_says_one_thing() {
        let rule = |rest: &str| format!("[[rule]]\nid = \"r\"\nsubjects = [\"a\"]\n{rest}\n");
        refused(
            &rule(""),
            expect!["harbor.toml:1: rule `r`: neither `when` nor `preset` is there: give one"],
        );
        refused(
            &rule("when = \"novelty\"\npreset = \"momentum\""),
            expect!["harbor.toml:1: rule `r`: `when` and `preset` are both there: a preset says when"],
        );
        refused(
            &rule("preset = \"risk\""),
            expect![[
                r#"harbor.toml:1: rule `r`: `category` is missing: `preset = "risk"` needs one, such as `category = "legal"`"#
            ]],
        );
        refused(
            &rule("preset = \"momentum\"\ncategory = \"legal\""),
            expect!["harbor.toml:1: rule `r`: `category` does not belong to its `when`"],
        );
        refused(
            &rule("preset = \"risk\"\ncategory = \"anger\""),
            expect![[
                r#"harbor.toml:1: rule `r`: `category = "anger"` is no risk; there are: legal, safety, data_breach, leak, fraud, labour, product_failure, boycott, leadership, investor, misinformation"#
            ]],
        );
        refused(
            &rule("when = \"novelty\""),
            expect!["harbor.toml:1: rule `r`: `of` is missing: say what must be new, `story` or `source`"],
        );
        refused(
            &rule("preset = \"source silent\"\nfilter = \"lang:en\""),
            expect!["harbor.toml:1: rule `r`: `filter` does not belong to its `when`"],
        );
        refused(
            &rule("preset = \"volume spike\"\nwindow = \"1d\"\nlittle_data_at_least = 30"),
            expect![[
                r#"harbor.toml:1: rule `r`: `little_data_at_least = 30` does not belong to `window = "1d"`: a day with too little data waits"#
            ]],
        );
        refused(
            &rule("preset = \"rank\"\ncompetitors = [\"b\", \"a\"]"),
            expect![
                "harbor.toml:1: rule `r`: `competitors` names `a`, which is among the rule's own `subjects`"
            ],
        );
        refused(
            &rule("preset = \"volume spike\"\nauthors_at_least = 1001"),
            expect!["harbor.toml:1: rule `r`: `authors_at_least = 1001` must be at most 1000"],
        );
        refused(
            &rule("preset = \"sentiment drop\"\nauthors_at_least = 1001"),
            expect!["harbor.toml:1: rule `r`: `authors_at_least = 1001` must be at most 1000"],
        );
        refused(
            &rule("preset = \"volume spike\"\nwindows = 25"),
            expect!["harbor.toml:1: rule `r`: `windows = 25` must be between 1 and 24"],
        );
    }

    #[test]
    fn a_route_may_state_which_alerts_it_takes_and_a_rule_may_name_several() {
        let text = "[[route]]\nid = \"team\"\nlog = true\nsubjects = [\"harbor\"]\nseverity_at_least = 4\n\
                    severity_at_most = 6\ndesks = [\"hr\"]\nzone = \"Europe/Berlin\"\n\
                    schedule = { days = [\"mon\"], from = \"09:00\", to = \"18:00\" }\n\
                    [[rule]]\nid = \"r\"\nwhen = \"each mention\"\nsubjects = [\"harbor\"]\nroutes = [\"team\", \"night\"]\n";
        let definitions = parse_file("f", text).unwrap();
        let Definition::Rule(rule) = &definitions[0] else { panic!("the first is a rule") };
        assert_eq!(rule.routes, ["team", "night"]);
        let json = serde_json::to_string(&definitions).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Definition>>(&json).unwrap(), definitions);
    }

    #[test]
    fn mistakes_of_a_match_name_line_field_and_value() {
        let route = |rest: &str| format!("\n[[route]]\nid = \"r\"\nlog = true\n{rest}\n");
        refused(
            &route("severity_at_least = 11"),
            expect!["harbor.toml:2: route `r`: `severity_at_least = 11` must be between 1 and 10"],
        );
        refused(
            &route("severity_at_least = 7\nseverity_at_most = 6"),
            expect![
                "harbor.toml:2: route `r`: `severity_at_most = 6` must be between `severity_at_least`, which is 7, and 10"
            ],
        );
        refused(
            &route("desks = [\"lawyers\"]"),
            expect![
                "harbor.toml:2: route `r`: `desks` has `lawyers`, which is no desk; there are: communications, marketing, investor_relations, hr, security, customer_care"
            ],
        );
        refused(
            &route("zone = \"Mars/Base\""),
            expect![[
                r#"harbor.toml:2: route `r`: `zone = "Mars/Base"` is not a known time zone: failed to find time zone `Mars/Base` in time zone database"#
            ]],
        );
        refused(
            &route("schedule = { from = \"9:00\", to = \"18:00\" }"),
            expect!["harbor.toml:5: `9:00` is not a time of day such as `22:00`"],
        );
        let rule = "[[rule]]\nid = \"r\"\nwhen = \"each mention\"\nsubjects = [\"a\"]\n";
        refused(
            &format!("{rule}route = \"a\"\nroutes = [\"b\"]\n"),
            expect![
                "harbor.toml:1: rule `r`: `route` and `routes` are both there: name all of them in `routes`"
            ],
        );
        refused(
            &format!("{rule}routes = [\"b\", \"b\"]\n"),
            expect!["harbor.toml:1: rule `r`: `routes` names `b` twice"],
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
        let rule = "[[rule]]\nid = \"r\"\nwhen = \"each mention\"\nsubjects = [\"a\"]\n";
        refused(
            &format!("{rule}severity = 6\nseverity_at_most = 5\n"),
            expect!["harbor.toml:1: rule `r`: `severity_at_most = 5` must be between `severity = 6` and 10"],
        );
        refused(
            &format!("{rule}quiet_hours = {{ from = \"22\", to = \"07:00\" }}\n"),
            expect!["harbor.toml:5: `22` is not a time of day such as `22:00`"],
        );
        refused(
            &format!(
                "{rule}escalate = [{{ after_minutes = 9, route = \"x\" }}, {{ after_minutes = 9, route = \"y\" }}]\n"
            ),
            expect![
                "harbor.toml:1: rule `r`: `escalate` calls `y` after 9 minutes, which must be more than 9: each step later than the one before"
            ],
        );
        refused(
            "[[rule]]\nid = \"r\"\nwhen = \"sometimes\"\nsubjects = [\"a\"]\n",
            expect![
                "harbor.toml:3: unknown variant `sometimes`, expected one of `each mention`, `count against expectation`, `count of mentions against expectation`, `share of negatives against expectation`, `mean sentiment against expectation`, `reach against expectation`, `absence of mentions`, `absence of a source`, `novelty`, `rank among competitors`"
            ],
        );
        refused(
            "[[route]]\nid = \"r\"\nmail = [\"nobody\"]\n",
            expect!["harbor.toml:1: route `r`: `mail` has `nobody`, which is not an e-mail address"],
        );
        refused(
            "[[brief]]\nid = \"b\"\nto = \"x\"\nsubjects = [\"a\"]\nevery = \"day\"\nweekday = \"mon\"\nat = \"07:30\"\n",
            expect![[r#"harbor.toml:1: brief `b`: `weekday` belongs to `every = "week"`"#]],
        );
        refused(
            "[[brief]]\nid = \"b\"\nto = \"x\"\nevery = \"day\"\nat = \"07:30\"\n",
            expect!["harbor.toml:1: brief `b`: `subjects` and `searches` are empty: name at least one"],
        );
        refused(
            "[[brief]]\nid = \"b\"\nto = \"x\"\nsubjects = [\"a\"]\nevery = \"month\"\nat = \"07:30\"\n",
            expect!["harbor.toml:5: unknown variant `month`, expected `day` or `week`"],
        );
        refused(
            "[[source]]\nid = \"s\"\nkind = \"feed\"\nurl = \"ftp://x\"\n",
            expect![[r#"harbor.toml:1: source `s`: `url = "ftp://x"` must be an http or https address"#]],
        );
        refused(
            "[[source]]\nid = \"s\"\nkind = \"feed\"\nurl = \"http://x\"\naudience = { count = 0, unit = \"members\" }\n",
            expect![
                "harbor.toml:1: source `s`: `audience` with `count = 0`: leave it out where it is not known"
            ],
        );
    }
}
