//! Briefs as people read them.

use earshot_common::definitions::{Definition, parse_file};
use earshot_common::events::Channel;
use expect_test::{Expect, expect};
use serde_json::json;

use super::*;
use crate::delivery::Message;

const CONSOLE: &str = "https://earshot.harbor.example";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn brief() -> Brief {
    let text = "[[brief]]\nid = \"daily\"\nto = \"board\"\nsubjects = [\"harbor\", \"vale\"]\nevery = \"day\"\nat = \"07:30\"\n\
                zone = \"Europe/Berlin\"\n";
    match parse_file("f", text).unwrap().remove(0) {
        Definition::Brief(brief) => brief,
        other => panic!("{other:?}"),
    }
}

fn subject(id: &str, name: &str, alerts: Vec<AlertFacts>, expected: Option<f64>) -> SubjectFacts {
    let listened_from = Some(at("2025-12-01T00:00:00Z"));
    SubjectFacts { id: id.to_owned(), name: name.to_owned(), alerts, expected, listened_from }
}

/// An alert of Harbor's volume that opened then.
fn alert(name: &str, opened: &str, over: Option<&str>, severity: u8) -> AlertFacts {
    let event = crate::delivery::tests::event();
    AlertFacts {
        alert: AlertKey::of(&[name]),
        opened: at(opened),
        over: over.map(at),
        is_new: at(opened) >= at("2026-01-07T06:30:00Z"),
        severity,
        arithmetic: event.arithmetic,
        definition: event.definition,
        parent: None,
        was_sent: true,
        in_hand: None,
    }
}

fn digest(counts: [u64; 3], before: [u64; 3]) -> Digest {
    let of = |[total, negative, positive]: [u64; 3]| json!({"total": total, "negative": negative, "positive": positive});
    serde_json::from_value(json!({"counts": of(counts), "before": of(before), "risks": [], "stories": []}))
        .unwrap()
}

/// A story as the index answers it.
fn story(id: &str, text: &str, mentions: u64) -> Story {
    serde_json::from_value(json!({
        "story": "5701e000000000000000000000000000", "mentions": mentions,
        "mention": {
            "id": id, "reach": 50_000, "reach_unit": "circulation", "title": null, "text": text,
            "author": {"id": "times:ann", "name": "Ann"}, "published": "2026-01-07T09:04:00Z",
            "source": {"id": "times", "network": "feed", "site": "times.example"},
            "entities": [{"subject": "harbor", "lane": "sure", "sentiment": {"score": -0.6, "label": "negative"}}],
            "sentiment": {"score": 0.4, "label": "positive"}
        }
    }))
    .unwrap()
}

fn letter(facts: &Facts, digests: Option<&[Digest]>) -> Letter {
    let period = at("2026-01-07T06:30:00Z")..at("2026-01-08T06:30:00Z");
    let brief = brief();
    Letter::of(&Told { brief: &brief, period, facts, console: Some(CONSOLE) }, digests)
}

fn message(letter: Letter) -> Message {
    Message {
        key: "brief/daily/now".to_owned(),
        route: "board".to_owned(),
        to: Channel::Mail("board@harbor.example".to_owned()),
        notes: Vec::new(),
        told: Vec::new(),
        letter: Some(letter),
    }
}

fn reads(letter: Letter, wanted: Expect) -> String {
    let message = message(letter);
    wanted.assert_eq(&format!("{}\n\n{}", message.subject_line(), message.text().unwrap()));
    message.html().unwrap()
}

