//! Which names are found, where, and in which lane.

use earshot_common::definitions::parse_file;
use earshot_common::events::{Author, SourceRef};
use earshot_common::time::Timestamp;
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
    let watchlist = Watchlist::of(vec![("file:test".to_owned(), definitions)]).unwrap();
    Matcher::new(&watchlist).unwrap()
}

fn mention(title: Option<&str>, text: &str, links: &[&str]) -> Mention {
    let source = SourceRef { id: "web".to_owned(), network: "web".to_owned(), site: None };
    let mention = Mention::new("web:1".to_owned(), source, text.to_owned(), Timestamp::from_millis(0));
    let links = links.iter().map(|link| (*link).to_owned()).collect();
    Mention { title: title.map(str::to_owned), links, ..mention }
}

/// One line for each place: subject, lane, alias, what stands there, what corroborates it.
fn found_in(watchlist: &str, mention: &Mention) -> String {
    let mut lines = Vec::new();
    for named in matcher(watchlist).find(mention) {
        for place in &named.matches {
            let part = if place.in_title { mention.title.as_deref().unwrap() } else { &mention.text };
            let (from, to) = (place.from as usize, place.to as usize);
            let there: String = part.chars().skip(from).take(to - from).collect();
            let mut line = format!("{} {:?}: {} at {from} [{there}]", named.subject, named.lane, place.alias);
            if let Some(derived) = place.derived {
                line.push_str(&format!(" ({derived:?})"));
            }
            if place.in_title {
                line.push_str(" in the title");
            }
            if let (Some(by), Some(kind)) = (&place.corroborated_by, place.corroboration) {
                line.push_str(&format!(" by {kind:?} [{by}]"));
            }
            lines.push(line);
        }
    }
    lines.join("\n")
}

fn found(title: Option<&str>, text: &str, links: &[&str]) -> String {
    found_in(WATCHLIST, &mention(title, text, links))
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
    check("#Harbor Bank’s app", expect!["harbor Sure: Harbor Bank at 1 [Harbor Bank]"]);
    // A hashtag of an ambiguous name is as ambiguous.
    check("#HarborFail", expect!["harbor Doubtful: Harbor at 0 [#HarborFail]"]);
}

