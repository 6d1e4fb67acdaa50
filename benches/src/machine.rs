//! The machine: which core runs what, what a thread or a process used of it, and how it is called in a table.

use anyhow::Context;
use std::fs::read_to_string;

/// Which core a thread runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Core {
    /// The load generator's: the first.
    Generator,
    /// The forwarder's: the last.
    Forwarder,
}

/// Pins this thread; with one core both share it. Children inherit it.
pub fn pin(core: Core) {
    let mine = rustix::thread::sched_getaffinity(None);
    let all = read_to_string("/proc/cpuinfo").unwrap_or_default();
    let count = all.lines().filter(|line| line.starts_with("processor")).count().max(1);
    let allowed = |at: &usize| count > 1 || mine.as_ref().is_ok_and(|set| set.is_set(*at));
    let mut cores = (0..count).filter(allowed);
    let chosen = match core {
        Core::Generator => cores.next(),
        Core::Forwarder => cores.next_back(),
    };
    if let Some(chosen) = chosen {
        let mut only = rustix::thread::CpuSet::new();
        only.set(chosen);
        // not pinned is measured all the same
        let _ = rustix::thread::sched_setaffinity(None, &only);
    }
}

/// The machine and its load, for the head of a table.
pub fn describe() -> String {
    let read = |file| read_to_string(file).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model =
        cpu.lines().find_map(|l| l.strip_prefix("model name")).map_or("", |l| l.trim_start_matches([' ', '\t', ':']));
    let cores = cpu.lines().filter(|l| l.starts_with("processor")).count();
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{model} x{cores}, Linux {}, load {:.2}", kernel.trim(), load())
}

/// Load average of the last minute.
pub fn load() -> f64 {
    let text = read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0.0)
}

/// Whose CPU time counts.
#[derive(Debug, Clone)]
pub enum Meter {
    /// Threads of this process.
    Threads(Vec<u32>),
    /// A whole process.
    Process(u32),
}

impl Meter {
    /// CPU time used so far, nanoseconds (`schedstat`: exact, not sampled).
    pub fn cpu_ns(&self) -> anyhow::Result<u64> {
        match self {
            Self::Threads(threads) => threads.iter().map(|thread| spent(&format!("/proc/self/task/{thread}"))).sum(),
            Self::Process(process) => {
                let tasks = std::fs::read_dir(format!("/proc/{process}/task")).context("the forwarder is gone")?;
                // a thread that ends meanwhile is left out
                Ok(tasks.flatten().filter_map(|task| spent(&task.path().to_string_lossy()).ok()).sum())
            }
        }
    }

    /// Resident memory of a process, KiB. Threads share theirs with the generator: none.
    pub fn resident_kib(&self) -> Option<u64> {
        let Self::Process(process) = self else { return None };
        let status = read_to_string(format!("/proc/{process}/status")).ok()?;
        status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().split(' ').next()?.parse().ok()
    }
}

fn spent(task: &str) -> anyhow::Result<u64> {
    let text = read_to_string(format!("{task}/schedstat")).with_context(|| task.to_owned())?;
    Ok(text.split(' ').next().unwrap_or("").parse()?)
}
