//! Two stores at once (R5), the restore drill, the daily look (R2) and local tracks that go: on a recorder's own archive.

use crate::probe::now;
use crash::firm;
use crash::recording::{Manner, Recording};
use domain::UnixMillis;
use evidence::archive::log::Log;
use evidence::archive::{CHECKPOINT_LABEL, LogProof, names, sha256};
use recorder_store::directory::Directory;
use recorder_store::drill::{Measure, Report, Which, drill};
use recorder_store::layout::{self, Folder};
use recorder_store::restore::restore;
use recorder_store::store::Placing;
use recorder_store::trim::{TrimError, elsewhere, trim};
use recorder_store::upload::{AsSigned, Uploader};
use recorder_store::{ArchiveStore, away, scrub};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store_servers as stores;

struct Archive {
    root: tempfile::TempDir,
}

impl Archive {
    /// A closed meeting of a recorder, with the firm's log.
    fn new() -> anyhow::Result<Self> {
        let root = tempfile::tempdir()?;
        let mut log = Log::default();
        let folder = root.path().join("bank-a/2026/11").join(firm::meeting().as_str());
        std::fs::create_dir_all(&folder)?;
        // the recording waits for its disk thread, which a thread of the runtime may not
        let one = folder.clone();
        let made = move || Recording::open(&one, 0, Manner::Honest, Vec::new())?.run(21, 0, 900);
        std::thread::spawn(made).join().expect("no panic")?;
        let signed = std::fs::read(folder.join(names::MEETING))?;
        log.append(&sha256(b"a meeting before it"));
        let index = log.append(&sha256(&signed));
        let head = log.checkpoint(&firm::id());
        let checkpoint = head.note(&firm::sign(CHECKPOINT_LABEL, head.text().as_bytes()), &firm::spki());
        let proof = LogProof { index, path: log.inclusion(index).expect("there"), checkpoint: checkpoint.clone() };
        std::fs::write(folder.join(names::PROOF), proof.to_cbor())?;
        let at = root.path().join("bank-a/log");
        for (path, bytes) in log.tiles_since(0) {
            std::fs::create_dir_all(at.join(&path).parent().expect("a folder"))?;
            std::fs::write(at.join(path), bytes)?;
        }
        std::fs::write(at.join("checkpoint"), checkpoint)?;
        Ok(Self { root })
    }

    fn path(&self) -> &Path {
        self.root.path()
    }
    fn folder(&self) -> Folder {
        layout::meetings(self.path(), &firm::id()).remove(0)
    }

    async fn upload(&self, store: &Arc<dyn ArchiveStore>) {
        let pass =
            Uploader::new(store.clone(), self.path().to_owned(), firm::id(), Arc::new(AsSigned)).pass(now()).await;
        assert!(pass.trouble.is_none() && pass.damaged.is_empty() && pass.waiting == 0, "{pass:?}");
    }

    async fn drill(&self, store: &Arc<dyn ArchiveStore>) -> anyhow::Result<Report> {
        let (trust, firm, empty) = (firm::trust(), firm::id(), tempfile::tempdir()?);
        let measure = Measure { archive: self.path(), firm: &firm, trust: &trust };
        Ok(drill(&**store, &measure, Which::All, 0, empty.path()).await?)
    }

    fn digests(&self, root: &Path) -> anyhow::Result<BTreeMap<String, String>> {
        let folder = root.join(self.folder().prefix);
        let one = |path: String| Ok((path.clone(), sha256(&std::fs::read(folder.join(path))?).hex()));
        // indexes are for a restart: they never leave the recorder's disk
        let all = layout::files(&folder)?.into_iter().filter(|path| !path.starts_with("index/"));
        all.map(one).collect::<std::io::Result<_>>().map_err(Into::into)
    }
}

fn directory(root: &tempfile::TempDir, name: &str) -> Arc<dyn ArchiveStore> {
    Arc::new(Directory::new(name.to_owned(), root.path().join(name), now))
}

/// The file of an object's first version in a directory store.
fn kept(root: &tempfile::TempDir, store: &str, archive: &Archive, path: &str) -> PathBuf {
    root.path().join(store).join(format!("{}{path}@1", archive.folder().prefix))
}

fn flip(file: &Path) -> anyhow::Result<()> {
    let mut bytes = std::fs::read(file)?;
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    Ok(std::fs::write(file, bytes)?)
}

/// What is done to a file.
type Fault = fn(&Path) -> anyhow::Result<()>;

fn a_track(archive: &Archive) -> anyhow::Result<String> {
    let all = layout::files(&archive.folder().path)?;
    Ok(all.into_iter().find(|path| path.starts_with("tracks/")).expect("recorded"))
}

