//! Group R of the attack catalogue: what an admitted participant may send behind a good hop, and what it must not reach.

use super::*;
use crate::participant::MAX_STREAMS;
use crate::rtcp::twcc;
use std::collections::HashSet;

/// Bytes that may be sent again beyond the share of what was sent: see the downlink's bound.
const REPAIR_BASE: u64 = 20_000;

/// The packet with a block of one-byte extensions.
fn with_extension(mut packet: Vec<u8>, block: &[u8]) -> Vec<u8> {
    packet[0] |= 0x10;
    let head = [0xbe, 0xde, 0, (block.len() / 4) as u8];
    packet.splice(12..12, head.into_iter().chain(block.iter().copied()));
    packet
}

/// Lets time pass; what waited leaves in it.
fn pass(world: &mut World, micros: u64) -> Vec<(PeerKey, Cut, Vec<u8>)> {
    let (at, mut out) = (world.now.plus(micros), Vec::new());
    while let Some(due) = world.engine.poll_timeout().filter(|due| *due <= at) {
        world.now = world.now.max(due);
        world.engine.handle_timeout(world.now);
        out.extend(world.forwarded());
    }
    world.now = at;
    out
}

fn bytes(out: &[(PeerKey, Cut, Vec<u8>)], to: PeerKey) -> usize {
    out.iter().filter(|o| o.0 == to).map(|o| o.1.len).sum()
}

#[test]
fn r4_a_padding_count_beyond_the_payload_is_refused_in_media_and_in_repairs() {
    let (mut world, anna, _, _) = two(Rule::Off);
    world.rtp(anna, &video(10, 900, KEY), 10);
    for count in [0, 201, 255] {
        let mut packet = video(11, 1800, DELTA);
        packet[0] |= 0x20;
        *packet.last_mut().expect("a payload") = count;
        assert!(world.rtp(anna, &packet, 11).is_empty(), "padding of {count}");
        let mut repair = rtp(97, REPAIR_SSRC, 500 + u64::from(count), 1800, true, &[0, 11, 1, 2, 3]);
        repair[0] |= 0x20;
        *repair.last_mut().expect("a payload") = if count == 201 { 5 } else { count };
        assert!(world.rtp(anna, &repair, 500 + u64::from(count)).is_empty());
    }
    assert_eq!(world.rtp(anna, &video(11, 1800, DELTA), 11).len(), 1, "the real one has its place still");
}

#[test]
fn r7_no_index_is_sealed_twice_whatever_a_publisher_does_to_its_numbers() {
    let (mut world, anna, ben, _) = two(Rule::Off);
    let mut sealed = HashSet::new();
    let mut seed = 5u64;
    let mut total = 0;
    for round in 0..4_000u64 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let index = if seed >> 60 < 4 { seed >> 40 & 0x1_ffff } else { 60_000 + round };
        let mut packet = video(index, round as u32 * 90, if seed >> 63 == 1 { KEY } else { DELTA });
        // A, then B, then A again: the page's own mid makes each SSRC one of its camera
        if seed >> 58 & 1 == 1 {
            packet[8..12].copy_from_slice(&(CAMERA_SSRC + 9).to_be_bytes());
        }
        let mut out = world.rtp(anna, &with_extension(packet, &[0x40, b'1', 0, 0]), index);
        out.extend(pass(&mut world, 1_000));
        for (to, cut, _) in out {
            assert!(to == ben && sealed.insert((cut.ssrc, cut.index)), "({}, {}) twice", cut.ssrc, cut.index);
            total += 1;
        }
    }
    assert!(total > 100, "{total}");
}

#[test]
fn r8_whoever_names_anothers_streams_speaks_as_itself_alone() {
    let (mut world, anna, ben, _) = two(Rule::Off);
    let carol = world.join("bank-b/carol/1");
    let sections = world.subscribe(carol);
    // Ben describes and sends the very SSRCs and mids of Anna
    world.publish(ben);
    world.subscribe(carol);
    let after = world.offers.iter().rev().find(|o| o.0 == carol).expect("an offer").2.clone();
    assert_eq!((sections.len(), after.len()), (2, 4));
    let of_anna: Vec<u32> = sections.iter().map(|s| s.ssrc).collect();
    world.rtp(anna, &sound(5), 5);
    let out = world.rtp(ben, &sound(6), 6);
    assert!(out.iter().all(|o| o.0 != ben && !of_anna.contains(&o.1.ssrc)), "{out:?}");
    assert!(out.iter().any(|o| o.0 == carol && o.1.ssrc == after[2].ssrc), "as his own");
    // nor does an SSRC of Anna's reach her track from one who publishes nothing
    assert!(world.rtp(carol, &sound(7), 7).is_empty());
    assert_eq!(world.rtp(anna, &sound(6), 6).iter().filter(|o| o.1.ssrc == of_anna[0]).count(), 1);
}

