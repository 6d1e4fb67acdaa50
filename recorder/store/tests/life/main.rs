//! The life of closed meetings: rules over simulated years, and the office on directories with real signatures.

mod firm;
mod office;
mod spool;
mod years;
