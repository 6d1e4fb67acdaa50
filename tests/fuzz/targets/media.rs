//! What comes from the network before or with media: STUN, RTP, RTCP, SDP, SFrame, the record link's packets.

use domain::message::client::PublishedTrack;
use domain::message::control::{FirmRule, ToSfu};
use domain::policy::Rule;
use domain::{Codec, Kid, LeafIndex, Slot, TransportKind, sframe};
use e2ee::sframe::{BaseKey, OpenKey, SealKey};
use sfu_core::participant::LinkState;
use sfu_core::rtp::{Header, vp8};
use sfu_core::sdp::{answer, offer, read};
use sfu_core::track::PublishSection;
use sfu_core::{Engine, Input, Micros};

const CODECS: [Codec; 4] = [Codec::Opus, Codec::Vp8, Codec::Vp9, Codec::Av1];

/// STUN (RFC 8489).
pub fn stun(data: &[u8]) {
    let _ = is::stun::StunMessage::parse(data);
}

/// SFrame header and codec shims: what reads has one form only.
pub fn sframe_header(data: &[u8]) {
    if let Ok(header) = sframe::header(data) {
        assert!(header.len <= sframe::MAX_HEADER && header.len <= data.len());
        assert_eq!(&data[..header.len], write_header(header.kid, header.ctr.0), "a header has one form");
    }
    for codec in CODECS {
        if let Some(shim) = sframe::shim(codec, data) {
            assert!(shim.len <= data.len());
        }
    }
}

/// RFC 9605 section 4.3.
pub fn write_header(kid: Kid, ctr: u64) -> Vec<u8> {
    let number = |value: u64| {
        let bytes: Vec<u8> = value.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
        if value < 8 { (value as u8, vec![]) } else { (8 | (bytes.len() as u8 - 1), bytes) }
    };
    let ((k, kid), (c, ctr)) = (number(kid.0), number(ctr));
    [vec![k << 4 | c], kid, ctr].concat()
}

/// RTP header, extensions, padding, VP8 descriptor, as the SFU reads them.
pub fn rtp(data: &[u8]) {
    let _ = sfu_core::rtp::is_rtcp(data);
    if let Some(header) = Header::parse(data) {
        assert!(header.len <= data.len());
        for id in [1, 4, 14, 15, 16, 255] {
            let _ = header.extension(data, id);
        }
        let payload = header.payload(data).unwrap_or_default();
        assert!(payload.len() + header.len <= data.len());
    }
    if let Some(descriptor) = vp8::descriptor(data) {
        assert!(descriptor.len <= data.len());
    }
}

/// RTCP compounds.
pub fn rtcp(data: &[u8]) {
    assert!(sfu_core::rtcp::parse(data).len() <= data.len(), "items are not made of nothing");
}

/// Offers and answers of pages.
pub fn sdp(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(description) = read::read(&text) else { return };
    let _ = offer::accepted(&description);
    let tracks: Vec<PublishedTrack> = [("0", Slot::MICROPHONE, Codec::Opus), ("1", Slot::CAMERA, Codec::Vp8)]
        .map(|(mid, slot, codec)| PublishedTrack { mid: mid.to_owned(), slot, codec })
        .to_vec();
    if let Ok(sections) = answer::negotiate(&description, &tracks) {
        assert!(sections.len() <= tracks.len());
        let local = sfu_core::sdp::LocalTransport {
            association: "a".repeat(20),
            ufrag: "ufrag".to_owned(),
            password: "password-of-enough-length".to_owned(),
            fingerprint: ["AB"; 32].join(":"),
            candidates: vec![],
            tcp: vec![],
        };
        let written = answer::write(&local, &description, &sections);
        assert!(read::read(&written).is_ok(), "our own answer reads back: {written}");
    }
}

pub(super) fn section(
    mid: &str,
    slot: Slot,
    codec: Codec,
    payload_type: u8,
    ssrcs: (u32, Option<u32>),
) -> PublishSection {
    PublishSection {
        mid: mid.to_owned(),
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
    }
}

