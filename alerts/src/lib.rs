//! The decision side of Earshot: a fold over the log `signals` that opens, moves and closes alerts, and the
//! sender that tells people.
//!
//! [`State`] is the fold: pure, and all decisions are there. [`Past`] runs the same fold over what imports
//! brought. [`Backtest`] says what a rule would have done. [`Detector`] is the count rule alone, on counts that
//! somebody else made. [`start`] makes a service of them.

mod briefs;
mod delivery;
mod fold;
mod heartbeat;
mod history;
mod index_client;
mod metrics;
mod operators;
mod outside;
mod proof;
mod rebuilds;
mod service;
mod settings;
mod snapshot;
mod ticks;
mod why;
mod written;

pub use briefs::BriefAnswer;
pub use delivery::Undelivered;
pub use fold::{Detector, HistoryDue, Judged, State, TakenRebuild};
pub use history::{Found, Past};
pub use operators::{ChannelTest, ReplayAnswer, ReplayRequest, RouteTest};
pub use proof::{
    Backtest, BacktestRequest, Check, Existing, Finding, Fired, Period, SourceGap, SubjectHistory,
    Verification, VerifiedTransition,
};
pub use rebuilds::{RebuildAsked, RebuildListing};
pub use service::{DeliveryListing, start};
pub use settings::{
    AddressSettings, AlertsSettings, HeartbeatSettings, MailSettings, WebhookSettings, check,
};
pub use why::{Fate, WhyAnswer, WhyRecipient, WhyTransition};
