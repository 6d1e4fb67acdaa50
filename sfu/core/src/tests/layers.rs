//! Simulcast in virtual time: which layer goes to whom, when it changes, and what the numbers of the stream do then.

use super::*;
use crate::congestion::BitRate;
use crate::layers::choice::CHOOSE_US;
use crate::layers::needs::LINGER_US;
use domain::message::client::{Feed, FeedLimit, Weight, Wish};

/// SSRC of a layer, and of its retransmissions.
fn ssrc(layer: u8) -> u32 {
    8000 + u32::from(layer) * 10
}

/// Ids of the extensions that a simulcast offer negotiated.
const MID_ID: u8 = 4;
const RID_ID: u8 = 5;
const REPAIR_ID: u8 = 6;
/// bit/s of the layers as the camera below sends them: one packet a picture, 25 pictures a second.
const SIZES: [usize; 3] = [500, 1_000, 1_400];

/// A world in which Anna sends a camera in three layers.
struct Camera {
    world: World,
    anna: PeerKey,
    ben: PeerKey,
    section: OfferSection,
    /// Layers that flow.
    on: Vec<u8>,
    index: u64,
    keys: Vec<(u8, u64)>,
}

fn extended(payload_type: u8, ssrc: u32, index: u64, timestamp: u32, names: (u8, &str), payload: &[u8]) -> Vec<u8> {
    let mut block = vec![MID_ID << 4, b'1', names.0 << 4 | (names.1.len() as u8 - 1)];
    block.extend(names.1.as_bytes());
    block.resize(block.len().next_multiple_of(4), 0);
    let mut p = rtp(payload_type, ssrc, index, timestamp, true, &[]);
    p[0] |= 0x10;
    p.extend([0xbe, 0xde, 0, (block.len() / 4) as u8]);
    p.extend(block);
    p.extend(payload);
    p
}

fn picture(layer: u8, index: u64, shape: Shape) -> Vec<u8> {
    let mut payload = vec![0x90, 0x80, 0x80 | (index >> 8) as u8 & 0x7f, index as u8, u8::from(!shape.key)];
    payload.extend(sealed(Slot(Slot::CAMERA.0 + layer), 0));
    payload.resize(shape.size, layer);
    let name = ["q", "h", "f"][usize::from(layer)];
    extended(96, ssrc(layer), index, index as u32 * 3600, (RID_ID, name), &payload)
}

impl Camera {
    fn new() -> Self {
        let mut world = World::new(Rule::Off);
        let (anna, ben) = (world.join("bank-a/anna/1"), world.join("bank-b/ben/1"));
        let section = PublishSection {
            mid: "1".into(),
            slot: Slot::CAMERA,
            codec: Codec::Vp8,
            payload_type: 96,
            repair_payload_type: Some(97),
            ssrcs: None,
            rids: ["q", "h", "f"].map(String::from).to_vec(),
            rid_id: RID_ID,
            repair_rid_id: REPAIR_ID,
            carried_id: 0,
            mid_id: MID_ID,
            transport_sequence_id: 0,
            level_id: 0,
        };
        world.input(Input::Published { peer: anna, sections: vec![section] });
        world.input(Input::Transport { peer: anna, transport: TransportKind::Publish, state: LinkState::Up });
        let section = world.subscribe(ben).remove(0);
        Self { world, anna, ben, section, on: vec![0, 1, 2], index: 1, keys: Vec::new() }
    }

    /// 40 ms of camera: one picture of each layer, a key frame where one was asked for. What reached Ben.
    fn frame(&mut self) -> Vec<(Cut, Vec<u8>)> {
        let index = self.index;
        self.index += 1;
        let mut out = Vec::new();
        for layer in self.on.clone() {
            let asked = build::key_frame_request(1, ssrc(layer));
            let before = self.world.rtcp.len();
            self.world.rtcp.retain(|(to, packet)| *to != self.anna || *packet != asked);
            let key = before != self.world.rtcp.len() || index == 1;
            if key {
                self.keys.push((layer, index));
            }
            let packet = picture(layer, index, Shape { key, size: SIZES[usize::from(layer)], ..KEY });
            let forwarded = self.world.rtp(self.anna, &packet, index);
            out.extend(forwarded.into_iter().filter(|o| o.0 == self.ben).map(|o| (o.1, o.2)));
        }
        self.world.until(self.world.now.plus_ms(40));
        out.extend(self.world.forwarded().into_iter().filter(|o| o.0 == self.ben).map(|o| (o.1, o.2)));
        out
    }

