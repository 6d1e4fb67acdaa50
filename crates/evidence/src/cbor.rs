//! The one way typed values become CBOR (RFC 8949) and back: our own serialisation, no trailing bytes, a size limit.
//!
//! Verifiers hash and check the bytes they received, never a re-encoding. Both sides encode only the trust map and the
//! group extensions for comparison.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Largest value taken: a meeting manifest of 250 members stays far below.
pub const MAX: usize = 4 << 20;

/// Why bytes are no value of the wanted type. The peer's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CborError {
    /// More than [`MAX`] bytes.
    #[error("the value is longer than {MAX} bytes")]
    TooLong,
    /// Not CBOR, or not of this type.
    #[error("the bytes are no CBOR of the expected shape")]
    Malformed,
    /// Bytes after the value.
    #[error("bytes follow the CBOR value")]
    Trailing,
}

/// Encodes a value of our own types: maps with the field names as keys, in field order.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    ciborium::into_writer(value, &mut out).expect("our types have no unserialisable value and a Vec takes all bytes");
    out
}

/// Decodes exactly one value.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CborError> {
    if bytes.len() > MAX {
        return Err(CborError::TooLong);
    }
    let mut rest = bytes;
    let value = ciborium::from_reader(&mut rest).map_err(|_| CborError::Malformed)?;
    if rest.is_empty() { Ok(value) } else { Err(CborError::Trailing) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_not_read() {
        let bytes = encode(&serde_bytes::Bytes::new(&vec![0; MAX]));
        assert_eq!(decode::<serde_bytes::ByteBuf>(&bytes), Err(CborError::TooLong));
    }

    #[test]
    fn trailing_bytes_and_deep_nesting_are_refused() {
        let mut bytes = encode(&(1u8, "a".to_owned()));
        assert_eq!(decode::<(u8, String)>(&bytes), Ok((1, "a".to_owned())));
        bytes.push(0);
        assert_eq!(decode::<(u8, String)>(&bytes), Err(CborError::Trailing));
        assert_eq!(decode::<ciborium::Value>(&vec![0x81; 100_000]).err(), Some(CborError::Malformed));
    }
}
