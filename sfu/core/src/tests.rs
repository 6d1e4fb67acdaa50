//! The engine as a whole in virtual time: who gets what, when, and what stops it.

mod codecs;
mod contain;
mod hostile;
mod layers;
mod overload;

use crate::engine::{Engine, Input, Output};
use crate::forward::Cut;
use crate::keyframe;
use crate::participant::{LinkState, PeerKey};
use crate::record::{LinkId, Record};
use crate::rtcp::{self, Item, build};
use crate::rtp::Header;
use crate::sdp::offer::OfferSection;
use crate::track::{HOLD_US, PublishSection};
use crate::{Micros, TAG};
use domain::message::control::{FirmRule, FromSfu, ToSfu};
use domain::message::record_link::ToSfuRecord;
use domain::policy::Rule;
use domain::{Codec, Epoch, Kid, LeafIndex, MeetingId, ParticipantId, Slot, TransportKind};

const CAMERA_SSRC: u32 = 7000;
const REPAIR_SSRC: u32 = 7001;
const SOUND_SSRC: u32 = 7002;

struct World {
    engine: Engine,
    now: Micros,
    told: Vec<FromSfu>,
    rtcp: Vec<(PeerKey, Vec<u8>)>,
    offers: Vec<(PeerKey, u32, Vec<OfferSection>)>,
}

fn meeting() -> MeetingId {
    "0123456789abcdef0123456789abcdef".parse().expect("an id")
}

fn firm(firm: &str, audio_video: Rule) -> FirmRule {
    FirmRule { firm: firm.parse().expect("a firm"), audio_video, recorder_grace_ms: 2000 }
}

fn who(text: &str) -> ParticipantId {
    text.parse().expect("a participant")
}

