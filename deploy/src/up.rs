//! `earshot up`: all four services in one process, on one address.

use std::net::SocketAddr;

use anyhow::Context as _;
use earshot_common::broker::{Broker, NewRecord};
use earshot_common::definitions::{Watchlist, difference};
use earshot_common::events::{DefinitionVersion, decode, encode};
use earshot_common::service::{self, Context, Service};
use earshot_common::settings::Settings;
use earshot_common::telemetry;
use earshot_common::topics::WATCHLIST;
use earshot_index::IndexSettings;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{Place, print, watchlist};

/// Runs everything until a signal comes.
pub(crate) async fn up(mut settings: Settings, place: Place) -> anyhow::Result<()> {
    telemetry::start_logging(&settings.shared.log)?;
    if let Some(data) = place.data {
        settings.shared.data = data;
    }
    let stop = CancellationToken::new();
    service::stop_on_signal(stop.clone());
    let up = Up::prepare(settings, place.listen, stop).await?;
    print(&format!("Earshot is at http://{}", up.address()?));
    up.run().await
}

/// All four services, started, and the address that they will be served at.
pub(crate) struct Up {
    context: Context,
    listener: TcpListener,
    services: Vec<Service>,
}

impl Up {
    /// Opens the log, publishes the settings' watchlist files, and starts the services.
    pub(crate) async fn prepare(
        settings: Settings,
        listen: Option<SocketAddr>,
        stop: CancellationToken,
    ) -> anyhow::Result<Self> {
        let owners = watchlist::read_files(&watchlist::files_of(&settings)?)?;
        let address = match listen {
            Some(address) => address,
            None => settings.section::<IndexSettings>("index")?.listen,
        };
        let listener = service::listen(address, settings.shared.login.as_ref()).await?;
        // The services find each other there, whatever the settings say.
        let bound = listener.local_addr().context("read the address that was bound")?;
        let context = service::open(settings.with("index.listen", &bound.to_string())?, stop).await?;
        publish(&context.broker, owners).await?;
        let services = vec![
            earshot_ingest::start(context.clone()).await.context("start ingest")?,
            earshot_enrich::start(context.clone()).await.context("start enrich")?,
            earshot_index::start(context.clone()).await.context("start index")?,
            earshot_alerts::start(context.clone()).await.context("start alerts")?,
        ];
        tracing::info!(settings = ?context.settings.shared, "starting");
        Ok(Self { context, listener, services })
    }

    /// Where the console is.
    pub(crate) fn address(&self) -> anyhow::Result<SocketAddr> {
        self.listener.local_addr().context("read the address that was bound")
    }

    /// Serves until the stop.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        service::run(&self.context, self.listener, self.services).await
    }
}

/// Publishes watchlist files before the services start, so that they know them from their first mention on.
async fn publish(broker: &Broker, owners: watchlist::Owners) -> anyhow::Result<()> {
    let mut published = Watchlist::default();
    let mut unreadable = None;
    broker
        .replay(&WATCHLIST, |record| match decode::<DefinitionVersion>(&record.value) {
            Ok(version) => published.take(record.offset, version),
            Err(error) => unreadable = Some((record.offset, error)),
        })
        .await?;
    if let Some((offset, error)) = unreadable {
        return Err(error).with_context(|| format!("read `watchlist` offset {offset}"));
    }
    let changes = difference(&published, owners)?;
    let records = changes.iter().map(|change| NewRecord::keyed(change.id.clone(), encode(change))).collect();
    broker.append_durably(&WATCHLIST, records).await?;
    Ok(())
}
