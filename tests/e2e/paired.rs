//! Two recorders of one firm: either dies, and the meeting goes on.

use super::meeting::voice;
use super::record::{until_all_closed, verify};
use anyhow::Context;
use domain::FirmId;
use e2ee::session::{Event, SendState};
use evidence::identity::TrustMap;
use evidence::key::PublicKey;
use front::review::meetings::Meetings;
use participant::meeting::Happening;
use std::sync::Arc;
use std::time::Duration;
use strongroom_tests::people::{PATIENCE, enter, send_until_heard, until};
use strongroom_tests::system::System;
use tokio::time::{Instant, timeout_at};

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_recorders_dies_nobody_stops_and_the_firm_has_the_meeting_whole() -> anyhow::Result<()> {
    let mut system = System::start()?;
    system.pair_recorder("bank-a")?;
    let anna = Arc::new(enter(&system, "bank-a", "anna", "deal-room", "a1").await?);
    let mut ben = enter(&system, "bank-b", "ben", "deal-room", "b1").await?;
    send_until_heard(&anna, &mut ben, b"kept twice").await?;
    let speaking = voice(&anna);
    for _ in 0..50 {
        until(&mut ben, "a frame", |h| matches!(h, Happening::Frame { .. })).await?;
    }
    system.kill("bank-a recorder")?;
    // three times the grace, within which a single recorder's firm would have stopped
    let (end, mut heard) = (Instant::now() + Duration::from_secs(6), 0u32);
    while let Ok(Some(happening)) = timeout_at(end, ben.next()).await {
        heard += u32::from(matches!(happening, Happening::Frame { .. }));
    }
    println!("{heard} frames were heard in 6 s after the kill");
    until(&mut ben, "a frame", |h| matches!(h, Happening::Frame { .. })).await?;
    speaking.abort();
    let _ = speaking.await;
    let mut anna = Arc::into_inner(anna).context("nobody else holds anna")?;
    let (now, mut allowed) = (Instant::now() + Duration::from_millis(200), false);
    while let Ok(Some(happening)) = timeout_at(now, anna.next()).await {
        let Happening::Session(Event::Sending(state)) = happening else { continue };
        assert!(!allowed || state == SendState::Allowed, "she was stopped: {state:?}");
        allowed |= state == SendState::Allowed;
    }
    anna.leave().await;
    ben.leave().await;
    // the one that lived has everything
    let whole = until_all_closed(&system.paired_archive("bank-a"), 1).await?.pop().context("asked for one")?;
    let (good, json) = verify(&system.plan, &whole)?;
    println!("the one that lived: {json}");
    assert!(good && json["gaps"].as_u64() == Some(0), "{json}");
    // the other comes back, closes what it has, and says what it lacks
    let deadline = Instant::now() + PATIENCE;
    let mut look = tokio::time::interval(Duration::from_millis(200));
    let part = loop {
        look.tick().await;
        system.look()?;
        if let Some(closed) = super::record::closed_meetings(&system.archive("bank-a")).pop() {
            break closed;
        }
        anyhow::ensure!(Instant::now() < deadline, "the killed recorder did not close its copy");
    };
    let (good, of_part) = verify(&system.plan, &part)?;
    println!("the one that was killed: {of_part}");
    assert!(good, "{of_part}");
    let frames = |of: &serde_json::Value| of["frames"].as_u64();
    assert!(frames(&of_part) > Some(0) && frames(&of_part) < frames(&json), "{of_part} {json}");
    // a replay of both shows all of it: what the killed one lacks, the other has
    let trust: TrustMap = serde_json::from_slice(&std::fs::read(system.plan.at("trust.json"))?)?;
    let firm: FirmId = "bank-a".parse()?;
    let key = PublicKey::from_spki(&trust.firm(&firm).context("the firm's trust")?.record_key)?;
    let meetings =
        Meetings::new(&system.archive("bank-a"), firm, key).paired_with(Some(&system.paired_archive("bank-a")));
    let rows = meetings.list();
    let row = rows.first().context("one row")?;
    assert_eq!((rows.len(), row.gaps, row.integrity.as_str()), (1, 0, "verified"), "{row:?}");
    assert_eq!(
        (row.paired.as_ref().map(|copy| copy.integrity.as_str()), Some(row.frames)),
        (Some("verified"), frames(&json))
    );
    Ok(())
}
