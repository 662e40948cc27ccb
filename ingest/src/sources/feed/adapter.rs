//! From a feed's document to mentions. Pure: the same bytes make the same mentions.

use earshot_common::definitions::Source;
use earshot_common::events::{Author, Engagement, Mention, Origin, SchemaVersion, SourceRef};
use earshot_common::keys::MentionKey;
use earshot_common::time::Timestamp;
use feed_rs::model::{Entry, Feed, Person, Text};
use feed_rs::parser;

use super::document;
use crate::cleaning::{self, MAX_ID_BYTES};
use crate::sources::html::{self, PlainText};

/// The network of mentions that come from feeds.
const NETWORK: &str = "feed";
/// Of more entries the newest are taken.
const MAX_ENTRIES: usize = 1_000;
/// More pictures and films of one entry are left out.
const MAX_MEDIA: usize = 20;

/// The mentions of a document, oldest first; as if all were live.
pub(super) fn mentions(
    document: &[u8],
    content_type: Option<&str>,
    source: &Source,
    collected: Timestamp,
) -> anyhow::Result<Vec<Mention>> {
    let text = document::decoded(document, content_type);
    let feed = parse(&text, source).or_else(|error| {
        // Ampersands of their own are the most frequent mistake; if that was not it, the first error counts.
        parse(&document::with_ampersands_escaped(&text), source).map_err(|_| error)
    })?;
    let mut mentions = Vec::new();
    // Feeds have their newest first; the sort keeps that order where there are no times.
    for entry in feed.entries.iter().rev() {
        mentions.extend(mention(&feed, entry, source, collected));
    }
    mentions.sort_by_key(|mention| mention.published);
    let too_many = mentions.len().saturating_sub(MAX_ENTRIES);
    mentions.drain(..too_many);
    Ok(mentions)
}

/// An id that the library made up would not be the feed's, so it makes none.
fn parse(text: &str, source: &Source) -> parser::ParseFeedResult<Feed> {
    let parser = parser::Builder::new().base_uri(Some(&source.url)).id_generator(|_, _, _| String::new());
    parser.build().parse(text.as_bytes())
}

/// None where an entry says nothing.
fn mention(feed: &Feed, entry: &Entry, source: &Source, collected: Timestamp) -> Option<Mention> {
    let body = body(entry);
    let title = entry.title.as_ref().map(|title| one_line(title).text);
    let clean = cleaning::clean_text(title.as_deref(), &body.text);
    if clean.text.is_empty() && clean.title.is_none() {
        return None;
    }
    let url = link(entry);
    let site = cleaning::site_of(url.as_deref().or(Some(&source.url)));
    let published = entry.published.or(entry.updated).map(|at| Timestamp::from_millis(at.timestamp_millis()));
    let published = published.unwrap_or(collected);
    let updated = entry.updated.map_or(published, |at| Timestamp::from_millis(at.timestamp_millis()));
    let author = entry.authors.iter().chain(&feed.authors).find_map(|person| author(person, site.as_deref()));
    let addresses =
        entry.media.iter().flat_map(|media| &media.content).filter_map(|content| content.url.as_ref());
    Some(Mention {
        v: SchemaVersion::default(),
        id: format!("{NETWORK}:{}:{}", source.id, entry_id(entry, url.as_deref(), &clean)),
        revision: updated.as_millis(),
        origin: Origin::Live,
        source: SourceRef { id: source.id.clone(), network: NETWORK.to_owned(), site },
        url,
        title: clean.title,
        text: clean.text,
        lang_given: cleaning::clean_name(entry.language.as_deref().or(feed.language.as_deref())),
        country: None,
        author,
        reply_to: None,
        repost_of: None,
        links: body.links,
        media: addresses.filter_map(|url| cleaning::clean_url(Some(url.as_str()))).take(MAX_MEDIA).collect(),
        engagement: Engagement::default(),
        published,
        collected,
        cut: clean.cut,
    })
}

/// The id within the feed, else the address, else the hash of what it says.
fn entry_id(entry: &Entry, url: Option<&str>, clean: &cleaning::CleanText) -> String {
    let id = entry.id.trim();
    let id = if id.is_empty() { url.and_then(|url| url.split('#').next()).unwrap_or_default() } else { id };
    if id.is_empty() {
        let said = format!("{}\0{}", clean.title.as_deref().unwrap_or_default(), clean.text);
        return MentionKey::of(&said).to_string();
    }
    if id.len() > MAX_ID_BYTES || id.contains(char::is_control) {
        return MentionKey::of(id).to_string();
    }
    id.to_owned()
}

