//! SFrame headers (RFC 9605 section 4.3) and codec shims, read without any key. The SFU stands on this module.
//!
//! A frame on the wire is `shim || SFrame header || ciphertext || tag(16)`; the shim is what packetizers need to see:
//! VP8 one byte `00` (key) or `01` (delta), AV1 an OBU header and length, VP9 and Opus nothing.

use crate::{Codec, Ctr, Kid};

/// Bytes of the tag of suite 5 (AES_256_GCM_SHA512_128).
pub const TAG: usize = 16;
/// Longest header: config byte, 8 bytes of KID, 8 of CTR.
pub const MAX_HEADER: usize = 17;
/// Smallest sealed frame after the shim: header, 8 bytes of capture time, tag.
pub const MIN_SEALED: usize = 1 + 8 + TAG;

/// A parsed SFrame header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Key id.
    pub kid: Kid,
    /// Counter.
    pub ctr: Ctr,
    /// Bytes the header takes.
    pub len: usize,
}

/// Why bytes are no SFrame header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// Fewer bytes than the config byte announces.
    #[error("the frame ends inside its SFrame header")]
    Truncated,
    /// A number written with more bytes than it needs: one number has one form.
    #[error("an SFrame number is not in its shortest form")]
    NotShortest,
}

fn number(bytes: &[u8], at: &mut usize, extended: bool, low: u8) -> Result<u64, HeaderError> {
    if !extended {
        return Ok(u64::from(low));
    }
    let len = usize::from(low) + 1;
    let part = bytes.get(*at..*at + len).ok_or(HeaderError::Truncated)?;
    *at += len;
    let value = part.iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
    // 0..=7 fit the config byte; a leading zero byte is never needed beyond that
    if value < 8 || (len > 1 && part[0] == 0) {
        return Err(HeaderError::NotShortest);
    }
    Ok(value)
}

/// Reads the header at the start of `bytes` (after the shim).
pub fn header(bytes: &[u8]) -> Result<Header, HeaderError> {
    let config = *bytes.first().ok_or(HeaderError::Truncated)?;
    let mut at = 1;
    let kid = number(bytes, &mut at, config & 0x80 != 0, config >> 4 & 7)?;
    let ctr = number(bytes, &mut at, config & 0x08 != 0, config & 7)?;
    Ok(Header { kid: Kid(kid), ctr: Ctr(ctr), len: at })
}

/// Writes the shim of a frame of `sealed` bytes (SFrame header, ciphertext and tag) into `out`.
pub fn write_shim(codec: Codec, key_frame: bool, sealed: usize, out: &mut Vec<u8>) {
    match codec {
        Codec::Opus | Codec::Vp9 => {}
        Codec::Vp8 => out.push(if key_frame { 0 } else { 1 }),
        Codec::Av1 => {
            out.push(if key_frame { 0x0a } else { 0x32 });
            let mut rest = sealed;
            loop {
                let low = (rest & 0x7f) as u8;
                rest >>= 7;
                out.push(if rest > 0 { low | 0x80 } else { low });
                if rest == 0 {
                    break;
                }
            }
        }
    }
}

/// What a shim says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shim {
    /// Bytes it takes.
    pub len: usize,
    /// Key frame, where the shim tells.
    pub key_frame: Option<bool>,
}

/// Reads the shim of a whole frame; `None` if it is malformed.
pub fn shim(codec: Codec, frame: &[u8]) -> Option<Shim> {
    match codec {
        Codec::Opus | Codec::Vp9 => Some(Shim { len: 0, key_frame: None }),
        Codec::Vp8 => match frame.first()? {
            0 => Some(Shim { len: 1, key_frame: Some(true) }),
            1 => Some(Shim { len: 1, key_frame: Some(false) }),
            _ => None,
        },
        Codec::Av1 => {
            let key_frame = match frame.first()? {
                0x0a => true,
                0x32 => false,
                _ => return None,
            };
            let (mut len, mut value) = (1, 0usize);
            for shift in 0..4 {
                let byte = *frame.get(len)?;
                len += 1;
                value |= usize::from(byte & 0x7f) << (7 * shift);
                if byte & 0x80 == 0 {
                    return (value == frame.len() - len).then_some(Shim { len, key_frame: Some(key_frame) });
                }
            }
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_every_length_read_back_and_long_forms_are_refused() {
        assert_eq!(header(&[0x00]), Ok(Header { kid: Kid(0), ctr: Ctr(0), len: 1 }));
        assert_eq!(header(&[0x99, 1, 0x23, 0x45, 0x67]), Ok(Header { kid: Kid(0x123), ctr: Ctr(0x4567), len: 5 }));
        assert_eq!(header(&[0x80, 7]), Err(HeaderError::NotShortest));
        assert_eq!(header(&[0x98, 0, 9, 1]), Err(HeaderError::NotShortest));
        assert_eq!(header(&[0xff, 1, 2]), Err(HeaderError::Truncated));
        assert_eq!(header(&[]), Err(HeaderError::Truncated));
    }

    #[test]
    fn shims_read_back() {
        for codec in [Codec::Opus, Codec::Vp8, Codec::Vp9, Codec::Av1] {
            for key_frame in [true, false] {
                let mut frame = Vec::new();
                write_shim(codec, key_frame, 300, &mut frame);
                frame.resize(frame.len() + 300, 0xee);
                let read = shim(codec, &frame).expect("well formed");
                assert_eq!(frame.len() - read.len, 300);
                assert!(read.key_frame.is_none_or(|k| k == key_frame));
            }
        }
        assert_eq!(shim(Codec::Vp8, &[7]), None);
        assert_eq!(shim(Codec::Av1, &[0x32, 0x05, 1]), None);
    }
}
