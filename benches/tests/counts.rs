//! What can be said of the forwarder without a quiet machine: counts, and instructions under callgrind. Never a speed.

use benches::baseline::Baseline;
use benches::forwarders::strongroom::{Shape, start};
use benches::hotpath::{HotPath, Step};
use benches::load::{Load, bursts, even, simulcast};
use emulator::call::START;
use emulator::cases;
use emulator::publisher::{PICTURE_US, SOUND_US};
use std::process::Command;

/// Instructions per forwarded packet of 1,100 bytes, committed; see `tests/instructions.txt`.
const COMMITTED: &str = include_str!("instructions.txt");
/// Allocations of a second's reports and choices of layers, for fifty subscribers together.
const HOUSEKEEPING: u64 = 3_000;
/// More that is still the same; fewer are welcome.
const TOLERANCE: f64 = 0.05;
/// The same when another compiler than the committed one built it.
const OTHER_COMPILER: f64 = 0.25;

#[test]
fn fifty_subscribers_get_every_packet_once_and_in_order() {
    let mut running = start(&Shape::broadcast(50)).expect("a shard");
    running.probe().expect("three subscribers");
    let packets = even(300, 1_100);
    // subscriptions begin with what is there already, and layers are chosen
    running.in_step(&packets);
    assert_eq!(running.in_step(&packets), (packets.len() as u64 * 50, 0));
    let farewell = running.stop();
    assert_eq!(farewell.send_dropped, Some(0));
}

#[test]
fn a_recorded_picture_leaves_by_gso() {
    let mut path = HotPath::new(10);
    let packets = Load::Trace.packets().expect("the trace");
    let (first, second) = (path.seal(&packets), path.seal(&packets));
    // subscriptions begin with what is there already, and layers are chosen
    path.run(first);
    let before = path.counts;
    path.run(second);
    let forwarded = path.counts.forwarded - before.forwarded;
    assert_eq!(forwarded, (path.counts.received - before.received) * 10);
    let share = (path.counts.in_runs - before.in_runs) as f64 / forwarded as f64;
    eprintln!("by GSO: {:.1} % of {forwarded} packets", share * 100.0);
    assert!(share >= 0.95, "only {:.1} % leave in runs", share * 100.0);
}

#[test]
fn the_layers_of_recorded_simulcast_leave_by_gso_but_for_those_of_one_packet() {
    let mut all = (0, 0);
    for rid in ["q", "h", "f"] {
        let mut path = HotPath::new(10);
        let packets = simulcast(rid).expect("the trace");
        let (first, second) = (path.seal(&packets), path.seal(&packets));
        path.run(first);
        let before = path.counts;
        path.run(second);
        let (forwarded, in_runs) = (path.counts.forwarded - before.forwarded, path.counts.in_runs - before.in_runs);
        assert_eq!(forwarded, (path.counts.received - before.received) * 10);
        // a picture of the lowest layer is one packet mostly
        assert!(rid == "q" || in_runs * 100 >= forwarded * 95, "layer {rid}: {in_runs} of {forwarded}");
        eprintln!("layer {rid}: {:.1} % of {forwarded} packets by GSO", in_runs as f64 * 100.0 / forwarded as f64);
        all = (all.0 + in_runs, all.1 + forwarded);
    }
    let share = all.0 as f64 / all.1 as f64;
    eprintln!("all layers: {:.1} %", share * 100.0);
    assert!(share >= 0.75, "only {:.1} % leave in runs", share * 100.0);
}

#[test]
fn forwarding_to_fifty_allocates_nothing() {
    let mut path = HotPath::new(50);
    let packets = bursts(1500, 1_000_000);
    let (first, second) = (path.seal(&packets), path.seal(&packets));
    // buffers grow in the first window
    path.run(first);
    let before = path.counts;
    let (mut packets, mut timers) = (0, 0);
    path.run_watched(second, |step, carry_out| {
        let allocated = allocation_counter::measure(carry_out).count_total;
        *if step == Step::Packet { &mut packets } else { &mut timers } += allocated;
    });
    let (received, forwarded) = (path.counts.received - before.received, path.counts.forwarded - before.forwarded);
    assert_eq!(forwarded, received * 50);
    eprintln!(
        "{packets} allocations for {received} packets in, {forwarded} out, and {timers} for all that is due by time"
    );
    assert_eq!(packets, 0, "no packet costs an allocation");
    assert!(timers <= HOUSEKEEPING, "{timers} allocations for a second's housekeeping of 50 subscribers");
}

#[test]
fn the_baseline_on_str0m_passes_every_picture_of_the_top_layer_and_all_sound_on_an_open_link() {
    let case = cases::named("open").expect("a case");
    let end = START.plus(case.seconds * 1_000_000);
    let outcome = Baseline::new(case, 1).and_then(Baseline::run).expect("a call on str0m");
    let seen = &outcome.measured[0];
    let from = seen.layer_at(START, 2).expect("the top layer");
    let top = seen.pictures.iter().filter(|(at, layer)| *at >= from && *layer == 2).count() as u64;
    let (sent, heard) = (end.since(from) / PICTURE_US, seen.sounds.iter().filter(|at| **at != 0).count() as u64);
    eprintln!("top layer after {} ms, {top} of {sent} pictures, {heard} of sound", from.since(START) / 1_000);
    assert!(from.since(START) < 5_000_000);
    assert!(top >= sent, "{top} of {sent} pictures");
    assert_eq!(seen.pictures.last().map(|last| last.1), Some(2));
    assert!((heard + 5) * SOUND_US >= end.since(START), "{heard} packets of sound");
    assert_eq!((outcome.freezes(), outcome.sound_gap_ms(), outcome.down.overflowed), ((0, 0), 0, 0));
}

/// Instructions of the hot path under callgrind.
fn instructions(windows: usize) -> (u64, u64) {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(env!("CARGO_BIN_EXE_hotpath"));
    let output = command.args(["50", &windows.to_string()]).output().expect("valgrind (`cargo xtask setup`)");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    let collected = errors.lines().find_map(|line| line.split("Collected :").nth(1)).expect("callgrind's sum");
    let forwarded = String::from_utf8_lossy(&output.stdout).trim().parse().expect("a count");
    (collected.trim().parse().expect("a number"), forwarded)
}

#[test]
fn the_hot_path_costs_no_more_instructions_than_committed() {
    let (few, many) = (instructions(1), instructions(3));
    let each = (many.0 - few.0) / (many.1 - few.1);
    let mut lines = COMMITTED.lines().filter(|line| !line.starts_with('#'));
    let known: f64 = lines.next().and_then(|line| line.parse().ok()).expect("a number");
    let compiler = lines.next().expect("a compiler");
    let output = Command::new("rustc").arg("--version").output().expect("rustc");
    let same = String::from_utf8_lossy(&output.stdout).starts_with(compiler);
    let tolerance = if same { TOLERANCE } else { OTHER_COMPILER };
    let change = each as f64 / known - 1.0;
    eprintln!("{each} instructions a forwarded packet, committed {known}: {:+.1} %", change * 100.0);
    assert!(
        change <= tolerance,
        "{each} instructions a forwarded packet, {known} are committed ({:+.1} %). If this is meant, write {each} into \
         benches/tests/instructions.txt and say why in the commit.",
        change * 100.0
    );
}
