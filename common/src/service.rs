//! The service runner: start-up order, health, admin pages and the stop, once for every program.
//!
//! A service is a function of its [`Context`]: it opens what it needs and answers a [`Service`], whose routes
//! the runner serves and whose work the runner drives until the stop.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use futures::future::BoxFuture;
use prometheus::Registry;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::broker::Broker;
use crate::http;
use crate::keys::Secret;
use crate::lag::{InputLag, Inputs};
use crate::metrics::Metrics;
use crate::settings::{DEFAULT_FILE, Login, Settings, SettingsError};
use crate::stage::Surroundings;
use crate::telemetry;
use crate::time::Clock;
use crate::topics;

/// An operator's question waits no longer for the log: it must be answered when the log is the trouble.
const MEASURE_TIMEOUT: Duration = Duration::from_secs(4);

/// What a service gets from its surroundings.
#[derive(Clone, Debug)]
pub struct Context {
    /// The log.
    pub broker: Broker,
    /// Where "now" comes from.
    pub clock: Clock,
    /// Cancelled when the service must stop.
    pub stop: CancellationToken,
    /// Where its metrics are declared.
    pub registry: Registry,
    /// What every program measures, one set for the process.
    pub metrics: Metrics,
    /// Where its stages say how far they are.
    pub inputs: Inputs,
    /// Where it reports that it lives.
    pub health: Health,
    /// The installation's secret.
    pub secret: Secret,
    /// The settings that all services share, and the sections.
    pub settings: Settings,
}

impl Context {
    /// What the loop of a stage needs of these surroundings.
    pub fn around_stage(&self) -> Surroundings {
        Surroundings {
            broker: self.broker.clone(),
            stop: self.stop.clone(),
            health: self.health.clone(),
            inputs: self.inputs.clone(),
            metrics: self.metrics.clone(),
        }
    }
}

/// A service that has started.
pub struct Service {
    /// Its name, for logs.
    pub name: &'static str,
    /// Its HTTP interface, behind the login.
    pub routes: Router,
    /// Routes that carry their own proof, such as signed webhooks, and ask for no login.
    pub signed_routes: Router,
    /// Its work: ends after the stop, when what was in hand is done, or with why it cannot go on.
    pub work: BoxFuture<'static, anyhow::Result<()>>,
}

/// Health as "reported within its deadline": each part of a service says when it was last well.
#[derive(Clone, Debug, Default)]
pub struct Health {
    parts: Arc<Mutex<BTreeMap<String, PartHealth>>>,
}

#[derive(Clone, Debug)]
struct PartHealth {
    reported: Instant,
    deadline: Duration,
    trouble: Option<String>,
}

impl Health {
    /// The part works; it will say so again within the deadline.
    pub fn well(&self, part: &str, deadline: Duration) {
        self.report(part, deadline, None);
    }

    /// The part does not get on, and why.
    pub fn trouble(&self, part: &str, why: impl Into<String>) {
        self.report(part, Duration::from_secs(60), Some(why.into()));
    }

    fn report(&self, part: &str, deadline: Duration, trouble: Option<String>) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.insert(part.to_owned(), PartHealth { reported: Instant::now(), deadline, trouble });
    }

    /// How each part is.
    pub fn parts(&self) -> Vec<PartReport> {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut reports = Vec::new();
        for (name, part) in parts.iter() {
            let silent_s = part.reported.elapsed().as_secs();
            let trouble = match &part.trouble {
                Some(trouble) => Some(trouble.clone()),
                None if part.reported.elapsed() > part.deadline => {
                    Some(format!("has not reported for {silent_s} s"))
                }
                None => None,
            };
            reports.push(PartReport { part: name.clone(), trouble });
        }
        reports
    }
}

/// How a part of a program is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartReport {
    /// The part, such as `enrich`.
    pub part: String,
    /// Why it does not get on; `None` where it does.
    pub trouble: Option<String>,
}

