//! Who is in the call: a camera with many who watch, ten microphones with one who listens and a recorder.

use anyhow::Context;
use benches::client::Maker;
use benches::forwarders::strongroom::{Desk, Host, meeting, who};
use benches::generator::{Running, maker};
use benches::load::Packet;
use benches::sink::Tally;
use domain::message::client::PublishedTrack;
use domain::message::control::{FromSfu, ToSfu};
use domain::message::record_link::ToSfuRecord;
use domain::{Codec, ParticipantId, Slot};
use sfu::shard::commands::Command;
use sfu_core::rtcp::build::receiver_report;
use sfu_core::rtcp::{self, Item};
use sfu_core::sdp::offer::OfferSection;
use sfu_core::{LinkId, Micros, Record};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// Microphones.
const SPEAKERS: usize = 10;
/// One packet of sound.
const FRAME: Duration = Duration::from_millis(20);
/// Subscribers are emptied so often within it.
const PARTS: u32 = 4;
/// Messages that wait for the recorder, as the SFU's own link has them.
const WAITING: usize = 1024;
/// A join that is not answered in so long is none.
const ANSWER: Duration = Duration::from_secs(5);
/// What is still on its way.
const QUIET: Duration = Duration::from_millis(150);

/// The call.
pub struct Call {
    running: Running,
    desk: Desk,
    maker: Maker,
    link: LinkId,
    records: mpsc::Receiver<(u64, Record)>,
    /// Microphones' packets since the beginning: sent, heard, recorded.
    sounds: (u64, u64, u64),
    began: Instant,
    joins: usize,
}

/// What arrived of what was sent, in a while; sound and record from the beginning on.
pub struct Heard {
    pub sound: (u64, u64),
    pub record: (u64, u64),
    pub pictures: (u64, u64),
    pub core_share: f64,
    pub shedding: u64,
}

impl Call {
    pub fn start(subscribers: usize) -> anyhow::Result<Self> {
        let desk = |host: &mut Host| host.desk().context("a shard in this process");
        let (running, desk) = Host::talk_and_show(SPEAKERS, subscribers, desk)?;
        let (link, records) = recorder(&desk)?;
        let (maker, began) = (maker(), Instant::now());
        Ok(Self { running, desk, maker, link, records, sounds: (0, 0, 0), began, joins: 0 })
    }

    /// Everybody sends for so long, the camera so many packets a second.
    pub fn speak(&mut self, rate: u64, time: Duration) -> anyhow::Result<Heard> {
        let (began, cpu) = (Instant::now(), self.running.meter.cpu_ns()?);
        let mut pictures = Tally::default();
        let frames = (time.as_micros() / FRAME.as_micros()) as u32;
        let of_frame = (rate as u32 / (1_000 / FRAME.as_millis() as u32)).max(1);
        for frame in 0..frames {
            let shape = |at: u32, of: u32, size| Packet {
                at_us: 0,
                size,
                start: at == 0,
                marker: at + 1 == of,
                frame,
                layer: 0,
            };
            for part in 0..PARTS {
                let due = began + FRAME * frame + FRAME / PARTS * part;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                for at in (0..of_frame).filter(|at| at * PARTS / of_frame == part) {
                    self.running.publishers[SPEAKERS].send(&shape(at, of_frame, 1_100));
                }
                if part == 0 {
                    for publisher in &mut self.running.publishers[..SPEAKERS] {
                        publisher.send(&shape(0, 1, 100));
                    }
                    self.sounds.0 += SPEAKERS as u64;
                }
                self.listen(part == 0 && frame.is_multiple_of(5), &mut pictures)?;
            }
            self.answer();
        }
        let (cpu_ns, took) = (self.running.meter.cpu_ns()? - cpu, began.elapsed());
        let quiet = Instant::now();
        while quiet.elapsed() < QUIET {
            self.listen(false, &mut pictures)?;
        }
        self.running.publishers.iter_mut().for_each(|publisher| publisher.advance(frames));
        let shown = u64::from(frames * of_frame) * (self.running.subscribers.len() as u64 - 1);
        Ok(Heard {
            sound: (self.sounds.0, self.sounds.1),
            record: (self.sounds.0, self.sounds.2),
            pictures: (shown, pictures.received),
            core_share: cpu_ns as f64 / took.as_nanos() as f64,
            shedding: self.desk.stats()?.0.shedding,
        })
    }

