//! Mail over SMTP.

use std::fmt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use super::{Message, Refused};
use crate::settings::MailSettings;

/// One exchange with the server.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Sends mail through one server.
pub(crate) struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailer").field("from", &self.from.email).finish_non_exhaustive()
    }
}

impl Mailer {
    /// Sets the server up; nothing is sent yet.
    pub(crate) fn open(settings: &MailSettings, base: &Path) -> anyhow::Result<Self> {
        let from = settings.from.parse().with_context(|| {
            format!(
                "`from = \"{}\"` must be an e-mail address, such as `earshot@harbor.example`",
                settings.from
            )
        })?;
        let server = match settings.server.strip_prefix("smtp+starttls://") {
            Some(host) => format!("smtp://{host}?tls=required"),
            None => settings.server.clone(),
        };
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(&server)
            .with_context(|| {
                format!(
                    "`server = \"{}\"` must begin with smtp://, smtps:// or smtp+starttls://",
                    settings.server
                )
            })?
            .timeout(Some(TIMEOUT));
        if let Some(user) = &settings.user {
            let file = settings.password_file.as_ref().context("`user` needs `password_file`")?;
            let path = base.join(file);
            let password = std::fs::read_to_string(&path)
                .with_context(|| format!("read `password_file` {}", path.display()))?;
            transport = transport.credentials(Credentials::new(user.clone(), password.trim_end().to_owned()));
        }
        Ok(Self { transport: transport.build(), from })
    }

    /// One attempt.
    pub(crate) async fn send(&self, address: &str, message: &Message) -> Result<(), Refused> {
        let mail = compose(&self.from, address, message)?;
        match self.transport.send(mail).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_permanent() || error.is_client() => Err(Refused::for_good(chain(&error))),
            Err(error) => Err(Refused::for_now(chain(&error))),
        }
    }
}

/// The mail. Its id is made of the notification's key and is the same at every attempt, so that a receiver who gets it
/// twice can tell; so is all else but the part boundary, and a quote that was deleted meanwhile.
fn compose(from: &Mailbox, address: &str, message: &Message) -> Result<lettre::Message, Refused> {
    let to: Mailbox =
        address.parse().map_err(|error| Refused::for_good(format!("mail address `{address}`: {error}")))?;
    let text = message.text().map_err(|error| Refused::for_good(format!("write the mail: {error}")))?;
    let html = message.html().map_err(|error| Refused::for_good(format!("write the mail: {error}")))?;
    let due = message.letter.as_ref().map(|letter| letter.due);
    let decided = message.told.iter().map(|told| told.event.decided).max().or(due);
    let date = decided.map(|decided| u64::try_from(decided.as_millis()).unwrap_or_default());
    let date = date.map_or_else(SystemTime::now, |ms| SystemTime::UNIX_EPOCH + Duration::from_millis(ms));
    let hash = blake3::hash(message.key.as_bytes()).to_hex();
    lettre::Message::builder()
        .message_id(Some(format!("<{}@{}>", &hash[..32], from.email.domain())))
        .date(date)
        .from(from.clone())
        .to(to)
        .subject(message.subject_line())
        .multipart(MultiPart::alternative_plain_html(text, html))
        .map_err(|error| Refused::for_good(format!("write the mail: {error}")))
}

/// An error with its causes: the server's own words are among them.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::tests::message;
    use earshot_common::events::Channel;

    fn settings(server: &str) -> MailSettings {
        MailSettings {
            server: server.to_owned(),
            from: "Earshot <earshot@harbor.example>".to_owned(),
            user: None,
            password_file: None,
        }
    }

    #[test]
    fn the_mail_is_the_same_at_every_attempt_and_has_both_bodies() {
        let message = message(Channel::Mail("comms@harbor.example".to_owned()), "Harbor");
        let from: Mailbox = "Earshot <earshot@harbor.example>".parse().unwrap();
        let bytes = || {
            String::from_utf8(compose(&from, "comms@harbor.example", &message).unwrap().formatted()).unwrap()
        };
        let (first, second) = (bytes(), bytes());
        let id = |mail: &str| mail.lines().find(|line| line.starts_with("Message-ID: <")).unwrap().to_owned();
        assert_eq!(id(&first), id(&second));
        assert!(id(&first).ends_with("@harbor.example>"), "{}", id(&first));
        for wanted in [
            "Date: Mon, 05 Jan 2026 09:41:01 +0000",
            "To: comms@harbor.example",
            "Subject: [7/10] Harbor: 1,064 mentions in an hour, about 11 expected",
            "Content-Type: text/plain; charset=utf-8",
            "Content-Type: text/html; charset=utf-8",
        ] {
            assert!(first.contains(wanted), "{wanted} is missing in\n{first}");
        }
    }

    #[test]
    fn a_name_cannot_write_headers() {
        let mut message = message(Channel::Mail("comms@harbor.example".to_owned()), "Harbor");
        message.told[0].headline = "Harbor\r\nBcc: everybody@elsewhere.example".to_owned();
        let from: Mailbox = "earshot@harbor.example".parse().unwrap();
        let mail = compose(&from, "comms@harbor.example", &message).unwrap();
        let bytes = String::from_utf8(mail.formatted()).unwrap();
        let headers = bytes.split("\r\n\r\n").next().unwrap();
        assert!(!headers.lines().any(|line| line.starts_with("Bcc:")), "{headers}");
    }

    #[tokio::test]
    async fn servers_are_written_in_three_ways() {
        for server in [
            "smtp://localhost:2525",
            "smtps://mail.harbor.example",
            "smtp+starttls://mail.harbor.example:587",
        ] {
            Mailer::open(&settings(server), Path::new("/")).unwrap();
        }
        let error = Mailer::open(&settings("mail.harbor.example"), Path::new("/")).unwrap_err();
        assert!(error.to_string().contains("must begin with smtp://"), "{error}");
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_tried_again() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mailer = Mailer::open(&settings(&format!("smtp://{free}")), Path::new("/")).unwrap();
        let message = message(Channel::Mail("comms@harbor.example".to_owned()), "Harbor");
        match mailer.send("comms@harbor.example", &message).await {
            Err(Refused::ForNow { error, .. }) => assert!(error.contains("refused"), "{error}"),
            other => panic!("{other:?}"),
        }
        match mailer.send("nobody", &message).await {
            Err(Refused::ForGood { error }) => assert!(error.contains("`nobody`"), "{error}"),
            other => panic!("{other:?}"),
        }
    }
}
