//! What every HTTP interface of Earshot has in common: limits, the login, refusals in one form.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use base64::Engine;
use serde::Serialize;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::keys::Secret;
use crate::settings::Login;
use crate::signed;
use crate::time::Clock;

/// Pages load nothing from elsewhere and run no script but their own.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

/// A refusal that a program can read and a person can understand.
#[derive(Debug, Serialize)]
pub struct Refusal {
    #[serde(skip)]
    status: StatusCode,
    /// What is wrong, naming the thing and its value.
    error: String,
}

impl Refusal {
    /// The request is wrong.
    pub fn bad_request(error: impl ToString) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error: error.to_string() }
    }

    /// There is no such thing.
    pub fn not_found(error: impl ToString) -> Self {
        Self { status: StatusCode::NOT_FOUND, error: error.to_string() }
    }

    /// The proof is missing or wrong.
    pub fn unauthorized(error: impl ToString) -> Self {
        Self { status: StatusCode::UNAUTHORIZED, error: error.to_string() }
    }

    /// Something else is in its way, or somebody else was first.
    pub fn conflict(error: impl ToString) -> Self {
        Self { status: StatusCode::CONFLICT, error: error.to_string() }
    }

    /// It would work at another time.
    pub fn unavailable(error: impl ToString) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, error: error.to_string() }
    }

    /// What is wrong, for a page that shows it.
    pub fn message(&self) -> &str {
        &self.error
    }

    /// We failed. The cause is logged here, since nobody else handles it.
    pub fn internal(error: &anyhow::Error) -> Self {
        tracing::error!(error = format!("{error:#}"), "request failed");
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            error: "the request failed; the log says why".to_owned(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(self)).into_response()
    }
}

/// Puts the common layers around a program's routes: `guarded` for people with the login and for our own services,
/// `open` for everybody.
pub fn layered(guarded: Router, open: Router, login: Option<Login>, secret: Secret, clock: Clock) -> Router {
    let header = |name: &'static str, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    guarded
        .layer(middleware::from_fn(refuse_foreign_pages))
        .layer(middleware::from_fn_with_state(Arc::new(Guard::new(login, secret, clock)), require_login))
        .merge(open)
        .layer(CompressionLayer::new())
        .layer(header("content-security-policy", CONTENT_SECURITY_POLICY))
        .layer(header("x-content-type-options", "nosniff"))
        .layer(header("referrer-policy", "same-origin"))
        .layer(CatchPanicLayer::new())
}

/// A page of another site may not make a person's browser post here.
async fn refuse_foreign_pages(request: Request, next: Next) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if reads || same_origin(request.headers()) {
        return next.run(request).await;
    }
    Refusal {
        status: StatusCode::FORBIDDEN,
        error: "this request comes from a page of another site".to_owned(),
    }
    .into_response()
}

/// Whether the request was addressed to this machine by number or as `localhost`. Without a login, a name of
/// the outside that was made to point here (DNS rebinding) must not open the pages.
fn addressed_by_number(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let name =
        host.rsplit_once(':').map_or(host, |(name, port)| if port.ends_with(']') { host } else { name });
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.is_empty() || name == "localhost" || name.parse::<std::net::IpAddr>().is_ok()
}

/// Programs send no `Origin`; browsers send the page's.
fn same_origin(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN).and_then(|value| value.to_str().ok()) else {
        return !headers.contains_key(ORIGIN);
    };
    let host = headers.get(HOST).and_then(|value| value.to_str().ok());
    origin.split_once("://").map(|(_, authority)| authority) == host
}

/// The login, and the last password that passed it, so that a page with ten parts is not ten slow checks.
struct Guard {
    login: Option<Login>,
    secret: Secret,
    clock: Clock,
    passed: std::sync::Mutex<Option<blake3::Hash>>,
    checking: tokio::sync::Semaphore,
}

impl Guard {
    fn new(login: Option<Login>, secret: Secret, clock: Clock) -> Self {
        Self {
            login,
            secret,
            clock,
            passed: std::sync::Mutex::default(),
            checking: tokio::sync::Semaphore::new(2),
        }
    }

