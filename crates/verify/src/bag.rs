//! Evidence bundles: a BagIt bag (RFC 8493) around a meeting's folder. Checked before what is in it: every file it names,
//! by SHA-256, and that it names every file.

use crate::bundle::walk;
use crate::{Finding, Report};
use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

/// What makes a folder a bag.
const DECLARATION: &str = "bagit.txt";
const MANIFEST: &str = "manifest-sha256.txt";
const TAGS: &str = "tagmanifest-sha256.txt";
/// Where the meeting lies in it.
const MEETING: &str = "data/meeting";
/// Where the paired recorder's copy of it lies, where the firm has two.
const PAIRED: &str = "data/paired";
/// Where the trust map of its time lies.
const TRUST: &str = "data/trust.json";

/// A bundle of ours.
#[derive(Debug, Clone)]
pub struct Bag {
    root: PathBuf,
}

impl Bag {
    /// If it is one.
    pub fn at(folder: &Path) -> Option<Self> {
        folder.join(DECLARATION).is_file().then(|| Self { root: folder.to_owned() })
    }

    /// The meeting in it.
    pub fn meeting(&self) -> PathBuf {
        self.root.join(MEETING)
    }

    /// The paired recorder's copy of it, if it is there.
    pub fn paired(&self) -> Option<PathBuf> {
        Some(self.root.join(PAIRED)).filter(|folder| folder.is_dir())
    }

    /// Takes the report about the paired copy into the report about the bag.
    pub fn join(&self, report: &mut Report, of_paired: Report) {
        if (&report.firm, &report.meeting) != (&of_paired.firm, &of_paired.meeting) {
            let problem = format!("a copy of meeting {} of {}", of_paired.meeting, of_paired.firm);
            report.finding(PAIRED, None, problem);
        }
        let Report { segments, frames, gaps, missing_frames, .. } = of_paired;
        report.notes.push(format!(
            "the paired recorder's copy: {segments} segments, {frames} frames, {gaps} gaps with {missing_frames} missing frames"
        ));
        report.notes.extend(of_paired.notes.into_iter().map(|note| format!("the paired recorder's copy: {note}")));
        let named = |finding: Finding| Finding { file: format!("{PAIRED}/{}", finding.file), ..finding };
        report.findings.extend(of_paired.findings.into_iter().map(named));
    }

    /// The trust map in it: as good as who handed the bundle over; the firm's own counts.
    pub fn trust(&self) -> PathBuf {
        self.root.join(TRUST)
    }

    /// Adds to the report what is not as its manifests say; files of the meeting are named from the bag's root then.
    pub fn check(&self, report: &mut Report) {
        for finding in report.findings.iter_mut().filter(|finding| !finding.file.starts_with(PAIRED)) {
            finding.file = format!("{MEETING}/{}", finding.file);
        }
        let mut named = BTreeSet::new();
        for list in [TAGS, MANIFEST] {
            self.check_list(list, &mut named, &mut report.findings);
        }
        let mut there = Vec::new();
        walk(&self.root.join("data"), "data", &mut there);
        for path in there.into_iter().filter(|path| !named.contains(path)) {
            report.finding(&path, None, format!("{MANIFEST} does not name this file"));
        }
    }

    fn check_list(&self, list: &str, named: &mut BTreeSet<String>, findings: &mut Vec<Finding>) {
        let mut wrong = |file: &str, problem: String| {
            findings.push(Finding { file: file.to_owned(), offset: None, problem });
        };
        let text = match std::fs::read_to_string(self.root.join(list)) {
            Ok(text) => text,
            Err(e) => return wrong(list, e.to_string()),
        };
        for line in text.lines() {
            let Some((hash, path)) = line.split_once("  ").filter(|(_, path)| is_inside(path)) else {
                wrong(list, "a line in it is not a hash and a path inside the bag".to_owned());
                continue;
            };
            named.insert(path.to_owned());
            match sha256(&self.root.join(path)) {
                Err(e) => wrong(path, e.to_string()),
                Ok(found) if found != hash => wrong(path, format!("its SHA-256 is {found}; {list} says {hash}")),
                Ok(_) => {}
            }
        }
    }
}

fn is_inside(path: &str) -> bool {
    Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

fn sha256(path: &Path) -> std::io::Result<String> {
    use sha2::{Digest, Sha256};
    let (mut file, mut hash, mut piece) = (std::fs::File::open(path)?, Sha256::new(), vec![0; 1 << 18]);
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            return Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
        }
        hash.update(&piece[..read]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bag of two files, and what it reports after a change to it.
    fn findings(change: impl Fn(&Path)) -> Vec<String> {
        let folder = tempfile::tempdir().expect("folder");
        let put = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, text).expect("written");
        };
        put(DECLARATION, "BagIt-Version: 1.0\n");
        put("data/meeting/meeting.cose", "abc");
        put(TRUST, "");
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        put(MANIFEST, &format!("{abc}  data/meeting/meeting.cose\n{nothing}  {TRUST}\n"));
        let list = sha256(&folder.path().join(MANIFEST)).expect("read");
        put(TAGS, &format!("{list}  {MANIFEST}\n"));
        change(folder.path());
        let mut report = Report::default();
        Bag::at(folder.path()).expect("a bag").check(&mut report);
        report.findings.into_iter().map(|finding| finding.file).collect()
    }

    #[test]
    fn a_whole_bag_holds_and_each_change_to_it_is_named() {
        assert!(findings(|_| {}).is_empty());
        let write = |path: &'static str, text: &'static str| {
            findings(move |root| std::fs::write(root.join(path), text).expect("written"))
        };
        assert_eq!(write("data/meeting/meeting.cose", "abd"), ["data/meeting/meeting.cose"]);
        assert_eq!(write("data/more.csv", "x"), ["data/more.csv"]);
        assert_eq!(findings(|root| std::fs::remove_file(root.join(TRUST)).expect("removed")), [TRUST]);
        assert_eq!(write(MANIFEST, "00  ../../etc/passwd\n")[..2], [MANIFEST, MANIFEST], "its hash, and its line");
        assert!(Bag::at(Path::new("/nowhere")).is_none());
    }

    #[test]
    fn what_is_wrong_with_the_paired_copy_is_named_in_its_folder_and_another_meeting_is_no_copy() {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::create_dir_all(folder.path().join(PAIRED)).expect("made");
        std::fs::write(folder.path().join(DECLARATION), "").expect("written");
        let bag = Bag::at(folder.path()).expect("a bag");
        assert_eq!(bag.paired(), Some(folder.path().join(PAIRED)));
        let of = |meeting: &str| Report { meeting: meeting.to_owned(), ..Report::default() };
        let mut report = of("m1");
        report.finding("events.seg", Some(7), "bent");
        let mut second = of("m1");
        second.finding("tracks/1/1.seg", Some(9), "cut");
        bag.join(&mut report, second);
        bag.check(&mut report);
        let named: Vec<&str> = report.findings.iter().map(|finding| finding.file.as_str()).collect();
        assert_eq!(named[..2], ["data/meeting/events.seg", "data/paired/tracks/1/1.seg"]);
        let mut report = of("m1");
        bag.join(&mut report, of("m2"));
        assert_eq!(report.findings[0].file, PAIRED);
    }
}
