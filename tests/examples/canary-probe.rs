//! A member of a running meeting that searches the operator for what only members know: joins natively, speaks known
//! words, reveals its keys (feature `test-secrets`), and looks for both, and for frames of others that it opened, in the
//! memory of processes, in files and on the wire. `cargo xtask check meeting` starts it; nothing that ships links it.
//!
//! Ends when its standard input closes, with one JSON line: `hits` where nothing may be, `control_hits` in its own
//! memory, `blind` (places where the search missed a name that is there), and how much was searched. A secret's bytes
//! are never printed.
#![allow(clippy::print_stdout, reason = "its one line is its answer")]

use anyhow::{Context, bail};
use domain::Slot;
use participant::meeting::{Happening, Join, Participant};
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use strongroom_tests::memory::{Hit, Needle, search_bytes, search_files, search_process};
use strongroom_tests::people::{PATIENCE, SOURCES};
use strongroom_tests::wire::{NotAllowed, Wire};
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, Interval, timeout, timeout_at};

const USAGE: &str = "canary-probe --front URL --user NAME --room ROOM [--pid PID]... [--folder FOLDER]... < pipe";
/// Frames of others that are looked for: two speakers, sound and picture.
const FRAMES: usize = 8;
/// Shorter frames (silence, still pictures) repeat by chance.
const LONG_ENOUGH: usize = 48;
/// Bytes of a frame that are looked for: one packet never cuts them.
const PART: usize = 32;
/// So often do the words pass through the operator before they are looked for.
const SPEAK_FIRST: usize = 50;
/// A frame of sound.
const BEAT: Duration = Duration::from_millis(20);
/// Nobody holds a longer meeting with a probe.
const LONGEST: Duration = Duration::from_secs(180);

/// What the command line asks for.
#[derive(Default)]
struct Wanted {
    front: String,
    user: String,
    room: String,
    pids: Vec<u32>,
    folders: Vec<PathBuf>,
}

fn wanted() -> anyhow::Result<Wanted> {
    let mut wanted = Wanted::default();
    let mut words = std::env::args().skip(1);
    while let Some(name) = words.next() {
        let value = words.next().with_context(|| format!("{name} wants a value; {USAGE}"))?;
        match name.as_str() {
            "--front" => wanted.front = value,
            "--user" => wanted.user = value,
            "--room" => wanted.room = value,
            "--pid" => wanted.pids.push(value.parse().context("--pid wants a number")?),
            "--folder" => wanted.folders.push(value.into()),
            _ => bail!("{name} is not known; {USAGE}"),
        }
    }
    Ok(wanted)
}

/// Words of this run, built at run time so that no file holds them.
fn words() -> Vec<u8> {
    let part = std::process::id().to_string();
    format!("canary-{part}-what-this-member-says-is-{part}-and-for-members-only").into_bytes()
}

/// One step of living in the meeting: says the words as a frame of sound when it is time, or listens. Did it speak?
async fn step(member: &mut Participant, beat: &mut Interval) -> anyhow::Result<bool> {
    tokio::select! {
        _ = beat.tick() => {
            member.send(Slot::MICROPHONE, false, words(), capture_us()).await?;
            Ok(true)
        }
        happening = member.next() => {
            if happening.is_none() { bail!("the meeting ended") }
            Ok(false)
        }
    }
}

/// Lives until the words were said so often.
async fn speak(member: &mut Participant, beat: &mut Interval, mut times: usize) -> anyhow::Result<()> {
    while times > 0 {
        times -= usize::from(step(member, beat).await?);
    }
    Ok(())
}

/// Lives until something is done.
async fn live<T>(member: &mut Participant, beat: &mut Interval, until: impl Future<Output = T>) -> anyhow::Result<T> {
    let mut until = std::pin::pin!(until);
    loop {
        tokio::select! {
            done = &mut until => return Ok(done),
            lived = step(member, beat) => { lived?; }
        }
    }
}

fn capture_us() -> u64 {
    participant::meeting::now().0 * 1_000
}

/// Clear frames of at least two other participants.
async fn hear(listener: &mut Participant) -> anyhow::Result<Vec<Needle>> {
    let mut needles: Vec<Needle> = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while needles.len() < FRAMES {
        let Ok(happening) = timeout_at(deadline, listener.next()).await else { break };
        let Some(Happening::Frame { from, slot, data, .. }) = happening else {
            if happening.is_none() {
                bail!("the meeting ended");
            }
            continue;
        };
        let name = format!("a frame of {from} on slot {}", slot.0);
        let same = needles.iter().filter(|needle| needle.name == name).count();
        // the begin of a frame is a header that many frames have
        if data.len() >= LONG_ENOUGH && same < FRAMES / 4 {
            let middle = (data.len() - PART) / 2;
            needles.push(Needle { name, bytes: data[middle..middle + PART].to_vec() });
        }
    }
    let of = |needle: &Needle| needle.name.split(" on slot").next().unwrap_or_default().to_owned();
    let speakers: std::collections::BTreeSet<String> = needles.iter().map(of).collect();
    if speakers.len() < 2 {
        bail!("frames of {} others were opened, not of two", speakers.len());
    }
    Ok(needles)
}

