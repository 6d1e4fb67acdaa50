//! A delivery service in memory with the rules of the design, a virtual clock, and sessions on it. A test may bend what
//! is delivered by `Net::bend`.

use crate::firm::{Leaf, MEETING, ROOM, T0, World};
use domain::message::client::{
    Entry, FileRefusal, Joiner, Problem, ProblemCode, RosterEntry, ToClient, ToServer, challenge_bytes,
};
use domain::message::custody::LeafRole;
use domain::{B64, BlobId, Codec, Epoch, LeafIndex, ParticipantId, Slot, UnixMillis};
use e2ee::leaf::LeafKey;
use e2ee::session::{Event, IncidentKind, OpenError, Opened, Output, SealError, SendState, Session, SessionConfig};
use evidence::order::{self, Reason, RemovalOrder};
use evidence::receipt::{Beacon, BeaconState, Receipt};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub type Bend = Box<dyn FnMut(&ParticipantId, ToClient) -> Vec<ToClient>>;

pub struct Peer {
    pub session: Session,
    pub events: Vec<Event>,
    pub connected: bool,
    admitted: bool,
    /// A recorder that gives receipts and beacons.
    pub recording: bool,
    sequence: u64,
    inbox: VecDeque<ToClient>,
}

/// What the service keeps of the group.
#[derive(Default)]
pub struct Service {
    pub epoch: Option<Epoch>,
    group_infos: BTreeMap<Epoch, B64>,
    commits: BTreeMap<Epoch, (ParticipantId, B64)>,
    pub members: BTreeSet<ParticipantId>,
    joiners: Vec<Joiner>,
    acks: BTreeMap<ParticipantId, Epoch>,
    refusals: BTreeMap<Epoch, BTreeSet<ParticipantId>>,
    added: BTreeMap<Epoch, BTreeSet<ParticipantId>>,
    ordered: BTreeMap<ParticipantId, LeafIndex>,
    /// Files: whose, size, chunks.
    pub blobs: BTreeMap<BlobId, (ParticipantId, u64, Vec<B64>)>,
    /// Keep commit requests back (a lost committer).
    pub no_commits: bool,
}

pub struct Net {
    pub world: World,
    pub now: UnixMillis,
    pub peers: BTreeMap<ParticipantId, Peer>,
    pub service: Service,
    pub bend: Option<Bend>,
    /// Everything members sent to the service, for reading.
    pub sent: Vec<(ParticipantId, ToServer)>,
    next_beacon: UnixMillis,
}

/// The tree that goes beside a Welcome.
fn tree_of(group_info: &[u8]) -> B64 {
    let Ok(message) = mls_rs::MlsMessage::from_bytes(group_info) else { return B64(Vec::new()) };
    let info = message.as_group_info().unwrap();
    let tree: mls_rs::extension::built_in::RatchetTreeExt = info.extensions().get_as().unwrap().unwrap();
    B64(tree.tree_data().to_bytes().unwrap())
}

pub fn id(text: &str) -> ParticipantId {
    text.parse().unwrap()
}

impl Net {
    pub fn new(world: World) -> Self {
        Self {
            world,
            now: T0,
            peers: BTreeMap::new(),
            service: Service::default(),
            bend: None,
            sent: Vec::new(),
            next_beacon: T0,
        }
    }

    pub fn config(&self, who: &ParticipantId, role: LeafRole) -> SessionConfig {
        let key = LeafKey::generate();
        let leaf = self.world.firm(&who.firm).issue(&key, who, &Leaf::of(role));
        SessionConfig { key, chain: vec![leaf], trust: self.world.trust.clone(), room: ROOM.parse().unwrap() }
    }

    /// Connects a session and runs until all is quiet.
    pub fn connect(&mut self, who: &ParticipantId, session: Session) {
        let recording = session.own().role == LeafRole::Recorder;
        let peer = Peer {
            session,
            events: Vec::new(),
            connected: true,
            admitted: false,
            recording,
            // as the recorder does: above those of before a restart
            sequence: self.now.0,
            inbox: VecDeque::new(),
        };
        self.peers.insert(who.clone(), peer);
        self.pump();
    }

    pub fn join(&mut self, name: &str) -> ParticipantId {
        let who = id(name);
        let role = if who.user.as_str().starts_with("recorder") { LeafRole::Recorder } else { LeafRole::Member };
        let session = Session::new(self.config(&who, role), self.now).unwrap();
        self.connect(&who, session);
        for (slot, codec) in [(Slot::MICROPHONE, Codec::Opus), (Slot::CAMERA, Codec::Vp8)] {
            self.peer(&who).session.add_source(slot, codec);
        }
        who
    }

