//! Statements that clash, keep people apart, or change while a meeting runs.

use crate::firms::ROOM;
use crate::world::World;
use domain::message::client::{Problem, ProblemCode, ToClient};
use domain::policy::{Barrier, Conditions, Rule, Side, Statement};
use domain::{MeetingId, UserId};
use signaling_core::Member;
use std::collections::BTreeSet;

/// The statement of a firm (0 is bank-a) as `change` leaves it, version 2, serial 2.
pub(crate) fn state(world: &mut World, firm: usize, rule: Rule, change: impl FnOnce(&mut Conditions)) {
    let mut stated = Statement { version: 2, serial: 2, ..world.firms[firm].stated(ROOM, rule) };
    change(&mut stated.conditions);
    let signed = world.firms[firm].sign_statement(&stated);
    let id = world.firms[firm].id.clone();
    world.record.statements.retain(|(of, _)| *of != id);
    world.record.statements.push((id, signed));
    world.record.statements.sort();
}

fn refusal(world: &World, name: &str) -> Problem {
    let told = world.got(name, |m| if let ToClient::Refusal(p) = m { Some(p.clone()) } else { None });
    told.last().expect("a refusal").1.clone()
}

fn meeting_of(world: &World, name: &str) -> Option<MeetingId> {
    let terms =
        |m: &ToClient| if let ToClient::Admitted { terms, .. } = m { Some(terms.meeting.clone()) } else { None };
    world.got(name, terms).last().map(|(_, meeting)| meeting.clone())
}

#[test]
fn a_clash_is_explained_with_both_statements_and_whom_to_call() {
    let mut world = World::new();
    state(&mut world, 0, Rule::Must, |c| c.contact = "Policy desk A".to_owned());
    state(&mut world, 1, Rule::Forbidden, |c| c.contact = "Policy desk B".to_owned());
    world.join("anna");
    let told = refusal(&world, "anna");
    assert_eq!(told.code, ProblemCode::PolicyClash);
    for part in ["bank-a", "bank-b", "statement 2", "audio and video", "Policy desk A", "Policy desk B"] {
        assert!(told.detail.contains(part), "{part}: {}", told.detail);
    }
    println!("rooms: {{\"clash_explained\":true}}");
}

#[test]
fn a_barrier_keeps_two_firms_apart_whoever_comes_first() {
    for order in [["anna", "ben"], ["ben", "anna"]] {
        let mut world = World::new();
        let barrier = Barrier { ours: None, from: Side::Firm(world.firms[1].id.clone()) };
        state(&mut world, 0, Rule::Off, |c| {
            c.barriers.insert(barrier);
            c.contact = "Control room".to_owned();
        });
        world.gather(&order[..1]);
        world.join(order[1]);
        let told = refusal(&world, order[1]);
        assert_eq!((told.code, told.firm.as_ref().map(|f| f.as_str())), (ProblemCode::Barred, Some("bank-a")));
        assert!(told.detail.contains("Control room") && told.detail.contains("statement 2"), "{}", told.detail);
        assert!(!told.detail.contains(order[0]), "nobody inside is named");
        assert!(world.is_closed(order[1]) && !world.is_closed(order[0]));
    }
}

#[test]
fn a_barrier_between_groups_of_one_firm_follows_the_directory() {
    let mut world = World::new();
    let barrier = Barrier { ours: Some("research".to_owned()), from: Side::Group("sales".to_owned()) };
    state(&mut world, 0, Rule::Off, |c| assert!(c.barriers.insert(barrier)));
    let group = |member: &mut Member, user: &str, name: &str| {
        if member.user == user.parse::<UserId>().unwrap() {
            member.groups = BTreeSet::from([name.to_owned()]);
        }
    };
    for member in &mut world.record.members {
        group(member, "anna", "research");
        group(member, "amy", "sales");
    }
    world.gather(&["anna", "abe", "ben"]);
    world.join("amy");
    assert_eq!(world.refusals("amy"), [ProblemCode::Barred]);
    // who is in is not asked again
    world.close("anna");
    world.connect("anna", Some(world.resume("anna")));
    assert_eq!(world.refusals("anna"), []);
}

