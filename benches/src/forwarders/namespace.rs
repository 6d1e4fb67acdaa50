//! A network of this thread's own: Janus never uses the loopback interface, and its ports are fixed.

use anyhow::Context;
use nix::sched::{CloneFlags, unshare};
use std::net::IpAddr;
use std::process::Command;

/// The one address of the interface.
pub const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 77, 0, 1));
/// One end of a pair that leads nowhere (a dummy interface is missing in small kernels).
pub const INTERFACE: &str = "bench0";

/// Runs `each` on a thread (and its children) with a loopback and one more interface that nobody else sees. Wants root.
pub fn alone<T: Send>(each: impl FnOnce() -> anyhow::Result<T> + Send) -> anyhow::Result<T> {
    let inside = || {
        unshare(CloneFlags::CLONE_NEWNET).context("a network namespace of its own wants root")?;
        for words in [
            "link set lo up".to_owned(),
            format!("link add {INTERFACE} type veth peer name peer0"),
            format!("addr add {ADDRESS}/24 dev {INTERFACE}"),
            format!("link set {INTERFACE} up"),
            "link set peer0 up".to_owned(),
        ] {
            let status = Command::new("ip").args(words.split(' ')).status().context("ip (package iproute2)")?;
            anyhow::ensure!(status.success(), "ip {words}: {status}");
        }
        each()
    };
    let done = std::thread::scope(|scope| scope.spawn(inside).join());
    done.map_err(|_| anyhow::anyhow!("a case in its own network panicked"))?
}
