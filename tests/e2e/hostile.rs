//! Members that lie: frames that are not sealed, commits that are garbage, epochs that are past.

use super::meeting::voice;
use domain::message::client::{ToClient, ToServer};
use domain::{B64, Epoch, Slot};
use e2ee::session::Event;
use participant::meeting::Happening;
use std::sync::Arc;
use std::time::Duration;
use strongroom_tests::people::{enter, send_until_heard, until};
use strongroom_tests::system::System;
use tokio::time::{Instant, timeout_at};

#[tokio::test(flavor = "multi_thread")]
async fn t9_a_frame_that_is_not_sealed_reaches_nobody() -> anyhow::Result<()> {
    let system = System::start()?;
    let anna = enter(&system, "bank-a", "anna", "coffee-room", "a1").await?;
    let mut ben = enter(&system, "bank-b", "ben", "coffee-room", "b1").await?;
    send_until_heard(&anna, &mut ben, b"sealed frames arrive well").await?;
    // silence of Opus, zeros, text, nothing: what a server or a broken worker would send
    for (step, wire) in
        [&[0xf8, 0xff, 0xfe][..], &[0; 64], b"clear words in a clear frame, no tag", &[]].iter().enumerate()
    {
        anna.send_wire(Slot::MICROPHONE, wire.to_vec(), 960_000 + 960 * step as u32).await?;
    }
    send_until_heard(&anna, &mut ben, b"and sealed ones after them").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_commits_garbage_stops_nobody_for_three_seconds() -> anyhow::Result<()> {
    let system = System::start()?;
    let anna = Arc::new(enter(&system, "bank-a", "anna", "coffee-room", "a1").await?);
    let mut ben = enter(&system, "bank-b", "ben", "coffee-room", "b1").await?;
    send_until_heard(&anna, &mut ben, b"before the garbage").await?;
    let liar = enter(&system, "bank-b", "ben", "coffee-room", "b2").await?;
    let speaking = voice(&anna);
    until(&mut ben, "anna's voice", |h| matches!(h, Happening::Frame { data, .. } if data.len() == 80)).await?;
    for epoch in 0..8 {
        let commit = ToServer::Commit {
            epoch: Epoch(epoch),
            commit: B64(vec![0, 1, 0, 1, 0xff, 0xee]),
            welcome: None,
            group_info: B64(vec![7; 40]),
        };
        liar.send_raw(commit).await?;
    }
    let began = Instant::now();
    let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
    while let Ok(Some(happening)) = timeout_at(began + Duration::from_secs(5), ben.next()).await {
        if matches!(happening, Happening::Frame { .. }) {
            longest = longest.max(last.elapsed());
            last = Instant::now();
        }
    }
    longest = longest.max(last.elapsed());
    println!("longest silence under garbage commits: {longest:?}");
    assert!(longest < Duration::from_secs(3), "{longest:?}");
    speaking.abort();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_for_a_past_epoch_is_refused_by_name() -> anyhow::Result<()> {
    let system = System::start()?;
    let mut anna = enter(&system, "bank-a", "anna", "coffee-room", "a1").await?;
    let mut ben = enter(&system, "bank-b", "ben", "coffee-room", "b1").await?;
    send_until_heard(&ben, &mut anna, b"the group is at a later epoch").await?;
    let commit =
        ToServer::Commit { epoch: Epoch(0), commit: B64(vec![1; 80]), welcome: None, group_info: B64(vec![2; 80]) };
    ben.send_raw(commit).await?;
    let answer = until(&mut ben, "a refusal", |h| {
        matches!(
            h,
            Happening::Session(
                Event::Passed(ToClient::CommitRefused { .. } | ToClient::Problem(_)) | Event::Incident { .. }
            )
        )
    });
    // whatever the session makes of it, the meeting goes on
    let _ = tokio::time::timeout(Duration::from_secs(2), answer).await;
    send_until_heard(&ben, &mut anna, b"and goes on as if nothing was").await?;
    Ok(())
}