    fn run(&mut self, frames: usize) -> Vec<(Cut, Vec<u8>)> {
        (0..frames).flat_map(|_| self.frame()).collect()
    }

    fn wish(&mut self, max_height: u16) {
        let wish = Wish { participant: who("bank-a/anna/1"), slot: Slot::CAMERA, max_height, weight: Weight::Normal };
        let participant = who("bank-b/ben/1");
        self.world.control(ToSfu::View { meeting: meeting(), participant, wishes: vec![wish] });
    }

    fn estimate(&mut self, estimate: u64) {
        let meeting = self.world.engine.meetings[0].as_mut().expect("it is there");
        let ben = meeting.participants[self.ben.place as usize].as_mut().expect("he is there");
        ben.subscribing.estimate = Some(BitRate(estimate));
    }

    fn feeds(&mut self) -> Vec<Feed> {
        let told = std::mem::take(&mut self.world.told);
        told.into_iter().flat_map(|m| if let FromSfu::Feeds { feeds, .. } = m { feeds } else { vec![] }).collect()
    }

    fn wanted(&mut self) -> Vec<Vec<u8>> {
        let told = std::mem::take(&mut self.world.told);
        told.into_iter()
            .filter_map(|m| if let FromSfu::LayersWanted { layers, .. } = m { Some(layers) } else { None })
            .collect()
    }
}

fn layer_of(packet: &[u8]) -> u8 {
    *packet.last().expect("it has a payload")
}

fn invariant_one_unbroken_stream(packets: &[(Cut, Vec<u8>)]) {
    for pair in packets.windows(2) {
        let [a, b] = [&pair[0], &pair[1]].map(|(_, bytes)| Header::parse(bytes).expect("RTP"));
        assert_eq!(b.sequence, a.sequence.wrapping_add(1));
        let step = b.timestamp.wrapping_sub(a.timestamp);
        assert!((1..=90_000).contains(&step), "timestamps go on: {step}");
        let id =
            |(_, bytes): &(Cut, Vec<u8>), h: &Header| u16::from_be_bytes([bytes[h.len + 2], bytes[h.len + 3]]) & 0x7fff;
        assert_eq!(id(&pair[1], &b), (id(&pair[0], &a) + 1) & 0x7fff, "picture numbers go on");
    }
}

#[test]
fn a_tile_gets_the_layer_that_fits_it_and_the_stream_goes_on_unbroken_when_that_changes() {
    let mut camera = Camera::new();
    let mut all = camera.run(60);
    assert_eq!(layer_of(&all.last().expect("pictures").1), 2, "without a wish the highest");
    for (height, layer) in [(150, 0), (360, 1), (1080, 2), (180, 0)] {
        camera.wish(height);
        let asked = camera.keys.len();
        let part = camera.run(60);
        assert_eq!(layer_of(&part.last().expect("pictures").1), layer, "{height} pixels");
        let new: Vec<u8> = camera.keys[asked..].iter().map(|key| key.0).collect();
        assert_eq!(new, [layer], "only that layer is asked for a key frame, once");
        all.extend(part);
    }
    assert_eq!(all.iter().map(|p| p.0.ssrc).collect::<std::collections::BTreeSet<_>>().len(), 1);
    invariant_one_unbroken_stream(&all);
    for pair in all.windows(2).filter(|pair| layer_of(&pair[0].1) != layer_of(&pair[1].1)) {
        let header = Header::parse(&pair[1].1).expect("RTP");
        assert_eq!(pair[1].1[header.len + 4], 0, "a change begins with a key frame");
    }
}

