//! Removal: an order signed by the delivery service, the SFU cut at once, the commit by the lowest leaf that stays.

use crate::firms::{START, Use};
use crate::member::{Commits, Member};
use crate::world::World;
use domain::message::client::{ProblemCode, ToClient, ToServer};
use domain::message::control::{FromSfu, ToSfu};
use domain::{LeafIndex, TransportKind};
use evidence::order::{Reason, RemovalOrder};
use signaling_core::Input;

fn orders(world: &World, name: &str) -> Vec<RemovalOrder> {
    let mut all =
        world.got(name, |m| if let ToClient::RemovalOrder { order } = m { Some(order.clone()) } else { None });
    // a committer gets the open orders once more with what it is asked for
    all.dedup_by(|(_, a), (_, b)| a == b);
    all.into_iter().map(|(_, order)| evidence::order::judge(&world.trust, &order).unwrap()).collect()
}

fn cuts(world: &World) -> Vec<(domain::UnixMillis, String)> {
    let cut = |m: &ToSfu| if let ToSfu::Cut { participant, .. } = m { Some(participant.to_string()) } else { None };
    world.to_sfu.iter().filter_map(|(at, m)| cut(m).map(|who| (*at, who))).collect()
}

fn remove(world: &mut World, by: &str, whom: &str) {
    let participant = World::participant(whom);
    world.say(by, ToServer::Remove { participant });
}

#[test]
fn a_host_removes_and_everybody_gets_the_signed_order_while_the_sfu_is_cut_at_once() {
    let mut world = World::new();
    world.gather(&["anna", "ben", "amy"]);
    let (leaf, start) = (world.leaf("ben"), world.now);
    remove(&mut world, "anna", "ben");
    assert_eq!(cuts(&world), [(start, World::id("ben"))]);
    for name in ["anna", "amy", "ben"] {
        let [order] = &orders(&world, name)[..] else { panic!("{name} has no order") };
        assert_eq!(
            (order.participant.to_string(), order.leaf, order.reason),
            (World::id("ben"), Some(leaf), Reason::Host)
        );
    }
    assert_eq!(world.refusals("ben"), [ProblemCode::Removed]);
    assert!(world.is_closed("ben"));
    world.invariant_one_group(&["anna", "amy"]);
    assert_eq!(world.members["anna"].group.as_ref().unwrap().roster().members_iter().count(), 2);
    assert_ne!(world.members["ben"].authenticator(), world.members["anna"].authenticator());
}

#[test]
fn who_the_host_removed_does_not_come_back_into_this_meeting_on_any_device() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    remove(&mut world, "anna", "ben");
    world.inbox.clear();
    world.connect("ben", None);
    assert_eq!(world.refusals("ben"), [ProblemCode::Removed]);
}

#[test]
fn who_the_host_removed_stays_out_when_the_group_is_begun_anew() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    remove(&mut world, "anna", "ben");
    world.advance(1_000);
    world.close("anna");
    world.join("abe");
    world.advance(2_000);
    assert_eq!(world.epoch("abe"), domain::Epoch(0), "a new group");
    world.inbox.clear();
    world.connect("ben", None);
    assert_eq!(world.refusals("ben"), [ProblemCode::Removed]);
}

#[test]
fn only_a_host_removes() {
    let mut world = World::new();
    world.gather(&["anna", "ben", "amy"]);
    remove(&mut world, "ben", "amy");
    assert_eq!(world.problems("ben"), [ProblemCode::NotHost]);
    assert!(cuts(&world).is_empty() && !world.is_closed("amy"));
}

#[test]
fn a_recorder_is_never_ordered_out() {
    let mut world = World::must();
    world.gather(&["anna", "ben", "rec-a"]);
    remove(&mut world, "anna", "rec-a");
    assert_eq!(world.problems("anna"), [ProblemCode::BadMessage]);
    world.close("rec-a");
    world.advance_alive(60_000);
    assert!(orders(&world, "anna").is_empty() && cuts(&world).is_empty());
    assert_eq!(world.members["anna"].group.as_ref().unwrap().roster().members_iter().count(), 3);
}

