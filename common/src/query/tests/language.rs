use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::super::*;
use super::random;

fn check(query: &str, wanted: Expect) {
    let shown = parse(query).map_or_else(|error| error.to_string(), |query| query.to_string());
    wanted.assert_eq(&shown);
}

/// The notes and what is kept.
fn check_reading(query: &str, wanted: Expect) {
    let reading = read(query).unwrap();
    let mut lines: Vec<String> = reading.notes.iter().map(Note::to_string).collect();
    lines.push(reading.query.to_string());
    wanted.assert_eq(&lines.join("\n"));
}

fn check_lint(query: &str, wanted: Expect) {
    let lints = lint(query, &read(query).unwrap());
    let lines: Vec<String> = lints
        .into_iter()
        .map(|lint| lint.at.map_or(lint.message.clone(), |at| format!("{}: {}", at + 1, lint.message)))
        .collect();
    wanted.assert_eq(&lines.join("\n"));
}

#[test]
fn queries_are_read_as_people_mean_them() {
    check("", expect!["*"]);
    check("Cancelled flight", expect!["(cancelled AND flight)"]);
    check("\"cancelled flight\" -refund", expect![[r#"("cancelled flight" AND NOT refund)"#]]);
    check(
        "harbor AND (outage OR “app down”) NOT #ad",
        expect![[r#"(harbor AND (outage OR "app down") AND NOT #ad)"#]],
    );
    check("@harbor's café", expect!["(@harbor AND cafe)"]);
    check("o1-preview and pare-feu", expect![[r#"("o1 preview" AND and AND "pare feu")"#]]);
}

#[test]
fn distances_join_words_phrases_groups_and_chains_from_the_left() {
    check("app NEAR down", expect!["(app NEAR/4 down)"]);
    check("app ONEAR/1 down", expect!["(app ONEAR/1 down)"]);
    check("(a OR b) NEAR/3 (c OR \"d e\")", expect![[r#"((a OR b) NEAR/3 (c OR "d e"))"#]]);
    check("a NEAR/2 b ONEAR/3 c", expect!["((a NEAR/2 b) ONEAR/3 c)"]);
    check("a NEAR/2 (b ONEAR/3 c)", expect!["(a NEAR/2 (b ONEAR/3 c))"]);
    check("a AND b NEAR/2 c NOT d", expect!["(a AND (b NEAR/2 c) AND NOT d)"]);
    check("NOT a NEAR/2 b", expect!["NOT (a NEAR/2 b)"]);
}

#[test]
fn wildcards_exact_words_and_raw_characters_are_read() {
    check("Comput* te?t *bank #App*", expect!["(comput* AND te?t AND *bank AND #app*)"]);
    check("\"customer serv*\" semi-conducteur*", expect![[r#"("customer serv*" AND "semi conducteur*")"#]]);
    check("{AI} {Sam Altman} {#AI}", expect!["({AI} AND {Sam Altman} AND {#AI})"]);
    check("raw:\"C++\" raw:Yahoo!", expect![[r#"(raw:"C++" AND raw:"Yahoo!")"#]]);
    check("a <<<what (this is\" for>>> b", expect!["(a AND b)"]);
}

#[test]
fn fields_have_values_lists_and_ranges() {
    check(
        "author:@Ann site:www.Example.org lang:EN is:repost has:media",
        expect![[r#"(author:"ann" AND site:"example.org" AND lang:"en" AND is:"repost" AND has:"media")"#]],
    );
    check("site:(a.org OR b.org)", expect![[r#"(site:"a.org" OR site:"b.org")"#]]);
    check("site:*.gov -author:bot*", expect![[r#"(site:"*.gov" AND NOT author:"bot*")"#]]);
    check(
        "followers:>=1000 reach:<500 followers:[10 TO 20] reach:[* TO 5] followers:7",
        expect![
            "(followers:[1000 TO *] AND reach:[* TO 499] AND followers:[10 TO 20] AND reach:[* TO 5] AND followers:[7 TO 7])"
        ],
    );
    check(
        "after:2026-01-31 before:-7d after:2026-01-31T12:00:00+02:00",
        expect!["(after:2026-01-31T00:00:00.000Z AND before:-604800s AND after:2026-01-31T10:00:00.000Z)"],
    );
    check("title:(a NEAR/2 b) body:\"c d\"", expect![[r#"(title:(a NEAR/2 b) AND body:"c d")"#]]);
    check("title:(a OR (b -c))", expect!["(title:a OR (title:b AND NOT title:c))"]);
    check("http://t.co/x \"re:invent\"", expect![[r#"("http://t.co" AND "re:invent")"#]]);
}

#[test]
fn other_products_queries_keep_their_meaning_or_name_what_has_none() {
    check("crowd NEAR/0f strike*", expect!["(crowd ONEAR/1 strike*)"]);
    check("logitech NEAR/2f keyboard", expect!["(logitech ONEAR/3 keyboard)"]);
    check("\"apple juice\"~5", expect!["((apple ONEAR/6 juice) OR (juice ONEAR/4 apple))"]);
    check("(apple AND juice)~2", expect!["(apple NEAR/3 juice)"]);
    check(
        "language:en AND authorFollowers:[1 TO 5] AND authorVerified:false AND engagementType:RETWEET",
        expect![[r#"(lang:"en" AND followers:[1 TO 5] AND NOT is:"verified" AND is:"repost")"#]],
    );
    check_reading(
        "(apple AND city:\"new york\") OR (minuteOfDay:[1 TO 2] NOT engagementType:QUOTE AND pear) OR rating:(4 OR 5)",
        expect![[r#"
            character 12: the field `city` is not known here
            character 33: the field `minuteOfDay` is not known here
            character 58: `QUOTE` of the field `engagementType` is not known here
            character 92: the field `rating` is not known here
            (apple OR pear)"#]],
    );
    check("apple city:london", expect!["query, character 7: the field `city` is not known here; remove it"]);
    check(
        "city:london",
        expect![
            "query, character 1: nothing is left of this query: every condition is on a field that is not known here"
        ],
    );
}

#[test]
fn mistakes_point_at_their_character() {
    check(
        "a b OR c",
        expect![
            "query, character 5: AND (also words side by side) and OR stand side by side; say which goes first with parentheses: `(a AND b) OR c` or `a AND (b OR c)`"
        ],
    );
    check("(a OR b", expect!["query, character 8: `)` was expected"]);
    check("a)", expect!["query, character 2: this `)` closes nothing"]);
    check("say \"this", expect!["query, character 5: this quotation mark is not closed"]);
    check("a AND", expect!["query, character 6: a word, a phrase or `(` was expected at the end"]);
    check("OR a", expect!["query, character 1: a word, a phrase or `(` was expected here"]);
    check("a ...", expect!["query, character 3: `...` holds no word"]);
    check("NEAR/2 a", expect!["query, character 1: a word, a phrase or `(` was expected before NEAR"]);
    check("a NEAR/x b", expect!["query, character 3: a number from 1 to 1000 was expected behind `NEAR/`"]);
    check(
        "a NEAR/0 b",
        expect![
            "query, character 3: `NEAR/0`: a distance is at least 1, which is next to each other; where a number of words between is meant, as in other products, write one more: `NEAR/1`"
        ],
    );
    check(
        "x (a AND b) NEAR/3 c",
        expect![
            "query, character 3: NEAR joins words, phrases, and groups of them with OR; of `(a AND b) NEAR/3 c` make `(a NEAR/3 c) AND (b NEAR/3 c)`, and put fields and NOT outside"
        ],
    );
    check(
        "a NEAR/3 NOT b",
        expect![
            "query, character 10: NOT cannot stand beside NEAR, which joins what is there; write `a NOT (a NEAR/3 b)`"
        ],
    );
    check(
        "a NEAR/3 site:b",
        expect![
            "query, character 10: NEAR joins words, phrases, and groups of them with OR; of `(a AND b) NEAR/3 c` make `(a NEAR/3 c) AND (b NEAR/3 c)`, and put fields and NOT outside"
        ],
    );
    check(
        "a NEAR/51 b NEAR/2 c",
        expect!["query, character 13: a NEAR that is joined by another one has a distance of at most 50"],
    );
    check(
        "a*",
        expect![
            "query, character 1: `a*` stands for too many words: beside `*` at least 2 letters or digits are needed"
        ],
    );
    check(
        "apple^2",
        expect![
            "query, character 6: boosts such as `^2` are not for filters: a mention matches or it does not; leave it away"
        ],
    );
    check(
        "(a b)^9 c",
        expect![
            "query, character 6: boosts such as `^2` are not for filters: a mention matches or it does not; leave it away"
        ],
    );
    check(
        "appel~2",
        expect![
            "query, character 6: `~` searches for no similar words; write `appel*`, or the other spellings"
        ],
    );
    check(
        "\"a b c\"~3",
        expect![
            "query, character 8: `~` behind a phrase is read for two words; write a chain, such as `a NEAR/3 b NEAR/3 c`"
        ],
    );
    check("a <<<b", expect!["query, character 3: this comment is not closed: `>>>` was expected"]);
    check(
        "wheather:sunny",
        expect![
            "query, character 1: there is no field `wheather`; there are: title, body, raw, author, source, network, site, lang, country, entity, doubtful, lane, kind, sentiment, followers, reach, risk, intent, desk, story, id, is, has, after, before. To search for the text itself, put it in quotation marks"
        ],
    );
    check(
        "x sentiment:angry",
        expect![
            "query, character 3: `angry` is no value of `sentiment:`; there are: negative, neutral, positive"
        ],
    );
    check(
        "followers:many",
        expect![
            "query, character 1: `many` is no number of `followers:`; write `followers:1000`, `followers:>=1000`, `followers:<1000` or `followers:[1000 TO 5000]`"
        ],
    );
    check(
        "followers:[5 TO 3]",
        expect!["query, character 1: `5 TO 3` is empty: its first number is greater than its second"],
    );
    check(
        "after:yesterday",
        expect![
            "query, character 1: `yesterday` is no time; write `2026-01-31`, `2026-01-31T12:00:00Z`, or `-7d` for seven days ago (s, m, h, d, w)"
        ],
    );
    check("raw:++", expect!["query, character 1: `raw:` needs a word, and `++` holds none"]);
    check("{a*}", expect!["query, character 1: `{a*}` is exact: no wildcard can stand in it"]);
}

#[test]
fn limits_are_answered_and_not_reached_by_recursion() {
    let refused = |query: String, wanted: &str| {
        let error = parse(&query).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    };
    refused("(".repeat(100_000), "nested more than 120 deep");
    refused("NOT ".repeat(50_000), "nested more than 120 deep");
    refused("-".repeat(100_000) + "a", "nested more than 120 deep");
    refused("x NEAR/1 ".repeat(20_000) + "x", "more than 50 links");
    refused("NOT ".repeat(60) + "a", "this query is nested more than 50 deep");
    refused("*ab ".repeat(500), "this query costs 50000 and 20000 is the limit");
    refused("a".repeat(200_001), "at most 200000 bytes");
    assert!(parse(&("(".repeat(100) + "a" + &")".repeat(100))).is_ok());
}

#[test]
fn what_is_probably_not_meant_is_said() {
    check_lint(
        "harbor and outage",
        expect!["8: `and` is sought as a word; write the operator in capitals: `AND`"],
    );
    check_lint(
        "“harbor bank”",
        expect![[r#"1: smart quotes are read as `"`; an apostrophe or an inch mark that became one is too"#]],
    );
    check_lint(
        "harbor AND (*bank OR ab*)",
        expect![[r#"
            `*bank` begins with a wildcard: every word of the index is compared with it; write out the words
            `ab*` begins with 2 known characters and stands for very many words; give at least 3"#]],
    );
    check_lint(
        "harbor NOT harb*",
        expect!["`NOT harb*` takes away every mention with `harbor`, which the query asks for"],
    );
    check_lint(
        "harbor NOT (the OR master)",
        expect!["`NOT the` takes away most mentions, since everyday words fit it; exclude a phrase"],
    );
    check_lint(
        "cook",
        expect![
            "`cook` is an everyday word as well as a name; write the whole name in quotation marks, or `cook NEAR/5 (…)` with words of its context"
        ],
    );
    check_lint("cook AND apple", expect![""]);
    check_lint(
        "is the app down?",
        expect![
            "`down?` is `down` with exactly one character more, and not `down` itself; for a question leave the mark away"
        ],
    );
    check_lint(
        "NOT spam",
        expect![
            "no word, author, site, entity or other value is required: this query cannot narrow a stream and is evaluated for every mention; add with AND what must be there"
        ],
    );
    check_lint(
        "cloud NEAR/5 data AND deep NEAR/0f fake",
        expect![
            "7: a distance is counted from word to word here; in Brandwatch, whose `NEAR/nf` this query uses, it is the number of words between: for the same meaning write `NEAR/6`, and so with each"
        ],
    );
    check_lint(
        "bank OR app NEAR/3 down",
        expect![
            "6: NEAR binds more than OR: `a OR b NEAR/3 c` is `a OR (b NEAR/3 c)`; parentheses make it plain"
        ],
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn printing_and_reading_again_gives_the_same_tree(query in random::query(random::VOCABULARY)) {
        let printed = query.to_string();
        prop_assert_eq!(parse(&printed).map_err(|error| format!("{printed}: {error}")), Ok(query));
    }

    #[test]
    fn no_text_makes_the_parser_panic_and_what_it_reads_is_printed_and_read_alike(text in any_text()) {
        if let Ok(reading) = read(&text) {
            let printed = reading.query.to_string();
            prop_assert_eq!(parse(&printed).map_err(|error| format!("{printed}: {error}")), Ok(reading.query.clone()));
            lint(&text, &reading);
        }
    }
}

/// Pieces of the language in any order, and any characters between.
fn any_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "(", ")", "\"", "AND", "OR", "NOT", "-", "NEAR/3", "ONEAR/2", "NEAR", "NEAR/2f", "~3", "*", "?", "app*",
            "{", "}", "[1 TO 2]", "<<<", ">>>", "raw:", "title:", "followers:", "site:", "after:", "is:repost", "2026-01-01",
            ">=5", "a", "#CancelledFlight", "@a.b", "U.S.", "don't", "http://t.co/x", "😡", "word", "^2", "”", "city:", ":",
        ]).prop_map(str::to_owned),
        1 => ".{0,4}",
    ];
    (prop::collection::vec(piece, 0..14), prop::sample::select(vec![" ", ""]))
        .prop_map(|(pieces, gap)| pieces.join(gap))
}
