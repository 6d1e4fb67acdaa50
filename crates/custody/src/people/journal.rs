//! What the people token issued and what it ended: one file, a line of JSON for each fact, durable before the answer. It says which
//! certificates are alive, and from it the signed list of ended ones is made. Only this process writes it.

use crate::refusal::{Refusal, refuse};
use domain::message::custody::LeafRole;
use domain::{ParticipantId, UnixMillis, UserId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Lines of certificates that ended so long ago are left out when the file is opened, s: a quarter of a year for whoever asks who
/// could be in a meeting.
const KEPT_S: u64 = 92 * 24 * 3600;
/// Largest file read: some 250 bytes a certificate, 2,000 of them a day.
const MAX_FILE: u64 = 256 << 20;

/// A certificate as `certificates list` shows it.
// not a wire type: a line of a file that this process alone writes
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issued {
    /// Serial number, hexadecimal.
    pub serial: String,
    /// SHA-256 of the DER, hexadecimal.
    pub certificate: String,
    /// Whose.
    pub holder: ParticipantId,
    /// What for.
    pub role: LeafRole,
    /// From, seconds since 1970.
    pub from_s: u64,
    /// Until.
    pub until_s: u64,
    /// When it was ended before its time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<UnixMillis>,
}

// not a wire type: a line of a file that this process alone writes
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Line {
    Issued(Issued),
    Revoked {
        serial: String,
        at: UnixMillis,
    },
    /// A list was signed under this number.
    List {
        serial: u64,
    },
}

/// The open journal.
pub struct Journal {
    file: File,
    issued: BTreeMap<String, Issued>,
    lists: u64,
}

/// Whose certificates to end.
pub enum Whom<'a> {
    /// All of a person's.
    User(&'a UserId),
    /// One, by serial number.
    Serial(&'a str),
}

/// The certificates of a journal, for reading only; none where there is no file yet.
///
/// # Errors
/// A text that names the file.
pub fn read(path: &Path) -> Result<Vec<Issued>, String> {
    Ok(load(path)?.0.into_values().collect())
}

fn load(path: &Path) -> Result<(BTreeMap<String, Issued>, u64), String> {
    let bad = |why: String| format!("journal {}: {why}", path.display());
    let mut issued = BTreeMap::<String, Issued>::new();
    let mut lists = 0;
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((issued, lists)),
        Err(error) => return Err(bad(error.to_string())),
        Ok(data) if data.len() > MAX_FILE => return Err(bad("it is too long".to_owned())),
        Ok(_) => {}
    }
    let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
    // a line without its end was never answered for: a power cut took the rest of it
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    for (number, line) in whole.lines().enumerate() {
        match serde_json::from_str(line).map_err(|error| bad(format!("line {}: {error}", number + 1)))? {
            Line::Issued(one) => drop(issued.insert(one.serial.clone(), one)),
            Line::Revoked { serial, at } => {
                if let Some(one) = issued.get_mut(&serial) {
                    one.revoked_at = Some(at);
                }
            }
            Line::List { serial } => lists = lists.max(serial),
        }
    }
    Ok((issued, lists))
}

impl Journal {
    /// Opens it, or makes it; what ended long ago is left out.
    ///
    /// # Errors
    /// A text that names the file.
    pub fn open(path: &Path, now_s: u64) -> Result<Self, String> {
        let bad = |why: std::io::Error| format!("journal {}: {why}", path.display());
        let (mut issued, lists) = load(path)?;
        issued.retain(|_, one| one.until_s.saturating_add(KEPT_S) > now_s);
        let fresh = PathBuf::from(format!("{}.new", path.display()));
        let mut text = line(&Line::List { serial: lists });
        for one in issued.values() {
            let (serial, revoked) = (one.serial.clone(), one.revoked_at);
            text += &line(&Line::Issued(Issued { revoked_at: None, ..one.clone() }));
            text += &revoked.map(|at| line(&Line::Revoked { serial, at })).unwrap_or_default();
        }
        let mut file = File::create(&fresh).map_err(bad)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(bad)?;
        std::fs::rename(&fresh, path).map_err(bad)?;
        let file = OpenOptions::new().append(true).open(path).map_err(bad)?;
        Ok(Self { file, issued, lists })
    }

    fn keep(&mut self, lines: &str) -> Result<(), Refusal> {
        match self.file.write_all(lines.as_bytes()).and_then(|()| self.file.sync_data()) {
            Ok(()) => Ok(()),
            Err(error) => {
                tracing::error!("the journal of certificates cannot be written: {error}");
                refuse("unavailable", "the journal of certificates cannot be written on this host; see custody's log")
            }
        }
    }

    /// A certificate is about to be given out.
    ///
    /// # Errors
    /// `unavailable` if that is not durable.
    pub fn issued(&mut self, one: Issued) -> Result<(), Refusal> {
        self.keep(&line(&Line::Issued(one.clone())))?;
        self.issued.insert(one.serial.clone(), one);
        Ok(())
    }

    /// Ends certificates that are alive; tells how many.
    ///
    /// # Errors
    /// `unavailable` if that is not durable.
    pub fn revoke(&mut self, whom: &Whom<'_>, now: UnixMillis) -> Result<usize, Refusal> {
        let meant = |one: &Issued| match whom {
            Whom::User(user) => one.holder.user == **user,
            Whom::Serial(serial) => one.serial.eq_ignore_ascii_case(serial),
        };
        let alive = |one: &&Issued| one.until_s > now.seconds() && one.revoked_at.is_none() && meant(one);
        let serials: Vec<String> = self.issued.values().filter(alive).map(|one| one.serial.clone()).collect();
        let lines: String =
            serials.iter().map(|serial| line(&Line::Revoked { serial: serial.clone(), at: now })).collect();
        self.keep(&lines)?;
        for serial in &serials {
            if let Some(one) = self.issued.get_mut(serial) {
                one.revoked_at = Some(now);
            }
        }
        Ok(serials.len())
    }

    /// Ended certificates whose own end has not come.
    pub fn revoked(&self, now_s: u64) -> impl Iterator<Item = &Issued> {
        self.issued.values().filter(move |one| one.revoked_at.is_some() && one.until_s > now_s)
    }

    /// A number for the next list.
    ///
    /// # Errors
    /// `unavailable` if that is not durable.
    pub fn next_list(&mut self) -> Result<u64, Refusal> {
        let serial = self.lists + 1;
        self.keep(&line(&Line::List { serial }))?;
        self.lists = serial;
        Ok(serial)
    }
}

fn line(line: &Line) -> String {
    let mut text = serde_json::to_string(line).expect("texts and numbers serialise");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issued(serial: &str, user: &str, until_s: u64) -> Issued {
        Issued {
            serial: serial.to_owned(),
            certificate: serial.repeat(32),
            holder: format!("bank-a/{user}/d1").parse().unwrap(),
            role: LeafRole::Member,
            from_s: 0,
            until_s,
            revoked_at: None,
        }
    }

    #[test]
    fn what_was_ended_is_still_ended_after_a_restart_and_a_torn_line_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut journal = Journal::open(&path, 0).unwrap();
        for (serial, user, until) in [("01", "anna", 100), ("02", "anna", 50), ("03", "ben", 100)] {
            journal.issued(issued(serial, user, until)).unwrap();
        }
        let anna: UserId = "anna".parse().unwrap();
        assert_eq!(journal.revoke(&Whom::User(&anna), UnixMillis(60_000)).unwrap(), 1, "one is alive");
        assert_eq!(journal.revoke(&Whom::User(&anna), UnixMillis(60_000)).unwrap(), 0, "ended once");
        assert_eq!(journal.next_list().unwrap(), 1);
        drop(journal);
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"issued\":{\"ser").unwrap();
        let mut journal = Journal::open(&path, 60).unwrap();
        assert_eq!(journal.revoked(60).map(|one| one.serial.as_str()).collect::<Vec<_>>(), ["01"]);
        assert_eq!(journal.revoked(100).count(), 0, "over by itself");
        assert_eq!(journal.next_list().unwrap(), 2, "a number is never used twice");
        assert_eq!(journal.revoke(&Whom::Serial("03"), UnixMillis(60_000)).unwrap(), 1);
        assert_eq!(read(&path).unwrap().len(), 3);
    }

    #[test]
    fn a_damaged_journal_is_no_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        std::fs::write(&path, "{}\n").unwrap();
        assert!(Journal::open(&path, 0).err().is_some_and(|why| why.contains("line 1")));
    }
}
