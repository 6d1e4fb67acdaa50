//! `strongroom-verify`: is this meeting's archive what was recorded and signed? Offline, without any secret.

use clap::Parser;
use domain::UnixMillis;
use evidence::archive::names;
use evidence::ceremony::Protocol;
use evidence::identity::TrustMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use verify::{Bag, Finding, Report, verify_ledger, verify_retention};

/// Checks a meeting's archive: signatures, record chains, Merkle roots, counters, gaps, the firm's log, the ledger.
///
/// Exit codes: 0 all holds, 1 the check could not be made, 2 usage, 3 something does not hold.
#[derive(Parser)]
#[command(name = "strongroom-verify", version)]
struct Arguments {
    /// Folder of one meeting (it holds meeting.cose), or an evidence bundle (it holds bagit.txt).
    #[arg(required_unless_present_any = ["protocol", "retention"])]
    bundle: Option<PathBuf>,
    /// Check the protocol of a key ceremony instead; needs --trust.
    #[arg(long, requires = "trust", conflicts_with_all = ["bundle", "ledger"])]
    protocol: Option<PathBuf>,
    /// Check a meeting's book of retention instead (folder `<firm>/retention/<meeting>`): who raised, held, released and
    /// disposed of it; needs --trust.
    #[arg(long, requires = "trust", conflicts_with_all = ["bundle", "ledger", "protocol"])]
    retention: Option<PathBuf>,
    /// Trust map (JSON); without it BUNDLE/trust.json.
    #[arg(long)]
    trust: Option<PathBuf>,
    /// The firm's ledger; without it BUNDLE/ledger.bin, if there is one.
    #[arg(long)]
    ledger: Option<PathBuf>,
    /// A missing time stamp is a fault: the firm says that it has an authority.
    #[arg(long)]
    stamped: bool,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

fn trust_map(path: &Path) -> Result<TrustMap, String> {
    let bytes = std::fs::read(path)
        .map_err(|e| format!("{}: {e}. Name the trust map of the meeting's time with --trust", path.display()))?;
    serde_json::from_slice(&bytes).map_err(|e| format!("{}: not a trust map ({e})", path.display()))
}

fn check(arguments: &Arguments, bundle: &Path) -> Result<Report, (u8, String)> {
    let bag = Bag::at(bundle);
    let inside = bag.as_ref().map_or_else(|| bundle.join("trust.json"), Bag::trust);
    let path = arguments.trust.clone().unwrap_or(inside);
    let trust = trust_map(&path).map_err(|e| (2, e))?;
    let meeting = bag.as_ref().map_or_else(|| bundle.to_owned(), Bag::meeting);
    let mut report = verify::verify(&meeting, &trust).map_err(|e| (1, e.to_string()))?;
    let has_finding = report.findings.iter().any(|one| one.file == names::STAMP);
    if arguments.stamped && report.stamped_at.is_none() && !has_finding {
        let problem = "there is no time stamp that the trust map's authority gave".to_owned();
        report.findings.push(Finding { file: names::STAMP.to_owned(), offset: None, problem });
    }
    if let Some(bag) = bag {
        if let Some(paired) = bag.paired() {
            let of_paired = verify::verify(&paired, &trust).map_err(|e| (1, e.to_string()))?;
            bag.join(&mut report, of_paired);
        }
        bag.check(&mut report);
    }
    if arguments.trust.is_none() {
        let hash: String = trust.hash().iter().map(|byte| format!("{byte:02x}")).collect();
        report
            .notes
            .push(format!("trust map out of the bundle itself, SHA-256 {hash}: compare it with the firm's own"));
    }
    let beside = bundle.join("ledger.bin");
    let ledger = arguments.ledger.clone().or_else(|| beside.exists().then_some(beside));
    if let (Some(path), Ok(firm)) = (ledger, report.firm.parse()) {
        let name = path.display().to_string();
        let bytes = std::fs::read(&path).map_err(|e| (1, format!("{name}: {e}")))?;
        let entries = verify_ledger(&name, &bytes, &firm, &trust, &mut report);
        report.notes.push(format!("ledger: {entries} entries hold"));
    }
    Ok(report)
}

fn print(report: &Report, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "meeting {} of {}", report.meeting, report.firm)?;
    writeln!(
        out,
        "{} segments, {} frames ({} named by their senders), {} epochs, {} gaps with {} missing frames",
        report.segments, report.frames, report.frames_named, report.epochs, report.gaps, report.missing_frames
    )?;
    if let Some(index) = report.log_index {
        writeln!(out, "entry {index} of the firm's log")?;
    }
    for gap in &report.gap_list {
        writeln!(out, "gap: {gap}")?;
    }
    for note in &report.notes {
        writeln!(out, "note: {note}")?;
    }
    for finding in &report.findings {
        match finding.offset {
            Some(offset) => writeln!(out, "WRONG {} byte {offset}: {}", finding.file, finding.problem)?,
            None => writeln!(out, "WRONG {}: {}", finding.file, finding.problem)?,
        }
    }
    writeln!(out, "{}", if report.is_good() { "everything holds" } else { "this archive is not as it was signed" })
}