    pub fn peer(&mut self, who: &ParticipantId) -> &mut Peer {
        self.peers.get_mut(who).unwrap()
    }

    /// Passes messages until nobody has anything to say.
    pub fn pump(&mut self) {
        loop {
            let mut quiet = true;
            for who in self.peers.keys().cloned().collect::<Vec<_>>() {
                while let Some(output) = self.peer(&who).session.poll_output() {
                    quiet = false;
                    match output {
                        Output::Send(message) => {
                            if self.peer(&who).connected {
                                self.sent.push((who.clone(), message.clone()));
                                self.receive(&who, message);
                            }
                        }
                        Output::Event(event) => {
                            self.react(&who, &event);
                            self.peer(&who).events.push(event);
                        }
                    }
                }
            }
            for who in self.peers.keys().cloned().collect::<Vec<_>>() {
                let now = self.now;
                while let Some(message) = self.peer(&who).inbox.pop_front() {
                    quiet = false;
                    self.peer(&who).session.handle(now, message);
                }
            }
            if quiet {
                return;
            }
        }
    }

    /// A recorder's own work: a receipt for each epoch.
    fn react(&mut self, who: &ParticipantId, event: &Event) {
        let Event::Epoch { epoch, .. } = event else { return };
        if self.peer(who).recording {
            self.give_receipt(who, *epoch);
        }
    }

    /// What a recorder that is in `epoch` would acknowledge.
    pub fn receipt(&self, who: &ParticipantId, epoch: Epoch) -> Receipt {
        let session = &self.peers[who].session;
        Receipt {
            meeting: MEETING.parse().unwrap(),
            firm: who.firm.clone(),
            recorder: who.clone(),
            incarnation: 1,
            epoch,
            transcript_hash: session.transcript_hash(epoch).unwrap(),
            sealed_hash: [0; 32],
            commitment: session.epoch_commitment(epoch).unwrap(),
        }
    }

    pub fn give_receipt(&mut self, who: &ParticipantId, epoch: Epoch) {
        let receipt = self.receipt(who, epoch);
        let receipt = B64(self.peers[who].session.sign_receipt(&receipt));
        self.receive(who, ToServer::Receipt { receipt });
    }

    pub fn give_beacon(&mut self, who: &ParticipantId, state: BeaconState) {
        let peer = self.peer(who);
        peer.sequence += 1;
        let Some(epoch) = peer.session.epoch() else { return };
        let beacon = Beacon {
            meeting: MEETING.parse().unwrap(),
            firm: who.firm.clone(),
            recorder: who.clone(),
            epoch,
            sequence: peer.sequence,
            fsynced_frames: 0,
            state,
        };
        let beacon = B64(peer.session.sign_beacon(&beacon));
        self.receive(who, ToServer::Beacon { beacon });
    }

    /// Lets time pass, stopping at every timer and beacon on the way.
    pub fn advance(&mut self, ms: u64) {
        let end = self.now.plus(ms);
        loop {
            let timers = self.peers.values().filter_map(|peer| peer.session.poll_timeout());
            let next = timers.chain([self.next_beacon, end]).min().unwrap().max(self.now);
            if next > end {
                return;
            }
            self.now = next;
            if self.next_beacon <= self.now {
                self.next_beacon = self.now.plus(500);
                let recording: Vec<_> =
                    self.peers.iter().filter(|(_, p)| p.recording && p.connected).map(|(who, _)| who.clone()).collect();
                recording.iter().for_each(|who| self.give_beacon(who, BeaconState::Recording));
                self.ask_for_commits();
            }
            let now = self.now;
            let before: Vec<_> = self.peers.values().filter_map(|p| p.session.poll_timeout()).collect();
            for peer in self.peers.values_mut() {
                if peer.session.poll_timeout().is_some_and(|at| at <= now) {
                    peer.session.handle_timeout(now);
                    let again = peer.session.poll_timeout();
                    assert!(again.is_none_or(|at| at > now), "a timer does not spin: {again:?} of {before:?}");
                }
            }
            self.pump();
            if self.now == end {
                return;
            }
        }
    }

    pub fn deliver(&mut self, who: &ParticipantId, message: ToClient) {
        let bent = match &mut self.bend {
            Some(bend) => bend(who, message),
            None => vec![message],
        };
        let Some(peer) = self.peers.get_mut(who) else { return };
        if peer.connected {
            peer.inbox.extend(bent);
        }
    }

