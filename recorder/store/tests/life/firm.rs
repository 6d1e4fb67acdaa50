//! The kit's firm with an office: a clock that a test sets, a log and a store that can be away.

use async_trait::async_trait;
use bank_kit::{OFFICERS, Signer, SoftLog as Tree, close};
use bytes::Bytes;
use domain::UnixMillis;
use evidence::archive::{Digest, LogProof};
use evidence::retention::What;
use recorder_store::directory::Directory;
use recorder_store::retention::{Log, Office, OfficeError};
use recorder_store::store::{Placing, StoreError};
use recorder_store::{ArchiveStore, Attack, Hold, Lock, Version, layout};
use std::cell::Cell;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

pub use bank_kit::{MEETING, firm, meeting};

pub const ENDED: UnixMillis = UnixMillis(1_795_305_600_000);

thread_local! {
    static NOW: Cell<u64> = const { Cell::new(ENDED.0) };
}

/// The time of this test's thread.
pub fn now() -> UnixMillis {
    UnixMillis(NOW.get())
}
/// Sets it.
pub fn at(time: UnixMillis) {
    NOW.set(time.0);
}

/// The firm's log in memory; it can be away.
#[derive(Default)]
pub struct SoftLog {
    tree: Tree,
    pub away: AtomicBool,
}

impl SoftLog {
    pub fn size(&self) -> u64 {
        self.tree.size()
    }
}

#[async_trait]
impl Log for SoftLog {
    async fn append(&self, bytes: &[u8]) -> Result<LogProof, String> {
        if self.away.load(Ordering::Relaxed) { Err("the token is away".to_owned()) } else { Ok(self.tree.add(bytes)) }
    }
}

/// A store that can be away after some deletions, and that can be one that refuses nothing.
pub struct Odd {
    pub inner: Directory,
    pub deletions: AtomicUsize,
}

#[async_trait]
impl ArchiveStore for Odd {
    fn name(&self) -> &str {
        self.inner.name()
    }
    async fn put(&self, key: &str, bytes: Bytes, until: UnixMillis, placing: Placing) -> Result<String, StoreError> {
        self.inner.put(key, bytes, until, placing).await
    }
    async fn get(&self, key: &str, version: Option<&str>) -> Result<(Bytes, String), StoreError> {
        self.inner.get(key, version).await
    }
    async fn lock(&self, key: &str, version: &str) -> Result<Lock, StoreError> {
        self.inner.lock(key, version).await
    }
    async fn extend(&self, key: &str, version: &str, until: UnixMillis) -> Result<(), StoreError> {
        self.inner.extend(key, version, until).await
    }
    async fn hold(&self, key: &str, version: &str, hold: Hold) -> Result<(), StoreError> {
        self.inner.hold(key, version, hold).await
    }
    async fn delete(&self, key: &str, version: &str) -> Result<(), StoreError> {
        let more = |left: usize| left.checked_sub(1);
        if self.deletions.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_err() {
            return Err(StoreError::Unavailable("the line is cut".to_owned()));
        }
        // others get their turn between two pieces
        tokio::task::yield_now().await;
        self.inner.delete(key, version).await
    }
    async fn versions(&self, prefix: &str) -> Result<Vec<Version>, StoreError> {
        self.inner.versions(prefix).await
    }
    async fn attack(&self, attack: Attack, key: &str, version: &str, until: UnixMillis) -> Result<(), StoreError> {
        self.inner.attack(attack, key, version, until).await
    }
}

/// Everything.
pub struct Bank {
    pub office: Office,
    pub log: Arc<SoftLog>,
    pub store: Arc<Odd>,
    _root: tempfile::TempDir,
    signers: bank_kit::Bank,
    manifest_hash: Digest,
}

impl Bank {
    /// With a closed meeting that is kept for a year, whole in one store.
    pub async fn new() -> Self {
        at(ENDED.plus(60_000));
        let root = tempfile::tempdir().expect("a folder");
        let signers = bank_kit::Bank::new(ENDED);
        let log = Arc::new(SoftLog::default());
        let archive = root.path().join("archive");
        let folder = archive.join("bank-a/2026/11").join(MEETING);
        let manifest_hash = close(&folder, &signers.trust, &log.tree, ENDED, ENDED.plus_years(1));
        let inner = Directory::new("vault-a".to_owned(), root.path().join("vault-a"), now);
        let store = Arc::new(Odd { inner, deletions: AtomicUsize::new(usize::MAX) });
        for path in layout::files(&folder).expect("listed") {
            let bytes = std::fs::read(folder.join(&path)).expect("read");
            let key = format!("bank-a/2026/11/{MEETING}/{path}");
            store.put(&key, bytes.into(), ENDED.plus_years(1), Placing::First).await.expect("put");
        }
        let office = Office {
            archive,
            firm: firm(),
            trust: Arc::new(signers.trust.clone()),
            stores: vec![store.clone()],
            log: log.clone(),
            clock: now,
        };
        Self { office, log, store, _root: root, signers, manifest_hash }
    }

    pub fn folder(&self) -> PathBuf {
        self.office.archive.join("bank-a/2026/11").join(MEETING)
    }

    /// An act signed by `first`, consented to by `second`, now.
    pub fn signed_by(&self, what: What, case: &str, first: Signer, second: Signer) -> [Vec<u8>; 2] {
        self.signers.signed_by(now(), self.manifest_hash, (what, case), [first, second])
    }

    pub fn signed(&self, what: What, case: &str) -> [Vec<u8>; 2] {
        self.signed_by(what, case, OFFICERS[0], OFFICERS[1])
    }

    /// Signs and takes an act, and puts it on the store's objects.
    pub async fn act(&self, what: What, case: &str) -> Result<(), OfficeError> {
        let name = what.name();
        let [act, consent] = self.signed(what, case);
        let book = self.office.take(&meeting(), name, &act, &consent).await?;
        if name != "dispose" {
            self.office.apply(&book).await?;
        }
        Ok(())
    }

    pub async fn in_store(&self) -> Vec<Version> {
        self.store.versions(&format!("bank-a/2026/11/{MEETING}/")).await.expect("listed")
    }
}
