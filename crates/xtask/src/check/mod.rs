//! `cargo xtask check meeting`: the demo in a state of its own, held by two headless browsers for 20 s, judged by what
//! the browsers decoded, by what the archives prove and by what a native member of the group could not find at the
//! operator. Ends with one JSON line. `check browsers` goes on: the meeting is replayed and exported, Chromium meets
//! Firefox, a page is attacked (T10), tabs are reloaded and closed, there is no UDP, everything goes through a TURN server.

mod archives;
mod long_replay;
mod network;
pub mod probe;
mod record;
mod relay;
pub mod rooms;
mod stage;

use crate::compiler::Compiler;
use crate::demo::plan::{FIRMS, Plan};
use crate::ended::usage;
use crate::place::Place;
use crate::setup::node::Node;
use crate::{binaries, say, setup};
use probe::Probe;
use serde_json::{Value, json};
use stage::Stage;

/// Length of the meeting.
const SECONDS: u32 = 20;
/// Length of the meeting of two kinds of browsers: receivers move sound and picture together step by step, and with
/// Firefox's larger pieces of sound that takes up to 15 s on a busy machine; the last 9 s are measured.
const MIXED_SECONDS: u32 = 24;
/// So many places where a browser threw away sealed frames before a key frame are no fault of ours: on a busy machine two for
/// each of the two people, in both archives.
const MOST_UNSENT: u64 = 8;
/// Audio and video of one sender may differ by so much where they are seen, ms.
const MOST_OFFSET_MS: f64 = 100.0;

/// With set-up and build, or with what was built last.
pub fn alone(
    place: &Place,
    as_built: bool,
    what: impl FnOnce(&Place, &Node) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    if as_built {
        return what(place, &setup::node::provide(place)?);
    }
    let ready = setup::all(place)?;
    say::heading("build");
    binaries::build(place, Compiler::Plain)?;
    probe::build(place, Compiler::Plain)?;
    what(place, &ready.node)
}

/// `cargo xtask check record --long`: what an hour of nine people costs to replay and to export; one line, nothing is judged.
pub fn long_record(place: &Place, as_built: bool) -> anyhow::Result<()> {
    alone(place, as_built, |place, _| {
        let step = say::step("an hour of nine people is written, replayed and exported in part (2.5 GB)");
        let line = long_replay::measure(place, long_replay::Size::WHOLE)?;
        step.done();
        say::line(line.to_string());
        Ok(())
    })
}

/// `cargo xtask check record`, with set-up and build or with what was built last.
pub fn record_alone(place: &Place, as_built: bool) -> anyhow::Result<()> {
    alone(place, as_built, |place, node| {
        if !as_built {
            record::build(place)?;
        }
        record::check(place, node)
    })
}

/// `cargo xtask check meeting`; everything is built.
pub fn meeting(place: &Place, node: &Node) -> anyhow::Result<()> {
    say::heading("check meeting");
    let mut stage = Stage::set(place, node)?;
    let wrong = held(&mut stage)?;
    stage.close(&wrong)
}

