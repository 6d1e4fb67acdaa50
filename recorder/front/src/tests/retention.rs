//! Acts of retention on the officers' pages: two officers who were not in the meeting, the ledger first, and nothing that the
//! recorder would refuse is laid before it.

use super::kit::{BEGAN, DURATION_MS, MEETING, NOW, Person, Town, firm};
use domain::B64;
use domain::message::custody::LeafRole;
use evidence::archive::{Digest, names};
use evidence::retention::{Book, Entry, Event, What};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::atomic::Ordering;

fn officer(user: &'static str) -> Person {
    Person::new(user, LeafRole::Compliance)
}

fn acts(town: &Town) -> Vec<PathBuf> {
    let folder = town.folder.path().join("archive").join(names::ACTS);
    let mut all: Vec<PathBuf> = std::fs::read_dir(folder).expect("made").map(|one| one.expect("read").path()).collect();
    all.sort();
    all
}

async fn post(town: &Town, who: &Person, path: &str, body: &Value) -> (u16, Value) {
    let sent = town.post(path).bearer_auth(town.session(who)).json(body).send().await.expect("sent");
    (sent.status().as_u16(), sent.json().await.expect("JSON"))
}

async fn act(town: &Town, who: &Person, signed: &[u8]) -> (u16, Value) {
    post(town, who, "/api/retention", &json!({"act": B64(signed.to_vec())})).await
}

async fn consent(town: &Town, who: &Person, id: &str, signed: Vec<u8>) -> (u16, Value) {
    post(town, who, &format!("/api/retention/{id}/consent"), &json!({"consent": B64(signed)})).await
}

async fn seen(town: &Town, who: &Person) -> Value {
    let sent = town.get("/api/retention").bearer_auth(town.session(who)).send().await.expect("sent");
    assert!(sent.status().is_success());
    sent.json().await.expect("JSON")
}

/// The recorder's part: the act in the meeting's book, and what came of it.
fn carried(town: &Town, id: &str, [act, consent]: [&[u8]; 2]) {
    let own = town.folder.path().join("archive/bank-a");
    let kept = Entry {
        version: 1,
        firm: firm(),
        meeting: MEETING.parse().expect("an id"),
        manifest_hash: Digest(town.manifest_hash),
        index: 0,
        previous: Digest([0; 32]),
        at: NOW,
        event: Event::Kept {
            ended_at: BEGAN.plus(DURATION_MS),
            retain_until: NOW,
            prefix: format!("bank-a/2027/01/{MEETING}/"),
            proof: B64::default(),
        },
    };
    let book = Book::read(&town.app.trust, &firm(), [kept.to_cbor().as_slice()]).expect("a book");
    let event = Event::Act { act: act.to_vec().into(), consent: consent.to_vec().into() };
    let folder = own.join(names::BOOKS).join(MEETING);
    std::fs::create_dir_all(&folder).expect("made");
    std::fs::write(folder.join("00000.cbor"), kept.to_cbor()).expect("written");
    std::fs::write(folder.join("00001.cbor"), book.entry(&firm(), NOW, event).to_cbor()).expect("written");
    let said = own.join(names::ACTS);
    std::fs::create_dir_all(&said).expect("made");
    let outcome = json!({"state": "done", "detail": "", "at": NOW});
    std::fs::write(said.join(format!("{id}.json")), outcome.to_string()).expect("written");
}

#[tokio::test]
async fn two_officers_sign_a_hold_both_are_in_the_ledger_and_the_page_shows_what_the_recorder_did() {
    let town = Town::new().await;
    let (carol, chris) = (officer("carol"), officer("chris"));
    let hold = carol.retains(town.manifest_hash, What::Hold {}, "C-17");
    let (status, page) = act(&town, &carol, &hold).await;
    assert_eq!(status, 200, "{page}");
    let (row, asked) = (&page["meetings"][0], &page["acts"][0]);
    assert_eq!((&row["phase"], &row["holds"], &row["raises"][0]), (&json!("kept"), &json!([]), &json!(1)), "{row}");
    assert_eq!(
        (&asked["state"], &asked["what"], &asked["first"]),
        (&json!("waiting"), &json!("hold"), &json!("carol"))
    );
    let id = asked["id"].as_str().expect("an id").to_owned();
    assert_eq!(acts(&town).len(), 1, "one signature: the recorder sees no consent");
    let (status, page) = consent(&town, &chris, &id, chris.consents(&hold)).await;
    assert_eq!((status, &page["acts"][0]["state"]), (200, &json!("signed")), "{page}");
    assert!(acts(&town).iter().any(|path| path.ends_with(format!("{id}{}", names::CONSENT))));
    assert_eq!(town.log.actions(), ["retain", "retain-consent"]);
    let note = town.log.events.lock().expect("held")[0].note.clone();
    assert_eq!(note, format!("act {}; hold; case C-17", hex::encode(evidence::sha256(&hold))));
    carried(&town, &id, [&hold, &chris.consents(&hold)]);
    let page = seen(&town, &carol).await;
    let held = &page["meetings"][0]["holds"][0];
    assert_eq!((&held["case"], &held["by"]), (&json!("C-17"), &json!(["carol", "chris"])), "{page}");
    assert_eq!(page["acts"][0]["state"], json!("done"));
    // a front that starts again shows the same
    let again =
        crate::review::retention::Retention::open(&town.folder.path().join("archive"), firm(), town.app.trust.clone());
    let rows = again.expect("read").acts(NOW);
    assert_eq!((rows.len(), rows[0].second.as_deref()), (1, Some("chris")));
    // held: nobody signs its disposal
    let (status, refused) = act(&town, &carol, &carol.retains(town.manifest_hash, What::Dispose {}, "C-18")).await;
    assert_eq!((status, &refused["code"]), (409, &json!("retention-held")), "{refused}");
    assert!(refused["detail"].as_str().is_some_and(|text| text.contains("C-17")));
}

