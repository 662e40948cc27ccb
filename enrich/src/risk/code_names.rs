//! A team's confidential code names, from a file that only this program reads. No message repeats one.

use std::path::Path;

use anyhow::{Context as _, ensure};
use earshot_common::query::{Query, phrase};

/// One query for each name: one a line; empty lines and those that begin with `#` say nothing.
pub(super) fn read(file: &Path) -> anyhow::Result<Vec<Query>> {
    let content = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    let mut queries = Vec::new();
    for (at, line) in content.lines().enumerate() {
        let name = line.trim();
        if name.is_empty() || name.starts_with('#') {
            continue;
        }
        queries.push(phrase(name).with_context(|| {
            format!("{}:{}: this code name has no letter or digit; write one a line", file.display(), at + 1)
        })?);
    }
    ensure!(
        !queries.is_empty(),
        "{} holds no code name; write one a line, or remove the setting",
        file.display()
    );
    Ok(queries)
}
