//! The attacks of the threat model that need a group (T3, T6, T7, T8, T10, T11, T13, T14, T16, T18, T19).

use crate::firm::{Firm, Leaf, T0, World};
use crate::flow::net;
use crate::net::{Net, id};
use crate::rogue::{Rogue, bare_key_package, client, extensions, key_package, time};
use domain::message::client::{Joiner, ToClient};
use domain::message::custody::LeafRole;
use domain::policy::Rule;
use domain::{B64, Codec, Epoch, Kid, LeafIndex, ParticipantId, Slot};
use e2ee::leaf::LeafKey;
use e2ee::session::{IncidentKind, OpenError, SealError, Session, SessionError, StopReason};
use e2ee::sframe::SealKey;
use evidence::order::Reason;
use mls_rs::identity::SigningIdentity;
use mls_rs::identity::basic::BasicCredential;
use mls_rs::{CipherSuite, ExtensionList, MlsMessage};

/// A certificate that must never be in a group, and what is wrong with it.
type Bad = (&'static str, Box<dyn Fn(&World, &LeafKey, &ParticipantId) -> Vec<u8>>);

fn bent(change: impl Fn(&mut Leaf) + 'static) -> impl Fn(&World, &LeafKey, &ParticipantId) -> Vec<u8> {
    move |world, key, who| {
        let mut leaf = Leaf::of(LeafRole::Member);
        change(&mut leaf);
        world.firm(&who.firm).issue(key, who, &leaf)
    }
}

fn bad_certificates() -> Vec<Bad> {
    vec![
        (
            "another authority of the same name",
            Box::new(|_, key, who| Firm::named("bank-b", "bank-b").issue(key, who, &Leaf::of(LeafRole::Member))),
        ),
        (
            "right authority, another firm's name",
            Box::new(|world, key, who| world.a.issue(key, who, &Leaf::of(LeafRole::Member))),
        ),
        (
            "an unknown firm",
            Box::new(|world, key, _| world.a.issue(key, &id("bank-x/mallory/1"), &Leaf::of(LeafRole::Member))),
        ),
        ("expired", Box::new(bent(|leaf| (leaf.from_s, leaf.life_s) = (-7200, 3600)))),
        ("not valid yet", Box::new(bent(|leaf| leaf.from_s = 3600))),
        ("valid for too long", Box::new(bent(|leaf| leaf.life_s = 13 * 3600))),
        ("no usage of ours", Box::new(bent(|leaf| leaf.eku = vec![1, 3, 6, 1, 5, 5, 7, 3, 1]))),
        ("a usage of nobody", Box::new(bent(|leaf| leaf.eku = vec![1, 3, 6, 1, 4, 1, 32473, 7, 9]))),
        ("a compliance officer", Box::new(bent(|leaf| leaf.eku = Leaf::of(LeafRole::Compliance).eku))),
        ("an administrator", Box::new(bent(|leaf| leaf.eku = Leaf::of(LeafRole::Administrator).eku))),
        ("a recorder where its firm does not record", Box::new(bent(|l| l.eku = Leaf::of(LeafRole::Recorder).eku))),
        (
            "a guest for longer than a guest",
            Box::new(bent(|leaf| {
                (leaf.eku, leaf.life_s) = (Leaf::of(LeafRole::Guest).eku, 5 * 3600);
            })),
        ),
        ("two alternative names", Box::new(bent(|leaf| leaf.second_name = true))),
        ("an unknown critical extension", Box::new(bent(|leaf| leaf.critical_unknown = true))),
        ("a key for something else", Box::new(bent(|leaf| leaf.usage = rcgen::KeyUsagePurpose::KeyAgreement))),
        (
            "an authority as leaf",
            Box::new(bent(|leaf| leaf.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0)))),
        ),
        (
            "a name that is no participant",
            Box::new(bent(|leaf| leaf.uri = Some("https://bank-b/mallory/1".to_owned()))),
        ),
    ]
}

fn ghost() -> ParticipantId {
    id("bank-b/mallory/1")
}

#[test]
fn t13_no_bad_certificate_judges_well_and_a_good_one_does() {
    let world = World::new(Rule::Off, Rule::Off, 2_000);
    let at_s = T0.seconds();
    let key = LeafKey::generate();
    let good = world.b.issue(&key, &ghost(), &Leaf::of(LeafRole::Member));
    let identity = evidence::identity::judge(&world.trust, &good, at_s).unwrap();
    assert_eq!((identity.participant, identity.role), (ghost(), LeafRole::Member));
    for at in 0..good.len() {
        let mut broken = good.clone();
        broken[at] ^= 1;
        assert!(evidence::identity::judge(&world.trust, &broken, at_s).is_err(), "byte {at}");
    }
    for (what, make) in bad_certificates() {
        let judged = evidence::identity::judge(&world.trust, &make(&world, &key, &ghost()), at_s);
        let for_meetings = judged.is_ok_and(|identity| matches!(identity.role, LeafRole::Member | LeafRole::Guest));
        assert!(!for_meetings, "{what}");
    }
}

