//! Forwarders in a process of their own: what is asked of one, and those that are asked by JSON lines (the protocol is in
//! README.md, "Another peer").

use crate::client::Client;
use crate::generator::{Farewell, Publisher, Running, connect, maker};
use crate::machine::{Core, Meter, pin};
use crate::packet::{Kind, SSRC, VP8};
use crate::sink::Subscriber;
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A client as a peer must know it: full ICE (controlling), DTLS client.
#[derive(Debug, Clone, Serialize)]
pub struct Described {
    /// ICE user name fragment.
    pub ufrag: String,
    /// ICE password.
    pub password: String,
    /// SHA-256 of its certificate, `AA:BB:…`.
    pub fingerprint: String,
    /// Its one host candidate.
    pub address: SocketAddr,
}

/// A peer's end of one transport: ICE-lite or full (controlled), DTLS server.
#[derive(Debug, Clone, Deserialize)]
pub struct Remote {
    /// ICE user name fragment.
    pub ufrag: String,
    /// ICE password.
    pub password: String,
    /// SHA-256 of its certificate, `AA:BB:…`.
    pub fingerprint: String,
    /// Its host candidate.
    pub address: SocketAddr,
    /// Id of the transport-wide sequence number in what it sends, 0 if none.
    #[serde(default)]
    pub transport_sequence_id: u8,
}

/// A forwarder in another process.
pub trait Peer {
    /// Makes the end of a publisher of VP8 with [`SSRC`] and payload type 96 (repair: the next of both).
    fn publisher(&mut self, client: &Described) -> anyhow::Result<Remote>;
    /// Makes the end of a subscriber to it; media comes with payload type 96.
    fn subscriber(&mut self, client: &Described) -> anyhow::Result<Remote>;
    /// Its process.
    fn process(&self) -> u32;
}

fn describe(client: &Client) -> Described {
    let (ufrag, password, fingerprint) = client.description();
    let fingerprint = dimpl::certificate::format_fingerprint(&fingerprint);
    Described { ufrag, password, fingerprint, address: client.local_address() }
}

fn expect(client: &mut Client, remote: &Remote) -> anyhow::Result<()> {
    let bytes: Result<Vec<u8>, _> = remote.fingerprint.split(':').map(|pair| u8::from_str_radix(pair, 16)).collect();
    let fingerprint = bytes.context("the peer's fingerprint")?;
    client.expect((remote.ufrag.clone(), remote.password.clone()), fingerprint, remote.address);
    Ok(())
}

/// Gives a peer its participants; `address` is where they live.
pub fn start(mut peer: impl Peer + 'static, subscribers: usize, address: IpAddr) -> anyhow::Result<Running> {
    let maker = maker();
    let mut publisher = maker.client_at(address);
    let remote = peer.publisher(&describe(&publisher)).context("publisher")?;
    expect(&mut publisher, &remote)?;
    connect(&mut [&mut publisher], || {}).context("publisher")?;
    let mut clients = Vec::new();
    let mut feedback_id = 0;
    for _ in 0..subscribers {
        let mut client = maker.client_at(address);
        let remote = peer.subscriber(&describe(&client)).context("subscriber")?;
        expect(&mut client, &remote)?;
        feedback_id = remote.transport_sequence_id;
        connect(&mut [&mut client], || publisher.drive()).context("subscriber")?;
        clients.push(client);
        // without checks from us it would think us gone
        clients.iter_mut().for_each(Client::drive);
    }
    let meter = Meter::Process(peer.process());
    Ok(Running {
        cipher: super::cipher(&publisher),
        publishers: vec![Publisher::new(publisher, Kind::Video, 0)],
        subscribers: clients.into_iter().map(|client| Subscriber::new(client, 1, feedback_id)).collect(),
        meter,
        end: Box::new(move || {
            drop(peer);
            Farewell::default()
        }),
        threads: Vec::new(),
    })
}

/// A child on the forwarder's core, ended with its owner.
pub struct Process(pub Child);

impl Process {
    /// Starts it.
    pub fn start(command: &mut Command) -> anyhow::Result<Self> {
        let text = format!("{command:?}");
        let spawn = || {
            pin(Core::Forwarder);
            command.spawn()
        };
        // a child inherits the core of the thread that starts it
        let child = std::thread::scope(|scope| scope.spawn(spawn).join());
        let child = child.map_err(|_| anyhow::anyhow!("{text}: not started"))?;
        Ok(Self(child.with_context(|| format!("start {text}"))?))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // it may be gone already
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[derive(Serialize)]
struct Ask<'a> {
    r#do: &'static str,
    #[serde(flatten)]
    client: &'a Described,
    ssrc: u32,
    payload_type: u8,
    cipher: &'static str,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Reply {
    Error { error: String },
    Remote(Remote),
}

#[derive(Deserialize)]
struct Hello {
    name: String,
    pid: Option<u32>,
}

/// A peer that speaks JSON lines on its standard input and output.
pub struct Adapter {
    process: Process,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    pid: u32,
    /// What it calls itself.
    pub name: String,
}

impl Adapter {
    /// Starts it and waits for its first line.
    pub fn start(command: &mut Command) -> anyhow::Result<Self> {
        let mut process = Process::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
        let stdin = process.0.stdin.take().context("its standard input")?;
        let stdout = BufReader::new(process.0.stdout.take().context("its standard output")?);
        let mut adapter = Self { pid: process.0.id(), process, stdin, stdout, name: String::new() };
        let hello: Hello = adapter.line()?;
        adapter.pid = hello.pid.unwrap_or_else(|| adapter.process.0.id());
        adapter.name = hello.name;
        Ok(adapter)
    }

