//! Who may come in: the secrets of a door, and the check of a request's signature.

use std::path::Path;

use anyhow::Context as _;
use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use standardwebhooks::{Webhook, WebhookError};

use crate::settings::Door;

/// Standard Webhooks asks for secrets of 24 to 64 bytes.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// The secrets of a door; a request may be signed with any.
pub(super) struct Secrets(Vec<Webhook>);

/// Why a request is not let in.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SignatureError {
    #[error("the header `{0}` is missing or malformed: sign the request as Standard Webhooks says")]
    Header(String),
    #[error(
        "the header `webhook-timestamp` is more than five minutes from now: the request is too old, or a clock is wrong"
    )]
    Time,
    #[error("the header `webhook-signature` holds no signature made with this door's secret")]
    Wrong,
}

impl Secrets {
    /// Reads a door's secrets, from its settings and its file; a relative path starts from `base`.
    pub(super) fn load(door: &Door, base: &Path) -> anyhow::Result<Self> {
        let mut written = door.secret.clone().unwrap_or_default();
        if let Some(file) = &door.secrets_file {
            let path = base.join(file);
            let lines = std::fs::read_to_string(&path)
                .with_context(|| format!("read the secrets file {}", path.display()))?;
            written.push('\n');
            written.push_str(&lines);
        }
        let mut secrets = Vec::new();
        for secret in written.split_whitespace() {
            secrets.push(webhook(secret)?);
        }
        anyhow::ensure!(!secrets.is_empty(), "it has no secret: give `secret` or `secrets_file`");
        Ok(Self(secrets))
    }

    /// Whether the request is signed with one of the secrets, not longer than five minutes ago.
    pub(super) fn verify(&self, headers: &HeaderMap, body: &[u8]) -> Result<(), SignatureError> {
        let mut refusal = SignatureError::Wrong;
        for secret in &self.0 {
            match secret.verify(body, headers) {
                Ok(()) => return Ok(()),
                Err(error) => refusal = error.into(),
            }
        }
        Err(refusal)
    }
}

/// The message names no part of the secret.
fn webhook(secret: &str) -> anyhow::Result<Webhook> {
    let encoded = secret.strip_prefix("whsec_").unwrap_or(secret);
    let key = STANDARD.decode(encoded).ok().filter(|key| SECRET_BYTES.contains(&key.len()));
    let key = key.context("a secret must be `whsec_` and the base64 of 24 to 64 random bytes")?;
    Webhook::from_bytes(key).context("take the secret")
}

impl From<WebhookError> for SignatureError {
    fn from(error: WebhookError) -> Self {
        match error {
            WebhookError::MissingHeader(name) | WebhookError::InvalidHeader(name) => {
                Self::Header(format!("webhook-{name}"))
            }
            WebhookError::InvalidTimestamp => Self::Header("webhook-timestamp".to_owned()),
            WebhookError::TimestampTooOldError | WebhookError::FutureTimestampError => Self::Time,
            WebhookError::InvalidSignature
            | WebhookError::InvalidPayload
            | WebhookError::InvalidSecret(_) => Self::Wrong,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    const NEW: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn door(secret: &str) -> Secrets {
        Secrets::load(&Door { secret: Some(secret.to_owned()), ..Door::default() }, Path::new(".")).unwrap()
    }

    fn signed(secret: &str, age_s: i64, body: &[u8]) -> HeaderMap {
        let at = jiff::Timestamp::now().as_second() - age_s;
        let signature = Webhook::new(secret).unwrap().sign("msg_1", at, body).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", "msg_1".parse().unwrap());
        headers.insert("webhook-timestamp", at.to_string().parse().unwrap());
        headers.insert("webhook-signature", signature.parse().unwrap());
        headers
    }

    #[test]
    fn each_secret_of_a_rotation_opens_the_door() {
        let secrets = door(&format!("{OLD} {NEW}"));
        assert_eq!(secrets.verify(&signed(OLD, 0, b"{}"), b"{}"), Ok(()));
        assert_eq!(secrets.verify(&signed(NEW, 0, b"{}"), b"{}"), Ok(()));
        assert_eq!(door(NEW).verify(&signed(OLD, 0, b"{}"), b"{}"), Err(SignatureError::Wrong));
    }

    #[test]
    fn what_is_not_signed_now_for_this_body_is_refused() {
        let secrets = door(OLD);
        assert_eq!(
            secrets.verify(&HeaderMap::new(), b"{}"),
            Err(SignatureError::Header("webhook-id".to_owned()))
        );
        assert_eq!(secrets.verify(&signed(OLD, 0, b"{}"), b"{ }"), Err(SignatureError::Wrong));
        assert_eq!(secrets.verify(&signed(OLD, 360, b"{}"), b"{}"), Err(SignatureError::Time));
        assert_eq!(secrets.verify(&signed(OLD, -360, b"{}"), b"{}"), Err(SignatureError::Time));
        let mut headers = signed(OLD, 0, b"{}");
        headers.insert("webhook-id", "msg_2".parse().unwrap());
        assert_eq!(secrets.verify(&headers, b"{}"), Err(SignatureError::Wrong));
    }

    #[test]
    fn secrets_are_read_from_a_file_and_weak_ones_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("crm"), format!("{OLD}\n{NEW}\n")).unwrap();
        let in_file = Door { secrets_file: Some("crm".into()), ..Door::default() };
        assert_eq!(Secrets::load(&in_file, folder.path()).unwrap().0.len(), 2);
        for weak in ["", "whsec_", "whsec_c2hvcnQ=", "whsec_no base64!"] {
            let door = Door { secret: Some(weak.to_owned()), ..Door::default() };
            assert!(Secrets::load(&door, folder.path()).is_err(), "{weak}");
        }
    }
}
