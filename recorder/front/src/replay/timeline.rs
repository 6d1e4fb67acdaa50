//! One meeting time line for all lanes. Each frame carries its sender's own clock, authenticated (`capture_us`), and the
//! SFU's clock at arrival; the first tells frames of one sender apart exactly, the second ties senders together. Pure.

/// The difference jumps by more: the sender started a new clock (page reloaded, machine slept).
const NEW_CLOCK_US: i64 = 2_000_000;
/// The difference is judged in windows: long enough to meet an unhurried packet, short against clock drift (100 ppm
/// of 10 s is 1 ms).
const WINDOW_US: u64 = 10_000_000;
/// A window looks so many windows to each side for the least delayed packet.
const REACH: usize = 3;
/// No frame is shown earlier than this before it arrived: a sender's clock is the sender's word, and must not carry its
/// frames out of the meeting. Twice what a bad network delays.
const MOST_DELAY_US: u64 = 4_000_000;
/// Times beyond it are nobody's clock; below it differences cannot overflow.
const MAX_TIME_US: u64 = 1 << 60;
/// Windows of one run: a day and a half. A run that claims to be longer is cut.
const MAX_WINDOWS: usize = 1 << 14;

/// What is known of a frame's time, microseconds.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// Sender's monotonic clock.
    pub capture_us: u64,
    /// SFU's clock at arrival, since 1970.
    pub sfu_us: u64,
}

/// Places all frames of one sender: microseconds since 1970 on the SFU's clock, less the network's delay as far as it
/// varies. The answer is in the order of `frames`; frames of one sender keep their exact distance while its clock runs.
/// Neither clock is trusted: whatever they say, a frame stands at most [`MOST_DELAY_US`] before its arrival and never after.
pub fn place(frames: &[Times]) -> Vec<u64> {
    let mut order: Vec<usize> = (0..frames.len()).collect();
    order.sort_by_key(|index| frames[*index].sfu_us);
    let mut out = vec![0; frames.len()];
    let mut first = 0;
    while first < order.len() {
        let mut end = first + 1;
        while end < order.len() && goes_on(frames[order[first]], frames[order[end - 1]], frames[order[end]]) {
            end += 1;
        }
        place_run(frames, &order[first..end], &mut out);
        first = end;
    }
    out
}

fn offset(times: Times) -> i64 {
    times.sfu_us.min(MAX_TIME_US) as i64 - times.capture_us.min(MAX_TIME_US) as i64
}

/// Does `next` belong to the run that `first` began and `last` ended?
fn goes_on(first: Times, last: Times, next: Times) -> bool {
    (offset(next) - offset(last)).abs() < NEW_CLOCK_US && window(first, next) < MAX_WINDOWS
}

fn window(first: Times, times: Times) -> usize {
    usize::try_from((times.sfu_us - first.sfu_us) / WINDOW_US).unwrap_or(usize::MAX)
}

