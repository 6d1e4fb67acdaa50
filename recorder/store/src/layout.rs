//! Which files of the archive folder may leave for a store: what is sealed, and what must not be lost with the disk.

use domain::{FirmId, MeetingId};
use evidence::archive::{ArchiveEvent, MeetingManifest, Record, SegmentManifest, SegmentReader, names};
use std::io;
use std::path::{Path, PathBuf};

/// Signed segment manifests lie here.
const SEGMENTS: &str = "segments";
/// Files still being written end so.
const HALF: &str = ".new";
/// Terms stand among the first records of the events; so much is read for them.
const TERMS_WITHIN: u64 = 4 << 20;

/// A meeting's folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Folder {
    /// Which meeting.
    pub meeting: MeetingId,
    /// Names of its objects begin so: `<firm>/<yyyy>/<mm>/<meeting>/`.
    pub prefix: String,
    /// Where it is.
    pub path: PathBuf,
}

/// How often a file changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Never after it is ready: a second object of its name would be an intruder's.
    Once,
    /// It may grow or be replaced: each state is a version of its own.
    Changes,
}

/// A file that is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// Path in the meeting's folder.
    pub path: String,
    /// How often it changes.
    pub kind: Kind,
    /// Path of the signed manifest whose hashes it must have.
    pub manifest: Option<String>,
}

fn below(folder: &Path) -> Vec<(String, PathBuf)> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let named = entries.filter_map(|entry| {
        let path = entry.ok()?.path();
        Some((path.file_name()?.to_str()?.to_owned(), path))
    });
    let mut all: Vec<_> = named.collect();
    all.sort();
    all
}

fn numbered(folder: &Path) -> Vec<(String, PathBuf)> {
    let mut all = below(folder);
    all.retain(|(name, path)| name.bytes().all(|b| b.is_ascii_digit()) && path.is_dir());
    all
}

/// All meetings of a firm's archive, oldest first.
pub fn meetings(archive: &Path, firm: &FirmId) -> Vec<Folder> {
    let mut all = Vec::new();
    for (year, path) in numbered(&archive.join(firm.as_str())) {
        for (month, path) in numbered(&path) {
            for (name, path) in below(&path) {
                if let Ok(meeting) = name.parse::<MeetingId>() {
                    let prefix = format!("{firm}/{year}/{month}/{meeting}/");
                    all.push(Folder { meeting, prefix, path });
                }
            }
        }
    }
    all
}

/// All files below a folder, as paths relative to it, half-written ones left out.
///
/// # Errors
/// The system's.
pub fn files(folder: &Path) -> io::Result<Vec<String>> {
    let (mut all, mut folders) = (Vec::new(), vec![(folder.to_owned(), String::new())]);
    while let Some((path, name)) = folders.pop() {
        let entries = match std::fs::read_dir(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            other => other?,
        };
        for entry in entries {
            let entry = entry?;
            let Ok(file) = entry.file_name().into_string() else { continue };
            let inside = if name.is_empty() { file } else { format!("{name}/{file}") };
            if entry.file_type()?.is_dir() {
                folders.push((entry.path(), inside));
            } else if !inside.ends_with(HALF) {
                all.push(inside);
            }
        }
    }
    all.sort();
    Ok(all)
}

/// `segments/0001-00002.cose` belongs to `tracks/0001/00002.seg`.
fn segment_of(manifest: &str) -> Option<String> {
    let (track, index) = manifest.strip_prefix("segments/")?.strip_suffix(".cose")?.split_once('-')?;
    Some(format!("tracks/{track}/{index}.seg"))
}

impl Folder {
    /// Was the meeting closed? Then its manifest names everything.
    pub fn manifest(&self) -> Option<MeetingManifest> {
        let signed = std::fs::read(self.path.join(names::MEETING)).ok()?;
        MeetingManifest::from_cbor(&evidence::cose::payload_unverified(&signed)?)
    }

    /// For how many years the meeting's terms want it kept; `None` while it has no terms.
    pub fn years(&self) -> Option<u16> {
        use std::io::Read;
        let mut bytes = Vec::new();
        std::fs::File::open(self.path.join(names::EVENTS)).ok()?.take(TERMS_WITHIN).read_to_end(&mut bytes).ok()?;
        let (_, mut reader) = SegmentReader::new(&bytes).ok()?;
        while let Ok(Some(placed)) = reader.next_record() {
            if let Record::Event(event) = placed.record
                && let ArchiveEvent::Terms { retention_years, .. } = *event
            {
                return Some(retention_years);
            }
        }
        None
    }

    /// What may leave now, in the order in which it should: keys first, the manifest of the meeting last.
    ///
    /// # Errors
    /// The system's.
    pub fn ready(&self) -> io::Result<Vec<Ready>> {
        let all = files(&self.path)?;
        let closed = all.iter().any(|path| path == names::MEETING);
        let has = |path: &str| all.binary_search_by(|one| one.as_str().cmp(path)).is_ok();
        let mut ready = Vec::new();
        for path in &all {
            let one = |kind, manifest| Ready { path: path.clone(), kind, manifest };
            match path.as_str() {
                names::SEALED_KEYS | names::EPOCH_KEYS => ready.push(one(Kind::Changes, None)),
                path if path.starts_with("tracks/") => {}
                // the events grow until the end, and are signed again after a crash
                names::EVENTS if closed => ready.push(one(Kind::Changes, Some(format!("{SEGMENTS}/events.cose")))),
                path if path.starts_with("segments/") => match segment_of(path) {
                    Some(segment) if has(&segment) => {
                        ready.push(one(Kind::Once, None));
                        ready.push(Ready { path: segment, kind: Kind::Once, manifest: Some(path.to_owned()) });
                    }
                    _ if closed => ready.push(one(Kind::Changes, None)),
                    _ => {}
                },
                names::MEETING | names::PROOF | names::STAMP if closed => ready.push(one(Kind::Changes, None)),
                path if closed && path.starts_with("superseded/") => ready.push(one(Kind::Changes, None)),
                _ => {}
            }
        }
        ready.sort_by_key(|one| match one.path.as_str() {
            path if path.starts_with("keys/") => 0,
            names::MEETING => 2,
            _ => 1,
        });
        Ok(ready)
    }
}

/// Are these the bytes that the recorder signed? A disk that rotted must not spread.
///
/// # Errors
/// What differs.
pub fn as_signed(bytes: &[u8], signed: &[u8]) -> Result<(), String> {
    let manifest = evidence::cose::payload_unverified(signed).and_then(|payload| SegmentManifest::from_cbor(&payload));
    let manifest = manifest.ok_or("its signed manifest cannot be read")?;
    if bytes.len() as u64 != manifest.size {
        return Err(format!("it has {} bytes, {} were signed", bytes.len(), manifest.size));
    }
    let pieces = bytes.chunks(evidence::archive::segment::CHUNK).map(evidence::archive::sha256);
    match pieces.zip(&manifest.chunks).position(|(piece, signed)| piece != *signed) {
        None => Ok(()),
        Some(n) => Err(format!("the 64 KiB from byte {} on are not as signed", n * evidence::archive::segment::CHUNK)),
    }
}
