//! The answer to a page's publish offer: we receive what was announced, and stay inactive in every other section.

use super::read::{Description, Media};
use super::{
    AUDIO_LEVEL, LocalTransport, MID, REPAIRED_RID, RID, SdpError, TRANSPORT_SEQUENCE, carried, write_candidates,
    write_codec, write_session, write_transport,
};
use crate::track::PublishSection;
use domain::message::client::PublishedTrack;
use std::fmt::Write;

/// Fits the announced tracks to the offer's sections.
pub fn negotiate(offer: &Description, tracks: &[PublishedTrack]) -> Result<Vec<PublishSection>, SdpError> {
    if offer.setup == "passive" {
        return Err(SdpError::Role(offer.setup.clone()));
    }
    let mut sections = Vec::new();
    for track in tracks {
        let unfit = || SdpError::Codec { mid: track.mid.clone(), codec: track.codec };
        let media = offer.media.iter().find(|m| m.mid == track.mid).ok_or_else(unfit)?;
        if media.media_kind() != Some(track.codec.kind()) || track.slot.kind() != Some(track.codec.kind()) {
            return Err(unfit());
        }
        if media.rejected || !media.direction.sends() {
            continue;
        }
        sections.push(section(media, track).ok_or_else(unfit)?);
    }
    Ok(sections)
}

fn section(media: &Media, track: &PublishedTrack) -> Option<PublishSection> {
    let format = media.format(track.codec)?;
    let ssrcs = media.ssrcs.first().map(|first| {
        let pair = media.pairs.iter().find(|(media, _)| media == first);
        (*first, pair.map(|(_, repair)| *repair))
    });
    // layers are slots from the first: without their names nobody could tell them apart
    let rids = media.simulcast.clone();
    if !rids.is_empty() && (media.extension(RID) == 0 || media.extension(MID) == 0) {
        return None;
    }
    Some(PublishSection {
        mid: track.mid.clone(),
        slot: track.slot,
        codec: track.codec,
        payload_type: format.payload_type,
        repair_payload_type: media.repair(format.payload_type),
        ssrcs,
        mid_id: media.extension(MID),
        transport_sequence_id: media.extension(TRANSPORT_SEQUENCE),
        level_id: media.extension(AUDIO_LEVEL),
        rid_id: if rids.is_empty() { 0 } else { media.extension(RID) },
        repair_rid_id: if rids.is_empty() { 0 } else { media.extension(REPAIRED_RID) },
        carried_id: carried(track.codec).map_or(0, |uri| media.extension(uri)),
        rids,
    })
}

/// Writes the answer.
pub fn write(local: &LocalTransport, offer: &Description, sections: &[PublishSection]) -> String {
    let mut out = String::with_capacity(1024 * offer.media.len().max(1));
    let bundled = offer.media.iter().filter(|m| m.media_kind().is_some() && !m.mid.is_empty());
    write_session(&mut out, 1, bundled.map(|m| m.mid.as_str()));
    for media in &offer.media {
        match sections.iter().find(|s| s.mid == media.mid) {
            Some(section) => write_receiving(&mut out, local, media, section),
            None => write_idle(&mut out, local, media),
        }
    }
    out
}

fn write_receiving(out: &mut String, local: &LocalTransport, media: &Media, section: &PublishSection) {
    let types = match section.repair_payload_type {
        Some(repair) => format!("{} {repair}", section.payload_type),
        None => section.payload_type.to_string(),
    };
    let _ = write!(out, "m={} 9 UDP/TLS/RTP/SAVPF {types}\r\n", media.kind);
    write_transport(out, local, "passive");
    let _ = write!(out, "a=mid:{}\r\na=recvonly\r\n", media.mid);
    for (id, uri) in [
        (section.mid_id, MID),
        (section.transport_sequence_id, TRANSPORT_SEQUENCE),
        (section.level_id, AUDIO_LEVEL),
        (section.rid_id, RID),
        (section.repair_rid_id, REPAIRED_RID),
        (section.carried_id, carried(section.codec).unwrap_or_default()),
    ] {
        if id != 0 {
            let _ = write!(out, "a=extmap:{id} {uri}\r\n");
        }
    }
    let offered = media.formats.iter().find(|f| f.payload_type == section.payload_type);
    let parameters = offered.and_then(|f| f.parameters.as_deref());
    write_codec(out, section.codec, section.payload_type, section.repair_payload_type, parameters);
    if !section.rids.is_empty() {
        for rid in &section.rids {
            let _ = write!(out, "a=rid:{rid} recv\r\n");
        }
        let _ = write!(out, "a=simulcast:recv {}\r\n", section.rids.join(";"));
    }
    write_candidates(out, local);
}

/// A section that carries nothing to us: inactive, or rejected if it is no RTP at all.
fn write_idle(out: &mut String, local: &LocalTransport, media: &Media) {
    let format = media.formats.first().filter(|_| media.media_kind().is_some() && !media.mid.is_empty());
    let Some(format) = format else {
        let _ = write!(out, "m={} 0 {}\r\nc=IN IP4 0.0.0.0\r\n", media.kind, media.protocol);
        if !media.mid.is_empty() {
            let _ = write!(out, "a=mid:{}\r\n", media.mid);
        }
        out.push_str("a=inactive\r\n");
        return;
    };
    let _ = write!(out, "m={} 9 UDP/TLS/RTP/SAVPF {}\r\n", media.kind, format.payload_type);
    write_transport(out, local, "passive");
    let _ = write!(out, "a=mid:{}\r\na=inactive\r\n", media.mid);
    let _ = write!(out, "a=rtpmap:{} {}\r\n", format.payload_type, format.name);
    if let Some(parameters) = &format.parameters {
        let _ = write!(out, "a=fmtp:{} {parameters}\r\n", format.payload_type);
    }
    write_candidates(out, local);
}