#[test]
fn r9_a_storm_of_nacks_is_answered_within_its_share() {
    let (mut world, anna, ben, sections) = two(Rule::Off);
    for index in 10..400u64 {
        let shape = if index == 10 { KEY } else { DELTA };
        world.rtp(anna, &video(index, index as u32 * 900, Shape { size: 1_000, ..shape }), index);
        let wanted: Vec<u16> = (1_000..1_000 + index as u16).collect();
        let nack = build::nack(1, sections[1].ssrc, &wanted).expect("not empty");
        for _ in 0..5 {
            world.engine.handle_rtcp(world.now, ben, TransportKind::Subscribe, &nack);
            world.forwarded();
        }
        pass(&mut world, 5_000);
    }
    let stats = world.engine.stats();
    let again = stats.retransmitted - stats.probed.min(stats.retransmitted);
    let share = stats.forwarded / 4 + 2 * REPAIR_BASE / 1_000;
    assert!(stats.nacked > 100_000 && (1..=share).contains(&again), "{again} again of {}", stats.forwarded);
}

#[test]
fn r9_a_storm_of_key_frame_requests_reaches_the_publisher_once_a_second() {
    let (mut world, anna, ben, sections) = two(Rule::Off);
    let before = world.key_requests(anna);
    let mut storm = Vec::new();
    for n in 0..20u8 {
        storm.extend(build::key_frame_request(1, sections[1].ssrc));
        // FIR of the same stream
        storm.extend([0x84, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0]);
        storm.extend(sections[1].ssrc.to_be_bytes());
        storm.extend([n, 0, 0, 0]);
    }
    for _ in 0..300 {
        world.engine.handle_rtcp(world.now, ben, TransportKind::Subscribe, &storm);
        pass(&mut world, 10_000);
    }
    assert!((1..=3).contains(&(world.key_requests(anna) - before)), "in three seconds");
}

#[test]
fn r9_feedback_that_lies_gets_no_more_than_is_published_and_probes() {
    let (mut world, anna, ben, _) = two(Rule::Off);
    let carol = world.join("bank-b/carol/1");
    world.subscribe(carol);
    let mut remb = vec![0x8f, 206, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0];
    remb.extend(b"REMB");
    remb.extend([1, 0xff, 0xff, 0xff, 0, 0, 0, 9]);
    let (mut published, mut to_ben, mut to_carol, mut base) = (0, 0, 0, 0u16);
    for index in 10..1_000u64 {
        let shape = if index == 10 { KEY } else { DELTA };
        let out = world.rtp(anna, &video(index, index as u32 * 900, Shape { size: 1_000, ..shape }), index);
        published += 1_000;
        (to_ben, to_carol) = (to_ben + bytes(&out, ben), to_carol + out.iter().filter(|o| o.0 == carol).count());
        // all arrived, even what was never sent, each before the one before it
        let mut lie = vec![0x8f, 205, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2];
        lie.extend(base.to_be_bytes());
        lie.extend([0, 14, 0, 0, index as u8, 0, 0xd5, 0x55, 0xd5, 0x55]);
        lie.extend([0xff, 0x80].repeat(14));
        let words = (lie.len() / 4 - 1) as u16;
        lie[2..4].copy_from_slice(&words.to_be_bytes());
        assert!(twcc::read(&lie).is_some(), "a lie, but well formed");
        base = base.wrapping_add(7);
        for packet in [&lie, &remb] {
            world.engine.handle_rtcp(world.now, ben, TransportKind::Subscribe, packet);
        }
        to_ben += bytes(&world.forwarded(), ben);
        let out = pass(&mut world, 10_000);
        (to_ben, to_carol) = (to_ben + bytes(&out, ben), to_carol + out.iter().filter(|o| o.0 == carol).count());
    }
    assert!(to_ben <= 2 * published, "{to_ben} bytes out for {published} in");
    assert_eq!(to_carol, 990, "nobody else notices");
}

