//! The must-record rule and its one clock, in virtual time.

use crate::deal::{GRACE, deal};
use crate::firm::World;
use crate::net::{Net, id};
use domain::message::client::ToClient;
use domain::policy::Rule;
use domain::{Epoch, ParticipantId};
use e2ee::session::{CopyState, Event, IncidentKind, SealError, SendState, StopReason};
use evidence::order::Reason;
use evidence::receipt::BeaconState;

fn stopped(why: StopReason) -> SendState {
    SendState::Stopped { why, firm: Some("bank-a".parse().unwrap()) }
}

fn copy_state(net: &Net, who: &ParticipantId) -> CopyState {
    let last = net.peers[who].events.iter().rev().find_map(|event| match event {
        Event::Recorders(states) => Some(states.clone()),
        _ => None,
    });
    let states = last.unwrap();
    assert_eq!(states.len(), 1, "bank B records nothing");
    states[0].state
}

/// Nobody hears `kind` messages of the recorder.
fn deafen(net: &mut Net, receipts: bool, beacons: bool) {
    net.bend = Some(Box::new(move |_, message| match message {
        ToClient::Receipt { .. } if receipts => vec![],
        ToClient::Beacon { .. } if beacons => vec![],
        other => vec![other],
    }));
}

#[test]
fn a_must_firm_sends_nothing_before_its_recorders_receipt_and_others_are_free() {
    let mut net = Net::new(World::new(Rule::Must, Rule::Off, GRACE));
    let anna = net.join("bank-a/anna/1");
    let ben = net.join("bank-b/ben/1");
    net.advance(5_000);
    assert_eq!(net.sending(&anna), stopped(StopReason::Receipt));
    assert_eq!(net.seal(&anna, b"x"), Err(SealError::Stopped(StopReason::Receipt)));
    assert!(net.seal(&ben, b"x").is_ok());
    assert_eq!(copy_state(&net, &ben), CopyState::Missing);
    net.join("bank-a/recorder-1/1");
    net.advance(1_000);
    assert_eq!(net.sending(&anna), SendState::Allowed);
    assert_eq!(copy_state(&net, &ben), CopyState::Recording);
    net.assert_all_hear_all();
}

#[test]
fn silence_of_the_recorder_is_shown_after_1500_ms_and_stops_at_the_grace_and_resumes() {
    let mut d = deal();
    // the clock begins with the last beacon
    d.net.give_beacon(&d.recorder, BeaconState::Recording);
    d.net.pump();
    d.net.peer(&d.recorder).recording = false;
    d.net.advance(1_499);
    assert_eq!(copy_state(&d.net, &d.ben), CopyState::Recording);
    d.net.advance(1);
    assert_eq!(copy_state(&d.net, &d.ben), CopyState::Late);
    d.net.advance(GRACE - 1_501);
    assert!(d.net.seal(&d.anna, b"x").is_ok());
    d.net.advance(1);
    assert_eq!(d.net.seal(&d.anna, b"x"), Err(SealError::Stopped(StopReason::Beacon)));
    assert_eq!(copy_state(&d.net, &d.ben), CopyState::Missing);
    assert!(d.net.seal(&d.ben, b"x").is_ok());
    let told = d.net.peers[&d.anna].events.iter().rev().find_map(|event| match event {
        Event::Sending(state) => Some(state.clone()),
        _ => None,
    });
    assert_eq!(told, Some(stopped(StopReason::Beacon)));
    d.net.peer(&d.recorder).recording = true;
    d.net.advance(500);
    assert_eq!(d.net.sending(&d.anna), SendState::Allowed);
    d.net.assert_all_hear_all();
}

