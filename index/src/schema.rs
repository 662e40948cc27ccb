//! The shape of a document: which fields there are, and how a record of `mentions.enriched` becomes one.
//!
//! What belongs here: everything that a change of the fields touches, and the number that must then rise.

use earshot_common::definitions::Search;
use earshot_common::events::{Enriched, Lane, MentionVersion, encode};
use earshot_common::keys::{AuthorKey, MentionKey};
use earshot_common::query::{self, Facts};
use earshot_common::text::{self, Form};
use earshot_common::time::Timestamp;
use tantivy::schema::{
    FAST, Field, INDEXED, IndexRecordOption, NumericOptions, STORED, Schema, TextFieldIndexing, TextOptions,
};
use tantivy::tokenizer::{TextAnalyzer, Token, TokenStream, Tokenizer};
use tantivy::{Index, TantivyDocument, Term};

/// Rises with every change of the fields: an index of another version is built anew beside this one.
pub(crate) const SCHEMA_VERSION: u32 = 4;

/// The name that the schema knows our tokenizer by.
const TOKENIZER: &str = "earshot";
/// The same for words with their case and accents.
const EXACT_TOKENIZER: &str = "earshot-exact";

/// Names of the fields that are read by name, since they are columns.
pub(crate) const TIME: &str = "time";
pub(crate) const TIE: &str = "tie";
const REVISION: &str = "revision";
pub(crate) const OFFSET: &str = "raw_offset";
const WATCHLIST: &str = "watchlist";
const JUDGED: &str = "judged";
const DELETED: &str = "deleted";

/// The fields of a document.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields {
    pub(crate) id: Field,
    pub(crate) key: Field,
    pub(crate) title: Field,
    pub(crate) text: Field,
    /// The words of title and text with their case and accents, at the same positions.
    pub(crate) title_exact: Field,
    pub(crate) text_exact: Field,
    /// `name:value`: what queries ask for by a field's name.
    pub(crate) fact: Field,
    /// The author's followers, where known.
    pub(crate) followers: Field,
    /// Accounts that could have seen it, where known.
    pub(crate) reach: Field,
    /// Subjects that count, and the searches that matched as subjects.
    pub(crate) subject: Field,
    pub(crate) source: Field,
    network: Field,
    pub(crate) lang: Field,
    /// Polarity of the whole message.
    pub(crate) sentiment: Field,
    /// `subject:label`: polarity towards one subject.
    pub(crate) subject_sentiment: Field,
    handle: Field,
    /// The author's key. A tombstone has none, so whatever has one stands.
    pub(crate) author: Field,
    /// Event time in milliseconds.
    pub(crate) time: Field,
    /// Tells documents of one instant apart: the first half of the mention key.
    pub(crate) tie: Field,
    revision: Field,
    raw_partition: Field,
    raw_offset: Field,
    watchlist: Field,
    judged: Field,
    pub(crate) deleted: Field,
    /// The record as it came, for showing.
    pub(crate) record: Field,
}

/// The fields and the schema that they make.
pub(crate) fn schema() -> (Schema, Fields) {
    let mut schema = Schema::builder();
    let exact = TextOptions::default().set_indexing_options(
        TextFieldIndexing::default()
            .set_tokenizer("raw")
            .set_fieldnorms(false)
            .set_index_option(IndexRecordOption::Basic),
    );
    let words = TextOptions::default().set_indexing_options(
        TextFieldIndexing::default()
            .set_tokenizer(TOKENIZER)
            .set_index_option(IndexRecordOption::WithFreqsAndPositions),
    );
    let exact_words = TextOptions::default().set_indexing_options(
        TextFieldIndexing::default()
            .set_tokenizer(EXACT_TOKENIZER)
            .set_fieldnorms(false)
            .set_index_option(IndexRecordOption::WithFreqsAndPositions),
    );
    let column = NumericOptions::default().set_fast();
    let fields = Fields {
        id: schema.add_text_field("id", exact.clone()),
        key: schema.add_text_field("key", exact.clone()),
        title: schema.add_text_field("title", words.clone()),
        text: schema.add_text_field("text", words),
        title_exact: schema.add_text_field("title_exact", exact_words.clone()),
        text_exact: schema.add_text_field("text_exact", exact_words),
        fact: schema.add_text_field("fact", exact.clone()),
        followers: schema.add_u64_field("followers", column.clone().set_indexed()),
        reach: schema.add_u64_field("reach", column.clone().set_indexed()),
        subject: schema.add_text_field("subject", exact.clone()),
        source: schema.add_text_field("source", exact.clone()),
        network: schema.add_text_field("network", exact.clone()),
        lang: schema.add_text_field("lang", exact.clone()),
        sentiment: schema.add_text_field("sentiment", exact.clone()),
        subject_sentiment: schema.add_text_field("subject_sentiment", exact.clone()),
        handle: schema.add_text_field("handle", exact.clone()),
        author: schema.add_text_field("author", exact),
        time: schema.add_i64_field(TIME, column.clone().set_indexed()),
        tie: schema.add_u64_field(TIE, column.clone()),
        revision: schema.add_i64_field(REVISION, column.clone()),
        raw_partition: schema.add_u64_field("raw_partition", column.clone()),
        raw_offset: schema.add_u64_field(OFFSET, column.clone()),
        watchlist: schema.add_u64_field(WATCHLIST, column.clone()),
        judged: schema.add_i64_field(JUDGED, column),
        deleted: schema.add_bool_field(DELETED, INDEXED | FAST),
        record: schema.add_bytes_field("record", STORED),
    };
    (schema.build(), fields)
}

