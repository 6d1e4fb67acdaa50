//! One panic ends one participant: a transport that panics, wherever the shard calls it, takes nobody else along.

mod client;

use client::{Client, Maker};
use domain::message::client::PublishedTrack;
use domain::message::control::{FirmRule, FromSfu, ToSfu};
use domain::policy::Rule;
use domain::{Codec, MeetingId, ParticipantId, Slot};
use sfu::shard::commands::{Command, Commands};
use sfu::shard::sockets::Sockets;
use sfu::shard::{EdgeStats, Parts, Shard};
use sfu::transport::ice_dtls::IceDtlsFactory;
use sfu::transport::{Event, Factory, IceParameters, Path, Transport};
use sfu_core::sdp::offer::OfferSection;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// Three times what a loaded machine needs.
const DEADLINE: Duration = Duration::from_secs(20);

/// Where the next transport that comes by panics, once; 0 is nowhere.
type Trap = Arc<AtomicU8>;
const STUN: u8 = 1;
const DTLS: u8 = 2;
const TIMER: u8 = 3;
const EVENT: u8 = 4;
const COMMAND: u8 = 5;

struct Trapped {
    inner: Box<dyn Transport>,
    trap: Trap,
}

impl Trapped {
    fn step_on(&self, place: u8) {
        assert!(self.trap.compare_exchange(place, 0, Ordering::SeqCst, Ordering::SeqCst).is_err(), "a trap was sprung");
    }
}

impl Transport for Trapped {
    fn parameters(&self) -> IceParameters {
        self.inner.parameters()
    }
    fn set_remote(&mut self, remote: IceParameters, fingerprint: &[u8]) {
        self.step_on(COMMAND);
        self.inner.set_remote(remote, fingerprint);
    }
    fn restart(&mut self, now: Instant) {
        self.inner.restart(now);
    }
    fn handle_stun(&mut self, now: Instant, path: Path, packet: &[u8]) -> bool {
        self.step_on(STUN);
        self.inner.handle_stun(now, path, packet)
    }
    fn lost(&mut self, path: Path) {
        self.inner.lost(path);
    }
    fn handle_dtls(&mut self, now: Instant, packet: &[u8]) {
        self.step_on(DTLS);
        self.inner.handle_dtls(now, packet);
    }
    fn handle_timeout(&mut self, now: Instant) {
        self.step_on(TIMER);
        self.inner.handle_timeout(now);
    }
    fn poll(&mut self) -> Option<Event> {
        self.step_on(EVENT);
        self.inner.poll()
    }
    fn close(&mut self, now: Instant) {
        self.inner.close(now);
    }
}

struct Trapping {
    inner: IceDtlsFactory,
    trap: Trap,
}

impl Factory for Trapping {
    fn create(&self, now: Instant) -> Box<dyn Transport> {
        Box::new(Trapped { inner: self.inner.create(now), trap: self.trap.clone() })
    }
    fn fingerprint(&self) -> String {
        self.inner.fingerprint()
    }
    fn tcp(&self) -> &[std::net::SocketAddr] {
        self.inner.tcp()
    }
}

fn meeting(n: u8) -> MeetingId {
    format!("{n:032x}").parse().expect("an id")
}

fn who() -> ParticipantId {
    "bank-a/anna/1".parse().expect("a participant")
}

struct Server {
    commands: Commands,
    told: mpsc::Receiver<FromSfu>,
}

impl Server {
    fn say(&self, message: ToSfu) {
        self.commands.send(Command::Control(message)).expect("taken");
    }

    /// Begins a meeting of one person with a publish transport.
    fn join(&mut self, n: u8, maker: &Maker) -> Option<Client> {
        let firm =
            FirmRule { firm: "bank-a".parse().expect("a firm"), audio_video: Rule::Off, recorder_grace_ms: 2000 };
        self.say(ToSfu::Meeting { meeting: meeting(n), firms: vec![firm] });
        self.say(ToSfu::Participant { meeting: meeting(n), participant: who(), recorder: false, may_publish: true });
        let mut client = maker.client();
        let section = OfferSection {
            mid: "0".into(),
            codec: Codec::Opus,
            ssrc: 100,
            repair_ssrc: 101,
            stream: Some("me".into()),
        };
        let sdp = client.offer(&[section]);
        let tracks = vec![PublishedTrack { mid: "0".into(), slot: Slot::MICROPHONE, codec: Codec::Opus }];
        self.say(ToSfu::PublishOffer { meeting: meeting(n), participant: who(), sdp, tracks });
        let until = Instant::now() + DEADLINE;
        while Instant::now() < until {
            match self.told.try_recv() {
                Ok(FromSfu::PublishAnswer { meeting: of, sdp, .. }) if of == meeting(n) => {
                    client.take_answer(&sdp);
                    return Some(client);
                }
                Ok(FromSfu::Lost { meeting: of, participant }) => {
                    assert_eq!((of, participant), (meeting(n), Some(who())));
                    return None;
                }
                _ => std::thread::yield_now(),
            }
        }
        panic!("no answer in time");
    }

    /// Drives the client until its participant is lost.
    fn lost(&mut self, client: &mut Client) -> (MeetingId, Option<ParticipantId>) {
        let until = Instant::now() + DEADLINE;
        while Instant::now() < until {
            client.drive();
            match self.told.try_recv() {
                Ok(FromSfu::Lost { meeting, participant }) => return (meeting, participant),
                _ => std::thread::yield_now(),
            }
        }
        panic!("nothing was lost in time");
    }

    fn stats(&self) -> EdgeStats {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Stats(reply)).expect("taken");
        answer.blocking_recv().expect("answered").0
    }
}

#[test]
fn a_panic_anywhere_in_a_transport_ends_one_participant_and_the_shard_goes_on() {
    let trap = Trap::default();
    let sockets = Sockets::bind(&[IpAddr::from([127, 0, 0, 1])], 0).expect("loopback");
    let inner = IceDtlsFactory::new(sockets.locals()).expect("DTLS");
    let (commands, receiver, wake) = Commands::channel().expect("a queue");
    let (control, told) = mpsc::channel(1024);
    let factory = Trapping { inner, trap: trap.clone() };
    let parts = Parts { sockets, factory, commands: receiver, wake, control, seed: 1 };
    let thread = std::thread::spawn(move || Shard::new(parts).run());
    let mut server = Server { commands, told };
    let maker = Maker::new();

    for (n, place) in (1u8..).zip([STUN, DTLS, TIMER, EVENT]) {
        let mut client = server.join(n, &maker).expect("nothing panics yet");
        trap.store(place, Ordering::SeqCst);
        assert_eq!(server.lost(&mut client), (meeting(n), Some(who())), "place {place}");
        let stats = server.stats();
        assert_eq!((stats.panics, stats.transports, stats.addresses), (u64::from(n), 0, 0), "place {place}");
    }
    trap.store(COMMAND, Ordering::SeqCst);
    assert!(server.join(5, &maker).is_none(), "the offer's handling panicked");
    // somebody else is served as ever
    let mut client = server.join(6, &maker).expect("served");
    let until = Instant::now() + DEADLINE;
    while client.srtp.is_none() {
        client.drive();
        assert!(Instant::now() < until, "no keys in time");
    }
    let stats = server.stats();
    assert_eq!((stats.panics, stats.transports, stats.participants), (5, 1, 1));
    server.commands.send(Command::Stop).expect("taken");
    thread.join().expect("the shard's thread did not panic");
}
