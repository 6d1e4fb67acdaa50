//! `strongroom-recorder retention`: what two officers signed about a closed meeting is shown, judged and carried out, while
//! a recorder runs or not. The rules are the store's; here are files, words and exit codes.
//!
//! Not a wire type: what is printed as JSON is for operators' scripts.

use crate::Failure;
use crate::clock;
use crate::config::Config;
use crate::firm_log::FirmLog;
use crate::room::Shared;
use clap::{Args, Subcommand};
use custody::Client;
use domain::{MeetingId, UnixMillis};
use evidence::cbor;
use evidence::retention::{ACT_LABEL, Act, CONSENT_LABEL, Consent, Phase, Standing, What};
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::ecdsa::{Signature, SigningKey};
use p256::pkcs8::DecodePrivateKey;
use recorder_store::layout;
use recorder_store::retention::books::BooksError;
use recorder_store::retention::{Office, OfficeError, Plan};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is done.
#[derive(Subcommand)]
pub enum Command {
    /// Closed meetings with class, date and holds, and those that were disposed of.
    List {
        /// Configuration file (TOML).
        #[arg(long)]
        config: PathBuf,
    },
    /// Keeps a meeting for more years.
    Raise(Signed),
    /// Places a legal hold: nothing of the meeting may go while the case is open.
    Hold(Signed),
    /// Lifts the hold of a case.
    Release(Signed),
    /// Destroys a meeting whose time is over: keys first, then the rest, then a tombstone in the firm's log.
    Dispose {
        /// Configuration file (TOML).
        #[arg(long)]
        config: PathBuf,
        /// Which meeting.
        #[arg(long)]
        meeting: MeetingId,
        /// The act, signed by the first officer; left out to go on with a disposal that was stopped.
        #[arg(long, requires = "consent")]
        act: Option<PathBuf>,
        /// The consent, signed by the second.
        #[arg(long, requires = "act")]
        consent: Option<PathBuf>,
        /// Shows what would go, and what stands against it; changes nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// First officer: signs an act.
    Sign {
        /// Configuration file (TOML).
        #[arg(long)]
        config: PathBuf,
        /// Which meeting.
        #[arg(long)]
        meeting: MeetingId,
        /// What is to be done.
        #[arg(long, value_enum)]
        what: Kind,
        /// Years of a class, for `raise`.
        #[arg(long, required_if_eq("what", "raise"))]
        years: Option<u16>,
        /// Case number; it names a hold and its release.
        #[arg(long)]
        case: String,
        /// Why.
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        pen: Pen,
    },
    /// Second officer: consents to an act.
    Consent {
        /// The signed act.
        #[arg(long)]
        act: PathBuf,
        #[command(flatten)]
        pen: Pen,
    },
}

/// Kinds of acts.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum Kind {
    /// Longer.
    Raise,
    /// Hold.
    Hold,
    /// Release.
    Release,
    /// Dispose.
    Dispose,
}

/// An act that is to be carried out.
#[derive(Args)]
pub struct Signed {
    /// Configuration file (TOML).
    #[arg(long)]
    config: PathBuf,
    /// Which meeting.
    #[arg(long)]
    meeting: MeetingId,
    /// The act, signed by the first officer.
    #[arg(long)]
    act: PathBuf,
    /// The consent, signed by the second.
    #[arg(long)]
    consent: PathBuf,
}

impl Signed {
    fn read(&self) -> Result<[Vec<u8>; 2], Failure> {
        Ok([read(&self.act)?, read(&self.consent)?])
    }
}

/// What an officer signs with.
#[derive(Args)]
pub struct Pen {
    /// The officer's private key (PKCS #8, PEM).
    #[arg(long)]
    key: PathBuf,
    /// The officer's compliance certificate (DER).
    #[arg(long)]
    certificate: PathBuf,
    /// Where the signed file goes; it must not be there yet.
    #[arg(long)]
    out: PathBuf,
}

/// One meeting of `list`.
#[derive(Serialize)]
struct Row {
    meeting: MeetingId,
    ended_at: UnixMillis,
    until: UnixMillis,
    class_years: u16,
    phase: &'static str,
    expired: bool,
    holds: Vec<HoldRow>,
}

#[derive(Serialize)]
struct HoldRow {
    case: String,
    reason: String,
    since: UnixMillis,
    by: [String; 2],
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|e| Failure::Config(format!("{}: {e}", path.display())))
}

fn office(path: &Path) -> Result<Office, Failure> {
    let config = Config::read(path)?;
    let trust = Arc::new(config.trust_map()?);
    let stores = recorder_store::config::open(&config.stores, &service::config::folder(path), clock::wall);
    let stores = stores.map_err(Failure::Config)?.into_iter().map(|one| one.store).collect();
    let record_key = trust.firm(&config.firm).map(|own| own.record_key.0.clone()).unwrap_or_default();
    let custody = Arc::new(Client::new(&config.custody.record));
    let log = Arc::new(FirmLog::new(&config.archive, &config.firm, custody, record_key));
    Ok(Office { archive: config.archive, firm: config.firm, trust, stores, log, clock: clock::wall })
}