    fn tell_members(&mut self, except: Option<&ParticipantId>, message: &ToClient) {
        for who in self.service.members.clone() {
            if Some(&who) != except {
                self.deliver(&who, message.clone());
            }
        }
    }

    pub fn joiners(&self) -> Vec<Joiner> {
        self.service.joiners.clone()
    }
    pub fn group_info(&self, epoch: Epoch) -> B64 {
        self.service.group_infos[&epoch].clone()
    }
    pub fn commit_of(&self, epoch: Epoch) -> B64 {
        self.service.commits[&epoch].1.clone()
    }

    pub fn leaf(&self, who: &ParticipantId) -> Option<LeafIndex> {
        let sees = |peer: &Peer| peer.session.members().into_iter().find(|m| m.participant == *who).map(|m| m.leaf);
        self.peers.values().filter_map(sees).next_back()
    }

    /// Lowest connected leaf that is no recorder and not ordered out.
    fn committer(&self) -> Option<ParticipantId> {
        let able = |who: &&ParticipantId| {
            self.peers.get(who).is_some_and(|p| p.connected && p.session.epoch() == self.service.epoch)
                && !self.service.ordered.contains_key(who)
        };
        let mut able: Vec<_> = self.service.members.iter().filter(able).cloned().collect();
        able.sort_by_key(|who| (self.peers[who].session.own().role == LeafRole::Recorder, self.leaf(who)));
        able.into_iter().next()
    }

    pub fn ask_for_commits(&mut self) {
        if self.service.no_commits {
            return;
        }
        let Some(committer) = self.committer() else { return };
        if !self.service.ordered.is_empty() {
            let leaves = self.service.ordered.values().copied().collect();
            self.deliver(&committer, ToClient::CommitRemovals { leaves });
        } else if !self.service.joiners.is_empty() {
            let joiners = self.service.joiners.clone();
            self.deliver(&committer, ToClient::CommitAdds { joiners });
        }
    }

    pub fn receive(&mut self, from: &ParticipantId, message: ToServer) {
        match message {
            ToServer::Hello { .. } => {
                self.peer(from).admitted = false;
                self.deliver(from, ToClient::Challenge { nonce: B64(vec![7; 32]) });
                if let ToServer::Hello { resume: Some(resume), .. } = message {
                    self.service.acks.insert(from.clone(), resume.epoch);
                } else {
                    self.service.acks.remove(from);
                }
            }
            ToServer::Prove { signature } => self.on_prove(from, &signature),
            ToServer::Created { group_info } => {
                self.service.epoch = Some(Epoch(0));
                self.service.group_infos.insert(Epoch(0), group_info);
                self.service.members.insert(from.clone());
                self.service.acks.insert(from.clone(), Epoch(0));
                self.deliver(from, ToClient::EpochReady { epoch: Epoch(0) });
            }
            ToServer::KeyPackage { key_package } => {
                self.service.joiners.retain(|joiner| joiner.participant != *from);
                self.service.joiners.push(Joiner { participant: from.clone(), key_package });
                self.ask_for_commits();
            }
            ToServer::Commit { epoch, commit, welcome, group_info } => {
                let taken = self.on_commit(from, epoch, commit, group_info);
                taken.into_iter().for_each(|next| self.after_member_commit(next, welcome.clone()));
            }
            ToServer::Resync { epoch, commit, group_info } => {
                self.on_commit(from, epoch, commit, group_info);
            }
            ToServer::Applied { epoch } => self.on_applied(from, epoch),
            ToServer::Refused { epoch, .. } => self.on_refused(from, epoch),
            ToServer::NeedResync {} => self.give_group_info(from),
            ToServer::Application { message } => self.tell_members(Some(from), &ToClient::Application { message }),
            ToServer::Receipt { receipt } => self.tell_members(Some(from), &ToClient::Receipt { receipt }),
            ToServer::Beacon { beacon } => self.tell_members(Some(from), &ToClient::Beacon { beacon }),
            ToServer::FileBegin { blob, size } => {
                let parts =
                    self.service.blobs.entry(blob.clone()).or_insert((from.clone(), size, vec![])).2.len() as u32;
                self.deliver(from, ToClient::FileRoom { blob, parts });
            }
            ToServer::FilePart { blob, index, part } => self.on_file_part(from, blob, index, part),
            ToServer::FileWanted { blob, index } => {
                let part = self.service.blobs.get(&blob).and_then(|(_, _, parts)| parts.get(index as usize)).cloned();
                let gone = ToClient::FileRefused { blob: blob.clone(), why: FileRefusal::Gone };
                self.deliver(from, part.map_or(gone, |part| ToClient::FilePart { blob, index, part }));
            }
            ToServer::FileDrop { blob } => drop(self.service.blobs.remove(&blob)),
            ToServer::Remove { participant } => self.order(&participant, Reason::Host),
            ToServer::Host { act } => self.tell_members(None, &ToClient::HostAct { act }),
            ToServer::Leave {} => {
                self.order(from, Reason::Left);
                self.peer(from).connected = false;
            }
            _ => {}
        }
    }