#[test]
fn a_recorder_that_cannot_write_or_waits_is_no_sign_of_life() {
    for state in [BeaconState::Failed, BeaconState::Waiting] {
        let mut d = deal();
        d.net.give_beacon(&d.recorder, BeaconState::Recording);
        d.net.pump();
        d.net.peer(&d.recorder).recording = false;
        for _ in 0..GRACE / 500 {
            d.net.advance(500);
            d.net.give_beacon(&d.recorder, state);
            d.net.pump();
        }
        assert_eq!(d.net.sending(&d.anna), stopped(StopReason::Beacon));
    }
}

#[test]
fn a_recorder_that_is_not_in_the_group_is_no_recorder() {
    let mut d = deal();
    // the same firm's certificate, as good as the other, and the group's own values in what it signs
    let config = d.net.config(&d.recorder, domain::message::custody::LeafRole::Recorder);
    let outside = e2ee::Session::new(config, d.net.now).unwrap();
    d.net.peer(&d.recorder).recording = false;
    d.net.bend = Some(Box::new(|_, message| match message {
        ToClient::Receipt { .. } => vec![],
        other => vec![other],
    }));
    d.net.join("bank-b/carl/1");
    d.net.bend = None;
    let epoch = d.net.peers[&d.anna].session.epoch().unwrap();
    let meeting: domain::MeetingId = crate::firm::MEETING.parse().unwrap();
    let receipt = evidence::receipt::Receipt { recorder: d.recorder.clone(), ..d.net.receipt(&d.anna, epoch) };
    let receipt = domain::B64(outside.sign_receipt(&receipt));
    d.net.deliver(&d.anna, ToClient::Receipt { receipt });
    d.net.pump();
    for sequence in 1..=2 * GRACE / 500 {
        d.net.advance(500);
        let beacon = evidence::receipt::Beacon {
            meeting: meeting.clone(),
            firm: d.recorder.firm.clone(),
            recorder: d.recorder.clone(),
            epoch,
            sequence,
            fsynced_frames: 0,
            state: BeaconState::Recording,
        };
        let beacon = domain::B64(outside.sign_beacon(&beacon));
        d.net.deliver(&d.anna, ToClient::Beacon { beacon });
        d.net.pump();
    }
    assert_eq!(d.net.peers[&d.anna].session.acknowledged_epoch(&d.recorder.firm), Some(Epoch(epoch.0 - 1)));
    assert_eq!(d.net.sending(&d.anna), stopped(StopReason::Beacon));
    assert!(d.net.incidents(&d.anna).iter().all(|kind| *kind == IncidentKind::BadReceipt));
}

#[test]
fn only_the_recorder_itself_speaks_and_only_about_this_meeting() {
    let mut d = deal();
    d.net.peer(&d.recorder).recording = false;
    let epoch = d.net.service.epoch.unwrap();
    let meeting = || -> domain::MeetingId { crate::firm::MEETING.parse().unwrap() };
    let other = || -> domain::MeetingId { "ffeeddccbbaa99887766554433221100".parse().unwrap() };
    let beacon = |meeting, recorder: &ParticipantId, sequence| evidence::receipt::Beacon {
        meeting,
        firm: "bank-a".parse().unwrap(),
        recorder: recorder.clone(),
        epoch,
        sequence,
        fsynced_frames: 0,
        state: BeaconState::Recording,
    };
    let (recorder, anna, ben) = (d.recorder.clone(), d.anna.clone(), d.ben.clone());
    let (begin, stranger) = (d.net.now.0, id("bank-a/recorder-2/1"));
    for round in 1..=2 * GRACE / 500 {
        d.net.advance(500);
        let sign = |who: &ParticipantId, said| domain::B64(d.net.peers[who].session.sign_beacon(&said));
        let at = begin + round;
        let said = [
            sign(&recorder, beacon(other(), &recorder, at)),
            sign(&recorder, beacon(meeting(), &stranger, at)),
            sign(&ben, beacon(meeting(), &ben, at)),
            sign(&anna, beacon(meeting(), &anna, at)),
        ];
        for beacon in said {
            d.net.deliver(&anna, ToClient::Beacon { beacon });
        }
        d.net.pump();
    }
    assert_eq!(d.net.sending(&anna), stopped(StopReason::Beacon));
    let before = d.net.incidents(&anna).len();
    assert_eq!(before as u64, 4 * 2 * GRACE / 500, "each is told");
    let receipt = evidence::receipt::Receipt { meeting: other(), ..d.net.receipt(&recorder, epoch) };
    let foreign = evidence::receipt::Receipt { firm: "bank-b".parse().unwrap(), meeting: meeting(), ..receipt.clone() };
    for receipt in [receipt, foreign] {
        let receipt = domain::B64(d.net.peers[&recorder].session.sign_receipt(&receipt));
        d.net.deliver(&anna, ToClient::Receipt { receipt });
        d.net.pump();
        assert_eq!(d.net.incidents(&anna).last(), Some(&IncidentKind::BadReceipt));
    }
    assert_eq!(d.net.incidents(&anna).len(), before + 2);
}

