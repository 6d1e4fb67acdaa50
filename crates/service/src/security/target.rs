//! Where events are written: a file that is appended to, a socket of the host's syslog daemon, or UDP on loopback. A daemon
//! carries them on; nothing here waits for one. A flood of one event is counted, not written.
//! Not a wire type: what is read here is configuration.

use super::events::{Code, Event};
use super::line::{Format, Source, host, line};
use crate::config::{ConfigError, folder, value};
use crate::ended::Failure;
use crate::metrics::Service;
use serde::Deserialize;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

/// Lines of one event in one [`WINDOW`]: who floods fills no disk, and a person reads no more.
const MAX_LINES: u64 = 60;
/// See [`MAX_LINES`].
const WINDOW: Duration = Duration::from_secs(60);

/// The table `[operations.security]`: exactly one of `file`, `unix`, `udp`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Appended to; made with mode 0640 if it is missing.
    pub file: Option<PathBuf>,
    /// Datagram socket of a syslog daemon, `/dev/log`.
    pub unix: Option<PathBuf>,
    /// A syslog daemon on this machine; other machines are its to reach, by TLS.
    pub udp: Option<SocketAddr>,
    /// How lines are written.
    #[serde(default)]
    pub format: Format,
}

impl Target {
    /// See [`crate::operations::Settings::settle`].
    pub(crate) fn settle(&mut self, file: &Path) -> Result<(), ConfigError> {
        let key = "operations.security";
        let named = [self.file.is_some(), self.unix.is_some(), self.udp.is_some()];
        if named.into_iter().filter(|one| *one).count() != 1 {
            return Err(value(file, key, "wants exactly one of `file`, `unix` and `udp`"));
        }
        if self.udp.is_some_and(|at| !at.ip().is_loopback()) {
            let detail = "`udp` must be a loopback address: events do not leave the machine in the clear; let its syslog daemon forward them by TLS";
            return Err(value(file, key, detail));
        }
        let folder = folder(file);
        for path in [&mut self.file, &mut self.unix].into_iter().flatten() {
            *path = folder.join(&*path);
        }
        Ok(())
    }
}

enum Way {
    File(File),
    Unix(UnixDatagram, PathBuf),
    Udp(UdpSocket, SocketAddr),
}

#[derive(Clone, Copy)]
struct Window {
    begun: Instant,
    lines: u64,
    left_out: u64,
}

/// An open target.
pub struct Sink {
    way: Way,
    format: Format,
    source: Source,
    windows: [Option<Window>; Event::ALL.len()],
}

impl Sink {
    /// Opens it.
    ///
    /// # Errors
    /// [`Failure::Config`] that names the path.
    pub fn open(target: &Target, service: Service) -> Result<Self, Failure> {
        let bad = |what: String, e: std::io::Error| Failure::Config(format!("`operations.security` {what}: {e}"));
        let way = if let Some(path) = &target.file {
            let opened = OpenOptions::new().append(true).create(true).mode(0o640).open(path);
            Way::File(opened.map_err(|e| bad(path.display().to_string(), e))?)
        } else if let Some(path) = &target.unix {
            let socket = UnixDatagram::unbound().and_then(|socket| socket.set_nonblocking(true).map(|()| socket));
            Way::Unix(socket.map_err(|e| bad(path.display().to_string(), e))?, path.clone())
        } else if let Some(at) = target.udp {
            let any = if at.is_ipv6() { "[::1]:0" } else { "127.0.0.1:0" };
            let socket = UdpSocket::bind(any).and_then(|socket| socket.set_nonblocking(true).map(|()| socket));
            Way::Udp(socket.map_err(|e| bad(at.to_string(), e))?, at)
        } else {
            return Err(Failure::Config("`operations.security` wants one of `file`, `unix` and `udp`".to_owned()));
        };
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let source = Source { host: host(&name), program: service.name(), process: std::process::id() };
        Ok(Self { way, format: target.format, source, windows: [None; Event::ALL.len()] })
    }

