//! One process of the demo: started with nothing but what it needs, its log in a file, ready when its log says so.

use crate::ended::failed;
use crate::run;
use anyhow::Context;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A process that is not ready after so long is stuck: the slowest (a token with three keys) takes two seconds.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// How often a log or a child is looked at.
pub const LOOK: Duration = Duration::from_millis(50);
/// Lines of a log shown when its process failed.
const TAIL: usize = 15;
/// What of our own environment reaches a process.
const PASSED_ON: [&str; 5] = ["PATH", "HOME", "LANG", "RUST_LOG", "RUST_BACKTRACE"];

/// What happens when it ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenItEnds {
    /// It is started again.
    Restart,
    /// The demo ends.
    EndAll,
}

/// What to start.
#[derive(Debug, Clone)]
pub struct Service {
    /// Name in messages, also of its log.
    pub name: String,
    /// Program.
    pub program: PathBuf,
    /// Its configuration.
    pub config: PathBuf,
    /// Its log.
    pub log: PathBuf,
    /// When it ends by itself.
    pub when_it_ends: WhenItEnds,
}

/// A started one.
pub struct Running {
    /// What it is.
    pub service: Service,
    child: Child,
    log_from: u64,
    /// When it was started.
    pub since: Instant,
}

impl Service {
    /// Starts it. To be called on the main thread: the child is told to end when the thread that started it ends.
    pub fn start(&self) -> anyhow::Result<Running> {
        if let Some(folder) = self.log.parent() {
            fs::create_dir_all(folder)?;
        }
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .with_context(|| format!("open {}", self.log.display()))?;
        let log_from = log.metadata()?.len();
        // `setpriv` (util-linux, always there) replaces itself by the program.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "--"]).arg(&self.program).args(["run", "--config"]).arg(&self.config);
        command.env_clear().env("NO_COLOR", "1");
        for name in PASSED_ON {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        // A group of its own: Ctrl-C reaches this program only, which stops the others in order.
        command.process_group(0).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // A child inherits the signal mask, and ours holds back what is meant for it too.
        let mut meant = SigSet::empty();
        meant.add(Signal::SIGINT);
        meant.add(Signal::SIGTERM);
        let ours = meant.thread_swap_mask(SigmaskHow::SIG_UNBLOCK)?;
        let child = command.spawn();
        ours.thread_set_mask()?;
        let child = child.with_context(|| format!("start {}", self.program.display()))?;
        Ok(Running { service: self.clone(), child, log_from, since: Instant::now() })
    }
}

impl Running {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<String> {
        self.child.try_wait().ok().flatten().map(|status| status.to_string())
    }
    /// Waits for the line `ready` in its log.
    pub fn await_ready(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + READY_WITHIN;
        loop {
            let log = self.said();
            if log.lines().any(is_ready) {
                return Ok(());
            }
            let stuck = match self.ended() {
                Some(status) => format!("ended at once ({status})"),
                None if Instant::now() > until => format!("is not ready after {} s", READY_WITHIN.as_secs()),
                None => {
                    std::thread::sleep(LOOK);
                    continue;
                }
            };
            let text = run::tail(&self.service.log, TAIL);
            return Err(failed(format!(
                "{} {stuck}. The end of {}:\n{text}",
                self.service.name,
                self.service.log.display()
            )));
        }
    }
    /// What it logged since this start.
    fn said(&self) -> String {
        let mut text = Vec::new();
        let read = File::open(&self.service.log).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.log_from))?;
            file.read_to_end(&mut text)
        });
        if read.is_err() {
            text.clear();
        }
        String::from_utf8_lossy(&text).into_owned()
    }
    /// Asks it to end.
    pub fn ask_to_end(&self) {
        self.signal(Signal::SIGTERM);
    }
    /// Waits until it ended, at most so long, then ends it.
    pub fn await_end(&mut self, patience: Duration) {
        let until = Instant::now() + patience;
        while self.ended().is_none() {
            if Instant::now() > until {
                self.signal(Signal::SIGKILL);
                // It cannot refuse that one.
                let _ = self.child.wait();
                return;
            }
            std::thread::sleep(LOOK);
        }
    }
    fn signal(&self, signal: Signal) {
        if let Ok(id) = i32::try_from(self.child.id()) {
            // It may have ended in the meantime.
            let _ = kill(Pid::from_raw(id), signal);
        }
    }
}

/// A log line whose message begins with the word `ready`.
fn is_ready(line: &str) -> bool {
    line.split([' ', '"', ':']).any(|word| word == "ready")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ready_line_is_told_from_words_that_contain_it() {
        assert!(is_ready("2026-01-01T00:00:00Z  INFO strongroom_sfu: ready udp=[127.0.0.1:8445]"));
        assert!(is_ready("{\"level\":\"INFO\",\"fields\":{\"message\":\"ready\",\"listen\":\"x\"}}"));
        assert!(!is_ready("INFO already running") && !is_ready("INFO not-ready"));
    }

    #[test]
    fn a_process_that_ends_before_it_is_ready_is_reported_with_its_log() {
        let log = std::env::temp_dir().join(format!("strongroom-process-{}.log", std::process::id()));
        let service = Service {
            name: "a program".into(),
            program: "/bin/echo".into(),
            config: "x.toml".into(),
            log: log.clone(),
            when_it_ends: WhenItEnds::EndAll,
        };
        let error = service.start().expect("echo starts").await_ready().expect_err("echo is never ready");
        let text = error.to_string();
        assert!(text.contains("ended at once") && text.contains("run --config x.toml"), "{text}");
        fs::remove_file(log).expect("remove");
    }
}
