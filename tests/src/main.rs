//! What the tests start and kill: the `earshot` program, or with `service NAME FILE` one service by itself,
//! in one binary so that a test run links the services once.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    earshot_tests::node::main(std::env::args_os().collect()).await
}
