//! Real S3 servers on loopback: SeaweedFS, whose Object Lock holds, and moto, whose does not. Each ends with its value.

use anyhow::Context;
use recorder_store::class::Class;
use recorder_store::s3::{S3, S3Config};
use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use xtask::place::Place;
use xtask::setup::stores::provide;

/// Access key of both servers.
const ACCESS: &str = "strongroom";
/// Its secret: of a server that lives for one test, on loopback.
const SECRET: &str = "strongroom-test";
/// SeaweedFS is ready in three seconds on a quiet machine.
const READY_WITHIN: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);

/// A running server with its data.
pub struct Server {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGTERM takes SeaweedFS half a minute
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn place() -> Place {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    Place { root: root.ancestors().nth(3).expect("tests/kit/stores is inside the workspace").to_owned() }
}

fn free_ports<const N: usize>() -> anyhow::Result<[u16; N]> {
    let mut held = Vec::new();
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}

fn start(mut command: Command, port: u16, folder: tempfile::TempDir) -> anyhow::Result<Server> {
    let log = folder.path().join("log");
    let file = File::create(&log)?;
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    let child = command.spawn().with_context(|| format!("start {}", command.get_program().display()))?;
    let mut server = Server { child, port, folder };
    let began = Instant::now();
    loop {
        if answers(port) {
            return Ok(server);
        }
        let ended = server.child.try_wait()?;
        if ended.is_some() || began.elapsed() > READY_WITHIN {
            anyhow::bail!("{} is not ready ({ended:?}): {}", log.display(), std::fs::read_to_string(&log)?);
        }
        std::thread::sleep(LOOK);
    }
}

/// Does it speak HTTP? The port alone is open sooner.
fn answers(port: u16) -> bool {
    use std::io::{Read, Write};
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let asked = stream
        .set_read_timeout(Some(Duration::from_secs(2)))
        .and_then(|()| stream.write_all(b"GET / HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n"));
    let mut head = [0; 5];
    asked.is_ok() && stream.read_exact(&mut head).is_ok() && head == *b"HTTP/"
}

/// A SeaweedFS.
pub fn seaweedfs() -> anyhow::Result<Server> {
    let weed = provide(&place())?.weed;
    let folder = tempfile::Builder::new().prefix("sr-weed-").tempdir()?;
    let data = folder.path().join("data");
    std::fs::create_dir(&data)?;
    let identities = serde_json::json!({ "identities": [{
        "name": "recorder",
        "credentials": [{ "accessKey": ACCESS, "secretKey": SECRET }],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }] });
    let config = folder.path().join("s3.json");
    std::fs::write(&config, identities.to_string())?;
    let ports: [u16; 8] = free_ports()?;
    let names = [
        "master.port",
        "master.port.grpc",
        "volume.port",
        "volume.port.grpc",
        "filer.port",
        "filer.port.grpc",
        "s3.port.grpc",
        "s3.port",
    ];
    let mut command = Command::new(weed);
    command.current_dir(folder.path()).arg("server").arg(format!("-dir={}", data.display()));
    // each bucket takes volumes of its own: the default number is used up by three
    command.args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-volume.max=200", "-master.telemetry=false", "-s3"]);
    // otherwise a disk of which less than a hundredth is free takes nothing; a test writes a few megabytes
    command.arg("-volume.minFreeSpace=64MiB");
    command.args(["-s3.port.iceberg=0", "-s3.port.lance=0"]).arg(format!("-s3.config={}", config.display()));
    command.args(names.iter().zip(ports).map(|(name, port)| format!("-{name}={port}")));
    start(command, ports[7], folder)
}

/// A moto: it answers like S3 and lets a locked object's date be shortened.
pub fn moto() -> anyhow::Result<Server> {
    let moto = provide(&place())?.moto;
    let [port] = free_ports()?;
    let mut command = Command::new(moto);
    command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
    start(command, port, tempfile::Builder::new().prefix("sr-moto-").tempdir()?)
}

impl Server {
    /// Its address.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The part of a configuration file that names a bucket of it; the secret lies in the server's folder.
    pub fn config(&self, bucket: &str) -> anyhow::Result<S3Config> {
        let secret_file = self.folder.path().join("secret");
        std::fs::write(&secret_file, SECRET)?;
        Ok(S3Config {
            endpoint: Some(self.endpoint()),
            region: "us-east-1".to_owned(),
            bucket: bucket.to_owned(),
            access_key: ACCESS.to_owned(),
            secret_file,
        })
    }

    /// `[[stores]]` of a recorder's configuration for a bucket of it.
    pub fn toml(&self, name: &str, class: Class, bucket: &str) -> anyhow::Result<String> {
        let config = self.config(bucket)?;
        Ok(format!(
            "[[stores]]\nname = \"{name}\"\nclass = \"{}\"\n[stores.s3]\nendpoint = \"{}\"\nregion = \"{}\"\nbucket = \
             \"{bucket}\"\naccess_key = \"{}\"\nsecret_file = \"{}\"\n",
            class.name(),
            self.endpoint(),
            config.region,
            config.access_key,
            config.secret_file.display()
        ))
    }

    /// A bucket with Object Lock, made here.
    pub async fn bucket(&self, name: &str) -> anyhow::Result<S3> {
        let config = self.config(name)?;
        let store = S3::open(name.to_owned(), &config, std::path::Path::new("/")).map_err(anyhow::Error::msg)?;
        store.make_bucket().await?;
        Ok(store)
    }
}
