//! What hosts order, and who is host: by signed statements, else by the directory; and only by its own signature.

use crate::firms::{Leaf, sign};
use crate::terms::state;
use crate::world::World;
use domain::message::client::{ProblemCode, Source, ToClient, ToServer};
use domain::message::control::ToSfu;
use domain::policy::Rule;
use domain::{B64, MeetingId, Slot, UnixMillis};
use evidence::host::{FRESH_MS, HostAct, LABEL, Order, encode};
use signaling_core::Input;
use std::convert::Infallible;

fn signed(leaf: &Leaf, act: &HostAct) -> B64 {
    let by = |hash: &[u8; 32]| Ok::<_, Infallible>(sign(&leaf.key, hash));
    let Ok(signed) = evidence::cose::sign(LABEL, &encode(act), Some(&leaf.certificate), by);
    signed.into()
}

fn meeting(world: &World, name: &str) -> MeetingId {
    world.members[name].terms.as_ref().unwrap().meeting.clone()
}

pub(crate) fn act(world: &World, name: &str, sequence: u64, what: Order) -> B64 {
    let act = HostAct { meeting: meeting(world, name), sequence, at: world.now, what };
    signed(&world.members[name].leaf, &act)
}

pub(crate) fn order(world: &mut World, name: &str, sequence: u64, what: Order) {
    let act = act(world, name, sequence, what);
    world.say(name, ToServer::Host { act });
}

fn acts(world: &World, name: &str) -> usize {
    world.got(name, |m| matches!(m, ToClient::HostAct { .. }).then_some(())).len()
}

fn mutes(world: &World) -> Vec<(String, bool)> {
    let of = |m: &ToSfu| match m {
        ToSfu::Mute { participant, slot: Slot::MICROPHONE, muted, .. } => Some((participant.to_string(), *muted)),
        _ => None,
    };
    world.to_sfu.iter().filter_map(|(_, m)| of(m)).collect()
}

#[test]
fn a_host_mutes_all_others_at_the_sfu_too_and_each_unmutes_itself() {
    let mut world = World::new();
    world.gather(&["anna", "ben", "amy"]);
    order(&mut world, "anna", 1, Order::MuteAll {});
    assert_eq!(mutes(&world), [(World::id("amy"), true), (World::id("ben"), true)], "not the host's own");
    assert!(["anna", "ben", "amy"].iter().all(|name| acts(&world, name) == 1), "as signed, to everybody");
    world.to_sfu.clear();
    world.say("ben", ToServer::Mute { slot: Slot::MICROPHONE, muted: false });
    assert_eq!(mutes(&world), [(World::id("ben"), false)]);
    world.say("ben", ToServer::Mute { slot: Slot::MICROPHONE, muted: false });
    assert_eq!(mutes(&world).len(), 1, "once");
    world.to_sfu.clear();
    world.sfu_hello();
    assert_eq!(mutes(&world), [(World::id("amy"), true)], "an SFU that forgot is told again");
}

#[test]
fn a_role_that_the_directory_changes_holds_in_the_running_meeting() {
    let mut world = World::new();
    world.gather(&["anna", "ben", "amy"]);
    let hosts = |world: &World| {
        let row = |m: &ToClient| match m {
            ToClient::RosterChanged { entry } => Some((entry.participant.clone(), entry.host)),
            _ => None,
        };
        world.got("ben", row).into_iter().map(|(_, row)| row).collect::<Vec<_>>()
    };
    for (name, host) in [("amy", true), ("anna", false)] {
        world.inbox.clear();
        let member = world.record.members.iter_mut().find(|member| member.user.as_str() == name).unwrap();
        member.host = host;
        let member = member.clone();
        world.input(Input::MemberChanged(member.clone()));
        assert_eq!(hosts(&world), [(World::participant(name), host)], "everybody sees it");
        world.input(Input::MemberChanged(member));
        assert_eq!(hosts(&world).len(), 1, "what is known is not said again");
    }
    world.inbox.clear();
    order(&mut world, "anna", 1, Order::MuteAll {});
    assert_eq!(world.problems("anna"), [ProblemCode::NotHost]);
    order(&mut world, "amy", 1, Order::MuteAll {});
    assert_eq!((world.problems("amy"), acts(&world, "amy")), (vec![], 1));
}

#[test]
fn who_is_no_host_orders_nothing() {
    let all = || {
        let participant = World::participant("amy");
        [
            Order::Lock {},
            Order::Unlock {},
            Order::Admit { participant: participant.clone() },
            Order::Deny { participant: participant.clone() },
            Order::MuteAll {},
            Order::Mute { participant: participant.clone() },
            Order::Remove { participant: participant.clone() },
            Order::HandOver { to: participant },
            Order::End {},
        ]
    };
    let mut world = World::new();
    world.gather(&["anna", "ben", "amy"]);
    for (at, what) in all().into_iter().enumerate() {
        order(&mut world, "ben", at as u64 + 1, what);
    }
    world.say("ben", ToServer::SetPasscode { passcode: domain::message::client::Passcode("123456".into()) });
    assert_eq!(world.problems("ben"), [ProblemCode::NotHost; 10]);
    assert_eq!(acts(&world, "amy"), 0);
    world.advance(5_000);
    world.invariant_one_group(&["anna", "ben", "amy"]);
    assert!(world.to_sfu.iter().all(|(_, m)| !matches!(m, ToSfu::Mute { .. } | ToSfu::Cut { .. })));
}

