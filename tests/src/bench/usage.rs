//! What processes use, as Linux tells it in `/proc`.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::Context as _;

/// Linux counts processor time for programs in hundredths of a second, on every architecture.
const TICKS_A_SECOND: f64 = 100.0;

/// A process that is measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    /// What it is called in the report.
    pub(crate) name: String,
    /// Its id.
    pub(crate) id: u32,
}

impl Process {
    /// The benchmark itself.
    pub(crate) fn own() -> Self {
        Self { name: "benchmark".to_owned(), id: std::process::id() }
    }

    /// Seconds of processor time since its start.
    fn cpu_s(&self) -> anyhow::Result<f64> {
        let stat = read(&format!("/proc/{}/stat", self.id))?;
        cpu_ticks(&stat).map(|ticks| ticks as f64 / TICKS_A_SECOND).context("read the time of a process")
    }

    /// Bytes of memory that are its own: neither shared nor pages of a file.
    fn private_bytes(&self) -> anyhow::Result<u64> {
        let status = read(&format!("/proc/{}/status", self.id))?;
        anonymous_bytes(&status).context("read the memory of a process")
    }
}

/// Seconds of processor time of this process since its start.
pub fn own_cpu_s() -> anyhow::Result<f64> {
    Process::own().cpu_s()
}

/// Bytes of memory of this process that are its own.
pub fn own_memory_bytes() -> anyhow::Result<u64> {
    Process::own().private_bytes()
}

/// The most private memory that was seen, in bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    /// Of each process.
    pub(crate) most: BTreeMap<String, u64>,
    /// Of all together at one time.
    pub(crate) most_together: u64,
}

impl Memory {
    /// Looks at the processes once.
    pub(crate) fn look(&mut self, processes: &[Process]) -> anyhow::Result<()> {
        let mut together = 0;
        for process in processes {
            let bytes = process.private_bytes()?;
            together += bytes;
            let most = self.most.entry(process.name.clone()).or_default();
            *most = bytes.max(*most);
        }
        self.most_together = together.max(self.most_together);
        Ok(())
    }
}

/// What was used between a start and now.
#[derive(Debug)]
pub(crate) struct Meter {
    started: Instant,
    cpu_s: BTreeMap<u32, f64>,
    machine_s: f64,
}

/// What a measured piece of work took.
#[derive(Clone, Debug)]
pub(crate) struct Spent {
    /// Seconds on the clock.
    pub(crate) seconds: f64,
    /// Seconds of processor time by process.
    pub(crate) cpu_s: BTreeMap<String, f64>,
    /// Cores that the rest of the machine kept busy: how noisy the figure is.
    pub(crate) others_cores: f64,
}

impl Spent {
    /// Microseconds of a process for each of so many mentions; nothing for one that was not measured.
    pub(crate) fn cpu_us_each(&self, process: &str, mentions: u64) -> f64 {
        self.cpu_s.get(process).copied().unwrap_or_default() * 1e6 / mentions as f64
    }
}

impl Meter {
    /// Starts to measure. Processes that are not named here are taken to start later.
    pub(crate) fn start(running: &[Process]) -> anyhow::Result<Self> {
        let mut cpu_s = BTreeMap::new();
        for process in running.iter().chain([&Process::own()]) {
            cpu_s.insert(process.id, process.cpu_s()?);
        }
        Ok(Self { started: Instant::now(), cpu_s, machine_s: machine_busy_s()? })
    }

    /// What these processes, and the benchmark itself, took since the start.
    pub(crate) fn read(&self, processes: &[Process]) -> anyhow::Result<Spent> {
        let seconds = self.started.elapsed().as_secs_f64();
        let mut spent = BTreeMap::new();
        for process in processes.iter().chain([&Process::own()]) {
            let before = self.cpu_s.get(&process.id).copied().unwrap_or_default();
            spent.insert(process.name.clone(), process.cpu_s()? - before);
        }
        let ours: f64 = spent.values().sum();
        let others_cores = ((machine_busy_s()? - self.machine_s - ours) / seconds).max(0.0);
        Ok(Spent { seconds, cpu_s: spent, others_cores })
    }
}

/// Seconds that all cores together were busy since the machine's start.
fn machine_busy_s() -> anyhow::Result<f64> {
    let stat = read("/proc/stat")?;
    busy_ticks(&stat).map(|ticks| ticks as f64 / TICKS_A_SECOND).context("read the time of all cores")
}

fn read(file: &str) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("read {file}: the benchmark measures on Linux"))
}

/// User and system time in `/proc/PID/stat`. The second field, the name, may hold anything.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11).map(|field| field.parse::<u64>().ok());
    Some(times.next()?? + times.next()??)
}

/// `RssAnon` in `/proc/PID/status`, which is in kibibytes.
fn anonymous_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

/// All but idle and waiting in the first line of `/proc/stat`. Guests' time is counted in the user's already.
fn busy_ticks(stat: &str) -> Option<u64> {
    let fields = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace();
    let ticks: Vec<u64> = fields.map_while(|field| field.parse().ok()).collect();
    let [user, nice, system, _idle, _waiting, interrupts, soft_interrupts, stolen, ..] = ticks[..] else {
        return None;
    };
    Some(user + nice + system + interrupts + soft_interrupts + stolen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_are_read_behind_any_name() {
        let stat = "77 (a) b (c) S 1 77 77 0 -1 4194560 900 0 0 0 250 50 7 8 20 0 3 0 100 1000 500";
        assert_eq!(cpu_ticks(stat), Some(300));
    }

    #[test]
    fn memory_of_files_is_left_out() {
        let status = "Name:\tx\nVmRSS:\t   900 kB\nRssAnon:\t     512 kB\nRssFile:\t     388 kB\n";
        assert_eq!(anonymous_bytes(status), Some(512 * 1024));
    }

    #[test]
    fn a_machine_is_busy_when_it_neither_idles_nor_waits() {
        assert_eq!(busy_ticks("cpu  10 1 5 1000 400 2 3 4 9 0\ncpu0 1 1 1 1\n"), Some(25));
    }
}
