//! Coming back: with the group's state (replay) or without (external commit that replaces the own leaf and nothing else).

use crate::firms::Use;
use crate::member::{Commits, Member};
use crate::world::World;
use domain::Epoch;
use domain::message::client::{Entry, ProblemCode, ToClient, ToServer};

fn entry(world: &World, name: &str) -> &'static str {
    let all = world.got(name, |m| match m {
        ToClient::Admitted { entry, .. } => Some(match entry {
            Entry::Create {} => "create",
            Entry::AwaitWelcome {} => "await",
            Entry::Continue {} => "continue",
            Entry::Resync { .. } => "resync",
        }),
        _ => None,
    });
    all.last().unwrap().1
}

fn reload(world: &mut World, name: &str) {
    let trust = world.trust.clone();
    world.members.get_mut(name).unwrap().forget(&trust);
    world.close(name);
    world.connect(name, None);
}

fn update(world: &mut World, name: &str) {
    let now = world.now;
    let commit = world.members.get_mut(name).unwrap().commit(now, &[], &[]);
    world.say(name, commit);
}

#[test]
fn a_reloaded_page_is_back_at_once_in_its_own_place() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    // a reload enrols again: another key, the same participant
    let id = World::id("ben");
    let leaf = world.firms[1].certify(&id, Use::Member);
    world.close("ben");
    world.members.insert("ben".into(), Member::new(&world.trust, &id, leaf, false));
    let start = world.now;
    world.connect("ben", None);
    assert_eq!(entry(&world, "ben"), "resync");
    world.advance(300);
    assert!(world.commits("ben").iter().all(|(at, _)| at.since(start) <= 250));
    world.invariant_one_group(&["anna", "ben"]);
    assert_eq!(world.members["anna"].group.as_ref().unwrap().roster().members_iter().count(), 2);
}

#[test]
fn who_still_holds_the_group_gets_the_commits_it_missed() {
    let mut world = World::new();
    world.gather(&["anna", "ben", "amy"]);
    world.close("ben");
    update(&mut world, "anna");
    world.advance(300);
    update(&mut world, "amy");
    world.advance(300);
    world.inbox.clear();
    let resume = world.resume("ben");
    world.connect("ben", Some(resume));
    assert_eq!(entry(&world, "ben"), "continue");
    assert_eq!(world.commits("ben").len(), 2);
    world.invariant_one_group(&["anna", "ben", "amy"]);
}

#[test]
fn after_60_s_the_commits_are_gone_and_a_resync_is_needed() {
    let mut world = World::must();
    world.gather(&["anna", "ben", "rec-a"]);
    world.close("rec-a");
    let resume = world.resume("rec-a");
    update(&mut world, "anna");
    world.advance_alive(60_001);
    world.connect("rec-a", Some(resume));
    assert_eq!(entry(&world, "rec-a"), "resync");
    world.advance(1_000);
    world.invariant_one_group(&["anna", "ben", "rec-a"]);
}

#[test]
fn state_of_another_certificate_or_meeting_is_not_continued() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    let resume = world.resume("ben");
    let id = World::id("ben");
    let leaf = world.firms[1].certify(&id, Use::Member);
    world.close("ben");
    world.members.insert("ben".into(), Member::new(&world.trust, &id, leaf, false));
    world.connect("ben", Some(resume.clone()));
    assert_eq!(entry(&world, "ben"), "resync");
    world.advance(6_000);
    let mut elsewhere = world.resume("ben");
    elsewhere.meeting = "00000000000000000000000000000000".parse().unwrap();
    world.close("ben");
    world.connect("ben", Some(elsewhere));
    assert_eq!(entry(&world, "ben"), "resync");
    world.advance(6_000);
    let mut future = world.resume("ben");
    future.epoch = Epoch(future.epoch.0 + 5);
    world.close("ben");
    world.connect("ben", Some(future));
    assert_eq!(entry(&world, "ben"), "resync");
}

#[test]
fn who_missed_a_withdrawal_does_not_continue_a_branch_that_is_gone() {
    let mut world = World::new();
    world.gather(&["anna", "ben", "amy", "abe", "bob"]);
    for name in ["ben", "amy", "abe"] {
        world.members.get_mut(name).unwrap().habits.answers = crate::member::Answers::Silent;
    }
    update(&mut world, "anna");
    let resume = world.resume("bob");
    let withdrawn = resume.epoch;
    world.close("bob");
    for name in ["ben", "amy", "abe"] {
        world.say(name, ToServer::Refused { epoch: withdrawn, reason: String::new() });
    }
    world.connect("bob", Some(resume));
    assert_eq!(entry(&world, "bob"), "resync");
}

#[test]
fn a_member_resyncs_once_in_5_s() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    let start = world.now;
    world.say("ben", ToServer::NeedResync {});
    world.advance(300);
    assert_eq!(world.commits("anna").len(), 1);
    world.say("ben", ToServer::NeedResync {});
    world.advance(4_699);
    assert_eq!(world.commits("anna").len(), 1);
    world.advance(2);
    assert_eq!(world.commits("anna").last().map(|(at, _)| *at), Some(start.plus(5_000)));
    world.invariant_one_group(&["anna", "ben"]);
}

#[test]
fn a_second_reload_within_5_s_waits_its_turn() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    let start = world.now;
    reload(&mut world, "ben");
    world.advance(1_000);
    reload(&mut world, "ben");
    world.advance(3_999);
    assert_eq!(world.commits("anna").len(), 1);
    world.advance(1);
    assert_eq!(world.commits("anna").last().map(|(at, _)| *at), Some(start.plus(5_000)));
    world.invariant_one_group(&["anna", "ben"]);
}

