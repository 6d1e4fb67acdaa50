//! Firms, roots and keys as the trust map pins them, tokens as their processes tell. Public facts only.

use crate::app::App;
use domain::message::admin::{
    CustodyStatus, FirmRow, Firms, KeyRow, OpenRecording, RecorderRow, RootRow, StoreRow, TokenRow,
};
use domain::message::custody::{Answer, Ask};
use domain::message::front::ProbedKey;
use domain::{B64, FirmId, MeetingId, UnixMillis};
use evidence::identity::{FirmTrust, TrustMap};
use evidence::key::key_id;
use openssl::asn1::Asn1Time;
use openssl::x509::X509;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Folders below a meeting's that hold what is being written.
const DEEPEST: usize = 3;
/// Files looked at in one meeting: a track a person and source, a segment every minute or so.
const MAX_FILES: usize = 20_000;
/// Recordings looked into at once.
const MAX_OPEN: usize = 50;
/// Largest status file of a recorder: some stores, each with its damaged files.
const MAX_STATUS: u64 = 4 << 20;

/// The trust map, the own firm first.
pub fn firms(trust: &TrustMap, own: &FirmId) -> Firms {
    let mut firms: Vec<FirmRow> = trust.firms.iter().map(|firm| row(firm, own)).collect();
    firms.sort_by(|a, b| b.own.cmp(&a.own).then_with(|| a.firm.cmp(&b.firm)));
    Firms { trust: hex::encode(trust.hash()), firms }
}

fn row(firm: &FirmTrust, own: &FirmId) -> FirmRow {
    let key = |name: &str, spki: &B64| KeyRow { name: name.to_owned(), id: key_id(spki) };
    let mut keys = vec![
        key("policy", &firm.policy_key),
        key("recorder-identity", &firm.recorder_identity),
        key("record", &firm.record_key),
        key("ledger", &firm.ledger_key),
    ];
    keys.extend(firm.archive_keys.iter().enumerate().map(|(n, spki)| key(&format!("archive-{}", n + 1), spki)));
    FirmRow {
        own: firm.firm == *own,
        firm: firm.firm.clone(),
        name: firm.name.clone(),
        roots: firm.roots.iter().map(|der| root(der)).collect(),
        keys,
    }
}

fn root(der: &[u8]) -> RootRow {
    let read = X509::from_der(der).ok();
    let subject = read.as_ref().map(|certificate| {
        let entries = certificate.subject_name().entries();
        let part = |entry: &openssl::x509::X509NameEntryRef| {
            let value = entry.data().to_string().unwrap_or_default();
            format!("{}={value}", entry.object().nid().short_name().unwrap_or("?"))
        };
        entries.map(part).collect::<Vec<_>>().join(", ")
    });
    let until = read.as_ref().and_then(|certificate| {
        let left = Asn1Time::from_unix(0).ok()?.diff(certificate.not_after()).ok()?;
        let seconds = i64::from(left.days) * 86_400 + i64::from(left.secs);
        u64::try_from(seconds).ok().map(|seconds| UnixMillis(seconds.saturating_mul(1000)))
    });
    RootRow { subject: subject.unwrap_or_default(), fingerprint: hex::encode(evidence::sha256(der)), until }
}

/// How tokens, recorders and stores are now.
pub async fn status(app: &App) -> CustodyStatus {
    let mut tokens = vec![token("people", &app.people).await, token("archive", &app.archive).await];
    for (n, further) in app.further_archives.iter().enumerate() {
        tokens.push(token(&format!("archive-{}", n + 2), further).await);
    }
    let now = app.clock.now();
    let (probes, blocked) = {
        let probes = app.probes.lock().expect("no holder panics");
        let probed = |(id, opened_at): (&str, _)| ProbedKey { key_id: id.to_owned(), opened_at };
        (probes.status().map(probed).collect(), probes.is_blocking(now))
    };
    let recorder = |(name, certified_at, until)| RecorderRow { name, certified_at, until };
    CustodyStatus {
        tokens,
        probes,
        blocked,
        recorders: app.desk.recorders().into_iter().map(recorder).collect(),
        open: Vec::new(),
        stores: Vec::new(),
        free_bytes: service::operations::look::free_bytes(&app.config.archive),
    }
}

async fn token(name: &str, client: &custody::Client) -> TokenRow {
    let down = |problem: String| TokenRow {
        name: name.to_owned(),
        token: None,
        test: false,
        keys: Vec::new(),
        problem: Some(problem),
    };
    match client.ask(Ask::Info {}).await {
        Ok(Answer::Info(info)) => TokenRow {
            name: name.to_owned(),
            token: Some(info.token),
            test: info.test_token,
            keys: info.keys.into_iter().map(|(name, spki)| KeyRow { name, id: key_id(&spki) }).collect(),
            problem: None,
        },
        Ok(_) => down("bad-answer".to_owned()),
        Err(error) => down(error.code().to_owned()),
    }
}

/// Meetings that are being recorded, with the time of the last byte kept. Blocking.
pub fn open(app: &App) -> Vec<OpenRecording> {
    let rows = app.meetings.list().into_iter().filter(|row| row.integrity == "open").take(MAX_OPEN);
    let months = months(&app.config.archive.join(app.config.firm.as_str()));
    let found = |meeting: MeetingId| {
        let folder = months.iter().map(|month| month.join(meeting.as_str())).find(|folder| folder.is_dir());
        let mut left = MAX_FILES;
        OpenRecording { written_at: folder.and_then(|folder| newest(&folder, DEEPEST, &mut left)), meeting }
    };
    rows.map(|row| found(row.meeting)).collect()
}

fn months(root: &Path) -> Vec<std::path::PathBuf> {
    let below = |folder: &Path| -> Vec<_> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
        entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
    };
    below(root).iter().flat_map(|year| below(year)).collect()
}

fn newest(folder: &Path, depth: usize, left: &mut usize) -> Option<UnixMillis> {
    let mut last = None;
    for entry in std::fs::read_dir(folder).ok()?.filter_map(Result::ok) {
        *left = left.checked_sub(1)?;
        let Ok(meta) = entry.metadata() else { continue };
        let at = if meta.is_dir() {
            depth.checked_sub(1).and_then(|depth| newest(&entry.path(), depth, left))
        } else {
            let since = meta.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
            since.and_then(|since| u64::try_from(since.as_millis()).ok()).map(UnixMillis)
        };
        last = last.max(at);
    }
    last
}

// not a wire type: the status file that the firm's recorder writes beside its archive; what is not known is passed over
#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    stores: BTreeMap<String, Store>,
}

// not a wire type: a store in that file
#[derive(Deserialize)]
struct Store {
    class: Option<String>,
    probed_at: UnixMillis,
    trouble: Option<String>,
    waiting: u64,
    waiting_bytes: u64,
}

/// Stores as the recorder last wrote them down. Blocking.
pub fn stores(app: &App) -> Vec<StoreRow> {
    let path = app.config.archive.join(app.config.firm.as_str()).join("stores/status.json");
    if !std::fs::metadata(&path).is_ok_and(|meta| meta.len() <= MAX_STATUS) {
        return Vec::new();
    }
    let read = std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Written>(&bytes).ok());
    let stores = read.map(|read| read.stores).unwrap_or_default();
    let row = |(name, store): (String, Store)| StoreRow {
        name,
        class: store.class,
        probed_at: store.probed_at,
        trouble: store.trouble,
        waiting: store.waiting,
        waiting_bytes: store.waiting_bytes,
    };
    stores.into_iter().map(row).collect()
}
