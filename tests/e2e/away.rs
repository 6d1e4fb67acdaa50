//! A service is killed in the middle of a recorded meeting: what goes on, what stops, and that all of it comes back.

use super::meeting::{longest_silence, voice};
use super::record::{until_all_closed, verify};
use anyhow::Context;
use e2ee::session::{Event, SendState};
use participant::meeting::{Happening, Participant};
use std::sync::Arc;
use std::time::Duration;
use strongroom_tests::people::{PATIENCE, enter, join_as, send_until_heard, until};
use strongroom_tests::system::System;
use tokio::time::{Instant, timeout_at};
use xtask::demo::plan::FIRMS;

/// Hears `count` frames of `speaker`.
async fn hear(listener: &mut Participant, speaker: &domain::ParticipantId, count: usize) -> anyhow::Result<()> {
    for _ in 0..count {
        until(listener, "a frame", |h| matches!(h, Happening::Frame { from, .. } if from == speaker)).await?;
    }
    Ok(())
}

/// Both firms have so many closed meetings, and each of them verifies.
async fn all_verify(system: &System, count: usize) -> anyhow::Result<()> {
    for firm in &FIRMS {
        for meeting in until_all_closed(&system.archive(firm.id), count).await? {
            let (good, json) = verify(&system.plan, &meeting)?;
            assert!(good, "{json}");
            assert!(json["frames"].as_u64() > Some(0), "{json}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn media_goes_on_while_signaling_is_down_and_everybody_comes_back_to_a_recorded_meeting() -> anyhow::Result<()> {
    let mut system = System::start()?;
    let anna = Arc::new(enter(&system, "bank-a", "anna", "deal-room", "a1").await?);
    let mut ben = enter(&system, "bank-b", "ben", "deal-room", "b1").await?;
    send_until_heard(&anna, &mut ben, b"both record this meeting").await?;
    let speaking = voice(&anna);
    hear(&mut ben, &anna.id, 50).await?;

    system.kill("signaling")?;
    // three times the grace of this room: no beacon reaches anybody
    let silence = longest_silence(&mut ben, &anna.id, Instant::now() + Duration::from_secs(6)).await?;
    println!("longest silence with signaling down: {silence:?}");
    assert!(silence < Duration::from_secs(1), "{silence:?}");
    let join = Participant::join(join_as(&system, "bank-b", "ben", "deal-room", "b2")).await;
    assert!(join.is_err(), "nobody new comes in");

    system.restart("signaling")?;
    let back = Instant::now();
    until(&mut ben, "signaling again", |h| matches!(h, Happening::Online)).await?;
    until(&mut ben, "admission", |h| matches!(h, Happening::Session(Event::Admitted { .. }))).await?;
    until(&mut ben, "sending allowed", |h| matches!(h, Happening::Session(Event::Sending(SendState::Allowed)))).await?;
    hear(&mut ben, &anna.id, 50).await?;
    println!("heard and recorded again {:?} after signaling's return", back.elapsed());

    let mut late = enter(&system, "bank-b", "ben", "deal-room", "b2").await?;
    hear(&mut late, &anna.id, 50).await?;
    speaking.abort();
    let _ = speaking.await;
    Arc::into_inner(anna).context("nobody else holds anna")?.leave().await;
    ben.leave().await;
    late.leave().await;
    all_verify(&system, 2).await?;

    // everybody left: the next meeting is a new one for everybody
    let anna = enter(&system, "bank-a", "anna", "deal-room", "a1").await?;
    let mut ben = enter(&system, "bank-b", "ben", "deal-room", "b1").await?;
    send_until_heard(&anna, &mut ben, b"a wholly new meeting").await?;
    anna.leave().await;
    ben.leave().await;
    all_verify(&system, 3).await
}

#[tokio::test(flavor = "multi_thread")]
async fn signaling_restarted_between_meetings_is_noticed_by_nobody() -> anyhow::Result<()> {
    let mut system = System::start()?;
    system.kill("signaling")?;
    system.restart("signaling")?;
    let deadline = Instant::now() + PATIENCE;
    let mut look = tokio::time::interval(Duration::from_millis(100));
    // the SFU and the recorders dial again
    while !system.log("signaling").rsplit("listen=").next().unwrap_or_default().contains("SFU connected") {
        look.tick().await;
        anyhow::ensure!(Instant::now() < deadline, "the SFU did not come back");
    }
    let anna = enter(&system, "bank-a", "anna", "deal-room", "a1").await?;
    let mut ben = enter(&system, "bank-b", "ben", "deal-room", "b1").await?;
    send_until_heard(&anna, &mut ben, b"recorded after the restart").await?;
    anna.leave().await;
    ben.leave().await;
    all_verify(&system, 1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_recorder_is_killed_and_returns_every_kept_frame_is_named_by_its_sender() -> anyhow::Result<()> {
    let mut system = System::start()?;
    let mut anna = enter(&system, "bank-a", "anna", "deal-room", "a1").await?;
    let ben = Arc::new(enter(&system, "bank-b", "ben", "deal-room", "b1").await?);
    send_until_heard(&ben, &mut anna, b"both record this meeting").await?;
    let speaking = voice(&ben);
    // long enough for manifests, short enough to die between two
    hear(&mut anna, &ben.id, 150).await?;
    system.kill("bank-a recorder")?;
    let killed = Instant::now();
    // bank b goes on: the SFU keeps its frames for bank a's recorder, nobody keeps the manifests
    hear(&mut anna, &ben.id, 150).await?;
    let deadline = killed + PATIENCE;
    loop {
        system.look()?;
        anyhow::ensure!(Instant::now() < deadline, "the recorder did not come back");
        match timeout_at(Instant::now() + Duration::from_millis(50), anna.next()).await {
            Ok(Some(Happening::Session(Event::Sending(SendState::Allowed)))) => break,
            Ok(None) => anyhow::bail!("anna's meeting ended"),
            _ => {}
        }
    }
    println!("recording again {:?} after the kill", killed.elapsed());
    // two looks of the recorder and the answers
    hear(&mut anna, &ben.id, 450).await?;
    speaking.abort();
    let _ = speaking.await;
    anna.leave().await;
    Arc::into_inner(ben).context("nobody else holds ben")?.leave().await;
    for firm in &FIRMS {
        for meeting in until_all_closed(&system.archive(firm.id), 1).await? {
            let (good, json) = verify(&system.plan, &meeting)?;
            assert!(good, "{json}");
            assert_eq!(json["frames"], json["frames_named"], "frames without a name: {json}");
            assert!(json["frames"].as_u64() > Some(500), "{json}");
        }
    }
    Ok(())
}