#[test]
fn a_resync_that_lost_gets_the_current_group_info() {
    let mut world = World::new();
    world.gather(&["anna", "ben", "amy"]);
    world.members.get_mut("ben").unwrap().habits.resyncs = false;
    world.say("ben", ToServer::NeedResync {});
    let pick =
        |m: &ToClient| if let ToClient::GroupInfo { group_info, .. } = m { Some(group_info.clone()) } else { None };
    let info = world.got("ben", pick)[0].1.clone();
    update(&mut world, "anna");
    world.members.get_mut("ben").unwrap().habits.resyncs = true;
    let now = world.now;
    let own = World::participant("ben");
    let stale = world.members.get_mut("ben").unwrap().resync(now, &info, Some(&own));
    world.say("ben", stale);
    assert_eq!(world.commit_refusals("ben"), [ProblemCode::StaleEpoch]);
    world.advance(1_000);
    world.invariant_one_group(&["anna", "ben", "amy"]);
}

#[test]
fn an_external_commit_that_does_not_replace_exactly_its_own_leaf_is_refused() {
    let mut world = World::new();
    world.gather(&["anna", "ben", "amy"]);
    world.members.get_mut("ben").unwrap().habits.resyncs = false;
    world.say("ben", ToServer::NeedResync {});
    let pick =
        |m: &ToClient| if let ToClient::GroupInfo { group_info, .. } = m { Some(group_info.clone()) } else { None };
    let info = world.got("ben", pick)[0].1.clone();
    let (now, epoch) = (world.now, world.epoch("anna"));
    // another device of the same person takes ben's connection, without removing anything
    let id = "bank-b/ben/d2";
    let leaf = world.firms[1].certify(id, Use::Member);
    let mut ghost = Member::new(&world.trust, id, leaf, false);
    let joined = ghost.resync(now, &info, None);
    world.say("ben", joined);
    // someone else's external commit over ben's connection
    let amy = World::participant("amy");
    let of_amy = world.members.get_mut("amy").unwrap().resync(now, &info, Some(&amy));
    world.say("ben", of_amy);
    // a certificate of ben that this connection has not proven
    let id = World::id("ben");
    let mut twin = Member::new(&world.trust, &id, world.firms[1].certify(&id, Use::Member), false);
    let replaced = twin.resync(now, &info, Some(&World::participant("ben")));
    world.say("ben", replaced);
    world.advance(1_000);
    assert_eq!(world.commit_refusals("ben"), [ProblemCode::BadCommit; 3]);
    assert_eq!(world.epoch("anna"), epoch);
}

#[test]
fn a_resync_sent_as_a_members_commit_is_refused() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    world.members.get_mut("ben").unwrap().habits.resyncs = false;
    world.say("ben", ToServer::NeedResync {});
    let pick =
        |m: &ToClient| if let ToClient::GroupInfo { group_info, .. } = m { Some(group_info.clone()) } else { None };
    let info = world.got("ben", pick)[0].1.clone();
    let now = world.now;
    let own = World::participant("ben");
    let made = world.members.get_mut("ben").unwrap().resync(now, &info, Some(&own));
    let ToServer::Resync { epoch, commit, group_info } = made else { unreachable!() };
    world.say("ben", ToServer::Commit { epoch, commit, welcome: None, group_info });
    assert_eq!(world.commit_refusals("ben"), [ProblemCode::BadCommit]);
}

#[test]
fn a_resync_others_cannot_process_is_withdrawn_and_its_sender_is_added_anew() {
    let mut world = World::new();
    world.gather(&["anna", "ben", "amy"]);
    for name in ["anna", "amy"] {
        world.members.get_mut(name).unwrap().habits.answers = crate::member::Answers::Refuses;
    }
    reload(&mut world, "ben");
    for name in ["anna", "amy"] {
        world.members.get_mut(name).unwrap().habits.answers = crate::member::Answers::Honest;
    }
    assert!(!world.is_closed("ben"));
    world.advance(3_000);
    world.invariant_one_group(&["anna", "ben", "amy"]);
}

#[test]
fn when_nobody_is_left_who_can_commit_those_who_wait_get_a_new_group_after_2_s() {
    let mut world = World::new();
    world.gather(&["anna"]);
    let old = world.members["anna"].terms.clone().unwrap().meeting;
    world.close("anna");
    world.join("ben");
    world.advance(1_999);
    assert_eq!(world.members["ben"].terms.clone().unwrap().meeting, old);
    world.advance(1);
    assert_ne!(world.members["ben"].terms.clone().unwrap().meeting, old);
    assert_eq!(world.epoch("ben"), Epoch(0));
    let resume = world.resume("anna");
    world.connect("anna", Some(resume));
    world.advance(1_000);
    world.invariant_one_group(&["ben", "anna"]);
}

#[test]
fn a_sole_member_that_reloads_resyncs_with_itself() {
    let mut world = World::new();
    world.gather(&["anna"]);
    let old = world.members["anna"].terms.clone().unwrap().meeting;
    reload(&mut world, "anna");
    world.advance(3_000);
    assert_eq!(world.members["anna"].terms.clone().unwrap().meeting, old);
    assert_eq!(world.epoch("anna"), Epoch(1));
    assert!(world.members["anna"].habits.commits == Commits::Good);
}
