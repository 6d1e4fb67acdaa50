//! One function per parser: takes any bytes, must not panic. Shared by the test binary and by `cargo fuzz`.

#[path = "targets/archive.rs"]
pub mod archive;
#[path = "targets/evidence.rs"]
pub mod evidence;
#[path = "targets/group.rs"]
pub mod group;
#[path = "targets/hop.rs"]
pub mod hop;
#[path = "targets/media.rs"]
pub mod media;
#[path = "targets/wire.rs"]
pub mod wire;
