//! EBML elements (RFC 8794): ids, sizes and values, as far as a WebM writer needs them. Writes, never reads.

/// Appends an element id as it stands on the wire (its length marker included).
fn id(out: &mut Vec<u8>, id: u32) {
    let bytes = id.to_be_bytes();
    let skip = (id.leading_zeros() / 8) as usize;
    out.extend_from_slice(&bytes[skip..]);
}

/// Bytes of an element's head when its size is written in 8 bytes: 4 of id at most, 8 of size.
const WIDE_SIZE: u64 = 1 << 56;

/// Appends a size as an 8-byte number: one form for every size, so positions can be computed before writing.
fn wide_size(out: &mut Vec<u8>, size: u64) {
    out.extend_from_slice(&(WIDE_SIZE | size).to_be_bytes());
}

/// Appends an element with its body.
pub fn element(out: &mut Vec<u8>, element_id: u32, body: &[u8]) {
    open(out, element_id, body.len() as u64);
    out.extend_from_slice(body);
}

/// Appends the head of an element whose body of `size` bytes follows.
pub fn open(out: &mut Vec<u8>, element_id: u32, size: u64) {
    id(out, element_id);
    wide_size(out, size);
}

/// Appends an unsigned number, always in 8 bytes (see [`wide_size`]).
pub fn unsigned(out: &mut Vec<u8>, element_id: u32, value: u64) {
    element(out, element_id, &value.to_be_bytes());
}

/// Appends an 8-byte float.
pub fn float(out: &mut Vec<u8>, element_id: u32, value: f64) {
    element(out, element_id, &value.to_be_bytes());
}

/// Appends a text.
pub fn text(out: &mut Vec<u8>, element_id: u32, value: &str) {
    element(out, element_id, value.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_keep_their_marker_and_sizes_have_one_form() {
        let mut out = Vec::new();
        element(&mut out, 0x1a45_dfa3, b"x");
        assert_eq!(out, [0x1a, 0x45, 0xdf, 0xa3, 0x01, 0, 0, 0, 0, 0, 0, 1, b'x']);
        let mut short = Vec::new();
        element(&mut short, 0xd7, b"");
        assert_eq!(short, [0xd7, 0x01, 0, 0, 0, 0, 0, 0, 0]);
    }
}
