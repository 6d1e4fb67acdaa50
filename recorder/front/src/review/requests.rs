//! Replay requests and approvals, as signed by the officers, one folder each under the archive's `review/`. Written
//! whole and durable before anything is answered; read again and judged again at every start.

use crate::review::copies::Copies;
use dashmap::DashMap;
use domain::message::front::ReplayRequest;
use domain::{B64, FirmId, UnixMillis};
use evidence::grant::{self, Approval, Grant, Request, Subject};
use evidence::identity::{Identity, TrustMap};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

const REQUEST: &str = "request.cose";
const APPROVAL: &str = "approval.cose";
/// Largest signed request or approval: text limits of `evidence::grant` and one certificate.
pub const MAX_SIGNED: usize = 16 * 1024;
/// Requests kept in memory; a firm's officers make a few a day.
const MAX_REQUESTS: usize = 50_000;

/// Why a request or approval is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReviewError {
    /// The officer's: what they signed does not hold.
    #[error("{0}")]
    Refused(#[from] grant::GrantError),
    /// The officer's: no such request.
    #[error("no such request")]
    Unknown,
    /// The officer's: approved before.
    #[error("this request was approved before")]
    Approved,
    /// The environment's.
    #[error("the archive's review folder cannot be written: {0}")]
    Storage(#[from] std::io::Error),
    /// Too many.
    #[error("there are more requests than a front keeps; move old ones out of the review folder")]
    Full,
}

/// A request and where it stands.
#[derive(Clone)]
pub struct Stored {
    /// Id: begin of the SHA-256 of the signed request.
    pub id: String,
    /// As signed.
    pub signed: Vec<u8>,
    /// What it says.
    pub request: Request,
    /// Who asked.
    pub requester: Identity,
    /// As signed, what it says, the approver's user id.
    pub approval: Option<(Vec<u8>, Approval, String)>,
}

impl Stored {
    /// As officers see it.
    pub fn row(&self) -> ReplayRequest {
        ReplayRequest {
            id: self.id.clone(),
            meeting: self.request.meeting.clone(),
            requester: self.requester.participant.user.to_string(),
            case: self.request.case.clone(),
            reason: self.request.reason.clone(),
            approver: self.approval.as_ref().map(|(_, _, approver)| approver.clone()),
            until: self.approval.as_ref().map(|(_, approval, _)| approval.until),
            keys: self.request.handed.is_some(),
            signed: self.signed.as_slice().into(),
        }
    }
}

/// All requests of a firm.
pub struct Requests {
    folder: PathBuf,
    firm: FirmId,
    all: DashMap<String, Stored>,
}

impl Requests {
    /// Reads `<archive>/review/`. What does not hold any more is named in the log and left out.
    ///
    /// # Errors
    /// The folder cannot be made or read.
    pub fn open(archive: &Path, firm: FirmId, trust: &TrustMap) -> std::io::Result<Self> {
        let folder = archive.join("review");
        std::fs::create_dir_all(&folder)?;
        let requests = Self { folder, firm, all: DashMap::new() };
        for entry in std::fs::read_dir(&requests.folder)? {
            let folder = entry?.path();
            match requests.reread(&folder, trust) {
                Some(stored) => drop(requests.all.insert(stored.id.clone(), stored)),
                None => tracing::warn!(folder = %folder.display(), "this replay request does not hold and is left out"),
            }
        }
        Ok(requests)
    }

    fn reread(&self, folder: &Path, trust: &TrustMap) -> Option<Stored> {
        let signed = std::fs::read(folder.join(REQUEST)).ok()?;
        let claimed: Request = evidence::cbor::decode(&evidence::cose::payload_unverified(&signed)?).ok()?;
        // judged as of its own time: an old request stays on the list
        let (request, requester) = grant::judge_request(trust, &self.firm, &signed, claimed.issued_at).ok()?;
        let approval = std::fs::read(folder.join(APPROVAL)).ok().and_then(|signed| {
            let answer: Approval = evidence::cbor::decode(&evidence::cose::payload_unverified(&signed)?).ok()?;
            let at = answer.issued_at.seconds();
            let (_, approver) = evidence::cose::verify_by_leaf(grant::APPROVAL_LABEL, &signed, trust, at).ok()?;
            Some((signed, answer, approver.participant.user.to_string()))
        });
        Some(Stored { id: id_of(&signed), signed, request, requester, approval })
    }

    /// Judges a request without keeping it.
    ///
    /// # Errors
    /// [`ReviewError::Refused`] with the reason.
    pub fn judge(&self, trust: &TrustMap, signed: &[u8], now: UnixMillis) -> Result<(Request, Identity), ReviewError> {
        Ok(grant::judge_request(trust, &self.firm, signed, now)?)
    }

    /// Keeps a request that was judged; durable when it returns. Blocking.
    ///
    /// # Errors
    /// [`ReviewError::Storage`], [`ReviewError::Full`].
    pub fn keep(&self, signed: &[u8], request: Request, requester: Identity) -> Result<Stored, ReviewError> {
        let id = id_of(signed);
        if let Some(known) = self.get(&id) {
            return Ok(known);
        }
        if self.all.len() >= MAX_REQUESTS {
            return Err(ReviewError::Full);
        }
        let folder = self.folder.join(&id);
        std::fs::create_dir_all(&folder)?;
        write_durably(&folder, REQUEST, signed)?;
        File::open(&self.folder)?.sync_all()?;
        let stored = Stored { id: id.clone(), signed: signed.to_vec(), request, requester, approval: None };
        self.all.insert(id, stored.clone());
        Ok(stored)
    }

    /// Judges an approval of a kept request against the verified meeting.
    ///
    /// # Errors
    /// [`ReviewError`] with the reason.
    pub fn judge_approval(
        &self,
        trust: &TrustMap,
        id: &str,
        meeting: &Copies,
        signed: &[u8],
        now: UnixMillis,
    ) -> Result<Grant, ReviewError> {
        let stored = self.get(id).ok_or(ReviewError::Unknown)?;
        if stored.approval.is_some() {
            return Err(ReviewError::Approved);
        }
        Ok(judge_grant(trust, &stored, meeting, signed, now)?)
    }

    /// Keeps a judged approval; durable when it returns. Blocking.
    ///
    /// # Errors
    /// [`ReviewError`] with the reason.
    pub fn keep_approval(&self, id: &str, signed: &[u8], grant: &Grant) -> Result<Stored, ReviewError> {
        let mut stored = self.all.get_mut(id).ok_or(ReviewError::Unknown)?;
        if stored.approval.is_some() {
            return Err(ReviewError::Approved);
        }
        let answer =
            evidence::cose::payload_unverified(signed).and_then(|payload| evidence::cbor::decode(&payload).ok());
        let answer: Approval = answer.ok_or(ReviewError::Unknown)?;
        write_durably(&self.folder.join(id), APPROVAL, signed)?;
        stored.approval = Some((signed.to_vec(), answer, grant.approver.participant.user.to_string()));
        Ok(stored.clone())
    }

    /// One request.
    pub fn get(&self, id: &str) -> Option<Stored> {
        self.all.get(id).map(|stored| stored.clone())
    }

    /// Requests of an officer whose grant has not ended, each with its approval.
    pub fn granted(&self, user: &domain::UserId, now: UnixMillis) -> Vec<(Stored, Vec<u8>)> {
        let approved = |stored: &Stored| {
            let (signed, approval, _) = stored.approval.as_ref()?;
            let own = stored.requester.participant.user == *user && approval.until > now;
            own.then(|| (stored.clone(), signed.clone()))
        };
        let mut all: Vec<_> = self.all.iter().filter_map(|entry| approved(entry.value())).collect();
        all.sort_by(|(a, _), (b, _)| a.id.cmp(&b.id));
        all
    }

    /// All requests, newest first.
    pub fn list(&self) -> Vec<ReplayRequest> {
        let mut all: Vec<Stored> = self.all.iter().map(|entry| entry.value().clone()).collect();
        all.sort_by(|a, b| b.request.issued_at.cmp(&a.request.issued_at).then_with(|| a.id.cmp(&b.id)));
        all.iter().map(Stored::row).collect()
    }
}

/// Judges a stored request with an approval for a verified meeting, all of whose copies that it names are here. Who was in
/// the meeting by any copy was in it.
///
/// # Errors
/// Which half fails and why.
pub fn judge_grant(
    trust: &TrustMap,
    stored: &Stored,
    meeting: &Copies,
    approval: &[u8],
    now: UnixMillis,
) -> Result<Grant, grant::GrantError> {
    let another = || grant::GrantError::Other(grant::Part::Request, "another meeting or manifest");
    let named = meeting.named(&stored.request).ok_or_else(another)?;
    let roster: Vec<_> = meeting.manifest.roster.iter().map(|row| row.participant.clone()).collect();
    let subject = Subject {
        firm: &meeting.manifest.firm,
        meeting: &meeting.manifest.meeting,
        manifest_hash: named.first().hash,
        roster: &roster,
    };
    grant::judge(trust, subject, &stored.signed, approval, now)
}

fn id_of(signed: &[u8]) -> String {
    hex::encode(&Sha256::digest(signed)[..16])
}

/// A new file under its final name only when its bytes are on disk.
pub(crate) fn write_durably(folder: &Path, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let partial = folder.join(format!("{name}.part"));
    let mut file = File::create(&partial)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&partial, folder.join(name))?;
    File::open(folder)?.sync_all()
}

/// Signed bytes from a request body, within their limit.
pub fn within_limit(signed: &B64) -> Option<&[u8]> {
    (signed.len() <= MAX_SIGNED).then_some(signed.as_slice())
}
