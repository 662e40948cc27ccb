//! `earshot hash-password`: the hash that the settings hold instead of a password.

use std::io::{BufRead, IsTerminal};

use anyhow::Context as _;
use earshot_common::http;

use crate::print;

/// Characters that a password has at least (NIST SP 800-63B, section 5.1.1).
const MIN_CHARACTERS: usize = 8;

/// Reads a password, from a terminal without showing it, and prints its hash.
pub(crate) fn hash_password() -> anyhow::Result<()> {
    let input = std::io::stdin();
    let line = if input.is_terminal() {
        rpassword::prompt_password("Password: ").context("read the password from the terminal")?
    } else {
        let mut line = String::new();
        input.lock().read_line(&mut line).context("read the password from the standard input")?;
        line
    };
    let password = line.trim_end_matches(['\r', '\n']);
    if password.chars().count() < MIN_CHARACTERS {
        anyhow::bail!("a password has at least {MIN_CHARACTERS} characters");
    }
    print(&http::hash_password(password)?);
    Ok(())
}
