//! How well the count rules are calibrated: `cargo run --release -p earshot-tests --bin calibration`, perhaps with
//! the number of subjects for each volume (default 70, each with three months) and the seed of the streams (default
//! 3: the defaults of the rules were chosen on others). Its answer is the tables of
//! `tests/reports/calibration.md`.

use anyhow::Context as _;
use earshot_tests::calibration::{Planted, Rules, VOLUMES, false_alerts, planted_bursts};

const MONTHS: usize = 3;

#[expect(clippy::print_stdout, reason = "the report is this program's answer")]
fn main() -> anyhow::Result<()> {
    let subjects = std::env::args().nth(1).map_or(Ok(70), |number| number.parse()).context("subjects")?;
    let seed = std::env::args().nth(2).map_or(Ok(3), |seed| seed.parse()).context("seed")?;
    let rules = Rules::default_ones();
    println!(
        "# Calibration of the count rules\n\nWritten by `tests/src/bin/calibration.rs`, whose module doc has the command, on streams that \
         `tests/src/calibration.rs` generates (seed {seed}).\nThe rules are the defaults, by the hour and by the day side by side: {}. Every \
         mention has another author. Alerts of both rules are counted\nseparately, though one situation would be one alert.\n",
        rules.describe()
    );
    println!("## False alerts for each subject and month of 30 days\n");
    println!(
        "Streams to which nothing happens, from the first hour of listening on. In each cell: of the rule by the hour + of the rule by the day.\n"
    );
    println!(
        "| volume | subject-months | first month | second | third | all |\n|---|---:|---:|---:|---:|---:|"
    );
    for volume in VOLUMES {
        let found = false_alerts(&rules, volume, subjects, MONTHS, seed);
        let share = |alerts: u32| f64::from(alerts) / f64::from(subjects);
        let months: Vec<String> = found
            .months
            .iter()
            .map(|(hour, day)| format!("{:.2} + {:.2}", share(*hour), share(*day)))
            .collect();
        println!(
            "| {} | {} | {} | **{:.2}** |",
            volume.name,
            subjects as usize * MONTHS,
            months.join(" | "),
            found.rate()
        );
    }
    println!("\n## Planted bursts\n");
    println!(
        "From the fourth week on, one in twenty days: two hours with four times their mean, beginning at any hour; at two a day, a day with nine \
         mentions.\nThe delay counts from the burst's beginning; for a day, from midnight.\n"
    );
    println!(
        "| volume | bursts | found | of those that begin in an hour with the volume's mean or more | delay, median | delay, 90th percentile |\n|---|---:|---:|---:|---:|---:|"
    );
    let mut all = Vec::new();
    for volume in VOLUMES {
        let planted = planted_bursts(&rules, volume, subjects, MONTHS * 30, seed);
        let busy: Vec<Planted> =
            planted.iter().copied().filter(|planted| planted.usual >= volume.mentions_an_hour).collect();
        let mut delays: Vec<f64> = planted.iter().filter_map(|planted| planted.delay_hours).collect();
        delays.sort_by(f64::total_cmp);
        let delay = |share: f64| match delays.get((delays.len() as f64 * share) as usize) {
            Some(hours) if *hours < 3.0 => format!("{:.0} min", hours * 60.0),
            Some(hours) => format!("{hours:.1} h"),
            None => "–".to_owned(),
        };
        println!(
            "| {} | {} | {} | {} | {} | {} |",
            volume.name,
            planted.len(),
            found(&planted),
            found(&busy),
            delay(0.5),
            delay(0.9)
        );
        all.extend(planted);
    }
    println!("| all | {} | {} | | | |", all.len(), found(&all));
    Ok(())
}

fn found(planted: &[Planted]) -> String {
    let found = planted.iter().filter(|planted| planted.delay_hours.is_some()).count();
    format!("**{:.1} %**", 100.0 * found as f64 / planted.len().max(1) as f64)
}
