//! The evidence bundle of an open grant: the meeting's own files, ciphertext as it is kept, with manifests and proofs, what an
//! examiner loads and reads, and the keys if both officers signed for them. A BagIt bag (RFC 8493) in a tar, made as it is
//! fetched: nothing of it is ever on the front's disk.

mod bag;
mod load;
mod report;
mod words;

use crate::replay::grants::OpenGrant;
use crate::review::meetings::Verified;
use crate::review::requests::Stored;
use axum::body::Bytes;
use bag::{Bag, Stopped};
use domain::UnixMillis;
use domain::message::front::LedgerRow;
use evidence::archive::names;
use recorder_store::trim;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Pieces of 256 KiB that wait for a slow connection.
const WAITING: usize = 8;
/// Folders of the copies' own files inside the bag: the first, and the paired recorder's.
const COPIES: [&str; 2] = ["data/meeting", "data/paired"];
/// Where the keys of each copy lie, if both officers signed for them.
const KEYS: [&str; 2] = ["data/keys/meeting-keys.json", "data/keys/paired-meeting-keys.json"];

/// What a bundle is made of.
pub struct Bundle {
    /// The meeting.
    pub grant: Arc<OpenGrant>,
    /// The request with its approval.
    pub stored: Stored,
    /// The trust map, JSON: without it nobody outside verifies a signature.
    pub trust: Vec<u8>,
    /// The ledger's entries about this meeting, verified, with their signed form.
    pub ledger: Vec<(LedgerRow, Vec<u8>)>,
    /// When it is made.
    pub at: UnixMillis,
}

/// A piece of the tar, or why there is no more.
pub type Piece = Result<Bytes, std::io::Error>;

impl Bundle {
    /// The bag's folder and, with `.tar`, its file's name.
    pub fn name(&self) -> String {
        format!("strongroom-{}", self.grant.meeting)
    }

    /// Makes it in a thread of its own, as fast as it is taken. What went wrong ends the stream with an error, so that half a
    /// bundle is never taken for a whole one.
    pub fn stream(self) -> mpsc::Receiver<Piece> {
        let (sender, receiver) = mpsc::channel(WAITING);
        tokio::task::spawn_blocking(move || {
            let failed = sender.clone();
            if let Err(Stopped(why)) = self.write(sender) {
                tracing::warn!("an evidence bundle was not finished: {why}");
                // nobody may be there to hear it
                let _ = failed.blocking_send(Err(std::io::Error::other(why)));
            }
        });
        receiver
    }

    fn write(&self, out: mpsc::Sender<Piece>) -> Result<(), Stopped> {
        let mut bag = Bag::new(self.name(), self.at, out);
        for (copy, under) in self.copies() {
            self.write_copy(copy, under, &mut bag)?;
        }
        bag.bytes("data/trust.json", &self.trust)?;
        for (row, signed) in &self.ledger {
            bag.bytes(&format!("data/ledger/{:08}.cose", row.index), signed)?;
        }
        bag.bytes("data/grant/request.cose", &self.stored.signed)?;
        if let Some((approval, _, _)) = &self.stored.approval {
            bag.bytes("data/grant/approval.cose", approval)?;
        }
        if self.stored.request.handed.is_some() {
            for (keys, path) in self.grant.reel.keys().iter().zip(KEYS) {
                bag.bytes(path, &keys.as_json())?;
            }
        }
        bag.bytes("data/load/events.csv", load::events(&self.grant).as_bytes())?;
        bag.bytes("data/load/ledger.csv", load::ledger(&self.ledger).as_bytes())?;
        bag.bytes("data/load/meeting.json", &load::meeting(self, bag.items()))?;
        let files = load::files(self, bag.items());
        bag.bytes("data/load/files.csv", files.as_bytes())?;
        for words in &words::ALL {
            let html = report::html(self, bag.items(), words);
            bag.bytes(&format!("data/report/report.{}.html", words.language), html.as_bytes())?;
        }
        let manifest = &self.grant.reel.plan.copies.manifest;
        bag.finish(&manifest.firm, &manifest.title)
    }

    /// Each copy with its folder in the bag.
    fn copies(&self) -> impl Iterator<Item = (&Arc<Verified>, &'static str)> {
        self.grant.reel.plan.copies.all().iter().zip(COPIES)
    }

    /// The files of a copy, as they are kept.
    fn write_copy(&self, meeting: &Verified, under: &str, bag: &mut Bag) -> Result<(), Stopped> {
        let mut there = vec![names::MEETING.to_owned(), names::PROOF.to_owned()];
        there.extend([names::SEALED_KEYS, names::EPOCH_KEYS].map(str::to_owned));
        for segment in &meeting.manifest.segments {
            there.extend([segment.path.clone(), segment.manifest.clone()]);
        }
        // stamps and whatever else lies beside it belongs to the meeting too
        there.extend(beside(&meeting.folder).into_iter().filter(|path| path != trim::ELSEWHERE));
        there.sort();
        there.dedup();
        for path in there.iter().filter(|path| !path.is_empty()) {
            if self.grant.has_ended() {
                return Err(Stopped("the grant has ended".to_owned()));
            }
            let full = meeting.folder.join(path);
            let segment = meeting.manifest.segments.iter().find(|one| one.path == *path);
            if let Some(segment) = segment.filter(|one| meeting.is_away(one)) {
                let bytes = meeting.bytes(segment).map_err(|why| Stopped(format!("{path}: {why}")))?;
                bag.bytes(&format!("{under}/{path}"), &bytes)?;
                continue;
            }
            // what the manifest names and is not there is missing in the bundle as in the archive; the report says so
            if is_inside(&meeting.folder, path) {
                bag.file(&format!("{under}/{path}"), &full)?;
            }
        }
        Ok(())
    }
}

/// Is it a file of this meeting's folder? The manifest is the recorder's word: neither a path of it nor a link that somebody put
/// into the archive leads an officer's bundle to other files, or its receiver's `tar` to other folders.
fn is_inside(folder: &Path, path: &str) -> bool {
    let is_plain = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    let at_home = |folder: PathBuf| folder.join(path).canonicalize().is_ok_and(|full| full == folder.join(path));
    is_plain && folder.canonicalize().is_ok_and(at_home) && folder.join(path).is_file()
}

/// Small files beside the named ones (time stamps): by name, one folder deep, no links.
fn beside(folder: &Path) -> Vec<String> {
    let files = |under: &str| -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(folder.join(under)) else { return Vec::new() };
        let plain = entries.filter_map(Result::ok).filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
        plain.filter_map(|entry| entry.file_name().into_string().ok()).map(|name| format!("{under}{name}")).collect()
    };
    ["", "tsa/", "superseded/"].into_iter().flat_map(files).filter(|path| !path.ends_with(".new")).collect()
}
