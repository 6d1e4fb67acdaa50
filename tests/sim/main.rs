//! Simulation: real cores together (signaling's room, sessions of members and recorders) under a virtual clock and a
//! seeded network that delays, stalls, breaks, repeats and reorders. Laws are asserted after every event.
//!
//! A failing run prints its seed; `STRONGROOM_SIM_SEED=<seed>` runs that one alone. What happens when is the seed's; key
//! values are random and change nothing about the order of events.
#![expect(clippy::print_stdout, reason = "a failing run names its seed")]

mod chaos;
mod hostile;
mod laws;
mod media;
mod network;
mod node;
mod world;
