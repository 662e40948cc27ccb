//! The timeline as a picture: bars that are links to their time.

use jiff::ToSpan;

use super::address::address;
use super::words::{counted, day, number};
use crate::histogram::{Bucket, Unit};
use crate::params::Parameters;

/// The picture's own units: it is stretched to the page.
const WIDTH: f64 = 1_000.0;
const HEIGHT: f64 = 100.0;
/// Few bars stay slim.
const WIDEST_BAR: f64 = 70.0;

/// The picture.
#[derive(Debug)]
pub(crate) struct TimelineView {
    pub(crate) bars: Vec<Bar>,
    pub(crate) unit: &'static str,
    pub(crate) first: String,
    pub(crate) last: String,
    pub(crate) highest: String,
    pub(crate) negative: String,
    pub(crate) neutral: String,
    pub(crate) positive: String,
}

/// One bar: three blocks upon each other and a link.
#[derive(Debug)]
pub(crate) struct Bar {
    pub(crate) href: String,
    pub(crate) title: String,
    /// Where its slot begins, and how wide that is.
    pub(crate) slot: (String, String),
    pub(crate) blocks: Vec<Block>,
}

/// A block of one polarity.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) class: &'static str,
    pub(crate) x: String,
    pub(crate) y: String,
    pub(crate) width: String,
    pub(crate) height: String,
}

/// Draws the buckets; `None` where there are none.
pub(crate) fn draw(buckets: &[Bucket], unit: Unit, parameters: &Parameters) -> Option<TimelineView> {
    let (first, last) = (buckets.first()?, buckets.last()?);
    let highest = buckets.iter().map(Bucket::total).max().unwrap_or_default();
    let slot = WIDTH / buckets.len() as f64;
    let bars = buckets.iter().enumerate().map(|(at, bucket)| {
        let x = at as f64 * slot;
        Bar {
            href: narrowed(bucket, unit, parameters),
            title: title(bucket, unit),
            slot: (decimals(x), decimals(slot)),
            blocks: blocks(bucket, x, slot, highest),
        }
    });
    let sum = |count: fn(&Bucket) -> u64| number(buckets.iter().map(count).sum());
    Some(TimelineView {
        bars: bars.collect(),
        unit: unit.as_str(),
        first: label(first, unit),
        last: label(last, unit),
        highest: number(highest),
        negative: sum(|bucket| bucket.negative),
        neutral: sum(|bucket| bucket.neutral),
        positive: sum(|bucket| bucket.positive),
    })
}

fn blocks(bucket: &Bucket, x: f64, slot: f64, highest: u64) -> Vec<Block> {
    let width = (slot * 0.8).min(WIDEST_BAR);
    let x = x + (slot - width) / 2.0;
    let mut y = HEIGHT;
    let mut blocks = Vec::new();
    let counts = [("negative", bucket.negative), ("neutral", bucket.neutral), ("positive", bucket.positive)];
    for (class, count) in counts {
        if count == 0 {
            continue;
        }
        let height = HEIGHT * count as f64 / highest as f64;
        y -= height;
        blocks.push(Block {
            class,
            x: decimals(x),
            y: decimals(y),
            width: decimals(width),
            height: decimals(height),
        });
    }
    blocks
}

/// The same search within the bucket's time.
fn narrowed(bucket: &Bucket, unit: Unit, parameters: &Parameters) -> String {
    let date = |at: &jiff::ZonedDateTime| at.date().to_string();
    let (from, to) = match unit {
        Unit::Hour => (bucket.from.timestamp().to_string(), bucket.to.timestamp().to_string()),
        Unit::Day => (date(&bucket.from), date(&bucket.from)),
        // The last day: the end of a span of dates belongs to it.
        Unit::Month => (date(&bucket.from), date(&bucket.to.saturating_sub(1.day()))),
    };
    address(parameters, &[("from", Some(&from)), ("to", Some(&to)), ("cursor", None)])
}

fn title(bucket: &Bucket, unit: Unit) -> String {
    format!(
        "{}: {}, {} negative, {} neutral, {} positive",
        label(bucket, unit),
        counted(bucket.total(), "mention", "mentions"),
        number(bucket.negative),
        number(bucket.neutral),
        number(bucket.positive)
    )
}

fn label(bucket: &Bucket, unit: Unit) -> String {
    match unit {
        Unit::Hour => bucket.from.strftime("%a %-d %b, %H:%M").to_string(),
        Unit::Day => day(&bucket.from),
        Unit::Month => bucket.from.strftime("%B %Y").to_string(),
    }
}

fn decimals(length: f64) -> String {
    format!("{length:.2}")
}
