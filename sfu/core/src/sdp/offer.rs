//! The subscribe offer: one sending section per track, in stable order with stable mids. A section whose track ended is
//! inactive until it carries another.

use super::read::{Description, Media};
use super::{
    ABS_SEND_TIME, LocalTransport, SdpError, TRANSPORT_SEQUENCE, carried, write_candidates, write_codec, write_session,
    write_transport,
};
use crate::rewrite::{ABS_SEND_TIME_ID, TRANSPORT_SEQUENCE_ID, carried_id};
use crate::rtp::dependency;
use crate::subscription::payload_types;
use domain::{Codec, MediaKind};
use std::fmt::Write;

/// One section of a subscribe offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferSection {
    /// `a=mid`.
    pub mid: String,
    /// Codec of its present or last track.
    pub codec: Codec,
    /// SSRC of the media.
    pub ssrc: u32,
    /// SSRC of retransmissions.
    pub repair_ssrc: u32,
    /// Id of the stream that ties sound and picture of one person; `None` if the section is inactive.
    pub stream: Option<String>,
}

/// Writes the offer.
pub fn write(local: &LocalTransport, revision: u32, sections: &[OfferSection]) -> String {
    let mut out = String::with_capacity(1024 * sections.len().max(1));
    write_session(&mut out, revision, sections.iter().map(|s| s.mid.as_str()));
    for section in sections {
        write_section(&mut out, local, section);
    }
    out
}

fn write_section(out: &mut String, local: &LocalTransport, section: &OfferSection) {
    let (kind, parameters) = match section.codec.kind() {
        MediaKind::Audio => ("audio", Some("minptime=10;useinbandfec=1")),
        MediaKind::Video => ("video", None),
    };
    let _ = write!(out, "m={kind} 9 UDP/TLS/RTP/SAVPF");
    for (payload_type, repair) in named(section.codec).map(payload_types) {
        let _ = write!(out, " {payload_type}");
        if let Some(repair) = repair {
            let _ = write!(out, " {repair}");
        }
    }
    out.push_str("\r\n");
    write_transport(out, local, "actpass");
    let direction = if section.stream.is_some() { "sendonly" } else { "inactive" };
    let _ = write!(out, "a=mid:{}\r\na={direction}\r\n", section.mid);
    let _ = write!(out, "a=extmap:{ABS_SEND_TIME_ID} {ABS_SEND_TIME}\r\n");
    let _ = write!(out, "a=extmap:{TRANSPORT_SEQUENCE_ID} {TRANSPORT_SEQUENCE}\r\n");
    if let (Some(uri), id) = (carried(section.codec), carried_id(section.codec)) {
        let _ = write!(out, "a=extmap:{id} {uri}\r\n");
    }
    for codec in named(section.codec) {
        let (payload_type, repair) = payload_types(codec);
        write_codec(out, codec, payload_type, repair, parameters);
    }
    let (_, repair) = payload_types(section.codec);
    if let Some(stream) = &section.stream {
        let (ssrc, again, mid) = (section.ssrc, section.repair_ssrc, &section.mid);
        let _ = write!(out, "a=msid:{stream} {stream}-{mid}\r\n");
        if repair.is_some() {
            let _ = write!(out, "a=ssrc-group:FID {ssrc} {again}\r\n");
        }
        let _ = write!(out, "a=ssrc:{ssrc} cname:{stream}\r\n");
        if repair.is_some() {
            let _ = write!(out, "a=ssrc:{again} cname:{stream}\r\n");
        }
    }
    write_candidates(out, local);
}

/// What a section names: its track's codec, and behind it the one that every browser has, so that a browser without the
/// first can still answer: a section that it refused could never be used again.
fn named(codec: Codec) -> impl Iterator<Item = Codec> {
    let fallback = matches!(codec, Codec::Vp9 | Codec::Av1).then_some(Codec::Vp8);
    std::iter::once(codec).chain(fallback)
}

/// Does the answer's section take this codec? AV1 only with its dependency descriptor: a receiver without one can tell
/// neither its layers nor where it may begin.
pub fn takes(answer: &Description, mid: &str, codec: Codec) -> bool {
    let section = answer.media.iter().find(|media| media.mid == mid);
    let described = |media: &Media| codec != Codec::Av1 || media.extension(dependency::URI) == carried_id(codec);
    section.is_some_and(|media| media.format(codec).is_some() && described(media))
}

/// Mids that the page's answer takes. The page must be the DTLS client.
pub fn accepted(answer: &Description) -> Result<Vec<String>, SdpError> {
    if answer.setup != "active" {
        return Err(SdpError::Role(answer.setup.clone()));
    }
    let taken = answer.media.iter().filter(|m| !m.rejected && m.direction.receives());
    Ok(taken.map(|m| m.mid.clone()).collect())
}
