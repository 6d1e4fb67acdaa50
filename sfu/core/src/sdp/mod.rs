//! The SDP that a page and the SFU need between them (RFC 8866, RFC 8829): reading a browser's description, answering
//! its publish offer, and making the subscribe offer. No state, no I/O.

pub mod answer;
pub mod offer;
pub mod read;

use crate::rtp::dependency;
use domain::Codec;
use std::fmt::Write;
use std::net::SocketAddr;

/// URI of the mid extension (RFC 9143).
pub const MID: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
/// URI of the transport-wide sequence number.
pub const TRANSPORT_SEQUENCE: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
/// URI of the absolute send time.
pub const ABS_SEND_TIME: &str = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time";
/// URI of the audio level (RFC 6464).
pub const AUDIO_LEVEL: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";

/// URI of the name of a packet's layer (RFC 8852).
pub const RID: &str = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id";
/// URI of the name of the layer that a retransmission repairs (RFC 8852).
pub const REPAIRED_RID: &str = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id";

/// URI of the color space: what white and black are where the codec cannot say it.
pub const COLOR_SPACE: &str = "http://www.webrtc.org/experiments/rtp-hdrext/color-space";

/// The extension that goes on to subscribers as its sender wrote it: with AV1 what tells its layers, with VP8 and VP9 the
/// range of the colors, which their bitstream does not tell (AV1's does).
pub fn carried(codec: Codec) -> Option<&'static str> {
    match codec {
        Codec::Opus => None,
        Codec::Vp8 | Codec::Vp9 => Some(COLOR_SPACE),
        Codec::Av1 => Some(dependency::URI),
    }
}

/// Our end of a transport, as the edge made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalTransport {
    /// ICE user name fragment.
    pub ufrag: String,
    /// ICE password.
    pub password: String,
    /// Name of the DTLS association (`tls-id` of RFC 8842, 20 characters at least): another one only for another
    /// association, so that an ICE restart can be told from a new transport.
    pub association: String,
    /// SHA-256 of our DTLS certificate, as `AA:BB:...`.
    pub fingerprint: String,
    /// Where we listen for datagrams.
    pub candidates: Vec<SocketAddr>,
    /// Where we take TCP connections (RFC 6544).
    pub tcp: Vec<SocketAddr>,
}

/// What is wrong with a description. The page made it: its fault, shown to it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SdpError {
    /// Too long, or too many sections.
    #[error("the session description is too large")]
    TooLarge,
    /// A line that cannot be read.
    #[error("line {0} of the session description cannot be read")]
    Line(usize),
    /// Something every section needs is nowhere.
    #[error("the session description lacks {0}")]
    Lacks(&'static str),
    /// The page wants a DTLS role that leaves us no passive one.
    #[error("the DTLS role {0:?} cannot be accepted here")]
    Role(String),
    /// A published track names a section or codec that the offer does not have.
    #[error("section {mid:?} cannot carry {codec:?}")]
    Codec {
        /// `a=mid`.
        mid: String,
        /// What was announced.
        codec: Codec,
    },
}

/// Session part: one bundle, ICE-lite, and header extensions of both lengths (without it Chromium never sends those
/// that need two bytes).
fn write_session<'a>(out: &mut String, version: u32, mids: impl Iterator<Item = &'a str>) {
    let mids: Vec<&str> = mids.collect();
    let _ = write!(
        out,
        "v=0\r\no=- 1 {version} IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {}\r\na=ice-lite\r\n\
         a=extmap-allow-mixed\r\na=msid-semantic: WMS *\r\n",
        mids.join(" ")
    );
}

fn write_transport(out: &mut String, local: &LocalTransport, setup: &str) {
    let _ = write!(
        out,
        "c=IN IP4 0.0.0.0\r\na=rtcp-mux\r\na=rtcp-rsize\r\na=ice-ufrag:{}\r\na=ice-pwd:{}\r\n\
         a=fingerprint:sha-256 {}\r\na=tls-id:{}\r\na=setup:{setup}\r\n",
        local.ufrag, local.password, local.fingerprint, local.association
    );
}

