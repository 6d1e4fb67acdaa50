//! The delivery service of one meeting (RFC 9750): total order of commits, KeyPackages used once, who commits what, who
//! acknowledged, and what happens when others refuse. It sees the group and no secret.
//!
//! Speaks of participants; connections, roster and the SFU are [`crate::meeting`]'s. `commits` takes and publishes
//! commits, `asks` chooses committers, `votes` settles acknowledgements and refusals.

mod asks;
mod commits;
pub mod group;
pub mod identity;
mod log;
mod peer;
mod votes;

use crate::limits::CREATE_MS;
use asks::{AddAsk, RemovalAsk};
pub use commits::Offered;
use commits::{Held, Staged};
use domain::message::client::{Entry, ToClient};
use domain::{B64, Epoch, LeafIndex, MeetingId, ParticipantId, UnixMillis};
use evidence::identity::TrustMap;
use group::{Observed, Observer};
use identity::{FirmIdentities, Seat};
use log::CommitLog;
use peer::{Holds, Peer, Presence, Strikes};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use votes::Vote;

/// What the delivery service wants done.
#[derive(Debug, Clone)]
pub enum Order {
    /// Send to these participants.
    Send {
        /// Whom.
        to: Vec<ParticipantId>,
        /// What.
        message: Box<ToClient>,
    },
    /// Tell the SFU who owns which leaf; it answers through [`Delivery::leaves_taken`].
    Leaves {
        /// In which epoch.
        epoch: Epoch,
        /// Every leaf.
        leaves: Vec<(LeafIndex, ParticipantId)>,
    },
    /// Someone's leaf is new, or gone.
    Seated {
        /// Who.
        participant: ParticipantId,
        /// Where; `None` when it lost its leaf.
        leaf: Option<LeafIndex>,
    },
    /// Admit this waiting participant anew, with this entry.
    Readmit {
        /// Who.
        participant: ParticipantId,
        /// How.
        entry: Entry,
    },
    /// It committed what the majority cannot process: out.
    Evict(ParticipantId),
    /// Its leaf must go by a removal order, but it stays and is added again by KeyPackage (its resync was refused).
    Reseat(ParticipantId),
    /// A leaf nobody owns any more came back by a withdrawal: order its removal again.
    Orphan(ParticipantId),
    /// Nobody is left who could commit, and people wait: begin a new group.
    GroupLost,
    /// For the log; without names.
    Note(String),
}

/// How a participant enters, and what it needs first.
#[derive(Debug)]
pub struct Entered {
    /// For `Admitted`.
    pub entry: Entry,
    /// Commits to replay, after `Admitted`.
    pub replay: Vec<ToClient>,
}

/// Does the SFU take part in epoch changes now?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SfuLink {
    /// Its acknowledgement is awaited.
    Up,
    /// Nobody to wait for.
    Down,
}

/// The delivery service of one meeting.
pub struct Delivery {
    observer: Observer,
    peers: BTreeMap<ParticipantId, Peer>,
    arrivals: u64,
    creator: Option<(ParticipantId, UnixMillis)>,
    failed_creators: BTreeSet<ParticipantId>,
    current: Option<Observed>,
    /// States before the current one, oldest first: to withdraw commits.
    history: VecDeque<Observed>,
    log: CommitLog,
    held: VecDeque<Held>,
    staged: Option<Staged>,
    published_at: Option<UnixMillis>,
    adding: Option<AddAsk>,
    removing: Option<RemovalAsk>,
    /// Committers passed over since the last commit.
    tried: BTreeSet<ParticipantId>,
    used: VecDeque<Vec<u8>>,
    votes: VecDeque<Vote>,
    ready: Option<Epoch>,
    strikes: Strikes,
    lost_since: Option<UnixMillis>,
    sfu: SfuLink,
    out: VecDeque<Order>,
}

