//! Archives that go to real stores and come back.

use crate::probe::now;
use bytes::Bytes;
use domain::{FirmId, MeetingId, UnixMillis};
use evidence::archive::record::TrackInfo;
use evidence::archive::{Media, Record, SEGMENT_LABEL, SegmentHeader, SegmentWriter, sha256};
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::ecdsa::{Signature, SigningKey};
use recorder_store::directory::Directory;
use recorder_store::restore::restore;
use recorder_store::store::{Placing, StoreError};
use recorder_store::upload::{AsSigned, Uploader};
use recorder_store::{ArchiveStore, Attack, Hold, Lock, Version, layout};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use store_servers as stores;

const MEETING: &str = "00112233445566778899aabbccddeeff";

fn firm() -> FirmId {
    "bank-a".parse().expect("an id")
}

fn folder(archive: &Path) -> PathBuf {
    archive.join("bank-a/2026/11").join(MEETING)
}

fn put(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    std::fs::create_dir_all(path.parent().expect("a folder"))?;
    Ok(std::fs::write(path, bytes)?)
}

fn sign(label: &str, payload: &[u8]) -> Vec<u8> {
    let key = SigningKey::from_slice(&[7; 32]).expect("a key");
    evidence::cose::sign::<std::convert::Infallible>(label, payload, None, |hash| {
        let signature: Signature = key.sign_prehash(hash).expect("32 bytes");
        Ok(signature.to_bytes().into())
    })
    .expect("cannot fail")
}

/// A meeting that still runs: `count` sealed segments of one track, keys, and a segment that is being written.
fn running(archive: &Path, count: u32) -> anyhow::Result<()> {
    let folder = folder(archive);
    put(&folder.join("keys/sealed.cbor"), b"sealed meeting key")?;
    put(&folder.join("keys/epochs.cbor"), b"sealed base keys")?;
    put(&folder.join("events.seg"), b"events so far")?;
    put(&folder.join("tracks/0001/09999.seg"), b"being written")?;
    for index in 1..=count {
        segment(&folder, index)?;
    }
    Ok(())
}

fn segment(folder: &Path, index: u32) -> anyhow::Result<()> {
    let meeting: MeetingId = MEETING.parse()?;
    let track = TrackInfo {
        track: 1,
        participant: "bank-a/anna/d1".parse()?,
        slot: domain::Slot(0),
        codec: domain::Codec::Opus,
    };
    let header = SegmentHeader {
        version: 1,
        firm: firm(),
        meeting,
        track: Some(track),
        index,
        first_seq: 0,
        suite: 5,
        clock_rate: 48_000,
        started_at: UnixMillis(1_000),
        monotonic_ms: 0,
    };
    let mut bytes = Vec::new();
    let mut writer = SegmentWriter::new(header, &mut bytes);
    let frame = [index as u8; 300];
    let media =
        Media { sfu_us: 1, rtp_timestamp: 1, ssrc: 1, epoch: domain::Epoch(5), flags: 0, shim: &[], sframe: &frame };
    writer.push(1_000_000, &Record::Media(media), &mut bytes);
    let path = format!("tracks/0001/{index:05}.seg");
    let manifest = writer.close(path.clone(), UnixMillis(2_000), &mut bytes);
    put(&folder.join(path), &bytes)?;
    put(&folder.join(format!("segments/0001-{index:05}.cose")), &sign(SEGMENT_LABEL, &manifest.to_cbor()))
}

fn digests(root: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let all =
        layout::files(root)?.into_iter().map(|path| Ok((path.clone(), sha256(&std::fs::read(root.join(path))?).hex())));
    all.collect::<std::io::Result<_>>().map_err(Into::into)
}

/// What is wrong with a store.
enum Fault {
    /// It does so many things, then its answers are lost, as for a process that was killed.
    Dies(AtomicUsize),
    /// It keeps other bytes than it was given.
    Lies,
}

struct Faulty<S> {
    inner: S,
    fault: Fault,
}

impl<S> Faulty<S> {
    fn lives(&self) -> Result<(), StoreError> {
        let Fault::Dies(left) = &self.fault else { return Ok(()) };
        let more = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        more.map(drop).map_err(|_| StoreError::Unavailable("killed here".to_owned()))
    }
    fn lives_for(&self, steps: usize) {
        if let Fault::Dies(left) = &self.fault {
            left.store(steps, Ordering::Relaxed);
        }
    }
}

#[async_trait::async_trait]
impl<S: ArchiveStore> ArchiveStore for Faulty<S> {
    fn name(&self) -> &str {
        self.inner.name()
    }
    async fn put(&self, key: &str, bytes: Bytes, until: UnixMillis, placing: Placing) -> Result<String, StoreError> {
        self.lives()?;
        let kept = if matches!(self.fault, Fault::Lies) { bytes.slice(1..) } else { bytes };
        let put = self.inner.put(key, kept, until, placing).await?;
        // the object is there, the answer is not
        self.lives()?;
        Ok(put)
    }
    async fn get(&self, key: &str, version: Option<&str>) -> Result<(Bytes, String), StoreError> {
        self.lives()?;
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
        self.inner.delete(key, version).await
    }
    async fn versions(&self, prefix: &str) -> Result<Vec<Version>, StoreError> {
        self.inner.versions(prefix).await
    }
    async fn attack(&self, attack: Attack, key: &str, version: &str, until: UnixMillis) -> Result<(), StoreError> {
        self.inner.attack(attack, key, version, until).await
    }
}

