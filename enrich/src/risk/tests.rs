//! The hand-labelled sample (sentences of our own, those that count and those that must not), and the rules around the
//! patterns.

use std::io::Write as _;
use std::sync::LazyLock;

use earshot_common::definitions::Watchlist;
use earshot_common::events::{Lane, Mention, RawPosition, SourceRef};
use earshot_common::time::Timestamp;

use super::*;
use crate::judge::{Knowledge, judge};
use crate::sentiment::{Lexicon, Read};

static RISKS_EN: LazyLock<Risks> = LazyLock::new(Risks::english);
static LEXICON: LazyLock<Lexicon> = LazyLock::new(Lexicon::english);

/// The labels of a text, as a mention of nobody.
fn labels(title: Option<&str>, text: &str) -> Labels {
    let polarity = Read::new(&LEXICON, title, text).message().label;
    RISKS_EN.labels(look(&RISKS_EN, title, text, true).evidence, polarity, &[])
}

#[test]
fn the_labelled_sample_is_read_as_it_is_labelled() {
    let mut counted: std::collections::BTreeMap<&str, (u32, u32)> = Default::default();
    let mut wrong = Vec::new();
    for (at, line) in include_str!("sample.tsv").lines().enumerate() {
        if line.starts_with('#') || line.is_empty() {
            continue;
        }
        let (label, text) = line.split_once('\t').unwrap_or_else(|| panic!("line {}: no tab", at + 1));
        let (label, wanted) = match label.strip_prefix("not ") {
            Some(label) => (label, false),
            None => (label, true),
        };
        let found = labels(None, text);
        let has = found.evidence.iter().any(|found| found.label == label);
        if has != wanted {
            wrong.push(format!("line {}: {label} in `{text}`: {:?}", at + 1, found.evidence));
        }
        let (right, counter) = counted.entry(label).or_default();
        *(if wanted { right } else { counter }) += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for label in RISKS.iter().chain(&INTENTS) {
        let (right, counter) = counted.get(label).copied().unwrap_or_default();
        assert!(right + counter >= 10 && counter >= 3, "{label} has {right} examples and {counter} others");
    }
}

#[test]
fn the_evidence_names_the_words_and_their_characters() {
    let labels = labels(Some("Zürich: Harbor sued"), "Ärger! The app keeps crashing. #BoycottHarbor");
    let listed: Vec<(&str, &str, u32, u32, bool)> = labels
        .evidence
        .iter()
        .map(|found| {
            (found.label.as_str(), found.words.as_deref().unwrap(), found.from, found.to, found.in_title)
        })
        .collect();
    assert_eq!(
        listed,
        [
            ("legal", "sued", 15, 19, true),
            ("product_failure", "app keeps crashing", 11, 29, false),
            ("complaint", "keeps crashing", 15, 29, false),
            ("boycott", "#BoycottHarbor", 31, 45, false),
        ]
    );
    assert_eq!(labels.risk, ["legal", "product_failure", "boycott"]);
    assert_eq!(labels.intent, ["complaint"]);
    assert_eq!(labels.desks, ["communications", "marketing", "customer_care"]);
}

#[test]
fn a_negation_denies_what_follows_it_in_its_clause_and_no_more() {
    for (text, wanted) in [
        ("There is no lawsuit.", false),
        ("They never had a data breach.", false),
        ("No delay, they were sued.", true),
        ("No delay but a lawsuit", true),
        ("They were not only sued", true),
        ("Not a good week for them, says everybody who read of the lawsuit", true),
        ("No. Sued.", true),
        ("The CEO will not resign", false),
        ("The website is not working", true),
    ] {
        assert_eq!(!labels(None, text).risk.is_empty(), wanted, "{text}");
    }
}

#[test]
fn a_pattern_stands_in_one_sentence_and_what_drops_it_works_in_the_same() {
    assert_eq!(labels(None, "They recall the cars.").risk, ["safety"]);
    assert!(labels(None, "I recall. Cars are fun.").risk.is_empty());
    assert!(labels(None, "A law firm on the lawsuit").risk.is_empty());
    assert_eq!(labels(None, "A law firm called. The lawsuit goes on.").risk, ["legal"]);
}

#[test]
fn a_text_in_another_language_has_no_labels() {
    assert_eq!(look(&RISKS_EN, None, "Die Crew war great, great service", false), Sights::default());
}

#[test]
fn a_name_of_a_subject_is_no_risk() {
    let risks = &*RISKS_EN;
    let text = "Ransomware Guild meets";
    let named = EntityMatch {
        from: 0,
        to: 16,
        alias: "Ransomware Guild".to_owned(),
        corroborated_by: None,
        corroboration: None,
        derived: None,
        in_title: false,
    };
    let tag = tag("guild", vec![named]);
    let evidence = look(risks, None, text, true).evidence;
    assert_eq!(evidence.len(), 1);
    assert_eq!(risks.labels(evidence, Polarity::Neutral, &[tag]), Labels::default());
}

fn tag(subject: &str, matches: Vec<EntityMatch>) -> EntityTag {
    let sentiment = crate::sentiment::not_judged();
    EntityTag {
        subject: subject.to_owned(),
        kind: None,
        matches,
        lane: Lane::Sure,
        passing: false,
        sentiment,
    }
}

/// The shipped patterns and a file of code names.
fn with_code_names(content: &str) -> anyhow::Result<Risks> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(content.as_bytes()).unwrap();
    let mut risks = Risks::english();
    risks.add_code_names(file.path())?;
    Ok(risks)
}

