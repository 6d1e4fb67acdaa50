//! Holds, dates and disposal against a real Object Lock.

use crate::probe::now;
use async_trait::async_trait;
use bytes::Bytes;
use domain::UnixMillis;
use evidence::archive::{Digest, LogProof};
use evidence::identity::TrustMap;
use evidence::retention::{Act, Book, Judged, Standing, What};
use recorder_store::retention::{Log, Office};
use recorder_store::store::Placing;
use recorder_store::{ArchiveStore, Hold, StoreError};
use std::sync::Arc;
use store_servers as stores;

const PREFIX: &str = "bank-a/2026/11/00112233445566778899aabbccddeeff/";

struct NoLog;

#[async_trait]
impl Log for NoLog {
    async fn append(&self, _: &[u8]) -> Result<LogProof, String> {
        Err("nothing is written here".to_owned())
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
        log: Arc::new(NoLog),
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
