//! No single member can stop a meeting for more than 3 s: what others cannot process is withdrawn, who alone cannot
//! process it resyncs, and whoever keeps making trouble is not asked again.

use crate::member::{Answers, Commits};
use crate::world::World;
use domain::Epoch;
use domain::message::client::{ProblemCode, ToClient};

fn withdrawn(world: &World, name: &str) -> Vec<Epoch> {
    let all = world.got(name, |m| if let ToClient::Withdrawn { epoch } = m { Some(*epoch) } else { None });
    all.into_iter().map(|(_, epoch)| epoch).collect()
}

fn group_infos(world: &World, name: &str) -> usize {
    world.got(name, |m| matches!(m, ToClient::GroupInfo { .. }).then_some(())).len()
}

#[test]
fn a_garbage_committer_is_evicted_and_the_meeting_goes_on_within_3_s() {
    let mut world = World::new();
    world.gather(&["anna", "ben", "amy", "abe"]);
    world.members.get_mut("anna").unwrap().habits.commits = Commits::Garbage;
    let start = world.now;
    world.join("bob");
    while world.members["bob"].group.is_none() {
        world.advance(10);
        assert!(world.now.since(start) < 3_000, "the meeting was stopped for too long");
    }
    assert_eq!(withdrawn(&world, "ben").len(), 1);
    assert_eq!(world.refusals("anna"), [ProblemCode::BadCommit]);
    assert!(world.is_closed("anna"));
    world.advance(1_000);
    world.invariant_one_group(&["ben", "amy", "abe", "bob"]);
    assert_eq!(world.members["ben"].group.as_ref().unwrap().roster().members_iter().count(), 4);
}

#[test]
fn of_two_people_the_garbage_committer_goes() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    world.members.get_mut("anna").unwrap().habits.commits = Commits::Garbage;
    world.join("amy");
    world.advance(3_000);
    assert_eq!(world.refusals("anna"), [ProblemCode::BadCommit]);
    world.invariant_one_group(&["ben", "amy"]);
}

#[test]
fn a_garbage_committer_that_comes_back_is_not_asked_for_a_minute() {
    let mut world = World::new();
    world.gather(&["anna", "ben", "amy"]);
    world.members.get_mut("anna").unwrap().habits.commits = Commits::Garbage;
    world.join("abe");
    world.advance(2_000);
    assert!(world.is_closed("anna"));
    let trust = world.trust.clone();
    world.members.get_mut("anna").unwrap().forget(&trust);
    world.connect("anna", None);
    world.advance(2_000);
    world.inbox.clear();
    world.join("bob");
    world.advance(2_000);
    assert_eq!(world.asked_to_add("anna"), []);
    world.invariant_one_group(&["anna", "ben", "amy", "abe", "bob"]);
}

#[test]
fn a_refusing_minority_resyncs_and_nobody_is_evicted() {
    let mut world = World::new();
    world.gather(&["anna", "ben", "amy", "abe"]);
    world.members.get_mut("abe").unwrap().habits.answers = Answers::Refuses;
    world.join("bob");
    world.advance(2_000);
    assert_eq!(withdrawn(&world, "ben"), []);
    assert_eq!(group_infos(&world, "abe"), 1);
    world.invariant_one_group(&["anna", "ben", "amy", "abe", "bob"]);
    assert!(!world.is_closed("anna") && !world.is_closed("abe"));
}

#[test]
fn who_applied_a_withdrawn_commit_resyncs() {
    let mut world = World::new();
    world.gather(&["anna", "ben", "amy", "abe", "bob"]);
    for name in ["ben", "amy", "abe"] {
        world.members.get_mut(name).unwrap().habits.answers = Answers::Refuses;
    }
    let now = world.now;
    let commit = world.members.get_mut("anna").unwrap().commit(now, &[], &[]);
    let made = Epoch(world.epoch("anna").0 + 1);
    world.say("anna", commit);
    for name in ["ben", "amy", "abe"] {
        world.members.get_mut(name).unwrap().habits.answers = Answers::Honest;
    }
    assert_eq!(withdrawn(&world, "bob"), [made]);
    assert_eq!(world.refusals("anna"), [ProblemCode::BadCommit]);
    world.advance(3_000);
    world.invariant_one_group(&["ben", "amy", "abe", "bob"]);
}

