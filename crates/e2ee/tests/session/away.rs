//! Signaling or a recorder is away for a while: what goes on, what is said again, what is forgotten.

use crate::deal::{Deal, GRACE, deal};
use crate::flow;
use crate::net::{Net, Service};
use domain::message::client::{ToClient, ToServer};
use domain::{Ctr, Epoch, ParticipantId, Slot};
use e2ee::session::{Event, IncidentKind, SealError, SendState, StopReason};
use evidence::order::Reason;

/// Signaling is gone for everybody.
fn cut(net: &mut Net) {
    let now = net.now;
    for peer in net.peers.values_mut() {
        peer.connected = false;
        peer.session.disconnected(now);
    }
    net.pump();
}

fn reconnect(net: &mut Net, who: &ParticipantId) {
    let now = net.now;
    let peer = net.peer(who);
    peer.connected = true;
    peer.session.reconnect(now);
    net.pump();
}

fn manifests(net: &Net, at: &ParticipantId) -> Vec<(Epoch, u64, usize)> {
    let read = |signed: &[u8]| {
        let payload = evidence::cose::payload_unverified(signed).unwrap();
        let manifest: evidence::sender_manifest::SenderManifest = evidence::cbor::decode(&payload).unwrap();
        (manifest.epoch, manifest.first_ctr.0, manifest.frames())
    };
    let events = net.peers[at].events.iter();
    events
        .filter_map(|event| if let Event::Manifest { manifest, .. } = event { Some(read(manifest)) } else { None })
        .collect()
}

#[test]
fn media_goes_on_while_signaling_is_away_for_fifteen_minutes_at_most() {
    let mut d = deal();
    cut(&mut d.net);
    d.net.advance(15 * 60_000 - 1);
    assert!(d.net.seal(&d.anna, b"the SFU sees the acknowledgements").is_ok());
    d.net.advance(1);
    assert_eq!(d.net.seal(&d.anna, b"x"), Err(SealError::Stopped(StopReason::Beacon)));
}

#[test]
fn when_signaling_is_back_the_recorder_has_what_was_left_of_its_grace() {
    let mut d = deal();
    cut(&mut d.net);
    d.net.advance(60_000);
    let anna = d.anna.clone();
    reconnect(&mut d.net, &anna);
    assert_eq!(d.net.sending(&anna), SendState::Allowed);
    // the recorder does not come back
    d.net.advance(GRACE);
    assert_eq!(
        d.net.sending(&anna),
        SendState::Stopped { why: StopReason::Beacon, firm: Some("bank-a".parse().unwrap()) }
    );
    let recorder = d.recorder.clone();
    reconnect(&mut d.net, &recorder);
    d.net.advance(1_000);
    assert_eq!(d.net.sending(&anna), SendState::Allowed);
}

#[test]
fn a_service_that_cuts_and_returns_without_beacons_gives_fifteen_minutes_in_all() {
    let mut d = deal();
    let anna = d.anna.clone();
    let mut allowed_ms = 0;
    for _ in 0..30 {
        cut(&mut d.net);
        d.net.advance(60_000);
        if d.net.sending(&anna) != SendState::Allowed {
            break;
        }
        allowed_ms += 60_000;
        reconnect(&mut d.net, &anna);
    }
    assert_eq!(allowed_ms, 14 * 60_000, "the fifteenth minute uses it up");
}

#[test]
fn manifests_wait_while_signaling_is_away() {
    let mut d = deal();
    cut(&mut d.net);
    for _ in 0..10 {
        d.net.seal(&d.anna, b"x").unwrap();
        d.net.advance(1_000);
    }
    let before = manifests(&d.net, &d.ben).len();
    for who in [d.recorder.clone(), d.ben.clone(), d.anna.clone()] {
        reconnect(&mut d.net, &who);
    }
    d.net.advance(1_000);
    let named: usize = manifests(&d.net, &d.ben)[before..].iter().map(|(_, _, frames)| frames).sum();
    assert_eq!(named, 10);
}

/// Anna seals 3 frames a manifest, `count` times; the recorder hears none of them.
fn missed(d: &mut Deal, count: usize) -> Epoch {
    let deaf = d.recorder.clone();
    d.net.bend = Some(Box::new(move |to, message| match message {
        ToClient::Application { .. } if *to == deaf => vec![],
        other => vec![other],
    }));
    for _ in 0..count {
        for _ in 0..3 {
            d.net.seal(&d.anna, b"x").unwrap();
        }
        d.net.advance(2_000);
    }
    d.net.bend = None;
    assert_eq!(manifests(&d.net, &d.recorder), []);
    d.net.peers[&d.anna].session.sending_epoch().unwrap()
}