/// `run` is in order of arrival and has one sender clock.
fn place_run(frames: &[Times], run: &[usize], out: &mut [u64]) {
    let begin = frames[run[0]];
    let count = window(begin, frames[run[run.len() - 1]]) + 1;
    let mut least: Vec<Option<i64>> = vec![None; count];
    for index in run {
        let slot = &mut least[window(begin, frames[*index])];
        let now = offset(frames[*index]);
        *slot = Some(slot.map_or(now, |known| known.min(now)));
    }
    // the least delayed packet nearby is the truest tie between the two clocks
    let tied: Vec<i64> = (0..count)
        .map(|at| {
            let near = &least[at.saturating_sub(REACH)..count.min(at + REACH + 1)];
            near.iter().flatten().min().copied().unwrap_or_else(|| least.iter().flatten().min().copied().unwrap_or(0))
        })
        .collect();
    for index in run {
        let arrived = frames[*index].sfu_us;
        let into = arrived - begin.sfu_us;
        // between the middles of two windows the tie moves evenly, so that no frame jumps
        let middle = into as f64 / WINDOW_US as f64 - 0.5;
        let left = middle.floor().clamp(0.0, (count - 1) as f64) as usize;
        let right = (left + 1).min(count - 1);
        let share = (middle - left as f64).clamp(0.0, 1.0);
        let tie = tied[left] as f64 * (1.0 - share) + tied[right] as f64 * share;
        let placed = (frames[*index].capture_us.min(MAX_TIME_US) as i64 + tie.round() as i64).max(0) as u64;
        out[*index] = placed.clamp(arrived.saturating_sub(MOST_DELAY_US), arrived);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_800_000_000_000_000;

    #[test]
    fn frames_of_one_sender_keep_their_distance_whatever_the_network_does() {
        let frames: Vec<Times> = (0..3000u64)
            .map(|i| Times { capture_us: 5_000_000 + i * 20_000, sfu_us: START + i * 20_000 + (i * 7919 % 97) * 500 })
            .collect();
        let placed = place(&frames);
        assert!(placed.windows(2).all(|pair| (pair[1] - pair[0]).abs_diff(20_000) <= 2));
        assert!(placed[0].abs_diff(START) < 1_000, "the least delayed packet decides");
    }

    #[test]
    fn two_senders_with_different_clocks_and_drift_meet_on_one_line() {
        // clocks of 50 ppm fast and slow over an hour: 180 ms each if nobody looked
        let sender = |base: u64, ppm: i64| -> Vec<Times> {
            (0..3600u64)
                .map(|second| {
                    let real = second * 1_000_000;
                    let capture = base + (real as i64 + real as i64 * ppm / 1_000_000) as u64;
                    Times { capture_us: capture, sfu_us: START + real + 3_000 + second * 31 % 4_000 }
                })
                .collect()
        };
        let (a, b) = (place(&sender(0, 50)), place(&sender(77_000_000, -50)));
        for second in 0..3600 {
            let real = START + second as u64 * 1_000_000;
            assert!(a[second].abs_diff(real) < 15_000 && b[second].abs_diff(real) < 15_000, "second {second}");
        }
    }

    #[test]
    fn a_reload_begins_a_new_clock() {
        let mut frames: Vec<Times> =
            (0..50u64).map(|i| Times { capture_us: 90_000_000 + i * 20_000, sfu_us: START + i * 20_000 }).collect();
        frames.extend((0..50u64).map(|i| Times { capture_us: i * 20_000, sfu_us: START + 3_000_000 + i * 20_000 }));
        let placed = place(&frames);
        assert_eq!(placed[49], START + 980_000);
        assert_eq!(placed[50], START + 3_000_000);
    }

    #[test]
    fn no_clock_carries_a_frame_away_from_its_arrival_or_stops_a_replay() {
        let wild = [0, 1, u64::MAX, u64::MAX - 1, 1 << 63, START];
        let frames: Vec<Times> = wild
            .iter()
            .flat_map(|sfu_us| wild.iter().map(|capture_us| Times { capture_us: *capture_us, sfu_us: *sfu_us }))
            .collect();
        for (frame, placed) in frames.iter().zip(place(&frames)) {
            assert!(
                (frame.sfu_us.saturating_sub(MOST_DELAY_US)..=frame.sfu_us).contains(&placed),
                "{frame:?} {placed}"
            );
        }
        // a sender whose clock walks away in steps that are each too small to be a new clock
        let walking: Vec<Times> = (0..600u64)
            .map(|i| Times { capture_us: 1 << 40, sfu_us: START + i * 20_000 })
            .enumerate()
            .map(|(i, times)| Times { capture_us: times.capture_us + i as u64 * 1_900_000, ..times })
            .collect();
        let placed = place(&walking);
        assert!(walking.iter().zip(&placed).all(|(frame, placed)| frame.sfu_us - placed <= MOST_DELAY_US));
        // an operator and a sender who agree on years cost no memory
        let years: Vec<Times> = (0..3u64).map(|i| Times { capture_us: i * (1 << 58), sfu_us: i * (1 << 58) }).collect();
        assert_eq!(place(&years).len(), 3);
    }
}
