//! Our own shards: real ICE, DTLS and SRTP, everything on. Any number of meetings of any size.

use super::served::Served;
use super::thread;
use crate::client::{Client, Maker};
use crate::generator::{Farewell, Publisher, Running, maker};
use crate::machine::Meter;
use crate::packet::{EPOCH, Kind, LAYERS, SSRC_STEP, layered, ssrc_of};
use crate::sink::Subscriber;
use domain::message::client::{PublishedTrack, Weight, Wish};
use domain::message::control::{FirmRule, FromSfu, ToSfu};
use domain::policy::Rule;
use domain::{Codec, LeafIndex, MeetingId, ParticipantId, Slot};
use serde::{Deserialize, Serialize};
use sfu::shard::commands::{Command as ToShard, Commands};
use sfu::shard::sockets::Sockets;
use sfu::shard::{Parts, Shard};
use sfu::transport::ice_dtls::IceDtlsFactory;
use sfu_core::rewrite::TRANSPORT_SEQUENCE_ID;
use sfu_core::sdp::offer::OfferSection;
use std::net::IpAddr;
use std::process::Command;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// Everybody is in the meeting within this time.
const READY: Duration = Duration::from_secs(60);
/// Subscribers of one meeting, which holds 250 people.
const MOST: usize = 200;
/// Messages of a shard that wait for us.
const TOLD: usize = 1 << 16;

/// Who takes part.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Meetings, spread over the shards.
    pub meetings: usize,
    /// Publishers of each.
    pub publishers: usize,
    /// Subscribers of each.
    pub subscribers: usize,
    /// Do the publishers subscribe to each other? Then there are no other subscribers.
    pub roles: Roles,
    /// What they publish.
    pub kind: Kind,
    /// Shards.
    pub shards: usize,
}

/// Who does what in a meeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Roles {
    /// Publishers only publish, subscribers only subscribe.
    Apart,
    /// Everybody does both.
    Both,
}

impl Shape {
    /// One publisher, many subscribers, one shard. What one meeting does not hold is spread over several, each with a
    /// publisher of its own.
    pub const fn broadcast(subscribers: usize) -> Self {
        let meetings = subscribers.div_ceil(MOST);
        let subscribers = subscribers / meetings;
        Self { meetings, publishers: 1, subscribers, roles: Roles::Apart, kind: Kind::Video, shards: 1 }
    }

    /// Publishers that each subscriber hears.
    pub fn sources(&self) -> usize {
        self.publishers - usize::from(self.roles == Roles::Both)
    }

    /// How many of them in each layer: where there are layers one is large and the others are small, else there is one.
    fn by_layer(&self) -> [usize; LAYERS] {
        if self.kind == Kind::Layers { [self.sources() - 1, 0, 1] } else { [self.sources(), 0, 0] }
    }
}

/// How a shard is reached.
enum Link {
    /// On a thread of ours.
    Here(Commands),
    /// In a process of its own ([`super::served`]).
    There(Served),
}

struct End {
    link: Link,
    told: mpsc::Receiver<FromSfu>,
}

struct Member {
    meeting: MeetingId,
    who: ParticipantId,
    client: Client,
    tracks: usize,
}

/// Shards, with the clients of their meetings.
pub struct Host {
    ends: Vec<End>,
    /// CPU time and memory of the shards.
    pub meter: Meter,
    threads: Vec<JoinHandle<()>>,
    maker: Maker,
    publishers: Vec<Member>,
    subscribers: Vec<Member>,
    up: usize,
    roles: Roles,
}

/// The meeting of this number.
pub fn meeting(number: usize) -> MeetingId {
    format!("{:032x}", number + 1).parse().expect("32 digits")
}

fn number(meeting: &MeetingId) -> usize {
    usize::from_str_radix(&meeting.to_string(), 16).unwrap_or(1) - 1
}

/// A participant of the firm that every bench has.
pub fn who(name: &str) -> ParticipantId {
    format!("bank-a/{name}/1").parse().expect("a participant")
}

/// What a shard on loopback is made of, and what it is told by.
pub(super) fn parts(seed: u64, control: mpsc::Sender<FromSfu>) -> anyhow::Result<(Parts<IceDtlsFactory>, Commands)> {
    let sockets = Sockets::bind(&[IpAddr::from([127, 0, 0, 1])], 0)?;
    let factory = IceDtlsFactory::new(sockets.locals())?;
    let (commands, receiver, wake) = Commands::channel()?;
    Ok((Parts { sockets, factory, commands: receiver, wake, control, seed }, commands))
}