#[test]
fn receipts_of_new_epochs_are_no_sign_of_life_once_beacons_came() {
    let mut d = deal();
    d.net.peer(&d.recorder).recording = false;
    for round in 0..4 {
        d.net.join(&format!("bank-b/guest-{round}/1"));
        // it keeps the keys and says so, and keeps no media
        d.net.give_receipt(&d.recorder, d.net.service.epoch.unwrap());
        d.net.give_beacon(&d.recorder, BeaconState::Waiting);
        d.net.advance(GRACE / 4);
    }
    d.net.advance(GRACE / 4);
    assert_eq!(d.net.sending(&d.anna), stopped(StopReason::Beacon));
}

#[test]
fn beacons_of_an_epoch_left_a_grace_ago_are_no_sign_of_life() {
    let mut d = deal();
    let held = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let keep = std::rc::Rc::clone(&held);
    d.net.bend = Some(Box::new(move |_, message| match message {
        ToClient::Beacon { .. } => {
            keep.borrow_mut().push(message);
            vec![]
        }
        other => vec![other],
    }));
    for _ in 0..40 {
        d.net.give_beacon(&d.recorder, BeaconState::Recording);
    }
    d.net.bend = None;
    d.net.join("bank-b/carl/1");
    d.net.give_receipt(&d.recorder, d.net.service.epoch.unwrap());
    d.net.peer(&d.recorder).recording = false;
    let mut let_out = held.take().into_iter();
    for _ in 0..2 * GRACE / 500 {
        d.net.advance(500);
        d.net.deliver(&d.anna, let_out.next().unwrap());
        d.net.pump();
    }
    assert!(let_out.next().is_some(), "there were more");
    d.net.advance(GRACE / 2);
    assert_eq!(d.net.sending(&d.anna), stopped(StopReason::Beacon));
}

#[test]
fn a_repeated_beacon_is_no_sign_of_life() {
    let mut d = deal();
    let heard = std::rc::Rc::new(std::cell::RefCell::new(None));
    let keep = std::rc::Rc::clone(&heard);
    d.net.bend = Some(Box::new(move |_, message| {
        if let ToClient::Beacon { .. } = &message {
            *keep.borrow_mut() = Some(message.clone());
        }
        vec![message]
    }));
    d.net.advance(500);
    d.net.peer(&d.recorder).recording = false;
    for _ in 0..5 {
        d.net.advance(500);
        let again = heard.borrow().clone().unwrap();
        d.net.deliver(&d.anna, again);
        d.net.pump();
    }
    assert_eq!(d.net.sending(&d.anna), stopped(StopReason::Beacon));
}

