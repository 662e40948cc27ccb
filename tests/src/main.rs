//! What the tests start and kill: the `earshot` program, or with `service NAME FILE` one service by itself,
//! in one binary so that a test run links the services once.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    match arguments.get(1).and_then(|argument| argument.to_str()) {
        Some("service") => earshot_tests::node::run_service(&arguments[2..]).await,
        _ => earshot_deploy::main(arguments).await,
    }
}
