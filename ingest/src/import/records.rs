//! Cuts a file into the bytes of its records, each with the line that it begins on.
//!
//! The fields of a record are read by libraries. They are not given the file itself, because the dead letters
//! want a bad row as it was, the lines must be right behind a quoted line end, and a quote that is never
//! closed must cost its own row and not the rest of the file.

use std::collections::VecDeque;
use std::io::{self, BufRead};

use super::options::Format;

/// A longer row is a bad one.
pub(super) const MAX_RECORD_BYTES: usize = 1024 * 1024;

/// The bytes of a record without its line end, and where it begins.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RawRecord {
    /// From 1.
    pub(super) line: u64,
    pub(super) bytes: Vec<u8>,
    pub(super) fault: Option<Fault>,
}

/// Why a record cannot even be looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("the row is longer than {MAX_RECORD_BYTES} bytes")]
    TooLong,
    #[error("a quoted field is never closed")]
    UnclosedQuote,
}

/// Reads records. Empty lines are none.
#[derive(Debug)]
pub(super) struct Records<R> {
    reader: R,
    format: Format,
    delimiter: u8,
    line: u64,
    /// Lines that were read in search of a closing quote and must be read again.
    ahead: VecDeque<Line>,
}

#[derive(Clone, Debug)]
struct Line {
    number: u64,
    bytes: Vec<u8>,
    too_long: bool,
}

impl<R: BufRead> Records<R> {
    /// Records of a file; the delimiter counts for CSV only.
    pub(super) fn new(reader: R, format: Format, delimiter: u8) -> Self {
        Self { reader, format, delimiter, line: 0, ahead: VecDeque::new() }
    }

    /// The next record, or none at the end of the file.
    pub(super) fn next(&mut self) -> io::Result<Option<RawRecord>> {
        let Some(first) = self.next_line()? else { return Ok(None) };
        if first.too_long {
            return Ok(Some(first.into_record(Some(Fault::TooLong))));
        }
        let mut quotes = Quotes::new(self.delimiter);
        if self.format == Format::Jsonl || !quotes.open_after(&first.bytes) {
            return Ok(Some(first.into_record(None)));
        }
        let mut bytes = first.bytes.clone();
        let mut more = Vec::new();
        while let Some(line) = self.take_line()? {
            let fits = !line.too_long && bytes.len() + line.bytes.len() < MAX_RECORD_BYTES;
            more.push(line.clone());
            if !fits {
                break;
            }
            bytes.push(b'\n');
            bytes.extend_from_slice(&line.bytes);
            if !quotes.open_after(&line.bytes) {
                return Ok(Some(RawRecord { line: first.number, bytes, fault: None }));
            }
        }
        for line in more.into_iter().rev() {
            self.ahead.push_front(line);
        }
        Ok(Some(first.into_record(Some(Fault::UnclosedQuote))))
    }

    /// The next line that is not empty.
    fn next_line(&mut self) -> io::Result<Option<Line>> {
        while let Some(line) = self.take_line()? {
            if !line.bytes.iter().all(u8::is_ascii_whitespace) {
                return Ok(Some(line));
            }
        }
        Ok(None)
    }

    fn take_line(&mut self) -> io::Result<Option<Line>> {
        if let Some(line) = self.ahead.pop_front() {
            return Ok(Some(line));
        }
        let mut bytes = Vec::new();
        let mut limited = io::Read::take(&mut self.reader, MAX_RECORD_BYTES as u64 + 1);
        if limited.read_until(b'\n', &mut bytes)? == 0 {
            return Ok(None);
        }
        self.line += 1;
        let too_long = bytes.len() > MAX_RECORD_BYTES && !bytes.ends_with(b"\n");
        if too_long {
            self.reader.skip_until(b'\n')?;
        }
        if bytes.ends_with(b"\n") {
            bytes.pop();
        }
        if bytes.ends_with(b"\r") {
            bytes.pop();
        }
        Ok(Some(Line { number: self.line, bytes, too_long }))
    }
}

impl Line {
    fn into_record(self, fault: Option<Fault>) -> RawRecord {
        RawRecord { line: self.number, bytes: self.bytes, fault }
    }
}

/// Follows the quotes of CSV: one that begins a field opens it, and a doubled one within stands for itself.
#[derive(Debug)]
struct Quotes {
    delimiter: u8,
    open: bool,
}

impl Quotes {
    fn new(delimiter: u8) -> Self {
        Self { delimiter, open: false }
    }

    /// Whether a quoted field is still open after this line.
    fn open_after(&mut self, line: &[u8]) -> bool {
        let mut field_starts = !self.open;
        for &byte in line {
            if byte == b'"' && (field_starts || self.open) {
                self.open = !self.open;
                // Directly after a closing quote another one opens again: it was a doubled one.
                field_starts = !self.open;
            } else {
                field_starts = !self.open && byte == self.delimiter;
            }
        }
        self.open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(text: &[u8], format: Format) -> Vec<(u64, String, Option<Fault>)> {
        let mut records = Records::new(text, format, b',');
        let mut all = Vec::new();
        while let Some(record) = records.next().unwrap() {
            all.push((record.line, String::from_utf8(record.bytes).unwrap(), record.fault));
        }
        all
    }

    fn good(line: u64, text: &str) -> (u64, String, Option<Fault>) {
        (line, text.to_owned(), None)
    }

    #[test]
    fn a_quoted_line_end_does_not_end_a_record() {
        let text = b"a,b\r\n1,\"two\nlines, \"\"quoted\"\"\"\n\n2,5\" pipe\n3,x";
        let wanted = [
            good(1, "a,b"),
            good(2, "1,\"two\nlines, \"\"quoted\"\"\""),
            good(5, "2,5\" pipe"),
            good(6, "3,x"),
        ];
        assert_eq!(records(text, Format::Csv), wanted);
    }

    #[test]
    fn a_quote_that_is_never_closed_costs_one_row() {
        let wanted = [good(1, "a,b"), (2, "1,\"open".to_owned(), Some(Fault::UnclosedQuote)), good(3, "2,x")];
        assert_eq!(records(b"a,b\n1,\"open\n2,x\n", Format::Csv), wanted);
    }

    #[test]
    fn a_row_past_the_limit_is_bad_and_the_next_is_read() {
        let text = format!("{}\nnext\n", "x".repeat(2 * MAX_RECORD_BYTES));
        let records = records(text.as_bytes(), Format::Jsonl);
        assert_eq!(records[0].2, Some(Fault::TooLong));
        assert_eq!(records[0].1.len(), MAX_RECORD_BYTES + 1);
        assert_eq!(records[1], good(2, "next"));
    }

    #[test]
    fn quotes_mean_nothing_between_the_lines_of_json() {
        assert_eq!(records(b"\"a\n\"b\n", Format::Jsonl), [good(1, "\"a"), good(2, "\"b")]);
    }
}
