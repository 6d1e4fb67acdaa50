//! One meeting: terms, roster, who is connected by which connection, removals and relays. The order of the group's
//! commits is [`crate::delivery`]'s; rooms and waiting recorders are [`crate::room`]'s.
//!
//! `terms` binds, `door` says who comes in, `entry` admits, `host` carries out what hosts order, `removal` removes, `relay`
//! passes on what is not the group's, `files` holds sealed files for a while.

mod door;
mod entry;
mod files;
mod host;
mod relay;
mod removal;
mod roster;
mod terms;
mod view;

pub use door::{Door, Knock};
pub use files::Held;
pub use host::Answer;
pub use terms::Change;
pub use view::{Seen, View};

use crate::delivery::{Delivery, Order, SfuLink};
use crate::ports::{ConnId, Output, Ports};
use crate::problem::problem;
use crate::room::{Member, RoomRecord};
use domain::message::client::{Entering, MeetingTerms, Problem, ProblemCode, RosterEntry, ToClient, ToServer};
use domain::message::control::{FirmRule, ToSfu};
use domain::{B64, Epoch, FirmId, MeetingId, ParticipantId, UnixMillis};
use evidence::order::Reason;
use evidence::policy::MeetingRules;
use roster::Person;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// What the SFU said of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SfuInfo {
    /// `host:port` that recorders dial.
    pub record_address: String,
    /// TLS server name there.
    pub record_server_name: String,
    /// SHA-256 of its certificate there.
    pub record_certificate: B64,
    /// Where it stands, as statements name regions; `None`: its operator does not say.
    pub region: Option<String>,
}

/// Who enters, as admission and directory judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entrant {
    /// Who.
    pub participant: ParticipantId,
    /// A firm's recorder.
    pub recorder: bool,
    /// Who invited this guest.
    pub inviter: Option<ParticipantId>,
    /// Host, as the directory has it: counts where no statement names hosts.
    pub host: bool,
    /// Groups of its firm it is in.
    pub groups: BTreeSet<String>,
    /// SHA-256 of its certificate.
    pub certificate_hash: [u8; 32],
    /// End of its certificate's validity, s since 1970.
    pub not_after_s: u64,
    /// What else it brought.
    pub entering: Entering,
}

/// What the directory's word on a member changes for somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Followed {
    /// It is about somebody else, or says what was known.
    Nothing,
    /// Role or groups.
    Changed,
}

impl Entrant {
    /// Takes what the directory says of this person now. Guests and recorders are not in it.
    pub(crate) fn follow(&mut self, member: &Member) -> Followed {
        let own = self.participant.firm == member.firm && self.participant.user == member.user;
        let known = self.host == member.host && self.groups == member.groups;
        if !own || known || self.recorder || self.inviter.is_some() {
            return Followed::Nothing;
        }
        (self.host, self.groups) = (member.host, member.groups.clone());
        Followed::Changed
    }
}

/// Where a meeting stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// People are in it.
    Running,
    /// The last person is gone.
    Ended,
    /// Nobody can commit any more: a new group is needed.
    GroupLost,
}

/// One live session of a room.
pub struct Meeting {
    ports: Ports,
    record: Arc<RoomRecord>,
    terms: MeetingTerms,
    rules: MeetingRules,
    delivery: Delivery,
    people: BTreeMap<ParticipantId, Person>,
    conns: BTreeMap<ConnId, ParticipantId>,
    door: Door,
    hosting: host::Hosting,
    orders: BTreeMap<ParticipantId, removal::Given>,
    receipts: BTreeMap<ParticipantId, (Epoch, B64)>,
    suspended: BTreeSet<FirmId>,
    files: files::Files,
    sfu: Option<SfuInfo>,
    /// The SFU takes nobody new.
    overloaded: bool,
    lost: bool,
    out: VecDeque<Output>,
}