#[test]
fn r10_rtcp_of_a_participant_is_answered_with_less_than_it_took() {
    let (mut world, anna, ben, _) = two(Rule::Off);
    world.rtp(anna, &sound(1), 1);
    world.rtcp.clear();
    let mut taken = 0;
    for _ in 0..50 {
        let one = build::receiver_time(9, 7 << 32);
        let mut compound = build::receiver_report(9, &[]);
        (0..90).for_each(|_| compound.extend(&one));
        taken += compound.len();
        world.engine.handle_rtcp(world.now, ben, TransportKind::Subscribe, &compound);
        world.drain();
    }
    let answered: usize = world.rtcp.iter().filter(|(to, _)| *to == ben).map(|(_, packet)| packet.len()).sum();
    assert!(answered > 0 && answered * 10 <= taken, "{answered} bytes for {taken}");
}

#[test]
fn r11_a_flood_of_sound_reaches_nobody_beyond_what_sound_can_be() {
    let (mut world, anna, ben, _) = two(Rule::Off);
    let carol = world.join("bank-b/carol/1");
    world.publish(carol);
    world.subscribe(ben);
    world.join("bank-a/recorder-1/1");
    let link = world.record_up(0);
    world.record(link);
    let (mut flood, mut heard, mut written) = (0, 0, 0);
    for index in 0..20_000u64 {
        let mut packet = sound(index);
        packet.resize(1_200, 7);
        let out = world.rtp(anna, &packet, index);
        flood += bytes(&out, ben);
        if index % 200 == 0 {
            heard += world.rtp(carol, &sound(index), index).iter().filter(|o| o.0 == ben).count();
        }
        written += world.record(link).len();
        flood += bytes(&pass(&mut world, 100), ben);
    }
    // 24 MB in two seconds: its burst and its rate
    assert!((200_000..600_000).contains(&flood), "{flood} bytes");
    assert!(written < 1_000, "{written} messages for the recorder");
    assert_eq!(heard, 100, "the others are heard as ever");
    assert!(world.engine.stats().flooded > 19_000);
}

#[test]
fn r13_a_million_ssrcs_and_unknown_payload_types_leave_a_bounded_trace() {
    let (mut world, anna, ben, _) = two(Rule::Off);
    for n in 0..100_000u32 {
        let mut packet = video(u64::from(n), n, KEY);
        packet[8..12].copy_from_slice(&(1 << 20 | n).to_be_bytes());
        let packet = match n % 3 {
            0 => with_extension(packet, &[0x40, b'1', 0, 0]),
            1 => {
                packet[1] = 35;
                with_extension(packet, &[0x40, b'1', 0, 0])
            }
            _ => packet,
        };
        let header = Header::parse(&packet).expect("RTP");
        world.engine.handle_rtp(world.now, anna, &header, u64::from(n), &packet);
        if n % 500 == 0 {
            world.forwarded();
            pass(&mut world, 1_000);
        }
    }
    world.forwarded();
    let meeting = world.engine.meetings[0].as_ref().expect("a meeting");
    let publishing = &meeting.participants[anna.place as usize].as_ref().expect("Anna").publishing;
    assert!(publishing.streams.len() <= MAX_STREAMS);
    assert_eq!((publishing.tracks.len(), meeting.tracks.len()), (2, 2), "no tracks but the described ones");
    assert!(world.engine.stats().unusable >= 60_000);
    assert!(world.key_requests(anna) <= 3, "nor does it storm the publisher");
    let named = with_extension(sound(1), &[0x40, b'0', 0, 0]);
    assert_eq!(world.rtp(anna, &named, 1).iter().map(|o| o.0).collect::<Vec<_>>(), [ben], "its sound goes on");
}

#[test]
fn r14_whoever_shouts_by_its_header_changes_the_speaker_at_the_interval_at_most() {
    let (mut world, anna, ben, _) = two(Rule::Off);
    world.publish(ben);
    let loud = |index, level| with_extension(sound(index), &[0x10, level, 0, 0]);
    for index in 0..500u64 {
        let first = index % 2 == 0;
        world.rtp(anna, &loud(index, if first { 0 } else { 127 }), index);
        world.rtp(ben, &loud(index, if first { 127 } else { 0 }), index);
        pass(&mut world, 20_000);
    }
    let changes = world.told.iter().filter(|m| matches!(m, FromSfu::Speaker { .. })).count();
    assert!(changes <= 10_000 / 300, "{changes} changes in 10 s");
    // a muted one may shout: it is not heard, and not shown
    let participant = who("bank-b/ben/1");
    world.control(ToSfu::Mute { meeting: meeting(), participant, slot: Slot::MICROPHONE, muted: true });
    world.told.clear();
    for index in 500..600u64 {
        world.rtp(ben, &loud(index, 0), index);
        pass(&mut world, 20_000);
    }
    assert!(!world.told.iter().any(|m| matches!(m, FromSfu::Speaker { .. })));
}
