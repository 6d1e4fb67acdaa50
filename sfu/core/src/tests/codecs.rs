//! Codecs whose layers are nested in one stream, in virtual time: what a subscriber gets of AV1 with its dependency
//! descriptor and of VP9, who is told when somebody cannot decode, and what sound is not repaired with.

use super::*;
use crate::rewrite::{COLOR_SPACE_ID, DEPENDENCY_ID};
use crate::rtp::dependency;
use crate::rtp::dependency::tests::{l1t3, l2t1};
use crate::subscription::Cap;

/// Id of the descriptor in the publish offer.
const OFFERED_ID: u8 = 13;

/// One frame of one layer.
#[derive(Clone, Copy)]
struct Frame {
    /// Template of its descriptor.
    template: u8,
    /// It brings this structure.
    structure: Option<fn(u32) -> Vec<u8>>,
    /// Its shim says so.
    key: bool,
    /// Last of its picture.
    last: bool,
}

const LATER: Frame = Frame { template: 1, structure: None, key: false, last: true };
const FIRST: Frame = Frame { template: 0, structure: Some(l1t3), key: true, last: true };

fn descriptor(index: u64, frame: Frame) -> Vec<u8> {
    let mut out = frame.structure.map_or_else(|| vec![0; 3], |structure| structure(u32::from(frame.template)));
    out[0] = 0xc0 | frame.template;
    out[1..3].copy_from_slice(&(index as u16).to_be_bytes());
    out
}

/// A frame in one packet; all of a picture have one timestamp.
fn av1(index: u64, picture: u64, frame: Frame) -> Vec<u8> {
    let descriptor = descriptor(index, frame);
    let mut block = vec![OFFERED_ID, descriptor.len() as u8];
    block.extend(&descriptor);
    block.resize(block.len().next_multiple_of(4), 0);
    let mut p = rtp(45, CAMERA_SSRC, index, picture as u32 * 3600, frame.last, &[]);
    p[0] |= 0x10;
    p.extend([0x10, 0, 0, (block.len() / 4) as u8]);
    p.extend(block);
    p.extend(if frame.key { [0x18, 0x08] } else { [0x10, 0x30] });
    p.extend(sealed(Slot::CAMERA, 0));
    p.resize(p.len() + 60, index as u8);
    p
}

/// Anna sends a camera in `codec`; Ben and whoever comes later are sent it.
struct Nested {
    world: World,
    anna: PeerKey,
    ben: PeerKey,
}

impl Nested {
    fn new(codec: Codec) -> Self {
        Self::under(Rule::Off, codec)
    }

    fn under(rule: Rule, codec: Codec) -> Self {
        let mut world = World::new(rule);
        let (anna, ben) = (world.join("bank-a/anna/1"), world.join("bank-b/ben/1"));
        let section = PublishSection {
            mid: "1".into(),
            slot: Slot::CAMERA,
            codec,
            payload_type: if codec == Codec::Av1 { 45 } else { 98 },
            repair_payload_type: Some(46),
            ssrcs: Some((CAMERA_SSRC, Some(REPAIR_SSRC))),
            rids: vec![],
            rid_id: 0,
            repair_rid_id: 0,
            carried_id: OFFERED_ID,
            mid_id: 0,
            transport_sequence_id: 0,
            level_id: 0,
        };
        world.input(Input::Published { peer: anna, sections: vec![section] });
        world.input(Input::Transport { peer: anna, transport: TransportKind::Publish, state: LinkState::Up });
        // what is refused is offered to nobody
        if world.offers.iter().any(|offer| offer.0 == ben) {
            world.subscribe(ben);
        }
        Self { world, anna, ben }
    }

    /// What `to` gets of a packet.
    fn send(&mut self, to: PeerKey, index: u64, packet: &[u8]) -> Vec<(Cut, Vec<u8>)> {
        let out = self.world.rtp(self.anna, packet, index);
        out.into_iter().filter(|o| o.0 == to).map(|o| (o.1, o.2)).collect()
    }

