//! A firm's part of the state: tokens by custody's own ceremony, people, statements, configuration.

use super::configs;
use super::files;
use super::plan::{FIRMS, Firm, GRACE_MS, PAUSE_MS, Plan, ROOMS, Room, TOKENS};
use crate::{run, say};
use anyhow::Context;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// Runs a shipped binary to its end.
fn tool(plan: &Plan, name: &str, words: &[&str]) -> anyhow::Result<String> {
    run::capture(Command::new(plan.binaries.join(name)).args(words).env("NO_COLOR", "1").env("RUST_LOG", "warn"))
        .with_context(|| format!("{name} {}", words.first().unwrap_or(&"")))
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Public facts of a firm's tokens, by token.
pub struct Facts(Vec<(String, Value)>);

impl Facts {
    fn key(&self, token: &str, name: &str) -> anyhow::Result<Value> {
        let keys = self.of(token)?["keys"].as_array().cloned().unwrap_or_default();
        keys.into_iter()
            .find(|pair| pair[0] == name)
            .map(|pair| pair[1].clone())
            .with_context(|| format!("token {token} has no key {name}"))
    }
    fn archive_keys(&self) -> anyhow::Result<Vec<Value>> {
        let keys = self.of("archive")?["keys"].as_array().cloned().unwrap_or_default();
        let archive = |pair: &Value| pair[0].as_str().is_some_and(|name| name.starts_with("archive-"));
        Ok(keys.into_iter().filter(archive).map(|pair| pair[1].clone()).collect())
    }
    fn of(&self, token: &str) -> anyhow::Result<&Value> {
        let found = self.0.iter().find(|(name, _)| name == token).map(|(_, facts)| facts);
        found.with_context(|| format!("no facts of token {token}"))
    }
}

/// Makes or finds a firm's tokens; answers their public facts.
pub fn tokens(plan: &Plan, firm: &Firm) -> anyhow::Result<Facts> {
    for folder in ["run", "tokens", "archive"] {
        files::folder(&plan.firm(firm, folder))?;
    }
    let step = (!plan.firm(firm, "facts.json").is_file())
        .then(|| say::step(format!("{}: keys on three test tokens", firm.name)));
    let mut facts = Vec::new();
    for token in TOKENS {
        files::write(&plan.firm(firm, &format!("custody-{token}.toml")), &configs::custody(plan, firm, token, None))?;
    }
    let kept = plan.firm(firm, "facts.json");
    if let Some(there) = std::fs::read(&kept).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok()) {
        facts = TOKENS.iter().map(|token| ((*token).to_owned(), there[token].clone())).collect();
    } else {
        for token in TOKENS {
            let config = text(&plan.firm(firm, &format!("custody-{token}.toml")));
            let printed = tool(plan, "strongroom-custody", &["ceremony", "--config", &config])?;
            let value =
                serde_json::from_str(&printed).with_context(|| format!("the ceremony of {token} printed no JSON"))?;
            facts.push((token.to_owned(), value));
        }
        let all: Value = facts.iter().cloned().collect::<serde_json::Map<_, _>>().into();
        files::write(&kept, &serde_json::to_string_pretty(&all)?)?;
    }
    let facts = Facts(facts);
    // People certifies recorders that this firm's record token vouches for: known only now.
    let identity = facts.key("record", "recorder-identity")?;
    let people = configs::custody(plan, firm, "people", identity.as_str());
    files::write(&plan.firm(firm, "custody-people.toml"), &people)?;
    if let Some(step) = step {
        step.done();
    }
    Ok(facts)
}

/// `trust.json`: what every part pins.
pub fn trust(plan: &Plan, facts: &[Facts], order_key: &str) -> anyhow::Result<()> {
    let mut firms = Vec::new();
    for (firm, facts) in FIRMS.iter().zip(facts) {
        firms.push(json!({
            "firm": firm.id,
            "name": firm.name,
            "roots": [facts.of("people")?["root"]],
            "policy_key": facts.key("people", "policy")?,
            "recorder_identity": facts.key("record", "recorder-identity")?,
            "record_key": facts.key("record", "record")?,
            "ledger_key": facts.key("archive", "ledger")?,
            "archive_keys": facts.archive_keys()?,
        }));
    }
    let map = json!({ "version": 1, "firms": firms, "order_key": order_key });
    files::write(&plan.at("trust.json"), &serde_json::to_string_pretty(&map)?)
}