#[test]
fn t13_a_pinned_root_that_is_no_authority_certifies_nobody() {
    use rcgen::{BasicConstraints, IsCa, KeyUsagePurpose};
    let ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let roots = [
        (true, ca, KeyUsagePurpose::KeyCertSign),
        (false, ca, KeyUsagePurpose::DigitalSignature),
        (false, IsCa::ExplicitNoCa, KeyUsagePurpose::KeyCertSign),
        (false, IsCa::NoCa, KeyUsagePurpose::KeyCertSign),
    ];
    let mut trust = World::new(Rule::Off, Rule::Off, 2_000).trust;
    for (good, is_ca, usage) in roots {
        let firm = Firm::with_root("bank-b", "bank-b", is_ca, vec![usage]);
        trust.firms[1].roots = vec![B64(firm.root.clone())];
        let leaf = firm.issue(&LeafKey::generate(), &ghost(), &Leaf::of(LeafRole::Member));
        assert_eq!(evidence::identity::judge(&trust, &leaf, T0.seconds()).is_ok(), good, "{usage:?}");
        // ten years later the root has ended, which is found before the leaf's own end
        let later = evidence::identity::judge(&trust, &leaf, T0.seconds() + 11 * 365 * 86_400);
        assert_eq!(later, Err(evidence::identity::IdentityError::NotByRoot("bank-b".parse().unwrap())));
    }
}

#[test]
fn t13_a_session_does_not_begin_with_a_bad_certificate() {
    let world = World::new(Rule::Off, Rule::Off, 2_000);
    for (what, make) in bad_certificates() {
        if what.starts_with("a recorder") {
            continue;
        }
        let key = LeafKey::generate();
        let chain = vec![make(&world, &key, &ghost())];
        let config = e2ee::SessionConfig { key, chain, trust: world.trust.clone(), room: world.terms.room.clone() };
        assert!(Session::new(config, T0).is_err(), "{what}");
    }
    let (key, other) = (LeafKey::generate(), LeafKey::generate());
    let chain = vec![world.b.issue(&other, &ghost(), &Leaf::of(LeafRole::Member))];
    let config = e2ee::SessionConfig { key, chain, trust: world.trust.clone(), room: world.terms.room.clone() };
    assert_eq!(Session::new(config, T0).err(), Some(SessionError::OtherKey));
}

#[test]
fn t13_the_committer_adds_no_ghost() {
    let mut net = net();
    let anna = net.join("bank-a/anna/1");
    net.advance(1_000);
    for (what, make) in bad_certificates() {
        let key = LeafKey::generate();
        let key_package = B64(key_package(vec![make(&net.world, &key, &ghost())], &key, net.now));
        let joiners = vec![Joiner { participant: ghost(), key_package }];
        net.deliver(&anna, ToClient::CommitAdds { joiners });
        net.pump();
        assert_eq!(net.incidents(&anna).last(), Some(&IncidentKind::BadJoiner), "{what}");
        assert_eq!(net.service.epoch, Some(Epoch(0)), "{what}");
    }
    // a certificate that is good and everybody's to read, over a key of its own
    let leaf = net.world.b.issue(&LeafKey::generate(), &ghost(), &Leaf::of(LeafRole::Member));
    let stolen = B64(key_package(vec![leaf], &LeafKey::generate(), net.now));
    let joiners = vec![Joiner { participant: ghost(), key_package: stolen }];
    net.deliver(&anna, ToClient::CommitAdds { joiners });
    net.pump();
    assert_eq!(net.incidents(&anna).last(), Some(&IncidentKind::BadJoiner));
    assert_eq!(net.service.epoch, Some(Epoch(0)), "somebody else's certificate");
    // a good certificate under another name than the service says
    let key = LeafKey::generate();
    let leaf = net.world.b.issue(&key, &ghost(), &Leaf::of(LeafRole::Member));
    let key_package = B64(key_package(vec![leaf], &key, net.now));
    let joiners = vec![Joiner { participant: id("bank-b/ben/1"), key_package }];
    net.deliver(&anna, ToClient::CommitAdds { joiners });
    net.pump();
    assert_eq!(net.service.epoch, Some(Epoch(0)));
}

