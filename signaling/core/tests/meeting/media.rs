//! What passes through: JSEP, mute, application messages; and the SFU's link going and coming.

use crate::firms::sign;
use crate::world::World;
use domain::limits::MAX_WISHES;
use domain::message::client::{ProblemCode, PublishedTrack, Source, ToClient, ToServer, Weight, Wish};
use domain::message::control::{FromSfu, ToSfu};
use domain::{Codec, Slot, TransportKind};
use evidence::acknowledgement::{self, Acknowledgement};
use evidence::cose;
use evidence::policy::statements_hash;
use signaling_core::Input;

fn track(slot: u8, codec: Codec) -> PublishedTrack {
    PublishedTrack { mid: slot.to_string(), slot: Slot(slot), codec }
}

#[test]
fn offers_answers_and_candidates_pass_both_ways() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    let meeting = world.members["anna"].terms.clone().unwrap().meeting;
    let participant = World::participant("anna");
    let tracks = vec![track(0, Codec::Opus), track(2, Codec::Vp8)];
    world.say("anna", ToServer::Offer { sdp: "offer".into(), tracks });
    world.say("anna", ToServer::Answer { sdp: "answer".into(), revision: 3 });
    let candidate = ToServer::Candidate { transport: TransportKind::Publish, candidate: "candidate:1".into() };
    world.say("anna", candidate);
    let passed: Vec<&str> = world
        .to_sfu
        .iter()
        .filter_map(|(_, m)| match m {
            ToSfu::PublishOffer { participant: p, tracks, .. } if *p == participant && tracks.len() == 2 => {
                Some("offer")
            }
            ToSfu::SubscribeAnswer { revision: 3, .. } => Some("answer"),
            ToSfu::Candidate { .. } => Some("candidate"),
            _ => None,
        })
        .collect();
    assert_eq!(passed, ["offer", "answer", "candidate"]);
    let (m, p) = (meeting.clone(), participant.clone());
    world.sfu_says(FromSfu::PublishAnswer { meeting: m.clone(), participant: p.clone(), sdp: "a".into() });
    let tracks = Vec::new();
    world.sfu_says(FromSfu::SubscribeOffer {
        meeting: m.clone(),
        participant: p.clone(),
        revision: 1,
        sdp: "o".into(),
        tracks,
    });
    let detail = "no codec in common".to_owned();
    world.sfu_says(FromSfu::Failed { meeting: m, participant: p, transport: TransportKind::Publish, detail });
    let anna = world.got("anna", |m| match m {
        ToClient::PublishAnswer { .. } => Some(1),
        ToClient::SubscribeOffer { revision: 1, .. } => Some(2),
        ToClient::Problem(p) if p.code == ProblemCode::MediaUnavailable => Some(3),
        _ => None,
    });
    assert_eq!(anna.into_iter().map(|(_, kind)| kind).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(world.got("ben", |m| matches!(m, ToClient::PublishAnswer { .. }).then_some(())).is_empty());
}

#[test]
fn the_roster_shows_sources_and_mutes() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    world.say("anna", ToServer::Offer { sdp: String::new(), tracks: vec![track(0, Codec::Opus)] });
    world.say("anna", ToServer::Mute { slot: Slot(0), muted: true });
    world.say("anna", ToServer::Mute { slot: Slot(5), muted: true });
    let rows = world
        .got("ben", |m| if let ToClient::RosterChanged { entry } = m { Some(entry.sources.clone()) } else { None });
    let rows: Vec<_> = rows.into_iter().map(|(_, sources)| sources).collect();
    let source = |muted| vec![Source { slot: Slot(0), muted }];
    assert_eq!(rows, [source(false), source(true)]);
}

#[test]
fn malformed_or_oversized_media_messages_are_refused_and_do_no_harm() {
    let mut world = World::must();
    world.gather(&["anna", "rec-a"]);
    let long = "x".repeat(70_000);
    world.say("anna", ToServer::Offer { sdp: long.clone(), tracks: vec![] });
    world.say("anna", ToServer::Offer { sdp: String::new(), tracks: vec![track(0, Codec::Vp8)] });
    world.say("anna", ToServer::Offer { sdp: String::new(), tracks: vec![track(40, Codec::Vp8)] });
    world.say("anna", ToServer::Offer { sdp: String::new(), tracks: vec![track(2, Codec::Vp8), track(2, Codec::Vp8)] });
    world.say("anna", ToServer::Candidate { transport: TransportKind::Subscribe, candidate: long });
    world.say("rec-a", ToServer::Offer { sdp: String::new(), tracks: vec![] });
    assert_eq!(world.problems("anna"), [ProblemCode::BadMessage; 5]);
    assert_eq!(world.problems("rec-a"), [ProblemCode::BadMessage]);
    assert!(world.to_sfu.is_empty());
}

