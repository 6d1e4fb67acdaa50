//! One panic ends one participant; the others go on.

use super::*;
use crate::contain::{Contained, TRAP};
use std::panic::{AssertUnwindSafe, catch_unwind};

fn trapped(world: &mut World, from: PeerKey, index: u64) -> Contained {
    let mut packet = sound(index);
    packet.extend_from_slice(TRAP);
    let header = Header::parse(&packet).expect("RTP");
    let (engine, now) = (&mut world.engine, world.now);
    let sprung = catch_unwind(AssertUnwindSafe(|| engine.handle_rtp(now, from, &header, index, &packet)));
    assert!(sprung.is_err());
    let contained = engine.contain(now, None);
    world.drain();
    contained
}

fn lost(world: &World) -> Vec<Option<ParticipantId>> {
    let lost = |m: &FromSfu| match m {
        FromSfu::Lost { participant, .. } => Some(participant.clone()),
        _ => None,
    };
    world.told.iter().filter_map(lost).collect()
}

#[test]
fn a_panic_ends_the_participant_whose_packet_it_was_and_a_second_one_its_meeting() {
    let (mut world, anna, ben, _) = two(Rule::Off);
    let other: MeetingId = "fedcba9876543210fedcba9876543210".parse().expect("an id");
    world.control(ToSfu::Meeting { meeting: other.clone(), firms: vec![] });
    let carol = world.join("bank-b/carol/1");
    world.publish(carol);
    world.subscribe(ben);
    assert_eq!(trapped(&mut world, anna, 1), Contained::Participant);
    assert_eq!(lost(&world), [Some(who("bank-a/anna/1"))]);
    assert!(world.rtp(anna, &sound(2), 2).is_empty(), "anna is gone");
    assert_eq!(world.rtp(carol, &sound(2), 2).len(), 1, "carol is still heard");
    // admitted again, she begins anew
    let anna = world.join("bank-a/anna/1");
    world.publish(anna);
    // the offer under way, and the one that waits for its answer
    world.subscribe(ben);
    world.subscribe(ben);
    assert_eq!(world.rtp(anna, &sound(3), 3).len(), 1);
    assert_eq!(trapped(&mut world, anna, 4), Contained::Meeting);
    assert_eq!(lost(&world)[1], None);
    assert!(world.rtp(carol, &sound(5), 5).is_empty());
    assert_eq!(world.engine.population(), (1, 0), "the other meeting goes on");
    assert_eq!(world.engine.contain(world.now, Some(carol)), Contained::Nothing);
    // and the same people may meet again
    world.control(ToSfu::Meeting { meeting: meeting(), firms: vec![] });
    world.join("bank-a/anna/1");
    assert_eq!(world.engine.population(), (2, 1));
}

#[test]
fn pictures_are_left_out_to_some_then_to_all_and_come_back_with_a_key_frame() {
    use crate::Shed;
    let (mut world, anna, _, _) = two(Rule::Off);
    assert_eq!(world.rtp(anna, &video(1, 1, KEY), 1).len(), 1);
    let mut shed = Shed::NONE;
    while !shed.refuses_joins() {
        shed = shed.more();
        world.engine.shed(world.now, shed);
    }
    world.drain();
    let full = |m: &FromSfu| matches!(m, FromSfu::Overload { overloaded: true, .. });
    assert_eq!(world.told.iter().filter(|m| full(m)).count(), 1);
    assert!(world.rtp(anna, &video(2, 2, KEY), 2).is_empty());
    assert_eq!(world.rtp(anna, &sound(1), 1).len(), 1, "sound goes on");
    let asked = world.rtcp.len();
    world.until(world.now.plus_ms(2000));
    world.engine.shed(world.now, Shed::NONE);
    world.drain();
    assert!(world.rtcp.len() > asked, "a key frame is asked for");
    assert!(world.rtp(anna, &video(3, 3, DELTA), 3).is_empty(), "nothing before it");
    assert_eq!(world.rtp(anna, &video(4, 4, KEY), 4).len(), 1);
}
