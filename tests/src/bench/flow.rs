//! The whole flow: from a filled `mentions.raw` until all of it can be found, by the programs as they are run.

use std::time::Duration;

use anyhow::Context as _;

use super::ground::{Ground, Installation};
use super::programs::{DEPLOYED, Programs, processes_of};
use super::stages::documents;
use super::usage::{Meter, Process, Spent};
use crate::watch::Watch;

const PAUSE: Duration = Duration::from_millis(50);
/// A flow that takes longer than this is stuck.
const PATIENCE: Duration = Duration::from_secs(900);

/// Measures from the start of what makes it flow until so many mentions can be found.
pub(crate) async fn measure(
    ground: &Ground,
    installation: &Installation,
    mentions: u64,
) -> anyhow::Result<Spent> {
    let prepared = Programs::prepare(ground, installation, DEPLOYED).await?;
    let mut running: Vec<Process> = ground.broker_process().into_iter().collect();
    if let Some(cluster) = &prepared {
        running.extend(processes_of(cluster)?);
    }
    let meter = Meter::start(&running)?;
    let programs = Programs::let_flow(prepared, installation, DEPLOYED).await?;
    let watch = Watch::new(&programs.address("index"));
    let all_found = async {
        while documents(&watch).await? < mentions {
            tokio::time::sleep(PAUSE).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, all_found).await.context("wait until every mention can be found")??;
    let mut processes = programs.processes()?;
    processes.extend(ground.broker_process());
    meter.read(&processes)
}
