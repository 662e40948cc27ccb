//! The `earshot` program: everything in one process, and the operator's commands.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    earshot_deploy::main(std::env::args_os()).await
}