impl World {
    fn new(rule: Rule) -> Self {
        let now = Micros(1_000_000_000);
        let mut world = Self { engine: Engine::new(1), now, told: vec![], rtcp: vec![], offers: vec![] };
        world.control(ToSfu::Meeting {
            meeting: meeting(),
            firms: vec![firm("bank-a", rule), firm("bank-b", Rule::Off)],
        });
        world
    }
    fn control(&mut self, message: ToSfu) {
        self.input(Input::Control(message));
    }
    fn input(&mut self, input: Input) {
        self.engine.handle(self.now, input);
        self.drain();
    }
    fn drain(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Control(message) => self.told.push(message),
                Output::Rtcp { to, packet, .. } => self.rtcp.push((to, packet)),
                Output::Offer { to, revision, sections, .. } => self.offers.push((to, revision, sections)),
                Output::ResetSubscribe(_) | Output::Gone(_) | Output::CloseLink(_) => {}
            }
        }
    }
    /// Lets time pass, every deadline at its exact time.
    fn until(&mut self, at: Micros) {
        while let Some(due) = self.engine.poll_timeout().filter(|due| *due <= at) {
            self.now = self.now.max(due);
            self.engine.handle_timeout(self.now);
            self.drain();
        }
        self.now = at;
    }
    fn join(&mut self, name: &str) -> PeerKey {
        let participant = who(name);
        let recorder = name.contains("recorder");
        self.control(ToSfu::Participant {
            meeting: meeting(),
            participant: participant.clone(),
            recorder,
            may_publish: true,
        });
        self.engine.peer(&meeting(), &participant).expect("admitted")
    }
    fn publish(&mut self, peer: PeerKey) {
        let section = |mid: &str, slot, codec, payload_type, ssrcs| PublishSection {
            mid: mid.into(),
            slot,
            codec,
            payload_type,
            repair_payload_type: (codec == Codec::Vp8).then_some(97),
            ssrcs: Some(ssrcs),
            mid_id: 4,
            transport_sequence_id: 3,
            level_id: 1,
            rids: vec![],
            rid_id: 0,
            repair_rid_id: 0,
            carried_id: 0,
        };
        let sections = vec![
            section("0", Slot::MICROPHONE, Codec::Opus, 111, (SOUND_SSRC, None)),
            section("1", Slot::CAMERA, Codec::Vp8, 96, (CAMERA_SSRC, Some(REPAIR_SSRC))),
        ];
        self.input(Input::Published { peer, sections });
        self.input(Input::Transport { peer, transport: TransportKind::Publish, state: LinkState::Up });
    }
    /// Answers the last offer made to `peer` and brings its transport up.
    fn subscribe(&mut self, peer: PeerKey) -> Vec<OfferSection> {
        let (_, revision, sections) = self.offers.iter().rev().find(|o| o.0 == peer).expect("an offer").clone();
        let accepted = sections.iter().filter(|s| s.stream.is_some()).map(|s| s.mid.clone()).collect();
        self.input(Input::Answered { peer, revision, accepted });
        self.input(Input::Transport { peer, transport: TransportKind::Subscribe, state: LinkState::Up });
        sections
    }
    fn rtp(&mut self, from: PeerKey, packet: &[u8], index: u64) -> Vec<(PeerKey, Cut, Vec<u8>)> {
        let header = Header::parse(packet).expect("RTP");
        self.engine.handle_rtp(self.now, from, &header, index, packet);
        self.forwarded()
    }
    fn forwarded(&mut self) -> Vec<(PeerKey, Cut, Vec<u8>)> {
        let (mut arena, mut cuts, mut out) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(to) = self.engine.poll_forward(self.now, &mut arena, &mut cuts) {
            out.extend(cuts.iter().map(|c| (to, *c, arena[c.start..c.start + c.len].to_vec())));
        }
        assert_eq!(arena.len(), out.iter().map(|o| o.1.len + TAG).sum::<usize>());
        self.drain();
        out
    }
    fn key_requests(&self, to: PeerKey) -> usize {
        self.rtcp
            .iter()
            .filter(|(peer, packet)| *peer == to && *packet == build::key_frame_request(1, CAMERA_SSRC))
            .count()
    }
    fn suspensions(&self) -> Vec<bool> {
        let each = self.told.iter().filter_map(|m| match m {
            FromSfu::FirmSuspended { suspended, .. } => Some(*suspended),
            _ => None,
        });
        each.collect()
    }
    fn record(&mut self, link: LinkId) -> Vec<(u64, Record)> {
        std::iter::from_fn(|| self.engine.poll_record(link)).collect()
    }
    fn record_up(&mut self, durable: u64) -> LinkId {
        let link = self.engine.record_up(self.now, &meeting(), &who("bank-a/recorder-1/1"), durable);
        self.drain();
        link.expect("a recorder")
    }
    fn ack(&mut self, link: LinkId, seq: u64) {
        self.input(Input::Record { link, message: ToSfuRecord::Ack { seq } });
    }
}

#[derive(Clone, Copy)]
struct Shape {
    start: bool,
    key: bool,
    marker: bool,
    size: usize,
}

const KEY: Shape = Shape { start: true, key: true, marker: true, size: 200 };
const DELTA: Shape = Shape { key: false, ..KEY };

fn sealed(slot: Slot, leaf: u32) -> Vec<u8> {
    let kid = Kid::new(slot, LeafIndex(leaf), Epoch(9)).0;
    let bytes = kid.to_be_bytes();
    let first = bytes.iter().position(|b| *b != 0).unwrap_or(7);
    let mut out = vec![0x80 | ((7 - first) as u8) << 4 | 3];
    out.extend(&bytes[first..]);
    out
}

fn rtp(payload_type: u8, ssrc: u32, index: u64, timestamp: u32, marker: bool, payload: &[u8]) -> Vec<u8> {
    let mut p = vec![0x80, payload_type | u8::from(marker) << 7];
    p.extend((index as u16).to_be_bytes());
    p.extend(timestamp.to_be_bytes());
    p.extend(ssrc.to_be_bytes());
    p.extend(payload);
    p
}

