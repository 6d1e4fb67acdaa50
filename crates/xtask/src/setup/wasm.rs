//! The end-to-end encryption as WebAssembly: compiled by rustup's Rust or Debian's, bound, and made small.

use super::node::Node;
use super::system::System;
use crate::place::Place;
use crate::stamp::{Stamp, hash};
use crate::{run, say};
use anyhow::Context;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-unknown-unknown";
/// All that the module is made of.
const INPUTS: [&str; 6] =
    ["Cargo.toml", "Cargo.lock", "crates/domain", "crates/evidence", "crates/e2ee", "web-demo/wasm"];
/// By name: with `--all-features` wasm-opt writes a module that Chromium refuses.
const FEATURES: [&str; 8] = [
    "--enable-bulk-memory",
    "--enable-bulk-memory-opt",
    "--enable-sign-ext",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-multivalue",
    "--enable-call-indirect-overlong",
];

/// Which Rust compiles it.
enum Rust {
    /// The one of this workspace, with its target installed.
    Rustup,
    /// Debian's `rustc-web`, which builds the standard library along.
    Debian,
}

/// Makes `web-demo/pkg` if its inputs changed; answers their hash.
pub fn module(place: &Place, system: &System, node: &Node) -> anyhow::Result<u64> {
    let inputs = hash(&place.root, &INPUTS);
    let stamp = Stamp::new(place, "wasm", inputs);
    let out = place.page().join("pkg");
    if stamp.holds() && out.join("e2ee_wasm_bg.wasm").is_file() {
        return Ok(inputs);
    }
    let rust = provide(system)?;
    let step = say::step("WebAssembly: compile (a minute or two the first time)");
    let compiled = compile(place, &rust)?;
    step.done();
    let step = say::step("WebAssembly: bind");
    bind(place, &compiled, &out)?;
    step.done();
    shrink(place, node, &out.join("e2ee_wasm_bg.wasm"))?;
    stamp.keep()?;
    Ok(inputs)
}

fn target_is_there() -> bool {
    run::capture(Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]))
        .is_ok_and(|folder| Path::new(folder.trim()).is_dir())
}

fn provide(system: &System) -> anyhow::Result<Rust> {
    if target_is_there() {
        return Ok(Rust::Rustup);
    }
    if run::is_there("rustup") {
        let step = say::step(format!("rustup target add {TARGET}"));
        let added = run::capture(Command::new("rustup").args(["target", "add", TARGET])).is_ok();
        if added && target_is_there() {
            step.done();
            return Ok(Rust::Rustup);
        }
        step.done_with("not to be had; Debian's Rust for browsers is used instead");
    }
    system.wasm_rust()?;
    Ok(Rust::Debian)
}

fn compile(place: &Place, rust: &Rust) -> anyhow::Result<PathBuf> {
    let folder = place.at("target-wasm");
    let mut command = match rust {
        Rust::Rustup => Command::new("cargo"),
        Rust::Debian => {
            let mut command = Command::new("/usr/bin/cargo");
            command
                .env("RUSTC", "/usr/bin/rustc")
                .env("RUSTC_BOOTSTRAP", "1")
                .env("RUSTFLAGS", "-Clinker=wasm-ld-19 -Clinker-flavor=wasm-ld")
                .env_remove("RUSTUP_TOOLCHAIN")
                .arg("-Zbuild-std=std,panic_abort");
            command
        }
    };
    command
        .current_dir(&place.root)
        // Features of other packages of the workspace must not reach the page.
        .env_remove("CARGO_RESOLVER_FEATURE_UNIFICATION")
        .args(["build", "--locked", "--package", "e2ee-wasm", "--profile", "wasm", "--target", TARGET, "--target-dir"])
        .arg(&folder);
    run::logged(&mut command, &place.own("logs/wasm.log"))?;
    Ok(folder.join(TARGET).join("wasm/e2ee_wasm.wasm"))
}

fn bind(place: &Place, compiled: &Path, out: &Path) -> anyhow::Result<()> {
    if out.is_dir() {
        fs::remove_dir_all(out).with_context(|| format!("clear {}", out.display()))?;
    }
    let mut command = Command::new("cargo");
    command
        .current_dir(&place.root)
        .args([
            "run",
            "--quiet",
            "--locked",
            "--package",
            "xtask",
            "--features",
            "bindings",
            "--bin",
            "xtask-bindings",
            "--",
        ])
        .args([compiled, out]);
    run::logged(&mut command, &place.own("logs/bindings.log"))
}

fn shrink(place: &Place, node: &Node, module: &Path) -> anyhow::Result<()> {
    let optimizer = place.page().join("node_modules/binaryen/bin/wasm-opt");
    let before = fs::metadata(module)?.len();
    if !optimizer.exists() {
        say::line(format!("   WebAssembly: {before} bytes (wasm-opt is not among the page's modules: not optimised)"));
        return Ok(());
    }
    let step = say::step("WebAssembly: optimise");
    let small = module.with_extension("small");
    let mut command = node.command(place);
    command.arg(&optimizer).args(FEATURES).args(["-O3", "--strip-debug", "--strip-producers"]);
    command.arg(module).arg("-o").arg(&small);
    run::logged(&mut command, &place.own("logs/wasm-opt.log"))?;
    fs::rename(&small, module)?;
    step.done_with(&format!("{before} -> {} bytes", fs::metadata(module)?.len()));
    Ok(())
}