/// The whole content where the feed has it, else the summary.
fn body(entry: &Entry) -> PlainText {
    let content = entry.content.as_ref();
    if let Some((content, body)) = content.and_then(|content| Some((content, content.body.as_deref()?)))
        && is_text(content.content_type.as_str())
        && !body.trim().is_empty()
    {
        return plain(content.content_type.as_str(), body);
    }
    match &entry.summary {
        Some(summary) => plain(summary.content_type.as_str(), &summary.content),
        None => PlainText::default(),
    }
}

/// Content may be a film.
fn is_text(content_type: &str) -> bool {
    content_type.starts_with("text/") || content_type.ends_with("html") || content_type.ends_with("html+xml")
}

/// RSS calls its HTML plain text more often than not, so what has marks of HTML is taken for it.
fn plain(content_type: &str, text: &str) -> PlainText {
    let marked = text.contains("</") || text.contains("/>") || text.contains("<p") || text.contains("<br");
    if content_type != "text/plain" || marked {
        return html::to_text(text);
    }
    PlainText { text: cleaning::decode_entities(text), links: Vec::new() }
}

fn one_line(title: &Text) -> PlainText {
    plain(title.content_type.as_str(), &title.content)
}

/// Where a person can read the entry.
fn link(entry: &Entry) -> Option<String> {
    let alternate = |rel: &Option<String>| matches!(rel.as_deref(), None | Some("alternate"));
    let links = entry.links.iter();
    let best = links.clone().find(|link| alternate(&link.rel)).or_else(|| links.clone().next());
    cleaning::clean_url(best.map(|link| link.href.as_str()))
}

/// A name means somebody only together with the site.
fn author(person: &Person, site: Option<&str>) -> Option<Author> {
    let name = cleaning::clean_name(person.name.as_deref().or(person.email.as_deref()))?;
    Some(Author {
        id: format!("{NETWORK}:{}:{name}", site.unwrap_or_default()),
        name: Some(name),
        ..Author::default()
    })
}

#[cfg(test)]
pub(super) mod tests {
    use earshot_common::definitions::SourceKind;
    use expect_test::{Expect, expect};

    use super::*;

    /// An entry for the tests of the cursor.
    pub(in crate::sources::feed) fn entry(id: &str, text: &str, updated_ms: Option<i64>) -> Mention {
        let updated = updated_ms.map(|ms| format!("<updated>{}</updated>", Timestamp::from_millis(ms)));
        let document = format!(
            "<feed xmlns=\"http://www.w3.org/2005/Atom\"><entry><id>{id}</id>{}<summary>{text}</summary></entry></feed>",
            updated.unwrap_or_default()
        );
        read(document.as_bytes(), None).remove(0)
    }

    fn source() -> Source {
        Source {
            id: "news".to_owned(),
            kind: SourceKind::Feed,
            url: "https://news.example/feed".to_owned(),
            poll_interval_s: 300,
            subjects: Vec::new(),
        }
    }

    fn read(document: &[u8], content_type: Option<&str>) -> Vec<Mention> {
        mentions(document, content_type, &source(), "2026-01-01T00:00:00Z".parse().unwrap()).unwrap()
    }

    fn check(document: &str, wanted: Expect) {
        let mut listed = String::new();
        for mention in read(document.as_bytes(), None) {
            listed += &format!(
                "{} r{} {} by {:?} {:?}\n  {:?}\n  {:?} {:?}\n",
                mention.id,
                mention.revision,
                mention.published,
                mention.author.map(|author| author.id),
                mention.url,
                mention.title,
                mention.text,
                mention.links,
            );
        }
        wanted.assert_eq(&listed);
    }

