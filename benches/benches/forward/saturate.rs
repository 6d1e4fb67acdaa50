//! The highest rate of forwarded packets on one core with less than 0.1 % lost, and what comes after it: more and more
//! subscribers of one stream, since what a single subscriber is sent is bounded by its estimate.

use super::Out;
use super::cases::{Who, line, name_of, with};
use benches::load::{self, Load};

/// Packets a second of the stream.
const RATE: u64 = 1_500;
/// Forwarded packets a second, offered.
const STEPS: [u64; 14] = [
    50_000, 75_000, 100_000, 150_000, 200_000, 250_000, 300_000, 350_000, 400_000, 500_000, 600_000, 700_000, 850_000,
    1_000_000,
];
/// Loss that is none.
const NO_LOSS: f64 = 0.001;
/// Steps after the first with loss: does it fall off gently?
const BEYOND: usize = 2;
/// Length of a window.
const WINDOW_US: u64 = 1_500_000;
/// Windows of a step; the one with the least loss counts, for a machine stops now and then by itself.
const WINDOWS: usize = 3;

/// Adds subscribers until packets are lost, and two steps further.
pub fn until_lost(who: &Who, out: &mut Out) -> anyhow::Result<()> {
    let mut lossy = 0;
    for step in STEPS {
        let subscribers = (step / RATE) as usize;
        let name = format!("{}_{step}", name_of(Load::Saturate));
        let measured = with(who, subscribers, |mut running| {
            let packets = load::bursts(RATE, WINDOW_US);
            running.ramp(&packets)?;
            let mut least = running.window(&packets)?;
            for _ in 1..WINDOWS {
                let next = running.window(&packets)?;
                if next.loss < least.loss {
                    least = next;
                }
            }
            let (cipher, resident) = (running.cipher.to_owned(), running.meter.resident_kib());
            running.stop();
            Ok(line(who.name(), name, subscribers, &least, cipher, resident))
        })?;
        lossy += usize::from(lossy > 0 || measured.loss >= NO_LOSS);
        out.say(measured)?;
        if lossy > BEYOND {
            break;
        }
    }
    Ok(())
}
