//! What a statement about a room would mean: its differences in words, who would be refused under it, what everybody would
//! read, what the copy costs. Pure; `policy` decides.

use crate::admin::book::Kept;
use crate::rooms::Stated;
use domain::message::admin::{ChangeLine, CostRow, RefusedRow, Simulated};
use domain::policy::{Archive, Conditions, Copies, Language, Rule, Statement, Tier};
use domain::{FirmId, RoomId, UnixMillis, UserId};
use evidence::identity::TrustMap;
use evidence::key::key_id;
use evidence::statement::VERSION;
use policy::{Effect, Person, Price, Usage, words};
use std::collections::{BTreeMap, BTreeSet};

/// A firm's first statement gives its recorder so long before its people stop sending, ms.
const FIRST_GRACE_MS: u64 = 10_000;
/// ... and keeps for so many years, as MiFID II asks at least.
const FIRST_YEARS: u16 = 5;

/// All that is known about a room.
#[derive(Debug, Clone)]
pub struct Room {
    /// Which.
    pub room: RoomId,
    /// Title.
    pub title: String,
    /// Who may enter, of all firms, as far as it is known.
    pub members: Vec<Person>,
    /// Newest statement of each firm.
    pub stated: Vec<Stated>,
    /// The firm's versions, oldest first.
    pub versions: Vec<Kept>,
}

impl Room {
    /// The firm's statement that holds.
    pub fn present(&self, firm: &FirmId) -> Option<&Stated> {
        self.stated.iter().find(|stated| stated.statement.firm == *firm)
    }

    /// The other firms'.
    pub fn others(&self, firm: &FirmId) -> Vec<Statement> {
        self.stated.iter().map(|stated| &stated.statement).filter(|s| s.firm != *firm).cloned().collect()
    }
}

/// What a firm's first statement about a room begins with: nothing is kept.
pub fn blank(firm: &FirmId, room: &RoomId, trust: &TrustMap, now: UnixMillis) -> Statement {
    let keys = trust.firm(firm).map(|own| own.archive_keys.iter().map(|spki| key_id(spki)).collect());
    Statement {
        version: VERSION,
        serial: 1,
        firm: firm.clone(),
        room: room.clone(),
        audio_video: Rule::Off,
        chat: Rule::Off,
        files: Rule::Off,
        tier: Tier::Full,
        retention_years: FIRST_YEARS,
        archive: Archive::Worm,
        pause: None,
        copies: Copies::None,
        recorder_grace_ms: FIRST_GRACE_MS,
        archive_key_ids: keys.unwrap_or_default(),
        issued_at: now,
        conditions: Box::default(),
    }
}

/// What is to be signed: the form's values on top of the present version.
pub fn completed(wanted: Statement, room: &Room, firm: &FirmId, now: UnixMillis) -> Statement {
    let present = room.present(firm);
    let previous = present.map(Stated::hash);
    Statement {
        version: VERSION,
        serial: present.map_or(1, |present| present.statement.serial + 1),
        firm: firm.clone(),
        room: room.room.clone(),
        issued_at: now,
        conditions: Box::new(Conditions { previous, ..*wanted.conditions }),
        ..wanted
    }
}

/// The differences, in words.
pub fn lines(language: Language, before: Option<&Statement>, after: &Statement) -> Vec<ChangeLine> {
    let line = |change: policy::Change| ChangeLine {
        text: words::change(language, &change),
        effect: match change.effect {
            Effect::Stricter => "stricter",
            Effect::Looser => "looser",
            Effect::Own => "own",
        }
        .to_owned(),
    };
    policy::changes(before, after).into_iter().map(line).collect()
}

/// How everybody in the simulation comes.
#[derive(Debug, Clone, Default)]
pub struct Coming {
    /// Client.
    pub client: Option<u32>,
    /// Region.
    pub region: Option<String>,
}

/// Everybody of the room comes, and a guest of each firm.
fn roster(room: &Room, statements: &[Statement], coming: &Coming) -> Vec<Person> {
    let stranger = |firm: &FirmId, user: &str, guest| Person {
        firm: firm.clone(),
        user: user.parse().expect("a constant id"),
        groups: BTreeSet::new(),
        guest,
        client: None,
        region: None,
    };
    let firms: BTreeSet<&FirmId> =
        room.members.iter().map(|member| &member.firm).chain(statements.iter().map(|s| &s.firm)).collect();
    let mut all = room.members.clone();
    for firm in &firms {
        if room.members.iter().all(|member| member.firm != **firm) {
            all.push(stranger(firm, "anybody", false));
        }
    }
    all.extend(firms.iter().map(|firm| stranger(firm, "guest", true)));
    for person in &mut all {
        (person.client, person.region) = (coming.client, coming.region.clone());
    }
    all
}

/// Who would be refused if `wanted` held beside the other firms' statements.
pub fn simulated(language: Language, wanted: &Statement, room: &Room, coming: &Coming) -> Simulated {
    let mut statements = room.others(&wanted.firm);
    statements.push(wanted.clone());
    let roster = roster(room, &statements, coming);
    let outcome = policy::simulate(&statements, &room.room, &roster);
    let row = |(person, refusal): &(Person, policy::Refusal)| RefusedRow {
        firm: person.firm.clone(),
        user: person.user.clone(),
        guest: person.guest,
        said: words::refusal(language, refusal),
    };
    Simulated {
        clashes: outcome.clashes.iter().map(|clash| words::clash(language, clash)).collect(),
        refused: outcome.refused.iter().map(row).collect(),
        entered: count(outcome.entered.len()),
        of: count(roster.len()),
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// What everybody would read before speaking, in each language; the clashes where nobody would come to it.
pub fn notices(wanted: &Statement, room: &Room) -> BTreeMap<Language, Vec<String>> {
    let mut statements = room.others(&wanted.firm);
    statements.push(wanted.clone());
    let said = |language| match policy::resolve(&statements) {
        Ok(resolved) => policy::notices(&resolved, language),
        Err(clashes) => clashes.iter().map(|clash| words::clash(language, clash)).collect(),
    };
    Language::ALL.into_iter().map(|language| (language, said(language))).collect()
}

/// How the statements that hold clash, if they do.
pub fn clashes(language: Language, room: &Room) -> Vec<String> {
    let statements: Vec<Statement> = room.stated.iter().map(|stated| stated.statement.clone()).collect();
    let clashes = policy::resolve(&statements).err().unwrap_or_default();
    clashes.iter().map(|clash| words::clash(language, clash)).collect()
}

/// What the copy costs.
pub fn priced(statement: &Statement, hours: u32, price: u32) -> CostRow {
    let of = policy::cost(statement, Usage { hours_a_month: hours }, Price { gigabyte_month: price });
    CostRow {
        hours,
        bytes_a_month: of.bytes_a_month,
        bytes_held: of.bytes_held,
        first_month_cents: of.first_month_cents,
        full_month_cents: of.full_month_cents,
    }
}

/// The administrators behind a version; none for one of the key ceremony.
pub fn signers(room: &Room, serial: u64) -> Vec<UserId> {
    let version = room.versions.iter().find(|kept| kept.stated.statement.serial == serial);
    version.map(|kept| kept.by.clone()).unwrap_or_default()
}
