//! Recording: a generator tells each meeting its packets in real time, two threads run the meetings' cores, and each
//! meeting's archive thread writes and syncs. CPU is all of the process but the generator.

use crate::Arguments;
use anyhow::{Context, ensure};
use benches::machine::{self, Meter};
use crash::{firm, recording};
use domain::message::record_link::FromSfuRecord;
use domain::{Codec, Epoch, Kid, LeafIndex, ParticipantId, Slot, UnixMillis};
use e2ee::sframe::{BaseKey, Opener as Frames, SealKey};
use evidence::archive::manifest::write_sealed_keys;
use evidence::archive::{Digest, EpochKey, SealedKeys, names, sha256};
use recorder_core::{Config, FileRule, Input, Meeting, Now, Opener, Output, Verdict, Wants};
use recorder_journal::journal::Writer;
use recorder_journal::store::Disk;
use sha2::{Digest as _, Sha256};
use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Pictures a second.
pub const FPS: u64 = 30;
/// Payload of a packet.
pub const PAYLOAD: usize = 1_100;
/// Threads that run cores.
const WORKERS: u32 = 2;
/// Epoch of all frames.
pub const EPOCH: Epoch = Epoch(1);
/// Messages of a meeting that may wait for its core: two seconds, so that a slow disk is seen as latency.
const QUEUE: usize = 64;

/// What is known after a recording.
pub struct Recorded {
    /// Result.
    pub line: serde_json::Value,
    /// Bytes in all archives.
    pub bytes: u64,
    /// Key of the frames.
    pub base: [u8; 32],
    /// Streams of the first meeting.
    pub one: u32,
}

/// All packets of one picture of one meeting.
struct Tick {
    number: u64,
    made: Instant,
    messages: Vec<FromSfuRecord>,
}

/// Real keys, real tags.
struct Keys(Frames, Option<Digest>);

impl Opener for Keys {
    fn open(&mut self, _: UnixMillis, _: &ParticipantId, _: Slot, codec: Codec, wire: &[u8]) -> Verdict {
        let opened = self.0.check(codec, wire);
        self.1 = opened.as_ref().ok().map(|authentic| Digest(authentic.sha256));
        if opened.is_ok() { Verdict::Opened } else { Verdict::Rejected }
    }
    fn sha256(&self) -> Option<Digest> {
        self.1
    }
}

/// One meeting with its files.
struct One {
    core: Meeting,
    files: Writer,
    keys: Keys,
    commit: Option<(u64, oneshot::Receiver<std::io::Result<()>>)>,
    segments: recording::Segments,
    /// Ticks that wait for their acknowledgement: their last message, and when it was made.
    waiting: VecDeque<(u64, Instant)>,
    latencies_us: Vec<u64>,
    began: Instant,
    finished: bool,
    queue: Receiver<Tick>,
}

fn wall() -> u64 {
    benches::packet::wall_ns() / 1_000_000
}

impl One {
    fn start(folder: &Path, base: [u8; 32], queue: Receiver<Tick>, began: Instant) -> anyhow::Result<Self> {
        let files = Writer::start(Box::new(Disk::new(folder.to_owned())))?;
        let keys = vec![SealedKeys { incarnation: 1, recorder: firm::recorder(), keys: Vec::new() }];
        let sealed = write_sealed_keys(&keys);
        files.ask(move |journal| journal.store().put(names::SEALED_KEYS, &sealed)).blocking_recv()??;
        let config = Config {
            firm: firm::id(),
            meeting: firm::meeting(),
            recorder: firm::recorder(),
            incarnation: 1,
            software: "bench".to_owned(),
            wants: Wants::Media,
            files: FileRule::Kept,
        };
        let keys = Keys(Frames::from_base_key(BaseKey::from_bytes(&base).context("a key")?, EPOCH), None);
        let now = Now { wall: UnixMillis(wall()), mono_ms: 0 };
        let mut core = Meeting::new(config, now);
        core.handle(now, Input::Terms(Box::new(recording::terms())), &mut recording::AllKeys);
        let members = Vec::new();
        core.handle(
            now,
            Input::Epoch { epoch: EPOCH, transcript_hash: sha256(b"epoch"), members },
            &mut recording::AllKeys,
        );
        let key =
            EpochKey { incarnation: 1, epoch: EPOCH, sealed: vec![3; 60].into(), transcript_hash: sha256(b"epoch") };
        core.handle(now, Input::EpochKey { key, commitment: [0; 32] }, &mut recording::AllKeys);
        core.handle(now, Input::Link(FromSfuRecord::Welcome { oldest: 1 }), &mut recording::AllKeys);
        Ok(Self {
            core,
            files,
            keys,
            commit: None,
            segments: Vec::new(),
            waiting: VecDeque::new(),
            latencies_us: Vec::new(),
            began,
            finished: false,
            queue,
        })
    }

    fn now(&self) -> Now {
        Now { wall: UnixMillis(wall()), mono_ms: self.began.elapsed().as_millis() as u64 }
    }