#[test]
fn the_lowest_connected_leaf_that_stays_commits_and_the_next_after_250_ms() {
    let mut world = World::new();
    world.gather(&["anna", "ben", "amy"]);
    world.members.get_mut("anna").unwrap().habits.commits = Commits::Never;
    let start = world.now;
    let leaf = world.leaf("amy");
    world.say("amy", ToServer::Leave {});
    assert_eq!(world.asked_to_remove("anna"), [(start, vec![leaf])]);
    world.advance(249);
    assert_eq!(world.asked_to_remove("ben"), []);
    world.advance(1);
    assert_eq!(world.asked_to_remove("ben"), [(start.plus(250), vec![leaf])]);
    world.invariant_one_group(&["anna", "ben"]);
}

#[test]
fn a_recorder_may_be_the_lowest_leaf_that_removes() {
    let mut world = World::must();
    world.gather(&["anna", "rec-a"]);
    world.gather(&["ben"]);
    world.close("anna");
    world.advance_alive(31_000);
    assert_eq!(world.asked_to_remove("rec-a").len(), 1);
    world.invariant_one_group(&["rec-a", "ben"]);
}

#[test]
fn two_removals_are_committed_together_or_one_after_the_other() {
    let mut world = World::new();
    world.gather(&["anna", "ben", "amy", "abe"]);
    world.members.get_mut("anna").unwrap().habits.commits = Commits::Never;
    world.say("amy", ToServer::Leave {});
    world.say("abe", ToServer::Leave {});
    world.advance(1_000);
    assert_eq!(world.asked_to_remove("ben").first().map(|(_, leaves)| leaves.len()), Some(2));
    world.invariant_one_group(&["anna", "ben"]);
    assert_eq!(world.members["ben"].group.as_ref().unwrap().roster().members_iter().count(), 2);
}

#[test]
fn a_member_cannot_hold_up_a_removal_with_commits_of_its_own() {
    let mut world = World::new();
    world.gather(&["anna", "ben", "amy"]);
    world.members.get_mut("anna").unwrap().habits.commits = Commits::Never;
    world.say("amy", ToServer::Leave {});
    let now = world.now;
    let racing = world.members.get_mut("ben").unwrap().commit(now, &[], &[]);
    world.say("ben", racing);
    assert_eq!(world.commit_refusals("ben"), [ProblemCode::BadCommit]);
    world.advance(1_000);
    assert_eq!(world.members["ben"].group.as_ref().unwrap().roster().members_iter().count(), 2);
}

#[test]
fn who_is_silent_for_30_s_is_removed_and_not_a_millisecond_earlier() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    world.say("anna", ToServer::Ping {});
    world.say("ben", ToServer::Ping {});
    world.advance(10_000);
    world.say("anna", ToServer::Ping {});
    world.advance(19_999);
    assert!(orders(&world, "anna").is_empty());
    world.advance(1);
    let reasons: Vec<_> = orders(&world, "anna").iter().map(|order| order.reason).collect();
    assert_eq!(reasons, [Reason::Silent]);
    assert!(world.is_closed("ben"));
}

#[test]
fn whose_media_still_flows_is_not_silent() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    let meeting = world.members["ben"].terms.as_ref().unwrap().meeting.clone();
    let participant = World::participant("ben");
    let transport = TransportKind::Publish;
    world.sfu_says(FromSfu::Connected { meeting: meeting.clone(), participant: participant.clone(), transport });
    world.close("ben");
    for _ in 0..10 {
        world.advance_alive(10_000);
    }
    assert!(orders(&world, "anna").is_empty());
    world.sfu_says(FromSfu::Disconnected { meeting, participant, transport });
    world.advance_alive(30_000);
    assert_eq!(orders(&world, "anna").len(), 1);
}

#[test]
fn who_comes_back_within_30_s_keeps_its_place() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    world.close("ben");
    let left = world.got("anna", |m| matches!(m, ToClient::RosterLeft { .. }).then_some(()));
    assert_eq!(left.len(), 1);
    world.advance_alive(20_000);
    let resume = world.resume("ben");
    world.connect("ben", Some(resume));
    world.advance_alive(40_000);
    assert!(orders(&world, "anna").is_empty());
    world.invariant_one_group(&["anna", "ben"]);
}

#[test]
fn an_ended_membership_ends_the_participation() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    let (firm, user) = ("bank-b".parse().unwrap(), "ben".parse().unwrap());
    world.input(signaling_core::Input::MembershipEnded { firm, user });
    assert_eq!(orders(&world, "anna")[0].reason, Reason::Membership);
    assert_eq!(world.refusals("ben"), [ProblemCode::Removed]);
}