    fn goal(&mut self, goal: Cap) {
        let meeting = self.world.engine.meetings[0].as_mut().expect("it is there");
        let ben = meeting.participants[self.ben.place as usize].as_mut().expect("he is there");
        ben.subscribing.sections[0].goal = goal;
    }

    fn last_key(&self) -> Option<u64> {
        let meeting = self.world.engine.meetings[0].as_ref().expect("it is there");
        meeting.tracks.iter().flatten().find_map(|track| track.last_key)
    }
}

fn read(packet: &[u8]) -> (Header, &[u8]) {
    let header = Header::parse(packet).expect("RTP");
    let descriptor = header.extension(packet, DEPENDENCY_ID).unwrap_or_default();
    (header, descriptor)
}

#[test]
fn av1_keeps_its_descriptor_on_every_packet_and_on_those_sent_again() {
    let mut nested = Nested::new(Codec::Av1);
    let mut sent = Vec::new();
    for index in 1..=6 {
        let frame = if index == 1 { FIRST } else { LATER };
        let packet = av1(index, index, frame);
        let out = nested.send(nested.ben, index, &packet);
        assert_eq!(out.len(), 1);
        let (header, forwarded) = read(&out[0].1);
        assert_eq!(forwarded, descriptor(index, frame), "frame {index}");
        assert_eq!(out[0].0.header, header.len, "what is sealed begins behind it");
        assert_eq!(out[0].1[header.len..], packet[packet.len() - (out[0].1.len() - header.len)..]);
        sent.push((header.ssrc, header.sequence));
    }
    let nack = build::nack(1, sent[0].0, &[sent[0].1]).expect("one number");
    nested.world.engine.handle_rtcp(nested.world.now, nested.ben, TransportKind::Subscribe, &nack);
    let again = nested.world.forwarded();
    assert_eq!(again.len(), 1);
    let (header, repeated) = read(&again[0].2);
    assert_eq!(repeated, descriptor(1, FIRST), "the structure too");
    assert_ne!(header.ssrc, sent[0].0, "on the stream of repairs");
}

#[test]
fn who_comes_late_to_av1_begins_with_a_key_frame_and_its_structure() {
    let mut nested = Nested::new(Codec::Av1);
    nested.send(nested.ben, 1, &av1(1, 1, FIRST));
    nested.world.until(nested.world.now.plus_ms(3_000));
    let before = nested.world.key_requests(nested.anna);
    let cleo = nested.world.join("bank-b/cleo/1");
    nested.world.subscribe(cleo);
    assert_eq!(nested.world.key_requests(nested.anna), before + 1, "a key frame is asked for");
    assert!(nested.send(cleo, 2, &av1(2, 2, LATER)).is_empty(), "nothing before it");
    let out = nested.send(cleo, 3, &av1(3, 3, FIRST));
    let read = dependency::descriptor(read(&out[0].1).1, None).expect("it explains itself");
    assert!(read.structure.is_some() && read.start);
    assert_eq!(nested.send(cleo, 4, &av1(4, 4, LATER)).len(), 1);
}

#[test]
fn temporal_layers_of_av1_are_left_out_by_descriptor_without_a_hole() {
    let mut nested = Nested::new(Codec::Av1);
    let mut numbers = Vec::new();
    let templates = [0, 3, 2, 3, 1, 3, 2, 3, 1, 3];
    for (index, template) in (1..).zip(templates) {
        if index == 4 {
            nested.goal(Cap { spatial: u8::MAX, temporal: 0 });
        }
        let frame = if index == 1 { FIRST } else { Frame { template, ..LATER } };
        numbers.extend(nested.send(nested.ben, index, &av1(index, index, frame)).iter().map(|o| (index, o.0.index)));
    }
    let indices: Vec<u64> = numbers.iter().map(|n| n.0).collect();
    assert_eq!(indices, [1, 2, 3, 5, 9], "from the next picture on only the lowest layer");
    assert!(numbers.windows(2).all(|pair| pair[1].1 == pair[0].1 + 1), "{numbers:?}");
}

