//! One commit per epoch, first valid one wins; what a commit must bring; when an epoch is ready.

use crate::member::{Answers, Member};
use crate::world::{Sfu, World};
use domain::message::client::{Entry, ProblemCode, ToClient, ToServer};
use domain::message::control::{FromSfu, ToSfu};
use domain::{Epoch, UnixMillis};
use mls_rs::{Extension, ExtensionList};
use mls_rs_core::extension::ExtensionType;

fn update(world: &mut World, name: &str) -> ToServer {
    let now = world.now;
    world.members.get_mut(name).unwrap().commit(now, &[], &[])
}

#[test]
fn of_two_commits_in_one_epoch_the_first_wins_and_the_loser_gets_the_winner() {
    let mut world = World::new();
    world.gather(&["anna", "ben", "amy"]);
    let first = update(&mut world, "anna");
    let second = update(&mut world, "ben");
    world.say("anna", first);
    world.say("ben", second);
    assert_eq!(world.commit_refusals("ben"), [ProblemCode::StaleEpoch]);
    assert_eq!(world.commits("ben").len(), 1);
    world.advance(1_000);
    world.invariant_one_group(&["anna", "ben", "amy"]);
}

#[test]
fn a_commit_that_comes_while_another_waits_for_the_sfu_has_lost() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    world.sfu = Sfu::Mute;
    let (first, second) = (update(&mut world, "anna"), update(&mut world, "ben"));
    world.say("anna", first);
    world.say("ben", second);
    assert_eq!(world.commit_refusals("ben"), [ProblemCode::StaleEpoch]);
    assert_eq!(world.commits("ben"), []);
    world.advance(100);
    assert_eq!(world.commits("ben").len(), 1);
    world.invariant_one_group(&["anna", "ben"]);
}

#[test]
fn a_commit_is_broadcast_when_the_sfu_took_its_leaves_or_after_100_ms() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    world.sfu = Sfu::Mute;
    let start = world.now;
    let epoch = Epoch(world.epoch("anna").0 + 1);
    let commit = update(&mut world, "anna");
    world.say("anna", commit);
    let told = world
        .to_sfu
        .iter()
        .any(|(_, m)| matches!(m, ToSfu::Leaves { epoch: e, leaves, .. } if *e == epoch && leaves.len() == 2));
    assert!(told);
    world.advance(99);
    assert_eq!(world.commits("ben"), []);
    world.advance(1);
    assert_eq!(world.commits("ben"), [(start.plus(100), epoch)]);
    world.advance(1_000);
    let again = update(&mut world, "ben");
    world.say("ben", again);
    world.advance(30);
    let meeting = world.members["ben"].terms.as_ref().unwrap().meeting.clone();
    // an acknowledgement of another epoch is not the one waited for
    world.sfu_says(FromSfu::LeavesTaken { meeting: meeting.clone(), epoch });
    assert_eq!(world.commits("anna").len(), 1);
    world.sfu_says(FromSfu::LeavesTaken { meeting, epoch: Epoch(epoch.0 + 1) });
    assert_eq!(world.commits("anna").last().map(|(at, _)| *at), Some(start.plus(1_130)));
}

#[test]
fn a_commit_for_a_past_epoch_is_refused() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    let stale = update(&mut world, "ben");
    let now = update(&mut world, "anna");
    world.say("anna", now);
    world.advance(1_000);
    world.say("ben", stale);
    assert_eq!(world.commit_refusals("ben"), [ProblemCode::StaleEpoch]);
    world.invariant_one_group(&["anna", "ben"]);
}

#[test]
fn epochs_are_250_ms_apart() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    let start = world.now;
    let first = update(&mut world, "anna");
    world.say("anna", first);
    world.advance(10);
    let second = update(&mut world, "ben");
    world.say("ben", second);
    world.advance(239);
    assert_eq!(world.commits("anna").len(), 1);
    world.advance(1);
    assert_eq!(world.commits("anna").last().map(|(at, _)| *at), Some(start.plus(250)));
    world.invariant_one_group(&["anna", "ben"]);
}

