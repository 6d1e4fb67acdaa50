//! ts-mls (npm) under Node: a process that is asked one line of JSON after the other (`ts-mls.mjs`).

use super::foreigner::{Foreigner, Made, Stack};
use anyhow::{Context, bail};
use domain::{B64, LeafIndex};
use evidence::policy::{MEETING_POLICY, RECORDERS};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use strongroom_tests::system::place;

/// The process. Ends with it.
pub struct TsMls {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

fn bytes(answer: &Value, name: &str) -> anyhow::Result<Vec<u8>> {
    let text = answer[name].as_str().with_context(|| format!("no {name} in the answer"))?;
    Ok(hex::decode(text)?)
}

impl TsMls {
    pub fn start(person: &Foreigner) -> anyhow::Result<Self> {
        let place = place();
        let mut child = xtask::setup::node::provide(&place)?
            .command(&place)
            .arg(place.root.join("tests/conformance/interop/ts-mls.mjs"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("start Node")?;
        let input = child.stdin.take().context("its input")?;
        let output = BufReader::new(child.stdout.take().context("its output")?);
        let mut stack = Self { child, input, output };
        stack.ask(json!({
            "do": "begin",
            "secret": hex::encode(&person.key.to_secret()[..]),
            "public": hex::encode(person.key.public_sec1()),
            "certificate": hex::encode(&person.certificate),
            "extensions": [MEETING_POLICY, RECORDERS],
        }))?;
        Ok(stack)
    }

    fn ask(&mut self, request: Value) -> anyhow::Result<Value> {
        writeln!(self.input, "{request}")?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let answer: Value = serde_json::from_str(&line).with_context(|| format!("its answer: {line}"))?;
        if let Some(error) = answer["error"].as_str() {
            bail!("ts-mls: {} failed: {error}", request["do"]);
        }
        Ok(answer)
    }
}

impl Drop for TsMls {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
    }
}

impl Stack for TsMls {
    fn key_package(&mut self) -> anyhow::Result<Vec<u8>> {
        bytes(&self.ask(json!({ "do": "key-package" }))?, "message")
    }
    fn join(&mut self, welcome: &[u8]) -> anyhow::Result<()> {
        self.ask(json!({ "do": "join", "welcome": hex::encode(welcome) })).map(drop)
    }
    fn commit(&mut self, add: &[B64], remove: &[LeafIndex]) -> anyhow::Result<Made> {
        let add: Vec<String> = add.iter().map(|bytes| hex::encode(&bytes.0)).collect();
        let remove: Vec<u32> = remove.iter().map(|leaf| leaf.0).collect();
        let made = self.ask(json!({ "do": "commit", "add": add, "remove": remove }))?;
        let welcome = if made["welcome"].is_null() { None } else { Some(bytes(&made, "welcome")?) };
        Ok(Made { commit: bytes(&made, "commit")?, welcome, group_info: bytes(&made, "groupInfo")? })
    }
    fn apply_own(&mut self) -> anyhow::Result<()> {
        self.ask(json!({ "do": "apply-own" })).map(drop)
    }
    fn apply(&mut self, commit: &[u8]) -> anyhow::Result<()> {
        self.ask(json!({ "do": "apply", "commit": hex::encode(commit) })).map(drop)
    }
    fn say(&mut self, words: &[u8]) -> anyhow::Result<Vec<u8>> {
        bytes(&self.ask(json!({ "do": "say", "words": hex::encode(words) }))?, "message")
    }
    fn hear(&mut self, message: &[u8]) -> anyhow::Result<Vec<u8>> {
        bytes(&self.ask(json!({ "do": "hear", "message": hex::encode(message) }))?, "words")
    }
    fn base_key(&mut self) -> anyhow::Result<Vec<u8>> {
        bytes(&self.ask(json!({ "do": "base-key" }))?, "key")
    }
}
