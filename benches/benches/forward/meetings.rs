//! Ours in meetings of many shapes: what people do, and how the cost grows with participants, tracks and shards.

use super::Out;
use super::cases::{measure, name_of};
use benches::forwarders::strongroom::{Roles, Shape, start};
use benches::load::Load;
use benches::packet::Kind;

const fn shape(meetings: usize, publishers: usize, subscribers: usize, shards: usize) -> Shape {
    Shape { meetings, publishers, subscribers, roles: Roles::Apart, kind: Kind::Video, shards }
}

const fn everybody(participants: usize, kind: Kind) -> Shape {
    Shape { meetings: 1, publishers: participants, subscribers: 0, roles: Roles::Both, kind, shards: 1 }
}

/// What is run: name, shape, load of each publisher.
const CASES: [(&str, Shape, Load); 14] = [
    ("9 x 9 video", everybody(9, Kind::Video), Load::Trace),
    ("9 x 9, 3 layers", everybody(9, Kind::Layers), Load::Layers),
    ("30 x 30 sound", everybody(30, Kind::Audio), Load::Audio),
    ("10 of 1->10", shape(10, 1, 10, 1), Load::Trace),
    // participants
    ("3 x 3 video", everybody(3, Kind::Video), Load::Trace),
    ("6 x 6 video", everybody(6, Kind::Video), Load::Trace),
    ("12 x 12 video", everybody(12, Kind::Video), Load::Trace),
    // tracks of each subscriber
    ("1->10", shape(1, 1, 10, 1), Load::Trace),
    ("3->10", shape(1, 3, 10, 1), Load::Trace),
    ("6->10", shape(1, 6, 10, 1), Load::Trace),
    ("10->10", shape(1, 10, 10, 1), Load::Trace),
    // shards, on the forwarder's one core
    ("4 of 1->10, 1 sh", shape(4, 1, 10, 1), Load::Trace),
    ("4 of 1->10, 2 sh", shape(4, 1, 10, 2), Load::Trace),
    ("4 of 1->10, 4 sh", shape(4, 1, 10, 4), Load::Trace),
];

/// Runs those whose name contains `only`.
pub fn all(out: &mut Out, only: &str) -> anyhow::Result<()> {
    for (name, shape, load) in CASES.into_iter().filter(|(name, ..)| name.contains(only)) {
        let mut running = start(&shape)?;
        running.probe()?;
        let line = measure(running, &load.packets()?, name.to_owned(), name_of(load))?;
        out.say(line)?;
    }
    Ok(())
}
