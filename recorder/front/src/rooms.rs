//! The rooms list: titles and members from the embedded directory's seed, the firm's own rule from its signed
//! statements. Signaling decides who gets in; this is what people see before.

use crate::config::Config;
use domain::message::front::RoomSummary;
use domain::policy::Rule;
use domain::{B64, FirmId, RoomId, UserId};
use evidence::identity::TrustMap;
use evidence::statement::judge_statement;
use serde::Deserialize;
use service::config::{ConfigError, bytes, value};
use std::collections::BTreeMap;
use std::path::Path;

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
}

/// Rooms of this firm's people.
pub struct Rooms {
    rooms: Vec<(RoomSummary, Vec<UserId>)>,
}

impl Rooms {
    /// Reads seed and statements, as far as they are configured.
    ///
    /// # Errors
    /// [`ConfigError`] naming file and key.
    pub fn read(file: &Path, config: &Config, trust: &TrustMap) -> Result<Self, ConfigError> {
        let stated = statements(file, config, trust)?;
        let Some(seed) = &config.rooms else { return Ok(Self { rooms: Vec::new() }) };
        let listed: Vec<Room> = serde_json::from_slice(&bytes(file, "rooms", seed)?)
            .map_err(|e| value(file, "rooms", format!("{} is no list of rooms: {e}", seed.display())))?;
        let rooms = listed
            .into_iter()
            .map(|room| {
                let about = stated.iter().filter(|((of, _), _)| *of == room.room);
                let own = stated.get(&(room.room.clone(), config.firm.clone()));
                let summary = RoomSummary {
                    audio_video: rule_word(own.map_or(Rule::Off, |own| own.rule)).to_owned(),
                    statements: about.map(|(_, stated)| stated.signed.as_slice().into()).collect(),
                    room: room.room,
                    title: room.title,
                };
                let members =
                    room.members.into_iter().filter(|member| member.firm == config.firm).map(|member| member.user);
                (summary, members.collect())
            })
            .collect();
        Ok(Self { rooms })
    }

    /// Rooms that a person is a member of.
    pub fn of(&self, user: &UserId) -> Vec<RoomSummary> {
        self.rooms.iter().filter(|(_, members)| members.contains(user)).map(|(summary, _)| summary.clone()).collect()
    }
    /// Title of a room, if there is one.
    pub fn title(&self, room: &RoomId) -> Option<&str> {
        self.find(room).map(|summary| summary.title.as_str())
    }

    /// Signed statements about a room.
    pub fn statements(&self, room: &RoomId) -> Vec<B64> {
        self.find(room).map(|summary| summary.statements.clone()).unwrap_or_default()
    }

    fn find(&self, room: &RoomId) -> Option<&RoomSummary> {
        self.rooms.iter().map(|(summary, _)| summary).find(|summary| summary.room == *room)
    }
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
struct Stated {
    serial: u64,
    rule: Rule,
    signed: Vec<u8>,
}

/// Verified statements by room and firm; of several the one with the highest serial.
fn statements(
    file: &Path,
    config: &Config,
    trust: &TrustMap,
) -> Result<BTreeMap<(RoomId, FirmId), Stated>, ConfigError> {
    let Some(folder) = &config.statements else { return Ok(BTreeMap::new()) };
    let unreadable = |e: std::io::Error| ConfigError::Unreadable {
        file: file.to_owned(),
        key: "statements",
        path: folder.clone(),
        cause: e.to_string(),
    };
    let mut newest: BTreeMap<(RoomId, FirmId), Stated> = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let small = entry.metadata().is_ok_and(|meta| meta.is_file() && meta.len() <= MAX_STATEMENT);
        if !small || entry.path().extension().is_none_or(|kind| kind != "cose") {
            continue;
        }
        let signed = std::fs::read(entry.path()).map_err(unreadable)?;
        match judge_statement(trust, &signed) {
            Ok(statement) => {
                let at = (statement.room, statement.firm);
                if newest.get(&at).is_none_or(|known| known.serial < statement.serial) {
                    newest.insert(at, Stated { serial: statement.serial, rule: statement.audio_video, signed });
                }
            }
            Err(e) => tracing::warn!(file = %entry.path().display(), "left out: {e}"),
        }
    }
    Ok(newest)
}
