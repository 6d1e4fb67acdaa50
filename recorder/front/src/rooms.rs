//! The rooms list: titles and members from the embedded directory's seed, the firm's own rule from its signed
//! statements. Signaling decides who gets in; this is what people see before. A statement that administrators make here
//! counts at once.

use crate::config::Config;
use domain::message::front::RoomSummary;
use domain::policy::{Rule, Statement};
use domain::{B64, FirmId, RoomId, UserId};
use evidence::identity::TrustMap;
use evidence::statement::judge_statement;
use policy::Person;
use serde::Deserialize;
use service::config::{ConfigError, bytes, value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

/// Files looked at: 64 firms in a few dozen rooms.
const MAX_FILES: usize = 4_096;
/// Largest statement file: one signed statement has about 500 bytes.
const MAX_STATEMENT: u64 = 64 * 1024;

// not a wire type: the directory's seed file
#[derive(Deserialize)]
struct Room {
    room: RoomId,
    title: String,
    #[serde(default)]
    members: Vec<Member>,
}

// not a wire type: the directory's seed file
#[derive(Deserialize)]
struct Member {
    firm: FirmId,
    user: UserId,
    #[serde(default)]
    groups: BTreeSet<String>,
}

/// A room with everybody in it, of all firms.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Which.
    pub room: RoomId,
    /// Title.
    pub title: String,
    /// Its members, as far as they are known here.
    pub members: Vec<Person>,
}

/// Rooms of this firm's people.
pub struct Rooms {
    firm: FirmId,
    listed: Vec<Listed>,
    /// Newest statements by room and firm.
    stated: Mutex<Newest>,
}

type Newest = BTreeMap<(RoomId, FirmId), Stated>;

impl Rooms {
    /// Reads seed and statements, as far as they are configured.
    ///
    /// # Errors
    /// [`ConfigError`] naming file and key.
    pub fn read(file: &Path, config: &Config, trust: &TrustMap) -> Result<Self, ConfigError> {
        let unreadable = |path: PathBuf, e: std::io::Error| ConfigError::Unreadable {
            file: file.to_owned(),
            key: "statements",
            path,
            cause: e.to_string(),
        };
        let stated = match &config.statements {
            Some(folder) => statements(folder, trust).map_err(|e| unreadable(folder.clone(), e))?,
            None => Vec::new(),
        };
        let firm = config.firm.clone();
        let rooms = Self { firm, listed: listed(file, config)?, stated: Mutex::default() };
        stated.into_iter().for_each(|one| rooms.state(one));
        Ok(rooms)
    }

    fn newest(&self) -> MutexGuard<'_, Newest> {
        self.stated.lock().expect("nothing panics while it is held")
    }

    /// A statement that verified; of several about a room by one firm the highest serial counts.
    pub fn state(&self, one: Stated) {
        let at = (one.statement.room.clone(), one.statement.firm.clone());
        let mut newest = self.newest();
        if newest.get(&at).is_none_or(|known| known.statement.serial < one.statement.serial) {
            newest.insert(at, one);
        }
    }

    /// The newest statements about a room, ordered by firm.
    pub fn about(&self, room: &RoomId) -> Vec<Stated> {
        self.newest().iter().filter(|((of, _), _)| of == room).map(|(_, stated)| stated.clone()).collect()
    }

    /// Rooms that the firm has statements about.
    pub fn stated(&self) -> BTreeSet<RoomId> {
        self.newest().keys().filter(|(_, firm)| *firm == self.firm).map(|(room, _)| room.clone()).collect()
    }

    /// Rooms that a person is a member of.
    pub fn of(&self, user: &UserId) -> Vec<RoomSummary> {
        let own = |member: &Person| member.firm == self.firm && member.user == *user;
        let inside = self.listed.iter().filter(|listed| listed.members.iter().any(own));
        inside.map(|listed| self.summary(listed)).collect()
    }

    fn summary(&self, listed: &Listed) -> RoomSummary {
        let about = self.about(&listed.room);
        let own = about.iter().find(|stated| stated.statement.firm == self.firm);
        RoomSummary {
            audio_video: rule_word(own.map_or(Rule::Off, |own| own.statement.audio_video)).to_owned(),
            statements: about.iter().map(|stated| stated.signed.as_slice().into()).collect(),
            room: listed.room.clone(),
            title: listed.title.clone(),
        }
    }

    /// All rooms.
    pub fn listed(&self) -> &[Listed] {
        &self.listed
    }

    /// Title of a room, if there is one.
    pub fn title(&self, room: &RoomId) -> Option<&str> {
        self.listed.iter().find(|listed| listed.room == *room).map(|listed| listed.title.as_str())
    }

    /// Signed statements about a room.
    pub fn statements(&self, room: &RoomId) -> Vec<B64> {
        self.about(room).into_iter().map(|stated| stated.signed.into()).collect()
    }
}

fn listed(file: &Path, config: &Config) -> Result<Vec<Listed>, ConfigError> {
    let Some(seed) = &config.rooms else { return Ok(Vec::new()) };
    let listed: Vec<Room> = serde_json::from_slice(&bytes(file, "rooms", seed)?)
        .map_err(|e| value(file, "rooms", format!("{} is no list of rooms: {e}", seed.display())))?;
    let person = |member: Member| Person {
        firm: member.firm,
        user: member.user,
        groups: member.groups,
        guest: false,
        client: None,
        region: None,
    };
    let room = |room: Room| Listed {
        room: room.room,
        title: room.title,
        members: room.members.into_iter().map(person).collect(),
    };
    Ok(listed.into_iter().map(room).collect())
}

fn rule_word(rule: Rule) -> &'static str {
    match rule {
        Rule::Must => "must",
        Rule::Should => "should",
        Rule::Off => "off",
        Rule::Forbidden => "forbidden",
    }
}

/// A statement that verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stated {
    /// What it says.
    pub statement: Statement,
    /// As signed.
    pub signed: Vec<u8>,
}

impl Stated {
    /// SHA-256 of the signed form, hexadecimal: what the next one names as its predecessor.
    pub fn hash(&self) -> String {
        hex::encode(evidence::sha256(&self.signed))
    }
}

/// Verified statements of a folder. Blocking.
///
/// # Errors
/// The system's.
pub fn statements(folder: &Path, trust: &TrustMap) -> std::io::Result<Vec<Stated>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)?.take(MAX_FILES) {
        let entry = entry?;
        let small = entry.metadata().is_ok_and(|meta| meta.is_file() && meta.len() <= MAX_STATEMENT);
        if !small || entry.path().extension().is_none_or(|kind| kind != "cose") {
            continue;
        }
        let signed = std::fs::read(entry.path())?;
        match judge_statement(trust, &signed) {
            Ok(statement) => found.push(Stated { statement, signed }),
            Err(e) => tracing::warn!(file = %entry.path().display(), "left out: {e}"),
        }
    }
    Ok(found)
}
