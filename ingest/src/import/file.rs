//! Reads a file from its first byte to its last: a pure function of bytes, in bounded memory.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};

use earshot_common::events::Mention;
use earshot_common::keys::MentionKey;
use earshot_common::time::Timestamp;
use flate2::read::MultiGzDecoder;

use super::adapter::Adapter;
use super::cells::{self, Cells, CsvRows};
use super::mapping::{self, MappingError};
use super::options::{BadRow, Field, Format, ImportOptions, ImportReport, Mapping};
use super::records::{RawRecord, Records};

/// The first so many bad rows are in the report.
const REPORTED_BAD_ROWS: usize = 1_000;
/// Rows of one batch.
const BATCH_ROWS: usize = 500;
/// Bytes of one batch, roughly.
const BATCH_BYTES: usize = 1024 * 1024;
/// So many ids are remembered. In a larger file a repeated row may be written again, which changes nothing.
const REMEMBERED_IDS: usize = 2_000_000;
/// So many bytes must show what a file is.
const HEAD_BYTES: usize = 4_096;
/// In JSON Lines the columns are the keys of the first so many rows, since a row need not have all.
const PREVIEWED_ROWS: usize = 100;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const UTF8_BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What a stretch of rows became.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) mentions: Vec<Mention>,
    pub(super) rejected: Vec<Rejected>,
    bytes: usize,
}

/// A bad row as it was.
#[derive(Debug)]
pub(super) struct Rejected {
    pub(super) line: u64,
    pub(super) reason: String,
    pub(super) bytes: Vec<u8>,
    /// The id of its author, where the row says that much.
    pub(super) author: Option<String>,
}

/// Why a file is not read, or not to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("{0}")]
    Options(String),
    #[error("the file is empty")]
    Empty,
    #[error("the file is UTF-16; save it as UTF-8")]
    Utf16,
    #[error("the file is neither CSV nor JSON Lines: it holds bytes that are no text")]
    NotText,
    #[error("the file is one JSON array; give JSON Lines, one object a line")]
    JsonArray,
    #[error("none of the first {PREVIEWED_ROWS} lines is a JSON object; line {line}: {reason}")]
    NoObject { line: u64, reason: String },
    #[error("the header on line 1 cannot be read: {0}")]
    Header(String),
    #[error(transparent)]
    Mapping(#[from] MappingError),
    #[error(
        "the gzip file is damaged or ends early, after {rows} good and bad rows ({message}); \
         import it again when it is whole: rows that were taken count once"
    )]
    Gzip { rows: u64, message: String },
    #[error(
        "the file broke off after {rows} good and bad rows: {message}; import it again: rows that were taken count once"
    )]
    BrokeOff { rows: u64, message: String },
    #[error("none of the first {rows} rows is good, so nothing was imported; line {line}: {reason}")]
    NothingGood { rows: u64, line: u64, reason: String },
    #[error("the import was told to stop")]
    Stopped,
}

