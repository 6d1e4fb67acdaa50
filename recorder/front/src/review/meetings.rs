//! Archived meetings as they stand in the archive's folders: signed meeting manifests, verified with the record key of
//! the trust map; where two recorders are paired, both archives. Reads only.

use crate::review::away::Away;
use crate::review::copies::Copies;
use crate::review::search::{Person, Subject, Wanted};
use dashmap::DashMap;
use domain::message::front::{ArchivedMeeting, PairedCopy};
use domain::{B64, FirmId, MeetingId, UnixMillis};
use evidence::archive::{MEETING_LABEL, MeetingManifest, SegmentReader, names, sha256};
use evidence::cose;
use evidence::key::PublicKey;
use recorder_store::trim;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// Meetings listed at once, newest first: ten years of a busy room.
const MAX_LISTED: usize = 10_000;
/// Largest signed manifest read (see `domain::limits::MAX_CUSTODY_MESSAGE`, which carries it).
const MAX_MANIFEST: u64 = domain::limits::MAX_CUSTODY_MESSAGE as u64;

/// What is said of a copy whose manifest and segments are there.
const VERIFIED: &str = "verified";
/// ... and of one that is still being recorded.
pub const OPEN: &str = "open";
/// Tracks lie here.
const TRACKS: &str = "tracks/";

/// A meeting whose manifest was verified.
pub struct Verified {
    /// Its folder.
    pub folder: PathBuf,
    /// Whose copy it is, where the firm has two.
    pub copy: Which,
    /// The signed manifest, as received.
    pub signed: Vec<u8>,
    /// What it says.
    pub manifest: MeetingManifest,
    /// SHA-256 of `signed`.
    pub hash: [u8; 32],
    /// Where its tracks are, if they are not here.
    pub away: Arc<Away>,
}

/// In which archive a copy lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The firm's archive.
    Own,
    /// The paired recorder's.
    Paired,
}

impl Verified {
    /// A file of it, as people are told of it.
    pub fn called(&self, path: &str) -> String {
        match self.copy {
            Which::Own => path.to_owned(),
            Which::Paired => format!("{path} of the paired recorder's copy"),
        }
    }
}

/// The archive of one firm.
pub struct Meetings {
    roots: Vec<(Which, PathBuf)>,
    /// Stores of the own archive, and of the paired recorder's.
    away: [Arc<Away>; 2],
    firm: FirmId,
    record_key: PublicKey,
    rows: DashMap<MeetingId, Arc<Known>>,
}

/// The folders in which one meeting lies, the own archive's first.
type Folders = Vec<(Which, PathBuf)>;

impl Meetings {
    /// The archive under `root`.
    pub fn new(root: &Path, firm: FirmId, record_key: PublicKey) -> Self {
        Self {
            roots: vec![(Which::Own, root.to_owned())],
            away: Default::default(),
            firm,
            record_key,
            rows: DashMap::new(),
        }
    }

    /// ... and the one that a paired recorder writes.
    #[must_use]
    pub fn paired_with(mut self, root: Option<&Path>) -> Self {
        self.roots.extend(root.map(|root| (Which::Paired, root.to_owned())));
        self
    }

    /// ... with the stores in which tracks of the own archive, and of the paired recorder's, may be alone.
    #[must_use]
    pub fn with_stores(self, own: Away, paired: Away) -> Self {
        Self { away: [own, paired].map(Arc::new), ..self }
    }

    /// All meetings, newest first. Blocking.
    pub fn list(&self) -> Vec<ArchivedMeeting> {
        self.rows_if(|_| true)
    }

    /// Meetings that fit, newest first. Blocking.
    pub fn search(&self, wanted: &Wanted) -> Vec<ArchivedMeeting> {
        self.rows_if(|known| wanted.holds(known))
    }

