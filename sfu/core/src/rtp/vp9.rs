//! The VP9 payload descriptor (RFC 9628 section 4.2): start and end of each layer frame, its spatial and temporal layer,
//! and where a layer may begin.

/// Reference indices of one picture at most.
const MAX_REFERENCES: usize = 3;

/// What the descriptor says; offsets are into the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Descriptor {
    /// Bytes it takes.
    pub len: usize,
    /// First packet of a layer frame (B).
    pub start: bool,
    /// Last packet of a layer frame (E).
    pub end: bool,
    /// The picture leans on an earlier one (P).
    pub predicted: bool,
    /// Where a 15-bit picture id stands.
    pub picture_id: Option<usize>,
    /// Where TL0PICIDX stands.
    pub tl0: Option<usize>,
    /// Spatial layer.
    pub spatial: u8,
    /// Temporal layer.
    pub temporal: u8,
    /// A higher temporal layer may begin here (U).
    pub switching: bool,
}

impl Descriptor {
    /// A receiver may begin here.
    pub fn key(&self) -> bool {
        self.start && !self.predicted && self.spatial == 0
    }
}

/// Reads the descriptor; `None` if the payload ends inside it or it is malformed.
pub fn descriptor(payload: &[u8]) -> Option<Descriptor> {
    let first = *payload.first()?;
    let bit = |mask: u8| first & mask != 0;
    let flexible = bit(0x10);
    let mut out =
        Descriptor { len: 1, start: bit(0x08), end: bit(0x04), predicted: bit(0x40), ..Descriptor::default() };
    if bit(0x80) {
        if payload.get(out.len)? & 0x80 != 0 {
            out.picture_id = Some(out.len);
            out.len += 1;
        }
        out.len += 1;
    }
    if bit(0x20) {
        let layers = *payload.get(out.len)?;
        (out.temporal, out.switching, out.spatial) = (layers >> 5, layers & 0x10 != 0, layers >> 1 & 7);
        out.len += 1;
        if !flexible {
            out.tl0 = Some(out.len);
            out.len += 1;
        }
    }
    if flexible && bit(0x40) {
        let mut count = 1;
        while payload.get(out.len)? & 1 != 0 {
            out.len += 1;
            count += 1;
            if count > MAX_REFERENCES {
                return None;
            }
        }
        out.len += 1;
    }
    if bit(0x02) {
        out.len = structure(payload, out.len)?;
    }
    (payload.len() >= out.len).then_some(out)
}

/// Passes over the scalability structure.
fn structure(payload: &[u8], mut at: usize) -> Option<usize> {
    let head = *payload.get(at)?;
    at += 1;
    if head & 0x10 != 0 {
        at += 4 * (usize::from(head >> 5) + 1);
    }
    if head & 0x08 != 0 {
        let pictures = *payload.get(at)?;
        at += 1;
        for _ in 0..pictures {
            at += 1 + usize::from(payload.get(at)? >> 2 & 3);
        }
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layer_frames_of_an_svc_picture_are_told_apart() {
        // flexible mode: key picture, spatial 0, with the structure of two layers
        let key = [0xba, 0x81, 0x02, 0x00, 0x30, 1, 64, 0, 180, 2, 128, 1, 104, 7];
        let d = descriptor(&key).expect("well formed");
        assert!(d.key() && d.start && !d.end && d.picture_id == Some(1) && d.tl0.is_none());
        assert_eq!((d.len, d.spatial, d.temporal), (13, 0, 0));
        let upper = [0xac, 0x81, 0x02, 0x12, 0x05, 9];
        let d = descriptor(&upper).expect("well formed");
        assert!(!d.key() && d.start && d.end && d.switching);
        assert_eq!((d.len, d.spatial, d.temporal, d.tl0), (5, 1, 0, Some(4)));
        let delta = [0xf8, 0x81, 0x03, 0x40, 0x03, 0x04, 9];
        let d = descriptor(&delta).expect("well formed");
        assert_eq!((d.len, d.temporal, d.predicted), (6, 2, true));
    }

    #[test]
    fn truncations_and_endless_references_are_refused() {
        let key = [0xba, 0x81, 0x02, 0x00, 0x30, 1, 64, 0, 180, 2, 128, 1, 104];
        for len in 0..key.len() {
            assert_eq!(descriptor(&key[..len]), None, "{len} bytes");
        }
        assert_eq!(descriptor(&[0xd0, 0x01, 3, 3, 3, 3]), None);
        assert_eq!(descriptor(&[0xd0, 0x01, 3, 3, 3, 2, 9]), None, "four references, well ended");
        assert!(descriptor(&[0xd0, 0x01, 3, 3, 2, 9]).is_some());
    }
}
