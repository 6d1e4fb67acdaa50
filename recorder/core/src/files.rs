//! Account of files: which were told of, which chunks of them are kept, and why one is not.

use domain::ParticipantId;
use domain::files::chunks;
use evidence::archive::{Digest, FileEntry, FileGap};
use evidence::said::What;

/// One file.
#[derive(Debug, Clone)]
struct Told {
    entry: FileEntry,
    /// Chunks kept, from the first on.
    kept: u32,
    /// Why it is not here; what comes all the same takes it back.
    missing: Option<FileGap>,
}

impl Told {
    fn is_whole(&self) -> bool {
        chunks(self.entry.size) == Some(self.kept)
    }
}

/// A file that is not all here.
pub(crate) struct Wanted<'a> {
    /// Whose.
    pub(crate) participant: &'a ParticipantId,
    /// Bytes before it was sealed.
    pub(crate) size: u64,
    /// First chunk that is not kept.
    pub(crate) next: u32,
}

/// All of them, in the order in which they were told.
#[derive(Debug, Default)]
pub struct Files(Vec<Told>);

impl Files {
    fn of(&mut self, file: &Digest) -> Option<&mut Told> {
        self.0.iter_mut().find(|told| told.entry.file == *file)
    }

    pub(crate) fn told(&mut self, participant: &ParticipantId, file: Digest, what: &What) {
        if let What::File { size, ciphertext, .. } = what {
            let (participant, size, ciphertext) = (participant.clone(), *size, *ciphertext);
            let entry = FileEntry { participant, file, size, ciphertext, missing: None };
            self.0.push(Told { entry, kept: 0, missing: None });
        }
    }
    pub(crate) fn part(&mut self, file: &Digest, index: u32) {
        if let Some(told) = self.of(file).filter(|told| told.kept == index) {
            told.kept += 1;
        }
    }
    pub(crate) fn missing(&mut self, file: &Digest, why: FileGap) {
        if let Some(told) = self.of(file) {
            told.missing = Some(why);
        }
    }

    /// What is wanted of a file; `None`: it is no file, all of it is here, or it never will be.
    pub(crate) fn wanted(&self, file: &Digest) -> Option<Wanted<'_>> {
        let told = self.0.iter().find(|told| told.entry.file == *file)?;
        let open = !told.is_whole() && told.missing != Some(FileGap::NotKept);
        open.then_some(Wanted { participant: &told.entry.participant, size: told.entry.size, next: told.kept })
    }
    /// Is it a file?
    pub(crate) fn is_told(&self, file: &Digest) -> bool {
        self.0.iter().any(|told| told.entry.file == *file)
    }
    /// A file, and all of it is here.
    pub(crate) fn is_kept(&self, file: &Digest) -> bool {
        self.0.iter().any(|told| told.entry.file == *file && told.is_whole())
    }
    /// Files that are not here and of which nothing says so.
    pub(crate) fn unfinished(&self) -> Vec<Digest> {
        let open = self.0.iter().filter(|told| !told.is_whole() && told.missing.is_none());
        open.map(|told| told.entry.file).collect()
    }
    /// For the manifest.
    pub(crate) fn entries(&self) -> Vec<FileEntry> {
        let entry = |told: &Told| FileEntry {
            missing: (!told.is_whole()).then(|| told.missing.unwrap_or(FileGap::Unfinished)),
            ..told.entry.clone()
        };
        self.0.iter().map(entry).collect()
    }
}
