//! Eight kills at moments and points of the code that a seed chooses, on Apache Kafka, under a live burst and an
//! import; `EARSHOT_TEST_SEED` repeats a run. Many more: `cargo run -p earshot-tests --bin faults`.

use std::path::Path;

use earshot_tests::cluster::KafkaNode;
use earshot_tests::faults::{Plan, carry_out};

const KILLS: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_points_of_a_seed_nothing_is_lost_or_doubled_and_everybody_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mut kafka) = KafkaNode::start(folder.path()).await.unwrap() else { return };
    let seed = match std::env::var("EARSHOT_TEST_SEED") {
        Ok(seed) => seed.parse().expect("EARSHOT_TEST_SEED is a number"),
        Err(_) => rand::random_range(0..1_000_000),
    };
    let plan = Plan::of(seed, KILLS);
    eprintln!("EARSHOT_TEST_SEED={seed}\n{plan}");
    let binary = Path::new(env!("CARGO_BIN_EXE_earshot-node"));
    match carry_out(binary, folder.path(), &mut kafka, &plan).await {
        Ok(ran) => eprintln!("{ran}"),
        Err(error) => panic!("seed {seed}: {error:#}"),
    }
}