#[test]
fn the_highest_spatial_layer_that_is_sent_ends_the_picture() {
    let mut nested = Nested::new(Codec::Av1);
    nested.goal(Cap { spatial: 0, temporal: u8::MAX });
    let lower = |key| Frame {
        template: if key { 0 } else { 1 },
        structure: key.then_some(l2t1 as fn(u32) -> Vec<u8>),
        key,
        last: false,
    };
    let upper = |key: bool| Frame { template: if key { 2 } else { 3 }, ..LATER };
    let mut out = Vec::new();
    for picture in 0..4u64 {
        let key = picture.is_multiple_of(2);
        if picture == 2 {
            nested.goal(Cap::NONE);
        }
        out.extend(nested.send(nested.ben, 2 * picture + 1, &av1(2 * picture + 1, picture, lower(key))));
        out.extend(nested.send(nested.ben, 2 * picture + 2, &av1(2 * picture + 2, picture, upper(key))));
    }
    let seen: Vec<(u64, bool)> =
        out.iter().map(|(cut, bytes)| (cut.index - out[0].0.index, read(bytes).0.marker)).collect();
    let expected = [(0, true), (1, true), (2, false), (3, true), (4, false), (5, true)];
    assert_eq!(seen, expected, "one layer, then both from a key frame on");
}

#[test]
fn a_higher_layer_whose_shim_says_key_is_no_place_to_begin() {
    let mut nested = Nested::new(Codec::Av1);
    nested.send(nested.ben, 1, &av1(1, 1, Frame { structure: Some(l2t1), last: false, ..FIRST }));
    nested.send(nested.ben, 2, &av1(2, 1, Frame { template: 2, key: true, ..LATER }));
    assert_eq!(nested.last_key(), Some(1));
}

/// A VP9 layer frame in one packet, flexible mode.
fn vp9(index: u64, picture: u64, spatial: u8, last: bool) -> Vec<u8> {
    let predicted = picture > 0;
    let mut payload = vec![0x80 | u8::from(predicted) << 6 | 0x3c, 0x80, picture as u8, spatial << 1];
    if predicted {
        payload.push(1 << 1);
    }
    payload.extend(sealed(Slot::CAMERA, 0));
    payload.resize(100, index as u8);
    rtp(98, CAMERA_SSRC, index, picture as u32 * 3600, last, &payload)
}

#[test]
fn vp9_is_cut_to_its_lowest_layer_with_its_marker_and_picture_numbers() {
    let mut nested = Nested::new(Codec::Vp9);
    nested.goal(Cap { spatial: 0, temporal: u8::MAX });
    let mut out = Vec::new();
    for picture in 0..5u64 {
        for spatial in 0..3u8 {
            let index = 3 * picture + u64::from(spatial) + 1;
            out.extend(nested.send(nested.ben, index, &vp9(index, picture, spatial, spatial == 2)));
        }
    }
    assert_eq!(out.len(), 5);
    for (picture, (cut, bytes)) in (0..).zip(&out) {
        let (header, descriptor) = read(bytes);
        assert!(header.marker && descriptor.is_empty());
        assert_eq!((cut.index, bytes[header.len + 2]), (out[0].0.index + picture, picture as u8));
    }
}

#[test]
fn a_color_space_goes_on_as_it_came_and_nothing_else_that_claims_to_be_one() {
    let mut nested = Nested::new(Codec::Vp9);
    for (index, len) in (1..).zip([4usize, 0, 28, 5, 255]) {
        let plain = vp9(index, index - 1, 0, true);
        let value: Vec<u8> = (1..=255).take(len).collect();
        let mut block = vec![OFFERED_ID, len as u8];
        block.extend(&value);
        block.resize(block.len().next_multiple_of(4), 0);
        let mut packet = plain[..12].to_vec();
        packet[0] |= 0x10;
        packet.extend([0x10, 0, 0, (block.len() / 4) as u8]);
        packet.extend(&block);
        packet.extend(&plain[12..]);
        let out = nested.send(nested.ben, index, &packet);
        let header = Header::parse(&out[0].1).expect("RTP");
        let known = [4, 28].contains(&len);
        let expected = if known { &value[..] } else { &[] };
        assert_eq!(header.extension(&out[0].1, COLOR_SPACE_ID).unwrap_or_default(), expected, "{len} bytes");
        assert_eq!(out[0].1[header.len + 5..], plain[12 + 5..], "{len} bytes");
    }
}