#[tokio::test]
async fn r5_with_one_store_lost_the_other_gives_back_every_byte_and_the_drill_says_so() -> anyhow::Result<()> {
    let (archive, root, server) = (Archive::new()?, tempfile::tempdir()?, stores::seaweedfs()?);
    let (a, b) = (directory(&root, "vault-a"), Arc::new(server.bucket("vault-b").await?) as Arc<dyn ArchiveStore>);
    for store in [&a, &b] {
        archive.upload(store).await;
    }
    std::fs::remove_dir_all(root.path().join("vault-a"))?;
    let lost = archive.drill(&a).await?;
    assert_eq!((lost.meetings, lost.good), (0, 0));
    let report = archive.drill(&b).await?;
    assert_eq!((report.meetings, report.restored, report.good, report.in_log), (1, 1, 1, 1), "{report:?}");
    assert!(report.findings.is_empty() && report.digests == report.files && report.files > 10, "{report:?}");
    let back = tempfile::tempdir()?;
    restore(&*b, &archive.folder().prefix, back.path()).await?;
    assert_eq!(archive.digests(back.path())?, archive.digests(archive.path())?);
    // a replay reads through whichever store gives what was signed, also from under what somebody put over it
    let track = a_track(&archive)?;
    let signed = std::fs::read(archive.folder().path.join(&track))?;
    let key = format!("{}{track}", archive.folder().prefix);
    let version = b.put(&key, bytes::Bytes::from_static(b"other"), now().plus(60_000), Placing::Next).await?;
    assert_eq!(b.get(&key, None).await?.1, version);
    let both = [a.clone(), b.clone()];
    assert!(away::read(&both, &key, &|bytes| bytes == signed).await?.as_ref() == signed.as_slice());
    let nobody = away::read(&both, &key, &|_| false).await.expect_err("no version is what was signed").to_string();
    assert!(nobody.contains("vault-a: no such object") && nobody.contains("vault-b gives other bytes"), "{nobody}");
    Ok(())
}

#[tokio::test]
async fn a_drill_names_what_was_changed_lost_or_is_not_in_the_log() -> anyhow::Result<()> {
    let track = a_track(&Archive::new()?)?;
    let faults: [(&str, &str, Fault); 4] = [
        ("changed", &track, flip),
        ("lost", &track, |file| Ok(std::fs::remove_file(file)?)),
        ("changed keys", names::SEALED_KEYS, flip),
        ("another proof", names::PROOF, flip),
    ];
    for (what, path, fault) in faults {
        let (archive, root) = (Archive::new()?, tempfile::tempdir()?);
        let store = directory(&root, "vault-a");
        archive.upload(&store).await;
        fault(&kept(&root, "vault-a", &archive, path))?;
        let report = archive.drill(&store).await?;
        assert!(report.good == 0 && report.findings.iter().any(|one| one.contains(path)), "{what}: {report:?}");
    }
    let (archive, root) = (Archive::new()?, tempfile::tempdir()?);
    let store = directory(&root, "vault-a");
    archive.upload(&store).await;
    flip(&root.path().join("vault-a/bank-a/log/tile/0/000.p/2@1"))?;
    let report = archive.drill(&store).await?;
    assert!(report.findings.iter().any(|one| one.contains("bank-a/log")), "{report:?}");
    Ok(())
}

#[tokio::test]
async fn local_tracks_go_only_after_every_store_gave_each_of_them_back() -> anyhow::Result<()> {
    let (archive, root) = (Archive::new()?, tempfile::tempdir()?);
    let both = [directory(&root, "vault-a"), directory(&root, "vault-b")];
    let folder = archive.folder();
    let before = archive.digests(archive.path())?;
    let go = |stores: &[Arc<dyn ArchiveStore>]| {
        let (folder, stores) = (folder.clone(), stores.to_vec());
        let path = archive.path().to_owned();
        async move { trim(&folder, &path, &firm::id(), &stores, UnixMillis(1)).await }
    };
    archive.upload(&both[0]).await;
    assert!(matches!(go(&both[..1]).await, Err(TrimError::TooFew(1))));
    assert!(matches!(go(&both).await, Err(TrimError::NotThere(_, store)) if store == "vault-b"));
    archive.upload(&both[1]).await;
    let spoiled = kept(&root, "vault-b", &archive, &a_track(&archive)?);
    flip(&spoiled)?;
    assert!(matches!(go(&both).await, Err(TrimError::Other(_, store)) if store == "vault-b"));
    assert_eq!(archive.digests(archive.path())?, before, "nothing went");
    flip(&spoiled)?;
    let gone = go(&both).await?;
    assert_eq!(elsewhere(&folder.path), Some(gone.clone()));
    assert!(gone.files > 3 && gone.stores == ["vault-a", "vault-b"], "{gone:?}");
    assert!(!layout::files(&folder.path)?.iter().any(|path| path.starts_with("tracks/")));
    // the uploads have nothing to do, and a look misses nothing
    archive.upload(&both[0]).await;
    let look = scrub::look(&folder, archive.path(), &firm::id(), &firm::trust(), &both, 0).await;
    assert!(look.findings.is_empty() && look.read_back > 0, "{look:?}");
    restore(&*both[1], &folder.prefix, archive.path()).await?;
    let mut after = archive.digests(archive.path())?;
    after.remove("stores.json");
    assert_eq!(after, before);
    Ok(())
}

#[tokio::test]
async fn r2_the_daily_look_names_what_rotted_here_and_in_a_store() -> anyhow::Result<()> {
    let (archive, root) = (Archive::new()?, tempfile::tempdir()?);
    let store = [directory(&root, "vault-a")];
    archive.upload(&store[0]).await;
    let folder = archive.folder();
    let (firm, trust) = (firm::id(), firm::trust());
    let look = |round| scrub::look(&folder, archive.path(), &firm, &trust, &store, round);
    assert_eq!(look(0).await.findings, Vec::<String>::new());
    let track = a_track(&archive)?;
    flip(&kept(&root, "vault-a", &archive, &track))?;
    let files = layout::files(&folder.path)?.len() as u64;
    let mut named = BTreeSet::new();
    for round in 0..files.div_ceil(scrub::READ_BACK as u64) {
        named.extend(look(round).await.findings);
    }
    assert!(named.len() == 1 && named.iter().all(|one| one.contains(&track) && one.contains("vault-a")), "{named:?}");
    flip(&folder.path.join(&track))?;
    let here = look(0).await.findings;
    assert!(here.iter().any(|one| one.contains(&track) && !one.contains("vault-a")), "{here:?}");
    Ok(())
}
