//! Transport-wide congestion control feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01), both ways: what
//! arrived when on the publish transport, so that the page's bandwidth estimate lives; and what the page says of the
//! subscribe transport, so that ours does.

use crate::Micros;

/// Most packets described by one feedback: above it the rest waits for the next.
const MAX_DESCRIBED: i64 = 1000;
/// Unit of arrival deltas, microseconds.
const DELTA_US: i64 = 250;
/// Unit of the reference time, microseconds.
const REFERENCE_US: i64 = 64_000;
/// Arrival times of feedback wrap after so long: the reference time has 24 bits.
pub const REFERENCE_WRAP_US: u64 = (1 << 24) * REFERENCE_US as u64;
/// Most packets that a feedback read here may speak of: more than are ever in flight.
pub const MAX_READ: usize = 2048;

/// A feedback that was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Feedback {
    /// Transport-wide sequence numbers in order, each with its arrival on the receiver's clock (microseconds, below
    /// [`REFERENCE_WRAP_US`]), or nothing if it is missing.
    pub packets: Vec<(u16, Option<u64>)>,
}

/// Reads one feedback packet, header included; `None` if it is malformed or speaks of more than [`MAX_READ`] packets.
pub fn read(part: &[u8]) -> Option<Feedback> {
    let be16 = |at: usize| Some(u16::from_be_bytes([*part.get(at)?, *part.get(at + 1)?]));
    let (base, count) = (be16(12)?, usize::from(be16(14)?));
    if count > MAX_READ {
        return None;
    }
    let reference = i64::from(u32::from_be_bytes([0, *part.get(16)?, *part.get(17)?, *part.get(18)?]));
    let (mut symbols, mut at) = (Vec::with_capacity(count), 20);
    while symbols.len() < count {
        let chunk = be16(at)?;
        at += 2;
        let left = count - symbols.len();
        if chunk >> 15 == 0 {
            // run length
            let run = usize::from(chunk & 0x1fff).min(left);
            symbols.resize(symbols.len() + run, chunk >> 13 & 3);
        } else if chunk >> 14 & 1 == 0 {
            symbols.extend((0..14).take(left).map(|n| chunk >> (13 - n) & 1));
        } else {
            symbols.extend((0..7).take(left).map(|n| chunk >> (12 - 2 * n) & 3));
        }
    }
    let mut time = reference * REFERENCE_US;
    let mut packets = Vec::with_capacity(count);
    for (n, symbol) in symbols.into_iter().enumerate() {
        let delta = match symbol {
            1 => i64::from(*part.get(at)?),
            2 => i64::from(be16(at)? as i16),
            _ => {
                packets.push((base.wrapping_add(n as u16), None));
                continue;
            }
        };
        at += usize::from(symbol);
        time += delta * DELTA_US;
        packets.push((base.wrapping_add(n as u16), Some(time.rem_euclid(REFERENCE_WRAP_US as i64) as u64)));
    }
    Some(Feedback { packets })
}

/// Collects arrivals of one transport.
#[derive(Debug, Default)]
pub struct Arrivals {
    seen: Vec<(i64, i64)>,
    newest: Option<i64>,
    next: Option<i64>,
    count: u8,
}

impl Arrivals {
    /// A packet with this transport-wide sequence number arrived.
    pub fn note(&mut self, now: Micros, sequence: u16) {
        let extended = match self.newest {
            None => i64::from(sequence),
            Some(newest) => newest + i64::from(sequence.wrapping_sub(newest as u16) as i16),
        };
        self.newest = Some(self.newest.map_or(extended, |newest| newest.max(extended)));
        if self.seen.len() < 4 * MAX_DESCRIBED as usize {
            self.seen.push((extended, now.0 as i64));
        }
    }

    /// The feedback for what arrived since the last; `None` if nothing did.
    pub fn feedback(&mut self, sender: u32, media: u32) -> Option<Vec<u8>> {
        self.seen.sort_unstable();
        self.seen.dedup_by_key(|arrival| arrival.0);
        // what is older than the last feedback's end was reported lost already
        let next = self.next.unwrap_or(i64::MIN);
        self.seen.retain(|arrival| arrival.0 >= next);
        let (first, last) = (*self.seen.first()?, *self.seen.last()?);
        let base = self.next.unwrap_or(first.0).max(first.0 - MAX_DESCRIBED / 2);
        let described = (last.0 - base + 1).min(MAX_DESCRIBED);
        self.next = Some(base + described);
        let earliest = self.seen.iter().map(|arrival| arrival.1).min().unwrap_or(first.1);
        let reference = earliest / REFERENCE_US;
        let (mut symbols, mut deltas) = (vec![0u16; described as usize], Vec::new());
        let mut previous = reference * REFERENCE_US;
        for (sequence, at) in self.seen.extract_if(.., |arrival| arrival.0 < base + described) {
            let delta = (at - previous).div_euclid(DELTA_US);
            previous += delta * DELTA_US;
            let symbol = &mut symbols[(sequence - base) as usize];
            if (0..256).contains(&delta) {
                *symbol = 1;
                deltas.push(delta as u8);
            } else {
                *symbol = 2;
                deltas.extend((delta.clamp(i64::from(i16::MIN), i64::from(i16::MAX)) as i16).to_be_bytes());
            }
        }
        Some(self.write(sender, media, (base as u16, described as u16, reference as u32), &symbols, &deltas))
    }

