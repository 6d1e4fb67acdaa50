//! `check`: proves by doing what the token can do, and says it in text or as JSON, with the last time a recorder's probe was
//! opened by each archive key. Exit 0 only if everything this role needs works.

use crate::archive::probes::Opened;
use crate::ceremony;
use crate::config::Config;
use crate::failure::Failure;
use crate::token::profile::Profile;
use crate::token::{self, Call, Device, Facts, Token, TokenError};
use custody::probe::{FRESH_MS, GRACE_MS};
use domain::UnixMillis;
use domain::message::custody::TokenRole;
use evidence::key::{PublicKey, key_id};
use serde::Serialize;
use std::io::Write;
use std::time::Instant;

/// What was proven.
#[derive(Serialize)]
struct Report {
    firm: String,
    role: TokenRole,
    token: String,
    test_token: bool,
    profile: Profile,
    mechanisms: Vec<(&'static str, bool)>,
    missing: Vec<String>,
    oaep: Option<custody::sealing::Oaep>,
    tests: Vec<Test>,
    probes: Vec<Probe>,
    ok: bool,
}

/// One thing tried.
#[derive(Serialize)]
struct Test {
    what: String,
    ok: bool,
    micros: u64,
    error: Option<String>,
}

/// The daily probe of an archive key: what a recorder sealed to it, opened by the process that serves this token.
#[derive(Serialize)]
struct Probe {
    key: String,
    key_id: String,
    /// The last one; none was ever opened.
    opened_at: Option<UnixMillis>,
    /// Late enough for meetings that must be recorded to begin.
    fresh: bool,
}

/// Runs the self-test.
///
/// # Errors
/// [`Failure::Unavailable`] if anything this role needs does not work.
pub fn run(config: &Config, json: bool) -> Result<(), Failure> {
    let mut device = Device::open(ceremony::settings(config)?)?;
    let (name, test_token) = device.name()?;
    let mut tests = vec![try_it("32 random bytes", || random(&mut device))];
    let facts = ceremony::facts(config, &mut device)?;
    for (key, spki) in &facts.keys {
        let sign = signing_name(key);
        let test = match (sign, facts.oaep) {
            (Some(key), _) => try_it(&format!("{key}: sign and verify"), || sign_verify(&mut device, key, spki)),
            (None, Some(_)) => try_it(&format!("{key}: seal and open a probe"), || device.prove_oaep(key).map(|_| ())),
            (None, None) => continue,
        };
        tests.push(test);
    }
    let ok = tests.iter().all(|test| test.ok);
    let (profile, mechanisms) = (Profile::of(&name), device.mechanisms()?);
    let report = Report {
        firm: config.firm.to_string(),
        role: config.role,
        token: name,
        test_token,
        profile,
        missing: profile.missing(&mechanisms, facts.oaep),
        mechanisms,
        oaep: facts.oaep,
        tests,
        probes: probes(config, &facts, ceremony::now()),
        ok,
    };
    let text = if json { serde_json::to_string_pretty(&report).expect("plain data") } else { report.words() };
    writeln!(std::io::stdout(), "{text}").map_err(|e| Failure::Other(format!("standard output: {e}")))?;
    if ok {
        Ok(())
    } else {
        Err(Failure::Unavailable("the token does not do all that it must; see the report".to_owned()))
    }
}

/// Of each archive key on this token.
fn probes(config: &Config, facts: &Facts, now: UnixMillis) -> Vec<Probe> {
    let Some(archive) = &config.archive else { return Vec::new() };
    let opened = Opened::read(&archive.ledger);
    let one = |(key, spki): &(String, Vec<u8>)| {
        let key_id = key_id(spki);
        let opened_at = opened.times().get(&key_id).copied();
        let fresh = opened_at.is_some_and(|at| now.since(at) <= FRESH_MS + GRACE_MS);
        Probe { key: key.clone(), key_id, opened_at, fresh }
    };
    facts.keys.iter().filter(|(key, _)| signing_name(key).is_none()).map(one).collect()
}

impl Probe {
    fn words(&self) -> String {
        let (key, id) = (&self.key, self.key_id.get(..16).unwrap_or(&self.key_id));
        match (self.opened_at, self.fresh) {
            (Some(at), true) => format!("{key} ({id}): a recorder's probe was last opened at {}", at.rfc3339()),
            (at, _) => {
                let last =
                    at.map_or("was never opened".to_owned(), |at| format!("was last opened at {}", at.rfc3339()));
                format!(
                    "{key} ({id}): a recorder's probe {last}, which is too long ago: meetings that must be recorded do not begin. \
                     Look that custody, front and a recorder run; the recorder probes by itself"
                )
            }
        }
    }
}

impl Report {
    fn words(&self) -> String {
        let test = if self.test_token { ", a test token" } else { "" };
        let role = serde_json::to_value(self.role).ok().and_then(|word| word.as_str().map(str::to_owned));
        let mut lines = vec![
            format!("{} {}: {}{test}", self.firm, role.unwrap_or_default(), self.token),
            format!("{}: {}", self.profile.vendor, self.profile.notes),
        ];
        lines.extend(self.tests.iter().map(|test| match &test.error {
            None => format!("ok      {} ({} µs)", test.what, test.micros),
            Some(why) => format!("FAILED  {}: {why}", test.what),
        }));
        lines.extend(self.missing.iter().map(|what| format!("missing {what}")));
        let word = |probe: &Probe| if probe.fresh { "probe  " } else { "STALE  " };
        lines.extend(self.probes.iter().map(|probe| format!("{} {}", word(probe), probe.words())));
        lines.push(
            if self.ok { "the token does all that it must" } else { "the token does not do all that it must" }
                .to_owned(),
        );
        lines.join("\n")
    }
}

fn try_it(what: &str, action: impl FnOnce() -> Result<(), TokenError>) -> Test {
    let began = Instant::now();
    let result = action();
    let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    Test { what: what.to_owned(), ok: result.is_ok(), micros, error: result.err().map(|e| e.to_string()) }
}

fn signing_name(key: &str) -> Option<&'static str> {
    [token::FIRM_CA, token::POLICY, token::RECORDER_IDENTITY, token::RECORD, token::LEDGER]
        .into_iter()
        .find(|name| *name == key)
}

fn random(device: &mut Device) -> Result<(), TokenError> {
    let odd = |why: &str| TokenError::Failed { what: "making random bytes", why: why.to_owned() };
    let (one, two) = (device.call(&Call::Random(32))?, device.call(&Call::Random(32))?);
    if one.len() == 32 && one != two { Ok(()) } else { Err(odd("the same bytes twice")) }
}

fn sign_verify(device: &mut Device, key: &'static str, spki: &[u8]) -> Result<(), TokenError> {
    let odd = || TokenError::Failed { what: "signing", why: "the signature does not verify".to_owned() };
    let hash = evidence::sha256(b"strongroom self-test");
    let signature = device.call(&Call::Sign { key, hash })?;
    let signature: [u8; 64] = signature.as_slice().try_into().map_err(|_| odd())?;
    let key = PublicKey::from_spki(spki).map_err(|_| odd())?;
    key.verify_prehash(&hash, &signature).map_err(|_| odd())
}