impl Host {
    fn new(roles: Roles, ends: Vec<End>, meter: Meter, threads: Vec<JoinHandle<()>>) -> Self {
        let (publishers, subscribers) = (Vec::new(), Vec::new());
        Self { ends, meter, threads, maker: maker(), publishers, subscribers, up: 0, roles }
    }

    /// Starts shards without meetings, each on a thread.
    pub fn start(shards: usize, roles: Roles) -> anyhow::Result<Self> {
        let (mut ends, mut ids, mut threads) = (Vec::new(), Vec::new(), Vec::new());
        for seed in 0..shards {
            let (control, told) = mpsc::channel(TOLD);
            let (parts, commands) = parts(seed as u64 + 1, control)?;
            let (id, handle) = thread(move || Shard::new(parts).run())?;
            ends.push(End { link: Link::Here(commands), told });
            ids.push(id);
            threads.push(handle);
        }
        Ok(Self::new(roles, ends, Meter::Threads(ids), threads))
    }

    /// One shard in a process of its own: `command` calls [`super::served::serve`].
    pub fn apart(command: &mut Command, roles: Roles) -> anyhow::Result<Self> {
        let (served, told) = Served::start(command)?;
        let meter = Meter::Process(served.process());
        Ok(Self::new(roles, vec![End { link: Link::There(served), told }], meter, Vec::new()))
    }

    fn say(&self, at: &MeetingId, message: ToSfu) -> anyhow::Result<()> {
        match &self.ends[number(at) % self.ends.len()].link {
            Link::Here(commands) => Ok(commands.send(ToShard::Control(message))?),
            Link::There(served) => served.say(&message),
        }
    }

    /// Opens a meeting whose publishers are these, in order of their leaves.
    pub fn open(&mut self, at: &MeetingId, publishers: &[ParticipantId]) -> anyhow::Result<()> {
        let firm = FirmRule { firm: "bank-a".parse()?, audio_video: Rule::Off, recorder_grace_ms: 2000 };
        self.say(at, ToSfu::Meeting { meeting: at.clone(), firms: vec![firm] })?;
        publishers.iter().try_for_each(|who| self.admit(at, who))?;
        let leaves = publishers.iter().enumerate().map(|(n, who)| (LeafIndex(n as u32), who.clone())).collect();
        self.say(at, ToSfu::Leaves { meeting: at.clone(), epoch: EPOCH, leaves })
    }

    /// Lets somebody in.
    pub fn admit(&self, at: &MeetingId, who: &ParticipantId) -> anyhow::Result<()> {
        let (meeting, participant) = (at.clone(), who.clone());
        self.say(at, ToSfu::Participant { meeting, participant, recorder: false, may_publish: true })
    }

    /// One shard with two meetings: microphones with one who listens, and a camera with so many who watch. The camera is the
    /// publisher behind the microphones, the listener the first subscriber. `each` has the host before its load begins.
    pub fn talk_and_show<T>(
        microphones: usize,
        viewers: usize,
        each: impl FnOnce(&mut Self) -> anyhow::Result<T>,
    ) -> anyhow::Result<(Running, T)> {
        let mut host = Self::start(1, Roles::Apart)?;
        let speakers: Vec<ParticipantId> = (0..microphones).map(|n| who(&format!("pub{n}"))).collect();
        let (talk, show) = (meeting(0), meeting(1));
        host.open(&talk, &speakers)?;
        for (place, name) in speakers.iter().enumerate() {
            host.publish(&talk, name, place as u16, Kind::Audio)?;
        }
        host.ready(microphones, 0)?;
        host.admit(&talk, &who("listener"))?;
        host.ready(microphones + 1, microphones)?;
        host.open(&show, &speakers[..1])?;
        host.publish(&show, &speakers[0], 0, Kind::Video)?;
        host.ready(microphones + 2, 0)?;
        (0..viewers).try_for_each(|n| host.admit(&show, &who(&format!("viewer{n}"))))?;
        host.ready(microphones + 2 + viewers, 1)?;
        let made = each(&mut host)?;
        let shape = Shape { publishers: microphones, kind: Kind::Audio, ..Shape::broadcast(1) };
        let mut running = host.running(&shape);
        running.publishers[microphones].kind = Kind::Video;
        Ok((running, made))
    }

