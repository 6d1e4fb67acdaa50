//! Guests: by a member's invitation, to its room, always at the door first, as far as every firm's statement lets them.

use crate::firms::{ROOM, Use, sign};
use crate::hosts::order;
use crate::member::Member;
use crate::terms::state;
use crate::world::{World, greet_with};
use domain::message::client::{Entering, ProblemCode, ToClient};
use domain::policy::{Permission, Rule};
use domain::{B64, UnixMillis};
use evidence::host::Order;
use evidence::invitation::{Invitation, LABEL, code_hash, encode};
use signaling_core::Input;
use std::convert::Infallible;

const GUEST: &str = "guest-00112233445566aa";

fn said(world: &World, room: &str, guest: &str) -> Invitation {
    let guest: domain::UserId = guest.parse().unwrap();
    Invitation {
        room: room.parse().unwrap(),
        name: "Gus Guest".into(),
        code_hash: code_hash(&guest, "CODE"),
        guest,
        issued_at: world.now,
        valid_from: world.now,
        valid_until: world.now.plus(3_600_000),
    }
}

fn signed(world: &World, by: &str, invitation: &Invitation) -> B64 {
    let leaf = &world.members[by].leaf;
    let sealed = |hash: &[u8; 32]| Ok::<_, Infallible>(sign(&leaf.key, hash));
    let Ok(bytes) = evidence::cose::sign(LABEL, &encode(invitation), Some(&leaf.certificate), sealed);
    bytes.into()
}

/// The guest of bank-a, with this invitation.
fn arrive(world: &mut World, invitation: Option<B64>) -> Option<ProblemCode> {
    let id = format!("bank-a/{GUEST}/d1");
    if !world.members.contains_key("gus") {
        let leaf = world.firms[0].certify(&id, Use::Guest);
        world.members.insert("gus".to_owned(), Member::new(&world.trust, &id, leaf, false));
    }
    let entering = Entering { client: domain::message::CLIENT, passcode: None, invitation };
    match greet_with(&world.trust, world.now, &world.members["gus"].leaf, ROOM, None, entering) {
        Ok(proven) => {
            let conn = world.own("gus");
            let room = std::sync::Arc::new(world.record.clone());
            world.input(Input::Join { conn, proven, room });
            None
        }
        Err(problem) => Some(problem.code),
    }
}

fn world() -> World {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    world
}

#[test]
fn a_guest_waits_at_the_door_and_is_shown_with_its_invitation() {
    let mut world = world();
    let invitation = signed(&world, "anna", &said(&world, ROOM, GUEST));
    assert_eq!(arrive(&mut world, Some(invitation.clone())), None);
    assert_eq!(
        world.problems("gus"),
        [ProblemCode::Lobby],
        "no statement asks for a lobby: a guest waits all the same"
    );
    let participant = world.members["gus"].id.clone();
    order(&mut world, "anna", 1, Order::Admit { participant: participant.clone() });
    world.advance(1_000);
    world.invariant_one_group(&["anna", "ben", "gus"]);
    let row = |m: &ToClient| match m {
        ToClient::RosterChanged { entry } if entry.participant == participant => Some(entry.invitation.clone()),
        _ => None,
    };
    assert_eq!(world.got("ben", row).last().unwrap().1, Some(invitation));
    order(&mut world, "anna", 2, Order::HandOver { to: participant });
    assert_eq!(world.problems("anna"), [ProblemCode::BadMessage], "a guest is no host");
}

#[test]
fn a_removed_guest_does_not_come_back_with_the_same_invitation() {
    let mut world = world();
    let invitation = signed(&world, "anna", &said(&world, ROOM, GUEST));
    arrive(&mut world, Some(invitation.clone()));
    let participant = world.members["gus"].id.clone();
    order(&mut world, "anna", 1, Order::Admit { participant: participant.clone() });
    world.advance(1_000);
    order(&mut world, "anna", 2, Order::Remove { participant: participant.clone() });
    assert_eq!(world.turned_away, [participant], "and it is to be written down");
    world.inbox.clear();
    arrive(&mut world, Some(invitation));
    assert_eq!(world.refusals("gus"), [ProblemCode::Removed]);
}

#[test]
fn no_other_invitation_opens_the_door() {
    let mut world = world();
    world.make("rec-a");
    let good = said(&world, ROOM, GUEST);
    let other = |change: fn(&mut Invitation)| {
        let mut changed = good.clone();
        change(&mut changed);
        signed(&world, "anna", &changed)
    };
    let mut bent = signed(&world, "anna", &good);
    let last = bent.0.len() - 1;
    bent.0[last] ^= 1;
    let wrong = [
        ("none", None),
        ("of another firm's member", Some(signed(&world, "ben", &good))),
        ("of a recorder", Some(signed(&world, "rec-a", &good))),
        ("to another room", Some(other(|one| one.room = "other-room".parse().unwrap()))),
        ("for another guest", Some(other(|one| one.guest = "guest-ffffffffffffffff".parse().unwrap()))),
        ("that has ended", Some(other(|one| one.valid_until = UnixMillis(one.valid_from.0 + 1)))),
        (
            "of tomorrow",
            Some(other(|one| {
                one.valid_from = one.valid_from.plus(80_000_000);
                one.valid_until = one.valid_from.plus(1_000);
            })),
        ),
        ("for longer than a day's meeting", Some(other(|one| one.valid_until = one.valid_from.plus(13 * 3_600_000)))),
        ("from the future", Some(other(|one| one.issued_at = one.issued_at.plus(600_000)))),
        ("bent", Some(bent)),
    ];
    world.now = world.now.plus(10);
    for (what, invitation) in wrong {
        assert_eq!(arrive(&mut world, invitation), Some(ProblemCode::NotAMember), "{what}");
    }
}

#[test]
fn one_firm_that_refuses_guests_keeps_everybodys_out() {
    let mut world = World::new();
    state(&mut world, 1, Rule::Off, |c| c.guests = Permission::Refused);
    world.gather(&["anna", "ben"]);
    let invitation = signed(&world, "anna", &said(&world, ROOM, GUEST));
    arrive(&mut world, Some(invitation));
    assert_eq!(world.refusals("gus"), [ProblemCode::NoGuests]);
}

#[test]
fn who_is_no_member_any_more_has_invited_nobody() {
    let mut world = world();
    let invitation = signed(&world, "anna", &said(&world, ROOM, GUEST));
    arrive(&mut world, Some(invitation.clone()));
    let participant = world.members["gus"].id.clone();
    order(&mut world, "anna", 1, Order::Admit { participant });
    world.advance(1_000);
    let (firm, user) = ("bank-a".parse().unwrap(), "anna".parse().unwrap());
    world.input(Input::MembershipEnded { firm, user });
    assert_eq!(world.refusals("gus"), [ProblemCode::Removed]);
    world.record.members.retain(|member| member.user.as_str() != "anna");
    world.inbox.clear();
    arrive(&mut world, Some(invitation));
    assert_eq!(world.refusals("gus"), [ProblemCode::NotAMember]);
}
