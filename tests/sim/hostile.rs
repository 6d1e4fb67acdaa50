//! One member means ill: whatever it says or does not say, nobody else is stopped for more than 3 s, and a newcomer gets
//! in within 3 s.

use crate::node::Habit;
use crate::world::World;
use domain::message::client::ToServer;
use domain::policy::Rule;
use domain::{B64, Epoch};
use strongroom_tests::dice::{Dice, seed_from};
use strongroom_tests::firms::id;

const PEOPLE: [&str; 6] =
    ["bank-a/anna/1", "bank-a/amy/1", "bank-b/ben/1", "bank-b/bob/1", "bank-a/abe/1", "bank-b/bea/1"];
/// No single member stops others for longer, ms.
const STOP_MS: u64 = 3_000;

fn damage(dice: &mut Dice, bytes: &mut B64) {
    for _ in 0..dice.within(1, 8) {
        let at = dice.below(bytes.0.len() as u64) as usize;
        if let Some(byte) = bytes.0.get_mut(at) {
            *byte ^= dice.within(1, 255) as u8;
        }
    }
    if dice.chance(20) {
        bytes.0.truncate(dice.below(bytes.0.len() as u64) as usize);
    }
}

/// What a node of this habit says instead.
pub fn bend(dice: &mut Dice, habit: Habit, mut message: ToServer) -> Vec<ToServer> {
    use ToServer::{Applied, Commit, Created, KeyPackage, Refused, Resync};
    match habit {
        Habit::Honest => vec![message],
        Habit::Mute => match message {
            Commit { .. } | Applied { .. } | Refused { .. } | Created { .. } => vec![],
            other => vec![other],
        },
        Habit::Garbles => {
            match &mut message {
                Commit { commit, group_info, .. } | Resync { commit, group_info, .. } => {
                    let either = dice.chance(50);
                    damage(dice, if either { commit } else { group_info });
                }
                Created { group_info } => damage(dice, group_info),
                KeyPackage { key_package } if dice.chance(50) => damage(dice, key_package),
                ToServer::Application { message } => damage(dice, message),
                _ => {}
            }
            vec![message]
        }
        Habit::Refuses => match message {
            Applied { epoch } => vec![Refused { epoch, reason: "no".to_owned() }],
            other => vec![other],
        },
        Habit::Boasts => match message {
            Applied { epoch } => {
                vec![Applied { epoch: Epoch(epoch.0 + dice.below(3)) }, Applied { epoch: Epoch(u64::MAX) }]
            }
            other => vec![other],
        },
        Habit::Replays => vec![message.clone(), message.clone(), message],
        Habit::Floods => {
            let mut all = vec![message];
            all.extend((0..500).map(|_| ToServer::Application { message: B64(vec![0; 64]) }));
            all
        }
        Habit::Resyncs => vec![ToServer::NeedResync {}, message, ToServer::NeedResync {}],
    }
}

/// `place`: when the hostile one comes; first, it makes the group and is asked for every commit.
fn meeting_with(habit: Habit, place: usize, seed: u64) {
    println!("STRONGROOM_SIM_SEED={seed} {habit:?} comes at place {place}");
    let mut world = World::new(seed, (Rule::Off, Rule::Off), &PEOPLE);
    let ill = id(PEOPLE[place]);
    for who in &PEOPLE[..4] {
        let habit = if id(who) == ill { habit } else { Habit::Honest };
        world.start(&id(who), habit);
        let ms = world.dice.within(0, 700);
        world.run(ms);
    }
    world.run(4_000);
    // the silence that counts begins here
    world.nodes.values_mut().for_each(|node| node.silence.clear());
    for newcomer in &PEOPLE[4..] {
        world.start(&id(newcomer), Habit::Honest);
        world.run(STOP_MS);
        let heard = world.nodes[&id(newcomer)].heard.len();
        assert!(heard > 0, "{newcomer} hears nobody within 3 s\n{}", world.history());
    }
    let host = id(PEOPLE[if place == 0 { 1 } else { 0 }]);
    let leaver = id(PEOPLE[4]);
    assert_ne!(host, leaver);
    world.leave(&leaver);
    world.run(6_000);
    for (to, node) in world.present() {
        for (from, silence) in &node.silence {
            let still = world.present().any(|(who, _)| who == from);
            assert!(
                !still || *silence <= STOP_MS,
                "{to} heard nothing of {from} for {silence} ms\n{}",
                world.history()
            );
        }
    }
    let since = domain::UnixMillis(world.now.0 - STOP_MS);
    world.invariant_all_hear_all(since);
}

fn habit_stops_nobody(habit: Habit) {
    let only = seed_from("STRONGROOM_SIM_SEED");
    for place in [0, 1, 3] {
        for seed in [11, 12] {
            meeting_with(habit, place, only.unwrap_or(seed));
        }
    }
}

#[test]
fn a_member_that_commits_and_acknowledges_nothing_stops_nobody() {
    habit_stops_nobody(Habit::Mute);
}

#[test]
fn a_member_whose_messages_are_garbage_stops_nobody() {
    habit_stops_nobody(Habit::Garbles);
}

#[test]
fn a_member_that_refuses_every_commit_stops_nobody() {
    habit_stops_nobody(Habit::Refuses);
}

#[test]
fn a_member_that_acknowledges_what_is_not_stops_nobody() {
    habit_stops_nobody(Habit::Boasts);
}

#[test]
fn a_member_that_repeats_itself_stops_nobody() {
    habit_stops_nobody(Habit::Replays);
}

#[test]
fn a_member_that_floods_stops_nobody() {
    habit_stops_nobody(Habit::Floods);
}

#[test]
fn a_member_that_resyncs_without_end_stops_nobody() {
    habit_stops_nobody(Habit::Resyncs);
}
