//! Which text: one key for each thing that is said. Each language has a text for every key, or it does not compile.

use crate::cause::Field;
use crate::diff::Effect;
use crate::entry::Why;
use domain::policy::{Archive, Demand, Permission, Rule, Tier};

/// A text. Parts in braces are filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // each is its own text
pub enum Key {
    AudioVideo,
    Chat,
    Files,
    Tier,
    Retention,
    Archive,
    Grace,
    Pause,
    Copies,
    ArchiveKeys,
    Veto,
    Guests,
    Share,
    Lobby,
    Passcode,
    Hosts,
    Regions,
    OldestClient,
    Barriers,
    Notice,
    Contact,
    Statement,
    Must,
    Should,
    Off,
    Forbidden,
    TierAudio,
    TierP360,
    TierFull,
    TierScreen,
    ArchiveWorm,
    ArchiveTrail,
    Years,
    Millis,
    Allowed,
    Refused,
    Free,
    Wanted,
    Any,
    None,
    EffectStricter,
    EffectLooser,
    EffectOwn,
    Change,
    ClashVeto,
    ClashRegions,
    ClashSerial,
    WhyNoStatement,
    WhyGuest,
    WhyClient,
    WhyRegion,
    WhyBarrier,
    Call,
    CallAdministrators,
    NoticeKeeps,
    NoticeNobody,
    NoticeClosed,
    NoticeAdds,
    CostGrows,
    Enter,
}

impl Key {
    /// Every key.
    pub const ALL: [Self; 60] = [
        Self::AudioVideo,
        Self::Chat,
        Self::Files,
        Self::Tier,
        Self::Retention,
        Self::Archive,
        Self::Grace,
        Self::Pause,
        Self::Copies,
        Self::ArchiveKeys,
        Self::Veto,
        Self::Guests,
        Self::Share,
        Self::Lobby,
        Self::Passcode,
        Self::Hosts,
        Self::Regions,
        Self::OldestClient,
        Self::Barriers,
        Self::Notice,
        Self::Contact,
        Self::Statement,
        Self::Must,
        Self::Should,
        Self::Off,
        Self::Forbidden,
        Self::TierAudio,
        Self::TierP360,
        Self::TierFull,
        Self::TierScreen,
        Self::ArchiveWorm,
        Self::ArchiveTrail,
        Self::Years,
        Self::Millis,
        Self::Allowed,
        Self::Refused,
        Self::Free,
        Self::Wanted,
        Self::Any,
        Self::None,
        Self::EffectStricter,
        Self::EffectLooser,
        Self::EffectOwn,
        Self::Change,
        Self::ClashVeto,
        Self::ClashRegions,
        Self::ClashSerial,
        Self::WhyNoStatement,
        Self::WhyGuest,
        Self::WhyClient,
        Self::WhyRegion,
        Self::WhyBarrier,
        Self::Call,
        Self::CallAdministrators,
        Self::NoticeKeeps,
        Self::NoticeNobody,
        Self::NoticeClosed,
        Self::NoticeAdds,
        Self::CostGrows,
        Self::Enter,
    ];
}

impl From<Field> for Key {
    fn from(field: Field) -> Self {
        match field {
            Field::AudioVideo => Self::AudioVideo,
            Field::Chat => Self::Chat,
            Field::Files => Self::Files,
            Field::Tier => Self::Tier,
            Field::Retention => Self::Retention,
            Field::Archive => Self::Archive,
            Field::Grace => Self::Grace,
            Field::Pause => Self::Pause,
            Field::Copies => Self::Copies,
            Field::ArchiveKeys => Self::ArchiveKeys,
            Field::Veto => Self::Veto,
            Field::Guests => Self::Guests,
            Field::Share => Self::Share,
            Field::Lobby => Self::Lobby,
            Field::Passcode => Self::Passcode,
            Field::Hosts => Self::Hosts,
            Field::Regions => Self::Regions,
            Field::OldestClient => Self::OldestClient,
            Field::Barriers => Self::Barriers,
            Field::Notice => Self::Notice,
            Field::Contact => Self::Contact,
            Field::Statement => Self::Statement,
        }
    }
}

impl From<Rule> for Key {
    fn from(rule: Rule) -> Self {
        match rule {
            Rule::Must => Self::Must,
            Rule::Should => Self::Should,
            Rule::Off => Self::Off,
            Rule::Forbidden => Self::Forbidden,
        }
    }
}

impl From<Tier> for Key {
    fn from(tier: Tier) -> Self {
        match tier {
            Tier::Audio => Self::TierAudio,
            Tier::P360 => Self::TierP360,
            Tier::Full => Self::TierFull,
            Tier::ScreenOnly => Self::TierScreen,
        }
    }
}

impl From<Archive> for Key {
    fn from(archive: Archive) -> Self {
        match archive {
            Archive::Worm => Self::ArchiveWorm,
            Archive::AuditTrail => Self::ArchiveTrail,
        }
    }
}

impl From<Permission> for Key {
    fn from(permission: Permission) -> Self {
        match permission {
            Permission::Allowed => Self::Allowed,
            Permission::Refused => Self::Refused,
        }
    }
}

impl From<Demand> for Key {
    fn from(demand: Demand) -> Self {
        match demand {
            Demand::Free => Self::Free,
            Demand::Wanted => Self::Wanted,
        }
    }
}

impl From<Effect> for Key {
    fn from(effect: Effect) -> Self {
        match effect {
            Effect::Stricter => Self::EffectStricter,
            Effect::Looser => Self::EffectLooser,
            Effect::Own => Self::EffectOwn,
        }
    }
}

impl From<Why> for Key {
    fn from(why: Why) -> Self {
        match why {
            Why::NoStatement => Self::WhyNoStatement,
            Why::Guest => Self::WhyGuest,
            Why::Client => Self::WhyClient,
            Why::Region => Self::WhyRegion,
            Why::Barrier => Self::WhyBarrier,
        }
    }
}