/// A publisher that sends any RTP or RTCP after its hop was opened: first byte even RTP, odd RTCP.
pub fn engine(data: &[u8]) {
    let meeting: domain::MeetingId = "0123456789abcdef0123456789abcdef".parse().expect("an id");
    let mut engine = Engine::new(1);
    let mut now = Micros(1_000_000_000);
    let rule =
        |firm: &str| FirmRule { firm: firm.parse().expect("an id"), audio_video: Rule::Off, recorder_grace_ms: 2_000 };
    let firms = vec![rule("bank-a"), rule("bank-b")];
    engine.handle(now, Input::Control(ToSfu::Meeting { meeting: meeting.clone(), firms }));
    for who in ["bank-a/anna/1", "bank-b/ben/1"] {
        let participant: domain::ParticipantId = who.parse().expect("an id");
        let admitted = ToSfu::Participant { meeting: meeting.clone(), participant, recorder: false, may_publish: true };
        engine.handle(now, Input::Control(admitted));
    }
    let peer = engine.peer(&meeting, &"bank-a/anna/1".parse().expect("an id")).expect("admitted");
    let sections = vec![
        section("0", Slot::MICROPHONE, Codec::Opus, 111, (7002, None)),
        section("1", Slot::CAMERA, Codec::Vp8, 96, (7000, Some(7001))),
    ];
    engine.handle(now, Input::Published { peer, sections });
    engine.handle(now, Input::Transport { peer, transport: TransportKind::Publish, state: LinkState::Up });
    for (index, packet) in data.chunks(160).enumerate() {
        let Some((first, packet)) = packet.split_first() else { continue };
        now = now.plus(u64::from(*first) * 1_000);
        match Header::parse(packet).filter(|_| first % 2 == 0) {
            Some(header) => engine.handle_rtp(now, peer, &header, index as u64, packet),
            None => engine.handle_rtcp(now, peer, TransportKind::Publish, packet),
        }
        engine.handle_timeout(now);
        let (mut arena, mut cuts) = (Vec::new(), Vec::new());
        while engine.poll_forward(now, &mut arena, &mut cuts).is_some() {}
        let outputs = std::iter::from_fn(|| engine.poll_output()).count();
        assert!(outputs < 64, "one packet asks for {outputs} things");
    }
}

/// Packets as a recorder takes them from its link.
pub fn recorder(data: &[u8]) {
    use recorder_core::reassembly::{Came, Reassembly};
    for codec in CODECS {
        if let Some(part) = recorder_core::depacketize::part(codec, data) {
            assert!(part.data.len() <= data.len());
        }
    }
    let mut reassembly = Reassembly::new(Codec::Vp8, 7000);
    let mut out = Vec::new();
    for (n, packet) in data.chunks(64).enumerate() {
        if let Some(packet) = recorder_core::rtp::parse(packet) {
            let came = Came { sfu_us: n as u64 * 1_000, local_ms: n as u64 };
            reassembly.push(n as u64, came, &packet, &mut out);
        }
    }
    reassembly.flush(&mut out);
    assert!(out.iter().map(|frame| frame.bytes.len()).sum::<usize>() <= data.len(), "frames are not made of nothing");
}

/// The key of [`sealed_frame`].
pub fn frame_key() -> (BaseKey, Kid) {
    let base = BaseKey::from_bytes(&[7; 32]).expect("32 bytes");
    (base, Kid::new(Slot::MICROPHONE, LeafIndex(3), domain::Epoch(9)))
}

/// A good frame of [`frame_key`].
pub fn good_frame() -> Vec<u8> {
    let (base, kid) = frame_key();
    let mut out = Vec::new();
    let mut key = SealKey::new(&base, kid, Codec::Opus);
    key.seal(false, b"twenty milliseconds of sound", 1, &mut out).expect("a frame");
    out
}

/// A frame on its way to a receiver: only what was sealed opens.
pub fn sealed_frame(data: &[u8]) {
    let (base, kid) = frame_key();
    for codec in CODECS {
        let mut key = OpenKey::live(&base, kid);
        if let Ok(opened) = key.open(codec, data) {
            assert_eq!((codec, opened.frame.as_slice()), (Codec::Opus, &b"twenty milliseconds of sound"[..]));
        }
    }
}