#[test]
fn a_link_that_carries_less_gets_a_lower_layer_and_no_higher_one_for_a_while() {
    let mut camera = Camera::new();
    camera.run(60);
    camera.feeds();
    camera.estimate(250_000);
    let part = camera.run(40);
    assert_eq!(layer_of(&part.last().expect("pictures").1), 1);
    let feed = camera.feeds().pop().expect("told");
    assert_eq!((feed.layer, feed.limit, feed.height), (Some(1), FeedLimit::Link, 360));
    camera.estimate(5_000_000);
    let held = camera.run(25);
    assert_eq!(layer_of(&held.last().expect("pictures").1), 1, "it fell a moment ago");
    let part = camera.run(60);
    assert_eq!(layer_of(&part.last().expect("pictures").1), 2);
    assert_eq!(camera.feeds().pop().map(|feed| feed.limit), Some(FeedLimit::Wish));
}

#[test]
fn a_layer_that_stops_flowing_is_replaced_by_the_next() {
    let mut camera = Camera::new();
    camera.run(60);
    camera.on = vec![0, 1];
    let part = camera.run(80);
    assert_eq!(layer_of(&part.last().expect("pictures").1), 1);
    camera.on = vec![0, 1, 2];
    let part = camera.run(60);
    assert_eq!(layer_of(&part.last().expect("pictures").1), 2);
}

#[test]
fn a_publisher_is_told_what_nobody_needs_after_a_while_and_what_somebody_needs_at_once() {
    let mut camera = Camera::new();
    camera.wish(160);
    camera.run(20);
    assert!(camera.wanted().is_empty());
    camera.run((LINGER_US / 40_000) as usize);
    assert_eq!(camera.wanted(), [vec![0]]);
    camera.wish(0);
    let none = camera.run((LINGER_US / 40_000) as usize + 20);
    assert!(none.len() <= 1, "what is hidden is not sent");
    assert_eq!(camera.wanted(), [Vec::<u8>::new()]);
    camera.wish(700);
    assert_eq!(camera.wanted(), [vec![0, 2]]);
    let part = camera.run(40);
    assert_eq!(layer_of(&part.last().expect("pictures").1), 2);
}

#[test]
fn a_frame_under_another_layers_slot_is_refused() {
    let mut camera = Camera::new();
    camera.run(3);
    let mut packet = picture(1, 50, KEY);
    let names = packet.iter().position(|byte| *byte == b'h').expect("its name");
    packet[names] = b'q';
    packet[8..12].copy_from_slice(&ssrc(0).to_be_bytes());
    assert!(camera.world.rtp(camera.anna, &packet, 50).is_empty());
    assert_eq!(camera.world.engine.stats().wrong_leaf, 1);
}

#[test]
fn a_lost_packet_of_a_layer_comes_back_on_the_stream_that_names_it_as_repaired() {
    let mut camera = Camera::new();
    let first = camera.run(60);
    let (lost, index) = (picture(2, camera.index, DELTA), camera.index);
    camera.index += 1;
    camera.run(1);
    let nack = build::nack(1, ssrc(2), &[index as u16]).expect("not empty");
    assert!(camera.world.rtcp.iter().any(|(to, packet)| *to == camera.anna && *packet == nack));
    let header = Header::parse(&lost).expect("RTP");
    let payload = [&(index as u16).to_be_bytes(), &lost[header.len..]].concat();
    let repair = extended(97, 9_999, 7, header.timestamp, (REPAIR_ID, "f"), &payload);
    let out = camera.world.rtp(camera.anna, &repair, 7);
    assert_eq!(out.len(), 1);
    assert_eq!(out[0].1.index, first.last().expect("pictures").0.index + 1, "in its place");
}

#[test]
fn a_subscribers_loss_across_a_change_of_layer_is_repaired_from_the_layer_it_was_of() {
    let mut camera = Camera::new();
    let before = camera.run(60);
    camera.wish(180);
    camera.run((CHOOSE_US / 40_000) as usize);
    let last = before.last().expect("pictures");
    let nack = build::nack(1, camera.section.ssrc, &[last.0.index as u16]).expect("not empty");
    camera.world.engine.handle_rtcp(camera.world.now, camera.ben, TransportKind::Subscribe, &nack);
    let out = camera.world.forwarded();
    let again = out.iter().find(|o| o.1.ssrc == camera.section.repair_ssrc).expect("sent again");
    let header = Header::parse(&again.2).expect("RTP");
    let original = Header::parse(&last.1).expect("RTP");
    assert_eq!(again.2[header.len + 2..], last.1[original.len..], "the same bytes");
}

