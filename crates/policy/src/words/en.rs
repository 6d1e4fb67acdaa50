//! English.

use super::Key;

pub(super) fn text(key: Key) -> &'static str {
    match key {
        Key::AudioVideo => "audio and video",
        Key::Chat => "chat",
        Key::Files => "files",
        Key::Tier => "quality of the copy",
        Key::Retention => "years the copy is kept",
        Key::Archive => "store of the copy",
        Key::Grace => "time without a recorder",
        Key::Pause => "pauses of the copy",
        Key::Copies => "copies for own people",
        Key::ArchiveKeys => "archive keys",
        Key::Veto => "firms the veto concerns",
        Key::Guests => "guests",
        Key::Share => "screen sharing",
        Key::Lobby => "waiting to be let in",
        Key::Passcode => "passcode",
        Key::Hosts => "hosts",
        Key::Regions => "regions",
        Key::OldestClient => "oldest client",
        Key::Barriers => "information barriers",
        Key::Notice => "words in the notice",
        Key::Contact => "contact",
        Key::Statement => "statement",
        Key::Must => "must be kept",
        Key::Should => "kept if possible",
        Key::Off => "not kept",
        Key::Forbidden => "keeping is forbidden",
        Key::TierAudio => "sound only",
        Key::TierP360 => "sound and 360p",
        Key::TierFull => "everything",
        Key::TierScreen => "sound and screens",
        Key::ArchiveWorm => "WORM store",
        Key::ArchiveTrail => "WORM store, or audit trail over two stores",
        Key::Years => "{n} years",
        Key::Millis => "{n} ms",
        Key::Allowed => "allowed",
        Key::Refused => "refused",
        Key::Free => "not asked for",
        Key::Wanted => "required",
        Key::Any => "any",
        Key::None => "none",
        Key::EffectStricter => "stricter for the others",
        Key::EffectLooser => "looser for the others",
        Key::EffectOwn => "own copy only",
        Key::Change => "{field}: {before} → {after} ({effect})",
        Key::ClashVeto => {
            "{must} must keep {class} (statement {mustserial}), {forbidden} forbids it (statement {forbiddenserial})."
        }
        Key::ClashRegions => "No region is allowed by all: {firms}.",
        Key::ClashSerial => "{firm} signed two different statements with the number {serial}.",
        Key::WhyNoStatement => "{firm} has no statement about this room.",
        Key::WhyGuest => "{firm} admits no guests (statement {serial}).",
        Key::WhyClient => "{firm} asks for a newer client (statement {serial}).",
        Key::WhyRegion => "{firm} does not allow this region (statement {serial}).",
        Key::WhyBarrier => {
            "An information barrier of {firm} keeps you from somebody who is in the meeting (statement {serial})."
        }
        Key::Call => "Call {firm}: {contact}.",
        Key::CallAdministrators => "Call the administrators of {firm}.",
        Key::NoticeKeeps => "{firm} keeps {class} for {n} years.",
        Key::NoticeNobody => "Nobody keeps a copy of this meeting.",
        Key::NoticeClosed => "{firm} has switched off: {class}.",
        Key::NoticeAdds => "{firm}: {text}",
        Key::CostGrows => {
            "The copy grows by {gb} GB a month: {first} a month after the first month, {full} a month after {n} years."
        }
        Key::Enter => "{n} of {all} enter.",
    }
}
