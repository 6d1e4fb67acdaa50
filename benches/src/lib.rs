//! What the benches share: loads, the load generator on real ICE, DTLS and SRTP clients, the forwarders they are run
//! against, and the ways to report. Method: README.md. Nothing here is linked by what ships.

pub mod baseline;
// a client of tests, documented as tests are
#[allow(missing_docs, clippy::new_without_default)]
#[path = "../../sfu/tests/client/mod.rs"]
pub mod client;
pub mod forwarders;
pub mod generator;
pub mod hotpath;
pub mod load;
pub mod machine;
pub mod packet;
pub mod plot;
pub mod report;
pub mod sink;
