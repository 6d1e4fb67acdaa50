//! The REST interface against its own document: schemathesis asks for everything that `/openapi.json` describes, well and
//! badly formed, the same requests each time.

use crate::rest::Api;
use std::path::Path;
use std::process::Command;
use xtask::place::Place;

/// Requests a second: below what one client may ask.
const RATE: &str = "90/s";

#[tokio::test(flavor = "multi_thread")]
async fn the_interface_does_what_its_document_says() {
    let api = Api::start("");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned();
    let mut asked = Command::new(xtask::setup::api::provide(&Place { root }).unwrap());
    asked.args(["run", &api.address("/openapi.json"), "--header", "Authorization: Bearer operator-token"]);
    // every parameter and field at its bounds, beyond them, missing and of other types; random bodies end CPython 3.11 with
    // an error of its own parser
    asked.args(["--phases", "examples,coverage", "--seed", "1"]);
    // a well-formed request may meet nothing, a conflict or a missing precondition: those answers are in the document
    asked.args(["--exclude-checks", "positive_data_acceptance", "--rate-limit", RATE, "--workers", "2"]);
    asked.args(["--generation-database", "none", "--warnings", "off"]).current_dir(api.site.path(""));
    let done = tokio::task::spawn_blocking(move || asked.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    println!("{}", said.lines().rev().take(12).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n"));
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
}
