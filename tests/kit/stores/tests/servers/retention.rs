//! Holds, dates and disposal against a real Object Lock.

use crate::probe::now;
use async_trait::async_trait;
use bank_kit::{Bank, OFFICERS, SoftLog, close, meeting};
use bytes::Bytes;
use domain::UnixMillis;
use evidence::archive::{Digest, LogProof};
use evidence::identity::TrustMap;
use evidence::retention::{Act, Book, Judged, Refusal, Standing, What};
use recorder_store::layout;
use recorder_store::retention::{Log, Office, OfficeError};
use recorder_store::store::Placing;
use recorder_store::{ArchiveStore, Hold, StoreError};
use std::sync::Arc;
use std::time::{Duration, Instant};
use store_servers as stores;
use verify::verify_retention;

const PREFIX: &str = "bank-a/2026/11/00112233445566778899aabbccddeeff/";

/// A disposal is tried before this is over: a hundred times what it takes.
const LOCKED_MS: u64 = 8_000;

#[derive(Default)]
struct Logged(SoftLog);

#[async_trait]
impl Log for Logged {
    async fn append(&self, bytes: &[u8]) -> Result<LogProof, String> {
        Ok(self.0.add(bytes))
    }
}

fn taken(standing: &mut Standing, what: What, case: &str) {
    let who = |name: &str| format!("bank-a/{name}/d1").parse().expect("an id");
    let act = Act {
        firm: "bank-a".parse().expect("an id"),
        meeting: "00112233445566778899aabbccddeeff".parse().expect("an id"),
        manifest_hash: vec![0; 32].into(),
        what,
        case: case.to_owned(),
        reason: "a reason".to_owned(),
        issued_at: now(),
    };
    let judged = Judged { act, first: who("carol"), second: who("chris"), signed_at: now() };
    standing.take(now(), &judged).expect("lawful");
}

#[tokio::test]
async fn a_raise_and_a_hold_bind_every_version_in_a_bucket_the_sealed_keys_included() -> anyhow::Result<()> {
    let server = stores::seaweedfs()?;
    let store = Arc::new(server.bucket("archive-a").await?);
    let ended = UnixMillis(now().seconds() * 1000);
    for (key, body) in [("keys/sealed.cbor", "one"), ("keys/sealed.cbor", "two"), ("tracks/0001/00001.seg", "sound")] {
        let key = format!("{PREFIX}{key}");
        store.put(&key, Bytes::from_static(body.as_bytes()), ended.plus(60_000), Placing::Next).await?;
    }
    let root = tempfile::tempdir()?;
    let office = Office {
        archive: root.path().to_owned(),
        firm: "bank-a".parse()?,
        trust: Arc::new(TrustMap { version: 1, firms: Vec::new(), order_key: Vec::new().into() }),
        stores: vec![store.clone()],
        log: Arc::new(Logged::default()),
        clock: now,
    };
    let mut standing = Standing::new(ended, ended.plus(60_000));
    taken(&mut standing, What::Raise { years: 1 }, "C-1");
    taken(&mut standing, What::Hold {}, "C-2");
    let mut book = Book {
        meeting: "00112233445566778899aabbccddeeff".parse()?,
        manifest_hash: Digest([0; 32]),
        prefix: PREFIX.to_owned(),
        proof: Vec::new().into(),
        standing,
        next: 1,
        last: Digest([0; 32]),
        entries: Vec::new(),
    };
    assert_eq!(office.apply(&book).await?, [("archive-a".to_owned(), 3)]);
    let all = store.versions(PREFIX).await?;
    for one in &all {
        let lock = store.lock(&one.key, &one.id).await?;
        assert_eq!((lock.until, lock.hold), (Some(ended.plus_years(1)), Hold::Held), "{one:?}");
        assert!(matches!(store.delete(&one.key, &one.id).await, Err(StoreError::Refused(_))), "{one:?}");
    }
    taken(&mut book.standing, What::Release {}, "C-2");
    office.apply(&book).await?;
    for one in &all {
        assert_eq!(store.lock(&one.key, &one.id).await?.hold, Hold::Free, "{one:?}");
        assert!(matches!(store.delete(&one.key, &one.id).await, Err(StoreError::Refused(_))), "the date still binds");
    }
    Ok(())
}

