//! Lobby, passcode, oldest client, regions, screens: what statements ask of who comes, together.

use crate::hosts::order;
use crate::terms::state;
use crate::world::World;
use domain::message::client::{Entering, Passcode, ProblemCode, PublishedTrack, ToClient, ToServer};
use domain::message::control::FromSfu;
use domain::policy::{Demand, Permission, Rule};
use domain::{Codec, Slot};
use evidence::host::Order;
use signaling_core::Input;
use signaling_core::limits::{PASSCODE_REST_MS, PASSCODE_TRIES};

fn waiting(world: &World, name: &str) -> Vec<String> {
    let of = |m: &ToClient| match m {
        ToClient::Waiting { waiting } => Some(waiting.iter().map(|one| one.participant.to_string()).collect()),
        _ => None,
    };
    world.got(name, of).pop().map(|(_, names): (_, Vec<String>)| names).unwrap_or_default()
}

fn is_in(world: &World, name: &str) -> bool {
    !world.got(name, |m| matches!(m, ToClient::Admitted { .. }).then_some(())).is_empty()
}

fn with_lobby() -> World {
    let mut world = World::new();
    state(&mut world, 1, Rule::Off, |c| c.lobby = Demand::Wanted);
    world
}

#[test]
fn who_comes_waits_until_a_host_lets_it_in() {
    let mut world = with_lobby();
    world.gather(&["anna"]);
    world.join("ben");
    world.join("amy");
    assert_eq!(world.problems("ben"), [ProblemCode::Lobby]);
    assert_eq!(waiting(&world, "anna"), [World::id("ben"), World::id("amy")]);
    assert!(!is_in(&world, "ben") && !is_in(&world, "amy"));
    order(&mut world, "anna", 1, Order::Admit { participant: World::participant("ben") });
    order(&mut world, "anna", 2, Order::Deny { participant: World::participant("amy") });
    world.advance(1_000);
    assert!(is_in(&world, "ben"));
    world.invariant_one_group(&["anna", "ben"]);
    assert_eq!(world.refusals("amy"), [ProblemCode::Denied]);
    assert!(waiting(&world, "anna").is_empty());
    world.connect("amy", None);
    assert_eq!(world.refusals("amy").last(), Some(&ProblemCode::Removed), "turned away is turned away");
    world.close("ben");
    world.advance(1_000);
    world.connect("ben", None);
    assert_eq!(world.problems("ben"), [ProblemCode::Lobby], "who was let in comes back without asking");
}

#[test]
fn nobody_waits_in_a_meeting_that_has_not_begun_and_the_host_finds_them_at_the_door() {
    let mut world = with_lobby();
    world.join("ben");
    assert_eq!(world.problems("ben"), [ProblemCode::Lobby]);
    assert!(world.room.meeting().is_none() && world.to_sfu.is_empty(), "nobody heard of a meeting");
    assert!(!world.room.is_empty(), "somebody waits");
    world.say("ben", ToServer::Ping {});
    assert!(!world.is_closed("ben"));
    world.join("anna");
    assert_eq!(waiting(&world, "anna"), [World::id("ben")]);
    assert!(!waiting(&world, "ben").contains(&World::id("ben")), "only hosts are told");
    world.close("ben");
    assert!(waiting(&world, "anna").is_empty());
}

#[test]
fn who_waits_hears_and_says_nothing() {
    let mut world = with_lobby();
    world.gather(&["anna"]);
    world.join("ben");
    world.inbox.clear();
    let act = crate::hosts::act(&world, "anna", 1, Order::Lock {});
    world.say("anna", ToServer::Host { act });
    assert!(world.got("ben", |_| Some(())).is_empty());
    world.say("ben", ToServer::NeedResync {});
    assert!(world.is_closed("ben"));
    assert!(waiting(&world, "anna").is_empty());
}

