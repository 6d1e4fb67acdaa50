//! The archive token: opens meeting keys for two officers and owns the ledger. Its entry comes first, the key after it.

mod ledger_file;
mod opening;
pub mod probes;
mod rate;
#[cfg(test)]
mod tests;

use crate::config::{Archive as Settings, Config};
use crate::failure::Failure;
use crate::refusal::{Refusal, refuse};
use crate::token::{Facts, Handle, LEDGER};
use custody::probe::{self, Challenge};
use custody::sealing::{Oaep, Sealed};
use domain::message::custody::{Answer, Ask, LedgerEvent};
use domain::{B64, FirmId, ParticipantId, UnixMillis};
use evidence::grant::CLOCK_SKEW_MS;
use evidence::identity::{FirmTrust, TrustMap};
use evidence::key::{PublicKey, key_id};
use evidence::ledger::{MAX_ACTION, MAX_ACTOR, MAX_NOTE};
use ledger_file::LedgerFile;
use probes::Opened;
use rate::Rate;
use std::sync::Mutex;
use zeroize::Zeroizing;

/// Entries answered at once; the wire says so.
const MAX_ENTRIES: usize = 1000;

/// Probes opened for recorders in an hour: eight keys a minute while a meeting waits for them, and the token stays free for
/// officers.
const PROBES_PER_HOUR: u32 = 480;

/// What the front may tell the ledger; `open` and `refused` are custody's own words.
const FRONT_ACTIONS: [&str; 19] = [
    "search",
    "request",
    "approve",
    "play",
    "seek",
    "export",
    "sample",
    "assign",
    "note",
    "dispose",
    "words",
    "match",
    "copy",
    "propose",
    "agree",
    "withdraw",
    "state",
    "retain",
    "retain-consent",
];

/// State of the archive token's process.
pub struct Archive {
    firm: FirmId,
    trust: TrustMap,
    record_key: PublicKey,
    keys: Vec<ArchiveKey>,
    ledger: Mutex<LedgerFile>,
    opens: Mutex<Rate>,
    refusals: Mutex<Rate>,
    probes: Mutex<Rate>,
    opened: Mutex<Opened>,
    token: Handle,
}

/// An archive key of this token.
struct ArchiveKey {
    name: String,
    id: String,
    spki: Vec<u8>,
    oaep: Oaep,
}

impl Archive {
    /// Reads trust map and ledger, and refuses to start if either is not this token's.
    ///
    /// # Errors
    /// [`Failure::Config`] for a trust map of other keys, [`Failure::Verification`] for a ledger that does not hold.
    pub fn new(config: &Config, facts: &Facts, token: Handle) -> Result<Self, Failure> {
        let settings = config.archive.as_ref().expect("the configuration has the section of its role");
        let trust = settings.read_trust()?;
        let pinned = pinned(&trust, config, settings, facts)?;
        let spki = |what, bytes: &[u8]| {
            PublicKey::from_spki(bytes)
                .map_err(|_| Failure::Config(format!("the {what} key in the trust map is no P-256 key")))
        };
        let record_key = spki("record", &pinned.record_key)?;
        let ledger_key = spki("ledger", &pinned.ledger_key)?;
        let ledger = LedgerFile::open(&settings.ledger, config.firm.clone(), &ledger_key)?;
        tracing::info!(entries = ledger.head().next, "ledger verified");
        let oaep = facts.oaep.expect("proven before an archive token serves");
        let archive_keys = facts.keys.iter().filter(|(name, _)| name != LEDGER);
        let keys = archive_keys
            .map(|(name, spki)| ArchiveKey { name: name.clone(), id: key_id(spki), spki: spki.clone(), oaep })
            .collect();
        Ok(Self {
            firm: config.firm.clone(),
            record_key,
            trust,
            keys,
            ledger: Mutex::new(ledger),
            opens: Mutex::new(Rate::per_hour(settings.opens_per_hour)),
            refusals: Mutex::new(Rate::per_hour(opening::REFUSALS_PER_HOUR)),
            probes: Mutex::new(Rate::per_hour(PROBES_PER_HOUR)),
            opened: Mutex::new(Opened::read(&settings.ledger)),
            token,
        })
    }

    /// Answers what this token answers.
    ///
    /// # Errors
    /// A refusal.
    pub fn answer(&self, now: UnixMillis, ask: Ask) -> Result<Answer, Refusal> {
        match ask {
            Ask::OpenMeetingKey { manifest, request, approval } => {
                let asked = opening::Asked { manifest: &manifest, request: &request, approval: &approval };
                self.open(now, asked)
            }
            Ask::Append { entry } => self.append_told(now, entry).map(|index| Answer::Appended { index }),
            Ask::Ledger { from } => self.entries(from),
            Ask::Probe {} => self.probe(),
            Ask::OpenProbe { sealed } => self.open_probe(now, &sealed),
            _ => refuse("bad-request", "the archive token does not do this"),
        }
    }

