//! Framing of the custody socket: u32 big-endian length, then one CBOR value. Buffers that may hold a key are wiped.

use domain::limits::MAX_CUSTODY_MESSAGE;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

/// Reads one frame; `None` at a clean end between frames.
///
/// # Errors
/// I/O errors; `InvalidData` for an empty frame or one above [`MAX_CUSTODY_MESSAGE`].
pub async fn read<R: AsyncRead + Unpin>(reader: &mut R) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let Some(length) = read_length(reader).await? else { return Ok(None) };
    read_body(reader, length).await.map(Some)
}

/// Reads the length of the next frame; `None` at a clean end. May wait for ever: an idle client is welcome.
///
/// # Errors
/// As [`read`].
pub async fn read_length<R: AsyncRead + Unpin>(reader: &mut R) -> io::Result<Option<usize>> {
    let mut head = [0u8; 4];
    if reader.read(&mut head[..1]).await? == 0 {
        return Ok(None);
    }
    reader.read_exact(&mut head[1..]).await?;
    let length = u32::from_be_bytes(head) as usize;
    if length == 0 || length > MAX_CUSTODY_MESSAGE {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "frame length out of range"));
    }
    Ok(Some(length))
}

/// Reads the rest of a frame. The buffer grows with what arrives, never ahead of it.
///
/// # Errors
/// As [`read`].
pub async fn read_body<R: AsyncRead + Unpin>(reader: &mut R, length: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut body = Zeroizing::new(Vec::new());
    let got = reader.take(length as u64).read_to_end(&mut body).await?;
    if got == length { Ok(body) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Writes one frame and flushes.
///
/// # Errors
/// I/O errors; `InvalidData` if the value is larger than a frame may be.
pub async fn write<W: AsyncWrite + Unpin, T: Serialize>(writer: &mut W, value: &T) -> io::Result<()> {
    let mut body = Zeroizing::new(Vec::new());
    ciborium::into_writer(value, &mut *body).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e.to_string()))?;
    if body.len() > MAX_CUSTODY_MESSAGE {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "message larger than a frame may be"));
    }
    let length = u32::try_from(body.len()).expect("the limit is below 4 GiB");
    writer.write_all(&length.to_be_bytes()).await?;
    writer.write_all(&body).await?;
    writer.flush().await
}

/// Decodes a whole frame; bytes after the value are an error.
///
/// # Errors
/// `InvalidData`.
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> io::Result<T> {
    evidence::cbor::decode(body).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
}