/// Users and key of the development identity provider.
pub fn people(plan: &Plan, firm: &Firm) -> anyhow::Result<()> {
    if !plan.firm(firm, "idp.pem").is_file() {
        let (key, jwks) = (text(&plan.firm(firm, "idp.pem")), text(&plan.firm(firm, "jwks.json")));
        tool(plan, "strongroom-front", &["idp-key", "--out", &key, "--jwks", &jwks])?;
    }
    let users = plan.firm(firm, "users.json");
    // a state that is older than somebody of the firm gets everybody anew
    let known = std::fs::read_to_string(&users).unwrap_or_default();
    if !firm.people.iter().all(|person| known.contains(&format!("\"{}\"", person.user))) {
        let clear: Vec<Value> = firm
            .people
            .iter()
            .map(|person| {
                json!({ "user": person.user, "name": person.name, "roles": person.roles, "password": format!("{}-demo", person.user) })
            })
            .collect();
        let file = plan.firm(firm, "people.json");
        files::write(&file, &serde_json::to_string_pretty(&clear)?)?;
        tool(plan, "strongroom-front", &["hash-users", "--in", &text(&file), "--out", &text(&users)])?;
        std::fs::remove_file(&file)?;
    }
    Ok(())
}

/// Signed statements about both rooms.
pub fn statements(plan: &Plan, firm: &Firm, now_ms: u128) -> anyhow::Result<()> {
    let ids = archive_key_ids(plan, firm)?;
    for Room { id: room, audio_video: rule, chat, .. } in &ROOMS {
        let out = plan.at("operator/statements").join(format!("{}.{room}.cose", firm.id));
        if out.is_file() {
            continue;
        }
        files::folder(&plan.at("operator/statements"))?;
        let statement = json!({
            "version": 1, "serial": 1, "firm": firm.id, "room": room,
            "audio_video": rule, "chat": chat, "files": chat, "tier": "full",
            "retention_years": firm.retention_years, "recorder_grace_ms": GRACE_MS,
            "pause": { "by": [firm.supervisor], "at_most_ms": PAUSE_MS }, "copies": "on-request",
            "archive_key_ids": ids, "issued_at": now_ms as u64,
        });
        let file = plan.firm(firm, &format!("statement.{room}.json"));
        files::write(&file, &serde_json::to_string_pretty(&statement)?)?;
        let config = text(&plan.firm(firm, "custody-people.toml"));
        tool(
            plan,
            "strongroom-custody",
            &["sign-statement", "--config", &config, "--statement", &text(&file), "--out", &text(&out)],
        )?;
    }
    Ok(())
}

/// SHA-256 of each archive key's SPKI.
fn archive_key_ids(plan: &Plan, firm: &Firm) -> anyhow::Result<Vec<String>> {
    let facts: Value = serde_json::from_slice(&std::fs::read(plan.firm(firm, "facts.json"))?)?;
    let pairs = facts["archive"]["keys"].as_array().cloned().unwrap_or_default();
    let mut ids = Vec::new();
    for pair in pairs.iter().filter(|pair| pair[0].as_str().is_some_and(|name| name.starts_with("archive-"))) {
        let spki = pair[1].as_str().context("a key is text")?;
        let mut standard = spki.replace('-', "+").replace('_', "/");
        standard.push_str(&"=".repeat((4 - standard.len() % 4) % 4));
        let (file, der) = (plan.firm(firm, "archive-key.txt"), plan.firm(firm, "archive-key.der"));
        files::write(&file, &standard)?;
        run::capture(Command::new("base64").arg("-d").arg(&file).stdout(std::fs::File::create(&der)?))?;
        let printed = run::capture(Command::new("sha256sum").arg(&der))?;
        ids.push(printed.split(' ').next().unwrap_or_default().to_owned());
        std::fs::remove_file(&file)?;
        std::fs::remove_file(&der)?;
    }
    Ok(ids)
}
