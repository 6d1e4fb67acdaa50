//! What is written in a meeting, through the real services: read by everybody, kept by every firm that keeps it, whether
//! sound and picture are kept or not, and named when an archive is bent.

use super::record::{until_all_closed, verify};
use anyhow::Context;
use e2ee::session::{Event, Words};
use evidence::archive::{ArchiveEvent, GapCause, MeetingManifest, Record, SegmentReader};
use evidence::host::Order;
use evidence::said::{PauseReason, What};
use participant::meeting::{Happening, Participant};
use std::path::Path;
use std::time::Duration;
use strongroom_tests::people::{enter, send_until_heard, until};
use strongroom_tests::system::System;
use xtask::demo::plan::FIRMS;

async fn reads(reader: &mut Participant, text: &str) -> anyhow::Result<()> {
    until(reader, text, |happening| {
        matches!(happening, Happening::Session(Event::Said { words: Some(Words(words)), .. }) if words == text)
    })
    .await
    .map(drop)
}

/// Waits until every firm's recorder says that it keeps a line.
async fn kept_by_all(writer: &mut Participant, number: u64) -> anyhow::Result<()> {
    for _ in &FIRMS {
        until(
            writer,
            "it is kept",
            |happening| matches!(happening, Happening::Session(Event::Kept { sequence, .. }) if *sequence == number),
        )
        .await?;
    }
    Ok(())
}

