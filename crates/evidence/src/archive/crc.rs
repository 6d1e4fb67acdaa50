//! CRC-32 (IEEE 802.3, reflected 0xEDB88320) of the record chain. It finds where a file was cut or damaged; it proves
//! nothing against an attacker, the Merkle root under a signature does.

const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0u32; 256];
    let mut n = 0;
    while n < 256 {
        let mut value = n as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { 0xedb8_8320 ^ (value >> 1) } else { value >> 1 };
            bit += 1;
        }
        table[n] = value;
        n += 1;
    }
    table
}

/// CRC-32 of `previous` (big-endian) followed by `parts`. A segment is read at the speed of this function and of SHA-256,
/// so it uses the processor's carry-less multiplication where there is one.
pub(crate) fn chained(previous: u32, parts: &[&[u8]]) -> u32 {
    let mut state = crc32fast::Hasher::new();
    state.update(&previous.to_be_bytes());
    for part in parts {
        state.update(part);
    }
    state.finalize()
}

/// If exactly one byte of `bytes` is wrong, the places and values that would make `stored` right, at most `limit`.
/// `bytes` is what stood between the chained CRC and the stored one.
pub(crate) fn repairs(previous: u32, bytes: &[u8], stored: u32, limit: usize) -> Vec<(usize, u8)> {
    // CRC is linear: changing byte i by d changes the result by T(d) moved on over the bytes after it.
    let syndrome = chained(previous, &[bytes]) ^ stored;
    let mut found = Vec::new();
    // contribution of each of the 8 bits of the byte at distance k from the end, moved on as k grows
    let mut bits: [u32; 8] = std::array::from_fn(|bit| TABLE[1 << bit]);
    for at in (0..bytes.len()).rev() {
        if let Some(change) = solve(&bits, syndrome) {
            found.push((at, bytes[at] ^ change));
            if found.len() == limit {
                break;
            }
        }
        for value in &mut bits {
            *value = TABLE[usize::from(*value as u8)] ^ (*value >> 8);
        }
    }
    found
}

/// The byte whose set bits add up to `syndrome`, if there is one: elimination over eight vectors.
fn solve(bits: &[u32; 8], syndrome: u32) -> Option<u8> {
    let mut rows: Vec<(u32, u8)> = bits.iter().enumerate().map(|(bit, value)| (*value, 1 << bit)).collect();
    let (mut rest, mut change) = (syndrome, 0u8);
    while let Some((value, mask)) = rows.pop() {
        if value == 0 {
            continue;
        }
        let top = 1u32 << (31 - value.leading_zeros());
        for row in &mut rows {
            if row.0 & top != 0 {
                *row = (row.0 ^ value, row.1 ^ mask);
            }
        }
        if rest & top != 0 {
            rest ^= value;
            change ^= mask;
        }
    }
    (rest == 0 && change != 0).then_some(change)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_the_catalogue_comes_out() {
        // the first four bytes stand where the CRC before it does
        assert_eq!(chained(u32::from_be_bytes(*b"1234"), &[b"567", b"89"]), 0xcbf4_3926);
    }

    #[test]
    fn one_wrong_byte_is_found_with_its_right_value() {
        let good: Vec<u8> = (0..2_000u32).map(|n| (n * 31 % 251) as u8).collect();
        let stored = chained(7, &[&good]);
        for (at, change) in [(0, 1u8), (999, 0x80), (1_999, 0xff), (1_234, 0x42)] {
            let mut bad = good.clone();
            bad[at] ^= change;
            assert!(repairs(7, &bad, stored, 16).contains(&(at, good[at])), "{at}");
        }
    }
}