#[test]
fn an_ambiguous_name_counts_only_with_corroboration() {
    check("We saw Harbor today", expect!["harbor Doubtful: Harbor at 7 [Harbor]"]);
    check("Harbor: the app is down", expect!["harbor Sure: Harbor at 0 [Harbor] by Context [app]"]);
    check(
        "Harbor lost my #CreditCard",
        expect!["harbor Sure: Harbor at 0 [Harbor] by Context [#CreditCard]"],
    );
    check(
        "Harbor lost it @harbor",
        expect![[r#"
        harbor Sure: Harbor at 0 [Harbor] by Name [@harbor]
        harbor Sure: @harbor at 15 [@harbor]"#]],
    );
    // Half a context phrase is none.
    check("Harbor gave me credit", expect!["harbor Doubtful: Harbor at 0 [Harbor]"]);
}

#[test]
fn an_executive_is_corroborated_by_role_and_company() {
    check("Vale is lovely in spring", expect!["harbor-ceo Doubtful: Vale at 0 [Vale]"]);
    check("Vale, the CEO, said no", expect!["harbor-ceo Sure: Vale at 0 [Vale] by Role [CEO]"]);
    check(
        "Vale must go, says @harbor",
        expect![[r#"
        harbor Sure: @harbor at 19 [@harbor]
        harbor-ceo Sure: Vale at 0 [Vale] by Company [@harbor]"#]],
    );
    check(
        "Jordan Vale spoke, then Vale left",
        expect![[r#"
        harbor-ceo Sure: Jordan Vale at 0 [Jordan Vale]
        harbor-ceo Sure: Vale at 24 [Vale] by Name [Jordan Vale]"#]],
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
    expect!["harbor Sure: Harbor at 0 [Harbor] in the title by Context [credit card]"].assert_eq(&found(
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
    let named = matcher(WATCHLIST).find(&mention(None, &"Harbor Bank! ".repeat(1000), &[]));
    assert_eq!(named[0].matches.len(), MAX_MATCHES);
}

#[test]
fn what_stands_behind_hundreds_of_names_is_not_looked_for() {
    let names = |times: usize| "Harbor Bank! ".repeat(times) + "Jordan Vale";
    let subjects = |text: &str| matcher(WATCHLIST).find(&mention(None, text, &[])).len();
    assert_eq!((subjects(&names(MAX_FOUND / 4)), subjects(&names(MAX_FOUND + 1))), (2, 1));
}

#[test]
fn a_matcher_of_nothing_finds_nothing() {
    assert!(Matcher::new(&Watchlist::default()).unwrap().find(&mention(None, "Harbor", &[])).is_empty());
}

#[test]
fn possessive_and_plural_forms_are_names_however_the_apostrophe_is_written() {
    for text in [
        "Harbor Bank's",
        "Harbor Bank’s",
        "Harbor Bank‘s",
        "HARBOR BANK'S",
        "Harbor Banks",
        "Harbor Banks’ app",
    ] {
        let found = found(None, text, &[]);
        assert!(
            found.to_lowercase().starts_with("harbor sure: harbor bank at 0 [harbor bank]"),
            "{text}: {found}"
        );
    }
    for text in ["Harbor Bankss", "Harbor Banked"] {
        let found = found(None, text, &[]);
        assert!(!found.contains("Harbor Bank at"), "{text}: {found}");
    }
}

const COMPANIES: &str = r##"
[[subject]]
id = "target"
kind = "brand"
name = "Target"
context = ["store"]

[[subject]]
id = "best"
kind = "brand"
name = "Best Buy"
context = ["electronics"]

[[subject]]
id = "macys"
kind = "brand"
name = "Macy's"
aliases = ["Macy & Sons"]

[[subject]]
id = "hp"
kind = "brand"
name = "HP"
aliases = ["3M"]
handles = ["@hp"]
domains = ["hp.example"]

[[subject]]
id = "delta"
kind = "brand"
name = "Delta Air Lines"
aliases = [{ text = "Delta", class = "ambiguous" }, { text = "Coca-Cola Air", class = "distinct" }]
cashtags = ["$DAL"]

[[subject]]
id = "delta-ceo"
kind = "executive"
name = "Richard Anderson"
company = "delta"
role = "CEO and chairman"

[[subject]]
id = "sony"
kind = "brand"
name = "ソニー"
aliases = ["索尼", "소니"]

[[source]]
id = "hp-forum"
kind = "feed"
url = "https://forum.example/feed"
subjects = ["hp"]
"##;

fn check_companies(text: &str, wanted: Expect) {
    wanted.assert_eq(&found_in(COMPANIES, &mention(None, text, &[])));
}

#[test]
fn a_common_word_needs_its_capitals_and_corroboration() {
    check_companies("my target is the store", expect![""]);
    check_companies("Target is late", expect!["target Doubtful: Target at 0 [Target]"]);
    check_companies("the Target store", expect!["target Sure: Target at 4 [Target] by Context [store]"]);
    check_companies("TARGET’S stores", expect!["target Sure: Target at 0 [TARGET] by Context [store]"]);
    // A plural is the word's, not the name's.
    check_companies("Targets for the store", expect![""]);
    // The mark of a hashtag does for capitals.
    check_companies("#target store", expect!["target Sure: Target at 0 [#target] by Context [store]"]);
    // Abbreviations of two or three letters are common words too.
    check_companies("500 hp", expect![""]);
    check_companies("@hp sold 9.3M and 1,3M", expect!["hp Sure: @hp at 0 [@hp]"]);
    check_companies("HP", expect!["hp Doubtful: HP at 0 [HP]"]);
}

#[test]
fn a_phrase_of_common_words_needs_capitals_or_corroboration() {
    check_companies("Best Buy recalls", expect!["best Sure: Best Buy at 0 [Best Buy]"]);
    check_companies("the best buy of all", expect!["best Doubtful: Best Buy at 4 [best buy]"]);
    check_companies(
        "electronics at best buy",
        expect!["best Sure: Best Buy at 15 [best buy] by Context [electronics]"],
    );
}

#[test]
fn spellings_of_one_name_are_one() {
    check_companies(
        "Macys and Macy’s",
        expect![[r#"
        macys Sure: Macy's at 0 [Macys]
        macys Sure: Macy's at 10 [Macy’s]"#]],
    );
    check_companies("macy and sons", expect!["macys Sure: Macy & Sons at 0 [macy and sons]"]);
    check_companies("Coca Cola Air", expect!["delta Sure: Coca-Cola Air at 0 [Coca Cola Air]"]);
}

#[test]
fn an_ambiguous_name_within_a_longer_name_of_another_subject_is_not_meant() {
    const WATCHLIST: &str = r#"
        [[subject]]
        id = "parcel"
        kind = "brand"
        name = "United Parcel Service"
        [[subject]]
        id = "united"
        kind = "brand"
        name = "United Airlines"
        aliases = [{ text = "United", ambiguous = true }]
        context = ["airport"]
    "#;
    let found = |text: &str| found_in(WATCHLIST, &mention(None, text, &[]));
    expect!["parcel Sure: United Parcel Service at 0 [United Parcel Service]"]
        .assert_eq(&found("United Parcel Service opens at the airport"));
    expect!["united Sure: United at 0 [United] by Context [airport]"]
        .assert_eq(&found("United opens at the airport"));
}

#[test]
fn an_executive_goes_by_full_name_initials_short_forms_surname_and_role() {
    check_companies("Richard Anderson", expect!["delta-ceo Sure: Richard Anderson at 0 [Richard Anderson]"]);
    check_companies(
        "Richard H. Anderson's",
        expect!["delta-ceo Sure: Richard Anderson at 0 [Richard H. Anderson]"],
    );
    check_companies(
        "R. Anderson of $DAL",
        expect![[r#"
            delta Sure: $DAL at 15 [$DAL]
            delta-ceo Sure: Richard Anderson at 0 [R. Anderson] (Initials) by Company [$DAL]"#]],
    );
    check_companies(
        "Dick Anderson is chairman",
        expect!["delta-ceo Sure: Richard Anderson at 0 [Dick Anderson] (ShortForm) by Role [chairman]"],
    );
    check_companies("Anderson won", expect!["delta-ceo Doubtful: Anderson at 0 [Anderson] (Surname)"]);
    // Somebody else of that name.
    check_companies("Pamela Anderson of $DAL", expect!["delta Sure: $DAL at 19 [$DAL]"]);
}

#[test]
fn a_surname_that_is_an_everyday_word_needs_its_role_or_company_beside_it() {
    const WATCHLIST: &str = r#"
        [[subject]]
        id = "duke"
        kind = "brand"
        name = "Duke Energy"
        [[subject]]
        id = "good"
        kind = "executive"
        name = "Lynn Good"
        company = "duke"
        role = "CEO"
    "#;
    let found = |text: &str| found_in(WATCHLIST, &mention(None, text, &[]));
    expect![""].assert_eq(&found("Good times, said somebody's CEO"));
    expect!["good Sure: Good at 4 [Good] (Surname) by Role [CEO]"].assert_eq(&found("CEO Good said"));
    expect!["good Sure: Good at 0 [Good] (Surname) by Role [CEO]"].assert_eq(&found("Good, the CEO, said"));
    expect![""].assert_eq(&found("the CEO made a good start"));
    expect!["duke Sure: Duke Energy at 0 [Duke Energy]"].assert_eq(&found("Duke Energy is Good"));
    expect![[r#"
        duke Sure: Duke Energy at 0 [Duke Energy]
        good Sure: Good at 14 [Good] (Surname) by Company [Duke Energy]"#]]
    .assert_eq(&found("Duke Energy's Good said"));
}

#[test]
fn a_role_in_the_company_is_a_name_and_speaks_for_the_company() {
    for text in
        ["Delta's CEO", "Delta’s chief executive", "Delta chief executive officer", "the chairman of Delta"]
    {
        let found = found_in(COMPANIES, &mention(None, text, &[]));
        assert!(found.contains("delta-ceo Sure: ") && found.contains("(Role)"), "{text}: {found}");
        assert!(found.contains("delta Sure: Delta at") && found.contains("by Executive"), "{text}: {found}");
    }
    // Who was it, or is somebody else by name.
    for text in ["former Delta CEO", "ex-Delta CEO", "Delta CEO Leo Mullin", "Delta CEO Bastian"] {
        let found = found_in(COMPANIES, &mention(None, text, &[]));
        assert!(!found.contains("delta-ceo"), "{text}: {found}");
    }
    check_companies(
        "Delta CEO Richard Anderson Says No",
        expect![[r#"
            delta Sure: Delta at 0 [Delta] by Executive [Delta CEO]
            delta-ceo Sure: Delta CEO at 0 [Delta CEO] (Role)
            delta-ceo Sure: Richard Anderson at 10 [Richard Anderson]"#]],
    );
}

#[test]
fn a_role_that_two_subjects_share_names_neither() {
    let second = "[[subject]]\nid = \"second\"\nkind = \"executive\"\nname = \"Glen Hauenstein\"\ncompany = \"delta\"\nrole = \"CEO\"";
    let watchlist = format!("{COMPANIES}\n{second}");
    let text = mention(None, "the Delta CEO and the Delta chairman", &[]);
    expect![[r#"
        delta Sure: Delta at 4 [Delta] by Executive [Delta chairman]
        delta Sure: Delta at 22 [Delta] by Executive [Delta chairman]
        delta-ceo Sure: Delta chairman at 22 [Delta chairman] (Role)"#]]
    .assert_eq(&found_in(&watchlist, &text));
}

#[test]
fn author_site_and_source_speak_for_an_ambiguous_name() {
    let plain = mention(None, "HP", &[]);
    let author = Author { id: "web:hp".to_owned(), handle: Some("HP".to_owned()), ..Author::default() };
    let by_author = Mention { author: Some(author), ..plain.clone() };
    let on_site = Mention { url: Some("https://blog.hp.example/1".to_owned()), ..plain.clone() };
    let mut from_source = plain;
    from_source.source.id = "hp-forum".to_owned();
    expect!["hp Sure: HP at 0 [HP] by Author [HP]"].assert_eq(&found_in(COMPANIES, &by_author));
    expect!["hp Sure: HP at 0 [HP] by Site [https://blog.hp.example/1]"]
        .assert_eq(&found_in(COMPANIES, &on_site));
    expect!["hp Sure: HP at 0 [HP] by Source [hp-forum]"].assert_eq(&found_in(COMPANIES, &from_source));
}

#[test]
fn in_scripts_without_spaces_a_name_has_no_borders() {
    check_companies(
        "新しいソニーストアで。索尼公司",
        expect![[r#"
            sony Sure: ソニー at 3 [ソニー]
            sony Sure: 索尼 at 11 [索尼]"#]],
    );
    // Korean has spaces, and particles behind the name.
    check_companies("오늘 소니가", expect!["sony Sure: 소니 at 3 [소니]"]);
    check_companies("미소니", expect![""]);
}

#[test]
fn a_name_that_stands_in_a_list_of_symbols_only_is_named_in_passing() {
    let passing = |title: Option<&str>, text: &str| {
        let named = matcher(COMPANIES).find(&mention(title, text, &[]));
        named.iter().find(|named| named.subject == "delta").unwrap().passing
    };
    assert!(passing(None, "Chart of the day for Harbor: $AAL $DAL $UAL, $LUV and more"));
    assert!(passing(None, "$DAL $UAL $LUV $JBLU https://example.org/watch"));
    assert!(passing(Some("$DAL $UAL $LUV $JBLU"), "four to watch"));
    // Up to three may be those that it is about, and in words it says something of each.
    assert!(!passing(None, "$DAL buys a share of $UAL $LUV $JBLU"));
    assert!(!passing(None, "$DAL $UAL $LUV are late"));
    // Named elsewhere too, it is meant.
    assert!(!passing(None, "Delta Air Lines leads $AAL $DAL $UAL $LUV"));
    assert!(!passing(Some("$DAL is late"), "$DAL $UAL $LUV $JBLU"));
}
