//! Files: to everybody who is in the group and to nobody else, whole or not at all, kept before they count, and nothing
//! that signaling or a member bends is taken.

use crate::deal::GRACE;
use crate::firm::World;
use crate::net::Net;
use domain::limits::{FILE_CHUNK, MAX_FILE};
use domain::message::client::{ToClient, ToServer};
use domain::policy::Rule;
use domain::{B64, BlobId, ParticipantId};
use e2ee::session::{Event, FileTrouble, IncidentKind, SayError, Shown};
use evidence::said::Forbidden;

struct Files {
    net: Net,
    anna: ParticipantId,
    ben: ParticipantId,
}

/// Nobody keeps files.
fn free() -> Files {
    let mut net = Net::new(World::of_files(Rule::Off, Rule::Off, GRACE));
    let (anna, ben) = (net.join("bank-a/anna/1"), net.join("bank-b/ben/1"));
    net.advance(1_000);
    Files { net, anna, ben }
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n / 251) as u8 ^ n as u8).collect()
}

fn share(net: &mut Net, who: &ParticipantId, name: &str, file: &[u8]) -> Result<BlobId, SayError> {
    let now = net.now;
    let shared = net.peer(who).session.share(now, name, "application/pdf", file.to_vec());
    net.pump();
    shared
}

/// Files that `at` was told of: id, from whom, size, name.
fn told(net: &Net, at: &ParticipantId) -> Vec<([u8; 32], String, u64, Option<String>)> {
    let read = |event: &Event| match event {
        Event::Shared { from, file, size, shown, .. } => {
            let name = shown.as_ref().map(|Shown { name, .. }| name.clone());
            Some((file.0.clone().try_into().unwrap(), from.user.to_string(), *size, name))
        }
        _ => None,
    };
    net.peers[at].events.iter().filter_map(read).collect()
}

fn lost(net: &Net, at: &ParticipantId) -> Vec<FileTrouble> {
    let read = |event: &Event| if let Event::FileLost { why, .. } = event { Some(*why) } else { None };
    net.peers[at].events.iter().filter_map(read).collect()
}

fn fetch(net: &mut Net, who: &ParticipantId, file: [u8; 32]) -> Option<Vec<u8>> {
    let now = net.now;
    net.peer(who).session.fetch(now, file).unwrap();
    net.pump();
    net.advance(20_000);
    net.peer(who).session.take_file(&file).map(|file| file.to_vec())
}

fn parts(net: &Net, who: &ParticipantId) -> usize {
    net.sent.iter().filter(|(from, m)| from == who && matches!(m, ToServer::FilePart { .. })).count()
}

#[test]
fn a_file_reaches_who_asks_for_it_as_it_was_and_its_name_is_plain() {
    let Files { mut net, anna, ben } = free();
    let file = bytes(5 * FILE_CHUNK + 17);
    share(&mut net, &anna, "../secret/term\u{202e}sheet.pdf", &file).unwrap();
    assert_eq!(told(&net, &ben), [], "not before all of it is there");
    net.advance(5_000);
    let [(id, from, size, name)] = told(&net, &ben).try_into().unwrap();
    assert_eq!((from.as_str(), size, name.as_deref()), ("anna", file.len() as u64, Some("termsheet.pdf")));
    assert_eq!(told(&net, &anna).len(), 1, "who sent it sees that it went out");
    assert!(fetch(&mut net, &ben, id) == Some(file), "the same bytes");
    assert_eq!((lost(&net, &ben), net.incidents(&ben)), (vec![], vec![]));
}

#[test]
fn a_file_goes_beside_the_call_and_not_before_it() {
    let Files { mut net, anna, .. } = free();
    share(&mut net, &anna, "deal.pdf", &bytes(100 * FILE_CHUNK)).unwrap();
    net.advance(1_000);
    let sent = parts(&net, &anna);
    assert!((40..=60).contains(&sent), "50 chunks a second: {sent}");
}

