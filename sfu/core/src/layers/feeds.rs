//! What a subscriber's page is told of its pictures: which layer it gets and why no more. Only changes are told.

use crate::forward::Shared;
use crate::layers::choice::Limited;
use crate::layers::ladder::height;
use crate::layers::wishes::Wanted;
use crate::meeting::Meeting;
use domain::message::client::{Feed, FeedLimit, LinkQuality};
use domain::message::control::FromSfu;

/// Losses of a sender's packets, in 1/256, from which its link is called fair: about 2 %.
const FAIR: u8 = 5;
/// ... and from which it is called poor: about 8 %.
const POOR: u8 = 20;

/// What a share of lost packets (in 1/256) is called.
pub fn quality(lost: u8) -> LinkQuality {
    match lost {
        0..FAIR => LinkQuality::Good,
        FAIR..POOR => LinkQuality::Fair,
        POOR.. => LinkQuality::Poor,
    }
}

/// Why a source stands on `rung` of `rungs`.
pub(crate) fn limit(wanted: Wanted, short: bool, rungs: usize, rung: Option<usize>) -> Option<FeedLimit> {
    Some(match rung {
        _ if wanted.height == 0 => FeedLimit::Hidden,
        None if rungs == 0 => FeedLimit::Sender,
        None => FeedLimit::Link,
        Some(rung) if rung + 1 < rungs => FeedLimit::Link,
        Some(_) if short => FeedLimit::Sender,
        Some(_) => FeedLimit::Wish,
    })
}

impl Meeting {
    /// Tells a page what changed of the sections named.
    pub(crate) fn tell_feeds(&mut self, shared: &mut Shared, place: usize, sections: &[Limited]) {
        let Some(participant) = &mut self.participants[place] else { return };
        let mut feeds = Vec::new();
        for (at, limit) in sections {
            let section = &mut participant.subscribing.sections[*at];
            let Some(lead) = section.track.and_then(|track| self.tracks[track].as_ref()) else { continue };
            let fed = section.feed.and_then(|feed| self.tracks[feed].as_ref());
            let nested = lead.layers.len() == 1;
            let layer = fed.map(|fed| if nested { section.cap.spatial.min(fed.rate.extent().0) } else { fed.layer });
            let count = if nested { usize::from(lead.rate.extent().0) + 1 } else { lead.layers.len() };
            let feed = Feed {
                participant: section.participant.clone(),
                slot: section.slot,
                layer,
                height: layer.map_or(0, |layer| height(&lead.heights, usize::from(layer), count)),
                limit: *limit,
                sender: fed.unwrap_or(lead).quality,
            };
            if section.told.as_ref() != Some(&feed) {
                section.told = Some(feed.clone());
                feeds.push(feed);
            }
        }
        if !feeds.is_empty() {
            shared.tell(FromSfu::Feeds { meeting: self.id.clone(), participant: participant.id.clone(), feeds });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_small_or_missing_picture_has_its_reason() {
        let shown = Wanted { height: 300, ..Wanted::ALL };
        assert_eq!(limit(Wanted::HIDDEN, false, 3, None), Some(FeedLimit::Hidden));
        assert_eq!(limit(shown, false, 3, Some(2)), Some(FeedLimit::Wish));
        assert_eq!(limit(shown, false, 3, Some(1)), Some(FeedLimit::Link));
        assert_eq!(limit(shown, false, 3, None), Some(FeedLimit::Link));
        assert_eq!(limit(shown, false, 0, None), Some(FeedLimit::Sender));
        assert_eq!(limit(shown, true, 2, Some(1)), Some(FeedLimit::Sender));
        assert_eq!([0, 5, 20].map(quality), [LinkQuality::Good, LinkQuality::Fair, LinkQuality::Poor]);
    }
}
