//! Looks for byte strings in the memory of a running process, through /proc. Reads only; needs the process's own user or
//! root.

use anyhow::Context;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;

/// Read at a time; needles that lie across two reads are found by the overlap.
const CHUNK: usize = 4 << 20;

/// What to look for.
pub struct Needle {
    /// Name for the report; never the bytes.
    pub name: String,
    /// At least 16 bytes: shorter ones occur by chance.
    pub bytes: Vec<u8>,
}

/// Where something was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// Name of the needle.
    pub needle: String,
    /// Where: mapping and offset, or file and offset.
    pub place: String,
}

/// Searches one buffer.
pub fn search_bytes(haystack: &[u8], needles: &[Needle], place: &str, hits: &mut Vec<Hit>) {
    for needle in needles {
        assert!(needle.bytes.len() >= 16, "{} is too short to mean anything", needle.name);
        if let Some(at) = memchr::memmem::find(haystack, &needle.bytes) {
            hits.push(Hit { needle: needle.name.clone(), place: format!("{place}+{at:#x}") });
        }
    }
}

/// Searches every readable mapping of a process. Returns the hits and how many bytes were read (so that a search that
/// read nothing is not taken for a clean one).
pub fn search_process(pid: u32, needles: &[Needle]) -> anyhow::Result<(Vec<Hit>, u64)> {
    let longest = needles.iter().map(|needle| needle.bytes.len()).max().unwrap_or(0);
    let maps = BufReader::new(File::open(format!("/proc/{pid}/maps")).context("read the process's mappings")?);
    let memory = File::open(format!("/proc/{pid}/mem")).context("read the process's memory")?;
    let (mut hits, mut read_in_all) = (Vec::new(), 0);
    let mut buffer = vec![0; CHUNK];
    for line in maps.lines() {
        let line = line?;
        let mut words = line.split_whitespace();
        let (Some(range), Some(mode)) = (words.next(), words.next()) else { continue };
        // file contents mapped for reading only are the program itself
        if !mode.starts_with("rw") {
            continue;
        }
        let Some((from, to)) = range.split_once('-') else { continue };
        let (mut at, to) = (u64::from_str_radix(from, 16)?, u64::from_str_radix(to, 16)?);
        while at < to {
            let want = usize::try_from(to - at).unwrap_or(CHUNK).min(CHUNK);
            let Ok(got) = memory.read_at(&mut buffer[..want], at) else { break };
            if got == 0 {
                break;
            }
            read_in_all += got as u64;
            search_bytes(&buffer[..got], needles, &format!("{range}@{at:#x}"), &mut hits);
            let step = if got == want && at + (got as u64) < to { got - longest.min(got - 1) } else { got };
            at += step as u64;
        }
    }
    Ok((hits, read_in_all))
}

/// Searches every file below a folder.
pub fn search_files(folder: &std::path::Path, needles: &[Needle]) -> anyhow::Result<(Vec<Hit>, u64)> {
    let (mut hits, mut read_in_all) = (Vec::new(), 0);
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                let bytes = std::fs::read(entry.path())?;
                read_in_all += bytes.len() as u64;
                search_bytes(&bytes, needles, &entry.path().display().to_string(), &mut hits);
            }
        }
    }
    Ok((hits, read_in_all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_finds_what_this_process_holds_and_not_what_it_does_not() {
        // built at run time, so that the only copy is the one on the heap
        let held: Vec<u8> = (0..32u8).map(|n| n.wrapping_mul(37) ^ 0x5a).collect();
        let needles = [
            Needle { name: "held".into(), bytes: held.clone() },
            Needle { name: "absent".into(), bytes: held.iter().map(|byte| byte ^ 0xff).rev().collect() },
        ];
        let (hits, read) = search_process(std::process::id(), &needles[..1]).expect("own memory is readable");
        assert!(hits.iter().any(|hit| hit.needle == "held") && read > 0);
    }
}