/// Candidates are host candidates of one component each, the first preferred. TCP comes after all of UDP: passive ones with
/// the preferences of RFC 6544 section 4.2 and the type preference that browsers have for host candidates over TCP.
fn write_candidates(out: &mut String, local: &LocalTransport) {
    for (at, address) in local.candidates.iter().enumerate() {
        let priority = 126u32 << 24 | (65_535 - at as u32) << 8 | 255;
        let (n, ip, port) = (at + 1, address.ip(), address.port());
        let _ = write!(out, "a=candidate:{n} 1 udp {priority} {ip} {port} typ host\r\n");
    }
    for (at, address) in local.tcp.iter().enumerate() {
        let priority = 90u32 << 24 | (4 << 13 | (8_191 - at as u32)) << 8 | 255;
        let (n, ip, port) = (local.candidates.len() + at + 1, address.ip(), address.port());
        let _ = write!(out, "a=candidate:{n} 1 tcp {priority} {ip} {port} typ host tcptype passive\r\n");
    }
    out.push_str("a=end-of-candidates\r\n");
}

fn write_feedback(out: &mut String, codec: Codec, payload_type: u8) {
    let kinds: &[&str] = match codec {
        Codec::Opus => &["transport-cc"],
        Codec::Vp8 | Codec::Vp9 | Codec::Av1 => &["transport-cc", "nack", "nack pli", "ccm fir"],
    };
    for kind in kinds {
        let _ = write!(out, "a=rtcp-fb:{payload_type} {kind}\r\n");
    }
}

