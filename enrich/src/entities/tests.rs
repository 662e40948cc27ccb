//! Which names are found, where, and in which lane.

use earshot_common::definitions::{difference, parse_file};
use expect_test::{Expect, expect};

use super::*;

const WATCHLIST: &str = r##"
[[subject]]
id = "harbor"
kind = "brand"
name = "Harbor"
aliases = [{ text = "Harbor", case = "exact", ambiguous = true }, "Harbor Bank", "Café Harbor"]
handles = ["@harbor", "@harbor@mastodon.example"]
domains = ["harbor.example"]
cashtags = ["$HRB"]
context = ["app", "credit card"]
exclusions = ["harbor master", "Pearl Harbor"]

[[subject]]
id = "harbor-ceo"
kind = "executive"
name = "Jordan Vale"
aliases = [{ text = "Vale", case = "exact", ambiguous = true }]
company = "harbor"
role = "CEO"

[[subject]]
id = "united"
kind = "competitor"
name = "United Airlines"
handles = ["united"]
"##;

fn matcher(watchlist: &str) -> Matcher {
    let definitions = parse_file("watchlist.toml", watchlist).unwrap();
    let mut watchlist = Watchlist::default();
    for version in difference(&watchlist.clone(), vec![("file:test".to_owned(), definitions)]).unwrap() {
        watchlist.take(watchlist.next(), version);
    }
    Matcher::new(&watchlist).unwrap()
}

/// One line for each place: subject, lane, alias, what stands there, what corroborates it.
fn found(title: Option<&str>, text: &str, links: &[&str]) -> String {
    let links: Vec<String> = links.iter().map(|link| (*link).to_owned()).collect();
    let mut lines = Vec::new();
    for named in matcher(WATCHLIST).find(title, text, &links) {
        for place in &named.matches {
            let part = if place.in_title { title.unwrap() } else { text };
            let (from, to) = (place.from as usize, place.to as usize);
            let there: String = part.chars().skip(from).take(to - from).collect();
            let mut line = format!("{} {:?}: {} at {from} [{there}]", named.subject, named.lane, place.alias);
            if place.in_title {
                line.push_str(" in the title");
            }
            if let Some(by) = &place.corroborated_by {
                line.push_str(&format!(" by [{by}]"));
            }
            lines.push(line);
        }
    }
    lines.join("\n")
}

fn check(text: &str, wanted: Expect) {
    wanted.assert_eq(&found(None, text, &[]));
}

#[test]
fn nothing_is_found_where_nothing_is_named() {
    for text in [
        "",
        "a quiet day",
        // Inside words, accounts and addresses of others.
        "harborside harboring HarborBankers",
        "@harborfan @harbor_bank http://news.example/Harbor-Bank",
        "@harbor@other.example http://notharbor.example http://harbor.example.evil.test",
        "#harborbankers #Harborview $HRBX",
        // The name in another case than the one that is listed.
        "a safe harbor for the app",
        // Excluded phrases.
        "the Harbor master has an app, remember Pearl Harbor #HarborMaster #PearlHarbor",
    ] {
        assert_eq!(found(None, text, &[]), "", "{text}");
    }
}