    /// Whether the request is one of our services', or carries the login's name and password; without a login,
    /// whether it is for this machine.
    async fn admits(&self, headers: &HeaderMap) -> bool {
        let authorization = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        if authorization.is_some_and(|value| signed::is_service(&self.secret, value, self.clock.now())) {
            return true;
        }
        let Some(login) = &self.login else { return addressed_by_number(headers) };
        let Some((user, password)) = basic_credentials(headers) else { return false };
        if user != login.user {
            return false;
        }
        let fingerprint = blake3::hash(password.as_bytes());
        if *self.passed() == Some(fingerprint) {
            return true;
        }
        // Checking is slow on purpose: two at a time, and not on the threads that serve.
        let Ok(_turn) = self.checking.acquire().await else { return false };
        let hash = login.password_hash.clone();
        let matches =
            tokio::task::spawn_blocking(move || password_matches(&password, &hash)).await.unwrap_or(false);
        if matches {
            *self.passed() = Some(fingerprint);
        }
        matches
    }

    fn passed(&self) -> std::sync::MutexGuard<'_, Option<blake3::Hash>> {
        self.passed.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

async fn require_login(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    if guard.admits(request.headers()).await {
        return next.run(request).await;
    }
    let mut response =
        Refusal::unauthorized("log in with the name and password of this installation").into_response();
    response
        .headers_mut()
        .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"Earshot\", charset=\"UTF-8\""));
    response
}

/// Name and password of HTTP's basic authentication (RFC 7617).
fn basic_credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let encoded = headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

fn password_matches(password: &str, hash: &str) -> bool {
    use argon2::password_hash::PasswordVerifier;
    use argon2::password_hash::phc::PasswordHash;
    PasswordHash::new(hash)
        .is_ok_and(|hash| argon2::Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

/// The hash of a password for the settings: Argon2id with the library's recommended cost and a random salt.
pub fn hash_password(password: &str) -> anyhow::Result<String> {
    use argon2::password_hash::PasswordHasher;
    let hash = argon2::Argon2::default()
        .hash_password(password.as_bytes())
        .map_err(|error| anyhow::anyhow!("hash the password: {error}"))?;
    Ok(hash.to_string())
}

/// Where a program that listens there is reached from the same machine.
pub fn reached_at(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

/// How long a request to one of our own services may take before it is given up.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;

    use super::*;

    fn guard(login: Option<Login>) -> Guard {
        Guard::new(login, Secret::from_bytes([7; 32]), Clock::system())
    }

    #[test]
    fn a_password_passes_its_own_hash_only() {
        let hash = hash_password("correct horse").unwrap();
        assert!(hash.starts_with("$argon2id$"), "{hash}");
        assert!(password_matches("correct horse", &hash));
        assert!(!password_matches("wrong", &hash));
    }

    #[tokio::test]
    async fn without_the_login_nobody_is_admitted() {
        let login = Login { user: "comms".to_owned(), password_hash: hash_password("secret").unwrap() };
        let guard = guard(Some(login));
        let mut headers = HeaderMap::new();
        assert!(!guard.admits(&headers).await);
        // "comms:secret", as RFC 7617 encodes it.
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Basic Y29tbXM6c2VjcmV0"));
        assert!(guard.admits(&headers).await);
        assert!(guard.admits(&headers).await, "the second time by the remembered fingerprint");
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Basic Y29tbXM6d3Jvbmc="));
        assert!(!guard.admits(&headers).await);
        let ours = signed::service_authorization(&Secret::from_bytes([7; 32]), &Clock::system());
        headers.insert(AUTHORIZATION, ours.parse().unwrap());
        assert!(guard.admits(&headers).await, "one of our own services");
    }

    #[tokio::test]
    async fn without_a_login_a_name_of_the_outside_opens_nothing() {
        let guard = guard(None);
        for (host, admitted) in [
            ("127.0.0.1:7700", true),
            ("localhost:7700", true),
            ("localhost", true),
            ("[::1]:7700", true),
            ("[::1]", true),
            ("rebound.example:7700", false),
            ("rebound.example", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static(host));
            assert_eq!(guard.admits(&headers).await, admitted, "{host}");
        }
    }

    #[test]
    fn a_foreign_page_is_told_by_its_origin() {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("127.0.0.1:7700"));
        assert!(same_origin(&headers), "programs send none");
        headers.insert(ORIGIN, HeaderValue::from_static("http://127.0.0.1:7700"));
        assert!(same_origin(&headers));
        headers.insert(ORIGIN, HeaderValue::from_static("https://evil.example"));
        assert!(!same_origin(&headers));
    }
}