/// Everything that only members know.
async fn secrets(member: &Participant) -> anyhow::Result<Vec<Needle>> {
    let keys = member.reveal().await?;
    if !keys.iter().any(|(name, _)| name.contains("base key")) {
        bail!("a member without a media key");
    }
    let mut needles = vec![Needle { name: "the words".into(), bytes: words() }];
    needles.extend(keys.into_iter().map(|(name, bytes)| Needle { name, bytes }));
    Ok(needles)
}

/// What a search saw.
#[derive(Default)]
struct Seen {
    hits: Vec<Hit>,
    read: u64,
}

impl Seen {
    fn take(&mut self, (hits, read): (Vec<Hit>, u64)) {
        self.hits.extend(hits);
        self.read += read;
    }
}

/// Searches the processes, each first for a name that it does hold.
fn search(pids: &[u32], needles: &[Needle], known: &[Needle]) -> anyhow::Result<(Seen, Vec<String>)> {
    let (mut seen, mut blind) = (Seen::default(), Vec::new());
    for pid in pids {
        let searching = || format!("search the memory of process {pid}");
        if search_process(*pid, known).with_context(searching)?.0.is_empty() {
            blind.push(format!("process {pid}"));
        }
        seen.take(search_process(*pid, needles).with_context(searching)?);
    }
    Ok((seen, blind))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let wanted = wanted()?;
    // before the join: what passes while keys are made is seen too
    let wire = match Wire::tap() {
        Ok(wire) => Some(wire),
        Err(error) if error.is::<NotAllowed>() => None,
        Err(error) => return Err(error),
    };
    // the operator knows who is in a meeting: its programs hold this name, and it is on the wire
    let device = format!("canary-probe-{}", std::process::id());
    let known = [Needle { name: "the probe's name".into(), bytes: device.clone().into_bytes() }];
    let join = Join {
        front: wanted.front,
        password: format!("{}-demo", wanted.user),
        user: wanted.user,
        room: wanted.room.parse().context("--room wants a room's id")?,
        device: device.parse().context("make a device's id")?,
        sources: SOURCES[..1].to_vec(),
    };
    let mut member = Participant::join(join).await.context("join")?;
    let mut needles = hear(&mut member).await?;
    let mut beat = tokio::time::interval(BEAT);
    speak(&mut member, &mut beat, SPEAK_FIRST).await?;
    needles.extend(secrets(&member).await?);

    let needles = Arc::new(needles);
    let (pids, of_now) = (wanted.pids, Arc::clone(&needles));
    let kept = [Needle { name: known[0].name.clone(), bytes: known[0].bytes.clone() }];
    let searching = tokio::task::spawn_blocking(move || search(&pids, &of_now, &kept));
    let (memory, mut blind) = live(&mut member, &mut beat, searching).await???;
    let mut nothing = Vec::new();
    let mut input = tokio::io::stdin();
    live(&mut member, &mut beat, timeout(LONGEST, input.read_to_end(&mut nothing)))
        .await??
        .context("read standard input")?;

    // of epochs that came since, too
    let mut all = secrets(&member).await?;
    all.extend(needles.iter().map(|needle| Needle { name: needle.name.clone(), bytes: needle.bytes.clone() }));
    let mut files = Seen::default();
    for folder in &wanted.folders {
        files.take(search_files(folder, &all)?);
    }
    let mut on_wire = Seen::default();
    if let Some(wire) = wire {
        let (packets, mut own) = (wire.stop(), Vec::new());
        search_bytes(&packets, &known, "wire", &mut own);
        if own.is_empty() {
            blind.push("the wire".into());
        }
        search_bytes(&packets, &all, "wire", &mut on_wire.hits);
        on_wire.read = packets.len() as u64;
    }
    let (control, _) = search_process(std::process::id(), &all)?;
    member.leave().await;
    let found = [&memory, &files, &on_wire].into_iter().flat_map(|seen| &seen.hits);
    let hits: Vec<String> = found.map(|hit| format!("{} in {}", hit.needle, hit.place)).collect();
    let line = json!({
        "hits": hits, "control_hits": control.len(), "blind": blind, "needles": all.len(),
        "memory_bytes": memory.read, "file_bytes": files.read, "wire_bytes": on_wire.read,
    });
    println!("{line}");
    Ok(())
}
