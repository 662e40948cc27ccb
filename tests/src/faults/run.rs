//! Carries out a plan on a scene.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::scene::{STOP, Scene, Settled};
use super::{Fault, Membership, Moment, Plan, Victim};
use crate::cluster::{Cluster, KafkaNode};

/// A point that is not passed within this is not passed at all.
const REACH: Duration = Duration::from_secs(40);
/// Most instances of enrich at a time.
const MOST_ENRICH: usize = 3;

/// What became of one fault.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The fault.
    pub fault: Fault,
    /// Whether its point was reached; else it was killed where it was.
    pub reached: bool,
    /// From the kill until all that had been taken by then was searchable everywhere and decided. `None` where
    /// the next fault came before.
    pub recovered: Option<Duration>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fault.fmt(f)?;
        if !self.reached {
            f.write_str(", not reached")?;
        }
        match self.recovered {
            Some(time) => write!(f, ", {:.1} s", time.as_secs_f64()),
            None => Ok(()),
        }
    }
}

/// A run that has ended well.
#[derive(Clone, Debug)]
pub struct Ran {
    /// Its faults.
    pub outcomes: Vec<Outcome>,
    /// What it had to do with.
    pub settled: Settled,
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcomes: Vec<String> = self.outcomes.iter().map(Outcome::to_string).collect();
        write!(f, "{} | {}", outcomes.join("; "), self.settled)
    }
}

/// Carries out a plan. The topics are the run's own; an error says what did not hold.
pub async fn carry_out(
    binary: &Path,
    folder: &Path,
    kafka: &mut KafkaNode,
    plan: &Plan,
) -> anyhow::Result<Ran> {
    let mut scene = Scene::start(binary, folder, &kafka.address, plan.seed).await?;
    let mut outcomes = Vec::new();
    for fault in &plan.faults {
        let carried = carry_out_one(&mut scene, kafka, fault).await;
        outcomes.push(carried.with_context(|| fault.to_string())?);
        scene.load.next_company();
    }
    let crashes = outcomes.iter().filter(|outcome| outcome.fault.victim == Victim::Alerts).count();
    let settled = scene.settle(crashes).await.context("after all faults")?;
    Ok(Ran { outcomes, settled })
}

async fn carry_out_one(scene: &mut Scene, kafka: &mut KafkaNode, fault: &Fault) -> anyhow::Result<Outcome> {
    let cluster = &mut scene.cluster;
    change_members(cluster, fault.membership).await?;
    let mut reached = true;
    let killed;
    if fault.victim == Victim::Broker {
        wait(fault.moment).await;
        killed = Instant::now();
        kafka.kill_and_start_again().await?;
    } else {
        let names = cluster.names(fault.victim.name());
        let name = names[fault.which % names.len()].clone();
        match fault.moment {
            Moment::After(_) => wait(fault.moment).await,
            Moment::At { point, passing } => {
                cluster.end(&name, STOP).await?;
                cluster.start_again(&name, &[("EARSHOT_KILL_AT", &format!("{point}:{passing}"))]).await?;
                // So that alerts has new ones to open and to tell.
                scene.load.next_company();
                reached = cluster.ends_by_itself(&name, REACH).await?;
            }
        }
        cluster.kill(&name).await?;
        killed = Instant::now();
        cluster.start_again(&name, &[]).await?;
    }
    if fault.hasty {
        return Ok(Outcome { fault: *fault, reached, recovered: None });
    }
    scene.until_well().await?;
    Ok(Outcome { fault: *fault, reached, recovered: Some(killed.elapsed()) })
}

async fn wait(moment: Moment) {
    if let Moment::After(wait) = moment {
        tokio::time::sleep(wait).await;
    }
}

async fn change_members(cluster: &mut Cluster, membership: Membership) -> anyhow::Result<()> {
    let names = cluster.names("enrich");
    match membership {
        Membership::Joins if names.len() < MOST_ENRICH => {
            cluster.start("enrich").await?;
        }
        Membership::Leaves if names.len() > 1 => {
            cluster.end(&names[0], STOP).await?;
            cluster.forget(&names[0]);
        }
        _ => {}
    }
    Ok(())
}
