//! From the values of a row to a mention.

use earshot_common::events::{Author, Engagement, Mention, Origin, SchemaVersion, SourceRef};
use earshot_common::keys::MentionKey;
use earshot_common::time::Timestamp;
use jiff::tz::TimeZone;

use super::cells::Cells;
use super::options::{Field, ImportOptions};
use super::times::{self, ReadTime};
use crate::cleaning::{self, MAX_ID_BYTES};

/// Makes mentions of one import's rows.
#[derive(Debug)]
pub(super) struct Adapter<'o> {
    options: &'o ImportOptions,
    zone: TimeZone,
    collected: Timestamp,
    /// Whether a row without id is a bad one; else its content is its id.
    ids_given: bool,
    /// Whether a time had no offset and took the zone.
    pub(super) zone_assumed: bool,
}

impl<'o> Adapter<'o> {
    /// For an import that begins at `collected`.
    pub(super) fn new(
        options: &'o ImportOptions,
        zone: TimeZone,
        collected: Timestamp,
        ids_given: bool,
    ) -> Self {
        Self { options, zone, collected, ids_given, zone_assumed: false }
    }

    /// The mention of a row, or what is wrong with the row.
    ///
    /// Its revision is the mapped column, else the time of publication and not of collection: an import is a
    /// copy of unknown age, so it must not outdate what came from the source itself, and the same file twice
    /// must change nothing.
    pub(super) fn mention(&mut self, cells: &Cells) -> Result<Mention, String> {
        let cell = |field: Field| cells.get(&field).map(String::as_str);
        let published = self.time(cell(Field::Time).ok_or("the time is empty")?)?;
        let decoded = |field| cell(field).map(cleaning::decode_entities);
        let clean = cleaning::clean_text(
            decoded(Field::Title).as_deref(),
            decoded(Field::Text).as_deref().unwrap_or_default(),
        );
        if clean.text.is_empty() && clean.title.is_none() {
            return Err("the text is empty".to_owned());
        }
        let id = match cell(Field::Id) {
            Some(id) if id.len() > MAX_ID_BYTES => {
                return Err(format!("the id is longer than {MAX_ID_BYTES} bytes"));
            }
            Some(id) => id.to_owned(),
            None if self.ids_given => return Err("the id is empty".to_owned()),
            None => content_id(cell(Field::Author), published, &clean.text),
        };
        let revision = match cell(Field::Revision) {
            Some(revision) => self.revision(revision)?,
            None => published.as_millis(),
        };
        let network = self.options.network();
        let url = cleaning::clean_url(cell(Field::Url));
        Ok(Mention {
            v: SchemaVersion::default(),
            id: format!("{}:{id}", self.options.id_prefix()),
            revision,
            origin: Origin::History,
            source: SourceRef {
                id: self.options.source_id(),
                network: network.to_owned(),
                site: cleaning::site_of(url.as_deref()),
            },
            url,
            title: clean.title,
            text: clean.text,
            lang_given: cleaning::clean_name(cell(Field::Lang)),
            country: None,
            author: author(network, cells),
            reply_to: None,
            repost_of: None,
            links: Vec::new(),
            media: Vec::new(),
            engagement: Engagement {
                likes: cell(Field::Likes).and_then(count),
                replies: cell(Field::Replies).and_then(count),
                reposts: cell(Field::Reposts).and_then(count),
            },
            published,
            collected: self.collected,
            cut: clean.cut,
        })
    }

    /// Whose row it is, whatever else is wrong with it.
    pub(super) fn author_id(&self, cells: &Cells) -> Option<String> {
        author(self.options.network(), cells).map(|author| author.id)
    }

    fn time(&mut self, text: &str) -> Result<Timestamp, String> {
        match times::read(text, &self.zone, self.options.time_format.as_deref()) {
            Some(ReadTime { at, zone_assumed }) => {
                self.zone_assumed |= zone_assumed;
                Ok(at)
            }
            None => Err(format!(
                "the time {text:?} is in no known format; name it with the option `time_format`, such as \
                 `%m/%d/%Y %H:%M`"
            )),
        }
    }

    fn revision(&mut self, text: &str) -> Result<i64, String> {
        match text.parse() {
            Ok(number) => Ok(number),
            Err(_) => self
                .time(text)
                .map(Timestamp::as_millis)
                .map_err(|_| format!("the revision {text:?} is neither a number nor a time")),
        }
    }
}

