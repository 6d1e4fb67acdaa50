//! Poor orders of messages, garbage, and members that commit it.

use crate::firm::World;
use crate::flow::net;
use crate::net::{Net, id};
use domain::message::client::{Joiner, Problem, ProblemCode, ToClient, ToServer};
use domain::policy::Rule;
use domain::{B64, Epoch, LeafIndex};
use e2ee::session::{Event, IncidentKind};

fn is_group_message(message: &ToClient) -> bool {
    matches!(
        message,
        ToClient::Commit { .. }
            | ToClient::EpochReady { .. }
            | ToClient::Application { .. }
            | ToClient::Receipt { .. }
            | ToClient::Beacon { .. }
            | ToClient::Welcome { .. }
            | ToClient::RemovalOrder { .. }
            | ToClient::CommitAdds { .. }
            | ToClient::CommitRemovals { .. }
    )
}

fn busy_meeting(net: &mut Net) {
    net.join("bank-a/anna/1");
    let ben = net.join("bank-b/ben/1");
    let recorder = net.join("bank-a/recorder-1/1");
    net.advance(700);
    net.join("bank-b/carl/1");
    net.advance(300);
    net.order(&ben, evidence::order::Reason::Host);
    net.pump();
    net.join("bank-a/adam/1");
    net.advance(100);
    net.join("bank-b/carl/1");
    net.advance(8_000);
    net.assert_one_group();
    assert_eq!(net.peers[&recorder].session.members().len(), 4);
    net.assert_all_hear_all();
}

#[test]
fn every_message_twice_changes_nothing() {
    let mut net = Net::new(World::new(Rule::Must, Rule::Off, 2_000));
    net.bend = Some(Box::new(
        |_, message| {
            if is_group_message(&message) { vec![message.clone(), message] } else { vec![message] }
        },
    ));
    busy_meeting(&mut net);
}

#[test]
fn messages_that_swap_places_find_their_order_again() {
    for seed in 1..6u64 {
        let mut net = Net::new(World::new(Rule::Must, Rule::Off, 2_000));
        let mut state = seed;
        let mut held = std::collections::BTreeMap::new();
        net.bend = Some(Box::new(move |to, message| {
            if !is_group_message(&message) {
                return vec![message];
            }
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            match held.remove(to) {
                Some(earlier) => vec![message, earlier],
                None if state >> 62 == 0 => {
                    held.insert(to.clone(), message);
                    vec![]
                }
                None => vec![message],
            }
        }));
        busy_meeting(&mut net);
    }
}

#[test]
fn stale_messages_are_ignored() {
    let mut net = net();
    let anna = net.join("bank-a/anna/1");
    let log = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let keep = std::rc::Rc::clone(&log);
    net.bend = Some(Box::new(move |to, message| {
        keep.borrow_mut().push((to.clone(), message.clone()));
        vec![message]
    }));
    let ben = net.join("bank-b/ben/1");
    let carl = net.join("bank-b/carl/1");
    net.advance(1_000);
    net.order(&carl, evidence::order::Reason::Host);
    net.pump();
    net.join("bank-b/carl/1");
    net.advance(1_000);
    net.bend = None;
    let before = net.incidents(&anna).len();
    let old: Vec<_> = log.borrow_mut().drain(..).collect();
    for (to, message) in old {
        // a repeated greeting is another connection, not a stale message
        if !matches!(message, ToClient::Challenge { .. } | ToClient::Admitted { .. } | ToClient::CommitAdds { .. }) {
            net.deliver(&to, message);
            net.pump();
        }
    }
    net.advance(1_000);
    net.assert_one_group();
    net.assert_all_hear_all();
    assert!(!net.peers[&ben].session.is_over(), "an old order against somebody else");
    // a request to remove a leaf that somebody holds again is refused and told
    assert!(net.incidents(&anna)[before..].iter().all(|kind| *kind == IncidentKind::UnorderedRemoval));
}

#[test]
fn an_old_order_does_not_remove_who_came_back() {
    let mut net = net();
    let anna = net.join("bank-a/anna/1");
    let ben = net.join("bank-b/ben/1");
    let leaf = Some(LeafIndex(1));
    let old = net.signed_order(&ben, leaf, net.service.epoch.unwrap(), evidence::order::Reason::Left);
    net.order(&ben, evidence::order::Reason::Left);
    net.pump();
    net.join("bank-b/ben/1");
    net.advance(1_000);
    for who in [&anna, &ben] {
        net.deliver(who, ToClient::RemovalOrder { order: old.clone() });
    }
    net.pump();
    net.advance(1_000);
    net.assert_all_hear_all();
}

