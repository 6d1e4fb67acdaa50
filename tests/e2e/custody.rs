//! A firm's tokens fail under its recorder: a meeting that runs goes on and is signed later, one that must be kept does not
//! begin without proven archive keys.

use super::meeting::voice;
use super::record::{closed_meetings, until_all_closed, verify};
use anyhow::Context;
use domain::message::front::RecordingState;
use e2ee::session::Event;
use participant::meeting::{Happening, Participant};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use strongroom_tests::people::{PATIENCE, enter, join_as, send_until_heard, until};
use strongroom_tests::system::{System, prepared};
use test_tokens::Kind;
use test_tokens::faulty::{Fault, Faulty};
use tokio::time::Instant;
use xtask::demo::plan::Plan;

/// CKR_DEVICE_ERROR.
const DEVICE_ERROR: u32 = 0x30;
/// A probe so old that no meeting may begin on it: a day, its grace, and more.
const OLD_MS: u64 = 30 * 3_600_000;

/// Puts a module that fails on demand between one of bank A's custody processes and its token.
fn spoil(plan: &Plan, token: &str) -> anyhow::Result<Faulty> {
    let firm = System::firm("bank-a");
    let folder = plan.firm(firm, &format!("faulty-{token}"));
    std::fs::create_dir_all(&folder)?;
    let faulty = Faulty::around(&Kind::SoftHsm2.module(), &folder);
    let config = plan.firm(firm, &format!("custody-{token}.toml"));
    let of = |module: &Path| format!("module = \"{}\"", module.display());
    let text = std::fs::read_to_string(&config)?;
    let spoiled = text.replace(&of(&Kind::SoftHsm2.module()), &of(faulty.module()));
    anyhow::ensure!(text != spoiled, "the configuration names another module");
    std::fs::write(&config, spoiled)?;
    Ok(faulty)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_meeting_is_recorded_without_the_record_token_and_signed_when_it_is_back() -> anyhow::Result<()> {
    let (plan, state) = prepared()?;
    let faulty = spoil(&plan, "record")?;
    let system = System::start_prepared(plan, state)?;
    let anna = Arc::new(enter(&system, "bank-a", "anna", "deal-room", "a1").await?);
    let mut ben = enter(&system, "bank-b", "ben", "deal-room", "b1").await?;
    send_until_heard(&anna, &mut ben, b"the token is there").await?;
    faulty.set(&[Fault::Removed]);
    let speaking = voice(&anna);
    for _ in 0..150 {
        until(&mut ben, "a frame", |h| matches!(h, Happening::Frame { .. })).await?;
    }
    speaking.abort();
    let _ = speaking.await;
    Arc::into_inner(anna).context("nobody else holds anna")?.leave().await;
    ben.leave().await;
    until_all_closed(&system.archive("bank-b"), 1).await?;
    // bank A's archive is whole, but nobody has signed it
    let waits = Instant::now() + PATIENCE;
    let mut look = tokio::time::interval(Duration::from_millis(50));
    while !system.log("bank-a recorder").contains("waits for its signature") {
        look.tick().await;
        anyhow::ensure!(Instant::now() < waits, "nothing waits for a signature");
    }
    assert_eq!(closed_meetings(&system.archive("bank-a")), Vec::<std::path::PathBuf>::new());
    faulty.set(&[]);
    let meeting = until_all_closed(&system.archive("bank-a"), 1).await?.pop().context("one")?;
    let (good, json) = verify(&system.plan, &meeting)?;
    assert!(good, "{json}");
    assert!(json["frames"].as_u64() > Some(100), "{json}");
    assert_eq!(json["gaps"].as_array().map_or(0, Vec::len), 0, "{json}");
    Ok(())
}

/// What bank A's front says about recording, once it answers.
async fn recording_state(system: &mut System) -> anyhow::Result<RecordingState> {
    let origin = system.front("bank-a");
    let port = origin.rsplit(':').next().context("a port")?.to_owned();
    let client = reqwest::Client::new();
    let deadline = Instant::now() + PATIENCE;
    let mut look = tokio::time::interval(Duration::from_millis(100));
    loop {
        look.tick().await;
        system.look()?;
        let ask = client.get(format!("http://127.0.0.1:{port}/api/recording"));
        match ask.header("Host", origin.trim_start_matches("http://")).send().await {
            Ok(answer) => return Ok(answer.json().await?),
            Err(e) => anyhow::ensure!(Instant::now() < deadline, "{e}"),
        }
    }
}

/// Makes the kept times of bank A's probes old and starts its recorder anew.
async fn age_probes(system: &mut System) -> anyhow::Result<()> {
    let file = system.archive("bank-a").join("bank-a/probes.json");
    let deadline = Instant::now() + PATIENCE;
    let mut look = tokio::time::interval(Duration::from_millis(50));
    while !std::fs::read_to_string(&file).is_ok_and(|text| text.contains(':')) {
        look.tick().await;
        anyhow::ensure!(Instant::now() < deadline, "the recorder probed nothing");
    }
    system.kill("bank-a recorder")?;
    let mut kept: std::collections::BTreeMap<String, u64> = serde_json::from_slice(&std::fs::read(&file)?)?;
    assert_eq!(kept.len(), 2, "every archive key was proven");
    kept.values_mut().for_each(|at| *at -= OLD_MS);
    std::fs::write(&file, serde_json::to_vec(&kept)?)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_must_record_meeting_does_not_begin_without_proven_archive_keys() -> anyhow::Result<()> {
    let (plan, state) = prepared()?;
    let faulty = spoil(&plan, "archive")?;
    let mut system = System::start_prepared(plan, state)?;
    age_probes(&mut system).await?;
    faulty.set(&[Fault::Return("C_Decrypt", DEVICE_ERROR)]);
    let join = join_as(&system, "bank-a", "anna", "deal-room", "a1");
    let mut anna = Participant::join(join).await?;
    until(&mut anna, "the first epoch", |h| matches!(h, Happening::Session(Event::Epoch { .. }))).await?;
    let deadline = Instant::now() + PATIENCE;
    let mut look = tokio::time::interval(Duration::from_millis(100));
    while !system.log("bank-a recorder").contains("opened no probe within a day") {
        look.tick().await;
        system.look()?;
        anyhow::ensure!(Instant::now() < deadline, "{}", system.log("bank-a recorder"));
    }
    anna.send(domain::Slot::MICROPHONE, false, b"nobody could ever replay this".to_vec(), 1).await?;
    until(&mut anna, "a refusal", |h| matches!(h, Happening::NotSent { .. })).await?;
    let state = recording_state(&mut system).await?;
    assert_eq!(state.keys.len(), 2, "the front names every archive key");
    Ok(())
}
