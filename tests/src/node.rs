//! Programs under test: started on free ports, killed at will.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use earshot_common::service::run_alone;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// What a start may take on a slow machine.
const START_TIMEOUT: Duration = Duration::from_secs(90);

/// A running `earshot up`, killed when dropped.
#[derive(Debug)]
pub struct Node {
    child: Child,
    /// Where it serves, such as `http://127.0.0.1:43211`.
    pub address: String,
}

impl Node {
    /// Starts `earshot up` with the settings in a folder, on a free port, and waits until it says its address.
    pub async fn up(binary: &Path, folder: &Path) -> anyhow::Result<Self> {
        Self::start(binary, folder, &["up", "--listen", "127.0.0.1:0"]).await
    }

    /// Starts the program with arguments in a folder, and waits until it says its address.
    pub async fn start(binary: &Path, folder: &Path, arguments: &[&str]) -> anyhow::Result<Self> {
        Self::start_with(binary, folder, arguments, &[]).await
    }

    /// The same, with variables in its environment.
    pub async fn start_with(
        binary: &Path,
        folder: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("node.log"))?;
        let mut child = Command::new(binary)
            .args(arguments)
            .envs(environment.iter().copied())
            .current_dir(folder)
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {}", binary.display()))?;
        let output = child.stdout.take().context("take the program's output")?;
        let mut lines = BufReader::new(output).lines();
        let address = tokio::time::timeout(START_TIMEOUT, async {
            while let Some(line) = lines.next_line().await? {
                if let Some(address) = line.strip_prefix("Earshot is at ") {
                    return Ok(address.to_owned());
                }
            }
            let log = std::fs::read_to_string(folder.join("node.log")).unwrap_or_default();
            anyhow::bail!("the program ended before it served; its log:\n{log}")
        })
        .await
        .context("wait for the program's address")??;
        // The rest of its output is read, so that it never waits for us.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { child, address })
    }

    /// Its process, unless it has ended.
    pub fn process_id(&self) -> Option<u32> {
        self.child.id()
    }

    /// SIGKILL, and waits for the end.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill().await.context("kill the program")
    }

    /// SIGTERM, and waits for the end; answers whether it ended well.
    pub async fn stop(mut self) -> anyhow::Result<bool> {
        let pid = self.child.id().context("the program has ended already")?;
        Command::new("kill").arg("-TERM").arg(pid.to_string()).status().await.context("send SIGTERM")?;
        Ok(self.child.wait().await.context("wait for the program's end")?.success())
    }
}

/// Runs a command of the program to its end; answers success, standard output and standard error.
pub async fn command(
    binary: &Path,
    folder: &Path,
    arguments: &[&str],
) -> anyhow::Result<(bool, String, String)> {
    let output = Command::new(binary)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .await
        .with_context(|| format!("run {} {}", binary.display(), arguments.join(" ")))?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok((output.status.success(), text(output.stdout), text(output.stderr)))
}

/// The program under test: `earshot`, or with `service NAME FILE` one service by itself.
pub async fn main(arguments: Vec<OsString>) -> ExitCode {
    match arguments.get(1).and_then(|argument| argument.to_str()) {
        Some("service") => run_service(&arguments[2..]).await,
        _ => earshot_deploy::main(arguments).await,
    }
}

/// Runs one service by itself, as its own program does: `NAME FILE`.
async fn run_service(arguments: &[OsString]) -> ExitCode {
    use earshot_alerts::AlertsSettings;
    use earshot_enrich::EnrichSettings;
    use earshot_index::IndexSettings;
    use earshot_ingest::IngestSettings;

    let _ = rustls::crypto::ring::default_provider().install_default();
    let [name, file] = arguments else { return ExitCode::from(2) };
    let file = PathBuf::from(file);
    let ran = match name.to_str() {
        Some("ingest") => {
            run_alone(&file, |s| Ok(s.section::<IngestSettings>("ingest")?.listen), earshot_ingest::start)
                .await
        }
        Some("enrich") => {
            run_alone(&file, |s| Ok(s.section::<EnrichSettings>("enrich")?.listen), earshot_enrich::start)
                .await
        }
        Some("index") => {
            run_alone(&file, |s| Ok(s.section::<IndexSettings>("index")?.listen), earshot_index::start).await
        }
        Some("alerts") => {
            run_alone(&file, |s| Ok(s.section::<AlertsSettings>("alerts")?.listen), earshot_alerts::start)
                .await
        }
        _ => return ExitCode::from(2),
    };
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "the log of the program under test is its standard error")]
fn say(line: &str) {
    eprintln!("earshot-node: {line}");
}