/// The same beside a recorder that runs.
pub fn office_of(shared: &Shared) -> Office {
    Office {
        archive: shared.config.archive.clone(),
        firm: shared.config.firm.clone(),
        trust: Arc::new(shared.trust.clone()),
        stores: shared.stores.all().to_vec(),
        log: shared.log.clone(),
        clock: clock::wall,
    }
}

/// By blame: 3 for what was signed and does not hold, 4 for what is away, 1 for what the rules refuse.
fn failure(error: OfficeError) -> Failure {
    let text = error.to_string();
    match error {
        OfficeError::Act(_) | OfficeError::Manifest(..) | OfficeError::Book(BooksError::Broken(..)) => {
            Failure::Verification(text)
        }
        OfficeError::Store(_, _, recorder_store::StoreError::Unavailable(_))
        | OfficeError::Book(BooksError::Log(_) | BooksError::Busy(_)) => Failure::Unavailable(text),
        OfficeError::Unknown(_) | OfficeError::OtherAct { .. } => Failure::Config(text),
        _ => Failure::Other(text),
    }
}

/// Runs a command; what is said on standard output comes back in any case.
pub async fn run(command: Command, json: bool) -> (Vec<String>, Result<(), Failure>) {
    let mut lines = Vec::new();
    let ended = match command {
        Command::List { config } => list(&config, json, &mut lines),
        Command::Raise(signed) => carry(&signed, "raise", json, &mut lines).await,
        Command::Hold(signed) => carry(&signed, "hold", json, &mut lines).await,
        Command::Release(signed) => carry(&signed, "release", json, &mut lines).await,
        Command::Dispose { config, meeting, act, consent, dry_run } => {
            let read_both = |(act, consent): (PathBuf, PathBuf)| Ok([read(&act)?, read(&consent)?]);
            match (act.zip(consent).map(read_both).transpose(), dry_run) {
                (Err(failure), _) => Err(failure),
                (Ok(signed), true) => plan(&config, &meeting, signed, json, &mut lines).await,
                (Ok(signed), false) => dispose(&config, &meeting, signed, json, &mut lines).await,
            }
        }
        Command::Sign { config, meeting, what, years, case, reason, pen } => {
            let what = match what {
                Kind::Raise => What::Raise { years: years.unwrap_or_default() },
                Kind::Hold => What::Hold {},
                Kind::Release => What::Release {},
                Kind::Dispose => What::Dispose {},
            };
            sign(&config, &meeting, what, case, reason, &pen)
        }
        Command::Consent { act, pen } => consent(&act, &pen),
    };
    (lines, ended)
}

fn row(meeting: MeetingId, standing: &Standing) -> Row {
    let holds = standing.holds().iter().map(|(case, held)| HoldRow {
        case: case.clone(),
        reason: held.reason.clone(),
        since: held.at,
        by: held.by.clone().map(|who| who.to_string()),
    });
    let phase = match standing.phase() {
        Phase::Kept => "kept",
        Phase::Disposing { .. } => "disposing",
        Phase::Stopped => "disposal-stopped",
        Phase::Disposed { .. } => "disposed",
    };
    Row {
        meeting,
        ended_at: standing.ended_at(),
        until: standing.until(),
        class_years: standing.class().map_or(0, |class| class.years),
        phase,
        expired: standing.until() <= clock::wall(),
        holds: holds.collect(),
    }
}

fn words(row: &Row) -> String {
    let held: Vec<&str> = row.holds.iter().map(|hold| hold.case.as_str()).collect();
    let held = if held.is_empty() { String::new() } else { format!(", held for {}", held.join(", ")) };
    let over = if row.expired { ", over" } else { "" };
    let (meeting, phase, until, class) = (&row.meeting, row.phase, row.until.rfc3339(), row.class_years);
    format!("{meeting} {phase} until {until} (class {class} years{over}{held})")
}

fn list(config: &Path, json: bool, lines: &mut Vec<String>) -> Result<(), Failure> {
    let office = office(config)?;
    let local = layout::meetings(&office.archive, &office.firm).into_iter().map(|folder| folder.meeting);
    let mut meetings: Vec<MeetingId> = local.chain(office.books().meetings()).collect();
    meetings.sort();
    meetings.dedup();
    let mut bad = Vec::new();
    for meeting in meetings {
        match office.standing(&meeting) {
            Ok(standing) => {
                let row = row(meeting, &standing);
                lines.push(if json { to_json(&row) } else { words(&row) });
            }
            // a meeting that still runs has no manifest and nothing to be raised or held yet
            Err(OfficeError::Manifest(path, _)) if !path.exists() => {}
            Err(e) => bad.push(format!("{meeting}: {e}")),
        }
    }
    if bad.is_empty() { Ok(()) } else { Err(Failure::Verification(bad.join("; "))) }
}

