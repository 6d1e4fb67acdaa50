//! What the demo consists of: two firms, one operator, who is in them, which ports, which files. Decides nothing at run
//! time.

use crate::place::Place;
use std::path::PathBuf;

/// First of the ten ports if nothing else is said.
pub const PORT_BASE: u16 = 8440;

/// A person of a firm.
pub struct Person {
    /// Login name; the password is the same with `-demo`.
    pub user: &'static str,
    /// Name for people.
    pub name: &'static str,
    /// Roles, as in ID tokens.
    pub roles: &'static [&'static str],
    /// What the person is for, in the demo's words.
    pub what: &'static str,
}

/// A bank.
pub struct Firm {
    /// Id, and first label of its host name.
    pub id: &'static str,
    /// Name for people.
    pub name: &'static str,
    /// Its front's port, from the base.
    pub port: u16,
    /// For how long it keeps its copy of the recorded room, years.
    pub retention_years: u16,
    /// Its people.
    pub people: [Person; 6],
    /// Who may let the firm's record stand still.
    pub supervisor: &'static str,
    /// How many administrators sign a statement.
    pub administrators: u8,
    /// Its recorder's operations port, from the base.
    pub recorder_port: u16,
}

/// The two banks.
pub const FIRMS: [Firm; 2] = [
    Firm {
        id: "bank-a",
        name: "Bank A",
        port: 1,
        retention_years: 7,
        people: [
            Person { user: "anna", name: "Anna Albrecht", roles: &["member"], what: "banker, host" },
            Person { user: "carol", name: "Carol Castell", roles: &["compliance"], what: "compliance officer" },
            Person { user: "chris", name: "Chris Claes", roles: &["compliance"], what: "compliance, approver" },
            Person { user: "adam", name: "Adam Ames", roles: &["administrator"], what: "administrator" },
            Person { user: "alma", name: "Alma Amstutz", roles: &["administrator"], what: "administrator, approver" },
            Person { user: "sam", name: "Sam Sutter", roles: &["member"], what: "supervisor, may pause the record" },
        ],
        supervisor: "sam",
        administrators: 2,
        recorder_port: 8,
    },
    Firm {
        id: "bank-b",
        name: "Bank B",
        port: 2,
        retention_years: 5,
        people: [
            Person { user: "ben", name: "Ben Bauer", roles: &["member"], what: "banker" },
            Person { user: "dora", name: "Dora Dahl", roles: &["compliance"], what: "compliance officer" },
            Person { user: "dirk", name: "Dirk Doyle", roles: &["compliance"], what: "compliance, approver" },
            Person { user: "beth", name: "Beth Berger", roles: &["administrator"], what: "administrator" },
            Person { user: "boris", name: "Boris Blum", roles: &["administrator"], what: "administrator" },
            Person {
                user: "stella",
                name: "Stella Stein",
                roles: &["member"],
                what: "supervisor, may pause the record",
            },
        ],
        supervisor: "stella",
        administrators: 1,
        recorder_port: 9,
    },
];

/// A room of both firms.
pub struct Room {
    /// Id.
    pub id: &'static str,
    /// Title.
    pub title: &'static str,
    /// Rule of both firms for sound and picture.
    pub audio_video: &'static str,
    /// ... and for chat and files.
    pub chat: &'static str,
}

/// All rooms.
pub const ROOMS: [Room; 4] = [
    Room { id: "deal-room", title: "Project Alder", audio_video: "must", chat: "must" },
    Room { id: "coffee-room", title: "Coffee corner", audio_video: "off", chat: "off" },
    Room { id: "talk-room", title: "Talk is kept, chat is not", audio_video: "must", chat: "off" },
    Room { id: "note-room", title: "Chat is kept, talk is not", audio_video: "off", chat: "must" },
];
/// Recorder grace of both rooms, ms: the shortest there is, so that a demonstration need not wait.
pub const GRACE_MS: u64 = 2_000;

/// Longest pause of a record, ms: to read out a card takes less.
pub const PAUSE_MS: u64 = 120_000;

/// The three tokens of a firm.
pub const TOKENS: [&str; 3] = ["people", "record", "archive"];

/// One run's ports and folders.
#[derive(Clone)]
pub struct Plan {
    /// State: keys, tokens, archives, logs.
    pub state: PathBuf,
    /// First port.
    pub base: u16,
    /// Shipped binaries.
    pub binaries: PathBuf,
    /// The built page.
    pub pages: PathBuf,
}

impl Plan {
    /// With state in a folder.
    pub fn new(place: &Place, state: PathBuf, base: u16) -> Self {
        Self { state, base, binaries: place.binaries(), pages: place.page().join("dist") }
    }
    /// Inside the state folder.
    pub fn at(&self, inside: &str) -> PathBuf {
        self.state.join(inside)
    }
    /// Inside a firm's folder.
    pub fn firm(&self, firm: &Firm, inside: &str) -> PathBuf {
        self.state.join(firm.id).join(inside)
    }
    /// Signaling, for participants (TCP).
    pub fn signaling_port(&self) -> u16 {
        self.base
    }
    /// Control link (TCP).
    pub fn control_port(&self) -> u16 {
        self.base + 3
    }
    /// Record link (TCP).
    pub fn record_port(&self) -> u16 {
        self.base + 4
    }
    /// Media (UDP).
    pub fn media_port(&self) -> u16 {
        self.base + 5
    }
    /// Signaling, for programs (TCP).
    pub fn programs_port(&self) -> u16 {
        self.base + 6
    }
    /// Signaling's operations listener (TCP).
    pub fn operations_port(&self) -> u16 {
        self.base + 7
    }
    /// A firm's recorder's operations listener (TCP).
    pub fn recorder_port(&self, firm: &Firm) -> u16 {
        self.base + firm.recorder_port
    }
    /// Address of a firm's pages.
    pub fn origin(&self, firm: &Firm) -> String {
        format!("http://{}.localhost:{}", firm.id, self.base + firm.port)
    }
    /// Address of signaling for participants.
    pub fn signaling(&self) -> String {
        format!("ws://signaling.localhost:{}/v1/meet", self.signaling_port())
    }
    /// Every TCP port and what it is for.
    pub fn tcp_ports(&self) -> Vec<(u16, String)> {
        let mut ports = vec![
            (self.signaling_port(), "signaling".to_owned()),
            (self.control_port(), "the control link".to_owned()),
            (self.record_port(), "the record link".to_owned()),
            (self.programs_port(), "signaling's interface for programs".to_owned()),
            (self.operations_port(), "signaling's operations".to_owned()),
        ];
        ports.extend(FIRMS.iter().map(|firm| (self.base + firm.port, format!("{}'s front", firm.name))));
        ports.extend(FIRMS.iter().map(|firm| (self.recorder_port(firm), format!("{}'s recorder", firm.name))));
        ports
    }
}
