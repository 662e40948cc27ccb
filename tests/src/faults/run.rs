//! Carries out a plan on a scene.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::scene::{self, STOP, Scene, Settled};
use super::{Fault, Membership, Moment, Plan, Victim};
use crate::cluster::{Cluster, KafkaNode};

/// What tells a program at which passing of a point it kills itself.
const KILL_AT: &str = "EARSHOT_KILL_AT";
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
    let crashes = outcomes.iter().filter(|outcome| outcome.fault.victim.may_repeat_a_message()).count();
    let settled = scene.settle(crashes).await.context("after all faults")?;
    Ok(Ran { outcomes, settled })
}

async fn carry_out_one(scene: &mut Scene, kafka: &mut KafkaNode, fault: &Fault) -> anyhow::Result<Outcome> {
    change_members(&mut scene.cluster, fault.membership).await?;
    let (killed, reached) = match (fault.victim, fault.moment) {
        (Victim::Broker, _) => {
            wait(fault.moment).await;
            let killed = Instant::now();
            kafka.kill_and_start_again().await?;
            (killed, true)
        }
        (_, Moment::After(_)) => {
            wait(fault.moment).await;
            let names = victims(&scene.cluster, fault).await?;
            (kill_and_start_again(&mut scene.cluster, &names).await?, true)
        }
        (Victim::Alerts, Moment::At { point, passing }) => {
            let armed = let_the_standby_take_over(&mut scene.cluster, point, passing).await?;
            kill_at_point(scene, &armed).await?
        }
        (_, Moment::At { point, passing }) => {
            let name = victims(&scene.cluster, fault).await?.remove(0);
            scene.cluster.end(&name, STOP).await?;
            scene.cluster.start_again(&name, &[(KILL_AT, &format!("{point}:{passing}"))]).await?;
            kill_at_point(scene, &name).await?
        }
    };
    if fault.hasty {
        return Ok(Outcome { fault: *fault, reached, recovered: None });
    }
    scene.until_well().await?;
    Ok(Outcome { fault: *fault, reached, recovered: Some(killed.elapsed()) })
}

/// Waits until an instance has killed itself at its point, and kills it where it does not come there; then starts it
/// again. Answers when it was gone, and whether it came there.
async fn kill_at_point(scene: &mut Scene, name: &str) -> anyhow::Result<(Instant, bool)> {
    // So that alerts has new ones to open and to tell.
    scene.load.next_company();
    let reached = scene.cluster.ends_by_itself(name, REACH).await?;
    let killed = kill_and_start_again(&mut scene.cluster, &[name.to_owned()]).await?;
    Ok((killed, reached))
}

async fn kill_and_start_again(cluster: &mut Cluster, names: &[String]) -> anyhow::Result<Instant> {
    for name in names {
        cluster.kill(name).await?;
    }
    let killed = Instant::now();
    for name in names {
        cluster.start_again(name, &[]).await?;
    }
    Ok(killed)
}

/// The names of what a fault kills.
async fn victims(cluster: &Cluster, fault: &Fault) -> anyhow::Result<Vec<String>> {
    let one_of = |names: Vec<String>| vec![names[fault.which % names.len()].clone()];
    Ok(match fault.victim {
        Victim::Alerts => vec![scene::alerts(cluster).await?.0],
        Victim::Standby => vec![scene::alerts(cluster).await?.1],
        Victim::BothAlerts => cluster.names("alerts"),
        victim => one_of(cluster.names(victim.name())),
    })
}

/// The instance of alerts that stands by is started again so that it dies at a point, and then the other one, in
/// peace: so this one writes, until it comes there. Answers its name.
async fn let_the_standby_take_over(
    cluster: &mut Cluster,
    point: &str,
    passing: u32,
) -> anyhow::Result<String> {
    let (active, standby) = scene::alerts(cluster).await?;
    cluster.end(&standby, STOP).await?;
    cluster.start_again(&standby, &[(KILL_AT, &format!("{point}:{passing}"))]).await?;
    cluster.end(&active, STOP).await?;
    // Before the other one is there again: else the group may choose that one.
    scene::until_active(cluster, &standby).await?;
    cluster.start_again(&active, &[]).await?;
    Ok(standby)
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