/// Opens the log and makes the surroundings of services that run in this process.
pub async fn open(settings: Settings, stop: CancellationToken) -> anyhow::Result<Context> {
    let secret = Secret::load_or_create(&settings.secret_file())?;
    let broker = Broker::open(&settings.connection(), &topics::ALL).await?;
    let registry = Registry::new();
    let metrics = Metrics::declare(&registry).context("declare the metrics of every program")?;
    Ok(Context {
        broker,
        clock: Clock::system(),
        stop,
        registry,
        metrics,
        inputs: Inputs::default(),
        health: Health::default(),
        secret,
        settings,
    })
}

/// Binds an address. Anything but loopback needs a login.
pub async fn listen(address: SocketAddr, login: Option<&Login>) -> anyhow::Result<TcpListener> {
    if !address.ip().is_loopback() && login.is_none() {
        anyhow::bail!(
            "listen on {address}: an address that others can reach needs a login; set `login.user` and \
             `login.password_hash` (make the hash with `earshot hash-password`)"
        );
    }
    TcpListener::bind(address).await.with_context(|| {
        format!("listen on {address} (is another program using the port? choose another address)")
    })
}

/// Serves the services' routes and drives their work until one fails or the stop comes; then gives the work in
/// hand its grace period.
pub async fn run(context: &Context, listener: TcpListener, services: Vec<Service>) -> anyhow::Result<()> {
    let stop = context.stop.clone();
    // For a client that wants to know whether its login is right before it sends much.
    let mut routes = Router::new().route("/api/login", get(async || StatusCode::NO_CONTENT));
    let mut work = tokio::task::JoinSet::new();
    let names: Vec<&'static str> = services.iter().map(|service| service.name).collect();
    routes = routes.merge(for_operators(context, &names));
    let mut open_routes = admin(context);
    open_routes = open_routes.route("/api/services", get(async move || Json(names)));
    for service in services {
        routes = routes.merge(service.routes);
        open_routes = open_routes.merge(service.signed_routes);
        let name = service.name;
        work.spawn(async move { service.work.await.with_context(|| format!("run {name}")) });
    }
    let login = context.settings.shared.login.clone();
    let app = http::layered(routes, open_routes, login, context.secret.clone(), context.clock.clone());
    let serving = axum::serve(listener, app).with_graceful_shutdown(stop.clone().cancelled_owned());
    work.spawn(async move { serving.await.context("serve HTTP") });

    let mut outcome = Ok(());
    tokio::select! {
        () = stop.cancelled() => {}
        Some(first) = work.join_next() => {
            outcome = first.context("a service panicked").and_then(|done| done);
            if outcome.is_ok() && !stop.is_cancelled() {
                outcome = Err(anyhow::anyhow!("a service ended although nobody told it to stop"));
            }
        }
    }
    stop.cancel();
    let grace = Duration::from_secs(context.settings.shared.stop_grace_s);
    let rest = async {
        while let Some(done) = work.join_next().await {
            let done = done.context("a service panicked").and_then(|done| done);
            if outcome.is_ok() {
                outcome = done;
            }
        }
    };
    if tokio::time::timeout(grace, rest).await.is_err() {
        tracing::warn!(
            grace_s = grace.as_secs(),
            "stop cut short: work in hand will be done again after the next start"
        );
    }
    outcome
}

