//! Peers that are not built with us: installing them, finding them, starting those that the environment names.

use super::cases::Who;
use anyhow::Context;
use benches::forwarders::external::{Adapter, start as start_peer};
use benches::forwarders::{janus, pion};
use benches::generator::Running;
use std::net::IpAddr;
use std::process::Command;

/// `name=program,…`: programs that speak the JSON lines of benches/README.md.
const NAMED: &str = "STRONGROOM_BENCH_PEERS";

/// Installs Debian's packages of Janus and Pion.
pub fn install() -> anyhow::Result<()> {
    anyhow::ensure!(nix::unistd::geteuid().is_root(), "run once as root:\n  {}", by_hand());
    for words in [&["update"][..], &[&["install", "-y", "--no-install-recommends"][..], &packages()].concat()] {
        let mut apt = Command::new("apt-get");
        let status = apt.env("DEBIAN_FRONTEND", "noninteractive").arg("-q").args(words).status()?;
        anyhow::ensure!(status.success(), "apt-get {}: {status}", words.join(" "));
    }
    // Debian starts a service where there is a systemd: the bench wants the program only
    let _ = Command::new("systemctl").args(["disable", "--now", "--quiet", "janus"]).status();
    Ok(())
}

fn packages() -> Vec<&'static str> {
    [&janus::PACKAGES[..], &pion::PACKAGES[..]].concat()
}

fn by_hand() -> String {
    format!("apt-get update && apt-get install -y --no-install-recommends {}", packages().join(" "))
}

/// Says plainly what is missing before anything is measured.
pub fn present(who: &[Who]) -> anyhow::Result<()> {
    for (peer, program) in [(Who::Janus, "janus"), (Who::Pion, "go")] {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let there = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
        anyhow::ensure!(
            !who.contains(&peer) || there,
            "`{program}` is not installed: `cargo bench -p benches --bench forward -- --install-peers`, or as root\n  {}",
            by_hand()
        );
    }
    Ok(())
}

/// Peers that the environment names.
pub fn named() -> anyhow::Result<Vec<Who>> {
    let text = std::env::var(NAMED).unwrap_or_default();
    let one = |pair: &str| {
        let (name, program) = pair.split_once('=').with_context(|| format!("{NAMED}: {pair}: not name=program"))?;
        Ok(Who::Other(name.to_owned(), program.to_owned()))
    };
    text.split(',').filter(|pair| !pair.is_empty()).map(one).collect()
}

/// Starts a named peer.
pub fn start(program: &str, subscribers: usize) -> anyhow::Result<Running> {
    start_peer(Adapter::start(&mut Command::new(program))?, subscribers, IpAddr::from([127, 0, 0, 1]))
}