#[test]
fn what_is_no_file_is_refused_at_once() {
    let Files { mut net, anna, .. } = free();
    assert_eq!(share(&mut net, &anna, "a", &[]), Err(SayError::Empty));
    assert_eq!(share(&mut net, &anna, "a", &vec![0; MAX_FILE as usize + 1]), Err(SayError::TooLong));
    let mut net = Net::new(World::of_files(Rule::Off, Rule::Forbidden, GRACE));
    let anna = net.join("bank-a/anna/1");
    net.advance(1_000);
    let forbidden = SayError::Forbidden(Forbidden::Files("bank-b".parse().unwrap()));
    assert_eq!(share(&mut net, &anna, "a", b"x"), Err(forbidden), "one firm's word switches the class off");
}

#[test]
fn f2_a_bent_cut_or_swapped_chunk_is_named_and_nothing_of_the_file_is_given() {
    for (chunk, bend) in [
        (
            2,
            Box::new(|mut part: Vec<u8>| {
                part[9] ^= 1;
                part
            }) as Box<dyn Fn(Vec<u8>) -> Vec<u8>>,
        ),
        (1, Box::new(|part: Vec<u8>| part[..part.len() - 1].to_vec())),
    ] {
        let Files { mut net, anna, ben } = free();
        let blob = share(&mut net, &anna, "deal.pdf", &bytes(4 * FILE_CHUNK)).unwrap();
        net.advance(5_000);
        let held = &mut net.service.blobs.get_mut(&blob).unwrap().2;
        held[chunk] = B64(bend(held[chunk].0.clone()));
        let id = told(&net, &ben)[0].0;
        assert_eq!(fetch(&mut net, &ben, id), None);
        assert_eq!(lost(&net, &ben), [FileTrouble::Forged { part: Some(chunk as u32) }]);
        assert_eq!(net.incidents(&ben), [IncidentKind::BadFile]);
    }
    let Files { mut net, anna, ben } = free();
    let blob = share(&mut net, &anna, "deal.pdf", &bytes(4 * FILE_CHUNK)).unwrap();
    net.advance(5_000);
    net.service.blobs.get_mut(&blob).unwrap().2.swap(1, 2);
    let id = told(&net, &ben)[0].0;
    assert_eq!(fetch(&mut net, &ben, id), None, "the order of chunks is theirs");
    assert_eq!(lost(&net, &ben), [FileTrouble::Forged { part: Some(1) }]);
}

#[test]
fn f3_a_recorder_takes_nothing_whose_digest_was_not_signed_for_and_names_it() {
    let mut net = Net::new(World::of_files(Rule::Must, Rule::Off, GRACE));
    let (anna, recorder) = (net.join("bank-a/anna/1"), net.join("bank-a/recorder-1/1"));
    net.advance(1_000);
    let file = bytes(3 * FILE_CHUNK);
    let blob = share(&mut net, &anna, "deal.pdf", &file).unwrap();
    net.advance(5_000);
    let id = told(&net, &recorder)[0].0;
    let sealed = fetch(&mut net, &recorder, id).expect("it is there");
    let held: Vec<u8> = net.service.blobs[&blob].2.iter().flat_map(|part| part.0.clone()).collect();
    assert!(sealed == held && sealed.len() > file.len(), "a recorder gets it as it is sealed");
    net.service.blobs.get_mut(&blob).unwrap().2[2].0[3] ^= 1;
    assert_eq!(fetch(&mut net, &recorder, id), None);
    assert_eq!(lost(&net, &recorder), [FileTrouble::Forged { part: None }]);
}

#[test]
fn f4_where_files_must_be_kept_not_a_chunk_goes_out_without_a_living_recorder() {
    let mut net = Net::new(World::of_files(Rule::Must, Rule::Off, GRACE));
    let (anna, ben) = (net.join("bank-a/anna/1"), net.join("bank-b/ben/1"));
    net.advance(1_000);
    share(&mut net, &anna, "deal.pdf", &bytes(FILE_CHUNK)).unwrap();
    net.advance(30_000);
    assert_eq!((parts(&net, &anna), told(&net, &ben)), (0, vec![]));
    assert_eq!(lost(&net, &anna), [], "it waits");
    let recorder = net.join("bank-a/recorder-1/1");
    net.advance(5_000);
    assert_eq!(told(&net, &ben).len(), 1);
    let signed = net.peers[&recorder].events.iter().find_map(|event| match event {
        Event::Shared { signed, .. } => Some(evidence::sha256(signed)),
        _ => None,
    });
    let kept = |net: &Net| net.peers[&anna].events.iter().filter(|e| matches!(e, Event::Kept { .. })).count();
    // a file is fetched behind others: it counts as kept whenever the recorder says so
    net.advance(5 * 60_000);
    assert_eq!(kept(&net), 0);
    net.peer(&recorder).session.tell_kept(vec![signed.unwrap()]);
    net.pump();
    assert_eq!(kept(&net), 1);
}

