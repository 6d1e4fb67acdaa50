//! Adds: batched, asked of the right member, taken over, KeyPackages used once, nobody added unasked.

use crate::firms::Use;
use crate::member::{Commits, Member};
use crate::world::World;
use domain::message::client::{ProblemCode, ToClient, ToServer};
use domain::{Epoch, UnixMillis};

fn welcomed(world: &World, name: &str) -> bool {
    world.members[name].group.is_some()
}

#[test]
fn two_people_and_a_third_are_in_one_group() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    world.join("amy");
    world.advance(1_000);
    world.invariant_one_group(&["anna", "ben", "amy"]);
}

#[test]
fn adds_are_batched_for_200_ms() {
    let mut world = World::new();
    world.gather(&["anna"]);
    let start = world.now;
    world.join("ben");
    world.advance(150);
    world.join("amy");
    world.advance(49);
    assert_eq!(world.asked_to_add("anna"), []);
    world.advance(1);
    assert_eq!(world.asked_to_add("anna"), [(start.plus(200), 2)]);
    world.invariant_one_group(&["anna", "ben", "amy"]);
}

#[test]
fn the_lowest_connected_leaf_that_is_no_recorder_commits_adds() {
    let mut world = World::must();
    world.join("rec-a");
    world.gather(&["anna", "rec-a"]);
    world.gather(&["ben"]);
    world.close("anna");
    world.join("amy");
    world.advance(500);
    assert!(world.leaf("rec-a") < world.leaf("ben"));
    assert_eq!(world.asked_to_add("ben").len(), 1);
    assert_eq!(world.asked_to_add("rec-a"), []);
}

#[test]
fn a_recorder_commits_adds_when_nobody_else_is_connected() {
    let mut world = World::must();
    world.gather(&["anna", "rec-a"]);
    world.close("anna");
    world.join("ben");
    world.advance(500);
    assert_eq!(world.asked_to_add("rec-a").len(), 1);
    world.invariant_one_group(&["rec-a", "ben"]);
}

#[test]
fn the_next_committer_takes_over_after_2_s_with_fresh_key_packages() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    world.members.get_mut("anna").unwrap().habits.commits = Commits::Never;
    let start = world.now;
    world.join("amy");
    world.advance(2_199);
    assert_eq!(world.asked_to_add("anna").len(), 1);
    assert_eq!(world.asked_to_add("ben"), []);
    world.advance(1);
    assert_eq!(world.asked_to_add("ben"), [(start.plus(2_200), 1)]);
    assert_eq!(world.got("amy", |m| matches!(m, ToClient::NeedKeyPackage {}).then_some(())).len(), 1);
    world.invariant_one_group(&["anna", "ben", "amy"]);
}

#[test]
fn a_committer_that_disconnects_is_passed_over_at_once() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    world.members.get_mut("anna").unwrap().habits.commits = Commits::Never;
    world.join("amy");
    world.advance(300);
    let left = world.now;
    world.close("anna");
    world.advance(1);
    assert_eq!(world.asked_to_add("ben").first().map(|(at, _)| *at), Some(left));
    world.invariant_one_group(&["ben", "amy"]);
}

#[test]
fn a_key_package_is_used_once() {
    let mut world = World::new();
    world.gather(&["anna"]);
    world.members.get_mut("anna").unwrap().habits.commits = Commits::Never;
    world.make("amy");
    world.members.get_mut("amy").unwrap().habits.sends_key_packages = false;
    world.join("amy");
    let key_package = world.members["amy"].key_package(world.now);
    world.say("amy", ToServer::KeyPackage { key_package: key_package.clone() });
    world.advance(2_500);
    assert_eq!(world.asked_to_add("anna").len(), 1);
    world.say("amy", ToServer::KeyPackage { key_package });
    assert_eq!(world.problems("amy"), [ProblemCode::BadMessage]);
    world.advance(1_000);
    assert_eq!(world.asked_to_add("anna").len(), 1);
}

#[test]
fn a_key_package_with_another_certificate_than_the_connections_is_refused() {
    let mut world = World::new();
    world.gather(&["anna"]);
    world.make("amy");
    world.members.get_mut("amy").unwrap().habits.sends_key_packages = false;
    world.join("amy");
    world.make("abe");
    let of_abe = world.members["abe"].key_package(world.now);
    world.say("amy", ToServer::KeyPackage { key_package: of_abe });
    assert_eq!(world.problems("amy"), [ProblemCode::BadCertificate]);
    // the same person, another certificate: also not the one that was proven
    let id = World::id("amy");
    let other = Member::new(&world.trust, &id, world.firms[0].certify(&id, Use::Member), false);
    world.say("amy", ToServer::KeyPackage { key_package: other.key_package(world.now) });
    assert_eq!(world.problems("amy"), [ProblemCode::BadCertificate, ProblemCode::BadCertificate]);
    world.advance(1_000);
    assert!(!welcomed(&world, "amy"));
}

