//! The VP8 payload descriptor (RFC 7741 section 4.2): where a frame starts, in which temporal layer it is, and where its
//! running numbers stand, so that they can go on without a jump when a subscription changes its source.

/// What the descriptor says; offsets are into the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Descriptor {
    /// Bytes it takes.
    pub len: usize,
    /// First byte of the frame follows (S bit, partition 0).
    pub start: bool,
    /// Where a 15-bit picture id stands.
    pub picture_id: Option<usize>,
    /// Where TL0PICIDX stands.
    pub tl0: Option<usize>,
    /// Temporal layer, 0 if the stream has none.
    pub temporal: u8,
    /// The frame leans on frames of layer 0 alone (Y bit): its layer may begin here.
    pub sync: bool,
}

/// Reads the descriptor; `None` if the payload ends inside it.
pub fn descriptor(payload: &[u8]) -> Option<Descriptor> {
    let first = *payload.first()?;
    let mut out = Descriptor { len: 1, start: first & 0x17 == 0x10, ..Descriptor::default() };
    if first & 0x80 == 0 {
        return Some(out);
    }
    let flags = *payload.get(1)?;
    out.len = 2;
    if flags & 0x80 != 0 {
        if payload.get(out.len)? & 0x80 != 0 {
            out.picture_id = Some(out.len);
            out.len += 2;
        } else {
            out.len += 1;
        }
    }
    if flags & 0x40 != 0 {
        out.tl0 = Some(out.len);
        out.len += 1;
    }
    if flags & 0x30 != 0 {
        let byte = *payload.get(out.len)?;
        if flags & 0x20 != 0 {
            (out.temporal, out.sync) = (byte >> 6, byte & 0x20 != 0);
        }
        out.len += 1;
    }
    (payload.len() >= out.len).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_that_browsers_send_read_back() {
        let none = Descriptor::default();
        assert_eq!(descriptor(&[0x10, 0]), Some(Descriptor { len: 1, start: true, ..none }));
        let long = [0x90, 0xe0, 0x81, 0x23, 0x07, 0x20, 0x00];
        let read = Descriptor { len: 6, start: true, picture_id: Some(2), tl0: Some(4), temporal: 0, sync: true };
        assert_eq!(descriptor(&long), Some(read));
        let third = [0x90, 0xe0, 0x81, 0x23, 0x07, 0x80, 0x00];
        assert_eq!(descriptor(&third).map(|d| (d.temporal, d.sync)), Some((2, false)));
        let short = [0x80, 0x80, 0x23, 0xff];
        assert_eq!(descriptor(&short), Some(Descriptor { len: 3, ..none }));
    }

    #[test]
    fn every_truncation_is_refused() {
        let long = [0x90, 0xf0, 0x81, 0x23, 0x07, 0x20];
        for len in 0..long.len() {
            assert_eq!(descriptor(&long[..len]), None, "{len} bytes");
        }
    }
}
