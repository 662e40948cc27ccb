//! Microsoft Teams, over a workflow that starts when a webhook request is received: an Adaptive Card of version 1.4
//! (<https://adaptivecards.io/explorer/>) in a message.
//!
//! Foreign text goes into text runs, which are not read as Markdown.

use serde_json::{Value, json};

use super::Message;
use super::message::Told;
use crate::briefs::{Line, Section};

/// Bytes of a message that Teams takes, at most, with a margin for what the workflow adds.
const MOST_BYTES: usize = 26_000;
/// Subjects of a brief in an overview, at most.
const MOST_SECTIONS: usize = 20;

/// The body of a message: brief where the whole would be too much.
pub(crate) fn body(message: &Message) -> Value {
    let whole = envelope(message, message.is_overview());
    if whole.to_string().len() <= MOST_BYTES { whole } else { envelope(message, true) }
}

fn envelope(message: &Message, overview: bool) -> Value {
    let mut items = vec![json!({
        "type": "TextBlock", "size": "Large", "weight": "Bolder", "wrap": true, "text": plain(&message.title()),
    })];
    items.extend(message.notes.iter().map(|note| run(note, false)));
    for told in &message.told {
        items.push(container(told, overview, message.told.len() > 1));
    }
    if let Some(letter) = &message.letter {
        items.push(quiet(&format!("{} · {}", letter.kind, letter.period)));
        items.extend(letter.lead.iter().flat_map(line_items));
        let most = if overview { MOST_SECTIONS } else { letter.sections.len() };
        let sections = letter.sections.iter().take(most);
        items.extend(sections.map(|section| letter_container(section, overview)));
    }
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "fallbackText": plain(&message.subject_line()),
                "msteams": {"width": "Full"},
                "body": items,
            },
        }],
    })
}

fn container(told: &Told, overview: bool, one_of_many: bool) -> Value {
    let mut items = Vec::new();
    if one_of_many {
        items.push(run(&told.headline, true));
    }
    let severity = format!("Severity {} of 10 · {}", told.event.severity, told.urgency());
    items.push(json!({
        "type": "TextBlock", "wrap": true, "weight": "Bolder", "text": severity,
        "color": match told.event.severity { 7.. => "Attention", 4..=6 => "Warning", _ => "Default" },
    }));
    if !overview {
        items.extend(told.sentences.iter().map(|sentence| run(sentence, false)));
        for quote in told.quoted() {
            let how = format!("{} · {} · {}", quote.tone, quote.by, quote.at);
            items.push(json!({
                "type": "Container", "style": "emphasis",
                "items": [run(&format!("“{}”", quote.text), false), quiet(&how)],
            }));
        }
        items.extend(told.quotes_missing().map(quiet));
        items.push(run(&format!("What to do: {}", told.advice()), false));
        items.push(quiet(&format!("Rule {}: {}", told.event.rule, told.event.definition.rule)));
    }
    if let Some(link) = &told.link {
        let open = json!({"type": "Action.OpenUrl", "title": link.label, "url": link.url});
        items.push(json!({"type": "ActionSet", "actions": [open]}));
    }
    json!({"type": "Container", "separator": one_of_many, "items": items})
}

/// What a brief says of one subject; in an overview the first sentence.
fn letter_container(section: &Section, overview: bool) -> Value {
    let most = if overview { 1 } else { section.lines.len() };
    let mut items = vec![run(&section.name, true)];
    items.extend(section.lines.iter().take(most).flat_map(line_items));
    json!({"type": "Container", "separator": true, "items": items})
}

fn line_items(line: &Line) -> Vec<Value> {
    let mut sentence = run(&line.text, false);
    if let Some(link) = &line.link {
        sentence["inlines"][0]["selectAction"] = json!({"type": "Action.OpenUrl", "url": link});
    }
    let mut items = vec![sentence];
    items.extend(line.detail.iter().map(|detail| quiet(detail)));
    items
}

fn run(text: &str, strong: bool) -> Value {
    let weight = if strong { "Bolder" } else { "Default" };
    json!({"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text, "weight": weight}]})
}

fn quiet(text: &str) -> Value {
    json!({"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text, "isSubtle": true, "size": "Small"}]})
}

/// Text without what Markdown could make of it, for the one field that has no other form.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\\' | '*' | '_' | '[' | ']' | '(' | ')' | '<' | '>' | '`' | '#') {
            plain.push('\\');
        }
        plain.push(c);
    }
    plain
}

#[cfg(test)]
mod tests {
    use earshot_common::events::Channel;

    use super::*;
    use crate::delivery::tests::{brief, many, message, quoting};

    /// Holds a body to the envelope that Teams documents and to the schema of cards, and answers the card.
    fn checked(body: &Value) -> Value {
        assert!(body.to_string().len() < 28 * 1_024, "{} bytes", body.to_string().len());
        assert_eq!(body["type"], "message");
        let attachments = body["attachments"].as_array().unwrap();
        assert_eq!(attachments.len(), 1);
        assert_eq!(attachments[0]["contentType"], "application/vnd.microsoft.card.adaptive");
        let card = attachments[0]["content"].clone();
        assert_eq!((&card["type"], &card["version"]), (&json!("AdaptiveCard"), &json!("1.4")));
        check_items(&card["body"]);
        card
    }

    fn check_items(items: &Value) {
        for item in items.as_array().unwrap() {
            match item["type"].as_str().unwrap() {
                "TextBlock" => assert!(item["text"].is_string() && item["wrap"] == true),
                "RichTextBlock" => {
                    for inline in item["inlines"].as_array().unwrap() {
                        assert!(inline["type"] == "TextRun" && inline["text"].is_string(), "{inline}");
                    }
                }
                "Container" => check_items(&item["items"]),
                "ActionSet" => {
                    for action in item["actions"].as_array().unwrap() {
                        assert_eq!(action["type"], "Action.OpenUrl");
                        assert!(action["url"].as_str().unwrap().starts_with("https://"), "{action}");
                    }
                }
                other => panic!("an unknown element: {other}"),
            }
        }
    }

    #[test]
    fn a_card_keeps_to_the_schema_and_foreign_text_is_no_markdown() {
        let to = Channel::Teams("desk".to_owned());
        let hostile =
            quoting(message(to, "Harbor [x](https://evil.example)"), "[click](https://evil.example)");
        let card = checked(&body(&hostile));
        let title = card["body"][0]["text"].as_str().unwrap();
        assert!(title.starts_with("Harbor \\[x\\]\\("), "{title}");
        let quote =
            json!({"type": "TextRun", "text": "“[click](https://evil.example)”", "weight": "Default"});
        assert!(card.to_string().contains(&quote.to_string()), "{card:#}");
        assert!(card.to_string().contains("for=teams%3Adesk&until="), "{card:#}");
    }

    #[test]
    fn a_brief_keeps_to_the_schema_and_each_sentence_opens_its_page() {
        for subjects in [1, 200] {
            let card = checked(&body(&brief(Channel::Teams("desk".to_owned()), subjects)));
            let action = json!({"type": "Action.OpenUrl", "url": "https://earshot.harbor.example/?n=0"});
            assert!(card.to_string().contains(&action.to_string()), "{card:#}");
        }
    }

    #[test]
    fn many_alerts_fit_into_one_card() {
        for alerts in [2, 3, 20] {
            let long = "字".repeat(240);
            let card = checked(&body(&quoting(many(Channel::Teams("desk".to_owned()), alerts), &long)));
            assert_eq!(card.to_string().matches("Open and acknowledge").count(), alerts);
        }
    }
}
