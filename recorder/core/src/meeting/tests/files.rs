//! Files in the archive: asked for, written beside everything else, told as kept once all of one is durable, named where one
//! is not here.

use super::*;
use domain::files::{sealed_len, sealed_size};
use domain::limits::FILE_CHUNK;
use evidence::archive::{FileEntry, FileGap};
use evidence::said::{LABEL, Said, What, encode};

/// Forty chunks and a bit: three group commits.
const SIZE: u64 = 40 * FILE_CHUNK as u64 + 9;

fn told(key: &e2ee::leaf::LeafKey, sequence: u64) -> (B64, Digest) {
    let what = What::File {
        blob: "00112233445566778899aabbccddeeff".parse().expect("an id"),
        size: SIZE,
        ciphertext: Digest([3; 32]),
        sealed: vec![1; 200],
    };
    let said = Said { meeting: config(1).meeting, epoch: Epoch(1), sequence, at: UnixMillis(1), what };
    let signed = B64(key.sign_cose(LABEL, &encode(&said), Some(b"certificate")));
    let file = sha256(&signed);
    (signed, file)
}

fn sealed() -> Vec<u8> {
    (0..sealed_size(SIZE)).map(|n| (n / 253) as u8).collect()
}

/// Chunks of a file in the events, in order.
fn parts(rig: &Rig) -> (Vec<u32>, Vec<u8>) {
    let (_, mut reader) = SegmentReader::new(&rig.disk[&FileId::Events]).expect("a header");
    let (mut indexes, mut bytes) = (Vec::new(), Vec::new());
    while let Ok(Some(placed)) = reader.next_record() {
        if let Record::Event(event) = placed.record
            && let ArchiveEvent::FilePart { index, part, .. } = *event
        {
            indexes.push(index);
            bytes.extend(part);
        }
    }
    (indexes, bytes)
}

fn entries(rig: &Rig) -> Vec<FileEntry> {
    rig.meeting.summary().files.entries()
}

#[test]
fn a_file_is_told_as_kept_only_once_all_of_it_is_durable_and_again_if_nobody_heard() {
    let key = e2ee::leaf::LeafKey::generate();
    let mut rig = Rig::new(1);
    rig.commit();
    let (signed, file) = told(&key, 1);
    rig.give(Input::Said { from: anna(), signed: signed.clone() });
    rig.run(600);
    assert_eq!((&rig.fetches[..], &rig.kept[..]), (&[file][..], &[][..]), "what was said of it is not it");
    rig.give(Input::File { file, sealed: sealed() });
    let batch = rig.pending.clone();
    assert!(batch.is_none_or(|batch| batch.events.len() < 2 << 20), "a large file does not hold up the frames");
    rig.pass(250);
    assert_eq!(rig.kept, []);
    rig.run(1_500);
    assert_eq!(rig.kept, [file]);
    let (indexes, bytes) = parts(&rig);
    assert_eq!(indexes, (0..41).collect::<Vec<u32>>());
    assert!(bytes == sealed());
    rig.give(Input::Said { from: anna(), signed });
    assert_eq!((rig.kept.len(), rig.fetches.len()), (2, 1));
    rig.finish();
    assert_eq!(entries(&rig)[0].missing, None);
}

#[test]
fn a_restart_in_the_middle_of_a_file_writes_what_is_missing_and_nothing_twice() {
    let key = e2ee::leaf::LeafKey::generate();
    let mut rig = Rig::new(1);
    rig.commit();
    let (signed, file) = told(&key, 1);
    rig.give(Input::Said { from: anna(), signed: signed.clone() });
    rig.give(Input::File { file, sealed: sealed() });
    rig.pass(250);
    let batch = rig.pending.take().expect("a first piece");
    rig.write(&batch, usize::MAX);
    let before = parts(&rig).0.len();
    assert!((1..41).contains(&before), "{before}");
    let recovered = Recovered::new(&rig.disk[&FileId::Events], &rig.disk[&FileId::EpochKeys]).expect("reads");
    let mut again = Rig::with(recovered.go_on(config(2), at(5_000)), at(5_000), 1);
    again.disk = rig.disk.clone();
    again.run(600);
    assert_eq!(again.kept, []);
    again.give(Input::Said { from: anna(), signed });
    assert_eq!(again.fetches, [file], "its sender says it again, and it is asked for again");
    again.give(Input::File { file, sealed: sealed() });
    again.run(1_500);
    assert_eq!(again.kept, [file]);
    let (indexes, bytes) = parts(&again);
    assert_eq!(indexes, (0..41).collect::<Vec<u32>>());
    assert!(bytes == sealed());
}

#[test]
fn a_file_that_could_not_be_kept_is_named_with_its_reason_in_events_and_manifest() {
    let key = e2ee::leaf::LeafKey::generate();
    let mut rig = Rig::new(1);
    rig.commit();
    let of = [1, 2, 3].map(|sequence| told(&key, sequence));
    for (signed, _) in &of {
        rig.give(Input::Said { from: anna(), signed: signed.clone() });
    }
    rig.give(Input::FileLost { file: of[0].1, why: FileGap::Gone });
    rig.give(Input::FileLost { file: of[1].1, why: FileGap::Forged });
    rig.finish();
    assert_eq!(rig.kept, []);
    let named: Vec<_> = entries(&rig).iter().map(|entry| (entry.file, entry.missing)).collect();
    let why = [FileGap::Gone, FileGap::Forged, FileGap::Unfinished];
    assert_eq!(named, of.iter().zip(why).map(|((_, file), why)| (*file, Some(why))).collect::<Vec<_>>());
    let recovered = Recovered::new(&rig.disk[&FileId::Events], &rig.disk[&FileId::EpochKeys]).expect("reads");
    assert_eq!(recovered.summary().files.entries(), entries(&rig));
}

#[test]
fn where_the_firm_keeps_no_files_it_is_kept_that_one_was_sent_and_nothing_of_it() {
    let key = e2ee::leaf::LeafKey::generate();
    let mut rig = Rig::with(Meeting::new(Config { files: FileRule::Named, ..config(1) }, at(0)), at(0), 1);
    rig.epoch(1);
    let (signed, file) = told(&key, 1);
    rig.give(Input::Said { from: anna(), signed });
    rig.run(600);
    assert_eq!((rig.fetches.len(), rig.kept.len()), (0, 0));
    rig.give(Input::File { file, sealed: sealed() });
    rig.finish();
    assert_eq!(entries(&rig)[0].missing, Some(FileGap::NotKept));
    assert!(parts(&rig).0.is_empty());
}

#[test]
fn every_chunk_has_a_length_that_a_record_takes() {
    let longest = sealed_len(SIZE, 0).expect("a chunk");
    assert!(longest + 512 < domain::limits::MAX_FRAME);
}
