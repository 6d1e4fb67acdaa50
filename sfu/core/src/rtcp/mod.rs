//! RTCP (RFC 3550 section 6, RFC 4585, RFC 5104): reading compounds in place and building what an SFU says.

pub mod build;
pub mod twcc;

/// Most sequence numbers taken from one NACK packet: a burst of 1 s at 1,000 packets/s needs fewer.
pub const MAX_NACKED: usize = 1024;

/// One item of a compound that the engine acts on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// Sender report.
    SenderReport {
        /// Whose.
        ssrc: u32,
        /// 64-bit NTP timestamp.
        ntp: u64,
        /// RTP timestamp at that time.
        timestamp: u32,
    },
    /// One report block of a receiver.
    Block {
        /// About which of our streams.
        ssrc: u32,
        /// Share lost since the last report, of 256.
        lost: u8,
        /// Middle 32 bits of the NTP time of the last sender report that it had of us, 0 for none.
        last_sr: u32,
        /// Time between that and this, in 1/65,536 s.
        delay: u32,
    },
    /// Retransmissions asked for (RFC 4585 section 6.2.1).
    Nack {
        /// Which of our streams.
        ssrc: u32,
        /// Sequence numbers.
        sequences: Vec<u16>,
    },
    /// A key frame asked for: PLI, or FIR of this stream.
    KeyFrame {
        /// Which of our streams.
        ssrc: u32,
    },
    /// Transport-wide feedback.
    TransportFeedback(twcc::Feedback),
    /// The receiver's own estimate (draft-alvestrand-rmcat-remb-03), bits a second.
    Remb {
        /// Bits a second.
        rate: u64,
    },
    /// The receiver's clock (RFC 3611 section 4.4), to be given back with the delay since.
    ReceiverTime {
        /// Whose.
        ssrc: u32,
        /// 64-bit NTP timestamp.
        ntp: u64,
    },
    /// Our own receiver's clock given back (RFC 3611 section 4.5).
    ReceiverTimeBack {
        /// Middle 32 bits of the time that we gave.
        last_rr: u32,
        /// Time between its arrival and this, in 1/65,536 s.
        delay: u32,
    },
    /// The stream ends.
    Bye {
        /// Which.
        ssrc: u32,
    },
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Reads a compound packet; stops at the first malformed part and returns what came before.
pub fn parse(packet: &[u8]) -> Vec<Item> {
    let mut items = Vec::new();
    let mut rest = packet;
    while rest.len() >= 4 {
        let len = 4 * (usize::from(u16::from_be_bytes([rest[2], rest[3]])) + 1);
        if rest[0] >> 6 != 2 || rest.len() < len {
            break;
        }
        if part(&rest[..len], &mut items).is_none() {
            break;
        }
        rest = &rest[len..];
    }
    items
}

fn part(part: &[u8], items: &mut Vec<Item>) -> Option<()> {
    let count = part[0] & 0x1f;
    match (part[1], count) {
        (200, _) => {
            let ntp = u64::from(be32(part, 8)?) << 32 | u64::from(be32(part, 12)?);
            items.push(Item::SenderReport { ssrc: be32(part, 4)?, ntp, timestamp: be32(part, 16)? });
            blocks(part, 28, count, items)?;
        }
        (201, _) => blocks(part, 8, count, items)?,
        (203, _) => {
            for at in 0..usize::from(count) {
                items.push(Item::Bye { ssrc: be32(part, 4 + 4 * at)? });
            }
        }
        (205, 1) => {
            let ssrc = be32(part, 8)?;
            let mut sequences = Vec::new();
            for fci in part.get(12..)?.chunks_exact(4) {
                let (first, mask) = (u16::from_be_bytes([fci[0], fci[1]]), u16::from_be_bytes([fci[2], fci[3]]));
                sequences.push(first);
                sequences.extend((0..16).filter(|bit| mask >> bit & 1 == 1).map(|bit| first.wrapping_add(bit + 1)));
            }
            sequences.truncate(MAX_NACKED);
            items.push(Item::Nack { ssrc, sequences });
        }
        (205, 15) => items.push(Item::TransportFeedback(twcc::read(part)?)),
        (206, 1) => items.push(Item::KeyFrame { ssrc: be32(part, 8)? }),
        (206, 15) if part.get(12..16) == Some(b"REMB") => {
            let (exponent, mantissa) = (*part.get(17)? >> 2, be32(part, 16)? & 0x0003_ffff);
            items.push(Item::Remb { rate: u64::from(mantissa) << exponent.min(40) });
        }
        (207, _) => extended(part, items)?,
        (206, 4) => {
            for fci in part.get(12..)?.chunks_exact(8) {
                items.push(Item::KeyFrame { ssrc: be32(fci, 0)? });
            }
        }
        _ => {}
    }
    Some(())
}