#[test]
fn names_are_found_at_the_borders_of_words() {
    check(
        "harbor bank, HARBOR  BANK’s (Harbor\nBank's)",
        expect![[r#"
        harbor Sure: Harbor Bank at 0 [harbor bank]
        harbor Sure: Harbor Bank at 13 [HARBOR  BANK]
        harbor Sure: Harbor Bank at 29 [Harbor
        Bank]"#]],
    );
    check(
        "CAFE HARBOR, Cafe\u{301} Harbor: 😡 café harbor!",
        expect![[r#"
        harbor Sure: Café Harbor at 0 [CAFE HARBOR]
        harbor Sure: Café Harbor at 13 [Café Harbor]
        harbor Sure: Café Harbor at 29 [café harbor]"#]],
    );
}

#[test]
fn accounts_addresses_tickers_and_hashtags_name_a_subject() {
    check(
        "@HARBOR @harbor@mastodon.example",
        expect![[r#"
        harbor Sure: @harbor at 0 [@HARBOR]
        harbor Sure: @harbor@mastodon.example at 8 [@harbor@mastodon.example]"#]],
    );
    check(
        "see https://www.Harbor.example/a and http://shop.harbor.example.",
        expect![[r#"
        harbor Sure: harbor.example at 4 [https://www.Harbor.example/a]
        harbor Sure: harbor.example at 37 [http://shop.harbor.example]"#]],
    );
    check("sell $hrb now", expect!["harbor Sure: $HRB at 5 [$hrb]"]);
    check(
        "#HarborBank #harborbank #harbor_bank #HarborBankFail #UnitedAirlinesSucks",
        expect![[r#"
        harbor Sure: Harbor Bank at 0 [#HarborBank]
        harbor Sure: Harbor Bank at 12 [#harborbank]
        harbor Sure: Harbor Bank at 24 [#harbor_bank]
        harbor Sure: Harbor Bank at 37 [#HarborBankFail]
        united Sure: United Airlines at 53 [#UnitedAirlinesSucks]"#]],
    );
    // A hashtag of an ambiguous name is as ambiguous.
    check("#HarborFail", expect!["harbor Doubtful: Harbor at 0 [#HarborFail]"]);
}

#[test]
fn an_ambiguous_name_counts_only_with_corroboration() {
    check("We saw Harbor today", expect!["harbor Doubtful: Harbor at 7 [Harbor]"]);
    check("Harbor: the app is down", expect!["harbor Sure: Harbor at 0 [Harbor] by [app]"]);
    check("Harbor lost my #CreditCard", expect!["harbor Sure: Harbor at 0 [Harbor] by [#CreditCard]"]);
    check(
        "Harbor lost it @harbor",
        expect![[r#"
        harbor Sure: Harbor at 0 [Harbor] by [@harbor]
        harbor Sure: @harbor at 15 [@harbor]"#]],
    );
    // Half a context phrase is none.
    check("Harbor gave me credit", expect!["harbor Doubtful: Harbor at 0 [Harbor]"]);
}

#[test]
fn an_executive_is_corroborated_by_role_and_company() {
    check("Vale is lovely in spring", expect!["harbor-ceo Doubtful: Vale at 0 [Vale]"]);
    check("Vale, the CEO, said no", expect!["harbor-ceo Sure: Vale at 0 [Vale] by [CEO]"]);
    check(
        "Vale must go, says @harbor",
        expect![[r#"
        harbor Sure: @harbor at 19 [@harbor]
        harbor-ceo Sure: Vale at 0 [Vale] by [@harbor]"#]],
    );
    check(
        "Jordan Vale spoke, then Vale left",
        expect![[r#"
        harbor-ceo Sure: Jordan Vale at 0 [Jordan Vale]
        harbor-ceo Sure: Vale at 24 [Vale] by [Jordan Vale]"#]],
    );
    // A company that is doubtful itself proves nothing.
    check(
        "Vale has a Harbor",
        expect![[r#"
        harbor Doubtful: Harbor at 11 [Harbor]
        harbor-ceo Doubtful: Vale at 0 [Vale]"#]],
    );
}

#[test]
fn title_and_links_count_too() {
    expect!["harbor Sure: Harbor at 0 [Harbor] in the title by [credit card]"].assert_eq(&found(
        Some("Harbor in trouble"),
        "its credit card is late",
        &[],
    ));
    expect!["harbor Sure: harbor.example at 0 []"].assert_eq(&found(
        None,
        "look at this",
        &["https://blog.harbor.example/x"],
    ));
    // A link that stands in the text is one place.
    expect!["harbor Sure: harbor.example at 0 [https://harbor.example/x]"].assert_eq(&found(
        None,
        "https://harbor.example/x",
        &["https://harbor.example/x"],
    ));
}

#[test]
fn a_name_that_is_shouted_over_and_over_is_listed_up_to_a_limit() {
    let named = matcher(WATCHLIST).find(None, &"Harbor Bank! ".repeat(1000), &[]);
    assert_eq!(named[0].matches.len(), MAX_MATCHES);
}

#[test]
fn a_matcher_of_nothing_finds_nothing() {
    assert!(Matcher::new(&Watchlist::default()).unwrap().find(None, "Harbor", &[]).is_empty());
}
