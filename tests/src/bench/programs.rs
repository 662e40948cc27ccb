//! The programs as an operator runs them: four services on Kafka, `earshot up` without it.

use std::path::PathBuf;

use anyhow::Context as _;

use super::ground::{Ground, Installation};
use super::usage::Process;
use crate::cluster::Cluster;
use crate::node::Node;

/// What our deployment files set: glibc otherwise lets freed memory lie about in the arenas of its threads.
pub(crate) const DEPLOYED: &[(&str, &str)] =
    &[("MALLOC_MMAP_THRESHOLD_", "131072"), ("MALLOC_TRIM_THRESHOLD_", "131072")];

/// Running programs of one installation.
#[derive(Debug)]
pub(crate) enum Programs {
    /// All four services in one process.
    One(Node),
    /// A process for each service.
    Four(Cluster),
}

impl Programs {
    /// Starts what reads, but for enrich on Kafka: nothing flows before [`Programs::let_flow`].
    pub(crate) async fn prepare(
        ground: &Ground,
        installation: &Installation,
        environment: &[(&str, &str)],
    ) -> anyhow::Result<Option<Cluster>> {
        let Ground::Kafka { .. } = ground else { return Ok(None) };
        let mut cluster = Cluster::in_folder(&own_program()?, installation.folder());
        cluster.set_environment(environment);
        for service in ["alerts", "index", "ingest"] {
            cluster.start(service).await?;
        }
        Ok(Some(cluster))
    }

    /// Starts the rest; from here on mentions flow.
    pub(crate) async fn let_flow(
        prepared: Option<Cluster>,
        installation: &Installation,
        environment: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        match prepared {
            Some(mut cluster) => {
                cluster.start("enrich").await?;
                Ok(Self::Four(cluster))
            }
            None => {
                let arguments = ["up", "--listen", "127.0.0.1:0"];
                let program = own_program()?;
                let node = Node::start_with(&program, installation.folder(), &arguments, environment);
                Ok(Self::One(node.await?))
            }
        }
    }

    /// Where a service answers.
    pub(crate) fn address(&self, service: &str) -> String {
        match self {
            Self::One(node) => node.address.clone(),
            Self::Four(cluster) => cluster.address(service),
        }
    }

    /// Their processes.
    pub(crate) fn processes(&self) -> anyhow::Result<Vec<Process>> {
        match self {
            Self::One(node) => {
                let id = node.process_id().context("the program has ended")?;
                Ok(vec![Process { name: "earshot".to_owned(), id }])
            }
            Self::Four(cluster) => processes_of(cluster),
        }
    }
}

/// The processes of services that are up.
pub(crate) fn processes_of(cluster: &Cluster) -> anyhow::Result<Vec<Process>> {
    let mut processes = Vec::new();
    for (service, id) in cluster.process_ids() {
        processes.push(Process { name: service.to_owned(), id: id.context("a service has ended")? });
    }
    Ok(processes)
}

/// The benchmark's own file: it plays the programs too, so that one build is enough.
pub(crate) fn own_program() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("find the benchmark's own file")
}
