//! Our shard in a process of its own, so that its memory can be told from the clients': control messages as JSON lines on
//! its standard input and output.

use super::external::Process;
use super::strongroom::{Last, parts};
use anyhow::Context;
use domain::message::control::{FromSfu, ToSfu};
use sfu::shard::Shard;
use sfu::shard::commands::Command as ToShard;
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, Command, Stdio};
use std::thread::JoinHandle;
use tokio::sync::mpsc;

/// Messages that wait.
const WAITING: usize = 1 << 12;

/// Our end of it.
pub struct Served {
    process: Process,
    stdin: ChildStdin,
    /// Ends with what is no message.
    last: JoinHandle<Option<String>>,
}

impl Served {
    /// Starts the command, which must call [`serve`].
    pub(super) fn start(command: &mut Command) -> anyhow::Result<(Self, mpsc::Receiver<FromSfu>)> {
        let mut process = Process::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
        let stdin = process.0.stdin.take().context("its standard input")?;
        let stdout = process.0.stdout.take().context("its standard output")?;
        let (heard, told) = mpsc::channel(WAITING);
        let last = std::thread::spawn(move || {
            let mut last = None;
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                match serde_json::from_str(&line) {
                    // nobody may listen any more
                    Ok(message) => drop(heard.blocking_send(message)),
                    Err(_) => last = Some(line),
                }
            }
            last
        });
        Ok((Self { process, stdin, last }, told))
    }

    pub(super) fn say(&self, message: &ToSfu) -> anyhow::Result<()> {
        Ok(writeln!(&self.stdin, "{}", serde_json::to_string(message)?)?)
    }

    /// Ends it; what it counted.
    pub(super) fn stop(self) -> Option<Last> {
        let Self { process, stdin, last } = self;
        drop(stdin);
        let line = last.join().ok()??;
        drop(process);
        serde_json::from_str(&line).ok()
    }

    pub(super) fn process(&self) -> u32 {
        self.process.0.id()
    }
}

/// Runs a shard until the standard input ends.
pub fn serve() -> anyhow::Result<()> {
    let (control, mut told) = mpsc::channel(WAITING);
    let (parts, commands) = parts(1, control)?;
    let asked = std::thread::spawn(move || {
        for message in
            std::io::stdin().lines().map_while(Result::ok).filter_map(|line| serde_json::from_str(&line).ok())
        {
            if commands.send(ToShard::Control(message)).is_err() {
                return;
            }
        }
        let last = Last::of(&commands).and_then(|last| serde_json::to_string(&last).ok());
        // whoever started it may be gone
        let _ = writeln!(std::io::stdout(), "{}", last.unwrap_or_default());
    });
    std::thread::spawn(move || {
        let mut out = std::io::stdout();
        while let Some(message) = told.blocking_recv() {
            let Ok(line) = serde_json::to_string(&message) else { return };
            if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
                return;
            }
        }
    });
    Shard::new(parts).run();
    asked.join().map_err(|_| anyhow::anyhow!("the thread that takes messages panicked"))
}