impl Delivery {
    /// `extensions`: what the terms put into the GroupContext.
    pub fn new(trust: Arc<TrustMap>, meeting: MeetingId, extensions: Vec<(u16, Vec<u8>)>, sfu: SfuLink) -> Self {
        Self {
            observer: Observer::new(FirmIdentities::new(trust), meeting, extensions),
            peers: BTreeMap::new(),
            arrivals: 0,
            creator: None,
            failed_creators: BTreeSet::new(),
            current: None,
            history: VecDeque::new(),
            log: CommitLog::default(),
            held: VecDeque::new(),
            staged: None,
            published_at: None,
            adding: None,
            removing: None,
            tried: BTreeSet::new(),
            used: VecDeque::new(),
            votes: VecDeque::new(),
            ready: None,
            strikes: Strikes::default(),
            lost_since: None,
            sfu,
            out: VecDeque::new(),
        }
    }

    /// A participant is admitted (again). Its certificate has been judged.
    pub fn enter(&mut self, now: UnixMillis, seat: Seat, resume: Option<Epoch>) -> Entered {
        self.arrivals += 1;
        let who = seat.participant.clone();
        let fresh = Peer::new(self.arrivals, seat.recorder, seat.certificate_hash);
        let peer = self.peers.entry(who.clone()).or_insert(fresh);
        peer.presence = Presence::Here;
        peer.certificate_hash = seat.certificate_hash;
        peer.waiting = None;
        peer.info_due = None;
        self.observer.identities().remember(seat.clone());
        let entered = self.entry(now, &seat, resume);
        self.tick(now);
        entered
    }

    fn entry(&mut self, now: UnixMillis, seat: &Seat, resume: Option<Epoch>) -> Entered {
        let plain = |entry| Entered { entry, replay: Vec::new() };
        let who = &seat.participant;
        let peer = self.peers.get_mut(who).expect("entered above");
        let Some(current) = &self.current else {
            peer.holds = Holds::Nothing;
            let free = self.creator.as_ref().is_none_or(|(creator, _)| creator == who);
            if !seat.recorder && free {
                self.creator = Some((who.clone(), now));
                return plain(Entry::Create {});
            }
            return plain(Entry::AwaitWelcome {});
        };
        let leaf = current.of(who).filter(|_| !peer.removing);
        let Some((_, seated)) = leaf else {
            peer.holds = Holds::Nothing;
            return plain(Entry::AwaitWelcome {});
        };
        if let Some(from) = resume.filter(|_| *seated == *seat && peer.holds != Holds::Lost)
            && let Some(commits) = self.log.between(now, from, current.epoch())
        {
            peer.holds = Holds::Epoch(from);
            let replay = commits.into_iter().map(|(epoch, commit)| ToClient::Commit { epoch, commit }).collect();
            return Entered { entry: Entry::Continue {}, replay };
        }
        peer.holds = Holds::Lost;
        let (epoch, group_info) = (current.epoch(), current.group_info().clone());
        peer.info_sent = Some((epoch, now));
        plain(Entry::Resync { epoch, group_info })
    }

    /// Its connection is gone; its leaf stays.
    pub fn away(&mut self, now: UnixMillis, who: &ParticipantId) {
        if let Some(peer) = self.peers.get_mut(who) {
            peer.presence = Presence::Away;
            peer.waiting = None;
            peer.info_due = None;
        }
        self.held.retain(|held| held.who != *who);
        self.drop_asks_of(who);
        self.settle(now);
        self.tick(now);
    }

    /// Its leaf is ordered to go.
    pub fn remove(&mut self, now: UnixMillis, who: &ParticipantId) {
        self.away(now, who);
        self.depart(who);
        self.settle(now);
        self.tick(now);
    }

    /// Marks a participant as leaving, or forgets it when it has no leaf and gets none.
    fn depart(&mut self, who: &ParticipantId) {
        let seated = self.leaf_of(who).is_some() || self.staged.as_ref().is_some_and(|s| s.next.of(who).is_some());
        let offered = self.adding.as_ref().is_some_and(|ask| ask.has(who));
        if seated || offered {
            if let Some(peer) = self.peers.get_mut(who) {
                peer.removing = true;
            }
        } else {
            self.peers.remove(who);
        }
        self.drop_asks_of(who);
    }

    /// Current epoch, once there is a group.
    pub fn epoch(&self) -> Option<Epoch> {
        self.current.as_ref().map(Observed::epoch)
    }

    /// A participant's leaf in the current epoch.
    pub fn leaf_of(&self, who: &ParticipantId) -> Option<LeafIndex> {
        self.current.as_ref().and_then(|group| group.of(who)).map(|(leaf, _)| leaf)
    }

