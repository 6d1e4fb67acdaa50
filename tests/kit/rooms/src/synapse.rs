//! A real Synapse from PyPI on loopback, over SQLite, without federation, with two application services: the one under test,
//! and one whose users are everybody, by which tests act as people.

use crate::process::{free_port, start, wait};
use anyhow::Context;
use reqwest::Method;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;
use xtask::place::Place;

/// Ready in four seconds on a quiet machine.
const READY_WITHIN: Duration = Duration::from_secs(90);
/// Name of the homeserver.
pub const SERVER: &str = "rooms.test";
/// Our user at it.
pub const SENDER: &str = "@strongroom:rooms.test";
/// `id` of the registration under test.
pub const ID: &str = "strongroom";
const AS_TOKEN: &str = "as-token-of-a-test";
/// What the homeserver shows when it pushes.
pub const HS_TOKEN: &str = "hs-token-of-a-test";
const PEOPLE_TOKEN: &str = "people-token-of-a-test";

/// A running homeserver.
pub struct Synapse {
    child: Child,
    port: u16,
    /// Where it pushes to.
    pub pushes_to: u16,
    folder: tempfile::TempDir,
    client: reqwest::Client,
}

impl Drop for Synapse {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn place() -> Place {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    Place { root: root.ancestors().nth(3).expect("tests/kit/rooms is inside the workspace").to_owned() }
}

impl Synapse {
    /// Starts one that pushes to a port that is free now.
    pub async fn start() -> anyhow::Result<Self> {
        let python = xtask::setup::synapse::provide(&place())?;
        let folder = tempfile::Builder::new().prefix("sr-synapse-").tempdir()?;
        let (port, pushes_to) = (free_port()?, free_port()?);
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("signing.key"), "ed25519 a_test AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n")?;
        let service = |id: &str, token: &str, sender: &str, url: Value, users: &str| {
            json!({ "id": id, "url": url, "as_token": token, "hs_token": HS_TOKEN, "sender_localpart": sender,
                "rate_limited": false,
                "namespaces": { "users": [{ "exclusive": false, "regex": users }], "aliases": [], "rooms": [] } })
        };
        let url = json!(format!("http://127.0.0.1:{pushes_to}"));
        std::fs::write(at("as.yaml"), service(ID, AS_TOKEN, "strongroom", url, SENDER).to_string())?;
        let people = service("people", PEOPLE_TOKEN, "people", Value::Null, "@.*:rooms\\.test");
        std::fs::write(at("people.yaml"), people.to_string())?;
        let fast = json!({ "per_second": 10_000, "burst_count": 10_000 });
        // JSON is YAML
        let config = json!({
            "server_name": SERVER, "pid_file": at("pid"), "report_stats": false, "presence": { "enabled": false },
            "listeners": [{ "port": port, "bind_addresses": ["127.0.0.1"], "type": "http", "tls": false,
                "resources": [{ "names": ["client", "openid"], "compress": false }] }],
            "database": { "name": "sqlite3", "args": { "database": at("db") } },
            "media_store_path": at("media"), "signing_key_path": at("signing.key"), "trusted_key_servers": [],
            "macaroon_secret_key": "of a test", "form_secret": "of a test", "federation_domain_whitelist": [],
            "app_service_config_files": [at("as.yaml"), at("people.yaml")],
            "rc_message": fast, "rc_invites": { "per_room": fast, "per_user": fast, "per_issuer": fast },
            "rc_joins": { "local": fast, "remote": fast },
        });
        std::fs::write(at("homeserver.yaml"), config.to_string())?;
        std::fs::write(at("as-token"), AS_TOKEN)?;
        std::fs::write(at("hs-token"), HS_TOKEN)?;
        let mut command = Command::new(python);
        command.current_dir(folder.path()).args(["-m", "synapse.app.homeserver", "--config-path"]);
        let log = at("log");
        let mut child = start(command.arg(at("homeserver.yaml")), &log)?;
        wait(&mut child, &log, READY_WITHIN, || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok())?;
        Ok(Self { child, port, pushes_to, folder, client: reqwest::Client::builder().no_proxy().build()? })
    }

    /// Its client API.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Files with the two tokens of the application service under test.
    pub fn token_files(&self) -> [PathBuf; 2] {
        ["as-token", "hs-token"].map(|name| self.folder.path().join(name))
    }

