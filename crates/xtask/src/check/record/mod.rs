//! `cargo xtask check record`: the record from end to end in a few minutes. Recorders are killed, two test tokens are proven,
//! a meeting is held, replayed and exported, its archives are verified and then changed in every way that is tried.
//! Ends with one JSON line; every value in it was measured in this run.

mod crash;
mod stores;
mod tamper;
mod tokens;

use super::stage::Stage;
use super::{archives, held, probe};
use crate::demo::plan::FIRMS;
use crate::place::Place;
use crate::say;
use crate::setup::node::Node;
use serde_json::{Value, json};

pub use crash::build;

/// `cargo xtask check record`; the shipped binaries are built.
pub fn check(place: &Place, node: &Node) -> anyhow::Result<()> {
    say::heading("check record");
    let mut line = json!({});
    let mut wrong = Vec::new();
    let step = say::step(format!("{} recording processes are killed", crash::KILLS));
    let killed = crash::campaign(place)?;
    step.done();
    say::line(format!("   {killed}"));
    line["frames_acknowledged"] = killed["frames_acknowledged"].clone();
    line["acknowledged_lost"] = killed["acknowledged_lost"].clone();
    line["kills"] = killed["ended"].clone();
    if let Some(stores) = stores::probed(place)? {
        line["stores"] = stores;
    }
    let mut stage = Stage::set(place, node)?;
    let step = say::step("both test tokens are proven");
    line["tokens"] = json!(tokens::proven(place, &stage.plan)?);
    step.done();
    wrong.extend(held(&mut stage)?);
    let replayed = replay(&mut stage, &mut line)?;
    wrong.extend(replayed);
    let step = say::step("archives are changed, and the verifier is asked");
    let tampered = tamper::archives(&stage.plan)?;
    step.done();
    line["tampers"] = json!(tampered.made);
    line["tampers_named"] = json!(tampered.named);
    wrong.extend(tampered.missed);
    // after all that the archives themselves are as they were
    let proven = archives::judge(&stage.plan)?;
    line["bundles_verified"] = json!(proven.verified as u64 + killed["bundles_verified"].as_u64().unwrap_or(0));
    wrong.extend(faults(&line, &killed, proven.verified));
    say::line(line.to_string());
    stage.close(&wrong)
}

/// The meeting as an officer sees it: how soon it plays, how fast it is exported.
fn replay(stage: &mut Stage<'_>, line: &mut Value) -> anyhow::Result<Vec<String>> {
    let step = say::step("a second officer approves, the first replays and exports");
    let front = stage.plan.origin(&FIRMS[0]);
    let seen = stage.drive("replay", &["--front".into(), front, "--except".into(), probe::NAME.into()])?;
    step.done();
    line["replay_start_ms"] = seen["replay_start_ms"].clone();
    line["export_x_realtime"] = seen["export"]["x_realtime"].clone();
    Ok(if seen["ok"] == true { vec![] } else { vec![format!("the replay is not what was said: {}", seen["faults"])] })
}

/// What is not as it must be. Speeds are shown, not judged: the machine is the machine.
fn faults(line: &Value, killed: &Value, verified: usize) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut want = |holds: bool, text: &str| {
        if !holds {
            wrong.push(text.to_owned());
        }
    };
    want(line["frames_acknowledged"].as_u64() > Some(0), "the killed recorders had acknowledged nothing");
    want(line["acknowledged_lost"] == 0, "acknowledged frames were lost");
    want(killed["promises_broken"] == 0, "promised keys or signed segments were lost");
    want(killed["closed"] == killed["bundles_verified"], "a meeting closed after kills does not verify");
    want(line["kills"] == crash::KILLS, "not all processes were killed");
    want(line["tokens"] == json!(["softhsm2", "kryoptic"]), "not both test tokens can do all that custody needs");
    want(line["stores"] == json!({ "seaweedfs": "worm", "moto": "refused" }), "the stores are not what they must be");
    want(line["replay_start_ms"].as_u64().is_some(), "nothing was replayed");
    want(line["export_x_realtime"].as_f64().is_some(), "nothing was exported");
    want(line["tampers"].as_u64() > Some(0), "nothing was changed");
    want(line["tampers"] == line["tampers_named"], "a change was not named where it was made");
    want(verified == FIRMS.len(), "not every firm's archive verified");
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_of_the_line_is_judged() {
        let good = json!({
            "frames_acknowledged": 900, "acknowledged_lost": 0, "kills": crash::KILLS,
            "stores": { "seaweedfs": "worm", "moto": "refused" }, "tokens": ["softhsm2", "kryoptic"],
            "replay_start_ms": 300, "export_x_realtime": 1.5, "tampers": 80, "tampers_named": 80, "bundles_verified": 9,
        });
        let killed = json!({ "promises_broken": 0, "closed": 7, "bundles_verified": 7 });
        assert_eq!(faults(&good, &killed, 2), Vec::<String>::new());
        let bad = [
            ("frames_acknowledged", json!(0)),
            ("acknowledged_lost", json!(1)),
            ("kills", json!(3)),
            ("tokens", json!(["softhsm2"])),
            ("stores", json!({ "seaweedfs": "worm", "moto": "worm" })),
            ("stores", Value::Null),
            ("replay_start_ms", Value::Null),
            ("export_x_realtime", Value::Null),
            ("tampers_named", json!(79)),
        ];
        for (key, value) in bad {
            let mut line = good.clone();
            line[key] = value;
            assert_eq!(faults(&line, &killed, 2).len(), 1, "{key}");
        }
        assert_eq!(faults(&good, &killed, 1).len(), 1);
        assert_eq!(faults(&good, &json!({ "promises_broken": 1, "closed": 7, "bundles_verified": 6 }), 2).len(), 2);
    }
}