    fn rows_if(&self, fits: impl Fn(&Subject<'_>) -> bool) -> Vec<ArchivedMeeting> {
        let found = self.folders();
        let mut rows: Vec<ArchivedMeeting> =
            found.iter().filter_map(|(meeting, folders)| self.row_if(meeting, folders, &fits)).collect();
        sort(&mut rows);
        rows
    }

    /// The verified copies of one meeting. Blocking.
    ///
    /// # Errors
    /// A text for the officer: what is wrong with it.
    pub fn find(&self, meeting: &MeetingId) -> Result<Arc<Copies>, String> {
        let folders: Folders = self
            .months()
            .into_iter()
            .map(|(which, month)| (which, month.join(meeting.as_str())))
            .filter(|(_, folder)| folder.is_dir())
            .collect();
        if folders.is_empty() {
            return Err("no such meeting in the archive".to_owned());
        }
        self.copies(&folders).map(|(copies, _)| Arc::new(copies))
    }

    /// `<root>/<firm>/<yyyy>/<mm>`.
    fn months(&self) -> Folders {
        let of = |(which, root): &(Which, PathBuf)| {
            let years = below(&root.join(self.firm.as_str()), true);
            years.iter().flat_map(|year| below(year, true)).map(|month| (*which, month)).collect::<Vec<_>>()
        };
        self.roots.iter().flat_map(of).collect()
    }

    /// `<root>/<firm>/<yyyy>/<mm>/<meeting>`.
    fn folders(&self) -> HashMap<MeetingId, Folders> {
        let mut all: HashMap<MeetingId, Folders> = HashMap::new();
        for (which, month) in self.months() {
            for folder in below(&month, false) {
                let meeting = folder.file_name().and_then(|name| name.to_str()?.parse::<MeetingId>().ok());
                if let Some(meeting) = meeting {
                    all.entry(meeting).or_default().push((which, folder));
                }
            }
        }
        all
    }

    /// What verifies of a meeting, and what is wrong with the copy that does not. A copy that is whole comes first.
    ///
    /// # Errors
    /// Nothing of it verifies: what is wrong with the first.
    fn copies(&self, folders: &[(Which, PathBuf)]) -> Result<(Copies, Option<String>), String> {
        let mut good: Vec<(Option<String>, Arc<Verified>)> = Vec::new();
        let mut wrong: Option<String> = None;
        // a meeting whose month the two recorders count differently lies in two folders; more than that is nobody's
        for (which, folder) in folders.iter().take(2) {
            match self.verified(folder, *which) {
                Ok(copy) => good.push((damaged(folder, &sizes(&copy.manifest)), Arc::new(copy))),
                Err(problem) => {
                    // that one still records says less than what is wrong with the other
                    wrong = wrong.filter(|known| known != OPEN).or(Some(problem));
                }
            }
        }
        good.sort_by_key(|(damage, _)| damage.is_some());
        let mut copies = good.into_iter().map(|(_, copy)| copy);
        match (copies.next(), copies.next()) {
            (Some(first), Some(second)) => Ok((Copies::two(first, second), None)),
            (Some(first), None) => Ok((Copies::one(first), wrong)),
            (None, _) => Err(wrong.unwrap_or_else(|| OPEN.to_owned())),
        }
    }

    fn verified(&self, folder: &Path, copy: Which) -> Result<Verified, String> {
        let path = folder.join(names::MEETING);
        let meta = std::fs::metadata(&path).map_err(|_| OPEN.to_owned())?;
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
        let away = self.away[usize::from(copy == Which::Paired)].clone();
        Ok(Verified { folder: folder.to_owned(), copy, signed, manifest, hash, away })
    }

    /// A row, made once per state of the manifests: what is kept of ten thousand meetings is their rows, not their manifests.
    /// What does not verify has nothing to judge by and always fits: it is not to hide from a search.
    fn row_if(
        &self,
        meeting: &MeetingId,
        folders: &[(Which, PathBuf)],
        fits: &impl Fn(&Subject<'_>) -> bool,
    ) -> Option<ArchivedMeeting> {
        let when = |(_, folder): &(Which, PathBuf)| {
            let changed = std::fs::metadata(folder.join(names::MEETING)).and_then(|meta| meta.modified()).ok();
            (folder.clone(), changed)
        };
        let changed: Vec<_> = folders.iter().map(when).collect();
        let known = self.rows.get(meeting).filter(|known| known.changed == changed).map(|known| known.value().clone());
        let known = match known {
            Some(known) => known,
            None => match self.copies(folders) {
                Err(problem) => return Some(unverified(meeting.clone(), &folders.first()?.1, problem)),
                Ok((copies, wrong)) => {
                    let is_whole = wrong.is_none();
                    let known = Arc::new(Known::of(&copies, wrong, changed));
                    if self.rows.len() < MAX_LISTED && is_whole {
                        self.rows.insert(meeting.clone(), known.clone());
                    }
                    known
                }
            },
        };
        if !fits(&Subject { row: &known.row, people: &known.people }) {
            return None;
        }
        // the manifest may be as it was, and a segment gone since
        let damage: Vec<_> = known.segments.iter().map(|(folder, segments)| damaged(folder, segments)).collect();
        if matches!(damage.as_slice(), [Some(_), None]) && self.rows.remove(meeting).is_some() {
            // the other copy comes first now
            return self.row_if(meeting, folders, fits);
        }
        let mut of_copy = damage.into_iter();
        let integrity = of_copy.next().flatten().unwrap_or_else(|| VERIFIED.to_owned());
        let mut row = ArchivedMeeting { integrity, ..known.row.clone() };
        if let (Some(paired), Some(damage)) = (&mut row.paired, of_copy.next().flatten()) {
            paired.integrity = damage;
        }
        Some(row)
    }
}

/// Paths and sizes of the segments that a manifest names.
type Sizes = Vec<(String, u64)>;

fn sizes(manifest: &MeetingManifest) -> Sizes {
    manifest.segments.iter().map(|segment| (segment.path.clone(), segment.size)).collect()
}

/// What is not there as the manifest says; tracks that went to the stores are there.
fn damaged(folder: &Path, segments: &[(String, u64)]) -> Option<String> {
    let away = trim::elsewhere(folder).is_some();
    let is_wrong = |(path, size): &&(String, u64)| match std::fs::metadata(folder.join(path)) {
        Ok(meta) => meta.len() != *size,
        Err(_) => !(away && path.starts_with(TRACKS)),
    };
    segments.iter().find(is_wrong).map(|(path, _)| format!("{path} is missing or cut"))
}

/// What is kept of a meeting whose manifest was verified.
struct Known {
    changed: Vec<(PathBuf, Option<SystemTime>)>,
    row: ArchivedMeeting,
    people: Vec<Person>,
    /// Of each copy.
    segments: Vec<(PathBuf, Sizes)>,
}

impl Known {
    fn of(copies: &Copies, wrong: Option<String>, changed: Vec<(PathBuf, Option<SystemTime>)>) -> Self {
        let manifest = &copies.manifest;
        let paired = copies.second().map(|copy| (copy.hash.into(), VERIFIED.to_owned()));
        let paired = paired.or_else(|| wrong.map(|wrong| (B64::default(), wrong)));
        let row = ArchivedMeeting {
            meeting: manifest.meeting.clone(),
            room: manifest.room.clone(),
            title: manifest.title.clone(),
            started_at: manifest.started_at,
            ended_at: manifest.ended_at,
            participants: manifest.roster.iter().map(|row| row.participant.to_string()).collect(),
            frames: manifest.frames,
            gaps: manifest.gaps.len() as u64,
            integrity: String::new(),
            manifest_hash: copies.first().hash.into(),
            trades: manifest.tags.trades.clone(),
            counterparties: manifest.tags.counterparties.clone(),
            copies_wanted: manifest.copies_wanted.iter().map(|c| format!("{} {}", c.participant, c.language)).collect(),
            retain_until: manifest.retain_until,
            paired: paired.map(|(manifest_hash, integrity)| PairedCopy { manifest_hash, integrity }),
        };
        let segments = copies.all().iter().map(|copy| (copy.folder.clone(), sizes(&copy.manifest))).collect();
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
        paired: None,
    }
}

fn read_head(events: &Path) -> Option<UnixMillis> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let most = evidence::archive::record::MAX_HEADER as u64 + 64;
    std::fs::File::open(events).ok()?.take(most).read_to_end(&mut bytes).ok()?;
    SegmentReader::new(&bytes).ok().map(|(header, _)| header.started_at)
}
