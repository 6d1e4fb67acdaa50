//! Sampling, reviews, word lists, copies and "who replayed me": what counts is in the ledger first, and who was in a
//! meeting judges nothing of it.

use super::kit::{BEGAN, CHAT, CHAT_MS, DURATION_MS, MEETING, NOW, Person, Town, person};
use crate::config::Show;
use domain::message::custody::LeafRole;
use domain::{B64, MeetingId, UnixMillis};
use evidence::supervision::{CopyStep, Disposition, Rule, What, WordList};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::sync::atomic::Ordering;

fn meeting() -> MeetingId {
    MEETING.parse().expect("an id")
}

fn officer(user: &'static str) -> Person {
    Person::new(user, LeafRole::Compliance)
}

fn everything() -> What {
    let (room, counterparty) = (String::new(), String::new());
    What::Sample(Rule { percent: 10, room, counterparty, from: UnixMillis(0), to: NOW, due_days: 14 })
}

fn assign(origin: u64, reviewer: &str) -> What {
    let due = NOW.plus(86_400_000);
    What::Assign { origin, meeting: meeting(), reviewer: reviewer.parse().expect("an id"), due }
}

fn note(origin: u64) -> What {
    What::Note { origin, meeting: meeting(), from_ms: 1_000, to_ms: 2_000, text: "asks for a reply".to_owned() }
}

fn dispose(origin: u64, disposition: Disposition) -> What {
    What::Dispose { origin, meeting: meeting(), disposition, text: "seen in full".to_owned() }
}

fn words(version: u32) -> What {
    let list = |name: &str, words: &[&str]| WordList {
        name: name.to_owned(),
        words: words.iter().map(|word| (*word).to_owned()).collect(),
    };
    What::Words { version, lists: vec![list("promises", &["guarantee*"]), list("insider", &["DELIT d'initie", "tip"])] }
}

async fn act(town: &Town, who: &Person, what: What) -> (u16, Value) {
    let session = town.session(who);
    let body = json!({"act": B64(who.act(what))});
    let sent = town.post("/api/supervision").bearer_auth(session).json(&body).send().await.expect("sent");
    (sent.status().as_u16(), sent.json().await.expect("JSON"))
}

