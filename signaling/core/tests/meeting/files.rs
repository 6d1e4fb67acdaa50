//! Sealed files at signaling: what is announced and no byte more, for members of the group alone, for a while, within limits.

use crate::world::World;
use domain::files::sealed_len;
use domain::limits::{FILE_CHUNK, MAX_FILE};
use domain::message::client::{FileRefusal, ToClient, ToServer};
use domain::policy::Rule;
use domain::{B64, BlobId};
use signaling_core::limits::{BLOB_KEPT_MS, BLOB_STARTED_MS, MAX_BLOBS_PERSON, MAX_HELD_MEETING};

fn blob(n: usize) -> BlobId {
    format!("{n:032x}").parse().unwrap()
}

fn begin(world: &mut World, who: &str, n: usize, size: u64) {
    world.say(who, ToServer::FileBegin { blob: blob(n), size });
}

fn part(world: &mut World, who: &str, n: usize, index: u32, len: usize) {
    world.say(who, ToServer::FilePart { blob: blob(n), index, part: B64(vec![index as u8 + 1; len]) });
}

/// All of a file of `size` bytes.
fn put(world: &mut World, who: &str, n: usize, size: u64) {
    begin(world, who, n, size);
    for index in 0.. {
        let Some(len) = sealed_len(size, index) else { return };
        part(world, who, n, index, len);
    }
}

fn want(world: &mut World, who: &str, n: usize, index: u32) {
    world.say(who, ToServer::FileWanted { blob: blob(n), index });
}

/// What signaling last said of files: chunks held, a chunk's length and first byte, or a refusal.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Held(u32),
    Part(u32, usize, u8),
    Refused(FileRefusal),
}

fn told(world: &World, who: &str) -> Option<Told> {
    let pick = |message: &ToClient| match message {
        ToClient::FileRoom { parts, .. } => Some(Told::Held(*parts)),
        ToClient::FilePart { index, part, .. } => Some(Told::Part(*index, part.len(), part[0])),
        ToClient::FileRefused { why, .. } => Some(Told::Refused(*why)),
        _ => None,
    };
    world.got(who, pick).pop().map(|(_, told)| told)
}

fn gathered() -> World {
    let mut world = World::new();
    world.gather(&["anna", "ben"]);
    world
}

const SIZE: u64 = 2 * FILE_CHUNK as u64 + 5;

#[test]
fn a_file_is_held_chunk_by_chunk_and_given_to_members_once_it_is_whole() {
    let mut world = gathered();
    begin(&mut world, "anna", 1, SIZE);
    assert_eq!(told(&world, "anna"), Some(Told::Held(0)));
    part(&mut world, "anna", 1, 0, FILE_CHUNK + 16);
    assert_eq!(told(&world, "anna"), Some(Told::Held(1)));
    part(&mut world, "anna", 1, 2, 5 + 16);
    assert_eq!(told(&world, "anna"), Some(Told::Held(1)), "the one before it is missing");
    want(&mut world, "ben", 1, 0);
    assert_eq!(told(&world, "ben"), Some(Told::Refused(FileRefusal::Gone)), "not whole");
    begin(&mut world, "anna", 1, SIZE);
    assert_eq!(told(&world, "anna"), Some(Told::Held(1)), "it goes on where it was");
    part(&mut world, "anna", 1, 1, FILE_CHUNK + 16);
    part(&mut world, "anna", 1, 2, 5 + 16);
    want(&mut world, "ben", 1, 2);
    assert_eq!(told(&world, "ben"), Some(Told::Part(2, 21, 3)));
    want(&mut world, "ben", 1, 3);
    assert_eq!(told(&world, "ben"), Some(Told::Refused(FileRefusal::Gone)));
}

#[test]
fn f6_a_file_claimed_small_that_is_large_is_cut_off_and_none_of_it_kept() {
    let mut world = gathered();
    begin(&mut world, "anna", 1, 100);
    part(&mut world, "anna", 1, 0, FILE_CHUNK + 16);
    assert_eq!(told(&world, "anna"), Some(Told::Refused(FileRefusal::Malformed)));
    part(&mut world, "anna", 1, 0, 116);
    assert_eq!(told(&world, "anna"), Some(Told::Refused(FileRefusal::Gone)));
    put(&mut world, "anna", 2, 100);
    part(&mut world, "anna", 2, 1, 116);
    assert_eq!(told(&world, "anna"), Some(Told::Refused(FileRefusal::Malformed)), "a chunk more than announced");
    for size in [0, MAX_FILE + 1] {
        begin(&mut world, "anna", 3, size);
        assert_eq!(told(&world, "anna"), Some(Told::Refused(FileRefusal::Size)));
    }
}