#[test]
fn a_commit_without_the_group_info_of_its_epoch_is_refused() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    let old = world.members["anna"].group.as_ref().unwrap().group_info_message_allowing_ext_commit(true).unwrap();
    let old = domain::B64::from(old.to_bytes().unwrap());
    let good = update(&mut world, "anna");
    let ToServer::Commit { epoch, commit, welcome, group_info } = good else { unreachable!() };
    let mut flipped = group_info.clone();
    let last = flipped.0.len() - 1;
    flipped.0[last] ^= 1;
    for bad in [old, flipped, domain::B64::default()] {
        let (commit, welcome) = (commit.clone(), welcome.clone());
        world.say("anna", ToServer::Commit { epoch, commit, welcome, group_info: bad });
    }
    assert_eq!(world.commit_refusals("anna"), [ProblemCode::BadCommit; 3]);
    world.say("anna", ToServer::Commit { epoch, commit, welcome, group_info });
    world.advance(500);
    world.invariant_one_group(&["anna", "ben"]);
}

#[test]
fn a_commit_from_another_members_leaf_is_refused() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    let of_ben = update(&mut world, "ben");
    world.say("anna", of_ben);
    assert_eq!(world.commit_refusals("anna"), [ProblemCode::BadCommit]);
}

#[test]
fn a_removal_nobody_ordered_is_refused() {
    let mut world = World::new();
    world.gather(&["anna", "ben", "amy"]);
    let leaf = world.leaf("amy");
    let now = world.now;
    let commit = world.members.get_mut("ben").unwrap().commit(now, &[], &[leaf]);
    world.say("ben", commit);
    assert_eq!(world.commit_refusals("ben"), [ProblemCode::BadCommit]);
}

#[test]
fn commits_nobody_asked_for_come_once_in_5_s_and_member() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    let first = update(&mut world, "anna");
    world.say("anna", first);
    world.advance(4_999);
    let second = update(&mut world, "anna");
    world.say("anna", second.clone());
    assert_eq!(world.commit_refusals("anna"), [ProblemCode::RateLimited]);
    world.advance(1);
    world.say("anna", second);
    world.advance(500);
    assert_eq!(world.commits("ben").len(), 2);
}

#[test]
fn extensions_never_change_by_a_commit() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    let now = world.now;
    let group = world.members.get_mut("anna").unwrap().group.as_mut().unwrap();
    let epoch = Epoch(group.current_epoch());
    let mut other = ExtensionList::new();
    other.set(Extension::new(ExtensionType::new(0xF101), vec![0x80]));
    let built = group
        .commit_builder()
        .commit_time(crate::member::time(now))
        .set_group_context_ext(other)
        .unwrap()
        .build_detached()
        .unwrap();
    let commit = built.0.commit_message().to_bytes().unwrap().into();
    let group_info = built.0.external_commit_group_info().unwrap().to_bytes().unwrap().into();
    world.say("anna", ToServer::Commit { epoch, commit, welcome: None, group_info });
    assert_eq!(world.commit_refusals("anna"), [ProblemCode::BadCommit]);
}

#[test]
fn an_epoch_is_ready_when_every_connected_member_processes_it() {
    let mut world = World::new();
    world.gather(&["anna", "ben", "amy"]);
    world.members.get_mut("amy").unwrap().habits.answers = Answers::Silent;
    let commit = update(&mut world, "anna");
    world.say("anna", commit);
    world.advance(500);
    let epoch = world.epoch("anna");
    assert_eq!(world.ready("ben"), []);
    world.say("amy", ToServer::Applied { epoch });
    assert_eq!(world.ready("ben"), [(world.now, epoch)]);
    assert_eq!(world.ready("anna").len(), 1);
}

#[test]
fn a_member_that_disconnects_no_longer_delays_readiness() {
    let mut world = World::new();
    world.gather(&["anna", "ben", "amy"]);
    world.members.get_mut("amy").unwrap().habits.answers = Answers::Silent;
    let commit = update(&mut world, "anna");
    world.say("anna", commit);
    world.advance(500);
    world.close("amy");
    assert_eq!(world.ready("ben"), [(world.now, world.epoch("ben"))]);
}