#[test]
fn a_late_stricter_firm_waits_and_after_30_s_all_meet_under_its_terms() {
    let mut world = World::new();
    let x = world.firms[2].id.clone();
    world.gather(&["anna", "ben"]);
    let before = world.room.meeting().cloned();
    // the third firm comes into the room, and keeps what is said
    world.record.members.push(Member {
        firm: x.clone(),
        user: "xeno".parse().unwrap(),
        host: false,
        groups: BTreeSet::new(),
    });
    state(&mut world, 2, Rule::Should, |_| {});
    let leaf = world.firms[2].certify("bank-x/xeno/d1", crate::firms::Use::Member);
    world.members.insert("xeno".into(), crate::member::Member::new(&world.trust, "bank-x/xeno/d1", leaf, false));
    world.connect("xeno", None);
    world.advance_alive(29_000);
    assert_eq!(world.room.meeting().cloned(), before, "who is inside goes on");
    assert_eq!(meeting_of(&world, "xeno"), None);
    for name in ["xeno", "anna", "ben"] {
        assert_eq!(world.problems(name), [ProblemCode::TermsChange], "{name} is told");
    }
    world.advance_alive(3_500);
    assert_ne!(world.room.meeting().cloned(), before);
    world.invariant_one_group(&["anna", "ben", "xeno"]);
    for name in ["anna", "ben", "xeno"] {
        assert_eq!(meeting_of(&world, name).as_ref(), world.room.meeting());
        let terms = world.members[name].terms.clone().unwrap();
        assert_eq!(terms.statements.len(), 3, "under all three statements");
    }
}

#[test]
fn a_stricter_version_holds_for_everybody_at_once_and_a_looser_one_without_waiting() {
    let mut world = World::with_rules(Rule::Off, Rule::Should);
    world.gather(&["anna"]);
    let before = world.room.meeting().cloned();
    state(&mut world, 1, Rule::Off, |_| {});
    world.join("ben");
    world.advance(3_000);
    assert_ne!(world.room.meeting().cloned(), before, "less is kept: nobody has to wait for that");
    world.invariant_one_group(&["anna", "ben"]);
}

#[test]
fn who_comes_later_puts_the_new_terms_off_no_further() {
    let mut world = World::new();
    world.gather(&["anna"]);
    let before = world.room.meeting().cloned();
    state(&mut world, 1, Rule::Should, |_| {});
    world.join("ben");
    world.advance_alive(20_000);
    world.join("bob");
    world.advance_alive(9_000);
    assert_eq!(world.room.meeting().cloned(), before);
    world.advance_alive(4_000);
    assert_ne!(world.room.meeting().cloned(), before);
    world.invariant_one_group(&["anna", "ben", "bob"]);
}

#[test]
fn when_nobody_is_left_inside_the_new_terms_begin_at_once() {
    let mut world = World::new();
    world.gather(&["anna"]);
    state(&mut world, 1, Rule::Should, |_| {});
    world.join("ben");
    assert_eq!(meeting_of(&world, "ben"), None);
    world.say("anna", domain::message::client::ToServer::Leave {});
    world.advance(1_000);
    assert_eq!(meeting_of(&world, "ben").as_ref(), world.room.meeting());
    assert!(world.room.meeting().is_some());
}

#[test]
fn when_who_waited_goes_away_the_meeting_goes_on_as_it_was() {
    let mut world = World::new();
    world.gather(&["anna"]);
    let before = world.room.meeting().cloned();
    state(&mut world, 1, Rule::Should, |_| {});
    world.join("ben");
    world.close("ben");
    world.advance_alive(60_000);
    assert_eq!(world.room.meeting().cloned(), before);
}

#[test]
fn a_version_that_clashes_keeps_out_nobody_whose_firm_is_already_bound() {
    let mut world = World::with_rules(Rule::Must, Rule::Off);
    world.gather(&["anna", "ben"]);
    let before = world.room.meeting().cloned();
    state(&mut world, 1, Rule::Forbidden, |_| {});
    world.join("bob");
    world.advance(3_000);
    assert_eq!(world.refusals("bob"), []);
    assert_eq!(world.room.meeting().cloned(), before, "the next meeting is refused, this one goes on as it began");
}
