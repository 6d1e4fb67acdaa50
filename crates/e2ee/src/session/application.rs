//! Application messages of the group (signed and encrypted by MLS): sender manifests, recorders asking for those they
//! missed, and what people say in writing.

use super::sender::Wanted;
use super::{Event, IncidentKind, MAX_AHEAD, Phase, Session};
use domain::message::client::ToServer;
use domain::message::custody::LeafRole;
pub(super) use domain::message::member::MemberMessage as Message;
use domain::{B64, Ctr, Epoch, ParticipantId, Slot, UnixMillis};
use evidence::sender_manifest;

/// Messages remembered to drop a second copy quietly: some seconds of a meeting of 50.
pub(super) const MAX_SEEN: usize = 256;

impl Session {
    pub(super) fn encrypt(&mut self, message: &Message) -> Option<Vec<u8>> {
        self.group.as_mut()?.encrypt(&evidence::cbor::encode(message)).ok()
    }

    pub(super) fn on_application(&mut self, now: UnixMillis, bytes: Vec<u8>) {
        let hash = evidence::sha256(&bytes);
        if self.seen_messages.contains(&hash) {
            return;
        }
        let Some(group) = &self.group else { return self.hold_message(bytes) };
        let Some(epoch) = group.application_epoch(&bytes) else {
            return self.incident(IncidentKind::BadApplication, None);
        };
        let current = group.epoch();
        if epoch > current {
            return self.hold_message(bytes);
        }
        if self.epochs.by_epoch(epoch).is_none() {
            // crossed a resync or came too late: its epoch's secrets are gone here
            return;
        }
        if self.seen_messages.len() >= MAX_SEEN {
            self.seen_messages.pop_front();
        }
        self.seen_messages.push_back(hash);
        self.read(now, &bytes);
    }

    fn hold_message(&mut self, bytes: Vec<u8>) {
        if matches!(self.phase, Phase::Greeting) {
            return;
        }
        if self.ahead_messages.len() >= MAX_AHEAD {
            self.ahead_messages.pop_front();
        }
        self.ahead_messages.push_back(bytes);
    }

    /// Tries held messages again in a new epoch.
    pub(super) fn drain_messages(&mut self, now: UnixMillis) {
        for bytes in std::mem::take(&mut self.ahead_messages) {
            self.on_application(now, bytes);
        }
    }

    fn read(&mut self, now: UnixMillis, bytes: &[u8]) {
        let Some(group) = &mut self.group else { return };
        let sender_epoch = group.application_epoch(bytes);
        let Ok((leaf, data)) = group.decrypt(bytes, now.seconds()) else {
            return self.incident(IncidentKind::BadApplication, None);
        };
        let state = sender_epoch.and_then(|epoch| self.epochs.by_epoch(epoch));
        let Some(sender) = state.and_then(|state| state.members.get(&leaf)).cloned() else {
            return self.incident(IncidentKind::BadApplication, None);
        };
        let (from, role) = (sender.participant.clone(), sender.role);
        match evidence::cbor::decode(&data) {
            Ok(Message::Manifest { signed }) => match sender_manifest::judge(&sender.public_key, &signed) {
                Ok(manifest) if self.is_this_meeting(&manifest.meeting) => {
                    self.tell(Event::Manifest { from, manifest: signed });
                }
                Ok(_) | Err(_) => self.incident(IncidentKind::BadManifest, Some(from)),
            },
            // only who keeps frames has a use for their names: others could make everybody repeat themselves
            Ok(Message::ManifestsWanted { of, epoch, slot, first_ctr, count }) if role == LeafRole::Recorder => {
                if of == self.own.participant {
                    self.say_again(now, &Wanted { epoch, slot, first_ctr, count });
                }
            }
            Ok(Message::Said { signed }) => self.heard_said(&sender, signed),
            Ok(Message::Kept { said }) if role == LeafRole::Recorder => self.heard_kept(&from.firm, &said),
            Ok(Message::SaidWanted {}) => self.heard_said_wanted(now, &from),
            Ok(Message::Sign { sign }) if role != LeafRole::Recorder => self.heard_sign(now, from, sign),
            Ok(Message::Sign { .. } | Message::ManifestsWanted { .. } | Message::Kept { .. }) | Err(_) => {
                self.incident(IncidentKind::BadApplication, Some(from));
            }
        }
    }

    fn say_again(&mut self, now: UnixMillis, wanted: &Wanted) {
        for signed in self.sender.again(now, wanted) {
            if let Some(message) = self.encrypt(&Message::Manifest { signed }) {
                self.send(ToServer::Application { message: B64(message) });
            }
        }
    }

    /// Recorder: frames `first_ctr..first_ctr + count` of a sender are kept and no manifest names them; asks it to say
    /// those again. Nothing is asked while there is no group to ask in.
    pub fn want_manifests(&mut self, of: ParticipantId, epoch: Epoch, slot: Slot, first_ctr: Ctr, count: u64) {
        if !matches!(self.phase, Phase::Member) {
            return;
        }
        if let Some(message) = self.encrypt(&Message::ManifestsWanted { of, epoch, slot, first_ctr, count }) {
            self.send(ToServer::Application { message: B64(message) });
        }
    }

    pub(super) fn is_this_meeting(&self, meeting: &domain::MeetingId) -> bool {
        self.meeting.as_ref().is_some_and(|ours| ours.terms.meeting == *meeting)
    }
}