/// Kills the upload after every single step, each time with a new process.
async fn kill_after_each_step(
    archive: &Path,
    store: impl ArchiveStore + 'static,
) -> anyhow::Result<Arc<dyn ArchiveStore>> {
    let dying = Arc::new(Faulty { inner: store, fault: Fault::Dies(AtomicUsize::new(0)) });
    let mut last = None;
    for kill in 1..200 {
        dying.lives_for(kill % 5 + 1);
        let mut uploader = Uploader::new(dying.clone(), archive.to_owned(), firm(), Arc::new(AsSigned));
        let pass = uploader.pass(now()).await;
        anyhow::ensure!(pass.damaged.is_empty(), "{pass:?}");
        if pass.trouble.is_none() {
            dying.lives_for(usize::MAX);
            return Ok(dying);
        }
        anyhow::ensure!(pass.waiting > 0, "{pass:?}");
        last = pass.trouble;
    }
    anyhow::bail!("it never ended: {last:?}")
}

async fn resumes(store: impl ArchiveStore + 'static) -> anyhow::Result<()> {
    let archive = tempfile::tempdir()?;
    running(archive.path(), 3)?;
    let before = digests(&folder(archive.path()))?;
    let store = kill_after_each_step(archive.path(), store).await?;
    assert_eq!(digests(&folder(archive.path()))?, before, "nothing local is changed");
    let versions = store.versions("bank-a/2026/11/").await?;
    let keys: Vec<&str> = versions.iter().map(|one| one.key.as_str()).collect();
    // 3 segments, 3 manifests, 2 files of keys; one version each although many answers were lost
    assert_eq!(keys.len(), 8, "{keys:?}");
    assert!(keys.iter().all(|key| !key.ends_with("09999.seg") && !key.ends_with("events.seg")), "{keys:?}");
    for one in &versions {
        assert!(store.lock(&one.key, &one.id).await?.until > Some(now()), "{one:?}");
        assert!(matches!(store.delete(&one.key, &one.id).await, Err(StoreError::Refused(_))), "{one:?}");
    }
    let back = tempfile::tempdir()?;
    let restored = restore(&*store, "bank-a/", back.path()).await?;
    assert_eq!(restored.len(), 8);
    for (path, digest) in digests(&folder(back.path()))? {
        assert_eq!(before.get(&path), Some(&digest), "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn an_upload_goes_on_after_a_kill_at_every_step_into_a_directory() -> anyhow::Result<()> {
    let root = tempfile::tempdir()?;
    resumes(Directory::new("b".to_owned(), root.path().to_owned(), now)).await
}

#[tokio::test]
async fn an_upload_goes_on_after_a_kill_at_every_step_into_a_bucket() -> anyhow::Result<()> {
    let server = stores::seaweedfs()?;
    resumes(server.bucket("archive-a").await?).await
}

#[tokio::test]
async fn a_segment_that_rotted_before_its_upload_is_not_spread() -> anyhow::Result<()> {
    let (archive, root) = (tempfile::tempdir()?, tempfile::tempdir()?);
    running(archive.path(), 2)?;
    let file = folder(archive.path()).join("tracks/0001/00002.seg");
    let mut bytes = std::fs::read(&file)?;
    let last = bytes.len() - 10;
    bytes[last] ^= 1;
    std::fs::write(&file, bytes)?;
    let store = Arc::new(Directory::new("b".to_owned(), root.path().to_owned(), now));
    let pass = Uploader::new(store.clone(), archive.path().to_owned(), firm(), Arc::new(AsSigned)).pass(now()).await;
    assert!(pass.damaged.len() == 1 && pass.damaged[0].contains("00002.seg"), "{pass:?}");
    assert!(store.versions("bank-a/").await?.iter().all(|one| !one.key.contains("00002.seg")));
    Ok(())
}

#[tokio::test]
async fn another_object_under_a_segments_name_is_never_taken_for_it() -> anyhow::Result<()> {
    let (archive, root) = (tempfile::tempdir()?, tempfile::tempdir()?);
    running(archive.path(), 1)?;
    let store = Arc::new(Directory::new("b".to_owned(), root.path().to_owned(), now));
    let key = format!("bank-a/2026/11/{MEETING}/tracks/0001/00001.seg");
    store.put(&key, Bytes::from_static(b"planted"), now().plus(60_000), Placing::First).await?;
    let pass = Uploader::new(store, archive.path().to_owned(), firm(), Arc::new(AsSigned)).pass(now()).await;
    assert!(pass.trouble.as_ref().is_some_and(|why| why.contains("another object")), "{pass:?}");
    Ok(())
}

#[tokio::test]
async fn what_does_not_read_back_as_given_is_not_written_down() -> anyhow::Result<()> {
    let (archive, root) = (tempfile::tempdir()?, tempfile::tempdir()?);
    put(&folder(archive.path()).join("keys/sealed.cbor"), b"sealed meeting key")?;
    let store = Faulty { inner: Directory::new("b".to_owned(), root.path().to_owned(), now), fault: Fault::Lies };
    let mut uploader = Uploader::new(Arc::new(store), archive.path().to_owned(), firm(), Arc::new(AsSigned));
    for _ in 0..2 {
        let pass = uploader.pass(now()).await;
        assert!(pass.uploaded == 0 && pass.waiting == 1 && pass.trouble.is_some(), "{pass:?}");
    }
    Ok(())
}