#[test]
fn a_joiner_that_cannot_be_added_keeps_nobody_else_out() {
    let mut net = net();
    let anna = net.join("bank-a/anna/1");
    net.advance(1_000);
    let joiner = |name: &str, own: bool| {
        let (who, key) = (id(name), LeafKey::generate());
        let leaf = net.world.b.issue(&key, &who, &Leaf::of(LeafRole::Member));
        let package = if own { key_package(vec![leaf], &key, net.now) } else { bare_key_package(leaf, &key, net.now) };
        Joiner { participant: who, key_package: B64(package) }
    };
    let joiners = vec![joiner("bank-b/a/1", false), joiner("bank-b/ben/1", true), joiner("bank-b/carl/1", true)];
    net.deliver(&anna, ToClient::CommitAdds { joiners });
    net.pump();
    assert_eq!(net.incidents(&anna), [IncidentKind::BadJoiner]);
    let members: Vec<_> = net.peers[&anna].session.members().into_iter().map(|m| m.participant).collect();
    assert_eq!(members, [anna, id("bank-b/ben/1"), id("bank-b/carl/1")]);
}

/// A meeting of three honest members and a rogue.
fn with_rogue(rule_a: Rule) -> (Net, Rogue) {
    let mut net = Net::new(World::new(rule_a, Rule::Off, 2_000));
    let anna = net.join("bank-a/anna/1");
    net.join("bank-b/ben/1");
    if rule_a == Rule::Must {
        net.join("bank-a/recorder-1/1");
    } else {
        net.join("bank-a/adam/1");
    }
    let mut rogue = Rogue::new(&net, "bank-b/rogue/1");
    rogue.enter(&mut net, &anna);
    net.advance(2_000);
    (net, rogue)
}

/// Every honest member refused the rogue's commit and the meeting went on without the rogue.
fn assert_refused(net: &mut Net, what: &str) {
    for (who, peer) in &net.peers {
        assert!(net.incidents(who).contains(&IncidentKind::BadCommit), "{what}: {who} refused");
        assert!(!peer.session.members().iter().any(|m| m.participant == ghost()), "{what}: {who} sees no ghost");
    }
    net.service.members.remove(&id("bank-b/rogue/1"));
    net.advance(3_000);
    net.assert_one_group();
    net.assert_all_hear_all();
}

#[test]
fn t13_every_member_refuses_a_commit_that_adds_a_ghost() {
    for (what, make) in bad_certificates() {
        let (mut net, mut rogue) = with_rogue(Rule::Off);
        let key = LeafKey::generate();
        let package = key_package(vec![make(&net.world, &key, &ghost())], &key, net.now);
        let package = MlsMessage::from_bytes(&package).unwrap();
        rogue.commit(&mut net, |builder| builder.add_member(package).unwrap());
        assert_refused(&mut net, what);
    }
}

#[test]
fn t13_every_member_refuses_a_basic_credential_and_a_chain_with_more_than_the_leaf() {
    let key = LeafKey::generate();
    let (mut net, mut rogue) = with_rogue(Rule::Off);
    let basic = BasicCredential::new(b"bank-b/mallory/1".to_vec()).into_credential();
    let identity = SigningIdentity::new(basic, key.public_sec1().into());
    let package = client(identity, &key, CipherSuite::P256_AES128)
        .generate_key_package_message(ExtensionList::new(), ExtensionList::new(), Some(time(net.now)))
        .unwrap();
    let group = rogue.group.as_mut().unwrap();
    let built = group.commit_builder().commit_time(time(net.now)).add_member(package.clone()).unwrap().build();
    assert!(built.is_err(), "no leaf of ours supports basic credentials, so not even the rogue can build it");
    let joiner = Joiner { participant: ghost(), key_package: B64(package.to_bytes().unwrap()) };
    let anna = id("bank-a/anna/1");
    net.deliver(&anna, ToClient::CommitAdds { joiners: vec![joiner] });
    net.pump();
    assert_eq!(net.incidents(&anna), [IncidentKind::BadJoiner]);

    let (mut net, mut rogue) = with_rogue(Rule::Off);
    let leaf = Firm::named("bank-b", "bank-b").issue(&key, &ghost(), &Leaf::of(LeafRole::Member));
    let chain = vec![leaf, net.world.b.root.clone()];
    let package = MlsMessage::from_bytes(&key_package(chain, &key, net.now)).unwrap();
    rogue.commit(&mut net, |builder| builder.add_member(package).unwrap());
    assert_refused(&mut net, "a foreign leaf with the right root beside it");
}