#[test]
fn an_act_counts_only_by_the_connections_own_certificate_in_this_meeting_now_and_once() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    let mute = || Order::MuteAll {};
    let hers = act(&world, "anna", 1, mute());
    world.say("ben", ToServer::Host { act: hers.clone() });
    assert_eq!(world.problems("ben"), [ProblemCode::BadSignature], "somebody else's words");
    let made = |meeting: MeetingId, at: UnixMillis, sequence: u64| {
        signed(&world.members["anna"].leaf, &HostAct { meeting, sequence, at, what: mute() })
    };
    let (now, this) = (world.now, meeting(&world, "anna"));
    let elsewhere = made("ffffffffffffffffffffffffffffffff".parse().unwrap(), now, 1);
    let old = made(this.clone(), UnixMillis(now.0 - FRESH_MS - 1), 1);
    let zero = made(this, now, 0);
    for act in [elsewhere, old, zero] {
        world.say("anna", ToServer::Host { act });
    }
    assert_eq!(world.problems("anna"), [ProblemCode::BadMessage; 3]);
    assert_eq!(mutes(&world), []);
    world.say("anna", ToServer::Host { act: hers.clone() });
    world.say("anna", ToServer::Host { act: hers });
    assert_eq!(mutes(&world).len(), 1, "said again it is not done again");
}

#[test]
fn where_a_statement_names_hosts_nobody_else_is_one_whatever_the_directory_says() {
    let mut world = World::new();
    state(&mut world, 1, Rule::Off, |c| c.hosts = ["bob".parse().unwrap(), "anna".parse().unwrap()].into());
    world.gather(&["anna", "bob"]);
    order(&mut world, "anna", 1, Order::Lock {});
    assert_eq!(world.problems("anna"), [ProblemCode::NotHost], "bank-b names its own people only");
    order(&mut world, "bob", 1, Order::Lock {});
    assert_eq!((world.problems("bob").len(), acts(&world, "anna")), (0, 1));
}

#[test]
fn a_host_hands_over_and_newcomers_learn_it_as_signed() {
    let mut world = World::new();
    world.gather(&["anna", "ben", "amy"]);
    order(&mut world, "anna", 1, Order::HandOver { to: World::participant("ben") });
    order(&mut world, "anna", 2, Order::Lock {});
    assert_eq!(world.problems("anna"), [ProblemCode::NotHost], "handed over is handed over");
    order(&mut world, "ben", 1, Order::MuteAll {});
    assert_eq!(mutes(&world).len(), 2);
    world.join("abe");
    assert_eq!(acts(&world, "abe"), 1, "the one that lasts");
    let host = |m: &ToClient| match m {
        ToClient::Admitted { roster, .. } => {
            Some(roster.iter().filter(|row| row.host).map(|row| row.participant.to_string()).collect::<Vec<_>>())
        }
        _ => None,
    };
    assert_eq!(world.got("abe", host).last().unwrap().1, [World::id("ben")]);
}

#[test]
fn a_locked_meeting_takes_nobody_new_and_lets_back_who_was_in() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    order(&mut world, "anna", 1, Order::Lock {});
    world.join("amy");
    assert_eq!(world.refusals("amy"), [ProblemCode::Locked]);
    world.close("ben");
    world.connect("ben", None);
    assert_eq!(world.refusals("ben"), []);
    order(&mut world, "anna", 2, Order::Unlock {});
    world.connect("amy", None);
    assert_eq!(world.refusals("amy").len(), 1, "not again");
}

#[test]
fn a_host_ends_the_meeting_for_all_after_their_goodbyes_and_nobody_comes_in_meanwhile() {
    let mut world = World::must();
    world.gather(&["anna", "ben", "rec-a"]);
    order(&mut world, "anna", 1, Order::End {});
    assert_eq!(acts(&world, "ben"), 1);
    world.join("amy");
    assert_eq!(world.refusals("amy"), [ProblemCode::Ended]);
    world.advance(2_999);
    assert_eq!(world.refusals("ben"), []);
    world.advance(1);
    assert_eq!(world.refusals("ben"), [ProblemCode::Ended]);
    assert!(world.is_closed("rec-a") && world.room.meeting().is_none());
    world.connect("amy", None);
    assert!(world.room.meeting().is_some(), "another meeting may begin");
}

#[test]
fn who_a_host_removed_by_a_signed_act_does_not_come_back() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    order(&mut world, "anna", 1, Order::Remove { participant: World::participant("ben") });
    world.connect("ben", None);
    assert_eq!(world.refusals("ben"), [ProblemCode::Removed; 2]);
}

#[test]
fn a_mute_is_shown_in_the_roster() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    let offer =
        |slot, mid: &str| domain::message::client::PublishedTrack { mid: mid.into(), slot, codec: domain::Codec::Opus };
    world.say("ben", ToServer::Offer { sdp: "v=0".into(), tracks: vec![offer(Slot::MICROPHONE, "0")] });
    order(&mut world, "anna", 1, Order::Mute { participant: World::participant("ben") });
    let row = |m: &ToClient| if let ToClient::RosterChanged { entry } = m { Some(entry.sources.clone()) } else { None };
    assert_eq!(world.got("anna", row).last().unwrap().1, [Source { slot: Slot::MICROPHONE, muted: true }]);
}
