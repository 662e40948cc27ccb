//! Slack, over an incoming webhook: <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>.
//!
//! Foreign text goes into fields of plain text, which Slack does not read for links, mentions or styles.

use serde_json::{Value, json};

use super::Message;
use super::message::Told;
use crate::briefs::{Letter, Line};

/// Characters of a header, at most.
const HEADER_LENGTH: usize = 150;
/// Characters of a section, at most.
const SECTION_LENGTH: usize = 3_000;
/// Slack takes so many blocks in a message.
const MOST_BLOCKS: usize = 50;

/// The body of a message.
pub(crate) fn body(message: &Message) -> Value {
    let mut blocks = vec![json!({"type": "header", "text": plain_text(&message.title(), HEADER_LENGTH)})];
    if !message.notes.is_empty() {
        let notes = plain_text(&message.notes.join("\n"), SECTION_LENGTH);
        blocks.push(json!({"type": "section", "text": notes}));
    }
    let overview = message.is_overview();
    for told in &message.told {
        if overview {
            blocks.push(overview_block(told));
        } else {
            blocks.extend(full_blocks(told, message.told.len() > 1));
        }
    }
    if let Some(letter) = &message.letter {
        blocks.extend(letter_blocks(letter));
    }
    if blocks.len() > MOST_BLOCKS {
        blocks.truncate(MOST_BLOCKS - 1);
        blocks.push(context(vec![plain_text("It goes on in the console.", SECTION_LENGTH)]));
    }
    // What notifications and screen readers say.
    let text = escaped(&message.subject_line());
    json!({"text": text, "blocks": blocks, "unfurl_links": false, "unfurl_media": false})
}

fn full_blocks(told: &Told, one_of_many: bool) -> Vec<Value> {
    let mut blocks = Vec::new();
    let mut first = severity_line(told);
    if one_of_many {
        blocks.push(json!({"type": "divider"}));
        first = format!("*{}*\n{first}", escaped(&told.headline));
    }
    blocks.push(section(&first));
    blocks.push(json!({"type": "section", "text": plain_text(&told.sentences.join("\n"), SECTION_LENGTH)}));
    for quote in told.quoted() {
        let said = format!("“{}”", quote.text);
        let how = format!("{} · {} · {}", quote.tone, quote.by, quote.at);
        blocks.push(json!({"type": "section", "text": plain_text(&said, SECTION_LENGTH)}));
        blocks.push(json!({"type": "context", "elements": [plain_text(&how, SECTION_LENGTH)]}));
    }
    if let Some(why) = told.quotes_missing() {
        blocks.push(json!({"type": "context", "elements": [plain_text(why, SECTION_LENGTH)]}));
    }
    blocks.push(section(&format!("*What to do:* {}{}", escaped(told.advice()), link(told))));
    let source = format!("Rule {}: {}", told.event.rule, told.event.definition.rule);
    blocks.push(json!({"type": "context", "elements": [plain_text(&source, SECTION_LENGTH)]}));
    blocks
}

/// A brief: each sentence plain, since some quote what people wrote, with its page below.
fn letter_blocks(letter: &Letter) -> Vec<Value> {
    let kind = format!("{} · {}", letter.kind, letter.period);
    let mut blocks = vec![context(vec![plain_text(&kind, SECTION_LENGTH)])];
    blocks.extend(letter.lead.iter().flat_map(line_blocks));
    for part in &letter.sections {
        blocks.push(section(&format!("*{}*", escaped(&part.name))));
        blocks.extend(part.lines.iter().flat_map(line_blocks));
    }
    blocks
}

fn line_blocks(line: &Line) -> Vec<Value> {
    let mut blocks = vec![json!({"type": "section", "text": plain_text(&line.text, SECTION_LENGTH)})];
    let mut below: Vec<Value> = line.detail.iter().map(|detail| plain_text(detail, SECTION_LENGTH)).collect();
    if let Some(link) = &line.link {
        below
            .push(json!({"type": "mrkdwn", "text": format!("<{}|See it>", escaped(link)), "verbatim": true}));
    }
    if !below.is_empty() {
        blocks.push(context(below));
    }
    blocks
}

fn context(elements: Vec<Value>) -> Value {
    json!({"type": "context", "elements": elements})
}

