//! Signed statements: files in one folder, each a COSE_Sign1 of a firm about a room. Stored and handed out, never made
//! here. Read again at each join, so a new statement counts from the next meeting on.

use domain::{B64, FirmId, RoomId};
use evidence::identity::TrustMap;
use evidence::statement::judge_statement;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A statement is a few hundred bytes.
const MAX_FILE: u64 = 64 * 1024;
/// Files looked at: 64 firms in a few dozen rooms.
const MAX_FILES: usize = 4_096;

/// Rooms that firms have statements about: meetings can be in no other.
pub fn rooms(folder: &Path, trust: &TrustMap) -> std::io::Result<BTreeSet<RoomId>> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder)?.take(MAX_FILES) {
        let path = entry?.path();
        let ours = path.extension().is_some_and(|extension| extension == "cose");
        if ours && std::fs::metadata(&path)?.len() <= MAX_FILE {
            found.extend(judge_statement(trust, &std::fs::read(&path)?).map(|statement| statement.room));
        }
    }
    Ok(found)
}

/// The newest statement of every firm about `room`, ordered by firm. Files that do not judge well are named in the log
/// and left out.
pub fn about(folder: &Path, trust: &TrustMap, room: &RoomId) -> std::io::Result<Vec<(FirmId, B64)>> {
    let mut found: BTreeMap<FirmId, (u64, B64)> = BTreeMap::new();
    for entry in std::fs::read_dir(folder)?.take(MAX_FILES) {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "cose") {
            continue;
        }
        if std::fs::metadata(&path)?.len() > MAX_FILE {
            tracing::warn!("{} is too long for a statement: left out", path.display());
            continue;
        }
        let signed = std::fs::read(&path)?;
        match judge_statement(trust, &signed) {
            Ok(statement) if statement.room == *room => {
                let newer = found.get(&statement.firm).is_none_or(|(serial, _)| *serial < statement.serial);
                if newer {
                    found.insert(statement.firm, (statement.serial, signed.into()));
                }
            }
            Ok(_) => {}
            Err(why) => {
                tracing::warn!("{}: {why}: left out", path.display());
                service::security::report(service::security::Event::StatementRefused);
            }
        }
    }
    Ok(found.into_iter().map(|(firm, (_, signed))| (firm, signed)).collect())
}
