//! Lanes: one per person for camera and microphone, one more for a shared screen, as the manifest names them; and the
//! gapless WebM of a lane in one part of the meeting.

use crate::replay::opening::{Clear, Source};
use crate::webm::{self, Input, Webm};
use domain::message::front::{Lane, LaneEvent, LanePart};
use domain::{Codec, ParticipantId, Slot, UnixMillis};
use evidence::archive::{MeetingManifest, TrackEntry};
use std::collections::BTreeMap;

/// What a lane shows of its person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum View {
    /// Camera and microphone.
    Person,
    /// A shared screen.
    Screen,
}

/// A lane, before anything of it is opened.
pub struct LaneHead {
    /// Whose.
    pub participant: ParticipantId,
    /// What it shows.
    pub view: View,
    /// Name with what it shows.
    pub name: String,
    /// First frame, ms from the begin.
    pub from_ms: u64,
    /// Last frame, ms from the begin.
    pub to_ms: u64,
    /// Missing intervals, ms from the begin.
    pub gaps: Vec<(u64, u64)>,
}

impl LaneHead {
    /// Is a source of this slot shown here?
    pub fn shows(&self, slot: Slot) -> bool {
        view(slot) == self.view
    }

    /// As the page gets it.
    pub fn row(&self, parts: Vec<LanePart>) -> Lane {
        Lane {
            participant: self.participant.clone(),
            name: self.name.clone(),
            parts,
            from_ms: self.from_ms,
            to_ms: self.to_ms,
            gaps: self.gaps.clone(),
        }
    }
}

fn view(slot: Slot) -> View {
    if slot == Slot::SCREEN_AUDIO || slot >= Slot::SCREEN { View::Screen } else { View::Person }
}

/// Can this codec be written as WebM today?
fn is_shown(codec: Codec) -> bool {
    matches!(codec, Codec::Opus | Codec::Vp8)
}

/// The lanes with frames between two times (ms from the begin). What is kept and cannot be shown becomes an event, so that
/// nothing is missing silently.
pub fn heads(manifest: &MeetingManifest, from_ms: u64, to_ms: u64) -> (Vec<LaneHead>, Vec<LaneEvent>) {
    let mut events = Vec::new();
    let mut lanes: BTreeMap<(ParticipantId, View), LaneHead> = BTreeMap::new();
    for track in manifest.tracks.iter().filter(|track| track.frames > 0) {
        let (first, last) = times(manifest, track);
        if last < from_ms || first > to_ms {
            continue;
        }
        let (first, last, view) = (first.max(from_ms), last.min(to_ms), view(track.slot));
        let name = name(manifest, &track.participant, view);
        if !is_shown(track.codec) {
            let text = format!("{name}: a picture in {} is kept and not shown", track.codec.sdp_name());
            events.push(LaneEvent { at_ms: first, kind: "gap".to_owned(), text });
            continue;
        }
        let place = (track.participant.clone(), view);
        let lane = lanes.entry(place).or_insert_with(|| LaneHead {
            participant: track.participant.clone(),
            view,
            name,
            from_ms: first,
            to_ms: last,
            gaps: gaps(manifest, &track.participant, view),
        });
        (lane.from_ms, lane.to_ms) = (lane.from_ms.min(first), lane.to_ms.max(last));
    }
    (lanes.into_values().collect(), events)
}

/// First and last kept frame of a track by the SFU's clock, ms from the begin.
pub fn times(manifest: &MeetingManifest, track: &TrackEntry) -> (u64, u64) {
    times_from(manifest.started_at, track)
}

/// The same for a meeting that began then.
pub fn times_from(begin: UnixMillis, track: &TrackEntry) -> (u64, u64) {
    let ms = |us: u64| (us / 1000).saturating_sub(begin.0);
    (ms(track.first_us), ms(track.last_us))
}

fn name(manifest: &MeetingManifest, participant: &ParticipantId, view: View) -> String {
    let known = manifest.roster.iter().find(|row| row.participant == *participant);
    let person = known.map_or_else(|| participant.user.to_string(), |row| row.name.clone());
    if view == View::Screen { format!("{person} (screen)") } else { person }
}

/// The file of a lane from `begin_ms` on, `length_ms` long. A lane without a frame there is silent.
pub fn file(lane: &LaneHead, sources: Vec<Source>, begin_ms: u64, length_ms: u64) -> Webm {
    let input = |frame: Clear| Input {
        pts_us: frame.pts_us.saturating_sub(begin_ms * 1000),
        key_frame: frame.key_frame,
        lost_before: frame.lost_before,
        data: frame.data,
    };
    let (mut heard, mut seen) = (Vec::new(), Vec::new());
    for source in sources.into_iter().filter(|source| lane.shows(source.slot)) {
        match source.codec {
            Codec::Opus => heard.extend(source.frames.into_iter().map(input)),
            Codec::Vp8 => seen.extend(source.frames.into_iter().map(input)),
            // said in the events
            _ => {}
        }
    }
    let (mut frames, size) = webm::picture(seen, length_ms * 1000);
    frames.extend(webm::sound(heard, length_ms * 1000));
    webm::write(frames, size, length_ms)
}

fn gaps(manifest: &MeetingManifest, participant: &ParticipantId, of: View) -> Vec<(u64, u64)> {
    let touches = |gap: &&evidence::archive::Gap| {
        gap.participant.as_ref().is_none_or(|whose| whose == participant)
            && gap.slot.is_none_or(|slot| view(slot) == of)
    };
    let relative =
        |gap: &evidence::archive::Gap| (gap.from.since(manifest.started_at), gap.to.since(manifest.started_at));
    manifest.gaps.iter().filter(touches).map(relative).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_that_webm_is_not_written_of_is_said_to_be_kept_and_the_sound_beside_it_is_shown() {
        let mut manifest = crate::tests::kit::reel().plan.copies.manifest.clone();
        for (codec, name) in [(Codec::Vp9, "VP9"), (Codec::Av1, "AV1")] {
            let anna = |track: &&mut TrackEntry| track.participant == crate::tests::kit::person("anna");
            let pictures = manifest.tracks.iter_mut().filter(anna).filter(|track| track.codec != Codec::Opus);
            pictures.for_each(|track| track.codec = codec);
            let (lanes, events) = heads(&manifest, 0, 6_000);
            assert_eq!(lanes.len(), 2, "her sound and his picture are lanes");
            let said: Vec<&str> = events.iter().map(|event| event.text.as_str()).collect();
            assert_eq!(said, [format!("Anna Berg: a picture in {name} is kept and not shown")]);
        }
    }
}
