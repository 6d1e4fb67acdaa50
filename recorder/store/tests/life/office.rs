//! Two officers' acts on a closed meeting: in the log first, on every object of the store, and a disposal that any hold
//! stops.

use crate::firm::{Bank, ENDED, at, meeting, now};
use domain::message::custody::LeafRole;
use evidence::retention::{Refusal, What};
use recorder_store::layout;
use recorder_store::retention::OfficeError;
use recorder_store::retention::disposal::Piece;
use recorder_store::store::StoreError;
use recorder_store::{ArchiveStore, Hold};
use std::sync::atomic::Ordering;
use verify::verify_retention;

const CAROL: (&str, u8, LeafRole) = ("carol", 20, LeafRole::Compliance);
const CHRIS: (&str, u8, LeafRole) = ("chris", 21, LeafRole::Compliance);
/// Meeting, and the entry in its log.
const LOGGED: u64 = 1;

fn refused(result: Result<(), OfficeError>) -> Refusal {
    match result.expect_err("refused") {
        OfficeError::Refused(refusal) => refusal,
        other => panic!("refused for another reason: {other}"),
    }
}

#[tokio::test]
async fn a_hold_and_a_longer_class_reach_every_object_of_the_store_its_keys_included() -> anyhow::Result<()> {
    let bank = Bank::new().await;
    bank.act(What::Raise { years: 7 }, "C-1").await?;
    bank.act(What::Hold {}, "C-2").await?;
    let all = bank.in_store().await;
    assert!(all.len() >= 6 && all.iter().any(|one| one.key.ends_with("keys/sealed.cbor")), "{all:?}");
    at(ENDED.plus_years(8));
    for one in &all {
        let lock = bank.store.lock(&one.key, &one.id).await?;
        assert_eq!((lock.until, lock.hold), (Some(ENDED.plus_years(7)), Hold::Held), "{one:?}");
        assert!(matches!(bank.store.delete(&one.key, &one.id).await, Err(StoreError::Refused(_))), "{one:?}");
    }
    // over, and still held
    assert!(matches!(refused(bank.act(What::Dispose {}, "C-3").await), Refusal::Held(cases) if cases == "C-2"));
    let plan = bank.office.plan(&meeting(), None).await?;
    assert!(plan.refused.is_some_and(|why| why.contains("C-2")));
    assert_eq!(bank.in_store().await.len(), all.len());
    Ok(())
}

#[tokio::test]
async fn an_act_wants_two_officers_who_were_not_in_the_meeting_and_is_in_the_log_first() -> anyhow::Result<()> {
    let bank = Bank::new().await;
    let anna = ("anna", 22, LeafRole::Compliance);
    let member = ("mark", 23, LeafRole::Member);
    let again = ("carol", 24, LeafRole::Compliance);
    for (first, second) in [(CAROL, again), (anna, CHRIS), (CAROL, anna), (member, CHRIS), (CAROL, member)] {
        let [act, consent] = bank.signed_by(What::Hold {}, "C-1", first, second);
        let refused = bank.office.take(&meeting(), "hold", &act, &consent).await;
        assert!(matches!(refused, Err(OfficeError::Act(_))), "{} and {}", first.0, second.0);
    }
    let [act, consent] = bank.signed(What::Hold {}, "C-1");
    let other = bank.office.take(&meeting(), "release", &act, &consent).await;
    assert!(matches!(other, Err(OfficeError::OtherAct { .. })));
    assert_eq!((bank.log.size(), bank.office.books().meetings().len()), (LOGGED, 0), "nothing was begun");
    bank.log.away.store(true, Ordering::Relaxed);
    assert!(bank.office.take(&meeting(), "hold", &act, &consent).await.is_err());
    assert!(bank.office.standing(&meeting())?.holds().is_empty(), "what the log does not have does not hold");
    bank.log.away.store(false, Ordering::Relaxed);
    bank.office.take(&meeting(), "hold", &act, &consent).await?;
    assert_eq!(bank.office.standing(&meeting())?.holds().len(), 1);
    assert!(matches!(refused(bank.act(What::Hold {}, "C-1").await), Refusal::HeldAlready(_)));
    assert!(matches!(refused(bank.act(What::Release {}, "C-9").await), Refusal::NoHold(_)));
    Ok(())
}