/// Announced is not yet done: who asked for a pause waits for the own recorder's word.
async fn stands_still(asker: &mut Participant, number: u64) -> anyhow::Result<()> {
    let own = asker.id.firm.clone();
    let kept = |h: &Happening| matches!(h, Happening::Session(Event::Kept { sequence, firm }) if *sequence == number && *firm == own);
    until(asker, "the own copy stands still", kept).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn chat_is_kept_where_sound_and_picture_are_not_and_a_bent_line_is_named() -> anyhow::Result<()> {
    let system = System::start()?;
    let mut anna = enter(&system, "bank-a", "anna", "note-room", "a1").await?;
    let mut ben = enter(&system, "bank-b", "ben", "note-room", "b1").await?;
    send_until_heard(&anna, &mut ben, b"talk that nobody keeps").await?;
    let number = anna.say("the price is 99.5").await?;
    reads(&mut ben, "the price is 99.5").await?;
    kept_by_all(&mut anna, number).await?;
    let number = ben.say("agreed").await?;
    reads(&mut anna, "agreed").await?;
    kept_by_all(&mut ben, number).await?;
    anna.leave().await;
    ben.leave().await;
    for firm in &FIRMS {
        let meeting = until_all_closed(&system.archive(firm.id), 1).await?.pop().context("asked for one")?;
        let (good, json) = verify(&system.plan, &meeting)?;
        println!("{}: {json}", firm.id);
        assert!(good, "{json}");
        assert_eq!((json["said"].as_u64(), json["frames"].as_u64()), (Some(2), Some(0)), "{json}");
        let events = std::fs::read(meeting.join("events.seg"))?;
        assert!(!events.windows(5).any(|part| part == b"price"), "words lie sealed in the archive");
        let (middle, mut bent) = (events.len() / 2, events);
        bent[middle] ^= 1;
        std::fs::write(meeting.join("events.seg"), bent)?;
        let (good, json) = verify(&system.plan, &meeting)?;
        assert!(!good);
        assert_eq!(json["findings"][0]["file"], "events.seg", "{json}");
        assert_eq!(json["findings"][0]["offset"].as_u64(), Some(middle as u64), "{json}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_written_while_the_recorder_is_dead_waits_and_is_kept_when_it_is_back() -> anyhow::Result<()> {
    let mut system = System::start()?;
    let mut anna = enter(&system, "bank-a", "anna", "note-room", "a1").await?;
    let mut ben = enter(&system, "bank-b", "ben", "note-room", "b1").await?;
    let number = anna.say("before").await?;
    kept_by_all(&mut anna, number).await?;
    reads(&mut ben, "before").await?;
    system.kill("bank-a recorder")?;
    // it is dead for a quarter of a second at least: what is said now waits for the next one
    assert_eq!(anna.say("meanwhile").await?, 2);
    // a recorder is back within 5 s; three times that, and more on a machine that does other work
    tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            system.look()?;
            match tokio::time::timeout(Duration::from_millis(100), anna.next()).await {
                Ok(Some(Happening::Session(Event::Kept { sequence: 2, firm }))) if firm.as_str() == "bank-a" => {
                    return Ok(());
                }
                Ok(None) => anyhow::bail!("anna's meeting ended"),
                _ => {}
            }
        }
    })
    .await
    .context("the line was not kept within 60 s")??;
    reads(&mut ben, "meanwhile").await?;
    anna.leave().await;
    ben.leave().await;
    let meeting = until_all_closed(&system.archive("bank-a"), 1).await?.pop().context("asked for one")?;
    let (good, json) = verify(&system.plan, &meeting)?;
    assert!(good, "{json}");
    assert_eq!(json["said"], 2, "{json}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn where_chat_is_not_kept_no_line_is_in_the_record_and_a_pause_is_confirmed_all_the_same() -> anyhow::Result<()> {
    let system = System::start()?;
    let mut sam = enter(&system, "bank-a", "sam", "talk-room", "s1").await?;
    let mut ben = enter(&system, "bank-b", "ben", "talk-room", "b1").await?;
    send_until_heard(&sam, &mut ben, b"this is kept").await?;
    sam.say("and this is not").await?;
    reads(&mut ben, "and this is not").await?;
    let pausing = sam.declare(What::Pause { reason: PauseReason::Legal, at_most_ms: 60_000 }).await?;
    stands_still(&mut sam, pausing).await?;
    sam.leave().await;
    ben.leave().await;
    for firm in &FIRMS {
        let meeting = until_all_closed(&system.archive(firm.id), 1).await?.pop().context("asked for one")?;
        let (good, json) = verify(&system.plan, &meeting)?;
        assert!(good, "{json}");
        // the pause is Bank A's own; it is declared to all, as everything that is no chat
        assert_eq!(json["said"], 1, "{}: {json}", firm.id);
    }
    Ok(())
}

/// Kinds of the events of an archive, in order.
fn kinds(meeting: &Path) -> anyhow::Result<Vec<String>> {
    let bytes = std::fs::read(meeting.join("events.seg"))?;
    let (_, mut reader) = SegmentReader::new(&bytes)?;
    let mut kinds = Vec::new();
    while let Some(placed) = reader.next_record()? {
        match placed.record {
            Record::Event(event) => {
                let value = serde_json::to_value(&*event)?;
                let name = value.as_str().map(str::to_owned);
                kinds.extend(name.or_else(|| value.as_object().and_then(|one| one.keys().next().cloned())));
                if let ArchiveEvent::Track { participant, .. } = &*event {
                    kinds.push(format!("track of {participant}"));
                }
                if let ArchiveEvent::Acknowledged { participant, .. } = &*event {
                    kinds.push(format!("yes of {participant}"));
                }
            }
            Record::Gap(_) => kinds.push("gap".to_owned()),
            _ => {}
        }
    }
    Ok(kinds)
}

fn manifest(meeting: &Path) -> anyhow::Result<MeetingManifest> {
    let signed = std::fs::read(meeting.join("meeting.cose"))?;
    let payload = evidence::cose::payload_unverified(&signed).context("signed")?;
    MeetingManifest::from_cbor(&payload).context("a manifest")
}

/// A host locks the meeting and unlocks it, and the other sees both.
async fn locked_and_unlocked(host: &Participant, other: &mut Participant) -> anyhow::Result<()> {
    for order in [Order::Lock {}, Order::Unlock {}] {
        host.order(order.clone()).await?;
        until(
            other,
            "the host's order",
            |h| matches!(h, Happening::Session(Event::Ordered { order: heard, .. }) if *heard == order),
        )
        .await?;
    }
    Ok(())
}

/// What every archive of a meeting like this one holds.
const EVENTS: [&str; 15] = [
    "recorder-started",
    "terms",
    "epoch",
    "joined",
    "left",
    "acknowledged",
    "track",
    "sender-manifest",
    "said",
    "host-act",
    "receipt",
    "durable",
    "link-up",
    "clock",
    "ended",
];

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_holds_every_kind_of_event_and_nobodys_sound_comes_before_the_own_yes() -> anyhow::Result<()> {
    let system = System::start()?;
    let mut anna = enter(&system, "bank-a", "anna", "deal-room", "a1").await?;
    let mut ben = enter(&system, "bank-b", "ben", "deal-room", "b1").await?;
    let mut sam = enter(&system, "bank-a", "sam", "deal-room", "s1").await?;
    send_until_heard(&anna, &mut ben, b"this is kept").await?;
    anna.say("and this").await?;
    let trades = vec!["IRS-2026-004711".to_owned()];
    let tags = What::Tags { trades: trades.clone(), counterparties: vec!["5493001KJTIIGC8Y1R12".to_owned()] };
    anna.declare(tags).await?;
    anna.declare(What::CopyWanted { language: "de".to_owned() }).await?;
    let pause = || What::Pause { reason: PauseReason::PaymentCard, at_most_ms: 60_000 };
    assert!(anna.declare(pause()).await.is_err(), "the recorded trader cannot pause the record");
    let pausing = sam.declare(pause()).await?;
    until(&mut ben, "the pause is announced", |h| {
        matches!(h, Happening::Session(Event::Declared { what: What::Pause { .. }, .. }))
    })
    .await?;
    stands_still(&mut sam, pausing).await?;
    send_until_heard(&anna, &mut ben, b"4111 1111 1111 1111").await?;
    let number = sam.declare(What::Resume {}).await?;
    assert_eq!(number, 2);
    until(&mut ben, "the record goes on", |h| {
        matches!(h, Happening::Session(Event::Declared { what: What::Resume {}, .. }))
    })
    .await?;
    locked_and_unlocked(&anna, &mut ben).await?;
    let number = anna.say("the end").await?;
    kept_by_all(&mut anna, number).await?;
    send_until_heard(&anna, &mut ben, b"kept again").await?;
    sam.leave().await;
    anna.leave().await;
    ben.leave().await;
    for firm in &FIRMS {
        let meeting = until_all_closed(&system.archive(firm.id), 1).await?.pop().context("asked for one")?;
        let (good, json) = verify(&system.plan, &meeting)?;
        println!("{}: {json}", firm.id);
        assert!(good, "{json}");
        assert_eq!(json["host_acts"], 2, "{json}");
        let kinds = kinds(&meeting)?;
        for kind in EVENTS {
            assert!(kinds.iter().any(|one| one == kind), "{}: no `{kind}` in {kinds:?}", firm.id);
        }
        for person in ["bank-a/anna/a1", "bank-b/ben/b1"] {
            let at = |what: String| kinds.iter().position(|one| *one == what);
            let (yes, track) = (at(format!("yes of {person}")), at(format!("track of {person}")));
            assert!(yes.is_some() && (track.is_none() || yes < track), "{}: {kinds:?}", firm.id);
        }
        let manifest = manifest(&meeting)?;
        assert_eq!(manifest.tags.trades, trades);
        let paused = manifest.gaps.iter().any(|gap| gap.cause == GapCause::Paused);
        let wanted = manifest.copies_wanted.len();
        // a pause and a wish for a copy are the own firm's alone
        assert_eq!((paused, wanted), if firm.id == "bank-a" { (true, 1) } else { (false, 0) }, "{}", firm.id);
        assert_eq!(kinds.iter().any(|one| one == "paused"), firm.id == "bank-a");
    }
    Ok(())
}
