//! Before anything starts: are the ports free, and is there a network interface for browsers that do not use loopback?

use super::plan::Plan;
use crate::ended::unavailable;
use crate::say;
use std::fs;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};

/// Says which port is occupied, by whom if that can be known, and what to do.
pub fn free(plan: &Plan) -> anyhow::Result<()> {
    for (port, what) in plan.tcp_ports() {
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err() {
            return Err(occupied(port, "TCP", &what, &["/proc/net/tcp", "/proc/net/tcp6"]));
        }
    }
    let port = plan.media_port();
    if UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_err() {
        return Err(occupied(port, "UDP", "media", &["/proc/net/udp", "/proc/net/udp6"]));
    }
    Ok(())
}

fn occupied(port: u16, protocol: &str, what: &str, tables: &[&str]) -> anyhow::Error {
    let owner = owner(port, tables).map_or_else(|| "another program".to_owned(), |owner| format!("`{owner}`"));
    unavailable(format!(
        "{protocol} port {port}, wanted for {what}, is occupied by {owner}.\n\
         Stop that program, or choose other ports: cargo xtask demo --port-base {}",
        port.saturating_add(1_000).min(60_000)
    ))
}

/// Which process listens there: its socket's inode from the kernel's table, then whoever holds that inode.
fn owner(port: u16, tables: &[&str]) -> Option<String> {
    let inode = tables.iter().find_map(|table| inode(&fs::read_to_string(table).ok()?, port))?;
    let wanted = format!("socket:[{inode}]");
    for process in fs::read_dir("/proc").ok()?.flatten() {
        // `self` is an alias of ours.
        if !process.file_name().to_string_lossy().starts_with(|c: char| c.is_ascii_digit()) {
            continue;
        }
        let Ok(held) = fs::read_dir(process.path().join("fd")) else { continue };
        let holds = held.flatten().any(|fd| fs::read_link(fd.path()).is_ok_and(|to| to.to_string_lossy() == wanted));
        if holds {
            let name = fs::read_to_string(process.path().join("comm")).ok()?;
            return Some(format!("{} (process {})", name.trim(), process.file_name().to_string_lossy()));
        }
    }
    None
}

/// The inode of a socket that listens (TCP) or is not connected (UDP) on `port`.
fn inode(table: &str, port: u16) -> Option<String> {
    let suffix = format!(":{port:04X}");
    table.lines().skip(1).find_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let idle = ["0A", "07"].contains(columns.get(3)?);
        (columns.get(1)?.ends_with(&suffix) && idle).then(|| columns.get(9).map(|inode| (*inode).to_owned()))?
    })
}

/// Ten free ports in a row, for runs that nobody looks at.
pub fn find_free(place: &crate::place::Place, state: &std::path::Path) -> anyhow::Result<u16> {
    (20_000..60_000)
        .step_by(10)
        .map(|base| base + u16::try_from(std::process::id() % 10).unwrap_or_default())
        .find(|base| free(&Plan::new(place, state.to_owned(), *base)).is_ok())
        .ok_or_else(|| unavailable("no ten free ports in a row between 20000 and 60000"))
}

/// The first IPv4 address of this machine besides loopback.
pub fn outward() -> Option<Ipv4Addr> {
    let mut all = nix::ifaddrs::getifaddrs().ok()?;
    all.find_map(|one| {
        let ip = one.address.as_ref().and_then(|address| address.as_sockaddr_in().map(|inet| inet.ip()))?;
        (one.flags.contains(nix::net::if_::InterfaceFlags::IFF_UP) && !ip.is_loopback()).then_some(ip)
    })
}

/// Firefox never sends to 127.0.0.1; it needs an address of an interface.
pub fn interface() {
    if outward().is_none() {
        say::line(
            "   No network interface besides loopback: Chromium works, Firefox will not connect.\n   \
             An address for it: sudo ip link add strongroom0 type dummy && sudo ip addr add 10.99.0.1/32 dev strongroom0 && sudo ip link set strongroom0 up",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listener_of_a_port_is_found_in_the_kernels_table() {
        let table = "  sl  local_address rem_address   st tx rx tr tm->when retrnsmt   uid  timeout inode\n   \
             0: 0100007F:20F8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1\n";
        assert_eq!(inode(table, 8440).as_deref(), Some("4711"));
        assert_eq!(inode(table, 8441), None);
    }

    #[test]
    fn whoever_holds_an_occupied_port_is_named() {
        let held = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = held.local_addr().expect("bound").port();
        let owner = owner(port, &["/proc/net/tcp"]).expect("found");
        assert!(owner.contains(&std::process::id().to_string()), "{owner}");
    }
}
