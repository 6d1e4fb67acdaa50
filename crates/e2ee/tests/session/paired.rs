//! Two recorders of one firm: one that keeps the meeting is enough; half of one and half of the other is not.

use crate::deal::GRACE;
use crate::firm::World;
use crate::net::Net;
use domain::ParticipantId;
use domain::policy::Rule;
use e2ee::session::{CopyState, Event, RecorderState, SendState, StopReason};
use evidence::receipt::BeaconState;

struct Pair {
    net: Net,
    anna: ParticipantId,
    recorders: [ParticipantId; 2],
}

fn pair() -> Pair {
    let mut net = Net::new(World::new(Rule::Must, Rule::Off, GRACE));
    let anna = net.join("bank-a/anna/1");
    net.join("bank-b/ben/1");
    let recorders = ["bank-a/recorder-1/1", "bank-a/recorder-2/1"].map(|name| net.join(name));
    net.advance(1_000);
    assert_eq!(net.sending(&anna), SendState::Allowed);
    Pair { net, anna, recorders }
}

/// What anna is shown of her firm's copy.
fn row(net: &Net, who: &ParticipantId) -> RecorderState {
    let last = net.peers[who].events.iter().rev().find_map(|event| match event {
        Event::Recorders(states) => Some(states.clone()),
        _ => None,
    });
    let [row] = <[RecorderState; 1]>::try_from(last.unwrap()).unwrap();
    row
}

fn copies(row: &RecorderState) -> Vec<CopyState> {
    row.copies.iter().map(|copy| copy.state).collect()
}

#[test]
fn either_of_two_recorders_dies_and_nobody_stops() {
    for dead in [0, 1] {
        let Pair { mut net, anna, recorders } = pair();
        assert_eq!(copies(&row(&net, &anna)), [CopyState::Recording; 2]);
        net.peer(&recorders[dead]).recording = false;
        net.peer(&anna).events.clear();
        for _ in 0..10 {
            net.advance(GRACE / 2);
            assert!(net.seal(&anna, b"x").is_ok());
        }
        // somebody comes: an epoch that the dead one never acknowledges
        net.join("bank-b/carl/1");
        net.advance(2 * GRACE);
        assert!(net.seal(&anna, b"x").is_ok());
        assert_eq!(net.peers[&anna].session.sending_epoch(), net.service.epoch);
        let stops = |event: &&Event| matches!(event, Event::Sending(SendState::Stopped { .. }));
        assert_eq!(net.peers[&anna].events.iter().filter(stops).count(), 0);
        let shown = row(&net, &anna);
        let mut want = [CopyState::Recording; 2];
        want[dead] = CopyState::Missing;
        assert_eq!((shown.state, copies(&shown)), (CopyState::Recording, want.to_vec()));
        assert_eq!(shown.participant.as_ref(), Some(&recorders[1 - dead]));
        net.peer(&recorders[1 - dead]).recording = false;
        net.advance(2 * GRACE);
        assert!(matches!(net.sending(&anna), SendState::Stopped { .. }), "both are gone");
    }
}

#[test]
fn the_receipt_of_one_and_the_beacons_of_the_other_keep_nothing() {
    let Pair { mut net, anna, recorders: [one, two] } = pair();
    for recorder in [&one, &two] {
        net.peer(recorder).recording = false;
    }
    net.join("bank-b/carl/1");
    let epoch = net.service.epoch.unwrap();
    net.give_receipt(&one, epoch);
    net.pump();
    assert_eq!(net.peers[&anna].session.sending_epoch(), Some(epoch));
    for _ in 0..=GRACE / 500 {
        net.advance(500);
        net.give_beacon(&two, BeaconState::Recording);
        net.pump();
    }
    let firm = Some("bank-a".parse().unwrap());
    assert_eq!(net.sending(&anna), SendState::Stopped { why: StopReason::Receipt, firm });
    net.give_receipt(&two, epoch);
    net.pump();
    assert_eq!(net.sending(&anna), SendState::Allowed);
    net.assert_all_hear_all();
}
