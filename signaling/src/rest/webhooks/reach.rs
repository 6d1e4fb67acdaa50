//! Where a webhook may be: the guard against requests to this machine and its network (SSRF).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Why nothing is sent.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ReachError {
    /// Not an address of the web, or with a login in it.
    #[error("its address is not https://host[:port]/path")]
    Url,
    /// The name does not resolve.
    #[error("its name does not resolve")]
    Name,
    /// It resolves to where nothing may be sent.
    #[error("its name resolves to an address that is not public; set `reach = \"private\"` if it is meant")]
    NotPublic,
}

fn public4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let special = a == 0                             // this network
        || (a == 100 && (64..128).contains(&b))      // carrier's NAT
        || (a == 192 && b == 0 && c == 0)            // protocol assignments
        || (a == 192 && b == 88 && c == 99)          // 6to4 relays
        || (a == 198 && (b == 18 || b == 19))        // benchmarks
        || a >= 240; // reserved, broadcast
    !(special
        || ip.is_loopback()
        || ip.is_private()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_documentation())
}

fn public6(ip: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = ip.segments();
    let inner = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        public4(Ipv4Addr::new(a, b, c, d))
    };
    match (a, b) {
        (0, 0) if [c, d, e] == [0; 3] && (f == 0 || f == 0xffff) => f == 0xffff && inner(g, h),
        (0x64, 0xff9b) if [c, d, e, f] == [0; 4] => inner(g, h),
        (0x2002, _) => inner(b, c),
        // only what is given out for the internet, without documentation, benchmarks and Teredo
        (0x2001, _) => b >= 0x200 && b != 0xdb8,
        _ => a & 0xe000 == 0x2000 && a != 0x3fff,
    }
}

/// Is it an address of the internet?
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => public4(ip),
        IpAddr::V6(ip) => public6(ip),
    }
}

/// Addresses to connect to, and to no other: what is checked here is what is dialled.
///
/// # Errors
/// [`ReachError`]: one address that is not public is enough.
pub async fn resolve(url: &reqwest::Url) -> Result<Vec<SocketAddr>, ReachError> {
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else { return Err(ReachError::Url) };
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let found = tokio::net::lookup_host((host, port)).await.map_err(|_| ReachError::Name)?;
    let found: Vec<SocketAddr> = found.collect();
    if found.is_empty() {
        return Err(ReachError::Name);
    }
    if found.iter().all(|at| is_public(at.ip())) { Ok(found) } else { Err(ReachError::NotPublic) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_internet_are_public() {
        for good in [
            "8.8.8.8",
            "193.0.6.139",
            "2001:67c:2e8:22::c100:68b",
            "2a00:1450::1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
        ] {
            assert!(is_public(good.parse().unwrap()), "{good}");
        }
        let bad = "127.0.0.1 127.8.8.8 0.0.0.0 0.1.2.3 10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 169.254.169.254 100.64.0.1 \
                   192.0.0.8 198.18.0.1 203.0.113.7 224.0.0.1 240.0.0.1 255.255.255.255 :: ::1 ::7f00:1 ::ffff:127.0.0.1 \
                   ::ffff:10.0.0.1 fe80::1 fc00::1 fd12::1 ff02::1 64:ff9b::7f00:1 2002:7f00:1::1 2002:a00:1:: 2001:db8::1 2001::1 \
                   100::1 3fff::1 4000::1";
        for bad in bad.split_whitespace() {
            assert!(!is_public(bad.parse().unwrap()), "{bad}");
        }
    }

    #[tokio::test]
    async fn names_and_spellings_of_this_machine_are_refused() {
        for url in [
            "https://localhost/x",
            "https://127.1/x",
            "https://0x7f.0.0.1/",
            "https://2130706433/",
            "https://[::1]:9/",
            "https://0/",
        ] {
            assert_eq!(resolve(&url.parse().unwrap()).await, Err(ReachError::NotPublic), "{url}");
        }
        assert!(resolve(&"https://8.8.8.8/x".parse().unwrap()).await.is_ok());
    }
}
