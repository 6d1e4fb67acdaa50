//! `check browsers --only relay`: a meeting whose every transport goes through Debian's coturn, by UDP, TCP and TLS, run
//! with the operator's configuration of `docs/deploy/coturn.conf`; and what that server must refuse. The server lives in
//! the check's own folder and on free ports, and ends with the check.

use super::stage::Stage;
use super::{archives, people};
use crate::demo::plan::{FIRMS, Plan};
use crate::demo::{files, ports};
use crate::ended::{failed, unavailable};
use crate::place::Place;
use crate::setup::node::Node;
use crate::{run, say};
use anyhow::Context;
use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What the operator is told to run.
const CONFIG: &str = "docs/deploy/coturn.conf";
/// The realm in it.
const REALM: &str = "strongroom";
/// Tables of coturn's database, from its package.
const SCHEMA: &str = "/usr/share/coturn/schema.sql";
/// It listens within a second; this is for a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// A running coturn.
struct Coturn {
    child: Child,
    folder: PathBuf,
    ip: Ipv4Addr,
    port: u16,
    tls_port: u16,
}

/// The three secrets of the check: signaling's, one that is taken away, one that is given.
struct Secrets {
    own: String,
    leaving: String,
    coming: String,
}

impl Secrets {
    fn new() -> anyhow::Result<Self> {
        let random = || -> anyhow::Result<String> {
            let mut bytes = [0; 16];
            File::open("/dev/urandom")?.read_exact(&mut bytes)?;
            Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
        };
        Ok(Self { own: random()?, leaving: random()?, coming: random()? })
    }
}

/// Holds the meeting and judges it.
pub fn check(place: &Place, node: &Node) -> anyhow::Result<()> {
    let ip = ports::outward().ok_or_else(|| {
        unavailable("coturn relays to no loopback address, and this machine has no other IPv4 address")
    })?;
    let secrets = Secrets::new()?;
    let mut coturn = None;
    let mut stage = Stage::set_with(place, node, "-relay", |plan| {
        let started = Coturn::start(place, &plan.at("relay"), ip, &secrets)?;
        started.tell_signaling(plan, &secrets)?;
        coturn = Some(started);
        Ok(())
    })?;
    let coturn = coturn.context("the stage was set without its relay")?;
    let step = say::step("a meeting through coturn: UDP, TCP, TLS; what coturn must refuse");
    let mut arguments = people(&stage.plan);
    arguments.extend(coturn.arguments(&secrets));
    let seen = stage.drive_and("relay", &arguments, |_| coturn.change(&secrets))?;
    step.done();
    say::line(seen.to_string());
    let mut wrong = if seen["ok"] == true { vec![] } else { vec![format!("the relay: {}", seen["faults"])] };
    let proven = archives::judge(&stage.plan)?;
    say::line(format!("   archives: {} verified, {} frames, {} gaps", proven.verified, proven.frames, proven.gaps));
    if proven.verified != FIRMS.len() || proven.frames == 0 {
        wrong.push("a meeting through the relay was not archived by both firms".into());
    }
    drop(coturn);
    stage.close(&wrong)
}