    fn write(
        &mut self,
        sender: u32,
        media: u32,
        (base, described, reference): (u16, u16, u32),
        symbols: &[u16],
        deltas: &[u8],
    ) -> Vec<u8> {
        let mut out = vec![0x8f, 205, 0, 0];
        out.extend(sender.to_be_bytes());
        out.extend(media.to_be_bytes());
        out.extend(base.to_be_bytes());
        out.extend(described.to_be_bytes());
        out.extend(&reference.to_be_bytes()[1..]);
        out.push(self.count);
        self.count = self.count.wrapping_add(1);
        for chunk in symbols.chunks(7) {
            // status vector chunk of two-bit symbols
            let word = chunk.iter().enumerate().fold(0xc000u16, |word, (at, symbol)| word | symbol << (12 - 2 * at));
            out.extend(word.to_be_bytes());
        }
        out.extend(deltas);
        let padding = (4 - out.len() % 4) % 4;
        if padding > 0 {
            out[0] |= 0x20;
            out.resize(out.len() + padding, 0);
            *out.last_mut().expect("padding was added") = padding as u8;
        }
        let len = (out.len() / 4 - 1) as u16;
        out[2..4].copy_from_slice(&len.to_be_bytes());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_and_a_gap_are_described_over_a_wrap() {
        let mut arrivals = Arrivals::default();
        for (sequence, at) in [(65_534u16, 0u64), (65_535, 1000), (1, 2000), (0, 3000), (3, 300_000)] {
            arrivals.note(Micros(64_000_000 + at), sequence);
        }
        let packet = arrivals.feedback(1, 2).expect("something arrived");
        assert_eq!(packet.len() % 4, 0);
        assert_eq!(u16::from_be_bytes([packet[12], packet[13]]), 65_534);
        assert_eq!(u16::from_be_bytes([packet[14], packet[15]]), 6);
        assert_eq!(&packet[16..20], &[0, 3, 232, 0]);
        // 65534 small, 65535 small, 0 small, 1 large (negative), 2 missing, 3 large
        let word = u16::from_be_bytes([packet[20], packet[21]]);
        assert_eq!(word, 0xc000 | 1 << 12 | 1 << 10 | 1 << 8 | 2 << 6 | 2 << 2);
        assert!(arrivals.feedback(1, 2).is_none());
        arrivals.note(Micros(64_400_000), 4);
        let packet = arrivals.feedback(1, 2).expect("one more");
        assert_eq!(u16::from_be_bytes([packet[12], packet[13]]), 4);
    }

    #[test]
    fn what_is_written_reads_back_to_a_quarter_of_a_millisecond() {
        let mut arrivals = Arrivals::default();
        let noted = [(65_534u16, 0u64), (65_535, 1000), (0, 3000), (1, 2000), (3, 300_000)];
        for (sequence, at) in noted {
            arrivals.note(Micros(64_000_000 + at), sequence);
        }
        let feedback = read(&arrivals.feedback(1, 2).expect("something arrived")).expect("our own words");
        assert_eq!(feedback.packets.iter().map(|p| p.0).collect::<Vec<_>>(), [65_534, 65_535, 0, 1, 2, 3]);
        assert_eq!(feedback.packets[4].1, None);
        for (sequence, at) in noted {
            let read = feedback.packets.iter().find(|p| p.0 == sequence).and_then(|p| p.1).expect("it arrived");
            assert!(read.abs_diff(64_000_000 + at) <= 250, "{sequence}: {read}");
        }
    }

    #[test]
    fn run_lengths_and_one_bit_vectors_are_read() {
        let mut packet = vec![0x8f, 205, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 5, 0, 20, 0, 0, 1, 0];
        packet.extend([0x00, 0x03]); // three missing
        packet.extend([0x20, 0x03]); // three with small deltas
        packet.extend([0xa0, 0x01]); // vector of one bit: the first and the last of fourteen
        packet.extend([4, 4, 4, 8, 12]);
        let feedback = read(&packet).expect("well formed");
        let arrived: Vec<_> = feedback.packets.iter().filter_map(|(n, at)| Some((*n, (*at)? - 64_000))).collect();
        assert_eq!(feedback.packets.len(), 20);
        assert_eq!(arrived, [(8, 1000), (9, 2000), (10, 3000), (11, 5000), (24, 8000)]);
    }

    #[test]
    fn feedback_that_ends_early_or_speaks_of_too_much_is_refused() {
        let mut arrivals = Arrivals::default();
        for sequence in 0..40 {
            arrivals.note(Micros(64_000_000 + u64::from(sequence) * 100_000), sequence);
        }
        let packet = arrivals.feedback(1, 2).expect("something arrived");
        for len in 0..packet.len() - 4 {
            assert!(read(&packet[..len]).is_none(), "{len} bytes");
        }
        let mut much = packet;
        much[14..16].copy_from_slice(&(MAX_READ as u16 + 1).to_be_bytes());
        much.resize(20_000, 0x20);
        assert!(read(&much).is_none());
    }

    #[test]
    fn a_jump_of_numbers_is_bounded() {
        let mut arrivals = Arrivals::default();
        arrivals.note(Micros(1), 0);
        arrivals.note(Micros(2), 30_000);
        let packet = arrivals.feedback(1, 2).expect("something arrived");
        assert!(packet.len() < 400);
        for _ in 0..40 {
            let _ = arrivals.feedback(1, 2);
        }
    }
}