fn created_by_hand(world: &mut World, change: impl FnOnce(&World, &Member) -> (Vec<u8>, ExtensionList)) {
    world.make("anna");
    world.members.get_mut("anna").unwrap().habits.creates = false;
    world.join("anna");
    let (id, extensions) = change(world, &world.members["anna"]);
    let now = world.now;
    let created = world.members.get_mut("anna").unwrap().create(now, &id, extensions);
    world.say("anna", created);
}

#[test]
fn the_first_group_must_be_the_terms_group() {
    let mut world = World::new();
    created_by_hand(&mut world, |world, anna| {
        let terms = anna.terms.clone().unwrap();
        (b"another group".to_vec(), Member::extensions(&world.trust, &terms))
    });
    assert_eq!(world.problems("anna"), [ProblemCode::BadCommit]);
    let mut world = World::new();
    created_by_hand(&mut world, |_, anna| {
        (anna.terms.as_ref().unwrap().meeting.as_str().as_bytes().to_vec(), ExtensionList::new())
    });
    assert_eq!(world.problems("anna"), [ProblemCode::BadCommit]);
    let mut world = World::new();
    created_by_hand(&mut world, |world, anna| {
        let terms = anna.terms.clone().unwrap();
        let mut more = Member::extensions(&world.trust, &terms);
        more.set(Extension::new(ExtensionType::new(0xF100), vec![0xa0]));
        (terms.meeting.as_str().as_bytes().to_vec(), more)
    });
    assert_eq!(world.problems("anna"), [ProblemCode::BadCommit]);
    let mut world = World::new();
    created_by_hand(&mut world, |world, anna| {
        let terms = anna.terms.clone().unwrap();
        (terms.meeting.as_str().as_bytes().to_vec(), Member::extensions(&world.trust, &terms))
    });
    assert_eq!(world.problems("anna"), []);
    assert_eq!(world.ready("anna"), [(world.now, Epoch(0))]);
}

#[test]
fn a_first_group_without_external_pub_is_refused() {
    let mut world = World::new();
    world.make("anna");
    world.members.get_mut("anna").unwrap().habits.creates = false;
    world.join("anna");
    let terms = world.members["anna"].terms.clone().unwrap();
    let extensions = Member::extensions(&world.trust, &terms);
    let now = world.now;
    let anna = world.members.get_mut("anna").unwrap();
    anna.create(now, terms.meeting.as_str().as_bytes(), extensions);
    let plain = anna.group.as_ref().unwrap().group_info_message(true).unwrap().to_bytes().unwrap();
    world.say("anna", ToServer::Created { group_info: plain.into() });
    assert_eq!(world.problems("anna"), [ProblemCode::BadCommit]);
}

fn entries(world: &World, name: &str) -> Vec<(UnixMillis, bool)> {
    world.got(name, |m| match m {
        ToClient::Admitted { entry, .. } => Some(matches!(entry, Entry::Create {})),
        _ => None,
    })
}

#[test]
fn a_creator_that_does_not_create_is_passed_over_after_2_s() {
    let mut world = World::new();
    let start = world.now;
    world.make("anna");
    world.members.get_mut("anna").unwrap().habits.creates = false;
    world.join("anna");
    world.join("ben");
    world.advance(1_999);
    assert_eq!(entries(&world, "ben"), [(start, false)]);
    world.advance(1);
    assert_eq!(entries(&world, "ben"), [(start, false), (start.plus(2_000), true)]);
    // the one passed over waits for a Welcome now
    let package = world.members["anna"].key_package(world.now);
    world.say("anna", ToServer::KeyPackage { key_package: package });
    world.advance(500);
    world.invariant_one_group(&["anna", "ben"]);
}

#[test]
fn a_creator_that_is_gone_is_passed_over_at_once() {
    let mut world = World::new();
    world.make("anna");
    world.members.get_mut("anna").unwrap().habits.creates = false;
    world.join("anna");
    world.join("ben");
    world.close("anna");
    assert_eq!(entries(&world, "ben").last(), Some(&(world.now, true)));
    assert_eq!(world.epoch("ben"), Epoch(0));
}