fn write_codec(out: &mut String, codec: Codec, payload_type: u8, repair: Option<u8>, parameters: Option<&str>) {
    let clock = match codec {
        Codec::Opus => "48000/2",
        Codec::Vp8 | Codec::Vp9 | Codec::Av1 => "90000",
    };
    let _ = write!(out, "a=rtpmap:{payload_type} {}/{clock}\r\n", codec.sdp_name());
    if let Some(parameters) = parameters {
        let _ = write!(out, "a=fmtp:{payload_type} {parameters}\r\n");
    }
    write_feedback(out, codec, payload_type);
    if let Some(repair) = repair {
        let _ = write!(out, "a=rtpmap:{repair} rtx/90000\r\na=fmtp:{repair} apt={payload_type}\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Slot;
    use domain::message::client::PublishedTrack;

    /// As Chromium 156 wrote it: `addTransceiver` of a microphone and a camera, both `sendonly`.
    const CHROMIUM: &str = include_str!("chromium-offer.sdp");

    fn local() -> LocalTransport {
        LocalTransport {
            ufrag: "abcd".into(),
            password: "p".repeat(24),
            association: "a".repeat(20),
            fingerprint: ["AB"; 32].join(":"),
            candidates: vec!["127.0.0.1:8445".parse().expect("address"), "10.0.0.7:8445".parse().expect("address")],
            tcp: vec!["10.0.0.7:443".parse().expect("address")],
        }
    }

    fn tracks() -> Vec<PublishedTrack> {
        vec![
            PublishedTrack { mid: "0".into(), slot: Slot::MICROPHONE, codec: Codec::Opus },
            PublishedTrack { mid: "1".into(), slot: Slot::CAMERA, codec: Codec::Vp8 },
        ]
    }

    #[test]
    fn a_chromium_offer_is_answered_with_what_was_announced() {
        let offer = read::read(CHROMIUM).expect("Chromium's own words");
        let sections = answer::negotiate(&offer, &tracks()).expect("both fit");
        assert_eq!(sections[1].ssrcs, Some((3_548_792_766, Some(3_911_424_203))));
        assert_eq!((sections[1].payload_type, sections[1].repair_payload_type), (96, Some(97)));
        assert_eq!((sections[0].mid_id, sections[0].transport_sequence_id, sections[0].level_id), (4, 3, 1));
        let text = answer::write(&local(), &offer, &sections);
        for line in [
            "a=group:BUNDLE 0 1",
            "a=ice-lite",
            "a=extmap-allow-mixed",
            "a=setup:passive",
            "a=recvonly",
            "a=fmtp:111 minptime=10;useinbandfec=1",
            "a=rtcp-fb:96 nack pli",
            "a=rtcp-fb:96 transport-cc",
            "a=fmtp:97 apt=96",
            "a=candidate:1 1 udp 2130706431 127.0.0.1 8445 typ host",
            "a=candidate:2 1 udp 2130706175 10.0.0.7 8445 typ host",
            "a=candidate:3 1 tcp 1520435199 10.0.0.7 443 typ host tcptype passive",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
        }
        assert!(!text.contains("rtp-stream-id") && !text.contains("G722"));
        let ours = read::read(&text).expect("our own words");
        assert_eq!(ours.media.len(), 2);
        assert_eq!(ours.media[1].formats.len(), 2);
    }

    /// The camera of [`CHROMIUM`] in three layers, as Chromium writes it: names instead of SSRCs.
    fn layered() -> String {
        let (before, camera) = CHROMIUM.split_at(CHROMIUM.find("m=video").expect("a camera"));
        let lines = camera.lines().filter(|line| !line.starts_with("a=ssrc"));
        let mut text = format!("{before}{}\r\n", lines.collect::<Vec<_>>().join("\r\n"));
        if !text.contains(RID) {
            text.push_str(&format!("a=extmap:10 {RID}\r\na=extmap:11 {REPAIRED_RID}\r\n"));
        }
        text.push_str("a=rid:q send\r\na=rid:h send\r\na=rid:f send\r\na=simulcast:send q;~h;f\r\n");
        text
    }

    #[test]
    fn layers_are_answered_by_name_with_those_of_their_retransmissions() {
        let offer = read::read(&layered()).expect("Chromium's own words");
        let sections = answer::negotiate(&offer, &tracks()).expect("both fit");
        assert_eq!(sections[1].rids, ["q", "h", "f"]);
        assert!(sections[1].ssrcs.is_none() && sections[1].rid_id != 0 && sections[1].repair_rid_id != 0);
        let text = answer::write(&local(), &offer, &sections);
        for line in ["a=rid:q recv", "a=rid:f recv", "a=simulcast:recv q;h;f"] {
            assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
        }
        assert!(text.contains(RID) && text.contains(REPAIRED_RID) && text.contains(MID));
        // without the extension that names them they cannot be told apart
        let nameless = layered().replace(RID, "urn:x-none");
        let refused = answer::negotiate(&read::read(&nameless).expect("readable"), &tracks());
        assert!(matches!(refused, Err(SdpError::Codec { .. })));
        for bad in ["q;q", "q;h;f;g;i", "q;", "q;h h", "q/1"] {
            let text = layered().replace("q;~h;f", bad);
            assert!(bad == "q;h h" || read::read(&text).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_section_that_nothing_was_announced_for_is_inactive_and_a_wrong_announcement_is_refused() {
        let offer = read::read(CHROMIUM).expect("Chromium's own words");
        let sections = answer::negotiate(&offer, &tracks()[1..]).expect("the camera fits");
        let ours = read::read(&answer::write(&local(), &offer, &sections)).expect("our own words");
        assert_eq!(ours.media[0].direction, read::Direction::Inactive);
        assert_eq!(ours.media[1].direction, read::Direction::ReceiveOnly);
        for (mid, slot, codec) in
            [("9", 2, Codec::Vp8), ("0", 2, Codec::Vp8), ("1", 0, Codec::Vp8), ("1", 2, Codec::Av1)]
        {
            let wrong = PublishedTrack { mid: mid.into(), slot: Slot(slot), codec };
            assert!(matches!(answer::negotiate(&offer, &[wrong]), Err(SdpError::Codec { .. })), "{mid} {slot}");
        }
        let mut passive = offer;
        passive.setup = "passive".into();
        assert!(matches!(answer::negotiate(&passive, &tracks()), Err(SdpError::Role(_))));
    }

    /// The camera of [`CHROMIUM`] in another codec, as Chromium writes AV1 and VP9 with layers.
    fn nested(payload_type: u8, name: &str, dependency: &str) -> String {
        let (before, camera) = CHROMIUM.split_at(CHROMIUM.find("m=video").expect("a camera"));
        let camera = camera.replace("96", &payload_type.to_string()).replace("VP8", name);
        format!("{before}{}\r\na=extmap:12 {dependency}\r\n", camera.trim_end())
    }

    #[test]
    fn a_descriptor_is_taken_where_layers_are_told_by_nothing_else_and_the_color_space_where_colors_are_not() {
        let uri = dependency::URI;
        for (payload_type, codec, id) in [(45, Codec::Av1, 12), (98, Codec::Vp9, 8)] {
            let offer = read::read(&nested(payload_type, codec.sdp_name(), uri)).expect("readable");
            let track = PublishedTrack { mid: "1".into(), slot: Slot::CAMERA, codec };
            let sections = answer::negotiate(&offer, &[track]).expect("it fits");
            assert_eq!(sections[0].carried_id, id);
            let text = answer::write(&local(), &offer, &sections);
            assert_eq!((text.contains(uri), text.contains(COLOR_SPACE)), (id == 12, id == 8), "{text}");
            assert!(text.contains("a=extmap-allow-mixed"), "or Chromium never sends a structure");
        }
    }

    #[test]
    fn other_codecs_are_offered_with_the_common_one_behind_them_and_taken_by_name() {
        let section = |codec| offer::OfferSection {
            mid: "s1".into(),
            codec,
            ssrc: 10,
            repair_ssrc: 11,
            stream: Some("person3".into()),
        };
        let written = |codec| offer::write(&local(), 1, &[section(codec)]);
        let text = written(Codec::Av1);
        let dependency = format!("a=extmap:4 {}", dependency::URI);
        for line in
            ["m=video 9 UDP/TLS/RTP/SAVPF 45 46 96 97", "a=rtpmap:96 VP8/90000", "a=fmtp:46 apt=45", &dependency]
        {
            assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
        }
        assert!(written(Codec::Vp9).contains("SAVPF 98 99 96 97") && !written(Codec::Vp9).contains(&dependency));
        assert!(written(Codec::Vp8).contains("SAVPF 96 97\r\n"));
        assert!(written(Codec::Vp8).contains(&format!("a=extmap:5 {COLOR_SPACE}")));
        let answer = |text: &str| read::read(text).expect("readable");
        assert!(offer::takes(&answer(&text), "s1", Codec::Av1) && !offer::takes(&answer(&text), "s2", Codec::Av1));
        assert!(!offer::takes(&answer(&text.replace(&dependency, "a=x-none")), "s1", Codec::Av1), "without descriptor");
        assert!(!offer::takes(&answer(&text.replace("AV1/", "X-none/")), "s1", Codec::Av1), "without decoder");
        assert!(offer::takes(&answer(&written(Codec::Vp9)), "s1", Codec::Vp9));
    }

    #[test]
    fn sound_is_negotiated_without_redundancy_and_without_repetition() {
        let wished = CHROMIUM.replace("a=rtcp-fb:111 transport-cc", "a=rtcp-fb:111 transport-cc\r\na=rtcp-fb:111 nack");
        assert!(wished.contains("red/48000") && wished.contains("a=rtcp-fb:111 nack"));
        let offer = read::read(&wished).expect("readable");
        let sections = answer::negotiate(&offer, &tracks()).expect("both fit");
        let answered = answer::write(&local(), &offer, &sections);
        let sound = offer::OfferSection {
            mid: "s1".into(),
            codec: Codec::Opus,
            ssrc: 10,
            repair_ssrc: 11,
            stream: Some("person3".into()),
        };
        for text in [answered, offer::write(&local(), 1, &[sound])] {
            assert!(!text.contains("red/") && !text.contains("a=rtcp-fb:111 nack"), "{text}");
            assert!(text.contains("useinbandfec=1"), "{text}");
        }
    }

    #[test]
    fn port_zero_inside_a_bundle_is_no_refusal() {
        let bundled =
            CHROMIUM.replacen("m=video 9 ", "m=video 0 ", 1).replacen("a=mid:1", "a=bundle-only\r\na=mid:1", 1);
        let offer = read::read(&bundled).expect("Firefox's way to say it");
        assert!(!offer.media[1].rejected);
        let refused = read::read(&CHROMIUM.replacen("m=video 9 ", "m=video 0 ", 1)).expect("well formed");
        assert!(refused.media[1].rejected);
    }

    #[test]
    fn an_offer_names_each_track_and_keeps_the_place_of_one_that_ended() {
        let section = |n: u32, codec, stream: Option<&str>| offer::OfferSection {
            mid: format!("s{n}"),
            codec,
            ssrc: 10 * n,
            repair_ssrc: 10 * n + 1,
            stream: stream.map(Into::into),
        };
        let sections = [
            section(1, Codec::Opus, Some("person3")),
            section(2, Codec::Vp8, Some("person3")),
            section(3, Codec::Vp8, None),
        ];
        let text = offer::write(&local(), 4, &sections);
        let read = read::read(&text).expect("our own words");
        assert!(text.contains("o=- 1 4 IN IP4") && text.contains("a=setup:actpass"));
        assert!(text.contains("a=msid:person3 person3-s2\r\na=ssrc-group:FID 20 21\r\n"));
        assert_eq!(read.media[2].direction, read::Direction::Inactive);
        assert!(read.media[2].ssrcs.is_empty());
        assert_eq!(read.media[1].repair(96), Some(97));
    }

    #[test]
    fn an_answer_says_what_it_takes_and_must_be_the_active_one() {
        let text = CHROMIUM.replace("actpass", "active").replacen("a=sendonly", "a=recvonly", 1);
        let read = read::read(&text).expect("readable");
        assert_eq!(offer::accepted(&read), Ok(vec!["0".to_owned()]));
        let read = read::read(CHROMIUM).expect("readable");
        assert!(matches!(offer::accepted(&read), Err(SdpError::Role(_))));
    }

    #[test]
    fn sections_without_a_mid_of_their_own_are_refused_unless_rejected() {
        let nameless = CHROMIUM.replacen("a=mid:1", "a=x-mid:1", 1);
        assert!(matches!(read::read(&nameless), Err(SdpError::Lacks(_))), "its answer could not be read");
        assert!(matches!(read::read(&CHROMIUM.replacen("a=mid:1", "a=mid:0", 1)), Err(SdpError::Lacks(_))));
        let rejected = read::read(&nameless.replacen("m=video 9 ", "m=video 0 ", 1)).expect("nothing to name");
        let answer = answer::write(&local(), &rejected, &[]);
        assert!(!answer.contains("a=mid:\r\n") && read::read(&answer).is_ok(), "{answer}");
    }

    #[test]
    fn broken_descriptions_are_named() {
        assert_eq!(read::read(""), Err(SdpError::Lacks("ICE parameters")));
        assert_eq!(read::read("v=0\r\nm=audio\r\n"), Err(SdpError::Line(2)));
        let no_print = CHROMIUM.replace("a=fingerprint:sha-256", "a=fingerprint:sha-1");
        assert_eq!(read::read(&no_print), Err(SdpError::Lacks("a SHA-256 fingerprint")));
        assert_eq!(read::read(&"a".repeat(read::MAX_LENGTH + 1)), Err(SdpError::TooLarge));
        for cut in (0..CHROMIUM.len()).step_by(7) {
            let _ = read::read(&CHROMIUM[..cut]);
        }
    }
}
