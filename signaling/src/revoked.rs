//! Certificates that firms ended before their time: each firm's newest signed list, kept on disk over a restart and told to every
//! room. Signed by the firm, so that whoever brings one is not asked who it is.

use crate::failure::{Failure, config};
use crate::hub::Hub;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use domain::FirmId;
use evidence::identity::TrustMap;
use evidence::revocation::{MAX_REVOKED, Revocations, judge};
use signaling_core::Revoked;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Largest list: 50 bytes a certificate, and its signature.
pub const MAX_LIST: usize = 64 * MAX_REVOKED;

/// All firms' lists.
pub struct Lists {
    folder: PathBuf,
    lists: Mutex<BTreeMap<FirmId, Revocations>>,
}

/// What became of a list.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is the firm's newest and on disk.
    New,
    /// We have it, or a newer one.
    Known,
}

impl Lists {
    /// Reads what was kept.
    ///
    /// # Errors
    /// [`Failure`] naming the folder.
    pub fn open(folder: &Path, trust: &TrustMap) -> Result<Self, Failure> {
        let bad = |error: std::io::Error| config(format!("{}: {error}", folder.display()));
        std::fs::create_dir_all(folder).map_err(bad)?;
        let mut lists = BTreeMap::new();
        for firm in &trust.firms {
            let path = folder.join(format!("{}.cose", firm.firm));
            match std::fs::read(&path) {
                Ok(signed) => match judge(trust, &signed) {
                    Ok(list) => drop(lists.insert(list.firm.clone(), list)),
                    Err(why) => return Err(config(format!("{}: {why}", path.display()))),
                },
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(bad(error)),
            }
        }
        Ok(Self { folder: folder.to_owned(), lists: Mutex::new(lists) })
    }

    /// No list yet, and no folder.
    pub fn none() -> Self {
        Self { folder: PathBuf::new(), lists: Mutex::default() }
    }

    /// Certificates that count no more.
    pub fn certificates(&self) -> Revoked {
        let lists = self.lists.lock().expect("nothing panics while it is held");
        Arc::new(lists.values().flat_map(|list| list.certificates().collect::<Vec<_>>()).collect())
    }

    /// Takes a list if it is its firm's newest; on disk first. Blocks.
    ///
    /// # Errors
    /// A text for the log; nothing is changed.
    pub fn take(&self, trust: &TrustMap, signed: &[u8]) -> Result<Taken, String> {
        let list = judge(trust, signed).map_err(|why| why.to_string())?;
        let mut lists = self.lists.lock().expect("nothing panics while it is held");
        if lists.get(&list.firm).is_some_and(|known| known.serial >= list.serial) {
            return Ok(Taken::Known);
        }
        let path = self.folder.join(format!("{}.cose", list.firm));
        let fresh = self.folder.join(format!("{}.new", list.firm));
        let kept = std::fs::write(&fresh, signed)
            .and_then(|()| std::fs::File::open(&fresh)?.sync_all())
            .and_then(|()| std::fs::rename(&fresh, &path));
        kept.map_err(|error| format!("{}: {error}", path.display()))?;
        lists.insert(list.firm.clone(), list);
        Ok(Taken::New)
    }
}

/// `POST /v1/revocations`: a firm's signed list, COSE.
pub async fn post(State(hub): State<Arc<Hub>>, signed: Bytes) -> StatusCode {
    let keeper = hub.clone();
    let taken = tokio::task::spawn_blocking(move || keeper.revoked.take(&keeper.trust, &signed)).await;
    match taken {
        Ok(Ok(Taken::New)) => {
            hub.tell_revoked().await;
            StatusCode::NO_CONTENT
        }
        Ok(Ok(Taken::Known)) => StatusCode::NO_CONTENT,
        Ok(Err(why)) => {
            tracing::warn!("a list of revoked certificates was not taken: {why}");
            service::security::report(service::security::Event::StatementRefused);
            StatusCode::FORBIDDEN
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{B64, UnixMillis};
    use evidence::identity::FirmTrust;
    use evidence::revocation::{LABEL, Revoked as Row, encode};
    use p256::ecdsa::SigningKey;
    use p256::ecdsa::signature::hazmat::PrehashSigner;
    use p256::pkcs8::EncodePublicKey;
    use std::convert::Infallible;

    fn trust(key: &SigningKey) -> TrustMap {
        let policy_key = key.verifying_key().to_public_key_der().unwrap().as_bytes().into();
        let none = B64::default;
        let firm = FirmTrust {
            firm: "bank-a".parse().unwrap(),
            name: "Bank A".into(),
            roots: Vec::new(),
            policy_key,
            recorder_identity: none(),
            record_key: none(),
            ledger_key: none(),
            archive_keys: Vec::new(),
            stamp_roots: Vec::new(),
        };
        TrustMap { version: 1, firms: vec![firm], order_key: none() }
    }

    fn list(key: &SigningKey, label: &str, firm: &str, serial: u64, revoked: &[[u8; 32]]) -> Vec<u8> {
        let revoked = revoked.iter().map(|hash| Row { certificate: hash.as_slice().into(), until_s: 9 }).collect();
        let list = Revocations { version: 1, firm: firm.parse().unwrap(), serial, issued_at: UnixMillis(1), revoked };
        let Ok(signed) = evidence::cose::sign::<Infallible>(label, &encode(&list), None, |hash| {
            let signature: p256::ecdsa::Signature = key.sign_prehash(hash).unwrap();
            Ok(signature.to_bytes().into())
        });
        signed
    }

    #[test]
    fn a_firms_newest_list_counts_over_a_restart_and_nobody_elses_does() {
        let (own, other) = (SigningKey::from_slice(&[7; 32]).unwrap(), SigningKey::from_slice(&[8; 32]).unwrap());
        let (folder, trust) = (tempfile::tempdir().unwrap(), trust(&own));
        let lists = Lists::open(folder.path(), &trust).unwrap();
        let good = list(&own, LABEL, "bank-a", 2, &[[1; 32]]);
        assert_eq!(lists.take(&trust, &good), Ok(Taken::New));
        assert_eq!(lists.take(&trust, &list(&own, LABEL, "bank-a", 1, &[])), Ok(Taken::Known), "an older one");
        for (what, wrong) in [
            ("by another key", list(&other, LABEL, "bank-a", 3, &[])),
            ("another label", list(&own, "strongroom statement v1", "bank-a", 3, &[])),
            ("of an unknown firm", list(&own, LABEL, "bank-x", 3, &[])),
            ("nothing", Vec::new()),
        ] {
            assert!(lists.take(&trust, &wrong).is_err(), "{what}");
        }
        drop(lists);
        assert!(Lists::open(folder.path(), &trust).unwrap().certificates().contains(&[1; 32]));
        std::fs::write(folder.path().join("bank-a.cose"), "damaged").unwrap();
        assert!(Lists::open(folder.path(), &trust).is_err(), "a damaged list is no empty one");
    }
}
