//! Files that people write line by line: lexicons and patterns of risk.
//!
//! What belongs here: going over the lines, and naming the one that cannot be used. What a line means is its reader's.

use std::path::Path;

use anyhow::Context as _;

/// A line of a lexicon or of patterns that cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{file}:{line}: {reason}")]
pub struct LineError {
    /// The file, as it was named.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// What is wrong, with the value.
    pub reason: String,
}

/// Has every line read that says something: neither empty nor a comment.
pub(crate) fn for_each(
    file: &str,
    content: &str,
    comment: &str,
    mut read: impl FnMut(&str) -> Result<(), String>,
) -> Result<(), LineError> {
    for (at, line) in content.lines().enumerate() {
        if line.starts_with(comment) || line.trim().is_empty() {
            continue;
        }
        read(line).map_err(|reason| LineError { file: file.to_owned(), line: at + 1, reason })?;
    }
    Ok(())
}

/// Has a team's own file added, by its name and content; answers the name that judgements carry.
pub(crate) fn overlay(
    file: &Path,
    add: impl FnOnce(&str, &str) -> Result<(), LineError>,
) -> anyhow::Result<String> {
    let content = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    add(&file.display().to_string(), &content)?;
    Ok(file.file_stem().unwrap_or(file.as_os_str()).to_string_lossy().into_owned())
}
