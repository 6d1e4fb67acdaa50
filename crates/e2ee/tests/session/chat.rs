//! What is said in writing: to everybody once, kept before it counts, nothing for who comes later, nothing lost for who
//! was away, nothing in another's name.

use crate::deal::GRACE;
use crate::firm::World;
use crate::net::Net;
use crate::rogue::Rogue;
use domain::message::client::ToServer;
use domain::message::member::MemberMessage;
use domain::policy::Rule;
use domain::{B64, ParticipantId};
use e2ee::session::{Event, IncidentKind, SayError, SendState, Words};
use evidence::said::{Forbidden, MAX_TEXT, PauseReason, What};

struct Chat {
    net: Net,
    anna: ParticipantId,
    ben: ParticipantId,
    recorder: ParticipantId,
}

/// Bank A must keep chat and nothing else; its recorder is there.
fn chat() -> Chat {
    let mut net = Net::new(World::of_chat(Rule::Must, Rule::Off, GRACE));
    let anna = net.join("bank-a/anna/1");
    let ben = net.join("bank-b/ben/1");
    let recorder = net.join("bank-a/recorder-1/1");
    net.advance(1_000);
    Chat { net, anna, ben, recorder }
}

fn say(net: &mut Net, who: &ParticipantId, text: &str) -> Result<u64, SayError> {
    let now = net.now;
    let said = net.peer(who).session.say(now, text);
    net.pump();
    said
}

/// What `at` heard: from whom, its number, the words.
fn heard(net: &Net, at: &ParticipantId) -> Vec<(String, u64, Option<String>)> {
    let read = |event: &Event| match event {
        Event::Said { from, sequence, words, .. } => {
            Some((from.user.to_string(), *sequence, words.as_ref().map(|Words(text)| text.clone())))
        }
        _ => None,
    };
    net.peers[at].events.iter().filter_map(read).collect()
}

fn line(from: &str, sequence: u64, text: &str) -> (String, u64, Option<String>) {
    (from.to_owned(), sequence, Some(text.to_owned()))
}

/// What `at` heard, as its recorder would keep it.
fn signed(net: &Net, at: &ParticipantId) -> Vec<B64> {
    let read = |event: &Event| if let Event::Said { signed, .. } = event { Some(signed.clone()) } else { None };
    net.peers[at].events.iter().filter_map(read).collect()
}

fn keep_all(net: &mut Net, recorder: &ParticipantId) {
    let hashes = signed(net, recorder).iter().map(|one| evidence::sha256(one)).collect();
    net.peer(recorder).session.tell_kept(hashes);
    net.pump();
}

fn kept(net: &Net, at: &ParticipantId) -> Vec<(u64, String)> {
    let read = |event: &Event| match event {
        Event::Kept { sequence, firm } => Some((*sequence, firm.to_string())),
        _ => None,
    };
    net.peers[at].events.iter().filter_map(read).collect()
}

/// Application messages `who` has sent so far.
fn sent(net: &Net, who: &ParticipantId) -> usize {
    net.sent.iter().filter(|(from, m)| from == who && matches!(m, ToServer::Application { .. })).count()
}

#[test]
fn what_is_said_reaches_everybody_once_and_its_keeping_comes_back() {
    let Chat { mut net, anna, ben, recorder } = chat();
    assert_eq!(say(&mut net, &anna, "  the price is 99.5  "), Ok(1));
    assert_eq!(say(&mut net, &ben, "agreed"), Ok(1));
    let both = [line("anna", 1, "the price is 99.5"), line("ben", 1, "agreed")];
    for at in [&anna, &ben, &recorder] {
        assert_eq!(heard(&net, at), both, "{at}");
    }
    assert_eq!(kept(&net, &anna), []);
    keep_all(&mut net, &recorder);
    assert_eq!(kept(&net, &anna), [(1, "bank-a".to_owned())]);
    assert_eq!(kept(&net, &ben), [(1, "bank-a".to_owned())]);
    let before = sent(&net, &anna);
    net.advance(10_000);
    assert_eq!(sent(&net, &anna), before, "what is kept is not said again");
}