#[test]
fn t14_an_order_that_is_forged_or_against_a_recorder_is_refused() {
    let mut net = Net::new(World::new(Rule::Must, Rule::Off, 2_000));
    let anna = net.join("bank-a/anna/1");
    let ben = net.join("bank-b/ben/1");
    let recorder = net.join("bank-a/recorder-1/1");
    net.advance(1_000);
    net.order(&recorder, Reason::Host);
    net.pump();
    assert_eq!(net.incidents(&anna), [IncidentKind::OrderAgainstRecorder, IncidentKind::UnorderedRemoval]);
    net.service.members.insert(recorder.clone());
    net.advance(2_000);
    net.assert_one_group();
    net.assert_all_hear_all();
    let mut forged = net.signed_order(&ben, None, net.service.epoch.unwrap(), Reason::Host);
    let last = forged.0.len() - 1;
    forged.0[last] ^= 1;
    net.deliver(&anna, ToClient::RemovalOrder { order: forged });
    net.pump();
    assert_eq!(net.incidents(&anna).last(), Some(&IncidentKind::BadOrder));
    let leaf = net.leaf(&ben).unwrap();
    net.deliver(&anna, ToClient::CommitRemovals { leaves: vec![leaf] });
    net.pump();
    assert_eq!(net.incidents(&anna).last(), Some(&IncidentKind::UnorderedRemoval));
    net.advance(2_000);
    net.assert_all_hear_all();
}

#[test]
fn t14_an_order_about_another_meeting_stops_nobody() {
    let mut net = net();
    let anna = net.join("bank-a/anna/1");
    let ben = net.join("bank-b/ben/1");
    net.advance(1_000);
    let order = evidence::order::RemovalOrder {
        meeting: "ffeeddccbbaa99887766554433221100".parse().unwrap(),
        participant: ben.clone(),
        leaf: net.leaf(&ben),
        epoch: net.service.epoch.unwrap(),
        reason: Reason::Host,
        issued_at: net.now,
    };
    let order = B64(net.world.order.sign_cose(evidence::order::LABEL, &evidence::order::encode(&order), None));
    for who in [&anna, &ben] {
        net.deliver(who, ToClient::RemovalOrder { order: order.clone() });
    }
    net.pump();
    net.advance(1_000);
    assert_eq!(net.incidents(&anna), [IncidentKind::BadOrder]);
    net.assert_all_hear_all();
}

#[test]
fn t14_no_member_can_remove_another_firms_recorder() {
    let (mut net, mut rogue) = with_rogue(Rule::Must);
    let recorder = net.leaf(&id("bank-a/recorder-1/1")).unwrap();
    rogue.commit(&mut net, |builder| builder.remove_member(recorder.0).unwrap());
    assert_refused(&mut net, "the recorder removed");
}

#[test]
fn t14_a_person_cannot_remove_its_own_firms_recorder_either() {
    let mut net = Net::new(World::new(Rule::Must, Rule::Off, 2_000));
    let anna = net.join("bank-a/anna/1");
    net.join("bank-b/ben/1");
    let recorder = net.join("bank-a/recorder-1/1");
    let mut rogue = Rogue::new(&net, "bank-a/rogue/1");
    rogue.enter(&mut net, &anna);
    net.advance(2_000);
    let leaf = net.leaf(&recorder).unwrap();
    rogue.commit(&mut net, |builder| builder.remove_member(leaf.0).unwrap());
    for who in [&anna, &id("bank-b/ben/1"), &recorder] {
        assert!(net.incidents(who).contains(&IncidentKind::BadCommit), "{who} refused");
    }
}

#[test]
fn t16_nobody_comes_in_by_taking_anothers_leaf() {
    let (mut net, _) = with_rogue(Rule::Off);
    let (anna, ben) = (id("bank-a/anna/1"), id("bank-b/ben/1"));
    let leaf = net.leaf(&ben).unwrap();
    let outsider = Rogue::new(&net, "bank-b/outsider/1");
    outsider.external(&mut net, Some(leaf.0));
    for who in [&anna, &ben] {
        assert!(net.incidents(who).contains(&IncidentKind::BadCommit), "{who} refused");
        let sees = net.peers[who].session.members().into_iter().any(|m| m.participant == outsider.who);
        assert!(!sees, "{who} sees no outsider");
    }
}

#[test]
fn t16_an_external_commit_replaces_only_its_own_old_leaf() {
    for victim in [true, false] {
        let (mut net, _) = with_rogue(Rule::Off);
        let leaf = net.leaf(&id("bank-b/ben/1")).unwrap();
        // the same person with another key, so that its own old leaf may stay
        let again = Rogue::new(&net, "bank-b/rogue/1");
        again.external(&mut net, victim.then_some(leaf.0));
        assert_refused(&mut net, "an external commit against another");
    }
}

#[test]
fn t16_a_commit_in_a_private_message_moves_nobody() {
    let (mut net, mut rogue) = with_rogue(Rule::Off);
    let anna = id("bank-a/anna/1");
    let before = net.peers[&anna].session.epoch();
    rogue.application(&mut net, b"not our CBOR");
    assert_eq!(net.incidents(&anna).last(), Some(&IncidentKind::BadApplication));
    // a handshake message where application messages travel
    let commit = net.commit_of(net.service.epoch.unwrap());
    net.deliver(&anna, ToClient::Application { message: commit });
    net.pump();
    assert_eq!(net.incidents(&anna).last(), Some(&IncidentKind::BadApplication));
    assert_eq!(net.peers[&anna].session.epoch(), before);
}

