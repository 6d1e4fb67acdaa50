//! The operating system: which one it is, and its packages.

use crate::ended::unavailable;
use crate::{run, say};
use anyhow::Context;
use std::path::Path;
use std::process::Command;

/// Packages both systems have under the same name, and what each is for.
const PACKAGES: [&str; 25] = [
    "openssl",             // the demo's operator CA
    "libssl-dev",          // crate openssl
    "pkg-config",          // crates openssl and gstreamer
    "softhsm2",            // the demo's tokens
    "libclang-dev",        // kryoptic, the second test token: bindings of OpenSSL are made at its build
    "libsqlite3-dev",      // kryoptic keeps its keys in SQLite
    "libgstreamer1.0-dev", // strongroom-export
    "libgstreamer-plugins-base1.0-dev",
    "gstreamer1.0-plugins-base",
    "gstreamer1.0-plugins-good",
    "gstreamer1.0-plugins-bad",
    "gstreamer1.0-x",
    "gstreamer1.0-tools",
    "bubblewrap",        // the sandbox of strongroom-export
    "fonts-dejavu-core", // names in the composed picture, text in a headless browser
    "ffmpeg",            // tests: pixels and tones of recordings
    "iproute2",          // tests: an interface for Firefox
    "procps",            // tests: memory of processes
    "pulseaudio",        // tests: a silent sound device for Firefox
    "valgrind",          // tests: instructions of the hot path
    COTURN,              // tests: a TURN server; brings sqlite3 for its secrets
    POSTGRES,            // tests: rooms in a database server
    SLAPD,               // tests: a people directory
    "python3-venv",      // a newer Node, where the system's is too old
    "ca-certificates",
];
/// Browsers; Ubuntu ships both only as snaps, which do not run headless in a container.
const BROWSERS: [&str; 3] = ["chromium", "chromium-sandbox", "firefox-esr"];
/// A second Rust that brings the source of its standard library, for systems where rustup cannot add a target.
const WASM_RUST: [&str; 4] = ["lld-19", "rustc-web", "cargo-web", "rust-web-src"];

/// Its package starts and enables a service with a configuration that serves everybody.
const COTURN: &str = "coturn";
/// A unit of this name that is nothing: systemd then starts no coturn, now or later, until somebody unmasks it.
const COTURN_MASK: &str = "/etc/systemd/system/coturn.service";

/// Its package makes and starts a database server, unless this file says no before.
const POSTGRES: &str = "postgresql";
const POSTGRES_SETTING: &str = "/etc/postgresql-common/createcluster.conf";
const NO_CLUSTER: &str = "create_main_cluster = false";

/// Its package starts a directory for everybody too.
const SLAPD: &str = "slapd";
/// While this file is there, slapd's own start does nothing, under every init.
const SLAPD_REST: &str = "/etc/ldap/noslapd";

/// Said on Ubuntu without a browser.
const NO_BROWSER: &str = "   No Chromium found: Ubuntu ships browsers as snaps, which are not installed here. The demo needs none; for the\n   \
     browser tests install a Debian package of Chromium, Google Chrome or Firefox.";
/// Ubuntu 24.04 sets it to 1: bubblewrap of a user who is not root may not make its sandbox.
const NO_NAMESPACES: &str = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns";
/// Said where that is so.
const NO_SANDBOX: &str = "   AppArmor keeps bubblewrap from making a sandbox, so exports will be refused. Allow it once:\n   \
     printf 'abi <abi/4.0>,\\nprofile bwrap /usr/bin/bwrap flags=(unconfined) { userns, }\\n' | sudo tee /etc/apparmor.d/bwrap\n   \
     sudo apparmor_parser -r /etc/apparmor.d/bwrap";

/// What `os-release` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// Debian 12.
    Debian,
    /// Ubuntu 24.04.
    Ubuntu,
}