/// The whole of a service's own program: runs it with the settings file of its arguments, and says in one line
/// why it cannot go on.
#[expect(clippy::print_stderr, reason = "the log may not have started when a program cannot go on")]
pub async fn program<F>(
    listen_on: impl FnOnce(&Settings) -> Result<SocketAddr, SettingsError>,
    start: impl FnOnce(Context) -> F,
) -> ExitCode
where
    F: Future<Output = anyhow::Result<Service>>,
{
    let file = std::env::args_os().nth(1).map_or_else(|| PathBuf::from(DEFAULT_FILE), PathBuf::from);
    match run_alone(&file, listen_on, start).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("earshot: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs one service as a program of its own: the whole start-up order.
pub async fn run_alone<F>(
    file: &Path,
    listen_on: impl FnOnce(&Settings) -> Result<SocketAddr, SettingsError>,
    start: impl FnOnce(Context) -> F,
) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<Service>>,
{
    let settings = Settings::load(file)?;
    telemetry::start_logging(&settings.shared.log)?;
    if settings.shared.kafka.is_none() {
        anyhow::bail!(
            "settings {}: a service of its own needs `kafka.bootstrap_servers`; \
             without Kafka run all four in one process with `earshot up`",
            file.display()
        );
    }
    let listener = listen(listen_on(&settings)?, settings.shared.login.as_ref()).await?;
    let stop = CancellationToken::new();
    stop_on_signal(stop.clone());
    let context = open(settings, stop).await?;
    let service = start(context.clone()).await?;
    let address = listener.local_addr().context("read the address that was bound")?;
    tracing::info!(service = service.name, %address, settings = ?context.settings.shared, "starting");
    run(&context, listener, vec![service]).await
}

/// Cancels the token at the first SIGINT or SIGTERM.
pub fn stop_on_signal(stop: CancellationToken) {
    tokio::spawn(async move {
        let terminated = async {
            #[cfg(unix)]
            {
                use tokio::signal::unix::{SignalKind, signal};
                match signal(SignalKind::terminate()) {
                    Ok(mut signal) => drop(signal.recv().await),
                    Err(_) => std::future::pending().await,
                }
            }
            #[cfg(not(unix))]
            std::future::pending::<()>().await;
        };
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            () = terminated => {}
            () = stop.cancelled() => {}
        }
        stop.cancel();
    });
}

/// `/livez` says that the process serves, `/readyz` that all parts are well, `/metrics` how it goes.
fn admin(context: &Context) -> Router {
    let health = context.health.clone();
    let context = context.clone();
    Router::new()
        .route("/livez", get(async || "alive\n"))
        .route(
            "/readyz",
            get(async move || {
                let troubles = troubles(&health);
                if troubles.is_empty() {
                    return (StatusCode::OK, "ready\n".to_owned());
                }
                let lines: Vec<String> = troubles
                    .iter()
                    .map(|trouble| format!("{}: {}\n", trouble.part, trouble.trouble))
                    .collect();
                (StatusCode::SERVICE_UNAVAILABLE, lines.concat())
            }),
        )
        .route(
            "/metrics",
            get(async move || {
                measure(&context).await;
                telemetry::render(&context.registry)
                    .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
            }),
        )
}

/// `/api/health`: what `earshot status` asks of every program.
fn for_operators(context: &Context, services: &[&'static str]) -> Router {
    let context = context.clone();
    let services = services.to_vec();
    let answer = async move || {
        let inputs = inputs(&context).await;
        let mut troubles = troubles(&context.health);
        if let Err(error) = &inputs {
            troubles.push(Trouble { part: "log".to_owned(), trouble: error.clone() });
        }
        Json(HealthReport {
            version: env!("CARGO_PKG_VERSION"),
            services: services.clone(),
            troubles,
            inputs: inputs.unwrap_or_default(),
        })
    };
    Router::new().route("/api/health", get(answer))
}

/// How a program is, as an operator asks.
#[derive(Debug, Serialize)]
struct HealthReport {
    version: &'static str,
    services: Vec<&'static str>,
    /// Empty where all is well.
    troubles: Vec<Trouble>,
    /// How far each partition is read that is read here.
    inputs: Vec<InputLag>,
}

#[derive(Debug, Serialize)]
struct Trouble {
    part: String,
    trouble: String,
}

fn troubles(health: &Health) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    for PartReport { part, trouble } in health.parts() {
        troubles.extend(trouble.map(|trouble| Trouble { part, trouble }));
    }
    troubles
}

/// Brings the gauges up to date that are only looked at when somebody asks.
async fn measure(context: &Context) {
    context.metrics.show_parts(&context.health.parts());
    context.metrics.show_disk(&context.settings.shared.data);
    match inputs(context).await {
        Ok(lags) => context.metrics.show_lags(&lags),
        Err(error) => tracing::warn!(error, "the lag could not be measured; its gauges stand still"),
    }
}

async fn inputs(context: &Context) -> Result<Vec<InputLag>, String> {
    let measuring = context.inputs.measure(&context.broker, context.clock.now());
    match tokio::time::timeout(MEASURE_TIMEOUT, measuring).await {
        Ok(measured) => measured.map_err(|error| error.to_string()),
        Err(_) => Err(format!("the log gives no answer within {} s", MEASURE_TIMEOUT.as_secs())),
    }
}