    /// Makes the offer of the publisher at this place.
    pub fn publish(&mut self, at: &MeetingId, who: &ParticipantId, place: u16, kind: Kind) -> anyhow::Result<()> {
        let client = self.maker.client();
        let (codec, slot) = match kind {
            Kind::Video | Kind::Layers => (Codec::Vp8, Slot::CAMERA),
            Kind::Audio => (Codec::Opus, Slot::MICROPHONE),
        };
        let ssrc = ssrc_of(place);
        let stream = Some(format!("s{place}"));
        let section = OfferSection { mid: "0".into(), codec, ssrc, repair_ssrc: ssrc + SSRC_STEP - 1, stream };
        let tracks = vec![PublishedTrack { mid: "0".into(), slot, codec }];
        let sdp = client.offer(&[section]);
        let sdp = if kind == Kind::Layers { layered(&sdp) } else { sdp };
        self.publishers.push(Member { meeting: at.clone(), who: who.clone(), client, tracks: 0 });
        self.say(at, ToSfu::PublishOffer { meeting: at.clone(), participant: who.clone(), sdp, tracks })
    }

    /// Everybody looks at the next one in large, and at all others in small.
    fn look(&self, at: &MeetingId, people: &[ParticipantId]) -> anyhow::Result<()> {
        for (n, participant) in people.iter().enumerate() {
            let wish = |(other, whose): (usize, &ParticipantId)| Wish {
                participant: whose.clone(),
                slot: Slot::CAMERA,
                max_height: if other == (n + 1) % people.len() { 720 } else { 180 },
                weight: Weight::Normal,
            };
            let wishes = people.iter().enumerate().filter(|(other, _)| *other != n).map(wish).collect();
            self.say(at, ToSfu::View { meeting: at.clone(), participant: participant.clone(), wishes })?;
        }
        Ok(())
    }

    /// Hears the shards and answers; moves every client on.
    pub fn drive(&mut self) -> anyhow::Result<()> {
        for end in 0..self.ends.len() {
            while let Ok(message) = self.ends[end].told.try_recv() {
                self.heard(message)?;
            }
        }
        for member in self.publishers.iter_mut().chain(&mut self.subscribers) {
            if member.client.srtp.is_none() {
                member.client.drive();
            }
        }
        Ok(())
    }

    fn heard(&mut self, message: FromSfu) -> anyhow::Result<()> {
        match message {
            FromSfu::PublishAnswer { meeting, participant, sdp } => {
                if let Some(member) = find(&mut self.publishers, &meeting, &participant) {
                    member.client.take_answer(&sdp);
                }
            }
            FromSfu::SubscribeOffer { meeting, participant, sdp, revision, tracks } => {
                if self.roles == Roles::Apart && find(&mut self.publishers, &meeting, &participant).is_some() {
                    return Ok(());
                }
                if find(&mut self.subscribers, &meeting, &participant).is_none() {
                    let (meeting, who) = (meeting.clone(), participant.clone());
                    self.subscribers.push(Member { meeting, who, client: self.maker.client(), tracks: 0 });
                }
                if let Some(member) = find(&mut self.subscribers, &meeting, &participant) {
                    member.tracks = tracks.len();
                    let sdp = member.client.answer(&sdp);
                    let at = meeting.clone();
                    self.say(&at, ToSfu::SubscribeAnswer { meeting, participant, revision, sdp })?;
                }
            }
            FromSfu::Failed { detail, .. } => anyhow::bail!("{detail}"),
            FromSfu::Connected { .. } => self.up += 1,
            _ => {}
        }
        Ok(())
    }

    /// Waits until so many transports are up and every subscriber is offered so many tracks.
    pub fn ready(&mut self, transports: usize, tracks: usize) -> anyhow::Result<()> {
        let until = Instant::now() + READY;
        while self.up < transports || self.subscribers.iter().any(|s| s.tracks < tracks) {
            self.drive()?;
            anyhow::ensure!(Instant::now() < until, "{} of {transports} transports are up", self.up);
            std::thread::yield_now();
        }
        Ok(())
    }

    /// A way to talk to the first shard while a load runs, if it is in this process. What was said before is dropped.
    pub fn desk(&mut self) -> Option<Desk> {
        let end = self.ends.first_mut()?;
        let Link::Here(commands) = &end.link else { return None };
        let (_, nothing) = mpsc::channel(1);
        Some(Desk { commands: commands.clone(), told: std::mem::replace(&mut end.told, nothing) })
    }