fn overview_block(told: &Told) -> Value {
    section(&format!("*{}*\n{}{}", escaped(&told.headline), severity_line(told), link(told)))
}

fn severity_line(told: &Told) -> String {
    format!("Severity {} of 10 · {}", told.event.severity, told.urgency())
}

fn link(told: &Told) -> String {
    match &told.link {
        Some(link) => format!("\n<{}|{}>", escaped(&link.url), link.label),
        None => String::new(),
    }
}

fn section(mrkdwn: &str) -> Value {
    json!({"type": "section", "text": {"type": "mrkdwn", "text": mrkdwn, "verbatim": true}})
}

fn plain_text(text: &str, most: usize) -> Value {
    json!({"type": "plain_text", "text": cut(text, most), "emoji": false})
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

/// The three characters that mean something to Slack.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use earshot_common::events::Channel;

    use super::*;
    use crate::delivery::tests::{brief, many, message, quoting};

    /// Holds a body to what Slack documents of blocks, and answers its blocks.
    fn checked(body: &Value) -> Vec<Value> {
        let blocks = body["blocks"].as_array().unwrap().clone();
        assert!(!body["text"].as_str().unwrap().is_empty());
        assert!((1..=50).contains(&blocks.len()), "{} blocks", blocks.len());
        for block in &blocks {
            match block["type"].as_str().unwrap() {
                "header" => check_text(&block["text"], 150),
                "section" => check_text(&block["text"], 3_000),
                "context" => {
                    let elements = block["elements"].as_array().unwrap();
                    assert!((1..=10).contains(&elements.len()));
                    elements.iter().for_each(|element| check_text(element, 3_000));
                }
                "divider" => {}
                other => panic!("an unknown block: {other}"),
            }
        }
        blocks
    }

    fn check_text(text: &Value, most: usize) {
        let length = text["text"].as_str().unwrap().chars().count();
        assert!((1..=most).contains(&length), "{text}");
        match text["type"].as_str().unwrap() {
            "plain_text" => assert!(text["emoji"].is_boolean() && text["verbatim"].is_null()),
            "mrkdwn" => assert!(text["emoji"].is_null()),
            other => panic!("an unknown text: {other}"),
        }
    }

    #[test]
    fn a_message_keeps_to_what_slack_takes_and_foreign_text_stays_plain() {
        let to = Channel::Slack("newsroom".to_owned());
        let hostile = quoting(message(to, "Harbor <!channel> & Sons"), "<!here> *free* money");
        let body = body(&hostile);
        let blocks = checked(&body);
        let quote = blocks.iter().find(|block| block["text"]["text"] == "“<!here> *free* money”").unwrap();
        assert_eq!(quote["text"]["type"], "plain_text");
        assert!(body["text"].as_str().unwrap().contains("Harbor &lt;!channel&gt; &amp; Sons"), "{body}");
        let all = body.to_string();
        assert!(all.contains("<https://earshot.harbor.example/acknowledge/"), "{all}");
        assert!(all.contains("for=slack%3Anewsroom&amp;until="), "{all}");
    }

    #[test]
    fn a_brief_keeps_to_what_slack_takes_and_each_sentence_has_its_page() {
        for subjects in [1, 30] {
            let body = body(&brief(Channel::Slack("newsroom".to_owned()), subjects));
            let blocks = checked(&body);
            assert!(
                blocks.iter().any(|block| block["text"]["text"] == "No <!here> mention of 0"),
                "{body:#}"
            );
            assert!(body.to_string().contains("<https://earshot.harbor.example/?n=0|See it>"), "{body:#}");
        }
    }

    #[test]
    fn many_alerts_fit_into_one_message() {
        for alerts in [2, 3, 20] {
            let long = "word ".repeat(48);
            let mut message = many(Channel::Slack("newsroom".to_owned()), alerts);
            message.notes = (0..40).map(|n| format!("instead of another message {n}: {long}")).collect();
            let body = body(&quoting(message, &long));
            let blocks = checked(&body);
            let links = body.to_string().matches("|Open and acknowledge>").count();
            assert_eq!(links, alerts, "{} blocks", blocks.len());
        }
    }
}
