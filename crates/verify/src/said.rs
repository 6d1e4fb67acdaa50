//! What members said in writing: each is signed by who said it, nothing is there twice, and what is missing is declared.

use crate::Report;
use crate::files::Files;
use domain::{MeetingId, ParticipantId, UnixMillis};
use evidence::acknowledgement;
use evidence::archive::{ArchiveEvent, Digest, MeetingManifest, names, sha256};
use evidence::identity::TrustMap;
use evidence::{cose, said};
use std::collections::{BTreeMap, BTreeSet};

/// Where an event stands.
pub(crate) struct Place<'a> {
    pub(crate) path: &'a str,
    pub(crate) offset: u64,
    pub(crate) at_us: u64,
}

#[derive(Default)]
struct Numbers {
    whose: String,
    /// By number: where it stands.
    there: BTreeMap<u64, u64>,
}

/// Everything said.
#[derive(Default)]
pub(crate) struct Speech {
    by_certificate: BTreeMap<Digest, Numbers>,
    declared: BTreeMap<Digest, BTreeSet<(u64, u64)>>,
    /// Who said yes to the notices.
    acknowledged: BTreeSet<ParticipantId>,
    /// ... to which statements.
    statements: BTreeSet<[u8; 32]>,
    /// What hosts ordered.
    orders: BTreeSet<Digest>,
    /// Files among it.
    pub(crate) files: Files,
}

impl Speech {
    /// Takes an event.
    pub(crate) fn event(
        &mut self,
        place: &Place<'_>,
        event: &ArchiveEvent,
        meeting: &MeetingId,
        trust: &TrustMap,
        report: &mut Report,
    ) {
        let (participant, signed) = match event {
            ArchiveEvent::Said { participant, said } => (participant, said),
            ArchiveEvent::Unsaid { certificate, first, count, .. } => {
                self.declared.entry(*certificate).or_default().insert((*first, *count));
                return;
            }
            ArchiveEvent::Acknowledged { participant, acknowledgement } => {
                return self.yes(place, participant, acknowledgement, meeting, trust, report);
            }
            ArchiveEvent::HostAct { participant, act } => {
                return self.order(place, participant, act, meeting, trust, report);
            }
            other => return self.files.event(place, other, report),
        };
        let mut wrong = |problem: String| report.finding(place.path, Some(place.offset), problem);
        let at = UnixMillis(place.at_us / 1000);
        let (said, identity) = match said::judge_kept(trust, signed, at) {
            Ok(judged) => judged,
            Err(e) => return wrong(format!("what {participant} is to have said does not hold: {e}")),
        };
        if identity.participant != *participant {
            return wrong(format!("{participant} is to have said what {} signed", identity.participant));
        }
        if said.meeting != *meeting {
            return wrong(format!("{participant} said this in another meeting"));
        }
        let certificate = cose::certificate(signed).map_or(Digest(identity.certificate_hash), |der| sha256(&der));
        let numbers = self.by_certificate.entry(certificate).or_default();
        numbers.whose = participant.to_string();
        if numbers.there.insert(said.sequence, place.offset).is_some() {
            return wrong(format!("word {} of {participant} is there twice", said.sequence));
        }
        self.files.told(place, participant, signed, &said);
        report.said += 1;
    }

    fn yes(
        &mut self,
        place: &Place<'_>,
        participant: &ParticipantId,
        signed: &[u8],
        meeting: &MeetingId,
        trust: &TrustMap,
        report: &mut Report,
    ) {
        let at = UnixMillis(place.at_us / 1000);
        let wrong = match acknowledgement::judge(trust, signed, at.seconds()) {
            Err(e) => format!("the acknowledgement of {participant} does not hold: {e}"),
            Ok((_, signer)) if signer.participant != *participant => {
                format!("{participant} is to have acknowledged what {} signed", signer.participant)
            }
            Ok((read, _)) if read.meeting != *meeting => format!("{participant} acknowledged another meeting"),
            Ok((read, _)) => {
                self.acknowledged.insert(participant.clone());
                self.statements.insert(read.statements);
                report.acknowledged += 1;
                return;
            }
        };
        report.finding(place.path, Some(place.offset), wrong);
    }

