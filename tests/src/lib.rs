//! Whole flows: real services against a real log, watched from outside through HTTP.
//!
//! What belongs here: starting, killing and asking programs. The flows are in `tests/tests/`, the evaluations
//! on real data in `tests/src/bin/`, the benchmark in `bench`.

pub mod admin;
pub mod aliases;
pub mod bench;
pub mod calibration;
pub mod clock;
pub mod cluster;
pub mod core_time;
pub mod disk;
pub mod faults;
pub mod input;
pub mod labelled;
pub mod load;
pub mod mail;
pub mod node;
pub mod oracle;
pub mod prometheus;
pub mod proxy;
pub mod random_queries;
pub mod receiver;
pub mod sp500;
pub mod standing_queries;
pub mod watch;