fn video(index: u64, timestamp: u32, shape: Shape) -> Vec<u8> {
    let mut payload = vec![0x80 | u8::from(shape.start) << 4, 0x80, 0x80, index as u8];
    if shape.start {
        payload.push(u8::from(!shape.key));
        payload.extend(sealed(Slot::CAMERA, 0));
    }
    payload.resize(shape.size, index as u8);
    rtp(96, CAMERA_SSRC, index, timestamp, shape.marker, &payload)
}

fn sound(index: u64) -> Vec<u8> {
    let mut payload = sealed(Slot::MICROPHONE, 0);
    payload.resize(80, 0);
    rtp(111, SOUND_SSRC, index, index as u32 * 960, true, &payload)
}

/// Anna (bank-a) publishes, Ben (bank-b) is subscribed.
fn two(rule: Rule) -> (World, PeerKey, PeerKey, Vec<OfferSection>) {
    let mut world = World::new(rule);
    let (anna, ben) = (world.join("bank-a/anna/1"), world.join("bank-b/ben/1"));
    world.publish(anna);
    let sections = world.subscribe(ben);
    (world, anna, ben, sections)
}

#[test]
fn sealed_packets_of_a_publisher_reach_the_others_and_nobody_else() {
    let (mut world, anna, ben, sections) = two(Rule::Off);
    assert_eq!(sections.len(), 2);
    assert!(world.offers.iter().all(|o| o.0 == ben), "nobody is offered the own track");
    let out = world.rtp(anna, &sound(5), 5);
    assert_eq!(out.iter().map(|o| (o.0, o.1.ssrc)).collect::<Vec<_>>(), [(ben, sections[0].ssrc)]);
    let out = world.rtp(anna, &video(10, 900, KEY), 10);
    let header = Header::parse(&out[0].2).expect("RTP");
    assert_eq!((header.ssrc, header.marker, u64::from(header.sequence)), (sections[1].ssrc, true, out[0].1.index));
    assert_eq!(out[0].2[header.len..], video(10, 900, KEY)[12..]);
    assert!(world.rtp(ben, &sound(6), 6).is_empty(), "who published nothing is not forwarded");
}

#[test]
fn a_picture_starts_at_a_key_frame_which_is_asked_for_once_a_second() {
    let (mut world, anna, ben, _) = two(Rule::Off);
    assert_eq!(world.key_requests(anna), 1, "a subscriber started");
    assert!(world.rtp(anna, &video(10, 900, DELTA), 10).is_empty());
    world.until(world.now.plus(keyframe::SPACING_US));
    assert_eq!(world.key_requests(anna), 2, "none came");
    assert_eq!(world.rtp(anna, &video(11, 1800, KEY), 11).len(), 1);
    assert_eq!(world.rtp(anna, &video(12, 2700, DELTA), 12).len(), 1);
    let ssrc = world.offers[0].2[1].ssrc;
    let pli = build::key_frame_request(1, ssrc);
    world.engine.handle_rtcp(world.now, ben, TransportKind::Subscribe, &pli);
    world.drain();
    assert_eq!(world.key_requests(anna), 2, "within the second");
    world.until(world.now.plus(keyframe::SPACING_US));
    assert_eq!(world.key_requests(anna), 3);
}

#[test]
fn who_takes_another_path_is_sent_a_key_frame_without_asking() {
    let (mut world, anna, ben, _) = two(Rule::Off);
    world.rtp(anna, &video(10, 900, KEY), 10);
    world.until(world.now.plus(keyframe::SPACING_US));
    let before = world.key_requests(anna);
    world.input(Input::Moved { peer: ben });
    assert_eq!(world.key_requests(anna), before + 1);
    world.input(Input::Moved { peer: ben });
    assert_eq!(world.key_requests(anna), before + 1, "whoever moves all the time costs one a second");
}

#[test]
fn a_late_subscriber_is_shown_the_recent_key_frame_instead_of_asking_again() {
    let (mut world, anna, _, _) = two(Rule::Off);
    world.rtp(anna, &video(10, 900, KEY), 10);
    world.rtp(anna, &video(11, 1800, DELTA), 11);
    let carol = world.join("bank-b/carol/1");
    world.subscribe(carol);
    let out = world.forwarded();
    assert_eq!(out.iter().map(|o| o.0).collect::<Vec<_>>(), [carol, carol]);
    assert_eq!(world.key_requests(anna), 1, "no second request: nobody else sees a key frame");
}

