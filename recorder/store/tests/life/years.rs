//! Property: no sequence of calls over simulated years shortens a retention, or deletes a piece of a held or unexpired
//! meeting, its keys included; keys go first; a hold that comes during a disposal wins.

use domain::UnixMillis;
use evidence::retention::{Act, CLASSES, Judged, Phase, Standing, What};
use proptest::prelude::*;
use recorder_store::retention::disposal::{Disposal, Piece, Step};
use std::collections::BTreeSet;

const DAY_MS: u64 = 24 * 3600 * 1000;
const ENDED: UnixMillis = UnixMillis(1_800_000_000_000);

#[derive(Debug, Clone)]
enum Call {
    Wait(u64),
    Raise(u16),
    Hold(u8),
    Release(u8),
    /// The officers signed so many days before the recorder's clock: a clock set forward opens nothing.
    Dispose(u64),
    /// Goes on with a disposal for so many pieces.
    Delete(usize),
    /// Starts the process again: what is left is listed anew.
    Restart,
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let one = prop_oneof![
        4 => (1u64..900).prop_map(Call::Wait),
        2 => prop_oneof![0u16..12, Just(40)].prop_map(Call::Raise),
        3 => (0u8..3).prop_map(Call::Hold),
        4 => (0u8..3).prop_map(Call::Release),
        4 => prop_oneof![4 => Just(0u64), 1 => 1u64..4_000].prop_map(Call::Dispose),
        5 => (1usize..5).prop_map(Call::Delete),
        1 => Just(Call::Restart),
    ];
    prop::collection::vec(one, 1..80)
}

fn judged(what: What, case: u8, signed_at: UnixMillis) -> Judged {
    let act = Act {
        firm: "bank-a".parse().expect("an id"),
        meeting: "00112233445566778899aabbccddeeff".parse().expect("an id"),
        manifest_hash: vec![0; 32].into(),
        what,
        case: format!("C-{case}"),
        reason: "a reason".to_owned(),
        issued_at: signed_at,
    };
    let who = |name: &str| format!("bank-a/{name}/d1").parse().expect("an id");
    Judged { act, first: who("carol"), second: who("chris"), signed_at }
}

fn everything() -> Vec<Piece> {
    let paths = ["events.seg", "tracks/0001/00001.seg", "keys/sealed.cbor", "meeting.cose", "keys/epochs.cbor"];
    let piece = |place, path: &str| Piece { place, path: path.to_owned(), version: "1".to_owned() };
    (0..3).flat_map(|place| paths.map(|path| piece(place, path))).collect()
}

/// What must hold, told apart from the code under test: every raise that fits counts, every hold binds.
struct Model {
    now: UnixMillis,
    until: UnixMillis,
    holds: BTreeSet<u8>,
    left: Vec<Piece>,
}

impl Model {
    fn may_go(&self) -> bool {
        self.holds.is_empty() && self.now >= self.until
    }

    fn delete(&mut self, disposal: &mut Disposal, standing: &Standing, most: usize) {
        for _ in 0..most {
            let Step::Delete(piece) = disposal.next(self.now, standing) else { return };
            assert!(
                self.may_go(),
                "{piece:?} would go at {:?}, kept until {:?}, held {:?}",
                self.now,
                self.until,
                self.holds
            );
            let keys_left = self.left.iter().any(Piece::holds_keys);
            assert!(piece.holds_keys() || !keys_left, "{piece:?} would go before the keys");
            let before = self.left.len();
            self.left.retain(|one| *one != piece);
            assert_eq!(self.left.len() + 1, before);
            disposal.deleted();
        }
    }
}

fn play(calls: Vec<Call>, years: u16) {
    let until = ENDED.plus_years(years);
    let mut standing = Standing::new(ENDED, until);
    let mut model = Model { now: ENDED, until, holds: BTreeSet::new(), left: everything() };
    let mut disposal = Disposal::new(everything());
    for call in calls {
        let before = (standing.until(), model.left.len());
        match call {
            Call::Wait(days) => model.now = model.now.plus(days * DAY_MS),
            Call::Raise(years) => {
                let fits = CLASSES.iter().any(|class| class.years == years) && standing.phase() != gone(&standing);
                let later = ENDED.plus_years(years);
                let taken = standing.take(model.now, &judged(What::Raise { years }, 0, model.now));
                assert_eq!(taken.is_ok(), fits && later > model.until);
                if taken.is_ok() {
                    model.until = later;
                }
            }
            Call::Hold(case) => {
                let taken = standing.take(model.now, &judged(What::Hold {}, case, model.now));
                let is_new = !model.holds.contains(&case) && standing.phase() != gone(&standing);
                assert_eq!(taken.is_ok(), is_new);
                if taken.is_ok() {
                    model.holds.insert(case);
                }
            }
            Call::Release(case) => {
                let taken = standing.take(model.now, &judged(What::Release {}, case, model.now));
                let held = standing.phase() != gone(&standing) && model.holds.remove(&case);
                assert_eq!(taken.is_ok(), held);
            }
            Call::Dispose(days) => {
                let signed_at = UnixMillis(model.now.0.saturating_sub(days * DAY_MS));
                let taken = standing.take(model.now, &judged(What::Dispose {}, 0, signed_at));
                assert!(taken.is_err() || (model.may_go() && signed_at >= model.until));
            }
            Call::Delete(most) => model.delete(&mut disposal, &standing, most),
            Call::Restart => disposal = Disposal::new(model.left.clone()),
        }
        if disposal.next(model.now, &standing) == Step::Over {
            assert!(model.may_go() && model.left.is_empty());
            standing.finish(model.now).expect("nothing is left");
        }
        assert!(standing.until() >= before.0, "a retention was shortened");
        assert_eq!(standing.until(), model.until);
        if !model.may_go() {
            assert!(matches!(disposal.next(model.now, &standing), Step::Stop(_)));
        }
    }
}

/// The phase if it is the last one, else one that it cannot be in.
fn gone(standing: &Standing) -> Phase {
    match standing.phase() {
        Phase::Disposed { at } => Phase::Disposed { at },
        _ => Phase::Disposed { at: UnixMillis(0) },
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_calls_shortens_or_deletes_what_is_held_or_unexpired(calls in calls(), class in 0usize..6) {
        play(calls, CLASSES[class].years);
    }
}

#[test]
fn the_property_reaches_disposals_that_end() {
    let day = |days| Call::Wait(days);
    let calls = vec![
        day(400),
        Call::Dispose(0),
        Call::Delete(4),
        Call::Hold(1),
        Call::Delete(4),
        Call::Restart,
        Call::Release(1),
        Call::Delete(1),
        Call::Dispose(0),
        Call::Delete(4),
        Call::Delete(4),
        Call::Delete(4),
        Call::Hold(2),
    ];
    play(calls, 1);
}

#[test]
fn a_class_counts_the_calendars_years_and_a_leap_day_is_not_lost() {
    let leap = UnixMillis(1_709_208_000_000); // 2024-02-29 12:00
    let mut standing = Standing::new(leap, leap.plus_years(1));
    standing.take(leap, &judged(What::Raise { years: 3 }, 0, leap)).expect("longer");
    assert_eq!(standing.until(), UnixMillis(1_803_902_400_000), "2027-03-01 12:00");
    standing.take(leap, &judged(What::Raise { years: 5 }, 0, leap)).expect("longer");
    assert_eq!(standing.until(), leap.plus_years(5));
    assert!(standing.take(leap, &judged(What::Raise { years: 3 }, 0, leap)).is_err());
    assert!(standing.take(leap, &judged(What::Raise { years: 4 }, 0, leap)).is_err(), "no class");
}