#[test]
fn silence_does_not_save_a_bad_commit_those_who_answered_decide_after_2_s() {
    let mut world = World::new();
    world.gather(&["anna", "ben", "amy", "abe", "bob"]);
    for name in ["amy", "abe", "bob"] {
        world.members.get_mut(name).unwrap().habits.answers = Answers::Silent;
    }
    world.members.get_mut("ben").unwrap().habits.answers = Answers::Refuses;
    let now = world.now;
    let commit = world.members.get_mut("anna").unwrap().commit(now, &[], &[]);
    world.say("anna", commit);
    world.advance(1_999);
    assert_eq!(withdrawn(&world, "ben"), []);
    world.advance(1);
    assert_eq!(withdrawn(&world, "ben").len(), 1);
}

#[test]
fn one_joiner_alone_cannot_throw_out_who_invited_it() {
    let mut world = World::new();
    world.gather(&["anna"]);
    world.make("ben");
    world.members.get_mut("ben").unwrap().habits.answers = Answers::Refuses;
    world.join("ben");
    world.advance(3_000);
    assert!(!world.is_closed("anna"));
    assert_eq!(withdrawn(&world, "anna"), []);
    assert_eq!(group_infos(&world, "ben"), 1);
    world.invariant_one_group(&["anna", "ben"]);
}

#[test]
fn a_committer_refused_by_a_minority_twice_in_a_minute_is_skipped() {
    let mut world = World::new();
    world.gather(&["anna"]);
    world.gather(&["ben"]);
    world.gather(&["amy"]);
    world.members.get_mut("amy").unwrap().habits.answers = Answers::Refuses;
    world.join("abe");
    world.advance(6_000);
    world.join("bob");
    world.advance(8_000);
    assert_eq!((world.asked_to_add("anna").len(), world.asked_to_add("ben").len()), (2, 0));
    world.members.get_mut("amy").unwrap().habits.answers = Answers::Honest;
    let mut comes_back = |expected: (usize, usize)| {
        world.close("bob");
        world.advance_alive(32_000);
        world.inbox.clear();
        world.connect("bob", None);
        world.advance(2_000);
        assert_eq!((world.asked_to_add("anna").len(), world.asked_to_add("ben").len()), expected);
    };
    comes_back((0, 1));
    comes_back((1, 0));
}

#[test]
fn a_commit_the_service_itself_refuses_passes_the_task_on_at_once() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    world.members.get_mut("anna").unwrap().habits.commits = Commits::Never;
    let start = world.now;
    world.join("amy");
    world.advance(200);
    let epoch = world.epoch("anna");
    let garbage = domain::B64::from(vec![0; 100]);
    let bad = domain::message::client::ToServer::Commit {
        epoch,
        commit: garbage.clone(),
        welcome: None,
        group_info: garbage,
    };
    world.say("anna", bad);
    assert_eq!(world.asked_to_add("ben").first().map(|(at, _)| *at), Some(start.plus(200)));
    world.invariant_one_group(&["anna", "ben", "amy"]);
}

#[test]
fn a_recorder_that_commits_garbage_is_closed_but_never_ordered_out() {
    let mut world = World::must();
    world.gather(&["anna", "rec-a"]);
    world.gather(&["ben"]);
    world.gather(&["bob"]);
    world.members.get_mut("rec-a").unwrap().habits.commits = Commits::Garbage;
    let before = world.now;
    world.say("anna", domain::message::client::ToServer::Leave {});
    while world.members["ben"].group.as_ref().unwrap().roster().members_iter().count() > 3 {
        world.advance(10);
        assert!(world.now.since(before) < 3_000, "the removal was stopped for too long");
    }
    assert_eq!(world.asked_to_remove("rec-a").len(), 1);
    assert_eq!(world.refusals("rec-a"), [ProblemCode::BadCommit]);
    let ordered =
        world.got("ben", |m| if let ToClient::RemovalOrder { order } = m { Some(order.clone()) } else { None });
    for (_, order) in ordered {
        let order = evidence::order::judge(&world.trust, &order).unwrap();
        assert_eq!(order.participant, World::participant("anna"));
    }
    world.invariant_one_group(&["ben", "bob"]);
}