fn author(network: &str, cells: &Cells) -> Option<Author> {
    let account = cleaning::clean_name(cells.get(&Field::Author).map(String::as_str));
    let account = account.map(|name| name.trim_start_matches('@').to_owned());
    let id = cleaning::clean_name(cells.get(&Field::AuthorId).map(String::as_str));
    let id = id.or_else(|| account.clone())?;
    Some(Author {
        id: format!("{network}:{id}"),
        name: account.clone(),
        handle: account,
        followers: cells.get(&Field::Followers).and_then(|text| count(text)),
        verified: None,
    })
}

/// Who said what when: the same row is the same mention.
fn content_id(author: Option<&str>, published: Timestamp, text: &str) -> String {
    MentionKey::of(&format!("{}\0{published}\0{text}", author.unwrap_or_default())).to_string()
}

/// A whole number; tables write it as `12.0` too. Anything else is unknown, which is no reason to lose the row.
fn count(text: &str) -> Option<u64> {
    let whole = text.strip_suffix(".0").unwrap_or(text);
    whole.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(values: &[(Field, &str)]) -> Cells {
        values.iter().map(|(field, text)| (*field, (*text).to_owned())).collect()
    }

    fn adapt(options: &ImportOptions, ids_given: bool, values: &[(Field, &str)]) -> Result<Mention, String> {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        Adapter::new(options, TimeZone::UTC, now, ids_given).mention(&cells(values))
    }

    #[test]
    fn a_row_becomes_a_mention_of_the_past() {
        let mention = adapt(
            &ImportOptions { name: "airline".to_owned(), ..ImportOptions::default() },
            true,
            &[
                (Field::Id, "570306"),
                (Field::Text, "AT&amp;T\u{7} late"),
                (Field::Time, "2015-02-24 11:35:52 -0800"),
                (Field::Author, "@cairdin"),
                (Field::Followers, "12.0"),
                (Field::Likes, "many"),
                (Field::Url, "https://x.example/1"),
            ],
        )
        .unwrap();
        assert_eq!(mention.id, "import:airline:570306");
        assert_eq!(mention.text, "AT&T late");
        assert_eq!(mention.revision, 1_424_806_552_000);
        assert_eq!(mention.origin, Origin::History);
        let source = ("import:airline", "import", Some("x.example"));
        assert_eq!(
            (mention.source.id.as_str(), mention.source.network.as_str(), mention.source.site.as_deref()),
            source
        );
        let author = mention.author.unwrap();
        assert_eq!((author.id.as_str(), author.followers), ("import:cairdin", Some(12)));
        assert_eq!(mention.engagement.likes, None);
    }

    #[test]
    fn a_granted_network_and_a_revision_are_used() {
        let options = ImportOptions { network: Some("twitter".to_owned()), ..ImportOptions::default() };
        let row = [(Field::Id, "1"), (Field::Text, "x"), (Field::Time, "2015-02-24"), (Field::Revision, "7")];
        let mention = adapt(&options, true, &row).unwrap();
        assert_eq!((mention.id.as_str(), mention.revision), ("twitter:1", 7));
    }

    #[test]
    fn without_ids_the_content_is_the_id() {
        let id = |author, text| {
            let row = [(Field::Text, text), (Field::Time, "2015-02-24"), (Field::Author, author)];
            adapt(&ImportOptions::default(), false, &row).unwrap().id
        };
        assert_eq!(id("ann", "hello"), id("ann", "hello"));
        assert_ne!(id("ann", "hello"), id("bob", "hello"));
        assert_ne!(id("ann", "hello"), id("ann", "hallo"));
    }

    #[test]
    fn a_bad_row_says_what_is_wrong() {
        let refused = |values: &[(Field, &str)]| adapt(&ImportOptions::default(), true, values).unwrap_err();
        assert_eq!(refused(&[(Field::Text, "x"), (Field::Time, "2015-02-24")]), "the id is empty");
        assert_eq!(refused(&[(Field::Id, "1"), (Field::Time, "2015-02-24")]), "the text is empty");
        assert_eq!(refused(&[(Field::Id, "1"), (Field::Text, "x")]), "the time is empty");
        let soon = refused(&[(Field::Id, "1"), (Field::Text, "x"), (Field::Time, "soon")]);
        assert!(soon.contains("\"soon\""), "{soon}");
    }
}
