//! Counters and units; wire forms and extended forms are different types.

use serde::{Deserialize, Serialize};

/// MLS epoch of a meeting's group (RFC 9420 section 8), all 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Epoch(pub u64);

/// Index of a leaf in the group's tree; below 1024 (10 bits of the KID).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LeafIndex(pub u32);

/// Which source of a sender: 0 microphone, 1 screen audio, 2..=15 camera layers, 16..=31 screen video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slot(pub u8);

impl Slot {
    /// The microphone.
    pub const MICROPHONE: Self = Self(0);
    /// Sound of a shared screen.
    pub const SCREEN_AUDIO: Self = Self(1);
    /// First camera layer.
    pub const CAMERA: Self = Self(2);
    /// First screen layer.
    pub const SCREEN: Self = Self(16);
    /// Sound or picture; `None` for a slot nobody may use.
    pub fn kind(self) -> Option<crate::MediaKind> {
        match self.0 {
            0 | 1 => Some(crate::MediaKind::Audio),
            2..=31 => Some(crate::MediaKind::Video),
            _ => None,
        }
    }
}

/// SFrame key id (RFC 9605 section 4.3): slot (6 bits) | leaf (10) | epoch (16).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Kid(pub u64);

impl Kid {
    /// Bits of the epoch part.
    pub const EPOCH_BITS: u32 = 16;
    /// Bits of the leaf part.
    pub const LEAF_BITS: u32 = 10;
    /// Bits of the slot part.
    pub const SLOT_BITS: u32 = 6;
    /// Puts the parts together; only the low 16 bits of the epoch travel.
    pub fn new(slot: Slot, leaf: LeafIndex, epoch: Epoch) -> Self {
        Self(
            u64::from(slot.0 & 0x3f) << (Self::LEAF_BITS + Self::EPOCH_BITS)
                | u64::from(leaf.0 & 0x3ff) << Self::EPOCH_BITS
                | (epoch.0 & 0xffff),
        )
    }
    /// A KID of more than 32 bits is not ours.
    pub fn is_ours(self) -> bool {
        self.0 >> (Self::SLOT_BITS + Self::LEAF_BITS + Self::EPOCH_BITS) == 0
    }
    /// The slot part.
    pub fn slot(self) -> Slot {
        Slot((self.0 >> (Self::LEAF_BITS + Self::EPOCH_BITS) & 0x3f) as u8)
    }
    /// The leaf part.
    pub fn leaf(self) -> LeafIndex {
        LeafIndex((self.0 >> Self::EPOCH_BITS & 0x3ff) as u32)
    }
    /// The low 16 bits of the epoch.
    pub fn epoch_low(self) -> u16 {
        (self.0 & 0xffff) as u16
    }
}

/// SFrame counter of one KID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ctr(pub u64);

/// Milliseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Default)]
#[serde(transparent)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = u64))]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// Whole seconds.
    pub fn seconds(self) -> u64 {
        self.0 / 1000
    }
    /// Later by so many milliseconds.
    pub fn plus(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }
    /// Milliseconds since `earlier`, 0 if it is later.
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kid_parts_read_back() {
        let kid = Kid::new(Slot(17), LeafIndex(1023), Epoch(0x1_2345));
        assert!(kid.is_ours());
        assert_eq!((kid.slot(), kid.leaf(), kid.epoch_low()), (Slot(17), LeafIndex(1023), 0x2345));
        assert!(!Kid(1 << 32).is_ours());
    }
}
