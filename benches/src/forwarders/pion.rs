//! Pion, the stack below LiveKit, as the forwarder of `benches/peers/pion`: built from Debian's Go packages.

use super::external::{Adapter, start as start_peer};
use crate::generator::Running;
use anyhow::Context;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Debian's packages.
pub const PACKAGES: [&str; 2] = ["golang-go", "golang-github-pion-webrtc.v3-dev"];

/// Builds it where it is older than its source.
fn binary() -> anyhow::Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/pion");
    let own = std::env::temp_dir().join(format!("strongroom-bench-go-{}", nix::unistd::geteuid()));
    let binary = own.join("pion");
    let changed = |file: &Path| file.metadata().and_then(|meta| meta.modified()).ok();
    if changed(&binary).is_some_and(|built| changed(&source.join("main.go")).is_some_and(|written| written < built)) {
        return Ok(binary);
    }
    // Debian's packages are a GOPATH. Only inside one, and beside a go.mod, does Go find their paths that end in /v3.
    let inside = own.join("src/pion");
    std::fs::create_dir_all(&inside)?;
    for file in ["main.go", "go.mod"] {
        std::fs::copy(source.join(file), inside.join(file))?;
    }
    let mut go = Command::new("go");
    let path = format!("{}:/usr/share/gocode", own.display());
    go.current_dir(&inside).envs([("GO111MODULE", "off"), ("GOPATH", &path), ("GOFLAGS", "")]);
    let status = go.arg("build").arg("-o").arg(&binary).arg(".").status().context("start `go`")?;
    anyhow::ensure!(status.success(), "go build in {}: {status}", source.display());
    Ok(binary)
}

/// Starts it with its participants.
pub fn start(subscribers: usize) -> anyhow::Result<Running> {
    let adapter = Adapter::start(&mut Command::new(binary()?))?;
    start_peer(adapter, subscribers, IpAddr::from([127, 0, 0, 1]))
}