#[test]
fn garbage_in_every_field_is_an_incident_and_never_a_panic() {
    let mut net = Net::new(World::new(Rule::Must, Rule::Should, 2_000));
    let anna = net.join("bank-a/anna/1");
    net.join("bank-b/ben/1");
    net.join("bank-a/recorder-1/1");
    net.advance(1_000);
    let epoch = net.service.epoch.unwrap();
    let blobs = [vec![], vec![0], vec![0xff; 40], vec![0, 1, 0, 1, 0, 0, 0, 9], b"not mls at all".to_vec()];
    for blob in blobs.into_iter().map(B64) {
        let problem = Problem { code: ProblemCode::Internal, detail: String::new(), firm: None };
        let messages = [
            ToClient::Challenge { nonce: blob.clone() },
            ToClient::CommitAdds { joiners: vec![Joiner { participant: id("bank-b/x/1"), key_package: blob.clone() }] },
            ToClient::RemovalOrder { order: blob.clone() },
            ToClient::CommitRemovals { leaves: vec![LeafIndex(9), LeafIndex(u32::MAX)] },
            ToClient::CommitRefused { epoch, problem: problem.clone() },
            ToClient::Welcome { welcome: blob.clone(), tree: blob.clone(), epoch },
            ToClient::GroupInfo { epoch, group_info: blob.clone() },
            ToClient::Application { message: blob.clone() },
            ToClient::Receipt { receipt: blob.clone() },
            ToClient::Beacon { beacon: blob.clone() },
            ToClient::EpochReady { epoch: Epoch(u64::MAX) },
            ToClient::NeedKeyPackage {},
            ToClient::Problem(problem),
        ];
        for message in messages {
            net.deliver(&anna, message);
            net.pump();
        }
        net.advance(100);
    }
    assert_eq!(net.service.epoch, Some(epoch), "nobody moved");
    net.advance(1_000);
    net.assert_one_group();
    net.assert_all_hear_all();
    assert!(net.incidents(&anna).contains(&IncidentKind::BadOrder));
}

#[test]
fn a_member_that_commits_garbage_is_evicted_and_the_meeting_goes_on_within_three_seconds() {
    let mut net = net();
    let anna = net.join("bank-a/anna/1");
    let ben = net.join("bank-b/ben/1");
    let carl = net.join("bank-b/carl/1");
    net.advance(1_000);
    let epoch = net.service.epoch.unwrap();
    let garbage = ToServer::Commit { epoch, commit: B64(vec![1; 300]), welcome: None, group_info: B64(vec![2; 300]) };
    net.receive(&carl, garbage);
    net.pump();
    net.advance(3_000);
    assert!(!net.service.members.contains(&carl));
    net.assert_one_group();
    net.assert_all_hear_all();
    assert!(net.incidents(&anna).contains(&IncidentKind::BadCommit));
    assert!(net.incidents(&ben).contains(&IncidentKind::BadCommit));
}

#[test]
fn a_minority_that_cannot_process_a_commit_resyncs() {
    let mut net = net();
    let anna = net.join("bank-a/anna/1");
    let ben = net.join("bank-b/ben/1");
    net.join("bank-b/carl/1");
    net.advance(1_000);
    let target = ben.clone();
    net.bend = Some(Box::new(move |to, message| match message {
        ToClient::Commit { epoch: Epoch(3), mut commit } if *to == target => {
            let last = commit.0.len() - 1;
            commit.0[last] ^= 1;
            vec![ToClient::Commit { epoch: Epoch(3), commit }]
        }
        other => vec![other],
    }));
    net.join("bank-a/adam/1");
    net.advance(3_000);
    assert!(net.incidents(&ben).contains(&IncidentKind::BadCommit));
    assert!(net.service.members.contains(&anna), "the committer is not evicted for it");
    net.assert_one_group();
    net.assert_all_hear_all();
}

#[test]
fn a_withdrawn_commit_leaves_no_second_use_of_a_counter() {
    let mut net = net();
    let anna = net.join("bank-a/anna/1");
    let ben = net.join("bank-b/ben/1");
    net.advance(6_000);
    let first = net.seal(&anna, b"first").unwrap();
    // the service takes back the commit that added ben; both had applied it
    let epoch = net.service.epoch.unwrap();
    for who in [&anna, &ben] {
        net.deliver(who, ToClient::Withdrawn { epoch });
    }
    net.pump();
    net.advance(7_000);
    let again = net.seal(&anna, b"again").unwrap();
    let kid = |wire: &[u8]| domain::sframe::header(wire).unwrap().kid;
    assert_ne!(kid(&first), kid(&again));
    net.assert_one_group();
    net.assert_all_hear_all();
}

#[test]
fn a_missing_commit_is_noticed_and_leads_to_a_resync() {
    let mut net = net();
    net.join("bank-a/anna/1");
    let ben = net.join("bank-b/ben/1");
    net.advance(1_000);
    let target = ben.clone();
    net.bend = Some(Box::new(move |to, message| match message {
        ToClient::Commit { epoch: Epoch(2), .. } if *to == target => vec![],
        other => vec![other],
    }));
    net.join("bank-b/carl/1");
    // the service waits for ben's word; another joiner makes the gap visible
    net.service.no_commits = false;
    net.ask_for_commits();
    net.join("bank-a/adam/1");
    net.ask_for_commits();
    net.pump();
    net.advance(3_000);
    net.assert_one_group();
    net.assert_all_hear_all();
    assert!(net.peers[&ben].events.iter().any(|event| matches!(event, Event::Epoch { epoch: Epoch(e), .. } if *e > 2)));
}
