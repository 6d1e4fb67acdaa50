//! The exporter's sandbox: bubblewrap with no network, no home, no socket of the host, one writable folder. A front
//! without bubblewrap refuses to export.

use crate::export::folder::Folder;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use zeroize::Zeroizing;

/// Name of the result in its folder, inside and outside.
const RESULT: &str = "export.webm";
/// Where the folder stands inside.
const INSIDE: &str = "/out";
/// The exporter makes 1.6 Mbit/s, 200 bytes a millisecond; half as much again for what an encoder overshoots.
const RESULT_PER_MS: u64 = 300;
/// Heads, cues, and a meeting of a second.
const RESULT_FLOOR: u64 = 16 << 20;
/// Address space inside: 25 lanes of 4K pictures and the threads' stacks stay below; a decoder gone mad does not take the
/// front's machine with it.
const MAX_MEMORY: u64 = 4 << 30;
/// Scratch space inside: GStreamer's registry, 1 MiB.
const MAX_SCRATCH: u64 = 64 << 20;

/// What is run.
#[derive(Debug, Clone)]
pub struct Program {
    bwrap: PathBuf,
    exporter: PathBuf,
}

impl Program {
    /// Finds bubblewrap and the exporter.
    ///
    /// # Errors
    /// A text that says what is missing and what to do.
    pub fn find(exporter: Option<&Path>) -> Result<Self, String> {
        let bwrap = ["/usr/bin/bwrap", "/usr/local/bin/bwrap", "/bin/bwrap"]
            .iter()
            .map(PathBuf::from)
            .find(|path| path.is_file());
        Self::of(bwrap, exporter)
    }

    fn of(bwrap: Option<PathBuf>, exporter: Option<&Path>) -> Result<Self, String> {
        let bwrap = bwrap
            .ok_or("exports need bubblewrap for their sandbox and it is not installed: apt-get install bubblewrap")?;
        let exporter = exporter.ok_or("exports are not configured: set `export` to the path of strongroom-export")?;
        let exporter = std::fs::canonicalize(exporter)
            .map_err(|e| format!("`export` names {}, which cannot be used: {e}", exporter.display()))?;
        Ok(Self { bwrap, exporter })
    }
}

/// The largest result that an export of so many ms can have: more is not written, and not read back.
pub fn largest(duration_ms: u64) -> u64 {
    duration_ms.saturating_mul(RESULT_PER_MS).saturating_add(RESULT_FLOOR)
}

/// A running sandbox. Dropping it kills what runs inside and removes the folder with what was written.
pub struct Sandbox {
    child: Child,
    folder: Folder,
    largest: u64,
}

/// The sandbox's arguments before the program's own; everything that is not named here does not exist inside. No file may
/// grow beyond `largest` bytes.
fn arguments(program: &Path, folder: &Path, largest: u64) -> Vec<std::ffi::OsString> {
    let mut out: Vec<std::ffi::OsString> = Vec::new();
    let mut add = |parts: &[&std::ffi::OsStr]| out.extend(parts.iter().map(|part| (*part).to_owned()));
    let text = |part: &'static str| std::ffi::OsStr::new(part);
    for flag in
        ["--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session", "--clearenv"]
    {
        add(&[text(flag)]);
    }
    add(&[text("--cap-drop"), text("ALL"), text("--ro-bind"), text("/usr"), text("/usr")]);
    for (target, link) in [("usr/lib", "/lib"), ("usr/lib64", "/lib64"), ("usr/bin", "/bin")] {
        add(&[text("--symlink"), text(target), text(link)]);
    }
    // fonts for the burned-in texts, and the loader's cache: read only
    for path in [
        "/etc/fonts",
        "/etc/ld.so.cache",
        "/etc/ld.so.conf",
        "/etc/ld.so.conf.d",
        "/etc/alternatives",
        "/var/cache/fontconfig",
    ] {
        add(&[text("--ro-bind-try"), text(path), text(path)]);
    }
    add(&[text("--proc"), text("/proc"), text("--dev"), text("/dev")]);
    let scratch = MAX_SCRATCH.to_string();
    add(&[text("--size"), scratch.as_ref(), text("--tmpfs"), text("/tmp")]);
    let environment = [
        ("PATH", "/usr/bin"),
        ("HOME", "/tmp"),
        ("LANG", "C.UTF-8"),
        ("GST_REGISTRY", "/tmp/registry.bin"),
        ("GST_REGISTRY_FORK", "no"),
    ];
    for (name, value) in environment {
        add(&[text("--setenv"), text(name), text(value)]);
    }
    add(&[text("--ro-bind"), program.as_os_str(), text("/strongroom-export")]);
    add(&[text("--bind"), folder.as_os_str(), text(INSIDE), text("--chdir"), text(INSIDE)]);
    let limits = [format!("--as={MAX_MEMORY}"), format!("--fsize={largest}"), "--core=0".to_owned()];
    add(&[text("--"), text("/usr/bin/prlimit")]);
    limits.iter().for_each(|limit| add(&[limit.as_ref()]));
    add(&[text("--"), text("/strongroom-export")]);
    out
}

