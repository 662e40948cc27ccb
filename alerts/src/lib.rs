//! The decision side of Earshot: a fold over the log `signals` that opens, moves and closes alerts, and the
//! sender that tells people.
//!
//! [`State`] is the fold: pure, and all decisions are there. [`Past`] runs the same fold over what imports
//! brought. [`Detector`] is the count rule alone, on counts that somebody else made. [`start`] makes a service of them.

mod delivery;
mod fold;
mod heartbeat;
mod history;
mod metrics;
mod outside;
mod service;
mod settings;
mod written;

pub use delivery::Undelivered;
pub use fold::{Detector, HistoryDue, Judged, State};
pub use history::{Found, Past};
pub use service::{DeliveryListing, start};
pub use settings::{AlertsSettings, HeartbeatSettings, MailSettings, WebhookSettings, check};
