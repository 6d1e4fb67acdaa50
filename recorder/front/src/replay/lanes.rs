//! From opened sources to lanes: one per person for camera and microphone, one more for a shared screen, each a gapless
//! WebM from the meeting's begin to its end.

use crate::replay::opening::{OpenMeeting, Source};
use crate::webm::{self, Input, Webm};
use domain::message::front::{Lane, LaneEvent};
use domain::{Codec, ParticipantId, Slot};
use evidence::archive::MeetingManifest;
use std::collections::BTreeMap;

/// A lane and its file.
pub struct LaneFile {
    /// Whose.
    pub participant: ParticipantId,
    /// Name with what it shows.
    pub name: String,
    /// First frame, ms from the begin.
    pub from_ms: u64,
    /// Last frame, ms from the begin.
    pub to_ms: u64,
    /// Missing intervals, ms from the begin.
    pub gaps: Vec<(u64, u64)>,
    /// The file.
    pub webm: Webm,
}

impl LaneFile {
    /// Bytes it takes in memory.
    pub fn size(&self) -> u64 {
        (self.webm.bytes.len() + self.webm.frames.len() * size_of::<webm::Placed>()) as u64
    }
    /// As the page gets it.
    pub fn row(&self, src: String) -> Lane {
        Lane {
            participant: self.participant.clone(),
            name: self.name.clone(),
            src,
            from_ms: self.from_ms,
            to_ms: self.to_ms,
            gaps: self.gaps.clone(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum View {
    Person,
    Screen,
}

fn view(slot: Slot) -> View {
    if slot == Slot::SCREEN_AUDIO || slot >= Slot::SCREEN { View::Screen } else { View::Person }
}

/// Builds all lanes. What cannot be written as WebM today (a picture in another codec than VP8) becomes an event, so
/// that nothing is missing silently.
pub fn build(opened: OpenMeeting, manifest: &MeetingManifest) -> (Vec<LaneFile>, Vec<LaneEvent>) {
    let duration_ms = manifest.ended_at.since(manifest.started_at);
    let mut events = opened.events;
    if opened.unopened > 0 {
        let text = format!("{} frames are kept as ciphertext: the recorder held no key for them", opened.unopened);
        events.push(LaneEvent { at_ms: 0, kind: "gap".to_owned(), text });
    }
    let mut groups: BTreeMap<(ParticipantId, View), Vec<Source>> = BTreeMap::new();
    for source in opened.sources {
        groups.entry((source.participant.clone(), view(source.slot))).or_default().push(source);
    }
    let mut lanes = Vec::new();
    for ((participant, view), sources) in groups {
        let known = manifest.roster.iter().find(|row| row.participant == participant);
        let person = known.map_or_else(|| participant.user.to_string(), |row| row.name.clone());
        let name = if view == View::Screen { format!("{person} (screen)") } else { person };
        let (mut heard, mut seen) = (Vec::new(), Vec::new());
        for source in sources {
            match source.codec {
                Codec::Opus => heard.extend(source.frames.into_iter().map(input)),
                Codec::Vp8 => seen.extend(source.frames.into_iter().map(input)),
                other => {
                    let at_ms = source.frames.first().map_or(0, |frame| frame.pts_us / 1000);
                    let text = format!("{name}: a picture in {} is kept and not shown", other.sdp_name());
                    events.push(LaneEvent { at_ms, kind: "gap".to_owned(), text });
                }
            }
        }
        if heard.is_empty() && seen.is_empty() {
            continue;
        }
        let ends = heard.iter().chain(&seen).map(|frame: &Input| frame.pts_us / 1000);
        let (from_ms, to_ms) = ends.fold((u64::MAX, 0), |(from, to), at| (from.min(at), to.max(at)));
        // the last frame of a recorder whose clock is ahead of signaling's is still shown
        let length_ms = duration_ms.max(to_ms + 1);
        let (mut frames, size) = webm::picture(seen, length_ms * 1000);
        frames.extend(webm::sound(heard, length_ms * 1000));
        let gaps = gaps(manifest, &participant, view);
        lanes.push(LaneFile { participant, name, from_ms, to_ms, gaps, webm: webm::write(frames, size, length_ms) });
    }
    (lanes, events)
}

fn input(frame: crate::replay::opening::Clear) -> Input {
    Input { pts_us: frame.pts_us, key_frame: frame.key_frame, lost_before: frame.lost_before, data: frame.data }
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