#[test]
fn f7_nobody_touches_anothers_file_and_who_is_out_of_the_group_gets_nothing() {
    let mut world = gathered();
    put(&mut world, "anna", 1, SIZE);
    part(&mut world, "ben", 1, 0, FILE_CHUNK + 16);
    assert_eq!(told(&world, "ben"), Some(Told::Refused(FileRefusal::Gone)));
    begin(&mut world, "ben", 1, SIZE);
    assert_eq!(told(&world, "ben"), Some(Told::Refused(FileRefusal::Malformed)));
    world.say("ben", ToServer::FileDrop { blob: blob(1) });
    want(&mut world, "ben", 1, 0);
    assert_eq!(told(&world, "ben"), Some(Told::Part(0, FILE_CHUNK + 16, 1)), "still there");
    // admitted and not in the group yet
    world.make("bob");
    world.members.get_mut("bob").unwrap().habits.sends_key_packages = false;
    world.connect("bob", None);
    want(&mut world, "bob", 1, 0);
    assert_eq!(told(&world, "bob"), Some(Told::Refused(FileRefusal::Gone)));
    begin(&mut world, "bob", 5, 10);
    assert_eq!(told(&world, "bob"), Some(Told::Refused(FileRefusal::Forbidden)));
    world.say("anna", ToServer::Remove { participant: World::participant("ben") });
    world.inbox.clear();
    want(&mut world, "ben", 1, 0);
    assert_eq!(told(&world, "ben"), None, "a removed member is not even answered");
    want(&mut world, "anna", 1, 0);
    assert!(matches!(told(&world, "anna"), Some(Told::Part(..))));
}

#[test]
fn f8_files_have_an_end_and_a_whole_service_holds_no_more_than_its_share() {
    let mut world = gathered();
    let held = world.held.clone();
    put(&mut world, "anna", 1, SIZE);
    begin(&mut world, "anna", 2, SIZE);
    assert!(held.bytes() > 2 * SIZE);
    world.advance_alive(BLOB_STARTED_MS);
    begin(&mut world, "ben", 2, SIZE);
    assert_eq!(told(&world, "ben"), Some(Told::Held(0)), "what was only begun is gone: its name is free");
    world.say("ben", ToServer::FileDrop { blob: blob(2) });
    world.advance_alive(BLOB_KEPT_MS - BLOB_STARTED_MS - 1_000);
    want(&mut world, "ben", 1, 0);
    assert!(matches!(told(&world, "ben"), Some(Told::Part(..))));
    world.advance_alive(1_000);
    want(&mut world, "ben", 1, 0);
    assert_eq!(told(&world, "ben"), Some(Told::Refused(FileRefusal::Gone)));
    assert_eq!(held.bytes(), 0);
    put(&mut world, "anna", 3, SIZE);
    for name in ["anna", "ben"] {
        world.say(name, ToServer::Leave {});
    }
    world.advance(1_000);
    assert_eq!(held.bytes(), 0, "nothing outlives the meeting");
}

#[test]
fn f8_one_person_and_one_meeting_have_bounds() {
    let mut world = gathered();
    for n in 0..MAX_BLOBS_PERSON {
        begin(&mut world, "anna", n, 10);
    }
    assert_eq!(told(&world, "anna"), Some(Told::Held(0)));
    begin(&mut world, "anna", 99, 10);
    assert_eq!(told(&world, "anna"), Some(Told::Refused(FileRefusal::Full)));
    begin(&mut world, "ben", 99, 10);
    assert_eq!(told(&world, "ben"), Some(Told::Held(0)), "another has the own share");
    let fit = MAX_HELD_MEETING / domain::files::sealed_size(MAX_FILE);
    for n in 0..fit as usize {
        begin(&mut world, "ben", 200 + n, MAX_FILE);
    }
    begin(&mut world, "ben", 300, MAX_FILE);
    assert_eq!(told(&world, "ben"), Some(Told::Refused(FileRefusal::Full)), "room is taken by what is announced");
}

#[test]
fn where_one_firm_forbids_files_signaling_carries_none() {
    let mut world = World::with_files(Rule::Off, Rule::Forbidden);
    world.gather(&["anna", "ben"]);
    begin(&mut world, "anna", 1, 10);
    assert_eq!(told(&world, "anna"), Some(Told::Refused(FileRefusal::Forbidden)));
}