fn blocks(part: &[u8], first: usize, count: u8, items: &mut Vec<Item>) -> Option<()> {
    for at in 0..usize::from(count) {
        let block = part.get(first + 24 * at..first + 24 * (at + 1))?;
        let (last_sr, delay) = (be32(block, 16)?, be32(block, 20)?);
        items.push(Item::Block { ssrc: be32(block, 0)?, lost: block[4], last_sr, delay });
    }
    Some(())
}

/// Extended reports (RFC 3611): the receiver's clock and its answer.
fn extended(part: &[u8], items: &mut Vec<Item>) -> Option<()> {
    let ssrc = be32(part, 4)?;
    let mut rest = part.get(8..)?;
    while rest.len() >= 4 {
        let len = 4 * (usize::from(u16::from_be_bytes([rest[2], rest[3]])) + 1);
        let block = rest.get(..len)?;
        match block[0] {
            4 => items
                .push(Item::ReceiverTime { ssrc, ntp: u64::from(be32(block, 4)?) << 32 | u64::from(be32(block, 8)?) }),
            // one sub-block is ours: we are one receiver
            5 => items.push(Item::ReceiverTimeBack { last_rr: be32(block, 8)?, delay: be32(block, 12)? }),
            _ => {}
        }
        rest = &rest[len..];
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_reads_back() {
        let mut compound = build::sender_report(5, 7 << 32 | 9, 1234, 10, 1000);
        compound.extend(build::key_frame_request(1, 5));
        compound.extend(build::nack(1, 5, &[10, 11, 26, 27, 400]).expect("not empty"));
        let block = build::Block { ssrc: 5, lost: 3, total_lost: 4, highest: 70_000, jitter: 0, last_sr: 0, delay: 0 };
        compound.extend(build::receiver_report(1, &[block]));
        let items = parse(&compound);
        assert_eq!(items[0], Item::SenderReport { ssrc: 5, ntp: 7 << 32 | 9, timestamp: 1234 });
        assert_eq!(items[1], Item::KeyFrame { ssrc: 5 });
        assert_eq!(items[2], Item::Nack { ssrc: 5, sequences: vec![10, 11, 26, 27, 400] });
        assert_eq!(items[3], Item::Block { ssrc: 5, lost: 3, last_sr: 0, delay: 0 });
    }

    #[test]
    fn the_receivers_clock_goes_there_and_back() {
        let mut compound = build::receiver_time(1, 7 << 32 | 9);
        compound.extend(build::receiver_time_back(5, 1, 0x0007_0000, 65_536));
        let expected = [
            Item::ReceiverTime { ssrc: 1, ntp: 7 << 32 | 9 },
            Item::ReceiverTimeBack { last_rr: 0x0007_0000, delay: 65_536 },
        ];
        assert_eq!(parse(&compound), expected);
    }

    #[test]
    fn a_receivers_own_estimate_is_read() {
        let mut remb = vec![0x8f, 206, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0];
        remb.extend(b"REMB");
        remb.extend([1, 3 << 2 | 1, 0x00, 0x10, 0, 0, 0, 9]);
        assert_eq!(parse(&remb), [Item::Remb { rate: 0x1_0010 << 3 }]);
        remb[17] = 0xff;
        assert_eq!(parse(&remb), [Item::Remb { rate: 0x3_0010 << 40 }], "an impossible exponent does not overflow");
    }

    #[test]
    fn every_truncation_and_noise_is_survived() {
        let mut compound = build::sender_report(5, 9, 1234, 10, 1000);
        compound.extend(build::nack(1, 5, &[10, 11]).expect("not empty"));
        for len in 0..compound.len() {
            assert!(parse(&compound[..len]).len() <= 2);
        }
        let mut seed = 3u32;
        for _ in 0..20_000 {
            let mut q = compound.clone();
            for _ in 0..3 {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let at = seed as usize / 5 % q.len();
                q[at] = (seed >> 24) as u8;
            }
            let _ = parse(&q);
        }
    }
}
