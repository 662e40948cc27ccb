//! One dead letter: what its headers say, what can be read of its value, and whether it can be driven again.
//! Pure.

use earshot_common::broker::Record;
use earshot_common::events::MentionVersion;
use earshot_common::keys::{AuthorKey, Secret};
use earshot_common::stage::RejectionReason;
use earshot_common::time::Timestamp;
use earshot_common::topics::{MENTIONS_ENRICHED, MENTIONS_RAW, Topic};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::params::ParameterError;

/// What stands in the place of everything that an erased author's letter says.
const ERASED: &str = "its author was erased";

/// A dead letter in a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LetterSummary {
    /// Its offset in `dead-letters`.
    pub offset: u64,
    /// When it became one.
    pub at: Timestamp,
    /// Who rejected it.
    pub service: String,
    /// The kind of fault.
    pub kind: String,
    /// The fault in words.
    pub reason: String,
    /// Where it came from: `TOPIC/PARTITION:OFFSET`, or an import and its line.
    pub from: String,
    /// Whether its author was erased, so that nothing else of it is told.
    pub erased: bool,
}

/// A dead letter in full.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Letter {
    /// What the list says.
    #[serde(flatten)]
    pub summary: LetterSummary,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// The original key.
    pub key: Option<String>,
    /// The original value; bytes that are no text are written as `\xNN`.
    pub value: String,
}

/// Which letters are asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Selection {
    service: Option<String>,
    kind: Option<RejectionReason>,
}

impl Selection {
    pub(super) fn new(service: Option<&str>, kind: Option<&str>) -> Result<Self, ParameterError> {
        let kind = match kind {
            None => None,
            Some(text) => Some(
                RejectionReason::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| {
                    let message = format!(
                        "`{text}` is not one of {}",
                        RejectionReason::ALL.map(RejectionReason::as_str).join(", ")
                    );
                    ParameterError { name: "kind".to_owned(), message }
                })?,
            ),
        };
        Ok(Self { service: service.map(str::to_owned), kind })
    }

    pub(super) fn takes(&self, letter: &Record) -> bool {
        let is = |name, wanted: &str| letter.header(name) == Some(wanted.as_bytes());
        self.service.as_ref().is_none_or(|service| is("service", service))
            && self.kind.is_none_or(|kind| is("kind", kind.as_str()))
    }
}

/// A letter with what can be read of it.
pub(super) struct Opened<'r> {
    record: &'r Record,
    content: Value,
    erased: bool,
}

impl<'r> Opened<'r> {
    /// Reads what can be read, whatever is wrong with it.
    pub(super) fn new(record: &'r Record, is_erased: impl Fn(AuthorKey) -> bool, secret: &Secret) -> Self {
        let content: Value = serde_json::from_slice(&record.value).unwrap_or_default();
        // Of a row of an import only who read the row knows the author: the key is in a header.
        let told = record.header("author").and_then(|key| str::from_utf8(key).ok()?.parse().ok());
        let author = content["author"]["id"].as_str().map(|id| secret.author(id));
        let erased = told.into_iter().chain(author).any(is_erased);
        Self { record, content, erased }
    }

    pub(super) fn summary(&self) -> LetterSummary {
        let reason = if self.erased { ERASED.to_owned() } else { self.header("reason") };
        LetterSummary {
            offset: self.record.offset,
            at: self.record.appended,
            service: self.header("service"),
            kind: self.header("kind"),
            reason,
            from: self.from(),
            erased: self.erased,
        }
    }

    pub(super) fn in_full(&self) -> Letter {
        let summary = self.summary();
        if self.erased {
            return Letter { summary, headers: Vec::new(), key: None, value: String::new() };
        }
        let headers = self.record.headers.iter().map(|(name, value)| (name.clone(), as_text(value)));
        Letter {
            summary,
            headers: headers.collect(),
            key: self.record.key.as_deref().map(as_text),
            value: as_text(&self.record.value),
        }
    }

    /// The mention that it is a version of.
    pub(super) fn mention_id(&self) -> Option<&str> {
        self.content["id"].as_str()
    }

    /// The topic that it goes to again, or why it does not, and what to do instead. `known` is the version of
    /// its mention that stands in the index.
    pub(super) fn redrive(&self, known: Option<MentionVersion>) -> Result<Topic, String> {
        if self.erased {
            return Err(ERASED.to_owned());
        }
        if self.has("import") {
            return Err(
                "it is a row of an import and no message: correct the row in its file, and import the \
                        file again; rows that are in stay in once"
                    .to_owned(),
            );
        }
        if self.has("cut_from_bytes") {
            return Err(format!(
                "it was cut short from {} bytes, so it is no message any more: bring the mention in from its \
                 source again",
                self.header("cut_from_bytes")
            ));
        }
        let from = self.header("topic");
        let topic = [MENTIONS_RAW, MENTIONS_ENRICHED].into_iter().find(|topic| topic.name == from);
        let topic = topic.ok_or_else(|| {
            format!(
                "it comes from the topic `{from}`; only letters of `{}` and `{}` can be driven again",
                MENTIONS_RAW.name, MENTIONS_ENRICHED.name
            )
        })?;
        let revision = self.content["revision"].as_i64();
        let newer_stands = known.zip(revision).is_some_and(|(known, revision)| {
            known.revision > revision || (known.revision == revision && known.deleted)
        });
        if newer_stands {
            return Err("the index holds a newer version of the mention, or its end".to_owned());
        }
        Ok(topic)
    }

