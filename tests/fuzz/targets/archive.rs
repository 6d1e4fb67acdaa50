//! What a verifier reads from an archive that somebody may have changed.

use evidence::archive::manifest::{EpochKey, MeetingManifest, read_sealed_keys};
use evidence::archive::{
    ArchiveEvent, Checkpoint, LogProof, SegmentManifest, SegmentReader, SegmentWriter, log, merkle,
};

/// A segment file: read to its first fault, and gone on with after a crash.
pub fn segment(data: &[u8]) {
    if let Ok((_, mut reader)) = SegmentReader::new(data) {
        let mut records = 0;
        while let Ok(Some(_)) = reader.next_record() {
            records += 1;
            assert!(reader.good() <= data.len() as u64);
        }
        assert!(records <= data.len(), "records are not made of nothing");
        let _ = reader.repairs(4);
    }
    if let Ok((writer, _)) = SegmentWriter::resume(data) {
        assert!(writer.size() <= data.len() as u64, "a file found is never cut forward");
    }
}

/// Manifests, sealed keys, events, log proofs, notes, tiles.
pub fn manifests(data: &[u8]) {
    if let Some(manifest) = SegmentManifest::from_cbor(data) {
        assert_eq!(SegmentManifest::from_cbor(&manifest.to_cbor()), Some(manifest));
    }
    let _ = MeetingManifest::from_cbor(data);
    let _ = read_sealed_keys(data);
    let (keys, used) = EpochKey::read_all(data);
    assert!(used <= data.len() && keys.len() <= used, "keys are not made of nothing");
    let _: Result<ArchiveEvent, _> = ciborium::from_reader(data);
    if let Some(proof) = LogProof::from_cbor(data) {
        let head = Checkpoint { origin: String::new(), size: 7, root: merkle::empty_root() };
        assert!(!proof.leads(b"manifest", &head));
        let _ = merkle::verify_consistency(proof.index, &head.root, head.size, &head.root, &proof.path);
    }
    let text = String::from_utf8_lossy(data);
    if let Some((checkpoint, _)) = Checkpoint::from_note(&text) {
        assert_eq!(Checkpoint::from_text(&checkpoint.text()), Some(checkpoint));
    }
    let _ = log::Log::from_tiles([data]);
}