fn want(d: &mut Deal, who: &ParticipantId, first: u64, count: u64, epoch: Epoch) {
    let of = d.anna.clone();
    d.net.peer(who).session.want_manifests(of, epoch, Slot::MICROPHONE, Ctr(first), count);
    d.net.pump();
}

#[test]
fn a_recorder_that_missed_manifests_gets_those_it_asks_for_and_no_others() {
    let mut d = deal();
    let epoch = missed(&mut d, 4);
    let recorder = d.recorder.clone();
    want(&mut d, &recorder, 4, 4, epoch);
    assert_eq!(manifests(&d.net, &recorder), [(epoch, 3, 3), (epoch, 6, 3)]);
    assert_eq!(d.net.incidents(&d.anna), []);
    // a second recorder asks for the same: it has heard the answer to the first
    want(&mut d, &recorder, 4, 4, epoch);
    assert_eq!(manifests(&d.net, &recorder).len(), 2);
    d.net.advance(1_000);
    want(&mut d, &recorder, 4, 4, epoch);
    assert_eq!(manifests(&d.net, &recorder).len(), 4);
    // of another epoch, slot or sender: nothing
    want(&mut d, &recorder, 4, 4, Epoch(epoch.0 + 1));
    want(&mut d, &recorder, 12, 100, epoch);
    assert_eq!(manifests(&d.net, &recorder).len(), 4);
}

#[test]
fn a_recorder_with_a_new_leaf_gets_the_manifests_of_before() {
    let mut d = deal();
    let epoch = missed(&mut d, 2);
    // custody and host are lost: it enrols anew and resyncs, so nothing of the old epoch can be decrypted
    let recorder = d.net.join("bank-a/recorder-1/1");
    d.net.advance(1_000);
    assert!(d.net.peers[&d.anna].session.epoch() > Some(epoch));
    want(&mut d, &recorder, 0, 6, epoch);
    assert_eq!(manifests(&d.net, &recorder), [(epoch, 0, 3), (epoch, 3, 3)]);
}

#[test]
fn manifests_are_kept_for_ninety_seconds_and_are_not_said_again_to_who_records_nothing() {
    let mut d = deal();
    let epoch = missed(&mut d, 1);
    let (ben, recorder) = (d.ben.clone(), d.recorder.clone());
    let before = d.net.sent.len();
    want(&mut d, &ben, 0, 3, epoch);
    let said =
        d.net.sent[before..].iter().filter(|(who, m)| *who == d.anna && matches!(m, ToServer::Application { .. }));
    assert_eq!(said.count(), 0);
    assert_eq!(d.net.incidents(&d.anna), [IncidentKind::BadApplication]);
    d.net.advance(91_000);
    // what is too old goes with the next that is said
    d.net.seal(&d.anna, b"x").unwrap();
    d.net.advance(2_000);
    let heard = manifests(&d.net, &recorder).len();
    want(&mut d, &recorder, 0, 3, epoch);
    assert_eq!(manifests(&d.net, &recorder).len(), heard);
}

#[test]
fn a_meeting_that_begins_anew_knows_no_order_and_no_manifest_of_the_one_before() {
    let mut net = flow::net();
    let anna = net.join("bank-a/anna/1");
    let ben = net.join("bank-b/ben/1");
    for n in 0..4 {
        let carl = net.join(&format!("bank-b/carl/{n}"));
        net.order(&carl, Reason::Host);
        net.advance(1_000);
    }
    assert!(net.peers[&ben].session.epoch() > Some(Epoch(4)));
    net.seal(&anna, b"named too late").unwrap();
    // signaling lost all it knew: another meeting with the same people
    cut(&mut net);
    net.service = Service::default();
    net.world.terms.meeting = "ffffffffffffffffffffffffffffffff".parse().unwrap();
    let old: Vec<_> = net.peers.keys().filter(|who| who.user.as_str() == "carl").cloned().collect();
    old.iter().for_each(|who| drop(net.peers.remove(who)));
    net.advance(10_000);
    reconnect(&mut net, &anna);
    reconnect(&mut net, &ben);
    net.advance(3_000);
    net.assert_one_group();
    net.assert_all_hear_all();
    assert_eq!(net.incidents(&ben), [], "no manifest of another meeting");
    assert_eq!(manifests(&net, &ben).len(), 0);
    // an order in an early epoch of the new meeting is no old one
    let dora = net.join("bank-a/dora/1");
    net.advance(1_000);
    net.order(&ben, Reason::Host);
    net.advance(1_000);
    assert!(net.peers[&ben].session.is_over());
    assert_eq!(net.peers[&dora].session.members().len(), 2);
}
