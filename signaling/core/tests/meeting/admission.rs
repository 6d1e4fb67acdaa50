//! Who gets in: certificates (T13), the proof of the key, room membership, statements.

use crate::firms::{Firm, Leaf, ROOM, START, Use, sign};
use crate::world::{World, greet};
use domain::message::client::{Entering, Problem, ProblemCode, ToClient, ToServer};
use domain::message::control::ToSfu;
use domain::policy::Rule;
use domain::{B64, UnixMillis};
use signaling_core::admission::{Handshake, Step};
use signaling_core::{ConnId, Input};
use std::sync::Arc;

fn refused(world: &World, now: UnixMillis, leaf: &Leaf) -> Option<Problem> {
    greet(&world.trust, now, leaf, ROOM, None).err()
}

fn code(world: &World, leaf: &Leaf) -> Option<ProblemCode> {
    refused(world, START, leaf).map(|problem| problem.code)
}

#[test]
fn t13_certificates_of_a_wrong_ca_firm_time_or_use_are_refused() {
    let world = World::new();
    let (a, b) = (&world.firms[0], &world.firms[1]);
    assert_eq!(code(&world, &a.certify("bank-a/anna/d1", Use::Member)), None);
    let bad = Some(ProblemCode::BadCertificate);
    // another CA under the firm's own name
    assert_eq!(code(&world, &Firm::new("bank-a").certify("bank-a/anna/d1", Use::Member)), bad);
    // the right CA of the wrong firm
    assert_eq!(code(&world, &b.certify("bank-a/anna/d1", Use::Member)), bad);
    // a firm nobody pinned
    assert_eq!(code(&world, &Firm::new("bank-q").certify("bank-q/quinn/d1", Use::Member)), bad);
    assert_eq!(code(&world, &a.certify_for("bank-a/anna/d1", Use::Member, -10, -1)), bad);
    assert_eq!(code(&world, &a.certify_for("bank-a/anna/d1", Use::Member, 1, 8)), bad);
    assert_eq!(code(&world, &a.certify_for("bank-a/anna/d1", Use::Member, -1, 24)), bad);
    assert_eq!(code(&world, &a.certify("bank-a/carol/d1", Use::Compliance)), bad);
    assert_eq!(code(&world, &a.certify("bank-a/gus/d1", Use::Guest)), Some(ProblemCode::NotAMember));
}

#[test]
fn a_certificate_without_its_key_is_worthless() {
    let world = World::new();
    let stolen = world.firms[0].certify("bank-a/anna/d1", Use::Member);
    let own = world.firms[0].certify("bank-a/amy/d1", Use::Member);
    let forged = Leaf { key: own.key, certificate: stolen.certificate };
    assert_eq!(code(&world, &forged), Some(ProblemCode::BadSignature));
}

fn hello(world: &World, chain: Vec<B64>) -> ToServer {
    let trust = world.trust.hash().into();
    ToServer::Hello {
        version: 1,
        room: ROOM.parse().unwrap(),
        chain,
        trust,
        resume: None,
        entering: Entering::default(),
    }
}

fn first(world: &World, message: ToServer) -> Option<ProblemCode> {
    let mut handshake = Handshake::new(world.trust.clone(), [1; 32]);
    match handshake.handle(START, message) {
        Step::Refuse(problem) => Some(problem.code),
        _ => None,
    }
}

#[test]
fn another_protocol_another_trust_map_or_more_than_a_leaf_is_refused() {
    let world = World::new();
    let leaf = B64(world.firms[0].certify("bank-a/anna/d1", Use::Member).certificate);
    assert_eq!(first(&world, hello(&world, vec![leaf.clone()])), None);
    assert_eq!(first(&world, hello(&world, vec![leaf.clone(), leaf.clone()])), Some(ProblemCode::BadCertificate));
    assert_eq!(first(&world, hello(&world, vec![])), Some(ProblemCode::BadCertificate));
    let ToServer::Hello { room, chain, .. } = hello(&world, vec![leaf]) else { unreachable!() };
    let other = ToServer::Hello {
        version: 2,
        room: room.clone(),
        chain: chain.clone(),
        trust: world.trust.hash().into(),
        resume: None,
        entering: Entering::default(),
    };
    assert_eq!(first(&world, other), Some(ProblemCode::Upgrade));
    let other = ToServer::Hello {
        version: 1,
        room,
        chain,
        trust: vec![0; 32].into(),
        resume: None,
        entering: Entering::default(),
    };
    assert_eq!(first(&world, other), Some(ProblemCode::TrustMismatch));
    assert_eq!(first(&world, ToServer::Ping {}), Some(ProblemCode::BadMessage));
    assert_eq!(first(&world, ToServer::Prove { signature: B64(vec![0; 64]) }), Some(ProblemCode::BadMessage));
}

#[test]
fn a_proof_holds_for_its_nonce_and_room_only() {
    let world = World::new();
    let leaf = world.firms[0].certify("bank-a/anna/d1", Use::Member);
    for (nonce, room) in [([1; 32], "coffee-room"), ([2; 32], ROOM)] {
        let mut handshake = Handshake::new(world.trust.clone(), [1; 32]);
        handshake.handle(START, hello(&world, vec![leaf.certificate.clone().into()]));
        let bytes = domain::message::client::challenge_bytes(&nonce, &room.parse().unwrap(), &leaf.certificate);
        let signature = sign(&leaf.key, &evidence::sha256(&bytes)).into();
        let step = handshake.handle(START, ToServer::Prove { signature });
        assert!(matches!(step, Step::Refuse(p) if p.code == ProblemCode::BadSignature));
    }
}