#[test]
fn a_frame_is_held_to_its_marker_and_its_smaller_parts_are_padded_to_one_size() {
    let (mut world, anna, _, _) = two(Rule::Off);
    let part = |start, marker, size| Shape { start, key: true, marker, size };
    assert!(world.rtp(anna, &video(10, 900, part(true, false, 1100)), 10).is_empty());
    assert!(world.rtp(anna, &video(11, 900, part(false, false, 1101)), 11).is_empty());
    let out = world.rtp(anna, &video(12, 900, part(false, true, 1101)), 12);
    assert_eq!(out.iter().map(|o| o.1.len).collect::<Vec<_>>(), [out[0].1.len; 3]);
    let padded = Header::parse(&out[0].2).expect("RTP");
    assert!(padded.padding);
    assert_eq!(padded.payload(&out[0].2).map(<[u8]>::len), Some(1100));
    assert!(world.rtp(anna, &video(13, 1800, part(true, false, 1100)), 13).is_empty());
    world.until(world.now.plus(HOLD_US - 1));
    assert!(world.forwarded().is_empty());
    world.until(world.now.plus(1));
    assert_eq!(world.forwarded().len(), 1, "held for its whole time");
}

#[test]
fn a_nack_is_answered_on_the_repair_stream_with_the_same_bytes() {
    let (mut world, anna, ben, sections) = two(Rule::Off);
    let first = world.rtp(anna, &video(10, 900, KEY), 10);
    let nack = build::nack(1, sections[1].ssrc, &[first[0].1.index as u16, 4]).expect("not empty");
    world.engine.handle_rtcp(world.now, ben, TransportKind::Subscribe, &nack);
    let out = world.forwarded();
    assert_eq!(out.len(), 1);
    let header = Header::parse(&out[0].2).expect("RTP");
    assert_eq!((header.ssrc, header.payload_type), (sections[1].repair_ssrc, 97));
    let payload = header.payload(&out[0].2).expect("no padding");
    assert_eq!(payload[..2], (first[0].1.index as u16).to_be_bytes());
    assert_eq!(payload[2..], first[0].2[Header::parse(&first[0].2).expect("RTP").len..]);
    world.engine.handle_rtcp(world.now, ben, TransportKind::Subscribe, &nack);
    assert!(world.forwarded().is_empty(), "it cannot have heard of the first one yet");
    world.until(world.now.plus_ms(100));
    world.engine.handle_rtcp(world.now, ben, TransportKind::Subscribe, &nack);
    assert_ne!(world.forwarded()[0].1.index, out[0].1.index, "no index of the repair stream is used twice");
}

#[test]
fn the_senders_of_sound_hear_of_the_worst_loss_and_a_receivers_clock_is_given_back() {
    let (mut world, anna, ben, sections) = two(Rule::Off);
    world.rtp(anna, &sound(5), 5);
    let block = |lost| build::Block {
        ssrc: sections[0].ssrc,
        lost,
        total_lost: 0,
        highest: 0,
        jitter: 0,
        last_sr: 0,
        delay: 0,
    };
    let mut report = build::receiver_report(9, &[block(64)]);
    report.extend(build::receiver_time(9, 7 << 32));
    world.engine.handle_rtcp(world.now, ben, TransportKind::Subscribe, &report);
    world.until(world.now.plus_ms(1_100));
    let said = |to: PeerKey| {
        let items = world.rtcp.iter().filter(move |(peer, _)| *peer == to).flat_map(|(_, packet)| rtcp::parse(packet));
        items.collect::<Vec<_>>()
    };
    assert!(said(anna).iter().any(|item| matches!(item, Item::Block { ssrc: SOUND_SSRC, lost: 64, .. })));
    assert!(said(ben).contains(&Item::ReceiverTimeBack { last_rr: 7 << 16, delay: 0 }));
}