    /// What the front tells. It cannot speak for custody, for another firm, or of another time.
    fn append_told(&self, now: UnixMillis, event: LedgerEvent) -> Result<u64, Refusal> {
        if !FRONT_ACTIONS.contains(&event.action.as_str()) {
            return refuse(
                "bad-request",
                "the front tells of what officers and administrators do only, and of nothing that custody does",
            );
        }
        let own = ParticipantId::from_uri(&event.actor).is_ok_and(|actor| actor.firm == self.firm);
        if !own {
            return refuse("bad-request", "a ledger event is of one person of this firm (sr://firm/user/device)");
        }
        if now.since(event.at).max(event.at.since(now)) > CLOCK_SKEW_MS {
            return refuse("bad-request", "the front's clock and this one are more than a minute apart");
        }
        self.append(event)
    }

    fn append(&self, event: LedgerEvent) -> Result<u64, Refusal> {
        let fits = |text: &str, longest: usize| text.len() <= longest && !text.chars().any(char::is_control);
        if !fits(&event.actor, MAX_ACTOR) || !fits(&event.action, MAX_ACTION) || !fits(&event.note, MAX_NOTE) {
            return refuse("bad-request", "a ledger event's texts are short lines without control characters");
        }
        let mut ledger = self.ledger.lock().expect("no holder panics");
        ledger.append(event, |hash| self.token.sign(LEDGER, hash))
    }

    fn entries(&self, from: u64) -> Result<Answer, Refusal> {
        let ledger = self.ledger.lock().expect("no holder panics");
        let entries = ledger.read(from, MAX_ENTRIES)?;
        Ok(Answer::Entries { entries: entries.into_iter().map(B64::from).collect() })
    }

    /// Seals a probe to each archive key as a recorder would, and opens it.
    fn probe(&self) -> Result<Answer, Refusal> {
        for key in &self.keys {
            let public: B64 = key.spki.clone().into();
            let Ok(challenge) = Challenge::new(&self.firm, &public, Zeroizing::new([0x5a; 32])) else {
                return refuse("unavailable", "a probe could not be sealed");
            };
            let opened = self.unseal(&challenge.sealed, &probe::meeting(), probe::INCARNATION)?;
            if !challenge.is_answered_by(&probe::digest(&opened)) {
                return refuse("unavailable", format!("{} does not open what is sealed to it", key.name));
            }
        }
        Ok(Answer::Done {})
    }

    /// Opens a recorder's probe. What was sealed for a meeting carries that meeting's name inside and is refused, by the same
    /// words as anything else that is no probe.
    fn open_probe(&self, now: UnixMillis, sealed: &B64) -> Result<Answer, Refusal> {
        if !self.probes.lock().expect("no holder panics").take(now) {
            return refuse("rate", "too many probes in an hour");
        }
        match self.unseal(sealed, &probe::meeting(), probe::INCARNATION) {
            Ok(key) => {
                if let Ok(form) = Sealed::parse(sealed) {
                    self.opened.lock().expect("no holder panics").note(&form.key_id, now);
                }
                Ok(Answer::Probed { digest: probe::digest(&key).into() })
            }
            Err(Refusal(problem)) if problem.code == "bad-request" => {
                refuse("bad-request", "this is no probe of an archive key of this token")
            }
            Err(refusal) => Err(refusal),
        }
    }
}

/// The firm's entry in the trust map, checked against the token.
fn pinned<'a>(
    trust: &'a TrustMap,
    config: &Config,
    settings: &Settings,
    facts: &Facts,
) -> Result<&'a FirmTrust, Failure> {
    let bad = |why: String| Failure::Config(format!("trust map {}: {why}", settings.trust.display()));
    let own = trust.firm(&config.firm).ok_or_else(|| bad(format!("{} is not in it", config.firm)))?;
    if facts.key(LEDGER) != Some(own.ledger_key.as_slice()) {
        return Err(bad("its ledger key is not the one of this token".to_owned()));
    }
    let here = |spki: &B64| facts.keys.iter().any(|(_, own)| own == spki.as_slice());
    let known = own.archive_keys.iter().filter(|spki| here(spki)).count();
    if known == 0 {
        return Err(bad("none of its archive keys is on this token".to_owned()));
    }
    if known < own.archive_keys.len() {
        tracing::info!(here = known, all = own.archive_keys.len(), "some archive keys are on another token");
    }
    Ok(own)
}