#[test]
fn who_is_no_member_and_what_is_no_room_look_the_same() {
    let mut world = World::new();
    let stranger = world.firms[0].certify("bank-a/zoe/d1", Use::Member);
    world.members.insert("zoe".into(), crate::member::Member::new(&world.trust, "bank-a/zoe/d1", stranger, false));
    world.connect("zoe", None);
    let outsider = world.firms[2].certify("bank-x/recorder-1/r1", Use::Recorder);
    world
        .members
        .insert("xeno".into(), crate::member::Member::new(&world.trust, "bank-x/recorder-1/r1", outsider, true));
    world.connect("xeno", None);
    // a proof for one room does not open another
    world.make("anna");
    let proven = world.handshake("anna", None).unwrap();
    let mut elsewhere = world.record.clone();
    elsewhere.room = "coffee-room".parse().unwrap();
    world.conns.insert("anna".into(), ConnId(77));
    world.input(Input::Join { conn: ConnId(77), proven, room: Arc::new(elsewhere) });
    assert!(world.closed.contains(&ConnId(77)));
    let detail = |name: &str| world.got(name, |m| if let ToClient::Refusal(p) = m { Some(p.clone()) } else { None });
    assert_eq!(detail("zoe")[0].1.code, ProblemCode::NotAMember);
    assert_eq!(detail("zoe")[0].1, detail("xeno")[0].1);
    assert!(world.is_closed("zoe") && world.is_closed("xeno"));
    assert_eq!(world.room.meeting(), None);
}

#[test]
fn must_against_forbidden_starts_no_meeting_and_names_the_firm() {
    let mut world = World::with_rules(Rule::Must, Rule::Forbidden);
    world.join("anna");
    let told = world.got("anna", |m| if let ToClient::Refusal(p) = m { Some(p.clone()) } else { None });
    assert_eq!(told[0].1.code, ProblemCode::PolicyClash);
    assert_eq!(told[0].1.firm.as_ref().map(|firm| firm.as_str()), Some("bank-b"));
    assert!(told[0].1.detail.contains("bank-a"));
    assert_eq!(world.room.meeting(), None);
    assert!(world.to_sfu.is_empty());
}

#[test]
fn a_firm_without_a_statement_is_named() {
    let mut world = World::new();
    world.record.statements.pop();
    world.join("anna");
    let told = world.got("anna", |m| if let ToClient::Refusal(p) = m { p.firm.clone() } else { None });
    assert_eq!(told[0].1.as_str(), "bank-b");
}

#[test]
fn the_terms_carry_every_firms_statement_and_the_sfu_every_firms_rule() {
    let mut world = World::with_rules(Rule::Must, Rule::Should);
    world.join("anna");
    let terms = world.members["anna"].terms.clone().unwrap();
    let rules = evidence::policy::rules(&world.trust, &terms).unwrap();
    assert_eq!(rules.statements().len(), 2);
    let told = world
        .to_sfu
        .iter()
        .find_map(|(_, m)| if let ToSfu::Meeting { firms, .. } = m { Some(firms.clone()) } else { None });
    let told: Vec<_> = told.unwrap().into_iter().map(|rule| (rule.audio_video, rule.recorder_grace_ms)).collect();
    assert_eq!(told, [(Rule::Must, 2_000), (Rule::Should, 2_000)]);
}

#[test]
fn without_an_sfu_no_meeting_starts() {
    let mut world = World::new();
    world.input(Input::SfuLost);
    world.join("anna");
    assert_eq!(world.refusals("anna"), [ProblemCode::MediaUnavailable]);
}

#[test]
fn a_hello_after_admission_closes_the_connection() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    world.say("ben", ToServer::Prove { signature: B64(vec![0; 64]) });
    assert_eq!(world.refusals("ben"), [ProblemCode::BadMessage]);
    assert!(world.is_closed("ben"));
}

#[test]
fn a_connection_that_says_too_much_is_closed() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    for _ in 0..1_000 {
        world.say("ben", ToServer::Ping {});
    }
    assert_eq!(world.refusals("ben"), [ProblemCode::RateLimited]);
    assert!(world.is_closed("ben") && !world.is_closed("anna"));
}

#[test]
fn while_rooms_cannot_be_read_who_is_in_comes_back_and_nobody_new_comes_in() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    let before = world.room.meeting().cloned();
    world.come_back("ben");
    assert_eq!(world.refusals("ben"), [ProblemCode::Replaced], "the first connection makes way for the second");
    world.come_back("amy");
    assert_eq!(world.refusals("amy"), [ProblemCode::RoomsUnavailable]);
    assert_eq!(world.room.meeting().cloned(), before);
    // who left is new
    world.say("ben", ToServer::Leave {});
    world.advance(1_000);
    world.come_back("ben");
    assert_eq!(world.refusals("ben").last(), Some(&ProblemCode::RoomsUnavailable));
}

#[test]
fn ten_minutes_in_which_nothing_can_be_read_end_no_meeting_and_let_nobody_new_in() {
    let mut world = World::new();
    world.gather(&["anna", "ben", "abe"]);
    let before = world.room.meeting().cloned();
    for minute in 0..10 {
        world.advance_alive(60_000);
        world.come_back("amy");
        assert_eq!(world.refusals("amy").len(), minute + 1);
        assert_eq!(world.refusals("amy").last(), Some(&ProblemCode::RoomsUnavailable));
    }
    // the group goes on meanwhile: who leaves is taken out of it
    world.say("abe", ToServer::Leave {});
    world.advance_alive(5_000);
    world.invariant_one_group(&["anna", "ben"]);
    // rooms can be read again: nothing was restarted
    world.connect("amy", None);
    world.advance_alive(5_000);
    world.invariant_one_group(&["anna", "ben", "amy"]);
    assert_eq!(world.room.meeting().cloned(), before);
}
