//! Joining, switching epochs, leaving, removal, resync, reconnection.

use crate::firm::World;
use crate::net::{Net, id};
use domain::message::client::{ToClient, ToServer};
use domain::policy::Rule;
use domain::{Epoch, Slot};
use e2ee::session::{Event, IncidentKind, OpenError, SealError, SendState, Session, StopReason};
use evidence::order::Reason;

pub fn net() -> Net {
    Net::new(World::new(Rule::Off, Rule::Off, 2_000))
}

#[test]
fn three_join_and_hear_each_other_with_one_code() {
    let mut net = net();
    for name in ["bank-a/anna/1", "bank-b/ben/1", "bank-a/adam/1"] {
        net.join(name);
        net.assert_one_group();
        net.assert_all_hear_all();
    }
    let anna = &net.peers[&id("bank-a/anna/1")];
    assert_eq!(anna.session.members().len(), 3);
    let names: Vec<_> = anna.session.members().into_iter().map(|member| member.name).collect();
    assert!(names.contains(&"ben of bank-b".to_owned()), "names come from certificates: {names:?}");
    assert!(net.peers.keys().all(|who| net.incidents(who).is_empty()));
}

#[test]
fn after_an_add_senders_switch_when_everybody_is_ready_and_at_latest_after_a_second() {
    let mut net = net();
    let anna = net.join("bank-a/anna/1");
    let ben = net.join("bank-b/ben/1");
    // nobody hears that the next epoch is ready
    net.bend = Some(Box::new(|_, message| match message {
        ToClient::EpochReady { .. } => vec![],
        other => vec![other],
    }));
    let carl = net.join("bank-b/carl/1");
    assert_eq!(net.peers[&anna].session.sending_epoch(), Some(Epoch(1)));
    net.advance(999);
    assert_eq!(net.peers[&anna].session.sending_epoch(), Some(Epoch(1)));
    let old = net.seal(&anna, b"still epoch 1").unwrap();
    assert!(net.open(&ben, &anna, &old).is_ok());
    assert!(net.open(&carl, &anna, &old).is_err(), "a joiner has no earlier epoch");
    net.advance(1);
    assert_eq!(net.peers[&anna].session.sending_epoch(), Some(Epoch(2)));
    net.assert_all_hear_all();
}

#[test]
fn a_frame_of_the_next_epoch_is_not_yet_and_an_old_epoch_opens_for_five_seconds() {
    let mut net = net();
    let anna = net.join("bank-a/anna/1");
    let ben = net.join("bank-b/ben/1");
    let old = net.seal(&anna, b"one").unwrap();
    let older = net.seal(&anna, b"two").unwrap();
    let ben_too = ben.clone();
    net.bend = Some(Box::new(move |to, message| match message {
        ToClient::Commit { .. } if *to == ben_too => vec![],
        other => vec![other],
    }));
    net.join("bank-b/carl/1");
    net.advance(1_000);
    let next = net.seal(&anna, b"next").unwrap();
    assert_eq!(net.open(&ben, &anna, &next), Err(OpenError::NotYet));
    assert!(net.open(&ben, &anna, &old).is_ok());
    net.bend = None;
    let resumed = net.peers[&ben].session.epoch();
    assert_eq!(resumed, Some(Epoch(1)), "ben has not seen the commit");
    let now = net.now;
    net.peer(&ben).session.reconnect(now);
    net.pump();
    assert_eq!(net.peers[&ben].session.epoch(), Some(Epoch(2)));
    assert_eq!(net.open(&ben, &anna, &next).unwrap().frame, b"next");
    net.advance(4_999);
    assert!(net.open(&ben, &anna, &older).is_ok());
    net.advance(1);
    assert_eq!(net.open(&ben, &anna, &old), Err(OpenError::UnknownEpoch), "not even as a duplicate");
}

#[test]
fn a_removal_takes_effect_at_once_for_senders() {
    let mut net = net();
    let anna = net.join("bank-a/anna/1");
    let ben = net.join("bank-b/ben/1");
    let carl = net.join("bank-b/carl/1");
    net.advance(1_000);
    net.peer(&anna).session.remove(ben.clone());
    net.pump();
    assert!(net.peers[&ben].session.is_over());
    assert!(matches!(net.peers[&ben].events.last(), Some(Event::Removed { .. })));
    assert_eq!(net.peers[&anna].session.sending_epoch(), net.service.epoch);
    net.assert_all_hear_all();
    let wire = net.seal(&carl, b"after").unwrap();
    assert!(net.open(&ben, &carl, &wire).is_err());
    assert_eq!(net.seal(&ben, b"x"), Err(SealError::Stopped(StopReason::Removed)));
}

