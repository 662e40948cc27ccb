//! What Earshot's services share: the contract (events, topics, definitions, query language, text), the
//! broker interface with its two back ends, the loop of the stages and the service runner.
//!
//! Pure except for [`broker`], [`settings`], [`telemetry`] and [`service`]. Services depend on this crate
//! and never on each other.

pub mod broker;
pub mod calendar;
pub mod definitions;
pub mod disk;
pub mod erasures;
pub mod events;
pub mod fail_point;
pub mod http;
pub mod keys;
pub mod lag;
pub mod lease;
pub mod metrics;
pub mod query;
pub mod service;
pub mod settings;
pub mod signed;
pub mod stage;
pub mod telemetry;
pub mod text;
pub mod time;
pub mod topics;
