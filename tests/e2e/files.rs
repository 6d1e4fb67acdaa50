//! Files through the real services: fetched by whoever is in the meeting, kept by every firm that keeps files, closed to
//! everybody else, and named when an archive is bent.

use super::record::{until_all_closed, verify};
use anyhow::Context;
use domain::limits::FILE_CHUNK;
use domain::message::client::ToServer;
use domain::{B64, BlobId};
use e2ee::session::Event;
use evidence::archive::{ArchiveEvent, MeetingManifest, Record, SegmentReader};
use participant::meeting::{Happening, Participant};
use strongroom_tests::people::{enter, until};
use strongroom_tests::system::System;
use xtask::demo::plan::FIRMS;

const CANARY: &[u8] = b"CANARY the clear text of a term sheet CANARY";

/// Five chunks and a bit, with a canary in each.
fn term_sheet() -> Vec<u8> {
    CANARY.iter().copied().cycle().take(5 * FILE_CHUNK + 77).collect()
}

/// Waits until somebody is told of a file: its id, its name at signaling, its number.
async fn told(reader: &mut Participant, name: &str) -> anyhow::Result<([u8; 32], BlobId, u64)> {
    let happening = until(reader, name, |happening| {
        matches!(happening, Happening::Session(Event::Shared { shown: Some(shown), .. }) if shown.name == name)
    })
    .await?;
    let Happening::Session(Event::Shared { file, blob, sequence, .. }) = happening else { unreachable!() };
    Ok((file.0.as_slice().try_into()?, blob, sequence))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_fetched_by_members_kept_by_both_firms_and_closed_to_everybody_else() -> anyhow::Result<()> {
    let system = System::start()?;
    let mut anna = enter(&system, "bank-a", "anna", "note-room", "a1").await?;
    let mut ben = enter(&system, "bank-b", "ben", "note-room", "b1").await?;
    anna.share("../deal/term\u{202e} sheet.pdf", "application/pdf", term_sheet()).await?;
    let (file, blob, number) = told(&mut ben, "term sheet.pdf").await?;
    ben.fetch(file).await?;
    let here = |happening: &Happening| matches!(happening, Happening::Session(Event::Fetched { .. }));
    until(&mut ben, "the file", here).await?;
    assert!(ben.take_file(file).await? == Some(term_sheet()), "the same bytes");
    for _ in &FIRMS {
        let kept = |h: &Happening| matches!(h, Happening::Session(Event::Kept { sequence, .. }) if *sequence == number);
        until(&mut anna, "both firms' recorders have it on disk", kept).await?;
    }
    // somebody of the same firm, in another meeting, who learnt the name of the ciphertext
    let sam = enter(&system, "bank-a", "sam", "coffee-room", "s1").await?;
    sam.send_raw(ToServer::FileWanted { blob: blob.clone(), index: 0 }).await?;
    sam.send_raw(ToServer::FileBegin { blob: blob.clone(), size: 10 }).await?;
    sam.send_raw(ToServer::FilePart { blob, index: 0, part: B64(vec![0; FILE_CHUNK + 16]) }).await?;
    sam.leave().await;
    anna.leave().await;
    ben.leave().await;
    for firm in &FIRMS {
        let meetings = until_all_closed(&system.archive(firm.id), 1).await?;
        let meeting = meetings.into_iter().next().context("asked for one")?;
        let (good, json) = verify(&system.plan, &meeting)?;
        println!("{}: {json}", firm.id);
        assert!(good, "{json}");
        assert_eq!(json["files"], 1, "{json}");
        let manifest = evidence::cose::payload_unverified(&std::fs::read(meeting.join("meeting.cose"))?);
        let manifest = manifest.as_deref().and_then(MeetingManifest::from_cbor).context("a manifest")?;
        let [entry] = &manifest.files[..] else { anyhow::bail!("one file: {:?}", manifest.files) };
        assert_eq!((entry.size, entry.missing), (term_sheet().len() as u64, None));
        let events = std::fs::read(meeting.join("events.seg"))?;
        for clear in [CANARY, b"term sheet"] {
            assert!(!events.windows(clear.len()).any(|part| part == clear), "file and name lie sealed");
        }
        let middle = middle_of_a_chunk(&events)?;
        let mut bent = events;
        bent[middle] ^= 1;
        std::fs::write(meeting.join("events.seg"), bent)?;
        let (good, json) = verify(&system.plan, &meeting)?;
        assert!(!good);
        assert_eq!(json["findings"][0]["file"], "events.seg", "{json}");
        assert_eq!(json["findings"][0]["offset"].as_u64(), Some(middle as u64), "{json}");
    }
    Ok(())
}

/// A byte inside the third chunk.
fn middle_of_a_chunk(events: &[u8]) -> anyhow::Result<usize> {
    let (_, mut reader) = SegmentReader::new(events)?;
    while let Some(placed) = reader.next_record()? {
        if let Record::Event(event) = placed.record
            && matches!(*event, ArchiveEvent::FilePart { index: 2, .. })
        {
            return Ok(placed.offset as usize + FILE_CHUNK / 2);
        }
    }
    anyhow::bail!("no third chunk")
}
