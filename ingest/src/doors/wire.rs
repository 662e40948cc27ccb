//! What senders send, and its way to our events. Fields that we do not know are ignored.

use earshot_common::events::{
    Author, Deletion, DeletionReason, Engagement, Mention, MentionEvent, Origin, SchemaVersion, SourceRef,
};
use earshot_common::time::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::cleaning::{self, MAX_ID_BYTES, MAX_LINKS};

/// Mentions of one request at most.
const MAX_MENTIONS: usize = 1_000;

/// Whose ids these are.
#[derive(Clone, Debug)]
pub(super) struct Provenance {
    /// The door's id as a source.
    pub(super) source: String,
    /// What ids are prefixed with.
    pub(super) network: String,
}

/// A mention as it is sent.
#[derive(Debug, Deserialize)]
struct WireMention {
    /// The sender's own id.
    id: String,
    #[serde(default)]
    text: String,
    title: Option<String>,
    url: Option<String>,
    author: Option<WireAuthor>,
    published: Option<Timestamp>,
    revision: Option<i64>,
    lang: Option<String>,
    country: Option<String>,
    reply_to: Option<String>,
    repost_of: Option<String>,
    #[serde(default)]
    links: Vec<String>,
    #[serde(default)]
    engagement: WireEngagement,
    /// Whether it is gone at its source.
    #[serde(default)]
    deleted: bool,
}

#[derive(Debug, Deserialize)]
struct WireAuthor {
    id: Option<String>,
    name: Option<String>,
    handle: Option<String>,
    followers: Option<u64>,
    verified: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
struct WireEngagement {
    likes: Option<u64>,
    replies: Option<u64>,
    reposts: Option<u64>,
}

/// Reads the body of a request: one mention, or `{"mentions": […]}`. All must be good; the message names the
/// first that is not, its field and its value.
pub(super) fn read(
    body: &[u8],
    provenance: &Provenance,
    collected: Timestamp,
) -> Result<Vec<MentionEvent>, String> {
    let value: Value =
        serde_json::from_slice(body).map_err(|error| format!("the body is not JSON: {error}"))?;
    let Some(object) = value.as_object() else {
        return Err("the body must be a JSON object: one mention, or `{\"mentions\": […]}`".to_owned());
    };
    let Some(mentions) = object.get("mentions") else {
        return Ok(vec![
            event(&value, provenance, collected).map_err(|fault| format!("the mention: {fault}"))?,
        ]);
    };
    let mentions = mentions.as_array().ok_or("`mentions` must be an array")?;
    if mentions.len() > MAX_MENTIONS {
        return Err(format!("`mentions` has {} mentions; send at most {MAX_MENTIONS}", mentions.len()));
    }
    let mut events = Vec::new();
    for (index, mention) in mentions.iter().enumerate() {
        let event =
            event(mention, provenance, collected).map_err(|fault| format!("mentions[{index}]: {fault}"))?;
        events.push(event);
    }
    Ok(events)
}

/// The revision is the one that is sent, else the time of publication, else now. With either of the first two a
/// request that is sent again changes nothing. A deletion without one is of now: it ends all that came before.
fn event(value: &Value, provenance: &Provenance, collected: Timestamp) -> Result<MentionEvent, String> {
    let wire: WireMention = serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        if path == "." { error.inner().to_string() } else { format!("`{path}`: {}", error.inner()) }
    })?;
    let id = provenance.id("id", &wire.id)?;
    if wire.deleted {
        return Ok(MentionEvent::Delete(Deletion {
            v: SchemaVersion::default(),
            id,
            revision: wire.revision.unwrap_or(collected.as_millis()),
            origin: Origin::Live,
            reason: DeletionReason::DeletedAtSource,
            collected,
        }));
    }
    let clean = cleaning::clean_text(wire.title.as_deref(), &wire.text);
    if clean.text.is_empty() && clean.title.is_none() {
        return Err(format!("`text` = {:?} is empty, and there is no `title`", wire.text));
    }
    let url = match &wire.url {
        Some(url) => Some(
            cleaning::clean_url(Some(url)).ok_or_else(|| format!("`url` = {url:?} is not a web address"))?,
        ),
        None => None,
    };
    let other = |field, id: &Option<String>| id.as_deref().map(|id| provenance.id(field, id)).transpose();
    let published = wire.published.unwrap_or(collected);
    Ok(MentionEvent::Upsert(Box::new(Mention {
        v: SchemaVersion::default(),
        id,
        revision: wire.revision.unwrap_or(published.as_millis()),
        origin: Origin::Live,
        source: SourceRef {
            id: provenance.source.clone(),
            network: provenance.network.clone(),
            site: cleaning::site_of(url.as_deref()),
        },
        url,
        title: clean.title,
        text: clean.text,
        lang_given: cleaning::clean_name(wire.lang.as_deref()),
        country: wire.country.as_deref().map(country).transpose()?,
        author: wire.author.and_then(|author| provenance.author(author)),
        reply_to: other("reply_to", &wire.reply_to)?,
        repost_of: other("repost_of", &wire.repost_of)?,
        links: wire.links.iter().filter_map(|link| cleaning::clean_url(Some(link))).take(MAX_LINKS).collect(),
        media: Vec::new(),
        engagement: Engagement {
            likes: wire.engagement.likes,
            replies: wire.engagement.replies,
            reposts: wire.engagement.reposts,
        },
        published,
        collected,
        cut: clean.cut,
    })))
}