type Play = fn(&mut Stage<'_>) -> anyhow::Result<Vec<String>>;

/// What browsers show, in the order in which it is played; a replay wants a meeting before it.
const STEPS: [(&str, Play); 7] = [
    ("meeting", held),
    ("replay", replayed),
    ("firefox", mixed),
    ("t10", unsealed),
    ("leaving", comings),
    ("layers", layered),
    ("tcp", without_udp),
];

/// A step with a system and a TURN server of its own, because in the others nobody needs a relay. It takes 50 s, and what it
/// shows changes with coturn and its configuration only: it is played when it is named, and in a full test run.
pub const RELAY: &str = "relay";
/// Two codecs, newcomers and a fall back in three browsers: most of a minute for what changes seldom, so it is played as
/// [`RELAY`] is, but at the common system.
pub const CODECS: &str = "codecs";
/// Another with a system of its own, in a network namespace; it takes minutes, and is played as [`RELAY`] is.
pub const NETWORK: &str = "network";

/// All steps but [`RELAY`], [`CODECS`] and [`NETWORK`], or those that are named.
pub fn browsers(place: &Place, node: &Node, only: &[String]) -> anyhow::Result<()> {
    let known = || STEPS.iter().map(|(name, _)| *name).chain([CODECS, RELAY, NETWORK]);
    if let Some(name) = only.iter().find(|name| !known().any(|one| one == *name)) {
        let known = known().collect::<Vec<_>>().join(", ");
        return Err(usage(format!("`{name}` is no step of the browsers' check; there are: {known}")));
    }
    let wanted = |name: &str| only.is_empty() || only.iter().any(|one| one == name);
    say::heading("browsers");
    let mut steps: Vec<Play> = STEPS.iter().filter(|(name, _)| wanted(name)).map(|(_, play)| *play).collect();
    if only.iter().any(|one| one == CODECS) {
        steps.push(other_codecs);
    }
    let played = if steps.is_empty() { Ok(()) } else { all(place, node, &steps) };
    let named = |name: &str| only.iter().any(|one| one == name);
    let relayed = if named(RELAY) { relay::check(place, node) } else { Ok(()) };
    let changed = if named(NETWORK) { network::check(place, node) } else { Ok(()) };
    [relayed, changed].into_iter().fold(played, |all, one| match (all, one) {
        (Err(all), Err(one)) => Err(all.context(format!("{one:#}"))),
        (all, one) => all.and(one),
    })
}

/// One system, one step after another.
fn all(place: &Place, node: &Node, steps: &[Play]) -> anyhow::Result<()> {
    let mut stage = Stage::set(place, node)?;
    let mut wrong = Vec::new();
    for play in steps {
        wrong.extend(play(&mut stage)?);
    }
    stage.close(&wrong)
}

/// Two Chromium participants; the archives of both firms.
fn held(stage: &mut Stage<'_>) -> anyhow::Result<Vec<String>> {
    probe::there(stage.place)?;
    let step = say::step(format!("two browsers meet for {SECONDS} s"));
    let mut arguments = people(&stage.plan);
    arguments.extend(["--seconds".into(), SECONDS.to_string()]);
    let mut probe = None;
    let seen = stage.drive_and("meeting", &arguments, |stage| {
        let pids = [stage.pid("sfu")?, stage.pid("signaling")?];
        // the operator's own files and all logs; the firms' folders hold what is theirs
        probe =
            Some(Probe::start(stage.place, &stage.plan, &pids, &["operator", "logs"].map(|one| stage.plan.at(one)))?);
        Ok(())
    });
    // before anything else: the archives are sealed when the last member went
    let searched = probe.map(Probe::finish).transpose();
    let (seen, searched) = (seen?, searched?.unwrap_or_default());
    step.done();
    let mut line = json!({ "participants": seen["participants"], "av_offset_ms": seen["av_offset_ms"] });
    let proven = archives::judge(&stage.plan)?;
    line["av_offset_windows"] = seen["av_offset_windows"].clone();
    line["recorders"] = json!(proven.recorders);
    line["frames_archived"] = json!(proven.frames);
    line["gaps"] = json!(proven.gaps);
    line["gaps_unsent"] = json!(proven.unsent);
    line["chat_kept"] = json!(proven.said);
    let hits = searched["hits"].as_array().map_or(0, Vec::len) + archives::canary(&stage.plan, &seen)?;
    line["canary_hits"] = json!(hits);
    line["canary_control_hits"] = searched["control_hits"].clone();
    line["archives_verified"] = json!(proven.verified);
    say::line(line.to_string());
    say::line(format!("   secrets were searched for: {searched}"));
    if searched["wire_bytes"] == 0 {
        say::line("   not on the wire: that needs root (CAP_NET_RAW)");
    }
    let mut wrong = wrong(&line);
    wrong.extend(probe::faults(&searched));
    if seen["ok"] != true {
        wrong.push(format!("the browsers did not see and hear what the other sent: {seen}"));
    }
    Ok(wrong)
}

/// The meeting again, as a compliance officer sees it: picture, sound, seek, export, ledger.
fn replayed(stage: &mut Stage<'_>) -> anyhow::Result<Vec<String>> {
    let step = say::step("a second officer approves, the first replays and exports");
    let front = stage.plan.origin(&FIRMS[0]);
    let verifier = stage.plan.binaries.join("strongroom-verify").display().to_string();
    let arguments = ["--front", &front, "--except", probe::NAME, "--verify", &verifier].map(str::to_owned);
    let seen = stage.drive("replay", &arguments)?;
    step.done();
    say::line(seen.to_string());
    Ok(if seen["ok"] == true { vec![] } else { vec![format!("the replay is not what was said: {}", seen["faults"])] })
}

/// Chromium with Firefox.
fn mixed(stage: &mut Stage<'_>) -> anyhow::Result<Vec<String>> {
    let step = say::step(format!("Chromium and Firefox meet for {MIXED_SECONDS} s"));
    let mut arguments = people(&stage.plan);
    arguments.extend(["--seconds".into(), MIXED_SECONDS.to_string(), "--browser-b".into(), "firefox".into()]);
    let seen = stage.drive("meeting", &arguments)?;
    step.done();
    for one in seen["participants"].as_array().into_iter().flatten() {
        if let Some(why) = one["tone_skipped"].as_str() {
            say::line(format!("   sound was not judged for {}: {why}", one["user"]));
        }
    }
    say::line(seen.to_string());
    let heard = seen["participants"].as_array().into_iter().flatten().all(|one| one["tone_skipped"].is_null());
    let mut wrong =
        if seen["ok"] == true { vec![] } else { vec![format!("Chromium and Firefox did not meet well: {seen}")] };
    if heard && !together(&seen["av_offset_ms"]) {
        wrong.push(format!("sound and picture of Chromium and Firefox are {} ms apart", seen["av_offset_ms"]));
    }
    Ok(wrong)
}

/// Attack T10: nothing that is not sealed leaves a page.
fn unsealed(stage: &mut Stage<'_>) -> anyhow::Result<Vec<String>> {
    let step = say::step("T10: media before a key, a crashed worker, a page that seals nothing");
    let mut arguments = people(&stage.plan);
    arguments.extend(["--metrics".into(), stage.metrics.clone()]);
    let seen = stage.drive("unsealed", &arguments)?;
    step.done();
    say::line(seen.to_string());
    Ok(if seen["ok"] == true { vec![] } else { vec![format!("T10 does not hold: {}", seen["faults"])] })
}

/// Devices change under a call; a tab that is reloaded comes back, one that is closed is gone.
fn comings(stage: &mut Stage<'_>) -> anyhow::Result<Vec<String>> {
    let step = say::step("devices change, a tab is reloaded, a tab is closed");
    let seen = stage.drive("leaving", &people(&stage.plan))?;
    step.done();
    say::line(seen.to_string());
    Ok(if seen["ok"] == true { vec![] } else { vec![format!("reload and leave: {}", seen["faults"])] })
}

/// A large tile gets a high layer of a camera, a small one a low one.
fn layered(stage: &mut Stage<'_>) -> anyhow::Result<Vec<String>> {
    let step = say::step("a tile is large, small, large again");
    let seen = stage.drive("layers", &people(&stage.plan))?;
    step.done();
    say::line(seen.to_string());
    Ok(if seen["ok"] == true { vec![] } else { vec![format!("tiles did not get the layers that fit them: {seen}")] })
}

/// Pages that see no UDP address of the SFU meet over TCP.
fn without_udp(stage: &mut Stage<'_>) -> anyhow::Result<Vec<String>> {
    let step = say::step("two browsers meet without UDP");
    let seen = stage.drive("tcp", &people(&stage.plan))?;
    step.done();
    say::line(seen.to_string());
    Ok(if seen["ok"] == true { vec![] } else { vec![format!("a meeting over TCP: {}", seen["faults"])] })
}

/// VP9 and AV1 from page to page, and VP8 for one who can decode neither.
fn other_codecs(stage: &mut Stage<'_>) -> anyhow::Result<Vec<String>> {
    let step = say::step("one browser sends VP9, the other AV1; then one comes who can decode neither");
    let seen = stage.drive("codecs", &people(&stage.plan))?;
    step.done();
    say::line(seen.to_string());
    Ok(if seen["ok"] == true { vec![] } else { vec![format!("other codecs: {}", seen["faults"])] })
}

fn people(plan: &Plan) -> Vec<String> {
    let sides = FIRMS.iter().zip(["--a", "--b"]);
    sides.flat_map(|(firm, side)| [side.to_owned(), plan.origin(firm)]).collect()
}

/// Are sound and picture together? Not if it could not be measured.
fn together(offset_ms: &Value) -> bool {
    offset_ms.as_f64().is_some_and(|offset| offset.abs() <= MOST_OFFSET_MS)
}

/// What is not as it should be.
fn wrong(line: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut want = |holds: bool, text: &str| {
        if !holds {
            wrong.push(text.to_owned());
        }
    };
    let participants = line["participants"].as_array().cloned().unwrap_or_default();
    want(participants.len() == 2, "there were not two participants");
    for one in &participants {
        want(one["frames_decoded"].as_u64() > Some(0), "a participant decoded no frame of the other");
        want(one["frames_rejected"] == 0, "a participant rejected frames");
        want(one["first_frame_ms"].as_f64().is_some(), "a participant never saw a first frame");
    }
    want(line["recorders"] == FIRMS.len(), "not every firm's recorder was seen");
    want(line["frames_archived"].as_u64() > Some(0), "nothing was archived");
    want(line["gaps"] == 0, "the archives have gaps");
    want(line["gaps_unsent"].as_u64() <= Some(MOST_UNSENT), "too many sealed frames never left their browsers");
    want(line["chat_kept"] == FIRMS.len(), "not every firm's archive has what was written in the chat");
    want(line["canary_hits"] == 0, "a secret was found where none may be");
    want(line["archives_verified"] == FIRMS.len(), "not every firm's archive was verified");
    want(together(&line["av_offset_ms"]), "sound and picture are not together");
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Value {
        let one = json!({ "frames_decoded": 400, "frames_rejected": 0, "first_frame_ms": 900 });
        json!({
            "participants": [one, one], "recorders": 2, "frames_archived": 2000, "gaps": 0, "gaps_unsent": 0, "canary_hits": 0,
            "archives_verified": 2, "av_offset_ms": 12.5, "chat_kept": 2,
        })
    }

    #[test]
    fn each_number_alone_can_fail_the_check() {
        assert_eq!(wrong(&good()), Vec::<String>::new());
        for (key, bad) in [
            ("participants", json!([])),
            ("recorders", json!(1)),
            ("frames_archived", json!(0)),
            ("gaps", json!(3)),
            ("gaps_unsent", json!(MOST_UNSENT + 1)),
            ("chat_kept", json!(1)),
            ("canary_hits", json!(1)),
            ("archives_verified", json!(1)),
            ("av_offset_ms", json!(140.0)),
            ("av_offset_ms", Value::Null),
        ] {
            let mut line = good();
            line[key] = bad;
            assert!(!wrong(&line).is_empty(), "{key}");
        }
        let mut line = good();
        line["participants"][1]["frames_rejected"] = json!(1);
        assert_eq!(wrong(&line).len(), 1);
    }
}
