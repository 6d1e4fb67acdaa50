//! `check browsers --only network`: networks that change under a call. The system runs in a network namespace of its own,
//! without a name, that ends with the thread that made it; a browser lives in another one beside it. Wants root.

use super::people;
use super::stage::Stage;
use crate::demo::files;
use crate::demo::plan::Plan;
use crate::ended::{failed, unavailable};
use crate::place::Place;
use crate::setup::node::Node;
use crate::{run, say};
use nix::sched::{CloneFlags, unshare};
use std::process::Command;

/// Where the browser's namespace finds the SFU and, through doors that the drive opens, the services.
const HOST: &str = "10.99.0.1";
/// The same for IPv6.
const HOST6: &str = "fd99::1";

/// Program between the browser and the SFU that makes a network bad; built with the probe.
pub const RELAY: &str = "tun-relay";

/// Changes of networks, then bad ones.
pub fn check(place: &Place, node: &Node) -> anyhow::Result<()> {
    if !nix::unistd::geteuid().is_root() {
        return Err(unavailable("network namespaces are made by root only"));
    }
    // what this thread starts lives in its namespace
    let joined = std::thread::scope(|scope| scope.spawn(|| apart(place, node)).join());
    joined.unwrap_or_else(|_| Err(failed("the thread of the namespace panicked")))
}

fn apart(place: &Place, node: &Node) -> anyhow::Result<()> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    let ip = |words: &str| run::capture(Command::new("ip").args(words.split(' '))).map(drop);
    ip("link set lo up")?;
    ip(&format!("address add {HOST}/32 dev lo"))?;
    ip(&format!("address add {HOST6}/128 dev lo nodad"))?;
    let relay = place.target().join("debug").join(RELAY);
    if !relay.is_file() {
        return Err(unavailable(format!("{} is not there: run it without --no-build once", relay.display())));
    }
    let mut stage = Stage::set_with(place, node, "-network", reachable)?;
    let mut common = people(&stage.plan);
    common.extend(["--signaling".into(), stage.plan.signaling_port().to_string(), "--host".into(), HOST.into()]);
    let drives = [
        ("network", "a browser's network changes", ["--host6".to_owned(), HOST6.to_owned()]),
        ("impaired", "a browser's network is bad", ["--relay".to_owned(), relay.display().to_string()]),
    ];
    let mut wrong = Vec::new();
    for (name, what, own) in drives {
        let step = say::step(what);
        let seen = stage.drive_as_root(name, &[&common[..], &own].concat())?;
        step.done();
        say::line(seen.to_string());
        if seen["ok"] != true {
            wrong.push(format!("{what}: {}", seen["faults"]));
        }
    }
    stage.close(&wrong)
}

/// The SFU names the addresses that a browser elsewhere reaches.
fn reachable(plan: &Plan) -> anyhow::Result<()> {
    let path = plan.at("operator/sfu.toml");
    let config = std::fs::read_to_string(&path)?;
    let addresses = format!("addresses = [\"127.0.0.1\", \"{HOST}\", \"{HOST6}\"]");
    files::write(&path, &config.replace("addresses = []", &addresses))
}
