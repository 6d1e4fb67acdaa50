//! Janus with its VideoRoom, from Debian, one event loop for all (its cheapest mode), over its HTTP interface. It runs in
//! the calling thread's network, which must be [`super::namespace::alone`]: its ports are fixed and it never uses `lo`.

use super::external::{Described, Peer, Process, Remote, read_sdp, sdp, start as start_peer};
use super::namespace::{ADDRESS, INTERFACE};
use crate::generator::Running;
use anyhow::Context;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Debian's package.
pub const PACKAGES: [&str; 1] = ["janus"];
/// Its HTTP port, in a network of its own.
const PORT: u16 = 8088;
/// It answers and sends an event within this time.
const PATIENCE: Duration = Duration::from_secs(10);
/// The one room.
const ROOM: u32 = 1;

/// A running Janus.
struct Janus {
    process: Process,
    folder: PathBuf,
    session: u64,
    publisher: Option<u64>,
    events: Vec<Value>,
}

impl Drop for Janus {
    fn drop(&mut self) {
        // three small files; the system forgets them as well
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Starts it with its participants.
pub fn start(subscribers: usize) -> anyhow::Result<Running> {
    start_peer(Janus::start()?, subscribers, ADDRESS)
}

impl Janus {
    fn start() -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join(format!("strongroom-bench-janus-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let general = format!(
            "general: {{ debug_level = 2\n event_loops = 1\n }}\n\
             nat: {{ ice_lite = true\n ice_enforce_list = \"{INTERFACE}\"\n }}\n\
             plugins: {{ disable = \"{}\" }}\ntransports: {{ disable = \"{}\" }}\n",
            others("plugins", "libjanus_videoroom.so"),
            others("transports", "libjanus_http.so"),
        );
        std::fs::write(folder.join("janus.jcfg"), general)?;
        let http =
            format!("general: {{ json = \"compact\"\n base_path = \"/janus\"\n http = true\n port = {PORT} }}\n");
        std::fs::write(folder.join("janus.transport.http.jcfg"), http)?;
        std::fs::write(folder.join("janus.plugin.videoroom.jcfg"), "general: { }\n")?;
        let mut command = Command::new("janus");
        command.arg("--configs-folder").arg(&folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = Process::start(&mut command)?;
        let mut janus = Self { process, folder, session: 0, publisher: None, events: Vec::new() };
        let until = Instant::now() + PATIENCE;
        let made = loop {
            match janus.request("", json!({"janus": "create"})) {
                Ok(made) => break made,
                Err(error) if Instant::now() > until => return Err(error.context("Janus did not start")),
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        };
        janus.session = made["data"]["id"].as_u64().context("no session")?;
        let handle = janus.attach()?;
        let body = json!({"request": "create", "room": ROOM, "publishers": 3, "videocodec": "vp8", "bitrate": 0,
            "fir_freq": 0, "transport_wide_cc_ext": true, "notify_joining": false});
        let made = janus.request(&format!("/{handle}"), json!({"janus": "message", "body": body}))?;
        anyhow::ensure!(made["plugindata"]["data"]["videoroom"] == "created", "no room: {made}");
        Ok(janus)
    }

    /// One HTTP request on the session's path.
    fn request(&self, path: &str, body: Value) -> anyhow::Result<Value> {
        let mut body = body;
        body["transaction"] = json!("t");
        self.http("POST", path, &body.to_string())
    }

    fn http(&self, method: &str, path: &str, body: &str) -> anyhow::Result<Value> {
        let session = if self.session == 0 { String::new() } else { format!("/{}", self.session) };
        let mut stream = TcpStream::connect(("127.0.0.1", PORT))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(
            stream,
            "{method} /janus{session}{path} HTTP/1.0\r\nHost: janus\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, json) = answer.split_once("\r\n\r\n").context("half an answer")?;
        let value: Value = serde_json::from_str(json.trim()).with_context(|| answer.clone())?;
        anyhow::ensure!(value["janus"] != "error", "Janus: {value}");
        Ok(value)
    }

    fn attach(&self) -> anyhow::Result<u64> {
        let made = self.request("", json!({"janus": "attach", "plugin": "janus.plugin.videoroom"}))?;
        made["data"]["id"].as_u64().context("no handle")
    }

    /// Sends a message to the plugin and waits for its event.
    fn event(&mut self, handle: u64, body: Value, jsep: Option<Value>) -> anyhow::Result<Value> {
        let mut message = json!({"janus": "message", "body": body});
        if let Some(jsep) = jsep {
            message["jsep"] = jsep;
        }
        self.request(&format!("/{handle}"), message)?;
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            let mine = |event: &Value| event["janus"] == "event" && event["sender"] == handle;
            if let Some(at) = self.events.iter().position(mine) {
                let event = self.events.remove(at);
                let data = &event["plugindata"]["data"];
                anyhow::ensure!(data["error"].is_null(), "Janus: {data}");
                return Ok(event);
            }
            // everybody's events come on one path; those that nobody waits for are dropped with the rest
            let event = self.http("GET", "?maxev=1", "")?;
            self.events.push(event);
        }
        anyhow::bail!("Janus sent no event")
    }
}

/// All modules of a folder but one, as its configuration wants them.
fn others(folder: &str, kept: &str) -> String {
    let places = ["/usr/lib/x86_64-linux-gnu/janus", "/usr/lib/aarch64-linux-gnu/janus"];
    let entries = places.iter().filter_map(|place| std::fs::read_dir(format!("{place}/{folder}")).ok()).flatten();
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.ends_with(".so") && name != kept).collect::<Vec<_>>().join(",")
}

impl Peer for Janus {
    fn publisher(&mut self, client: &Described) -> anyhow::Result<Remote> {
        let handle = self.attach()?;
        let join = json!({"request": "join", "ptype": "publisher", "room": ROOM});
        let joined = self.event(handle, join, None)?;
        self.publisher = joined["plugindata"]["data"]["id"].as_u64();
        let jsep = json!({"type": "offer", "sdp": sdp(client, "0", "sendonly"), "trickle": false});
        let publish = json!({"request": "configure", "audio": false, "video": true});
        let answer = self.event(handle, publish, Some(jsep))?;
        read_sdp(answer["jsep"]["sdp"].as_str().context("no answer")?)
    }

    fn subscriber(&mut self, client: &Described) -> anyhow::Result<Remote> {
        let handle = self.attach()?;
        let feed = self.publisher.context("no publisher")?;
        let join = json!({"request": "join", "ptype": "subscriber", "room": ROOM, "streams": [{"feed": feed}]});
        let until = Instant::now() + PATIENCE;
        let attached = loop {
            match self.event(handle, join.clone(), None) {
                // its publisher is one for others only once its own transport is up
                Err(error) if error.to_string().contains("No such feed") && Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                other => break other?,
            }
        };
        let offer = attached["jsep"]["sdp"].as_str().context("no offer")?.to_owned();
        let mid = offer.lines().find_map(|line| line.trim().strip_prefix("a=mid:")).context("no mid")?.to_owned();
        let jsep = json!({"type": "answer", "sdp": sdp(client, &mid, "recvonly"), "trickle": false});
        self.event(handle, json!({"request": "start"}), Some(jsep))?;
        read_sdp(&offer)
    }

    fn process(&self) -> u32 {
        self.process.0.id()
    }
}