#[test]
fn an_expired_key_package_or_garbage_is_refused() {
    let mut world = World::new();
    world.gather(&["anna"]);
    world.make("amy");
    world.members.get_mut("amy").unwrap().habits.sends_key_packages = false;
    world.join("amy");
    let long_ago = UnixMillis(world.now.0 - 500 * 24 * 3_600_000);
    let expired = world.members["amy"].key_package(long_ago);
    world.say("amy", ToServer::KeyPackage { key_package: expired });
    world.say("amy", ToServer::KeyPackage { key_package: vec![1, 2, 3].into() });
    assert_eq!(world.problems("amy"), [ProblemCode::BadMessage, ProblemCode::BadMessage]);
}

#[test]
fn a_ghost_nobody_asked_to_add_is_refused() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    world.make("abe");
    let ghost = world.members["abe"].key_package(world.now);
    let before = world.epoch("ben");
    let commit = world.members.get_mut("anna").unwrap().commit(world.now, &[ghost], &[]);
    world.say("anna", commit);
    assert_eq!(world.commit_refusals("anna"), [ProblemCode::BadCommit]);
    world.advance(500);
    assert_eq!(world.epoch("ben"), before);
}

#[test]
fn a_committer_cannot_add_a_ghost_beside_those_asked_for() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    world.members.get_mut("anna").unwrap().habits.commits = Commits::Never;
    world.join("amy");
    world.advance(300);
    let asked =
        world.got("anna", |m| if let ToClient::CommitAdds { joiners } = m { Some(joiners.clone()) } else { None });
    world.make("abe");
    let packages = [asked[0].1[0].key_package.clone(), world.members["abe"].key_package(world.now)];
    let commit = world.members.get_mut("anna").unwrap().commit(world.now, &packages, &[]);
    world.say("anna", commit);
    assert_eq!(world.commit_refusals("anna"), [ProblemCode::BadCommit]);
    world.advance(500);
    // refused, so the next one is asked at once
    world.invariant_one_group(&["ben", "amy"]);
}

#[test]
fn whoever_was_not_asked_cannot_commit_an_add() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    world.members.get_mut("anna").unwrap().habits.commits = Commits::Never;
    world.join("amy");
    world.advance(300);
    let asked =
        world.got("anna", |m| if let ToClient::CommitAdds { joiners } = m { Some(joiners.clone()) } else { None });
    let package = asked[0].1[0].key_package.clone();
    let commit = world.members.get_mut("ben").unwrap().commit(world.now, &[package], &[]);
    world.say("ben", commit);
    assert_eq!(world.commit_refusals("ben"), [ProblemCode::BadCommit]);
}

#[test]
fn a_joiner_that_leaves_before_it_is_added_is_not_added() {
    let mut world = World::new();
    world.gather(&["anna"]);
    world.join("amy");
    world.advance(100);
    world.close("amy");
    world.advance(1_000);
    assert_eq!(world.asked_to_add("anna"), []);
    assert_eq!(world.epoch("anna"), Epoch(0));
}

#[test]
fn a_joiner_that_vanishes_while_it_is_added_may_come_back_or_goes_after_30_s() {
    let mut world = World::new();
    world.gather(&["anna"]);
    world.join("ben");
    world.members.get_mut("anna").unwrap().habits.commits = Commits::Never;
    world.advance(300);
    let asked =
        world.got("anna", |m| if let ToClient::CommitAdds { joiners } = m { Some(joiners.clone()) } else { None });
    world.close("ben");
    let package = asked[0].1[0].key_package.clone();
    let commit = world.members.get_mut("anna").unwrap().commit(world.now, &[package], &[]);
    world.say("anna", commit);
    assert_eq!(world.epoch("anna"), Epoch(1));
    world.members.get_mut("anna").unwrap().habits.commits = Commits::Good;
    world.advance_alive(40_000);
    assert_eq!(world.epoch("anna"), Epoch(2));
    assert_eq!(world.members["anna"].group.as_ref().unwrap().roster().members_iter().count(), 1);
}
