//! What is kept, and what happens when it cannot be.

use super::meeting::voice;
use anyhow::Context;
use e2ee::session::{Event, SendState, StopReason};
use participant::meeting::Happening;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use strongroom_tests::people::{PATIENCE, enter, send_until_heard, until};
use strongroom_tests::system::System;
use tokio::time::{Instant, timeout_at};
use xtask::demo::plan::{FIRMS, Plan};

/// Folders that hold a closed meeting.
pub fn closed_meetings(archive: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![archive.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_name() == "meeting.cose" {
                found.push(folder.clone());
            }
            if entry.path().is_dir() {
                folders.push(entry.path());
            }
        }
    }
    found
}

async fn until_closed(archive: &Path) -> anyhow::Result<PathBuf> {
    until_all_closed(archive, 1).await?.pop().context("asked for one")
}

/// Waits until so many meetings are closed.
pub async fn until_all_closed(archive: &Path, count: usize) -> anyhow::Result<Vec<PathBuf>> {
    let deadline = Instant::now() + PATIENCE;
    let mut look = tokio::time::interval(Duration::from_millis(100));
    while Instant::now() < deadline {
        look.tick().await;
        let closed = closed_meetings(archive);
        if closed.len() >= count {
            return Ok(closed);
        }
    }
    anyhow::bail!("{} of {count} meetings were closed below {}", closed_meetings(archive).len(), archive.display())
}

/// `strongroom-verify` as an examiner runs it; its JSON.
pub fn verify(plan: &Plan, meeting: &Path) -> anyhow::Result<(bool, Value)> {
    let output = Command::new(plan.binaries.join("strongroom-verify"))
        .arg(meeting)
        .args(["--trust".as_ref(), plan.at("trust.json").as_os_str()])
        .arg("--json")
        .output()
        .context("run strongroom-verify")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let json = serde_json::from_str(text.lines().last().unwrap_or_default())
        .with_context(|| format!("{text}{}", String::from_utf8_lossy(&output.stderr)))?;
    Ok((output.status.success(), json))
}