#[test]
fn f5_who_comes_later_cannot_read_what_lies_there_and_who_was_removed_hears_of_nothing() {
    let Files { mut net, anna, ben } = free();
    share(&mut net, &anna, "before.pdf", &bytes(100)).unwrap();
    net.advance(2_000);
    let late = net.join("bank-b/late/1");
    net.advance(2_000);
    assert_eq!(told(&net, &late), [], "the key of what was told before is not its");
    let id = told(&net, &ben)[0].0;
    let now = net.now;
    assert_eq!(net.peer(&late).session.fetch(now, id), Err(SayError::OutOfRange));
    net.peer(&anna).session.remove(ben.clone());
    net.pump();
    net.advance(2_000);
    share(&mut net, &anna, "after.pdf", &bytes(100)).unwrap();
    net.advance(2_000);
    assert_eq!(told(&net, &late).len(), 1);
    assert_eq!(told(&net, &ben).len(), 1, "nothing after the removal");
}

#[test]
fn a_file_goes_on_where_it_was_when_the_connection_is_back() {
    let Files { mut net, anna, ben } = free();
    let file = bytes(40 * FILE_CHUNK);
    let blob = share(&mut net, &anna, "deal.pdf", &file).unwrap();
    net.advance(300);
    let before = net.service.blobs[&blob].2.len();
    assert!((1..40).contains(&before), "{before}");
    net.peer(&anna).connected = false;
    let now = net.now;
    net.peer(&anna).session.disconnected(now);
    net.advance(10_000);
    assert_eq!(net.service.blobs[&blob].2.len(), before);
    net.peer(&anna).connected = true;
    let now = net.now;
    net.peer(&anna).session.reconnect(now);
    net.pump();
    net.advance(10_000);
    assert!(parts(&net, &anna) <= 40 + 8, "only what was on its way goes twice: {}", parts(&net, &anna));
    let id = told(&net, &ben)[0].0;
    assert!(fetch(&mut net, &ben, id) == Some(file));
}

#[test]
fn a_signaling_that_lost_everything_gets_the_file_anew_and_one_that_is_silent_is_given_up() {
    let Files { mut net, anna, ben } = free();
    let file = bytes(40 * FILE_CHUNK);
    share(&mut net, &anna, "deal.pdf", &file).unwrap();
    net.advance(300);
    net.service.blobs.clear();
    net.advance(10_000);
    let id = told(&net, &ben)[0].0;
    assert!(fetch(&mut net, &ben, id) == Some(file));
    net.bend = Some(Box::new(|_, message| match message {
        ToClient::FileRoom { .. } => vec![],
        other => vec![other],
    }));
    share(&mut net, &anna, "deal.pdf", b"again").unwrap();
    net.advance(61_000);
    assert_eq!(lost(&net, &anna), [FileTrouble::Stalled]);
}

#[test]
fn a_signaling_that_says_it_has_what_was_never_sent_is_not_believed() {
    let Files { mut net, anna, ben } = free();
    net.bend = Some(Box::new(|_, message| match message {
        ToClient::FileRoom { blob, .. } => vec![ToClient::FileRoom { blob, parts: 3 }],
        other => vec![other],
    }));
    share(&mut net, &anna, "deal.pdf", &bytes(3 * FILE_CHUNK)).unwrap();
    net.advance(10);
    assert_eq!(told(&net, &ben), []);
    assert_eq!(net.incidents(&anna)[0], IncidentKind::BadMessage);
}

#[test]
fn a_file_that_is_taken_back_is_told_to_nobody() {
    let Files { mut net, anna, ben } = free();
    let blob = share(&mut net, &anna, "wrong.pdf", &bytes(40 * FILE_CHUNK)).unwrap();
    net.advance(100);
    net.peer(&anna).session.cancel_share(&blob);
    net.pump();
    net.advance(20_000);
    assert_eq!(told(&net, &ben), []);
    assert!(net.service.blobs.is_empty(), "and nothing of it lies at signaling");
}
