//! Short campaigns, and their controls: a recorder that acknowledges too soon is found out.

use crash::kills::{self, Program};
use crash::power;
use crash::recording::Manner;

fn program(manner: Manner) -> Program {
    Program { path: env!("CARGO_BIN_EXE_crash-campaign").into(), manner }
}

#[test]
fn no_acknowledged_frame_is_lost_by_twenty_kills_at_random_moments() {
    let score = kills::campaign(&program(Manner::Honest), 20_261_122, 20, |_, _| ()).expect("a campaign");
    assert!(score.is_good() && score.ended == 20, "{score:?}");
}

#[test]
fn a_recorder_that_acknowledges_before_it_wrote_is_found_out_by_kills() {
    let lost = (0..5).any(|seed| {
        let score = kills::campaign(&program(Manner::Early), seed, 4, |_, _| ());
        // what it lost may also keep the meeting from being closed
        score.map_or(true, |score| score.lost > 0)
    });
    assert!(lost, "a campaign that sees nothing proves nothing");
}

#[test]
fn no_acknowledged_frame_is_lost_by_cuts_of_power_and_what_was_never_synced_is() {
    if let Some(why) = power::missing() {
        eprintln!("skipped: {why}");
        return;
    }
    let score = power::campaign(&program(Manner::Honest), 20_261_122, 6, |_, _| ()).expect("a campaign");
    assert!(score.is_good() && score.ended == 6, "{score:?}");
    let unsynced = power::campaign(&program(Manner::Unsynced), 1, 6, |_, _| ());
    assert!(unsynced.map_or(true, |score| score.lost > 0), "a campaign that sees nothing proves nothing");
}
