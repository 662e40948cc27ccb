//! What only a holder of the installation's [`Secret`] can have written: links that let the receiver of a message act
//! without a login, and requests of one of our services to another.
//!
//! The signature is a BLAKE3 hash keyed with a key that is derived from the secret for this purpose alone, so that no
//! hash of an author, which others can provoke, can pass for one.

use url::form_urlencoded::Serializer;

use crate::keys::{AlertKey, Secret};
use crate::time::{Clock, Timestamp};

/// A request of a service is good for this long before and after it was signed, since two machines have two clocks.
const REQUEST_VALID_MS: i64 = 2 * 60 * 1_000;
/// How the `Authorization` of a service's request begins.
const SCHEME: &str = "Earshot ";

/// A link that acknowledges an alert for the one whom it was sent to, until it expires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcknowledgeLink {
    /// The alert.
    pub alert: AlertKey,
    /// Whom it was sent to: channel and address, such as `mail:comms@harbor.example`.
    pub recipient: String,
    /// When it ends to be good.
    pub expires: Timestamp,
}

/// Why a link does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// It is not as we wrote it.
    #[error("the link is not complete, or was changed on its way")]
    NotOurs,
    /// It was good until then.
    #[error("the link has expired: it was good until {0}")]
    Expired(Timestamp),
}

impl AcknowledgeLink {
    /// Its path on the console's address.
    pub fn path(&self, secret: &Secret) -> String {
        let until = self.expires.as_millis().to_string();
        let query = Serializer::new(String::new())
            .append_pair("for", &self.recipient)
            .append_pair("until", &until)
            .append_pair("proof", &self.proof(secret))
            .finish();
        format!("/acknowledge/{}?{query}", self.alert)
    }

    /// Reads the parts of a link's path, and holds them to the proof and to the time.
    pub fn verify(
        secret: &Secret,
        alert: &str,
        recipient: &str,
        until: &str,
        proof: &str,
        now: Timestamp,
    ) -> Result<Self, LinkError> {
        let link = Self {
            alert: alert.parse().map_err(|_| LinkError::NotOurs)?,
            recipient: recipient.to_owned(),
            expires: Timestamp::from_millis(until.parse().map_err(|_| LinkError::NotOurs)?),
        };
        if !secret.has_signed(proof, &link.parts()) {
            return Err(LinkError::NotOurs);
        }
        if link.expires <= now {
            return Err(LinkError::Expired(link.expires));
        }
        Ok(link)
    }

    /// The id of the command that one showing of the link's page gives: the same however often its button is pressed.
    /// `page` tells one showing from another.
    pub fn command_id(&self, secret: &Secret, page: &str) -> String {
        format!("link-{}-{page}", self.proof(secret))
    }

    fn proof(&self, secret: &Secret) -> String {
        secret.sign(&self.parts())
    }

    fn parts(&self) -> [String; 4] {
        let (alert, until) = (self.alert.to_string(), self.expires.as_millis().to_string());
        ["acknowledge".to_owned(), alert, self.recipient.clone(), until]
    }
}

/// The `Authorization` of a request that one of our services makes now.
pub fn service_authorization(secret: &Secret, clock: &Clock) -> String {
    let at = clock.now().as_millis().to_string();
    format!("{SCHEME}{at}.{}", secret.sign(&["service".to_owned(), at.clone()]))
}

/// Whether the value of `Authorization` is that of one of our services.
pub fn is_service(secret: &Secret, authorization: &str, now: Timestamp) -> bool {
    let parts = authorization.strip_prefix(SCHEME).and_then(|token| token.split_once('.'));
    let Some((at, proof)) = parts else { return false };
    let fresh = at.parse::<i64>().is_ok_and(|at| now.as_millis().abs_diff(at) <= REQUEST_VALID_MS as u64);
    fresh && secret.has_signed(proof, &["service".to_owned(), at.to_owned()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> Secret {
        Secret::from_bytes([7; 32])
    }

    fn link() -> AcknowledgeLink {
        AcknowledgeLink {
            alert: AlertKey::of(&["one"]),
            recipient: "mail:comms+night@harbor.example".to_owned(),
            expires: "2026-01-08T09:00:00Z".parse().unwrap(),
        }
    }

    /// Verifies the link of this path as a server reads it.
    fn followed(path: &str, now: &str) -> Result<AcknowledgeLink, LinkError> {
        let url = url::Url::parse(&format!("https://earshot.example{path}")).unwrap();
        let alert = url.path().rsplit('/').next().unwrap().to_owned();
        let of = |name: &str| {
            url.query_pairs()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.into_owned())
                .unwrap_or_default()
        };
        let (recipient, until, proof) = (of("for"), of("until"), of("proof"));
        AcknowledgeLink::verify(&secret(), &alert, &recipient, &until, &proof, now.parse().unwrap())
    }

    #[test]
    fn a_link_is_good_until_it_expires() {
        let path = link().path(&secret());
        assert_eq!(followed(&path, "2026-01-08T08:59:59Z"), Ok(link()));
        let expired = followed(&path, "2026-01-08T09:00:00Z").unwrap_err();
        assert_eq!(expired.to_string(), "the link has expired: it was good until 2026-01-08T09:00:00.000Z");
    }

    #[test]
    fn a_link_that_was_changed_anywhere_is_not_ours() {
        let path = link().path(&secret());
        let other = AlertKey::of(&["two"]).to_string();
        let last = path.chars().last().unwrap();
        let flipped = if last == '0' { '1' } else { '0' };
        for changed in [
            path.replace(&link().alert.to_string(), &other),
            path.replace("comms%2Bnight", "everybody"),
            path.replace("until=1767862800000", "until=1867862800000"),
            format!("{}{flipped}", &path[..path.len() - 1]),
            path.split("&proof").next().unwrap().to_owned(),
            path.replace("until=", "until=x"),
        ] {
            assert_ne!(changed, path);
            assert_eq!(followed(&changed, "2026-01-05T09:00:00Z"), Err(LinkError::NotOurs), "{changed}");
        }
        let elsewhere = link().path(&Secret::from_bytes([8; 32]));
        assert_eq!(followed(&elsewhere, "2026-01-05T09:00:00Z"), Err(LinkError::NotOurs));
    }

    #[test]
    fn a_request_of_a_service_is_good_for_minutes() {
        let at: Timestamp = "2026-01-05T09:00:00Z".parse().unwrap();
        let authorization = service_authorization(&secret(), &Clock::manual(at));
        assert!(is_service(&secret(), &authorization, at.plus_millis(60_000)));
        assert!(!is_service(&secret(), &authorization, at.plus_millis(121_000)));
        assert!(!is_service(&secret(), &authorization, at.plus_millis(-121_000)));
        assert!(!is_service(&Secret::from_bytes([8; 32]), &authorization, at));
        for foreign in ["Basic Y29tbXM6c2VjcmV0", "Earshot 1", "Earshot x.y", ""] {
            assert!(!is_service(&secret(), foreign, at), "{foreign}");
        }
    }
}