#[test]
fn who_leaves_and_returns_on_the_same_device_is_added_anew() {
    let mut world = World::new();
    world.gather(&["anna", "ben", "amy"]);
    world.members.get_mut("anna").unwrap().habits.commits = Commits::Never;
    world.say("ben", ToServer::Leave {});
    // back before its old leaf is out
    let trust = world.trust.clone();
    world.members.get_mut("ben").unwrap().forget(&trust);
    world.connect("ben", None);
    world.advance(3_000);
    world.invariant_one_group(&["anna", "ben", "amy"]);
    assert_eq!(world.members["anna"].group.as_ref().unwrap().roster().members_iter().count(), 3);
}

#[test]
fn a_second_connection_of_the_same_participant_replaces_the_first() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    let old = world.conns["ben"];
    let resume = world.resume("ben");
    world.connect("ben", Some(resume));
    assert_eq!(world.refusals("ben"), [ProblemCode::Replaced]);
    assert!(world.closed.contains(&old) && !world.is_closed("ben"));
    world.input(signaling_core::Input::Closed { conn: old });
    let now = world.now;
    let commit = world.members.get_mut("anna").unwrap().commit(now, &[], &[]);
    world.say("anna", commit);
    world.invariant_one_group(&["anna", "ben"]);
    assert!(orders(&world, "anna").is_empty());
}

#[test]
fn newcomers_learn_the_removals_that_are_not_committed_yet() {
    let mut world = World::new();
    world.gather(&["anna", "ben", "amy"]);
    world.members.get_mut("anna").unwrap().habits.commits = Commits::Never;
    world.members.get_mut("ben").unwrap().habits.commits = Commits::Never;
    world.say("amy", ToServer::Leave {});
    world.close("ben");
    let resume = world.resume("ben");
    world.inbox.clear();
    world.connect("ben", Some(resume));
    assert_eq!(orders(&world, "ben").len(), 1);
}

#[test]
fn leaves_never_exceed_the_roster_that_the_sfu_is_told() {
    let mut world = World::new();
    world.gather(&["anna", "ben", "amy"]);
    world.say("amy", ToServer::Leave {});
    world.advance(500);
    let last = world
        .to_sfu
        .iter()
        .rev()
        .find_map(|(_, m)| if let ToSfu::Leaves { leaves, .. } = m { Some(leaves.clone()) } else { None });
    let mut expected =
        vec![(world.leaf("anna"), World::participant("anna")), (world.leaf("ben"), World::participant("ben"))];
    expected.sort_by_key(|(leaf, _): &(LeafIndex, _)| *leaf);
    assert_eq!(last, Some(expected));
}

#[test]
fn an_order_that_is_done_is_not_said_again_when_its_target_is_back() {
    let mut world = World::new();
    world.gather(&["anna", "amy", "ben"]);
    world.say("amy", ToServer::Leave {});
    world.advance(1_000);
    world.make("amy");
    world.join("amy");
    world.advance(2_000);
    world.inbox.clear();
    world.join("bob");
    world.advance(2_000);
    let resume = world.resume("ben");
    world.close("ben");
    world.connect("ben", Some(resume));
    world.advance(1_000);
    world.invariant_one_group(&["anna", "amy", "ben", "bob"]);
    assert_eq!(orders(&world, "bob"), [], "a newcomer would stop sending for it");
    assert_eq!(orders(&world, "ben"), [], "so would one that continues");
}

#[test]
fn who_leaves_while_being_added_is_ordered_out_of_the_leaf_it_got() {
    let mut world = World::new();
    world.gather(&["anna", "amy"]);
    world.sfu = crate::world::Sfu::Mute;
    world.join("ben");
    // the commit that adds ben waits for the SFU
    world.advance(domain::limits::ADD_BATCH_MS + 10);
    world.say("ben", ToServer::Leave {});
    assert_eq!(orders(&world, "amy").last().map(|order| order.leaf), Some(None), "it had no leaf yet");
    world.advance(3_000);
    assert!(orders(&world, "amy").iter().any(|order| order.leaf == Some(LeafIndex(2))), "members obey only this one");
    world.invariant_one_group(&["anna", "amy"]);
    assert_eq!(world.members["anna"].group.as_ref().unwrap().roster().members_iter().count(), 2);
}

