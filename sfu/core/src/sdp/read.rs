//! Reads a browser's session description as far as the SFU needs it; unknown lines are passed over.

use super::SdpError;
use domain::limits::MAX_LAYERS;
use domain::{Codec, MediaKind};
use std::collections::BTreeSet;

/// Longest description taken: 500 sections of about 1.5 kB.
pub const MAX_LENGTH: usize = 1 << 20;
/// Most m-sections taken.
pub const MAX_MEDIA: usize = 512;
/// Lengths of ICE parameters (RFC 8839 section 5.4): 4 to 256 characters.
const ICE_LENGTHS: std::ops::RangeInclusive<usize> = 4..=256;

/// Direction attribute, as the writer of the description sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Both.
    #[default]
    SendReceive,
    /// Only sends.
    SendOnly,
    /// Only receives.
    ReceiveOnly,
    /// Neither.
    Inactive,
}

impl Direction {
    /// Does its writer send?
    pub fn sends(self) -> bool {
        matches!(self, Self::SendReceive | Self::SendOnly)
    }
    /// Does its writer receive?
    pub fn receives(self) -> bool {
        matches!(self, Self::SendReceive | Self::ReceiveOnly)
    }
}

/// One payload type of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    /// Payload type.
    pub payload_type: u8,
    /// `VP8/90000`.
    pub name: String,
    /// `a=fmtp`.
    pub parameters: Option<String>,
}

/// One m-section.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Media {
    /// `audio`, `video`, `application`.
    pub kind: String,
    /// Port is 0.
    pub rejected: bool,
    /// The rest of the m-line after the port.
    pub protocol: String,
    /// `a=mid`.
    pub mid: String,
    /// Direction.
    pub direction: Direction,
    /// Formats in order of preference.
    pub formats: Vec<Format>,
    /// Header extensions.
    pub extensions: Vec<(u8, String)>,
    /// SSRCs in order of appearance.
    pub ssrcs: Vec<u32>,
    /// `a=ssrc-group:FID` pairs.
    pub pairs: Vec<(u32, u32)>,
    /// Names of the simulcast layers that its writer sends, in its order.
    pub simulcast: Vec<String>,
}

/// A description.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Description {
    /// ICE user name fragment.
    pub ufrag: String,
    /// ICE password.
    pub password: String,
    /// SHA-256 of the page's certificate.
    pub fingerprint: Vec<u8>,
    /// `a=setup`.
    pub setup: String,
    /// Sections.
    pub media: Vec<Media>,
}

/// Reads a description; ICE parameters, a SHA-256 fingerprint and a role must be there, once for the whole bundle.
pub fn read(text: &str) -> Result<Description, SdpError> {
    if text.len() > MAX_LENGTH {
        return Err(SdpError::TooLarge);
    }
    let mut out = Description::default();
    for (at, line) in text.lines().enumerate() {
        self::line(&mut out, line.trim_end()).ok_or(SdpError::Line(at + 1))?;
        if out.media.len() > MAX_MEDIA {
            return Err(SdpError::TooLarge);
        }
    }
    if !ICE_LENGTHS.contains(&out.ufrag.len()) || !ICE_LENGTHS.contains(&out.password.len()) {
        return Err(SdpError::Lacks("ICE parameters"));
    }
    if out.fingerprint.len() != 32 {
        return Err(SdpError::Lacks("a SHA-256 fingerprint"));
    }
    if out.setup.is_empty() {
        return Err(SdpError::Lacks("a DTLS role"));
    }
    check_mids(&out.media)?;
    Ok(out)
}

/// Every section of the bundle is known by its mid (RFC 8843 section 7.1): each has one, no two the same.
fn check_mids(media: &[Media]) -> Result<(), SdpError> {
    let mut seen = BTreeSet::new();
    for section in media {
        let nameless = section.mid.is_empty();
        if nameless && !section.rejected {
            return Err(SdpError::Lacks("a mid for every section"));
        }
        if !nameless && !seen.insert(section.mid.as_str()) {
            return Err(SdpError::Lacks("a mid of its own for every section"));
        }
    }
    Ok(())
}

fn line(out: &mut Description, line: &str) -> Option<()> {
    if let Some(rest) = line.strip_prefix("m=") {
        let mut parts = rest.splitn(3, ' ');
        let (kind, port, protocol) = (parts.next()?, parts.next()?, parts.next()?);
        let rejected = port == "0";
        let (kind, protocol) = (kind.to_owned(), protocol.to_owned());
        out.media.push(Media { kind, rejected, protocol, ..Media::default() });
        return Some(());
    }
    let Some(attribute) = line.strip_prefix("a=") else { return Some(()) };
    let (name, value) = attribute.split_once(':').unwrap_or((attribute, ""));
    match name {
        // a bundle has one transport: the first section's words count
        "ice-ufrag" if out.ufrag.is_empty() => out.ufrag = ice(value)?,
        "ice-pwd" if out.password.is_empty() => out.password = ice(value)?,
        "setup" if out.setup.is_empty() => out.setup = value.to_owned(),
        "fingerprint" if out.fingerprint.is_empty() => {
            if let Some(hex) = value.strip_prefix("sha-256 ").or_else(|| value.strip_prefix("SHA-256 ")) {
                out.fingerprint = fingerprint(hex)?;
            }
        }
        _ => {
            if let Some(media) = out.media.last_mut() {
                media_attribute(media, name, value)?;
            }
        }
    }
    Some(())
}