#[test]
fn after_an_add_a_must_firm_goes_on_in_the_old_epoch_until_the_receipt_or_the_grace() {
    let mut d = deal();
    let before = d.net.service.epoch.unwrap();
    deafen(&mut d.net, true, false);
    d.net.join("bank-b/carl/1");
    d.net.advance(1_500);
    assert_eq!(d.net.peers[&d.anna].session.sending_epoch(), Some(before));
    assert_eq!(d.net.peers[&d.ben].session.sending_epoch(), Some(Epoch(before.0 + 1)), "bank B has switched");
    assert_eq!(d.net.sending(&d.anna), SendState::Allowed);
    d.net.advance(499);
    assert_eq!(d.net.sending(&d.anna), SendState::Allowed);
    d.net.advance(1);
    assert_eq!(d.net.sending(&d.anna), stopped(StopReason::Receipt));
    d.net.bend = None;
    let recorder = d.recorder.clone();
    d.net.give_receipt(&recorder, Epoch(before.0 + 1));
    d.net.pump();
    assert_eq!(d.net.peers[&d.anna].session.sending_epoch(), Some(Epoch(before.0 + 1)));
    d.net.assert_all_hear_all();
}

#[test]
fn after_a_removal_a_must_firm_switches_at_once_and_the_receipt_is_due_within_the_grace() {
    let mut d = deal();
    let carl = d.net.join("bank-b/carl/1");
    d.net.advance(1_000);
    deafen(&mut d.net, true, false);
    d.net.order(&carl, Reason::Host);
    d.net.pump();
    assert_eq!(d.net.peers[&d.anna].session.sending_epoch(), d.net.service.epoch, "at once");
    assert!(d.net.seal(&d.anna, b"x").is_ok());
    d.net.advance(GRACE - 1);
    assert!(d.net.seal(&d.anna, b"x").is_ok());
    d.net.advance(1);
    assert_eq!(d.net.seal(&d.anna, b"x"), Err(SealError::Stopped(StopReason::Receipt)));
}

#[test]
fn without_a_receipt_ever_a_removal_gives_no_licence() {
    let mut net = Net::new(World::new(Rule::Must, Rule::Off, GRACE));
    let anna = net.join("bank-a/anna/1");
    let _ = net.join("bank-b/ben/1");
    let carl = net.join("bank-b/carl/1");
    net.advance(1_000);
    net.order(&carl, Reason::Host);
    net.pump();
    assert_eq!(net.sending(&anna), stopped(StopReason::Receipt));
}

#[test]
fn another_firms_recorder_and_a_fork_do_not_count() {
    let mut net = Net::new(World::new(Rule::Must, Rule::Must, GRACE));
    let anna = net.join("bank-a/anna/1");
    let ben = net.join("bank-b/ben/1");
    net.join("bank-b/recorder-1/1");
    net.advance(1_000);
    assert_eq!(net.sending(&anna), stopped(StopReason::Receipt));
    assert_eq!(net.sending(&ben), SendState::Allowed);
    // a receipt of bank A's recorder over another state
    let recorder = id("bank-a/recorder-1/1");
    net.bend = Some(Box::new(|_, message| match message {
        ToClient::Receipt { .. } => vec![],
        other => vec![other],
    }));
    net.join("bank-a/recorder-1/1");
    net.bend = None;
    let epoch = net.peers[&recorder].session.epoch().unwrap();
    let good = net.receipt(&recorder, epoch);
    let other_group = evidence::receipt::Receipt { transcript_hash: [9; 32], ..good.clone() };
    let other_key = evidence::receipt::Receipt { commitment: [9; 32], ..good };
    for receipt in [other_group, other_key] {
        let receipt = domain::B64(net.peers[&recorder].session.sign_receipt(&receipt));
        net.deliver(&anna, ToClient::Receipt { receipt });
        net.pump();
    }
    net.advance(1_000);
    assert_eq!(net.incidents(&anna), [IncidentKind::Fork, IncidentKind::Fork]);
    assert_eq!(net.sending(&anna), stopped(StopReason::Receipt));
}

