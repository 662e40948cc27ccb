//! A real Prometheus with our alerting rules, and a real Alertmanager with our routes, in front of the services
//! under test.
//!
//! `EARSHOT_TEST_PROMETHEUS` and `EARSHOT_TEST_ALERTMANAGER` name the programs; `.ci/run` gets them. Minutes of the
//! rules and routes are made seconds, so that a test need not wait for them; nothing else is changed.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context as _;
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::mail::{free_address, skipped};
use crate::watch::{Watch, until_answering};

/// A running Prometheus and Alertmanager, killed when dropped.
#[derive(Debug)]
pub struct Monitoring {
    /// The address of Prometheus.
    prometheus: String,
    _children: Vec<Child>,
}

impl Monitoring {
    /// Starts both. Prometheus scrapes the targets each second; Alertmanager's dead-man's switch is the address
    /// given. `None` where the programs are not there.
    pub async fn start(
        folder: &Path,
        targets: &[String],
        dead_mans_switch: &str,
    ) -> anyhow::Result<Option<Self>> {
        let (Some(prometheus), Some(alertmanager)) =
            (program("EARSHOT_TEST_PROMETHEUS"), program("EARSHOT_TEST_ALERTMANAGER"))
        else {
            return Ok(None);
        };
        let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
        let listens = [free_address().await?, free_address().await?];

        let routes = std::fs::read_to_string(deploy.join("alertmanager/alertmanager.yml"))?;
        let switch = routes.lines().find(|line| line.contains("https://")).context("the switch's address")?;
        let (_, switch) = switch.split_once("url: ").context("the switch's address")?;
        let routes = in_seconds(&routes).replace(switch, dead_mans_switch);
        std::fs::write(folder.join("alertmanager.yml"), routes)?;
        let rules = std::fs::read_to_string(deploy.join("prometheus/rules.yml"))?;
        std::fs::write(folder.join("rules.yml"), in_seconds(&rules))?;
        let config = serde_json::json!({
            "global": { "scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s" },
            "rule_files": ["rules.yml"],
            "alerting": { "alertmanagers": [{ "static_configs": [{ "targets": [listens[1]] }] }] },
            "scrape_configs": [{ "job_name": "earshot", "static_configs": [{ "targets": targets }] }],
        });
        // JSON is YAML.
        std::fs::write(folder.join("prometheus.yml"), serde_json::to_string_pretty(&config)?)?;

        let mut children = Vec::new();
        for (binary, name, more) in [
            (prometheus, "prometheus", vec!["--storage.tsdb.path=prometheus-data".to_owned()]),
            (
                alertmanager,
                "alertmanager",
                vec!["--storage.path=alertmanager-data".to_owned(), "--cluster.listen-address=".to_owned()],
            ),
        ] {
            let listen = &listens[children.len()];
            let log = std::fs::File::create(folder.join(format!("{name}.log")))?;
            let child = Command::new(&binary)
                .arg(format!("--config.file={name}.yml"))
                .arg(format!("--web.listen-address={listen}"))
                .args(more)
                .current_dir(folder)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log)
                .kill_on_drop(true)
                .spawn()
                .with_context(|| format!("start {}", binary.display()))?;
            children.push(child);
            until_answering(&format!("http://{listen}/-/ready")).await?;
        }
        Ok(Some(Self { prometheus: format!("http://{}", listens[0]), _children: children }))
    }

    /// Waits until the alarm fires with these labels; answers it.
    pub async fn until_firing(&self, alarm: &str, labels: &[(&str, &str)]) -> anyhow::Result<Value> {
        let fires = |alert: &Value| {
            alert["state"] == "firing"
                && alert["labels"]["alertname"] == alarm
                && labels.iter().all(|(name, value)| alert["labels"][*name] == *value)
        };
        let found = |answer: &Value| answer["data"]["alerts"].as_array()?.iter().find(|a| fires(a)).cloned();
        let answer =
            Watch::new(&self.prometheus).until("/api/v1/alerts", |answer| found(answer).is_some()).await?;
        found(&answer).context("it fired a moment ago")
    }

    /// The names of the alarms that fire now.
    pub async fn firing(&self) -> anyhow::Result<Vec<String>> {
        let answer = Watch::new(&self.prometheus).get("/api/v1/alerts").await?;
        let alerts = answer["data"]["alerts"].as_array().context("alerts")?;
        let firing = alerts.iter().filter(|alert| alert["state"] == "firing");
        Ok(firing.filter_map(|alert| alert["labels"]["alertname"].as_str().map(str::to_owned)).collect())
    }
}

/// A real Alertmanager that tells nobody, killed when dropped.
#[derive(Debug)]
pub struct Alertmanager {
    /// Its address.
    pub address: String,
    child: Child,
}

impl Alertmanager {
    /// Starts one that knows nothing yet and listens there. `None` where the program is not there.
    pub async fn start(folder: &Path, listen: &str) -> anyhow::Result<Option<Self>> {
        let Some(binary) = program("EARSHOT_TEST_ALERTMANAGER") else { return Ok(None) };
        let config = "route: { receiver: nobody }\nreceivers: [{ name: nobody }]\n";
        std::fs::write(folder.join("quiet.yml"), config)?;
        let data = tempfile::tempdir_in(folder)?.keep();
        let child = Command::new(&binary)
            .args(["--config.file=quiet.yml", "--cluster.listen-address="])
            .arg(format!("--web.listen-address={listen}"))
            .arg(format!("--storage.path={}", data.display()))
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {}", binary.display()))?;
        let address = format!("http://{listen}");
        until_answering(&format!("{address}/-/ready")).await?;
        Ok(Some(Self { address, child }))
    }

    /// Waits until it holds so many active alerts; answers them.
    pub async fn until_active(&self, alerts: usize) -> anyhow::Result<Vec<Value>> {
        let held = |answer: &Value| answer.as_array().is_some_and(|held| held.len() == alerts);
        let answer = Watch::new(&self.address).until("/api/v2/alerts?active=true", held).await?;
        Ok(answer.as_array().cloned().unwrap_or_default())
    }

    /// Kills it, with all that it knew.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill().await.context("kill Alertmanager")
    }
}

fn program(variable: &str) -> Option<PathBuf> {
    let program = std::env::var_os(variable).map(PathBuf::from);
    if program.is_none() {
        skipped(&format!("{variable} is not set: this test on Prometheus and Alertmanager does not run"));
    }
    program
}

/// Waits of minutes and hours as waits of seconds: `for: 2m`, `group_interval: 5m`.
fn in_seconds(yaml: &str) -> String {
    let mut lines = String::new();
    for line in yaml.lines() {
        let waits = ["for:", "group_wait:", "group_interval:", "repeat_interval:"];
        let wait = waits.iter().any(|key| line.trim_start().starts_with(key));
        let shorter = line.strip_suffix('m').or_else(|| line.strip_suffix('h')).filter(|_| wait);
        match shorter {
            Some(number) => lines.push_str(&format!("{number}s\n")),
            None => lines.push_str(&format!("{line}\n")),
        }
    }
    lines
}
