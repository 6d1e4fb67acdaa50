//! What is judged without a secret: COSE, certificates, signed documents.

use domain::UnixMillis;
use evidence::key::PublicKey;
use evidence::ledger::Head;
use evidence::{cose, grant, identity, ledger, order, receipt, sender_manifest, statement};
use std::sync::OnceLock;
use strongroom_tests::firms::{Firms, MEETING, T0};

/// Firms that everything here is judged under: one pair a process.
pub fn firms() -> &'static Firms {
    static FIRMS: OnceLock<Firms> = OnceLock::new();
    FIRMS.get_or_init(|| Firms::new(domain::policy::Rule::Must, domain::policy::Rule::Off, 2_000))
}

/// COSE_Sign1 under a known key.
pub fn cose(data: &[u8]) {
    let key = PublicKey::from_spki(&firms().trust.firms[0].policy_key).expect("a key");
    let _ = cose::verify(statement::LABEL, data, &key);
    let _ = cose::verify_by_leaf(receipt::RECEIPT_LABEL, data, &firms().trust, T0.seconds());
    let _ = (cose::certificate(data), cose::payload_unverified(data));
}

/// Leaf certificates and keys.
pub fn certificate(data: &[u8]) {
    let read = identity::inspect(data);
    if let Ok(judged) = identity::judge(&firms().trust, data, T0.seconds()) {
        let read = read.expect("what judges well reads");
        assert_eq!(read.participant, judged.participant);
    }
    let _ = (PublicKey::from_spki(data), PublicKey::from_sec1(data));
}

/// Everything signed that travels.
pub fn documents(data: &[u8]) {
    let Firms { trust, a, .. } = firms();
    let key = PublicKey::from_spki(&trust.firms[0].policy_key).expect("a key");
    let now = UnixMillis(T0.0);
    let _ = statement::judge_statement(trust, data);
    let _ = order::judge(trust, data);
    let _ = receipt::judge_receipt(trust, data, now.seconds());
    let _ = receipt::judge_beacon(trust, data, now.seconds());
    let _ = sender_manifest::judge(&key, data);
    let _ = grant::judge_request(trust, &a.id, data, now);
    let subject = MEETING.as_bytes();
    let _ = evidence::recorder_csr::RecorderCsr::covers(data, subject, now);
    let _ = evidence::said::judge_kept(trust, data, now);
    let _ = evidence::acknowledgement::judge(trust, data, now.seconds());
    if let Some(card) = e2ee::file::Card::decode(data) {
        assert_eq!(domain::files::plain_name(card.name()), card.name(), "plain once is plain for good");
    }
    let name = domain::files::plain_name(&String::from_utf8_lossy(data));
    assert!(name.len() <= domain::files::MAX_NAME + 1 && !name.contains(['/', '\\', '"', '\n']), "{name}");
    let _ = ledger::judge(&key, &a.id, &Head { next: 0, hash: [0; 32] }, data);
}
