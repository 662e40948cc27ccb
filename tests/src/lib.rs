//! Whole flows: real services against a real log, watched from outside through HTTP.
//!
//! What belongs here: starting, killing and asking programs. The flows are in `tests/tests/`, the evaluations
//! on real data in `tests/src/bin/`.

pub mod cluster;
pub mod input;
pub mod labelled;
pub mod mail;
pub mod node;
pub mod watch;