/// Reads a file and gives its rows in batches, in the file's order; stops where `give` answers false.
///
/// Rows with one id are one mention. The row with the highest revision counts, of equal ones the first: a later
/// row that is not newer is counted as repeated and not given.
pub(super) fn read(
    input: impl Read,
    options: &ImportOptions,
    collected: Timestamp,
    mut give: impl FnMut(Batch) -> bool,
) -> Result<ImportReport, FileError> {
    let zone = options.check().map_err(FileError::Options)?;
    let (start, input) = peek(input, GZIP.len()).map_err(|error| broke_off(false, 0, &error))?;
    let zipped = start == GZIP;
    let plain: Box<dyn Read> = if zipped { Box::new(MultiGzDecoder::new(input)) } else { Box::new(input) };
    let (head, plain) = peek(plain, HEAD_BYTES).map_err(|error| broke_off(zipped, 0, &error))?;
    let format = detect(&head, options.format)?;
    let delimiter = delimiter(&head);

    let mut records = Records::new(BufReader::new(without_mark(&head, plain)), format, delimiter);
    let broken = |rows: u64| move |error: io::Error| broke_off(zipped, rows, &error);
    let (layout, preview) = match format {
        Format::Csv => csv_layout(&mut records, options, delimiter).map_err(|e| e.or_broken(broken(0)))?,
        Format::Jsonl => json_layout(&mut records, options).map_err(|e| e.or_broken(broken(0)))?,
    };

    let ids_given = layout.mapping.contains_key(&Field::Id);
    let mut run = Run {
        adapter: Adapter::new(options, zone, collected, ids_given),
        report: ImportReport {
            source: options.source_id(),
            format,
            rows: 0,
            mentions: 0,
            repeated: 0,
            bad: 0,
            bad_rows: Vec::new(),
            mapping: layout.mapping.clone(),
            zone_assumed: None,
            seconds: 0.0,
        },
        seen: HashMap::new(),
        batch: Batch::default(),
    };
    let mut preview = preview.into_iter();
    loop {
        let record = match preview.next() {
            Some(record) => record,
            None => match records.next().map_err(broken(run.report.rows))? {
                Some(record) => record,
                None => break,
            },
        };
        run.take(record, &layout);
        if run.batch.is_full() {
            run.refuse_hopeless()?;
            if !give(std::mem::take(&mut run.batch)) {
                return Err(FileError::Stopped);
            }
        }
    }
    if !give(run.batch) {
        return Err(FileError::Stopped);
    }
    if run.adapter.zone_assumed {
        run.report.zone_assumed = Some(options.zone.clone().unwrap_or_else(|| "UTC".to_owned()));
    }
    Ok(run.report)
}

/// The state of one reading.
struct Run<'o> {
    adapter: Adapter<'o>,
    report: ImportReport,
    /// The highest revision that was given of each mention.
    seen: HashMap<MentionKey, i64>,
    batch: Batch,
}

impl Run<'_> {
    fn take(&mut self, record: RawRecord, layout: &Layout) {
        self.report.rows += 1;
        self.batch.bytes += record.bytes.len();
        let cells = match record.fault {
            Some(fault) => Err(fault.to_string()),
            None => layout.cells(&record.bytes),
        };
        let cells = match cells {
            Ok(cells) => cells,
            Err(reason) => return self.reject(record, None, reason),
        };
        match self.adapter.mention(&cells) {
            Ok(mention) => self.accept(mention),
            Err(reason) => self.reject(record, self.adapter.author_id(&cells), reason),
        }
    }

    /// A long file that begins with bad rows only was asked for with wrong options; its rows would flood the dead
    /// letters.
    fn refuse_hopeless(&self) -> Result<(), FileError> {
        match self.report.bad_rows.first() {
            Some(bad) if self.report.mentions == 0 => Err(FileError::NothingGood {
                rows: self.report.rows,
                line: bad.line,
                reason: bad.reason.clone(),
            }),
            _ => Ok(()),
        }
    }

    fn accept(&mut self, mention: Mention) {
        let key = MentionKey::of(&mention.id);
        let newer = match self.seen.get(&key) {
            Some(revision) => {
                self.report.repeated += 1;
                mention.revision > *revision
            }
            None => {
                self.report.mentions += 1;
                true
            }
        };
        if !newer {
            return;
        }
        if self.seen.len() < REMEMBERED_IDS || self.seen.contains_key(&key) {
            self.seen.insert(key, mention.revision);
        }
        self.batch.mentions.push(mention);
    }

    fn reject(&mut self, record: RawRecord, author: Option<String>, reason: String) {
        self.report.bad += 1;
        if self.report.bad_rows.len() < REPORTED_BAD_ROWS {
            self.report.bad_rows.push(BadRow { line: record.line, reason: reason.clone() });
        }
        self.batch.rejected.push(Rejected { line: record.line, reason, bytes: record.bytes, author });
    }
}

impl Batch {
    fn is_full(&self) -> bool {
        self.mentions.len() + self.rejected.len() >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }
}

/// How the fields of this file's rows are found.
struct Layout {
    mapping: Mapping,
    /// `None` for JSON Lines.
    csv: Option<CsvRows>,
}

