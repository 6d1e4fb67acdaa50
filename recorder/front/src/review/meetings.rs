//! Archived meetings as they stand in the archive's folders: signed meeting manifests, verified with the record key of
//! the trust map. Reads only.

use dashmap::DashMap;
use domain::message::front::ArchivedMeeting;
use domain::{B64, FirmId, MeetingId, UnixMillis};
use evidence::archive::{MEETING_LABEL, MeetingManifest, SegmentReader, names, sha256};
use evidence::cose;
use evidence::key::PublicKey;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// Meetings listed at once, newest first: ten years of a busy room.
const MAX_LISTED: usize = 10_000;
/// Largest signed manifest read (see `domain::limits::MAX_CUSTODY_MESSAGE`, which carries it).
const MAX_MANIFEST: u64 = domain::limits::MAX_CUSTODY_MESSAGE as u64;

/// A meeting whose manifest was verified.
pub struct Verified {
    /// Its folder.
    pub folder: PathBuf,
    /// The signed manifest, as received.
    pub signed: Vec<u8>,
    /// What it says.
    pub manifest: MeetingManifest,
    /// SHA-256 of `signed`.
    pub hash: [u8; 32],
}

/// The archive of one firm.
pub struct Meetings {
    root: PathBuf,
    firm: FirmId,
    record_key: PublicKey,
    read: DashMap<PathBuf, (SystemTime, Arc<Verified>)>,
}

impl Meetings {
    /// The archive under `root`.
    pub fn new(root: &Path, firm: FirmId, record_key: PublicKey) -> Self {
        Self { root: root.to_owned(), firm, record_key, read: DashMap::new() }
    }

    /// All meetings, newest first. Blocking.
    pub fn list(&self) -> Vec<ArchivedMeeting> {
        let mut rows: Vec<ArchivedMeeting> = self.folders().iter().filter_map(|folder| self.row(folder)).collect();
        rows.sort_by(|a, b| b.started_at.cmp(&a.started_at).then_with(|| a.meeting.cmp(&b.meeting)));
        rows.truncate(MAX_LISTED);
        rows
    }

    /// The verified manifest of one meeting. Blocking.
    ///
    /// # Errors
    /// A text for the officer: what is wrong with it.
    pub fn find(&self, meeting: &MeetingId) -> Result<Arc<Verified>, String> {
        let folder = self
            .folders()
            .into_iter()
            .find(|folder| folder.file_name().is_some_and(|name| name == meeting.as_str()))
            .ok_or_else(|| "no such meeting in the archive".to_owned())?;
        self.verified(&folder)
    }

    /// `<root>/<firm>/<yyyy>/<mm>/<meeting>`.
    fn folders(&self) -> Vec<PathBuf> {
        let mut level = vec![self.root.join(self.firm.as_str())];
        for deep in 0..3 {
            level = level.iter().flat_map(|folder| below(folder, deep < 2)).collect();
        }
        level
    }

    fn verified(&self, folder: &Path) -> Result<Arc<Verified>, String> {
        let path = folder.join(names::MEETING);
        let meta = std::fs::metadata(&path).map_err(|_| "open".to_owned())?;
        let changed = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        if let Some(known) = self.read.get(folder).filter(|known| known.0 == changed) {
            return Ok(known.1.clone());
        }
        if meta.len() > MAX_MANIFEST {
            return Err("the meeting manifest is larger than any can be".to_owned());
        }
        let signed = std::fs::read(&path).map_err(|e| format!("the meeting manifest cannot be read: {e}"))?;
        let payload = cose::verify(MEETING_LABEL, &signed, &self.record_key)
            .map_err(|e| format!("the meeting manifest is not signed by the record key: {e}"))?;
        let manifest = MeetingManifest::from_cbor(&payload).ok_or("the meeting manifest cannot be read")?;
        if manifest.firm != self.firm || folder.file_name().is_none_or(|name| name != manifest.meeting.as_str()) {
            return Err("the meeting manifest is of another meeting".to_owned());
        }
        let hash = sha256(&signed).0;
        let verified = Arc::new(Verified { folder: folder.to_owned(), signed, manifest, hash });
        self.read.insert(folder.to_owned(), (changed, verified.clone()));
        Ok(verified)
    }

    fn row(&self, folder: &Path) -> Option<ArchivedMeeting> {
        let meeting: MeetingId = folder.file_name()?.to_str()?.parse().ok()?;
        let verified = match self.verified(folder) {
            Ok(verified) => verified,
            Err(problem) => return Some(unverified(meeting, folder, problem)),
        };
        let manifest = &verified.manifest;
        let damaged = manifest.segments.iter().find(|segment| {
            std::fs::metadata(folder.join(&segment.path)).map_or(true, |meta| meta.len() != segment.size)
        });
        Some(ArchivedMeeting {
            meeting,
            room: manifest.room.clone(),
            title: manifest.title.clone(),
            started_at: manifest.started_at,
            ended_at: manifest.ended_at,
            participants: manifest.roster.iter().map(|row| row.participant.to_string()).collect(),
            frames: manifest.frames,
            gaps: manifest.gaps.len() as u64,
            integrity: damaged
                .map_or_else(|| "verified".to_owned(), |segment| format!("{} is missing or cut", segment.path)),
            manifest_hash: verified.hash.into(),
        })
    }
}

fn below(folder: &Path, numbers_only: bool) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter(|entry| !numbers_only || entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit))
        .map(|entry| entry.path())
        .collect()
}

/// A meeting that is still being recorded, or whose manifest does not verify.
fn unverified(meeting: MeetingId, folder: &Path, integrity: String) -> ArchivedMeeting {
    let header = read_head(&folder.join(names::EVENTS));
    ArchivedMeeting {
        meeting,
        room: "unknown".parse().expect("a valid id"),
        title: String::new(),
        started_at: header.unwrap_or_default(),
        ended_at: UnixMillis(0),
        participants: Vec::new(),
        frames: 0,
        gaps: 0,
        integrity,
        manifest_hash: B64::default(),
    }
}

fn read_head(events: &Path) -> Option<UnixMillis> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let most = evidence::archive::record::MAX_HEADER as u64 + 64;
    std::fs::File::open(events).ok()?.take(most).read_to_end(&mut bytes).ok()?;
    SegmentReader::new(&bytes).ok().map(|(header, _)| header.started_at)
}
