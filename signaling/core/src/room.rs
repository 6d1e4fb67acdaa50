//! One room: the recorders that wait at it, and its meeting while people are in.
//!
//! A recorder alone starts no meeting: it waits here, admitted to nothing, until a person enters. When the last person
//! is gone the meeting ends and recorders are told. The directory owns rooms; this is a view handed in with each join.

use crate::limits::MAX_PARKED;
use crate::lobby::{Lobby, Queue};
use crate::meeting::{Answer, Change, Entrant, Flow, Knock, Meeting, SfuInfo, View};
use crate::ports::{ConnId, Input, Output, Ports, Revoked};
use crate::problem::{bad_message, of_firm, problem, revoked};
use domain::message::client::{Problem, ProblemCode, Resume, ToClient, ToServer};
use domain::message::control::FromSfu;
use domain::{B64, FirmId, MeetingId, RoomId, UnixMillis, UserId};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// A room as the directory has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomRecord {
    /// Id.
    pub room: RoomId,
    /// Title, for people.
    pub title: String,
    /// Its members.
    pub members: Vec<Member>,
    /// Signed statements by firm.
    pub statements: Vec<(FirmId, B64)>,
}

/// A member of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Whose person.
    pub firm: FirmId,
    /// Who.
    pub user: UserId,
    /// May remove others.
    pub host: bool,
    /// Groups of its firm it is in; information barriers name them.
    pub groups: BTreeSet<String>,
}

impl RoomRecord {
    /// Firms with members in the room, ordered.
    pub fn firms(&self) -> BTreeSet<&FirmId> {
        self.members.iter().map(|member| &member.firm).collect()
    }
    fn member(&self, firm: &FirmId, user: &UserId) -> Option<&Member> {
        self.members.iter().find(|member| member.firm == *firm && member.user == *user)
    }
}

/// What the directory says of somebody.
#[derive(Default)]
struct Standing {
    host: bool,
    groups: BTreeSet<String>,
}

/// A connection that waits.
pub(crate) struct Parked {
    pub(crate) conn: ConnId,
    pub(crate) entrant: Entrant,
    pub(crate) resume: Option<Resume>,
    /// For who is asked to let it in.
    pub(crate) certificate: B64,
}

/// One room's state.
pub struct Room {
    ports: Ports,
    sfu: Option<SfuInfo>,
    parked: Vec<Parked>,
    lobby: Lobby,
    queue: Queue,
    meeting: Option<Meeting>,
    revoked: Revoked,
    /// Id that the next meeting was announced with.
    announced: Option<MeetingId>,
    out: VecDeque<Output>,
}

impl Room {
    /// Empty, the SFU not known.
    pub fn new(ports: Ports) -> Self {
        Self {
            ports,
            sfu: None,
            parked: Vec::new(),
            lobby: Lobby::default(),
            queue: Queue::default(),
            meeting: None,
            revoked: Revoked::default(),
            announced: None,
            out: VecDeque::new(),
        }
    }

    /// Takes one input.
    pub fn handle(&mut self, now: UnixMillis, input: Input) {
        match input {
            Input::Join { conn, proven, room } => self.come(now, conn, *proven, &room),
            Input::Return { conn, proven } => self.come_back(now, conn, *proven),
            Input::Message { conn, message } => self.message(now, conn, *message),
            Input::Alive { conn } => {
                if let Some(meeting) = &mut self.meeting {
                    meeting.alive(now, conn);
                }
            }
            Input::Closed { conn } => {
                self.queue.closed(conn);
                self.parked.retain(|parked| parked.conn != conn);
                self.lobby.closed(conn);
                if let Some(meeting) = &mut self.meeting {
                    meeting.closed(now, conn);
                }
            }
            Input::Sfu(message) => self.hear_sfu(now, *message),
            Input::SfuLost => {
                self.sfu = None;
                if let Some(meeting) = &mut self.meeting {
                    meeting.sfu_lost(now);
                }
            }
            Input::Revoked(revoked) => self.revoke(now, revoked),
            Input::MembershipEnded { firm, user } => {
                let waiting = self.queue.membership_ended(&firm, &user);
                for conn in self.lobby.membership_ended(&firm, &user).into_iter().chain(waiting) {
                    self.refuse(conn, problem(ProblemCode::Removed, "you are no longer a member of this room"));
                }
                if let Some(meeting) = &mut self.meeting {
                    meeting.membership_ended(now, &firm, &user);
                }
            }
            Input::MemberChanged(member) => {
                self.queue.member_changed(&member);
                self.lobby.member_changed(&member);
                if let Some(meeting) = &mut self.meeting {
                    meeting.member_changed(&member);
                }
            }
            Input::Expelled { firm, user } => {
                if let Some(meeting) = &mut self.meeting {
                    meeting.expel(now, &firm, &user);
                }
            }
            Input::Announced(meeting) => self.announced = meeting,
            Input::Ended => {
                if let Some(mut meeting) = self.meeting.take() {
                    meeting.end();
                    self.out.extend(meeting.take_output());
                    self.change_terms(now);
                }
            }
        }
        self.follow(now);
    }

