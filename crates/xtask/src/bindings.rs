//! `xtask-bindings WASM FOLDER`: writes the JavaScript side of a WebAssembly module. A program of its own because the
//! library behind it is slow to build; its version equals the one in the module by construction (one Cargo.lock).

use anyhow::{Context, bail};

fn main() -> anyhow::Result<()> {
    let mut words = std::env::args().skip(1);
    let (Some(module), Some(folder), None) = (words.next(), words.next(), words.next()) else {
        bail!("usage: xtask-bindings WASM FOLDER");
    };
    // Target `web`: the page's worker is an ES module, and the other targets emit `require` for the time snippet.
    wasm_bindgen_cli_support::Bindgen::new()
        .input_path(&module)
        .web(true)?
        .typescript(true)
        .generate(&folder)
        .with_context(|| format!("bind {module}"))
}