fn meeting_id(random: [u8; 32]) -> MeetingId {
    let text: String = random[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    text.parse().expect("32 hexadecimal digits are an id")
}

impl Meeting {
    /// Begins a meeting, under the id it was announced with if it was; refused when statements are missing or clash.
    pub fn begin(
        now: UnixMillis,
        ports: Ports,
        record: Arc<RoomRecord>,
        sfu: SfuInfo,
        announced: Option<MeetingId>,
    ) -> Result<Self, Problem> {
        let id = announced.unwrap_or_else(|| meeting_id(ports.random.bytes()));
        let (terms, rules) = terms::judged(now, &ports, &record, id)?;
        let extensions = rules.extensions().map(|(kind, bytes)| (kind, bytes.to_vec())).to_vec();
        door::region(&rules, &sfu)?;
        let hosting = host::Hosting::new(&rules);
        let delivery = Delivery::new(ports.trust.clone(), terms.meeting.clone(), extensions, SfuLink::Up);
        let mut meeting = Self {
            ports,
            record,
            terms,
            rules,
            delivery,
            people: BTreeMap::new(),
            conns: BTreeMap::new(),
            door: Door::default(),
            hosting,
            orders: BTreeMap::new(),
            receipts: BTreeMap::new(),
            suspended: BTreeSet::new(),
            files: files::Files::default(),
            sfu: Some(sfu),
            overloaded: false,
            lost: false,
            out: VecDeque::new(),
        };
        meeting.note(None, "meeting begins");
        let opening = meeting.opening();
        meeting.inform_sfu(opening);
        Ok(meeting)
    }

    fn opening(&self) -> ToSfu {
        let rule = |s: &domain::policy::Statement| FirmRule {
            firm: s.firm.clone(),
            audio_video: s.audio_video,
            recorder_grace_ms: s.recorder_grace_ms,
        };
        let firms = self.rules.statements().iter().map(rule).collect();
        ToSfu::Meeting { meeting: self.terms.meeting.clone(), firms }
    }

    /// What binds everybody here.
    pub fn terms(&self) -> &MeetingTerms {
        &self.terms
    }
    /// The room as it was when the meeting began.
    pub fn record(&self) -> &Arc<RoomRecord> {
        &self.record
    }
    /// The SFU, while its link stands.
    pub fn sfu(&self) -> Option<SfuInfo> {
        self.sfu.clone()
    }
    /// Where it stands.
    pub fn flow(&self) -> Flow {
        if self.hosting.is_over() || self.people.values().all(|person| person.entrant.recorder) {
            Flow::Ended
        } else if self.lost {
            Flow::GroupLost
        } else {
            Flow::Running
        }
    }

    /// What to do next; empties the queue.
    pub fn take_output(&mut self) -> VecDeque<Output> {
        std::mem::take(&mut self.out)
    }

    /// Takes a message of a connection.
    pub fn message(&mut self, now: UnixMillis, conn: ConnId, message: ToServer) {
        let Some(who) = self.conns.get(&conn).cloned() else { return };
        let Some(person) = self.people.get_mut(&who) else { return };
        person.heard = now;
        if !person.bucket.take(now) {
            let why = problem(ProblemCode::RateLimited, "too many messages");
            self.drop_connection(now, &who, Some(why));
            return;
        }
        self.dispatch(now, &who, message);
        self.settle(now);
    }

    /// Lets due things happen.
    pub fn timeout(&mut self, now: UnixMillis) {
        self.delivery.timeout(now);
        self.remove_silent(now);
        self.remove_expired(now);
        self.hosting.timeout(now);
        self.files.expire(now);
        self.orders.retain(|who, given| {
            now.since(given.at) < crate::limits::KEPT_ORDERS_MS || self.delivery.leaf_of(who).is_some()
        });
        self.settle(now);
    }

    /// When [`Meeting::timeout`] is wanted next.
    pub fn poll_timeout(&self) -> Option<UnixMillis> {
        let own = self.silence_timeout().into_iter().chain(self.expiry_timeout()).chain(self.hosting.due());
        own.chain(self.delivery.poll_timeout()).chain(self.files.next_end()).min()
    }

    /// Carries out what the delivery service wants.
    pub fn settle(&mut self, now: UnixMillis) {
        while let Some(order) = self.delivery.poll_output() {
            match order {
                Order::Send { to, message } => {
                    if matches!(*message, ToClient::CommitRemovals { .. }) {
                        to.iter().for_each(|committer| self.send_pending_orders(committer));
                    }
                    let to = to.iter().filter_map(|who| self.people.get(who).and_then(|p| p.conn)).collect();
                    self.send(to, *message);
                }
                Order::Leaves { epoch, leaves } => {
                    let meeting = self.terms.meeting.clone();
                    self.inform_sfu(ToSfu::Leaves { meeting, epoch, leaves });
                }
                Order::Seated { participant, leaf } => self.seated(now, &participant, leaf),
                Order::Readmit { participant, entry } => self.admit(now, &participant, entry, Vec::new()),
                Order::Evict(who) => self.evict(now, &who),
                Order::Reseat(who) => self.order(now, &who, Reason::Replaced, removal::Tell::Others),
                Order::Orphan(who) => self.order(now, &who, Reason::Left, removal::Tell::All),
                Order::GroupLost => self.lost = true,
                Order::Note(fact) => self.note(None, fact),
            }
        }
    }

    fn send(&mut self, to: Vec<ConnId>, message: ToClient) {
        if !to.is_empty() {
            self.out.push_back(Output::Send { to, message: Box::new(message) });
        }
    }

    fn tell(&mut self, who: &ParticipantId, message: ToClient) {
        let conn = self.people.get(who).and_then(|person| person.conn);
        self.send(conn.into_iter().collect(), message);
    }

    /// To everybody connected but `except`.
    fn tell_all(&mut self, except: Option<&ParticipantId>, message: ToClient) {
        let others = self.people.iter().filter(|(who, _)| Some(*who) != except);
        let to = others.filter_map(|(_, person)| person.conn).collect();
        self.send(to, message);
    }

    fn refuse(&mut self, conn: ConnId, problem: Problem) {
        self.send(vec![conn], ToClient::Refusal(problem));
        self.out.push_back(Output::Close { conn });
    }

    fn inform_sfu(&mut self, message: ToSfu) {
        if self.sfu.is_some() {
            self.out.push_back(Output::Sfu(Box::new(message)));
        }
    }

    fn note(&mut self, firm: Option<&FirmId>, fact: impl Into<String>) {
        let meeting = self.terms.meeting.clone();
        self.out.push_back(Output::Note { meeting, firm: firm.cloned(), fact: fact.into() });
    }

    fn roster(&self) -> Vec<RosterEntry> {
        let shown = self.people.values().filter(|person| person.conn.is_some());
        shown.map(|person| self.row_of(person)).collect()
    }

    fn row_of(&self, person: &Person) -> RosterEntry {
        let leaf = self.delivery.leaf_of(&person.entrant.participant);
        RosterEntry { host: self.is_host(&person.entrant), ..person.entry(leaf) }
    }
}
