//! Meetings whose tracks are in the stores alone: listed, replayed and handed out as if they were here.

use super::kit::{MEETING, Town, firm};
use domain::UnixMillis;
use evidence::archive::sha256;
use recorder_store::class::Class;
use recorder_store::directory::Directory;
use recorder_store::layout;
use recorder_store::state::{Row, State};
use recorder_store::store::{ArchiveStore, Placing};
use recorder_store::{StoreConfig, trim, upload};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const STORES: [&str; 2] = ["vault-a", "vault-b"];

fn clock() -> UnixMillis {
    super::kit::NOW
}

fn store(town: &Path, name: &str) -> Arc<dyn ArchiveStore> {
    Arc::new(Directory::new(name.to_owned(), town.join(name), clock))
}

/// A front over two directory stores that have every track; those of the archive are gone, as the recorder lets them go.
async fn trimmed() -> Town {
    let named = |name: &&str| StoreConfig {
        name: (*name).to_owned(),
        class: Class::Test,
        s3: None,
        directory: Some(PathBuf::from(name)),
    };
    let town = Town::with(|config| config.stores = STORES.iter().map(named).collect()).await;
    let archive = town.folder.path().join("archive");
    let folder = layout::meetings(&archive, &firm()).into_iter().find(|one| one.meeting.as_str() == MEETING);
    let folder = folder.expect("the kit's meeting");
    let stores: Vec<_> = STORES.iter().map(|name| store(town.folder.path(), name)).collect();
    for store in &stores {
        let mut state = State::read(&upload::state_file(&archive, &firm(), store.name(), MEETING)).expect("read");
        for path in layout::files(&folder.path).expect("read").into_iter().filter(|path| path.starts_with("tracks/")) {
            let bytes = std::fs::read(folder.path.join(&path)).expect("read");
            let (sha256, size) = (sha256(&bytes).hex(), bytes.len() as u64);
            let key = format!("{}{path}", folder.prefix);
            let version = store.put(&key, bytes.into(), UnixMillis(0), Placing::First).await.expect("put");
            let row = Row { path, version, sha256, size, changed: 0, until: UnixMillis(0), held: false };
            state.write(row).expect("written");
        }
    }
    trim::trim(&folder, &archive, &firm(), &stores, clock()).await.expect("every store gave every track back");
    assert!(!town.meeting.join("tracks/1/1.seg").exists());
    town
}

/// Whatever is kept of this track in a store.
fn kept(town: &Town, store: &str, track: &str) -> PathBuf {
    town.folder.path().join(store).join("bank-a/2027/01").join(MEETING).join(format!("{track}@1"))
}

#[tokio::test]
async fn a_meeting_whose_tracks_are_in_the_stores_alone_is_verified_replayed_and_handed_out() {
    let town = trimmed().await;
    let (session, id) = town.approved().await;
    let rows: serde_json::Value =
        town.get("/api/meetings").bearer_auth(&session).send().await.expect("sent").json().await.expect("JSON");
    assert_eq!(rows[0]["integrity"], "verified");
    // one store rotted: the other is asked
    std::fs::write(kept(&town, "vault-a", "tracks/1/1.seg"), b"rotten").expect("written");
    town.open(&session, &id).await;
    let grant = town.app.grants.by_request(&id, clock()).expect("open");
    let part = grant.reel.part(0).await.expect("opened");
    assert!(part.lanes.iter().all(|lane| lane.frames.len() > 100), "every lane has its sound and picture");
    let (_unpacked, bag) = super::bundle::fetched(&town, &session, &id).await;
    let given = std::fs::read(bag.join("data/meeting/tracks/1/1.seg")).expect("in the bag");
    assert!(given == std::fs::read(kept(&town, "vault-b", "tracks/1/1.seg")).expect("read"));
    super::bundle::run(
        std::process::Command::new("sha256sum").args(["--quiet", "-c", "manifest-sha256.txt"]).current_dir(&bag),
    );
}

#[tokio::test]
async fn with_no_store_that_gives_a_track_back_the_officer_reads_which_and_what_to_do() {
    let town = trimmed().await;
    let (session, id) = town.approved().await;
    std::fs::write(kept(&town, "vault-a", "tracks/1/1.seg"), b"rotten").expect("written");
    std::fs::remove_dir_all(town.folder.path().join("vault-b")).expect("removed");
    let sent = town.post(&format!("/api/requests/{id}/open")).bearer_auth(&session).send().await.expect("sent");
    assert_eq!(sent.status(), 409);
    let said = sent.text().await.expect("text");
    for word in ["tracks/1/1.seg", "vault-a gives other bytes back", "vault-b: no such object", "restore --meeting"] {
        assert!(said.contains(word), "{word}: {said}");
    }
}
