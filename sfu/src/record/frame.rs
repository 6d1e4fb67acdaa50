//! Framing of the record link: u32 big-endian length, then CBOR.

use domain::limits::MAX_RECORD_MESSAGE;
use domain::message::record_link::{FromSfuRecord, ToSfuRecord};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// What is wrong with a frame.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The connection.
    #[error("connection: {0}")]
    Io(#[from] std::io::Error),
    /// Longer than any message of this link.
    #[error("a message of {0} bytes")]
    TooLong(u32),
    /// Not a message.
    #[error("a message that cannot be read")]
    Malformed,
}

/// Reads one message.
pub async fn read(reader: &mut (impl AsyncRead + Unpin)) -> Result<ToSfuRecord, FrameError> {
    let len = reader.read_u32().await?;
    if len as usize > MAX_RECORD_MESSAGE {
        return Err(FrameError::TooLong(len));
    }
    let mut body = vec![0; len as usize];
    reader.read_exact(&mut body).await?;
    ciborium::from_reader(&body[..]).map_err(|_| FrameError::Malformed)
}

/// Writes one message; `buffer` is reused.
pub async fn write(
    writer: &mut (impl AsyncWrite + Unpin),
    buffer: &mut Vec<u8>,
    message: &FromSfuRecord,
) -> Result<(), FrameError> {
    buffer.clear();
    buffer.extend([0; 4]);
    ciborium::into_writer(message, &mut *buffer).map_err(|_| FrameError::Malformed)?;
    let len = (buffer.len() - 4) as u32;
    buffer[..4].copy_from_slice(&len.to_be_bytes());
    writer.write_all(buffer).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
    }

    #[test]
    fn messages_pass_and_long_or_broken_ones_are_named() {
        run(async {
            let mut wire = Vec::new();
            ciborium::into_writer(&ToSfuRecord::Ack { seq: 7 }, &mut wire).expect("CBOR");
            let mut framed = (wire.len() as u32).to_be_bytes().to_vec();
            framed.extend(&wire);
            assert!(matches!(read(&mut &framed[..]).await, Ok(ToSfuRecord::Ack { seq: 7 })));
            assert!(matches!(read(&mut &[0xff, 0, 0, 0][..]).await, Err(FrameError::TooLong(_))));
            assert!(matches!(read(&mut &[0, 0, 0, 1, 0xff][..]).await, Err(FrameError::Malformed)));
            assert!(matches!(read(&mut &framed[..5]).await, Err(FrameError::Io(_))));
            let (mut out, mut buffer) = (Vec::new(), Vec::new());
            let message = FromSfuRecord::Packet { seq: 1, track: 2, arrival_us: 3, rtp: vec![0x80; 1200] };
            write(&mut out, &mut buffer, &message).await.expect("written");
            assert!(out.len() < 1200 + 80, "packets travel as byte strings: {} bytes", out.len());
            assert!(matches!(
                ciborium::from_reader(&out[4..]),
                Ok(FromSfuRecord::Packet { rtp, .. }) if rtp.len() == 1200
            ));
        });
    }
}
