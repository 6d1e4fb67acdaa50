//! The one thread that owns the token, and the handle others ask it by. Each call has a deadline; a thread that hangs inside
//! the module ends the process, because nothing else can stop it.

use super::{Bytes, Call, Token, TokenError};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// An answer is waited for so long: network HSMs answer in milliseconds, a fail-over among them in a few seconds.
pub const CALL_DEADLINE: Duration = Duration::from_secs(5);
/// At the end the thread gets so long to close the token.
const CLOSE_DEADLINE: Duration = Duration::from_secs(3);
/// Calls waiting; more than a busy firm's meetings ask for at once.
const QUEUE: usize = 64;

struct Job {
    call: Call,
    asked: Instant,
    answer: SyncSender<Result<Bytes, TokenError>>,
}

/// Asks the token's thread. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    jobs: SyncSender<Job>,
    deadline: Duration,
    begun: Arc<Clock>,
}

/// The thread itself. A process must not end while it is inside the module: modules tear themselves down at exit, and a
/// call then crashes.
pub struct Thread(Receiver<()>);

impl Thread {
    /// Waits until the token is closed, which it is as soon as the last [`Handle`] is gone.
    ///
    /// # Errors
    /// [`TokenError::Busy`] if the thread hangs inside the module.
    pub fn end(self) -> Result<(), TokenError> {
        match self.0.recv_timeout(CLOSE_DEADLINE) {
            Err(RecvTimeoutError::Timeout) => Err(TokenError::Busy),
            Ok(()) | Err(RecvTimeoutError::Disconnected) => Ok(()),
        }
    }
}

/// When the running call began; 0 when none runs.
struct Clock {
    epoch: Instant,
    call_began_ms: AtomicU64,
}

impl Clock {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX) + 1
    }
}

impl Handle {
    /// Starts the thread. `deadline` is [`CALL_DEADLINE`] but in tests.
    pub fn start(token: impl Token, deadline: Duration) -> (Self, Thread) {
        let (jobs, waiting) = sync_channel::<Job>(QUEUE);
        let (alive, ended) = sync_channel(0);
        let begun = Arc::new(Clock { epoch: Instant::now(), call_began_ms: AtomicU64::new(0) });
        let clock = Arc::clone(&begun);
        let work = move || {
            let mut token = token;
            while let Ok(job) = waiting.recv() {
                if job.asked.elapsed() > deadline {
                    continue; // nobody waits for it any more
                }
                clock.call_began_ms.store(clock.now_ms(), Ordering::Relaxed);
                let answer = token.call(&job.call);
                clock.call_began_ms.store(0, Ordering::Relaxed);
                // an asker that gave up is no error
                job.answer.send(answer).unwrap_or_default();
            }
            drop(token);
            drop(alive);
        };
        std::thread::Builder::new().name("token".into()).spawn(work).expect("a thread can be started at the beginning");
        (Self { jobs, deadline, begun }, Thread(ended))
    }

    /// Blocks until the answer or the deadline.
    ///
    /// # Errors
    /// [`TokenError::Busy`] after the deadline or when too much waits; else the token's own.
    pub fn call(&self, call: Call) -> Result<Bytes, TokenError> {
        let (answer, answered) = sync_channel(1);
        let job = Job { call, asked: Instant::now(), answer };
        self.jobs.try_send(job).map_err(|_| TokenError::Busy)?;
        match answered.recv_timeout(self.deadline) {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Err(TokenError::Busy),
        }
    }

    /// Signs a SHA-256 hash; answers r||s.
    ///
    /// # Errors
    /// See [`Self::call`].
    pub fn sign(&self, key: &'static str, hash: &[u8; 32]) -> Result<[u8; 64], TokenError> {
        let bytes = self.call(Call::Sign { key, hash: *hash })?;
        bytes.as_slice().try_into().map_err(|_| TokenError::Failed { what: "signing", why: "odd length".to_owned() })
    }

    /// For how long the running call has been inside the module.
    pub fn inside_module(&self) -> Duration {
        match self.begun.call_began_ms.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            began => Duration::from_millis(self.begun.now_ms().saturating_sub(began)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, channel};

    /// Answers only when told.
    struct Slow(Receiver<()>);
    impl Token for Slow {
        fn call(&mut self, _: &Call) -> Result<Bytes, TokenError> {
            self.0.recv().map_err(|_| TokenError::Busy)?;
            Ok(vec![1].into())
        }
    }

    #[test]
    fn a_hanging_token_is_answered_as_busy_and_seen_by_the_watchdog() {
        let (go, wait) = channel();
        let (handle, _) = Handle::start(Slow(wait), Duration::from_millis(50));
        assert!(matches!(handle.call(Call::Random(1)), Err(TokenError::Busy)));
        assert!(handle.inside_module() >= Duration::from_millis(40));
        assert!(matches!(handle.call(Call::Random(1)), Err(TokenError::Busy)), "waits behind the hanging one");
        go.send(()).unwrap();
        go.send(()).unwrap();
        go.send(()).unwrap();
        let answered = (0..100).any(|_| handle.call(Call::Random(1)).is_ok());
        assert!(answered, "works again when the token does");
    }

    #[test]
    fn a_full_queue_is_refused_at_once() {
        let (go, wait) = channel::<()>();
        let (handle, thread) = Handle::start(Slow(wait), Duration::from_millis(10));
        let refused = (0..QUEUE + 2).filter(|_| matches!(handle.call(Call::Random(1)), Err(TokenError::Busy))).count();
        assert_eq!(refused, QUEUE + 2);
        drop(go);
        drop(handle);
        assert!(thread.end().is_ok(), "the token is closed when nobody can ask any more");
    }
}