#[test]
fn w3_until_a_recorder_keeps_it_the_same_bytes_are_said_again_and_heard_once() {
    let Chat { mut net, anna, ben, recorder } = chat();
    assert_eq!(say(&mut net, &anna, "who has this?"), Ok(1));
    let before = sent(&net, &anna);
    net.advance(7_000);
    assert_eq!(sent(&net, &anna), before + 2, "every three seconds");
    assert_eq!(heard(&net, &ben).len(), 1);
    keep_all(&mut net, &recorder);
    net.advance(7_000);
    assert_eq!(sent(&net, &anna), before + 2);
    // a member that is no recorder keeps nothing for anybody
    say(&mut net, &anna, "and this?").unwrap();
    let hash = evidence::sha256(signed(&net, &ben).last().unwrap());
    net.peer(&ben).session.tell_kept(vec![hash]);
    net.pump();
    assert_eq!(kept(&net, &anna).len(), 1);
}

#[test]
fn w3_where_chat_must_be_kept_nothing_is_said_without_a_living_recorder_and_it_is_said_when_it_is_back() {
    let mut net = Net::new(World::of_chat(Rule::Must, Rule::Off, GRACE));
    let (anna, ben) = (net.join("bank-a/anna/1"), net.join("bank-b/ben/1"));
    net.advance(1_000);
    assert_eq!(say(&mut net, &anna, "before there is a recorder"), Ok(1));
    assert_eq!(say(&mut net, &ben, "bank b keeps nothing"), Ok(1));
    assert_eq!(heard(&net, &ben), [line("ben", 1, "bank b keeps nothing")]);
    assert_eq!(net.sending(&anna), SendState::Allowed, "sound and picture are not kept, hence not held up");
    let recorder = net.join("bank-a/recorder-1/1");
    net.advance(1_000);
    assert_eq!(heard(&net, &ben).last(), Some(&line("anna", 1, "before there is a recorder")));
    assert_eq!(heard(&net, &recorder), [line("anna", 1, "before there is a recorder")]);
    net.peer(&recorder).recording = false;
    net.advance(GRACE + 500);
    assert_eq!(say(&mut net, &anna, "its beacons ended"), Ok(2));
    assert_eq!(heard(&net, &ben).len(), 2);
    net.peer(&recorder).recording = true;
    net.advance(1_000);
    assert_eq!(heard(&net, &ben).last(), Some(&line("anna", 2, "its beacons ended")));
}

#[test]
fn w2_who_comes_later_gets_nothing_from_before_whoever_asks_again() {
    let Chat { mut net, anna, ben, .. } = chat();
    say(&mut net, &anna, "said before").unwrap();
    let late = net.join("bank-b/late/1");
    net.advance(1_000);
    say(&mut net, &anna, "said after").unwrap();
    // ben's connection broke and he asks: late hears it too, and what is from before its time is nothing to it
    let now = net.now;
    net.peer(&ben).session.disconnected(now);
    net.peer(&ben).session.reconnect(now);
    net.pump();
    net.advance(3_000);
    assert_eq!(heard(&net, &late), [line("anna", 2, "said after")]);
    assert_eq!(net.incidents(&late), []);
}

#[test]
fn who_was_away_hears_once_what_was_said_meanwhile_and_says_what_may_be_lost() {
    let Chat { mut net, anna, ben, .. } = chat();
    // anna's last words go into a connection that is gone
    net.peer(&anna).connected = false;
    say(&mut net, &anna, "into the void").unwrap();
    say(&mut net, &ben, "while she was away").unwrap();
    let now = net.now;
    net.peer(&anna).session.disconnected(now);
    net.advance(3_000);
    assert_eq!(say(&mut net, &anna, "typed without a connection"), Ok(2));
    net.peer(&anna).connected = true;
    let now = net.now;
    net.peer(&anna).session.reconnect(now);
    net.pump();
    net.advance(3_000);
    let mut at_anna = heard(&net, &anna);
    at_anna.sort();
    assert_eq!(
        at_anna,
        [
            line("anna", 1, "into the void"),
            line("anna", 2, "typed without a connection"),
            line("ben", 1, "while she was away")
        ]
    );
    let mut at_ben = heard(&net, &ben);
    at_ben.sort();
    assert_eq!(at_ben, at_anna, "each once, at both");
}