#[test]
fn application_messages_go_to_the_other_members_only() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    world.make("amy");
    world.members.get_mut("amy").unwrap().habits.sends_key_packages = false;
    world.join("amy");
    world.say("anna", ToServer::Application { message: vec![1].into() });
    world.say("amy", ToServer::Application { message: vec![2].into() });
    let got = |name| world.got(name, |m| matches!(m, ToClient::Application { .. }).then_some(())).len();
    assert_eq!((got("anna"), got("ben"), got("amy")), (0, 1, 0));
}

#[test]
fn while_the_sfu_is_away_commits_do_not_wait_and_nobody_new_comes_in() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    world.input(Input::SfuLost);
    let now = world.now;
    let commit = world.members.get_mut("anna").unwrap().commit(now, &[], &[]);
    world.say("anna", commit);
    assert_eq!(world.commits("ben").first().map(|(at, _)| *at), Some(now));
    world.join("amy");
    assert_eq!(world.refusals("amy"), [ProblemCode::MediaUnavailable]);
    world.say("anna", ToServer::Offer { sdp: String::new(), tracks: vec![] });
    assert_eq!(world.problems("anna"), [ProblemCode::MediaUnavailable]);
    // who is in may come back
    let resume = world.resume("ben");
    world.connect("ben", Some(resume));
    assert!(!world.is_closed("ben"));
}

#[test]
fn an_sfu_that_comes_back_learns_meeting_people_and_leaves() {
    let mut world = World::must();
    world.gather(&["anna", "ben", "rec-a"]);
    world.input(Input::SfuLost);
    world.to_sfu.clear();
    world.sfu_hello();
    let kinds: Vec<&str> = world
        .to_sfu
        .iter()
        .map(|(_, m)| match m {
            ToSfu::Meeting { .. } => "meeting",
            ToSfu::Participant { recorder: true, may_publish: false, .. } => "recorder",
            ToSfu::Participant { may_publish: true, .. } => "person",
            ToSfu::Leaves { .. } => "leaves",
            _ => "other",
        })
        .collect();
    assert_eq!(kinds, ["meeting", "person", "recorder", "person", "leaves"]);
}

#[test]
fn the_speaker_is_told_to_everybody() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    let meeting = world.members["anna"].terms.clone().unwrap().meeting;
    world.sfu_says(FromSfu::Speaker { meeting, participant: World::participant("ben") });
    for name in ["anna", "ben"] {
        assert_eq!(world.got(name, |m| matches!(m, ToClient::Speaker { .. }).then_some(())).len(), 1);
    }
}

#[test]
fn what_a_page_shows_reaches_the_media_server_and_what_it_is_sent_comes_back_to_it_alone() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    world.say("anna", ToServer::Offer { sdp: String::new(), tracks: vec![track(2, Codec::Vp8)] });
    let wish = Wish { participant: World::participant("anna"), slot: Slot(2), max_height: 180, weight: Weight::Normal };
    world.say("ben", ToServer::View { wishes: vec![wish.clone()] });
    world.say("anna", ToServer::Layers { slot: Slot(2), heights: vec![180, 360] });
    world.say("anna", ToServer::Layers { slot: Slot(16), heights: vec![1080] });
    world.say("ben", ToServer::View { wishes: vec![wish; MAX_WISHES + 1] });
    let heard = |m: &ToSfu| matches!(m, ToSfu::View { .. } | ToSfu::Layers { .. });
    assert_eq!(
        world.to_sfu.iter().filter(|(_, m)| heard(m)).count(),
        2,
        "an unpublished source and too many wishes go no further"
    );
    for name in ["anna", "ben"] {
        let refused =
            |m: &ToClient| matches!(m, ToClient::Problem(p) if p.code == ProblemCode::BadMessage).then_some(());
        assert_eq!(world.got(name, refused).len(), 1, "{name}");
    }
    let meeting = world.members["anna"].terms.clone().unwrap().meeting;
    let participant = World::participant("anna");
    world.sfu_says(FromSfu::LayersWanted {
        meeting,
        participant,
        slot: Slot(2),
        layers: vec![0],
        rates: vec![Some(90_000)],
    });
    let wanted =
        |m: &ToClient| matches!(m, ToClient::LayersWanted { rates, .. } if *rates == [Some(90_000)]).then_some(());
    assert_eq!((world.got("anna", wanted).len(), world.got("ben", wanted).len()), (1, 0));
}

