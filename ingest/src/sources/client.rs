//! The HTTP client for addresses that people entered: every limit, and no way into our own network.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, LOCATION};
use reqwest::{StatusCode, redirect};
use url::{Host, Url};

use super::address::is_public;
use crate::settings::IngestSettings;

/// Larger bodies are refused, also where they are larger only once decompressed.
const MAX_BODY_BYTES: usize = 10 * 1024 * 1024;
/// More redirects are refused.
const MAX_REDIRECTS: usize = 5;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For one request and its whole answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Reads addresses that people entered.
#[derive(Clone, Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    allow_private_addresses: bool,
}

/// An answer, redirects followed.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// Empty where the status is not a success.
    pub(super) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("`{url}` is not an http or https address")]
    NoAddress { url: String },
    #[error("{0}")]
    Private(PrivateAddress),
    #[error("more than {MAX_REDIRECTS} redirects, the last to `{url}`")]
    TooManyRedirects { url: String },
    #[error("the answer is larger than {MAX_BODY_BYTES} bytes")]
    TooLarge,
    #[error("{0}")]
    Failed(String),
}

/// A host that is not on the public internet.
#[derive(Clone, Debug, thiserror::Error)]
#[error("`{host}` is on a private address; `ingest.allow_private_addresses` would allow it")]
pub(super) struct PrivateAddress {
    host: String,
}

impl Client {
    /// A client as the settings want it.
    pub(super) fn new(settings: &IngestSettings) -> reqwest::Result<Self> {
        Ok(Self {
            http: builder(settings).build()?,
            allow_private_addresses: settings.allow_private_addresses,
        })
    }

    /// Reads an address. The addresses of redirects are checked like the first.
    pub(super) async fn get(&self, url: &str, headers: &HeaderMap) -> Result<Fetched, FetchError> {
        let mut url = Url::parse(url).map_err(|_| FetchError::NoAddress { url: url.to_owned() })?;
        for _ in 0..=MAX_REDIRECTS {
            self.check(&url)?;
            let request = self.http.get(url.clone()).headers(headers.clone());
            let response = request.send().await.map_err(|error| failed(&error))?;
            match redirected(&url, &response) {
                Some(next) => url = next?,
                None => return read(response).await,
            }
        }
        Err(FetchError::TooManyRedirects { url: url.into() })
    }

    /// Numeric hosts never reach the resolver, so they are checked here.
    fn check(&self, url: &Url) -> Result<(), FetchError> {
        let no_address = || FetchError::NoAddress { url: url.to_string() };
        if !matches!(url.scheme(), "http" | "https") {
            return Err(no_address());
        }
        let address: IpAddr = match url.host().ok_or_else(no_address)? {
            Host::Ipv4(address) => address.into(),
            Host::Ipv6(address) => address.into(),
            Host::Domain(_) => return Ok(()),
        };
        if self.allow_private_addresses || is_public(address) {
            return Ok(());
        }
        Err(FetchError::Private(PrivateAddress { host: address.to_string() }))
    }
}

fn builder(settings: &IngestSettings) -> reqwest::ClientBuilder {
    // The process may have chosen its provider already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // A proxy would resolve names behind our back, so none is taken from the environment.
    let builder = reqwest::Client::builder()
        .user_agent(&settings.user_agent)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(REQUEST_TIMEOUT);
    if settings.allow_private_addresses { builder } else { builder.dns_resolver(Arc::new(PublicOnly)) }
}

/// Where a redirect leads.
fn redirected(from: &Url, response: &reqwest::Response) -> Option<Result<Url, FetchError>> {
    if !response.status().is_redirection() {
        return None;
    }
    let location = response.headers().get(LOCATION)?;
    let location = String::from_utf8_lossy(location.as_bytes());
    Some(from.join(&location).map_err(|_| FetchError::NoAddress { url: location.into_owned() }))
}