#[test]
fn a_gap_of_the_publisher_is_asked_for_and_its_repair_is_forwarded_in_place() {
    let (mut world, anna, _, _) = two(Rule::Off);
    let first = world.rtp(anna, &video(10, 900, KEY), 10);
    world.rtp(anna, &video(12, 2700, DELTA), 12);
    world.until(world.now.plus_ms(40));
    let nack = build::nack(1, CAMERA_SSRC, &[11]).expect("not empty");
    assert!(world.rtcp.iter().any(|(to, packet)| *to == anna && *packet == nack));
    let lost = video(11, 1800, DELTA);
    let repair = rtp(97, REPAIR_SSRC, 500, 1800, true, &[&[0, 11], &lost[12..]].concat());
    let out = world.rtp(anna, &repair, 500);
    assert_eq!(out.len(), 1);
    assert_eq!(out[0].1.index, first[0].1.index + 1);
    assert!(world.rtp(anna, &lost, 11).is_empty(), "the late original is not sent twice");
}

#[test]
fn frames_not_sealed_or_of_a_foreign_leaf_are_dropped_whole_and_counted() {
    let (mut world, anna, _, _) = two(Rule::Off);
    world.rtp(anna, &video(10, 900, KEY), 10);
    let mut clear = video(11, 1800, Shape { marker: false, ..DELTA });
    clear[16] = 0x9d;
    assert!(world.rtp(anna, &clear, 11).is_empty());
    assert!(world.rtp(anna, &video(12, 1800, Shape { start: false, ..DELTA }), 12).is_empty());
    assert_eq!(world.engine.stats().not_sealed, 2);
    assert_eq!(world.engine.stats().leaf_unchecked, 1);
    let leaves = vec![(LeafIndex(0), who("bank-b/ben/1"))];
    world.control(ToSfu::Leaves { meeting: meeting(), epoch: Epoch(9), leaves });
    assert!(world.told.iter().any(|m| matches!(m, FromSfu::LeavesTaken { epoch: Epoch(9), .. })));
    assert!(world.rtp(anna, &video(13, 2700, DELTA), 13).is_empty());
    assert_eq!(world.engine.stats().wrong_leaf, 1);
    let leaves = vec![(LeafIndex(0), who("bank-a/anna/1"))];
    world.control(ToSfu::Leaves { meeting: meeting(), epoch: Epoch(9), leaves });
    assert_eq!(world.rtp(anna, &video(14, 3600, DELTA), 14).len(), 1);
}

#[test]
fn nothing_of_a_must_firm_goes_before_its_recorder_acknowledges_nor_from_the_grace_on() {
    let (mut world, anna, ben, _) = two(Rule::Must);
    let recorder = world.join("bank-a/recorder-1/1");
    assert_eq!(world.suspensions(), [true]);
    assert!(world.rtp(anna, &sound(1), 1).is_empty());
    let link = world.record_up(0);
    assert!(world.rtp(anna, &sound(2), 2).is_empty(), "up is not yet acknowledging");
    world.ack(link, 0);
    let start = world.now;
    assert_eq!(world.suspensions(), [true, false]);
    assert_eq!(world.rtp(anna, &sound(3), 3).len(), 1);
    world.until(start.plus(1_999_999));
    assert_eq!(world.rtp(anna, &sound(4), 4).len(), 1);
    assert_eq!(world.suspensions(), [true, false]);
    let asked = world.key_requests(anna);
    world.until(start.plus(2_000_000));
    assert_eq!(world.suspensions(), [true, false, true]);
    assert!(world.rtp(anna, &sound(5), 5).is_empty());
    world.until(start.plus(5_000_000));
    world.ack(link, 0);
    assert_eq!(world.suspensions(), [true, false, true, false]);
    assert_eq!(world.key_requests(anna), asked + 1, "pictures restart by themselves");
    let resumed = world.rtp(anna, &sound(6), 6);
    assert_eq!(resumed.len(), 1);
    world.control(ToSfu::Cut { meeting: meeting(), participant: who("bank-a/recorder-1/1") });
    assert_eq!(world.suspensions().last(), Some(&true), "a removed recorder's word no longer counts");
    assert!(world.rtp(anna, &sound(7), 7).is_empty());
    let _ = (recorder, ben);
}