async fn done(town: &Town, who: &Person, what: What) -> Value {
    let (status, answer) = act(town, who, what).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

async fn read(town: &Town, who: &Person, path: &str) -> (u16, Value) {
    let sent = town.get(path).bearer_auth(town.session(who)).send().await.expect("sent");
    (sent.status().as_u16(), sent.json().await.expect("JSON"))
}

#[tokio::test]
async fn r10_a_sample_is_drawn_by_a_seed_that_nobody_chose_and_an_examiner_draws_it_again() {
    let town = Town::new().await;
    let desk = done(&town, &officer("carol"), everything()).await;
    let sample = &desk["samples"][0];
    assert_eq!((sample["population"].as_u64(), &sample["drawn"]), (Some(1), &json!([MEETING])));
    assert_eq!(desk["reviews"][0]["due"], json!(NOW.0 + 14 * 86_400_000), "{desk}");
    // as an examiner does it, from the ledger's signed entry and the list beside the acts, with SHA-256 alone
    let (entry, event) = {
        let (entries, events) = (town.log.entries.lock().expect("held"), town.log.events.lock().expect("held"));
        (entries[0].clone(), events[0].clone())
    };
    assert_eq!((event.action.as_str(), event.meeting.as_str()), ("sample", "archive"));
    assert!(event.note.contains("; 10 percent; begun 0 to "), "{}", event.note);
    let listed = event.note.split("population sha256 ").nth(1).and_then(|rest| rest.get(..64)).expect("a hash");
    let path = town.folder.path().join(format!("archive/supervision/{listed}.population"));
    let population = std::fs::read(&path).expect("the list is kept");
    assert_eq!(hex::encode(Sha256::digest(&population)), listed);
    let line = String::from_utf8(population).expect("text");
    assert_eq!(line, format!("{MEETING} {}\n", hex::encode(town.manifest_hash)));
    assert_eq!(sample["seed"], json!(hex::encode(Sha256::digest(&entry))));
    // a list that was changed afterwards is no list
    std::fs::write(&path, line.replace('0', "1")).expect("written");
    let (_, desk) = read(&town, &officer("carol"), "/api/supervision").await;
    assert_eq!((&desk["samples"], &desk["missing"]), (&json!([]), &json!([0])));
}

#[tokio::test]
async fn r10_a_review_is_by_an_officer_who_was_not_there_and_ends_with_a_disposition_in_the_ledger() {
    let town = Town::new().await;
    let (carol, chris) = (officer("carol"), officer("chris"));
    done(&town, &carol, everything()).await;
    let (status, problem) = act(&town, &carol, assign(0, "anna")).await;
    assert_eq!((status, problem["code"].as_str()), (403, Some("in-roster")), "who was there reviews nothing of it");
    assert_eq!(act(&town, &carol, assign(7, "chris")).await.1["code"], "no-origin");
    done(&town, &carol, assign(0, "chris")).await;
    assert_eq!(act(&town, &carol, note(0)).await.1["code"], "not-assigned");
    town.log.tell("chris", "open", "case 42; approved by sr://bank-a/carol/d1; 0 to 6000 ms");
    done(&town, &chris, note(0)).await;
    let late = What::Note { origin: 0, meeting: meeting(), from_ms: 0, to_ms: DURATION_MS + 1, text: "x".to_owned() };
    assert_eq!(act(&town, &chris, late).await.1["code"], "bad-interval");
    done(&town, &chris, dispose(0, Disposition::FollowUp)).await;
    let desk = done(&town, &chris, dispose(0, Disposition::NoFinding)).await;
    assert_eq!(act(&town, &chris, dispose(0, Disposition::Escalate)).await.1["code"], "disposed");
    let review = &desk["reviews"][0];
    assert_eq!((review["reviewer"].as_str(), review["opened_at"].as_u64()), (Some("chris"), Some(NOW.0)));
    assert_eq!(
        (review["notes"][0]["from_ms"].as_u64(), review["notes"][0]["by"].as_str()),
        (Some(1_000), Some("chris"))
    );
    assert_eq!(review["dispositions"][1]["disposition"], "no-finding");
    assert_eq!(town.log.actions(), ["sample", "assign", "open", "note", "dispose", "dispose"]);
    let events = town.log.events.lock().expect("held").clone();
    assert!(events.iter().all(|event| !event.note.contains("asks for") && !event.note.contains("seen in full")));
}

#[tokio::test]
async fn r10_what_the_ledger_did_not_take_did_not_happen_and_what_was_taken_out_is_named() {
    let town = Town::new().await;
    let carol = officer("carol");
    town.log.dead.store(true, Ordering::Relaxed);
    assert_eq!(act(&town, &carol, everything()).await.0, 503);
    town.log.dead.store(false, Ordering::Relaxed);
    let (_, desk) = read(&town, &carol, "/api/supervision").await;
    assert_eq!((&desk["samples"], &desk["missing"]), (&json!([]), &json!([])));
    done(&town, &carol, words(1)).await;
    // the officer's own signature counts only with the ledger: copied to another entry's hash it is nothing
    let again = Town::new().await;
    let hash = town.log.events.lock().expect("held")[0].note.split(' ').nth(1).expect("a hash").replace(';', "");
    again.log.tell("carol", "dispose", &format!("act {hash}"));
    let (_, desk) = read(&again, &carol, "/api/supervision").await;
    assert_eq!(desk["missing"], json!([0]));
    // nobody signs for another, and no member signs at all
    let body = json!({"act": B64(officer("chris").act(words(2)))});
    let sent = town.post("/api/supervision").bearer_auth(town.session(&carol)).json(&body).send().await.expect("sent");
    assert_eq!(sent.status().as_u16(), 403);
    let anna = Person::new("anna", LeafRole::Member);
    assert_eq!(act(&town, &anna, words(2)).await.0, 403);
    assert_eq!(read(&town, &anna, "/api/supervision").await.0, 403);
}

#[tokio::test]
async fn r10_word_lists_have_versions_and_match_only_the_chat_that_this_officer_may_open() {
    let town = Town::new().await;
    let (carol, chris) = (officer("carol"), officer("chris"));
    let run = async |who: &Person| {
        let sent = town.post("/api/supervision/match").bearer_auth(town.session(who)).send().await.expect("sent");
        sent.json::<Value>().await.expect("JSON")
    };
    assert_eq!(run(&carol).await["code"], "no-words");
    done(&town, &carol, words(1)).await;
    assert_eq!(act(&town, &chris, words(1)).await.1["code"], "version", "two officers do not overwrite each other");
    assert_eq!(done(&town, &chris, words(2)).await["words"]["by"], "chris");
    assert_eq!(run(&carol).await["meetings"], json!([]), "without a grant nothing is looked at");
    assert_eq!(town.log.opened.load(Ordering::Relaxed), 0);
    town.approved().await;
    assert_eq!(run(&chris).await["meetings"], json!([]), "the grant is carol's");
    let found = run(&carol).await;
    assert_eq!(town.log.opened.load(Ordering::Relaxed), 1, "by custody, as a replay is");
    let hits = &found["meetings"][0]["hits"];
    let line = format!("Anna Berg: {CHAT}");
    let hit = |list: &str| json!({"list": list, "at_ms": CHAT_MS, "line": line});
    assert_eq!((found["version"].as_u64(), hits), (Some(2), &json!([hit("promises"), hit("insider")])));
    let event = town.log.events.lock().expect("held").last().cloned().expect("one");
    assert!(event.note.starts_with("words 2; lines 1; hits promises@2500 insider@2500; request "), "{}", event.note);
    let (_, desk) = read(&town, &chris, "/api/supervision").await;
    let alert = &desk["alerts"][0];
    assert_eq!((alert["version"].as_u64(), alert["hits"][0]["at_ms"].as_u64()), (Some(2), Some(CHAT_MS)));
    assert!(!desk.to_string().contains("profit"), "what was written stays in the open meeting: {desk}");
    let origin = alert["index"].as_u64().expect("an index");
    assert_eq!(done(&town, &carol, assign(origin, "chris")).await["reviews"][0]["source"], "alert");
}

#[tokio::test]
async fn people_see_who_opened_their_meetings_as_far_as_the_firm_shows_it_and_nothing_of_others() {
    let (anna, eve) = (Person::new("anna", LeafRole::Member), Person::new("eve", LeafRole::Member));
    let note = "case 42; approved by sr://bank-a/chris/d1; 0 to 6000 ms";
    let seen = async |show, after_days, who: &Person| {
        let town = Town::with(|config| (config.opened.show, config.opened.after_days) = (show, after_days)).await;
        town.log.tell("carol", "open", note);
        town.log.tell("carol", "play", "case 42; lane 0 from 0 ms");
        read(&town, who, "/api/opened").await.1
    };
    let all = seen(Show::Officer, 0, &anna).await;
    let row = |by: Value, case: Value| json!([{"at": NOW.0, "action": "open", "title": "Project Alder", "started_at": BEGAN.0, "by": by, "case": case}]);
    assert_eq!(all["rows"], row(json!("carol"), json!("42")));
    assert_eq!(seen(Show::Case, 0, &anna).await["rows"], row(Value::Null, json!("42")));
    assert_eq!(seen(Show::When, 0, &anna).await["rows"], row(Value::Null, Value::Null));
    assert_eq!(seen(Show::Nothing, 0, &anna).await, json!({"shown": false, "after_days": 0, "rows": []}));
    assert_eq!(seen(Show::Officer, 30, &anna).await["rows"], json!([]), "not before its time");
    let unsaid = crate::config::Opened::default();
    assert_eq!((unsaid.show, unsaid.after_days), (Show::When, 30), "nobody is warned of an inquiry by default");
    assert_eq!(seen(Show::Officer, 0, &eve).await["rows"], json!([]), "eve was not there");
}

#[tokio::test]
async fn r11_a_copy_goes_from_asked_to_prepared_to_handed_out_and_each_step_is_a_receipt() {
    let town = Town::new().await;
    let (carol, chris) = (officer("carol"), officer("chris"));
    let copy = |request: &str, step, file: &str, client: &str| What::Copy {
        meeting: meeting(),
        client: person(client),
        request: request.to_owned(),
        step,
        file: file.repeat(64),
        text: "composed video, by courier".to_owned(),
    };
    let (_, desk) = read(&town, &carol, "/api/supervision").await;
    let wish = &desk["copies"][0];
    assert_eq!(
        (wish["name"].as_str(), wish["language"].as_str(), &wish["steps"]),
        (Some("Anna Berg"), Some("de"), &json!([]))
    );
    assert_eq!((wish["from_ms"].as_u64(), wish["to_ms"].as_u64()), (Some(0), Some(DURATION_MS)));
    assert_eq!(act(&town, &carol, copy("none", CopyStep::Prepared, "a", "anna")).await.1["code"], "not-approved");
    let (_, request) = town.approved().await;
    assert_eq!(act(&town, &carol, copy(&request, CopyStep::Prepared, "a", "eve")).await.1["code"], "no-wish");
    assert_eq!(act(&town, &chris, copy(&request, CopyStep::Prepared, "a", "anna")).await.1["code"], "not-yours");
    assert_eq!(act(&town, &carol, copy(&request, CopyStep::Prepared, "a", "anna")).await.1["code"], "not-exported");
    town.log.tell("carol", "export", "case 42; composed copy of 0 to 6000 ms begun");
    assert_eq!(act(&town, &carol, copy(&request, CopyStep::Handed, "a", "anna")).await.1["code"], "not-prepared");
    done(&town, &carol, copy(&request, CopyStep::Prepared, "a", "anna")).await;
    assert_eq!(act(&town, &carol, copy(&request, CopyStep::Handed, "b", "anna")).await.1["code"], "not-prepared");
    let desk = done(&town, &carol, copy(&request, CopyStep::Handed, "a", "anna")).await;
    let steps = &desk["copies"][0]["steps"];
    assert_eq!((&steps[0]["step"], &steps[1]["step"]), (&json!("prepared"), &json!("handed")));
    assert_eq!(act(&town, &carol, copy(&request, CopyStep::Prepared, "c", "anna")).await.1["code"], "handed");
    let receipt = town.log.events.lock().expect("held").last().cloned().expect("one");
    assert!(
        receipt
            .note
            .ends_with(&format!("handed for bank-a/anna/d1; request {request}; file sha256 {}", "a".repeat(64)))
    );
}