impl Layout {
    fn cells(&self, record: &[u8]) -> Result<Cells, String> {
        match &self.csv {
            Some(rows) => rows.read(record),
            None => cells::json_cells(record, &self.mapping),
        }
    }
}

/// Either the input failed or the file is not what it should be.
enum LayoutError {
    Input(io::Error),
    File(FileError),
}

impl LayoutError {
    fn or_broken(self, broken: impl FnOnce(io::Error) -> FileError) -> FileError {
        match self {
            Self::Input(error) => broken(error),
            Self::File(error) => error,
        }
    }
}

impl From<io::Error> for LayoutError {
    fn from(error: io::Error) -> Self {
        Self::Input(error)
    }
}

impl From<FileError> for LayoutError {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

/// The header is the first record.
fn csv_layout<R: BufRead>(
    records: &mut Records<R>,
    options: &ImportOptions,
    delimiter: u8,
) -> Result<(Layout, Vec<RawRecord>), LayoutError> {
    let header = records.next()?.ok_or(FileError::Empty)?;
    let columns = match header.fault {
        Some(fault) => Err(fault.to_string()),
        None => cells::csv_fields(&header.bytes, delimiter),
    };
    let columns = columns.map_err(FileError::Header)?;
    let mapping = mapping::choose(options, &columns).map_err(FileError::Mapping)?;
    let csv = Some(CsvRows::new(delimiter, &columns, &mapping));
    Ok((Layout { mapping, csv }, Vec::new()))
}

/// The columns are the keys of the first rows, which are handed back to be read.
fn json_layout<R: BufRead>(
    records: &mut Records<R>,
    options: &ImportOptions,
) -> Result<(Layout, Vec<RawRecord>), LayoutError> {
    let mut columns: Vec<String> = Vec::new();
    let mut preview = Vec::new();
    let mut first_fault = None;
    while preview.len() < PREVIEWED_ROWS {
        let Some(record) = records.next()? else { break };
        match cells::json_columns(&record.bytes) {
            Ok(keys) => {
                for key in keys {
                    if !columns.contains(&key) {
                        columns.push(key);
                    }
                }
            }
            Err(reason) => {
                first_fault.get_or_insert((record.line, reason));
            }
        }
        preview.push(record);
    }
    if columns.is_empty() {
        let (line, reason) = first_fault.ok_or(FileError::Empty)?;
        return Err(FileError::NoObject { line, reason }.into());
    }
    let mapping = mapping::choose(options, &columns).map_err(FileError::Mapping)?;
    Ok((Layout { mapping, csv: None }, preview))
}

/// An input whose first bytes were looked at.
type Rewound<R> = Chain<Cursor<Vec<u8>>, R>;

/// The first bytes of an input, at most so many, and the input from its start.
fn peek<R: Read>(mut input: R, bytes: usize) -> io::Result<(Vec<u8>, Rewound<R>)> {
    let mut head = Vec::new();
    input.by_ref().take(bytes as u64).read_to_end(&mut head)?;
    Ok((head.clone(), Cursor::new(head).chain(input)))
}

/// The input behind the byte order mark, where its head begins with one.
fn without_mark<R: Read>(head: &[u8], mut input: Rewound<R>) -> impl Read {
    if head.starts_with(UTF8_BYTE_ORDER_MARK) {
        input.get_mut().0.set_position(UTF8_BYTE_ORDER_MARK.len() as u64);
    }
    input
}

fn detect(head: &[u8], wanted: Option<Format>) -> Result<Format, FileError> {
    if head.is_empty() {
        return Err(FileError::Empty);
    }
    if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
        return Err(FileError::Utf16);
    }
    if head.contains(&0) {
        return Err(FileError::NotText);
    }
    let text = head.strip_prefix(UTF8_BYTE_ORDER_MARK).unwrap_or(head);
    match (wanted, text.trim_ascii_start().first()) {
        (_, None) => Err(FileError::Empty),
        (None | Some(Format::Jsonl), Some(b'[')) => Err(FileError::JsonArray),
        (Some(format), _) => Ok(format),
        (None, Some(b'{')) => Ok(Format::Jsonl),
        (None, _) => Ok(Format::Csv),
    }
}

