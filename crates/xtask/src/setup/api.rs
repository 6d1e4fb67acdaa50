//! schemathesis, which asks the REST interface what its document says it takes, and what it says it does not.

use super::stores::environment;
use crate::place::Place;
use std::path::PathBuf;

/// Exact versions with hashes.
const REQUIREMENTS: &str = "tests/kit/api/requirements.txt";

/// Installs it if it is not there.
pub fn provide(place: &Place) -> anyhow::Result<PathBuf> {
    Ok(environment(place, "api", REQUIREMENTS, "schemathesis", &["schemathesis"])?.join("schemathesis"))
}