#[test]
fn an_order_without_a_commit_stops_senders_after_800_ms_and_the_commit_lets_them_go_on() {
    let mut net = net();
    let anna = net.join("bank-a/anna/1");
    let ben = net.join("bank-b/ben/1");
    let _ = net.join("bank-b/carl/1");
    net.advance(1_000);
    net.service.no_commits = true;
    net.order(&ben, Reason::Silent);
    net.pump();
    assert_eq!(net.sending(&ben), SendState::Stopped { why: StopReason::Removed, firm: None }, "the target stops now");
    net.advance(799);
    assert_eq!(net.sending(&anna), SendState::Allowed);
    net.advance(1);
    assert_eq!(net.seal(&anna, b"x"), Err(SealError::Stopped(StopReason::Removal)));
    net.service.no_commits = false;
    net.ask_for_commits();
    net.pump();
    net.assert_all_hear_all();
}

#[test]
fn leaving_removes_the_leaf() {
    let mut net = net();
    let anna = net.join("bank-a/anna/1");
    let ben = net.join("bank-b/ben/1");
    net.peer(&ben).session.leave();
    net.pump();
    assert_eq!(net.peers[&anna].session.members().len(), 1);
}

#[test]
fn a_reload_with_a_new_key_resyncs_and_removes_its_own_old_leaf() {
    let mut net = net();
    let anna = net.join("bank-a/anna/1");
    let ben = net.join("bank-b/ben/1");
    net.advance(1_000);
    net.join("bank-b/ben/1");
    assert_eq!(net.peers[&anna].session.members().len(), 2);
    net.advance(1_000);
    net.assert_one_group();
    net.assert_all_hear_all();
    assert!(net.incidents(&anna).is_empty() && net.incidents(&ben).is_empty());
}

#[test]
fn a_resync_that_lost_its_race_tries_again_and_gets_in() {
    let mut net = net();
    let anna = net.join("bank-a/anna/1");
    let ben = net.join("bank-b/ben/1");
    let carl = net.join("bank-b/carl/1");
    net.advance(10_000);
    // both fall behind at the same time
    let epoch = net.service.epoch.unwrap();
    for who in [&ben, &carl] {
        net.deliver(who, ToClient::Withdrawn { epoch });
    }
    net.pump();
    net.advance(5_001);
    assert_eq!(net.service.epoch, Some(Epoch(epoch.0 + 2)));
    net.advance(1_000);
    net.assert_one_group();
    net.assert_all_hear_all();
    assert_eq!(net.peers[&anna].session.members().len(), 3);
}

#[test]
fn two_commits_for_one_epoch_have_one_winner_and_the_loser_follows() {
    let mut net = net();
    let anna = net.join("bank-a/anna/1");
    let ben = net.join("bank-b/ben/1");
    net.advance(1_000);
    net.service.no_commits = true;
    let carl = net.join("bank-b/carl/1");
    let joiners = net
        .sent
        .iter()
        .filter_map(|(who, message)| match message {
            ToServer::KeyPackage { key_package } if *who == carl => {
                Some(domain::message::client::Joiner { participant: who.clone(), key_package: key_package.clone() })
            }
            _ => None,
        })
        .collect::<Vec<_>>();
    for who in [&ben, &anna] {
        net.deliver(who, ToClient::CommitAdds { joiners: joiners.clone() });
    }
    net.service.no_commits = false;
    net.pump();
    net.advance(1_000);
    let commits = net.sent.iter().filter(|(_, m)| matches!(m, ToServer::Commit { epoch: Epoch(1), .. })).count();
    assert_eq!(commits, 2);
    net.assert_one_group();
    net.assert_all_hear_all();
}

#[test]
fn asked_twice_in_one_epoch_either_commit_may_win() {
    let mut net = net();
    let anna = net.join("bank-a/anna/1");
    net.join("bank-b/ben/1");
    net.service.no_commits = true;
    let carl = net.join("bank-b/carl/1");
    net.service.no_commits = false;
    // the first of two commits of the same committer is taken, the second is stale
    net.ask_for_commits();
    net.ask_for_commits();
    net.pump();
    net.advance(1_000);
    net.assert_one_group();
    net.assert_all_hear_all();
    assert_eq!(net.peers[&carl].session.members().len(), 3);
    assert!(net.incidents(&anna).is_empty());
}

#[test]
fn a_session_that_was_away_goes_on_with_the_commits_it_missed() {
    let mut net = net();
    let anna = net.join("bank-a/anna/1");
    let ben = net.join("bank-b/ben/1");
    net.peer(&ben).connected = false;
    net.join("bank-b/carl/1");
    net.join("bank-a/adam/1");
    net.advance(2_000);
    let now = net.now;
    let peer = net.peer(&ben);
    peer.connected = true;
    peer.session.reconnect(now);
    net.pump();
    net.assert_one_group();
    net.assert_all_hear_all();
    assert!(net.incidents(&ben).is_empty() && net.incidents(&anna).is_empty());
}

