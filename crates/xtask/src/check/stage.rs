//! A running system of its own, and the page's drivers at it.

use crate::demo::plan::Plan;
use crate::demo::supervise::Demo;
use crate::demo::{files, ports, prepare};
use crate::ended::{Ended, failed};
use crate::place::Place;
use crate::setup::node::Node;
use crate::{run, say, setup};
use anyhow::Context;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde_json::Value;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Start of two browsers, login, enrolment, the meeting itself and its end on two busy cores.
const AT_MOST: Duration = Duration::from_secs(300);
/// Browsers close within this time.
const TO_CLOSE: Duration = Duration::from_secs(10);

/// Line that a drive prints once its people see one another.
pub const MET: &str = r#"{"met":true}"#;

/// What the checks play on.
pub struct Stage<'a> {
    /// The checkout.
    pub place: &'a Place,
    node: &'a Node,
    /// Ports and folders.
    pub plan: Plan,
    /// Where the SFU's counters are read.
    pub metrics: String,
    demo: Demo,
}

impl<'a> Stage<'a> {
    /// Starts the system on free ports.
    pub fn set(place: &'a Place, node: &'a Node) -> anyhow::Result<Self> {
        Self::set_with(place, node, "", |_| Ok(()))
    }

    /// The same with another state folder, and with a change to the configuration before anything starts.
    pub fn set_with(
        place: &'a Place,
        node: &'a Node,
        suffix: &str,
        change: impl FnOnce(&Plan) -> anyhow::Result<()>,
    ) -> anyhow::Result<Self> {
        // Short: a Unix socket's path has at most 107 bytes.
        let state = std::env::temp_dir().join(format!("strongroom-{}{suffix}", std::process::id()));
        let base = ports::find_free(place, &state)?;
        let mut plan = Plan::new(place, state, base);
        files::folder(&plan.state)?;
        // A copy: a page that is built anew meanwhile would lose its worker.
        run::capture(Command::new("cp").arg("-r").arg(&plan.pages).arg(plan.at("pages")))?;
        plan.pages = plan.at("pages");
        prepare(&plan)?;
        let metrics = with_counters_and_tcp(&plan)?;
        change(&plan)?;
        let demo = Demo::start(&plan)?;
        Ok(Self { place, node, plan, metrics, demo })
    }

    /// Process id of a service.
    pub fn pid(&self, service: &str) -> anyhow::Result<u32> {
        self.demo.id(service).with_context(|| format!("{service} is not running"))
    }

    /// Runs `web-demo/drive/NAME.mjs`; its last JSON line. The processes are watched meanwhile.
    pub fn drive(&mut self, name: &str, arguments: &[String]) -> anyhow::Result<Value> {
        self.drive_and(name, arguments, |_| Ok(()))
    }

    /// The same as root, for what changes interfaces; its browsers have no sandbox.
    pub fn drive_as_root(&mut self, name: &str, arguments: &[String]) -> anyhow::Result<Value> {
        let mut command = self.node.command(self.place);
        command.env(setup::browser::NO_SANDBOX, "lives in a network namespace that only root may enter");
        self.driven(command, name, arguments, |_| Ok(()))
    }

    /// The same; `met` is called when the drive says that its people see one another.
    pub fn drive_and(
        &mut self,
        name: &str,
        arguments: &[String],
        met: impl FnOnce(&Self) -> anyhow::Result<()>,
    ) -> anyhow::Result<Value> {
        let command = setup::browser::node(self.place, self.node);
        self.driven(command, name, arguments, met)
    }

    fn driven(
        &mut self,
        mut command: Command,
        name: &str,
        arguments: &[String],
        met: impl FnOnce(&Self) -> anyhow::Result<()>,
    ) -> anyhow::Result<Value> {
        let log = self.plan.at(&format!("logs/{name}-browsers.log"));
        let result = self.plan.at(&format!("{name}.json"));
        command.arg(format!("drive/{name}.mjs")).args(arguments).arg("--json");
        command.stdin(Stdio::null()).stdout(fs::File::create(&result)?).stderr(fs::File::create(&log)?);
        let mut child = command.spawn().with_context(|| format!("start `{}`", run::text(&command)))?;
        let until = Instant::now() + AT_MOST;
        let mut met = Some(met);
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if let Err(fallen) = self.demo.look() {
                end(&mut child);
                return Err(fallen);
            }
            if let Some(act) = met.take_if(|_| fs::read_to_string(&result).is_ok_and(|text| text.contains(MET))) {
                act(self)?;
            }
            if Instant::now() > until {
                end(&mut child);
                let text = run::tail(&log, 30);
                return Err(failed(format!("the browsers did not finish in {} s:\n{text}", AT_MOST.as_secs())));
            }
            std::thread::sleep(Duration::from_millis(100));
        };
        // A meeting that was not well still prints its numbers: they say what was wrong.
        let text = fs::read_to_string(&result)?;
        match text.lines().rev().find_map(|line| serde_json::from_str::<Value>(line).ok()) {
            Some(seen) if seen.is_object() => {
                for switch in seen["switches"].as_array().into_iter().flatten() {
                    say::line(format!("   browser switch {}: {}", switch["name"], switch["why"]));
                }
                Ok(seen)
            }
            _ => Err(failed(format!("the browsers' run failed ({status}):\n{}", run::tail(&log, 40)))),
        }
    }

    /// Stops the system. Its state is kept when something was wrong.
    pub fn close(self, wrong: &[String]) -> anyhow::Result<()> {
        drop(self.demo);
        if wrong.is_empty() {
            // Nobody needs the keys of a finished check.
            let _ = fs::remove_dir_all(&self.plan.state);
            return Ok(());
        }
        let text = format!("{}\nlogs and archives: {}", wrong.join("\n"), self.plan.state.display());
        Err(Ended { code: 3, text }.into())
    }
}

/// Has the SFU show its counters, and take media over TCP too, on free ports of this machine; answers the counters' address.
fn with_counters_and_tcp(plan: &Plan) -> anyhow::Result<String> {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|free| free.local_addr())?.port();
    let path = plan.at("operator/sfu.toml");
    let config = fs::read_to_string(&path)?;
    // before the first table
    files::write(&path, &format!("tcp_port = 0\n{config}[operations]\nlisten = \"127.0.0.1:{port}\"\n"))?;
    Ok(format!("http://127.0.0.1:{port}/metrics"))
}

/// Ends a run that hangs: asked first, since its browsers are in sessions of their own, which it closes when it is asked.
fn end(child: &mut Child) {
    let asked = nix::sys::signal::kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM);
    let until = Instant::now() + TO_CLOSE;
    while asked.is_ok() && Instant::now() < until {
        if let Ok(Some(_)) = child.try_wait() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    // it may be gone already
    let _ = child.kill();
    let _ = child.wait();
}
