//! Seeded faults on Apache Kafka: a plan made of a seed, and a run that carries it out under a live burst and
//! an import, until all is well again. What must hold at the end is in [`crate::oracle`].

mod plan;
mod run;
mod scene;

pub use plan::{Fault, Membership, Moment, POINTS, Plan, Victim};
pub use run::{Outcome, Ran, carry_out};
pub use scene::{Scene, Settled};
