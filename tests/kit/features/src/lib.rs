//! Owns nothing but its list of dependencies: features of other people's crates that tests ask for and shipped binaries do not.
//! `cargo xtask` names this package beside the shipped ones when it builds them, so that both are compiled from the same crates,
//! once. It is linked by nothing; a feature of our own crates must never stand here.
