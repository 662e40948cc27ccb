//! The benchmark, `earshot_tests::bench`. It starts itself as the programs that it measures, so that one build is
//! enough: with `up` it is the `earshot` program, with `service NAME FILE` one service by itself.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<_> = std::env::args_os().collect();
    match arguments.get(1).and_then(|argument| argument.to_str()) {
        Some("service" | "up") => Ok(earshot_tests::node::main(arguments).await),
        _ => earshot_tests::bench::main(arguments).await.map(|()| ExitCode::SUCCESS),
    }
}