#[test]
fn recorders_get_the_highest_layer_that_flows_from_a_key_frame_on_and_every_packet_of_it() {
    let mut camera = Camera::new();
    camera.world.join("bank-a/recorder-1/1");
    let link = camera.world.record_up(0);
    let layers = |camera: &mut Camera| -> Vec<u8> {
        let all = camera.world.record(link);
        all.iter()
            .filter_map(|(_, r)| if let Record::Packet { rtp, .. } = r { Some(layer_of(rtp)) } else { None })
            .collect()
    };
    camera.run(80);
    let recorded = layers(&mut camera);
    assert_eq!(recorded.last(), Some(&2));
    assert!(recorded.is_sorted(), "one way up");
    camera.run(10);
    assert_eq!(layers(&mut camera), [2; 10]);
    camera.on = vec![0, 1];
    camera.run(80);
    let recorded = layers(&mut camera);
    assert_eq!(recorded.last(), Some(&1));
    assert_eq!(recorded.iter().filter(|layer| **layer == 0).count(), 0);
    // whatever is shown, the record has the best
    camera.wish(0);
    camera.run((LINGER_US / 40_000) as usize + 20);
    assert_eq!(
        camera.wanted().last(),
        Some(&vec![0, 2]),
        "the record needs the highest; the lowest waits for who comes"
    );
}

/// A VP8 camera in one layer with three temporal ones: T0 T2 T1 T2.
#[test]
fn temporal_layers_are_left_out_to_fit_and_come_back_one_by_one_where_they_may_begin() {
    let (mut world, anna, ben, _) = two(Rule::Off);
    let mut seen: Vec<(u64, u16, u8)> = Vec::new();
    let mut step = |world: &mut World, index: u64| {
        let temporal = [0u8, 2, 1, 2][(index % 4) as usize];
        let sync = temporal == 1 || (temporal == 2 && index % 4 == 1);
        let mut payload = vec![0x90, 0xe0, 0x80 | (index >> 8) as u8, index as u8, (index / 4) as u8];
        payload.push(temporal << 6 | u8::from(sync) << 5);
        payload.push(u8::from(index != 0));
        payload.extend(sealed(Slot::CAMERA, 0));
        payload.resize(2_500, temporal);
        let out = world.rtp(anna, &rtp(96, CAMERA_SSRC, index, index as u32 * 3600, true, &payload), index);
        for (_, cut, bytes) in out.iter().filter(|o| o.0 == ben) {
            let header = Header::parse(bytes).expect("RTP");
            let picture = u16::from_be_bytes([bytes[header.len + 2], bytes[header.len + 3]]) & 0x7fff;
            seen.push((cut.index, picture, *bytes.last().expect("payload")));
        }
        world.until(world.now.plus_ms(40));
    };
    (0..100).for_each(|index| step(&mut world, index));
    let set = |world: &mut World, rate: u64| {
        let meeting = world.engine.meetings[0].as_mut().expect("it is there");
        meeting.participants[ben.place as usize].as_mut().expect("he is there").subscribing.estimate =
            Some(BitRate(rate));
    };
    // 500 kbit/s in all, 250 with two layers, 125 with one
    set(&mut world, 300_000);
    (100..200).for_each(|index| step(&mut world, index));
    set(&mut world, 150_000);
    (200..300).for_each(|index| step(&mut world, index));
    set(&mut world, 3_000_000);
    (300..500).for_each(|index| step(&mut world, index));
    for pair in seen.windows(2) {
        assert_eq!((pair[1].0, pair[1].1), (pair[0].0 + 1, (pair[0].1 + 1) & 0x7fff), "no hole in either number");
    }
    let highest: Vec<u8> = seen.iter().map(|one| one.2).collect();
    let tail = |part: &[u8]| part[part.len() - 8..].iter().copied().max();
    assert_eq!(tail(&highest[..100]), Some(2));
    let (two, one) = (
        highest[100..].windows(20).any(|w| w.iter().all(|t| *t < 2)),
        highest[100..].windows(12).any(|w| w.iter().all(|t| *t == 0)),
    );
    assert!(two && one, "both steps down were taken");
    assert_eq!(tail(&highest), Some(2), "and back");
    let back = highest[100..].windows(13).find(|w| w[..12].iter().all(|t| *t == 0) && w[12] > 0);
    assert_eq!(back.map(|w| w[12]), Some(1), "the middle one first");
}

