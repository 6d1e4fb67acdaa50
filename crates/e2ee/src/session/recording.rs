//! Receipts and beacons as everybody hears them, and what a recorder needs of its session to make them.

use super::{IncidentKind, Session};
use crate::escrow::{MeetingKey, Place, SealedBaseKey};
use domain::{Epoch, FirmId, UnixMillis};
use evidence::receipt::{self, BEACON_LABEL, Beacon, RECEIPT_LABEL, Receipt};

impl Session {
    pub(super) fn on_receipt(&mut self, now: UnixMillis, signed: &[u8]) {
        let Ok((receipt, signer)) = receipt::judge_receipt(&self.trust, signed, now.seconds()) else {
            return self.incident(IncidentKind::BadReceipt, None);
        };
        if !self.is_this_meeting(&receipt.meeting) {
            return self.incident(IncidentKind::BadReceipt, Some(signer.participant));
        }
        let participant = signer.participant.clone();
        if let Err(kind) = self.recorders.receipt(now, receipt, signer, &self.epochs) {
            self.incident(kind, Some(participant));
        }
    }

    pub(super) fn on_beacon(&mut self, now: UnixMillis, signed: &[u8]) {
        let Ok((beacon, signer)) = receipt::judge_beacon(&self.trust, signed, now.seconds()) else {
            return self.incident(IncidentKind::BadReceipt, None);
        };
        if !self.is_this_meeting(&beacon.meeting) {
            return self.incident(IncidentKind::BadReceipt, Some(signer.participant));
        }
        if let Err(kind) = self.recorders.beacon(now, beacon, &signer, &self.epochs) {
            self.incident(kind, Some(signer.participant));
        }
    }

    /// Newest epoch that a firm's recorder has acknowledged with the state we have.
    pub fn acknowledged_epoch(&self, firm: &FirmId) -> Option<Epoch> {
        self.recorders.acknowledged_epoch(firm, &self.epochs)
    }
    /// Commitment to an epoch's base key, for its receipt; `None` when the epoch is not held.
    pub fn epoch_commitment(&self, epoch: Epoch) -> Option<[u8; 32]> {
        self.epochs.by_epoch(epoch).map(|state| state.commitment)
    }
    /// Confirmed transcript hash of an epoch, for its receipt.
    pub fn transcript_hash(&self, epoch: Epoch) -> Option<[u8; 32]> {
        self.epochs.by_epoch(epoch).map(|state| state.transcript_hash)
    }
    /// Seals an epoch's base key under the recorder's meeting key; `None` when the epoch is not held.
    pub fn seal_base_key(&self, epoch: Epoch, incarnation: u64, meeting_key: &MeetingKey) -> Option<SealedBaseKey> {
        let state = self.epochs.by_epoch(epoch)?;
        let place = Place {
            firm: self.own.participant.firm.clone(),
            meeting: self.meeting.as_ref()?.terms.meeting.clone(),
            incarnation,
            epoch,
        };
        Some(SealedBaseKey::seal(meeting_key, &place, &state.base))
    }
    /// Signs a receipt with the leaf key.
    pub fn sign_receipt(&self, receipt: &Receipt) -> Vec<u8> {
        self.key.sign_cose(RECEIPT_LABEL, &evidence::cbor::encode(receipt), Some(&self.certificate))
    }
    /// Signs a beacon with the leaf key.
    pub fn sign_beacon(&self, beacon: &Beacon) -> Vec<u8> {
        self.key.sign_cose(BEACON_LABEL, &evidence::cbor::encode(beacon), Some(&self.certificate))
    }
}
