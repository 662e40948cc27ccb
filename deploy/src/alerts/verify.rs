//! `earshot alerts verify`: each number of an alert again, beside the one that it told.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use earshot_alerts::{Check, Finding, Verification};

use crate::client::{Client, Server, answer};
use crate::print;
use crate::terminal::one_line;

#[derive(Debug, Args)]
pub(crate) struct VerifyCommand {
    /// The alert's id
    #[arg(value_name = "ID")]
    id: String,
    /// Print the whole answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

pub(crate) async fn verify(command: VerifyCommand, settings: &Path) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        command.id.chars().all(|c| c.is_ascii_hexdigit()),
        "`{}` is no id of an alert, which has hexadecimal digits only",
        one_line(&command.id)
    );
    let client = Client::find(&command.server, settings, "alerts").await?;
    // It reads all that the log holds, which takes as long as it takes.
    let response = client.get(&format!("/api/alerts/{}/verify", command.id)).send().await;
    let found: Verification = answer(response.context("ask for the verification")?).await?;
    if command.json {
        print(&serde_json::to_string_pretty(&found).context("write the answer")?);
    } else {
        print(told(&found).trim_end());
    }
    Ok(if found.differs() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The answer as a person would want to read it.
fn told(found: &Verification) -> String {
    let mut told = format!("alert {} of rule {} about {}\n", found.alert, found.rule, found.subject);
    for transition in &found.transitions {
        let name = format!("{:?}", transition.transition).to_lowercase();
        let _ = writeln!(told, "\n#{} {name}", transition.sequence);
        for (part, checks) in [("arithmetic", &transition.arithmetic), ("evidence", &transition.evidence)] {
            let _ = writeln!(told, "  {part}");
            for check in checks {
                told.push_str(&line(check));
            }
        }
    }
    let checks = || {
        found
            .transitions
            .iter()
            .flat_map(|transition| transition.arithmetic.iter().chain(&transition.evidence))
    };
    let differ = checks().filter(|check| matches!(check.found, Finding::Differs(_))).count();
    let unknown = checks().filter(|check| matches!(check.found, Finding::NotPossible(_))).count();
    let _ = writeln!(
        told,
        "\n{} numbers: {} agree, {differ} differ, {unknown} could not be found again",
        checks().count(),
        checks().count() - differ - unknown
    );
    told
}

fn line(check: &Check) -> String {
    let (verdict, found) = match &check.found {
        Finding::Agrees(found) => ("agrees", found),
        Finding::Differs(found) => ("DIFFERS", found),
        Finding::NotPossible(why) => ("not possible", why),
    };
    format!(
        "    {verdict:<12}  {:<46}  told {}, found {}\n",
        check.what,
        one_line(&check.told),
        one_line(found)
    )
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn each_number_stands_beside_the_one_that_was_told() {
        let found: Verification = serde_json::from_str(
            r#"{
                "alert": "000000000000000000000000000000ff", "rule": "volume", "subject": "harbor",
                "transitions": [{
                    "sequence": 1, "transition": "opened",
                    "arithmetic": [
                        {"what": "expected", "told": "4.17", "found": {"agrees": "4.17"}},
                        {"what": "threshold", "told": "16", "found": {"differs": "17"}}
                    ],
                    "evidence": [
                        {"what": "evidence", "told": "10", "found": {"not_possible": "`signals` begins later"}}
                    ]
                }]
            }"#,
        )
        .unwrap();
        assert!(found.differs());
        expect![[r#"
            alert 000000000000000000000000000000ff of rule volume about harbor

            #1 opened
              arithmetic
                agrees        expected                                        told 4.17, found 4.17
                DIFFERS       threshold                                       told 16, found 17
              evidence
                not possible  evidence                                        told 10, found `signals` begins later

            3 numbers: 1 agree, 1 differ, 1 could not be found again
        "#]].assert_eq(&told(&found));
    }
}