#[test]
fn an_estimate_is_looked_for_that_leaves_the_highest_layer_its_headroom() {
    let mut camera = Camera::new();
    camera.run(60);
    let wanted = |camera: &Camera| {
        let meeting = camera.world.engine.meetings[0].as_ref().expect("it is there");
        meeting.participants[camera.ben.place as usize].as_ref().expect("he is there").subscribing.downlink.wanted().0
    };
    let all: u64 = 8 * 25 * SIZES[2] as u64;
    assert!((all * 8 / 7..all * 8 / 7 + all / 10).contains(&wanted(&camera)), "{} for {all}", wanted(&camera));
    camera.wish(180);
    let small: u64 = 8 * 25 * SIZES[0] as u64;
    assert!((small * 8 / 7..small * 8 / 7 + small / 5).contains(&wanted(&camera)), "{}", wanted(&camera));
}

/// Rates that the publisher was told last, by layer.
fn rates(camera: &mut Camera) -> Option<Vec<Option<u64>>> {
    let told = std::mem::take(&mut camera.world.told);
    let rates = |m| if let FromSfu::LayersWanted { rates, .. } = m { Some(rates) } else { None };
    told.into_iter().filter_map(rates).next_back()
}

impl Camera {
    /// Feedback has told of Ben's link long enough.
    fn measured(&mut self) {
        let now = self.world.now;
        let meeting = self.world.engine.meetings[0].as_mut().expect("it is there");
        let ben = meeting.participants[self.ben.place as usize].as_mut().expect("he is there");
        ben.subscribing.measured = Some(Micros(now.0.saturating_sub(60_000_000)));
    }
}

#[test]
fn a_publisher_is_asked_for_what_the_best_placed_viewer_could_take() {
    let mut camera = Camera::new();
    camera.run(60);
    camera.estimate(1_000_000);
    camera.run(10);
    assert_eq!(rates(&mut camera), None, "an estimate that nobody measured is no reason");
    camera.measured();
    camera.estimate(240_000);
    camera.run(10);
    let told = rates(&mut camera).expect("it was told");
    assert_eq!((told[0], told[2]), (None, Some(650_000)), "what nobody can take waits at its least");
    camera.estimate(30_000_000);
    for _ in 0..8 {
        camera.run(25);
    }
    assert_eq!(rates(&mut camera), Some(vec![]), "and has no bound where all of it fits");
}

#[test]
fn no_viewers_link_bounds_what_is_recorded() {
    let mut camera = Camera::new();
    camera.world.join("bank-a/recorder-1/1");
    camera.world.record_up(0);
    camera.run(60);
    camera.measured();
    camera.estimate(240_000);
    camera.run(40);
    let told = rates(&mut camera).unwrap_or_default();
    assert!(told.get(2).is_none_or(Option::is_none), "{told:?}");
}

#[test]
fn a_layer_that_by_far_does_not_pass_is_given_up_for_the_lowest_and_not_repeated() {
    let mut camera = Camera::new();
    let before = camera.run(60);
    camera.estimate(150_000);
    let after = camera.run(25);
    let layers: Vec<u8> = after.iter().map(|packet| layer_of(&packet.1)).collect();
    let first_low = layers.iter().position(|layer| *layer == 0).expect("the lowest came");
    assert!(
        first_low <= (CHOOSE_US / 40_000) as usize + 1 && layers[first_low..].iter().all(|l| *l == 0),
        "{layers:?}"
    );
    let last = before.last().expect("pictures").0.index as u16;
    let nack = build::nack(1, camera.section.ssrc, &[last]).expect("not empty");
    camera.world.engine.handle_rtcp(camera.world.now, camera.ben, TransportKind::Subscribe, &nack);
    assert!(camera.world.forwarded().is_empty(), "nobody needs it any more");
}
