//! Where a segment differs from what was signed: the smallest place that can be proven.
//!
//! The signed chunk hashes say which 64 KiB; the record chain says which record; and if one byte is wrong, the CRC says
//! which one and what stood there, proven by the chunk's hash with that byte put right.

use evidence::archive::segment::CHUNK;
use evidence::archive::{Digest, RecordError, SegmentManifest, SegmentReader, sha256};

/// Candidates for one wrong byte that are tried against the chunk's hash.
const MAX_REPAIRS: usize = 512;

/// What is known of the damage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Damage {
    /// First byte that is wrong, or the first of the smallest place that must hold it.
    pub(crate) offset: u64,
    /// In words.
    pub(crate) problem: String,
}

/// First chunk that is not as signed.
fn first_bad_chunk(bytes: &[u8], chunks: &[Digest]) -> Option<usize> {
    let count = bytes.len().div_ceil(CHUNK).max(chunks.len());
    (0..count).find(|n| {
        let piece = bytes.get(n * CHUNK..).map(|rest| &rest[..rest.len().min(CHUNK)]);
        piece.filter(|piece| !piece.is_empty()).map(sha256).as_ref() != chunks.get(*n)
    })
}

/// Reads on to the first record that does not hold.
fn first_bad_record<'a>(bytes: &'a [u8]) -> Option<(RecordError, Option<SegmentReader<'a>>)> {
    let mut reader = match SegmentReader::new(bytes) {
        Ok((_, reader)) => reader,
        Err(error) => return Some((error, None)),
    };
    loop {
        match reader.next_record() {
            Ok(Some(_)) => {}
            Ok(None) => return None,
            Err(error) => return Some((error, Some(reader))),
        }
    }
}

/// With `value` at `offset`, is its chunk as it was signed?
fn repairs_chunk(bytes: &[u8], chunks: &[Digest], offset: u64, value: u8) -> bool {
    let chunk = offset as usize / CHUNK;
    let start = chunk * CHUNK;
    let mut piece = bytes[start..bytes.len().min(start + CHUNK)].to_vec();
    piece[offset as usize - start] = value;
    chunks.get(chunk) == Some(&sha256(&piece))
}

/// Finds what is wrong with a segment's bytes; `None`: they are as signed.
pub(crate) fn find(bytes: &[u8], manifest: &SegmentManifest) -> Option<Damage> {
    let chunk = first_bad_chunk(bytes, &manifest.chunks)?;
    let start = (chunk * CHUNK) as u64;
    let said = |offset: u64, problem: String| Some(Damage { offset, problem });
    match first_bad_record(bytes) {
        Some((error, reader)) => {
            let fixed = reader
                .map(|reader| reader.repairs(MAX_REPAIRS))
                .unwrap_or_default()
                .into_iter()
                .find(|(at, value)| repairs_chunk(bytes, &manifest.chunks, *at, *value));
            if let Some((at, value)) = fixed {
                let found = bytes[at as usize];
                return said(at, format!("this byte is {found:#04x}; {value:#04x} was signed"));
            }
            if (bytes.len() as u64) < manifest.size && error.offset >= start {
                let cut = bytes.len() as u64;
                return said(cut, format!("the file ends here; {} bytes were signed", manifest.size));
            }
            // a damaged length field is read as a record of another size: try its four bytes
            if let Some((at, value)) = length_repair(bytes, &manifest.chunks, error.offset) {
                let found = bytes[at as usize];
                return said(at, format!("this byte is {found:#04x}; {value:#04x} was signed"));
            }
            said(error.offset.max(start), format!("{}; damaged from here on", error.problem))
        }
        None if (bytes.len() as u64) < manifest.size => {
            said(bytes.len() as u64, format!("the file ends here; {} bytes were signed", manifest.size))
        }
        None if bytes.len() as u64 > manifest.size => {
            said(manifest.size, "bytes stand behind the end that was signed".to_owned())
        }
        None => {
            said(start, format!("within the next {CHUNK} bytes records were changed and their checksums made to fit"))
        }
    }
}

/// One wrong byte among the eight around a record's length field and head.
fn length_repair(bytes: &[u8], chunks: &[Digest], record: u64) -> Option<(u64, u8)> {
    (record..record + 5)
        .filter(|at| (*at as usize) < bytes.len())
        .flat_map(|at| (0..=255u8).map(move |value| (at, value)))
        .find(|(at, value)| repairs_chunk(bytes, chunks, *at, *value))
}