#[test]
fn t19_no_commit_changes_terms_or_recorders() {
    let (mut net, mut rogue) = with_rogue(Rule::Must);
    let mut emptied = extensions(&net.world);
    emptied.set(mls_rs::Extension::new(mls_rs::extension::ExtensionType::new(evidence::policy::RECORDERS), vec![0x80]));
    rogue.commit(&mut net, |builder| builder.set_group_context_ext(emptied).unwrap());
    assert_refused(&mut net, "recorders emptied");
}

#[test]
fn t19_terms_that_differ_from_the_trust_map_or_clash_end_the_session() {
    let clash = World::new(Rule::Must, Rule::Forbidden, 2_000);
    let mut net = Net::new(clash);
    let anna = net.join("bank-a/anna/1");
    assert!(net.peers[&anna].session.is_over());
    for spoil in 0..4 {
        let mut net = Net::new(World::new(Rule::Must, Rule::Off, 2_000));
        let last = net.world.terms.statements[0].0.len() - 1;
        match spoil {
            0 => net.world.terms.trust = B64(vec![0; 32]),
            1 => net.world.terms.statements[0].0[last] ^= 1,
            2 => net.world.terms.statements.swap(0, 1),
            _ => net.world.terms.room = "coffee-room".parse().unwrap(),
        }
        let anna = id("bank-a/anna/1");
        let session = Session::new(net.config(&anna, LeafRole::Member), net.now).unwrap();
        net.connect(&anna, session);
        assert!(net.peers[&anna].session.is_over(), "{spoil}");
        assert_eq!(net.incidents(&anna), [IncidentKind::BadTerms]);
    }
}

#[test]
fn t19_terms_without_our_own_firms_statement_end_the_session() {
    for (own, who) in [(0, "bank-a/anna/1"), (1, "bank-b/ben/1")] {
        let mut net = Net::new(World::new(Rule::Must, Rule::Off, 2_000));
        net.world.terms.statements.remove(own);
        let who = id(who);
        let session = Session::new(net.config(&who, LeafRole::Member), net.now).unwrap();
        net.connect(&who, session);
        assert!(net.peers[&who].session.is_over());
        assert_eq!(net.incidents(&who), [IncidentKind::BadTerms]);
    }
}

#[test]
fn t19_a_rule_that_became_stricter_binds_from_the_next_admission_on() {
    let mut net = Net::new(World::new(Rule::Should, Rule::Off, 2_000));
    let anna = net.join("bank-a/anna/1");
    net.join("bank-a/recorder-1/1");
    net.advance(1_000);
    assert!(net.seal(&anna, b"x").is_ok());
    // the same firm keys, a new meeting under a stricter statement, and nobody records it yet
    net.world.terms.statements[0] = net.world.a.statement(Rule::Must, 2_000);
    net.world.terms.meeting = "ffeeddccbbaa99887766554433221100".parse().unwrap();
    let (terms, participant, now) = (Box::new(net.world.terms.clone()), anna.clone(), net.now);
    let entry = domain::message::client::Entry::Create {};
    net.deliver(&anna, ToClient::Admitted { participant, terms, entry, roster: vec![], now });
    net.pump();
    net.advance(1_000);
    assert_eq!(net.seal(&anna, b"x"), Err(SealError::Stopped(StopReason::Receipt)));
}

#[test]
fn t19_nobody_adds_a_recorder_of_a_firm_that_keeps_nothing() {
    let recorder = id("bank-b/recorder-1/1");
    let package = |net: &Net| {
        let key = LeafKey::generate();
        let leaf = net.world.b.issue(&key, &recorder, &Leaf::of(LeafRole::Recorder));
        key_package(vec![leaf], &key, net.now)
    };
    // the service asks a committer for it
    let mut net = Net::new(World::new(Rule::Off, Rule::Off, 2_000));
    let anna = net.join("bank-a/anna/1");
    net.advance(1_000);
    let joiners = vec![Joiner { participant: recorder.clone(), key_package: B64(package(&net)) }];
    net.deliver(&anna, ToClient::CommitAdds { joiners });
    net.pump();
    assert_eq!(net.incidents(&anna).last(), Some(&IncidentKind::BadJoiner));
    assert_eq!(net.service.epoch, Some(Epoch(0)));
    // a member that obeys it commits it
    let (mut net, mut rogue) = with_rogue(Rule::Off);
    let package = MlsMessage::from_bytes(&package(&net)).unwrap();
    rogue.commit(&mut net, |builder| builder.add_member(package).unwrap());
    assert_refused(&mut net, "a recorder without a place");
    assert!(net.peers.values().all(|peer| !peer.session.members().iter().any(|m| m.participant == recorder)));
}

