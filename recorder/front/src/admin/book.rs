//! The firm's statements on disk: every version with the signatures of the administrators behind it, the one change that
//! waits in each room, and the changes that were withdrawn. Written before anybody is told; judged again when it is read.

use crate::review::requests::write_durably;
use crate::rooms::{Stated, statements};
use domain::policy::Statement;
use domain::{B64, RoomId, UserId};
use evidence::grant::STATEMENT_CONSENT_LABEL;
use evidence::identity::TrustMap;
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Under the archive folder.
const FOLDER: &str = "policy";
/// Changes that wait, one a room.
const WAITING: &str = "waiting";
/// Changes that were withdrawn: none comes back.
const GONE: &str = "gone";
/// A consent has some 1.5 kB; notices in three languages double it.
pub const MAX_CONSENT: usize = 32 * 1024;
/// Withdrawn changes remembered: those older than a consent's life are refused for their age.
const MAX_GONE: usize = 10_000;

/// The folder.
pub struct Book {
    folder: PathBuf,
}

/// A version of this firm's statement.
#[derive(Debug, Clone)]
pub struct Kept {
    /// It.
    pub stated: Stated,
    /// Who signed for it.
    pub by: Vec<UserId>,
    /// Has signaling taken it?
    pub handed: bool,
}

fn stem(room: &RoomId, serial: u64) -> String {
    format!("{room}.{serial}")
}

impl Book {
    /// Opens it, or makes it.
    ///
    /// # Errors
    /// The system's.
    pub fn open(archive: &Path) -> io::Result<Self> {
        let folder = archive.join(FOLDER);
        for inside in [WAITING, GONE] {
            std::fs::create_dir_all(folder.join(inside))?;
        }
        Ok(Self { folder })
    }

    /// All versions, oldest first. Blocking.
    ///
    /// # Errors
    /// The system's.
    pub fn versions(&self, trust: &TrustMap) -> io::Result<Vec<Kept>> {
        let mut all = Vec::new();
        for stated in statements(&self.folder, trust)? {
            let stem = self.folder.join(stem(&stated.statement.room, stated.statement.serial));
            let consents = std::fs::read(with(&stem, "consents")).unwrap_or_default();
            let consents: Vec<B64> = evidence::cbor::decode(&consents).unwrap_or_default();
            let by = signers(trust, &stated.statement, &consents);
            all.push(Kept { handed: with(&stem, "handed").is_file(), stated, by });
        }
        all.sort_by_key(|kept| (kept.stated.statement.room.clone(), kept.stated.statement.serial));
        Ok(all)
    }

    /// Keeps a version, its consents first; durable when it returns. Blocking.
    ///
    /// # Errors
    /// The system's.
    pub fn keep(&self, stated: &Stated, consents: &[B64]) -> io::Result<()> {
        let stem = stem(&stated.statement.room, stated.statement.serial);
        write_durably(&self.folder, &format!("{stem}.consents"), &evidence::cbor::encode(&consents))?;
        write_durably(&self.folder, &format!("{stem}.cose"), &stated.signed)
    }

    /// Signaling has a version. Blocking.
    ///
    /// # Errors
    /// The system's.
    pub fn handed(&self, room: &RoomId, serial: u64) -> io::Result<()> {
        write_durably(&self.folder, &format!("{}.handed", stem(room, serial)), b"")
    }

    /// The first consent to the change that waits in a room. Blocking.
    pub fn waiting(&self, room: &RoomId) -> Option<Vec<u8>> {
        let path = self.folder.join(WAITING).join(format!("{room}.cose"));
        let small = std::fs::metadata(&path).is_ok_and(|meta| meta.len() <= MAX_CONSENT as u64);
        small.then(|| std::fs::read(path).ok()).flatten()
    }

    /// A change waits. Blocking.
    ///
    /// # Errors
    /// The system's.
    pub fn wait(&self, room: &RoomId, consent: &[u8]) -> io::Result<()> {
        write_durably(&self.folder.join(WAITING), &format!("{room}.cose"), consent)
    }

    /// The change that waited is over: made, or withdrawn. Its id is not taken again. Blocking.
    ///
    /// # Errors
    /// The system's.
    pub fn end(&self, room: &RoomId, id: &str) -> io::Result<()> {
        let gone = self.folder.join(GONE);
        if std::fs::read_dir(&gone)?.count() >= MAX_GONE {
            return Err(io::Error::other("the folder policy/gone is full: delete what is older than a day in it"));
        }
        write_durably(&gone, id, b"")?;
        let waiting = self.folder.join(WAITING);
        match std::fs::remove_file(waiting.join(format!("{room}.cose"))) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => File::open(waiting)?.sync_all(),
        }
    }

    /// Was this change ended before? `id` is hexadecimal. Blocking.
    pub fn is_over(&self, id: &str) -> bool {
        self.folder.join(GONE).join(id).exists()
    }
}

fn with(stem: &Path, extension: &str) -> PathBuf {
    let mut path = stem.as_os_str().to_owned();
    path.push(format!(".{extension}"));
    path.into()
}

/// Which administrators signed this very statement, as of the time it was made.
fn signers(trust: &TrustMap, statement: &Statement, consents: &[B64]) -> Vec<UserId> {
    let payload = evidence::statement::encode(statement);
    let signer = |consent: &B64| {
        let at = statement.issued_at.seconds();
        let (agreed, who) = evidence::cose::verify_by_leaf(STATEMENT_CONSENT_LABEL, consent, trust, at).ok()?;
        (agreed == payload).then_some(who.participant.user)
    };
    let all: BTreeSet<UserId> = consents.iter().filter_map(signer).collect();
    all.into_iter().collect()
}