impl System {
    /// Reads `/etc/os-release`.
    pub fn detect() -> anyhow::Result<Self> {
        let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
        Self::read(&text).ok_or_else(|| {
            let name = value(&text, "PRETTY_NAME").unwrap_or_else(|| "an unknown system".into());
            unavailable(format!(
                "This is {name}. The set-up knows Debian 12 and Ubuntu 24.04 only.\n\
                 On another system, install what these Debian packages hold, and Node 20 or newer:\n  {}",
                [&PACKAGES[..], &BROWSERS[..]].concat().join(" ")
            ))
        })
    }

    fn read(text: &str) -> Option<Self> {
        match (value(text, "ID")?.as_str(), value(text, "VERSION_ID")?.as_str()) {
            ("debian", "12") => Some(Self::Debian),
            ("ubuntu", "24.04") => Some(Self::Ubuntu),
            _ => None,
        }
    }

    /// Installs what is missing of what every part needs.
    pub fn packages(self) -> anyhow::Result<()> {
        let mut wanted = PACKAGES.to_vec();
        match self {
            Self::Debian => wanted.extend(BROWSERS),
            Self::Ubuntu => {
                if !["chromium", "chromium-browser", "google-chrome"].into_iter().any(run::is_there) {
                    say::line(NO_BROWSER);
                }
            }
        }
        install(&wanted)?;
        if !nix::unistd::geteuid().is_root()
            && std::fs::read_to_string(NO_NAMESPACES).is_ok_and(|set| set.trim() == "1")
        {
            say::line(NO_SANDBOX);
        }
        Ok(())
    }

    /// Installs Debian's Rust for browsers. Only Debian has it.
    pub fn wasm_rust(self) -> anyhow::Result<()> {
        if self == Self::Ubuntu {
            return Err(unavailable(
                "rustup cannot add the target wasm32-unknown-unknown, and Ubuntu has no package for it.\n\
                 Run `rustup target add wasm32-unknown-unknown` where rustup reaches its server, then try again.",
            ));
        }
        install(&WASM_RUST)
    }
}

fn value(text: &str, key: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
    Some(line.trim_matches('"').to_owned())
}

/// Which of them are not installed.
fn missing<'a>(wanted: &[&'a str]) -> anyhow::Result<Vec<&'a str>> {
    // dpkg-query fails when one of them is unknown to it; what it prints for the others is right all the same.
    let out = Command::new("dpkg-query")
        .args(["-W", "-f=${Package} ${db:Status-Status}\n"])
        .args(wanted)
        .output()
        .context("start dpkg-query")?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let there: Vec<&str> = text.lines().filter_map(|line| line.strip_suffix(" installed")).collect();
    Ok(wanted.iter().copied().filter(|package| !there.contains(package)).collect())
}

/// The one line for whoever may become root some other way.
fn by_hand(missing: &[&str]) -> anyhow::Error {
    let mut mask = if missing.contains(&COTURN) { format!("ln -sf /dev/null {COTURN_MASK}; ") } else { String::new() };
    if missing.contains(&POSTGRES) {
        mask += &format!("mkdir -p /etc/postgresql-common; echo '{NO_CLUSTER}' >> {POSTGRES_SETTING}; ");
    }
    if missing.contains(&SLAPD) {
        mask += &format!("mkdir -p /etc/ldap; touch {SLAPD_REST}; ");
    }
    unavailable(format!(
        "These packages are missing, and installing them needs root. Run this once as root, then try again:\n\n  \
         {mask}apt-get update && apt-get install -y --no-install-recommends {}\n",
        missing.join(" ")
    ))
}