/// The protocol of a ceremony as JSON, if the firm's own key signed it.
fn ceremony(arguments: &Arguments, file: &Path) -> Result<String, (u8, String)> {
    let trust = trust_map(arguments.trust.as_deref().unwrap_or(file)).map_err(|e| (2, e))?;
    let name = file.display();
    let signed = std::fs::read(file).map_err(|e| (1, format!("{name}: {e}")))?;
    let protocol = Protocol::verify(&signed, &trust).map_err(|e| (3, format!("WRONG {name}: {e}")))?;
    serde_json::to_string_pretty(&protocol).map_err(|e| (1, e.to_string()))
}

/// A book of retention in words.
fn life(arguments: &Arguments, folder: &Path) -> Result<(String, bool), (u8, String)> {
    let trust = trust_map(arguments.trust.as_deref().unwrap_or(folder)).map_err(|e| (2, e))?;
    let life = verify_retention(folder, &trust).map_err(|e| (1, e.to_string()))?;
    if arguments.json {
        return serde_json::to_string(&life).map(|text| (text, life.is_good())).map_err(|e| (1, e.to_string()));
    }
    let mut lines = vec![format!("retention of meeting {} of {}", life.meeting, life.firm)];
    lines.extend(life.entries.iter().cloned());
    lines.extend(life.findings.iter().map(|one| format!("WRONG {}: {}", one.file, one.problem)));
    lines.push(match (life.is_good(), life.disposed_at, life.holds.is_empty()) {
        (false, ..) => "this book is not as it was signed".to_owned(),
        (true, Some(at), _) => {
            format!(
                "everything holds; it was disposed of at {}, after its time and by two officers",
                UnixMillis(at).rfc3339()
            )
        }
        (true, None, true) => format!("everything holds; to be kept until {}", UnixMillis(life.until).rfc3339()),
        (true, None, false) => format!("everything holds; held for {}", life.holds.join(", ")),
    });
    Ok((lines.join("\n"), life.is_good()))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let ended = match (&arguments.protocol, &arguments.retention, &arguments.bundle) {
        (Some(file), ..) => ceremony(&arguments, file).map(|text| (text, true)),
        (None, Some(folder), _) => life(&arguments, folder),
        (None, None, bundle) => check(&arguments, bundle.as_deref().unwrap_or(Path::new("."))).map(|report| {
            let mut out = Vec::new();
            let printed = if arguments.json {
                serde_json::to_writer(&mut out, &report).map_err(Into::into)
            } else {
                print(&report, &mut out)
            };
            printed.expect("memory takes all bytes");
            (String::from_utf8_lossy(&out).trim_end().to_owned(), report.is_good())
        }),
    };
    let (code, text) = match ended {
        Err((code, why)) => {
            // nothing to do about a closed standard error
            let _ = writeln!(std::io::stderr(), "{why}");
            return ExitCode::from(code);
        }
        Ok((text, good)) => (if good { 0 } else { 3 }, text),
    };
    // a reader that went away does not change the verdict
    let _ = writeln!(std::io::stdout(), "{text}");
    ExitCode::from(code)
}
