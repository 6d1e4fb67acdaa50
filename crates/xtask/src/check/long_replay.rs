//! How soon a long meeting plays and how fast it is exported: an hour of nine people, written by the front's own tests and
//! replayed through it over HTTP. For `cargo xtask check record --long`.

use crate::ended::failed;
use crate::place::Place;
use crate::run;
use serde_json::Value;
use std::process::Command;

/// The measurement among the front's tests.
const TEST: &str = "tests::scale::a_long_meeting_of_nine_measured";

/// How large it is made.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Length of the meeting.
    pub minutes: u32,
    /// Seconds of it that are exported.
    pub export_seconds: u32,
}

impl Size {
    /// What the goals speak of; writes 2.5 GB and takes a minute and a half.
    pub const WHOLE: Self = Self { minutes: 60, export_seconds: 30 };
}

/// One line: `{"minutes", "people", "parts", "replay_start_ms", "replay_jump_ms", "export_x_realtime"}`. Builds the front's
/// tests first; the exporter is the one that was built last.
///
/// # Errors
/// The build, the measurement, or a line that is not there.
pub fn measure(place: &Place, size: Size) -> anyhow::Result<Value> {
    let mut command = Command::new("cargo");
    command.current_dir(&place.root).args(["test", "--locked", "--quiet", "--package", "front", "--lib"]);
    command.args(["--", "--ignored", "--exact", "--nocapture", TEST]);
    command.env("STRONGROOM_MINUTES", size.minutes.to_string());
    command.env("STRONGROOM_EXPORT_SECONDS", size.export_seconds.to_string());
    command.env("STRONGROOM_EXPORTER", place.binaries().join("strongroom-export"));
    let said = run::capture(&mut command)?;
    let line = said.lines().rev().find_map(|line| serde_json::from_str::<Value>(line).ok().filter(Value::is_object));
    line.ok_or_else(|| failed(format!("the measurement of a long replay printed no numbers:\n{said}")))
}
