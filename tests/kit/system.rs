//! A running system: twelve real processes on free ports, with tokens, certificates and an archive of their own.

use anyhow::{Context, anyhow};
use std::path::PathBuf;
use xtask::demo::plan::{FIRMS, Firm, Plan};
use xtask::demo::supervise::Demo;
use xtask::demo::{ports, prepare};
use xtask::place::Place;

/// The system of one test. Ends with it.
pub struct System {
    /// Ports and folders.
    pub plan: Plan,
    demo: Demo,
    _state: tempfile::TempDir,
}

fn place() -> Place {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    Place { root: root.parent().expect("the package is a folder of the workspace").to_owned() }
}

/// State and configuration on free ports, nothing started.
pub fn prepared() -> anyhow::Result<(Plan, tempfile::TempDir)> {
    let place = place();
    // short: the path of a Unix socket has at most 107 bytes
    let mut state = tempfile::Builder::new().prefix("sr-").tempdir()?;
    // to look at the logs of a failed run
    state.disable_cleanup(std::env::var_os("STRONGROOM_KEEP").is_some());
    let base = ports::find_free(&place, state.path())?;
    let plan = Plan::new(&place, state.path().to_owned(), base);
    prepare(&plan).context("make keys, tokens and configuration")?;
    Ok((plan, state))
}

impl System {
    /// Starts all twelve.
    pub fn start() -> anyhow::Result<Self> {
        let (plan, state) = prepared()?;
        Self::start_prepared(plan, state)
    }

    /// Starts all twelve from a state that the test changed.
    pub fn start_prepared(plan: Plan, state: tempfile::TempDir) -> anyhow::Result<Self> {
        let demo = Demo::start(&plan).context("start the system")?;
        Ok(Self { plan, demo, _state: state })
    }

    /// A firm by id.
    pub fn firm(id: &str) -> &'static Firm {
        FIRMS.iter().find(|firm| firm.id == id).expect("a firm of the plan")
    }

    /// Address of a firm's front.
    pub fn front(&self, firm: &str) -> String {
        self.plan.origin(Self::firm(firm))
    }

    /// Process id of a service (`sfu`, `signaling`, `bank-a recorder`, ...).
    pub fn pid(&self, service: &str) -> anyhow::Result<u32> {
        self.demo.id(service).ok_or_else(|| anyhow!("{service} is not running"))
    }

    /// `kill -9`; the supervisor does not restart it before [`System::look`].
    pub fn kill(&self, service: &str) -> anyhow::Result<()> {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.pid(service)?)?);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).context("kill")
    }

    /// Lets the supervisor restart what ended.
    pub fn look(&mut self) -> anyhow::Result<()> {
        self.demo.look()
    }

    /// Stops all in order; recorders close their archives.
    pub fn stop(self) -> (Plan, tempfile::TempDir) {
        drop(self.demo);
        (self.plan, self._state)
    }

    /// Folder of the meetings that a firm has archived.
    pub fn archive(&self, firm: &str) -> PathBuf {
        self.plan.firm(Self::firm(firm), "archive")
    }

    /// The log of a service so far.
    pub fn log(&self, service: &str) -> String {
        let path = self.plan.at("logs").join(format!("{}.log", service.replace(' ', "-")));
        std::fs::read_to_string(path).unwrap_or_default()
    }
}
