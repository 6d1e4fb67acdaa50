//! Recorders: they wait for people, never count as people, acknowledge by receipts, and get their record link.

use crate::firms::Use;
use crate::member::{Answers, Member};
use crate::world::World;
use domain::message::client::{ProblemCode, ToClient, ToServer};
use domain::message::control::{FromSfu, ToSfu};
use domain::{Epoch, FirmId};
use evidence::receipt::{BEACON_LABEL, Beacon, BeaconState};

fn admitted(world: &World, name: &str) -> usize {
    world.got(name, |m| matches!(m, ToClient::Admitted { .. }).then_some(())).len()
}

fn receipts(world: &World, name: &str) -> usize {
    world.got(name, |m| matches!(m, ToClient::Receipt { .. }).then_some(())).len()
}

#[test]
fn a_recorder_alone_starts_no_meeting_and_is_admitted_when_a_person_enters() {
    let mut world = World::must();
    world.join("rec-a");
    world.advance(60_000);
    assert_eq!(admitted(&world, "rec-a"), 0);
    assert!(!world.to_sfu.iter().any(|(_, m)| matches!(m, ToSfu::Meeting { .. })));
    world.say("rec-a", ToServer::Ping {});
    assert_eq!(world.got("rec-a", |m| matches!(m, ToClient::Pong {}).then_some(())).len(), 1);
    world.join("anna");
    assert_eq!(admitted(&world, "rec-a"), 1);
    world.advance(500);
    world.invariant_one_group(&["anna", "rec-a"]);
}

#[test]
fn a_certificate_with_the_recorder_usage_takes_the_recorders_way_whoever_holds_it() {
    let mut world = World::must();
    // anna, a member of the room, with a recorder's certificate
    let id = World::id("anna");
    let leaf = world.firms[0].certify(&id, Use::Recorder);
    world.members.insert("anna".into(), Member::new(&world.trust, &id, leaf, true));
    world.join("anna");
    world.advance(10_000);
    assert_eq!(admitted(&world, "anna"), 0, "a recorder is no person: the meeting does not start");
    world.join("ben");
    world.advance(1_000);
    let rows = world.got("ben", |m| if let ToClient::RosterChanged { entry } = m { Some(entry.clone()) } else { None });
    let row = rows.iter().rev().find(|(_, row)| row.participant.to_string() == id).unwrap();
    assert!(row.1.recorder && !row.1.host);
    let participant = World::participant("ben");
    world.say("anna", ToServer::Remove { participant });
    assert_eq!(world.problems("anna"), [ProblemCode::NotHost]);
    world.say("ben", ToServer::Leave {});
    assert_eq!(world.refusals("anna"), [ProblemCode::Removed], "the meeting ended with its last person");
}

#[test]
fn when_the_last_person_leaves_the_meeting_ends_for_recorders_and_sfu() {
    let mut world = World::must();
    world.gather(&["anna", "rec-a", "rec-b"]);
    world.say("anna", ToServer::Leave {});
    for name in ["rec-a", "rec-b"] {
        assert_eq!(world.refusals(name), [ProblemCode::Removed]);
        assert!(world.is_closed(name));
    }
    assert!(world.to_sfu.iter().any(|(_, m)| matches!(m, ToSfu::MeetingEnded { .. })));
    assert_eq!(world.room.meeting(), None);
    assert_eq!(world.room.poll_timeout(), None);
    // a new meeting has a new id
    let before = world.members["anna"].terms.clone().unwrap().meeting;
    let trust = world.trust.clone();
    world.members.get_mut("anna").unwrap().forget(&trust);
    world.connect("anna", None);
    assert_ne!(world.members["anna"].terms.clone().unwrap().meeting, before);
}

#[test]
fn when_the_last_person_is_silent_the_meeting_ends_after_30_s() {
    let mut world = World::must();
    world.gather(&["anna", "rec-a"]);
    world.close("anna");
    world.advance_alive(29_000);
    assert!(world.room.meeting().is_some());
    world.advance_alive(2_000);
    assert_eq!(world.room.meeting(), None);
    assert_eq!(world.refusals("rec-a"), [ProblemCode::Removed]);
}

#[test]
fn a_recorder_acknowledges_an_epoch_by_its_receipt_only() {
    let mut world = World::must();
    world.gather(&["anna", "ben", "rec-a"]);
    world.members.get_mut("rec-a").unwrap().habits.answers = Answers::Silent;
    let now = world.now;
    let commit = world.members.get_mut("anna").unwrap().commit(now, &[], &[]);
    world.say("anna", commit);
    let epoch = world.epoch("rec-a");
    world.say("rec-a", ToServer::Applied { epoch });
    assert_eq!(world.ready("anna"), []);
    let receipt = world.members["rec-a"].receipt(epoch);
    world.say("rec-a", receipt);
    assert_eq!(world.ready("anna"), [(world.now, epoch)]);
    assert_eq!((receipts(&world, "anna"), receipts(&world, "ben"), receipts(&world, "rec-a")), (1, 1, 0));
}

