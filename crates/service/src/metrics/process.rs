//! What the system knows of this process: memory, processor time, descriptors, age. Nothing where `/proc` is not there.

use super::{Label, Metric, Sample, names};

/// Clock ticks a second in `/proc/self/stat`: Linux shows 100 to every program, whatever the kernel's own rate.
const TICKS: u64 = 100;

/// All that can be read.
pub fn samples() -> Vec<Sample> {
    let mut samples = Vec::new();
    let mut add = |metric: &'static Metric, value: Option<u64>| {
        samples.extend(value.map(|value| Sample { metric, label: Label::None, value }));
    };
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    add(&names::PROCESS_MEMORY, kib.map(|kib| kib * 1024));
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // the name in parentheses may hold anything: count from behind it; state is the third field
    let fields: Vec<&str> =
        stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default();
    let field = |number: usize| fields.get(number - 3).and_then(|text| text.parse::<u64>().ok());
    let busy = field(14).zip(field(15)).map(|(user, system)| (user + system) / TICKS);
    add(&names::PROCESS_CPU, busy);
    let open = std::fs::read_dir("/proc/self/fd").ok().map(|all| all.count() as u64);
    add(&names::PROCESS_OPEN_FDS, open);
    let boot = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let boot = boot.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse::<u64>().ok());
    add(&names::PROCESS_START, boot.zip(field(22)).map(|(boot, ticks)| boot + ticks / TICKS));
    samples
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_descriptors_and_a_start_in_the_past() {
        let found = samples();
        let of = |metric: &Metric| found.iter().find(|one| one.metric.name == metric.name).expect("shown").value;
        assert!(of(&names::PROCESS_MEMORY) > 1 << 20 && of(&names::PROCESS_OPEN_FDS) >= 3);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
        let started = of(&names::PROCESS_START);
        assert!(started <= now + 2 && started > 1_000_000_000, "{started}");
    }
}