    fn from(&self) -> String {
        if self.has("import") {
            return format!("{}:{}", self.header("import"), self.header("line"));
        }
        format!("{}/{}:{}", self.header("topic"), self.header("partition"), self.header("offset"))
    }

    fn has(&self, name: &str) -> bool {
        self.record.header(name).is_some()
    }

    fn header(&self, name: &str) -> String {
        self.record.header(name).map(as_text).unwrap_or_default()
    }
}

/// Bytes as text; those that are none as `\xNN`.
fn as_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> Secret {
        Secret::from_bytes([7; 32])
    }

    fn record(value: impl Into<Vec<u8>>, headers: &[(&str, &str)]) -> Record {
        Record {
            partition: 0,
            offset: 3,
            appended: Timestamp::from_millis(0),
            key: Some("hn:1".into()),
            value: value.into().into(),
            headers: headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned().into())).collect(),
        }
    }

    const FROM_RAW: [(&str, &str); 6] = [
        ("service", "enrich"),
        ("kind", "too_large"),
        ("reason", "the text is too long"),
        ("topic", "mentions.raw"),
        ("partition", "2"),
        ("offset", "17"),
    ];

    fn known(revision: i64, deleted: bool) -> Option<MentionVersion> {
        Some(MentionVersion { revision, deleted, raw_offset: 0, watchlist: 0, judged: Timestamp::default() })
    }

    #[test]
    fn a_letter_goes_where_it_came_from_unless_something_newer_stands() {
        let record = record(r#"{"v":99,"kind":"upsert","id":"hn:1","revision":5}"#, &FROM_RAW);
        let letter = Opened::new(&record, |_| false, &secret());
        assert_eq!(letter.summary().from, "mentions.raw/2:17");
        assert_eq!(letter.mention_id(), Some("hn:1"));
        for standing in [None, known(4, false), known(4, true), known(5, false)] {
            assert_eq!(letter.redrive(standing), Ok(MENTIONS_RAW), "{standing:?}");
        }
        for standing in [known(6, false), known(6, true), known(5, true)] {
            assert!(letter.redrive(standing).unwrap_err().contains("newer version"), "{standing:?}");
        }
    }

    #[test]
    fn what_is_no_message_any_more_is_refused_with_what_to_do() {
        let refusal = |headers: &[(&str, &str)]| {
            Opened::new(&record("x", headers), |_| false, &secret()).redrive(None).unwrap_err()
        };
        let row = refusal(&[("service", "ingest"), ("import", "import:past.csv"), ("line", "3")]);
        assert!(row.contains("import the file again"), "{row}");
        let cut = refusal(&[("topic", "mentions.raw"), ("cut_from_bytes", "1500000")]);
        assert!(cut.contains("1500000 bytes") && cut.contains("from its source again"), "{cut}");
        let other = refusal(&[("topic", "signals")]);
        assert!(other.contains("`signals`") && other.contains("`mentions.raw`"), "{other}");
    }

    #[test]
    fn nothing_is_told_of_an_erased_authors_letter() {
        let ann = secret().author("hn:ann");
        let by_value =
            record(r#"{"id":"hn:1","text":"secret","author":{"id":"hn:ann"},"revision":"?"}"#, &FROM_RAW);
        let key = ann.to_string();
        let row =
            [("kind", "bad_row"), ("reason", "secret"), ("import", "i"), ("line", "3"), ("author", &key)];
        let by_header = record("ann,secret", &row);
        for record in [by_value, by_header] {
            let letter = Opened::new(&record, |author| author == ann, &secret());
            assert_eq!(letter.redrive(None), Err(ERASED.to_owned()));
            let told = serde_json::to_string(&letter.in_full()).unwrap();
            assert!(told.contains(ERASED), "{told}");
            assert!(!told.contains("secret") && !told.contains("hn:1") && !told.contains(&key), "{told}");
            // Of anybody else it is shown.
            let letter = Opened::new(&record, |_| false, &secret());
            assert!(letter.in_full().value.contains("secret"));
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_written_as_numbers() {
        let record = record(b"a\xffb\xc3\xa9\xe2\x82".to_vec(), &FROM_RAW);
        let letter = Opened::new(&record, |_| false, &secret()).in_full();
        assert_eq!(letter.value, "a\\xffbé\\xe2\\x82");
    }

    #[test]
    fn a_kind_that_is_none_is_refused_with_those_that_are() {
        let error = Selection::new(None, Some("odd")).unwrap_err().to_string();
        assert!(error.contains("`odd`") && error.contains("newer_version"), "{error}");
    }
}