#[test]
fn a_code_name_is_a_leak_whatever_its_case_language_and_company_and_nothing_spells_it() {
    let risks = with_code_names("# secret\n\nProject Zanderfish\nquillmark\n").unwrap();
    for (text, english) in [
        ("They say project ZANDERFISH is next", true),
        ("Das #Quillmark kommt im Mai", false),
        ("no Project Zanderfish. At all", true),
        ("leaked memo on Project Zanderfish", true),
    ] {
        let sights = look(&risks, None, text, english);
        assert_eq!(sights.code_names.len(), 1, "{text}");
        let labels = risks.labels(sights.evidence.clone(), Polarity::Neutral, &[]);
        assert_eq!(labels.risk, ["leak"], "{text}");
        assert_eq!(labels.desks, ["communications", "security"]);
        let said = format!("{sights:?} {labels:?} {} {risks:?}", risks.version()).to_lowercase();
        assert!(!said.contains("zanderfish") && !said.contains("quillmark"), "{said}");
    }
    let sights = look(&risks, Some("Über Quillmark"), "nothing", true);
    assert_eq!((sights.evidence[0].from, sights.evidence[0].to, sights.evidence[0].in_title), (5, 14, true));
    assert_eq!(look(&risks, None, "a project, a fish", true), Sights::default());
}

#[test]
fn what_is_wrong_with_code_names_is_said_without_them() {
    let error = format!("{:#}", with_code_names("quillmark\n***\n").unwrap_err());
    assert!(error.ends_with(":2: this code name has no letter or digit; write one a line"), "{error}");
    assert!(!error.contains("quillmark"), "{error}");
    let error = format!("{:#}", with_code_names("# nothing\n\n").unwrap_err());
    assert!(error.contains("holds no code name"), "{error}");
    let error = Risks::english().add_code_names(Path::new("/nowhere/names.txt")).unwrap_err();
    assert!(format!("{error:#}").starts_with("read /nowhere/names.txt: "), "{error:#}");
}

#[test]
fn a_line_that_cannot_be_read_is_refused_with_its_number() {
    for (line, wanted) in [
        ("legal", "`legal` has 1 columns; a line is a label, a tab and a query"),
        ("leagl\tsued", "`leagl` is no label; there are the risks legal, safety"),
        ("legal\t\"sued", "`\"sued`: query, character"),
        ("legal\tclass action", "`(class AND action)` stands at no one place"),
        ("legal\tsued\tlang:en", "`lang:\"en\"` stands at no place of a text"),
    ] {
        let error = Risks::english().add("ours.tsv", &format!("# ours\n{line}\n")).unwrap_err().to_string();
        assert!(error.starts_with("ours.tsv:2: ") && error.contains(wanted), "{error}");
    }
}

#[test]
fn a_team_adds_patterns_and_judgements_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("harbor.tsv");
    std::fs::write(&file, "safety\t\"gangway collapsed\"\n").unwrap();
    let mut risks = Risks::english();
    risks.overlay(&file).unwrap();
    assert_eq!(risks.version(), "risk-en-1+harbor");
    assert_eq!(look(&risks, None, "the gangway collapsed", true).evidence[0].label, "safety");
}

#[test]
fn a_risk_is_of_those_whom_its_sentence_names() {
    let text = "Tarnwick was sued. I like Harbor. There was a data breach too.";
    let at = |word: &str| {
        let from = text.find(word).unwrap() as u32;
        let to = from + word.len() as u32;
        EntityMatch {
            from,
            to,
            alias: word.to_owned(),
            corroborated_by: None,
            corroboration: None,
            derived: None,
            in_title: false,
        }
    };
    let risks = &*RISKS_EN;
    let entities = vec![tag("harbor", vec![at("Harbor")]), tag("tarnwick", vec![at("Tarnwick")])];
    let labels = risks.labels(look(risks, None, text, true).evidence, Polarity::Neutral, &entities);
    let mut enriched = mention(text);
    (enriched.risk, enriched.evidence, enriched.entities) = (labels.risk, labels.evidence, entities);
    assert_eq!(enriched.risk, ["legal", "data_breach"]);
    assert_eq!(of_subjects(&enriched), [vec!["data_breach"], vec!["legal", "data_breach"]]);
}

fn mention(text: &str) -> Enriched {
    let at = Timestamp::from_millis(0);
    let source = SourceRef { id: "hn".to_owned(), network: "hackernews".to_owned(), site: None };
    let mention = Mention::new("hn:1".to_owned(), source, text.to_owned(), at);
    let knowledge = Knowledge::shipped(&Watchlist::default()).unwrap();
    judge(mention, RawPosition { partition: 0, offset: 0 }, &knowledge, at)
}

fn look(risks: &Risks, title: Option<&str>, text: &str, english: bool) -> Sights {
    risks.look(title.map(Tokenized::new).as_ref(), &Tokenized::new(text), english)
}