#[test]
fn who_leaves_is_gone_from_roster_media_and_connection_at_once() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    let at = world.now;
    world.say("ben", ToServer::Leave {});
    let left = world.got("anna", |m| {
        if let ToClient::RosterLeft { participant } = m { Some(participant.to_string()) } else { None }
    });
    assert_eq!(left, [(at, World::id("ben"))]);
    assert_eq!(cuts(&world), [(at, World::id("ben"))]);
    assert!(world.is_closed("ben"));
    // no virtual time has passed: the last one is alone in its group as well
    assert_eq!(world.members["anna"].group.as_ref().unwrap().roster().members_iter().count(), 1);
}

#[test]
fn who_did_not_renew_its_certificate_is_removed_an_hour_after_its_end() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    // theirs end 8 h after the start, amy's 11 h after it
    let id = World::id("amy");
    let leaf = world.firms[0].certify_for(&id, Use::Member, -1, 11);
    let trust = world.trust.clone();
    world.members.insert("amy".into(), Member::new(&trust, &id, leaf, false));
    world.join("amy");
    world.advance(1_000);
    let removed_at = START.plus(9 * 3_600_000);
    world.advance_alive(removed_at.0 - 1 - world.now.0);
    assert_eq!(orders(&world, "amy"), [], "a leaf that expired within the meeting has an hour");
    world.invariant_one_group(&["anna", "ben", "amy"]);
    world.advance(1);
    // a committer hears the open orders again with what it is asked for
    let given = orders(&world, "amy");
    let whom: std::collections::BTreeSet<_> = given.iter().map(|order| order.participant.clone()).collect();
    assert_eq!(whom, [World::participant("anna"), World::participant("ben")].into());
    assert!(given.iter().all(|order| order.reason == Reason::Expired));
    assert_eq!(world.refusals("ben"), [ProblemCode::BadCertificate]);
    world.advance(2_000);
    assert_eq!(world.members["amy"].group.as_ref().unwrap().roster().members_iter().count(), 1);
    // and it does not come back with it
    assert!(world.handshake("ben", None).is_err());
}

#[test]
fn who_holds_an_ended_certificate_is_out_of_the_meeting_and_does_not_come_back_with_it() {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    let hash = evidence::sha256(&world.members["ben"].leaf.certificate);
    let ended = std::sync::Arc::new([hash].into());
    world.input(signaling_core::Input::Revoked(ended));
    assert_eq!(orders(&world, "anna")[0].reason, Reason::Revoked);
    assert_eq!(world.refusals("ben"), [ProblemCode::Removed]);
    assert_eq!(cuts(&world).last().unwrap().1, World::id("ben"));
    // the key is still ben's, and the certificate still has hours to go
    world.connect("ben", None);
    assert_eq!(world.refusals("ben"), [ProblemCode::Removed, ProblemCode::Removed]);
    // with a new one it comes in again
    world.members.remove("ben");
    world.join("ben");
    assert_eq!(world.refusals("ben").len(), 2);
    assert!(!world.is_closed("ben"));
}

#[test]
fn who_is_expelled_from_outside_is_out_on_all_devices_and_stays_out_of_this_meeting() {
    let mut world = World::new();
    world.gather(&["anna", "ben", "amy"]);
    let meeting = world.room.meeting().cloned();
    world.input(Input::Expelled { firm: "bank-a".parse().unwrap(), user: "amy".parse().unwrap() });
    assert_eq!(world.refusals("amy"), [ProblemCode::Removed]);
    world.invariant_one_group(&["anna", "ben"]);
    world.join("amy");
    assert!(world.is_closed("amy"), "the same meeting does not take her back");
    assert_eq!(world.room.meeting().cloned(), meeting);
    let seen: Vec<_> = world.room.view().unwrap().people.into_iter().map(|one| one.participant.user).collect();
    assert_eq!(seen, ["anna".parse().unwrap(), "ben".parse().unwrap()]);
}

#[test]
fn a_meeting_ended_from_outside_is_over_for_all_and_the_next_one_has_the_id_it_was_announced_with() {
    let mut world = World::must();
    world.input(Input::Announced(Some("0123456789abcdef0123456789abcdef".parse().unwrap())));
    world.gather(&["anna", "rec-a"]);
    assert_eq!(world.room.meeting().unwrap().as_str(), "0123456789abcdef0123456789abcdef");
    world.input(Input::Ended);
    assert!(world.room.view().is_none() && world.is_closed("anna") && world.is_closed("rec-a"));
    world.gather(&["ben"]);
    assert_ne!(world.room.meeting().unwrap().as_str(), "0123456789abcdef0123456789abcdef");
}
