//! What hosts order, as clients judge it, whatever signaling says; and hands that are up.

use crate::flow::net;
use crate::net::Net;
use domain::message::client::{RosterEntry, ToClient, ToServer};
use domain::message::member::Sign;
use domain::{B64, ParticipantId};
use e2ee::session::{Event, IncidentKind, SayError};
use evidence::host::{FRESH_MS, Order};

fn orders(net: &Net, who: &ParticipantId) -> Vec<(String, Order)> {
    let of = |event: &Event| match event {
        Event::Ordered { from, order, .. } => Some((from.to_string(), order.clone())),
        _ => None,
    };
    net.peers[who].events.iter().filter_map(of).collect()
}

fn incidents(net: &Net, who: &ParticipantId) -> usize {
    let bad = |event: &&Event| matches!(event, Event::Incident { kind: IncidentKind::BadHostAct, .. });
    net.peers[who].events.iter().filter(bad).count()
}

/// The directory lists anna as host, to everybody.
fn listed(net: &mut Net, all: &[&ParticipantId]) {
    for who in all {
        for (at, row) in all.iter().enumerate() {
            let entry = RosterEntry {
                participant: (*row).clone(),
                recorder: false,
                host: at == 0,
                leaf: None,
                sources: vec![],
                invitation: None,
            };
            net.deliver(who, ToClient::RosterChanged { entry });
        }
    }
    net.pump();
}

fn last_act(net: &Net) -> B64 {
    let act = |(_, message): &(ParticipantId, ToServer)| match message {
        ToServer::Host { act } => Some(act.clone()),
        _ => None,
    };
    net.sent.iter().rev().find_map(act).expect("an act was sent")
}

#[test]
fn an_act_of_a_host_is_heard_once_by_everybody_and_a_members_is_none() {
    let mut net = net();
    let (anna, ben, carl) = (net.join("bank-a/anna/1"), net.join("bank-b/ben/1"), net.join("bank-b/carl/1"));
    net.advance(1_000);
    listed(&mut net, &[&anna, &ben, &carl]);
    let now = net.now;
    net.peer(&anna).session.order(now, Order::MuteAll {}).unwrap();
    net.pump();
    let heard = [(anna.to_string(), Order::MuteAll {})];
    assert_eq!((orders(&net, &ben), orders(&net, &anna)), (heard.to_vec(), heard.to_vec()));
    let act = last_act(&net);
    net.deliver(&ben, ToClient::HostAct { act: act.clone() });
    net.pump();
    assert_eq!((orders(&net, &ben).len(), incidents(&net, &ben)), (1, 0), "again is once");
    assert_eq!(net.peer(&ben).session.order(now, Order::Lock {}), Err(SayError::NotHost));
    net.advance(FRESH_MS + 1_000);
    let dora = net.join("bank-a/dora/1");
    listed(&mut net, &[&anna, &ben, &carl, &dora]);
    net.deliver(&dora, ToClient::HostAct { act });
    net.pump();
    assert_eq!((orders(&net, &dora).len(), incidents(&net, &dora)), (0, 1), "held back and played later it is none");
}

#[test]
fn signaling_makes_no_act_and_bends_none() {
    let mut net = net();
    let (anna, ben) = (net.join("bank-a/anna/1"), net.join("bank-b/ben/1"));
    net.advance(1_000);
    // it says that ben is host, and ben is: where no statement names hosts that is the directory's to say
    listed(&mut net, &[&anna, &ben]);
    let now = net.now;
    net.peer(&anna).session.order(now, Order::Mute { participant: ben.clone() }).unwrap();
    net.pump();
    let mut act = last_act(&net);
    let last = act.0.len() - 1;
    act.0[last] ^= 1;
    net.deliver(&ben, ToClient::HostAct { act });
    net.deliver(&ben, ToClient::HostAct { act: B64(vec![0xd2, 0x84]) });
    net.pump();
    assert_eq!(incidents(&net, &ben), 2);
    assert_eq!(orders(&net, &ben).len(), 1, "the one that anna signed");
}

#[test]
fn hands_are_taken_in_the_order_they_went_up_and_newcomers_see_them() {
    let mut net = net();
    let (anna, ben) = (net.join("bank-a/anna/1"), net.join("bank-b/ben/1"));
    net.advance(1_000);
    let up = net.now;
    net.peer(&ben).session.sign(up, Sign::HandUp { since: domain::UnixMillis(5) }).unwrap();
    net.pump();
    net.advance(5_000);
    let carl = net.join("bank-b/carl/1");
    net.advance(1_000);
    for who in [&anna, &carl] {
        let since = |event: &Event| match event {
            Event::Sign { from, sign: Sign::HandUp { since } } if *from == ben => Some(*since),
            _ => None,
        };
        let heard = net.peers[who].events.iter().find_map(since);
        assert_eq!(heard, Some(up), "{who:?}: by when it went up, not by what was asked");
    }
    let now = net.now;
    for _ in 0..5 {
        net.peer(&ben).session.sign(now, Sign::Applause {}).unwrap();
    }
    assert_eq!(net.peer(&ben).session.sign(now, Sign::Applause {}), Err(SayError::TooFast));
}
