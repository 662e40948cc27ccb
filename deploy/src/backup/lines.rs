//! Records as JSON Lines: for people to read and for other tools to use, and without any loss.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;

use anyhow::Context as _;
use earshot_common::broker::{ReadableBytes, Record};
use earshot_common::events::decode;
use earshot_common::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::write_private;

/// A record as a line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    partition: u32,
    offset: u64,
    appended: Timestamp,
    key: Option<ReadableBytes>,
    value: ReadableBytes,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    headers: Vec<(String, ReadableBytes)>,
}

/// Writes records to a new file, one a line.
pub(super) struct Writer<'a> {
    path: &'a Path,
    file: BufWriter<File>,
    outcome: std::io::Result<()>,
}

impl<'a> Writer<'a> {
    pub(super) fn create(path: &'a Path) -> anyhow::Result<Self> {
        write_private(path, b"")?;
        let file = File::options().append(true).open(path);
        let file = file.with_context(|| format!("write {}", path.display()))?;
        Ok(Self { path, file: BufWriter::new(file), outcome: Ok(()) })
    }

    /// Takes a record; a failure is said by [`Writer::finish`].
    pub(super) fn take(&mut self, record: Record) {
        if self.outcome.is_ok() {
            let line = to_line(record);
            self.outcome = serde_json::to_writer(&mut self.file, &line)
                .map_err(Into::into)
                .and_then(|()| self.file.write_all(b"\n"));
        }
    }

    /// Ends when all is on the disk.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        let Self { path, file, outcome } = self;
        let written =
            outcome.and_then(|()| file.into_inner().map_err(|error| error.into_error())?.sync_all());
        written.with_context(|| format!("write {}", path.display()))
    }
}

/// The records of a file, in its order.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<Record>> {
    let file = File::open(path).with_context(|| format!("read {}", path.display()))?;
    let mut records = Vec::new();
    for (number, line) in (1_u64..).zip(BufReader::new(file).split(b'\n')) {
        let at = || format!("read {} line {number}", path.display());
        let line: Line = decode(&line.with_context(at)?).with_context(at)?;
        records.push(to_record(line));
    }
    Ok(records)
}

fn to_line(record: Record) -> Line {
    Line {
        partition: record.partition,
        offset: record.offset,
        appended: record.appended,
        key: record.key.map(ReadableBytes),
        value: ReadableBytes(record.value),
        headers: record.headers.into_iter().map(|(name, value)| (name, ReadableBytes(value))).collect(),
    }
}

fn to_record(line: Line) -> Record {
    Record {
        partition: line.partition,
        offset: line.offset,
        appended: line.appended,
        key: line.key.map(|key| key.0),
        value: line.value.0,
        headers: line.headers.into_iter().map(|(name, value)| (name, value.0)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(offset: u64, key: Option<&'static [u8]>, value: &'static [u8]) -> Record {
        Record {
            partition: 0,
            offset,
            appended: "2026-01-05T09:41:00.123Z".parse().unwrap(),
            key: key.map(Into::into),
            value: value.into(),
            headers: vec![("reason".to_owned(), value.into())],
        }
    }

    #[test]
    fn records_come_back_as_they_were_whatever_bytes_they_hold() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.jsonl");
        let records = [
            record(0, Some(b"k"), br#"{"v":1}"#),
            record(7, Some(&[0xff, 0]), &[0xc3]),
            record(8, None, b""),
        ];
        let mut writer = Writer::create(&path).unwrap();
        records.iter().for_each(|record| writer.take(record.clone()));
        writer.finish().unwrap();
        assert_eq!(read(&path).unwrap(), records);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(
            text.lines().next(),
            Some(
                r#"{"partition":0,"offset":0,"appended":"2026-01-05T09:41:00.123Z","key":"k","value":"{\"v\":1}","headers":[["reason","{\"v\":1}"]]}"#
            )
        );
    }

    #[test]
    fn a_line_that_is_no_record_is_named_by_file_line_and_field() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.jsonl");
        let good =
            r#"{"partition":0,"offset":0,"appended":"2026-01-05T09:41:00.123Z","key":"k","value":"v"}"#;
        for (bad, wanted) in [
            (good.replace("09:41", "25:41"), "appended"),
            (good.replace("\"k\"", "{\"base64\":\"?\"}"), "key"),
            (good.replace("\"value\"", "\"values\""), "values"),
        ] {
            std::fs::write(&path, format!("{good}\n{bad}\n")).unwrap();
            let error = format!("{:#}", read(&path).unwrap_err());
            assert!(error.contains("t.jsonl line 2") && error.contains(wanted), "{error}");
        }
    }
}