#[test]
fn nobody_new_is_admitted_while_the_media_server_is_full_and_who_is_in_may_come_back() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    let meeting = world.members["anna"].terms.clone().unwrap().meeting;
    world.sfu_says(FromSfu::Overload { meeting: meeting.clone(), overloaded: true });
    world.join("bob");
    assert_eq!(world.refusals("bob"), [ProblemCode::MediaFull], "in the same step, which takes no time");
    world.connect("ben", None);
    assert!(!world.refusals("ben").contains(&ProblemCode::MediaFull));
    world.sfu_says(FromSfu::Overload { meeting, overloaded: false });
    world.inbox.clear();
    world.join("bob");
    assert!(world.refusals("bob").is_empty());
}

#[test]
fn what_the_media_server_lost_is_said_again() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    let meeting = world.members["anna"].terms.clone().unwrap().meeting;
    let said = |world: &World| -> Vec<&str> {
        let kind = |m: &ToSfu| match m {
            ToSfu::Meeting { .. } => "meeting",
            ToSfu::Participant { .. } => "person",
            ToSfu::Leaves { .. } => "leaves",
            _ => "other",
        };
        world.to_sfu.iter().map(|(_, m)| kind(m)).collect()
    };
    world.sfu_says(FromSfu::Lost { meeting: meeting.clone(), participant: Some(World::participant("ben")) });
    assert_eq!(said(&world), ["person"]);
    world.to_sfu.clear();
    world.sfu_says(FromSfu::Lost { meeting, participant: None });
    let again = said(&world);
    assert_eq!(again[0], "meeting");
    assert!(again.contains(&"leaves") && again.iter().filter(|kind| **kind == "person").count() == 2, "{again:?}");
}

/// That `name` knows who keeps what, as its page signs it.
fn yes(world: &World, name: &str, statements: &[domain::B64]) -> ToServer {
    let member = &world.members[name];
    let acknowledgement = Acknowledgement {
        meeting: member.terms.clone().unwrap().meeting,
        statements: statements_hash(statements),
        language: "en".into(),
        at: world.now,
    };
    let (payload, leaf) = (acknowledgement::encode(&acknowledgement), &member.leaf);
    let signer = |hash: &[u8; 32]| Ok::<[u8; 64], ()>(sign(&leaf.key, hash));
    let signed = cose::sign(acknowledgement::LABEL, &payload, Some(&leaf.certificate), signer).unwrap();
    ToServer::Acknowledge { acknowledgement: signed.into() }
}

#[test]
fn r15_nobody_publishes_before_the_own_signed_acknowledgement_of_these_statements() {
    let mut world = World::must();
    world.gather(&["anna", "ben"]);
    let statements = world.members["anna"].terms.clone().unwrap().statements;
    let offer = || ToServer::Offer { sdp: "offer".into(), tracks: vec![track(0, Codec::Opus)] };
    let offers = |world: &World| world.to_sfu.iter().filter(|(_, m)| matches!(m, ToSfu::PublishOffer { .. })).count();
    world.say("anna", offer());
    let of_others = yes(&world, "anna", &statements[..1]);
    world.say("anna", of_others);
    let of_ben = yes(&world, "ben", &statements);
    world.say("anna", of_ben);
    world.say("anna", offer());
    let problems = world.problems("anna");
    use ProblemCode::{BadSignature, NotAcknowledged};
    assert_eq!(problems, [NotAcknowledged, BadSignature, BadSignature, NotAcknowledged]);
    assert_eq!(offers(&world), 0);
    let own = yes(&world, "anna", &statements);
    world.say("anna", own);
    world.say("anna", offer());
    assert_eq!(offers(&world), 1);
    let told =
        |world: &World, name: &str| world.got(name, |m| matches!(m, ToClient::Acknowledged { .. }).then_some(())).len();
    assert_eq!((told(&world, "ben"), told(&world, "anna")), (1, 0));
    // who comes later, a recorder above all, has it too
    world.join("rec-a");
    world.advance(2_000);
    assert_eq!(told(&world, "rec-a"), 1);
}