fn to_json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("plain data")
}

async fn carry(signed: &Signed, wanted: &'static str, json: bool, lines: &mut Vec<String>) -> Result<(), Failure> {
    let office = office(&signed.config)?;
    let [act, consent] = signed.read()?;
    let book = office.take(&signed.meeting, wanted, &act, &consent).await.map_err(failure)?;
    let row = row(signed.meeting.clone(), &book.standing);
    lines.push(if json { to_json(&row) } else { words(&row) });
    let done = office.apply(&book).await.map_err(|e| match failure(e) {
        Failure::Unavailable(why) => Failure::Unavailable(format!(
            "{why}. The act is in the firm's log and holds; the running recorder puts it on the store's objects when it is back"
        )),
        other => other,
    })?;
    if !json {
        lines.extend(done.iter().map(|(store, objects)| format!("  {store}: {objects} objects locked so")));
    }
    Ok(())
}

async fn plan(
    config: &Path,
    meeting: &MeetingId,
    signed: Option<[Vec<u8>; 2]>,
    json: bool,
    lines: &mut Vec<String>,
) -> Result<(), Failure> {
    let office = office(config)?;
    let signed = signed.as_ref().map(|[act, consent]| (act.as_slice(), consent.as_slice()));
    let plan: Plan = office.plan(meeting, signed).await.map_err(failure)?;
    if json {
        lines.push(to_json(&plan));
    } else {
        let would = plan.places.iter().map(|one| {
            format!("{}: {} objects would go, first {} that hold sealed keys", one.place, one.objects, one.keys)
        });
        lines.extend(would);
    }
    plan.refused.map_or(Ok(()), |why| Err(Failure::Other(format!("it would be refused: {why}"))))
}

async fn dispose(
    config: &Path,
    meeting: &MeetingId,
    signed: Option<[Vec<u8>; 2]>,
    json: bool,
    lines: &mut Vec<String>,
) -> Result<(), Failure> {
    let office = office(config)?;
    if let Some([act, consent]) = signed {
        office.take(meeting, "dispose", &act, &consent).await.map_err(failure)?;
    }
    let tally = office.dispose(meeting).await.map_err(failure)?;
    lines.push(match json {
        true => serde_json::json!({"meeting": meeting, "keys": tally.keys, "objects": tally.objects}).to_string(),
        false => format!("{meeting} is gone: {} objects, {} of them with sealed keys", tally.objects, tally.keys),
    });
    Ok(())
}

fn sign(
    config: &Path,
    meeting: &MeetingId,
    what: What,
    case: String,
    reason: String,
    pen: &Pen,
) -> Result<(), Failure> {
    let office = office(config)?;
    let manifest_hash = office.manifest_hash(meeting).map_err(failure)?;
    let (firm, meeting) = (office.firm, meeting.clone());
    let act =
        Act { firm, meeting, manifest_hash: manifest_hash.0.into(), what, case, reason, issued_at: clock::wall() };
    write(pen, ACT_LABEL, &cbor::encode(&act))
}

fn consent(act: &Path, pen: &Pen) -> Result<(), Failure> {
    let act_hash = evidence::sha256(&read(act)?).into();
    write(pen, CONSENT_LABEL, &cbor::encode(&Consent { act_hash, issued_at: clock::wall() }))
}

fn write(pen: &Pen, label: &str, payload: &[u8]) -> Result<(), Failure> {
    let pem = zeroize::Zeroizing::new(read(&pen.key)?);
    let bad = || Failure::Config(format!("{}: not a P-256 private key (PKCS #8, PEM)", pen.key.display()));
    let key = std::str::from_utf8(&pem).ok().and_then(|pem| SigningKey::from_pkcs8_pem(pem).ok()).ok_or_else(bad)?;
    let certificate = read(&pen.certificate)?;
    let signer = |hash: &[u8; 32]| {
        let signature: Signature = key.sign_prehash(hash).map_err(|_| bad())?;
        Ok::<[u8; 64], Failure>(signature.to_bytes().into())
    };
    let signed = evidence::cose::sign(label, payload, Some(&certificate), signer)?;
    let new = std::fs::OpenOptions::new().write(true).create_new(true).open(&pen.out);
    let written = new.and_then(|mut file| std::io::Write::write_all(&mut file, &signed));
    written.map_err(|e| Failure::Config(format!("{}: {e}", pen.out.display())))
}