#[tokio::test]
async fn one_officer_is_not_two_and_who_was_in_the_meeting_signs_nothing_about_it() {
    let town = Town::new().await;
    let (carol, chris, anna) = (officer("carol"), officer("chris"), officer("anna"));
    let dispose = carol.retains(town.manifest_hash, What::Dispose {}, "C-1");
    let (status, page) = act(&town, &carol, &dispose).await;
    assert_eq!(status, 200, "{page}");
    let id = page["acts"][0]["id"].as_str().expect("an id").to_owned();
    let (status, refused) = consent(&town, &carol, &id, carol.consents(&dispose)).await;
    assert_eq!((status, &refused["code"]), (403, &json!("two-persons")));
    let (status, refused) = consent(&town, &anna, &id, anna.consents(&dispose)).await;
    assert_eq!((status, &refused["code"]), (403, &json!("in-roster")));
    let (status, refused) = act(&town, &anna, &anna.retains(town.manifest_hash, What::Dispose {}, "C-2")).await;
    assert_eq!((status, &refused["code"]), (403, &json!("in-roster")));
    // another's signature under one's own session
    assert_eq!(consent(&town, &carol, &id, chris.consents(&dispose)).await.0, 403);
    assert_eq!(act(&town, &carol, &chris.retains(town.manifest_hash, What::Hold {}, "C-3")).await.0, 403);
    let member = Person::new("mark", LeafRole::Member);
    assert_eq!(act(&town, &member, &member.retains(town.manifest_hash, What::Hold {}, "C-4")).await.0, 403);
    assert_eq!((acts(&town).len(), town.log.actions()), (1, vec!["retain".to_owned()]), "nothing of it was kept");
    let inside = seen(&town, &anna).await["meetings"][0]["inside"].clone();
    assert_eq!((inside, seen(&town, &carol).await["meetings"][0]["inside"].clone()), (json!(true), json!(false)));
}

#[tokio::test]
async fn a_replayed_act_and_one_for_another_archive_firm_or_manifest_are_refused() {
    let town = Town::new().await;
    let (carol, chris) = (officer("carol"), officer("chris"));
    let hash = town.manifest_hash;
    let release = carol.retains(hash, What::Release {}, "C-1");
    let (status, refused) = act(&town, &carol, &release).await;
    assert_eq!((status, &refused["code"]), (409, &json!("retention-rule")), "nothing is held: {refused}");
    let hold = carol.retains(hash, What::Hold {}, "C-1");
    let (_, page) = act(&town, &carol, &hold).await;
    let id = page["acts"][0]["id"].as_str().expect("an id").to_owned();
    let (status, refused) = act(&town, &carol, &hold).await;
    assert_eq!((status, &refused["code"]), (409, &json!("act-used")));
    assert_eq!(consent(&town, &chris, &id, chris.consents(&hold)).await.0, 200);
    let (status, refused) = consent(&town, &chris, &id, chris.consents(&hold)).await;
    assert_eq!((status, &refused["code"]), (409, &json!("approved")));
    // carried out by a command, unknown to this front: the book has it
    let other = carol.retains(hash, What::Hold {}, "C-2");
    carried(&town, "00", [&other, &chris.consents(&other)]);
    let (status, refused) = act(&town, &carol, &other).await;
    assert!(status == 400 && refused["detail"].as_str().is_some_and(|text| text.contains("taken before")), "{refused}");
    let elsewhere = carol.retains_of(&"bank-b".parse().expect("an id"), hash, What::Hold {}, "C-3");
    assert_eq!(act(&town, &carol, &elsewhere).await.0, 400);
    assert_eq!(act(&town, &carol, &carol.retains([1; 32], What::Hold {}, "C-3")).await.0, 400);
    let dora = Person::of("bank-b", "dora", LeafRole::Compliance);
    assert_eq!(act(&town, &carol, &dora.retains(hash, What::Hold {}, "C-3")).await.0, 403);
    assert_eq!(acts(&town).len(), 2, "one act and its consent");
}

#[tokio::test]
async fn with_a_dead_ledger_no_act_of_retention_is_kept() {
    let town = Town::new().await;
    town.log.dead.store(true, Ordering::Relaxed);
    let carol = officer("carol");
    assert_eq!(act(&town, &carol, &carol.retains(town.manifest_hash, What::Hold {}, "C-1")).await.0, 503);
    assert!(acts(&town).is_empty());
}
