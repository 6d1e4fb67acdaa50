//! Searching, supervising and who may: what officers do besides replaying.

use super::kit::{MEETING, NOW, Person, Town};
use domain::message::custody::LeafRole;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

async fn search(town: &Town, session: &str, body: &Value) -> (u16, Value) {
    let sent = town.post("/api/search").bearer_auth(session).json(body).send().await.expect("sent");
    (sent.status().as_u16(), sent.json().await.expect("JSON"))
}

#[tokio::test]
async fn a_search_finds_by_person_firm_room_and_date_and_is_in_the_ledger_first() {
    let town = Town::new().await;
    let session = town.session(&Person::new("carol", LeafRole::Compliance));
    for (body, found) in [
        (json!({}), 1),
        (json!({"person": "ben cole", "firm": "bank-b"}), 1),
        (json!({"person": "ben", "firm": "bank-a"}), 0),
        (json!({"room": "alder", "from": NOW.0 - 86_400_000, "to": NOW.0}), 1),
        (json!({"to": NOW.0 - 86_400_000}), 0),
    ] {
        let (status, rows) = search(&town, &session, &body).await;
        assert_eq!((status, rows.as_array().map(Vec::len)), (200, Some(found)), "{body}");
        if found == 1 {
            assert_eq!((rows[0]["meeting"].as_str(), rows[0]["integrity"].as_str()), (Some(MEETING), Some("verified")));
        }
    }
    let events = town.log.events.lock().expect("held briefly").clone();
    assert_eq!(events.len(), 5);
    assert!(events.iter().all(|event| event.action == "search" && event.meeting.as_str() == "archive"));
    assert_eq!(events[1].note, "person \"ben cole\"; firm \"bank-b\"");
    town.log.dead.store(true, Ordering::Relaxed);
    let (status, answer) = search(&town, &session, &json!({"person": "ben"})).await;
    assert_eq!((status, answer.get(0)), (503, None), "what the ledger did not take is not searched");
}

#[tokio::test]
async fn a_search_never_passes_over_a_meeting_that_does_not_verify() {
    let town = Town::new().await;
    let session = town.session(&Person::new("carol", LeafRole::Compliance));
    let path = town.meeting.join("meeting.cose");
    let mut signed = std::fs::read(&path).expect("read");
    let middle = signed.len() / 2;
    signed[middle] ^= 1;
    std::fs::write(&path, signed).expect("written");
    let (_, rows) = search(&town, &session, &json!({"person": "nobody"})).await;
    assert!(rows[0]["integrity"].as_str().expect("text").contains("not signed"), "{rows}");
}

#[tokio::test]
async fn chat_is_searched_only_where_this_officer_has_it_open() {
    let town = Town::new().await;
    let (session, id) = town.approved().await;
    let text = json!({"text": "nothing like it"});
    assert_eq!(search(&town, &session, &text).await.1, json!([]));
    town.open(&session, &id).await;
    assert_eq!(search(&town, &session, &text).await.1, json!([]), "open, and it is not there");
}

#[tokio::test]
async fn an_officer_of_another_firm_gets_nothing_here() {
    let town = Town::new().await;
    // certified by an authority that this firm's trust map does not name for it
    let stranger = Person::of("bank-b", "dora", LeafRole::Compliance);
    let judged = evidence::identity::judge(&town.app.trust, &stranger.leaf, NOW.seconds());
    assert!(judged.is_err(), "no session begins for a certificate of another firm");
    let carol = town.session(&Person::new("carol", LeafRole::Compliance));
    let body = json!({"request": domain::B64(stranger.request(town.manifest_hash))});
    let sent = town.post("/api/requests").bearer_auth(&carol).json(&body).send().await.expect("sent");
    assert!([400, 403].contains(&sent.status().as_u16()), "{}", sent.status());
    assert!(town.log.actions().is_empty() && town.app.requests.list().is_empty());
}