    /// What has come until now; `false`: nothing more will.
    fn turn(&mut self) -> anyhow::Result<bool> {
        let mut open = true;
        loop {
            match self.queue.try_recv() {
                Ok(tick) => {
                    let now = self.now();
                    for message in tick.messages {
                        self.core.handle(now, Input::Link(message), &mut self.keys);
                    }
                    self.waiting.push_back((tick.number, tick.made));
                }
                Err(std::sync::mpsc::TryRecvError::Empty) => break,
                Err(std::sync::mpsc::TryRecvError::Disconnected) => {
                    open = false;
                    break;
                }
            }
        }
        self.pump()?;
        Ok(open)
    }

    fn pump(&mut self) -> anyhow::Result<()> {
        let now = self.now();
        if let Some((ticket, mut done)) = self.commit.take() {
            match done.try_recv() {
                Ok(done) => {
                    done?;
                    self.core.handle(now, Input::Committed { ticket }, &mut self.keys);
                }
                Err(oneshot::error::TryRecvError::Empty) => self.commit = Some((ticket, done)),
                Err(error) => return Err(error.into()),
            }
        }
        if self.core.poll_timeout().is_some_and(|at| at <= now.mono_ms) {
            self.core.handle_timeout(now, &mut self.keys);
        }
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Commit(batch) => {
                    self.commit = Some((batch.ticket, self.files.ask(move |journal| journal.commit(&batch))));
                }
                Output::Ack { seq } => {
                    while let Some((_, made)) = self.waiting.pop_front_if(|(last, _)| *last <= seq) {
                        self.latencies_us.push(made.elapsed().as_micros() as u64);
                    }
                }
                Output::Seal(manifest) => self.segments.push(recording::seal(&self.files, manifest)?),
                Output::Finished => self.finished = true,
                _ => {}
            }
        }
        Ok(())
    }

    /// Waits for what is on its way, without closing: this is what a restart finds.
    fn settle(&mut self) -> anyhow::Result<()> {
        while !self.waiting.is_empty() {
            self.pump()?;
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn close(mut self) -> anyhow::Result<(u64, Vec<u64>)> {
        let now = self.now();
        self.core.handle(now, Input::Finish, &mut self.keys);
        while !self.finished {
            self.pump()?;
            std::thread::sleep(Duration::from_millis(1));
        }
        let gaps = self.core.summary().gaps.len() as u64;
        recording::conclude(&self.files, &self.core, &self.segments)?;
        Ok((gaps, self.latencies_us))
    }
}

fn work(mut all: Vec<One>) -> anyhow::Result<Vec<One>> {
    loop {
        let mut open = false;
        for one in &mut all {
            open |= one.turn()?;
        }
        if !open {
            break;
        }
        // the recorder is woken by its sockets; this wakes as often as pictures come
        std::thread::sleep(Duration::from_millis(2));
    }
    for one in &mut all {
        one.settle()?;
    }
    Ok(all)
}

/// Makes the packets of every picture, in time.
fn generate(arguments: &Arguments, base: [u8; 32], queues: &[SyncSender<Tick>]) -> anyhow::Result<()> {
    let each = arguments.streams / arguments.meetings;
    let size = (arguments.mbit * 1e6 / 8.0 / FPS as f64) as usize;
    let base = BaseKey::from_bytes(&base).context("a key")?;
    let mut seal = SealKey::new(&base, Kid::new(Slot::CAMERA, LeafIndex(1), EPOCH), Codec::Vp8);
    let (mut seq, mut wire) = (0, Vec::new());
    let began = Instant::now();
    for frame in 0..arguments.seconds * FPS {
        let due = began + Duration::from_micros(frame * 1_000_000 / FPS);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        // VP8's first byte: bit 0 is clear in key frames
        let mut clear = vec![u8::from(!frame.is_multiple_of(10 * FPS)); size];
        clear[1..9].copy_from_slice(&frame.to_be_bytes());
        seal.seal(frame.is_multiple_of(10 * FPS), &clear, frame * 1_000_000 / FPS, &mut wire)?;
        let packets = wire.len().div_ceil(PAYLOAD);
        let mut first = Vec::new();
        if frame == 0 {
            for n in 0..each {
                let participant: ParticipantId = format!("bank-a/person-{n}/d1").parse()?;
                let (track, slot, codec) = (n + 1, Slot::CAMERA, Codec::Vp8);
                first.push(FromSfuRecord::Track { seq: u64::from(n) + 1, track, participant, slot, codec });
            }
            seq = u64::from(each);
        }
        let number = seq + u64::from(each) * packets as u64;
        for queue in queues {
            let mut messages = first.clone();
            let mut seq = seq;
            for n in 0..each {
                for (part, payload) in wire.chunks(PAYLOAD).enumerate() {
                    seq += 1;
                    let rtp = rtp(n, frame * packets as u64 + part as u64, frame, part, packets, payload);
                    messages.push(FromSfuRecord::Packet { seq, track: n + 1, arrival_us: wall() * 1_000, rtp });
                }
            }
            queue.send(Tick { number, made: Instant::now(), messages }).context("a meeting ended")?;
        }
        seq = number;
    }
    Ok(())
}

/// An RTP packet with a part of a VP8 picture.
pub fn rtp(stream: u32, number: u64, frame: u64, part: usize, of: usize, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(13 + payload.len());
    out.extend([0x80, if part + 1 == of { 0x80 | 96 } else { 96 }]);
    out.extend((number as u16).to_be_bytes());
    out.extend((frame as u32 * 3_000).to_be_bytes());
    out.extend((stream + 1).to_be_bytes());
    out.push(if part == 0 { 0x10 } else { 0 });
    out.extend(payload);
    out
}

fn size_of(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|one| if one.path().is_dir() { size_of(&one.path()) } else { one.metadata().map_or(0, |m| m.len()) })
        .sum()
}