#[test]
fn a_brief_says_what_changed_and_where_to_see_it() {
    let mut child = alert("tone", "2026-01-07T09:30:00Z", Some("2026-01-07T12:00:00Z"), 5);
    let first = alert("volume", "2026-01-07T09:41:00Z", Some("2026-01-07T12:00:00Z"), 8);
    child.parent = Some(first.alert);
    let mut small = alert("small", "2026-01-06T09:00:00Z", None, 2);
    (small.was_sent, small.in_hand) = (false, Some("user:ann".to_owned()));
    let facts = Facts {
        subjects: vec![
            subject("harbor", "Harbor Bank", vec![first, child, small], Some(96.2)),
            subject("vale", "Jordan Vale", Vec::new(), None),
        ],
        gaps: vec![GapFacts {
            source: Some("times".to_owned()),
            name: Some("The Harbor Times".to_owned()),
            from: at("2026-01-08T02:12:00Z"),
            until: None,
        }],
    };
    let mut harbor = digest([1_340, 402, 268], [98, 10, 30]);
    harbor.risks = serde_json::from_value(
        json!([{"risk": "legal", "mentions": 4}, {"risk": "data_breach", "mentions": 1}]),
    )
    .unwrap();
    harbor.stories =
        vec![story("test:a b/c", "the app is <b>down</b> again", 812), story("x:2", "moving my money", 1)];
    let html = reads(
        letter(&facts, Some(&[harbor, digest([2, 0, 1], [0, 0, 0])])),
        expect![[r#"
        Daily brief: 2 alerts, 1 open (Harbor Bank and Jordan Vale)

        2 alerts, 1 open

        Daily brief on Harbor Bank and Jordan Vale
        Wed 7 Jan, 07:30 to Thu 8 Jan, 07:30 (Europe/Berlin)

        Harbor Bank

        * Came and went: 1,064 mentions in an hour, about 11 expected.
          Severity 8 of 10 · from Wed 7 Jan, 10:41 to 13:00 · with 1 more alert of the same situation
          https://earshot.harbor.example/alerts/3b6298cf4cbeb40a9b1ee0a20d5a7767

        * Still open: 1,064 mentions in an hour, about 11 expected.
          Severity 2 of 10 · since Tue 6 Jan, 10:00 · ann has it in hand · nobody was sent it
          https://earshot.harbor.example/alerts/a67ada47a50cec70e5288875b104aeda

        * 1,340 mentions: 98 in the day before, and about 96 to be expected.
          https://earshot.harbor.example/?subject=harbor&from=2026-01-07T06%3A30%3A00.000Z&to=2026-01-08T06%3A30%3A00.000Z&zone=Europe%2FBerlin

        * Tone: 30 % negative and 20 % positive; in the day before 10 % and 31 %.
          https://earshot.harbor.example/?subject=harbor&sentiment=negative&from=2026-01-07T06%3A30%3A00.000Z&to=2026-01-08T06%3A30%3A00.000Z&zone=Europe%2FBerlin

        * Risks that are spoken of: legal 4, data breach 1.
          https://earshot.harbor.example/?subject=harbor&q=risk%3A%28legal+OR+data_breach%29&from=2026-01-07T06%3A30%3A00.000Z&to=2026-01-08T06%3A30%3A00.000Z&zone=Europe%2FBerlin

        * “the app is <b>down</b> again”
          812 mentions · reach 50,000 printed copies · negative · Ann on times.example · 7 Jan, 10:04
          https://earshot.harbor.example/?subject=harbor&q=story%3A5701e000000000000000000000000000&from=2026-01-07T06%3A30%3A00.000Z&to=2026-01-08T06%3A30%3A00.000Z&zone=Europe%2FBerlin

        * “moving my money”
          reach 50,000 printed copies · negative · Ann on times.example · 7 Jan, 10:04
          https://earshot.harbor.example/mentions/x%3A2

        Jordan Vale

        * 2 mentions: 0 in the day before.
          Too little is known yet to say what is usual.
          https://earshot.harbor.example/?subject=vale&from=2026-01-07T06%3A30%3A00.000Z&to=2026-01-08T06%3A30%3A00.000Z&zone=Europe%2FBerlin

        * Tone: 0 negative and 1 positive of 2.
          https://earshot.harbor.example/?subject=vale&sentiment=negative&from=2026-01-07T06%3A30%3A00.000Z&to=2026-01-08T06%3A30%3A00.000Z&zone=Europe%2FBerlin

        What was not heard

        * The Harbor Times has not answered since Thu 8 Jan, 03:12 (4 h 18 min).
          https://earshot.harbor.example/?source=times&from=2026-01-07T06%3A30%3A00.000Z&to=2026-01-08T06%3A30%3A00.000Z&zone=Europe%2FBerlin

        Sent by Earshot"#]],
    );
    assert!(html.contains("the app is &#60;b&#62;down"), "{html}");
    assert!(html.contains("border-top:6px solid #b3261e"), "the colour of the most severe alert: {html}");
}

#[test]
fn where_nothing_happened_it_says_that_it_listened_and_what_it_read() {
    let facts = Facts {
        subjects: vec![
            subject("harbor", "Harbor Bank", Vec::new(), Some(30.0)),
            subject("vale", "Jordan Vale", Vec::new(), Some(0.2)),
        ],
        gaps: Vec::new(),
    };
    reads(
        letter(&facts, Some(&[digest([34, 3, 9], [30, 2, 8]), digest([0; 3], [1, 0, 0])])),
        expect![[r#"
        Daily brief: nothing happened (Harbor Bank and Jordan Vale)

        Still listening: nothing happened

        Daily brief on Harbor Bank and Jordan Vale
        Wed 7 Jan, 07:30 to Thu 8 Jan, 07:30 (Europe/Berlin)

        No alert was open. Read: 34 mentions of Harbor Bank and none of Jordan Vale.
        https://earshot.harbor.example/?from=2026-01-07T06%3A30%3A00.000Z&to=2026-01-08T06%3A30%3A00.000Z&zone=Europe%2FBerlin

        Harbor Bank

        * 34 mentions: 30 in the day before, and about 30 to be expected.
          https://earshot.harbor.example/?subject=harbor&from=2026-01-07T06%3A30%3A00.000Z&to=2026-01-08T06%3A30%3A00.000Z&zone=Europe%2FBerlin

        * Tone: 9 % negative and 26 % positive; in the day before 7 % and 27 %.
          https://earshot.harbor.example/?subject=harbor&sentiment=negative&from=2026-01-07T06%3A30%3A00.000Z&to=2026-01-08T06%3A30%3A00.000Z&zone=Europe%2FBerlin

        Sent by Earshot"#]],
    );
}

#[test]
fn without_an_answer_of_the_index_it_says_what_it_cannot_say() {
    let facts =
        Facts { subjects: vec![subject("harbor", "Harbor Bank", Vec::new(), None)], gaps: Vec::new() };
    reads(
        letter(&facts, None),
        expect![[r#"
        Daily brief: No alert, but not everything was heard (Harbor Bank)

        No alert, but not everything was heard

        Daily brief on Harbor Bank
        Wed 7 Jan, 07:30 to Thu 8 Jan, 07:30 (Europe/Berlin)

        No alert was open. Not everything was heard: see below.
        https://earshot.harbor.example/?subject=harbor&from=2026-01-07T06%3A30%3A00.000Z&to=2026-01-08T06%3A30%3A00.000Z&zone=Europe%2FBerlin

        What was not heard

        * The index did not answer, so nothing is said here of mentions.
          https://earshot.harbor.example/?from=2026-01-07T06%3A30%3A00.000Z&to=2026-01-08T06%3A30%3A00.000Z&zone=Europe%2FBerlin

        Sent by Earshot"#]],
    );
}

#[test]
fn what_was_not_heard_is_said_by_who_did_not_hear_it() {
    let gap = |source: Option<&str>, from: &str, until: Option<&str>| GapFacts {
        source: source.map(str::to_owned),
        name: source.map(str::to_owned),
        from: at(from),
        until: until.map(at),
    };
    let facts = Facts {
        subjects: vec![subject("harbor", "Harbor Bank", Vec::new(), None)],
        gaps: vec![
            gap(None, "2026-01-08T02:05:00Z", None),
            gap(None, "2026-01-07T08:00:00Z", Some("2026-01-07T09:00:00Z")),
            gap(Some("times"), "2026-01-07T10:00:00Z", Some("2026-01-07T10:30:00Z")),
        ],
    };
    let letter = letter(&facts, Some(&[digest([0; 3], [0; 3])]));
    assert_eq!(letter.title, "No alert, but not everything was heard");
    assert_eq!(letter.subject_line, "Daily brief: No alert, but not everything was heard (Harbor Bank)");
    let said: Vec<&str> = letter.sections[0].lines.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(
        said,
        [
            "What was said since Thu 8 Jan, 03:05 (4 h 25 min) is not read yet.",
            "Earshot itself was not at work from Wed 7 Jan, 09:00 to 10:00 (1 h).",
            "times did not answer, or was not asked, from Wed 7 Jan, 11:00 to 11:30 (30 min).",
        ]
    );
}

#[test]
fn durations_and_lists_are_said_as_people_say_them() {
    for (minutes, wanted) in
        [(16, "16 min"), (60, "1 h"), (258, "4 h 18 min"), (1_440, "1 day"), (3_000, "2 days 2 h")]
    {
        assert_eq!(length(minutes * MINUTE_MS), wanted);
    }
    let names: Vec<String> = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
    assert_eq!(
        [listed(&names[..1]), listed(&names[..2]), listed(&names)],
        ["a", "a and b", "a, b and 2 more"]
    );
}

#[test]
fn every_line_of_a_brief_has_its_page() {
    let facts = Facts {
        subjects: vec![subject(
            "harbor",
            "Harbor Bank",
            vec![alert("v", "2026-01-07T09:41:00Z", None, 8)],
            None,
        )],
        gaps: vec![GapFacts {
            source: None,
            name: None,
            from: at("2026-01-07T08:00:00Z"),
            until: Some(at("2026-01-07T09:00:00Z")),
        }],
    };
    let mut harbor = digest([30, 9, 9], [30, 2, 8]);
    harbor.stories = vec![story("x:1", "one", 1)];
    let letter = letter(&facts, Some(&[harbor]));
    let lines: Vec<&Line> = letter.sections.iter().flat_map(|section| &section.lines).collect();
    assert_eq!(lines.len(), 5);
    for line in lines {
        assert!(line.link.as_ref().unwrap().starts_with(CONSOLE), "{line:?}");
    }
}

impl Letter {
    /// A letter about so many subjects.
    pub(crate) fn for_test(subjects: usize) -> Self {
        let of = |n: usize| {
            let link = Some(format!("{CONSOLE}/?n={n}"));
            let line = Line::new(format!("No <!here> mention of {n}"), link);
            let detail = Some("Too little is known yet.".to_owned());
            Section { name: format!("Subject {n}"), lines: vec![line.clone(), Line { detail, ..line }] }
        };
        let mut letter = letter(&Facts { subjects: Vec::new(), gaps: Vec::new() }, Some(&[]));
        letter.sections = (0..subjects).map(of).collect();
        letter
    }
}
