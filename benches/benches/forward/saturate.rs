//! The highest rate of forwarded packets on one core with less than 0.1 % lost, and what comes after it.

use super::Out;
use super::cases::{Who, line, name_of, with};
use benches::load::{self, Load};

/// Offered rates, forwarded packets a second.
const STEPS: [u64; 14] = [
    50_000, 75_000, 100_000, 150_000, 200_000, 250_000, 300_000, 350_000, 400_000, 500_000, 600_000, 700_000, 850_000,
    1_000_000,
];
/// Loss that is none.
const NO_LOSS: f64 = 0.001;
/// Steps after the first with loss: does it fall off gently?
const BEYOND: usize = 2;
/// Length of a step.
const WINDOW_US: u64 = 1_500_000;
/// A window before each, so that no step pays for the one before.
const REST_US: u64 = 100_000;

/// Raises the rate until packets are lost, and two steps further. One forwarder for all steps: it must recover by itself.
pub fn until_lost(who: &Who, subscribers: usize, out: &mut Out) -> anyhow::Result<()> {
    let lines = with(who, subscribers, |mut running| {
        let (mut lines, mut lossy) = (Vec::new(), 0);
        running.window(&load::bursts(1_000, 500_000))?;
        for step in STEPS {
            let rate = (step / subscribers as u64).max(8);
            running.window(&load::bursts(500, REST_US))?;
            let measured = running.window(&load::bursts(rate, WINDOW_US))?;
            lossy += usize::from(lossy > 0 || measured.loss >= NO_LOSS);
            let name = format!("{}_{step}", name_of(Load::Saturate));
            let resident = running.meter.resident_kib();
            lines.push(line(who.name(), name, subscribers, &measured, running.cipher.to_owned(), resident));
            if lossy > BEYOND {
                break;
            }
        }
        running.stop();
        Ok(lines)
    })?;
    lines.into_iter().try_for_each(|line| out.say(line))
}