    /// Lets due things happen.
    pub fn timeout(&mut self, now: UnixMillis) {
        if let Some(meeting) = &mut self.meeting {
            meeting.timeout(now);
        }
        self.follow(now);
        self.change_terms(now);
    }

    /// When [`Room::timeout`] is wanted next.
    pub fn poll_timeout(&self) -> Option<UnixMillis> {
        self.meeting.as_ref().and_then(Meeting::poll_timeout).into_iter().chain(self.lobby.due()).min()
    }

    /// What to do next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// The meeting that runs, if one does.
    pub fn meeting(&self) -> Option<&MeetingId> {
        self.meeting.as_ref().map(|meeting| &meeting.terms().meeting)
    }

    /// The running meeting as others may see it.
    pub fn view(&self) -> Option<View> {
        self.meeting.as_ref().map(Meeting::seen)
    }

    /// Nothing here: the edge may drop this room.
    pub fn is_empty(&self) -> bool {
        self.meeting.is_none() && self.parked.is_empty() && self.lobby.is_empty() && self.queue.is_empty()
    }

    /// May it enter at all? Tells what the directory says of it.
    fn admissible(&self, room: &RoomRecord, proven: &crate::Proven) -> Result<Standing, Problem> {
        let who = &proven.identity.participant;
        let unknown = || problem(ProblemCode::NotAMember, "no such room, or you are not a member of it");
        if proven.room != room.room {
            return Err(unknown());
        }
        if self.revoked.contains(&proven.identity.certificate_hash) {
            return Err(revoked());
        }
        if proven.is_recorder() {
            return if room.firms().contains(&who.firm) { Ok(Standing::default()) } else { Err(unknown()) };
        }
        if let Some(inviter) = &proven.inviter {
            // who is no member any more invites nobody
            let inviting = room.member(&inviter.firm, &inviter.user);
            return inviting.map(|_| Standing::default()).ok_or_else(unknown);
        }
        let standing = |member: &Member| Standing { host: member.host, groups: member.groups.clone() };
        room.member(&who.firm, &who.user).map(standing).ok_or_else(unknown)
    }

    /// Somebody who proved itself wants in.
    fn come(&mut self, now: UnixMillis, conn: ConnId, proven: crate::Proven, room: &Arc<RoomRecord>) {
        let standing = match self.admissible(room, &proven) {
            Ok(standing) => standing,
            Err(problem) => return self.refuse(conn, problem),
        };
        let entrant = Entrant {
            participant: proven.identity.participant.clone(),
            recorder: proven.is_recorder(),
            inviter: proven.inviter.clone(),
            host: standing.host,
            groups: standing.groups,
            certificate_hash: proven.identity.certificate_hash,
            not_after_s: proven.identity.not_after_s,
            entering: proven.entering,
        };
        self.join(now, Parked { conn, entrant, resume: proven.resume, certificate: proven.certificate }, room);
    }

    /// Whoever holds one of these is out, wherever it is.
    fn revoke(&mut self, now: UnixMillis, certificates: Revoked) {
        self.revoked = certificates;
        let ended = |entrant: &Entrant| self.revoked.contains(&entrant.certificate_hash);
        let mut out = self.lobby.revoked(ended);
        out.extend(self.queue.revoked(ended));
        self.parked.retain(|parked| {
            let gone = ended(&parked.entrant);
            out.extend(gone.then_some(parked.conn));
            !gone
        });
        out.into_iter().for_each(|conn| self.refuse(conn, revoked()));
        if let Some(meeting) = &mut self.meeting {
            meeting.revoked(now, &self.revoked);
        }
    }

    fn join(&mut self, now: UnixMillis, new: Parked, room: &Arc<RoomRecord>) {
        if self.meeting.is_none() && new.entrant.recorder {
            return self.park(new);
        }
        let conn = new.conn;
        if let Err(problem) = self.admit(now, new, room) {
            self.refuse(conn, problem);
        }
    }