/// Which of the usual delimiters the header has most of.
fn delimiter(head: &[u8]) -> u8 {
    let header = head.trim_ascii_start().split(|&byte| byte == b'\n').next().unwrap_or_default();
    let count = |delimiter: u8| header.iter().filter(|&&byte| byte == delimiter).count();
    let mut best = b',';
    for candidate in [b';', b'\t'] {
        if count(candidate) > count(best) {
            best = candidate;
        }
    }
    best
}

fn broke_off(zipped: bool, rows: u64, error: &io::Error) -> FileError {
    let message = error.to_string();
    if zipped { FileError::Gzip { rows, message } } else { FileError::BrokeOff { rows, message } }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use expect_test::{Expect, expect};

    use super::*;

    fn import(
        bytes: &[u8],
        options: &ImportOptions,
    ) -> Result<(ImportReport, Vec<Mention>, Vec<Rejected>), String> {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let (mut mentions, mut rejected) = (Vec::new(), Vec::new());
        let report = read(bytes, options, now, |batch| {
            mentions.extend(batch.mentions);
            rejected.extend(batch.rejected);
            true
        })
        .map_err(|error| error.to_string())?;
        Ok((report, mentions, rejected))
    }

    fn gzipped(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn refused(bytes: &[u8], message: Expect) {
        message.assert_eq(&import(bytes, &ImportOptions::default()).unwrap_err());
    }

    const CSV: &str = "id,text,created_at\n\
                       1,\"first\nline\",2015-02-24 10:00:00\n\
                       2,,2015-02-24\n\
                       3,short\n\
                       1,again,2015-02-24 10:00:00\n\
                       4,good,2015-02-24T10:00:00Z\n";

    #[test]
    fn good_rows_are_given_and_bad_ones_named_by_line() {
        let (report, mentions, rejected) = import(CSV.as_bytes(), &ImportOptions::default()).unwrap();
        assert_eq!((report.rows, report.mentions, report.repeated, report.bad), (5, 2, 1, 2));
        let texts: Vec<&str> = mentions.iter().map(|mention| mention.text.as_str()).collect();
        assert_eq!(texts, ["first\nline", "good"]);
        let listed: Vec<String> =
            report.bad_rows.iter().map(|b| format!("{}: {}", b.line, b.reason)).collect();
        expect![[r#"
            4: the text is empty
            5: the row has 2 fields and the header 3"#]]
        .assert_eq(&listed.join("\n"));
        assert_eq!(rejected[1].bytes, b"3,short");
        // A row whose cells can be told apart says whose it is.
        let csv = "id,time,author,text\n1,2026-01-01,@ann,Hello\n2,soon,@bo,Hello\n";
        let (_, _, rejected) = import(csv.as_bytes(), &ImportOptions::default()).unwrap();
        assert_eq!(rejected[0].author.as_deref(), Some("import:bo"));
        assert_eq!(report.zone_assumed.as_deref(), Some("UTC"));
    }

    #[test]
    fn a_gzip_file_and_a_byte_order_mark_are_seen_through() {
        let marked = [UTF8_BYTE_ORDER_MARK, CSV.as_bytes()].concat();
        let (report, mentions, _) = import(&gzipped(&marked), &ImportOptions::default()).unwrap();
        assert_eq!(report.mentions, 2);
        assert_eq!(mentions[0].id, "import:import:1");
    }

    #[test]
    fn json_lines_are_read_past_a_malformed_one() {
        let text = br#"{"ts":"2014-01-01T03:59:03Z","id":"7","user":"ann","followers":2,"text":"a"}
{"ts":"2014-01-01T03:59:03Z","id":
{"ts":"2014-01-01T03:59:03Z","id":8,"text":"b","lang":"en"}
"#;
        let (report, mentions, _) = import(text, &ImportOptions::default()).unwrap();
        assert_eq!(report.format, Format::Jsonl);
        assert_eq!((report.rows, report.mentions, report.bad, report.bad_rows[0].line), (3, 2, 1, 2));
        assert_eq!(mentions[0].author.as_ref().unwrap().followers, Some(2));
        // A key that only a later row has is a column too.
        assert_eq!(mentions[1].lang_given.as_deref(), Some("en"));
    }

    #[test]
    fn of_rows_with_one_id_the_highest_revision_counts() {
        let text = "id,text,time,revision\n1,old,2015-02-24,1\n1,new,2015-02-24,3\n1,between,2015-02-24,2\n";
        let (report, mentions, _) = import(text.as_bytes(), &ImportOptions::default()).unwrap();
        assert_eq!((report.mentions, report.repeated), (1, 2));
        let texts: Vec<&str> = mentions.iter().map(|mention| mention.text.as_str()).collect();
        assert_eq!(texts, ["old", "new"]);
    }

    #[test]
    fn semicolons_and_tabs_are_recognised() {
        for delimiter in [";", "\t"] {
            let text = ["id,text,time", "1,\"a, b\",2015-02-24"]
                .join("\n")
                .replace("\", ", "")
                .replace(',', delimiter);
            let (report, _, _) = import(text.as_bytes(), &ImportOptions::default()).unwrap();
            assert_eq!((report.mentions, report.bad), (1, 0), "{delimiter:?}");
        }
    }

    #[test]
    fn what_cannot_be_imported_is_refused_in_one_sentence() {
        refused(b"", expect!["the file is empty"]);
        refused(b" \n", expect!["the file is empty"]);
        refused(
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
            expect!["the file is neither CSV nor JSON Lines: it holds bytes that are no text"],
        );
        refused(b"\xff\xfei\0d\0", expect!["the file is UTF-16; save it as UTF-8"]);
        refused(b"[{\"id\":1}]", expect!["the file is one JSON array; give JSON Lines, one object a line"]);
        refused(
            b"{no\n{json\n",
            expect![
                "none of the first 100 lines is a JSON object; line 1: invalid JSON: key must be a string at line 1 column 2"
            ],
        );
        refused(
            b"<!DOCTYPE html>\n<html></html>",
            expect![
                "no column looks like `text`: name it with the option `text`; the columns are: <!DOCTYPE html>"
            ],
        );
        let whole = gzipped(CSV.repeat(100).as_bytes());
        let error = import(&whole[..whole.len() / 2], &ImportOptions::default()).unwrap_err();
        assert!(error.starts_with("the gzip file is damaged or ends early"), "{error}");
    }

    #[test]
    fn a_long_file_of_bad_rows_is_refused_as_a_whole() {
        let text = format!("id,text,time\n{}", "1,x,6/24/2016\n".repeat(BATCH_ROWS));
        let error = import(text.as_bytes(), &ImportOptions::default()).unwrap_err();
        let wanted =
            "none of the first 500 rows is good, so nothing was imported; line 2: the time \"6/24/2016\"";
        assert!(error.starts_with(wanted), "{error}");
        let options = ImportOptions { time_format: Some("%m/%d/%Y".to_owned()), ..ImportOptions::default() };
        assert_eq!(import(text.as_bytes(), &options).unwrap().0.mentions, 1);
    }

    #[test]
    fn wrong_options_are_named() {
        let options = ImportOptions { zone: Some("Mars/Base".to_owned()), ..ImportOptions::default() };
        let error = import(CSV.as_bytes(), &options).unwrap_err();
        assert!(error.starts_with("`zone = \"Mars/Base\"` is not a known time zone"), "{error}");
        let options = ImportOptions { name: "a b".to_owned(), ..ImportOptions::default() };
        let error = import(CSV.as_bytes(), &options).unwrap_err();
        assert!(error.starts_with("`name = \"a b\"` must be"), "{error}");
    }

    #[test]
    fn a_reading_ends_when_nobody_takes_its_rows() {
        let now = Timestamp::default();
        let ended = read(CSV.as_bytes(), &ImportOptions::default(), now, |_| false);
        assert!(matches!(ended, Err(FileError::Stopped)), "{ended:?}");
    }
}
