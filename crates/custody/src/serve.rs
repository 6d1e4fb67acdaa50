//! `run`: the Unix socket (mode 0600), its connections and their limits, the watchdog over the token's thread.

use crate::ceremony::{self, now};
use crate::config::Config;
use crate::failure::Failure;
use crate::service::Service;
use crate::token::actor::CALL_DEADLINE;
use crate::token::{Device, Facts, Handle};
use ::service::metrics::{Sample, Service as Program, names::custody as names};
use ::service::operations::reason::Reason;
use ::service::operations::{Answer as Answered, Operations, Watched};
use ::service::security::{Event, report};
use custody::frame;
use domain::message::custody::{Answer, Ask};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use zeroize::Zeroize;

/// Connections at once: front, recorder, their workers and a person with a tool.
const MAX_CONNECTIONS: usize = 64;
/// A request that has begun must be there within this time.
const REQUEST_DEADLINE: Duration = Duration::from_secs(10);
/// The watchdog looks so often.
const WATCH: Duration = Duration::from_secs(1);

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// See [`Failure`].
pub fn run(config: &Config) -> Result<(), Failure> {
    let operations = ::service::operations::open(&config.operations, Program::Custody)?;
    let mut device = Device::open(ceremony::settings(config)?)?;
    let facts = ceremony::facts(config, &mut device)?;
    if facts.test_token {
        tracing::warn!(token = facts.token, "test token: fit for trying, not for records that must be kept");
        report(Event::TestToken);
    }
    let (token, thread) = Handle::start(device, CALL_DEADLINE);
    let ended = with_token(config, &facts, token, operations);
    if thread.end().is_err() {
        tracing::error!("the token's module hangs; this process ends hard so that a supervisor starts it again");
        report(Event::TokenHangs);
        // an orderly exit would run the module's own tear-down under the hanging call
        std::process::abort();
    }
    ended
}

fn with_token(config: &Config, facts: &Facts, token: Handle, operations: Operations) -> Result<(), Failure> {
    let service = Arc::new(Service::new(config, facts, token.clone())?);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| Failure::Other(format!("cannot start: {e}")))?;
    let seen = Arc::new(Seen { token: token.clone() });
    let ended = runtime.block_on(async {
        operations.serve(seen)?;
        serve(config, service, token).await
    });
    // requests that are inside the token now get their answer, or not
    runtime.shutdown_timeout(CALL_DEADLINE);
    ended
}

async fn serve(config: &Config, service: Arc<Service>, token: Handle) -> Result<(), Failure> {
    let mut stop = std::pin::pin!(::service::stop::asked());
    let listener = listen(&config.socket)?;
    let hang = Duration::from_secs(config.hang_s);
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    tracing::info!(socket = %config.socket.display(), firm = %config.firm, role = ?config.role, "ready");
    let ended = loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.as_mut() => break Ok(()),
            () = hanging(&token, hang) => {
                break Err(Failure::Unavailable("the token's module hangs; ending so that a supervisor starts again".to_owned()));
            }
        };
        match (accepted, Arc::clone(&places).try_acquire_owned()) {
            (Ok((stream, _)), Ok(place)) => {
                let service = Arc::clone(&service);
                tokio::spawn(async move {
                    if let Err(error) = talk(stream, &service).await {
                        tracing::warn!("connection closed: {error}");
                    }
                    drop(place);
                });
            }
            (Ok(_), Err(_)) => tracing::warn!("more than {MAX_CONNECTIONS} connections; one was turned away"),
            (Err(error), _) => {
                tracing::warn!("accepting a connection: {error}");
                tokio::time::sleep(WATCH).await; // out of descriptors: not in a busy loop
            }
        }
    };
    std::fs::remove_file(&config.socket).unwrap_or_default();
    ended
}

/// The token as operators see it.
struct Seen {
    token: Handle,
}

impl Watched for Seen {
    fn troubles(&self) -> Answered<'_, Vec<Reason>> {
        let slow = self.token.inside_module() > CALL_DEADLINE;
        Box::pin(std::future::ready(slow.then_some(Reason::TokenSlow).into_iter().collect()))
    }

    fn samples(&self) -> Answered<'_, Option<Vec<Sample>>> {
        names::INSIDE_MODULE_MILLISECONDS.set(self.token.inside_module().as_millis() as u64);
        Box::pin(std::future::ready(Some(Vec::new())))
    }
}

/// Binds the socket so that nobody else can ever open it, and takes the place of one that no one serves any more.
fn listen(path: &Path) -> Result<UnixListener, Failure> {
    let bad = |why: String| Failure::Config(format!("socket {}: {why}", path.display()));
    if path.exists() {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            let text = format!("socket {}: another process serves it; stop that one first", path.display());
            return Err(Failure::Unavailable(text));
        }
        std::fs::remove_file(path).map_err(|e| bad(e.to_string()))?;
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|e| bad(e.to_string()))?;
    }
    let before = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o177));
    let listener = UnixListener::bind(path);
    nix::sys::stat::umask(before);
    listener.map_err(|e| bad(e.to_string()))
}

/// Resolves when the token's thread has been inside the module for too long.
async fn hanging(token: &Handle, hang: Duration) {
    while token.inside_module() < hang {
        tokio::time::sleep(WATCH).await;
    }
}

async fn talk(mut stream: UnixStream, service: &Arc<Service>) -> std::io::Result<()> {
    while let Some(length) = frame::read_length(&mut stream).await? {
        let body = tokio::time::timeout(REQUEST_DEADLINE, frame::read_body(&mut stream, length)).await??;
        let ask: Ask = frame::decode(&body)?;
        let service = Arc::clone(service);
        let mut answer = tokio::task::spawn_blocking(move || service.answer(now(), ask))
            .await
            .map_err(|_| std::io::Error::other("a request failed inside; this is a bug"))?;
        let written = frame::write(&mut stream, &answer).await;
        wipe(&mut answer);
        written?;
    }
    stream.shutdown().await
}

/// Keys do not stay in memory after they were answered.
fn wipe(answer: &mut Answer) {
    match answer {
        Answer::Key { key } => key.0.zeroize(),
        Answer::MeetingKeys { keys } => keys.iter_mut().for_each(|one| one.key.0.zeroize()),
        _ => {}
    }
}