    /// Into the meeting, which begins with the first; to the door, or to the lobby.
    fn admit(&mut self, now: UnixMillis, new: Parked, room: &Arc<RoomRecord>) -> Result<(), Problem> {
        // a meeting that nobody comes into is none: it is put away again, and nobody heard of it
        let mut meeting = match self.meeting.take() {
            Some(meeting) => meeting,
            None => {
                let none = || problem(ProblemCode::MediaUnavailable, "no media server is connected: try again");
                let sfu = self.sfu.clone().ok_or_else(none)?;
                Meeting::begin(now, self.ports.clone(), room.clone(), sfu, self.announced.clone())?
            }
        };
        let (change, runs) = (meeting.change_for(now, &new.entrant, room), meeting.is_used());
        let knock = match change {
            Ok(Change::Nothing) => meeting.knock(now, &new.entrant),
            Ok(change) => {
                self.meeting = Some(meeting);
                self.wait(now, new, change, room);
                return Ok(());
            }
            Err(problem) => Err(problem),
        };
        if !matches!(knock, Ok(Knock::Enters)) && !runs {
            return knock.map(|_| self.queue(new, room));
        }
        let meeting = self.meeting.insert(meeting);
        if let Knock::Waits = knock? {
            self.queue(new, room);
            return Ok(());
        }
        self.announced.take_if(|id| *id == meeting.terms().meeting);
        meeting.enter(now, new.conn, new.entrant, new.resume);
        for Parked { conn, entrant, resume, .. } in self.parked.drain(..) {
            meeting.enter(now, conn, entrant, resume);
        }
        Ok(())
    }

    /// One more waits until a host says yes.
    fn queue(&mut self, new: Parked, room: &Arc<RoomRecord>) {
        let conn = new.conn;
        let told = match self.queue.wait(new, room) {
            Ok(older) => {
                if let Some(older) = older {
                    self.refuse(older, problem(ProblemCode::Replaced, "a newer connection took this place"));
                }
                ToClient::Problem(problem(ProblemCode::Lobby, "a host is asked to let you in"))
            }
            Err(full) => return self.refuse(conn, full),
        };
        self.out.push_back(Output::Send { to: vec![conn], message: Box::new(told) });
    }

    /// Does what hosts answered, and tells them who waits if that changed.
    fn open_door(&mut self, now: UnixMillis) {
        let Some(meeting) = &mut self.meeting else { return };
        for (who, answer) in meeting.take_answers() {
            let Some((new, record)) = self.queue.take(&who) else { continue };
            match answer {
                Answer::Yes => self.join(now, new, &record),
                Answer::No => self.refuse(new.conn, problem(ProblemCode::Denied, "a host did not let you in")),
            }
        }
        let Some(meeting) = &mut self.meeting else { return };
        let changed = self.queue.take_changed();
        if changed || (meeting.take_new_hosts() && !self.queue.is_empty()) {
            meeting.tell_hosts(&self.queue.shown());
        }
    }

    /// Rooms cannot be read: what the directory said of somebody when it entered still holds for the meeting it is in.
    fn come_back(&mut self, now: UnixMillis, conn: ConnId, proven: crate::Proven) {
        let id = proven.identity;
        if self.revoked.contains(&id.certificate_hash) {
            self.refuse(conn, revoked());
            return;
        }
        let meeting = self.meeting.as_mut();
        let meeting = meeting.filter(|meeting| meeting.record().room == proven.room);
        let inside = meeting.and_then(|meeting| Some((meeting.entrant(&id)?, meeting)));
        let Some((entrant, meeting)) = inside else {
            let why = "rooms cannot be read now: nobody new comes in, try again in a moment";
            self.refuse(conn, problem(ProblemCode::RoomsUnavailable, why));
            return;
        };
        meeting.enter(now, conn, entrant, proven.resume);
    }

    fn park(&mut self, new: Parked) {
        if let Some(at) = self.parked.iter().position(|old| old.entrant.participant == new.entrant.participant) {
            let old = self.parked.remove(at);
            self.refuse(old.conn, problem(ProblemCode::Replaced, "a newer connection took this place"));
        }
        if self.parked.len() >= MAX_PARKED {
            let firm = new.entrant.participant.firm;
            self.refuse(new.conn, of_firm(ProblemCode::MeetingFull, "too many recorders wait at this room", &firm));
            return;
        }
        self.parked.push(new);
    }

    fn message(&mut self, now: UnixMillis, conn: ConnId, message: ToServer) {
        if let Some(at) = self.parked.iter().position(|parked| parked.conn == conn) {
            match message {
                ToServer::Ping {} => {
                    self.out.push_back(Output::Send { to: vec![conn], message: Box::new(ToClient::Pong {}) });
                }
                ToServer::Leave {} => {
                    self.parked.remove(at);
                    self.out.push_back(Output::Close { conn });
                }
                _ => {
                    self.parked.remove(at);
                    self.refuse(conn, bad_message("no meeting runs yet: wait for admitted"));
                }
            }
        } else if self.lobby.holds(conn) || self.queue.holds(conn) {
            match message {
                ToServer::Ping {} => {
                    self.out.push_back(Output::Send { to: vec![conn], message: Box::new(ToClient::Pong {}) });
                }
                _ => {
                    // whatever else it says, it is not in a meeting: it goes, or comes again
                    self.lobby.closed(conn);
                    self.queue.closed(conn);
                    self.out.push_back(Output::Close { conn });
                }
            }
        } else if let Some(meeting) = &mut self.meeting {
            meeting.message(now, conn, message);
        }
    }