#[test]
fn t19_a_statement_older_than_one_shown_before_ends_the_session() {
    let mut net = Net::new(World::new(Rule::Must, Rule::Off, 2_000));
    // signed for ever: what bank-a stated before it changed its mind
    let older = net.world.a.restate(&net.world.terms.statements[0], |s| s.audio_video = Rule::Off);
    net.world.terms.statements[0] = net.world.a.restate(&older, |s| (s.serial, s.audio_video) = (2, Rule::Must));
    let anna = net.join("bank-a/anna/1");
    let ben = net.join("bank-b/ben/1");
    net.advance(1_000);
    net.world.terms.statements[0] = older;
    net.world.terms.meeting = "ffeeddccbbaa99887766554433221100".parse().unwrap();
    for who in [&anna, &ben] {
        let (terms, now) = (Box::new(net.world.terms.clone()), net.now);
        let entry = domain::message::client::Entry::Create {};
        net.deliver(who, ToClient::Admitted { participant: who.clone(), terms, entry, roster: vec![], now });
        net.pump();
        assert!(net.peers[who].session.is_over());
        assert!(net.incidents(who).contains(&IncidentKind::BadTerms));
    }
}

#[test]
fn t19_a_group_of_other_terms_is_not_joined() {
    let mut net = net();
    net.join("bank-a/anna/1");
    // ben is told other terms than the group was made with: one statement fewer
    let mut fewer = net.world.terms.clone();
    fewer.statements.remove(0);
    let ben = id("bank-b/ben/1");
    let target = ben.clone();
    net.bend = Some(Box::new(move |to, message| match message {
        ToClient::Admitted { participant, entry, roster, now, .. } if *to == target => {
            vec![ToClient::Admitted { participant, terms: Box::new(fewer.clone()), entry, roster, now }]
        }
        other => vec![other],
    }));
    net.join("bank-b/ben/1");
    assert!(net.incidents(&ben).contains(&IncidentKind::BadWelcome));
    assert_eq!(net.peers[&ben].session.epoch(), None);
    assert_eq!(net.seal(&ben, b"x"), Err(SealError::Stopped(StopReason::NoGroup)));
}

#[test]
fn t10_before_there_is_a_key_nothing_is_sealed() {
    let mut net = net();
    let anna = id("bank-a/anna/1");
    let mut session = Session::new(net.config(&anna, LeafRole::Member), net.now).unwrap();
    session.add_source(Slot::MICROPHONE, Codec::Opus);
    let mut out = b"left over from the frame before".to_vec();
    let sealed = session.seal(net.now, Slot::MICROPHONE, false, b"clear speech", 1, &mut out);
    assert_eq!(sealed, Err(SealError::Stopped(StopReason::NoGroup)));
    assert!(out.is_empty(), "nothing clear and nothing old is in the buffer");
    net.connect(&anna, session);
    assert!(net.seal(&anna, b"x").is_ok());
    let now = net.now;
    let unknown = net.peer(&anna).session.seal(now, Slot(5), true, b"x", 1, &mut out);
    assert_eq!((unknown, out.len()), (Err(SealError::UnknownSource), 0));
}

#[test]
fn t6_a_frame_counts_only_as_its_senders_on_its_own_source() {
    let mut net = Net::new(World::new(Rule::Must, Rule::Off, 2_000));
    let anna = net.join("bank-a/anna/1");
    let ben = net.join("bank-b/ben/1");
    let recorder = net.join("bank-a/recorder-1/1");
    net.advance(1_000);
    let now = net.now;
    let wire = net.seal(&anna, b"anna speaks").unwrap();
    assert_eq!(net.open(&ben, &recorder, &wire), Err(OpenError::WrongSender), "on another's track");
    let mut open = |slot: Slot, codec: Codec, wire: &[u8]| net.peer(&ben).session.open(now, &anna, slot, codec, wire);
    assert_eq!(open(Slot::SCREEN_AUDIO, Codec::Opus, &wire), Err(OpenError::WrongSlot), "as another source");
    assert!(open(Slot::CAMERA, Codec::Vp9, &wire).is_err(), "sound as picture");
    assert!(open(Slot::MICROPHONE, Codec::Opus, &wire).is_ok());
}

/// Rewrites the KID of a sealed Opus frame.
fn with_kid(wire: &[u8], kid: Kid) -> Vec<u8> {
    let header = domain::sframe::header(wire).unwrap();
    let shortest =
        |number: u64| -> Vec<u8> { number.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect() };
    let part = |number: u64| match number {
        0..=7 => (number as u8, Vec::new()),
        _ => (8 | (shortest(number).len() as u8 - 1), shortest(number)),
    };
    let ((k, kid_bytes), (c, ctr_bytes)) = (part(kid.0), part(header.ctr.0));
    [vec![k << 4 | c], kid_bytes, ctr_bytes, wire[header.len..].to_vec()].concat()
}

