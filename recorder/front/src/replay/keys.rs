//! From the opened meeting keys to openers of frames, one per epoch. The only place of the front where keys live; they
//! are wiped when an opening is done.

use crate::replay::opening::{FrameKeys, OpeningError, fits};
use crate::review::copies::Copies;
use crate::review::meetings::Verified;
use domain::message::custody::IncarnationKey;
use domain::{Codec, Epoch, ParticipantId};
use e2ee::escrow::{MeetingKey, Place, SealedBaseKey};
use e2ee::file::Card;
use e2ee::said::{self, SaidKey};
use e2ee::sframe::Opener;
use evidence::archive::{EpochKey, Media, names};
use evidence::said::{Said, What};
use std::collections::HashMap;
use zeroize::{Zeroize, Zeroizing};

/// Largest `keys/epochs.cbor`: 100,000 epochs.
const MAX_EPOCH_KEYS: u64 = 32 << 20;

/// What custody opened: one meeting key per recorder incarnation. Wiped when dropped.
pub struct MeetingKeys(HashMap<u64, MeetingKey>);

impl MeetingKeys {
    /// Takes custody's answer and wipes it.
    pub fn take(keys: Vec<IncarnationKey>) -> Self {
        let one = |mut key: IncarnationKey| {
            let taken = MeetingKey::from_bytes(&key.key.0);
            key.key.0.zeroize();
            taken.map(|taken| (key.incarnation, taken))
        };
        Self(keys.into_iter().filter_map(one).collect())
    }
}

impl MeetingKeys {
    /// `[{"incarnation": 1, "key": "<64 hexadecimal digits>"}]`: what the officers hand out, and nothing else is made of it.
    pub fn as_json(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(self.0.len() * 128 + 8));
        let mut keys: Vec<_> = self.0.iter().collect();
        keys.sort_by_key(|(incarnation, _)| **incarnation);
        out.push(b'[');
        for (at, (incarnation, key)) in keys.into_iter().enumerate() {
            let text = Zeroizing::new(hex::encode(key.expose()));
            let comma = if at > 0 { "," } else { "" };
            let head = format!("{comma}{{\"incarnation\": {incarnation}, \"key\": \"");
            [head.as_bytes(), text.as_bytes(), b"\"}"].iter().for_each(|part| out.extend_from_slice(part));
        }
        out.extend_from_slice(b"]\n");
        out
    }
}

/// Openers of every epoch whose base key the archive holds.
pub struct ArchiveKeys {
    epochs: HashMap<Epoch, Opener>,
    said: HashMap<Epoch, SaidKey>,
    wire: Vec<u8>,
}

impl ArchiveKeys {
    /// Opens the base keys of a meeting, `keys` being those of its copies in their order. An epoch has one base key, whoever
    /// kept it: what one recorder had no key for opens by the other's.
    ///
    /// # Errors
    /// A file of sealed base keys is not the signed one, or none of it opens.
    pub fn open(copies: &Copies, keys: &[MeetingKeys]) -> Result<Self, OpeningError> {
        let mut all = Self { epochs: HashMap::new(), said: HashMap::new(), wire: Vec::new() };
        for (copy, keys) in copies.all().iter().zip(keys) {
            all.add(copy, keys)?;
        }
        Ok(all)
    }

    fn add(&mut self, meeting: &Verified, keys: &MeetingKeys) -> Result<(), OpeningError> {
        let manifest = &meeting.manifest;
        let path = meeting.folder.join(names::EPOCH_KEYS);
        let unreadable = |cause: String| OpeningError::Unreadable { path: meeting.called(names::EPOCH_KEYS), cause };
        let size = std::fs::metadata(&path).map_err(|e| unreadable(e.to_string()))?.len();
        if size > MAX_EPOCH_KEYS {
            return Err(unreadable("it is larger than any can be".to_owned()));
        }
        let bytes = std::fs::read(&path).map_err(|e| unreadable(e.to_string()))?;
        if !fits(&bytes, &manifest.epochs_hash) {
            let problem = "its hash differs".to_owned();
            return Err(OpeningError::Damaged { path: meeting.called(names::EPOCH_KEYS), problem });
        }
        let mut opened = 0;
        for item in EpochKey::read_all(&bytes).0 {
            let place = Place {
                firm: manifest.firm.clone(),
                meeting: manifest.meeting.clone(),
                incarnation: item.incarnation,
                epoch: item.epoch,
            };
            let sealed = SealedBaseKey { bytes: item.sealed.0 };
            let base = keys.0.get(&item.incarnation).and_then(|key| sealed.open(key, &place).ok());
            if let Some(base) = base {
                opened += 1;
                self.said.entry(item.epoch).or_insert_with(|| SaidKey::of(&base));
                self.epochs.entry(item.epoch).or_insert_with(|| Opener::from_base_key(base, item.epoch));
            }
        }
        if opened == 0 && !manifest.epochs.is_empty() {
            return Err(OpeningError::Keys);
        }
        Ok(())
    }
}

impl ArchiveKeys {
    /// What was sealed in something said.
    fn sealed(&self, from: &ParticipantId, said: &Said, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (meeting, epoch, sequence) = (&said.meeting, said.epoch, said.sequence);
        self.said.get(&epoch)?.open(&said::Place { meeting, participant: from, epoch, sequence }, sealed)
    }
    /// What was told of a file: name, type, key.
    pub fn card(&self, from: &ParticipantId, said: &Said) -> Option<Card> {
        let What::File { sealed, .. } = &said.what else { return None };
        Card::decode(&self.sealed(from, said, sealed)?)
    }
}

impl FrameKeys for ArchiveKeys {
    fn open(&mut self, codec: Codec, media: &Media<'_>) -> Option<(u64, Zeroizing<Vec<u8>>)> {
        let opener = self.epochs.get_mut(&media.epoch)?;
        self.wire.clear();
        self.wire.extend_from_slice(media.shim);
        self.wire.extend_from_slice(media.sframe);
        let opened = opener.open(codec, &self.wire).ok()?;
        Some((opened.capture_us, Zeroizing::new(opened.frame)))
    }
    fn read(&self, from: &ParticipantId, said: &Said) -> Option<String> {
        let What::Text { sealed } = &said.what else { return None };
        String::from_utf8(self.sealed(from, said, sealed)?.to_vec()).ok()
    }
}