/// Teaches an index our words.
pub(crate) fn register_tokenizer(index: &Index) {
    for (name, form) in [(TOKENIZER, Form::Folded), (EXACT_TOKENIZER, Form::Exact)] {
        index.tokenizers().register(name, TextAnalyzer::from(Words { form, tokens: Vec::new() }));
    }
}

/// The term of a field's value in queries.
pub(crate) fn fact(field: query::Field, value: &str) -> String {
    format!("{}:{value}", field.name())
}

/// The newest version that is searchable, if the mention is known.
pub(crate) fn version_of(
    searcher: &tantivy::Searcher,
    fields: &Fields,
    id: &str,
) -> tantivy::Result<Option<MentionVersion>> {
    let term = Term::from_field_text(fields.id, id);
    for segment in searcher.segment_readers() {
        let postings = segment.inverted_index(fields.id)?.read_postings(&term, IndexRecordOption::Basic)?;
        let Some(mut postings) = postings else { continue };
        let mut document = tantivy::DocSet::doc(&postings);
        while document != tantivy::TERMINATED {
            if !segment.is_deleted(document) {
                let columns = segment.fast_fields();
                return Ok(Some(MentionVersion {
                    revision: columns.i64(REVISION)?.first(document).unwrap_or_default(),
                    deleted: columns.bool(DELETED)?.first(document).unwrap_or_default(),
                    raw_offset: columns.u64(OFFSET)?.first(document).unwrap_or_default(),
                    watchlist: columns.u64(WATCHLIST)?.first(document).unwrap_or_default(),
                    judged: Timestamp::from_millis(columns.i64(JUDGED)?.first(document).unwrap_or_default()),
                }));
            }
            document = tantivy::DocSet::advance(&mut postings);
        }
    }
    Ok(None)
}

impl Fields {
    /// The document of a mention, whose author has this key.
    pub(crate) fn mention(&self, enriched: &Enriched, author: Option<AuthorKey>) -> TantivyDocument {
        let mention = &enriched.mention;
        let mut document =
            self.begin(&mention.id, MentionVersion::of_upsert(enriched), enriched.raw.partition);
        if let Some(title) = &mention.title {
            document.add_text(self.title, title);
            document.add_text(self.title_exact, title);
        }
        document.add_text(self.text, &mention.text);
        document.add_text(self.text_exact, &mention.text);
        let facts = Facts::of(enriched);
        for (field, value) in &facts.values {
            document.add_text(self.fact, fact(*field, value));
        }
        for (field, number) in [(self.followers, facts.followers), (self.reach, facts.reach)] {
            if let Some(number) = number {
                document.add_u64(field, number);
            }
        }
        for tag in enriched.entities.iter().filter(|tag| tag.lane == Lane::Sure) {
            document.add_text(self.subject, &tag.subject);
            let label = tag.sentiment.label.as_str();
            document.add_text(self.subject_sentiment, format!("{}:{label}", tag.subject));
        }
        for search in &enriched.searches {
            let id = Search::subject_id(search);
            document.add_text(self.subject, &id);
            document.add_text(self.subject_sentiment, format!("{id}:{}", enriched.sentiment.label.as_str()));
        }
        document.add_text(self.source, &mention.source.id);
        document.add_text(self.network, &mention.source.network);
        document.add_text(self.lang, &enriched.lang);
        document.add_text(self.sentiment, enriched.sentiment.label.as_str());
        if let Some(handle) = mention.author.as_ref().and_then(|author| author.handle.as_ref()) {
            document.add_text(self.handle, text::fold(handle));
        }
        if let Some(author) = author {
            document.add_text(self.author, author.to_string());
        }
        document.add_i64(self.time, mention.event_time().as_millis());
        document.add_bytes(self.record, &encode(enriched));
        document
    }

    /// What stays of a mention that is gone: nothing to find or to read, only its version, so that an older
    /// copy that arrives later cannot bring the text back.
    pub(crate) fn tombstone(&self, id: &str, version: MentionVersion, raw_partition: u32) -> TantivyDocument {
        self.begin(id, version, raw_partition)
    }

    fn begin(&self, id: &str, version: MentionVersion, raw_partition: u32) -> TantivyDocument {
        let key = MentionKey::of(id);
        let mut document = TantivyDocument::default();
        document.add_text(self.id, id);
        document.add_text(self.key, key.to_string());
        document.add_u64(self.tie, key.short());
        document.add_i64(self.revision, version.revision);
        document.add_bool(self.deleted, version.deleted);
        document.add_u64(self.raw_partition, raw_partition.into());
        document.add_u64(self.raw_offset, version.raw_offset);
        document.add_u64(self.watchlist, version.watchlist);
        document.add_i64(self.judged, version.judged.as_millis());
        document
    }
}

/// [`text::terms_as`] as tantivy takes it.
#[derive(Clone)]
struct Words {
    form: Form,
    tokens: Vec<Token>,
}

struct WordStream<'a> {
    tokens: &'a mut Vec<Token>,
    /// Counts from 1: before the first [`TokenStream::advance`] there is none.
    at: usize,
}

impl Tokenizer for Words {
    type TokenStream<'a> = WordStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> WordStream<'a> {
        self.tokens = text::terms_as(self.form, text)
            .into_iter()
            .map(|term| Token {
                offset_from: term.bytes.start,
                offset_to: term.bytes.end,
                position: term.position,
                text: term.text,
                position_length: 1,
            })
            .collect();
        WordStream { tokens: &mut self.tokens, at: 0 }
    }
}

impl TokenStream for WordStream<'_> {
    fn advance(&mut self) -> bool {
        let more = self.at < self.tokens.len();
        self.at += usize::from(more);
        more
    }

    fn token(&self) -> &Token {
        &self.tokens[self.at - 1]
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.tokens[self.at - 1]
    }
}
