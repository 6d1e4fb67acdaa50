//! Archived meetings as they stand in the archive's folders: signed meeting manifests, verified with the record key of
//! the trust map. Reads only.

use crate::review::search::{Person, Subject, Wanted};
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
    rows: DashMap<PathBuf, Arc<Known>>,
}

impl Meetings {
    /// The archive under `root`.
    pub fn new(root: &Path, firm: FirmId, record_key: PublicKey) -> Self {
        Self { root: root.to_owned(), firm, record_key, rows: DashMap::new() }
    }

    /// All meetings, newest first. Blocking.
    pub fn list(&self) -> Vec<ArchivedMeeting> {
        let mut rows: Vec<ArchivedMeeting> = self.folders().iter().filter_map(|folder| self.row(folder)).collect();
        sort(&mut rows);
        rows
    }

    /// Meetings that fit, newest first. Blocking.
    pub fn search(&self, wanted: &Wanted) -> Vec<ArchivedMeeting> {
        let mut rows: Vec<ArchivedMeeting> =
            self.folders().iter().filter_map(|folder| self.row_if(folder, |known| wanted.holds(known))).collect();
        sort(&mut rows);
        rows
    }

    /// The verified manifest of one meeting. Blocking.
    ///
    /// # Errors
    /// A text for the officer: what is wrong with it.
    pub fn find(&self, meeting: &MeetingId) -> Result<Arc<Verified>, String> {
        let folder = self
            .months()
            .into_iter()
            .map(|month| month.join(meeting.as_str()))
            .find(|folder| folder.is_dir())
            .ok_or_else(|| "no such meeting in the archive".to_owned())?;
        self.verified(&folder).map(Arc::new)
    }

    /// `<root>/<firm>/<yyyy>/<mm>`.
    fn months(&self) -> Vec<PathBuf> {
        let years = below(&self.root.join(self.firm.as_str()), true);
        years.iter().flat_map(|year| below(year, true)).collect()
    }

    /// `<root>/<firm>/<yyyy>/<mm>/<meeting>`.
    fn folders(&self) -> Vec<PathBuf> {
        self.months().iter().flat_map(|month| below(month, false)).collect()
    }

    fn verified(&self, folder: &Path) -> Result<Verified, String> {
        let path = folder.join(names::MEETING);
        let meta = std::fs::metadata(&path).map_err(|_| "open".to_owned())?;
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
        Ok(Verified { folder: folder.to_owned(), signed, manifest, hash })
    }

    /// A row, made once per state of the manifest: what is kept of ten thousand meetings is their rows, not their manifests.
    fn row(&self, folder: &Path) -> Option<ArchivedMeeting> {
        self.row_if(folder, |_| true)
    }

    /// The same, if `fits`; what does not verify has nothing to judge by and always does: it is not to hide from a search.
    fn row_if(&self, folder: &Path, fits: impl Fn(&Subject<'_>) -> bool) -> Option<ArchivedMeeting> {
        let meeting: MeetingId = folder.file_name()?.to_str()?.parse().ok()?;
        let changed = std::fs::metadata(folder.join(names::MEETING)).and_then(|meta| meta.modified()).ok();
        let known =
            self.rows.get(folder).filter(|known| Some(known.changed) == changed).map(|known| known.value().clone());
        let known = match known {
            Some(known) => known,
            None => match self.verified(folder) {
                Err(problem) => return Some(unverified(meeting, folder, problem)),
                Ok(verified) => {
                    let known = Arc::new(Known::of(meeting, &verified, changed?));
                    if self.rows.len() < MAX_LISTED {
                        self.rows.insert(folder.to_owned(), known.clone());
                    }
                    known
                }
            },
        };
        if !fits(&Subject { row: &known.row, people: &known.people }) {
            return None;
        }
        // the manifest may be as it was, and a segment gone since
        let damaged = known
            .segments
            .iter()
            .find(|(path, size)| std::fs::metadata(folder.join(path)).map_or(true, |meta| meta.len() != *size));
        let integrity = damaged.map_or_else(|| "verified".to_owned(), |(path, _)| format!("{path} is missing or cut"));
        Some(ArchivedMeeting { integrity, ..known.row.clone() })
    }
}

/// What is kept of a meeting whose manifest was verified.
struct Known {
    changed: SystemTime,
    row: ArchivedMeeting,
    people: Vec<Person>,
    segments: Vec<(String, u64)>,
}

impl Known {
    fn of(meeting: MeetingId, verified: &Verified, changed: SystemTime) -> Self {
        let manifest = &verified.manifest;
        let row = ArchivedMeeting {
            meeting,
            room: manifest.room.clone(),
            title: manifest.title.clone(),
            started_at: manifest.started_at,
            ended_at: manifest.ended_at,
            participants: manifest.roster.iter().map(|row| row.participant.to_string()).collect(),
            frames: manifest.frames,
            gaps: manifest.gaps.len() as u64,
            integrity: String::new(),
            manifest_hash: verified.hash.into(),
            trades: manifest.tags.trades.clone(),
            counterparties: manifest.tags.counterparties.clone(),
            copies_wanted: manifest.copies_wanted.iter().map(|c| format!("{} {}", c.participant, c.language)).collect(),
            retain_until: manifest.retain_until,
        };
        let segments = manifest.segments.iter().map(|segment| (segment.path.clone(), segment.size)).collect();
        let people = manifest.roster.iter().map(Person::of).collect();
        Self { changed, row, people, segments }
    }
}

fn sort(rows: &mut Vec<ArchivedMeeting>) {
    rows.sort_by(|a, b| b.started_at.cmp(&a.started_at).then_with(|| a.meeting.cmp(&b.meeting)));
    rows.truncate(MAX_LISTED);
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
        trades: Vec::new(),
        counterparties: Vec::new(),
        copies_wanted: Vec::new(),
        retain_until: UnixMillis(0),
    }
}

fn read_head(events: &Path) -> Option<UnixMillis> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let most = evidence::archive::record::MAX_HEADER as u64 + 64;
    std::fs::File::open(events).ok()?.take(most).read_to_end(&mut bytes).ok()?;
    SegmentReader::new(&bytes).ok().map(|(header, _)| header.started_at)
}
