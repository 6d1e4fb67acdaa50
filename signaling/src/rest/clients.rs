//! Who may ask for what: bearer tokens of 32 random bytes, of which only the SHA-256 is kept here. Why tokens and not
//! certificates: ADR-0014.

use crate::failure::{Failure, config};
use aws_lc_rs::digest::{SHA256, digest};
use axum::http::{HeaderMap, header};
use domain::{FirmId, UnixMillis};
use serde::Deserialize;
use signaling_core::bucket::Bucket;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// What a token is for.
// not a wire type: part of the configuration
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum Scope {
    /// Rooms and their members.
    #[serde(rename = "rooms:read")]
    RoomsRead,
    /// Meetings.
    #[serde(rename = "meetings:read")]
    MeetingsRead,
    /// Announce and end meetings.
    #[serde(rename = "meetings:write")]
    MeetingsWrite,
    /// Who is in a meeting.
    #[serde(rename = "participants:read")]
    ParticipantsRead,
    /// Take people out of a meeting.
    #[serde(rename = "participants:write")]
    ParticipantsWrite,
    /// Statements.
    #[serde(rename = "statements:read")]
    StatementsRead,
    /// Hand in signed statements.
    #[serde(rename = "statements:write")]
    StatementsWrite,
    /// Webhooks and their replay.
    #[serde(rename = "webhooks:write")]
    WebhooksWrite,
    /// Incidents.
    #[serde(rename = "incidents:read")]
    IncidentsRead,
    /// Open, log and close incidents.
    #[serde(rename = "incidents:write")]
    IncidentsWrite,
}

// not a wire type: part of the configuration
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    name: String,
    /// Hexadecimal.
    token_sha256: String,
    #[serde(default)]
    firm: Option<FirmId>,
    scopes: BTreeSet<Scope>,
}

/// A client.
pub struct Client {
    /// Name in the file; idempotency keys are its own.
    pub name: String,
    /// Whose program: it sees rooms of that firm only. `None`: the operator's.
    pub firm: Option<FirmId>,
    scopes: BTreeSet<Scope>,
    bucket: Mutex<Bucket>,
}

impl Client {
    /// Signaling itself, where it acts for the operator.
    pub fn operator(now: UnixMillis) -> Self {
        Self { name: String::new(), firm: None, scopes: BTreeSet::new(), bucket: Mutex::new(Bucket::new(now)) }
    }
    /// Is its token for this?
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
    /// Counts a request; `false` when there were too many.
    pub fn count(&self, now: UnixMillis) -> bool {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner).take(now)
    }
    /// Does what `firms` take part in concern it?
    pub fn sees<'a>(&self, mut firms: impl Iterator<Item = &'a FirmId>) -> bool {
        self.firm.as_ref().is_none_or(|own| firms.any(|firm| firm == own))
    }
}

/// All clients, by the hash of their tokens. A hash that is found or not tells an attacker nothing about tokens.
pub struct Clients {
    by_hash: HashMap<[u8; 32], Arc<Client>>,
    strangers: Mutex<Bucket>,
}

fn hash(token: &[u8]) -> [u8; 32] {
    digest(&SHA256, token).as_ref().try_into().expect("SHA-256 has 32 bytes")
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let byte = |at: usize| u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..32).map(byte).collect();
    bytes.filter(|_| text.len() == 64).and_then(|bytes| bytes.try_into().ok())
}

impl Clients {
    /// Reads the file.
    pub fn read(path: &Path, now: UnixMillis) -> Result<Self, Failure> {
        let shown = path.display();
        let text = std::fs::read(path)
            .map_err(|error| config(format!("cannot read {shown}: {error}; correct `rest.clients`")))?;
        let listed: Vec<Listed> = serde_json::from_slice(&text)
            .map_err(|error| config(format!("{shown} is no list of clients: {error}; correct the file")))?;
        let mut by_hash = HashMap::new();
        for one in listed {
            let Some(hash) = unhex(&one.token_sha256) else {
                return Err(config(format!(
                    "{shown}: `token_sha256` of {} is no SHA-256 in hexadecimal; make one: printf %s TOKEN | sha256sum",
                    one.name
                )));
            };
            let bucket = Mutex::new(Bucket::new(now));
            let client = Client { name: one.name, firm: one.firm, scopes: one.scopes, bucket };
            if let Some(other) = by_hash.insert(hash, Arc::new(client)) {
                return Err(config(format!("{shown}: {} and another client have one token", other.name)));
            }
        }
        Ok(Self { by_hash, strangers: Mutex::new(Bucket::new(now)) })
    }

    /// The client of a request's bearer token (RFC 6750).
    pub fn of(&self, headers: &HeaderMap) -> Option<Arc<Client>> {
        let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let (scheme, token) = text.split_once(' ')?;
        let ours = scheme.eq_ignore_ascii_case("bearer");
        self.by_hash.get(&hash(token.trim().as_bytes())).filter(|_| ours).cloned()
    }

    /// Counts a request without a good token; `false` when there were too many.
    pub fn count_stranger(&self, now: UnixMillis) -> bool {
        self.strangers.lock().unwrap_or_else(PoisonError::into_inner).take(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_by_its_hash_and_a_bad_file_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clients.json");
        let read = |text: String| {
            std::fs::write(&path, text).unwrap();
            Clients::read(&path, UnixMillis(0))
        };
        let hex: String = hash(b"secret-token").iter().map(|byte| format!("{byte:02x}")).collect();
        let line = format!(r#"{{"name":"desk","token_sha256":"{hex}","firm":"bank-a","scopes":["rooms:read"]}}"#);
        let clients = read(format!("[{line}]")).unwrap();
        let asked = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, text.parse().unwrap());
            clients.of(&headers)
        };
        let desk = asked("Bearer secret-token").unwrap();
        assert!(desk.may(Scope::RoomsRead) && !desk.may(Scope::MeetingsRead));
        assert!(asked("bearer secret-token").is_some());
        for wrong in ["Bearer secret-toke", "Basic secret-token", "secret-token", "Bearer "] {
            assert!(asked(wrong).is_none(), "{wrong}");
        }
        assert!(read(format!("[{line},{line}]")).err().unwrap().to_string().contains("one token"));
        assert!(read(line.replace(&hex, "abc")).is_err());
        assert!(read(format!("[{}]", line.replace(&hex, "abc"))).err().unwrap().to_string().contains("sha256sum"));
        assert!(read(format!("[{}]", line.replace("rooms:read", "all"))).is_err());
    }
}
