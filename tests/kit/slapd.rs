//! A real LDAP server of a firm for tests: Debian's slapd with RFC 4533 (overlay syncprov) on a free loopback port, its data in a
//! folder of its own.

use anyhow::{Context, bail};
use std::fmt::Write;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use xtask::demo::plan::{Firm, Plan};

/// Password of the directory's administrator.
const SECRET: &str = "directory";
/// It starts within this on a busy machine.
const START: Duration = Duration::from_secs(20);
/// Debian puts it there, beyond the path of people who are not root.
const PROGRAMS: &str = "/usr/sbin";

/// A running server. Ends with it.
pub struct Directory {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
    changes: Changes,
}

/// Does the server tell changes?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changes {
    /// RFC 4533, refreshAndPersist.
    Told,
    /// The whole must be read again.
    Polled,
}

impl Directory {
    /// Starts one with a firm's people, and configures the firm's front for it. For a system that is not started yet.
    pub fn start(plan: &Plan, firm: &Firm, with_changes: Changes) -> anyhow::Result<Self> {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::Builder::new().prefix("sr-ldap-").tempdir()?;
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("data"))?;
        let overlay = if with_changes == Changes::Told { "moduleload syncprov\n" } else { "" };
        let config = format!(
            "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n\
             include /etc/ldap/schema/inetorgperson.schema\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\n{overlay}\
             pidfile {}\ndatabase mdb\nsuffix \"dc=firm\"\nrootdn \"cn=admin,dc=firm\"\nrootpw {SECRET}\ndirectory {}\n\
             index objectClass,entryCSN,entryUUID eq\n{}",
            at("pid").display(),
            at("data").display(),
            overlay.replace("moduleload", "overlay"),
        );
        std::fs::write(at("slapd.conf"), config)?;
        let mut people =
            "dn: dc=firm\nobjectClass: dcObject\nobjectClass: organization\no: firm\ndc: firm\n\n".to_owned();
        for one in &firm.people {
            let (user, name) = (one.user, one.name);
            writeln!(
                people,
                "dn: uid={user},dc=firm\nobjectClass: inetOrgPerson\nuid: {user}\ncn: {name}\nsn: {name}\n"
            )?;
        }
        std::fs::write(at("people.ldif"), people)?;
        let loaded = Command::new(format!("{PROGRAMS}/slapadd"))
            .arg("-f")
            .arg(at("slapd.conf"))
            .arg("-l")
            .arg(at("people.ldif"))
            .output()
            .context("slapadd: run `cargo xtask setup`")?;
        anyhow::ensure!(loaded.status.success(), "slapadd: {}", String::from_utf8_lossy(&loaded.stderr));
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let child = spawn(&at("slapd.conf"), port)?;
        let secret = plan.firm(firm, "ldap.secret");
        std::fs::write(&secret, SECRET)?;
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600))?;
        let front = plan.firm(firm, "front.toml");
        let text = std::fs::read_to_string(&front)?;
        let own = format!(
            "[ldap]\nurl = \"ldap://ldap.localhost:{port}\"\nbind_dn = \"cn=admin,dc=firm\"\npassword_file = \"ldap.secret\"\n\
             base = \"dc=firm\"\n"
        );
        std::fs::write(&front, format!("{text}\n{own}"))?;
        Ok(Self { child, port, folder, changes: with_changes })
    }

    /// Does this one tell changes?
    pub fn changes(&self) -> Changes {
        self.changes
    }

    /// Somebody leaves the firm.
    pub async fn delete(&self, user: &str) -> anyhow::Result<()> {
        let (connection, mut ldap) = ldap3::LdapConnAsync::new(&format!("ldap://127.0.0.1:{}", self.port)).await?;
        ldap3::drive!(connection);
        ldap.simple_bind("cn=admin,dc=firm", SECRET).await?.success()?;
        ldap.delete(&format!("uid={user},dc=firm")).await?.success()?;
        Ok(ldap.unbind().await?)
    }

    /// The server goes.
    pub fn stop(&mut self) {
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
    }

    /// ... and comes back on the same port.
    pub fn again(&mut self) -> anyhow::Result<()> {
        self.child = spawn(&self.folder.path().join("slapd.conf"), self.port)?;
        Ok(())
    }
}

fn spawn(config: &PathBuf, port: u16) -> anyhow::Result<Child> {
    let mut child = Command::new(format!("{PROGRAMS}/slapd"))
        .args(["-d", "0", "-h", &format!("ldap://127.0.0.1:{port}"), "-f"])
        .arg(config)
        .stderr(Stdio::null())
        .spawn()
        .context("slapd: run `cargo xtask setup`")?;
    let end = Instant::now() + START;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if let Some(status) = child.try_wait()? {
            bail!("slapd ended with {status}");
        }
        anyhow::ensure!(Instant::now() < end, "slapd takes no connection");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(child)
}

impl Drop for Directory {
    fn drop(&mut self) {
        self.stop();
    }
}
