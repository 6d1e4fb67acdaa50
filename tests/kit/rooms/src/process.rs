//! A server's process: an unprivileged user where we are root, a free port, an end.

use anyhow::Context;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// `nobody` of Debian: some servers refuse to run as root.
const NOBODY: u32 = 65_534;
const LOOK: Duration = Duration::from_millis(20);

/// A port that is free now.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Makes a command run as nobody where we are root.
pub fn unprivileged(command: &mut Command) -> &mut Command {
    if nix::unistd::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// Gives a folder or file to whom [`unprivileged`] runs as.
pub fn hand_over(path: &Path) -> anyhow::Result<()> {
    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY))?;
    }
    Ok(())
}

/// Runs a command that ends by itself.
pub fn run(command: &mut Command) -> anyhow::Result<()> {
    let shown = command.get_program().to_owned();
    let done = command.output().with_context(|| format!("start {}", shown.display()))?;
    let said = || String::from_utf8_lossy(&[done.stdout.clone(), done.stderr.clone()].concat()).into_owned();
    anyhow::ensure!(done.status.success(), "{}: {}", shown.display(), said());
    Ok(())
}

/// Starts a server whose output goes to `log`.
pub fn start(command: &mut Command, log: &Path) -> anyhow::Result<Child> {
    let file = std::fs::File::create(log)?;
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    command.spawn().with_context(|| format!("start {}", command.get_program().display()))
}

/// Waits until `ready`; a server that ended or takes too long is an error with its log.
pub fn wait(child: &mut Child, log: &Path, within: Duration, ready: impl Fn() -> bool) -> anyhow::Result<()> {
    let began = Instant::now();
    while !ready() {
        let ended = child.try_wait()?;
        if ended.is_some() || began.elapsed() > within {
            anyhow::bail!("{} is not ready ({ended:?}): {}", log.display(), std::fs::read_to_string(log)?);
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}
