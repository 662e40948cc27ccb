//! Which program dies, where and when. Pure: one seed is one plan.

use std::fmt;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// The points of the code at which each service can be killed.
pub const POINTS: [(Victim, &str); 14] = [
    (Victim::Enrich, "processed"),
    (Victim::Enrich, "stored"),
    (Victim::Enrich, "settled"),
    (Victim::Enrich, "committed"),
    (Victim::Index, "processed"),
    (Victim::Index, "stored"),
    (Victim::Index, "settled"),
    (Victim::Index, "committed"),
    (Victim::Index, "prepared"),
    (Victim::Index, "indexed"),
    (Victim::Alerts, "alerted"),
    (Victim::Alerts, "claimed"),
    (Victim::Alerts, "sent"),
    (Victim::Alerts, "delivered"),
];

/// How often a point is passed before it kills, at most.
const MOST_PASSINGS: u32 = 4;
/// The same for alerts, which passes its points once for a transition or message, and not for each batch.
const MOST_PASSINGS_OF_ALERTS: u32 = 2;
/// A kill at no point comes within this after the one before.
const MOST_WAIT_MS: u64 = 2_000;

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Victim {
    /// An instance of enrich.
    Enrich,
    /// An instance of index.
    Index,
    /// The instance of alerts that writes.
    Alerts,
    /// The one that stands by.
    Standby,
    /// Both at the same time.
    BothAlerts,
    /// The one of ingest.
    Ingest,
    /// Apache Kafka.
    Broker,
}

impl Victim {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Enrich,
        Self::Index,
        Self::Alerts,
        Self::Standby,
        Self::BothAlerts,
        Self::Ingest,
        Self::Broker,
    ];

    /// What it is called in a plan: but for alerts and the broker the service's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Enrich => "enrich",
            Self::Index => "index",
            Self::Alerts => "alerts",
            Self::Standby => "stand-by",
            Self::BothAlerts => "both alerts",
            Self::Ingest => "ingest",
            Self::Broker => "broker",
        }
    }

    /// Whether a message may have been sent whose result is not in the log then.
    pub fn may_repeat_a_message(self) -> bool {
        matches!(self, Self::Alerts | Self::BothAlerts | Self::Broker)
    }
}

/// When it is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// So long after the fault before, wherever it is.
    After(Duration),
    /// At this passing of a point.
    At {
        /// The point.
        point: &'static str,
        /// Counted from 1.
        passing: u32,
    },
}

/// What becomes of the group of enrich before a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// Nothing.
    Stays,
    /// An instance comes.
    Joins,
    /// An instance goes.
    Leaves,
}

/// One kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What becomes of the group before.
    pub membership: Membership,
    /// What is killed.
    pub victim: Victim,
    /// Which of its instances, counted round.
    pub which: usize,
    /// When.
    pub moment: Moment,
    /// Whether the next fault comes before all is well again.
    pub hasty: bool,
}

/// The kills of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What it was made of.
    pub seed: u64,
    /// In their order.
    pub faults: Vec<Fault>,
}

impl Plan {
    /// The plan of a seed.
    pub fn of(seed: u64, kills: usize) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let faults = (0..kills).map(|_| fault(&mut random)).collect();
        Self { seed, faults }
    }
}

fn fault(random: &mut StdRng) -> Fault {
    let membership = match random.random_range(0..5) {
        0 => Membership::Joins,
        1 => Membership::Leaves,
        _ => Membership::Stays,
    };
    let (victim, moment) = if random.random_bool(0.7) {
        let (victim, point) = POINTS[random.random_range(0..POINTS.len())];
        let most = if victim == Victim::Alerts { MOST_PASSINGS_OF_ALERTS } else { MOST_PASSINGS };
        (victim, Moment::At { point, passing: random.random_range(1..=most) })
    } else {
        let wait = Duration::from_millis(random.random_range(0..MOST_WAIT_MS));
        (Victim::ALL[random.random_range(0..Victim::ALL.len())], Moment::After(wait))
    };
    Fault { membership, victim, which: random.random_range(0..6), moment, hasty: random.random_bool(0.25) }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::After(wait) => write!(f, "after {} ms", wait.as_millis()),
            Self::At { point, passing } => write!(f, "at {point}:{passing}"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.membership {
            Membership::Stays => {}
            Membership::Joins => f.write_str("+enrich, ")?,
            Membership::Leaves => f.write_str("-enrich, ")?,
        }
        write!(f, "{} {}", self.victim.name(), self.moment)?;
        if self.hasty { f.write_str(", hasty") } else { Ok(()) }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: Vec<String> = self.faults.iter().map(Fault::to_string).collect();
        write!(f, "seed {}: {}", self.seed, faults.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_seed_is_one_plan_and_many_seeds_reach_every_point_and_victim() {
        assert_eq!(Plan::of(7, 5), Plan::of(7, 5));
        assert_ne!(Plan::of(7, 5), Plan::of(8, 5));
        let (mut reached, mut victims) = (BTreeSet::new(), BTreeSet::new());
        for seed in 0..100 {
            for fault in Plan::of(seed, 5).faults {
                victims.insert(fault.victim);
                if let Moment::At { point, .. } = fault.moment {
                    reached.insert((fault.victim, point));
                }
            }
        }
        assert_eq!(reached, POINTS.into_iter().collect());
        assert_eq!(victims, Victim::ALL.into_iter().collect());
    }
}
