//! Native participants for tests: real members in the same group, with frames of known bytes.

use crate::system::System;
use anyhow::{Context, anyhow, bail};
use domain::{Codec, ParticipantId, RoomId, Slot};
use e2ee::session::{Event, SendState};
use participant::meeting::{Happening, Join, Participant};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Nothing in a test may take longer; the measured time of a deadline is asserted apart.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Microphone and camera, as every person has them.
pub const SOURCES: [(Slot, Codec); 2] = [(Slot::MICROPHONE, Codec::Opus), (Slot::CAMERA, Codec::Vp8)];

/// How `user` of `firm` joins `room` on a device of this name.
pub fn join_as(system: &System, firm: &str, user: &str, room: &str, device: &str) -> Join {
    Join {
        front: system.front(firm),
        user: user.to_owned(),
        password: format!("{user}-demo"),
        room: room.parse::<RoomId>().expect("a room id"),
        device: device.parse().expect("a device id"),
        sources: SOURCES.to_vec(),
    }
}

/// Joins and waits until sending is allowed (in a must room: until the recorder's receipt).
pub async fn enter(system: &System, firm: &str, user: &str, room: &str, device: &str) -> anyhow::Result<Participant> {
    let mut participant = Participant::join(join_as(system, firm, user, room, device)).await.context("join")?;
    until(&mut participant, "sending allowed", |happening| {
        matches!(happening, Happening::Session(Event::Sending(SendState::Allowed)))
    })
    .await?;
    Ok(participant)
}

/// Waits for a happening; others are dropped.
pub async fn until(
    participant: &mut Participant,
    what: &str,
    mut wanted: impl FnMut(&Happening) -> bool,
) -> anyhow::Result<Happening> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match timeout_at(deadline, participant.next()).await {
            Err(_) => bail!("waited {PATIENCE:?} in vain for: {what}"),
            Ok(None) => bail!("the meeting ended while waiting for: {what}"),
            Ok(Some(happening)) if wanted(&happening) => return Ok(happening),
            Ok(Some(_)) => {}
        }
    }
}

/// Sends frames of known bytes until the receiver opens one; returns how many were sent. A transport that is not up yet
/// drops them, so one is not enough.
pub async fn send_until_heard(from: &Participant, to: &mut Participant, secret: &[u8]) -> anyhow::Result<u32> {
    let deadline = Instant::now() + PATIENCE;
    let mut capture_us = 1_000_000;
    let mut noticed = Vec::new();
    for sent in 1.. {
        from.send(Slot::MICROPHONE, false, secret.to_vec(), capture_us).await?;
        capture_us += 20_000;
        let step = Instant::now() + Duration::from_millis(20);
        while let Ok(happening) = timeout_at(step, to.next()).await {
            match happening {
                Some(Happening::Frame { data, from: sender, .. }) if data == secret && sender == from.id => {
                    return Ok(sent);
                }
                Some(Happening::Frame { .. }) => {}
                Some(other) => noticed.push(format!("{other:?}")),
                None => return Err(anyhow!("the receiver's meeting ended")),
            }
        }
        if Instant::now() > deadline {
            bail!("{sent} frames were sent and none was heard; the receiver noticed {noticed:#?}");
        }
    }
    unreachable!("the loop above ends by return")
}

/// The participant of an id, for asserts.
pub fn id(text: &str) -> ParticipantId {
    text.parse().expect("firm/user/device")
}