#[test]
fn a_receipt_that_comes_before_its_epoch_counts_when_the_epoch_comes() {
    let mut d = deal();
    let anna = d.anna.clone();
    let held = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let keep = std::rc::Rc::clone(&held);
    d.net.bend = Some(Box::new(move |to, message| match message {
        ToClient::Commit { .. } if *to == anna => {
            keep.borrow_mut().push(message);
            vec![]
        }
        // the service says ready only when all have acknowledged
        other => vec![other],
    }));
    d.net.service.no_commits = true;
    d.net.join("bank-b/carl/1");
    d.net.service.no_commits = false;
    // ben commits, anna hears of it after the recorder's receipt
    let joiners = d.net.joiners();
    let ben = d.ben.clone();
    d.net.deliver(&ben, ToClient::CommitAdds { joiners });
    d.net.pump();
    d.net.bend = None;
    for message in held.borrow_mut().drain(..) {
        d.net.deliver(&d.anna, message);
    }
    d.net.pump();
    d.net.advance(1_000);
    assert!(d.net.incidents(&d.anna).is_empty());
    assert_eq!(d.net.peers[&d.anna].session.sending_epoch(), d.net.service.epoch);
    d.net.assert_all_hear_all();
}

#[test]
fn a_recorder_hears_everybody_and_never_sends() {
    let mut d = deal();
    let wire = d.net.seal(&d.ben, b"for the record").unwrap();
    assert_eq!(d.net.open(&d.recorder, &d.ben, &wire).unwrap().frame, b"for the record");
    assert_eq!(d.net.seal(&d.recorder, b"x"), Err(SealError::Stopped(StopReason::NotASender)));
    let key = e2ee::escrow::MeetingKey::generate();
    let session = &d.net.peers[&d.recorder].session;
    let epoch = session.epoch().unwrap();
    let sealed = session.seal_base_key(epoch, 3, &key).unwrap();
    let place = e2ee::escrow::Place {
        firm: d.recorder.firm.clone(),
        meeting: crate::firm::MEETING.parse().unwrap(),
        incarnation: 3,
        epoch,
    };
    let base = sealed.open(&key, &place).unwrap();
    assert_eq!(Some(base.commitment()), session.epoch_commitment(epoch));
    let mut replay = e2ee::sframe::Opener::from_base_key(base, epoch);
    assert_eq!(replay.open(domain::Codec::Opus, &wire).unwrap().frame, b"for the record");
    assert_eq!(replay.open(domain::Codec::Opus, &wire).unwrap().frame, b"for the record", "a replay may seek back");
}

#[test]
fn a_recorder_goes_on_from_its_checkpoint() {
    let mut net = Net::new(World::new(Rule::Must, Rule::Off, GRACE));
    let anna = net.join("bank-a/anna/1");
    net.join("bank-b/ben/1");
    let recorder = id("bank-a/recorder-1/1");
    let config = net.config(&recorder, domain::message::custody::LeafRole::Recorder);
    let again = e2ee::SessionConfig {
        key: e2ee::leaf::LeafKey::from_secret(config.key.to_secret().as_ref()).unwrap(),
        chain: config.chain.clone(),
        trust: config.trust.clone(),
        room: config.room.clone(),
    };
    let session = e2ee::Session::new(config, net.now).unwrap();
    net.connect(&recorder, session);
    net.advance(1_000);
    let before = net.seal(&anna, b"before").unwrap();
    let snapshot = net.peer(&recorder).session.snapshot();
    net.peer(&recorder).connected = false;
    net.join("bank-b/carl/1");
    net.advance(1_000);
    let now = net.now;
    let restored = e2ee::Session::restore(again, &snapshot, now).unwrap();
    net.connect(&recorder, restored);
    net.advance(1_000);
    assert_eq!(net.peers[&recorder].session.epoch(), net.service.epoch, "the missed commit was replayed");
    assert_eq!(net.open(&recorder, &anna, &before).unwrap().frame, b"before", "what the SFU kept still opens");
    assert!(net.incidents(&recorder).is_empty());
    net.assert_all_hear_all();
}
