//! `check`: proves by doing what the token can do, and says it as JSON. Exit 0 only if everything this role needs works.

use crate::ceremony;
use crate::config::Config;
use crate::failure::Failure;
use crate::token::profile::Profile;
use crate::token::{self, Call, Device, Token, TokenError};
use domain::message::custody::TokenRole;
use evidence::key::PublicKey;
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

/// Runs the self-test.
///
/// # Errors
/// [`Failure::Unavailable`] if anything this role needs does not work.
pub fn run(config: &Config) -> Result<(), Failure> {
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
        ok,
    };
    let text = serde_json::to_string_pretty(&report).expect("plain data");
    writeln!(std::io::stdout(), "{text}").map_err(|e| Failure::Other(format!("standard output: {e}")))?;
    if ok {
        Ok(())
    } else {
        Err(Failure::Unavailable("the token does not do all that it must; see the report".to_owned()))
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
