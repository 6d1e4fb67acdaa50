//! What the command line says of the links.

use anyhow::{Context, bail};
use emulator::link::{Conditions, Loss};
use sfu_core::BitRate;

/// Changes of one direction; a longer schedule is a mistake.
const MOST_CHANGES: usize = 64;

/// One direction: second, conditions; at least one, the first at second 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path(Vec<(u64, Conditions)>);

impl Path {
    /// Before the schedule begins.
    pub fn first(&self) -> Conditions {
        self.0[0].1
    }

    /// What changes, and when.
    pub fn changes(&self) -> impl Iterator<Item = (u64, Conditions)> {
        self.0.iter().copied()
    }
}

/// The whole command line.
#[derive(Debug)]
pub struct Plan {
    /// Interface that stays.
    pub near: String,
    /// Interface that is moved.
    pub far: String,
    /// From near to far.
    pub down: Path,
    /// From far to near.
    pub up: Path,
    /// Of both links.
    pub seed: u64,
}

impl Plan {
    /// Reads `--name value` pairs.
    pub fn read(mut words: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let (mut near, mut far, mut down, mut up) = (None, None, None, String::from("0:10000"));
        let (mut delay_ms, mut queue_ms, mut seed) = (50, 300, 1);
        while let Some(name) = words.next() {
            let value = words.next().with_context(|| format!("{name} wants a value"))?;
            match name.as_str() {
                "--near" => near = Some(value),
                "--far" => far = Some(value),
                "--down" => down = Some(value),
                "--up" => up = value,
                "--delay-ms" => delay_ms = value.parse()?,
                "--queue-ms" => queue_ms = value.parse()?,
                "--seed" => seed = value.parse()?,
                _ => bail!("{name} is not known here"),
            }
        }
        let path = |text: &str| path(text, delay_ms, queue_ms);
        Ok(Self {
            near: near.context("--near is missing")?,
            far: far.context("--far is missing")?,
            down: path(&down.context("--down is missing")?)?,
            up: path(&up)?,
            seed,
        })
    }
}

fn path(text: &str, delay_ms: u64, queue_ms: u64) -> anyhow::Result<Path> {
    let read = |step: &str| -> anyhow::Result<(u64, Conditions)> {
        let parts = step.split(':').map(str::parse).collect::<Result<Vec<u64>, _>>()?;
        let (second, kbps, lost) = match parts[..] {
            [second, kbps] => (second, kbps, 0),
            [second, kbps, lost] => (second, kbps, lost),
            _ => bail!("`{step}` is no second:kbit/s[:losses in a million]"),
        };
        let loss = if lost == 0 { Loss::None } else { Loss::Random(lost) };
        let rate = Some(BitRate::kbps(kbps));
        Ok((second, Conditions { rate, queue_us: queue_ms * 1_000, delay_us: delay_ms * 1_000, jitter_us: 0, loss }))
    };
    let steps = text.split(',').map(read).collect::<anyhow::Result<Vec<_>>>()?;
    if steps.len() > MOST_CHANGES || steps[0].0 != 0 || !steps.windows(2).all(|two| two[0].0 < two[1].0) {
        bail!("`{text}`: seconds must rise from 0, {MOST_CHANGES} at most");
    }
    Ok(Path(steps))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> anyhow::Result<Plan> {
        Plan::read(line.split(' ').map(String::from))
    }

    #[test]
    fn a_schedule_is_read_as_it_is_said_and_both_directions_share_delay_and_queue() {
        let plan = read("--near a --far b --down 0:10000,5:1000:50000 --delay-ms 20 --seed 7").expect("readable");
        let down: Vec<_> = plan.down.changes().collect();
        let wide = Conditions { delay_us: 20_000, ..Conditions::narrow(10_000) };
        let narrow = Conditions { rate: Some(BitRate::kbps(1_000)), ..wide }.with_loss(Loss::Random(50_000));
        assert_eq!((down, plan.down.first()), (vec![(0, wide), (5, narrow)], wide));
        assert_eq!((plan.up.first(), plan.seed), (wide, 7));
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for line in ["--near a --far b --down 1:1000", "--near a --far b --down 0:1,0:2", "--near a --far b --down x"] {
            assert!(read(line).is_err(), "{line}");
        }
        assert!(read("--far b --down 0:1").is_err() && read("--odd 1").is_err() && read("--near").is_err());
    }
}
