//! Asking the index, which knows the texts: `signals` and `alerts` hold none.

use std::time::Duration;

use anyhow::Context as _;
use earshot_common::http::reached_at;
use earshot_common::keys::Secret;
use earshot_common::service::Context;
use earshot_common::signed::service_authorization;
use earshot_common::time::Clock;
use reqwest::Client;
use reqwest::header::AUTHORIZATION;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::outside;
use crate::settings::AlertsSettings;

/// No answer takes longer, whoever waits for it.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// Asks the index.
#[derive(Clone, Debug)]
pub(crate) struct IndexClient {
    client: Client,
    url: String,
    secret: Secret,
    clock: Clock,
}

/// The index's own section, as far as it says where the index is.
#[derive(Debug, Default, Deserialize)]
struct IndexSection {
    listen: Option<std::net::SocketAddr>,
}

impl IndexClient {
    /// Finds out where the index is: where the settings say, else where its own section lets it listen.
    pub(crate) fn open(settings: &AlertsSettings, context: &Context) -> anyhow::Result<Self> {
        let section: IndexSection = context.settings.section("index")?;
        let url = match (&settings.index_url, section.listen) {
            (Some(url), _) => url.trim_end_matches('/').to_owned(),
            (None, Some(listen)) => format!("http://{}", reached_at(listen)),
            (None, None) => "http://127.0.0.1:7700".to_owned(),
        };
        let client = outside::client_for(&url, LONGEST_WAIT).context("settings key `alerts.index_url`")?;
        Ok(Self { client, url, secret: context.secret.clone(), clock: context.clock.clone() })
    }

    /// The index at an address.
    #[cfg(test)]
    pub(crate) fn at(url: &str) -> Self {
        let client = outside::client_for(url, LONGEST_WAIT).unwrap();
        let secret = Secret::from_bytes([7; 32]);
        Self { client, url: url.to_owned(), secret, clock: Clock::system() }
    }

    /// The answer to a question, unless it takes longer than somebody is patient.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
        patience: Duration,
    ) -> Result<T, String> {
        let request = self.client.get(format!("{}{path}", self.url)).query(query).timeout(patience);
        let request = request.header(AUTHORIZATION, service_authorization(&self.secret, &self.clock));
        let answer = request.send().await.and_then(reqwest::Response::error_for_status);
        let answer =
            answer.map_err(|error| format!("ask the index at {}: {}", self.url, outside::reason(error)))?;
        answer.json().await.map_err(|error| format!("read the answer of {}: {error}", self.url))
    }
}