    fn listen(&mut self, report: bool, pictures: &mut Tally) -> anyhow::Result<()> {
        let now = Micros(1_000_000 + self.began.elapsed().as_micros() as u64);
        let mut sound = Tally::default();
        for (at, subscriber) in self.running.subscribers.iter_mut().enumerate() {
            subscriber.empty(now, if at == 0 { &mut sound } else { pictures });
            match at {
                _ if !report => {}
                0 => subscriber.report(),
                // without transport-wide feedback nothing is estimated: what is left out is left out by the shard
                _ => subscriber.client.send_rtcp(&receiver_report(1, &[])),
            }
        }
        self.sounds.1 += sound.received;
        while let Ok((seq, record)) = self.records.try_recv() {
            self.sounds.2 += u64::from(matches!(record, Record::Packet { .. }));
            self.desk.command(Command::Record(self.link, ToSfuRecord::Ack { seq }))?;
        }
        Ok(())
    }

    /// The camera's next picture is a key frame if one was asked for.
    fn answer(&mut self) {
        let camera = &mut self.running.publishers[SPEAKERS];
        camera.client.drive();
        let asked = |item: &Item| matches!(item, Item::KeyFrame { .. });
        if camera.client.rtcp.drain(..).any(|compound| rtcp::parse(&compound).iter().any(asked)) {
            camera.advance(0);
        }
    }

    /// Somebody comes: how long until it is answered, and what.
    pub fn join(&mut self) -> anyhow::Result<(Duration, String)> {
        self.joins += 1;
        let (at, name) = (meeting(0), who(&format!("late{}", self.joins)));
        let section =
            OfferSection { mid: "0".into(), codec: Codec::Opus, ssrc: 9, repair_ssrc: 10, stream: Some("s".into()) };
        let sdp = self.maker.client().offer(&[section]);
        let tracks = vec![PublishedTrack { mid: "0".into(), slot: Slot::MICROPHONE, codec: Codec::Opus }];
        while self.desk.heard().is_some() {}
        let began = Instant::now();
        let (meeting, participant) = (at.clone(), name.clone());
        self.desk.say(ToSfu::Participant { meeting, participant, recorder: false, may_publish: true })?;
        self.desk.say(ToSfu::PublishOffer { meeting: at.clone(), participant: name.clone(), sdp, tracks })?;
        let answer = loop {
            match self.desk.heard() {
                Some(FromSfu::Failed { participant, detail, .. }) if participant == name => break detail,
                Some(FromSfu::PublishAnswer { participant, .. }) if participant == name => break "taken".to_owned(),
                _ => {}
            }
            anyhow::ensure!(began.elapsed() < ANSWER, "a join was not answered");
            self.listen(false, &mut Tally::default())?;
        };
        let took = began.elapsed();
        self.desk.say(ToSfu::Cut { meeting: at, participant: name })?;
        Ok((took, answer))
    }

    pub fn stop(self) {
        self.running.stop();
    }
}

/// A recorder's link into the meeting of the microphones.
fn recorder(desk: &Desk) -> anyhow::Result<(LinkId, mpsc::Receiver<(u64, Record)>)> {
    let (at, name): (_, ParticipantId) = (meeting(0), "bank-a/recorder-1/1".parse()?);
    let (meeting, participant) = (at.clone(), name.clone());
    desk.say(ToSfu::Participant { meeting, participant, recorder: true, may_publish: false })?;
    let (messages, records) = mpsc::channel(WAITING);
    let (reply, link) = oneshot::channel();
    desk.command(Command::RecordUp { meeting: at, participant: name, durable: 0, messages, reply })?;
    let link = link.blocking_recv()?.map_err(|why| anyhow::anyhow!("{why:?}"))?;
    Ok((link, records))
}