/// Waits until the server itself lets a version go that was locked as long as the others.
async fn until_let_go(store: &dyn ArchiveStore, key: &str, version: &str) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_millis(3 * LOCKED_MS);
    loop {
        match store.delete(key, version).await {
            Ok(()) => return Ok(()),
            Err(StoreError::Refused(_)) if Instant::now() < deadline => {}
            Err(e) => anyhow::bail!("{key}: {e}"),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn what_a_bucket_locked_goes_when_the_lock_is_over_by_the_servers_own_clock_keys_first() -> anyhow::Result<()> {
    let server = stores::seaweedfs()?;
    let store = Arc::new(server.bucket("archive-a").await?);
    let root = tempfile::tempdir()?;
    // dates of the store are whole seconds
    let until = UnixMillis((now().plus(LOCKED_MS).0).div_ceil(1000) * 1000);
    let signers = Bank::new(now());
    let log = Arc::new(Logged::default());
    let folder = root.path().join(PREFIX);
    let hash = close(&folder, &signers.trust, &log.0, UnixMillis(now().0 - 60_000), until);
    for path in layout::files(&folder)? {
        let (key, bytes) = (format!("{PREFIX}{path}"), std::fs::read(folder.join(&path))?);
        // keys grow while a meeting runs: an older version of them stands behind
        if path.starts_with("keys/") {
            store.put(&key, Bytes::from_static(b"older"), until, Placing::Next).await?;
        }
        store.put(&key, bytes.into(), until, Placing::Next).await?;
    }
    let scout = store.put("scout", Bytes::from_static(b"locked as long"), until, Placing::First).await?;
    let office = Office {
        archive: root.path().to_owned(),
        firm: "bank-a".parse()?,
        trust: Arc::new(signers.trust.clone()),
        stores: vec![store.clone()],
        log,
        clock: now,
    };
    let signed = || signers.signed_by(now(), hash, (What::Dispose {}, "C-1"), OFFICERS);
    // before: neither the rules nor the server let anything go
    let all = store.versions(PREFIX).await?;
    for one in &all {
        assert!(matches!(store.delete(&one.key, &one.id).await, Err(StoreError::Refused(_))), "{one:?}");
    }
    let [act, consent] = signed();
    let early = office.take(&meeting(), "dispose", &act, &consent).await;
    assert!(matches!(early, Err(OfficeError::Refused(Refusal::NotExpired(_)))), "{early:?}");
    assert_eq!(store.versions(PREFIX).await?, all);
    until_let_go(&*store, "scout", &scout).await?;
    // a hold that only the server knows stops it at the sound: by then every version of every key is gone
    let sound = format!("{PREFIX}tracks/0001/00001.seg");
    let held = all.iter().find(|one| one.key == sound).expect("put");
    store.hold(&held.key, &held.id, Hold::Held).await?;
    let [act, consent] = signed();
    office.take(&meeting(), "dispose", &act, &consent).await?;
    let stopped = office.dispose(&meeting()).await;
    assert!(matches!(stopped, Err(OfficeError::Store(_, _, StoreError::Refused(_)))), "{stopped:?}");
    let left: Vec<String> = store.versions(PREFIX).await?.into_iter().map(|one| one.key).collect();
    assert!(left.contains(&sound), "{left:?}");
    assert!(!left.iter().any(|key| key.contains("/keys/") || key.ends_with("meeting.cose")), "{left:?}");
    store.hold(&held.key, &held.id, Hold::Free).await?;
    office.dispose(&meeting()).await?;
    assert_eq!(store.versions(PREFIX).await?, []);
    let life = verify_retention(&office.books().folder(&meeting()), &office.trust)?;
    assert!(life.is_good() && life.disposed_at.is_some(), "{life:?}");
    Ok(())
}