    /// Everybody is there: the load may begin.
    pub fn running(self, shape: &Shape) -> Running {
        let Self { ends, meter, threads, publishers, subscribers, .. } = self;
        let cipher = publishers.first().map_or("none", |p| super::cipher(&p.client));
        let place = |n: usize| (n % shape.publishers) as u16;
        let publisher = |(n, member): (usize, Member)| Publisher::new(member.client, shape.kind, place(n));
        let subscriber = |member: Member| {
            let mut subscriber = Subscriber::new(member.client, shape.sources(), TRANSPORT_SEQUENCE_ID);
            subscriber.by_layer = shape.by_layer();
            subscriber
        };
        Running {
            publishers: publishers.into_iter().enumerate().map(publisher).collect(),
            subscribers: subscribers.into_iter().map(subscriber).collect(),
            meter,
            end: Box::new(move || farewell(ends)),
            threads,
            cipher,
        }
    }
}

/// Where a shard is told something and asked, beside the load.
pub struct Desk {
    commands: Commands,
    told: mpsc::Receiver<FromSfu>,
}

impl Desk {
    /// Says what signaling says.
    pub fn say(&self, message: ToSfu) -> anyhow::Result<()> {
        self.command(ToShard::Control(message))
    }

    /// Tells it anything.
    pub fn command(&self, command: ToShard) -> anyhow::Result<()> {
        Ok(self.commands.send(command)?)
    }

    /// What the shard said, if it said something.
    pub fn heard(&mut self) -> Option<FromSfu> {
        self.told.try_recv().ok()
    }

    /// Its counters.
    pub fn stats(&self) -> anyhow::Result<(sfu::shard::EdgeStats, sfu_core::Stats)> {
        let (reply, answer) = oneshot::channel();
        self.command(ToShard::Stats(reply))?;
        Ok(answer.blocking_recv()?)
    }
}

fn find<'a>(members: &'a mut [Member], meeting: &MeetingId, who: &ParticipantId) -> Option<&'a mut Member> {
    members.iter_mut().find(|member| member.who == *who && member.meeting == *meeting)
}

fn farewell(ends: Vec<End>) -> Farewell {
    let mut sum = Last::default();
    for end in ends {
        let last = match end.link {
            Link::Here(commands) => Last::of(&commands),
            Link::There(served) => served.stop(),
        };
        let Some(last) = last else { return Farewell::default() };
        sum.sent_in_runs += last.sent_in_runs;
        sum.sent_alone += last.sent_alone;
        sum.send_dropped += last.send_dropped;
        sum.history += last.history;
        sum.socket_buffers += last.socket_buffers;
    }
    let gso_share = Some(sum.sent_in_runs as f64 / (sum.sent_in_runs + sum.sent_alone).max(1) as f64);
    let kept_kib = Some((sum.history >> 10, sum.socket_buffers >> 10));
    Farewell { gso_share, send_dropped: Some(sum.send_dropped), kept_kib }
}

/// What a shard counted, at its end.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Last {
    sent_in_runs: u64,
    sent_alone: u64,
    send_dropped: u64,
    history: u64,
    socket_buffers: u64,
}

impl Last {
    /// Asks the shard and ends it.
    pub(super) fn of(commands: &Commands) -> Option<Self> {
        let (reply, answer) = oneshot::channel();
        commands.send(ToShard::Stats(reply)).ok()?;
        let (edge, _) = answer.blocking_recv().ok()?;
        // one that is gone needs no word
        let _ = commands.send(ToShard::Stop);
        Some(Self {
            sent_in_runs: edge.sent_in_runs,
            sent_alone: edge.sent_alone,
            send_dropped: edge.send_dropped,
            history: edge.history,
            socket_buffers: edge.socket_buffers,
        })
    }
}

/// Starts shards with these meetings.
pub fn start(shape: &Shape) -> anyhow::Result<Running> {
    let mut host = Host::start(shape.shards, shape.roles)?;
    let mut transports = 0;
    for number in 0..shape.meetings {
        let at = meeting(number);
        let publishers: Vec<ParticipantId> = (0..shape.publishers).map(|n| who(&format!("pub{n}"))).collect();
        host.open(&at, &publishers)?;
        for (place, name) in publishers.iter().enumerate() {
            host.publish(&at, name, place as u16, shape.kind)?;
        }
        transports += shape.publishers;
        if shape.roles == Roles::Apart {
            host.ready(transports, 0)?;
            (0..shape.subscribers).try_for_each(|n| host.admit(&at, &who(&format!("sub{n}"))))?;
            transports += shape.subscribers;
        } else {
            transports += shape.publishers;
        }
        host.ready(transports, shape.sources())?;
        if shape.kind == Kind::Layers {
            host.look(&at, &publishers)?;
        }
    }
    Ok(host.running(shape))
}