fn install(wanted: &[&str]) -> anyhow::Result<()> {
    let missing = missing(wanted)?;
    if missing.is_empty() {
        return Ok(());
    }
    let root = nix::unistd::geteuid().is_root();
    if !root && !may_sudo() {
        return Err(by_hand(&missing));
    }
    let step = say::step(format!("install {} system packages ({})", missing.len(), missing.join(" ")));
    let as_root = || {
        let mut command = if root { Command::new("env") } else { Command::new("sudo") };
        if !root {
            command.arg("env");
        }
        command
    };
    if missing.contains(&COTURN) && !Path::new(COTURN_MASK).exists() {
        // before the package: its last step starts the service
        if let Some(folder) = Path::new(COTURN_MASK).parent() {
            run::capture(as_root().args(["mkdir", "-p"]).arg(folder))?;
        }
        run::capture(as_root().args(["ln", "-sf", "/dev/null", COTURN_MASK]))?;
    }
    if missing.contains(&POSTGRES) && !Path::new(POSTGRES_SETTING).exists() {
        let words = format!("mkdir -p /etc/postgresql-common && echo '{NO_CLUSTER}' > {POSTGRES_SETTING}");
        run::capture(as_root().args(["sh", "-c", &words]))?;
    }
    if missing.contains(&SLAPD) && !Path::new(SLAPD_REST).exists() {
        run::capture(as_root().args(["mkdir", "-p", "/etc/ldap"]))?;
        run::capture(as_root().args(["touch", SLAPD_REST]))?;
    }
    let apt = |words: &[&str]| {
        let mut command = as_root();
        command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]).args(words);
        command
    };
    let log = std::env::temp_dir().join(format!("strongroom-apt-{}.log", std::process::id()));
    run::logged(&mut apt(&["update"]), &log)?;
    let mut words = vec!["install", "-y", "--no-install-recommends"];
    words.extend(&missing);
    run::logged(&mut apt(&words), &log)?;
    // The log is only of use when something failed.
    let _ = std::fs::remove_file(&log);
    step.done();
    Ok(())
}

/// Without a terminal sudo must not ask; with one it may.
fn may_sudo() -> bool {
    use std::io::IsTerminal;
    let asks = if std::io::stdin().is_terminal() { "-v" } else { "-n" };
    let mut words = vec![asks];
    if asks == "-n" {
        words.push("true");
    }
    run::is_there("sudo") && Command::new("sudo").args(words).status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_two_known_systems_are_taken() {
        let debian = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\nID=debian\n";
        assert_eq!(System::read(debian), Some(System::Debian));
        assert_eq!(System::read("ID=ubuntu\nVERSION_ID=\"24.04\"\n"), Some(System::Ubuntu));
        for other in ["ID=debian\nVERSION_ID=\"11\"\n", "ID=fedora\nVERSION_ID=42\n", ""] {
            assert_eq!(System::read(other), None, "{other}");
        }
    }

    #[test]
    fn without_root_the_one_line_is_said_with_exit_code_4() {
        let error = by_hand(&["softhsm2", "bubblewrap"]);
        assert_eq!(error.downcast_ref::<crate::ended::Ended>().map(|ended| ended.code), Some(4));
        let line = "apt-get update && apt-get install -y --no-install-recommends softhsm2 bubblewrap";
        assert!(error.to_string().contains(line), "{error}");
        assert!(!error.to_string().contains("ln -sf"), "{error}");
    }

    #[test]
    fn what_would_serve_everybody_is_kept_from_starting_before_it_is_installed() {
        let error = by_hand(&["valgrind", COTURN]).to_string();
        let rests = by_hand(&[SLAPD]).to_string();
        assert!(rests.find(SLAPD_REST) < rests.find("apt-get install") && rests.contains(SLAPD_REST), "{rests}");
        let masked = error.find(COTURN_MASK).expect("masked");
        assert!(masked < error.find("apt-get install").expect("installed"), "{error}");
    }

    #[test]
    fn the_database_is_told_to_make_no_server_before_it_is_installed() {
        let error = by_hand(&[POSTGRES]).to_string();
        let told = error.find(NO_CLUSTER).expect("told");
        assert!(told < error.find("apt-get install").expect("installed"), "{error}");
    }

    #[test]
    fn what_dpkg_does_not_know_is_missing() {
        let found = missing(&["dpkg", "strongroom-no-such-package"]).expect("dpkg-query is part of both systems");
        assert_eq!(found, ["strongroom-no-such-package"]);
    }
}
