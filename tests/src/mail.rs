//! A real SMTP server for the tests: aiosmtpd, which files each message it takes in a Maildir.
//!
//! `EARSHOT_TEST_PYTHON` names a Python that has it; `.ci/run` installs one. Without it the mail part of a
//! test does not run, and says so.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context as _;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::watch::PATIENCE;

const PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

/// A running server, killed when dropped.
#[derive(Debug)]
pub struct MailServer {
    /// Host and port.
    pub address: String,
    folder: PathBuf,
    _child: Child,
}

impl MailServer {
    /// Starts one that files below the folder; `None` where there is no Python with it.
    pub async fn start(folder: &Path) -> anyhow::Result<Option<Self>> {
        let Ok(python) = std::env::var("EARSHOT_TEST_PYTHON") else {
            skipped("EARSHOT_TEST_PYTHON is not set: the mail part of this test does not run");
            return Ok(None);
        };
        let address = free_address().await?;
        let folder = folder.join("maildir");
        let child = Command::new(python)
            .args(["-m", "aiosmtpd", "-n", "-l", &address, "-c", "aiosmtpd.handlers.Mailbox"])
            .arg(&folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("start aiosmtpd")?;
        let answering = async {
            while TcpStream::connect(&address).await.is_err() {
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::time::timeout(PATIENCE, answering).await.context("wait for aiosmtpd")?;
        Ok(Some(Self { address, folder, _child: child }))
    }

    /// The messages that it took, as they came.
    pub fn received(&self) -> anyhow::Result<Vec<String>> {
        let mut letters = Vec::new();
        let Ok(entries) = std::fs::read_dir(self.folder.join("new")) else { return Ok(letters) };
        for entry in entries {
            letters.push(String::from_utf8_lossy(&std::fs::read(entry?.path())?).into_owned());
        }
        Ok(letters)
    }

    /// Waits until there are so many.
    pub async fn wait_for(&self, count: usize) -> anyhow::Result<Vec<String>> {
        let arrived = async {
            loop {
                let letters = self.received()?;
                if letters.len() >= count {
                    return Ok(letters);
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::time::timeout(PATIENCE, arrived).await.with_context(|| format!("wait for {count} mails"))?
    }
}

/// An address on loopback that nobody uses now.
pub async fn free_address() -> anyhow::Result<String> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    Ok(listener.local_addr()?.to_string())
}

/// Says that a part of a test does not run, and why.
#[expect(clippy::print_stderr, reason = "a part that does not run must be seen")]
pub fn skipped(why: &str) {
    eprintln!("not run: {why}");
}
