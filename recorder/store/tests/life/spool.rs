//! Acts that the front laid into the spool: carried out once, judged again, and what came of each is written down.

use crate::firm::{Bank, ENDED, at, meeting};
use domain::message::custody::LeafRole;
use domain::message::retention::{ActOutcome, RetentionState};
use evidence::archive::names;
use evidence::grant::GrantError;
use evidence::retention::{Phase, Refusal, What};
use recorder_store::retention::{Acts, Office, OfficeError, Spool};
use std::sync::atomic::Ordering;

/// Lays a signed act as the front does; its id.
fn lay(bank: &Bank, [act, consent]: &[Vec<u8>; 2]) -> String {
    let folder = bank.office.archive.join(names::ACTS);
    std::fs::create_dir_all(&folder).expect("made");
    let id: String = evidence::archive::sha256(act).hex()[..32].to_owned();
    std::fs::write(folder.join(format!("{id}{}", names::ACT)), act).expect("written");
    std::fs::write(folder.join(format!("{id}{}", names::CONSENT)), consent).expect("written");
    id
}

fn said(bank: &Bank, id: &str) -> Option<ActOutcome> {
    let path = bank.office.archive.join("bank-a").join(names::ACTS).join(format!("{id}.json"));
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

fn office(bank: &Bank) -> Office {
    let Office { archive, firm, trust, stores, log, clock } = &bank.office;
    Office {
        archive: archive.clone(),
        firm: firm.clone(),
        trust: trust.clone(),
        stores: stores.clone(),
        log: log.clone(),
        clock: *clock,
    }
}

/// One look of a recorder that was just started.
async fn look(bank: &Bank) {
    for acts in [Acts::Keeping, Acts::Disposing] {
        Spool::new(office(bank), acts).round().await;
    }
}

#[tokio::test]
async fn what_two_officers_signed_on_the_pages_is_carried_out_once_and_its_end_is_written_down() -> anyhow::Result<()> {
    let bank = Bank::new().await;
    let hold = lay(&bank, &bank.signed(What::Hold {}, "C-1"));
    look(&bank).await;
    assert_eq!(said(&bank, &hold).map(|said| said.state), Some(RetentionState::Done));
    assert_eq!(bank.office.standing(&meeting())?.holds().len(), 1);
    // one officer alone, an act for another archive's meeting: nothing is done, and it says why
    let alone = bank.signed_by(
        What::Release {},
        "C-1",
        ("carol", 20, LeafRole::Compliance),
        ("carol", 24, LeafRole::Compliance),
    );
    let alone = lay(&bank, &alone);
    look(&bank).await;
    let refused = said(&bank, &alone).expect("said");
    assert!(refused.state == RetentionState::Refused && refused.detail.contains("second officer"), "{refused:?}");
    at(ENDED.plus_years(1));
    let early = lay(&bank, &bank.signed(What::Dispose {}, "C-2"));
    look(&bank).await;
    assert_eq!(said(&bank, &early).map(|said| said.state), Some(RetentionState::Refused), "it is held");
    lay(&bank, &bank.signed(What::Release {}, "C-1"));
    look(&bank).await;
    let dispose = lay(&bank, &bank.signed(What::Dispose {}, "C-3"));
    let entries = bank.log.size();
    look(&bank).await;
    let done = said(&bank, &dispose).expect("said");
    assert!(done.state == RetentionState::Done && done.detail.contains("sealed keys first"), "{done:?}");
    assert!(bank.in_store().await.is_empty() && !bank.folder().exists());
    assert_eq!(bank.log.size(), entries + 2, "the act and the tombstone");
    look(&bank).await;
    assert_eq!(bank.log.size(), entries + 2, "a recorder that starts again does nothing twice");
    Ok(())
}

#[tokio::test]
async fn a_store_that_is_away_is_tried_again_and_a_disposal_goes_on_where_it_stood() -> anyhow::Result<()> {
    let bank = Bank::new().await;
    at(ENDED.plus_years(1));
    bank.store.deletions.store(3, Ordering::Relaxed);
    let dispose = lay(&bank, &bank.signed(What::Dispose {}, "C-1"));
    let mut spool = Spool::new(office(&bank), Acts::Disposing);
    spool.round().await;
    let cut = said(&bank, &dispose).expect("said");
    assert!(cut.state == RetentionState::Signed && cut.detail.contains("the line is cut"), "{cut:?}");
    bank.store.deletions.store(usize::MAX, Ordering::Relaxed);
    spool.round().await;
    assert_eq!(said(&bank, &dispose), Some(cut), "not before its time");
    at(ENDED.plus_years(1).plus(60_000));
    spool.round().await;
    assert_eq!(said(&bank, &dispose).map(|said| said.state), Some(RetentionState::Done));
    assert!(matches!(bank.office.standing(&meeting())?.phase(), Phase::Disposed { .. }));
    Ok(())
}

#[tokio::test]
async fn an_act_is_good_for_once_a_release_that_was_carried_out_lifts_no_later_hold() -> anyhow::Result<()> {
    let bank = Bank::new().await;
    bank.act(What::Hold {}, "C-1").await?;
    let [act, consent] = bank.signed(What::Release {}, "C-1");
    bank.office.take(&meeting(), "release", &act, &consent).await?;
    at(ENDED.plus(120_000));
    bank.act(What::Hold {}, "C-1").await?;
    let again = bank.office.take(&meeting(), "release", &act, &consent).await;
    assert!(matches!(again, Err(OfficeError::Act(GrantError::Other(..)))), "{again:?}");
    assert_eq!(bank.office.standing(&meeting())?.holds().len(), 1);
    // and where somebody wrote it into the book, the book does not hold
    let book = bank.office.books().read(&meeting())?.expect("a book");
    let event = evidence::retention::Event::Act { act: act.into(), consent: consent.into() };
    let entry = book.entry(&bank.office.firm, crate::firm::now(), event);
    let fault = book.clone().take(&bank.office.trust, &bank.office.firm, &entry.to_cbor());
    assert!(fault.is_err(), "{fault:?}");
    assert!(!matches!(fault, Err(evidence::retention::BookFault::Rule(Refusal::NoHold(_)))));
    Ok(())
}
