//! `cargo xtask setup`: everything a checkout needs from the system, put there. Safe to run twice; the second time it
//! only looks. It changes nothing outside the repository but Debian packages, of which it keeps coturn, PostgreSQL and slapd from
//! starting a service, and rustup's WebAssembly target.

pub mod api;
pub mod browser;
pub mod node;
pub mod page;
pub mod stores;
pub mod synapse;
pub mod system;
pub mod tokens;
pub mod wasm;

use crate::place::Place;
use crate::say;
use node::Node;

/// What the set-up found or made.
pub struct Ready {
    /// The Node that builds and drives the page.
    pub node: Node,
}

/// Does it all.
pub fn all(place: &Place) -> anyhow::Result<Ready> {
    say::heading("set-up");
    let system = system::System::detect()?;
    system.packages()?;
    tokens::kryoptic(place)?;
    let node = node::provide(place)?;
    page::modules(place, &node)?;
    let bound = wasm::module(place, &system, &node)?;
    page::build(place, &node, bound)?;
    Ok(Ready { node })
}

/// The system's packages, Node and the WebAssembly module, without building the page.
pub fn wasm_only(place: &Place) -> anyhow::Result<()> {
    let system = system::System::detect()?;
    system.packages()?;
    let node = node::provide(place)?;
    page::modules(place, &node)?;
    wasm::module(place, &system, &node).map(|_| ())
}