#[test]
fn receipts_and_beacons_of_others_are_not_relayed() {
    let mut world = World::must();
    world.gather(&["anna", "ben", "rec-a", "rec-b"]);
    let epoch = world.epoch("rec-a");
    // a person
    let mut forged = world.members["rec-a"].receipt(epoch);
    world.say("anna", forged.clone());
    assert_eq!(world.problems("anna"), [ProblemCode::NotRecorder]);
    // another firm's recorder
    world.say("rec-b", forged.clone());
    assert_eq!(world.problems("rec-b"), [ProblemCode::BadSignature]);
    // another certificate of the same recorder
    let id = World::id("rec-a");
    let mut twin = Member::new(&world.trust, &id, world.firms[0].certify(&id, Use::Recorder), true);
    twin.terms = world.members["rec-a"].terms.clone();
    world.say("rec-a", twin.receipt(epoch));
    // a broken signature
    let ToServer::Receipt { receipt } = &mut forged else { unreachable!() };
    let last = receipt.0.len() - 1;
    receipt.0[last] ^= 1;
    world.say("rec-a", forged);
    // another meeting
    let mut terms = world.members["rec-a"].terms.clone().unwrap();
    terms.meeting = "00000000000000000000000000000000".parse().unwrap();
    world.members.get_mut("rec-a").unwrap().terms = Some(terms);
    let elsewhere = world.members["rec-a"].receipt(epoch);
    world.say("rec-a", elsewhere);
    assert_eq!(world.problems("rec-a"), [ProblemCode::BadSignature; 3]);
    assert_eq!(receipts(&world, "ben"), 0);
}

#[test]
fn a_good_beacon_reaches_everybody() {
    let mut world = World::must();
    world.gather(&["anna", "ben", "rec-a"]);
    let beacon = Beacon {
        meeting: world.members["rec-a"].terms.as_ref().unwrap().meeting.clone(),
        firm: "bank-a".parse().unwrap(),
        recorder: World::participant("rec-a"),
        epoch: Epoch(1),
        sequence: 1,
        fsynced_frames: 0,
        state: BeaconState::Recording,
    };
    let beacon = world.members["rec-a"].signed(BEACON_LABEL, &evidence::cbor::encode(&beacon));
    world.say("rec-a", ToServer::Beacon { beacon });
    for name in ["anna", "ben"] {
        assert_eq!(world.got(name, |m| matches!(m, ToClient::Beacon { .. }).then_some(())).len(), 1);
    }
}

#[test]
fn where_nothing_is_kept_a_recorder_has_no_place() {
    let mut world = World::new();
    world.gather(&["anna"]);
    world.join("rec-a");
    assert_eq!(world.refusals("rec-a"), [ProblemCode::NotAMember]);
}

#[test]
fn a_record_link_token_is_random_and_the_sfu_gets_its_hash_and_the_certificates() {
    let mut world = World::must();
    world.gather(&["anna", "rec-a"]);
    world.say("rec-a", ToServer::NeedRecordLink {});
    world.say("rec-a", ToServer::NeedRecordLink {});
    assert_eq!(world.problems("rec-a"), [ProblemCode::RateLimited]);
    let pick = |m: &ToClient| match m {
        ToClient::RecordLink { address, token, certificate, .. } => {
            Some((address.clone(), token.clone(), certificate.clone()))
        }
        _ => None,
    };
    let [(_, (address, token, certificate))] = &world.got("rec-a", pick)[..] else { panic!("one link") };
    assert_eq!((address.as_str(), token.len(), certificate.0.clone()), ("127.0.0.1:8444", 32, vec![7; 32]));
    let told = world.to_sfu.iter().find_map(|(_, m)| match m {
        ToSfu::RecordToken { token_hash, certificate_hash, participant, .. } => {
            Some((token_hash.clone(), certificate_hash.clone(), participant.to_string()))
        }
        _ => None,
    });
    let hash = |bytes: &[u8]| domain::B64::from(evidence::sha256(bytes));
    let expected = (hash(token), hash(&world.members["rec-a"].leaf.certificate), World::id("rec-a"));
    assert_eq!(told, Some(expected));
    world.say("anna", ToServer::NeedRecordLink {});
    assert_eq!(world.problems("anna"), [ProblemCode::NotRecorder]);
}

#[test]
fn who_continues_gets_the_receipts_of_the_epoch_again() {
    let mut world = World::must();
    world.gather(&["anna", "ben", "rec-a"]);
    let now = world.now;
    let commit = world.members.get_mut("anna").unwrap().commit(now, &[], &[]);
    world.say("anna", commit);
    let resume = world.resume("ben");
    world.close("ben");
    world.inbox.clear();
    world.connect("ben", Some(resume));
    assert_eq!(receipts(&world, "ben"), 1);
}

#[test]
fn a_suspended_firm_is_told_to_all_and_to_newcomers() {
    let mut world = World::must();
    world.gather(&["anna", "rec-a"]);
    let meeting = world.members["anna"].terms.as_ref().unwrap().meeting.clone();
    let firm: FirmId = "bank-b".parse().unwrap();
    world.sfu_says(FromSfu::FirmSuspended { meeting, firm, suspended: true });
    world.join("ben");
    for name in ["anna", "rec-a", "ben"] {
        let told = world.got(name, |m| matches!(m, ToClient::FirmSuspended { suspended: true, .. }).then_some(()));
        assert_eq!(told.len(), 1, "{name}");
    }
}
