//! The whole flow: from a filled `mentions.raw` until all of it can be found, by the programs as they are run.

use std::time::Duration;

use anyhow::Context as _;

use super::ground::{Ground, Installation};
use super::programs::{DEPLOYED, Programs, processes_of};
use super::stages::documents;
use super::usage::{Memory, Meter, Process, Spent};
use crate::watch::Watch;

const PAUSE: Duration = Duration::from_millis(50);
/// A flow that takes longer than this is stuck.
const PATIENCE: Duration = Duration::from_secs(900);

/// What a whole flow took.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    /// Time, of the clock and of processors.
    pub(crate) spent: Spent,
    /// The most private memory of the programs.
    pub(crate) memory: Memory,
}

/// Measures from the start of what makes it flow until so many mentions can be found.
pub(crate) async fn measure(
    ground: &Ground,
    installation: &Installation,
    mentions: u64,
) -> anyhow::Result<Flow> {
    let prepared = Programs::prepare(ground, installation, DEPLOYED).await?;
    let mut running: Vec<Process> = ground.broker_process().into_iter().collect();
    if let Some(cluster) = &prepared {
        running.extend(processes_of(cluster)?);
    }
    let meter = Meter::start(&running)?;
    let programs = Programs::let_flow(prepared, installation, DEPLOYED).await?;
    let watch = Watch::new(&programs.address("index"));
    let mut processes = programs.processes()?;
    let mut memory = Memory::default();
    let all_found = async {
        while documents(&watch).await? < mentions {
            memory.look(&processes)?;
            tokio::time::sleep(PAUSE).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, all_found).await.context("wait until every mention can be found")??;
    processes.extend(ground.broker_process());
    Ok(Flow { spent: meter.read(&processes)?, memory })
}
