//! Browsers refuse to run as root with their sandbox on, so root's runs use an unprivileged user of our own. Whoever is
//! not root stays who they are.

use super::node::Node;
use crate::place::Place;
use crate::{run, say};
use std::process::Command;

/// The user that root's browsers run as.
const USER: &str = "strongroom-browser";
/// Tells the page's drivers that the sandbox has to stay off, and why.
pub const NO_SANDBOX: &str = "STRONGROOM_NO_SANDBOX";

/// `node ...` in the page's folder, as someone whose browsers may have a sandbox.
pub fn node(place: &Place, node: &Node) -> Command {
    let plain = node.command(place);
    if !nix::unistd::geteuid().is_root() {
        return plain;
    }
    match user(place, node) {
        Ok(home) => {
            let mut command = Command::new("runuser");
            command.args(["--user", USER, "--", "env"]).arg(format!("HOME={home}")).arg(plain.get_program());
            for (name, value) in plain.get_envs() {
                if let Some(value) = value {
                    command.env(name, value);
                }
            }
            command.current_dir(place.page());
            command
        }
        Err(why) => {
            say::line(format!("   browsers run as root, without their sandbox: {why}"));
            let mut plain = plain;
            plain.env(NO_SANDBOX, why);
            plain
        }
    }
}

/// Makes the user if it is missing; answers its home. The error says why it cannot be used.
fn user(place: &Place, node: &Node) -> Result<String, String> {
    let home = format!("/var/lib/{USER}");
    if run::capture(Command::new("id").arg(USER)).is_err() {
        let made = run::capture(Command::new("useradd").args([
            "--system",
            "--create-home",
            "--home-dir",
            &home,
            "--shell",
            "/usr/sbin/nologin",
            USER,
        ]));
        made.map_err(|error| format!("the user {USER} cannot be made ({error})"))?;
    }
    let entry = run::capture(Command::new("getent").args(["passwd", USER])).unwrap_or_default();
    let home = entry.split(':').nth(5).unwrap_or(&home).to_owned();
    for needed in [place.page().join("package.json"), node.node.clone()] {
        let may = run::capture(Command::new("runuser").args(["--user", USER, "--", "test", "-r"]).arg(&needed));
        may.map_err(|_| format!("the user {USER} may not read {}", needed.display()))?;
    }
    Ok(home)
}