    /// Writes an event; `false` if the target did not take it. One of a flood is counted for the next line.
    pub fn take(&mut self, event: Event, code: Code) -> bool {
        let Some(left_out) = admit(&mut self.windows[event as usize], Instant::now()) else { return true };
        let line = line(self.format, &self.source, &now(), event, code, left_out);
        match &mut self.way {
            Way::File(file) => file.write_all(format!("{line}\n").as_bytes()).is_ok(),
            // looked up for every line: the daemon may have been started again
            Way::Unix(socket, path) => socket.send_to(line.as_bytes(), &*path).is_ok(),
            Way::Udp(socket, at) => socket.send_to(line.as_bytes(), *at).is_ok(),
        }
    }
}

/// May one more line be written, and how many were left out before it?
fn admit(window: &mut Option<Window>, now: Instant) -> Option<u64> {
    match window {
        Some(open) if now.duration_since(open.begun) < WINDOW => {
            if open.lines >= MAX_LINES {
                open.left_out += 1;
                return None;
            }
            open.lines += 1;
            Some(0)
        }
        _ => {
            let left_out = window.map_or(0, |old| old.left_out);
            *window = Some(Window { begun: now, lines: 1, left_out: 0 });
            Some(left_out)
        }
    }
}

fn now() -> String {
    let mut text = String::new();
    match SystemTime.format_time(&mut Writer::new(&mut text)) {
        Ok(()) => text,
        // RFC 5424's word for a time that is not known
        Err(_) => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_one_target_is_named_and_none_beyond_this_machine() {
        let settle = |text: &str| toml::from_str::<Target>(text).expect("well formed").settle(Path::new("/etc/x.toml"));
        assert!(settle("file = 'security.log'").is_ok() && settle("unix = '/dev/log'\nformat = 'rfc5424'").is_ok());
        assert!(settle("").is_err() && settle("file = 'a'\nunix = 'b'").is_err());
        let said = settle("udp = '10.0.0.1:514'").expect_err("clear").to_string();
        assert!(said.contains("loopback"), "{said}");
        assert!(settle("udp = '127.0.0.1:514'").is_ok());
    }

    #[test]
    fn events_are_appended_to_a_file_and_sent_to_a_syslog_socket() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("security.log");
        std::fs::write(&path, "before\n").expect("written");
        let mut sink =
            Sink::open(&Target { file: Some(path.clone()), ..Target::default() }, Service::Front).expect("open");
        assert!(sink.take(Event::LoginRefused, Code::of("bad-token")) && sink.take(Event::Stopped, Code::NONE));
        let text = std::fs::read_to_string(&path).expect("written");
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.len() == 3 && lines[0] == "before" && lines[1].contains("\"event\":\"login-refused\""), "{text}");

        let socket = folder.path().join("log");
        let daemon = UnixDatagram::bind(&socket).expect("bound");
        let target = Target { unix: Some(socket), format: Format::Rfc5424, ..Target::default() };
        let mut sink = Sink::open(&target, Service::Sfu).expect("open");
        assert!(sink.take(Event::Panicked, Code::NONE));
        let mut said = [0; 1024];
        let length = daemon.recv(&mut said).expect("heard");
        let said = String::from_utf8_lossy(&said[..length]);
        assert!(
            said.starts_with("<83>1 20") && said.contains(" strongroom-sfu ") && said.contains(" panicked ["),
            "{said}"
        );
        drop(daemon);
        assert!(!sink.take(Event::Panicked, Code::NONE), "nobody took it");
    }

    #[test]
    fn a_flood_of_one_event_is_counted_and_told_when_it_is_over() {
        let (start, mut window) = (Instant::now(), None);
        let written = (0..1000).filter(|_| admit(&mut window, start).is_some()).count();
        assert_eq!(written as u64, MAX_LINES);
        assert_eq!(admit(&mut window, start + WINDOW), Some(1000 - MAX_LINES));
        assert_eq!(admit(&mut window, start + WINDOW), Some(0));
    }
}
