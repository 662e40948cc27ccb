//! Asking addresses outside: one HTTP client's settings for whoever does.

use std::error::Error;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::{Client, redirect};

/// A client for an address, which must be one of the web. No redirect is followed; from the first byte to the last
/// a request takes no longer than the timeout.
pub(crate) fn client_for(url: &str, timeout: Duration) -> anyhow::Result<Client> {
    // Only the first call in a process has an effect; later ones find ring in place.
    let _ = rustls::crypto::ring::default_provider().install_default();
    url::Url::parse(url)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))
        .context("`url` must be an http or https address")?;
    Client::builder()
        .timeout(timeout)
        .redirect(redirect::Policy::none())
        .user_agent(concat!("earshot/", env!("CARGO_PKG_VERSION")))
        .build()
        .context("set up the HTTP client")
}

/// Why a request failed, in the system's own word, such as "Connection refused". The address stays out of it: it is a
/// secret with many receivers.
pub(crate) fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
