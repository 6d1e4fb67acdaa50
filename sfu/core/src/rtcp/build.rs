//! RTCP packets that the SFU sends. Each function returns one packet; compounds are concatenations.

/// One report block (RFC 3550 section 6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Which stream of the peer.
    pub ssrc: u32,
    /// Share lost since the last report, of 256.
    pub lost: u8,
    /// Lost in all, 24 bits.
    pub total_lost: u32,
    /// Extended highest sequence number.
    pub highest: u32,
    /// Interarrival jitter in timestamp units.
    pub jitter: u32,
    /// Middle 32 bits of the last sender report's NTP time.
    pub last_sr: u32,
    /// Delay since it, in 1/65,536 s.
    pub delay: u32,
}

fn start(count: u8, kind: u8) -> Vec<u8> {
    vec![0x80 | count, kind, 0, 0]
}

fn words(mut packet: Vec<u8>, words: &[u32]) -> Vec<u8> {
    for word in words {
        packet.extend(word.to_be_bytes());
    }
    finish(packet)
}

fn finish(mut packet: Vec<u8>) -> Vec<u8> {
    let len = (packet.len() / 4 - 1) as u16;
    packet[2..4].copy_from_slice(&len.to_be_bytes());
    packet
}

/// Sender report without blocks, followed by an SDES with a CNAME (RFC 3550 section 6.5), as compounds must be.
pub fn sender_report(ssrc: u32, ntp: u64, timestamp: u32, packets: u32, octets: u32) -> Vec<u8> {
    let mut out = words(start(0, 200), &[ssrc, (ntp >> 32) as u32, ntp as u32, timestamp, packets, octets]);
    let mut sdes = start(1, 202);
    sdes.extend(ssrc.to_be_bytes());
    sdes.extend([1, 2, b's', b'r', 0, 0, 0, 0]);
    out.extend(finish(sdes));
    out
}

/// Receiver report of at most 31 blocks.
pub fn receiver_report(sender: u32, blocks: &[Block]) -> Vec<u8> {
    let blocks = &blocks[..blocks.len().min(31)];
    let mut all = vec![sender];
    for b in blocks {
        let loss = u32::from(b.lost) << 24 | b.total_lost.min(0x007f_ffff);
        all.extend([b.ssrc, loss, b.highest, b.jitter, b.last_sr, b.delay]);
    }
    words(start(blocks.len() as u8, 201), &all)
}

/// Our receiver's clock (RFC 3611 section 4.4), so that a sender can give it back.
pub fn receiver_time(sender: u32, ntp: u64) -> Vec<u8> {
    words(start(0, 207), &[sender, 4 << 24 | 2, (ntp >> 32) as u32, ntp as u32])
}

/// A receiver's clock given back (RFC 3611 section 4.5): `last_rr` as it gave it, `delay` since in 1/65,536 s.
pub fn receiver_time_back(sender: u32, receiver: u32, last_rr: u32, delay: u32) -> Vec<u8> {
    words(start(0, 207), &[sender, 5 << 24 | 3, receiver, last_rr, delay])
}

/// Picture loss indication (RFC 4585 section 6.3.1).
pub fn key_frame_request(sender: u32, media: u32) -> Vec<u8> {
    words(start(1, 206), &[sender, media])
}

/// Generic NACK for `missing` in rising order; `None` if nothing is missing.
pub fn nack(sender: u32, media: u32, missing: &[u16]) -> Option<Vec<u8>> {
    let mut pairs: Vec<u32> = Vec::new();
    let mut current: Option<(u16, u16)> = None;
    for &sequence in missing {
        match &mut current {
            Some((first, mask)) if (1..=16).contains(&sequence.wrapping_sub(*first)) => {
                *mask |= 1 << (sequence.wrapping_sub(*first) - 1);
            }
            _ => {
                pairs.extend(current.map(|(first, mask)| u32::from(first) << 16 | u32::from(mask)));
                current = Some((sequence, 0));
            }
        }
    }
    pairs.extend(current.map(|(first, mask)| u32::from(first) << 16 | u32::from(mask)));
    if pairs.is_empty() {
        return None;
    }
    let mut all = vec![sender, media];
    all.extend(pairs);
    Some(words(start(1, 205), &all))
}