/// Starts the exporter; its result, of at most `largest` bytes, goes to a fresh folder under `exports`.
///
/// # Errors
/// A text that says what failed.
pub fn start(program: &Program, exports: &Path, largest: u64) -> Result<Sandbox, String> {
    let folder = Folder::fresh(exports)?;
    let mut command = Command::new(&program.bwrap);
    command
        .args(arguments(&program.exporter, &folder.out(), largest))
        .arg("run")
        .arg("--out")
        .arg(Path::new(INSIDE).join(RESULT));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).kill_on_drop(true);
    // nothing of the front's environment, and no open file but the three, reaches the sandbox
    command.env_clear();
    let child = command.spawn().map_err(|e| format!("bubblewrap did not start: {e}"))?;
    Ok(Sandbox { child, folder, largest })
}

impl Sandbox {
    /// The exporter's standard input; once.
    pub fn input(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }
    /// The exporter's standard output; once.
    pub fn output(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }
    /// Waits for the end and takes the result into memory.
    ///
    /// # Errors
    /// A text that says what failed.
    pub async fn result(mut self) -> Result<Zeroizing<Vec<u8>>, String> {
        let status = self.child.wait().await.map_err(|e| e.to_string())?;
        if !status.success() {
            return Err(format!("the exporter ended with {status}"));
        }
        let path = self.folder.out().join(RESULT);
        let meta = tokio::fs::symlink_metadata(&path).await.map_err(|e| format!("the exporter wrote nothing: {e}"))?;
        // what comes out of a sandbox is not trusted: no link, no device, no flood
        if !meta.is_file() || meta.len() > self.largest {
            return Err("the exporter wrote something that is no export".to_owned());
        }
        tokio::fs::read(&path).await.map(Zeroizing::new).map_err(|e| format!("the export cannot be read: {e}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inside(script: &str, folder: &Path) -> String {
        // the interpreter stands where the exporter stands, under all its limits
        let program = Program::of(Some("/usr/bin/bwrap".into()), Some(Path::new("/usr/bin/python3")))
            .expect("bubblewrap is installed");
        let mut command = std::process::Command::new(&program.bwrap);
        command.args(arguments(&program.exporter, folder, 1 << 20)).args(["-c", script]);
        let output = command.env_clear().output().expect("started");
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    }

    #[test]
    fn inside_the_sandbox_neither_custody_socket_nor_network_nor_files_of_the_host_are_reachable() {
        let folder = tempfile::tempdir().expect("folder");
        let out = folder.path().join("out");
        std::fs::create_dir(&out).expect("made");
        let socket = folder.path().join("archive.sock");
        let _custody = std::os::unix::net::UnixListener::bind(&socket).expect("bound");
        let http = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        let port = http.local_addr().expect("bound").port();
        let script = format!(
            "import socket,os\n\
             def t(name,f):\n  try:\n    f(); print(name,'REACHED')\n  except OSError: print(name,'refused')\n\
             t('custody',lambda: socket.socket(socket.AF_UNIX).connect({socket:?}))\n\
             t('network',lambda: socket.create_connection(('127.0.0.1',{port}),2))\n\
             t('host',lambda: os.listdir({home:?}))\n\
             t('write',lambda: open('/usr/x','w'))\n\
             def fill(path):\n  with open(path,'wb') as f: f.write(b'1'*(2<<20))\n\
             t('flood',lambda: fill('/out/flood'))\n\
             def memory():\n  try: bytearray(5<<30)\n  except MemoryError: raise OSError\n\
             t('memory',memory)\n\
             def user():\n  import ctypes\n  if ctypes.CDLL(None).unshare(0x10000000): raise OSError\n\
             t('namespace',user)\n\
             open('/out/ok','w').write('1')\nprint('out written', sorted(os.listdir('/')))",
            socket = socket.to_str().expect("utf-8"),
            home = env!("CARGO_MANIFEST_DIR"),
        );
        // the same script outside reaches all of it but /usr on a machine where it is read-only: the test can fail
        let outside = std::process::Command::new("python3").args(["-c", &script]).output().expect("started");
        let outside = String::from_utf8_lossy(&outside.stdout).into_owned();
        assert!(
            outside.contains("custody REACHED")
                && outside.contains("network REACHED")
                && outside.contains("host REACHED"),
            "{outside}"
        );
        let said = inside(&script, &out);
        for line in [
            "custody refused",
            "network refused",
            "host refused",
            "write refused",
            "flood refused",
            "memory refused",
            "namespace refused",
            "out written",
        ] {
            assert!(said.contains(line), "{line} is missing in\n{said}");
        }
        assert!(out.join("ok").exists());
    }

    #[test]
    fn without_bubblewrap_or_exporter_the_error_says_what_to_do() {
        assert!(
            Program::of(None, Some(Path::new("/usr/bin/true")))
                .expect_err("refused")
                .contains("apt-get install bubblewrap")
        );
        assert!(Program::find(None).expect_err("refused").contains("`export`"));
        assert!(Program::find(Some(Path::new("/nowhere"))).expect_err("refused").contains("/nowhere"));
    }
}
