//! Ceremony, self-test, state keys.

use crate::house::{House, call, ceremony, on_each_token};
use domain::B64;
use domain::message::custody::{Answer, Ask, RecordKind};
use test_tokens::Kind;

fn a_ceremony_held_twice_changes_nothing(kind: Kind) {
    let house = House::new(kind);
    for (role, first) in [("people", &house.people), ("record", &house.record), ("archive", &house.archive)] {
        let again = ceremony(house.path("").as_path(), role);
        assert_eq!((&again.keys, &again.root, &again.token), (&first.keys, &first.root, &first.token), "{role}");
        assert!(again.test_token);
    }
}

fn the_self_test_proves_every_key(kind: Kind) {
    let house = House::new(kind);
    let output = call(&["check", "--json", "--config", &house.config("archive")]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let oaep = match kind {
        Kind::SoftHsm2 => "sha1",
        Kind::Kryoptic => "sha256",
    };
    assert_eq!((report["ok"].as_bool(), report["oaep"].as_str()), (Some(true), Some(oaep)));
    assert_eq!(report["tests"].as_array().map(Vec::len), Some(4));
}

async fn a_state_key_stays_until_it_is_forgotten_and_is_no_file(kind: Kind) {
    let house = House::new(kind);
    let record = house.start("record");
    let meeting = || "m1".parse().unwrap();
    let key = || async {
        match record.ask(Ask::StateKey { meeting: meeting() }).await {
            Ok(Answer::Key { key }) => key,
            other => panic!("{other:?}"),
        }
    };
    let first = key().await;
    assert_eq!((first.len(), &first), (32, &key().await));
    assert!(record.ask(Ask::ForgetStateKey { meeting: meeting() }).await.is_ok());
    assert_ne!(first, key().await);
}

async fn the_record_key_signs_records_of_its_own_firm_only(kind: Kind) {
    let house = House::new(kind);
    let record = house.start("record");
    let sign = |kind, payload: &[u8]| record.ask(Ask::SignRecord { kind, payload: B64::from(payload) });
    let root = B64::from([0u8; 32]);
    let own = evidence::archive::Checkpoint {
        origin: evidence::archive::log::origin(&"bank-a".parse().unwrap()),
        size: 1,
        root: evidence::archive::Digest([0; 32]),
    };
    let other = evidence::archive::Checkpoint { origin: "bank-b/archive".into(), ..own.clone() };
    assert!(sign(RecordKind::Checkpoint, own.text().as_bytes()).await.is_ok());
    assert_eq!(sign(RecordKind::Checkpoint, other.text().as_bytes()).await.unwrap_err().code, "bad-request");
    for kind in [RecordKind::Segment, RecordKind::Meeting, RecordKind::Checkpoint] {
        assert_eq!(sign(kind, &root).await.unwrap_err().code, "bad-request");
    }
    assert!(matches!(record.ask(Ask::Probe {}).await, Ok(Answer::Done {})));
    let none = Ask::OpenProbe { sealed: B64::from([0u8; 32]) };
    assert_eq!(record.ask(none).await.unwrap_err().code, "bad-request", "another token's work");
}

on_each_token! {
    a_ceremony_held_twice_changes_nothing, the_self_test_proves_every_key;
    async a_state_key_stays_until_it_is_forgotten_and_is_no_file, the_record_key_signs_records_of_its_own_firm_only
}