    /// Something a host ordered. Whether its signer was host is the statements' and the room directory's to say; that it was
    /// signed by a member, in this meeting and in its time, is judged here.
    fn order(
        &mut self,
        place: &Place<'_>,
        participant: &ParticipantId,
        signed: &[u8],
        meeting: &MeetingId,
        trust: &TrustMap,
        report: &mut Report,
    ) {
        let at = UnixMillis(place.at_us / 1000);
        let wrong = match evidence::host::judge(trust, meeting, signed, at) {
            Err(e) => format!("what {participant} is to have ordered as host does not hold: {e}"),
            Ok((_, signer)) if signer.participant != *participant => {
                format!("{participant} is to have ordered what {} signed", signer.participant)
            }
            Ok(_) => {
                // an order that lasts is heard again by a recorder that came back
                report.host_acts += u64::from(self.orders.insert(sha256(signed)));
                return;
            }
        };
        report.finding(place.path, Some(place.offset), wrong);
    }

    /// Did everybody whose sound or picture is here say yes to the statements that bound the meeting?
    pub(crate) fn judge_notices(&self, manifest: &MeetingManifest, report: &mut Report) {
        let bound = evidence::policy::statements_hash(&manifest.statements);
        if self.statements.iter().any(|one| *one != bound) {
            report.finding(names::EVENTS, None, "an acknowledgement is of other statements than the manifest's");
        }
        let heard: BTreeSet<&ParticipantId> = manifest.tracks.iter().map(|track| &track.participant).collect();
        for one in heard.into_iter().filter(|one| !self.acknowledged.contains(*one)) {
            report.notes.push(format!("there is no acknowledgement of the notices by {one}"));
        }
    }