fn ice(value: &str) -> Option<String> {
    let fine = value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'-' | b'_' | b'='));
    fine.then(|| value.to_owned())
}

fn fingerprint(hex: &str) -> Option<Vec<u8>> {
    hex.trim().split(':').map(|byte| u8::from_str_radix(byte, 16).ok()).collect()
}

fn media_attribute(media: &mut Media, name: &str, value: &str) -> Option<()> {
    match name {
        "mid" => {
            let fine = (1..=32).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_graphic());
            media.mid = fine.then(|| value.to_owned())?;
        }
        "sendrecv" => media.direction = Direction::SendReceive,
        "sendonly" => media.direction = Direction::SendOnly,
        "recvonly" => media.direction = Direction::ReceiveOnly,
        "inactive" => media.direction = Direction::Inactive,
        // RFC 8843 section 6: port 0 here means "only inside the bundle", not "rejected" (Firefox offers so)
        "bundle-only" => media.rejected = false,
        "rtpmap" => {
            let (payload_type, name) = value.split_once(' ')?;
            let payload_type = payload_type.parse().ok().filter(|pt| *pt < 128)?;
            media.formats.push(Format { payload_type, name: name.to_owned(), parameters: None });
        }
        "fmtp" => {
            let (payload_type, parameters) = value.split_once(' ')?;
            let payload_type: u8 = payload_type.parse().ok()?;
            if let Some(format) = media.formats.iter_mut().find(|f| f.payload_type == payload_type) {
                format.parameters = Some(parameters.to_owned());
            }
        }
        "extmap" => {
            let (id, uri) = value.split_once(' ')?;
            let id = id.split('/').next()?.parse().ok()?;
            media.extensions.push((id, uri.split(' ').next()?.to_owned()));
        }
        "ssrc" => {
            let ssrc = value.split(' ').next()?.parse().ok()?;
            if !media.ssrcs.contains(&ssrc) && media.ssrcs.len() < 16 {
                media.ssrcs.push(ssrc);
            }
        }
        // of alternatives the first counts; a paused layer is a layer
        "simulcast" => {
            if let Some(layers) = value.strip_prefix("send ").and_then(|rest| rest.split(' ').next()) {
                let first = |layer: &str| layer.split(',').next().unwrap_or("").trim_start_matches('~').to_owned();
                let rids: Vec<String> = layers.split(';').map(first).collect();
                let fine =
                    |rid: &String| (1..=16).contains(&rid.len()) && rid.bytes().all(|b| b.is_ascii_alphanumeric());
                let distinct = (1..rids.len()).all(|at| !rids[..at].contains(&rids[at]));
                if rids.len() > usize::from(MAX_LAYERS) || !rids.iter().all(fine) || !distinct {
                    return None;
                }
                media.simulcast = rids;
            }
        }
        "ssrc-group" => {
            let mut parts = value.split(' ');
            if parts.next()? == "FID" {
                media.pairs.push((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?));
            }
        }
        _ => {}
    }
    Some(())
}

impl Media {
    /// Sound or picture; `None` for data channels.
    pub fn media_kind(&self) -> Option<MediaKind> {
        match self.kind.as_str() {
            "audio" => Some(MediaKind::Audio),
            "video" => Some(MediaKind::Video),
            _ => None,
        }
    }

    /// The first format of a codec. VP9 profile 0 only, as the shim knows no other.
    pub fn format(&self, codec: Codec) -> Option<&Format> {
        let prefix = format!("{}/", codec.sdp_name());
        self.formats.iter().find(|f| {
            let named = f.name.len() >= prefix.len()
                && f.name.get(..prefix.len()).is_some_and(|n| n.eq_ignore_ascii_case(&prefix));
            let profile =
                f.parameters.as_deref().is_some_and(|p| p.contains("profile-id=") && !p.contains("profile-id=0"));
            named && !(codec == Codec::Vp9 && profile)
        })
    }

    /// The retransmission format of a payload type.
    pub fn repair(&self, payload_type: u8) -> Option<u8> {
        let apt = format!("apt={payload_type}");
        let fits = |p: &str| p.split(';').any(|part| part.trim() == apt);
        let repair = self
            .formats
            .iter()
            .find(|f| f.name.to_ascii_lowercase().starts_with("rtx/") && f.parameters.as_deref().is_some_and(fits));
        repair.map(|f| f.payload_type)
    }

    /// Id of an extension, 0 if it is not offered.
    pub fn extension(&self, uri: &str) -> u8 {
        self.extensions.iter().find(|(_, known)| known == uri).map_or(0, |(id, _)| *id)
    }
}