async fn read(mut response: reqwest::Response) -> Result<Fetched, FetchError> {
    let status = response.status();
    let headers = response.headers().clone();
    let mut body = BytesMut::new();
    while status.is_success()
        && let Some(chunk) = response.chunk().await.map_err(|error| failed(&error))?
    {
        if body.len() + chunk.len() > MAX_BODY_BYTES {
            return Err(FetchError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Fetched { status, headers, body: body.freeze() })
}

/// What went wrong at the bottom says more than the request around it.
fn failed(error: &reqwest::Error) -> FetchError {
    if error.is_timeout() {
        return FetchError::Failed("no answer in time".to_owned());
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        if let Some(private) = deeper.downcast_ref::<PrivateAddress>() {
            return FetchError::Private(private.clone());
        }
        cause = deeper;
    }
    let what = if error.is_connect() { "no connection" } else { "the request failed" };
    FetchError::Failed(format!("{what}: {cause}"))
}

/// Resolves names to public addresses only, at the moment of the connection: a name that changes between a check
/// and its use changes nothing here.
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            let public: Vec<SocketAddr> =
                found.iter().copied().filter(|address| is_public(address.ip())).collect();
            if public.is_empty() && !found.is_empty() {
                return Err(PrivateAddress { host }.into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::response::Redirect;
    use axum::routing::get;
    use tokio::net::TcpListener;

    use super::*;

    async fn refused(url: &str) -> String {
        let client = Client::new(&IngestSettings::default()).unwrap();
        client.get(url, &HeaderMap::new()).await.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn private_hosts_are_refused_by_number_and_by_name() {
        for url in
            ["http://127.0.0.1:1/", "http://[::ffff:127.0.0.1]/", "http://2130706433/", "http://0x7f.1/"]
        {
            let error = refused(url).await;
            assert!(error.contains("is on a private address"), "{url}: {error}");
        }
        let error = refused("http://localhost:1/").await;
        assert!(error.starts_with("`localhost` is on a private address"), "{error}");
        assert_eq!(
            refused("file:///etc/passwd").await,
            "`file:///etc/passwd` is not an http or https address"
        );
    }
    /// Serves what a test wants at `public.example`, which the client takes for a public host.
    async fn serving(routes: Router) -> (Client, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, routes).into_future());
        let settings = IngestSettings::default();
        let http = builder(&settings).resolve("public.example", address).build().unwrap();
        (Client { http, allow_private_addresses: false }, address)
    }

    #[tokio::test]
    async fn a_redirect_leads_to_no_private_address_and_not_round_and_round() {
        let routes = Router::new()
            .route("/feed", get(async || Redirect::temporary("/moved")))
            .route("/moved", get(async || "here"))
            .route("/inside", get(async || Redirect::temporary("http://169.254.169.254/latest/meta-data")))
            .route("/file", get(async || Redirect::temporary("file:///etc/passwd")))
            .route("/round", get(async || Redirect::temporary("/round")));
        let (client, address) = serving(routes).await;
        let at = |path: &str| format!("http://public.example:{}{path}", address.port());
        let get = async |path: &str| client.get(&at(path), &HeaderMap::new()).await;
        assert_eq!(get("/feed").await.unwrap().body, "here");
        for (path, wanted) in [
            ("/inside", "`169.254.169.254` is on a private address"),
            ("/file", "`file:///etc/passwd` is not an http or https address"),
            ("/round", "more than 5 redirects"),
        ] {
            let error = get(path).await.unwrap_err().to_string();
            assert!(error.starts_with(wanted), "{path}: {error}");
        }
    }

    #[tokio::test]
    async fn a_body_past_the_limit_is_refused() {
        let routes = Router::new()
            .route("/fits", get(async || vec![b'x'; MAX_BODY_BYTES]))
            .route("/large", get(async || vec![b'x'; MAX_BODY_BYTES + 1]));
        let (client, address) = serving(routes).await;
        let get = async |path: &str| {
            let url = format!("http://public.example:{}{path}", address.port());
            client.get(&url, &HeaderMap::new()).await
        };
        assert_eq!(get("/fits").await.unwrap().body.len(), MAX_BODY_BYTES);
        assert!(matches!(get("/large").await, Err(FetchError::TooLarge)));
    }
}
