//! What the statements of several firms mean together: resolution, clashes, who may enter, differences of two versions,
//! simulation over a roster, notices and costs, each in English, French and German.
//!
//! Pure and without I/O. It judges values; that a statement is its firm's own is `evidence::statement`, which comes before.

mod cause;
mod cost;
mod diff;
mod entry;
mod notice;
mod resolve;
mod simulate;
pub mod words;

pub use cause::{Cause, Field};
pub use cost::{Cost, Price, Usage, cost};
pub use diff::{Change, Effect, Shown, changes};
pub use entry::{Person, Refusal, Why};
pub use notice::notices;
pub use resolve::{Clash, Resolved, resolve};
pub use simulate::{Simulation, simulate};
