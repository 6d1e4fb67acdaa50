//! A running system: twelve real processes on free ports, with tokens, certificates and an archive of their own.

use anyhow::{Context, anyhow};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use std::path::PathBuf;
use xtask::demo::plan::{FIRMS, Firm, Plan};
use xtask::demo::process::Running;
use xtask::demo::supervise::{self, Demo};
use xtask::demo::{ports, prepare};
use xtask::place::Place;

/// The system of one test. Ends with it.
pub struct System {
    /// Ports and folders.
    pub plan: Plan,
    demo: Demo,
    /// Started by the test in place of what it killed.
    again: Vec<Again>,
    metrics: Option<u16>,
    state: State,
}

/// A service that a test started; ends with it.
struct Again(Running);

impl Drop for Again {
    fn drop(&mut self) {
        self.0.ask_to_end();
        self.0.await_end(std::time::Duration::from_secs(8));
    }
}

/// The folder of a system, and the right to be the only one: two systems at a time would search for ports at once, and
/// two cores would judge their deadlines by the other's work.
pub struct State {
    _folder: tempfile::TempDir,
    _only_one: std::fs::File,
}

/// The checkout.
pub fn place() -> Place {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    Place { root: root.parent().expect("the package is a folder of the workspace").to_owned() }
}

/// State and configuration on free ports, nothing started.
pub fn prepared() -> anyhow::Result<(Plan, State)> {
    let place = place();
    let only_one = only_one()?;
    // short: the path of a Unix socket has at most 107 bytes
    let mut folder = tempfile::Builder::new().prefix("sr-").tempdir()?;
    // to look at the logs of a failed run
    folder.disable_cleanup(std::env::var_os("STRONGROOM_KEEP").is_some());
    let base = ports::find_free(&place, folder.path())?;
    let plan = Plan::new(&place, folder.path().to_owned(), base);
    prepare(&plan).context("make keys, tokens and configuration")?;
    Ok((plan, State { _folder: folder, _only_one: only_one }))
}

/// Waits until no other test, of this process or another, runs a system.
fn only_one() -> anyhow::Result<std::fs::File> {
    let name = format!("strongroom-e2e-{}.lock", nix::unistd::geteuid());
    let path = std::env::temp_dir().join(name);
    let file = std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.with_context(|| format!("open {}", path.display()))?;
    file.lock().context("wait for the other system")?;
    Ok(file)
}

impl System {
    /// Starts all twelve.
    pub fn start() -> anyhow::Result<Self> {
        let (plan, state) = prepared()?;
        Self::start_prepared(plan, state)
    }

    /// Starts all twelve from a state that the test changed.
    pub fn start_prepared(plan: Plan, state: State) -> anyhow::Result<Self> {
        let demo = Demo::start(&plan).context("start the system")?;
        Ok(Self { plan, demo, again: Vec::new(), metrics: None, state })
    }

    /// Starts all twelve, with the SFU's counters readable.
    pub fn start_counted() -> anyhow::Result<Self> {
        let (plan, state) = prepared()?;
        let metrics = std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let config = plan.at("operator/sfu.toml");
        let text = std::fs::read_to_string(&config)?;
        std::fs::write(&config, format!("{text}[operations]\nlisten = \"127.0.0.1:{metrics}\"\n"))?;
        let mut system = Self::start_prepared(plan, state)?;
        system.metrics = Some(metrics);
        Ok(system)
    }

    /// One counter or gauge of the SFU, by its name without the prefix.
    pub async fn sfu_counter(&self, name: &str) -> anyhow::Result<u64> {
        let port = self.metrics.context("the system was not started with counters")?;
        let text = reqwest::get(format!("http://127.0.0.1:{port}/metrics")).await?.text().await?;
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("strongroom_sfu_{name} ")));
        Ok(line.with_context(|| format!("no counter {name}"))?.parse()?)
    }

    /// Starts a killed service again, on the same ports; the supervisor must not be asked meanwhile. Only signaling and
    /// SFU need it: the others are the supervisor's to restart.
    pub fn restart(&mut self, service: &str) -> anyhow::Result<()> {
        let all = supervise::services(&self.plan);
        let known = all.into_iter().find(|one| one.name == service).with_context(|| format!("no service {service}"))?;
        // Its ports are free once its last thread ended (the first may be a zombie before). The supervisor, which is not
        // asked, buries it later.
        let gone = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        waitid(Id::Pid(self.process(service)?), gone).with_context(|| format!("wait for the end of {service}"))?;
        let mut running = known.start()?;
        running.await_ready()?;
        self.again.push(Again(running));
        Ok(())
    }

    /// Starts a second recorder of a firm (`bank-a recorder-2`), with an archive of its own.
    pub fn pair_recorder(&mut self, firm: &str) -> anyhow::Result<()> {
        let of = Self::firm(firm);
        let first = format!("{firm} recorder");
        let known = supervise::services(&self.plan).into_iter().find(|one| one.name == first);
        let mut second = known.with_context(|| format!("no service {first}"))?;
        let text = std::fs::read_to_string(&second.config)?;
        let text = text.replace("\"recorder-1\"", "\"recorder-2\"").replace("\"archive\"", "\"archive-2\"");
        // its first one has the port
        let text = text.split("[operations]").next().unwrap_or_default();
        (second.name, second.config) = (format!("{first}-2"), self.plan.firm(of, "recorder-2.toml"));
        second.log = self.plan.at("logs").join(format!("{firm}-recorder-2.log"));
        std::fs::create_dir_all(self.plan.firm(of, "archive-2"))?;
        std::fs::write(&second.config, text)?;
        let mut running = second.start()?;
        running.await_ready()?;
        self.again.push(Again(running));
        Ok(())
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
        let again = self.again.iter().rev().find(|one| one.0.service.name == service).map(|one| one.0.id());
        again.or_else(|| self.demo.id(service)).ok_or_else(|| anyhow!("{service} is not running"))
    }

    /// `kill -9`; the supervisor does not restart it before [`System::look`].
    pub fn kill(&self, service: &str) -> anyhow::Result<()> {
        nix::sys::signal::kill(self.process(service)?, nix::sys::signal::Signal::SIGKILL).context("kill")
    }

    fn process(&self, service: &str) -> anyhow::Result<nix::unistd::Pid> {
        Ok(nix::unistd::Pid::from_raw(i32::try_from(self.pid(service)?)?))
    }

    /// Lets the supervisor restart what ended.
    pub fn look(&mut self) -> anyhow::Result<()> {
        self.demo.look()
    }

    /// Stops all in order; recorders close their archives.
    pub fn stop(self) -> (Plan, State) {
        drop(self.demo);
        drop(self.again);
        (self.plan, self.state)
    }

    /// Folder of the meetings that a firm has archived.
    pub fn archive(&self, firm: &str) -> PathBuf {
        self.plan.firm(Self::firm(firm), "archive")
    }

    /// Folder of the meetings that a firm's second recorder has archived.
    pub fn paired_archive(&self, firm: &str) -> PathBuf {
        self.plan.firm(Self::firm(firm), "archive-2")
    }

    /// The log of a service so far.
    pub fn log(&self, service: &str) -> String {
        let path = self.plan.at("logs").join(format!("{}.log", service.replace(' ', "-")));
        std::fs::read_to_string(path).unwrap_or_default()
    }
}
