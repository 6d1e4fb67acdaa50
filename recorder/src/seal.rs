//! What custody signs: segment manifests while the meeting runs, the meeting manifest at its end. When the token is away
//! this waits and tries again; recording goes on meanwhile.

use crate::firm_log::FirmLog;
use crate::journal::Writer;
use custody::Client;
use domain::message::custody::{Answer, Ask, RecordKind};
use evidence::archive::{Digest, SegmentManifest, names, sha256};
use recorder_core::FileId;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Between two attempts while custody or the disk is away.
const RETRY: Duration = Duration::from_secs(5);
/// Segments that may wait for custody: all tracks of the largest meeting, closed every minute for an hour.
const MAX_WAITING: usize = 65_536;

/// Signs and writes manifests of one meeting, in order.
pub struct Sealer {
    queue: mpsc::Sender<SegmentManifest>,
    task: tokio::task::JoinHandle<Vec<Signed>>,
}

/// A segment manifest with the path and hash of its signed form.
pub type Signed = (SegmentManifest, String, Digest);

/// Where the signed manifest of a segment goes.
fn manifest_path(manifest: &SegmentManifest) -> String {
    match manifest.track {
        0 => FileId::Events.manifest_path(),
        track => FileId::Track { track, index: manifest.index }.manifest_path(),
    }
}

/// Asks custody to sign; tries until it does.
pub async fn sign(custody: &Client, kind: RecordKind, payload: Vec<u8>) -> Vec<u8> {
    loop {
        match custody.ask(Ask::SignRecord { kind, payload: payload.clone().into() }).await {
            Ok(Answer::Signed { signed }) => return signed.0,
            Ok(_) => tracing::error!("custody answered something else than a signature"),
            Err(e) => tracing::error!("a manifest waits for its signature: {e}"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Writes a file durably; tries until it is.
pub async fn put(files: &Writer, path: String, bytes: Vec<u8>) {
    loop {
        let (name, data) = (path.clone(), bytes.clone());
        match files.ask(move |journal| journal.store().put(&name, &data)).await {
            Ok(Ok(())) => return,
            Ok(Err(e)) => tracing::error!("{path} cannot be written ({e}); it is tried again"),
            Err(_) => tracing::error!("the archive's thread is gone"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

impl Sealer {
    /// Starts with segments that were signed before.
    pub fn start(custody: Arc<Client>, files: Writer, before: Vec<Signed>) -> Self {
        let (queue, mut manifests) = mpsc::channel::<SegmentManifest>(MAX_WAITING);
        let task = tokio::spawn(async move {
            let mut signed = before;
            while let Some(manifest) = manifests.recv().await {
                let bytes = sign(&custody, RecordKind::Segment, manifest.to_cbor()).await;
                let path = manifest_path(&manifest);
                let hash = sha256(&bytes);
                put(&files, path.clone(), bytes).await;
                signed.push((manifest, path, hash));
            }
            signed
        });
        Self { queue, task }
    }

    /// Takes a closed segment.
    pub fn seal(&self, manifest: SegmentManifest) {
        // the task ends only when the queue does
        if self.queue.try_send(manifest).is_err() {
            tracing::error!("custody has not signed for too long: a segment waits for the next start of the recorder");
        }
    }

    /// Waits for all of them.
    ///
    /// # Errors
    /// The task panicked.
    pub async fn all(self) -> Result<Vec<Signed>, String> {
        drop(self.queue);
        self.task.await.map_err(|e| format!("sealing stopped: {e}"))
    }
}

/// Segments whose signed manifests lie in the folder already.
///
/// # Errors
/// The disk's, or a manifest that cannot be read.
pub async fn signed_before(files: &Writer) -> Result<Vec<Signed>, String> {
    let read = |journal: &mut crate::journal::Journal| -> std::io::Result<Vec<Signed>> {
        let mut all = Vec::new();
        for name in journal.store().list("segments")?.into_iter().filter(|name| name.ends_with(".cose")) {
            let path = format!("segments/{name}");
            let Some(bytes) = journal.store().read(&path)? else { continue };
            let payload = evidence::cose::payload_unverified(&bytes);
            let manifest = payload.and_then(|payload| SegmentManifest::from_cbor(&payload));
            let manifest = manifest.ok_or_else(|| std::io::Error::other(format!("{path} is no segment manifest")))?;
            // the events grow until the end: what was signed of them before a crash is signed again
            if manifest.track == 0 {
                continue;
            }
            all.push((manifest, path, sha256(&bytes)));
        }
        Ok(all)
    };
    let answer = files.ask(read).await.map_err(|_| "the archive's thread is gone".to_owned())?;
    answer.map_err(|e| e.to_string())
}

/// Signs the meeting manifest, appends it to the firm's log, writes proof and manifest, the manifest last.
pub async fn finish(custody: &Client, log: &FirmLog, files: &Writer, payload: Vec<u8>) {
    let signed = sign(custody, RecordKind::Meeting, payload).await;
    let proof = loop {
        match log.append(&signed).await {
            Ok(proof) => break proof,
            Err(e) => tracing::error!("the firm's log cannot take the meeting: {e}; it is tried again"),
        }
        tokio::time::sleep(RETRY).await;
    };
    put(files, names::PROOF.to_owned(), proof.to_cbor()).await;
    put(files, names::MEETING.to_owned(), signed).await;
}