#[test]
fn t6_unknown_slots_blank_leaves_and_aliases_of_epochs_do_not_open() {
    let (mut net, rogue) = with_rogue(Rule::Off);
    let (anna, ben) = (id("bank-a/anna/1"), id("bank-b/ben/1"));
    let epoch = net.service.epoch.unwrap();
    let wire = net.seal(&anna, b"x").unwrap();
    assert!(net.open(&ben, &anna, &with_kid(&wire, domain::sframe::header(&wire).unwrap().kid)).is_ok());
    let base = rogue.base_key();
    // frames that are authentic under the group's key, with KIDs nobody may use
    for (slot, leaf) in
        [(Slot(40), LeafIndex(0)), (Slot(63), LeafIndex(0)), (Slot(0), LeafIndex(900)), (Slot(0), LeafIndex(1))]
    {
        let mut out = Vec::new();
        let mut key = SealKey::new(&base, Kid::new(slot, leaf, epoch), Codec::Opus);
        key.seal(false, b"x", 1, &mut out).unwrap();
        let opened = net.open(&ben, &anna, &out);
        assert!(matches!(opened, Err(OpenError::WrongSlot | OpenError::WrongSender)), "{slot:?} {leaf:?}: {opened:?}");
    }
    for alias in [epoch.0 + 1 + 256, epoch.0 + 1 + (1 << 12)] {
        let forged = with_kid(&wire, Kid::new(Slot(0), LeafIndex(0), Epoch(alias)));
        assert_eq!(net.open(&ben, &anna, &forged), Err(OpenError::UnknownEpoch));
    }
}

#[test]
fn t6_a_frame_under_a_recorders_leaf_is_nobodys() {
    let (mut net, rogue) = with_rogue(Rule::Must);
    let (ben, recorder) = (id("bank-b/ben/1"), id("bank-a/recorder-1/1"));
    let leaf = net.leaf(&recorder).unwrap();
    let kid = Kid::new(Slot(0), leaf, net.service.epoch.unwrap());
    let mut out = Vec::new();
    SealKey::new(&rogue.base_key(), kid, Codec::Opus).seal(false, b"x", 1, &mut out).unwrap();
    assert_eq!(net.open(&ben, &recorder, &out), Err(OpenError::WrongSender));
}

#[test]
fn t7_a_members_forgery_is_not_in_the_victims_manifest() {
    let (mut net, rogue) = with_rogue(Rule::Off);
    let (anna, ben) = (id("bank-a/anna/1"), id("bank-b/ben/1"));
    let true_frame = net.seal(&anna, b"true").unwrap();
    let kid = domain::sframe::header(&true_frame).unwrap().kid;
    let mut key = SealKey::new(&rogue.base_key(), kid, Codec::Opus);
    let mut forged = Vec::new();
    for _ in 0..4 {
        key.seal(false, b"forged", 1, &mut forged).unwrap();
    }
    assert_eq!(net.open(&ben, &anna, &forged).unwrap().frame, b"forged", "inside the window, as the threat model says");
    net.advance(2_000);
    let key = net.peers[&anna].session.own().public_key.clone();
    let named: Vec<_> = net.peers[&ben]
        .events
        .iter()
        .filter_map(|event| match event {
            e2ee::Event::Manifest { manifest, .. } => evidence::sender_manifest::judge(&key, manifest).ok(),
            _ => None,
        })
        .flat_map(|manifest| manifest.iter().map(|(_, hash)| hash).collect::<Vec<_>>())
        .collect();
    assert!(named.contains(&evidence::sender_manifest::frame_hash(&true_frame)));
    assert!(!named.contains(&evidence::sender_manifest::frame_hash(&forged)));
}

#[test]
fn t3_frames_of_before_a_resync_do_not_open_again() {
    let mut net = net();
    let anna = net.join("bank-a/anna/1");
    let ben = net.join("bank-b/ben/1");
    net.advance(1_000);
    let wire = net.seal(&anna, b"once").unwrap();
    assert!(net.open(&ben, &anna, &wire).is_ok());
    assert_eq!(net.open(&ben, &anna, &wire), Err(OpenError::Duplicate));
    net.join("bank-a/anna/1");
    net.advance(1_000);
    assert_eq!(net.open(&ben, &anna, &wire), Err(OpenError::Duplicate), "the old epoch is still held");
    net.advance(5_000);
    assert_eq!(net.open(&ben, &anna, &wire), Err(OpenError::UnknownEpoch));
}