#[tokio::test(flavor = "multi_thread")]
async fn both_firms_archive_what_was_said_and_both_archives_verify() -> anyhow::Result<()> {
    let system = System::start()?;
    let anna = Arc::new(enter(&system, "bank-a", "anna", "deal-room", "a1").await?);
    let mut ben = enter(&system, "bank-b", "ben", "deal-room", "b1").await?;
    send_until_heard(&anna, &mut ben, b"what was said in the meeting").await?;
    let speaking = voice(&anna);
    for _ in 0..100 {
        until(&mut ben, "a frame", |h| matches!(h, Happening::Frame { .. })).await?;
    }
    speaking.abort();
    let _ = speaking.await;
    Arc::into_inner(anna).context("nobody else holds anna")?.leave().await;
    ben.leave().await;
    for firm in &FIRMS {
        let meeting = until_closed(&system.archive(firm.id)).await?;
        let (good, json) = verify(&system.plan, &meeting)?;
        println!("{}: {json}", firm.id);
        assert!(good, "{json}");
        assert!(json["frames"].as_u64() > Some(100), "{json}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_recorder_stops_its_firm_and_only_its_firm_until_it_is_back() -> anyhow::Result<()> {
    let mut system = System::start()?;
    let mut anna = enter(&system, "bank-a", "anna", "deal-room", "a1").await?;
    let mut ben = enter(&system, "bank-b", "ben", "deal-room", "b1").await?;
    send_until_heard(&anna, &mut ben, b"both record this meeting").await?;
    send_until_heard(&ben, &mut anna, b"and both are heard in it").await?;
    system.kill("bank-a recorder")?;
    let killed = Instant::now();
    until(&mut anna, "sending stopped", |h| {
        matches!(
            h,
            Happening::Session(Event::Sending(SendState::Stopped {
                why: StopReason::Beacon | StopReason::Receipt,
                ..
            }))
        )
    })
    .await?;
    let stopped = killed.elapsed();
    println!("sending stopped {stopped:?} after the kill (grace 2 s)");
    assert!(stopped < Duration::from_secs(6), "three times the grace: {stopped:?}");
    // the other firm goes on
    send_until_heard(&ben, &mut anna, b"bank b is still recorded").await?;
    // nothing of bank a is heard, whatever it tries
    anna.send(domain::Slot::MICROPHONE, false, b"unrecorded words".to_vec(), 1).await?;
    let quiet = Instant::now() + Duration::from_secs(1);
    while let Ok(Some(happening)) = timeout_at(quiet, ben.next()).await {
        assert!(!matches!(happening, Happening::Frame { .. }), "a frame was heard without a recorder");
    }
    // the supervisor restarts it after its wait
    let deadline = Instant::now() + PATIENCE;
    let mut look = tokio::time::interval(Duration::from_millis(100));
    loop {
        look.tick().await;
        system.look()?;
        anyhow::ensure!(Instant::now() < deadline, "sending was not allowed again");
        match timeout_at(Instant::now() + Duration::from_millis(50), anna.next()).await {
            Ok(Some(Happening::Session(Event::Sending(SendState::Allowed)))) => break,
            Ok(None) => anyhow::bail!("anna's meeting ended"),
            _ => {}
        }
    }
    println!("allowed again {:?} after the kill", killed.elapsed());
    send_until_heard(&anna, &mut ben, b"recorded again, and heard").await?;
    anna.leave().await;
    ben.leave().await;
    let meeting = until_closed(&system.archive("bank-a")).await?;
    let (good, json) = verify(&system.plan, &meeting)?;
    println!("{json}");
    assert!(good, "{json}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_in_a_must_room_without_a_recorder() -> anyhow::Result<()> {
    let system = System::start()?;
    system.kill("bank-a recorder")?;
    system.kill("bank-b recorder")?;
    let join = strongroom_tests::people::join_as(&system, "bank-a", "anna", "deal-room", "a1");
    let mut anna = participant::meeting::Participant::join(join).await?;
    until(&mut anna, "the first epoch", |h| matches!(h, Happening::Session(Event::Epoch { .. }))).await?;
    anna.send(domain::Slot::MICROPHONE, false, b"too early".to_vec(), 1).await?;
    let refused = until(&mut anna, "a refusal", |h| matches!(h, Happening::NotSent { .. })).await?;
    println!("{refused:?}");
    Ok(())
}

/// A file system of a few megabytes over a folder; gone with the value.
struct Small(PathBuf);

impl Small {
    fn over(folder: &Path) -> anyhow::Result<Option<Self>> {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: mounting a small file system needs root");
            return Ok(None);
        }
        std::fs::create_dir_all(folder)?;
        let size = "size=3m,mode=0755";
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", size, "tmpfs"]).arg(folder).status()?;
        if !status.success() {
            eprintln!("skipped: this system does not let root mount");
            return Ok(None);
        }
        Ok(Some(Self(folder.to_owned())))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_archive_stops_its_firm_says_so_and_loses_nothing_acknowledged() -> anyhow::Result<()> {
    let (plan, state) = strongroom_tests::system::prepared()?;
    let Some(_small) = Small::over(&plan.firm(System::firm("bank-a"), "archive"))? else { return Ok(()) };
    let system = System::start_prepared(plan, state)?;
    let mut anna = enter(&system, "bank-a", "anna", "deal-room", "a1").await?;
    let mut ben = enter(&system, "bank-b", "ben", "deal-room", "b1").await?;
    send_until_heard(&anna, &mut ben, b"there is still room on the disk").await?;
    // 100 frames of 60 kB are twice what the archive holds; bank b's people may fill it as well
    let deadline = Instant::now() + PATIENCE;
    let mut beat = tokio::time::interval(Duration::from_millis(20));
    for number in 0u64.. {
        beat.tick().await;
        anna.send(domain::Slot::CAMERA, number == 0, vec![7; 60_000], 2_000_000 + number * 20_000).await?;
        let stopped = timeout_at(Instant::now() + Duration::from_millis(5), anna.next()).await;
        if let Ok(Some(Happening::Session(Event::Sending(SendState::Stopped { .. })))) = stopped {
            println!("stopped after {number} frames of 60 kB");
            break;
        }
        anyhow::ensure!(Instant::now() < deadline, "a full archive stopped nobody");
    }
    send_until_heard(&ben, &mut anna, b"bank b has a disk of its own").await?;
    let log = system.log("bank-a recorder");
    assert!(log.lines().any(|line| line.contains("ERROR") || line.contains("WARN")), "{log}");
    println!("{}", log.lines().rev().find(|line| line.contains("ERROR")).unwrap_or_default());
    Ok(())
}