    /// Is every hole declared?
    pub(crate) fn judge(&self, report: &mut Report) {
        let none = BTreeSet::new();
        for (certificate, numbers) in &self.by_certificate {
            let declared = self.declared.get(certificate).unwrap_or(&none);
            let holds = |number: u64| declared.iter().any(|(first, count)| (*first..first + count).contains(&number));
            let next = numbers.there.iter().skip(1);
            for ((one, _), (two, offset)) in numbers.there.iter().zip(next) {
                if let Some(missing) = (one + 1..*two).find(|number| !holds(*number)) {
                    let whose = &numbers.whose;
                    let problem = format!("word {missing} of {whose} is missing before this one and nothing says so");
                    report.finding(names::EVENTS, Some(*offset), problem);
                }
            }
        }
        let missing: u64 = self.declared.values().flatten().map(|(_, count)| count).sum();
        if missing > 0 {
            report.notes.push(format!("{missing} words said while the recorder was away are not here"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Epoch;
    use evidence::identity::FirmTrust;
    use evidence::key::PublicKey;
    use evidence::said::{LABEL, Said, What};
    use p256::ecdsa::signature::hazmat::PrehashSigner;
    use p256::ecdsa::{Signature, SigningKey};
    use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
    use rcgen::{KeyUsagePurpose, SanType, SubjectPublicKeyInfo};
    use std::convert::Infallible;

    const T0_S: u64 = 1_800_000_000;

    struct Bank {
        issuer: Issuer<'static, KeyPair>,
        trust: TrustMap,
    }

    struct Person {
        id: ParticipantId,
        key: SigningKey,
        leaf: Vec<u8>,
    }

    fn dated(params: &mut CertificateParams, life_s: u64) {
        let from = T0_S - 60;
        params.not_before = rcgen::date_time_ymd(1970, 1, 1) + std::time::Duration::from_secs(from);
        params.not_after = params.not_before + std::time::Duration::from_secs(life_s);
    }

    fn bank() -> Bank {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Bank A people CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        dated(&mut params, 365 * 86_400);
        let root = params.self_signed(&key).expect("signs").der().to_vec();
        let some = spki(&SigningKey::from_slice(&[9; 32]).expect("a scalar"));
        let own = FirmTrust {
            firm: "bank-a".parse().expect("an id"),
            name: "Bank A".to_owned(),
            roots: vec![root.into()],
            policy_key: some.clone().into(),
            recorder_identity: some.clone().into(),
            record_key: some.clone().into(),
            ledger_key: some.clone().into(),
            archive_keys: Vec::new(),
            stamp_roots: Vec::new(),
        };
        Bank {
            issuer: Issuer::new(params, key),
            trust: TrustMap { version: 1, firms: vec![own], order_key: some.into() },
        }
    }

    fn spki(key: &SigningKey) -> Vec<u8> {
        PublicKey::from_sec1(key.verifying_key().to_encoded_point(false).as_bytes()).expect("a point").to_spki()
    }

    fn person(bank: &Bank, id: &str, seed: u8) -> Person {
        let (id, key): (ParticipantId, _) =
            (id.parse().expect("an id"), SigningKey::from_slice(&[seed; 32]).expect("a scalar"));
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, id.user.as_str());
        params.subject_alt_names = vec![SanType::URI(id.uri().try_into().expect("ASCII"))];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(vec![1, 3, 6, 1, 4, 1, 32473, 7, 1])];
        dated(&mut params, 4 * 3_600);
        let public = SubjectPublicKeyInfo::from_der(&spki(&key)).expect("a key");
        let leaf = params.signed_by(&public, &bank.issuer).expect("signs").der().to_vec();
        Person { id, key, leaf }
    }

    fn meeting() -> MeetingId {
        "00112233445566778899aabbccddeeff".parse().expect("an id")
    }

    fn word(of: &Person, sequence: u64) -> Vec<u8> {
        word_in(of, sequence, meeting())
    }

    fn word_in(of: &Person, sequence: u64, meeting: MeetingId) -> Vec<u8> {
        let what = What::Text { sealed: vec![7; 40] };
        let said = Said { meeting, epoch: Epoch(2), sequence, at: UnixMillis(T0_S * 1000), what };
        let signer = |hash: &[u8; 32]| {
            let signature: Signature = of.key.sign_prehash(hash).expect("32 bytes");
            Ok::<[u8; 64], Infallible>(signature.to_bytes().into())
        };
        cose::sign(LABEL, &said::encode(&said), Some(&of.leaf), signer).expect("cannot fail")
    }

    fn judged(bank: &Bank, at_s: u64, events: &[ArchiveEvent]) -> Report {
        let (mut speech, mut report) = (Speech::default(), Report::default());
        for (n, event) in events.iter().enumerate() {
            let place = Place { path: "events.seg", offset: n as u64, at_us: at_s * 1_000_000 };
            speech.event(&place, event, &meeting(), &bank.trust, &mut report);
        }
        speech.judge(&mut report);
        report
    }

    fn order(of: &Person, at_s: u64, what: evidence::host::Order) -> ArchiveEvent {
        use evidence::host::{HostAct, LABEL, encode};
        let act = HostAct { meeting: meeting(), sequence: 1, at: UnixMillis(at_s * 1000), what };
        let signer = |hash: &[u8; 32]| {
            let signature: Signature = of.key.sign_prehash(hash).expect("32 bytes");
            Ok::<[u8; 64], Infallible>(signature.to_bytes().into())
        };
        let act = cose::sign(LABEL, &encode(&act), Some(&of.leaf), signer).expect("cannot fail").into();
        ArchiveEvent::HostAct { participant: of.id.clone(), act }
    }

    #[test]
    fn what_a_host_ordered_is_counted_once_and_forged_moved_or_back_dated_orders_are_named() {
        use evidence::host::Order;
        let bank = bank();
        let (anna, ben) = (person(&bank, "bank-a/anna/1", 3), person(&bank, "bank-a/ben/1", 4));
        let locked = order(&anna, T0_S, Order::Lock {});
        let report = judged(&bank, T0_S, &[locked.clone(), order(&anna, T0_S, Order::MuteAll {}), locked.clone()]);
        assert_eq!((report.host_acts, report.findings.len()), (2, 0), "{:?}", report.findings);
        let named = |event: ArchiveEvent, words: &str| {
            let report = judged(&bank, T0_S, &[event]);
            let found = report.findings.iter().any(|one| one.problem.contains(words));
            assert!(found && report.host_acts == 0, "{words}: {:?}", report.findings);
        };
        let ArchiveEvent::HostAct { act, .. } = locked else { panic!("an order") };
        named(ArchiveEvent::HostAct { participant: ben.id.clone(), act: act.clone() }, "what bank-a/anna/1 signed");
        let forged = Person { key: ben.key.clone(), leaf: anna.leaf.clone(), id: anna.id.clone() };
        named(order(&forged, T0_S, Order::End {}), "does not hold");
        named(order(&anna, T0_S - 600, Order::MuteAll {}), "not of now");
        let elsewhere: MeetingId = "ffeeddccbbaa99887766554433221100".parse().expect("an id");
        let (mut speech, mut report) = (Speech::default(), Report::default());
        let place = Place { path: "events.seg", offset: 0, at_us: T0_S * 1_000_000 };
        let event = ArchiveEvent::HostAct { participant: anna.id.clone(), act };
        speech.event(&place, &event, &elsewhere, &bank.trust, &mut report);
        assert_eq!(report.findings.len(), 1, "of another meeting");
    }

    fn said(by: &Person, signed: Vec<u8>) -> ArchiveEvent {
        ArchiveEvent::Said { participant: by.id.clone(), said: signed.into() }
    }

    #[test]
    fn w1_forged_bent_doubled_and_dropped_words_are_named_where_they_stand() {
        let bank = bank();
        let (anna, ben) = (person(&bank, "bank-a/anna/1", 3), person(&bank, "bank-a/ben/1", 4));
        let whole: Vec<ArchiveEvent> = (1..=4).map(|n| said(&anna, word(&anna, n))).collect();
        let good = judged(&bank, T0_S, &whole);
        assert_eq!((good.said, good.findings.len()), (4, 0), "{:?}", good.findings);

        let named = |at: usize, event: ArchiveEvent, words: &str| {
            let mut events = whole.clone();
            events[at] = event;
            let report = judged(&bank, T0_S, &events);
            let found = report.findings.iter().any(|one| one.offset == Some(at as u64) && one.problem.contains(words));
            assert!(found, "{words}: {:?}", report.findings);
        };
        named(1, said(&ben, word(&anna, 2)), "bank-a/ben/1 is to have said what bank-a/anna/1 signed");
        let elsewhere = word_in(&anna, 2, "ffeeddccbbaa99887766554433221100".parse().expect("an id"));
        named(1, said(&anna, elsewhere), "in another meeting");
        named(2, said(&anna, word(&anna, 2)), "there twice");
        // another key under anna's certificate
        let forged = Person { key: ben.key.clone(), leaf: anna.leaf.clone(), id: anna.id.clone() };
        named(1, said(&anna, word(&forged, 2)), "not signed by its sender");
        for byte in [5, 200] {
            let mut bent = word(&anna, 2);
            let at = bent.len() - byte;
            bent[at] ^= 1;
            named(1, said(&anna, bent), "does not hold");
        }

        let mut dropped = whole.clone();
        dropped.remove(2);
        let report = judged(&bank, T0_S, &dropped);
        assert_eq!(report.findings.len(), 1);
        assert!(report.findings[0].problem.contains("word 3 of bank-a/anna/1 is missing"), "{:?}", report.findings);
        let certificate = sha256(&anna.leaf);
        dropped.push(ArchiveEvent::Unsaid { participant: anna.id.clone(), certificate, first: 3, count: 1 });
        let report = judged(&bank, T0_S, &dropped);
        assert!(report.is_good(), "what the recorder missed it says: {:?}", report.findings);
        assert_eq!(report.notes.len(), 1);
    }

    #[test]
    fn a_certificate_that_ran_out_counts_for_an_hour_as_it_did_in_the_meeting() {
        let bank = bank();
        let anna = person(&bank, "bank-a/anna/1", 3);
        let event = [said(&anna, word(&anna, 1))];
        let end = T0_S - 60 + 4 * 3_600;
        assert!(judged(&bank, end + 3_600, &event).is_good());
        assert!(!judged(&bank, end + 3_601, &event).is_good());
        assert!(!judged(&bank, T0_S - 61, &event).is_good(), "before it was valid");
    }
}