#[tokio::test]
async fn c4_nothing_goes_before_its_time_by_any_clock() -> anyhow::Result<()> {
    let bank = Bank::new().await;
    assert!(matches!(refused(bank.act(What::Dispose {}, "C-1").await), Refusal::NotExpired(_)));
    // the officers signed in time, and the recorder's clock is set forward: a week later is not a year later
    let [act, consent] = bank.signed(What::Dispose {}, "C-1");
    at(ENDED.plus_years(2));
    assert!(bank.office.take(&meeting(), "dispose", &act, &consent).await.is_err(), "the act is too old");
    assert!(matches!(bank.office.dispose(&meeting()).await, Err(OfficeError::Unknown(_))), "nothing was ordered");
    let files = layout::files(&bank.folder())?;
    assert!(files.iter().any(|path| path == "keys/sealed.cbor"));
    Ok(())
}

#[tokio::test]
async fn t25_a_disposal_destroys_keys_first_then_the_rest_and_leaves_a_tombstone_that_verifies() -> anyhow::Result<()> {
    let bank = Bank::new().await;
    at(ENDED.plus_years(1));
    // two of the store's keys go (the folder's went before), then the line is cut
    bank.store.deletions.store(3, Ordering::Relaxed);
    bank.act(What::Dispose {}, "C-1").await?;
    assert!(matches!(bank.office.dispose(&meeting()).await, Err(OfficeError::Store(..))));
    let keys = |path: &str| Piece { place: 0, path: path.to_owned(), version: String::new() }.holds_keys();
    let left = bank.in_store().await;
    assert!(
        !left.is_empty()
            && left.iter().all(|one| !keys(one.key.split('/').skip(4).collect::<Vec<_>>().join("/").as_str()))
    );
    assert!(!bank.folder().exists(), "neither recorder nor front see it any more");
    // data is left, and nothing that opens it: the folder has no key either
    let leaving = bank.office.archive.join("bank-a/disposing").join(meeting().as_str());
    assert!(layout::files(&leaving)?.iter().all(|path| !keys(path)));
    bank.store.deletions.store(usize::MAX, Ordering::Relaxed);
    bank.office.dispose(&meeting()).await?;
    assert!(bank.in_store().await.is_empty() && !leaving.exists());
    let book = bank.office.books().folder(&meeting());
    let life = verify_retention(&book, &bank.office.trust)?;
    assert!(life.is_good() && life.disposed_at == Some(now().0), "{life:?}");
    assert!(life.entries.iter().any(|line| line.contains("disposed of in local, vault-a")), "{life:?}");
    assert!(matches!(refused(bank.act(What::Hold {}, "C-2").await), Refusal::Disposed(_)));
    Ok(())
}

#[tokio::test]
async fn c8_a_hold_that_comes_during_a_disposal_wins() -> anyhow::Result<()> {
    for pieces in [0, 2, 5] {
        let bank = Bank::new().await;
        at(ENDED.plus_years(1));
        bank.store.deletions.store(pieces, Ordering::Relaxed);
        bank.act(What::Dispose {}, "C-1").await?;
        assert!(bank.office.dispose(&meeting()).await.is_err(), "cut after {pieces}");
        bank.act(What::Hold {}, "C-2").await?;
        bank.store.deletions.store(usize::MAX, Ordering::Relaxed);
        let left = bank.in_store().await;
        assert!(matches!(refused(bank.office.dispose(&meeting()).await.map(drop)), Refusal::Held(_)));
        assert!(matches!(refused(bank.act(What::Dispose {}, "C-3").await), Refusal::Held(_)));
        assert_eq!(bank.in_store().await, left, "cut after {pieces}");
        bank.act(What::Release {}, "C-2").await?;
        // what was ordered before the hold is not ordered any more
        assert!(matches!(refused(bank.office.dispose(&meeting()).await.map(drop)), Refusal::NotDisposing));
        bank.act(What::Dispose {}, "C-3").await?;
        bank.office.dispose(&meeting()).await?;
        let life = verify_retention(&bank.office.books().folder(&meeting()), &bank.office.trust)?;
        assert!(life.is_good() && life.disposed_at.is_some(), "{life:?}");
    }
    Ok(())
}