#[test]
fn limits_are_said_by_name() {
    let Chat { mut net, anna, recorder, .. } = chat();
    assert_eq!(say(&mut net, &anna, " \n "), Err(SayError::Empty));
    assert_eq!(say(&mut net, &anna, &"x".repeat(MAX_TEXT + 1)), Err(SayError::TooLong));
    assert!(say(&mut net, &anna, &"x".repeat(MAX_TEXT)).is_ok());
    let burst = (0..20).take_while(|_| say(&mut net, &anna, "again").is_ok()).count();
    assert_eq!(burst, 7, "eight at once, with the long one");
    assert_eq!(say(&mut net, &anna, "again"), Err(SayError::TooFast));
    net.advance(500);
    assert!(say(&mut net, &anna, "a moment later").is_ok());
    assert_eq!(say(&mut net, &recorder, "recorders are silent"), Err(SayError::NotIn));
}

#[test]
fn what_one_firm_forbids_nobody_says() {
    let mut net = Net::new(World::of_chat(Rule::Off, Rule::Forbidden, GRACE));
    let anna = net.join("bank-a/anna/1");
    net.advance(1_000);
    assert_eq!(say(&mut net, &anna, "hello"), Err(SayError::Forbidden(Forbidden::Chat("bank-b".parse().unwrap()))));
}

#[test]
fn w1_nobody_speaks_in_anothers_name_and_a_bent_word_is_named() {
    let Chat { mut net, anna, ben, recorder } = chat();
    let mut rogue = Rogue::new(&net, "bank-b/mallory/1");
    rogue.enter(&mut net, &anna);
    say(&mut net, &anna, "I sell").unwrap();
    keep_all(&mut net, &recorder);
    let word = signed(&net, &ben).last().unwrap().clone();
    let before = heard(&net, &ben).len();
    // anna's own word under mallory's leaf; with one byte bent; with nothing in it
    let mut bent = word.clone();
    let last = bent.0.len() - 1;
    bent.0[last] ^= 1;
    for signed in [word, bent, B64(vec![1, 2, 3])] {
        rogue.application(&mut net, &evidence::cbor::encode(&MemberMessage::Said { signed }));
        let told = net.peers[&ben].events.iter().rev().find_map(|event| match event {
            Event::Incident { kind, participant } => Some((*kind, participant.clone())),
            _ => None,
        });
        assert_eq!(told, Some((IncidentKind::BadSaid, Some(rogue.who.clone()))));
    }
    assert_eq!(heard(&net, &ben).len(), before);
}

#[test]
fn w2_words_stay_closed_to_whoever_was_removed() {
    let Chat { mut net, anna, ben, .. } = chat();
    say(&mut net, &anna, "with ben").unwrap();
    let before = net.service.epoch;
    net.service.no_commits = true;
    net.order(&ben, evidence::order::Reason::Host);
    net.pump();
    // until the commit is there everybody still has the old keys: nothing is said under them
    assert_eq!(say(&mut net, &anna, "about ben"), Ok(2));
    assert_eq!(heard(&net, &ben).len(), 1);
    assert_eq!(heard(&net, &anna).len(), 1);
    net.service.no_commits = false;
    net.advance(2_000);
    assert!(net.service.epoch > before);
    assert_eq!(heard(&net, &anna).last(), Some(&line("anna", 2, "about ben")));
    assert_eq!(heard(&net, &ben).len(), 1);
}

#[test]
fn r16_a_pause_by_whom_the_firm_does_not_name_is_refused_by_the_own_session_and_by_everybody_else() {
    let Chat { mut net, anna, ben, recorder } = chat();
    let pause = What::Pause { reason: PauseReason::PaymentCard, at_most_ms: 10_000 };
    let now = net.now;
    let refused = net.peer(&anna).session.declare(now, pause.clone());
    assert_eq!(refused, Err(SayError::Forbidden(Forbidden::Pause)));
    let tags = What::Tags { trades: vec!["IRS-4711".to_owned()], counterparties: vec![] };
    assert_eq!(net.peer(&anna).session.declare(now, tags.clone()), Ok(1));
    net.pump();
    for at in [&anna, &ben, &recorder] {
        let found =
            net.peers[at].events.iter().any(|event| matches!(event, Event::Declared { what, .. } if *what == tags));
        assert!(found, "{at}");
    }
    let empty = What::Tags { trades: vec![], counterparties: vec![] };
    assert_eq!(net.peer(&anna).session.declare(now, empty), Err(SayError::OutOfRange));
}
