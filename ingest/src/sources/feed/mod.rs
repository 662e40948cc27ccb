//! Feeds: RSS, Atom and JSON Feed, polled.
//!
//! `poll` speaks HTTP, `document` makes text of bytes, `adapter` makes mentions of text, and `cursor` knows what
//! was seen. A deletion cannot be seen in a feed: an entry that is no longer there has only become old.

mod adapter;
mod cursor;
mod document;
mod poll;

pub(super) use poll::poll;