    #[test]
    fn rss_is_read_oldest_first() {
        check(
            r#"<?xml version="1.0"?><rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/"><channel><title>News</title><link>https://news.example/</link>
            <item><title>Harbor &amp;amp; the CEO</title><link>https://news.example/2</link><guid isPermaLink="false">tag:2</guid>
              <pubDate>Thu, 01 Jan 2026 00:00:02 GMT</pubDate><dc:creator>Ann</dc:creator>
              <description>&lt;p&gt;It is &lt;a href="https://a.example/"&gt;down&lt;/a&gt;.&lt;/p&gt;</description></item>
            <item><title>Older</title><link>https://news.example/1</link>
              <pubDate>Thu, 01 Jan 2026 00:00:01 GMT</pubDate></item>
            </channel></rss>"#,
            expect![[r#"
                feed:news:https://news.example/1 r1767225601000 2026-01-01T00:00:01.000Z by None Some("https://news.example/1")
                  Some("Older")
                  "" []
                feed:news:tag:2 r1767225602000 2026-01-01T00:00:02.000Z by Some("feed:news.example:Ann") Some("https://news.example/2")
                  Some("Harbor & the CEO")
                  "It is down." ["https://a.example/"]
            "#]],
        );
    }

    #[test]
    fn atom_is_read_with_its_edit_time_as_revision() {
        check(
            r#"<feed xmlns="http://www.w3.org/2005/Atom"><title>n</title><author><name>Desk</name></author>
            <entry><id>urn:1</id><title type="html">A &lt;b&gt;bold&lt;/b&gt; move</title>
              <link rel="edit" href="/edit/1"/><link rel="alternate" href="/1"/>
              <published>2026-01-01T00:00:01Z</published><updated>2026-01-01T00:10:00Z</updated>
              <content type="html">&lt;p&gt;Whole&lt;/p&gt;</content><summary>Short</summary></entry></feed>"#,
            expect![[r#"
                feed:news:urn:1 r1767226200000 2026-01-01T00:00:01.000Z by Some("feed:news.example:Desk") Some("https://news.example/1")
                  Some("A bold move")
                  "Whole" []
            "#]],
        );
    }

    #[test]
    fn a_json_feed_is_read() {
        check(
            r#"{"version":"https://jsonfeed.org/version/1.1","title":"n","items":[{"id":"7","url":"https://news.example/7",
            "title":"T","content_text":"Plain < text","date_published":"2026-01-01T00:00:07Z","authors":[{"name":"Bo"}]}]}"#,
            expect![[r#"
                feed:news:7 r1767225607000 2026-01-01T00:00:07.000Z by Some("feed:news.example:Bo") Some("https://news.example/7")
                  Some("T")
                  "Plain < text" []
            "#]],
        );
    }

    #[test]
    fn an_entry_without_id_link_and_date_is_known_by_what_it_says() {
        let document = br#"<rss version="2.0"><channel><title>n</title><item><description>Only this</description></item></channel></rss>"#;
        let mention = read(document, None).remove(0);
        assert_eq!(mention.id.len(), "feed:news:".len() + 32);
        assert_eq!(mention.published, mention.collected);
        assert_eq!(read(document, None)[0].id, mention.id);
    }

    #[test]
    fn an_ampersand_of_its_own_does_not_cost_the_feed() {
        let document =
            b"<rss><channel><title>n</title><item><title>R&D at AT&amp;T</title></item></channel></rss>";
        assert_eq!(read(document, None)[0].title.as_deref(), Some("R&D at AT&T"));
    }

    #[test]
    fn what_is_no_feed_is_an_error() {
        let now = Timestamp::default();
        for document in ["<html><body>404</body></html>", "", "{\"a\":1}", "plain"] {
            assert!(mentions(document.as_bytes(), None, &source(), now).is_err(), "{document}");
        }
    }

    #[test]
    fn deep_nesting_neither_overflows_nor_lingers() {
        let started = std::time::Instant::now();
        let times = 100_000;
        let nested =
            |tag: &str| format!("{}x{}", format!("<{tag}>").repeat(times), format!("</{tag}>").repeat(times));
        for document in [
            format!(
                "<feed xmlns=\"http://www.w3.org/2005/Atom\"><entry><id>1</id><content type=\"xhtml\">{}</content></entry></feed>",
                nested("div")
            ),
            format!("<rss version=\"2.0\"><channel><item>{}</item></channel></rss>", nested("a")),
            format!(
                "<rss version=\"2.0\"><channel><item><description>{}</description></item></channel></rss>",
                nested("a")
            ),
            nested("feed"),
            "{\"a\":".repeat(times),
        ] {
            // Whatever comes of it, it comes.
            let _ = mentions(document.as_bytes(), None, &source(), Timestamp::default());
        }
        assert!(started.elapsed() < std::time::Duration::from_secs(20), "{:?}", started.elapsed());
    }
}