/// A country's code of ISO 3166-1, of two letters.
fn country(code: &str) -> Result<String, String> {
    match code.len() == 2 && code.bytes().all(|b| b.is_ascii_alphabetic()) {
        true => Ok(code.to_ascii_uppercase()),
        false => Err(format!("`country` = {code:?} is no two-letter code of ISO 3166-1")),
    }
}

impl Provenance {
    fn id(&self, field: &str, id: &str) -> Result<String, String> {
        let id = id.trim();
        if id.is_empty() || id.len() > MAX_ID_BYTES || id.contains(char::is_control) {
            return Err(format!(
                "`{field}` = {id:?} must be 1 to {MAX_ID_BYTES} bytes without control characters"
            ));
        }
        Ok(format!("{}:{id}", self.network))
    }

    /// None where nothing tells the author from others.
    fn author(&self, wire: WireAuthor) -> Option<Author> {
        let handle =
            cleaning::clean_name(wire.handle.as_deref().map(|handle| handle.trim_start_matches('@')));
        let name = cleaning::clean_name(wire.name.as_deref());
        let id =
            cleaning::clean_name(wire.id.as_deref()).or_else(|| handle.clone()).or_else(|| name.clone())?;
        Some(Author {
            id: format!("{}:{id}", self.network),
            name,
            handle,
            followers: wire.followers,
            verified: wire.verified,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(body: &str) -> Result<Vec<MentionEvent>, String> {
        let provenance = Provenance { source: "door:crm".to_owned(), network: "crm".to_owned() };
        read(body.as_bytes(), &provenance, "2026-01-01T00:00:00Z".parse().unwrap())
    }

    fn one(body: &str) -> Mention {
        match take(body).unwrap().remove(0) {
            MentionEvent::Upsert(mention) => *mention,
            MentionEvent::Delete(deletion) => panic!("an upsert is wanted, not {deletion:?}"),
        }
    }

    #[test]
    fn one_mention_or_several_are_taken() {
        let mention = one(
            r#"{"id":"7","text":"The app is down","url":"https://forum.example/7","published":"2025-12-31T23:00:00Z",
                "author":{"handle":"@ann","followers":3},"reply_to":"6","links":["https://a.example/","javascript:x"],
                "colour":"red"}"#,
        );
        assert_eq!((mention.id.as_str(), mention.reply_to.as_deref()), ("crm:7", Some("crm:6")));
        assert_eq!(mention.revision, 1_767_222_000_000);
        assert_eq!(mention.author.unwrap().id, "crm:ann");
        assert_eq!(mention.links, ["https://a.example/"]);
        assert_eq!(
            (mention.source.id.as_str(), mention.source.site.as_deref()),
            ("door:crm", Some("forum.example"))
        );
        let two = take(r#"{"mentions":[{"id":"1","text":"a"},{"id":"2","title":"b"}]}"#).unwrap();
        assert_eq!(two.iter().map(MentionEvent::id).collect::<Vec<_>>(), ["crm:1", "crm:2"]);
    }

    #[test]
    fn a_revision_is_the_one_that_is_sent_else_of_publication_else_now() {
        assert_eq!(
            one(r#"{"id":"1","text":"a","revision":5,"published":"2026-01-01T00:00:00Z"}"#).revision,
            5
        );
        assert_eq!(one(r#"{"id":"1","text":"a"}"#).revision, 1_767_225_600_000);
    }

    #[test]
    fn a_deletion_needs_no_text_and_is_of_now() {
        let events = take(r#"{"id":"1","deleted":true,"published":"2020-01-01T00:00:00Z"}"#).unwrap();
        let MentionEvent::Delete(deletion) = &events[0] else { panic!("a deletion is wanted") };
        assert_eq!((deletion.id.as_str(), deletion.revision), ("crm:1", 1_767_225_600_000));
    }

    #[test]
    fn what_is_wrong_is_named_by_index_field_and_value() {
        for (body, wanted) in [
            ("{", "the body is not JSON"),
            ("[]", "the body must be a JSON object"),
            (r#"{"mentions":{}}"#, "`mentions` must be an array"),
            (r#"{"text":"a"}"#, "the mention: missing field `id`"),
            (r#"{"mentions":[{"id":"1","text":"a"},{"id":" ","text":"a"}]}"#, "mentions[1]: `id` = \"\""),
            (r#"{"mentions":[{"id":"1","text":" "}]}"#, "mentions[0]: `text` = \" \" is empty"),
            (
                r#"{"id":"1","text":"a","author":{"followers":"many"}}"#,
                "the mention: `author.followers`: invalid type: string \"many\"",
            ),
            (
                r#"{"id":"1","text":"a","published":"yesterday"}"#,
                "the mention: `published`: `yesterday` is not an RFC 3339 time",
            ),
            (r#"{"id":"1","text":"a","url":"javascript:x"}"#, "the mention: `url` = \"javascript:x\""),
        ] {
            let error = take(body).unwrap_err();
            assert!(error.starts_with(wanted), "{error}");
        }
        let many = format!("{{\"mentions\":[{}]}}", vec!["{}"; MAX_MENTIONS + 1].join(","));
        assert_eq!(take(&many).unwrap_err(), "`mentions` has 1001 mentions; send at most 1000");
    }
}