#[test]
fn a_publisher_is_told_of_a_codec_that_somebody_refuses_but_never_of_the_common_one() {
    for (codec, told) in [(Codec::Vp9, 1), (Codec::Av1, 1), (Codec::Vp8, 0)] {
        let mut nested = Nested::new(codec);
        let cleo = nested.world.join("bank-b/cleo/1");
        let (_, revision, _) = nested.world.offers.iter().rev().find(|o| o.0 == cleo).expect("an offer").clone();
        assert_eq!(nested.world.engine.codec_of(cleo, "s0"), Some(codec));
        nested.world.input(Input::Answered { peer: cleo, revision, accepted: vec![] });
        let refusals = nested.world.told.iter().filter(|m| {
            matches!(m, FromSfu::CodecRefused { participant, slot, .. }
                if *participant == who("bank-a/anna/1") && *slot == Slot::CAMERA)
        });
        assert_eq!(refusals.count(), told, "{codec:?}");
        let up = Input::Transport { peer: cleo, transport: TransportKind::Subscribe, state: LinkState::Up };
        nested.world.input(up);
        if codec == Codec::Vp9 {
            assert!(nested.send(cleo, 1, &vp9(1, 0, 0, true)).is_empty(), "what it cannot decode is not sent");
        }
    }
}

#[test]
fn sound_is_never_sent_again() {
    let (mut world, anna, ben, sections) = two(Rule::Off);
    let out = world.rtp(anna, &sound(5), 5);
    let nack = build::nack(1, sections[0].ssrc, &[out[0].1.index as u16]).expect("one number");
    world.engine.handle_rtcp(world.now, ben, TransportKind::Subscribe, &nack);
    assert!(world.forwarded().is_empty(), "its numbers are sealed once, and it has no stream of repairs");
    let later = world.rtp(anna, &sound(9), 9);
    assert_eq!(later.len(), 1);
    world.until(world.now.plus_ms(500));
    let asked = |(_, packet): &(PeerKey, Vec<u8>)| {
        rtcp::parse(packet).into_iter().any(|item| matches!(item, Item::Nack { ssrc, .. } if ssrc == SOUND_SSRC))
    };
    assert!(!world.rtcp.iter().any(asked), "nor is its publisher asked for what was lost");
}

#[test]
fn what_a_firm_keeps_is_sent_in_what_its_replay_can_show() {
    let refusals = |nested: &Nested| {
        let about = |m: &&FromSfu| matches!(m, FromSfu::CodecRefused { slot, .. } if *slot == Slot::CAMERA);
        nested.world.told.iter().filter(about).count()
    };
    for (rule, told) in [(Rule::Must, 1), (Rule::Should, 1), (Rule::Off, 0), (Rule::Forbidden, 0)] {
        let mut nested = Nested::under(rule, Codec::Vp9);
        assert_eq!(refusals(&nested), told, "{rule:?}");
        let sent = !nested.send(nested.ben, 1, &vp9(1, 0, 0, true)).is_empty();
        assert_eq!(sent, told == 0, "{rule:?}");
    }
    assert_eq!(refusals(&Nested::under(Rule::Must, Codec::Vp8)), 0);

    let mut nested = Nested::new(Codec::Av1);
    assert_eq!(refusals(&nested), 0);
    let firms = vec![firm("bank-a", Rule::Off), firm("bank-b", Rule::Should)];
    nested.world.control(ToSfu::Meeting { meeting: meeting(), firms });
    assert_eq!(refusals(&nested), 1, "a firm that begins to keep ends what it could not show");
}