    fn on_file_part(&mut self, from: &ParticipantId, blob: BlobId, index: u32, part: B64) {
        let Some((_, _, parts)) = self.service.blobs.get_mut(&blob) else {
            return self.deliver(from, ToClient::FileRefused { blob, why: FileRefusal::Gone });
        };
        if index as usize == parts.len() {
            parts.push(part);
        }
        let parts = parts.len() as u32;
        self.deliver(from, ToClient::FileRoom { blob, parts });
    }

    fn on_prove(&mut self, from: &ParticipantId, signature: &[u8]) {
        let own = self.peers[from].session.own().clone();
        let certificate = self.sent.iter().rev().find_map(|(who, message)| match message {
            ToServer::Hello { chain, .. } if who == from => Some(chain[0].0.clone()),
            _ => None,
        });
        let signed = challenge_bytes(&[7; 32], &ROOM.parse().unwrap(), &certificate.unwrap());
        own.public_key.verify(&signed, signature).unwrap();
        self.peer(from).admitted = true;
        let entry = match self.service.epoch {
            None => Entry::Create {},
            Some(current) if self.service.members.contains(from) => match self.service.acks.get(from) {
                Some(_) => Entry::Continue {},
                None => Entry::Resync { epoch: current, group_info: self.service.group_infos[&current].clone() },
            },
            Some(_) => Entry::AwaitWelcome {},
        };
        let missed: Vec<_> = match (&entry, self.service.acks.get(from)) {
            (Entry::Continue {}, Some(acked)) => {
                let after = self.service.commits.range(Epoch(acked.0 + 1)..);
                after.map(|(epoch, (_, commit))| (*epoch, commit.clone())).collect()
            }
            _ => Vec::new(),
        };
        let roster: Vec<RosterEntry> = Vec::new();
        let terms = Box::new(self.world.terms.clone());
        let now = self.now;
        self.deliver(from, ToClient::Admitted { participant: from.clone(), terms, entry, roster, now });
        for (epoch, commit) in missed {
            self.deliver(from, ToClient::Commit { epoch, commit });
        }
    }

    fn on_commit(&mut self, from: &ParticipantId, epoch: Epoch, commit: B64, info: B64) -> Option<Epoch> {
        if self.service.epoch != Some(epoch) {
            let problem = Problem { code: ProblemCode::StaleEpoch, detail: String::new(), firm: None };
            self.deliver(from, ToClient::CommitRefused { epoch, problem });
            return None;
        }
        let next = Epoch(epoch.0 + 1);
        self.service.epoch = Some(next);
        self.service.group_infos.insert(next, info);
        self.service.commits.insert(next, (from.clone(), commit.clone()));
        self.tell_members(None, &ToClient::Commit { epoch: next, commit });
        Some(next)
    }

    /// Members' commits carry all that was ordered; joiners get the Welcome.
    fn after_member_commit(&mut self, next: Epoch, welcome: Option<B64>) {
        for gone in std::mem::take(&mut self.service.ordered).into_keys() {
            self.service.members.remove(&gone);
        }
        if let Some(welcome) = welcome {
            let joiners = std::mem::take(&mut self.service.joiners);
            self.service.added.insert(next, joiners.iter().map(|joiner| joiner.participant.clone()).collect());
            for joiner in joiners {
                self.service.members.insert(joiner.participant.clone());
                let (welcome, tree) = (welcome.clone(), tree_of(&self.service.group_infos[&next]));
                self.deliver(&joiner.participant, ToClient::Welcome { welcome, tree, epoch: next });
            }
        }
    }

    fn on_applied(&mut self, from: &ParticipantId, epoch: Epoch) {
        self.service.acks.insert(from.clone(), epoch);
        let current = self.service.epoch.unwrap();
        let all = self.service.members.iter().all(|who| {
            !self.peers.get(who).is_some_and(|p| p.connected) || self.service.acks.get(who) == Some(&current)
        });
        if all {
            self.tell_members(None, &ToClient::EpochReady { epoch: current });
            self.ask_for_commits();
        }
    }