    fn line<T: for<'a> Deserialize<'a>>(&mut self) -> anyhow::Result<T> {
        let mut line = String::new();
        anyhow::ensure!(self.stdout.read_line(&mut line)? > 0, "{} ended", self.name);
        serde_json::from_str(&line).with_context(|| format!("{}: {line}", self.name))
    }

    fn ask(&mut self, what: &'static str, client: &Described) -> anyhow::Result<Remote> {
        let ask = Ask { r#do: what, client, ssrc: SSRC, payload_type: VP8, cipher: "AEAD_AES_256_GCM" };
        writeln!(self.stdin, "{}", serde_json::to_string(&ask)?)?;
        match self.line()? {
            Reply::Remote(remote) => Ok(remote),
            Reply::Error { error } => anyhow::bail!("{}: {error}", self.name),
        }
    }
}

impl Peer for Adapter {
    fn publisher(&mut self, client: &Described) -> anyhow::Result<Remote> {
        self.ask("publisher", client)
    }
    fn subscriber(&mut self, client: &Described) -> anyhow::Result<Remote> {
        self.ask("subscriber", client)
    }
    fn process(&self) -> u32 {
        self.pid
    }
}

/// The SDP of a client with one section of VP8, for peers that want SDP. `direction` is the client's.
pub fn sdp(client: &Described, mid: &str, direction: &str) -> String {
    let Described { ufrag, password, fingerprint, address } = client;
    let (ip, port) = (address.ip(), address.port());
    let mut lines: Vec<String> = vec![
        "v=0".into(),
        format!("o=- 1 1 IN IP4 {ip}"),
        "s=-".into(),
        "t=0 0".into(),
        format!("a=group:BUNDLE {mid}"),
        "m=video 9 UDP/TLS/RTP/SAVPF 96 97".into(),
        format!("c=IN IP4 {ip}"),
        format!("a=mid:{mid}"),
        format!("a={direction}"),
        "a=rtcp-mux".into(),
        format!("a=ice-ufrag:{ufrag}"),
        format!("a=ice-pwd:{password}"),
        format!("a=fingerprint:sha-256 {fingerprint}"),
        "a=setup:active".into(),
        "a=rtpmap:96 VP8/90000".into(),
        "a=rtcp-fb:96 nack".into(),
        "a=rtcp-fb:96 nack pli".into(),
        "a=rtcp-fb:96 transport-cc".into(),
        "a=rtpmap:97 rtx/90000".into(),
        "a=fmtp:97 apt=96".into(),
        format!("a=extmap:3 {TRANSPORT_SEQUENCE}"),
        format!("a=candidate:1 1 udp 2130706431 {ip} {port} typ host"),
        "a=end-of-candidates".into(),
    ];
    if direction == "sendonly" {
        lines.push("a=msid:s0 s0-v".into());
        lines.push(format!("a=ssrc-group:FID {SSRC} {}", SSRC + 1));
        lines.push(format!("a=ssrc:{SSRC} cname:s0"));
        lines.push(format!("a=ssrc:{} cname:s0", SSRC + 1));
    }
    lines.push(String::new());
    lines.join("\r\n")
}

/// URI of the transport-wide sequence number.
const TRANSPORT_SEQUENCE: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";

/// What a peer's SDP says of its end; the candidate is the first of UDP.
pub fn read_sdp(text: &str) -> anyhow::Result<Remote> {
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix("a=")?.strip_prefix(name)?.strip_prefix(':'));
        line.map(str::to_owned).with_context(|| format!("no {name} in {text}"))
    };
    let candidates = text.lines().filter_map(|line| line.trim().strip_prefix("a=candidate:"));
    let udp = |line: &str| {
        let part: Vec<&str> = line.split(' ').collect();
        (part.len() > 5 && part[2].eq_ignore_ascii_case("udp")).then(|| (part[4].to_owned(), part[5].to_owned()))
    };
    let (ip, port) = candidates.filter_map(udp).next().with_context(|| format!("no candidate in {text}"))?;
    let extension = text.lines().find(|line| line.starts_with("a=extmap:") && line.contains(TRANSPORT_SEQUENCE));
    let id = extension.and_then(|line| line["a=extmap:".len()..].split([' ', '/']).next()?.parse().ok());
    Ok(Remote {
        ufrag: value("ice-ufrag")?,
        password: value("ice-pwd")?,
        fingerprint: value("fingerprint")?.split(' ').next_back().unwrap_or_default().to_owned(),
        address: SocketAddr::new(ip.parse()?, port.parse()?),
        transport_sequence_id: id.unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_peer_wants_and_says_in_sdp_is_written_and_read() {
        let address = SocketAddr::from(([127, 0, 0, 1], 5000));
        let fingerprint = vec!["AB"; 32].join(":");
        let client = Described { ufrag: "u".into(), password: "p".into(), fingerprint: fingerprint.clone(), address };
        let found = read_sdp(&sdp(&client, "0", "sendonly")).expect("whole");
        assert_eq!((found.ufrag.as_str(), found.password.as_str()), ("u", "p"));
        assert_eq!((found.fingerprint, found.address, found.transport_sequence_id), (fingerprint, address, 3));
        assert!(read_sdp("v=0").is_err());
    }
}
