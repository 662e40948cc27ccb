//! The way to the running system: which of its addresses serves what a command needs.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use earshot_alerts::AlertsSettings;
use earshot_common::http::{REQUEST_TIMEOUT, reached_at};
use earshot_common::settings::Settings;
use earshot_enrich::EnrichSettings;
use earshot_index::IndexSettings;
use earshot_ingest::IngestSettings;
use reqwest::{RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Where the running system is, and who asks.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Server {
    /// Address of the running system, such as http://127.0.0.1:7700; the settings' when not given
    #[arg(long, value_name = "URL", env = "EARSHOT_SERVER")]
    server: Option<String>,
    #[command(flatten)]
    login: Login,
}

/// Who asks.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Login {
    /// Name to log in with, where the system asks for one
    #[arg(long, value_name = "NAME", env = "EARSHOT_USER")]
    user: Option<String>,
    /// Password to log in with; better given as the environment's EARSHOT_PASSWORD
    #[arg(long, value_name = "PASSWORD", env = "EARSHOT_PASSWORD", hide_env_values = true)]
    password: Option<String>,
}

impl Login {
    /// The request with this login, where there is one.
    pub(crate) fn with(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.user {
            Some(user) => request.basic_auth(user, self.password.as_deref()),
            None => request,
        }
    }
}

impl Server {
    /// The system at an address.
    pub(crate) fn at(url: String) -> Self {
        Self { server: Some(url), ..Self::default() }
    }
}

/// A running service.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    base: String,
    http: reqwest::Client,
    login: Login,
}

impl Client {
    /// Finds the address that serves the given service.
    pub(crate) async fn find(server: &Server, settings: &Path, service: &str) -> anyhow::Result<Self> {
        let candidates = match &server.server {
            Some(url) => vec![url.trim_end_matches('/').to_owned()],
            None => addresses(settings)?.into_iter().map(|(_, address)| address).collect(),
        };
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .build()
            .context("make the HTTP client")?;
        let mut troubles = Vec::new();
        for base in candidates {
            match services_at(&http, &base).await {
                Ok(names) if names.iter().any(|name| name == service) => {
                    let client = Self { base, http, login: server.login.clone() };
                    client.log_in().await?;
                    return Ok(client);
                }
                Ok(names) => troubles.push(format!("{base} serves {}", names.join(", "))),
                Err(error) => troubles.push(format!("{base}: {error:#}")),
            }
        }
        anyhow::bail!(
            "no running {service} service was found ({}); start it with `earshot up`, or say where it is with --server",
            troubles.join("; ")
        )
    }

    /// A request for something of the service.
    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.with_login(self.http.get(format!("{}{path}", self.base)))
    }

    /// A request to post to the service.
    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.with_login(self.http.post(format!("{}{path}", self.base)))
    }

    /// Asks whether the login is right, so that a refusal is heard before a long body is on its way.
    async fn log_in(&self) -> anyhow::Result<()> {
        let request = self.get("/api/login").timeout(REQUEST_TIMEOUT);
        let response = request.send().await.with_context(|| format!("ask {}", self.base))?;
        if response.status().is_success() {
            return Ok(());
        }
        let refused = answer::<serde_json::Value>(response).await.err();
        let refused = refused.unwrap_or_else(|| anyhow::anyhow!("the login was refused"));
        Err(refused.context(format!("use {} (give --user, and the password as EARSHOT_PASSWORD)", self.base)))
    }

    fn with_login(&self, request: RequestBuilder) -> RequestBuilder {
        self.login.with(request)
    }

    /// Asks for a value, with the names and values of the address.
    pub(crate) async fn get_json<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &impl Serialize,
    ) -> anyhow::Result<T> {
        let request = self.get(path).query(query).timeout(REQUEST_TIMEOUT);
        answer(request.send().await.with_context(|| format!("ask {}{path}", self.base))?).await
    }

    /// Posts a value and reads the answer.
    pub(crate) async fn post_json<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> anyhow::Result<T> {
        let request = self.post(path).json(body).timeout(REQUEST_TIMEOUT);
        answer(request.send().await.with_context(|| format!("ask {}{path}", self.base))?).await
    }
}

/// The value of an answer, or the refusal's words.
pub(crate) async fn answer<T: DeserializeOwned>(response: Response) -> anyhow::Result<T> {
    #[derive(serde::Deserialize)]
    struct Refusal {
        error: String,
    }

    let status = response.status();
    let body = response.bytes().await.context("read the answer")?;
    if status.is_success() {
        return serde_json::from_slice(&body).context("read the answer");
    }
    match serde_json::from_slice::<Refusal>(&body) {
        Ok(refusal) => anyhow::bail!("{}", refusal.error),
        Err(_) => anyhow::bail!("{status}: {}", String::from_utf8_lossy(&body)),
    }
}

async fn services_at(http: &reqwest::Client, base: &str) -> anyhow::Result<Vec<String>> {
    let request = http.get(format!("{base}/api/services")).timeout(REQUEST_TIMEOUT);
    answer(request.send().await?).await
}

/// Where each service is by the settings: the console first, whose address serves everything in `earshot up`.
pub(crate) fn addresses(file: &Path) -> anyhow::Result<Vec<(&'static str, String)>> {
    let settings = match file.is_file() {
        true => Settings::load(file)?,
        false => Settings::from_toml("", Path::new(""))?,
    };
    let listen = [
        ("index", settings.section::<IndexSettings>("index")?.listen),
        ("ingest", settings.section::<IngestSettings>("ingest")?.listen),
        ("enrich", settings.section::<EnrichSettings>("enrich")?.listen),
        ("alerts", settings.section::<AlertsSettings>("alerts")?.listen),
    ];
    Ok(listen
        .into_iter()
        .map(|(service, address)| (service, format!("http://{}", reached_at(address))))
        .collect())
}