#[test]
fn a_gate_that_reopens_leaves_no_hole_in_the_numbers() {
    let (mut world, anna, _, _) = two(Rule::Must);
    world.join("bank-a/recorder-1/1");
    let link = world.record_up(0);
    world.ack(link, 0);
    let before = world.rtp(anna, &sound(3), 3);
    world.until(world.now.plus_ms(2000));
    assert!(world.rtp(anna, &sound(50), 50).is_empty());
    world.ack(link, 0);
    let after = world.rtp(anna, &sound(51), 51);
    assert_eq!(after[0].1.index, before[0].1.index + 1);
}

#[test]
fn a_recorder_gets_every_publishers_packets_and_what_it_missed_after_it_reconnects() {
    let (mut world, anna, ben, _) = two(Rule::Must);
    world.publish(ben);
    world.join("bank-a/recorder-1/1");
    let link = world.record_up(0);
    world.ack(link, 0);
    let first = world.record(link);
    assert_eq!(first[0], (0, Record::Welcome { oldest: 1 }));
    assert_eq!(first[1..].iter().filter(|r| matches!(r.1, Record::Track { .. })).count(), 4, "both firms' people");
    assert_eq!(first.iter().map(|r| r.0).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    world.rtp(anna, &sound(3), 3);
    world.rtp(ben, &sound(4), 4);
    assert_eq!(world.record(link).iter().map(|r| r.0).collect::<Vec<_>>(), [5, 6]);
    world.ack(link, 5);
    world.input(Input::RecordDown { link });
    world.rtp(anna, &sound(5), 5);
    let again = world.record_up(5);
    let missed = world.record(again);
    assert_eq!(missed.iter().map(|r| r.0).collect::<Vec<_>>(), [0, 6, 7]);
    assert!(matches!(&missed[2].1, Record::Packet { rtp, .. } if rtp[..] == sound(5)[..]), "as the sender made it");
    assert!(world.record(link).is_empty(), "the old connection gets nothing");
    let ups: Vec<bool> = world
        .told
        .iter()
        .filter_map(|m| match m {
            FromSfu::RecordLink { up, .. } => Some(*up),
            _ => None,
        })
        .collect();
    assert_eq!(ups, [true, false, true]);
}

#[test]
fn only_a_recorder_of_the_meeting_may_open_a_record_link() {
    let (mut world, _, _, _) = two(Rule::Off);
    let now = world.now;
    assert!(world.engine.record_up(now, &meeting(), &who("bank-a/anna/1"), 0).is_err());
    assert!(world.engine.record_up(now, &meeting(), &who("bank-c/recorder-1/1"), 0).is_err());
}

#[test]
fn who_leaves_is_inactive_in_the_next_offer_and_the_section_is_used_again() {
    let (mut world, _, ben, before) = two(Rule::Off);
    world.control(ToSfu::Cut { meeting: meeting(), participant: who("bank-a/anna/1") });
    let (_, revision, sections) = world.offers.last().expect("an offer").clone();
    assert_eq!((revision, sections.len()), (2, 2));
    assert!(sections.iter().all(|s| s.stream.is_none()));
    let carol = world.join("bank-a/carol/1");
    world.publish(carol);
    assert_eq!(world.offers.iter().filter(|o| o.0 == ben).count(), 2, "one offer at a time");
    world.subscribe(ben);
    let (_, revision, sections) = world.offers.last().expect("an offer").clone();
    assert_eq!(revision, 3);
    assert!(sections.len() <= 4 && sections[..2].iter().map(|s| &s.mid).eq(before.iter().map(|s| &s.mid)));
    let dora = world.join("bank-a/dora/1");
    world.subscribe(ben);
    world.publish(dora);
    let sections = &world.offers.iter().rev().find(|o| o.0 == ben).expect("an offer").2;
    assert_eq!(sections.len(), 4, "the two inactive sections carry the newcomer");
    assert!(sections.iter().all(|s| s.stream.is_some()));
    assert_ne!(sections[0].ssrc, before[0].ssrc, "a new track has a new SSRC");
}

#[test]
fn a_subscriber_whose_transport_is_gone_is_offered_everything_anew() {
    let (mut world, anna, ben, _) = two(Rule::Off);
    assert_eq!(world.rtp(anna, &sound(1), 1).len(), 1);
    world.input(Input::Transport { peer: ben, transport: TransportKind::Subscribe, state: LinkState::Down });
    assert!(world.rtp(anna, &sound(2), 2).is_empty());
    let (_, revision, sections) = world.offers.last().expect("an offer").clone();
    assert_eq!((revision, sections.len()), (2, 2));
    world.subscribe(ben);
    assert_eq!(world.rtp(anna, &sound(3), 3).len(), 1);
}

#[test]
fn muted_and_unpermitted_sources_are_not_forwarded() {
    let (mut world, anna, _, _) = two(Rule::Off);
    let mute =
        |muted| ToSfu::Mute { meeting: meeting(), participant: who("bank-a/anna/1"), slot: Slot::MICROPHONE, muted };
    world.control(mute(true));
    assert!(world.rtp(anna, &sound(1), 1).is_empty());
    world.control(mute(false));
    assert_eq!(world.rtp(anna, &sound(2), 2).len(), 1);
    let participant = who("bank-a/anna/1");
    world.control(ToSfu::Participant { meeting: meeting(), participant, recorder: false, may_publish: false });
    assert!(world.rtp(anna, &sound(3), 3).is_empty());
    assert_eq!(world.engine.stats().not_permitted, 2);
}

#[test]
fn the_loudest_permitted_publisher_is_the_speaker() {
    let (mut world, anna, _, _) = two(Rule::Off);
    for index in 0..20u64 {
        let mut packet = sound(index);
        packet[0] |= 0x10;
        packet.splice(12..12, [0xbe, 0xde, 0, 1, 0x10, 0x80 | 12, 0, 0]);
        assert_eq!(world.rtp(anna, &packet, index).len(), 1);
        world.until(world.now.plus_ms(20));
    }
    let speakers: Vec<_> = world.told.iter().filter(|m| matches!(m, FromSfu::Speaker { .. })).collect();
    assert!(matches!(speakers[..], [FromSfu::Speaker { participant, .. }] if *participant == who("bank-a/anna/1")));
}

#[test]
fn an_ended_meeting_leaves_nothing_behind() {
    let (mut world, anna, _, _) = two(Rule::Off);
    world.control(ToSfu::MeetingEnded { meeting: meeting() });
    assert!(world.rtp(anna, &sound(1), 1).is_empty());
    assert_eq!(world.engine.population(), (0, 0));
    world.until(world.now.plus_ms(100));
    assert_eq!(world.engine.poll_timeout(), None);
}

#[test]
fn noise_with_the_right_ssrc_is_survived() {
    let (mut world, anna, _, _) = two(Rule::Off);
    let mut seed = 11u64;
    for round in 0..30_000u64 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(round | 1);
        let mut packet = if seed & 1 == 0 { video(round, round as u32 / 3, KEY) } else { sound(round) };
        for _ in 0..(seed >> 8) % 5 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = (seed >> 33) as usize % packet.len();
            packet[at] = (seed >> 20) as u8;
        }
        packet.truncate(12 + (seed >> 40) as usize % packet.len());
        if let Some(header) = Header::parse(&packet) {
            world.engine.handle_rtp(world.now, anna, &header, seed >> 44, &packet);
            world.forwarded();
        }
        if round % 50 == 0 {
            world.until(world.now.plus_ms(3));
        }
    }
}