#[test]
fn manifests_name_every_frame_within_two_seconds_and_at_the_end_of_an_epoch() {
    let mut net = net();
    let anna = net.join("bank-a/anna/1");
    let ben = net.join("bank-b/ben/1");
    net.advance(1_000);
    let mut wires = Vec::new();
    for _ in 0..10 {
        wires.push(net.seal(&anna, b"frame").unwrap());
    }
    net.advance(2_000);
    wires.push(net.seal(&anna, b"last of the epoch").unwrap());
    net.join("bank-b/carl/1");
    net.advance(1_000);
    let key = net.peers[&anna].session.own().public_key.clone();
    let mut named = Vec::new();
    for event in &net.peers[&ben].events {
        if let Event::Manifest { from, manifest } = event {
            assert_eq!(*from, anna);
            let manifest = evidence::sender_manifest::judge(&key, manifest).unwrap();
            assert_eq!((manifest.slot, manifest.epoch), (Slot::MICROPHONE, Epoch(1)));
            named.extend(manifest.iter().collect::<Vec<_>>());
        }
    }
    let hashes: Vec<_> = wires.iter().map(|wire| evidence::sender_manifest::frame_hash(wire)).collect();
    assert_eq!(named.iter().map(|(ctr, _)| ctr.0).collect::<Vec<_>>(), (0..11).collect::<Vec<_>>());
    assert_eq!(named.iter().map(|(_, hash)| *hash).collect::<Vec<_>>(), hashes);
}

#[test]
fn t5_who_seals_never_goes_on_from_a_snapshot() {
    let mut net = net();
    net.join("bank-a/anna/1");
    let ben = id("bank-b/ben/1");
    let config = net.config(&ben, domain::message::custody::LeafRole::Member);
    let again = e2ee::SessionConfig {
        key: e2ee::leaf::LeafKey::from_secret(config.key.to_secret().as_ref()).unwrap(),
        chain: config.chain.clone(),
        trust: config.trust.clone(),
        room: config.room.clone(),
    };
    let session = Session::new(config, net.now).unwrap();
    net.connect(&ben, session);
    net.advance(1_000);
    let snapshot = net.peer(&ben).session.snapshot();
    // the commits since would lead it into epochs whose counters it may have used
    let refused = Session::restore(again, &snapshot, net.now).err();
    assert_eq!(refused, Some(e2ee::session::SessionError::NotARecorder));
}

#[test]
fn t5_a_welcome_said_again_leads_into_no_epoch_a_second_time() {
    let mut net = net();
    net.join("bank-a/anna/1");
    let kept = std::rc::Rc::new(std::cell::RefCell::new(None));
    let keep = std::rc::Rc::clone(&kept);
    net.bend = Some(Box::new(move |_, message| {
        if let ToClient::Welcome { .. } = &message {
            *keep.borrow_mut() = Some(message.clone());
        }
        vec![message]
    }));
    let ben = net.join("bank-b/ben/1");
    net.advance(1_000);
    net.seal(&ben, b"counter 0").unwrap();
    net.bend = None;
    net.service.no_commits = true;
    let (terms, participant, now) = (Box::new(net.world.terms.clone()), ben.clone(), net.now);
    let entry = domain::message::client::Entry::AwaitWelcome {};
    net.deliver(&ben, ToClient::Admitted { participant, terms, entry, roster: vec![], now });
    net.deliver(&ben, kept.take().unwrap());
    net.pump();
    assert_eq!(net.incidents(&ben), [IncidentKind::BadWelcome]);
    assert_eq!(net.peers[&ben].session.epoch(), Some(Epoch(2)), "a resync, into a new epoch");
}

#[test]
fn who_is_told_another_way_in_takes_it() {
    let mut net = net();
    let anna = net.join("bank-a/anna/1");
    let ben = net.join("bank-b/ben/1");
    net.advance(1_000);
    // ben's group led nowhere: the service admits it again, to be added anew
    net.order(&ben, Reason::Replaced);
    net.pump();
    let peer = net.peer(&ben);
    assert!(peer.session.is_over(), "the commit reached it first");
    net.join("bank-b/ben/1");
    let terms = Box::new(net.world.terms.clone());
    let (participant, now) = (anna.clone(), net.now);
    let entry = domain::message::client::Entry::AwaitWelcome {};
    net.service.members.remove(&anna);
    net.service.no_commits = true;
    net.deliver(&anna, ToClient::Admitted { participant, terms, entry, roster: vec![], now });
    net.pump();
    assert_eq!(net.peers[&anna].session.epoch(), None);
    assert!(matches!(net.sent.last(), Some((who, ToServer::KeyPackage { .. })) if *who == anna));
    // its old leaf gives way in the same commit
    net.service.no_commits = false;
    net.advance(1_000);
    net.advance(1_000);
    assert_eq!(net.peers[&anna].session.members().len(), 2);
    net.assert_one_group();
    net.assert_all_hear_all();
}