    fn on_refused(&mut self, from: &ParticipantId, epoch: Epoch) {
        if self.service.epoch != Some(epoch) {
            return;
        }
        let (committer, _) = self.service.commits[&epoch].clone();
        let refused = self.service.refusals.entry(epoch).or_default();
        refused.insert(from.clone());
        let others = self.service.members.len() - usize::from(self.service.members.contains(&committer));
        if refused.len() * 2 <= others {
            return self.give_group_info(from);
        }
        self.service.refusals.remove(&epoch);
        self.service.commits.remove(&epoch);
        self.service.group_infos.remove(&epoch);
        self.service.epoch = Some(Epoch(epoch.0 - 1));
        for ghost in self.service.added.remove(&epoch).unwrap_or_default() {
            self.service.members.remove(&ghost);
        }
        self.tell_members(None, &ToClient::Withdrawn { epoch });
        self.order(&committer, Reason::BadCommit);
    }

    fn give_group_info(&mut self, to: &ParticipantId) {
        let Some(epoch) = self.service.epoch else { return };
        let group_info = self.service.group_infos[&epoch].clone();
        self.deliver(to, ToClient::GroupInfo { epoch, group_info });
    }

    /// Orders a participant out and asks for the commit.
    pub fn order(&mut self, participant: &ParticipantId, reason: Reason) {
        let leaf = self.leaf(participant);
        let order = self.signed_order(participant, leaf, self.service.epoch.unwrap(), reason);
        if let Some(leaf) = leaf {
            self.service.ordered.insert(participant.clone(), leaf);
        }
        self.tell_members(None, &ToClient::RemovalOrder { order });
        self.ask_for_commits();
    }

    pub fn signed_order(
        &self,
        participant: &ParticipantId,
        leaf: Option<LeafIndex>,
        epoch: Epoch,
        reason: Reason,
    ) -> B64 {
        let meeting = self.world.terms.meeting.clone();
        let participant = participant.clone();
        let order = RemovalOrder { meeting, participant, leaf, epoch, reason, issued_at: self.now };
        B64(self.world.order.sign_cose(order::LABEL, &order::encode(&order), None))
    }

    pub fn seal(&mut self, who: &ParticipantId, frame: &[u8]) -> Result<Vec<u8>, SealError> {
        let now = self.now;
        let mut out = Vec::new();
        self.peer(who).session.seal(now, Slot::MICROPHONE, false, frame, 1, &mut out)?;
        Ok(out)
    }

    pub fn open(&mut self, who: &ParticipantId, from: &ParticipantId, wire: &[u8]) -> Result<Opened, OpenError> {
        let now = self.now;
        self.peer(who).session.open(now, from, Slot::MICROPHONE, Codec::Opus, wire)
    }

    /// A frame of each member opens at every other member.
    pub fn assert_all_hear_all(&mut self) {
        let people: Vec<_> = self.service.members.clone().into_iter().collect();
        let senders: Vec<_> =
            people.iter().filter(|who| self.peers[*who].session.own().role != LeafRole::Recorder).cloned().collect();
        for from in senders {
            let wire = self.seal(&from, b"hello").unwrap_or_else(|why| panic!("{from} may send: {why}"));
            for to in people.iter().filter(|to| **to != from) {
                assert_eq!(
                    self.open(to, &from, &wire).map(|opened| opened.frame),
                    Ok(b"hello".to_vec()),
                    "{from} to {to}"
                );
            }
        }
    }

    pub fn assert_one_group(&mut self) {
        let codes: BTreeSet<_> = self
            .service
            .members
            .iter()
            .map(|who| {
                self.peers[who].events.iter().rev().find_map(|event| match event {
                    Event::Epoch { epoch, code, .. } => Some((*epoch, code.clone())),
                    _ => None,
                })
            })
            .collect();
        assert_eq!(codes.len(), 1, "one group, one code");
        assert_eq!(codes.first().unwrap().as_ref().unwrap().0, self.service.epoch.unwrap());
    }

    pub fn incidents(&self, who: &ParticipantId) -> Vec<IncidentKind> {
        let kind = |event: &Event| match event {
            Event::Incident { kind, .. } => Some(*kind),
            _ => None,
        };
        self.peers[who].events.iter().filter_map(kind).collect()
    }

    pub fn sending(&self, who: &ParticipantId) -> SendState {
        self.peers[who].session.send_state(self.now)
    }
}
