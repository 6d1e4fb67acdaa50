//! What a shard that cannot keep up leaves out, step by step, to whom: in virtual time, with everybody's packets counted.

use super::*;
use crate::Shed;
use crate::congestion::BitRate;

/// SSRC of a layer of the camera.
const LAYERS: u32 = 8_000;
/// Bytes of a picture in each layer, by which they are told apart.
const SIZES: [usize; 3] = [500, 1_000, 1_400];
/// Four subscribers, one for each quarter that loses its pictures at a time.
const NAMES: [&str; 4] = ["bank-b/ben/1", "bank-b/carol/1", "bank-b/dan/1", "bank-b/eve/1"];

/// Anna, with a microphone and a camera in three layers; four who watch; a recorder.
struct Call {
    world: World,
    anna: PeerKey,
    watching: Vec<PeerKey>,
    link: LinkId,
    index: u64,
    wants_key: [bool; 3],
}

/// What reached somebody in a while.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Got {
    sounds: usize,
    /// Pictures by layer.
    pictures: [usize; 3],
}

impl Call {
    fn new() -> Self {
        let mut world = World::new(Rule::Off);
        let anna = world.join("bank-a/anna/1");
        let watching: Vec<PeerKey> = NAMES.iter().map(|name| world.join(name)).collect();
        world.join("bank-a/recorder-1/1");
        let section = |mid: &str, slot, codec, payload_type, ssrcs, rids: &[&str]| PublishSection {
            mid: mid.into(),
            slot,
            codec,
            payload_type,
            repair_payload_type: None,
            ssrcs,
            rids: rids.iter().map(|rid| (*rid).to_owned()).collect(),
            rid_id: 5,
            repair_rid_id: 6,
            carried_id: 0,
            mid_id: 4,
            transport_sequence_id: 0,
            level_id: 0,
        };
        let sections = vec![
            section("0", Slot::MICROPHONE, Codec::Opus, 111, Some((SOUND_SSRC, None)), &[]),
            section("1", Slot::CAMERA, Codec::Vp8, 96, None, &["q", "h", "f"]),
        ];
        world.input(Input::Published { peer: anna, sections });
        world.input(Input::Transport { peer: anna, transport: TransportKind::Publish, state: LinkState::Up });
        let link = world.record_up(0);
        for peer in &watching {
            world.subscribe(*peer);
        }
        let mut call = Self { world, anna, watching, link, index: 1, wants_key: [true; 3] };
        for peer in &call.watching {
            let meeting = call.world.engine.meetings[0].as_mut().expect("a meeting");
            let watcher = meeting.participants[peer.place as usize].as_mut().expect("somebody");
            watcher.subscribing.estimate = Some(BitRate(20_000_000));
        }
        call.run(150);
        call
    }

    fn picture(&mut self, layer: u8) -> Vec<u8> {
        let at = usize::from(layer);
        let asked = build::key_frame_request(1, LAYERS + u32::from(layer));
        self.wants_key[at] |= self.world.rtcp.iter().any(|(to, packet)| *to == self.anna && *packet == asked);
        self.world.rtcp.retain(|(_, packet)| *packet != asked);
        let key = std::mem::take(&mut self.wants_key[at]);
        let mut payload = vec![0x90, 0x80, 0x80 | (self.index >> 8) as u8 & 0x7f, self.index as u8, u8::from(!key)];
        payload.extend(sealed(Slot(Slot::CAMERA.0 + layer), 0));
        payload.resize(SIZES[at], layer);
        let mut packet = rtp(96, LAYERS + u32::from(layer), self.index, self.index as u32 * 3_600, true, &[]);
        packet[0] |= 0x10;
        packet.extend([0xbe, 0xde, 0, 1, 0x40, b'1', 0x50, b"qhf"[at]]);
        packet.extend(payload);
        packet
    }

    /// So many times 40 ms: two sounds and a picture in each layer. What reached each who watches, and the record.
    fn run(&mut self, times: u64) -> (Vec<Got>, Got) {
        let (mut got, mut kept) = (vec![Got::default(); self.watching.len()], Got::default());
        for _ in 0..times {
            let mut out = Vec::new();
            for half in 0..2 {
                let at = self.index * 2 + half;
                out.extend(self.world.rtp(self.anna, &sound(at), at));
            }
            for layer in 0..3 {
                let packet = self.picture(layer);
                out.extend(self.world.rtp(self.anna, &packet, self.index));
            }
            self.index += 1;
            self.world.until(self.world.now.plus_ms(40));
            out.extend(self.world.forwarded());
            for (to, cut, packet) in out {
                let place = self.watching.iter().position(|peer| *peer == to).expect("somebody who watches");
                count(&mut got[place], &packet, cut.len);
            }
            for (seq, record) in self.world.record(self.link) {
                if let Record::Packet { rtp, .. } = record {
                    count(&mut kept, &rtp, rtp.len());
                }
                self.world.ack(self.link, seq);
            }
        }
        (got, kept)
    }
}

fn count(got: &mut Got, packet: &[u8], len: usize) {
    match packet[1] & 0x7f {
        111 => got.sounds += 1,
        96 => {
            let layer = SIZES.iter().position(|size| len < size + 100).expect("a picture of ours");
            got.pictures[layer] += 1;
        }
        _ => {}
    }
}

#[test]
fn upper_layers_go_first_then_pictures_by_quarters_then_joins_and_sound_and_the_record_lose_nothing() {
    let mut call = Call::new();
    let full = |call: &Call| call.world.told.iter().filter(|m| matches!(m, FromSfu::Overload { .. })).count();
    let mut shed = Shed::NONE;
    loop {
        call.world.engine.shed(call.world.now, shed);
        call.world.drain();
        // layers change within a round of choice, at a key frame
        call.run(75);
        let (got, kept) = call.run(50);
        assert!(got.iter().all(|of| of.sounds == 100), "step {}: {got:?}", shed.step());
        assert_eq!((kept.sounds, kept.pictures), (100, [0, 0, 50]), "step {}: the record", shed.step());
        let watching = got.iter().filter(|of| of.pictures.iter().sum::<usize>() > 0);
        let upper = watching.clone().filter(|of| of.pictures[1] + of.pictures[2] > 0).count();
        let whole = watching.clone().filter(|of| of.pictures.iter().sum::<usize>() == 50).count();
        let left = [(4, 4), (0, 4), (0, 3), (0, 2), (0, 1), (0, 0), (0, 0)][usize::from(shed.step())];
        assert_eq!((upper, whole, watching.count()), (left.0, left.1, left.1), "step {}: {got:?}", shed.step());
        assert_eq!(full(&call), usize::from(shed.refuses_joins()), "joins are refused last");
        if shed.refuses_joins() {
            break;
        }
        shed = shed.more();
    }
    while shed != Shed::NONE {
        shed = shed.less();
        call.world.engine.shed(call.world.now, shed);
        call.world.drain();
    }
    call.run(150);
    let (got, _) = call.run(50);
    assert!(got.iter().all(|of| of.pictures == [0, 0, 50]), "and all of it comes back: {got:?}");
    assert_eq!(full(&call), 2, "nobody is refused any more");
}
