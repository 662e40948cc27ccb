//! The contract of the topics, both ways: every example in `golden/` is read, and written again as it is.
//!
//! A new schema version adds files; the files of older versions stay.

#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::path::Path;

use earshot_common::events::{
    AlertEvent, DefinitionVersion, EnrichedEvent, Erasure, MentionEvent, RebuildRequest, SignalRecord,
    SourceState, decode, encode,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

#[test]
fn every_golden_example_is_read_and_written_again_as_it_is() {
    let mut examples = 0;
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        match name.split(".v").next().unwrap() {
            "mentions.raw" => round_trip::<MentionEvent>(&name, &text),
            "mentions.enriched" => round_trip::<EnrichedEvent>(&name, &text),
            "signals" => round_trip::<SignalRecord>(&name, &text),
            "alerts" => round_trip::<AlertEvent>(&name, &text),
            "watchlist" => round_trip::<DefinitionVersion>(&name, &text),
            "source.state" => round_trip::<SourceState>(&name, &text),
            "erasures" => round_trip::<Erasure>(&name, &text),
            "rebuilds" => round_trip::<RebuildRequest>(&name, &text),
            other => panic!("{name}: no topic is called {other}"),
        }
        examples += 1;
    }
    assert_eq!(examples, 76);
}

fn round_trip<T: Serialize + DeserializeOwned>(name: &str, text: &str) {
    let record: T = decode(text.as_bytes()).unwrap_or_else(|error| panic!("{name}: {error}"));
    let written: Value = serde_json::from_slice(&encode(&record)).unwrap();
    let golden: Value = serde_json::from_str(text).unwrap();
    assert_eq!(written, golden, "{name}");
}

#[test]
fn a_reader_ignores_fields_that_it_does_not_know() {
    let newer = include_str!("golden/signals.v1.progress.json").replacen('{', "{\"colour\":\"red\",", 1);
    decode::<SignalRecord>(newer.as_bytes()).unwrap();
}

#[test]
fn a_version_from_the_future_is_refused_by_its_number() {
    let future = include_str!("golden/mentions.raw.v1.upsert.json").replacen("\"v\":1", "\"v\":2", 1);
    let error = decode::<MentionEvent>(future.as_bytes()).unwrap_err();
    assert!(error.newer_version);
    let error = error.to_string();
    assert!(error.contains("schema version 2 is not one that this program reads (1 to 1)"), "{error}");
}

#[test]
fn a_wrong_field_is_named() {
    let wrong = include_str!("golden/source.state.v1.json").replace("2026-01-01T00:00:15.000Z", "yesterday");
    let error = decode::<SourceState>(wrong.as_bytes()).unwrap_err().to_string();
    assert!(error.starts_with("decode field `last_success`: `yesterday` is not an RFC 3339 time"), "{error}");
}
