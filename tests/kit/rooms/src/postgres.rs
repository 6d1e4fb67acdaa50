//! A real PostgreSQL of Debian's package, with a password, on a free port of loopback, in a folder that goes with it.

use crate::process::{free_port, hand_over, run, start, unprivileged, wait};
use anyhow::Context;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

/// Ready in a second on a quiet machine.
const READY_WITHIN: Duration = Duration::from_secs(60);
const PASSWORD: &str = "strongroom-test";

/// A running server.
pub struct Postgres {
    programs: PathBuf,
    folder: tempfile::TempDir,
    port: u16,
    child: Option<Child>,
}

/// Debian keeps each version's programs in a folder of its own: the newest.
fn programs() -> anyhow::Result<PathBuf> {
    let all =
        std::fs::read_dir("/usr/lib/postgresql").context("the package postgresql is missing: cargo xtask setup")?;
    let newest = all.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()).max();
    let newest = newest.context("no version of PostgreSQL in /usr/lib/postgresql")?;
    Ok(Path::new("/usr/lib/postgresql").join(newest.to_string()).join("bin"))
}

impl Postgres {
    /// Makes a cluster with an empty database `strongroom` and starts it.
    pub fn start() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("sr-postgres-").tempdir()?;
        hand_over(folder.path())?;
        let secret = folder.path().join("password");
        std::fs::write(&secret, PASSWORD)?;
        hand_over(&secret)?;
        let programs = programs()?;
        let mut init = Command::new(programs.join("initdb"));
        init.current_dir(folder.path()).arg("--pgdata").arg(folder.path().join("data")).arg("--pwfile").arg(&secret);
        init.args(["--auth=scram-sha-256", "--username=strongroom", "--no-sync", "--locale=C", "--encoding=UTF8"]);
        run(unprivileged(&mut init))?;
        let mut server = Self { programs, folder, port: free_port()?, child: None };
        server.go_on()?;
        let mut made = Command::new(server.programs.join("createdb"));
        made.env("PGPASSWORD", PASSWORD).args(["--host=127.0.0.1", "--username=strongroom", "strongroom"]);
        run(made.arg(format!("--port={}", server.port)))?;
        Ok(server)
    }

    /// Starts it where it was stopped, on the same port with the same data.
    pub fn go_on(&mut self) -> anyhow::Result<()> {
        let log = self.folder.path().join("log");
        let mut command = Command::new(self.programs.join("postgres"));
        command.current_dir(self.folder.path()).arg("-D").arg(self.folder.path().join("data"));
        command.args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off"]);
        command.args(["-c", &format!("port={}", self.port)]);
        let mut child = start(unprivileged(&mut command), &log)?;
        let mut asked = Command::new(self.programs.join("pg_isready"));
        asked.args(["--quiet", "--host=127.0.0.1", &format!("--port={}", self.port)]);
        let asked = std::sync::Mutex::new(asked);
        let ready = wait(&mut child, &log, READY_WITHIN, || {
            asked.lock().is_ok_and(|mut asked| asked.status().is_ok_and(|status| status.success()))
        });
        self.child = Some(child);
        ready
    }

    /// Ends it at once, as a host that fails does; its data stay.
    pub fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        // SIGQUIT: the server takes its own processes with it
        let _ = kill(Pid::from_raw(child.id() as i32), Signal::SIGQUIT);
        let _ = child.wait();
    }

    /// Address of the database, without the password.
    pub fn url(&self) -> String {
        format!("postgresql://strongroom@127.0.0.1:{}/strongroom", self.port)
    }

    /// File with the password.
    pub fn password_file(&self) -> PathBuf {
        self.folder.path().join("password")
    }

    /// Runs SQL as an administrator does, by `psql`.
    pub fn sql(&self, text: &str) -> anyhow::Result<()> {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.env("PGPASSWORD", PASSWORD).args(["--quiet", "--no-psqlrc", "-v", "ON_ERROR_STOP=1"]);
        run(psql.arg(self.url()).args(["--command", text]))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}