impl Coturn {
    /// Starts it on free ports, for the SFU at the same address.
    fn start(place: &Place, folder: &Path, ip: Ipv4Addr, secrets: &Secrets) -> anyhow::Result<Self> {
        let program =
            run::find("turnserver").ok_or_else(|| unavailable("coturn is not there: apt-get install coturn"))?;
        let step = say::step("start coturn");
        files::folder(folder)?;
        let alternative = format!("subjectAltName=IP:{ip}");
        let words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
        let names = ["-subj", "/CN=relay", "-addext", &alternative, "-keyout", "relay.key", "-out", "relay.pem"];
        run::capture(Command::new("openssl").args(words).args(names).current_dir(folder))?;
        let (port, tls_port) = (free(ip)?, free(ip)?);
        let log = File::create(folder.join("coturn.log"))?;
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "TERM", "--"])
            .arg(program)
            .current_dir(folder)
            .arg("-c")
            .arg(place.root.join(CONFIG));
        command.args([format!("--listening-ip={ip}"), format!("--relay-ip={ip}"), format!("--allowed-peer-ip={ip}")]);
        if has_ipv6() {
            command.arg("--relay-ip=::1");
        }
        command.args([format!("--listening-port={port}"), format!("--tls-listening-port={tls_port}")]);
        command.args(["--cert=relay.pem", "--pkey=relay.key", "--userdb=secrets.db", "--pidfile=coturn.pid"]);
        command.args(["--log-file=stdout", "--verbose"]);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // the secrets are there before it looks for them
        let sql = format!(".read {SCHEMA}\n{}{}", given(&secrets.own), given(&secrets.leaving));
        database(folder, &sql)?;
        let child = command.spawn().with_context(|| format!("start `{}`", run::text(&command)))?;
        let mut coturn = Self { child, folder: folder.to_owned(), ip, port, tls_port };
        coturn.await_ready()?;
        step.done_with(&format!("process {}", coturn.child.id()));
        Ok(coturn)
    }

    fn await_ready(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + READY_WITHIN;
        let listens = |port: u16| {
            let at = SocketAddr::new(IpAddr::V4(self.ip), port);
            TcpStream::connect_timeout(&at, Duration::from_secs(1)).is_ok()
        };
        while !(listens(self.port) && listens(self.tls_port)) {
            if self.child.try_wait()?.is_some() || Instant::now() > until {
                let log = self.folder.join("coturn.log");
                return Err(failed(format!("coturn does not listen. The end of its log:\n{}", run::tail(&log, 20))));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// `[relays]` of signaling's configuration.
    fn tell_signaling(&self, plan: &Plan, secrets: &Secrets) -> anyhow::Result<()> {
        files::write(&plan.at("operator/relay.secret"), &secrets.own)?;
        let path = plan.at("operator/signaling.toml");
        let config = std::fs::read_to_string(&path)?;
        let (ip, port, tls_port) = (self.ip, self.port, self.tls_port);
        let urls = format!(
            "\"turn:{ip}:{port}?transport=udp\", \"turn:{ip}:{port}?transport=tcp\", \"turns:{ip}:{tls_port}?transport=tcp\""
        );
        files::write(&path, &format!("{config}\n[relays]\nurls = [{urls}]\nsecret_file = \"relay.secret\"\n"))
    }

    /// What the drive must know of it.
    fn arguments(&self, secrets: &Secrets) -> Vec<String> {
        let words = [
            ("--host", self.ip.to_string()),
            ("--port", self.port.to_string()),
            ("--tls-port", self.tls_port.to_string()),
            ("--secret", secrets.own.clone()),
            ("--leaving", secrets.leaving.clone()),
            ("--coming", secrets.coming.clone()),
        ];
        let mut arguments: Vec<String> = words.into_iter().flat_map(|(name, value)| [name.into(), value]).collect();
        if !has_ipv6() {
            say::line("   this machine has no IPv6: relaying to IPv6 addresses is not tried");
            arguments.push("--no-ipv6".into());
        }
        arguments
    }

    /// Changes secrets while it runs, as docs/operations.md says.
    fn change(&self, secrets: &Secrets) -> anyhow::Result<()> {
        let leaving = &secrets.leaving;
        database(
            &self.folder,
            &format!("{}delete from turn_secret where value = '{leaving}';\n", given(&secrets.coming)),
        )
    }
}

impl Drop for Coturn {
    fn drop(&mut self) {
        // already ended, if it failed
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn given(secret: &str) -> String {
    format!("insert into turn_secret values ('{REALM}', '{secret}');\n")
}

/// Statements by a file and standard input: no secret in a list of processes.
fn database(folder: &Path, statements: &str) -> anyhow::Result<()> {
    let path = folder.join("statements.sql");
    files::write(&path, statements)?;
    let out = Command::new("sqlite3")
        .args(["-bail", "-cmd", ".timeout 5000", "secrets.db"])
        .current_dir(folder)
        .stdin(File::open(&path)?)
        .output()
        .context("start sqlite3")?;
    std::fs::remove_file(&path)?;
    if out.status.success() {
        return Ok(());
    }
    Err(failed(format!("coturn's database: {}", String::from_utf8_lossy(&out.stderr))))
}

/// A port that is free for UDP and TCP.
fn free(ip: Ipv4Addr) -> anyhow::Result<u16> {
    loop {
        let held = TcpListener::bind((ip, 0))?;
        let port = held.local_addr()?.port();
        if UdpSocket::bind((ip, port)).is_ok() {
            return Ok(port);
        }
    }
}

fn has_ipv6() -> bool {
    UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}