fn try_passcode(world: &mut World, name: &str, passcode: Option<&str>) {
    world.entering.passcode = passcode.map(|text| Passcode(text.to_owned()));
    if world.members.contains_key(name) {
        world.connect(name, None);
    } else {
        world.join(name);
    }
}

fn with_passcode() -> World {
    let mut world = World::new();
    state(&mut world, 0, Rule::Off, |c| c.passcode = Demand::Wanted);
    world.gather(&["anna"]);
    world
}

#[test]
fn a_passcode_is_asked_for_and_guesses_are_few() {
    let mut world = with_passcode();
    try_passcode(&mut world, "ben", Some("482913"));
    assert_eq!(world.refusals("ben"), [ProblemCode::Passcode], "no host has set one");
    world.say("anna", ToServer::SetPasscode { passcode: Passcode("482913".into()) });
    try_passcode(&mut world, "ben", None);
    for guess in 0..PASSCODE_TRIES {
        try_passcode(&mut world, "ben", Some(&format!("48291{guess}x")));
    }
    try_passcode(&mut world, "ben", Some("482913"));
    assert_eq!(world.refusals("ben").last(), Some(&ProblemCode::PasscodeTries), "the right one comes too late");
    assert!(!is_in(&world, "ben"));
    try_passcode(&mut world, "amy", Some("482913"));
    assert!(is_in(&world, "amy"), "others' guesses are not hers");
    world.advance_alive(PASSCODE_REST_MS);
    try_passcode(&mut world, "ben", Some("482913"));
    assert!(is_in(&world, "ben"));
}

#[test]
fn too_short_a_passcode_is_none() {
    let mut world = with_passcode();
    world.say("anna", ToServer::SetPasscode { passcode: Passcode("123".into()) });
    assert_eq!(world.problems("anna"), [ProblemCode::BadMessage]);
}

#[test]
fn an_old_client_is_told_to_load_a_newer_one_by_whose_statement() {
    let mut world = World::new();
    state(&mut world, 1, Rule::Off, |c| c.oldest_client = 7);
    for (client, refused) in [(0, true), (6, true), (7, false)] {
        world.entering = Entering { client, passcode: None, invitation: None };
        world.inbox.clear();
        try_passcode(&mut world, "anna", None);
        assert_eq!(world.refusals("anna") == [ProblemCode::ClientTooOld], refused, "{client}");
    }
}

#[test]
fn a_meeting_whose_media_may_not_pass_the_region_of_the_media_server_does_not_begin() {
    for (region, refused) in [(None, true), (Some("us"), true), (Some("eu"), false)] {
        let mut world = World::new();
        state(&mut world, 1, Rule::Off, |c| c.regions = Some(["eu".to_owned()].into()));
        let hello = FromSfu::Hello {
            node: "sfu-1".into(),
            record_address: "127.0.0.1:8444".into(),
            record_server_name: "localhost".into(),
            record_certificate: vec![7; 32].into(),
            region: region.map(str::to_owned),
        };
        world.input(Input::Sfu(Box::new(hello)));
        world.join("anna");
        assert_eq!(world.refusals("anna") == [ProblemCode::Region], refused, "{region:?}");
    }
}

#[test]
fn where_one_firm_refuses_it_nobody_shares_a_screen() {
    let mut world = World::new();
    state(&mut world, 1, Rule::Off, |c| c.share = Permission::Refused);
    world.gather(&["anna"]);
    let track = |slot, codec| PublishedTrack { mid: "0".into(), slot: Slot(slot), codec };
    for tracks in [vec![track(16, Codec::Vp8)], vec![track(1, Codec::Opus)]] {
        world.say("anna", ToServer::Offer { sdp: "v=0".into(), tracks });
    }
    world.say("anna", ToServer::Offer { sdp: "v=0".into(), tracks: vec![track(2, Codec::Vp8)] });
    assert_eq!(world.problems("anna"), [ProblemCode::NoShare; 2]);
}
