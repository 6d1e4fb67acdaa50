//! Certificates that end before their time: the signed list, the journal over a restart, and the commands.

use crate::house::{Custody, House, call, on_each_token};
use crate::idp::enrol;
use domain::B64;
use domain::message::custody::{Answer, Ask, LeafRole, Whom};
use evidence::revocation::{Revocations, judge};
use std::collections::BTreeSet;
use test_tokens::Kind;

async fn listed(house: &House, people: &Custody, ask: Ask) -> (B64, Revocations) {
    let Ok(Answer::Signed { signed }) = people.ask(ask).await else { panic!("a list") };
    let list = judge(&house.trust, &signed).expect("the firm's");
    (signed, list)
}

async fn ended_certificates_are_on_the_firms_signed_list_also_after_a_restart(kind: Kind) {
    let house = House::new(kind);
    let people = house.start("people");
    let (_, first) = enrol(&house, &people, "anna", LeafRole::Member).await;
    let (_, second) = enrol(&house, &people, "anna", LeafRole::Member).await;
    let (_, other) = enrol(&house, &people, "ben", LeafRole::Member).await;
    let (empty, list) = listed(&house, &people, Ask::Revocations {}).await;
    assert_eq!((list.serial, list.revoked.len()), (1, 0));
    assert_eq!(listed(&house, &people, Ask::Revocations {}).await.0, empty, "no signature for what has not changed");
    let anna = Whom::User("anna".parse().unwrap());
    let (_, list) = listed(&house, &people, Ask::Revoke { whom: anna }).await;
    let ended: BTreeSet<_> = list.certificates().collect();
    assert_eq!((list.serial, ended), (2, [evidence::sha256(&first), evidence::sha256(&second)].into()));

    // at a terminal, while the process runs
    let config = house.config("people");
    let rows = || {
        let output = call(&["--json", "certificates", "list", "--config", &config]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Vec<serde_json::Value>>(&output.stdout).unwrap()
    };
    let all = rows();
    assert_eq!(all.len(), 3);
    assert_eq!(all.iter().filter(|row| row["revoked_at"].is_u64()).count(), 2);
    let bens = all.iter().find(|row| row["holder"] == "bank-a/ben/d1").unwrap();
    assert_eq!(bens["certificate"], hex::encode(evidence::sha256(&other)));
    let serial = bens["serial"].as_str().unwrap().to_owned();
    assert!(call(&["certificates", "revoke", "--config", &config, "--serial", &serial]).status.success());
    assert_eq!(listed(&house, &people, Ask::Revocations {}).await.1.revoked.len(), 3);
    drop(people);
    let (_, list) = listed(&house, &house.start("people"), Ask::Revocations {}).await;
    assert_eq!((list.serial, list.revoked.len()), (4, 3), "a later number, the same people");
}

fn nothing_is_ended_without_the_process_that_keeps_the_journal(kind: Kind) {
    let house = House::new(kind);
    let config = house.config("people");
    assert!(!call(&["certificates", "revoke", "--config", &config, "--user", "anna"]).status.success());
    assert_eq!(call(&["certificates", "revoke", "--config", &config]).status.code(), Some(2), "whom?");
    assert_eq!(call(&["certificates", "list", "--config", &house.config("record")]).status.code(), Some(2));
}

on_each_token! {
    nothing_is_ended_without_the_process_that_keeps_the_journal;
    async ended_certificates_are_on_the_firms_signed_list_also_after_a_restart
}
