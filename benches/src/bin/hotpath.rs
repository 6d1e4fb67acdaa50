//! `hotpath SUBSCRIBERS WINDOWS`: sends bursts through the hot path, to be run under callgrind. Instructions of two runs
//! with different numbers of windows, subtracted, are those of the packets alone.

use benches::hotpath::HotPath;
use benches::load::bursts;
use std::io::Write;

fn main() -> anyhow::Result<()> {
    let mut numbers = std::env::args().skip(1).map(|word| word.parse::<usize>());
    let mut next = || numbers.next().ok_or_else(|| anyhow::anyhow!("usage: hotpath SUBSCRIBERS WINDOWS"));
    let (subscribers, windows) = (next()??, next()??);
    let mut path = HotPath::new(subscribers);
    let packets = bursts(1500, 100_000);
    for _ in 0..windows {
        let sealed = path.seal(&packets);
        path.run(sealed);
    }
    writeln!(std::io::stdout(), "{}", path.counts.forwarded)?;
    Ok(())
}
