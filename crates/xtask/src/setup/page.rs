//! The page: its modules from npm, and its build.

use super::node::Node;
use crate::place::Place;
use crate::stamp::{Stamp, hash};
use crate::{run, say};

/// `npm ci`, when the lock file or the Node changed.
pub fn modules(place: &Place, node: &Node) -> anyhow::Result<()> {
    let inputs = hash(&place.root, &["web-demo/package.json", "web-demo/package-lock.json"]);
    let stamp = Stamp::new(place, "page-modules", inputs);
    if stamp.holds() && place.page().join("node_modules").is_dir() {
        return Ok(());
    }
    let step = say::step("page: npm ci");
    run::logged(node.npm(place).args(["ci", "--no-audit", "--no-fund"]), &place.own("logs/npm-ci.log"))?;
    stamp.keep()?;
    step.done();
    Ok(())
}

/// `npm run build`, when the page's sources or the WebAssembly module (whose hash is `module`) changed.
pub fn build(place: &Place, node: &Node, module: u64) -> anyhow::Result<()> {
    let stamp = Stamp::new(place, "page-build", hash(&place.root, &["web-demo"]) ^ module);
    if stamp.holds() && place.page().join("dist").is_dir() {
        return Ok(());
    }
    let step = say::step("page: npm run build");
    run::logged(node.npm(place).args(["run", "build"]), &place.own("logs/npm-build.log"))?;
    stamp.keep()?;
    step.done();
    Ok(())
}