#[tokio::test]
async fn c8_a_hold_and_a_disposal_at_once_end_in_one_of_two_orders() -> anyhow::Result<()> {
    let bank = Bank::new().await;
    at(ENDED.plus_years(1));
    bank.act(What::Dispose {}, "C-1").await?;
    let id = meeting();
    let (disposed, held) = tokio::join!(bank.office.dispose(&id), bank.act(What::Hold {}, "C-2"));
    let left = bank.in_store().await.len();
    match (disposed, held) {
        (Ok(_), Err(OfficeError::Refused(Refusal::Disposed(_)))) => assert_eq!(left, 0),
        (Err(OfficeError::Refused(Refusal::Held(_))), Ok(())) => assert!(left > 0),
        other => panic!("{other:?}"),
    }
    Ok(())
}

#[tokio::test]
async fn a_hold_that_the_store_knows_stops_a_disposal_although_its_book_was_lost() -> anyhow::Result<()> {
    let bank = Bank::new().await;
    bank.act(What::Hold {}, "C-1").await?;
    std::fs::remove_dir_all(bank.office.books().folder(&meeting()))?;
    at(ENDED.plus_years(1));
    let before = bank.in_store().await;
    bank.act(What::Dispose {}, "C-2").await?;
    let stopped = bank.office.dispose(&meeting()).await;
    assert!(matches!(stopped, Err(OfficeError::Store(_, _, StoreError::Refused(_)))), "{stopped:?}");
    assert_eq!(bank.in_store().await, before);
    Ok(())
}

#[tokio::test]
async fn a_book_that_was_changed_thinned_or_never_logged_is_named_and_opens_nothing() -> anyhow::Result<()> {
    let bank = Bank::new().await;
    bank.act(What::Hold {}, "C-1").await?;
    bank.act(What::Raise { years: 3 }, "C-2").await?;
    bank.act(What::Release {}, "C-1").await?;
    let folder = bank.office.books().folder(&meeting());
    let verified = || verify_retention(&folder, &bank.office.trust);
    assert!(verified()?.is_good());
    let path = |name: &str| folder.join(name);
    let hold = std::fs::read(path("00001.cbor"))?;
    let mut bent = hold.clone();
    let at_reason = bent.len() / 2;
    bent[at_reason] ^= 1;
    std::fs::write(path("00001.cbor"), &bent)?;
    assert!(verified()?.findings.iter().any(|one| one.file == "00001.cbor"));
    assert!(bank.office.standing(&meeting()).is_err());
    std::fs::remove_file(path("00001.cbor"))?;
    assert!(verified()?.findings.iter().any(|one| one.file == "00001.cbor"));
    assert!(bank.office.standing(&meeting()).is_err());
    std::fs::write(path("00001.cbor"), &hold)?;
    assert!(verified()?.is_good());
    let proof = std::fs::read(path("00002.proof"))?;
    std::fs::copy(path("00001.proof"), path("00002.proof"))?;
    let life = verified()?;
    assert!(life.findings.iter().any(|one| one.file == "00002.cbor" && one.problem.contains("log")), "{life:?}");
    std::fs::write(path("00002.proof"), proof)?;
    assert!(verified()?.is_good());
    Ok(())
}