fn percentile(sorted: &[u64], share: f64) -> u64 {
    sorted.get(((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1))).copied().unwrap_or(0)
}

/// Records for so many seconds.
pub fn record(arguments: &Arguments, folder: &Path) -> anyhow::Result<Recorded> {
    ensure!(arguments.meetings > 0 && arguments.streams >= arguments.meetings, "each meeting has a stream");
    let base = [9; 32];
    let began = Instant::now();
    let mut queues = Vec::new();
    let mut of: Vec<Vec<One>> = (0..WORKERS).map(|_| Vec::new()).collect();
    for n in 0..arguments.meetings {
        let (queue, ticks) = sync_channel(QUEUE);
        of[(n % WORKERS) as usize].push(One::start(&folder.join(format!("meeting-{n}")), base, ticks, began)?);
        queues.push(queue);
    }
    let generator = Meter::Threads(vec![rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs()]);
    let process = Meter::Process(std::process::id());
    let (all_before, own_before) = (process.cpu_ns()?, generator.cpu_ns()?);
    let workers: Vec<_> = of.into_iter().map(|some| std::thread::spawn(move || work(some))).collect();
    generate(arguments, base, &queues)?;
    let took = began.elapsed();
    drop(queues);
    let mut all = Vec::new();
    // each worker's and each archive thread's time counts while it lives: read before the workers end
    let cpu = (process.cpu_ns()? - all_before) - (generator.cpu_ns()? - own_before);
    for worker in workers {
        all.extend(worker.join().map_err(|_| anyhow::anyhow!("a worker panicked"))??);
    }
    let (mut gaps, mut latencies) = (0, Vec::new());
    for one in all {
        let (of_one, more) = one.close()?;
        gaps += of_one;
        latencies.extend(more);
    }
    latencies.sort_unstable();
    let each = arguments.streams / arguments.meetings;
    let bytes = (0..arguments.meetings).map(|n| size_of(&folder.join(format!("meeting-{n}")))).sum();
    let stream_seconds = u64::from(each * arguments.meetings) * arguments.seconds;
    let line = serde_json::json!({
        "who": "strongroom", "bench": "archive-record", "streams": each * arguments.meetings, "meetings": arguments.meetings,
        "seconds": arguments.seconds, "late_s": took.as_secs_f64() - arguments.seconds as f64,
        "cpu_us_per_stream_second": cpu / 1_000 / stream_seconds.max(1), "cores": cpu as f64 / took.as_nanos() as f64,
        "gaps": gaps, "ack_p50_ms": percentile(&latencies, 0.5) / 1_000, "ack_p99_ms": percentile(&latencies, 0.99) / 1_000,
        "mb": bytes / 1_000_000,         "machine_load": machine::load(),
    });
    Ok(Recorded { line, bytes, base, one: each })
}

/// The same bytes, written and synced four times a second into as many files, and hashed.
pub fn floor(arguments: &Arguments, folder: &Path, bytes: u64) -> anyhow::Result<serde_json::Value> {
    let meter = Meter::Process(std::process::id());
    let block = vec![0x5a; (bytes / (arguments.seconds * 4 * u64::from(arguments.meetings)).max(1)) as usize];
    let before = meter.cpu_ns()?;
    let mut slowest = Duration::ZERO;
    let mut files = (0..arguments.meetings)
        .map(|n| File::create(folder.join(format!("floor-{n}"))))
        .collect::<Result<Vec<_>, _>>()?;
    for _ in 0..arguments.seconds * 4 {
        for file in &mut files {
            let began = Instant::now();
            file.write_all(&block)?;
            file.sync_all()?;
            slowest = slowest.max(began.elapsed());
        }
    }
    let written = meter.cpu_ns()? - before;
    let before = meter.cpu_ns()?;
    let mut hash = Sha256::new();
    (0..arguments.seconds * 4 * u64::from(arguments.meetings)).for_each(|_| hash.update(&block));
    let hashed = meter.cpu_ns()? - before;
    std::hint::black_box(hash.finalize());
    let stream_seconds = u64::from(arguments.streams) * arguments.seconds;
    Ok(
        serde_json::json!({ "who": "floor", "bench": "archive-record", "write_fsync_us_per_stream_second": written / 1_000 / stream_seconds,
        "sha256_us_per_stream_second": hashed / 1_000 / stream_seconds, "slowest_write_fsync_ms": slowest.as_millis() as u64,
        "machine_load": machine::load() }),
    )
}