    /// Terms are about to change: who came waits, and everybody is told by which firm's statement.
    fn wait(&mut self, now: UnixMillis, new: Parked, change: Change, record: &Arc<RoomRecord>) {
        let Change::Terms { begins, because } = change else { return };
        if self.lobby.is_full() {
            self.refuse(new.conn, problem(ProblemCode::MeetingFull, "too many people wait for the new terms"));
            return;
        }
        let conn = new.conn;
        let told = of_firm(
            ProblemCode::TermsChange,
            format!("{} has a new statement about this room: the meeting begins anew under it", because),
            &because,
        );
        let message = Box::new(ToClient::Problem(told.clone()));
        self.out.push_back(Output::Send { to: vec![conn], message });
        if let Some(old) = self.lobby.wait(new, begins, record) {
            self.refuse(old, problem(ProblemCode::Replaced, "a newer connection took this place"));
        }
        if let Some(meeting) = &mut self.meeting {
            meeting.announce(&told);
            self.out.extend(meeting.take_output());
        }
        self.change_terms(now);
    }

    /// When the time is up, or nobody is left inside, the meeting begins anew under the newest statements. Whoever is
    /// inside comes along and is asked again before it sends; its new terms are in the archive of the new meeting.
    fn change_terms(&mut self, now: UnixMillis) {
        if self.meeting.is_some() && self.lobby.due().is_none_or(|due| due > now) {
            return;
        }
        let Some((record, waiting)) = self.lobby.open() else { return };
        if self.meeting.is_some() {
            self.restart_with(now, Some(record.clone()));
        }
        for new in waiting {
            self.join(now, new, &record);
        }
        self.follow(now);
    }

    fn hear_sfu(&mut self, now: UnixMillis, message: FromSfu) {
        if let FromSfu::Hello { record_address, record_server_name, record_certificate, region, .. } = message {
            let info = SfuInfo { record_address, record_server_name, record_certificate, region };
            self.sfu = Some(info.clone());
            if let Some(meeting) = &mut self.meeting {
                meeting.sfu_up(now, info);
            }
        } else if let Some(meeting) = &mut self.meeting {
            meeting.hear_sfu(now, message);
        }
    }

    fn refuse(&mut self, conn: ConnId, problem: Problem) {
        self.out.push_back(Output::Send { to: vec![conn], message: Box::new(ToClient::Refusal(problem)) });
        self.out.push_back(Output::Close { conn });
    }

    /// Passes on what the meeting wants, and ends or begins it anew when it says so.
    fn follow(&mut self, now: UnixMillis) {
        // a restart can end the meeting at most once more: two rounds suffice, the third is for the unforeseen
        self.open_door(now);
        for _ in 0..3 {
            let Some(meeting) = &mut self.meeting else { return };
            meeting.settle(now);
            self.out.extend(meeting.take_output());
            match meeting.flow() {
                Flow::Running => return,
                Flow::Ended => {
                    meeting.end();
                    self.out.extend(meeting.take_output());
                    self.meeting = None;
                    self.change_terms(now);
                }
                Flow::GroupLost => self.restart(now),
            }
        }
    }

    /// The group is lost: the same people get a new meeting with a new group.
    fn restart(&mut self, now: UnixMillis) {
        self.restart_with(now, None);
    }

    /// The same people get a new meeting with a new group, under the statements of `newer` if there are newer ones.
    fn restart_with(&mut self, now: UnixMillis, newer: Option<Arc<RoomRecord>>) {
        let Some(mut old) = self.meeting.take() else { return };
        let (record, sfu) = (newer.unwrap_or_else(|| old.record().clone()), old.sfu().or(self.sfu.clone()));
        let entrants = old.dissolve();
        let door = old.take_door();
        self.out.extend(old.take_output());
        let begun = match sfu {
            Some(sfu) => Meeting::begin(now, self.ports.clone(), record, sfu, None),
            None => Err(problem(ProblemCode::MediaUnavailable, "no media server is connected: try again")),
        };
        match begun {
            Ok(mut meeting) => {
                meeting.keep_door(door);
                entrants.into_iter().for_each(|(conn, entrant)| meeting.enter(now, conn, entrant, None));
                self.meeting = Some(meeting);
            }
            Err(problem) => entrants.into_iter().for_each(|(conn, _)| self.refuse(conn, problem.clone())),
        }
    }
}