    /// Calls the client API as a person.
    pub async fn call(&self, method: Method, path: &str, person: &str, body: Value) -> anyhow::Result<Value> {
        let url = format!("{}/_matrix/client/v3/{path}", self.url());
        let asked = self.client.request(method, url).bearer_auth(PEOPLE_TOKEN).query(&[("user_id", person)]);
        let answer = asked.json(&body).send().await?;
        let (status, body) = (answer.status(), answer.json::<Value>().await?);
        anyhow::ensure!(status.is_success(), "{path}: {status} {body}");
        Ok(body)
    }

    /// Makes a person, or finds that it is there.
    pub async fn person(&self, name: &str) -> anyhow::Result<String> {
        let body = json!({ "type": "m.login.application_service", "username": name, "inhibit_login": true });
        let url = format!("{}/_matrix/client/v3/register", self.url());
        let answer = self.client.post(url).bearer_auth(PEOPLE_TOKEN).json(&body).send().await?;
        let (status, body) = (answer.status(), answer.json::<Value>().await?);
        anyhow::ensure!(status.is_success() || body["errcode"] == "M_USER_IN_USE", "register: {status} {body}");
        Ok(format!("@{name}:{SERVER}"))
    }

    /// Makes a private room of a keeper who is of no firm, invites [`SENDER`], and returns its id. `levels` are power levels of
    /// people; `policy` is the state event's type and content, guarded by level 100.
    pub async fn room(&self, title: &str, levels: &[(String, i64)], policy: (&str, Value)) -> anyhow::Result<String> {
        let keeper = self.person("keeper").await?;
        let mut users = json!({ &keeper: 100 });
        for (person, level) in levels {
            users[person] = json!(level);
        }
        let body = json!({
            "name": title, "preset": "private_chat", "room_version": "11", "invite": [SENDER],
            "power_level_content_override": { "users": users, "events": { policy.0: 100 } },
            "initial_state": [{ "type": policy.0, "state_key": "", "content": policy.1 }],
        });
        let made = self.call(Method::POST, "createRoom", &keeper, body).await?;
        made["room_id"].as_str().map(str::to_owned).context("a room's id")
    }

    /// The keeper changes or reads a room.
    pub async fn keeper(&self, method: Method, room: &str, path: &str, body: Value) -> anyhow::Result<Value> {
        self.call(method, &format!("rooms/{room}/{path}"), &format!("@keeper:{SERVER}"), body).await
    }

    /// A person is invited and joins.
    pub async fn join(&self, room: &str, name: &str) -> anyhow::Result<()> {
        let person = self.person(name).await?;
        self.keeper(Method::POST, room, "invite", json!({ "user_id": person })).await?;
        self.call(Method::POST, &format!("rooms/{room}/join"), &person, json!({})).await.map(|_| ())
    }

    /// A person is put out by the keeper.
    pub async fn kick(&self, room: &str, name: &str) -> anyhow::Result<()> {
        let person = format!("@{name}:{SERVER}");
        self.keeper(Method::POST, room, "kick", json!({ "user_id": person })).await.map(|_| ())
    }

    /// What our user said in a room.
    pub async fn said(&self, room: &str) -> anyhow::Result<Vec<String>> {
        let said = self.keeper(Method::GET, room, "messages?dir=f&limit=100", json!({})).await?;
        let said = said["chunk"].as_array().into_iter().flatten();
        let ours = said.filter(|event| event["type"] == "m.room.message" && event["sender"] == SENDER);
        Ok(ours.filter_map(|event| event["content"]["body"].as_str().map(str::to_owned)).collect())
    }

    /// Pushes a transaction as the homeserver does.
    pub async fn push(&self, number: &str, token: &str, events: Value) -> anyhow::Result<u16> {
        let url = format!("http://127.0.0.1:{}/_matrix/app/v1/transactions/{number}", self.pushes_to);
        let body = json!({ "events": events });
        Ok(self.client.put(url).bearer_auth(token).json(&body).send().await?.status().as_u16())
    }

    /// An OpenID token by which a person proves itself to others.
    pub async fn openid(&self, person: &str) -> anyhow::Result<String> {
        let path = format!("user/{person}/openid/request_token");
        let answer = self.call(Method::POST, &path, person, json!({})).await?;
        answer["access_token"].as_str().map(str::to_owned).context("a token")
    }
}