#[test]
fn t18_a_removed_member_and_a_late_joiner_open_nothing_with_all_ciphertext_in_hand() {
    let mut net = net();
    let anna = net.join("bank-a/anna/1");
    let ben = net.join("bank-b/ben/1");
    let mut rogue = Rogue::new(&net, "bank-b/rogue/1");
    rogue.enter(&mut net, &anna);
    net.advance(2_000);
    let mut log = Vec::new();
    for n in 0..20u8 {
        log.push((net.service.epoch.unwrap(), net.seal(&anna, &[n; 50]).unwrap()));
    }
    // the rogue's own copies of the keys open what it was there for
    let mut own = e2ee::sframe::Opener::from_base_key(rogue.base_key(), net.service.epoch.unwrap());
    assert!(log.iter().all(|(_, wire)| own.open(Codec::Opus, wire).is_ok()));
    let last_held = net.service.epoch.unwrap();
    net.order(&rogue.who.clone(), Reason::Host);
    net.pump();
    let removal = net.service.epoch.unwrap();
    assert!(!rogue.follow(&net.commit_of(removal), net.now), "it learns that it is out and no key");
    for n in 0..20u8 {
        log.push((net.service.epoch.unwrap(), net.seal(&anna, &[n; 50]).unwrap()));
    }
    for (epoch, wire) in log.iter().filter(|(epoch, _)| *epoch > last_held) {
        let mut guess = e2ee::sframe::Opener::from_base_key(rogue.base_key(), *epoch);
        assert_eq!(guess.open(Codec::Opus, wire), Err(OpenError::Unauthentic));
    }
    let dora = net.join("bank-b/dora/1");
    net.advance(1_000);
    let first = net.peers[&dora].session.epoch().unwrap();
    for (_, wire) in &log {
        assert!(net.open(&dora, &anna, wire).is_err(), "of before it came");
        let kid = domain::sframe::header(wire).unwrap().kid;
        let relabelled = with_kid(wire, Kid::new(kid.slot(), kid.leaf(), first));
        assert_eq!(net.open(&dora, &anna, &relabelled), Err(OpenError::Unauthentic));
    }
    let now = net.seal(&anna, b"welcome").unwrap();
    assert_eq!(net.open(&dora, &anna, &now).unwrap().frame, b"welcome");
    assert!(net.open(&ben, &anna, &now).is_ok());
}

#[test]
fn t8_a_frame_is_opened_by_the_key_that_its_kid_names_and_no_other_is_tried() {
    let (mut net, rogue) = with_rogue(Rule::Off);
    let (anna, ben) = (id("bank-a/anna/1"), id("bank-b/ben/1"));
    let wire = net.seal(&anna, b"one ciphertext").unwrap();
    let own = domain::sframe::header(&wire).unwrap().kid;
    let epoch = net.service.epoch.unwrap();
    // every key that the receiver holds, under every name but the frame's own
    for leaf in 0..4 {
        for back in 0..3 {
            let kid = Kid::new(Slot::MICROPHONE, LeafIndex(leaf), Epoch(epoch.0.saturating_sub(back)));
            if kid != own {
                let renamed = with_kid(&wire, kid);
                for from in [&anna, &ben, &rogue.who] {
                    assert!(net.open(&ben, from, &renamed).is_err(), "leaf {leaf}, {back} epochs back, as {from}");
                }
            }
        }
    }
    assert_eq!(net.open(&ben, &anna, &wire).unwrap().frame, b"one ciphertext", "nothing of this moved its window");
}

#[test]
fn t11_whatever_a_server_does_with_frames_none_is_misattributed_or_opened_twice() {
    let mut net = net();
    let anna = net.join("bank-a/anna/1");
    let ben = net.join("bank-b/ben/1");
    let carol = net.join("bank-b/carol/1");
    net.advance(1_000);
    let mut frames = Vec::new();
    for n in 0..60u8 {
        for from in [&anna, &ben] {
            let frame = format!("{from} {n}").into_bytes();
            frames.push((from.clone(), net.seal(from, &frame).unwrap(), frame));
        }
    }
    // a third is dropped, the rest leaves in another order, each twice, and first on the other's track
    frames.retain({
        let mut n = 0;
        move |_| {
            n += 1;
            n % 3 != 0
        }
    });
    frames.sort_by_key(|(_, wire, _)| evidence::sender_manifest::frame_hash(wire));
    for (from, wire, frame) in &frames {
        let other = if *from == anna { &ben } else { &anna };
        assert_eq!(net.open(&carol, other, wire), Err(OpenError::WrongSender), "on another's track");
        assert_eq!(net.open(&carol, from, wire).unwrap().frame, *frame);
        assert_eq!(net.open(&carol, from, wire), Err(OpenError::Duplicate));
    }
    // a retransmission of an epoch that is over is no frame of this one
    net.join("bank-a/dora/1");
    net.advance(6_000);
    assert!(frames.iter().all(|(from, wire, _)| net.open(&carol, from, wire) == Err(OpenError::UnknownEpoch)));
}
