//! What people said: the texts behind an alert, asked of the index at the moment of sending, because `signals` and
//! `alerts` hold none. A message does not wait long for them.

use std::time::Duration;

use earshot_common::events::{AlertEvent, Author, EntityTag, Polarity, Sentiment, SourceRef};
use earshot_common::keys::MentionKey;
use earshot_common::time::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;

use super::colours;
use super::words::local;
use crate::index_client::IndexClient;

/// Without an answer within this the message goes without the texts.
const PATIENCE: Duration = Duration::from_secs(1);
/// The index may wait so long for mentions that it has not read yet; the rest is for the way there and back.
const INDEX_WAITS_MS: u64 = 800;
/// Texts in a message.
const MOST_QUOTES: usize = 3;
/// Characters of a text, at most.
const QUOTE_LENGTH: usize = 240;
/// Characters of a name, at most.
const NAME_LENGTH: usize = 60;

/// The texts of a message.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Quotes {
    /// Nobody asked for them: the channel shows none.
    NotAsked,
    /// The index gave no answer in time.
    NoAnswer,
    /// The first ones that are still there.
    Read(Vec<Quote>),
}

/// What somebody said. Hostile text, made harmless for plain text; templates escape it for everything else.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Quote {
    /// What was said, cut short.
    pub(crate) text: String,
    /// Who said it, and where.
    pub(crate) by: String,
    /// When it was published.
    pub(crate) at: String,
    /// The tone towards the subject: `negative`, `neutral` or `positive`.
    pub(crate) tone: &'static str,
}

impl Quote {
    /// The colour at its edge.
    pub(crate) fn colour(&self) -> &'static str {
        colours::of_tone(self.tone)
    }
}

/// Asks the index what was said.
#[derive(Clone, Debug)]
pub(crate) struct QuoteReader(pub(crate) IndexClient);

/// The answer of the index.
#[derive(Debug, Deserialize)]
struct EvidenceAnswer {
    mentions: Vec<QuotedMention>,
}

/// A mention, as far as a message shows it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct QuotedMention {
    title: Option<String>,
    text: String,
    author: Option<Author>,
    source: SourceRef,
    published: Timestamp,
    entities: Vec<EntityTag>,
    sentiment: Sentiment,
}

impl QuoteReader {
    /// The texts behind a transition; their times are told in the zone.
    pub(crate) async fn read(&self, event: &AlertEvent, zone: &TimeZone) -> Quotes {
        // Of a silence there is nothing to quote.
        if event.evidence.is_empty() {
            return Quotes::NotAsked;
        }
        match self.ask(&event.evidence).await {
            Ok(answer) => {
                let quote = |mention: &QuotedMention| mention.quote(&event.subject, zone);
                Quotes::Read(answer.mentions.iter().map(quote).collect())
            }
            Err(error) => {
                tracing::warn!(alert = %event.alert, error, "a message goes without the texts behind its alert");
                Quotes::NoAnswer
            }
        }
    }

    async fn ask(&self, evidence: &[MentionKey]) -> Result<EvidenceAnswer, String> {
        let keys: Vec<String> = evidence.iter().map(MentionKey::to_string).collect();
        let query = [
            ("keys", keys.join(",")),
            ("limit", MOST_QUOTES.to_string()),
            ("wait_ms", INDEX_WAITS_MS.to_string()),
        ];
        self.0.get("/api/evidence", &query, PATIENCE).await
    }
}

impl QuotedMention {
    /// The quote, by the tone towards a subject; its time is told in the zone.
    pub(crate) fn quote(&self, subject: &str, zone: &TimeZone) -> Quote {
        let text = match &self.title {
            Some(title) => format!("{title}: {}", self.text),
            None => self.text.clone(),
        };
        let author = self.author.as_ref().and_then(|author| author.name.as_ref().or(author.handle.as_ref()));
        let place = self.source.site.as_ref().unwrap_or(&self.source.network);
        let by = match author {
            Some(author) => format!("{} on {}", plain(author, NAME_LENGTH), plain(place, NAME_LENGTH)),
            None => plain(place, NAME_LENGTH),
        };
        let towards = self.entities.iter().find(|tag| tag.subject == subject);
        let tone = towards.map_or(self.sentiment.score, |tag| tag.sentiment.score);
        Quote {
            text: plain(&text, QUOTE_LENGTH),
            by,
            at: local(self.published, zone, "%-d %b, %H:%M"),
            tone: Polarity::of(tone).as_str(),
        }
    }
}

/// Foreign text in one line: without characters that hide or turn others, without addresses that a mail program would
/// make links of, and cut at a word.
fn plain(text: &str, most: usize) -> String {
    let visible: String = text.chars().filter(|c| c.is_whitespace() || !hides(*c)).collect();
    let mut plain = String::new();
    let mut length = 0;
    for word in visible.split_whitespace() {
        let word = if is_address(word) { "[link]" } else { word };
        let room = most.saturating_sub(length);
        if word.chars().count() > room {
            let start: String = word.chars().take(if plain.is_empty() { room } else { 0 }).collect();
            return format!("{}…", (plain + &start).trim_end());
        }
        plain.push_str(word);
        plain.push(' ');
        length += word.chars().count() + 1;
    }
    plain.truncate(plain.trim_end().len());
    plain
}

fn is_address(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    word.contains("://") || word.contains("www.")
}

/// Control characters, and those that set the direction of what follows.
fn hides(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_becomes_one_harmless_line() {
        for (text, most, wanted) in [
            ("  two\r\n\tlines ", 20, "two lines"),
            ("pay at https://evil.example/now or WWW.evil.example", 60, "pay at [link] or [link]"),
            ("\u{202e}gnorw\u{202c} \u{7}bell", 20, "gnorw bell"),
            ("one two three", 9, "one two…"),
            ("unbreakable", 5, "unbre…"),
            ("eleven char", 11, "eleven char"),
            ("", 5, ""),
        ] {
            assert_eq!(plain(text, most), wanted, "{text:?}");
        }
    }

    #[test]
    fn a_quote_says_who_where_when_and_how() {
        let json = r#"{"title":null,"text":"the app is down","author":{"id":"hackernews:ann","handle":"ann"},
            "source":{"id":"hn","network":"hackernews","site":null},"published":"2026-01-05T14:04:00Z",
            "entities":[{"subject":"harbor","lane":"sure","sentiment":{"score":-0.6,"label":"negative"}}],
            "sentiment":{"score":0.4,"label":"positive"},"more":"than is shown"}"#;
        let mention: QuotedMention = serde_json::from_str(json).unwrap();
        let zone = TimeZone::get("America/New_York").unwrap();
        let quote = mention.quote("harbor", &zone);
        assert_eq!(
            (quote.text.as_str(), quote.by.as_str(), quote.at.as_str(), quote.tone),
            ("the app is down", "ann on hackernews", "5 Jan, 09:04", "negative")
        );
        assert_eq!(mention.quote("another", &zone).tone, "positive", "that of the whole message");
    }
}
