//! One poll of a feed over HTTP: ask only for what changed, and not sooner than the server wants.

use std::time::Duration;

use earshot_common::definitions::Source;
use earshot_common::events::Mention;
use earshot_common::time::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::StatusCode;
use reqwest::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, LAST_MODIFIED, RETRY_AFTER,
};
use serde_json::Value;

use super::adapter;
use super::cursor::Cursor;
use crate::sources::client::{Client, FetchError, Fetched};
use crate::sources::{PollError, Polled};

const ACCEPTED: &str =
    "application/rss+xml, application/atom+xml, application/feed+json, application/xml;q=0.9, */*;q=0.5";
/// A server that lets its feed be cached for longer is asked this often all the same.
const LONGEST_MAX_AGE: Duration = Duration::from_secs(60 * 60);

/// Reads a feed, unless it is as it was.
pub(in crate::sources) async fn poll(
    client: &Client,
    source: &Source,
    cursor: Option<&Value>,
    now: Timestamp,
) -> Result<Polled, PollError> {
    let mut cursor = Cursor::read(cursor, &source.url);
    let fetched = client.get(&source.url, &condition(&cursor)).await.map_err(|error| not_fetched(&error))?;
    let wait = asked_wait(&fetched.headers, now);
    if fetched.status == StatusCode::NOT_MODIFIED {
        return Ok(Polled { mentions: Vec::new(), cursor: cursor.write(), wait, result: "not_modified" });
    }
    if !fetched.status.is_success() {
        return Err(PollError { reason: format!("HTTP {}", fetched.status), wait, result: "http_error" });
    }

    cursor.etag = header(&fetched.headers, &ETAG);
    cursor.last_modified = header(&fetched.headers, &LAST_MODIFIED);
    let entries = read(fetched, source.clone(), now).await.map_err(|error| PollError {
        reason: format!("not a feed: {error}"),
        wait,
        result: "not_a_feed",
    })?;
    let mentions = cursor.take(entries, now);
    let result = if mentions.is_empty() { "nothing_new" } else { "new" };
    Ok(Polled { mentions, cursor: cursor.write(), wait, result })
}

/// Parsing is work for a processor: a thread of its own does it, and a parser that panics fails this poll only.
async fn read(fetched: Fetched, source: Source, now: Timestamp) -> anyhow::Result<Vec<Mention>> {
    tokio::task::spawn_blocking(move || {
        let content_type = header(&fetched.headers, &CONTENT_TYPE);
        adapter::mentions(&fetched.body, content_type.as_deref(), &source, now)
    })
    .await?
}

/// Asks for the feed only if it changed.
fn condition(cursor: &Cursor) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static(ACCEPTED));
    for (name, value) in [(IF_NONE_MATCH, &cursor.etag), (IF_MODIFIED_SINCE, &cursor.last_modified)] {
        if let Some(value) = value.as_ref().and_then(|value| HeaderValue::from_str(value).ok()) {
            headers.insert(name, value);
        }
    }
    headers
}

fn not_fetched(error: &FetchError) -> PollError {
    let result = match error {
        FetchError::Private(_) | FetchError::NoAddress { .. } => "refused",
        FetchError::TooLarge => "too_large",
        FetchError::TooManyRedirects { .. } | FetchError::Failed(_) => "unreachable",
    };
    PollError { reason: error.to_string(), wait: Duration::ZERO, result }
}

/// How long the server wants to be left alone.
fn asked_wait(headers: &HeaderMap, now: Timestamp) -> Duration {
    let retry_after = header(headers, &RETRY_AFTER).and_then(|text| retry_after(&text, now));
    let max_age = header(headers, &CACHE_CONTROL).and_then(|text| max_age(&text));
    retry_after.unwrap_or_default().max(max_age.unwrap_or_default().min(LONGEST_MAX_AGE))
}

/// Seconds, or a date (RFC 9110, 10.2.3).
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at: Timestamp = rfc2822::parse(text).ok()?.timestamp().into();
    Some(Duration::from_millis(u64::try_from(at.as_millis() - now.as_millis()).unwrap_or_default()))
}

fn max_age(text: &str) -> Option<Duration> {
    let directives = text.split(',').map(str::trim);
    let seconds = directives.filter_map(|directive| directive.strip_prefix("max-age=")).next()?;
    seconds.trim_matches('"').parse().ok().map(Duration::from_secs)
}

fn header(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_left_alone_as_long_as_it_asks() {
        let now: Timestamp = "2015-10-21T07:28:00Z".parse().unwrap();
        for (name, value, wanted_s) in [
            (RETRY_AFTER, "120", 120),
            (RETRY_AFTER, "Wed, 21 Oct 2015 07:38:00 GMT", 600),
            (RETRY_AFTER, "Wed, 21 Oct 2015 07:00:00 GMT", 0),
            (RETRY_AFTER, "later", 0),
            (CACHE_CONTROL, "public, max-age=900", 900),
            (CACHE_CONTROL, "max-age=31536000", 3_600),
            (CACHE_CONTROL, "no-store", 0),
        ] {
            let headers = HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
            assert_eq!(asked_wait(&headers, now).as_secs(), wanted_s, "{value}");
        }
    }
}
