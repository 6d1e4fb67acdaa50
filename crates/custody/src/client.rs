//! Client of one custody socket: one connection, requests in order, reconnecting after a restart of the process.
//!
//! It never repeats a request that may have been carried out: a request that was sent and not answered is an error.

use crate::frame;
use domain::message::custody::{Answer, Ask, CustodyProblem};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::Mutex;

/// Longest wait for an answer: custody itself answers `unavailable` after 5 s; the rest is queueing behind others.
pub const ANSWER_DEADLINE: Duration = Duration::from_secs(15);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CustodyError {
    /// Nobody answers on the socket; the process is down, or its token hangs.
    #[error("custody at {socket} does not answer ({why}); start strongroom-custody for this token, or look at its log")]
    Unavailable {
        /// Where.
        socket: PathBuf,
        /// What the system said.
        why: String,
    },
    /// Custody judged the request and said no.
    #[error("custody refused ({}): {}", .0.code, .0.detail)]
    Refused(CustodyProblem),
    /// The other end of the socket does not speak this protocol.
    #[error("custody answered something that is no answer to this request")]
    Protocol,
}

impl CustodyError {
    /// Stable code: the refusal's own, or `unavailable`.
    pub fn code(&self) -> &str {
        match self {
            Self::Refused(problem) => &problem.code,
            Self::Unavailable { .. } | Self::Protocol => "unavailable",
        }
    }
}

/// A custody process, by its socket. Share it by `Arc`; requests go one after the other.
pub struct Client {
    socket: PathBuf,
    stream: Mutex<Option<UnixStream>>,
}

impl Client {
    /// A client that connects at its first request.
    pub fn new(socket: impl AsRef<Path>) -> Self {
        Self { socket: socket.as_ref().to_owned(), stream: Mutex::new(None) }
    }

    /// Connects now.
    ///
    /// # Errors
    /// [`CustodyError::Unavailable`] when nobody listens.
    pub async fn connect(socket: impl AsRef<Path>) -> Result<Self, CustodyError> {
        let client = Self::new(socket);
        let stream = client.open().await?;
        *client.stream.lock().await = Some(stream);
        Ok(client)
    }

    /// Asks and waits for the answer. A refusal is an error here.
    ///
    /// # Errors
    /// See [`CustodyError`]. After `Unavailable` it is unknown whether the request was carried out.
    pub async fn ask(&self, ask: Ask) -> Result<Answer, CustodyError> {
        let mut slot = self.stream.lock().await;
        let mut stream = match slot.take() {
            Some(stream) if still_open(&stream) => stream,
            _ => self.open().await?,
        };
        let exchange = async {
            frame::write(&mut stream, &ask).await?;
            let body = frame::read(&mut stream).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
            Ok::<_, io::Error>(body)
        };
        let body = tokio::time::timeout(ANSWER_DEADLINE, exchange)
            .await
            .map_err(|_| self.unavailable("no answer in time"))?
            .map_err(|e| self.unavailable(&e.to_string()))?;
        let answer: Answer = frame::decode(&body).map_err(|_| CustodyError::Protocol)?;
        *slot = Some(stream);
        match answer {
            Answer::Refused(problem) => Err(CustodyError::Refused(problem)),
            answer => Ok(answer),
        }
    }

    async fn open(&self) -> Result<UnixStream, CustodyError> {
        UnixStream::connect(&self.socket).await.map_err(|e| self.unavailable(&e.to_string()))
    }

    fn unavailable(&self, why: &str) -> CustodyError {
        CustodyError::Unavailable { socket: self.socket.clone(), why: why.to_owned() }
    }
}

/// Between requests nothing may arrive; an end or stray bytes mean that this connection is of no more use.
fn still_open(stream: &UnixStream) -> bool {
    matches!(stream.try_read(&mut [0u8; 1]), Err(e) if e.kind() == io::ErrorKind::WouldBlock)
}