    /// Connected participants with a leaf, whatever state of the group they hold.
    fn seated(&self) -> impl Iterator<Item = &ParticipantId> {
        self.peers.iter().filter(|(who, peer)| peer.here() && self.leaf_of(who).is_some()).map(|(who, _)| who)
    }

    /// It has a leaf that is ordered to go, or whose owner is forgotten.
    pub fn is_leaving(&self, who: &ParticipantId) -> bool {
        self.leaf_of(who).is_some() && self.peers.get(who).is_none_or(|peer| peer.removing)
    }

    /// Connected members who follow the group.
    pub fn members(&self) -> impl Iterator<Item = &ParticipantId> {
        let member = |who: &ParticipantId, peer: &Peer| peer.here() && peer.follows() && self.leaf_of(who).is_some();
        self.peers.iter().filter(move |(who, peer)| member(who, peer)).map(|(who, _)| who)
    }

    /// The SFU's link changed.
    pub fn sfu(&mut self, now: UnixMillis, link: SfuLink) {
        self.sfu = link;
        if link == SfuLink::Down {
            self.publish_if_staged(now, None);
        } else if let Some(current) = &self.current {
            self.out.push_back(commits::leaves(current));
        }
        self.tick(now);
    }

    /// Lets due things happen.
    pub fn timeout(&mut self, now: UnixMillis) {
        if self.staged.as_ref().is_some_and(|staged| now >= staged.deadline) {
            self.publish_if_staged(now, None);
        }
        self.settle(now);
        self.tick(now);
    }

    /// Everything that follows from the state alone.
    fn tick(&mut self, now: UnixMillis) {
        self.appoint_creator(now);
        self.take_held(now);
        self.send_infos(now);
        self.ask(now);
        self.watch_loss(now);
    }

    fn appoint_creator(&mut self, now: UnixMillis) {
        if self.current.is_some() {
            return;
        }
        if let Some((creator, since)) = &self.creator {
            let there = self.peers.get(creator).is_some_and(Peer::here);
            let passed = self.failed_creators.contains(creator);
            if there && !passed && now < since.plus(CREATE_MS) {
                return;
            }
            self.failed_creators.insert(creator.clone());
        }
        let candidates = || self.peers.iter().filter(|(_, peer)| peer.here() && !peer.recorder);
        let fresh = candidates().filter(|(who, _)| !self.failed_creators.contains(*who)).min_by_key(|(_, p)| p.arrival);
        let next = match fresh {
            Some(next) => next.0.clone(),
            None => {
                let Some(next) = candidates().min_by_key(|(_, p)| p.arrival).map(|(who, _)| who.clone()) else {
                    self.creator = None;
                    return;
                };
                self.failed_creators.clear();
                next
            }
        };
        let same = self.creator.as_ref().is_some_and(|(creator, _)| *creator == next);
        self.creator = Some((next.clone(), now));
        if !same {
            self.out.push_back(Order::Readmit { participant: next, entry: Entry::Create {} });
        }
    }

    /// When [`Delivery::timeout`] is wanted next.
    pub fn poll_timeout(&self) -> Option<UnixMillis> {
        let creating = self.creator.as_ref().filter(|_| self.current.is_none()).map(|(_, at)| at.plus(CREATE_MS));
        let staged = self.staged.as_ref().map(|staged| staged.deadline);
        let parts = [creating, staged, self.held_timeout(), self.ask_timeout(), self.votes_timeout()];
        parts.into_iter().flatten().min()
    }

    /// What to do next.
    pub fn poll_output(&mut self) -> Option<Order> {
        self.out.pop_front()
    }

    fn tell(&mut self, who: &ParticipantId, message: ToClient) {
        self.out.push_back(Order::Send { to: vec![who.clone()], message: Box::new(message) });
    }

    fn send(&mut self, to: Vec<ParticipantId>, message: ToClient) {
        if !to.is_empty() {
            self.out.push_back(Order::Send { to, message: Box::new(message) });
        }
    }

    fn note(&mut self, fact: impl Into<String>) {
        self.out.push_back(Order::Note(fact.into()));
    }

    fn group_info(&self) -> Option<(Epoch, B64)> {
        self.current.as_ref().map(|group| (group.epoch(), group.group_info().clone()))
    }
}
